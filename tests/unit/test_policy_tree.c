#include "tests/unit/policy_fixture.h"
#include "tests/unit/unit.h"

/*
 * policy_subtree() and policy_may_read_below() prove things about all paths below a directory.
 * Random policies over a tiny alphabet are asked about every path of bounded depth: whatever was
 * proven must hold for each of them.
 */

static const char *const names[] = {"a", "b", "ab"};
#define N_PATHS (1 + 3 + 9 + 27 + 81)
static char paths[N_PATHS][24];

static void make_paths(void)
{
	size_t n = 1, level = 0, end = 1;

	strcpy(paths[0], "");
	for (; end < N_PATHS; end = n)
		for (; level < end; level++)
			for (size_t k = 0; k < 3; k++)
				snprintf(paths[n++], sizeof(paths[0]), "%.14s/%s", paths[level],
					 names[k]);
}

static const char *path_at(size_t i)
{
	return i ? paths[i] : "/";
}

static const char *pick(const char *const *from, size_t n)
{
	return from[(size_t)rand() % n];
}

static void random_policy(char *out, size_t size)
{
	static const char *const patterns[] = {
		"/a", "/a/**", "/a/b", "/a/b/**", "/ab/**", "/**", "/*", "/a/*", "/a/*/b", "**/b",
		"/a/**/ab", "/a/**/b/**", "/b/**/*", "/{a,b}/**", "/a*/**", "/?", "/?/a/**",
		"/[ab]/b", "/a{,/**}", "/b{/**,}", "/ab", "/b", "/", "**", "/a/b/*/**",
	};
	static const char *const ops[] = {
		"['*']", "[read, open, stat, list, readlink, access, lock, exec]",
		"[write, create, mkdir, delete, rmdir, rename, link, symlink, chmod, chown, utime, "
		"xattr, mknod]",
		"[read]", "[write, create]", "[stat, list]",
	};
	static const char *const verdicts[] = {"allow", "allow", "deny", "deny", "audit", "hide",
					       "approve"};
	static const char *const defaults[] = {"allow", "deny"};
	size_t len;

	snprintf(out, size, HEAD "defaults: {file_read: %s, file_write: %s}\nfile_rules:\n",
		 pick(defaults, 2), pick(defaults, 2));
	for (int k = rand() % 5; k >= 0; k--) {
		len = strlen(out);
		snprintf(out + len, size - len, "- {paths: ['%s', '%s'], operations: %s, decision: %s%s}\n",
			 pick(patterns, ARRAY_LEN(patterns)), pick(patterns, ARRAY_LEN(patterns)),
			 pick(ops, ARRAY_LEN(ops)), pick(verdicts, ARRAY_LEN(verdicts)),
			 rand() % 8 ? "" : ", log: full");
	}
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strcmp(dir, "/") == 0 || strcmp(path, dir) == 0 ||
	       (strncmp(path, dir, len) == 0 && path[len] == '/');
}

/* What every path at or below dir says: the mask of verdicts of reads and of writes. */
static void survey(const struct policy *p, const char *dir, unsigned *reads, unsigned *writes,
		   bool *recorded)
{
	*reads = *writes = 0;
	*recorded = false;
	for (size_t i = 0; i < N_PATHS; i++) {
		struct policy_request r = {.kind = POLICY_FILE, .file = {path_at(i), FILE_READ}};
		struct decision d;

		if (!is_below(path_at(i), dir))
			continue;
		for (unsigned op = 0; op < FILE_OPS; op++) {
			r.file.op = (enum file_op)op;
			policy_decide(&d, p, &r);
			if (FILE_READ_OPS & 1u << op)
				*reads |= 1u << d.verdict;
			else
				*writes |= 1u << d.verdict;
			*recorded |= d.verdict == VERDICT_ALLOW && d.log == POLICY_LOG_FULL;
		}
	}
}

static bool holds(const struct policy *p, const char *dir, unsigned proven[4])
{
	const unsigned allow = 1u << VERDICT_ALLOW, deny = 1u << VERDICT_DENY;
	enum policy_subtree s = policy_subtree(p, dir);
	unsigned reads, writes;
	bool recorded, ok = true;

	survey(p, dir, &reads, &writes, &recorded);
	proven[s]++;
	if (s == SUBTREE_READ_ONLY)
		ok = reads == allow && writes == deny && !recorded;
	else if (s == SUBTREE_DENIED)
		ok = reads == deny && writes == deny;
	else if (s == SUBTREE_ALLOWED)
		ok = reads == allow && writes == allow && !recorded;
	if (!policy_may_read_below(p, dir))
		ok &= !(reads & ~(deny | 1u << VERDICT_HIDE));
	return ok;
}

