#include <limits.h>
#include <string.h>

#include "common/policy_i.h"
#include "common/str.h"

/* Reads the tables of policy_schema.c: types, unknown keys, required keys, words. */

static const char *kind_name(const struct policy_node *node)
{
	switch (node->kind) {
	case NODE_NULL:
		return "nothing";
	case NODE_SCALAR:
		return "a single value";
	case NODE_LIST:
		return "a list";
	case NODE_MAP:
		return "a map";
	}
	return "nothing";
}

static bool is_kind(struct policy_loader *l, const struct policy_doc *doc,
		    const struct policy_node *node, enum node_kind kind, const char *how)
{
	if (node->kind == kind)
		return true;
	policy_error(l, doc, node, "expected %s, found %s; %s",
		     kind == NODE_LIST	? "a list"
		     : kind == NODE_MAP ? "a map of keys"
					: "a single value",
		     kind_name(node), how);
	return false;
}

/* The nearest of n words, when it is near enough to be meant. */
struct nearest {
	const char *word;
	unsigned distance;
};

static void nearest_try(struct nearest *best, const char *text, const char *word)
{
	unsigned d = str_distance(text, word), limit = (unsigned)strlen(word) / 3 + 1;

	if (d <= limit && d < best->distance) {
		best->word = word;
		best->distance = d;
	}
}

static void unknown_word(struct policy_loader *l, const struct policy_doc *doc,
			 const struct policy_node *node, const char *what,
			 const char *const *words)
{
	struct nearest best = {NULL, UINT_MAX};
	struct str list;
	char buf[300];

	str_init(&list, buf, sizeof(buf));
	for (size_t i = 0; words[i]; i++) {
		nearest_try(&best, node->text, words[i]);
		str_addf(&list, "%s%s", i ? ", " : "", words[i]);
	}
	if (best.word)
		policy_error(l, doc, node, "%s \"%.60s\" is not known; did you mean \"%s\"?", what,
			     node->text, best.word);
	else
		policy_error(l, doc, node, "%s \"%.60s\" is not known; use one of %s", what,
			     node->text, buf);
}

static void walk_verdict(struct policy_loader *l, const struct policy_doc *doc,
			 const struct policy_node *node, const struct value_schema *schema)
{
	const char *words[VERDICT_COUNT + 1] = {NULL};
	enum verdict v;
	unsigned n = 0;

	for (unsigned i = 0; i < VERDICT_COUNT; i++)
		if (schema->verdicts & 1u << i)
			words[n++] = verdict_name((enum verdict)i);
	if (verdict_parse(&v, node->text) < 0) {
		unknown_word(l, doc, node, "decision", words);
	} else if (!(schema->verdicts & 1u << v)) {
		struct str list;
		char buf[120];

		str_init(&list, buf, sizeof(buf));
		for (unsigned i = 0; i < n; i++)
			str_addf(&list, "%s%s", i ? ", " : "", words[i]);
		policy_error(l, doc, node, "decision \"%s\" cannot be used in %s; use one of %s",
			     node->text, schema->what, buf);
	}
}

static void walk_word(struct policy_loader *l, const struct policy_doc *doc,
		      const struct policy_node *node, const struct value_schema *schema)
{
	for (size_t i = 0; schema->words[i]; i++)
		if (strcmp(schema->words[i], node->text) == 0)
			return;
	unknown_word(l, doc, node, schema->what ? schema->what : "value", schema->words);
}

static void walk_int(struct policy_loader *l, const struct policy_doc *doc,
		     const struct policy_node *node, const struct value_schema *schema)
{
	int64_t v;

	if (!policy_parse_int(&v, node))
		policy_error(l, doc, node, "\"%.60s\" is not a whole number", node->text);
	else if (v < schema->min || v > schema->max)
		policy_error(l, doc, node, "%lld is out of range; use %lld to %lld", (long long)v,
			     (long long)schema->min, (long long)schema->max);
}

static void walk_scalar(struct policy_loader *l, const struct policy_doc *doc,
			struct policy_node *node, const struct value_schema *schema)
{
	bool b;

