#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "common/policy_i.h"
#include "common/str.h"

/*
 * YAML events become a tree of nodes with positions. An alias is a copy; the weight of a node counts
 * every copy, so that a few lines cannot stand for millions of values. An alias inside its own
 * anchor is unknown there, so the tree has no cycles.
 */

struct anchor {
	struct anchor *next;
	const char *name;
	struct policy_node *node;
};

struct parse {
	struct policy_loader *l;
	const struct policy_doc *doc;
	const char *text;
	size_t len;
	yaml_parser_t yaml;
	struct anchor *anchors;
	bool failed;
};

static void fail_at(struct parse *p, unsigned line, unsigned column, const char *what)
{
	if (!p->failed)
		policy_diag_at(p->l, p->doc, line, column, true, "%s", what);
	p->failed = true;
}

static void fail(struct parse *p, const yaml_mark_t *mark, const char *what)
{
	fail_at(p, (unsigned)mark->line + 1, (unsigned)mark->column + 1, what);
}

static void fail_at_byte(struct parse *p, size_t offset, const char *what)
{
	unsigned line = 1, column = 1;

	for (size_t i = 0; i < offset && i < p->len; i++) {
		column++;
		if (p->text[i] == '\n') {
			line++;
			column = 1;
		}
	}
	fail_at(p, line, column, what);
}

static void fail_yaml(struct parse *p)
{
	const yaml_parser_t *y = &p->yaml;
	const char *context = y->context ? y->context : "", *sep = y->context ? ", " : "";
	const char *what;

	if (y->error == YAML_MEMORY_ERROR) {
		p->l->no_memory = p->failed = true;
		return;
	}
	what = arena_printf(&p->l->arena, "this is not YAML: %s%s%s; check indentation and quotes",
			    context, sep, y->problem ? y->problem : "syntax error");
	if (!what)
		p->l->no_memory = p->failed = true;
	else if (y->error == YAML_READER_ERROR)
		fail_at_byte(p, y->problem_offset, what);
	else
		fail(p, &y->problem_mark, what);
}

static bool next_event(struct parse *p, yaml_event_t *ev)
{
	if (p->failed)
		return false;
	if (yaml_parser_parse(&p->yaml, ev))
		return true;
	fail_yaml(p);
	return false;
}

static struct policy_node *node_new(struct parse *p, enum node_kind kind, const yaml_event_t *ev)
{
	struct policy_node *n = arena_alloc(&p->l->arena, sizeof(*n));

	if (!n) {
		p->l->no_memory = p->failed = true;
		return NULL;
	}
	n->kind = kind;
	n->line = (unsigned)ev->start_mark.line + 1;
	n->column = (unsigned)ev->start_mark.column + 1;
	n->weight = 1;
	return n;
}

static void remember(struct parse *p, const yaml_char_t *name, struct policy_node *node)
{
	struct anchor *a;

	if (!name || !node)
		return;
	a = arena_alloc(&p->l->arena, sizeof(*a));
	if (a)
		a->name = arena_dup(&p->l->arena, (const char *)name, strlen((const char *)name));
	if (!a || !a->name) {
		p->l->no_memory = p->failed = true;
		return;
	}
	a->node = node;
	a->next = p->anchors;
	p->anchors = a;
}

/* A copy, since the checks rewrite a value for the place where it stands. */
static struct policy_node *copy_node(struct parse *p, const struct policy_node *from,
				     const yaml_event_t *ev)
{
	struct policy_node *n = node_new(p, from->kind, ev);

	if (!n)
		return NULL;
	n->plain = from->plain;
	n->text = from->text;
	n->weight = from->weight;
	n->n = from->n;
	n->keys = from->keys;
	n->items = arena_alloc(&p->l->arena, (n->n + 1) * sizeof(*n->items));
	if (!n->items) {
		p->l->no_memory = p->failed = true;
		return NULL;
	}
	for (size_t i = 0; i < n->n; i++) {
		n->items[i] = copy_node(p, from->items[i], ev);
		if (!n->items[i])
			return NULL;
	}
	return n;
}

static struct policy_node *read_alias(struct parse *p, const yaml_event_t *ev)
{
	for (const struct anchor *a = p->anchors; a; a = a->next)
		if (strcmp(a->name, (const char *)ev->data.alias.anchor) == 0)
			return copy_node(p, a->node, ev);
	fail(p, &ev->start_mark, "this alias has no anchor before it; define it with & first");
	return NULL;
}

static bool is_null_text(const char *s)
{
	return !*s || !strcmp(s, "~") || !strcmp(s, "null") || !strcmp(s, "Null") ||
	       !strcmp(s, "NULL");
}

static struct policy_node *read_scalar(struct parse *p, const yaml_event_t *ev)
{
	const char *value = (const char *)ev->data.scalar.value;
	struct policy_node *n = node_new(p, NODE_SCALAR, ev);

