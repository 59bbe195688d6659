/* agentsh trash list|restore|purge */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agentsh/cmd.h"
#include "agentsh/session.h"
#include "agentsh/trash.h"
#include "common/log.h"
#include "common/path.h"
#include "common/str.h"

AUTO_DEFINE(json_t *, json_decref)

static const char usage_text[] =
	"usage: agentsh trash list [--session NAME] [--json] [TOKEN|PATH...]\n"
	"       agentsh trash restore [--to PATH] [--force] [--json] TOKEN|PATH...|--session NAME\n"
	"       agentsh trash purge [--dry-run] [--json] TOKEN|PATH...|--session NAME|--all|--expired\n\n"
	"Files that an agent deleted where a rule of the policy says soft_delete. PATH is the file's\n"
	"own, or a directory's that it was in: the newest state of each file comes back.\n\n"
	"  --session NAME  what this session deleted\n"
	"  --to PATH       restore to this place (several files: below it)\n"
	"  --force         replace what is there now\n"
	"  --expired       what is older than the policy of its session said; with --max-mb N and\n"
	"                  --max-count N also the oldest above these\n"
	"  --dry-run       only tell\n";

struct options {
	const char *verb, *session, *to;
	bool json, force, all, expired, dry;
	struct policy_trash limits;
	char **names; /* tokens and paths */
	int n_names;
};

struct run {
	const struct options *opt;
	struct trash trash;
	bool *chosen;
	json_t *report;
	int done, failed;
};

/* ---- which ---- */

static bool is_or_below(const char *path, const char *dir)
{
	return strcmp(path, dir) == 0 || path_is_below(path, dir);
}

