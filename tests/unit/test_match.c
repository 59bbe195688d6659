#include "common/match.h"

#include <string.h>
#include <time.h>

#include "tests/unit/unit.h"

struct row {
	const char *pattern, *text;
	bool matches;
};

static void run(const struct row *rows, size_t n, bool (*match)(const char *, const char *))
{
	for (size_t i = 0; i < n; i++) {
		bool got = match(rows[i].pattern, rows[i].text);

		if (got != rows[i].matches)
			printf("\n\"%s\" and \"%s\": %d\n", rows[i].pattern, rows[i].text, got);
		CU_ASSERT_EQUAL(got, rows[i].matches);
	}
}

#define RUN(rows, match) run(rows, sizeof(rows) / sizeof((rows)[0]), match)

static void paths(void)
{
	static const struct row rows[] = {
		{"/a", "/a", true},		   {"/a", "/b", false},
		{"/a", "/a/b", false},		   {"/a/*", "/a/b", true},
		{"/a/*", "/a/b/c", false},	   {"/a/*", "/a", false},
		{"/a/**", "/a/b", true},	   {"/a/**", "/a/b/c/d", true},
		{"/a/**", "/a", false},		   {"/a/**", "/ab", false},
		{"/**", "/a/b", true},		   {"/**", "/", true},
		{"**", "/a/b", true},		   {"**/x", "/x", true},
		{"**/x", "/a/b/x", true},	   {"**/x", "/a/bx", false},
		{"/a/**/b", "/a/b", true},	   {"/a/**/b", "/a/x/y/b", true},
		{"/a/**/b", "/a/xb", false},	   {"/a/**/b", "/ab", false},
		{"/a/**b", "/a/x/yb", true},	   {"/a/**b", "/a/b", true},
		{"/a**", "/ab/c", true},	   {"/a/**/*.c", "/a/x.c", true},
		{"/a/**/*.c", "/a/b/x.c", true},   {"/a/**/*.c", "/a/b/x.h", false},
		{"/a/?", "/a/b", true},		   {"/a/?", "/a/", false},
		{"/a?b", "/a/b", false},	   {"/a[/]b", "/a/b", false},
		{"/[a-c]x", "/bx", true},	   {"/[a-c]x", "/dx", false},
		{"/[!a-c]x", "/dx", true},	   {"/[^a-c]x", "/bx", false},
		{"/[]x]", "/]", true},		   {"/[]x]", "/x", true},
		{"/[a-]", "/-", true},		   {"/[\\]]", "/]", true},
		{"/\\*", "/*", true},		   {"/\\*", "/a", false},
		{"/{a,b}", "/a", true},		   {"/{a,b}", "/b", true},
		{"/{a,b}", "/c", false},	   {"/x{,.old}", "/x", true},
		{"/x{,.old}", "/x.old", true},	   {"/{a,b{c,d}}", "/bd", true},
		{"/{a,b{c,d}}", "/b", false},	   {"/{a,b}/{c,d}", "/b/c", true},
		{"/a{/**,}", "/a", true},	   {"/a{/**,}", "/a/b", true},
		{"/\\{a,b}", "/{a,b}", true},	   {"/[{]a", "/{a", true},
		{"/a/**/.git/**", "/a/.git/x", true}, {"/a/**/.git/**", "/a/b/c/.git/d/e", true},
		{"/a/**/.git/**", "/a/b/.git", false}, {"/a/**/.git/**", "/a/x.git/y", false},
		{"/a/*/c/**/d", "/a/b/c/d", true}, {"/a/*/c/**/d", "/a/b/x/c/d", false},
		{"/A", "/a", false},		   {"", "", true},
		{"/*a*a*a*", "/aXaYa", true},	   {"/*a*a*a*", "/aXa", false},
		{"/\xff", "/\xff", true},	   {"/?", "/\xff", true},
	};

	RUN(rows, match_path);
}

static void hosts(void)
{
	static const struct row rows[] = {
		{"*", "example.com", true},		{"*", "10.0.0.1", true},
		{"*.example.com", "a.example.com", true}, {"*.example.com", "a.b.example.com", true},
		{"*.example.com", "example.com", false}, {"*.example.com", "badexample.com", false},
		{"**.example.com", "a.b.example.com", true}, {"*.example.com", ".example.com", false},
		{"example.com", "example.com", true},	{"Example.COM", "example.com", true},
		{"example.com", "example.com.evil.org", false}, {"example.com", "xexample.com", false},
		{"api-*.example.com", "api-1.example.com", true},
		{"api-*.example.com", "api-1.x.example.com", false},
		{"?.example.com", "a.example.com", true}, {"?.example.com", "ab.example.com", false},
		{"{a,b}.example.com", "b.example.com", true}, {"*.{com,org}", "x.org", true},
		{"10.0.0.1", "10.0.0.1", true},		{"fd00::1", "fd00::1", true},
		{"*", "", false},			{"a.b", "a-b", false},
	};

	RUN(rows, match_host);
}

