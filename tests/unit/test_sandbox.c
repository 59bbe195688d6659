/*
 * Builds sandboxes for real, with a plan made by hand and a filter that allows everything. The
 * agent is a shell that looks around from inside; its exit status is the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/sys.h"
#include "tests/unit/sandbox_fixture.h"
#include "tests/unit/unit.h"

static int run_argv(char *const *argv)
{
	struct sandbox_args args = fixture_args(argv);
	struct sandbox sb = SANDBOX_INIT;
	uint64_t t[4];
	int status = -EIO;

	if (fixture_prepare(&sb, &args, -1, t))
		status = fixture_finish(&sb);
	sandbox_deinit(&sb);
	return status;
}

static int shell(const char *script)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)script, NULL};

	return run_argv(argv);
}

static void check_script(const char *script)
{
	int status = shell(script);

	if (status != 0)
		printf("\n    status %#x: %s\n", status, script);
	CU_ASSERT_EQUAL(status, 0);
}

static void test_status(void)
{
	CU_ASSERT_EQUAL(shell("exit 0"), 0);
	CU_ASSERT_EQUAL(WEXITSTATUS(shell("exit 37")), 37);
	CU_ASSERT_EQUAL(WTERMSIG(shell("kill -KILL $$")), SIGKILL);
	CU_ASSERT_EQUAL(WTERMSIG(shell("kill -TERM $$")), SIGTERM);
}

static void test_exec_failures(void)
{
	char *missing[] = {(char *)"no-such-program", NULL};
	char *not_there[] = {(char *)"/no/such/program", NULL};
	char *refused[] = {(char *)"/etc/passwd", NULL};

	CU_ASSERT_EQUAL(run_argv(missing), -ENOENT);
	CU_ASSERT_EQUAL(run_argv(not_there), -ENOENT);
	CU_ASSERT_EQUAL(run_argv(refused), -EACCES);
}

static const char *const inside[] = {
	"test $$ = 2",
	"grep -q 'CapEff:.0000000000000000' /proc/self/status",
	"grep -q 'CapPrm:.0000000000000000' /proc/self/status",
	"grep -q 'CapBnd:.0000000000000000' /proc/self/status",
	"grep -q 'CapInh:.0000000000000000' /proc/self/status",
	"grep -q 'CapAmb:.0000000000000000' /proc/self/status",
	"grep -q 'NoNewPrivs:.1' /proc/self/status",
	"grep -q 'Seccomp:.2' /proc/self/status",
	"grep -q 'SigBlk:.0000000000000000' /proc/self/status",
	/* only 0-2 and the one that ls itself opens */
	"test \"$(ls /proc/self/fd | tr '\\n' ' ')\" = '0 1 2 3 '",
	"test \"$(uname -n)\" = inside",
	"test \"$(cat /proc/sys/user/max_user_namespaces)\" = 0",
	"test \"$(cat /proc/sys/user/max_mnt_namespaces)\" = 0",
	"! unshare -U true 2>/dev/null",
	"! unshare -m true 2>/dev/null",
	"! mount -t tmpfs none /tmp 2>/dev/null",
	"! umount /proc 2>/dev/null",
	"! touch /x 2>/dev/null",
	"! touch /usr/x 2>/dev/null",
	"! touch /etc/x 2>/dev/null",
	"! touch /dev/x 2>/dev/null",
	"! touch /run/x 2>/dev/null",
	"touch /tmp/x && test -f /tmp/x && touch /dev/shm/x",
	"echo x >/dev/null && head -c 4 /dev/zero | od -An -tx1 | grep -q '00 00 00 00'",
	"test $(head -c 16 /dev/urandom | wc -c) = 16",
	"test -c /dev/tty && test -c /dev/full && test -e /dev/pts/ptmx",
	"test \"$(cat /proc/1/comm)\" != ''",
	"! cat /proc/1/environ >/dev/null 2>&1",
	"for f in 0 1 2 3 4; do ! readlink /proc/1/fd/$f || exit 1; done",
	"! ls /proc/1/root/ >/dev/null 2>&1",
	"! readlink /proc/1/exe >/dev/null 2>&1",
	/* every writable file of /proc that is no process's */
	"! echo x >/proc/sys/kernel/core_pattern",
	"! echo 1 >/proc/sys/kernel/sysrq",
	"! echo h >/proc/sysrq-trigger",
	"! echo 0 >/proc/sys/vm/drop_caches",
	"! echo 1 >/proc/sys/user/max_user_namespaces",
	"! echo 0 >/proc/sys/vm/memfd_noexec",
	"test -z \"$(find /proc -path '/proc/[0-9]*' -prune -o -path /proc/self -prune -o -path "
	"/proc/thread-self -prune -o -type f -writable -exec test -f {} ';' -print 2>/dev/null)\"",
	"test \"$(cat /proc/kallsyms | wc -c)\" = 0",
	"test ! -d /sys/kernel || ! echo x >/sys/kernel/uevent_helper",
	"test ! -d /sys/kernel || test -z \"$(find /sys -type f -writable 2>/dev/null | head -1)\"",
	"test -z \"$(ls /sys/fs/cgroup 2>/dev/null)\"",
	/* no door back to the host */
	"test ! -e /home && test ! -e /work && test ! -e /root && test ! -e /var/lib",
	"! grep -v '^[^ ]* / \\| /[a-z]' /proc/self/mounts",
	"test \"$(ls / | tr '\\n' ' ')\" = 'bin dev etc lib lib64 proc run sys tmp usr var '",
	"test \"$(ls /proc/self/task | wc -l)\" = 1",
	"test \"$(ls /sys/class/net 2>/dev/null)\" = lo -o ! -d /sys/class",
	"! kill -0 1 2>/dev/null || kill -KILL 1; test -d /proc/1",
	/* the group that kill(0) reaches is the agent's own */
	"trap '' TERM; kill -TERM 0; exit 0",
	/* it is the leader of that group */
	"test \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$",
	"python3 -c 'import socket; s = socket.socket(); s.settimeout(1)' || ! command -v python3",
	"node -e 'process.exit(0)' || ! command -v node >/dev/null",
	"echo 'int main(void){return 0;}' | gcc -x c - -o /tmp/a.out && /tmp/a.out || "
	"! command -v gcc",
	"script -qc true /dev/null </dev/null >/dev/null || ! command -v script",
};