static void absolute(char *out, size_t size, const char *name)
{
	char cwd[PATH_MAX], joined[2 * PATH_MAX];

	if (name[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		snprintf(joined, sizeof(joined), "%s", name);
	else
		snprintf(joined, sizeof(joined), "%s/%s", cwd, name);
	if (path_normalize(out, size, joined) < 0)
		snprintf(out, size, "%s", name);
}

/* @return whether it names anything */
static bool choose(struct run *run, const char *name)
{
	char path[2 * PATH_MAX], host[2 * PATH_MAX];
	bool found = false;

	absolute(path, sizeof(path), name);
	for (size_t i = 0; i < run->trash.n; i++) {
		const struct trash_meta *m = &run->trash.items[i];

		trash_host_path(m, host, sizeof(host));
		if (strcmp(m->token, name) != 0 && !is_or_below(host, path) &&
		    !is_or_below(m->path, path))
			continue;
		if (run->opt->session && strcmp(m->session, run->opt->session) != 0)
			continue;
		run->chosen[i] = found = true;
	}
	if (!found)
		log_err("%s: nothing in the trash has this token or path; \"agentsh trash list\" "
			"lists it", name);
	return found;
}

static bool choose_all(struct run *run)
{
	const struct options *opt = run->opt;
	bool fine = true;

	for (int i = 0; i < opt->n_names; i++)
		fine = choose(run, opt->names[i]) && fine;
	for (size_t i = 0; !opt->n_names && i < run->trash.n; i++)
		run->chosen[i] = !opt->session ||
				 strcmp(run->trash.items[i].session, opt->session) == 0;
	return fine;
}

/* Of several states of one file, the newest one: the list is in that order. */
static void keep_newest(struct run *run)
{
	const struct trash_meta *items = run->trash.items;

	for (size_t i = 0; i < run->trash.n; i++)
		for (size_t j = i + 1; run->chosen[i] && j < run->trash.n; j++)
			if (run->chosen[j] && strcmp(items[i].rel, items[j].rel) == 0 &&
			    strcmp(items[i].root, items[j].root) == 0)
				run->chosen[j] = false;
}

/* ---- saying ---- */

static json_t *text_json(const char *text)
{
	char safe[4 * PATH_MAX];
	json_t *o = json_string(text);
	struct str s;

	if (o)
		return o;
	str_init(&s, safe, sizeof(safe)); /* not UTF-8 */
	str_add_escaped(&s, text, strlen(text));
	return json_string(safe);
}

static const char *type_name(mode_t mode)
{
	return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "symlink"
	     : S_ISFIFO(mode) ? "fifo" : "socket";
}

static json_t *item_json(const struct trash_meta *m)
{
	char host[2 * PATH_MAX];
	json_t *o;

	trash_host_path(m, host, sizeof(host));
	o = json_pack("{s:s, s:o, s:o, s:o, s:s, s:s, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:o, s:I, "
		      "s:o}",
		      "token", m->token, "session", text_json(m->session), "path",
		      text_json(m->path), "host_path", text_json(host), "why",
		      trash_why_name(m->why), "type", type_name(m->mode), "mode",
		      (int)(m->mode & 07777), "uid", (int)m->uid, "gid", (int)m->gid, "size",
		      (json_int_t)m->size, "mtime", (json_int_t)m->mtime.tv_sec, "deleted",
		      (json_int_t)m->deleted.tv_sec, "expires", (json_int_t)m->expires, "rule",
		      text_json(m->rule), "pid", (json_int_t)m->pid, "comm", text_json(m->comm));
	if (o && m->sha256[0])
		json_object_set_new(o, "sha256", text_json(m->sha256));
	if (o && m->target[0])
		json_object_set_new(o, "target", text_json(m->target));
	return o;
}

static void print_item(const struct trash_meta *m)
{
	char host[2 * PATH_MAX], shown[4096], when[32];
	struct tm tm;
	struct str s;

	trash_host_path(m, host, sizeof(host));
	str_init(&s, shown, sizeof(shown));
	str_add_escaped(&s, host, strlen(host));
	localtime_r(&m->deleted.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s  %s  %-8s %10lld  %s%s\n", m->token, when, trash_why_name(m->why),
	       (long long)m->size, shown, S_ISDIR(m->mode) ? "/" : "");
}

/* @param error  what went wrong with it, or NULL */
static void tell(struct run *run, const struct trash_meta *m, const char *error)
{
	json_t *o;

	if (!run->opt->json) {
		if (!error)
			print_item(m);
		return;
	}
	o = item_json(m);
	if (o && error)
		json_object_set_new(o, "error", text_json(error));
	json_array_append_new(run->report, o);
}

static int finish(struct run *run)
{
	if (run->opt->json) {
		json_dumpf(run->report, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return run->failed ? EXIT_NO : EXIT_DONE;
}

/* ---- doing ---- */

static int list(struct run *run)
{
	run->failed = !choose_all(run);
	for (size_t i = 0; i < run->trash.n; i++)
		if (run->chosen[i])
			tell(run, &run->trash.items[i], NULL);
	if (!run->opt->json && !run->trash.n && !run->failed)
		puts("the trash is empty");
	return finish(run);
}

/* Where an item goes: NULL is where it was. */
static const char *place_of(const struct run *run, const struct trash_meta *m, bool several,
			    char *buf, size_t size)
{
	if (!run->opt->to || !several)
		return run->opt->to;
	snprintf(buf, size, "%s/%s", run->opt->to, m->rel);
	return buf;
}

static void restore_one(struct run *run, size_t i, bool several)
{
	const struct trash_meta *m = &run->trash.items[i];
	struct trash_restore how = {.force = run->opt->force};
	char to[2 * PATH_MAX];
	struct err e = ERR_INIT;

	how.to = place_of(run, m, several, to, sizeof(to));
	if (trash_restore(&run->trash, m, &how, &e) < 0) {
		log_err("%s: %s", m->token, e.text);
		tell(run, m, e.text);
		run->failed++;
		run->chosen[i] = false;
		return;
	}
	tell(run, m, NULL);
	run->done++;
}

/* What was deleted last comes back first: a directory before what was in it. */
static int restore(struct run *run)
{
	char to[2 * PATH_MAX];
	size_t n = 0;

	run->failed = !choose_all(run);
	keep_newest(run);
	for (size_t i = 0; i < run->trash.n; i++)
		n += run->chosen[i];
	for (size_t i = 0; i < run->trash.n; i++)
		if (run->chosen[i])
			restore_one(run, i, n > 1);
	for (size_t i = run->trash.n; i-- > 0;) {
		const struct trash_meta *m = &run->trash.items[i];

		if (run->chosen[i] && S_ISDIR(m->mode))
			trash_restore_times(m, place_of(run, m, n > 1, to, sizeof(to)));
	}
	if (!run->done && !run->failed) {
		log_err("nothing to restore");
		run->failed = 1;
	}
	return finish(run);
}

static void was_expired(void *arg, const struct trash_meta *m)
{
	tell(arg, m, NULL);
}

static int purge(struct run *run)
{
	const struct options *opt = run->opt;

	if (opt->expired) {
		trash_expire(&run->trash, &opt->limits, time(NULL), opt->dry, was_expired, run);
		return finish(run);
	}
	run->failed = !choose_all(run);
	for (size_t i = 0; i < run->trash.n; i++) {
		const struct trash_meta *m = &run->trash.items[i];
		int r = run->chosen[i] && !opt->dry ? trash_purge(&run->trash, m) : 0;

		if (r < 0) {
			log_err("%s: %s", m->token, strerror(-r));
			run->failed++;
		}
		if (run->chosen[i])
			tell(run, m, r < 0 ? strerror(-r) : NULL);
	}
	return finish(run);
}

/* ---- the command line ---- */

static bool take_value(const char **out, int argc, char **argv, int *i, const char *name)
{
	if (strcmp(argv[*i], name) != 0 || *i + 1 >= argc)
		return false;
	*out = argv[++*i];
	return true;
}

static bool take_flag(struct options *o, const char *arg)
{
	struct {
		const char *name;
		bool *flag;
	} const flags[] = {
		{"--json", &o->json},	{"--force", &o->force}, {"--all", &o->all},
		{"--expired", &o->expired}, {"--dry-run", &o->dry},
	};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (strcmp(flags[i].name, arg) == 0) {
			*flags[i].flag = true;
			return true;
		}
	}
	return false;
}

static bool take_limit(struct options *o, int argc, char **argv, int *i)
{
	const char *text = NULL;
	uint64_t n = 0;

	if (take_value(&text, argc, argv, i, "--max-mb")) {
		if (str_to_u64(&n, text, 1, 1000000000) < 0)
			return false;
		o->limits.max_bytes = n << 20;
		return true;
	}
	if (!take_value(&text, argc, argv, i, "--max-count") ||
	    str_to_u64(&n, text, 1, 1000000000) < 0)
		return false;
	o->limits.max_count = (uint32_t)n;
	return true;
}

/* Names are moved to the front of argv. @return whether it makes sense */
static bool parse(struct options *o, int argc, char **argv)
{
	bool only_names = false;

	if (argc < 2)
		return false;
	o->verb = argv[1];
	o->names = argv + 1;
	for (int i = 2; i < argc; i++) {
		if (only_names || argv[i][0] != '-') {
			o->names[o->n_names++] = argv[i];
			continue;
		}
		only_names = strcmp(argv[i], "--") == 0;
		if (!only_names && !take_flag(o, argv[i]) &&
		    !take_value(&o->session, argc, argv, &i, "--session") &&
		    !take_value(&o->to, argc, argv, &i, "--to") && !take_limit(o, argc, argv, &i))
			return false;
	}
	return true;
}

static bool makes_sense(const struct options *o)
{
	bool limits = o->limits.max_bytes || o->limits.max_count;
	int what = (o->n_names > 0) + o->all + o->expired + (o->session && !o->n_names);

	if (strcmp(o->verb, "list") == 0)
		return !o->to && !o->force && !o->all && !o->expired && !o->dry && !limits;
	if (strcmp(o->verb, "restore") == 0)
		return what == 1 && !o->all && !o->expired && !o->dry && !limits;
	return strcmp(o->verb, "purge") == 0 && what == 1 && !o->to && !o->force &&
	       (!limits || o->expired);
}

static int run_verb(const struct options *opt, const struct dirs *dirs)
{
	AUTO(json_decref) json_t *report = json_array();
	struct run run = {.opt = opt, .report = report};
	struct err e = ERR_INIT;
	int status;

	if (trash_load(&run.trash, dirs, &e) < 0) {
		log_err("%s", e.text);
		return EXIT_IO;
	}
	run.chosen = calloc(run.trash.n + 1, sizeof(*run.chosen));
	if (!run.chosen || !report)
		status = EXIT_IO;
	else if (opt->verb[0] == 'l')
		status = list(&run);
	else
		status = opt->verb[0] == 'r' ? restore(&run) : purge(&run);
	free(run.chosen);
	trash_unload(&run.trash);
	return status;
}

int cmd_trash(int argc, char **argv)
{
	struct options opt = {0};
	struct err e = ERR_INIT;
	struct dirs dirs;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage_text, stdout);
		return EXIT_DONE;
	}
	if (!parse(&opt, argc, argv) || !makes_sense(&opt)) {
		fputs(usage_text, stderr);
		return EXIT_USAGE;
	}
	if (dirs_init(&dirs, &e) < 0) {
		log_err("%s", e.text);
		return EXIT_IO;
	}
	return run_verb(&opt, &dirs);
}
