#include "netgate/tls_hello.h"

#include <errno.h>
#include <string.h>

#define RECORD_HANDSHAKE 22
#define HANDSHAKE_CLIENT_HELLO 1
#define EXT_SERVER_NAME 0
#define EXT_ALPN 16
#define EXT_ECH 0xfe0d
#define RECORD_HEADER 5

/*
 * A cursor over the handshake bytes, which lie in the payloads of consecutive records: each byte
 * is fetched through the record it is in, so nothing is copied. `bad` is sticky.
 */
struct cursor {
	const uint8_t *buf;
	size_t len;  /* bytes of the stream that have arrived */
	size_t pos;  /* next byte of the stream */
	size_t left; /* bytes left of the current record's payload */
	size_t seen; /* handshake bytes consumed */
	bool bad;    /* malformed */
	bool dry;    /* ran out of bytes */
};

static void next_record(struct cursor *c)
{
	const uint8_t *r = c->buf + c->pos;
	size_t len;

	if (c->len - c->pos < RECORD_HEADER) {
		c->dry = true;
		return;
	}
	len = (size_t)r[3] << 8 | r[4];
	if (r[0] != RECORD_HANDSHAKE || r[1] != 3 || len == 0 || len > TLS_HELLO_MAX) {
		c->bad = true;
		return;
	}
	c->pos += RECORD_HEADER;
	c->left = len;
}

static uint8_t get8(struct cursor *c)
{
	if (c->left == 0 && !c->bad && !c->dry)
		next_record(c);
	if (c->bad || c->dry)
		return 0;
	if (c->pos == c->len) {
		c->dry = true;
		return 0;
	}
	c->left--;
	c->seen++;
	return c->buf[c->pos++];
}

static uint32_t get(struct cursor *c, unsigned bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | get8(c);
	return v;
}

static void skip(struct cursor *c, size_t n)
{
	while (n-- && !c->bad && !c->dry)
		get8(c);
}

/* A length whose contents must end within `end` handshake bytes. */
static size_t get_len(struct cursor *c, unsigned bytes, size_t end)
{
	size_t n = get(c, bytes);

	if (!c->dry && (c->seen > end || n > end - c->seen))
		c->bad = true;
	return c->bad || c->dry ? 0 : n;
}

static void server_name(struct tls_hello *out, struct cursor *c, size_t end)
{
	size_t list_end = get_len(c, 2, end);
	size_t n;

	list_end += c->seen;
	if (c->bad || c->dry)
		return;
	/* one entry, of type host_name: what every client sends, and all that RFC 6066 permits */
	if (list_end != end || get8(c) != 0) {
		c->bad = !c->dry;
		return;
	}
	n = get_len(c, 2, end);
	if (c->bad || c->dry)
		return;
	if (n == 0 || n >= sizeof(out->sni) || c->seen + n != end || out->has_sni) {
		c->bad = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		out->sni[i] = (char)get8(c);
		if (out->sni[i] == '\0')
			c->bad = !c->dry;
	}
	out->sni[n] = '\0';
	out->has_sni = true;
}

static void alpn(struct tls_hello *out, struct cursor *c, size_t end)
{
	size_t list_end = get_len(c, 2, end) + c->seen;
	size_t used = 0;

	if (list_end != end && !c->dry)
		c->bad = true;
	while (c->seen < end && !c->bad && !c->dry) {
		size_t n = get_len(c, 1, end);
		size_t start = used + (used > 0);
		bool keep = n > 0 && start + n < sizeof(out->alpn);

		for (size_t i = 0; i < n && !c->bad && !c->dry; i++) {
			uint8_t b = get8(c);

			if (b <= ' ' || b >= 0x7f || b == ',')
				keep = false;
			if (keep)
				out->alpn[start + i] = (char)b;
		}
		if (!keep)
			continue;
		if (start > used)
			out->alpn[used] = ',';
		used = start + n;
	}
	out->alpn[used] = '\0';
}

static void extensions(struct tls_hello *out, struct cursor *c, size_t end)
{
	while (c->seen < end && !c->bad && !c->dry) {
		uint32_t type = get(c, 2);
		size_t n = get_len(c, 2, end);
		size_t ext_end = c->seen + n;

		if (c->bad || c->dry)
			return;
		if (type == EXT_SERVER_NAME)
			server_name(out, c, ext_end);
		else if (type == EXT_ALPN)
			alpn(out, c, ext_end);
		else
			skip(c, n);
		if (type == EXT_ECH)
			out->has_ech = true;
	}
}

bool tls_hello_looks_like(const uint8_t *buf, size_t len)
{
	if (len == 0 || buf[0] != RECORD_HANDSHAKE)
		return false;
	if (len > 1 && buf[1] != 3)
		return false;
	return len <= RECORD_HEADER || buf[RECORD_HEADER] == HANDSHAKE_CLIENT_HELLO;
}

int tls_hello_parse(struct tls_hello *out, const uint8_t *buf, size_t len)
{
	struct cursor c = {.buf = buf, .len = len};
	size_t end;

	memset(out, 0, sizeof(*out));
	if (get8(&c) != HANDSHAKE_CLIENT_HELLO && !c.dry)
		return -EBADMSG;
	end = get(&c, 3);
	if (c.bad)
		return -EBADMSG;
	if (c.dry)
		return TLS_HELLO_MORE;
	if (end > TLS_HELLO_MAX)
		return -EMSGSIZE;
	end += 4;
	out->legacy_version = (uint16_t)get(&c, 2);
	skip(&c, 32);			 /* random */
	skip(&c, get_len(&c, 1, end));	 /* session id */
	skip(&c, get_len(&c, 2, end));	 /* cipher suites */
	skip(&c, get_len(&c, 1, end));	 /* compression methods */
	if (!c.dry && !c.bad && c.seen < end) {
		size_t n = get_len(&c, 2, end);

		if (!c.dry && !c.bad && c.seen + n != end)
			c.bad = true;
		extensions(out, &c, end);
	}
	if (c.bad)
		return -EBADMSG;
	if (c.dry)
		return TLS_HELLO_MORE;
	return c.seen == end ? TLS_HELLO_DONE : -EBADMSG;
}
