#include <stdio.h>
#include <string.h>

#include "common/policy_i.h"
#include "common/str.h"

static void write_text(FILE *f, const char *text)
{
	size_t len = strlen(text), size = len * 6 + 1;
	autofree char *buf = malloc(size);
	struct str s;

	if (!buf)
		return;
	str_init(&s, buf, size);
	str_add_json(&s, text, len);
	fprintf(f, "\"%s\"", buf);
}

static void write_scalar(FILE *f, const struct policy_node *node)
{
	int64_t n;
	bool b;

	if (node->plain && policy_parse_int(&n, node))
		fprintf(f, "%lld", (long long)n);
	else if (node->plain && policy_parse_bool(&b, node))
		fputs(b ? "true" : "false", f);
	else
		write_text(f, node->text);
}

void policy_json_write(FILE *f, const struct policy_node *node)
{
	bool map = node->kind == NODE_MAP, first = true;

	if (node->kind == NODE_NULL) {
		fputs("null", f);
		return;
	}
	if (node->kind == NODE_SCALAR) {
		write_scalar(f, node);
		return;
	}
	putc(map ? '{' : '[', f);
	for (size_t i = 0; i < node->n; i++) {
		/* entries of a list that were left out are not part of the policy */
		if (!map && node->items[i]->kind == NODE_NULL)
			continue;
		if (!first)
			putc(',', f);
		first = false;
		if (map) {
			write_text(f, node->keys[i]->text);
			putc(':', f);
		}
		policy_json_write(f, node->items[i]);
	}
	putc(map ? '}' : ']', f);
}
