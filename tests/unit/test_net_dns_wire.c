#include "netgate/net_dns_wire.h"

#include <errno.h>
#include <string.h>

#include "netgate/net_fence.h"
#include "netgate/net_pool.h"
#include "tests/unit/unit.h"

#define HEADER "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define HEADER_OPT "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
#define OPT "\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00"
#define NAME "\x07" "eXample\x03" "com\x00"
#define A_IN "\x00\x01\x00\x01"

static void queries(void)
{
	static const struct {
		const char *msg;
		size_t len;
		int result;
		const char *name;
	} cases[] = {
#define Q(m, r, n) {m, sizeof(m) - 1, r, n}
		Q(HEADER NAME A_IN, DNS_NOERROR, "example.com"),
		Q(HEADER_OPT NAME A_IN OPT, DNS_NOERROR, "example.com"),
		Q(HEADER "\x01*\x00" A_IN, DNS_NOERROR, NULL),
		Q(HEADER "\x00" A_IN, DNS_NOERROR, NULL),
		Q(HEADER "\x03" "a.b\x00" A_IN, DNS_NOERROR, NULL),
		Q(HEADER "\x03" "a\0b\x00" A_IN, DNS_NOERROR, NULL),
		Q(HEADER NAME "\x00\x01\x00\x03", DNS_REFUSED, NULL), /* CHAOS */
		Q(HEADER NAME "\x00\xff\x00\x01", DNS_NOTIMP, NULL),  /* ANY */
		Q(HEADER NAME "\x00\xfc\x00\x01", DNS_NOTIMP, NULL),  /* AXFR */
		Q("\x12\x34\x29\x00\x00\x01\x00\x00\x00\x00\x00\x00" NAME A_IN, DNS_NOTIMP, NULL),
		Q("\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00" NAME A_IN, -EBADMSG, NULL),
		Q("\x12\x34\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00" NAME A_IN NAME A_IN,
		  DNS_FORMERR, NULL),
		Q("\x12\x34\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00", DNS_FORMERR, NULL),
		Q("\x12\x34\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00" NAME A_IN, DNS_FORMERR, NULL),
		Q(HEADER NAME A_IN "x", DNS_FORMERR, NULL),
		Q(HEADER NAME "\x00\x01", DNS_FORMERR, NULL),
		Q(HEADER "\xc0\x0c" A_IN, DNS_FORMERR, NULL), /* a pointer to itself */
		Q(HEADER "\x40" "a\x00" A_IN, DNS_FORMERR, NULL),
		Q(HEADER "\x3f" "abc", DNS_FORMERR, NULL),
		Q(HEADER, DNS_FORMERR, NULL),
		Q(HEADER_OPT NAME A_IN, DNS_FORMERR, NULL),
		Q(HEADER_OPT NAME A_IN "\x00\x00\x29\x10\x00\x00\x00\x00\x00\xff\xff", DNS_FORMERR,
		  NULL),
		Q("", -EBADMSG, NULL),
		Q("\x12\x34\x01", -EBADMSG, NULL),
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t out[DNS_ANSWER_MAX];
		struct dns_answer a = {.rcode = DNS_REFUSED};
		struct dns_query q;
		int r = net_dns_wire_parse(&q, (const uint8_t *)cases[i].msg, cases[i].len);

		CU_ASSERT_EQUAL(r, cases[i].result);
		if (r == DNS_NOERROR)
			CU_ASSERT_EQUAL(q.has_name, cases[i].name != NULL);
		if (r == DNS_NOERROR && cases[i].name)
			CU_ASSERT_STRING_EQUAL(q.name, cases[i].name);
		if (r >= 0)
			CU_ASSERT_TRUE(net_dns_wire_answer(out, &q, &a) >= 12);
	}
}

static void longest_name(void)
{
	uint8_t msg[600] = HEADER;
	size_t n = 12;
	struct dns_query q;

	for (unsigned i = 0; i < 4; i++) {
		size_t len = i < 3 ? 63 : 61;

		msg[n++] = (uint8_t)len;
		memset(msg + n, 'a', len);
		n += len;
	}
	msg[n++] = 0; /* 255 bytes on the wire */
	memcpy(msg + n, A_IN, 4);
	CU_ASSERT_EQUAL(net_dns_wire_parse(&q, msg, n + 4), DNS_NOERROR);
	CU_ASSERT_EQUAL(strlen(q.name), 253);
	CU_ASSERT_EQUAL(q.question_len, 259);
	msg[12 + 3 * 64] = 62; /* one more */
	memset(msg + 12 + 3 * 64 + 1, 'a', 62);
	msg[12 + 3 * 64 + 63] = 0;
	memcpy(msg + 12 + 3 * 64 + 64, A_IN, 4);
	CU_ASSERT_EQUAL(net_dns_wire_parse(&q, msg, n + 5), DNS_FORMERR);
}

