/*
 * The writer is killed at every single call by which it changes the disk, before it, after it, and
 * in the middle of a write; the next start must go on, and no log may ever look tampered with.
 */
#include "tests/unit/unit.h"

#include <sys/wait.h>

#include "common/auto.h"
#include "tests/unit/audit_fixture.h"

enum when { BEFORE, AFTER, HALF, WHENS };

/* The writer's calls, counted; in a child process, so its death is the crash. */
static struct {
	int left;
	enum when when;
} bomb;

static struct audit_disk calm_disk;

static int tick(void)
{
	return --bomb.left == 0;
}

static ssize_t bomb_write(int fd, const void *p, size_t len, off_t at)
{
	ssize_t n;

	if (!tick())
		return audit_disk_posix.write(fd, p, len, at);
	if (bomb.when == BEFORE)
		_exit(9);
	n = audit_disk_posix.write(fd, p, bomb.when == HALF ? len / 2 + 7 : len, at);
	(void)n;
	_exit(9);
}

static int bomb_call(int r)
{
	if (bomb.left == 0)
		_exit(9);
	return r;
}

#define BOMB(...)                                                                                  \
	do {                                                                                       \
		if (tick() && bomb.when == BEFORE)                                                 \
			_exit(9);                                                                  \
		return bomb_call(__VA_ARGS__);                                                     \
	} while (0)

static int bomb_sync(int fd)
{
	(void)fd; /* a killed process loses nothing that it has written: no need to wait for disks */
	BOMB(0);
}

static int bomb_grow(int fd, off_t from, off_t len)
{
	BOMB(audit_disk_posix.grow(fd, from, len));
}

static int bomb_truncate(int fd, off_t len)
{
	BOMB(audit_disk_posix.truncate(fd, len));
}

static int bomb_rename(int dir, const char *from, const char *to)
{
	BOMB(audit_disk_posix.rename(dir, from, to));
}

static int bomb_create(int dir, const char *name)
{
	BOMB(audit_disk_posix.create(dir, name));
}

static int bomb_remove(int dir, const char *name)
{
	BOMB(audit_disk_posix.remove(dir, name));
}

static const struct audit_disk bomb_disk = {bomb_write,	 bomb_sync,   bomb_grow,  bomb_truncate,
					    bomb_rename, bomb_create, bomb_remove};

/* @return true when the session ran to its end */
static bool run_until_bomb(const char *dir, int at, enum when when)
{
	const struct fixture_conf c = {.dir = dir, .disk = &bomb_disk, .segment_bytes = 6000,
				       .records = 40, .batch = 5, .hour = true};
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		bomb.left = at;
		bomb.when = when;
		_exit(fixture_session(&c, "killed") == 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 9)
		return false;
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return true;
}

static void check(const char *dir, int at, enum when when)
{
	const struct audit_verify_conf conf = {.dir = dir};
	struct audit_report rep;
	struct err e = ERR_INIT;
	enum audit_verdict v = audit_verify(&rep, &conf, &e);

	/* killed before anything of the log was there: nothing to read, or no root key yet */
	if (v == AUDIT_UNREADABLE)
		CU_ASSERT(e.code == ENOENT);
	if (v == AUDIT_TAMPERED || v == AUDIT_NO_TRUST)
		fprintf(stderr, "call %d/%d: %d %s %s %s\n", at, when, v, rep.fault_text,
			rep.fault_file, e.text);
	CU_ASSERT(v == AUDIT_INTACT || v == AUDIT_INCOMPLETE || v == AUDIT_UNREADABLE);
	audit_report_free(&rep);
}

static int calm_sync(int fd)
{
	(void)fd;
	return 0;
}

/* A fresh log for each point of death: creation is tried, too. */
static void test_each_call(void)
{
	const struct fixture_conf calm = {.disk = &calm_disk, .records = 20, .batch = 10};
	int calls = 0;

	calm_disk = audit_disk_posix;
	calm_disk.sync = calm_sync;
	for (int when = 0; when < WHENS; when++) {
		bool done = false;

		for (int at = 1; !done; at++) {
			struct fixture_conf c = calm;
			char dir[FIXTURE_PATH];

			fixture_dir(dir);
			done = run_until_bomb(dir, at, (enum when)when);
			check(dir, at, (enum when)when);
			c.dir = dir;
			CU_ASSERT_EQUAL(fixture_session(&c, "after"), 0);
			CU_ASSERT_EQUAL(fixture_verify(dir, NULL), AUDIT_INTACT);
			fixture_remove(dir);
			calls = at;
		}
	}
	printf("%d calls ", calls);
	CU_ASSERT(calls > 60);
}

/* One log, killed again and again without a calm session between. */
static void test_again_and_again(void)
{
	struct fixture_conf calm = {.disk = &calm_disk, .records = 20, .batch = 10};
	struct audit_report rep;
	char dir[FIXTURE_PATH];

	calm_disk = audit_disk_posix;
	calm_disk.sync = calm_sync;
	fixture_dir(dir);
	calm.dir = dir;
	srand(5);
	for (int i = 0; i < 100; i++) {
		run_until_bomb(dir, 1 + rand() % 90, (enum when)(rand() % WHENS));
		check(dir, i, WHENS);
	}
	CU_ASSERT_EQUAL(fixture_session(&calm, "after"), 0);
	CU_ASSERT_EQUAL(fixture_verify(dir, &rep), AUDIT_INTACT);
	CU_ASSERT(rep.crashes > 20);
	fixture_remove(dir);
}

