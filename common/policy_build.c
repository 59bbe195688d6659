#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/match.h"
#include "common/policy_i.h"

static bool reserve(void **buf, size_t *size, size_t need)
{
	size_t bigger = *size ? *size : 16384;
	void *p;

	if (need <= *size)
		return true;
	while (bigger < need)
		bigger *= 2;
	p = bigger <= IMAGE_MAX ? realloc(*buf, bigger) : NULL;
	if (!p)
		return false;
	*buf = p;
	*size = bigger;
	return true;
}

static void *tables_add(struct builder *b, size_t len)
{
	void *p;

	if (b->failed || !reserve((void **)&b->tables, &b->tables_size, b->tables_len + len)) {
		b->failed = true;
		return NULL;
	}
	p = b->tables + b->tables_len;
	memset(p, 0, len);
	b->tables_len += len;
	return p;
}

bool policy_build_init(struct builder *b, struct policy_loader *l)
{
	memset(b, 0, sizeof(*b));
	b->l = l;
	tables_add(b, sizeof(struct image_header));
	if (reserve((void **)&b->strings, &b->strings_size, 1))
		b->strings[b->strings_len++] = '\0';
	else
		b->failed = true;
	return !b->failed;
}

void policy_build_deinit(struct builder *b)
{
	free(b->tables);
	free(b->strings);
}

static uint32_t add_bytes(struct builder *b, const char *text, size_t len)
{
	uint32_t off = (uint32_t)b->strings_len;

	if (b->failed ||
	    !reserve((void **)&b->strings, &b->strings_size, b->strings_len + len + 1)) {
		b->failed = true;
		return 0;
	}
	memcpy(b->strings + off, text, len);
	b->strings[off + len] = '\0';
	b->strings_len += len + 1;
	return off;
}

uint32_t policy_build_string(struct builder *b, const char *text)
{
	return text && *text ? add_bytes(b, text, strlen(text)) : 0;
}

struct image_span policy_build_table(struct builder *b, const void *items, size_t n, size_t size)
{
	struct image_span span = {0, 0};
	void *p;

	if (!n)
		return span;
	tables_add(b, (8 - b->tables_len % 8) % 8);
	span.off = (uint32_t)b->tables_len;
	p = tables_add(b, n * size);
	if (!p)
		return (struct image_span){0, 0};
	memcpy(p, items, n * size);
	span.n = (uint32_t)n;
	return span;
}

struct image_span policy_build_strings(struct builder *b, const struct policy_node *list)
{
	struct image_span span = {0, 0};
	autofree uint32_t *items = NULL;
	size_t n = 0;

	if (!list || !list->n)
		return span;
	items = calloc(list->n, sizeof(*items));
	if (!items) {
		b->failed = true;
		return span;
	}
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i]->kind == NODE_SCALAR)
			items[n++] = policy_build_string(b, list->items[i]->text);
	return policy_build_table(b, items, n, sizeof(*items));
}

struct image_span policy_build_pairs(struct builder *b, const struct policy_node *map)
{
	struct image_span span = {0, 0};
	autofree uint32_t *items = NULL;
	size_t n = 0;

	if (!map || !map->n)
		return span;
	items = calloc(map->n, 2 * sizeof(*items));
	if (!items) {
		b->failed = true;
		return span;
	}
	for (size_t i = 0; i < map->n; i++) {
		bool scalar = map->items[i]->kind == NODE_SCALAR;

		items[n++] = policy_build_string(b, map->keys[i]->text);
		items[n++] = scalar ? policy_build_string(b, map->items[i]->text) : 0;
	}
	return policy_build_table(b, items, n, sizeof(*items));
}

/* ---- globs ---- */

struct globs {
	struct builder *b;
	struct image_glob *items;
	size_t n, size; /* size in bytes, as for reserve() */
	struct policy_sums any; /* one component of each, or all */
};

static size_t unescape(char *out, const char *from, const char *to)
{
	size_t n = 0;

	for (; from < to; from++) {
		if (*from == '\\' && from + 1 < to)
			from++;
		out[n++] = *from;
	}
	return n;
}

/* Where the literal beginning ends (a component boundary), and the literal end begins. */
static void glob_split(const char *pattern, const char **rest, const char **tail)
{
	const char *p = pattern, *boundary = pattern;

	*rest = *tail = NULL;
	while (*p) {
		const char *close;

		switch (*p) {
		case '\\':
			p += p[1] ? 2 : 1;
			continue;
		case '*':
		case '?':
			p++;
			break;
		case '[':
			/* the check has seen to it that the class is closed */
			close = p + 1;
			if (*close == '!' || *close == '^')
				close++;
			if (*close == ']')
				close++;
			while (*close && *close != ']')
				close += *close == '\\' && close[1] ? 2 : 1;
			p = *close ? close + 1 : close;
			break;
		default:
			if (*p == '/' && !*rest)
				boundary = p + 1;
			p++;
			continue;
		}
		if (!*rest)
			*rest = boundary;
		*tail = p;
	}
	if (!*rest)
		*rest = *tail = p;
}

/*
 * What the components of a pattern tell of each path that matches: a slash of a pattern is one of
 * the path, and what follows it begins a component. A class or a backslash ends the search.
 *
 * @param one  written: the component that says most (the last whole one: hooks, not .git), or all
 */
