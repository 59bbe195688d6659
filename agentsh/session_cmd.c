/*
 * agentsh session list|show: what STATE/sessions holds, and which of it is alive
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agentsh/cmd.h"
#include "agentsh/session.h"
#include "common/auto.h"
#include "common/dirs.h"
#include "common/log.h"
#include "common/str.h"

AUTO_DEFINE(json_t *, json_decref)

static const char usage_text[] =
	"usage: agentsh session list [--json]\n"
	"       agentsh session show NAME [--json]\n\n"
	"Sessions of this user, newest first. A session that is neither running nor ended was lost:\n"
	"its supervisor was killed (the sandbox died with it).\n";

static json_t *load(const struct dirs *dirs, const char *name)
{
	char path[PATH_MAX * 2];
	json_t *o;

	snprintf(path, sizeof(path), "%s/sessions/%s.json", dirs->state, name);
	o = json_load_file(path, 0, NULL);
	if (!o)
		return NULL;
	json_object_set_new(o, "state",
			    json_string(session_is_live(dirs, name) ? "running"
					: json_object_get(o, "ended")	  ? "ended"
									  : "lost"));
	return o;
}

static int newer_first(const void *a, const void *b)
{
	json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "started"));
	json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "started"));

	return x < y ? 1 : x > y ? -1 : 0;
}

static json_t *load_all(const struct dirs *dirs)
{
	json_t *all = json_array(), *sorted;
	char path[PATH_MAX + 16];
	struct dirent *de;
	json_t **v;
	size_t n;
	DIR *d;

	snprintf(path, sizeof(path), "%s/sessions", dirs->state);
	d = opendir(path);
	while (d && (de = readdir(d))) {
		size_t len = strlen(de->d_name);
		json_t *o;

		if (len < 6 || strcmp(de->d_name + len - 5, ".json") != 0)
			continue;
		de->d_name[len - 5] = '\0';
		o = load(dirs, de->d_name);
		if (o)
			json_array_append_new(all, o);
	}
	if (d)
		closedir(d);
	n = json_array_size(all);
	v = calloc(n + 1, sizeof(json_t *));
	sorted = json_array();
	for (size_t i = 0; v && i < n; i++)
		v[i] = json_array_get(all, i);
	if (v)
		qsort(v, n, sizeof(json_t *), newer_first);
	for (size_t i = 0; v && i < n; i++)
		json_array_append(sorted, v[i]);
	free(v);
	json_decref(all);
	return sorted;
}

static void format_time(char *out, size_t size, const json_t *seconds)
{
	time_t t = (time_t)json_integer_value(seconds);
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(out, size, "%Y-%m-%d %H:%M:%S", &tm);
}

static void command_line(struct str *s, const json_t *command)
{
	size_t i;
	json_t *word;

	json_array_foreach(command, i, word) {
		const char *text = json_string_value(word);

		str_add(s, i ? " " : "");
		str_add_escaped(s, text ? text : "", text ? strlen(text) : 0);
	}
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void print_line(const json_t *o)
{
	char started[32], command[256];
	const json_t *status = json_object_get(o, "status");
	struct str s;

	format_time(started, sizeof(started), json_object_get(o, "started"));
	str_init(&s, command, 80);
	command_line(&s, json_object_get(o, "command"));
	printf("%-24s %s  %-7s ", text_of(o, "name"), started, text_of(o, "state"));
	if (status)
		printf("%3d", (int)json_integer_value(status));
	else
		printf("  -");
	printf("  %s\n", command);
}

static int print_json(json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	return EXIT_DONE;
}

static int list(const struct dirs *dirs, bool as_json)
{
	AUTO(json_decref) json_t *all = load_all(dirs);
	size_t i;
	json_t *o;

	if (as_json)
		return print_json(all);
	if (json_array_size(all) == 0)
		puts("no sessions yet");
	json_array_foreach(all, i, o) print_line(o);
	return EXIT_DONE;
}

static int show(const struct dirs *dirs, const char *name, bool as_json)
{
	AUTO(json_decref) json_t *o = session_name_ok(name) ? load(dirs, name) : NULL;
	char when[32], command[4096];
	struct str s;

	if (!o) {
		log_err("%s: no such session; \"agentsh session list\" lists them", name);
		return EXIT_NO;
	}
	if (as_json)
		return print_json(o);
	str_init(&s, command, sizeof(command));
	command_line(&s, json_object_get(o, "command"));
	printf("session    %s\nstate      %s\ncommand    %s\nworkspace  %s\n", text_of(o, "name"),
	       text_of(o, "state"), command, text_of(o, "workspace"));
	if (*text_of(o, "mount"))
		printf("mount      %s\n", text_of(o, "mount"));
	printf("policy     %s (sha256 %.16s...)\nmode       %s\n", text_of(o, "policy"),
	       text_of(o, "policy_digest"), text_of(o, "mode"));
	format_time(when, sizeof(when), json_object_get(o, "started"));
	printf("started    %s\n", when);
	if (json_object_get(o, "ended")) {
		format_time(when, sizeof(when), json_object_get(o, "ended"));
		printf("ended      %s\nstatus     %d\n", when,
		       (int)json_integer_value(json_object_get(o, "status")));
	}
	printf("log        agentsh audit cat --session %s\n", text_of(o, "name"));
	return EXIT_DONE;
}

int cmd_session(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct dirs dirs;
	bool as_json = argc > 1 && strcmp(argv[argc - 1], "--json") == 0;

	argc -= as_json;
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage_text, stdout);
		return EXIT_DONE;
	}
	if (dirs_init(&dirs, &e) < 0) {
		log_err("%s", e.text);
		return EXIT_IO;
	}
	if (argc == 2 && strcmp(argv[1], "list") == 0)
		return list(&dirs, as_json);
	if (argc == 3 && strcmp(argv[1], "show") == 0)
		return show(&dirs, argv[2], as_json);
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}
