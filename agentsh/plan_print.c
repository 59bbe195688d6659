#include "agentsh/plan_print.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/str.h"

/* The longest is 10 letters. */
static const char *kind_of(const struct plan_entry *entry)
{
	switch (entry->kind) {
	case PLAN_BIND:
		return "read-only";
	case PLAN_GOVERNED:
		return entry->read_only ? "governed-ro" : "governed";
	case PLAN_TMPFS:
		return "private";
	case PLAN_SYMLINK:
		return "link";
	case PLAN_MASK:
		return "empty";
	}
	return "?";
}

static void print_path(const char *path, unsigned width)
{
	char text[4 * 4096];
	struct str s;

	str_init(&s, text, sizeof(text));
	str_add_escaped(&s, path, strlen(path));
	printf("%-*s", (int)width, text);
}

static void print_entry(const struct plan_entry *entry)
{
	printf("%-11s  ", kind_of(entry));
	print_path(entry->path, 32);
	printf("  %s", entry->why ? entry->why : "");
	if (entry->host && strcmp(entry->host, entry->path) != 0) {
		fputs(entry->kind == PLAN_SYMLINK ? " -> " : "; is ", stdout);
		print_path(entry->host, 0);
	}
	putchar('\n');
}

static json_t *text(const char *s)
{
	json_t *value = json_string(s);

	return value ? value : json_string("(not UTF-8)");
}

static void add(json_t *list, const char *kind, const char *path, const char *host, const char *why)
{
	json_t *o = json_object();

	json_object_set_new(o, "kind", text(kind));
	json_object_set_new(o, "path", text(path));
	if (host)
		json_object_set_new(o, "host", text(host));
	json_object_set_new(o, "why", text(why));
	json_array_append_new(list, o);
}

static void print_json(const struct plan *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->n_entries; i++)
		add(list, kind_of(&p->entries[i]), p->entries[i].path, p->entries[i].host,
		    p->entries[i].why ? p->entries[i].why : "");
	for (size_t i = 0; i < p->n_overrides; i++)
		add(list, "generated", p->overrides[i].path, NULL, "the sandbox's own");
	json_dumpf(list, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(list);
}

void plan_print(const struct plan *p, bool as_json)
{
	if (as_json) {
		print_json(p);
		return;
	}
	for (size_t i = 0; i < p->n_entries; i++)
		print_entry(&p->entries[i]);
	for (size_t i = 0; i < p->n_overrides; i++) {
		printf("%-11s  ", "generated");
		print_path(p->overrides[i].path, 32);
		puts("  the sandbox's own");
	}
}
