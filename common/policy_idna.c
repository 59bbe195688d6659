#include <stdint.h>
#include <string.h>

#include "common/policy_i.h"

/*
 * A host name is compared in the form that it has on the wire: lower case, and labels with other
 * letters as "xn--" and their Punycode (RFC 3492, RFC 5891). Letters of the Latin, Greek, Cyrillic
 * and Armenian scripts are put into lower case; composed characters are taken as they are written.
 */

#define LABEL_MAX 63

enum { BASE = 36, TMIN = 1, TMAX = 26, SKEW = 38, DAMP = 700, FIRST_BIAS = 72, FIRST_N = 128 };

static uint32_t next_point(const char **p)
{
	const unsigned char *s = (const unsigned char *)*p;
	unsigned len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = len == 1 ? s[0] : s[0] & (0xff >> (len + 1));

	/* the document was checked to be UTF-8 */
	for (unsigned i = 1; i < len; i++)
		c = c << 6 | (s[i] & 0x3f);
	*p += len;
	return c;
}

static uint32_t fold_point(uint32_t c)
{
	if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7) ||
	    (c >= 0x391 && c <= 0x3ab && c != 0x3a2) || (c >= 0x410 && c <= 0x42f))
		return c + 0x20;
	if (c >= 0x400 && c <= 0x40f)
		return c + 0x50;
	if (c >= 0x531 && c <= 0x556)
		return c + 0x30;
	if ((c >= 0x100 && c <= 0x137) || (c >= 0x14a && c <= 0x177) || (c >= 0x460 && c <= 0x481) ||
	    (c >= 0x48a && c <= 0x4bf))
		return c | 1;
	if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
		return c % 2 ? c + 1 : c;
	return c;
}

static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
	uint32_t k = 0;

	delta = first ? delta / DAMP : delta / 2;
	delta += delta / points;
	for (; delta > (BASE - TMIN) * TMAX / 2; k += BASE)
		delta /= BASE - TMIN;
	return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

struct label {
	char *out;
	size_t len;
	bool full;
};

static void put(struct label *l, uint32_t digit)
{
	if (l->len == LABEL_MAX) {
		l->full = true;
		return;
	}
	l->out[l->len++] = (char)(digit < 26 ? 'a' + digit : '0' + digit - 26);
}

/* A generalised variable-length integer, RFC 3492 section 3.3. */
static void put_delta(struct label *l, uint32_t q, uint32_t bias)
{
	for (uint32_t k = BASE;; k += BASE) {
		uint32_t t = k <= bias ? TMIN : k >= bias + TMAX ? TMAX : k - bias;

		if (q < t)
			break;
		put(l, t + (q - t) % (BASE - t));
		q = (q - t) / (BASE - t);
	}
	put(l, q);
}

/* RFC 3492 section 6.3. At most 63 points below 2^21, so nothing overflows. */
static void encode(struct label *l, const uint32_t *points, uint32_t n_points)
{
	uint32_t n = FIRST_N, delta = 0, bias = FIRST_BIAS, done = 0, basic;

	for (uint32_t i = 0; i < n_points && l->len < LABEL_MAX; i++)
		if (points[i] < 0x80)
			l->out[l->len++] = (char)points[i];
	done = basic = (uint32_t)l->len - 4;
	if (basic && l->len < LABEL_MAX)
		l->out[l->len++] = '-';
	while (done < n_points && !l->full) {
		uint32_t smallest = UINT32_MAX;

		for (uint32_t i = 0; i < n_points; i++)
			if (points[i] >= n && points[i] < smallest)
				smallest = points[i];
		delta += (smallest - n) * (done + 1);
		n = smallest;
		for (uint32_t i = 0; i < n_points; i++) {
			delta += points[i] < n;
			if (points[i] != n)
				continue;
			put_delta(l, delta, bias);
			bias = adapt(delta, done + 1, done == basic);
			delta = 0;
			done++;
		}
		delta++;
		n++;
	}
}

/* Write one label in its wire form. @return its length, 0 when it cannot be converted */
static size_t convert(char out[LABEL_MAX], const char *p, const char *end)
{
	struct label l = {.out = out, .len = 4};
	uint32_t points[LABEL_MAX], n = 0;

	memcpy(out, "xn--", l.len);
	while (p < end) {
		if (n == LABEL_MAX || strchr("*?[]{},", *p))
			return 0;
		points[n++] = fold_point(next_point(&p));
	}
	encode(&l, points, n);
	return l.full ? 0 : l.len;
}

static bool is_ascii(const char *p, const char *end)
{
	for (; p < end; p++)
		if ((unsigned char)*p >= 0x80)
			return false;
	return true;
}

bool policy_idna(char *out, size_t size, const char *host)
{
	char wire[LABEL_MAX] = "";
	size_t len = 0;

	for (const char *p = host, *end;; p = end + 1) {
		size_t n;

		end = p + strcspn(p, ".");
		n = is_ascii(p, end) ? (size_t)(end - p) : convert(wire, p, end);
		if ((n == 0 && end > p) || len + n + 2 > size)
			return false;
		if (is_ascii(p, end))
			for (size_t i = 0; i < n; i++)
				out[len++] = (char)fold_point((unsigned char)p[i]);
		else
			for (size_t i = 0; i < n; i++)
				out[len++] = wire[i];
		if (!*end)
			break;
		out[len++] = '.';
	}
	/* the root's empty label at the end is no part of the name */
	if (len > 1 && out[len - 1] == '.')
		len--;
	out[len] = '\0';
	return true;
}
