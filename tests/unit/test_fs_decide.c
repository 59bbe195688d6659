#include "fsgate/fs_decide.h"

#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static const char text[] =
	"version: 1\n"
	"name: decide\n"
	"defaults: {file_read: deny}\n"
	"file_rules:\n"
	"  - {name: hide, paths: [/w/hide/**], operations: [\"*\"], decision: hide}\n"
	"  - {name: secret, paths: [/w/secret], operations: [read, open], decision: deny}\n"
	"  - {name: fixed, paths: [/w/fixed], operations: [write], decision: deny}\n"
	"  - {name: ask, paths: [/w/ask], operations: [write, delete], decision: approve}\n"
	"  - {name: askread, paths: [/w/askread], operations: [read], decision: approve}\n"
	"  - {name: watch, paths: [/w/watch], operations: [\"*\"], decision: audit}\n"
	"  - {name: soft, paths: [/w/soft], operations: [delete], decision: soft_delete}\n"
	"  - {name: else, paths: [/w/else/**], operations: [read, stat, write, create, rename, delete],"
	" decision: redirect, redirect_to: /tmp/else}\n"
	"  - {name: silent, paths: [/w/silent], operations: [\"*\"], decision: allow, log: none}\n"
	"  - {name: hooks, paths: [/w/hooks/**], operations: [create], decision: deny}\n"
	"  - {name: noexec, paths: [/w/noexec], operations: [exec], decision: deny}\n"
	"  - {name: noopen, paths: [/w/noopen], operations: [open], decision: deny}\n"
	"  - {name: readonly, paths: [/r/**], operations: [read], decision: allow}\n"
	"  - {name: deep, paths: [/d/a/b], operations: [stat, read], decision: allow}\n"
	"  - {name: nostat, paths: [/d/no], operations: [stat], decision: deny}\n"
	"  - {name: mv, paths: [/m/**], operations: [rename], decision: allow}\n"
	"  - {name: w, paths: [/w/**], operations: [\"*\"], decision: allow}\n";

static struct policy *load(void)
{
	struct policy_vars vars = {.home = "/home/u"};
	struct policy_load_args args = {.vars = &vars};
	char file[] = "/tmp/fs-decide-test.XXXXXX";
	struct policy *p = NULL;
	struct err e = ERR_INIT;
	int fd = mkstemp(file);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
	close(fd);
	args.file = file;
	if (policy_load(&p, &args, &e) < 0)
		printf("\n%s\n", e.text);
	unlink(file);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	return p;
}

static void test_combine(void)
{
	static const struct {
		struct fs_question q[3];
		size_t n;
		enum fs_effect effect;
		const char *rule;
	} rows[] = {
		{{{FILE_READ, "/w/a", false}, {FILE_OPEN, "/w/a", true}}, 2, FS_ALLOW, "w"},
		{{{FILE_READ, "/w/secret", false}}, 1, FS_DENY, "secret"},
		{{{FILE_READ, "/w/watch", false}, {FILE_WRITE, "/w/watch", false}}, 2, FS_RECORD,
		 "watch"},
		{{{FILE_READ, "/w/watch", false}, {FILE_WRITE, "/w/ask", false}}, 2, FS_HOLD, "ask"},
		{{{FILE_WRITE, "/w/ask", false}, {FILE_WRITE, "/w/fixed", false}}, 2, FS_DENY,
		 "fixed"},
		{{{FILE_WRITE, "/w/fixed", false}, {FILE_STAT, "/w/hide/x", false}}, 2, FS_HIDE,
		 "hide"},
		{{{FILE_DELETE, "/w/soft", false}}, 1, FS_KEEP, "soft"},
		/* who looks is not sent anywhere: the name stands for its target already */
		{{{FILE_READ, "/w/else/a", false}}, 1, FS_ALLOW, "else"},
		{{{FILE_WRITE, "/w/else/a", false}}, 1, FS_REDIRECT, "else"},
		{{{FILE_DELETE, "/w/soft", false}, {FILE_WRITE, "/w/else/a", false}}, 2, FS_REDIRECT,
		 "else"},
		{{{FILE_WRITE, "/w/else/a", false}, {FILE_WRITE, "/w/ask", false}}, 2, FS_HOLD, "ask"},
		/* a rule for read alone is enough to read; one against open is enough to refuse */
		{{{FILE_READ, "/r/x", false}, {FILE_OPEN, "/r/x", true}}, 2, FS_ALLOW, "readonly"},
		{{{FILE_READ, "/w/noopen", false}, {FILE_OPEN, "/w/noopen", true}}, 2, FS_DENY,
		 "noopen"},
		{{{FILE_READ, "/elsewhere", false}, {FILE_OPEN, "/elsewhere", true}}, 2, FS_DENY,
		 "default"},
		{{{FILE_CREATE, "/elsewhere", false}}, 1, FS_DENY, "default"},
	};
	struct policy *p = load();
	struct fs_answer a;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fs_decide(&a, p, rows[i].q, rows[i].n);
		CU_ASSERT_EQUAL(a.effect, rows[i].effect);
		CU_ASSERT_STRING_EQUAL(a.d.rule, rows[i].rule);
	}
	fs_decide(&a, p, NULL, 0);
	CU_ASSERT_EQUAL(a.effect, FS_DENY);
	policy_free(p);
}

