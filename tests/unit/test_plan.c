/*
 * Plans from small policies. The host's own /usr, /etc and /bin take part; homes and workspaces are
 * made below the current directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "agentsh/plan.h"
#include "common/path.h"
#include "common/str.h"
#include "tests/unit/unit.h"

struct place {
	char base[PATH_MAX], home[PATH_MAX], ws[PATH_MAX], run[PATH_MAX], state[PATH_MAX];
	const char *hidden; /* one more tree that is never shown, or NULL */
};

static void make_dir(char *out, const char *base, const char *name)
{
	CU_ASSERT_EQUAL_FATAL(path_join(out, PATH_MAX, base, name), 0);
	CU_ASSERT_FATAL(mkdir(out, 0755) == 0 || errno == EEXIST);
}

static void place_init(struct place *p)
{
	char cwd[PATH_MAX];

	CU_ASSERT_PTR_NOT_NULL_FATAL(realpath(".", cwd));
	p->hidden = NULL;
	make_dir(p->base, cwd, "test_plan.d");
	make_dir(p->home, p->base, "home");
	make_dir(p->ws, p->home, "ws");
	make_dir(p->run, p->base, "run");
	make_dir(p->state, p->home, "state");
}

static struct policy *load(const struct place *p, const char *ws, const char *rules)
{
	struct policy_vars vars = {.workspace = ws,
				   .project_root = ws,
				   .home = p->home,
				   .tmpdir = "/tmp",
				   .user = "u",
				   .session = "s"};
	char file[PATH_MAX];
	struct policy_load_args args = {.file = file, .vars = &vars};
	struct policy *policy = NULL;
	struct err e = ERR_INIT;
	FILE *f;