static void test_inside(void)
{
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
		check_script(inside[i]);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static unsigned count_lines(const char *file)
{
	FILE *f = fopen(file, "re");
	unsigned n = 0;
	int c;

	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

#define RUNS 200u

static void test_many(void)
{
	static const char *const step[] = {"start", "build", "arm", "run to the end", "clean up"};
	static uint64_t took[5][RUNS];
	char *argv[] = {(char *)"/usr/bin/true", NULL};
	unsigned mounts = count_lines("/proc/self/mounts");

	for (unsigned i = 0; i < RUNS; i++) {
		struct sandbox_args args = fixture_args(argv);
		struct sandbox sb = SANDBOX_INIT;
		uint64_t t[6];

		CU_ASSERT(fixture_prepare(&sb, &args, -1, t));
		CU_ASSERT_EQUAL(fixture_finish(&sb), 0);
		t[4] = fixture_now_us();
		sandbox_deinit(&sb);
		t[5] = fixture_now_us();
		for (unsigned s = 0; s < 5; s++)
			took[s][i] = t[s + 1] - t[s];
	}
	for (unsigned s = 0; s < 5; s++) {
		qsort(took[s], RUNS, sizeof(took[s][0]), compare);
		printf("\n    %-16s %6lu us", step[s], (unsigned long)took[s][RUNS / 2]);
	}
	printf("\n    ");
	CU_ASSERT_EQUAL(count_lines("/proc/self/mounts"), mounts);
	CU_ASSERT(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

/* ---- governed trees: a detached mount made inside the sandbox's namespaces, as fsgate does ---- */

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%.2000s/%s", dir, name);
	f = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

/* A process that enters like a gate makes it, and hands it over. */
static int detached_mount(int init_pidfd, const char *dir)
{
	struct ipc_msg *m = malloc(sizeof(*m));
	int pair[2], fd = -1, status;
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(ipc_pair(pair), 0);
	pid = fork();
	if (pid == 0) {
		if (setns(init_pidfd, CLONE_NEWUSER | CLONE_NEWNS) < 0)
			_exit(1);
		fd = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		ipc_begin(m, 1, 0);
		ipc_put_fd(m, fd);
		_exit(ipc_send(pair[1], m) < 0);
	}
	close(pair[1]);
	if (ipc_recv(pair[0], m) == 1)
		fd = ipc_take_fd(m, 0);
	close(pair[0]);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	free(m);
	return fd;
}

static const char *const governed_checks =
	"set -e; test $(cat /gov/file) = zero; test $(cat /gov/sub/file) = two; "
	"test $(cat /tmp/a/ws/file) = one; echo new >/gov/made; test -f /gov/made; "
	"grep -q generated /etc/passwd; ! echo x >/etc/passwd; "
	"test -z \"$(ls /usr/share)\"; test -d /usr/share; ! touch /usr/share/x; "
	"for d in /gov /gov/sub /tmp/a/ws; do grep \" $d [^ ]* [^ ]*nosuid,nodev\" "
	"/proc/self/mounts >/dev/null; done; test \"$(pwd)\" = /tmp/a/ws; "
	"test $(ls /proc/self/root/ | wc -w) = $(ls / | wc -w); "
	"test ! -e /gov/../etc/shadow.x; test \"$(ls /proc/fs 2>/dev/null)\" != r0";

static void test_governed(void)
{
	struct plan_entry entries[] = {
		{PLAN_BIND, (char *)"/etc", (char *)"/etc", 0, false, NULL},
		{PLAN_SYMLINK, (char *)"/bin", (char *)"usr/bin", 0, false, NULL},
		{PLAN_GOVERNED, (char *)"/gov", (char *)"", 0, false, NULL},
		{PLAN_GOVERNED, (char *)"/gov/sub", (char *)"", 2, false, NULL},
		{PLAN_SYMLINK, (char *)"/lib", (char *)"usr/lib", 0, false, NULL},
		{PLAN_SYMLINK, (char *)"/lib64", (char *)"usr/lib64", 0, false, NULL},
		{PLAN_TMPFS, (char *)"/tmp", NULL, 0, false, NULL},
		{PLAN_GOVERNED, (char *)"/tmp/a/ws", (char *)"", 1, false, NULL},
		{PLAN_BIND, (char *)"/usr", (char *)"/usr", 0, false, NULL},
		{PLAN_MASK, (char *)"/usr/share", NULL, 0, false, NULL},
	};
	char dir[] = "/var/tmp/test_sandbox.XXXXXX", name[PATH_MAX], generated[PATH_MAX];
	struct plan_override override = {(char *)"/etc/passwd", generated, false};
	struct plan governed = {.entries = entries,
				.n_entries = sizeof(entries) / sizeof(entries[0]),
				.overrides = &override,
				.n_overrides = 1,
				.n_governed = 3};
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)governed_checks, NULL};
	static const char *const words[] = {"zero", "one", "two"};
	struct sandbox_args args = fixture_args(argv);
	struct sandbox sb = SANDBOX_INIT;
	struct err e = ERR_INIT;
	int fuse, listener, root;
	pid_t agent;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s/r%d", dir, i);
		CU_ASSERT_EQUAL(mkdir(name, 0755), 0);
		write_file(name, "file", words[i]);
	}
	snprintf(name, sizeof(name), "%s/r0/sub", dir);
	CU_ASSERT_EQUAL(mkdir(name, 0755), 0);
	write_file(dir, "hosts", "generated:x:0:0::/:/bin/sh\n");
	snprintf(generated, sizeof(generated), "%s/hosts", dir);
	args.plan = &governed;
	args.cwd = "/tmp/a/ws";
	CU_ASSERT_EQUAL(sandbox_start(&sb, &args, &e), 0);
	fuse = detached_mount(sb.init_pidfd, dir);
	CU_ASSERT(fuse >= 0);
	CU_ASSERT_EQUAL(sandbox_build(&sb, fuse, &e), 0);
	close(fuse);
	if (sandbox_arm(&sb, fixture_filter, sizeof(fixture_filter), &listener, &root, &agent,
			&e) == 0) {
		close(listener);
		close(root);
		CU_ASSERT_EQUAL(fixture_finish(&sb), 0);
	} else {
		CU_FAIL("arm");
		printf("\n    %s\n", e.text);
	}
	sandbox_deinit(&sb);
	snprintf(name, sizeof(name), "rm -rf %s", dir);
	CU_ASSERT_EQUAL(system(name), 0);
}

/* ---- life and death ---- */

/* Dead is enough: the host's pid 1 may take its time to reap an orphan. */
static bool is_dead(pid_t pid)
{
	char name[64], state = 'X';
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	f = fopen(name, "re");
	if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 'X';
	if (f)
		fclose(f);
	return state == 'X' || state == 'Z';
}

static bool gone_within(pid_t pid, unsigned ms)
{
	for (unsigned i = 0; i <= ms; i++) {
		if (is_dead(pid))
			return true;
		usleep(1000);
	}
	return false;
}

static bool start_sleeper(struct sandbox *sb, const struct sandbox_args *args)
{
	struct err e = ERR_INIT;
	uint64_t t[4];

	return fixture_prepare(sb, args, -1, t) && sandbox_go(sb, &e) == 0;
}

static void test_signals(void)
{
	char *argv[] = {(char *)"sh", (char *)"-c",
			(char *)"trap 'exit 40' TERM; trap 'exit 41' USR1; kill -STOP $$; "
				"while :; do sleep 0.01; done", NULL};
	static const int sent[] = {SIGTERM, SIGUSR1, SIGKILL};
	static const int status[] = {40 << 8, 41 << 8, SIGKILL};

	for (unsigned i = 0; i < 3; i++) {
		struct sandbox_args args = fixture_args(argv);
		struct sandbox sb = SANDBOX_INIT;
		struct sandbox_event ev;

		CU_ASSERT(start_sleeper(&sb, &args));
		CU_ASSERT_EQUAL(sandbox_event(&sb, &ev), 0);
		CU_ASSERT(ev.what == SANDBOX_STOPPED && ev.value == SIGSTOP);
		CU_ASSERT_EQUAL(sandbox_signal(&sb, sent[i]), 0);
		CU_ASSERT_EQUAL(sandbox_continue(&sb, false), 0);
		CU_ASSERT_EQUAL(sandbox_event(&sb, &ev), 0);
		CU_ASSERT(ev.what == SANDBOX_EXITED && ev.value == status[i]);
		sandbox_deinit(&sb);
	}
}

/* What the agent leaves behind ends with it, whatever it did to get away. */
static void test_background(void)
{
	char *argv[] = {(char *)"sh", (char *)"-c",
			(char *)"sleep 100 & (setsid sh -c 'trap \"\" HUP TERM; sleep 100 & sleep 100' "
				"&) ; sleep 0.1; exit 3", NULL};
	struct sandbox_args args = fixture_args(argv);
	struct sandbox sb = SANDBOX_INIT;
	uint64_t t[4];

	CU_ASSERT(fixture_prepare(&sb, &args, -1, t));
	CU_ASSERT_EQUAL(WEXITSTATUS(fixture_finish(&sb)), 3);
	/* pid 1 alone is left: in its namespace kill(-1) has reached all others */
	usleep(20000);
	CU_ASSERT_EQUAL(sandbox_signal(&sb, SIGTERM), 0);
	sandbox_kill(&sb);
	CU_ASSERT(gone_within(sb.agent_pid, 0));
	sandbox_deinit(&sb);
}

static void test_kill(void)
{
	char *argv[] = {(char *)"sleep", (char *)"100", NULL};
	struct sandbox_args args = fixture_args(argv);
	struct sandbox sb = SANDBOX_INIT;
	pid_t init;

	CU_ASSERT(start_sleeper(&sb, &args));
	init = sb.init_pid;
	sandbox_kill(&sb);
	CU_ASSERT(gone_within(sb.agent_pid, 0));
	CU_ASSERT(gone_within(init, 0));
	sandbox_deinit(&sb);
}

/* The supervisor is killed, at any moment: nothing of the sandbox survives it. */
static void test_orphan(void)
{
	char *argv[] = {(char *)"sleep", (char *)"100", NULL};

	for (unsigned i = 0; i < 20; i++) {
		pid_t pids[2] = {0, 0}, supervisor;
		int p[2];

		CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
		supervisor = fork();
		if (supervisor == 0) {
			struct sandbox_args args = fixture_args(argv);
			struct sandbox sb = SANDBOX_INIT;
			struct err e = ERR_INIT;

			close(p[0]);
			if (i % 2 ? !start_sleeper(&sb, &args) : sandbox_start(&sb, &args, &e) < 0)
				_exit(1);
			pids[0] = sb.init_pid;
			pids[1] = sb.agent_pid ? sb.agent_pid : sb.init_pid;
			if (write(p[1], pids, sizeof(pids)) < 0)
				_exit(1);
			pause();
		}
		close(p[1]);
		CU_ASSERT_EQUAL(read(p[0], pids, sizeof(pids)), (ssize_t)sizeof(pids));
		usleep(i * 50);
		kill(supervisor, SIGKILL);
		CU_ASSERT_EQUAL(waitpid(supervisor, NULL, 0), supervisor);
		CU_ASSERT(gone_within(pids[0], 100));
		CU_ASSERT(gone_within(pids[1], 100));
		close(p[0]);
	}
}

static void test_refusals(void)
{
	char *argv[] = {(char *)"true", NULL};
	struct sandbox_args args = fixture_args(argv);
	struct sandbox sb = SANDBOX_INIT;
	struct plan_entry missing = {PLAN_BIND, (char *)"/x", (char *)"/no/such/tree", 0, false, NULL};
	struct plan broken = {.entries = &missing, .n_entries = 1};
	int saved = fcntl(0, F_DUPFD_CLOEXEC, 10), dir = open("/", O_RDONLY | O_DIRECTORY);
	struct err e = ERR_INIT;

	/* a directory as standard input would lead out of the sandbox */
	dup2(dir, 0);
	close(dir);
	CU_ASSERT_EQUAL(sandbox_start(&sb, &args, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "standard input is a directory"));
	sandbox_deinit(&sb);
	dup2(saved, 0);
	close(saved);
	/* what pid 1 finds out comes back as an error with the name of the thing */
	args.plan = &broken;
	CU_ASSERT_EQUAL(sandbox_start(&sb, &args, &e), 0);
	CU_ASSERT_EQUAL(sandbox_build(&sb, -1, &e), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "/no/such/tree"));
	/* a caller that goes on gets errors, and never waits for what cannot come */
	CU_ASSERT_EQUAL(sandbox_arm(&sb, fixture_filter, sizeof(fixture_filter), &dir, &dir,
				    &sb.agent_pid, &e), -EPIPE);
	sandbox_deinit(&sb);
	args.plan = &fixture_plan;
	args.cwd = "/no/such/directory";
	CU_ASSERT_EQUAL(sandbox_start(&sb, &args, &e), 0);
	CU_ASSERT_EQUAL(sandbox_build(&sb, -1, &e), 0);
	CU_ASSERT_EQUAL(sandbox_arm(&sb, fixture_filter, sizeof(fixture_filter), &dir, &dir,
				    &sb.agent_pid, &e), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "/no/such/directory"));
	sandbox_deinit(&sb);
}