/* What every answer had a part in, whichever decides. */
static void test_flags(void)
{
	struct policy *p = load();
	const struct fs_question ask[] = {{FILE_WRITE, "/w/ask", false},
					  {FILE_WRITE, "/w/else/a", false}};
	const struct fs_question none[] = {{FILE_WRITE, "/w/silent", false},
					   {FILE_READ, "/w/silent", false},
					   {FILE_WRITE, "/w/a", false}};
	struct fs_answer a;

	/* an approval does not undo the redirection */
	fs_decide(&a, p, ask, 2);
	CU_ASSERT_EQUAL(a.effect, FS_HOLD);
	CU_ASSERT_TRUE(a.redirect);
	fs_decide(&a, p, ask, 1);
	CU_ASSERT_FALSE(a.redirect);
	fs_decide(&a, p, none, 2);
	CU_ASSERT_TRUE(a.unlogged);
	fs_decide(&a, p, none, 3);
	CU_ASSERT_FALSE(a.unlogged);
	policy_free(p);
}

static void test_move(void)
{
	static const struct {
		struct fs_move m;
		enum fs_effect effect;
		const char *rule;
	} rows[] = {
		{{"/w/a", "/w/b", FILE_RENAME, false, false}, FS_ALLOW, "w"},
		{{"/w/a", "/x/b", FILE_RENAME, false, false}, FS_DENY, "default"},
		{{"/x/a", "/w/b", FILE_LINK, false, false}, FS_DENY, "default"},
		{{"/w/secret", "/w/b", FILE_RENAME, false, false}, FS_DENY, "secret"},
		{{"/w/secret", "/w/b", FILE_LINK, false, false}, FS_DENY, "secret"},
		{{"/w/fixed", "/w/b", FILE_RENAME, false, false}, FS_DENY, "fixed"},
		{{"/w/noexec", "/w/b", FILE_RENAME, false, false}, FS_DENY, "noexec"},
		{{"/w/askread", "/w/b", FILE_RENAME, false, false}, FS_HOLD, "askread"},
		{{"/w/a", "/w/hooks/x", FILE_RENAME, false, false}, FS_DENY, "hooks"},
		{{"/w/a", "/w/hooks/x", FILE_LINK, false, false}, FS_DENY, "hooks"},
		{{"/w/hooks/x", "/w/a", FILE_RENAME, false, false}, FS_ALLOW, "w"},
		{{"/w/a", "/w/ask", FILE_RENAME, true, false}, FS_HOLD, "ask"},
		{{"/w/a", "/w/ask", FILE_RENAME, false, false}, FS_ALLOW, "w"},
		{{"/w/a", "/w/soft", FILE_RENAME, true, false}, FS_KEEP, "soft"},
		{{"/w/soft", "/w/b", FILE_RENAME, false, false}, FS_ALLOW, "w"},
		{{"/w/a", "/w/else/b", FILE_RENAME, false, false}, FS_REDIRECT, "else"},
		{{"/w/else/a", "/w/secret", FILE_RENAME, true, false}, FS_REDIRECT, "else"},
		{{"/w/a", "/w/watch", FILE_RENAME, false, false}, FS_RECORD, "watch"},
		/* both names are equally bare: rename alone decides */
		{{"/m/a", "/m/b", FILE_RENAME, false, false}, FS_ALLOW, "mv"},
	};
	struct policy *p = load();
	struct fs_answer a;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fs_decide_move(&a, p, &rows[i].m);
		CU_ASSERT_EQUAL(a.effect, rows[i].effect);
		CU_ASSERT_STRING_EQUAL(a.d.rule, rows[i].rule);
		if (a.effect != rows[i].effect)
			printf("\n%s -> %s: %d %s\n", rows[i].m.from, rows[i].m.to, a.effect, a.d.rule);
	}
	policy_free(p);
}

static void test_look(void)
{
	struct policy *p = load();
	struct fs_answer a;

	fs_decide_look(&a, p, "/d", true);
	CU_ASSERT_EQUAL(a.effect, FS_ALLOW);
	fs_decide_look(&a, p, "/d/a", true);
	CU_ASSERT_EQUAL(a.effect, FS_ALLOW);
	fs_decide_look(&a, p, "/d/a", false);
	CU_ASSERT_EQUAL(a.effect, FS_DENY);
	fs_decide_look(&a, p, "/d/a/b", false);
	CU_ASSERT_EQUAL(a.effect, FS_ALLOW);
	fs_decide_look(&a, p, "/d/other", true);
	CU_ASSERT_EQUAL(a.effect, FS_DENY);
	fs_decide_look(&a, p, "/w/hide/x", true);
	CU_ASSERT_EQUAL(a.effect, FS_HIDE);
	CU_ASSERT_TRUE(fs_decide_listed(p, "/d/a", true));
	CU_ASSERT_FALSE(fs_decide_listed(p, "/d/other", true));
	/* refused by name: it may be seen that it is there */
	CU_ASSERT_TRUE(fs_decide_listed(p, "/d/no", false));
	CU_ASSERT_FALSE(fs_decide_listed(p, "/w/hide/x", false));
	policy_free(p);
}

static const struct unit_case cases[] = {
	{"the strictest answer decides", test_combine},
	{"what every answer has a part in", test_flags},
	{"another name for a file", test_move},
	{"what can be seen", test_look},
};

UNIT_MAIN("fs_decide", cases)