	snprintf(file, sizeof(file), "%.4000s/policy.yaml", p->base);
	f = fopen(file, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fprintf(f, "version: 1\nname: test\n%s", rules);
	fclose(f);
	if (policy_load(&policy, &args, &e) < 0)
		printf("\n    %s\n", e.text);
	return policy;
}

static const struct plan_entry *entry(const struct plan *p, const char *path)
{
	for (size_t i = 0; p && i < p->n_entries; i++)
		if (strcmp(p->entries[i].path, path) == 0)
			return &p->entries[i];
	return NULL;
}

static bool is_kind(const struct plan *p, const char *path, enum plan_kind kind)
{
	const struct plan_entry *found = entry(p, path);

	if (!found || found->kind != kind)
		printf("\n    %s is %d, not %d\n", path, found ? (int)found->kind : -1, kind);
	return found && found->kind == kind;
}

static struct plan *build(const struct place *p, const char *ws, const char *mount_at,
			  const char *rules, struct err *e)
{
	const char *const forbidden[] = {p->run, p->state, p->hidden, NULL};
	struct policy *policy = load(p, mount_at && !strstr(mount_at, "..") ? mount_at : ws, rules);
	struct plan_args args = {
		.policy = policy,
		.workspace = ws,
		.mount_at = mount_at,
		.home = p->home,
		.forbidden = forbidden,
		.run_dir = p->run,
		.resolver = "10.200.0.1",
		.hostname = "inside",
	};
	struct plan *plan = NULL;

	CU_ASSERT_PTR_NOT_NULL_FATAL(policy);
	if (plan_build(&plan, &args, e) < 0)
		CU_ASSERT_PTR_NULL(plan);
	policy_free(policy);
	/* whatever the plan: parents first, and governed roots numbered in order */
	for (size_t i = 0, n = 0; plan && i < plan->n_entries; i++) {
		if (plan->entries[i].kind == PLAN_GOVERNED)
			CU_ASSERT_EQUAL(plan->entries[i].root, n++);
		if (i > 0)
			CU_ASSERT(strcmp(plan->entries[i - 1].path, plan->entries[i].path) < 0);
	}
	return plan;
}

static const char typical[] =
	"defaults: {file_read: deny, file_write: deny}\n"
	"file_rules:\n"
	"  - {name: secrets, paths: [/etc/shadow, '${HOME}/.ssh/**'], operations: ['*'], "
	"decision: deny}\n"
	"  - {name: ws, paths: ['${WORKSPACE}', '${WORKSPACE}/**'], operations: ['*'], "
	"decision: allow}\n"
	"  - {name: tmp, paths: [/tmp, '/tmp/**'], operations: ['*'], decision: allow}\n"
	"  - {name: system, paths: [/usr, '/usr/**', /etc, '/etc/**'], operations: "
	"[open, read, stat, list, readlink, access, lock, exec], decision: allow}\n"
	"  - {name: git, paths: ['${HOME}/.gitconfig'], operations: [open, read, stat, access], "
	"decision: allow}\n";

static void test_typical(void)
{
	struct err e = ERR_INIT;
	struct place p;
	struct plan *plan;

	place_init(&p);
	plan = build(&p, p.ws, NULL, typical, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	CU_ASSERT(is_kind(plan, "/usr", PLAN_BIND));
	CU_ASSERT(is_kind(plan, "/etc", PLAN_GOVERNED));
	CU_ASSERT(is_kind(plan, "/bin", PLAN_SYMLINK));
	CU_ASSERT(is_kind(plan, "/tmp", PLAN_TMPFS));
	/* the file it names makes the whole home one governed tree, and the workspace is in it */
	CU_ASSERT(is_kind(plan, p.home, PLAN_GOVERNED));
	CU_ASSERT_PTR_NULL(entry(plan, p.ws));
	CU_ASSERT_STRING_EQUAL(plan->workspace, p.ws);
	CU_ASSERT_PTR_NULL(entry(plan, "/var"));
	CU_ASSERT_PTR_NULL(entry(plan, "/root"));
	CU_ASSERT_PTR_NULL(entry(plan, "/run"));
	plan_free(plan);
}

static void test_mount_at(void)
{
	struct err e = ERR_INIT;
	struct place p;
	struct plan *plan;

	place_init(&p);
	plan = build(&p, p.ws, "/workspace", typical, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	CU_ASSERT(is_kind(plan, "/workspace", PLAN_GOVERNED));
	CU_ASSERT_STRING_EQUAL(entry(plan, "/workspace")->host, p.ws);
	CU_ASSERT(is_kind(plan, p.home, PLAN_GOVERNED));
	plan_free(plan);
	/* in a private tree the mount point is made, in the host's it must be there */
	plan = build(&p, p.ws, "/tmp/a/b", typical, &e);
	CU_ASSERT(is_kind(plan, "/tmp/a/b", PLAN_GOVERNED));
	plan_free(plan);
	CU_ASSERT_PTR_NULL(build(&p, p.ws, "/usr/no-such-directory", typical, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "does not exist on the host"));
	CU_ASSERT_PTR_NULL(build(&p, p.ws, "/", typical, &e));
	CU_ASSERT_PTR_NULL(build(&p, p.ws, "/proc/1", typical, &e));
	CU_ASSERT_PTR_NULL(build(&p, p.ws, "/a/../b", typical, &e));
}

static void test_bad_workspace(void)
{
	static const char *const bad[] = {"/", "/etc/passwd", "/no/such/place", "/proc", "/sys/fs",
					  "/dev"};
	char below[PATH_MAX];
	struct err e = ERR_INIT;
	struct place p;

	place_init(&p);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		e.text[0] = '\0';
		CU_ASSERT_PTR_NULL(build(&p, bad[i], NULL, typical, &e));
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, bad[i]));
	}
	make_dir(below, p.state, "ws");
	CU_ASSERT_PTR_NULL(build(&p, below, NULL, typical, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "agentsh's own"));
}

