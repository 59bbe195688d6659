#include "common/redact.h"

#include <string.h>

#include "tests/unit/unit.h"

struct redact_case {
	const char *in, *out;
};

static const struct redact_case single[] = {
	{"", ""},
	{"plain", "plain"},
	{"--password=hunter2", "--password=***"},
	{"--db-password=hunter2 --x", "--db-password=*** --x"},
	{"PGPASSWORD=x", "PGPASSWORD=***"},
	{"API_KEY='a b'", "API_KEY='*** b'"},
	{"AWS_SECRET_ACCESS_KEY=abc/def+", "AWS_SECRET_ACCESS_KEY=***"},
	{"Authorization: Bearer abc.def", "Authorization: Bearer ***"},
	{"authorization:Basic Zm9v", "authorization:Basic ***"},
	{"Cookie: a=b", "Cookie: ***"},
	{"https://user:pw@host/x?y=1", "https://user:***@host/x?y=1"},
	{"https://ghp_0123456789abcdef0123@github.com/x", "https://***@github.com/x"},
	{"https://host/a@b", "https://host/a@b"},
	{"https://host/?token=abc&x=1", "https://host/?token=***&x=1"},
	{"x ghp_0123456789abcdef0123456789 y", "x *** y"},
	{"AKIA0123456789ABCDEF", "***"},
	{"sk-ant-api03-0123456789abcdef", "***"},
	{"AKIA", "AKIA"},
	{"--author=me", "--author=me"},
	{"keyboard=de", "keyboard=de"},
	{"curl -H 'X-Api-Key: 1234' https://x", "curl -H 'X-Api-Key: ***' https://x"},
	{"{\"password\": \"x\"}", "{\"password\": \"***\"}"},
	{"-----BEGIN RSA PRIVATE KEY-----\nMII", "***"},
	{"=", "="},
	{"token=", "token="},
	{"a:b:c=d", "a:b:c=d"},
};

static void test_single(void)
{
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
		const char **out = redact_argv(&single[i].in, 1);

		CU_ASSERT_PTR_NOT_NULL_FATAL(out);
		CU_ASSERT_STRING_EQUAL(out[0], single[i].out);
		if (strcmp(out[0], single[i].out) != 0)
			printf("# %s: %s\n", single[i].in, out[0]);
		CU_ASSERT_PTR_NULL(out[1]);
		free(out);
	}
}

static void test_next(void)
{
	const char *argv[] = {"curl", "--token", "abc", "-u", "me:pw", "--password",
			      "--x", "-u", "b"};
	const char *want[] = {"curl", "--token", "***", "-u", "***", "--password",
			      "***", "-u", "b"};
	const char **out = redact_argv(argv, 9);

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	for (int i = 0; i < 9; i++)
		CU_ASSERT_STRING_EQUAL(out[i], want[i]);
	free(out);
}

/* Every character may become a mask: the buffer must hold that. */
static void test_room(void)
{
	char text[2001];
	const char *argv = text;
	const char **out;

	for (size_t i = 0; i < 2000; i++)
		text[i] = "token=x "[i % 8];
	text[2000] = '\0';
	out = redact_argv(&argv, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT_EQUAL(strlen(out[0]), 2500);
	free(out);
}

static const struct unit_case cases[] = {
	{"secrets in one argument", test_single},
	{"secrets in the next argument", test_next},
	{"room for masks", test_room},
};

UNIT_MAIN("redact", cases)
