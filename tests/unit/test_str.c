#include "common/str.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tests/unit/unit.h"

static void cut_not_overrun(void)
{
	char buf[8];
	struct str s;

	str_init(&s, buf, sizeof(buf));
	str_add(&s, "12345");
	CU_ASSERT_FALSE(s.cut);
	str_add(&s, "6789");
	CU_ASSERT_TRUE(s.cut);
	CU_ASSERT_STRING_EQUAL(buf, "1234567");
	str_init(&s, buf, sizeof(buf));
	str_addf(&s, "%s", "abcdefghij");
	CU_ASSERT_TRUE(s.cut);
	CU_ASSERT_STRING_EQUAL(buf, "abcdefg");
}

static void escaping(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"plain text", "plain text"},
		{"a\nb", "a\\x0ab"},
		{"\x1b[31m", "\\x1b[31m"},
		{"back\\slash", "back\\x5cslash"},
		{"\xc3\xa4", "\xc3\xa4"},
		{"\xff\xfe", "\\xff\\xfe"},
		{"\xc2\x9b" "1m", "\\xc2\\x9b1m"},	     /* C1 CSI */
		{"\xe2\x80\xae", "\\xe2\\x80\\xae"},	     /* right-to-left override */
		{"\xe2\x81\xa6", "\\xe2\\x81\\xa6"},	     /* left-to-right isolate */
		{"\x7f", "\\x7f"},
		{"\xc0\xaf", "\\xc0\\xaf"},		     /* overlong slash */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},	     /* surrogate */
	};
	char buf[128];
	struct str s;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		str_init(&s, buf, sizeof(buf));
		str_add_escaped(&s, cases[i].in, strlen(cases[i].in));
		CU_ASSERT_STRING_EQUAL(buf, cases[i].out);
	}
}

static void json(void)
{
	char buf[128];
	struct str s;

	str_init(&s, buf, sizeof(buf));
	str_add_json(&s, "a\"b\\c\n\xff", 7);
	CU_ASSERT_STRING_EQUAL(buf, "a\\\"b\\\\c\\u000a\\ufffd");
}

static void numbers(void)
{
	uint64_t v = 7;

	CU_ASSERT_EQUAL(str_to_u64(&v, "65535", 0, 65535), 0);
	CU_ASSERT_EQUAL(v, 65535);
	CU_ASSERT_EQUAL(str_to_u64(&v, "65536", 0, 65535), -ERANGE);
	CU_ASSERT_EQUAL(str_to_u64(&v, "", 0, 9), -EINVAL);
	CU_ASSERT_EQUAL(str_to_u64(&v, "-1", 0, 9), -EINVAL);
	CU_ASSERT_EQUAL(str_to_u64(&v, "1x", 0, 9), -EINVAL);
	CU_ASSERT_EQUAL(str_to_u64(&v, "99999999999999999999", 0, UINT64_MAX), -ERANGE);
	CU_ASSERT_EQUAL(v, 65535);
}

static void distance(void)
{
	CU_ASSERT_EQUAL(str_distance("decision", "decision"), 0);
	CU_ASSERT_EQUAL(str_distance("decison", "decision"), 1);
	CU_ASSERT_EQUAL(str_distance("", "abc"), 3);
	CU_ASSERT_EQUAL(str_distance("kitten", "sitting"), 3);
}

static const struct unit_case cases[] = {
	{"a full buffer is cut", cut_not_overrun}, {"escaping", escaping},	   {"json", json},
	{"numbers", numbers},			   {"edit distance", distance},
};

UNIT_MAIN("str", cases)
