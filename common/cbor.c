#include "common/cbor.h"

#include <errno.h>
#include <string.h>

#include "common/str.h"

/* ---- writing ---- */

void cbor_begin(struct cbor_out *o, void *buf, size_t size)
{
	*o = (struct cbor_out){.p = buf, .size = size};
}

static void put(struct cbor_out *o, const void *p, size_t len)
{
	if (o->full || len > o->size - o->len) {
		o->full = true;
		return;
	}
	if (len)
		memcpy(o->p + o->len, p, len);
	o->len += len;
}

#define HEAD_MAX 9u

/* @return the byte after it */
static inline uint8_t *put_head(uint8_t *p, enum cbor_type type, uint64_t n)
{
	static const uint8_t info[] = {0, 24, 25, 0, 26, 0, 0, 0, 27};
	unsigned bytes;

	if (n < 24) {
		*p++ = (uint8_t)((unsigned)type << 5 | (unsigned)n);
		return p;
	}
	bytes = n <= UINT8_MAX ? 1 : n <= UINT16_MAX ? 2 : n <= UINT32_MAX ? 4 : 8;
	*p++ = (uint8_t)((unsigned)type << 5 | info[bytes]);
	for (unsigned i = bytes; i-- > 0;)
		*p++ = (uint8_t)(n >> (8 * i));
	return p;
}

/* Copy a short string and look at it on the way. @return whether all of it is ASCII */
static inline bool copy_ascii(uint8_t *to, const char *from, size_t len)
{
	uint64_t seen = 0, eight;
	uint32_t four;

	for (; len >= 8; len -= 8, to += 8, from += 8) {
		memcpy(&eight, from, 8);
		memcpy(to, &eight, 8);
		seen |= eight;
	}
	if (len & 4) {
		memcpy(&four, from, 4);
		memcpy(to, &four, 4);
		seen |= four;
		to += 4;
		from += 4;
	}
	for (len &= 3; len; len--) {
		seen |= (unsigned char)*from;
		*to++ = (uint8_t)*from++;
	}
	return !(seen & 0x8080808080808080ull);
}

static bool has_room(const struct cbor_out *o, size_t len)
{
	return !o->full && o->size - o->len >= HEAD_MAX && o->size - o->len - HEAD_MAX >= len;
}

void cbor_head(struct cbor_out *o, enum cbor_type type, uint64_t n)
{
	uint8_t head[HEAD_MAX];

	if (has_room(o, 0))
		o->len = (size_t)(put_head(o->p + o->len, type, n) - o->p);
	else
		put(o, head, (size_t)(put_head(head, type, n) - head));
}

void cbor_u64(struct cbor_out *o, uint64_t v)
{
	cbor_head(o, CBOR_UINT, v);
}

void cbor_i64(struct cbor_out *o, int64_t v)
{
	if (v >= 0)
		cbor_head(o, CBOR_UINT, (uint64_t)v);
	else
		cbor_head(o, CBOR_NINT, ~(uint64_t)v);
}

void cbor_bool(struct cbor_out *o, bool v)
{
	cbor_head(o, CBOR_SIMPLE, v ? 21 : 20);
}

void cbor_bytes(struct cbor_out *o, const void *p, size_t len)
{
	cbor_head(o, CBOR_BYTES, len);
	put(o, p, len);
}

void cbor_str(struct cbor_out *o, const void *p, size_t len)
{
	uint8_t *head = o->p + o->len, *text;

	if (!has_room(o, len)) {
		cbor_head(o, str_is_utf8(p, len) ? CBOR_TEXT : CBOR_BYTES, len);
		put(o, p, len);
		return;
	}
	text = put_head(head, CBOR_TEXT, len);
	if (!copy_ascii(text, p, len) && !str_is_utf8(p, len))
		put_head(head, CBOR_BYTES, len);
	o->len = (size_t)(text + len - o->p);
}

void cbor_text(struct cbor_out *o, const char *s)
{
	cbor_str(o, s, strlen(s));
}

/* Encoded keys compare by head first, and the head grows with the length. */
static int key_cmp(const void *a, size_t la, const void *b, size_t lb)
{
	if (la != lb)
		return la < lb ? -1 : 1;
	return la ? memcmp(a, b, la) : 0;
}

int cbor_key_cmp(const char *a, const char *b)
{
	return key_cmp(a, strlen(a), b, strlen(b));
}

/* ---- reading ---- */

static int take_number(struct cbor_in *in, unsigned info, uint64_t *n)
{
	uint64_t v = 0;
	unsigned bytes;

	if (info < 24) {
		*n = info;
		return 0;
	}
	if (info > 27)
		return -EBADMSG;
	bytes = 1u << (info - 24);
	if (in->left < bytes)
		return -EBADMSG;
	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | in->p[i];
	in->p += bytes;
	in->left -= bytes;
	/* shortest form only */
	if (v < 24 || (bytes > 1 && v >> (4 * bytes) == 0))
		return -EBADMSG;
	*n = v;
	return 0;
}