static void checks(void)
{
	static const char *const good[] = {"/a", "/**", "/{a,b}", "/[a-z]", "/\\*", "/}", "/a{,b}"};
	static const char *const bad[] = {"/[a", "/{a", "/a\\", "/[z-a]",
					  "/{1,2,3,4}{1,2,3,4}{1,2,3,4}{1,2,3,4}{1,2}"};
	static const char *const bad_hosts[] = {"", "http://x", "x:80", "x/y", "a..b", ".a", "a b",
						"a@b", "10.0.0.0/8"};
	char lengthy[1100];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CU_ASSERT_PTR_NULL(match_path_check(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_PTR_NOT_NULL(match_path_check(bad[i]));
	for (size_t i = 0; i < sizeof(bad_hosts) / sizeof(bad_hosts[0]); i++)
		CU_ASSERT_PTR_NOT_NULL(match_host_check(bad_hosts[i]));
	CU_ASSERT_PTR_NULL(match_host_check("*.example.com"));
	CU_ASSERT_PTR_NULL(match_host_check("2606:50c0::1"));
	memset(lengthy, 'a', sizeof(lengthy));
	lengthy[0] = '/';
	lengthy[sizeof(lengthy) - 1] = '\0';
	CU_ASSERT_PTR_NOT_NULL(match_path_check(lengthy));
	CU_ASSERT_EQUAL(match_literal_prefix("/a/b*"), 4);
	CU_ASSERT_EQUAL(match_literal_prefix("/a"), 2);
}

/* The definition of the language, without a thought for speed: the reference for random patterns. */
static bool slow(const char *p, const char *t, bool start)
{
	if (!*p)
		return !*t;
	if (start && strncmp(p, "**/", 3) == 0) {
		if (slow(p + 3, t, true))
			return true;
		for (const char *s = t; *s; s++)
			if (*s == '/' && slow(p + 3, s + 1, true))
				return true;
		return false;
	}
	if (p[0] == '*' && p[1] == '*') {
		for (const char *s = t;; s++) {
			if (slow(p + 2, s, false))
				return true;
			if (!*s)
				return false;
		}
	}
	if (*p == '*') {
		for (const char *s = t;; s++) {
			if (slow(p + 1, s, false))
				return true;
			if (!*s || *s == '/')
				return false;
		}
	}
	if (*p == '?')
		return *t && *t != '/' && slow(p + 1, t + 1, false);
	return *t == *p && slow(p + 1, t + 1, *p == '/');
}

static void fill(char *out, size_t max, const char *const *parts, size_t n)
{
	size_t len = 1;

	strcpy(out, "/");
	for (size_t k = (size_t)rand() % 7; k > 0; k--) {
		const char *part = parts[(size_t)rand() % n];

		/* a run of three stars is written by nobody; the reference does not know it */
		if (out[len - 1] == '*' && part[0] == '*')
			continue;
		if (len + strlen(part) + 1 > max)
			break;
		strcpy(out + len, part);
		len += strlen(part);
	}
}

static void against_reference(void)
{
	static const char *const pattern_parts[] = {"a", "b", "/", "*", "**", "**/", "?", "/**/", "/a"};
	static const char *const text_parts[] = {"a", "b", "/", "/a", "/b", "ab"};

	srand(1);
	for (unsigned i = 0; i < 200000; i++) {
		char pattern[32], text[32];
		bool want;

		fill(pattern, sizeof(pattern), pattern_parts, 9);
		fill(text, sizeof(text), text_parts, 6);
		want = slow(pattern, text, true);
		if (match_path(pattern, text) != want) {
			printf("\n\"%s\" and \"%s\" should be %d\n", pattern, text, want);
			CU_FAIL("differs from the reference");
			return;
		}
	}
}

/* What a pattern says about everything below a directory is never more than what is true. */
static void below(void)
{
	static const struct {
		const char *pattern, *prefix;
		enum match_reach reach;
	} rows[] = {
		{"/a/**", "/a/", MATCH_EVERY},	 {"/a/**", "/a/b/", MATCH_EVERY},
		{"/a/**", "/", MATCH_SOME},	 {"/a/**", "/b/", MATCH_NEVER},
		{"/a/*", "/a/", MATCH_SOME},	 {"/a/*", "/a/b/", MATCH_NEVER},
		{"/a", "/a/", MATCH_NEVER},	 {"/a", "/", MATCH_SOME},
		{"**", "/x/", MATCH_EVERY},	 {"**/x", "/y/", MATCH_SOME},
		{"/a/**/*", "/a/", MATCH_EVERY}, {"/a/**/*", "/a/b/", MATCH_EVERY},
		{"/a/**/*.c", "/a/", MATCH_SOME}, {"/**/b/**", "/a/b/", MATCH_EVERY},
		{"/a*/**", "/ab/", MATCH_EVERY}, {"/a*", "/ab/", MATCH_NEVER},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(match_below(rows[i].pattern, rows[i].prefix), rows[i].reach);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void hostile(void)
{
	char pattern[1000] = "/", path[4096] = "/";
	double start = seconds();

	/* the classic of backtracking matchers, with both stars */
	for (unsigned i = 0; i < 120; i++)
		strcat(pattern, i % 2 ? "a**" : "*a");
	strcat(pattern, "b");
	memset(path + 1, 'a', sizeof(path) - 2);
	for (size_t i = 100; i < sizeof(path) - 1; i += 100)
		path[i] = '/';
	for (unsigned i = 0; i < 20; i++)
		CU_ASSERT_FALSE(match_path(pattern, path));
	CU_ASSERT_TRUE(seconds() - start < 5.0);
}

static void addresses(void)
{
	static const struct {
		uint8_t family;
		uint8_t bytes[16];
		bool is_private;
		const char *text;
	} rows[] = {
		{4, {1, 1, 1, 1}, false, "1.1.1.1"},
		{4, {10, 0, 0, 1}, true, "10.0.0.1"},
		{4, {172, 31, 255, 255}, true, "172.31.255.255"},
		{4, {172, 32, 0, 1}, false, "172.32.0.1"},
		{4, {100, 64, 0, 1}, true, "100.64.0.1"},
		{4, {169, 254, 169, 254}, true, "169.254.169.254"},
		{4, {127, 0, 0, 1}, true, "127.0.0.1"},
		{4, {0}, true, "0.0.0.0"},
		{4, {224, 0, 0, 1}, true, "224.0.0.1"},
		{4, {255, 255, 255, 255}, true, "255.255.255.255"},
		{6, {[15] = 1}, true, "::1"},
		{6, {0}, true, "::"},
		{6, {0xfe, 0x80, [15] = 1}, true, "fe80::1"},
		{6, {0xfd, 0x00, 0x0e, 0xc2, [14] = 2, [15] = 0x54}, true, "fd00:ec2::254"},
		{6, {0x26, 0x06, 0x47, 0x00, [14] = 0x11, [15] = 0x11}, false, "2606:4700::1111"},
		{6, {[10] = 0xff, [11] = 0xff, 10, 0, 0, 1}, true, "::ffff:10.0.0.1"},
		{6, {[10] = 0xff, [11] = 0xff, 1, 1, 1, 1}, false, "::ffff:1.1.1.1"},
		{6, {0x00, 0x64, 0xff, 0x9b, [12] = 10, [15] = 1}, true, "64:ff9b::a00:1"},
		{6, {0x00, 0x64, 0xff, 0x9b, [12] = 1, 1, 1, 1}, false, "64:ff9b::101:101"},
		{6, {0x20, 0x02, 10, 0, 0, 1}, true, "2002:a00:1::"},
		{6, {0x20, 0x01, 0, 0, [15] = 1}, true, "2001::1"},
		{6, {0xff, 0x02, [15] = 1}, true, "ff02::1"},
		{9, {0}, true, ""},
	};
	static const uint8_t a[] = {0xff, 0x80}, b[] = {0xff, 0x8f};
	char text[MATCH_ADDR_TEXT];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(match_is_private(rows[i].family, rows[i].bytes),
				rows[i].is_private);
		match_addr_text(text, rows[i].family, rows[i].bytes);
		CU_ASSERT_STRING_EQUAL(text, rows[i].text);
	}
	CU_ASSERT_TRUE(match_prefix(a, b, 12));
	CU_ASSERT_FALSE(match_prefix(a, b, 13));
	CU_ASSERT_TRUE(match_prefix(a, b, 0));
}

static const struct unit_case cases[] = {
	{"paths", paths},
	{"hosts", hosts},
	{"what is no pattern", checks},
	{"random patterns against the definition", against_reference},
	{"below a directory", below},
	{"hostile patterns end", hostile},
	{"addresses", addresses},
};

UNIT_MAIN("match", cases)
