/* Every form of exec through the whole gate, without a supervisor: exec_rig.h. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/exec_rig.h"
#include "tests/unit/unit.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

/* exec wants pointers to char that it never writes through */
static char arg_true[] = "true", arg_sh[] = "sh", arg_c[] = "-c";
static char *const argv_true[] = {arg_true, NULL};
static char *const no_env[] = {NULL};

static char *in_dir(const struct rig *r, const char *name)
{
	static char path[8][320];
	static unsigned i;
	char *p = path[i++ % 8];

	snprintf(p, sizeof(path[0]), "%s/%s", r->dir, name);
	return p;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

/* In the child: 1 and a line for the reader when the value is another. */
static int check(int line, long got, long want)
{
	if (got != want)
		dprintf(1, "# line %d: %ld, not %ld\n", line, got, want);
	return got != want;
}

/* ---- allow, deny, the record and the line on stderr ---- */

static int run_true(struct rig *r)
{
	(void)r;
	return rig_spawn("/bin/true", ARGV("true", "hello"));
}

static void test_allow(void)
{
	struct rig *r = rig_new();

	rig_run(r, run_true);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	CU_ASSERT_EQUAL(r->n_events, 1);
	CU_ASSERT_STRING_EQUAL(r->event[0].op, "exec");
	CU_ASSERT_STRING_EQUAL(r->event[0].decision, "allow");
	CU_ASSERT_STRING_EQUAL(r->event[0].argv1, "hello");
	CU_ASSERT_EQUAL(r->event[0].sha256_len, 32);
	CU_ASSERT(strstr(r->event[0].exe, "/bin/true") != NULL);
	CU_ASSERT_STRING_EQUAL(r->err, "");
	rig_free(r);
}

static int run_denied(struct rig *r)
{
	return rig_spawn(r->denied, ARGV("denied", "https://x\n")) == 1000 + EACCES ? 0 : 1;
}

static void test_deny(void)
{
	struct rig *r = rig_new();

	rig_run(r, run_denied);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	CU_ASSERT_EQUAL(r->n_events, 1);
	CU_ASSERT_EQUAL(r->n_denied, 1);
	CU_ASSERT_STRING_EQUAL(r->err, "agentsh: denied: denied https://x\\x0a (rule no-evil): use "
				       "the other one\n");
	rig_free(r);
}

static void test_no_record_no_exec(void)
{
	struct rig *r = rig_new();

	r->audit_result = -EIO;
	rig_run(r, run_true);
	CU_ASSERT_EQUAL(rig_exit(r), (1000 + EACCES) & 0xff);
	/* refused by the disk while the kernel was loading it: killed, not run */
	r->audit_result = 0;
	r->commit_result = -EIO;
	rig_run(r, run_true);
	CU_ASSERT_EQUAL(rig_exit(r), 0xff);
	rig_free(r);
}

static int run_asked(struct rig *r)
{
	return rig_spawn(in_dir(r, "asked"), ARGV("asked", "--password=hunter2"));
}

static void test_approve(void)
{
	struct rig *r = rig_new();

	rig_copy("/bin/true", in_dir(r, "asked"));
	r->approve = true;
	rig_run(r, run_asked);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	CU_ASSERT(strstr(r->asked, "asked --password=***") != NULL);
	r->approve = false;
	rig_run(r, run_asked);
	CU_ASSERT_EQUAL(rig_exit(r), (1000 + EACCES) & 0xff);
	CU_ASSERT_EQUAL(r->n_denied, 1);
	rig_free(r);
}

/* ---- which file is meant ---- */

static int expect_denied(const char *path, const char *const *argv)
{
	int got = rig_spawn(path, argv);

	if (got != 1000 + EACCES)
		dprintf(1, "# %s: %d\n", path, got);
	return got == 1000 + EACCES ? 0 : 1;
}

static int exec_at(int dirfd, const char *path, int flags)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		syscall(SYS_execveat, dirfd, path, argv_true, no_env, flags);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int names_of_denied(struct rig *r)
{
	char path[128];
	int bad = 0, dir = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = open(r->denied, O_RDONLY);

	if (chdir(r->dir) < 0 || dir < 0 || fd < 0)
		return 99;
	bad += expect_denied("denied", ARGV("x"));
	bad += expect_denied("./sub/../denied", ARGV("x"));
	bad += expect_denied("relative", ARGV("x"));
	bad += expect_denied("absolute", ARGV("x"));
	bad += expect_denied("hard", ARGV("x"));
	bad += expect_denied("copy", ARGV("x"));
	bad += expect_denied("/proc/self/root/../proc/self/cwd/denied", ARGV("x"));
	bad += expect_denied("/proc/thread-self/cwd/denied", ARGV("x"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	bad += expect_denied(path, ARGV("x"));
	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	bad += expect_denied(path, ARGV("x"));
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	bad += expect_denied(path, ARGV("x"));
	bad += check(__LINE__, exec_at(dir, "denied", 0), EACCES);
	bad += check(__LINE__, exec_at(dir, "relative", 0), EACCES);
	bad += check(__LINE__, exec_at(dir, "relative", AT_SYMLINK_NOFOLLOW), ELOOP);
	bad += check(__LINE__, exec_at(dir, "denied", AT_EMPTY_PATH), EACCES);
	bad += check(__LINE__, exec_at(fd, "", AT_EMPTY_PATH), EACCES);
	bad += check(__LINE__, exec_at(fd, r->denied, AT_EMPTY_PATH), EACCES);
	close(dir);
	close(fd);
	return bad;
}

static void test_names(void)
{
	struct rig *r = rig_new();

	mkdir(in_dir(r, "sub"), 0755);
	CU_ASSERT_EQUAL(symlink("sub/../denied", in_dir(r, "relative")), 0);
	CU_ASSERT_EQUAL(symlink(r->denied, in_dir(r, "absolute")), 0);
	CU_ASSERT_EQUAL(link(r->denied, in_dir(r, "hard")), 0);
	rig_copy(r->denied, in_dir(r, "copy"));
	rig_run(r, names_of_denied);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	CU_ASSERT_EQUAL(r->n_denied, 16);
	rig_free(r);
}

static int exec_self(struct rig *r)
{
	/* /proc/self/exe is the test program itself, by the caller's own /proc */
	(void)r;
	return rig_spawn("/proc/self/exe", ARGV("x", "--nothing"));
}

static void test_proc_self_exe(void)
{
	struct rig *r = rig_new();

	rig_run(r, exec_self);
	CU_ASSERT_EQUAL(rig_exit(r), 42);
	CU_ASSERT(strstr(r->event[0].exe, "test_exec_serve") != NULL);
	rig_free(r);
}

static int nameless(struct rig *r)
{
	int fd = memfd_create("x", 0), bad = 0;
	char path[64], buf[65536];
	int in = open("/bin/true", O_RDONLY);
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(fd, buf, (size_t)n) != n)
			return 99;
	fchmod(fd, 0755);
	bad += check(__LINE__, exec_at(fd, "", AT_EMPTY_PATH), EACCES);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	bad += expect_denied(path, ARGV("x"));
	close(fd);
	rig_copy("/bin/true", in_dir(r, "gone"));
	fd = open(in_dir(r, "gone"), O_RDONLY);
	unlink(in_dir(r, "gone"));
	bad += check(__LINE__, exec_at(fd, "", AT_EMPTY_PATH), EACCES);
	close(fd);
	return bad;
}

static void test_nameless(void)
{
	struct rig *r = rig_new();

	rig_run(r, nameless);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	CU_ASSERT_EQUAL(r->n_denied, 3);
	CU_ASSERT(strstr(r->event[0].message, "no name") != NULL);
	rig_free(r);
}

/* ---- what the kernel would refuse as well ---- */

static int errors(struct rig *r)
{
	int bad = 0;

	put(in_dir(r, "text"), "echo no\n");
	put(in_dir(r, "plain"), "#!/bin/sh\n");
	chmod(in_dir(r, "plain"), 0644);
	put(in_dir(r, "lost"), "#!/no/such/interpreter\n");
	bad += check(__LINE__, rig_spawn("/no/such", ARGV("x")), 1000 + ENOENT);
	bad += check(__LINE__, rig_spawn("", ARGV("x")), 1000 + ENOENT);
	bad += check(__LINE__, rig_spawn(in_dir(r, "text/x"), ARGV("x")), 1000 + ENOTDIR);
	bad += check(__LINE__, rig_spawn(in_dir(r, "text"), ARGV("x")), 1000 + ENOEXEC);
	bad += check(__LINE__, rig_spawn(in_dir(r, "plain"), ARGV("x")), 1000 + EACCES);
	bad += check(__LINE__, rig_spawn(r->dir, ARGV("x")), 1000 + EACCES);
	bad += check(__LINE__, rig_spawn(in_dir(r, "lost"), ARGV("x")), 1000 + ENOENT);
	bad += check(__LINE__, rig_spawn((const char *)16, ARGV("x")), 1000 + EFAULT);
	bad += check(__LINE__, rig_spawn("/bin/true", (const char *const *)16), 1000 + EFAULT);
	bad += check(__LINE__, exec_at(-5, "x", 0), EBADF);
	bad += check(__LINE__, exec_at(AT_FDCWD, "x", 0x4000000), EINVAL);
	return bad;
}

static void test_errors(void)
{
	struct rig *r = rig_new();

	rig_run(r, errors);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	CU_ASSERT_EQUAL(r->n_denied, 0);
	rig_free(r);
}

static int odd_argv(struct rig *r)
{
	static char big[100000];
	const char *many[201];
	int bad = 0;

	(void)r;
	bad += check(__LINE__, rig_spawn("/bin/true", NULL), 0);
	bad += check(__LINE__, rig_spawn("/bin/true", (const char *const[]){NULL}), 0);
	memset(big, 'a', sizeof(big) - 1);
	bad += check(__LINE__, rig_spawn("/bin/true", ARGV("true", big, "", big)), 0);
	for (int i = 0; i < 200; i++)
		many[i] = i % 3 ? "x" : "";
	many[200] = NULL;
	bad += check(__LINE__, rig_spawn("/bin/true", many), 0);
	return bad;
}

static void test_odd_argv(void)
{
	struct rig *r = rig_new();

	rig_run(r, odd_argv);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	CU_ASSERT_EQUAL(r->n_mismatch, 0);
	rig_free(r);
}

/* ---- scripts and loaders ---- */

static int scripts(struct rig *r)
{
	int bad = 0, dir = open(r->dir, O_PATH | O_DIRECTORY);

	if (chdir(r->dir) < 0)
		return 99;
	bad += check(__LINE__, rig_spawn("./script", ARGV("x", "7")), 7);
	bad += check(__LINE__, rig_spawn("chain", ARGV("x", "8")), 8);
	bad += check(__LINE__, exec_at(dir, "script", 0), 2); /* sh -u: $1 is not set */
	bad += expect_denied("bad", ARGV("x"));
	bad += expect_denied("script", ARGV("x", "EVIL"));
	bad += check(__LINE__, rig_spawn("loop", ARGV("x")), 1000 + ELOOP);
	close(dir);
	return bad;
}

static void test_scripts(void)
{
	struct rig *r = rig_new();
	char text[400];

	put(in_dir(r, "script"), "#! /bin/sh -u \nexit $1\n");
	snprintf(text, sizeof(text), "#!%s/script\n", r->dir);
	put(in_dir(r, "wrap"), "#!/bin/sh\nexit $3\n");
	snprintf(text, sizeof(text), "#!%s/wrap 1\n", r->dir);
	put(in_dir(r, "chain"), text);
	snprintf(text, sizeof(text), "#!%s\n", r->denied);
	put(in_dir(r, "bad"), text);
	snprintf(text, sizeof(text), "#!%s/loop\n", r->dir);
	put(in_dir(r, "loop"), text);
	rig_run(r, scripts);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	CU_ASSERT(strstr(r->event[0].exe, "/script") != NULL);
	CU_ASSERT(r->event[0].interpreter[0] == '/');
	CU_ASSERT_EQUAL(r->n_mismatch, 0);
	rig_free(r);
}

static int loaders(struct rig *r)
{
	static const char ld[] = "/lib64/ld-linux-x86-64.so.2";
	int bad = 0;

	if (access(ld, X_OK) < 0)
		return 0;
	rig_copy(ld, in_dir(r, "myld"));
	bad += check(__LINE__, rig_spawn(ld, ARGV("ld", "/usr/bin/true")), 0);
	bad += check(__LINE__, rig_spawn(ld, ARGV("ld", "--argv0", "x", "/usr/bin/true")), 0);
	bad += expect_denied(ld, ARGV("ld", r->denied));
	bad += expect_denied(ld, ARGV("ld", "--library-path", "/lib", r->denied));
	bad += expect_denied(in_dir(r, "myld"), ARGV("ld", r->denied));
	bad += expect_denied(ld, ARGV("ld", ld, r->denied));
	bad += expect_denied(ld, ARGV("ld", "--library-path", "/usr/bin", "true"));
	bad += expect_denied(ld, ARGV("ld", "--unknown", "/usr/bin/true"));
	bad += expect_denied(ld, ARGV("ld", "--argv0", "denied", "/usr/bin/true", "EVIL"));
	bad += check(__LINE__, symlink("/usr/bin/true", in_dir(r, "soft")), 0);
	bad += expect_denied(ld, ARGV("ld", in_dir(r, "soft")));
	return bad;
}

static void test_loaders(void)
{
	struct rig *r = rig_new();

	rig_run(r, loaders);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	rig_free(r);
}

/* ---- threads, vfork, storms ---- */

static int vforked(struct rig *r)
{
	int status, bad = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		execve("/bin/true", argv_true, no_env);
		_exit(99);
	}
	bad += check(__LINE__, waitpid(pid, &status, 0) != pid || status, 0);
	bad += check(__LINE__, posix_spawn(&pid, "/bin/true", NULL, NULL, argv_true, no_env), 0);
	bad += check(__LINE__, waitpid(pid, &status, 0) != pid || status, 0);
	bad += check(__LINE__, posix_spawn(&pid, r->denied, NULL, NULL, argv_true, no_env), EACCES);
	return bad;
}

static void test_vfork(void)
{
	struct rig *r = rig_new();

	rig_run(r, vforked);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	rig_free(r);
}

static void *exec_in_thread(void *arg)
{
	execve(arg, argv_true, no_env);
	_exit(98);
}

static int threaded(struct rig *r)
{
	int bad = 0, status;

	for (int i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pthread_t t[4];

			for (int k = 0; k < 4; k++)
				pthread_create(&t[k], NULL, exec_in_thread, (void *)"/bin/true");
			pause();
		}
		waitpid(pid, &status, 0);
		bad += check(__LINE__, status, 0);
	}
	(void)r;
	return bad;
}

