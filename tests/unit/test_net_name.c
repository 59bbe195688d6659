#include "netgate/net_name.h"

#include <string.h>

#include "tests/unit/unit.h"

static void names(void)
{
	static const struct {
		const char *in, *out; /* NULL: not a name */
	} cases[] = {
		{"example.com", "example.com"},
		{"EXAMPLE.Com.", "example.com"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"_sip._tcp.example.com", "_sip._tcp.example.com"},
		{"localhost", "localhost"},
		{"a-b.c", "a-b.c"},
		{"1.2.3.4.example", "1.2.3.4.example"},
		{"3com.com", "3com.com"},
		{"", NULL},
		{".", NULL},
		{"..", NULL},
		{"a..b", NULL},
		{".a", NULL},
		{"a..", NULL},
		{"-a.b", NULL},
		{"a-.b", NULL},
		{"a b", NULL},
		{"a/b", NULL},
		{"user@host", NULL},
		{"b\xc3\xbc.example", NULL},
		{"a\nb", NULL},
		{"a%00b", NULL},
		{"1.2.3.4", NULL},
		{"127.1", NULL},
		{"2130706433", NULL},
		{"0x7f.1", NULL},
		{"0x7f000001", NULL},
		{"017700000001", NULL},
		{"evil.0xA", NULL},
		{"[::1]", NULL},
		{"::1", NULL},
	};
	char out[NET_NAME_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool ok = net_name_normalise(out, cases[i].in, strlen(cases[i].in));

		CU_ASSERT_EQUAL(ok, cases[i].out != NULL);
		if (ok && cases[i].out)
			CU_ASSERT_STRING_EQUAL(out, cases[i].out);
	}
	CU_ASSERT_FALSE(net_name_normalise(out, "a\0b", 3));
}

static void lengths(void)
{
	char out[NET_NAME_SIZE], text[300];

	memset(text, 'a', sizeof(text));
	CU_ASSERT_TRUE(net_name_normalise(out, text, 63));
	CU_ASSERT_FALSE(net_name_normalise(out, text, 64));
	for (size_t i = 63; i < sizeof(text); i += 64)
		text[i] = '.';
	CU_ASSERT_TRUE(net_name_normalise(out, text, 253));
	CU_ASSERT_FALSE(net_name_normalise(out, text, 254));
}

static void addresses(void)
{
	static const struct {
		const char *text;
		uint8_t family;
	} cases[] = {{"1.2.3.4", 4},  {"::1", 6},	{"2001:db8::1", 6}, {"1.2.3", 0},
		     {"1.2.3.256", 0}, {"01.2.3.4", 0}, {"fe80::1%lo", 0},  {"[::1]", 0},
		     {"", 0},	      {"1.2.3.4 ", 0},	{"::ffff:1.2.3.4", 6}};
	struct policy_addr a;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool ok = net_name_to_addr(&a, cases[i].text, strlen(cases[i].text));

		CU_ASSERT_EQUAL(ok, cases[i].family != 0);
		if (ok)
			CU_ASSERT_EQUAL(a.family, cases[i].family);
	}
	CU_ASSERT_TRUE(net_name_is_localhost("localhost"));
	CU_ASSERT_TRUE(net_name_is_localhost("a.localhost"));
	CU_ASSERT_FALSE(net_name_is_localhost("notlocalhost"));
	CU_ASSERT_FALSE(net_name_is_localhost("localhost.example"));
}

static const struct unit_case cases[] = {
	{"names", names},
	{"lengths", lengths},
	{"addresses", addresses},
};
UNIT_MAIN("net_name", cases)
