/*
 * The compiled form of a rule's paths rules most paths out without a walk (prefixes, tails, sums of
 * components). Whatever it takes, it must say what match_path() says of the patterns as written:
 * here for random ones, from a generator that always gives the same.
 */
#include "tests/unit/unit.h"

#include "common/auto.h"
#include "common/match.h"
#include "tests/unit/policy_fixture.h"

#ifdef AGENTSH_SANITIZED
#define POLICIES 150
#else
#define POLICIES 400
#endif
#define PATHS 400
#define PATTERNS 3

static unsigned seed = 1;

static unsigned below(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static const char *const plain[] = {"home", "hooks", "h",    "ws",  ".git", ".env", "a",
				    "ab",   "abc",   "x.key", "key", "src",  ".g",   "hooky"};
static const char *const wild[] = {"*",	     "**",   "?",     "h*",    "ho*",	"*key",	 "*.key",
				   "[ah]*",  "[!a]", "h**",   "**key", "a[a-c]", "ho[!x]ks", "h?me",
				   "{a,ab}", "{,x}", "\\a*", "ho\\oks", "[./a]b", "{src,.git/hooks}",
				   "a{,b{,c}}", ".git{,/**}", "hoo*", "src?", "[^z]*"};

static void random_pattern(char *out)
{
	out[0] = '\0';
	for (unsigned n = 1 + below(5); n; n--) {
		strcat(out, "/");
		strcat(out, below(5) < 3 ? plain[below(ARRAY_LEN(plain))] : wild[below(ARRAY_LEN(wild))]);
	}
}

static void random_path(char *out)
{
	out[0] = '\0';
	for (unsigned n = 1 + below(6); n; n--) {
		strcat(out, "/");
		strcat(out, plain[below(ARRAY_LEN(plain))]);
		if (below(12) == 0)
			strcat(out, below(2) ? "x" : ".key");
	}
}

static bool any_matches(char patterns[PATTERNS][256], const char *path)
{
	for (unsigned i = 0; i < PATTERNS; i++)
		if (match_path(patterns[i], path))
			return true;
	return false;
}

static void globs(void)
{
	unsigned matched = 0, wrong = 0;

	for (unsigned n = 0; n < POLICIES; n++) {
		AUTO(policy_free) struct policy *p = NULL;
		char patterns[PATTERNS][256], text[1200];

		for (unsigned i = 0; i < PATTERNS; i++)
			random_pattern(patterns[i]);
		snprintf(text, sizeof(text),
			 HEAD "file_rules:\n- {name: r, paths: ['%s', '%s', '%s'], operations: [read], "
			      "decision: allow}\n",
			 patterns[0], patterns[1], patterns[2]);
		p = fixture_load(text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		for (unsigned i = 0; i < PATHS; i++) {
			struct policy_request r = {.kind = POLICY_FILE, .file = {.op = FILE_READ}};
			struct decision d;
			char path[256];
			bool want;

			random_path(path);
			r.file.path = path;
			policy_decide(&d, p, &r);
			want = any_matches(patterns, path);
			matched += want;
			if ((d.reason == REASON_RULE) != want && wrong++ < 5)
				fprintf(stderr, "%s: %s\n%s", path, want ? "missed" : "caught", text);
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
	/* it is no test if nothing, or everything, matches */
	CU_ASSERT(matched > POLICIES * PATHS / 50 && matched < POLICIES * PATHS / 2);
}

static const struct unit_case cases[] = {{"globs", globs}};

UNIT_MAIN("policy globs", cases)