static void proofs_hold(void)
{
	unsigned proven[4] = {0};

	srand(7);
	for (unsigned i = 0; i < 1500; i++) {
		char text[2000];
		AUTO(policy_free) struct policy *p = NULL;

		random_policy(text, sizeof(text));
		p = fixture_load(text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		for (size_t k = 0; k < 1 + 3 + 9; k++) {
			if (holds(p, path_at(k), proven))
				continue;
			printf("\n%s-- about %s\n", text, path_at(k));
			CU_FAIL_FATAL("a proof does not hold");
		}
	}
	/* all answers were met, so the test is about something */
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT_TRUE(proven[i] > 50);
}

static void known(void)
{
	static const struct {
		const char *dir;
		enum policy_subtree s;
		bool may_read;
	} rows[] = {
		{"/usr", SUBTREE_READ_ONLY, true},	  {"/usr/bin", SUBTREE_READ_ONLY, true},
		{"/etc", SUBTREE_MIXED, true},		  {"/etc/ssl", SUBTREE_READ_ONLY, true},
		{"/etc/shadow", SUBTREE_DENIED, false},	  {"/tmp", SUBTREE_ALLOWED, true},
		{"/tmp/x", SUBTREE_ALLOWED, true},	  {"/ws", SUBTREE_MIXED, true},
		{"/home/u/.ssh", SUBTREE_DENIED, false},  {"/home/u", SUBTREE_MIXED, true},
		{"/home/v", SUBTREE_DENIED, false},	  {"/srv", SUBTREE_DENIED, false},
		{"/", SUBTREE_MIXED, true},		  {"/log", SUBTREE_MIXED, true},
		{"relative", SUBTREE_MIXED, false},
	};
	static const char *const except[] = {"/ws", NULL};
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"defaults: {file_read: deny}\n"
		"file_rules:\n"
		"- {paths: ['${WORKSPACE}/**/.env'], decision: deny}\n"
		"- {paths: ['${WORKSPACE}', '${WORKSPACE}/**'], decision: allow}\n"
		"- {paths: ['~/.gitconfig'], operations: [read, stat], decision: allow}\n"
		"- {paths: [/etc/shadow, '/etc/shadow/**'], decision: deny}\n"
		"- {paths: [/tmp, '/tmp/**'], decision: allow}\n"
		"- {paths: [/log, '/log/**'], operations: [read, stat, list, readlink], decision: allow, log: full}\n"
		"- {paths: [/usr, '/usr/**', /etc, '/etc/**'], decision: allow,\n"
		"   operations: [open, read, stat, list, readlink, access, lock, exec]}\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (policy_subtree(p, rows[i].dir) != rows[i].s)
			printf("\n%s: %d\n", rows[i].dir, policy_subtree(p, rows[i].dir));
		CU_ASSERT_EQUAL(policy_subtree(p, rows[i].dir), rows[i].s);
		CU_ASSERT_EQUAL(policy_may_read_below(p, rows[i].dir), rows[i].may_read);
	}
	CU_ASSERT_EQUAL(policy_subtree_except(p, "/ws", except), SUBTREE_MIXED);
}

static void add_prefix(void *arg, const char *prefix, bool is_literal, enum verdict v)
{
	char *out = arg;

	sprintf(out + strlen(out), "%s%s %s;", prefix, is_literal ? "" : "*", verdict_name(v));
}

static void add_command(void *arg, const char *command, enum verdict v)
{
	char *out = arg;

	sprintf(out + strlen(out), "%s %s;", command, verdict_name(v));
}

static void listings(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"file_rules:\n"
		"- {paths: [/a/b, '/c/d*/e', '/f/**'], decision: allow}\n"
		"- {paths: [/x], decision: deny}\n"
		"- {paths: ['**/y'], decision: audit}\n"
		"command_rules:\n"
		"- {commands: [git, /usr/bin/x, '/opt/*', 'py*'], decision: deny}\n");
	char out[400] = "";

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	policy_each_granted_prefix(p, add_prefix, out);
	CU_ASSERT_STRING_EQUAL(out, "/a/b allow;/c/* allow;/f/* allow;/* audit;");
	out[0] = '\0';
	policy_each_command(p, add_command, out);
	CU_ASSERT_STRING_EQUAL(out, "git deny;py* deny;/usr/bin/x deny;");
}

static const struct unit_case cases[] = {
	{"what is proven holds", proofs_hold},
	{"known trees", known},
	{"listings", listings},
};

int main(void)
{
	make_paths();
	return unit_run("policy_tree", cases, sizeof(cases) / sizeof(cases[0]));
}