static void test_everything_readable(void)
{
	struct err e = ERR_INIT;
	struct place p;
	struct plan *plan;

	place_init(&p);
	plan = build(&p, p.ws, NULL, "defaults: {file_read: allow}\n", &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	CU_ASSERT(is_kind(plan, "/usr", PLAN_BIND));
	CU_ASSERT(is_kind(plan, "/etc", PLAN_BIND));
	/* services keep their sockets there, and a read-only bind would let them be connected */
	CU_ASSERT(is_kind(plan, "/var", PLAN_GOVERNED));
	CU_ASSERT_PTR_NULL(entry(plan, "/proc"));
	CU_ASSERT_PTR_NULL(entry(plan, "/sys"));
	CU_ASSERT_PTR_NULL(entry(plan, "/dev"));
	CU_ASSERT_PTR_NULL(entry(plan, "/run"));
	CU_ASSERT_PTR_NULL(entry(plan, "/tmp"));
	plan_free(plan);
}

static void test_nothing_readable(void)
{
	struct err e = ERR_INIT;
	struct place p;
	struct plan *plan;

	place_init(&p);
	plan = build(&p, p.ws, NULL, "defaults: {file_read: deny}\n", &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	CU_ASSERT_EQUAL(plan->n_entries, 1);
	CU_ASSERT(is_kind(plan, p.ws, PLAN_GOVERNED));
	CU_ASSERT_EQUAL(plan->n_overrides, 0);
	plan_free(plan);
}

/* An exception in /usr: that tree is governed, its other subdirectories stay binds. */
static void test_split(void)
{
	static const char rules[] =
		"defaults: {file_read: allow}\n"
		"file_rules:\n"
		"  - {name: no, paths: [/usr/bin/sudo], operations: ['*'], decision: deny}\n";
	struct err e = ERR_INIT;
	struct place p;
	struct plan *plan;

	place_init(&p);
	plan = build(&p, p.ws, NULL, rules, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	CU_ASSERT(is_kind(plan, "/usr", PLAN_GOVERNED));
	CU_ASSERT(is_kind(plan, "/usr/lib", PLAN_BIND));
	CU_ASSERT(is_kind(plan, "/usr/share", PLAN_BIND));
	CU_ASSERT_PTR_NULL(entry(plan, "/usr/bin"));
	plan_free(plan);
}

/* Writing below /tmp with an exception: fsgate governs an empty directory of the session. */
static void test_governed_tmp(void)
{
	static const char rules[] =
		"defaults: {file_read: deny}\n"
		"file_rules:\n"
		"  - {name: no, paths: ['/tmp/secret/**'], operations: ['*'], decision: deny}\n"
		"  - {name: tmp, paths: [/tmp, '/tmp/**'], operations: ['*'], decision: allow}\n";
	char inner[PATH_MAX];
	struct err e = ERR_INIT;
	struct place p;
	struct plan *plan;
	struct stat st;

	place_init(&p);
	plan = build(&p, p.ws, "/tmp/deep/ws", rules, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	CU_ASSERT(is_kind(plan, "/tmp", PLAN_GOVERNED));
	CU_ASSERT(path_is_below(entry(plan, "/tmp")->host, p.run));
	CU_ASSERT_EQUAL(stat(entry(plan, "/tmp")->host, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 01777);
	CU_ASSERT(is_kind(plan, "/tmp/deep/ws", PLAN_GOVERNED));
	path_join(inner, sizeof(inner), entry(plan, "/tmp")->host, "deep/ws");
	CU_ASSERT_EQUAL(stat(inner, &st), 0);
	plan_free(plan);
}

static void test_overrides(void)
{
	char text[256] = "", real[PATH_MAX];
	struct err e = ERR_INIT;
	bool found = false;
	struct place p;
	struct plan *plan;
	FILE *f;

	place_init(&p);
	plan = build(&p, p.ws, NULL, typical, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	CU_ASSERT_PTR_NOT_NULL_FATAL(realpath("/etc/hosts", real));
	for (size_t i = 0; i < plan->n_overrides; i++)
		if (strcmp(plan->overrides[i].path, real) == 0) {
			found = plan->overrides[i].governed;
			f = fopen(plan->overrides[i].host, "re");
			CU_ASSERT_PTR_NOT_NULL_FATAL(f);
			CU_ASSERT(fread(text, 1, sizeof(text) - 1, f) > 0);
			fclose(f);
		}
	CU_ASSERT(found);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "127.0.1.1\tinside\n"));
	plan_free(plan);
}

/* What fsgate is told: every governed root once, by its number. */
static void test_put(void)
{
	static struct ipc_msg m;
	struct err e = ERR_INIT;
	unsigned roots = 0;
	struct place p;
	struct plan *plan;

	place_init(&p);
	plan = build(&p, p.ws, "/workspace", typical, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	ipc_begin(&m, 1, 0);
	plan_put(plan, &m);
	while (m.pos < m.len) {
		const char *key = ipc_get_str(&m), *value = ipc_get_str(&m);
		char expected[64];

		snprintf(expected, sizeof(expected), "root.%u.path", roots);
		if (strcmp(key, expected) != 0)
			continue;
		CU_ASSERT(is_kind(plan, value, PLAN_GOVERNED));
		roots++;
	}
	CU_ASSERT(ipc_end(&m));
	CU_ASSERT_EQUAL(roots, plan->n_governed);
	plan_free(plan);
}

/* A tree of agentsh's own in a bind is covered, and one that is a root of its own is left out. */
static void test_hidden(void)
{
	struct err e = ERR_INIT;
	struct place p;
	struct plan *plan;

	place_init(&p);
	p.hidden = "/usr/share";
	plan = build(&p, p.ws, NULL, typical, &e);
	CU_ASSERT(is_kind(plan, "/usr/share", PLAN_MASK));
	plan_free(plan);
	p.hidden = "/usr";
	plan = build(&p, p.ws, NULL, typical, &e);
	CU_ASSERT_PTR_NULL(entry(plan, "/usr"));
	CU_ASSERT_PTR_NULL(entry(plan, "/bin"));
	plan_free(plan);
}

/* A home in /tmp, as tests and containers have it: the rest of /tmp stays private. */
static void test_home_in_tmp(void)
{
	char base[] = "/tmp/test_plan.XXXXXX";
	struct err e = ERR_INIT;
	struct place p;
	struct plan *plan;

	place_init(&p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(base));
	make_dir(p.home, base, "home");
	make_dir(p.ws, base, "ws");
	plan = build(&p, p.ws, NULL, typical, &e);
	CU_ASSERT(is_kind(plan, "/tmp", PLAN_TMPFS));
	CU_ASSERT(is_kind(plan, p.home, PLAN_GOVERNED));
	CU_ASSERT(is_kind(plan, p.ws, PLAN_GOVERNED));
	CU_ASSERT_PTR_NULL(entry(plan, base));
	plan_free(plan);
	rmdir(p.ws);
	rmdir(p.home);
	rmdir(base);
}

/* Workspace around the home, and in a tree of installed software. */
static void test_odd_workspaces(void)
{
	struct err e = ERR_INIT;
	struct place p;
	struct plan *plan;

	place_init(&p);
	plan = build(&p, p.base, NULL, typical, &e);
	CU_ASSERT(is_kind(plan, p.base, PLAN_GOVERNED));
	CU_ASSERT_PTR_NULL(entry(plan, p.home));
	plan_free(plan);
	plan = build(&p, "/usr/share", NULL, typical, &e);
	CU_ASSERT(is_kind(plan, "/usr", PLAN_BIND));
	CU_ASSERT(is_kind(plan, "/usr/share", PLAN_GOVERNED));
	plan_free(plan);
	p.home[0] = '\0';
	plan = build(&p, p.ws, NULL, "defaults: {file_read: deny}\n", &e);
	CU_ASSERT(is_kind(plan, p.ws, PLAN_GOVERNED));
	plan_free(plan);
}

/* Trees that are asked for by name, beside the workspace. */
static void test_mounts(void)
{
	const char *rules = "defaults: {file_read: deny, file_write: deny}\n"
			    "file_rules:\n"
			    "  - {name: all, paths: ['${WORKSPACE}/**', '${HOME}/**', '/data/**', "
			    "'/etc/**'], operations: ['*'], decision: allow}\n";
	struct err e = ERR_INIT;
	struct place p;
	struct plan *plan;
	struct policy *policy;
	struct plan_mount m[2];
	char extra[PATH_MAX];
	struct plan_args args = {.mounts = m, .n_mounts = 2, .hostname = "inside"};

	place_init(&p);
	make_dir(extra, p.home, "extra");
	policy = load(&p, p.ws, rules);
	CU_ASSERT_PTR_NOT_NULL_FATAL(policy);
	args.policy = policy;
	args.workspace = p.ws;
	args.home = p.home;
	args.run_dir = p.run;
	m[0] = (struct plan_mount){"--mount", extra, extra, false};
	m[1] = (struct plan_mount){"--mount", extra, "/data", true};
	CU_ASSERT_EQUAL(plan_build(&plan, &args, &e), 0);
	CU_ASSERT(is_kind(plan, p.home, PLAN_GOVERNED));
	CU_ASSERT_PTR_NULL(entry(plan, extra)); /* seen through the home already */
	CU_ASSERT(is_kind(plan, "/data", PLAN_GOVERNED));
	CU_ASSERT_FATAL(entry(plan, "/data") != NULL);
	CU_ASSERT(entry(plan, "/data")->read_only);
	CU_ASSERT_STRING_EQUAL(entry(plan, "/data")->host, extra);
	plan_free(plan);
	m[0].read_only = true; /* then it cannot be seen through the home */
	CU_ASSERT_EQUAL(plan_build(&plan, &args, &e), 0);
	CU_ASSERT(is_kind(plan, extra, PLAN_GOVERNED));
	plan_free(plan);
	m[0].at = "/data";
	CU_ASSERT_EQUAL(plan_build(&plan, &args, &e), -EEXIST);
	m[0].at = "/nothing/granted";
	CU_ASSERT_EQUAL(plan_build(&plan, &args, &e), -EACCES);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "/nothing/granted/**"));
	m[0].at = "/proc/x";
	CU_ASSERT_EQUAL(plan_build(&plan, &args, &e), -EINVAL);
	m[0] = (struct plan_mount){"--mount", "/no/such/tree", "/data", false};
	CU_ASSERT_EQUAL(plan_build(&plan, &args, &e), -ENOENT);
	policy_free(policy);
}

/* audit.log_outside_reads where no mount can be watched. */
static void test_governed_reads(void)
{
	struct err e = ERR_INIT;
	struct place p;
	struct plan *plan;
	struct policy *policy;
	struct plan_args args = {.govern_reads = true, .hostname = "inside"};

	place_init(&p);
	policy = load(&p, p.ws, typical);
	CU_ASSERT_PTR_NOT_NULL_FATAL(policy);
	args.policy = policy;
	args.workspace = p.ws;
	args.home = p.home;
	args.run_dir = p.run;
	CU_ASSERT_EQUAL(plan_build(&plan, &args, &e), 0);
	CU_ASSERT(is_kind(plan, "/usr", PLAN_GOVERNED));
	for (size_t i = 0; plan && i < plan->n_entries; i++) {
		CU_ASSERT(plan->entries[i].kind != PLAN_BIND);
		CU_ASSERT_PTR_NOT_NULL(plan->entries[i].why);
	}
	plan_free(plan);
	args.govern_reads = false;
	CU_ASSERT_EQUAL(plan_build(&plan, &args, &e), 0);
	CU_ASSERT(plan_is_bind(plan, "/usr/bin/true") || is_kind(plan, "/usr", PLAN_GOVERNED));
	CU_ASSERT_FALSE(plan_is_bind(plan, p.ws));
	plan_free(plan);
	policy_free(policy);
}

static void remove_places(void)
{
	CU_ASSERT_EQUAL(system("rm -rf test_plan.d"), 0);
}

static const struct unit_case cases[] = {
	{"trees that are never shown", test_hidden},
	{"home in /tmp", test_home_in_tmp},
	{"odd workspaces", test_odd_workspaces},
	{"typical", test_typical},
	{"workspace elsewhere", test_mount_at},
	{"bad workspace", test_bad_workspace},
	{"everything readable", test_everything_readable},
	{"nothing readable", test_nothing_readable},
	{"exception in /usr", test_split},
	{"governed /tmp", test_governed_tmp},
	{"generated files", test_overrides},
	{"told to fsgate", test_put},
	{"more trees", test_mounts},
	{"reads are recorded", test_governed_reads},
	{"cleaning up", remove_places},
};

UNIT_MAIN("plan", cases)
