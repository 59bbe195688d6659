#include "netgate/net_dns_wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HEADER 12
#define CLASS_IN 1
#define FLAG_QR 0x8000
#define FLAG_TC 0x0200
#define FLAG_RD 0x0100
#define FLAG_RA 0x0080
#define OPCODE(flags) ((flags) >> 11 & 15)

struct reader {
	const uint8_t *p;
	size_t len, pos;
	bool bad;
};

static uint16_t get16(struct reader *r)
{
	uint16_t v;

	if (r->len - r->pos < 2) {
		r->bad = true;
		return 0;
	}
	v = (uint16_t)(r->p[r->pos] << 8 | r->p[r->pos + 1]);
	r->pos += 2;
	return v;
}

/*
 * The name of a question: labels, never a compression pointer (nothing stands before it that one
 * could point to). `text` gets it with dots; a byte that no host name has makes *plain false.
 */
static void get_name(struct reader *r, char *text, bool *plain)
{
	size_t n = 0;

	*plain = true;
	for (;;) {
		uint8_t label = r->pos < r->len ? r->p[r->pos] : 0xff;

		r->pos++;
		if (label == 0)
			break;
		if (label > 63 || r->pos + label > r->len || n + label + 1 > 254) {
			r->bad = true;
			return;
		}
		if (memchr(r->p + r->pos, '\0', label) || memchr(r->p + r->pos, '.', label))
			*plain = false;
		memcpy(text + n, r->p + r->pos, label);
		n += label;
		text[n++] = '.';
		r->pos += label;
	}
	text[n] = '\0';
}

/* OPT in the additional section; nothing else belongs there (TSIG is not for a stub). */
static void get_additional(struct dns_query *q, struct reader *r, unsigned count)
{
	for (unsigned i = 0; i < count && !r->bad; i++) {
		uint16_t type, len;

		if (r->pos >= r->len || r->p[r->pos] != 0) {
			r->bad = true;
			return;
		}
		r->pos++;
		type = get16(r);
		get16(r);
		get16(r);
		get16(r);
		len = get16(r);
		if (r->bad || len > r->len - r->pos || type != DNS_OPT || q->edns) {
			r->bad = true;
			return;
		}
		r->pos += len;
		q->edns = true;
	}
}

static int get_question(struct dns_query *q, struct reader *r)
{
	size_t start = r->pos;
	char text[256];
	bool plain;
	uint16_t class;

	get_name(r, text, &plain);
	if (r->bad)
		return DNS_FORMERR;
	q->type = get16(r);
	class = get16(r);
	if (r->bad)
		return DNS_FORMERR;
	q->question_len = r->pos - start;
	memcpy(q->question, r->p + start, q->question_len);
	q->has_name = plain && net_name_normalise(q->name, text, strlen(text));
	return class == CLASS_IN ? DNS_NOERROR : DNS_REFUSED;
}

static bool is_unserved(uint16_t type)
{
	return type == DNS_ANY || (type >= DNS_IXFR && type <= DNS_MAILA) || type == DNS_OPT;
}

int net_dns_wire_parse(struct dns_query *q, const uint8_t *msg, size_t len)
{
	struct reader r = {.p = msg, .len = len};
	uint16_t flags, questions, answers, authorities, additionals;
	int rcode;

	memset(q, 0, sizeof(*q));
	if (len < HEADER)
		return -EBADMSG;
	q->id = get16(&r);
	flags = get16(&r);
	if (flags & FLAG_QR)
		return -EBADMSG;
	q->rd = flags & FLAG_RD;
	questions = get16(&r);
	answers = get16(&r);
	authorities = get16(&r);
	additionals = get16(&r);
	if (OPCODE(flags) != 0)
		return DNS_NOTIMP;
	if (questions != 1 || answers || authorities || additionals > 1 || (flags & FLAG_TC))
		return DNS_FORMERR;
	rcode = get_question(q, &r);
	if (rcode == DNS_FORMERR)
		return rcode;
	get_additional(q, &r, additionals);
	if (r.bad || r.pos != len)
		return DNS_FORMERR;
	if (rcode == DNS_NOERROR && is_unserved(q->type))
		return DNS_NOTIMP;
	return rcode;
}

