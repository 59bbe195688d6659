#include "netgate/http_body.h"

#include <errno.h>
#include <string.h>

/*
 * Theory: DONE <- LENGTH; SIZE -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ... ; a size of 0
 * goes to TRAILER, whose lines end at an empty one.
 */
enum {
	DONE,
	LENGTH,
	SIZE,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,	/* at the start of a line */
	TRAILER_NAME,	/* before the colon */
	TRAILER_VALUE,
	TRAILER_LF,
	LAST_LF,
};

void http_body_begin(struct http_body_state *b, const struct http_head *h)
{
	memset(b, 0, sizeof(*b));
	if (h->body == HTTP_BODY_LENGTH) {
		b->state = LENGTH;
		b->left = h->length;
	} else if (h->body == HTTP_BODY_CHUNKED) {
		b->state = SIZE;
	}
}

bool http_body_is_done(const struct http_body_state *b)
{
	return b->state == DONE;
}

static int size_byte(struct http_body_state *b, uint8_t c)
{
	unsigned v;

	if (c == '\r' && b->digits) {
		b->state = SIZE_LF;
		return 0;
	}
	if (c >= '0' && c <= '9')
		v = c - '0';
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		v = (c | 0x20u) - 'a' + 10;
	else
		return -EBADMSG;
	if (++b->digits > 15)
		return -EBADMSG;
	b->left = b->left << 4 | v;
	return 0;
}

static bool is_name_byte(uint8_t c)
{
	return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", c);
}

static int trailer_byte(struct http_body_state *b, uint8_t c)
{
	if (++b->trailer > HTTP_HEAD_MAX)
		return -EBADMSG;
	switch (b->state) {
	case TRAILER:
		b->state = c == '\r' ? LAST_LF : TRAILER_NAME;
		return c == '\r' || is_name_byte(c) ? 0 : -EBADMSG;
	case TRAILER_NAME:
		if (c == ':')
			b->state = TRAILER_VALUE;
		return c == ':' || is_name_byte(c) ? 0 : -EBADMSG;
	case TRAILER_VALUE:
		if (c == '\r')
			b->state = TRAILER_LF;
		return c == '\r' || c == '\t' || (c >= ' ' && c != 0x7f) ? 0 : -EBADMSG;
	default: /* TRAILER_LF, LAST_LF */
		b->state = b->state == LAST_LF ? DONE : TRAILER;
		return c == '\n' ? 0 : -EBADMSG;
	}
}

static int frame_byte(struct http_body_state *b, uint8_t c)
{
	switch (b->state) {
	case SIZE:
		return size_byte(b, c);
	case SIZE_LF:
		b->state = b->left ? DATA : TRAILER;
		return c == '\n' ? 0 : -EBADMSG;
	case DATA_CR:
		b->state = DATA_LF;
		return c == '\r' ? 0 : -EBADMSG;
	case DATA_LF:
		b->state = SIZE;
		b->left = 0;
		b->digits = 0;
		return c == '\n' ? 0 : -EBADMSG;
	default:
		return trailer_byte(b, c);
	}
}

int64_t http_body_walk(struct http_body_state *b, const uint8_t *buf, size_t len)
{
	size_t i = 0;

	while (i < len && b->state != DONE) {
		if (b->state == LENGTH || b->state == DATA) {
			size_t n = len - i < b->left ? len - i : (size_t)b->left;

			i += n;
			b->left -= n;
			if (b->left == 0)
				b->state = b->state == LENGTH ? DONE : DATA_CR;
		} else if (frame_byte(b, buf[i++]) < 0) {
			return -EBADMSG;
		}
	}
	return (int64_t)i;
}
