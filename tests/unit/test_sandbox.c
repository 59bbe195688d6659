/*
 * Builds sandboxes for real, with a plan made by hand and a filter that allows everything. The
 * agent is a shell that looks around from inside; its exit status is the answer.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
	"grep -q 'SigIgn:.0000000000000000' /proc/self/status",
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
	"python3 -c 'import socket; s = socket.socket(); s.settimeout(1)' ",
	"node -e 'process.exit(0)' || ! command -v node >/dev/null",
	"echo 'int main(void){return 0;}' | gcc -x c - -o /tmp/a.out && /tmp/a.out",
	"script -qc true /dev/null </dev/null >/dev/null",
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

static const struct unit_case cases[] = {
	{"many runs", test_many},
	{"exit status", test_status},
	{"failed exec", test_exec_failures},
	{"from inside", test_inside},
};

UNIT_MAIN("sandbox", cases)
