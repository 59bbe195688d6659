#include "tests/unit/unit.h"

#include <string.h>

#include "common/audit_i.h"
#include "common/auto.h"
#include "common/cbor.h"
#include "common/crc32c.h"

/* RFC 8949 appendix A */
static void test_integers(void)
{
	static const struct {
		int64_t v;
		const char *hex;
	} cases[] = {
		{0, "\x00"}, {10, "\x0a"}, {23, "\x17"}, {24, "\x18\x18"}, {100, "\x18\x64"},
		{1000, "\x19\x03\xe8"}, {1000000, "\x1a\x00\x0f\x42\x40"},
		{1000000000000, "\x1b\x00\x00\x00\xe8\xd4\xa5\x10\x00"},
		{-1, "\x20"}, {-10, "\x29"}, {-100, "\x38\x63"}, {-1000, "\x39\x03\xe7"},
	};
	static const size_t lens[] = {1, 1, 1, 2, 2, 3, 5, 9, 1, 1, 2, 3};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t buf[16];
		struct cbor_out o;
		struct cbor_item it;

		cbor_begin(&o, buf, sizeof(buf));
		cbor_i64(&o, cases[i].v);
		CU_ASSERT_EQUAL(o.len, lens[i]);
		CU_ASSERT_EQUAL(memcmp(buf, cases[i].hex, lens[i]), 0);
		struct cbor_in in = {buf, o.len};
		CU_ASSERT_EQUAL(cbor_next(&in, &it), 0);
		CU_ASSERT_EQUAL(it.type == CBOR_NINT ? -1 - (int64_t)it.n : (int64_t)it.n, cases[i].v);
	}
}

