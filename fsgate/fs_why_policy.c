#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "fsgate/fs_why.h"

/* Sections that are shown; what is not in this list may hold a secret or says nothing of files,
 * commands and hosts. */
static const char *const shown[] = {
	"version",	 "name",	"description",	   "defaults",	   "file_rules",
	"command_rules", "network_rules", "unix_socket_rules", "signal_rules", "resource_limits",
	"env_policy",	 "audit",
};

static bool is_shown(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(shown); i++)
		if (strcmp(shown[i], name) == 0)
			return true;
	return false;
}

static bool may_tell(const json_t *rule)
{
	const char *decision = json_string_value(json_object_get(rule, "decision"));

	return !decision || strcmp(decision, "hide") != 0;
}

/* What a command is given in place of another may carry values from the host. */
static void strip(json_t *rule)
{
	json_t *to = json_object_get(rule, "redirect_to");

	if (json_is_object(to))
		json_object_del(to, "environment");
}

static void write_list(FILE *f, json_t *list)
{
	const char *comma = "";
	json_t *rule;
	size_t i;

	fputs("[", f);
	json_array_foreach (list, i, rule) {
		if (!may_tell(rule))
			continue;
		strip(rule);
		fprintf(f, "%s\n  ", comma);
		json_dumpf(rule, f, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
		comma = ",";
	}
	fputs("\n ]", f);
}

struct writer {
	FILE *f;
	const char *comma;
	json_t *left_out;
};

static void write_section(void *arg, const char *name, const char *text)
{
	struct writer *w = arg;
	json_t *v;

	if (!is_shown(name)) {
		json_array_append_new(w->left_out, json_string(name));
		return;
	}
	v = json_loads(text, JSON_DECODE_ANY, NULL);
	if (!v)
		return;
	fprintf(w->f, "%s\n \"%s\": ", w->comma, name);
	if (json_is_array(v))
		write_list(w->f, v);
	else
		json_dumpf(v, w->f, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	w->comma = ",";
	json_decref(v);
}

char *fs_why_policy(const struct policy *p, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);
	struct writer w = {f, "", json_array()};

	if (!f || !w.left_out) {
		json_decref(w.left_out);
		if (f)
			fclose(f);
		free(text);
		return NULL;
	}
	fputs("{", f);
	policy_each_section(p, write_section, &w);
	if (json_array_size(w.left_out)) {
		fprintf(f, "%s\n \"not_shown\": ", w.comma);
		json_dumpf(w.left_out, f, JSON_ENSURE_ASCII);
	}
	fputs("\n}\n", f);
	json_decref(w.left_out);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}
