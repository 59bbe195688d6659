#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "agentsh/policy_cmd.h"
#include "agentsh/policy_opts.h"
#include "common/auto.h"
#include "common/log.h"

/* ---- list ---- */

static int is_pack(const struct dirent *de)
{
	size_t len = strlen(de->d_name);

	return len > 5 && strcmp(de->d_name + len - 5, ".yaml") == 0 &&
	       !strstr(de->d_name, ".cases.");
}

static void list_one(const struct policy_opts *o, const char *file, json_t *list)
{
	char name[256];
	AUTO(policy_free) struct policy *p = NULL;
	struct policy_report report = {.quiet = true, .list = json_array()};
	int r;

	snprintf(name, sizeof(name), "%.*s", (int)strlen(file) - 5, file);
	r = policy_opts_load(&p, o, name, &report);
	json_decref(report.list);
	if (list)
		json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "name", name, "ok", r == 0,
						      "description",
						      p ? policy_description(p) : ""));
	else
		printf("%-16s %s\n", name, p ? policy_description(p) : "(does not load here)");
}

int policy_cmd_list(int argc, char **argv)
{
	struct dirent **entries = NULL;
	struct policy_opts o = {0};
	json_t *list = NULL;
	int n;

	for (int i = 1; i < argc; i++) {
		if (policy_opts_take(&o, argc, argv, &i) <= 0) {
			log_err("policy list: \"%s\" is not understood; see --help", argv[i]);
			return EXIT_USAGE;
		}
	}
	if (policy_opts_finish(&o) < 0)
		return EXIT_USAGE;
	n = scandir(o.dirs.policies, &entries, is_pack, alphasort);
	if (n < 0) {
		log_err("packs: %s: %s", o.dirs.policies, strerror(errno));
		return EXIT_IO;
	}
	if (o.json)
		list = json_array();
	for (int i = 0; i < n; i++) {
		list_one(&o, entries[i]->d_name, list);
		free(entries[i]);
	}
	free(entries);
	if (list) {
		json_dumpf(list, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
		json_decref(list);
	}
	return EXIT_DONE;
}

/* ---- show ---- */

/* Double quotes always: then no text can be taken for a number, a key or a comment. */
static void write_scalar(const json_t *v)
{
	autofree char *text = json_dumps(v, JSON_ENCODE_ANY);

	fputs(text ? text : "null", stdout);
}

static void write_yaml(const json_t *v, unsigned indent);

static bool is_block(const json_t *v)
{
	return (json_is_object(v) && json_object_size(v)) || (json_is_array(v) && json_array_size(v));
}

static void write_value(const json_t *v, unsigned indent)
{
	if (is_block(v)) {
		putchar('\n');
		write_yaml(v, indent);
	} else {
		putchar(' ');
		write_scalar(v);
		putchar('\n');
	}
}

static void write_list(const json_t *list, unsigned indent)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		printf("%*s-", (int)indent, "");
		write_value(item, indent + 2);
	}
}

/* A map of JSON is written in YAML's block form; nesting is bounded by the loader. */
static void write_yaml(const json_t *v, unsigned indent)
{
	const char *key;
	json_t *item;

	if (json_is_array(v)) {
		write_list(v, indent);
		return;
	}
	/* a cast as in jansson's own iteration macros: nothing is changed */
	json_object_foreach ((json_t *)(uintptr_t)v, key, item) {
		printf("%*s%s:", (int)indent, "", key);
		write_value(item, indent + 2);
	}
}

static void add_section(void *arg, const char *name, const char *text)
{
	json_t *all = arg;

	json_object_set_new(all, name, json_loads(text, JSON_DECODE_ANY, NULL));
}

int policy_cmd_show(int argc, char **argv)
{
	AUTO(policy_free) struct policy *p = NULL;
	struct policy_report report = {.quiet = true};
	struct policy_opts o = {0};
	const char *name = NULL;
	json_t *all;

	for (int i = 1; i < argc; i++) {
		int taken = policy_opts_take(&o, argc, argv, &i);

		if (taken < 0)
			return EXIT_USAGE;
		if (taken)
			continue;
		if (name || argv[i][0] == '-') {
			log_err("policy show: \"%s\" is not understood; see --help", argv[i]);
			return EXIT_USAGE;
		}
		name = argv[i];
	}
	if (!name) {
		log_err("policy show: name a policy file or a pack");
		return EXIT_USAGE;
	}
	if (policy_opts_finish(&o) < 0 || policy_opts_load(&p, &o, name, &report) < 0)
		return EXIT_USAGE;
	all = json_object();
	policy_each_section(p, add_section, all);
	if (o.json)
		json_dumpf(all, stdout, JSON_INDENT(2));
	else
		write_yaml(all, 0);
	if (o.json)
		putchar('\n');
	json_decref(all);
	return EXIT_DONE;
}