static void answers(void)
{
	static const char msg[] = HEADER_OPT NAME A_IN OPT;
	static const char want[] = "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x01" NAME A_IN
				   "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04\xc6\x12\x00\x01"
				   "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
	struct dns_answer a = {.has_addr = true, .addr = net_pool_addr(4, 1), .ttl_s = 30};
	uint8_t out[DNS_ANSWER_MAX];
	struct dns_query q;
	size_t n;

	net_dns_wire_parse(&q, (const uint8_t *)msg, sizeof(msg) - 1);
	n = net_dns_wire_answer(out, &q, &a);
	CU_ASSERT_EQUAL(n, sizeof(want) - 1);
	CU_ASSERT_EQUAL(memcmp(out, want, n), 0);
}

static void reverse(void)
{
	struct policy_addr a, want = net_pool_addr(6, 0x12345);

	CU_ASSERT_TRUE(net_dns_wire_reverse(&a, "1.0.18.198.in-addr.arpa"));
	CU_ASSERT_EQUAL(memcmp(a.bytes, "\xc6\x12\x00\x01", 4), 0);
	CU_ASSERT_TRUE(net_dns_wire_reverse(
		&a,
		"5.4.3.2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.f.f.f.f.0.0.d.f.ip6.arpa"));
	CU_ASSERT_EQUAL(memcmp(a.bytes, want.bytes, 16), 0);
	CU_ASSERT_FALSE(net_dns_wire_reverse(&a, "256.0.18.198.in-addr.arpa"));
	CU_ASSERT_FALSE(net_dns_wire_reverse(&a, "0.18.198.in-addr.arpa"));
	CU_ASSERT_FALSE(net_dns_wire_reverse(&a, "x.in-addr.arpa"));
	CU_ASSERT_FALSE(net_dns_wire_reverse(&a, "example.com"));
}

static void pool(void)
{
	AUTO(net_pool_free) struct net_pool *p = NULL;
	char name[32];

	CU_ASSERT_EQUAL(net_pool_new(&p, 1000), 0);
	for (int i = 1; i <= 1000; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		CU_ASSERT_EQUAL(net_pool_get(p, name), i);
	}
	CU_ASSERT_EQUAL(net_pool_get(p, "n7.example"), 7);
	CU_ASSERT_EQUAL(net_pool_get(p, "other.example"), -ENOSPC);
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct policy_addr a = net_pool_addr(family, 999);

		CU_ASSERT_TRUE(net_pool_contains(&a));
		CU_ASSERT_STRING_EQUAL(net_pool_name(p, &a), "n999.example");
		a = net_pool_addr(family, 1001);
		CU_ASSERT_PTR_NULL(net_pool_name(p, &a));
		a = net_pool_addr(family, 0);
		CU_ASSERT_PTR_NULL(net_pool_name(p, &a));
		a = net_pool_addr(family, NET_POOL_MAX);
		CU_ASSERT_TRUE(net_pool_contains(&a));
	}
	CU_ASSERT_FALSE(net_pool_contains(&(struct policy_addr){4, {198, 20, 0, 1}}));
	CU_ASSERT_FALSE(net_pool_contains(&(struct policy_addr){6, {[15] = 1}}));
}

static void packets(void)
{
	static const uint8_t udp4[] = {0x45, 0,	 0, 28, 0, 0, 0, 0,  64, 17, 0, 0,   10, 200,
				       0,    1, 8, 8,  8, 8, 0x30, 0x39, 1, 187, 0, 8, 0, 0};
	static const uint8_t icmp6[48] = {0x60, 0, 0, 0, 0, 8, 58, 64, [23] = 1, [39] = 2, [40] = 128};
	struct policy_addr src;
	struct net_packet p;
	uint16_t port;

	CU_ASSERT_EQUAL(net_fence_parse(&p, &src, &port, udp4, sizeof(udp4)), 0);
	CU_ASSERT_STRING_EQUAL(p.proto, "udp");
	CU_ASSERT_EQUAL(p.port, 443);
	CU_ASSERT_EQUAL(port, 12345);
	CU_ASSERT_EQUAL(p.addr.bytes[0], 8);
	CU_ASSERT_EQUAL(net_fence_parse(&p, &src, &port, icmp6, sizeof(icmp6)), 0);
	CU_ASSERT_STRING_EQUAL(p.proto, "icmpv6");
	CU_ASSERT_EQUAL(p.port, 0);
	for (size_t n = 0; n < 20; n++)
		CU_ASSERT_EQUAL(net_fence_parse(&p, &src, &port, udp4, n), -EBADMSG);
	CU_ASSERT_EQUAL(net_fence_parse(&p, &src, &port, icmp6, 39), -EBADMSG);
}

static const struct unit_case cases[] = {
	{"queries", queries},	{"the longest name", longest_name},
	{"answers", answers},	{"reverse names", reverse},
	{"synthetic pool", pool}, {"packets of the fence", packets},
};
UNIT_MAIN("net_dns_wire", cases)
