/*
 * A unified diff of two texts. Common lines at both ends are left out first; the rest is compared by
 * the longest common subsequence, or, when that is too much, taken as replaced.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agentsh/undo_cmd.h"

#define MAX_CELLS (8u << 20)
#define CONTEXT 3

struct line {
	const char *p;
	size_t len; /* with its newline */
};

struct lines {
	struct line *v;
	size_t n;
};

struct step {
	char what; /* ' ', '-', '+' */
	size_t a, b; /* line numbers, from 0 */
};

static int split(struct lines *out, const char *p, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += p[i] == '\n';
	out->v = calloc(n + 2, sizeof(*out->v));
	if (!out->v)
		return -ENOMEM;
	while (len) {
		const char *end = memchr(p, '\n', len);
		size_t l = end ? (size_t)(end - p) + 1 : len;

		out->v[out->n++] = (struct line){p, l};
		p += l;
		len -= l;
	}
	return 0;
}

static bool same(const struct line *a, const struct line *b)
{
	return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

/* Steps of the middle part: a[0..n), b[0..m). */
static size_t middle(struct step *s, const struct line *a, size_t n, const struct line *b, size_t m,
		     size_t base)
{
	uint32_t *t = n && m && n < MAX_CELLS / m ? calloc((n + 1) * (m + 1), sizeof(*t)) : NULL;
	size_t i = 0, j = 0, k = 0, w = m + 1;

	for (size_t y = n; t && y-- > 0;)
		for (size_t x = m; x-- > 0;) {
			uint32_t down = t[(y + 1) * w + x], right = t[y * w + x + 1];

			t[y * w + x] = same(&a[y], &b[x]) ? t[(y + 1) * w + x + 1] + 1
				       : down > right	  ? down
							  : right;
		}
	while (i < n || j < m) {
		if (t && i < n && j < m && same(&a[i], &b[j])) {
			s[k++] = (struct step){' ', base + i, base + j};
			i++, j++;
		} else if (i < n && (!t || j == m || t[(i + 1) * w + j] >= t[i * w + j + 1])) {
			s[k++] = (struct step){'-', base + i, base + j};
			i++;
		} else {
			s[k++] = (struct step){'+', base + i, base + j};
			j++;
		}
	}
	free(t);
	return k;
}

static size_t compare(struct step *s, const struct lines *a, const struct lines *b)
{
	size_t head = 0, tail = 0, k = 0;

	while (head < a->n && head < b->n && same(&a->v[head], &b->v[head]))
		head++;
	while (tail < a->n - head && tail < b->n - head &&
	       same(&a->v[a->n - 1 - tail], &b->v[b->n - 1 - tail]))
		tail++;
	for (size_t i = 0; i < head; i++)
		s[k++] = (struct step){' ', i, i};
	k += middle(s + k, a->v + head, a->n - head - tail, b->v + head, b->n - head - tail, head);
	for (size_t i = tail; i > 0; i--)
		s[k++] = (struct step){' ', a->n - i, b->n - i};
	return k;
}

static void print_line(FILE *to, char what, const struct line *l)
{
	putc(what, to);
	fwrite(l->p, 1, l->len, to);
	if (l->p[l->len - 1] != '\n')
		fputs("\n\\ No newline at end of file\n", to);
}

static void print_hunk(FILE *to, const struct step *s, size_t n, const struct lines *a,
		       const struct lines *b)
{
	size_t in_a = 0, in_b = 0;

	for (size_t i = 0; i < n; i++) {
		in_a += s[i].what != '+';
		in_b += s[i].what != '-';
	}
	fprintf(to, "@@ -%zu,%zu +%zu,%zu @@\n", s[0].a + (in_a ? 1 : 0), in_a,
		s[0].b + (in_b ? 1 : 0), in_b);
	for (size_t i = 0; i < n; i++)
		print_line(to, s[i].what, s[i].what == '+' ? &b->v[s[i].b] : &a->v[s[i].a]);
}

static void print_hunks(FILE *to, const struct step *s, size_t n, const struct lines *a,
			const struct lines *b)
{
	size_t i = 0;

	while (i < n) {
		size_t begin, end, quiet = 0;

		while (i < n && s[i].what == ' ')
			i++;
		if (i == n)
			return;
		begin = i < CONTEXT ? 0 : i - CONTEXT;
		for (end = i; end < n && quiet <= 2 * CONTEXT; end++)
			quiet = s[end].what == ' ' ? quiet + 1 : 0;
		i = end;
		if (quiet > CONTEXT)
			end -= quiet - CONTEXT;
		print_hunk(to, s + begin, end - begin, a, b);
	}
}

int undo_diff_text(struct undo_text_diff *out, FILE *to, const char *a, size_t a_len, const char *b,
		   size_t b_len)
{
	struct lines x = {NULL, 0}, y = {NULL, 0};
	struct step *s = NULL;
	size_t n = 0;
	int r = 0;

	*out = (struct undo_text_diff){.binary = (a_len && memchr(a, 0, a_len)) ||
						 (b_len && memchr(b, 0, b_len))};
	if (out->binary)
		return 0;
	r = split(&x, a, a_len);
	if (r == 0)
		r = split(&y, b, b_len);
	if (r == 0)
		s = calloc(x.n + y.n + 1, sizeof(*s));
	if (s) {
		n = compare(s, &x, &y);
		for (size_t i = 0; i < n; i++) {
			out->added += s[i].what == '+';
			out->removed += s[i].what == '-';
		}
		if (to)
			print_hunks(to, s, n, &x, &y);
	} else {
		r = -ENOMEM;
	}
	free(s);
	free(x.v);
	free(y.v);
	return r;
}