	if (!n)
		return NULL;
	/* "\0" in a quoted string is the one way to get a NUL past the check of the file */
	if (strlen(value) != ev->data.scalar.length) {
		fail(p, &ev->start_mark, "this text contains a NUL character; remove it");
		return NULL;
	}
	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (n->plain && is_null_text(value))
		n->kind = NODE_NULL;
	n->text = arena_dup(&p->l->arena, value, ev->data.scalar.length);
	if (!n->text)
		p->l->no_memory = p->failed = true;
	return n;
}

static bool tag_is_fine(const yaml_event_t *ev)
{
	const char *tag = NULL;

	if (ev->type == YAML_SCALAR_EVENT)
		tag = (const char *)ev->data.scalar.tag;
	else if (ev->type == YAML_SEQUENCE_START_EVENT)
		tag = (const char *)ev->data.sequence_start.tag;
	else if (ev->type == YAML_MAPPING_START_EVENT)
		tag = (const char *)ev->data.mapping_start.tag;
	return !tag || strcmp(tag, "!") == 0 || strcmp(tag, YAML_STR_TAG) == 0 ||
	       strcmp(tag, YAML_SEQ_TAG) == 0 || strcmp(tag, YAML_MAP_TAG) == 0;
}

/* Room for one more pointer in an arena array whose capacity is a power of two. */
static bool grow(struct parse *p, struct policy_node ***array, size_t n)
{
	struct policy_node **bigger;

	if (n && (n < 4 || (n & (n - 1))))
		return true;
	bigger = arena_alloc(&p->l->arena, (n ? n * 2 : 4) * sizeof(*bigger));
	if (!bigger) {
		p->l->no_memory = p->failed = true;
		return false;
	}
	if (n)
		memcpy(bigger, *array, n * sizeof(*bigger));
	*array = bigger;
	return true;
}

static struct policy_node *read_node(struct parse *p, yaml_event_t *ev, unsigned depth);

static struct policy_node *read_next(struct parse *p, unsigned depth, yaml_event_type_t end,
				     bool *ended)
{
	struct policy_node *n = NULL;
	yaml_event_t ev;

	*ended = true;
	if (!next_event(p, &ev))
		return NULL;
	*ended = ev.type == end;
	if (!*ended)
		n = read_node(p, &ev, depth);
	yaml_event_delete(&ev);
	return n;
}

static void add_weight(struct parse *p, struct policy_node *to, const struct policy_node *n)
{
	to->weight += n->weight;
	if (to->weight > POLICY_WEIGHT_MAX)
		fail_at(p, n->line, n->column,
			"the document stands for more than 300000 values; use fewer aliases or "
			"split it with extends");
}

static void read_list(struct parse *p, struct policy_node *list, unsigned depth)
{
	bool ended;

	for (;;) {
		struct policy_node *n = read_next(p, depth, YAML_SEQUENCE_END_EVENT, &ended);

		if (!n || ended || !grow(p, &list->items, list->n))
			return;
		list->items[list->n++] = n;
		add_weight(p, list, n);
	}
}

static bool key_is_fine(struct parse *p, const struct policy_node *map,
			const struct policy_node *key)
{
	const char *what = NULL;

	if (key->kind != NODE_SCALAR)
		what = "a key must be plain text";
	else if (map->n >= POLICY_KEYS_MAX)
		what = "one map has more than 4096 keys; split it";
	for (size_t i = 0; i < map->n && !what; i++)
		if (strcmp(map->keys[i]->text, key->text) == 0)
			what = arena_printf(&p->l->arena,
					    "key \"%.60s\" is here twice (first on line %u); "
					    "keep one of them",
					    key->text, map->keys[i]->line);
	if (what)
		fail_at(p, key->line, key->column, what);
	return !what;
}

static void read_map(struct parse *p, struct policy_node *map, unsigned depth)
{
	bool ended;

	for (;;) {
		struct policy_node *key = read_next(p, depth, YAML_MAPPING_END_EVENT, &ended);
		struct policy_node *value;

		if (!key || ended || !key_is_fine(p, map, key))
			return;
		value = read_next(p, depth, YAML_NO_EVENT, &ended);
		if (!value || !grow(p, &map->keys, map->n) || !grow(p, &map->items, map->n))
			return;
		map->keys[map->n] = key;
		map->items[map->n++] = value;
		add_weight(p, map, value);
	}
}

static struct policy_node *read_node(struct parse *p, yaml_event_t *ev, unsigned depth)
{
	struct policy_node *n = NULL;