static struct policy_sums needed(const char *pattern, struct policy_sums *one)
{
	struct policy_sums all = {0, 0};

	*one = (struct policy_sums){UINT64_MAX, 0};
	for (const char *p = pattern; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
		size_t n = strcspn(p, "/"), known = strcspn(p, "*?[\\/");
		uint64_t bit;

		if (n && known == n) {
			bit = policy_word_bit(p, n);
			all.words |= bit;
			*one = (struct policy_sums){0, bit};
		}
		if (n && (known == n || known > 1)) {
			bit = policy_start_bit((unsigned char)p[0], n > 1 ? (unsigned char)p[1] : 0);
			all.starts |= bit;
			if (one->starts == UINT64_MAX)
				*one = (struct policy_sums){bit, 0};
		}
		if (strcspn(p, "[\\") < n)
			break;
	}
	return all;
}

static void put_bits(uint32_t half[2], uint64_t bits)
{
	half[0] = (uint32_t)bits;
	half[1] = (uint32_t)(bits >> 32);
}

static int glob_add(void *arg, const char *pattern)
{
	struct globs *gs = arg;
	const char *rest, *tail;
	char buf[MATCH_PATTERN_MAX + 1];
	struct image_glob g;
	struct policy_sums all, one;
	size_t n;

	if (!reserve((void **)&gs->items, &gs->size, (gs->n + 1) * sizeof(g)))
		return -ENOMEM;
	glob_split(pattern, &rest, &tail);
	g.text = policy_build_string(gs->b, pattern);
	g.rest = g.text + (uint32_t)(rest - pattern);
	n = unescape(buf, pattern, rest);
	g.prefix = n ? add_bytes(gs->b, buf, n) : 0;
	g.prefix_len = (uint32_t)n;
	if (*tail == '/' && tail - rest == 2 && rest[0] == '*' && rest[1] == '*')
		tail++; /* of a whole component ** the slash belongs to it */
	all = needed(pattern[0] == '/' ? pattern + 1 : pattern, &one);
	put_bits(g.starts, all.starts);
	put_bits(g.words, all.words);
	gs->any.starts |= one.starts;
	gs->any.words |= one.words;
	n = unescape(buf, tail, tail + strlen(tail));
	g.tail = n ? add_bytes(gs->b, buf, n) : 0;
	g.tail_len = (uint32_t)n;
	if (!*rest)
		g.kind = GLOB_LITERAL;
	else if (strcmp(rest, "**") == 0)
		g.kind = GLOB_BELOW;
	else if (strncmp(rest, "**/", 3) == 0 && tail == rest + 3 && n && !memchr(buf, '/', n))
		g.kind = GLOB_BASE;
	else
		g.kind = GLOB_GENERAL;
	gs->items[gs->n++] = g;
	return 0;
}

/* Bytes that the prefixes of all globs share. */
static uint32_t common_prefix(const struct globs *gs)
{
	const char *first = gs->b->strings + gs->items[0].prefix;
	uint32_t len = gs->items[0].prefix_len;

	for (size_t i = 1; i < gs->n; i++) {
		const char *other = gs->b->strings + gs->items[i].prefix;
		uint32_t n = 0;

		while (n < len && n < gs->items[i].prefix_len && first[n] == other[n])
			n++;
		len = n;
	}
	return len;
}

void policy_build_globs(struct builder *b, struct image_rule *rule, const struct policy_node *list,
			bool commands)
{
	struct globs gs = {.b = b};
	autofree struct image_glob *owner = NULL;

	for (size_t i = 0; list && i < list->n && !b->failed; i++) {
		const struct policy_node *item = list->items[i];

		if (item->kind != NODE_SCALAR || (commands && !strchr(item->text, '/')))
			continue;
		if (match_expand(item->text, glob_add, &gs) < 0)
			b->failed = true;
		owner = gs.items;
	}
	if (!gs.n || b->failed)
		return;
	rule->prefix = gs.items[0].prefix;
	rule->prefix_len = common_prefix(&gs);
	put_bits(rule->starts, gs.any.starts);
	put_bits(rule->words, gs.any.words);
	rule->globs = policy_build_table(b, gs.items, gs.n, sizeof(*gs.items));
}

/* ---- the whole ---- */

int policy_build_finish(uint8_t **out, size_t *size, struct builder *b,
			struct image_header *header)
{
	autofree uint8_t *image = NULL;
	size_t total;

	tables_add(b, (8 - b->tables_len % 8) % 8);
	total = b->tables_len + b->strings_len;
	if (!b->failed && total <= IMAGE_MAX)
		image = malloc(total);
	if (!image)
		return -ENOMEM;
	memcpy(header->magic, IMAGE_MAGIC, sizeof(header->magic));
	header->version = IMAGE_VERSION;
	header->size = (uint32_t)total;
	header->strings.off = (uint32_t)b->tables_len;
	header->strings.n = (uint32_t)b->strings_len;
	memset(header->digest, 0, sizeof(header->digest));
	memcpy(image, b->tables, b->tables_len);
	memcpy(image, header, sizeof(*header));
	memcpy(image + b->tables_len, b->strings, b->strings_len);
	if (EVP_Digest(image, total, header->digest, NULL, EVP_sha256(), NULL) != 1)
		return -EIO;
	memcpy(image, header, sizeof(*header));
	*out = steal_ptr(&image);
	*size = total;
	return 0;
}
