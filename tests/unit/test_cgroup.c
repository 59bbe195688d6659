/*
 * Limits that are really set, on whatever hierarchies this host has. An ordinary user usually has
 * none: then a demanded limit must be refused by name, and no limit must be no error.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "agentsh/cgroup.h"
#include "tests/unit/sandbox_fixture.h"
#include "tests/unit/unit.h"

static void test_none(void)
{
	struct policy_limits none = {0};
	struct cgroup *c = NULL;
	struct err e = ERR_INIT;

	CU_ASSERT_EQUAL(cgroup_create(&c, "unit-none", &none, &e), 0);
	CU_ASSERT(c ? cgroup_dir_fd(c) >= 0 : cgroup_dir_fd(c) == -1);
	CU_ASSERT_EQUAL(cgroup_enter(c, getpid(), &e), 0);
	cgroup_remove(c);
}

/* @return wait status of a shell under these limits; -ENOTSUP where this host cannot */
static int run(const struct policy_limits *limits, const char *script)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)script, NULL};
	struct sandbox_args args = fixture_args(argv);
	struct sandbox sb = SANDBOX_INIT;
	struct cgroup *c = NULL;
	struct err e = ERR_INIT;
	int listener = -1, root = -1, status = -EIO;
	pid_t agent;

	if (cgroup_create(&c, "unit-limits", limits, &e) < 0) {
		printf("\n    %s ", e.text);
		CU_ASSERT(getuid() != 0 && strstr(e.text, "the policy limits"));
		return -ENOTSUP;
	}
	args.cgroup_fd = cgroup_dir_fd(c);
	if (sandbox_start(&sb, &args, &e) == 0 && cgroup_enter(c, sb.init_pid, &e) == 0 &&
	    sandbox_build(&sb, -1, &e) == 0 &&
	    sandbox_arm(&sb, fixture_filter, sizeof(fixture_filter), &listener, &root, &agent,
			&e) == 0)
		status = fixture_finish(&sb);
	if (e.code)
		printf("\n    %s ", e.text);
	close(listener);
	close(root);
	sandbox_deinit(&sb);
	cgroup_remove(c);
	return status;
}

static void test_pids(void)
{
	struct policy_limits limits = {.pids_max = 12};
	int status = run(&limits, "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do sleep 1 & done; "
				  "wait; exit 0");

	/* dash gives up at the first fork that fails */
	CU_ASSERT(status == -ENOTSUP || WEXITSTATUS(status) == 2);
	status = run(&limits, "for i in 1 2 3 4; do sleep 0.01 & done; wait; exit 0");
	CU_ASSERT(status == -ENOTSUP || status == 0);
}

static void test_memory(void)
{
	struct policy_limits limits = {.memory_max_bytes = 64u << 20};
	int status = run(&limits, "head -c 300000000 /dev/zero | tail >/dev/null");

	CU_ASSERT(status == -ENOTSUP || status != 0);
	status = run(&limits, "head -c 3000000 /dev/zero | tail >/dev/null");
	CU_ASSERT(status == -ENOTSUP || status == 0);
}

static void test_cpu(void)
{
	struct policy_limits limits = {.cpu_quota_percent = 20};
	uint64_t before = fixture_now_us();
	int status = run(&limits, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");

	CU_ASSERT(status == -ENOTSUP || status == 0);
	/* 200,000 turns take some 100 ms: at a fifth of a processor it is noticeably longer */
	CU_ASSERT(status == -ENOTSUP || fixture_now_us() - before > 150000);
}

static const struct unit_case cases[] = {
	{"no limits", test_none},
	{"processes", test_pids},
	{"memory", test_memory},
	{"processor", test_cpu},
};

FIXTURE_MAIN("cgroup", cases)
