#include "common/path.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static void normal_form(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"/", "/"},		  {"//", "/"},		  {"/a/", "/a"},
		{"/a//b", "/a/b"},	  {"/a/./b", "/a/b"},	  {"/a/../b", "/b"},
		{"/..", "/"},		  {"/../../a", "/a"},	  {"/a/b/..", "/a"},
		{"/a/b/../..", "/"},	  {"/a/...", "/a/..."},	  {"/a/..b", "/a/..b"},
		{"/a/.b/c./", "/a/.b/c."}, {"/./.", "/"},
	};
	char out[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL(path_normalize(out, sizeof(out), cases[i].in), 0);
		CU_ASSERT_STRING_EQUAL(out, cases[i].out);
		/* what is normal stays as it is */
		CU_ASSERT_EQUAL(path_normalize(out, sizeof(out), cases[i].out), 0);
		CU_ASSERT_STRING_EQUAL(out, cases[i].out);
	}
}

static void refused(void)
{
	char out[8];

	CU_ASSERT_EQUAL(path_normalize(out, sizeof(out), ""), -EINVAL);
	CU_ASSERT_EQUAL(path_normalize(out, sizeof(out), "a/b"), -EINVAL);
	CU_ASSERT_EQUAL(path_normalize(out, sizeof(out), "/abcdefg"), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(path_normalize(out, sizeof(out), "/abcdef"), 0);
}

static void joining(void)
{
	char out[64];

	CU_ASSERT_EQUAL(path_join(out, sizeof(out), "/a/b", "../c"), 0);
	CU_ASSERT_STRING_EQUAL(out, "/a/c");
	CU_ASSERT_EQUAL(path_join(out, sizeof(out), "/a/b", "/etc"), 0);
	CU_ASSERT_STRING_EQUAL(out, "/etc");
	CU_ASSERT_EQUAL(path_join(out, sizeof(out), "/", "x"), 0);
	CU_ASSERT_STRING_EQUAL(out, "/x");
}

static void below(void)
{
	CU_ASSERT_TRUE(path_is_below("/a/b", "/a"));
	CU_ASSERT_TRUE(path_is_below("/a", "/a"));
	CU_ASSERT_TRUE(path_is_below("/a", "/"));
	CU_ASSERT_FALSE(path_is_below("/ab", "/a"));
	CU_ASSERT_FALSE(path_is_below("/", "/a"));
}

static const struct unit_case cases[] = {
	{"normal form", normal_form},
	{"refused", refused},
	{"joining", joining},
	{"below", below},
};

UNIT_MAIN("path", cases)