/* ---- errors instead of death ---- */

static int fail_code, fail_calls;

static int fail_sync(int fd)
{
	(void)fd;
	return fail_calls-- > 0 ? 0 : fail_code;
}

static int fail_grow(int fd, off_t from, off_t len)
{
	return fail_code ? fail_code : audit_disk_posix.grow(fd, from, len);
}

static void test_sync_error_is_final(void)
{
	struct audit_disk disk = audit_disk_posix;
	struct audit_log_conf conf = {.disk = &disk};
	struct audit_log *l = NULL;
	char dir[FIXTURE_PATH];
	int id;

	fixture_dir(dir);
	disk.sync = fail_sync;
	fail_code = -EIO;
	fail_calls = 100;
	conf.dir = dir;
	CU_ASSERT_EQUAL_FATAL(audit_log_open(&l, &conf, NULL), 0);
	id = audit_log_up(l, AUDIT_FS, "s", 1, 1);
	CU_ASSERT(id > 0);
	CU_ASSERT_EQUAL(audit_log_commit(l), 0);
	fail_calls = 0;
	CU_ASSERT_EQUAL(fixture_event(l, (uint16_t)id, 1), 0);
	CU_ASSERT_EQUAL(audit_log_commit(l), -EIO);
	/* the next sync would succeed; it must not be believed */
	fail_calls = 100;
	CU_ASSERT_EQUAL(audit_log_commit(l), -EIO);
	CU_ASSERT_EQUAL(fixture_event(l, (uint16_t)id, 2), -EIO);
	CU_ASSERT_EQUAL(audit_log_close(l), -EIO);
	CU_ASSERT_EQUAL(fixture_verify(dir, NULL), AUDIT_INCOMPLETE);
	fixture_remove(dir);
}

static void test_disk_full(void)
{
	struct audit_disk disk = audit_disk_posix;
	struct audit_log_conf conf = {.disk = &disk};
	struct audit_log *l = NULL;
	struct err e = ERR_INIT;
	char dir[FIXTURE_PATH];
	uint64_t n = 0;
	int id, r = 0;

	fixture_dir(dir);
	disk.grow = fail_grow;
	disk.sync = fail_sync;
	fail_calls = 1 << 30;
	conf.dir = dir;
	fail_code = -ENOSPC;
	CU_ASSERT_EQUAL(audit_log_open(&l, &conf, &e), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "disk full"));
	fail_code = 0;
	CU_ASSERT_EQUAL_FATAL(audit_log_open(&l, &conf, &e), 0);
	id = audit_log_up(l, AUDIT_FS, "s", 1, 1);
	fail_code = -ENOSPC;
	/* it says so while there is still a reserve; what is in the rings fits into that */
	while ((r = audit_log_ensure_space(l)) == 0) {
		for (int i = 0; i < 1000; i++)
			CU_ASSERT_EQUAL_FATAL(fixture_event(l, (uint16_t)id, ++n), 0);
		CU_ASSERT_EQUAL_FATAL(audit_log_commit(l), 0);
	}
	CU_ASSERT_EQUAL(r, -ENOSPC);
	CU_ASSERT(audit_log_space(l) > (2u << 20));
	CU_ASSERT_EQUAL(audit_log_disk(l, "disk_full"), 0);
	CU_ASSERT_EQUAL(audit_log_commit(l), 0);
	/* space is back: it goes on without a restart */
	fail_code = 0;
	CU_ASSERT_EQUAL(audit_log_ensure_space(l), 0);
	CU_ASSERT_EQUAL(audit_log_disk(l, "disk_ok"), 0);
	CU_ASSERT_EQUAL(fixture_event(l, (uint16_t)id, ++n), 0);
	CU_ASSERT_EQUAL(audit_log_down(l, (uint16_t)id, "closed"), 0);
	CU_ASSERT_EQUAL(audit_log_close(l), 0);
	CU_ASSERT_EQUAL(fixture_verify(dir, NULL), AUDIT_INTACT);
	fixture_remove(dir);
}

static void test_second_writer(void)
{
	struct audit_log_conf conf = {0};
	struct audit_log *l = NULL, *other = NULL;
	char dir[FIXTURE_PATH];

	fixture_dir(dir);
	conf.dir = dir;
	CU_ASSERT_EQUAL_FATAL(audit_log_open(&l, &conf, NULL), 0);
	CU_ASSERT_EQUAL(audit_log_open(&other, &conf, NULL), -EBUSY);
	CU_ASSERT_EQUAL(audit_log_close(l), 0);
	fixture_remove(dir);
}

static const struct unit_case cases[] = {
	{"killed at each call", test_each_call},
	{"killed again and again", test_again_and_again},
	{"a sync error is final", test_sync_error_is_final},
	{"disk full and back", test_disk_full},
	{"second writer", test_second_writer},
};

UNIT_MAIN("audit_crash", cases)