	if (depth > POLICY_DEPTH_MAX) {
		fail(p, &ev->start_mark, "nested deeper than 64 levels; a policy needs at most 8");
		return NULL;
	}
	if (!tag_is_fine(ev)) {
		fail(p, &ev->start_mark, "YAML tags are not used in policies; remove the tag");
		return NULL;
	}
	switch (ev->type) {
	case YAML_ALIAS_EVENT:
		return read_alias(p, ev);
	case YAML_SCALAR_EVENT:
		n = read_scalar(p, ev);
		remember(p, ev->data.scalar.anchor, n);
		break;
	case YAML_SEQUENCE_START_EVENT:
		n = node_new(p, NODE_LIST, ev);
		if (n)
			read_list(p, n, depth + 1);
		remember(p, ev->data.sequence_start.anchor, n);
		break;
	case YAML_MAPPING_START_EVENT:
		n = node_new(p, NODE_MAP, ev);
		if (n)
			read_map(p, n, depth + 1);
		remember(p, ev->data.mapping_start.anchor, n);
		break;
	default:
		fail(p, &ev->start_mark, "unexpected end of the document");
		break;
	}
	return p->failed ? NULL : n;
}

static struct policy_node *read_stream(struct parse *p)
{
	struct policy_node *root = NULL;
	bool done = false;
	yaml_event_t ev;

	while (!done && next_event(p, &ev)) {
		switch (ev.type) {
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		case YAML_DOCUMENT_START_EVENT:
			if (root)
				fail(p, &ev.start_mark,
				     "a second document starts here; a policy file has one");
			break;
		case YAML_STREAM_END_EVENT:
			done = true;
			break;
		default:
			root = read_node(p, &ev, 1);
			break;
		}
		yaml_event_delete(&ev);
	}
	if (!p->failed && (!root || root->kind == NODE_NULL))
		fail_at(p, 1, 1,
			"the file is empty; a policy starts with \"version: 1\" and \"name:\"");
	else if (!p->failed && root->kind != NODE_MAP)
		fail_at(p, root->line, root->column,
			"a policy is a map of keys; start with \"version: 1\" and \"name:\"");
	return p->failed ? NULL : root;
}

static size_t first_bad_byte(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len) {
		size_t n = 1;

		while (n <= 4 && i + n <= len && !str_is_utf8(text + i, n))
			n++;
		if (n > 4 || i + n > len)
			break;
		i += n;
	}
	return i;
}

struct policy_node *policy_yaml_parse(struct policy_loader *l, const struct policy_doc *doc,
				      const char *text, size_t len)
{
	struct parse p = {.l = l, .doc = doc, .text = text, .len = len};
	const char *nul = memchr(text, '\0', len);
	struct policy_node *root;

	if (nul) {
		fail_at_byte(&p, (size_t)(nul - text),
			     "there is a NUL byte here; a policy is a text file in UTF-8");
		return NULL;
	}
	if (!str_is_utf8(text, len)) {
		fail_at_byte(&p, first_bad_byte(text, len),
			     "this is not UTF-8; save the file as UTF-8 text");
		return NULL;
	}
	if (!yaml_parser_initialize(&p.yaml)) {
		l->no_memory = true;
		return NULL;
	}
	yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text, len);
	yaml_parser_set_encoding(&p.yaml, YAML_UTF8_ENCODING);
	root = read_stream(&p);
	yaml_parser_delete(&p.yaml);
	return root;
}

/* Whole content of a regular file of bounded size. @return length or -errno */
static ssize_t read_whole(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

struct policy_node *policy_yaml_read(struct policy_loader *l, const struct policy_doc *doc,
				     const char *path)
{
	/* O_NONBLOCK: a fifo must not hang the loader */
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	autofree char *buf = NULL;
	const char *what = NULL;
	ssize_t len = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		what = strerror(errno);
	else if (S_ISDIR(st.st_mode))
		what = "is a directory; name a policy file";
	else if (!S_ISREG(st.st_mode))
		what = "is not a regular file; name a policy file";
	if (!what) {
		buf = malloc(POLICY_FILE_MAX + 1);
		l->no_memory |= !buf;
		len = buf ? read_whole(fd, buf, POLICY_FILE_MAX + 1) : -ENOMEM;
		if (len < 0)
			what = strerror((int)-len);
		else if (len > (ssize_t)POLICY_FILE_MAX)
			what = "is larger than 1 MiB; split it with extends";
	}
	if (what) {
		policy_diag_at(l, doc, 1, 1, true, "cannot read the policy: %s", what);
		return NULL;
	}
	return policy_yaml_parse(l, doc, buf, (size_t)len);
}

struct policy_node *policy_get(const struct policy_node *map, const char *key)
{
	if (!map || map->kind != NODE_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->keys[i]->text, key) == 0)
			return map->items[i]->kind == NODE_NULL ? NULL : map->items[i];
	return NULL;
}