static void test_exec_by_thread(void)
{
	struct rig *r = rig_new();

	rig_run(r, threaded);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	CU_ASSERT_EQUAL(r->n_mismatch, 0);
	rig_free(r);
}

#define STORM 200

static int storm(struct rig *r)
{
	pid_t pid[STORM];
	int bad = 0, status;

	(void)r;
	for (int i = 0; i < STORM; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			execve("/bin/true", argv_true, no_env);
			_exit(99);
		}
		if (i % 7 == 0)
			kill(pid[i], SIGKILL);
	}
	for (int i = 0; i < STORM; i++) {
		waitpid(pid[i], &status, 0);
		bad += check(__LINE__, i % 7 == 0 ? 0 : status, 0);
	}
	return bad;
}

static void test_storm(void)
{
	struct rig *r = rig_new();

	rig_run(r, storm);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	CU_ASSERT_EQUAL(r->n_mismatch, 0);
	CU_ASSERT_EQUAL(r->n_denied, 0);
	rig_free(r);
}

/* ---- depth ---- */

static int nested(struct rig *r)
{
	static char script[] = "/bin/true; (/bin/true; :); exec /bin/true";
	static char *const argv[] = {arg_sh, arg_c, script, NULL};

	(void)r;
	execve("/bin/sh", argv, no_env);
	return 99;
}

