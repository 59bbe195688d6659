#include "common/match.h"

#include <string.h>

bool match_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, left = bits % 8;
	uint8_t mask = (uint8_t)(0xff << (8 - left));

	return memcmp(a, b, whole) == 0 &&
	       (left == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

struct range {
	uint8_t bits;
	uint8_t bytes[16];
};

/* IANA special-purpose registries: whatever is not globally reachable, and multicast */
static const struct range private4[] = {
	{8, {0}},		/* this network */
	{8, {10}},		/* private, RFC 1918 */
	{10, {100, 64}},	/* carrier-grade NAT, RFC 6598 */
	{8, {127}},		/* loopback */
	{16, {169, 254}},	/* link-local; cloud metadata */
	{12, {172, 16}},	/* private */
	{24, {192, 0, 0}},	/* IETF protocol assignments */
	{24, {192, 0, 2}},	/* documentation */
	{24, {192, 88, 99}},	/* 6to4 relay anycast, deprecated */
	{16, {192, 168}},	/* private */
	{15, {198, 18}},	/* benchmarking */
	{24, {198, 51, 100}},	/* documentation */
	{24, {203, 0, 113}},	/* documentation */
	{4, {224}},		/* multicast */
	{4, {240}},		/* reserved and broadcast */
};

static const struct range private6[] = {
	{128, {0}},				 /* unspecified */
	{128, {[15] = 1}},			 /* loopback */
	{48, {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}}, /* local-use NAT64, RFC 8215 */
	{64, {0x01}},				 /* discard, RFC 6666 */
	{23, {0x20, 0x01}},			 /* IETF protocols; Teredo hides an IPv4 address */
	{32, {0x20, 0x01, 0x0d, 0xb8}},		 /* documentation */
	{20, {0x3f, 0xff}},			 /* documentation, RFC 9637 */
	{16, {0x5f, 0x00}},			 /* segment routing SIDs, RFC 9602 */
	{7, {0xfc}},				 /* unique local; fd00:ec2::254 is metadata */
	{10, {0xfe, 0x80}},			 /* link-local */
	{10, {0xfe, 0xc0}},			 /* site-local, deprecated */
	{8, {0xff}},				 /* multicast */
};

/* Prefixes under which an IPv6 address carries an IPv4 address, and where. */
static const struct {
	struct range range;
	uint8_t offset;
} embedding[] = {
	{{96, {[10] = 0xff, [11] = 0xff}}, 12},		/* mapped, RFC 4291 */
	{{96, {0}}, 12},				/* compatible, deprecated */
	{{96, {[8] = 0xff, [9] = 0xff}}, 12},		/* translated, RFC 2765 */
	{{96, {0x00, 0x64, 0xff, 0x9b}}, 12},		/* NAT64, RFC 6052 */
	{{16, {0x20, 0x02}}, 2},			/* 6to4, RFC 3056 */
};

static bool in_ranges(const struct range *ranges, size_t n, const uint8_t *addr)
{
	for (size_t i = 0; i < n; i++)
		if (match_prefix(addr, ranges[i].bytes, ranges[i].bits))
			return true;
	return false;
}

bool match_is_private(uint8_t family, const uint8_t *addr)
{
	if (family == 4)
		return in_ranges(private4, sizeof(private4) / sizeof(private4[0]), addr);
	if (family != 6 || in_ranges(private6, sizeof(private6) / sizeof(private6[0]), addr))
		return true;
	for (size_t i = 0; i < sizeof(embedding) / sizeof(embedding[0]); i++)
		if (match_prefix(addr, embedding[i].range.bytes, embedding[i].range.bits) &&
		    match_is_private(4, addr + embedding[i].offset))
			return true;
	return false;
}

static char *put_number(char *p, unsigned value, unsigned base)
{
	unsigned divisor = 1;

	while (value / divisor >= base)
		divisor *= base;
	for (; divisor; divisor /= base)
		*p++ = "0123456789abcdef"[value / divisor % base];
	return p;
}

static char *put_dotted(char *p, const uint8_t *addr)
{
	for (unsigned i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		p = put_number(p, addr[i], 10);
	}
	return p;
}

/* The longest run of two or more zero groups, the first of equals. */
static unsigned longest_zeros(const uint8_t *addr, unsigned *len)
{
	unsigned best = 8, run = 0;

	*len = 1;
	for (unsigned i = 0; i < 8; i++) {
		run = addr[2 * i] || addr[2 * i + 1] ? 0 : run + 1;
		if (run > *len) {
			*len = run;
			best = i + 1 - run;
		}
	}
	return best;
}

void match_addr_text(char out[MATCH_ADDR_TEXT], uint8_t family, const uint8_t *addr)
{
	unsigned zeros = 8, n_zeros = 0;
	char *p = out;

	if (family == 4) {
		p = put_dotted(p, addr);
	} else if (family == 6 && match_prefix(addr, embedding[0].range.bytes, 96)) {
		memcpy(p, "::ffff:", 7);
		p = put_dotted(p + 7, addr + 12);
	} else if (family == 6) {
		zeros = longest_zeros(addr, &n_zeros);
		for (unsigned i = 0; i < 8; i++) {
			if (i == zeros) {
				*p++ = ':';
				if (i == 0)
					*p++ = ':';
				i += n_zeros - 1;
				continue;
			}
			p = put_number(p, addr[2 * i] << 8 | addr[2 * i + 1], 16);
			if (i < 7)
				*p++ = ':';
		}
	}
	*p = '\0';
}