/* ---- reverse names ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool reverse6(struct policy_addr *out, const char *name)
{
	out->family = 6;
	for (unsigned i = 0; i < 32; i++, name += 2) {
		int v = hex_digit(name[0]);

		if (v < 0 || name[1] != '.')
			return false;
		out->bytes[15 - i / 2] |= (uint8_t)(i % 2 ? v << 4 : v);
	}
	return strcmp(name, "ip6.arpa") == 0;
}

static bool reverse4(struct policy_addr *out, const char *name)
{
	out->family = 4;
	for (unsigned i = 0; i < 4; i++) {
		unsigned v = 0, digits = 0;

		while (*name >= '0' && *name <= '9' && digits++ < 3)
			v = v * 10 + (unsigned)(*name++ - '0');
		if (digits == 0 || v > 255 || *name++ != '.')
			return false;
		out->bytes[3 - i] = (uint8_t)v;
	}
	return strcmp(name, "in-addr.arpa") == 0;
}

bool net_dns_wire_reverse(struct policy_addr *out, const char *name)
{
	size_t len = strlen(name);

	memset(out, 0, sizeof(*out));
	if (len == 72 && strcmp(name + 64, "ip6.arpa") == 0)
		return reverse6(out, name);
	memset(out, 0, sizeof(*out));
	return reverse4(out, name);
}

/* ---- answers ---- */

static uint8_t *put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put_name(uint8_t *p, const char *name)
{
	while (*name) {
		const char *dot = strchr(name, '.');
		size_t n = dot ? (size_t)(dot - name) : strlen(name);

		*p++ = (uint8_t)n;
		memcpy(p, name, n);
		p += n;
		name += n + (dot != NULL);
	}
	*p++ = 0;
	return p;
}

static uint8_t *put_record(uint8_t *p, const struct dns_query *q, const struct dns_answer *a)
{
	uint8_t *length, *data;

	p = put16(p, 0xc000 | HEADER); /* the question's name */
	p = put16(p, q->type);
	p = put16(p, CLASS_IN);
	p = put16(p, a->ttl_s >> 16);
	p = put16(p, a->ttl_s & 0xffff);
	length = p;
	data = p + 2;
	if (a->ptr) {
		p = put_name(data, a->ptr);
	} else {
		size_t n = a->addr.family == 4 ? 4 : 16;

		memcpy(data, a->addr.bytes, n);
		p = data + n;
	}
	put16(length, (unsigned)(p - data));
	return p;
}

size_t net_dns_wire_answer(uint8_t *out, const struct dns_query *q, const struct dns_answer *a)
{
	bool record = a->rcode == DNS_NOERROR && (a->has_addr || a->ptr) && q->question_len;
	uint8_t *p = out;

	p = put16(p, q->id);
	p = put16(p, FLAG_QR | FLAG_RA | (q->rd ? FLAG_RD : 0) | (unsigned)a->rcode);
	p = put16(p, q->question_len ? 1 : 0);
	p = put16(p, record);
	p = put16(p, 0);
	p = put16(p, q->edns);
	memcpy(p, q->question, q->question_len);
	p += q->question_len;
	if (record)
		p = put_record(p, q, a);
	if (q->edns) {
		*p++ = 0;
		p = put16(p, DNS_OPT);
		p = put16(p, 1232); /* our UDP payload size: no fragments (RFC 9715) */
		memset(p, 0, 6);    /* extended rcode, version, flags, no options */
		p += 6;
	}
	return (size_t)(p - out);
}

const char *net_dns_wire_type(char *buf, uint16_t type)
{
	static const struct {
		uint16_t type;
		char name[8];
	} names[] = {{1, "A"},	   {2, "NS"},	{5, "CNAME"}, {6, "SOA"},    {12, "PTR"},
		     {15, "MX"},   {16, "TXT"}, {28, "AAAA"}, {33, "SRV"},   {35, "NAPTR"},
		     {64, "SVCB"}, {65, "HTTPS"}, {257, "CAA"}, {252, "AXFR"}, {255, "ANY"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	snprintf(buf, 16, "TYPE%u", type);
	return buf;
}