static void test_depth(void)
{
	struct rig *r = rig_new();

	rig_run(r, nested);
	CU_ASSERT_EQUAL(rig_exit(r), 0);
	CU_ASSERT_EQUAL(r->n_events, 4);
	CU_ASSERT_EQUAL(r->event[0].depth, 0);
	for (int i = 1; i < 4; i++)
		CU_ASSERT_EQUAL(r->event[i].depth, 1);
	rig_free(r);
}

static const struct unit_case cases[] = {
	{"an allowed program runs and is recorded", test_allow},
	{"a denied one is refused with its reason", test_deny},
	{"what cannot be recorded does not run", test_no_record_no_exec},
	{"approval", test_approve},
	{"every name of a denied program", test_names},
	{"/proc/self/exe is the caller's", test_proc_self_exe},
	{"programs without a name", test_nameless},
	{"errors are the kernel's", test_errors},
	{"odd argument vectors", test_odd_argv},
	{"scripts and their interpreters", test_scripts},
	{"dynamic loaders", test_loaders},
	{"vfork and posix_spawn", test_vfork},
	{"exec by a thread", test_exec_by_thread},
	{"a storm with kills", test_storm},
	{"depth", test_depth},
};

int main(int argc, char **argv)
{
	/* "/proc/self/exe" of a child: see exec_self() */
	if (argc > 1 && strcmp(argv[1], "--nothing") == 0)
		_exit(42); /* no leak check: it needs ptrace */
	return unit_run("execgate", cases, sizeof(cases) / sizeof(cases[0]));
}