	switch (schema->type) {
	case VALUE_BOOL:
		if (!policy_parse_bool(&b, node))
			policy_error(l, doc, node, "\"%.60s\" is not true or false", node->text);
		break;
	case VALUE_INT:
		walk_int(l, doc, node, schema);
		break;
	case VALUE_WORD:
		walk_word(l, doc, node, schema);
		break;
	case VALUE_VERDICT:
		walk_verdict(l, doc, node, schema);
		break;
	case VALUE_STRING:
		node->plain = false; /* "true" and 443 are text here */
		break;
	case VALUE_LIST:
	case VALUE_MAP:
	case VALUE_TABLE:
	case VALUE_ANY:
		break;
	}
}

static void unknown_key(struct policy_loader *l, const struct policy_doc *doc,
			const struct policy_node *key, const struct value_schema *schema)
{
	struct nearest best = {NULL, UINT_MAX};
	struct str list;
	char buf[300];

	str_init(&list, buf, sizeof(buf));
	for (const struct key_schema *k = schema->keys; k->name; k++) {
		nearest_try(&best, key->text, k->name);
		str_addf(&list, "%s%s", list.len ? ", " : "", k->name);
	}
	if (best.word)
		policy_error(l, doc, key, "unknown key \"%.60s\" in %s; did you mean \"%s\"?",
			     key->text, schema->what, best.word);
	else if (list.cut)
		policy_error(l, doc, key, "unknown key \"%.60s\" in %s; remove it", key->text,
			     schema->what);
	else
		policy_error(l, doc, key, "unknown key \"%.60s\" in %s; the keys are %s",
			     key->text, schema->what, buf);
}

static const struct key_schema *find_key(const struct value_schema *schema, const char *name)
{
	for (const struct key_schema *k = schema->keys; k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

static void walk_map(struct policy_loader *l, const struct policy_doc *doc,
		     struct policy_node *map, const struct value_schema *schema)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct key_schema *k = find_key(schema, map->keys[i]->text);

		if (!k)
			unknown_key(l, doc, map->keys[i], schema);
		else if (k->flags & KEY_FOREIGN)
			policy_warn(l, doc, map->keys[i],
				    "\"%s\" is for another operating system; it has no effect here",
				    k->name);
		else
			policy_walk(l, doc, map->items[i], k->value);
	}
	for (const struct key_schema *k = schema->keys; k->name; k++) {
		const struct policy_node *v = policy_get(map, k->name);

		if (k->flags & KEY_REQUIRED && !v)
			policy_error(l, doc, map, "%s has no \"%s\"; add it", schema->what,
				     k->name);
		else if (k->flags & KEY_NONEMPTY && v && v->kind == NODE_LIST && !v->n)
			policy_error(l, doc, v, "\"%s\" is an empty list; %s then never applies",
				     k->name, schema->what);
	}
}

static void walk_list(struct policy_loader *l, const struct policy_doc *doc,
		      struct policy_node *list, const struct value_schema *schema)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->items[i]->kind == NODE_NULL)
			policy_error(l, doc, list->items[i],
				     "an entry of the list is empty; remove it");
		else
			policy_walk(l, doc, list->items[i], schema->item);
	}
}

void policy_walk(struct policy_loader *l, const struct policy_doc *doc, struct policy_node *node,
		 const struct value_schema *schema)
{
	unsigned errors = l->n_errors;

	if (node->kind == NODE_NULL)
		return;
	switch (schema->type) {
	case VALUE_MAP:
		if (is_kind(l, doc, node, NODE_MAP, "write \"key: value\" lines under it"))
			walk_map(l, doc, node, schema);
		break;
	case VALUE_TABLE:
		if (is_kind(l, doc, node, NODE_MAP, "write \"name: value\" lines under it"))
			walk_list(l, doc, node, schema);
		break;
	case VALUE_LIST:
		if (is_kind(l, doc, node, NODE_LIST, "write [a, b] or lines that begin with -"))
			walk_list(l, doc, node, schema);
		break;
	case VALUE_ANY:
		break;
	default:
		if (is_kind(l, doc, node, NODE_SCALAR, "write the value on the same line"))
			walk_scalar(l, doc, node, schema);
		break;
	}
	if (schema->check && l->n_errors == errors)
		schema->check(l, doc, node);
}
