#include "netgate/tls_hello.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

/* A ClientHello under construction. */
struct hello {
	uint8_t b[20000];
	size_t n;
};

static void put(struct hello *h, const void *p, size_t n)
{
	memcpy(h->b + h->n, p, n);
	h->n += n;
}

static void put_n(struct hello *h, unsigned bytes, size_t v)
{
	while (bytes--)
		h->b[h->n++] = (uint8_t)(v >> (8 * bytes));
}

static void put_sni(struct hello *h, const char *name, size_t len)
{
	put_n(h, 2, 0);
	put_n(h, 2, len + 5);
	put_n(h, 2, len + 3);
	put_n(h, 1, 0);
	put_n(h, 2, len);
	put(h, name, len);
}

static void put_alpn(struct hello *h)
{
	put_n(h, 2, 16);
	put_n(h, 2, 14);
	put_n(h, 2, 12);
	put(h, "\x02h2\x08http/1.1", 12);
}

/* Wrap extensions into a handshake message; into records of at most `record` bytes. */
static void wrap(struct hello *out, const struct hello *ext, size_t record)
{
	static const uint8_t random[32];
	struct hello m = {.n = 0};

	put_n(&m, 1, 1);
	put_n(&m, 3, 2 + 32 + 1 + 2 + 2 + 2 + 2 + ext->n);
	put_n(&m, 2, 0x0303);
	put(&m, random, 32);
	put_n(&m, 1, 0);
	put_n(&m, 2, 2);
	put_n(&m, 2, 0x1301);
	put_n(&m, 1, 1);
	put_n(&m, 1, 0);
	put_n(&m, 2, ext->n);
	put(&m, ext->b, ext->n);
	out->n = 0;
	for (size_t i = 0; i < m.n; i += record) {
		size_t n = m.n - i < record ? m.n - i : record;

		put_n(out, 1, 22);
		put_n(out, 2, 0x0301);
		put_n(out, 2, n);
		put(out, m.b + i, n);
	}
}

static int parse(struct tls_hello *t, const struct hello *h)
{
	return tls_hello_parse(t, h->b, h->n);
}

static void every_prefix(void)
{
	static const size_t records[] = {16384, 100, 7, 1};

	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		struct hello ext = {.n = 0}, h;
		struct tls_hello t;

		put_alpn(&ext);
		put_sni(&ext, "example.com", 11);
		wrap(&h, &ext, records[i]);
		for (size_t n = 0; n < h.n; n++)
			CU_ASSERT_EQUAL(tls_hello_parse(&t, h.b, n), TLS_HELLO_MORE);
		CU_ASSERT_EQUAL(parse(&t, &h), TLS_HELLO_DONE);
		CU_ASSERT_TRUE(t.has_sni);
		CU_ASSERT_FALSE(t.has_ech);
		CU_ASSERT_STRING_EQUAL(t.sni, "example.com");
		CU_ASSERT_STRING_EQUAL(t.alpn, "h2,http/1.1");
	}
}

static void without_name(void)
{
	struct hello ext = {.n = 0}, h;
	struct tls_hello t;

	wrap(&h, &ext, 16384);
	CU_ASSERT_EQUAL(parse(&t, &h), TLS_HELLO_DONE);
	CU_ASSERT_FALSE(t.has_sni);
}

static void large_and_grease(void)
{
	static const uint8_t share[1300];
	struct hello ext = {.n = 0}, h;
	struct tls_hello t;

	put_n(&ext, 2, 0x0a0a); /* GREASE */
	put_n(&ext, 2, 0);
	put_n(&ext, 2, 0xfe0d);
	put_n(&ext, 2, 3);
	put(&ext, "abc", 3);
	put_n(&ext, 2, 51); /* a post-quantum key share */
	put_n(&ext, 2, sizeof(share));
	put(&ext, share, sizeof(share));
	put_sni(&ext, "a.example", 9);
	wrap(&h, &ext, 512);
	CU_ASSERT_EQUAL(parse(&t, &h), TLS_HELLO_DONE);
	CU_ASSERT_TRUE(t.has_ech);
	CU_ASSERT_STRING_EQUAL(t.sni, "a.example");
}

static void hostile(void)
{
	struct hello ext = {.n = 0}, h;
	struct tls_hello t;

	put_sni(&ext, "a.example", 9);
	put_sni(&ext, "b.example", 9);
	wrap(&h, &ext, 16384);
	CU_ASSERT_EQUAL(parse(&t, &h), -EBADMSG); /* two names */

	ext.n = 0;
	put_sni(&ext, "a\0b.example", 11);
	wrap(&h, &ext, 16384);
	CU_ASSERT_EQUAL(parse(&t, &h), -EBADMSG);

	ext.n = 0;
	put_sni(&ext, "a.example", 9);
	ext.b[8] = 200; /* the name's length reaches beyond its list */
	wrap(&h, &ext, 16384);
	CU_ASSERT_EQUAL(parse(&t, &h), -EBADMSG);

	ext.n = 0;
	put_sni(&ext, "a.example", 9);
	wrap(&h, &ext, 16384);
	h.b[6] = 0xff; /* the handshake's length */
	CU_ASSERT_EQUAL(parse(&t, &h), -EMSGSIZE);

	wrap(&h, &ext, 16384);
	h.b[0] = 23;
	CU_ASSERT_EQUAL(parse(&t, &h), -EBADMSG);

	wrap(&h, &ext, 16384);
	h.b[5] = 2; /* a ServerHello */
	CU_ASSERT_EQUAL(parse(&t, &h), -EBADMSG);

	wrap(&h, &ext, 40); /* an alert between the two records */
	h.b[45] = 21;
	CU_ASSERT_EQUAL(parse(&t, &h), -EBADMSG);

	memcpy(h.b, "\x16\x03\x01\x00\x00", 5);
	CU_ASSERT_EQUAL(tls_hello_parse(&t, h.b, 5), -EBADMSG); /* an empty record */
}

static void recognition(void)
{
	CU_ASSERT_FALSE(tls_hello_looks_like((const uint8_t *)"", 0));
	CU_ASSERT_TRUE(tls_hello_looks_like((const uint8_t *)"\x16", 1));
	CU_ASSERT_TRUE(tls_hello_looks_like((const uint8_t *)"\x16\x03\x01\x00\x05\x01", 6));
	CU_ASSERT_FALSE(tls_hello_looks_like((const uint8_t *)"\x16\x03\x01\x00\x05\x02", 6));
	CU_ASSERT_FALSE(tls_hello_looks_like((const uint8_t *)"GET", 3));
	CU_ASSERT_FALSE(tls_hello_looks_like((const uint8_t *)"\x16\x04", 2));
}

static const struct unit_case cases[] = {
	{"every prefix, every split", every_prefix},
	{"without a name", without_name},
	{"large, GREASE, ECH", large_and_grease},
	{"hostile", hostile},
	{"recognition", recognition},
};
UNIT_MAIN("tls_hello", cases)
