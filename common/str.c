#include "common/str.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void str_init(struct str *s, char *buf, size_t size)
{
	s->buf = buf;
	s->size = size;
	s->len = 0;
	s->cut = false;
	if (size)
		buf[0] = '\0';
}

void str_add_mem(struct str *s, const char *text, size_t len)
{
	size_t room = s->size ? s->size - 1 - s->len : 0;

	if (len > room) {
		len = room;
		s->cut = true;
	}
	if (!s->size)
		return;
	memcpy(s->buf + s->len, text, len);
	s->len += len;
	s->buf[s->len] = '\0';
}

void str_add(struct str *s, const char *text)
{
	str_add_mem(s, text, strlen(text));
}

void str_addf(struct str *s, const char *fmt, ...)
{
	size_t room = s->size - s->len;
	va_list ap;
	int n;

	if (!s->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(s->buf + s->len, room, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= room) {
		s->cut = true;
		n = (int)room - 1;
	}
	s->len += (size_t)n;
}

/* Length of the UTF-8 sequence at p, 0 when it is not one (RFC 3629 section 4). */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (left < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* Most text is ASCII, and most of it is short. @return bytes of it before the first that is not */
static size_t ascii_len(const unsigned char *p, size_t len)
{
	uint64_t eight;
	size_t i = 0;

	for (; len - i >= 8; i += 8) {
		memcpy(&eight, p + i, 8);
		if (eight & 0x8080808080808080ull)
			break;
	}
	while (i < len && p[i] < 0x80)
		i++;
	return i;
}

bool str_is_utf8(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = ascii_len(p, len), n; i < len; i += ascii_len(p + i, len - i)) {
		n = utf8_len(p + i, len - i);
		if (!n)
			return false;
		i += n;
	}
	return true;
}

/* C1 controls (U+0080..U+009F) act on some terminals; bidi overrides reorder what a person reads. */
static bool is_unsafe_utf8(const unsigned char *p, size_t n)
{
	if (n == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	if (n == 3 && p[0] == 0xe2 && p[1] == 0x80)
		return (p[2] >= 0x8b && p[2] <= 0x8f) || (p[2] >= 0xa8 && p[2] <= 0xae);
	return n == 3 && p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
}

void str_add_escaped(struct str *s, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_len(p + i, len - i);
		if (n > 1 && !is_unsafe_utf8(p + i, n)) {
			str_add_mem(s, text + i, n);
		} else if (n == 1 && p[i] >= 0x20 && p[i] != 0x7f && p[i] != '\\') {
			str_add_mem(s, text + i, 1);
		} else {
			n = 1;
			str_addf(s, "\\x%02x", p[i]);
		}
	}
}

void str_add_json(struct str *s, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_len(p + i, len - i);
		if (!n) {
			n = 1;
			str_add(s, "\\ufffd");
		} else if (n == 1 && (p[i] == '"' || p[i] == '\\')) {
			str_addf(s, "\\%c", p[i]);
		} else if (n == 1 && (p[i] < 0x20 || p[i] == 0x7f)) {
			str_addf(s, "\\u%04x", p[i]);
		} else if (is_unsafe_utf8(p + i, n)) {
			/* the same text to a parser, and harmless on a terminal */
			str_addf(s, "\\u%04x",
				 n == 2 ? (p[i] & 0x1fu) << 6 | (p[i + 1] & 0x3fu)
					: (p[i] & 0xfu) << 12 | (p[i + 1] & 0x3fu) << 6 |
						  (p[i + 2] & 0x3fu));
		} else {
			str_add_mem(s, text + i, n);
		}
	}
}

int str_to_u64(uint64_t *out, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long v;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno == ERANGE || v < min || v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

char *str_dupf(const char *fmt, ...)
{
	char *out = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&out, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : out;
}

unsigned str_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned row[64];

	if (la > 63 || lb > 63)
		return UINT_MAX;
	for (unsigned j = 0; j <= lb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

bool str_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}