static void test_ignored(void)
{
	static const char *const masks[] = {"0000000000000000", "0000000000000001"};
	char text[100], *argv[] = {(char *)"sh", (char *)"-c", text, NULL};
	struct sandbox_args args = fixture_args(argv);
	sigset_t hup;

	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	/* whatever we ignore ourselves, the agent ignores what it is told to (nohup) */
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 2; i++) {
		struct sandbox sb = SANDBOX_INIT;
		uint64_t t[4];

		args.ignored = i ? &hup : NULL;
		snprintf(text, sizeof(text), "grep -q 'SigIgn:.%s' /proc/self/status", masks[i]);
		CU_ASSERT(fixture_prepare(&sb, &args, -1, t));
		CU_ASSERT_EQUAL(fixture_finish(&sb), 0);
		sandbox_deinit(&sb);
	}
	signal(SIGPIPE, SIG_DFL);
}

/* A file of the host as standard input or output is what it was opened for, and no more. */
static void test_fence(void)
{
	char name[] = "/var/tmp/test_sandbox.XXXXXX", text[16] = "";
	int file = mkstemp(name), in = open(name, O_RDONLY), saved[2];
	bool has_landlock = sys_landlock_abi() >= 3;

	CU_ASSERT_FATAL(file >= 0 && in >= 0);
	CU_ASSERT_EQUAL(write(file, "content", 7), 7);
	saved[0] = fcntl(0, F_DUPFD_CLOEXEC, 10);
	dup2(in, 0);
	if (has_landlock) {
		CU_ASSERT(shell("echo x >/proc/self/fd/0") != 0);
		CU_ASSERT(shell("echo x >>/dev/stdin") != 0);
		CU_ASSERT(shell("truncate -s 0 /dev/stdin") != 0);
	}
	check_script("test $(cat) = content && test $(cat /dev/stdin) = content");
	dup2(saved[0], 0);
	CU_ASSERT_EQUAL(pread(file, text, sizeof(text), 0), 7);
	/* standard output may be opened anew: programs write to /dev/stdout */
	saved[1] = fcntl(1, F_DUPFD_CLOEXEC, 10);
	fflush(stdout);
	dup2(file, 1);
	CU_ASSERT_EQUAL(shell("echo more >>/dev/stdout"), 0);
	dup2(saved[1], 1);
	CU_ASSERT_EQUAL(pread(file, text, sizeof(text), 0), 12);
	/* nothing else is in the way: renames between directories, links, own descriptors */
	check_script("cd /tmp && mkdir a b && echo x >a/f && mv a/f b/g && ln b/g a/h && "
		     "exec 5<b/g && echo y >>/proc/self/fd/5 && grep -q y a/h && "
		     "truncate -s 1 a/h && echo z | tee /dev/stderr 2>/dev/null");
	for (int i = 0; i < 2; i++)
		close(saved[i]);
	close(file);
	close(in);
	unlink(name);
}

static const struct unit_case cases[] = {
	{"standard descriptors", test_fence},
	{"ignored signals", test_ignored},
	{"many runs", test_many},
	{"governed trees", test_governed},
	{"signals", test_signals},
	{"background processes", test_background},
	{"kill", test_kill},
	{"supervisor dies", test_orphan},
	{"refusals", test_refusals},
	{"exit status", test_status},
	{"failed exec", test_exec_failures},
	{"from inside", test_inside},
};

FIXTURE_MAIN("sandbox", cases)
