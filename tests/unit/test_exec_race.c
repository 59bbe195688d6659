/*
 * What runs is what was judged: a second thread changes the path, the arguments, a symlink or the
 * file itself while its own process calls execve. Not one denied program may run.
 * AGENTSH_RACE_TRIES sets how often (10000 for a thorough run).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/exec_rig.h"
#include "tests/unit/unit.h"

#define TRIES 400
#define REFUSED 98
#define EVIL_RAN 1 /* exit status of false(1), which plays the denied program */

struct race {
	char path[320], arg[8]; /* what the second thread changes */
	char good[320], bad[320], link[320];
	void *(*racer)(void *);
	volatile bool go;
};

static char race_name[] = "race";

static void pause_briefly(unsigned i)
{
	for (volatile unsigned k = 0; k < 100 + i % 300; k++)
		;
}

static void *flip_path(void *arg)
{
	struct race *f = arg;

	f->go = true;
	for (unsigned i = 0;; i++, pause_briefly(i))
		memcpy(f->path, i & 1 ? f->bad : f->good, sizeof(f->path));
	return NULL;
}

static void *flip_arg(void *arg)
{
	struct race *f = arg;

	f->go = true;
	for (unsigned i = 0;; i++, pause_briefly(i))
		memcpy(f->arg, i & 1 ? "EVIL" : "GOOD", 5);
	return NULL;
}

static void *flip_link(void *arg)
{
	struct race *f = arg;
	char temp[340];

	snprintf(temp, sizeof(temp), "%s.new", f->link);
	f->go = true;
	for (unsigned i = 0;; i++) {
		unlink(temp);
		if (symlink(i & 1 ? f->bad : f->good, temp) == 0)
			rename(temp, f->link);
	}
	return NULL;
}

/* Nobody can start the file while it is open here, so only whole contents are ever judged. */
static void fill(const char *path, const char *from)
{
	static char buf[1 << 20];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = read(in, buf, sizeof(buf));

	/* ETXTBSY while it runs */
	if (out >= 0 && (n <= 0 || pwrite(out, buf, (size_t)n, 0) != n || ftruncate(out, n) < 0))
		abort();
	if (out >= 0)
		close(out);
	close(in);
}

/* The file changes its content in place, as often as ETXTBSY lets it. */
static void *flip_content(void *arg)
{
	struct race *f = arg;

	f->go = true;
	for (unsigned i = 0;; i++) {
		fill(f->path, i & 1 ? f->bad : f->good);
		usleep(i % 400);
	}
	return NULL;
}

/* One process that races its own exec. @return wait status */
static int once(struct race *f)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		static char equals[] = "!=", evil[] = "EVIL";
		char *argv[] = {race_name, f->arg, equals, evil, NULL}, *env[] = {NULL};
		pthread_t t;

		pthread_create(&t, NULL, f->racer, f);
		while (!f->go)
			;
		/* a file that is being written to cannot be started: try until it can */
		for (int i = 0; i == 0 || (i < 100 && errno == ETXTBSY); i++)
			execve(f->racer == flip_link ? f->link : f->path, argv, env);
		_exit(REFUSED);
	}
	waitpid(pid, &status, 0);
	return status;
}

static int race(struct race *f)
{
	const char *env = getenv("AGENTSH_RACE_TRIES");
	unsigned ran = 0, refused = 0, killed = 0, bad = 0;
	int tries = env ? atoi(env) : TRIES;

	for (int i = 0; i < tries; i++) {
		int status = once(f);

		if (WIFSIGNALED(status))
			killed++;
		else if (WEXITSTATUS(status) == EVIL_RAN)
			bad++;
		else if (WEXITSTATUS(status) == REFUSED)
			refused++;
		else
			ran++;
	}
	dprintf(1, "# ran %u, refused %u, killed %u, bypassed %u ", ran, refused, killed, bad);
	return bad ? 1 : 0;
}

/* test(1) plays the allowed program: it fails exactly when its argument is EVIL. */
static struct race *prepare(struct rig *r, void *(*racer)(void *))
{
	struct race *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	f->racer = racer;
	snprintf(f->good, sizeof(f->good), "%s/good", r->dir);
	snprintf(f->bad, sizeof(f->bad), "%s", r->denied);
	snprintf(f->link, sizeof(f->link), "%s/link", r->dir);
	rig_copy("/usr/bin/test", f->good);
	memcpy(f->path, f->good, sizeof(f->path));
	memcpy(f->arg, "GOOD", 5);
	if (symlink(f->good, f->link) < 0)
		abort();
	return f;
}

static int race_path(struct rig *r)
{
	return race(prepare(r, flip_path));
}

static int race_arg(struct rig *r)
{
	return race(prepare(r, flip_arg));
}

static int race_link(struct rig *r)
{
	return race(prepare(r, flip_link));
}

static int race_content(struct rig *r)
{
	struct race *f = prepare(r, flip_content);

	snprintf(f->path, sizeof(f->path), "%s/changing", r->dir);
	rig_copy(f->good, f->path);
	return race(f);
}

static void run(int (*fn)(struct rig *r))
{
	struct rig *r = rig_new();

	rig_run(r, fn);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	rig_free(r);
}

static void test_path(void)
{
	run(race_path);
}

static void test_arg(void)
{
	run(race_arg);
}

static void test_link(void)
{
	run(race_link);
}

static void test_content(void)
{
	run(race_content);
}

static const struct unit_case cases[] = {
	{"of the path", test_path},
	{"of the arguments", test_arg},
	{"of a symlink", test_link},
	{"of the content", test_content},
};

UNIT_MAIN("exec races", cases)
