/*
 * sandbox_fixture.h - a sandbox with a plan made by hand and a filter that allows everything
 */
#ifndef TESTS_SANDBOX_FIXTURE_H
#define TESTS_SANDBOX_FIXTURE_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agentsh/sandbox.h"

static struct sock_filter fixture_filter[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};

static struct plan_entry fixture_entries[] = {
	{PLAN_BIND, (char *)"/usr", (char *)"/usr", 0, false, NULL},
	{PLAN_BIND, (char *)"/etc", (char *)"/etc", 0, false, NULL},
	{PLAN_SYMLINK, (char *)"/bin", (char *)"usr/bin", 0, false, NULL},
	{PLAN_SYMLINK, (char *)"/lib", (char *)"usr/lib", 0, false, NULL},
	{PLAN_SYMLINK, (char *)"/lib64", (char *)"usr/lib64", 0, false, NULL},
	{PLAN_TMPFS, (char *)"/tmp", NULL, 0, false, NULL},
	{PLAN_TMPFS, (char *)"/dev/shm", NULL, 0, false, NULL},
};

static struct plan fixture_plan = {.entries = fixture_entries,
				   .n_entries =
					   sizeof(fixture_entries) / sizeof(fixture_entries[0])};

static char *const fixture_env[] = {(char *)"PATH=/usr/local/bin:/usr/bin:/bin", (char *)"LANG=C",
				    (char *)"TERM=dumb", NULL};

static inline struct sandbox_args fixture_args(char *const *argv)
{
	return (struct sandbox_args){
		.plan = &fixture_plan,
		.argv = argv,
		.envp = fixture_env,
		.cwd = "/",
		.hostname = "inside",
		.uid = getuid(),
		.gid = getgid(),
		.is_root = getuid() == 0,
		.cgroup_fd = -1,
		.tty_fd = -1,
	};
}

static inline uint64_t fixture_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/**
 * Start, build, arm; a failure is printed.
 *
 * @param t  written: the time before, between and after the three steps
 */
static inline bool fixture_prepare(struct sandbox *sb, const struct sandbox_args *args, int fuse,
				   uint64_t t[4])
{
	struct err e = ERR_INIT;
	int listener = -1, root = -1;
	pid_t agent = 0;
	int r;

	t[0] = fixture_now_us();
	r = sandbox_start(sb, args, &e);
	t[1] = fixture_now_us();
	if (r == 0)
		r = sandbox_build(sb, fuse, &e);
	t[2] = fixture_now_us();
	if (r == 0)
		r = sandbox_arm(sb, fixture_filter, sizeof(fixture_filter), &listener, &root,
				&agent, &e);
	t[3] = fixture_now_us();
	if (r < 0) {
		printf("\n    %s\n", e.text);
		return false;
	}
	close(listener);
	close(root);
	return listener >= 0 && root >= 0 && agent > 0;
}

/** Can this host run sandboxes at all? Says why when it cannot; the test is skipped then. */
static inline bool fixture_possible(void)
{
	char *argv[] = {(char *)"true", NULL};
	struct sandbox_args args = fixture_args(argv);
	struct sandbox sb = SANDBOX_INIT;
	uint64_t t[4];
	bool ok = fixture_prepare(&sb, &args, -1, t);

	sandbox_deinit(&sb);
	if (!ok)
		printf("skipped: this host cannot run sandboxes\n");
	return ok;
}

/** main() of a test that needs sandboxes: automake takes 77 for "skipped". */
#define FIXTURE_MAIN(module, cases)                                                                \
	int main(void)                                                                             \
	{                                                                                          \
		if (!fixture_possible())                                                           \
			return 77;                                                                 \
		return unit_run(module, cases, sizeof(cases) / sizeof((cases)[0]));                \
	}

/** Let it run to its end. @return wait status, or minus the errno of a failed exec */
static inline int fixture_finish(struct sandbox *sb)
{
	struct err e = ERR_INIT;
	struct sandbox_event ev;
	int failed = 0;

	if (sandbox_go(sb, &e) < 0)
		return -EPIPE;
	for (;;) {
		if (sandbox_event(sb, &ev) < 0)
			return -EIO;
		if (ev.what == SANDBOX_EXEC_FAILED)
			failed = ev.value;
		if (ev.what == SANDBOX_EXITED)
			return failed ? -failed : ev.value;
		if (ev.what == SANDBOX_GONE)
			return -EPIPE;
	}
}

#endif