int cbor_next(struct cbor_in *in, struct cbor_item *out)
{
	unsigned head;

	if (!in->left)
		return -EBADMSG;
	head = *in->p++;
	in->left--;
	out->type = (enum cbor_type)(head >> 5);
	out->p = NULL;
	if (take_number(in, head & 31, &out->n) < 0)
		return -EBADMSG;
	switch (out->type) {
	case CBOR_BYTES:
	case CBOR_TEXT:
		if (out->n > in->left)
			return -EBADMSG;
		out->p = in->p;
		in->p += out->n;
		in->left -= (size_t)out->n;
		return 0;
	case CBOR_SIMPLE:
		return out->n >= 20 && out->n <= 22 ? 0 : -EBADMSG;
	case CBOR_ARRAY:
	case CBOR_MAP:
		/* each element has a byte at least: a count beyond that is a lie */
		return out->n <= in->left ? 0 : -EBADMSG;
	case CBOR_UINT:
	case CBOR_NINT:
	case CBOR_TAG:
		return 0;
	}
	return -EBADMSG;
}

bool cbor_is_text(const struct cbor_item *it, const char *s)
{
	return it->type == CBOR_TEXT && it->n == strlen(s) && memcmp(it->p, s, it->n) == 0;
}

static int check_item(struct cbor_in *in, unsigned depth);

static int check_pairs(struct cbor_in *in, uint64_t pairs, unsigned depth)
{
	struct cbor_item last = {.type = CBOR_TEXT};

	for (uint64_t i = 0; i < pairs; i++) {
		struct cbor_item key;

		if (cbor_next(in, &key) < 0 || key.type != CBOR_TEXT ||
		    !str_is_utf8((const char *)key.p, key.n))
			return -EBADMSG;
		if (i && key_cmp(last.p, last.n, key.p, key.n) >= 0)
			return -EBADMSG;
		last = key;
		if (check_item(in, depth) < 0)
			return -EBADMSG;
	}
	return 0;
}

static int check_item(struct cbor_in *in, unsigned depth)
{
	struct cbor_item it;

	if (depth > CBOR_DEPTH_MAX || cbor_next(in, &it) < 0)
		return -EBADMSG;
	if (it.type == CBOR_TEXT)
		return str_is_utf8((const char *)it.p, it.n) ? 0 : -EBADMSG;
	if (it.type == CBOR_MAP)
		return check_pairs(in, it.n, depth + 1);
	if (it.type == CBOR_TAG)
		return check_item(in, depth + 1);
	for (uint64_t i = 0; it.type == CBOR_ARRAY && i < it.n; i++)
		if (check_item(in, depth + 1) < 0)
			return -EBADMSG;
	return 0;
}

int cbor_skip(struct cbor_in *in)
{
	return check_item(in, 1);
}

int cbor_check_map(const void *p, size_t len)
{
	struct cbor_in in = {p, len};

	if (!len || (*in.p >> 5) != CBOR_MAP || check_item(&in, 0) < 0)
		return -EBADMSG;
	return in.left ? -EBADMSG : 0;
}

int cbor_find(const void *map, size_t len, const char *key, struct cbor_in *value)
{
	struct cbor_in in = {map, len};
	struct cbor_item it;

	if (cbor_next(&in, &it) < 0 || it.type != CBOR_MAP)
		return -ENOENT;
	for (uint64_t i = it.n; i > 0; i--) {
		if (cbor_next(&in, &it) < 0)
			return -ENOENT;
		if (cbor_is_text(&it, key)) {
			*value = in;
			return 0;
		}
		if (cbor_skip(&in) < 0)
			return -ENOENT;
	}
	return -ENOENT;
}

int cbor_find_u64(const void *map, size_t len, const char *key, uint64_t *out)
{
	struct cbor_in in;
	struct cbor_item it;

	if (cbor_find(map, len, key, &in) < 0)
		return -ENOENT;
	if (cbor_next(&in, &it) < 0 || it.type != CBOR_UINT)
		return -EBADMSG;
	*out = it.n;
	return 0;
}

int cbor_find_text(const void *map, size_t len, const char *key, char *out, size_t size)
{
	struct cbor_in in;
	struct cbor_item it;

	if (cbor_find(map, len, key, &in) < 0)
		return -ENOENT;
	if (cbor_next(&in, &it) < 0 || it.type != CBOR_TEXT || it.n >= size ||
	    memchr(it.p, 0, it.n))
		return -EBADMSG;
	memcpy(out, it.p, it.n);
	out[it.n] = '\0';
	return 0;
}

int cbor_find_bytes(const void *map, size_t len, const char *key, uint8_t *out, size_t n)
{
	struct cbor_in in;
	struct cbor_item it;

	if (cbor_find(map, len, key, &in) < 0)
		return -ENOENT;
	if (cbor_next(&in, &it) < 0 || it.type != CBOR_BYTES || it.n != n)
		return -EBADMSG;
	memcpy(out, it.p, n);
	return 0;
}