static void test_refused(void)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{"\xa1\x61\x61", 3},			 /* value missing */
		{"\xa1\x61\x61\x18\x17", 5},		 /* not the shortest form of 23 */
		{"\xa1\x61\x61\x19\x00\xff", 6},	 /* nor of 255 */
		{"\xa1\x61\x61\x1b\x00\x00\x00\x00\xff\xff\xff\xff", 12},
		{"\xa2\x61\x62\x01\x61\x61\x01", 7},	 /* keys not in order */
		{"\xa2\x61\x61\x01\x61\x61\x02", 7},	 /* key twice */
		{"\xa2\x62\x61\x61\x01\x61\x62\x02", 8}, /* longer key first */
		{"\xbf\x61\x61\x01\xff", 5},		 /* indefinite length */
		{"\xa1\x01\x01", 3},			 /* key is no text */
		{"\xa1\x61\x61\xf9\x00\x00", 6},	 /* float */
		{"\xa1\x61\x61\x62\xff\xff", 6},	 /* text that is not UTF-8 */
		{"\xa1\x61\x61\x01\x00", 5},		 /* something after it */
		{"\x81\x01", 2},			 /* not a map */
		{"\xa1\x61\x61\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 12}, /* huge count */
		{"\xa1\x61\x61\x81\x81\x81\x81\x81\x01", 9},		   /* too deep */
		{"", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CU_ASSERT_EQUAL(cbor_check_map(bad[i].bytes, bad[i].len), -EBADMSG);
	CU_ASSERT_EQUAL(cbor_check_map("\xa2\x61\x61\x01\x62\x61\x61\x80", 8), 0);
	CU_ASSERT_EQUAL(cbor_check_map("\xa0", 1), 0);
}

static void test_event(void)
{
	static const char *const argv[] = {"git", "push", "--force"};
	static const char odd[] = {'/', (char)0xff, 'x'};
	const struct audit_field fields[] = {
		AUDIT_F_STRV("argv", argv, 3), AUDIT_F_MEM("path", odd, sizeof(odd)),
		AUDIT_F_I64("errno", -13), AUDIT_F_HEX("sha256", "\x01\x02", 2)};
	struct audit_event ev = {.op = "exec", .decision = "deny", .verdict = VERDICT_DENY,
				 .rule = "no-force", .message = "", .pid = 7, .comm = "sh",
				 .fields = fields, .n_fields = 4};
	static uint8_t buf[AUDIT_PAYLOAD_MAX];
	int len = audit_event_encode(buf, &ev);
	struct cbor_in in;
	struct cbor_item it;
	char text[16];

	CU_ASSERT_FATAL(len > 0);
	CU_ASSERT_EQUAL(cbor_check_map(buf, (size_t)len), 0);
	CU_ASSERT_EQUAL(cbor_find_text(buf, (size_t)len, "decision", text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "deny");
	CU_ASSERT_EQUAL(cbor_find(buf, (size_t)len, "path", &in), 0);
	CU_ASSERT_EQUAL(cbor_next(&in, &it), 0);
	CU_ASSERT_EQUAL(it.type, CBOR_BYTES);
	CU_ASSERT_EQUAL(it.n, sizeof(odd));
	CU_ASSERT_EQUAL(cbor_find(buf, (size_t)len, "message", &in), -ENOENT);
	/* a second value for a key is refused, not hidden */
	ev.comm = NULL;
	const struct audit_field twice[] = {AUDIT_F_STR("op", "x")};
	ev.fields = twice;
	ev.n_fields = 1;
	CU_ASSERT_EQUAL(audit_event_encode(buf, &ev), -EINVAL);
}

/* The value of "path" is exactly these bytes, and text if they are UTF-8. */
static bool path_becomes(const char *p, size_t len, enum cbor_type type)
{
	const struct audit_field f = AUDIT_F_MEM("path", p, len);
	const struct audit_event ev = {.op = "read", .fields = &f, .n_fields = 1};
	static uint8_t buf[AUDIT_PAYLOAD_MAX];
	int n = audit_event_encode(buf, &ev);
	struct cbor_in in;
	struct cbor_item it;

	return n > 0 && cbor_check_map(buf, (size_t)n) == 0 &&
	       cbor_find(buf, (size_t)n, "path", &in) == 0 && cbor_next(&in, &it) == 0 &&
	       it.type == type && it.n == len && memcmp(it.p, p, len) == 0;
}

/* Strings are copied in pieces of several bytes: every length, and an odd byte at every place. */
static void test_event_strings(void)
{
	char text[300] = "";

	for (size_t len = 0; len < sizeof(text); len += len < 40 ? 1 : 37) {
		for (size_t i = 0; i < len; i++)
			text[i] = (char)('a' + i % 26);
		CU_ASSERT(path_becomes(text, len, CBOR_TEXT));
		for (size_t at = 0; at < len; at++) {
			char kept[2] = {text[at], text[at + 1 < len ? at + 1 : at]};

			text[at] = (char)0xff;
			CU_ASSERT(path_becomes(text, len, CBOR_BYTES));
			text[at] = (char)0xc3;
			if (at + 1 < len)
				text[at + 1] = (char)0xa9;
			CU_ASSERT(path_becomes(text, len, at + 1 < len ? CBOR_TEXT : CBOR_BYTES));
			text[at] = kept[0];
			if (at + 1 < len)
				text[at + 1] = kept[1];
		}
	}
}

/* Whatever order the fields come in; keys that differ late, in length, or not at all. */
static void test_event_order(void)
{
	static const char *const keys[] = {"approval_id", "approval_ie", "approvalXid", "a", "approva",
					   "approvb", "zz", "path", "to", "interpreter_sha256"};
	enum { N = ARRAY_LEN(keys) };
	struct audit_field f[N + 1];
	struct audit_event ev = {.op = "read", .decision = "allow", .rule = "r", .comm = "c",
				 .pid = 1, .fields = f, .n_fields = N};
	static uint8_t first[AUDIT_PAYLOAD_MAX], buf[AUDIT_PAYLOAD_MAX];
	int len = 0;

	for (unsigned turn = 0; turn < N; turn++) {
		for (unsigned i = 0; i < N; i++)
			f[(i * 3 + turn) % N] = AUDIT_F_U64(keys[i], i);
		f[N] = f[turn];
		ev.n_fields = N;
		len = audit_event_encode(turn ? buf : first, &ev);
		CU_ASSERT_EQUAL(cbor_check_map(turn ? buf : first, (size_t)len), 0);
		CU_ASSERT(turn == 0 || memcmp(first, buf, (size_t)len) == 0);
		ev.n_fields = N + 1;
		CU_ASSERT_EQUAL(audit_event_encode(buf, &ev), -EINVAL);
	}
}

/* Longer than a record can be: cut, marked, still well-formed, never refused. */
static void test_event_long(void)
{
	enum { N = 3000, BIG = 200000 };
	autofree char *big = malloc(BIG + 1);
	autofree const char **argv = calloc(N, sizeof(*argv));
	static uint8_t buf[AUDIT_PAYLOAD_MAX];
	struct cbor_in in;
	int len;

	CU_ASSERT_FATAL(big && argv);
	memset(big, 'a', BIG);
	big[BIG] = '\0';
	for (size_t i = 0; i + 2 < BIG; i += 3)
		memcpy(big + i, "\xe2\x82\xac", 3);
	for (size_t i = 0; i < N; i++)
		argv[i] = i == 5 ? big : "argument-of-a-command";
	const struct audit_field fields[] = {AUDIT_F_STRV("argv", argv, N), AUDIT_F_STR("cwd", big),
					     AUDIT_F_STR("exe", big), AUDIT_F_HEX("sha256", big, 64)};
	const struct audit_event ev = {.op = "exec", .decision = "allow", .verdict = VERDICT_ALLOW,
				       .rule = big, .message = big, .fields = fields, .n_fields = 4};

	len = audit_event_encode(buf, &ev);
	CU_ASSERT_FATAL(len > 0);
	CU_ASSERT_EQUAL(cbor_check_map(buf, (size_t)len), 0);
	CU_ASSERT_EQUAL(cbor_find(buf, (size_t)len, "truncated", &in), 0);
	CU_ASSERT_EQUAL(in.p[0], 0xf5);
	/* cut between characters: still text */
	CU_ASSERT_EQUAL(cbor_find(buf, (size_t)len, "cwd", &in), 0);
	CU_ASSERT_EQUAL(in.p[0] >> 5, CBOR_TEXT);
}

static void test_crc(void)
{
	uint8_t zeros[32] = {0}, up[32], buf[100];

	/* RFC 3720 B.4 */
	for (unsigned i = 0; i < sizeof(up); i++)
		up[i] = (uint8_t)i;
	CU_ASSERT_EQUAL(crc32c(0, zeros, sizeof(zeros)), 0x8a9136aa);
	CU_ASSERT_EQUAL(crc32c(0, up, sizeof(up)), 0x46dd794e);
	CU_ASSERT_EQUAL(crc32c(0, "123456789", 9), 0xe3069283);
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 37);
	for (unsigned n = 0; n <= sizeof(buf); n++) {
		CU_ASSERT_EQUAL(crc32c(0, buf, n), crc32c_portable(0, buf, n));
		CU_ASSERT_EQUAL(crc32c(crc32c(0, buf, n), buf + n, sizeof(buf) - n),
				crc32c(0, buf, sizeof(buf)));
	}
}

static const struct unit_case cases[] = {
	{"integers", test_integers}, {"refused", test_refused}, {"event", test_event},
	{"event strings", test_event_strings}, {"event order", test_event_order},
	{"event too long", test_event_long}, {"crc32c", test_crc},
};

UNIT_MAIN("cbor", cases)
