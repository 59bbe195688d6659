#include <string.h>

#include "common/policy_i.h"

/*
 * What extends means: lists are joined, first the extending document's; maps are joined key by key;
 * of single values the extending document's holds.
 */

static struct policy_node *join(struct policy_loader *l, const struct policy_node *a,
				const struct policy_node *b)
{
	struct policy_node *n = arena_alloc(&l->arena, sizeof(*n));

	if (n) {
		*n = *a;
		n->items = arena_alloc(&l->arena, (a->n + b->n + 1) * sizeof(*n->items));
		n->keys = arena_alloc(&l->arena, (a->n + b->n + 1) * sizeof(*n->keys));
	}
	if (!n || !n->items || !n->keys) {
		l->no_memory = true;
		return NULL;
	}
	if (a->n)
		memcpy(n->items, a->items, a->n * sizeof(*n->items));
	if (a->n && a->keys)
		memcpy(n->keys, a->keys, a->n * sizeof(*n->keys));
	return n;
}

static struct policy_node *merge(struct policy_loader *l, struct policy_node *a,
				 struct policy_node *b)
{
	struct policy_node *n;

	if (a->kind == NODE_NULL)
		return b;
	if (a->kind != b->kind || a->kind == NODE_SCALAR)
		return a;
	n = join(l, a, b);
	for (size_t i = 0; n && i < b->n; i++) {
		size_t at = n->n;

		for (size_t j = 0; a->kind == NODE_MAP && j < a->n; j++)
			if (strcmp(a->keys[j]->text, b->keys[i]->text) == 0)
				at = j;
		if (at < n->n) {
			n->items[at] = merge(l, n->items[at], b->items[i]);
			if (!n->items[at])
				return NULL;
			continue;
		}
		if (a->kind == NODE_MAP)
			n->keys[n->n] = b->keys[i];
		n->items[n->n++] = b->items[i];
	}
	return n;
}

struct policy_node *policy_merge(struct policy_loader *l)
{
	struct policy_node *root = l->docs[0]->root;

	for (unsigned i = 1; root && i < l->n_docs; i++)
		root = merge(l, root, l->docs[i]->root);
	return root;
}
