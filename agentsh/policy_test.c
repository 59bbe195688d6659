#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "agentsh/policy_cmd.h"
#include "agentsh/policy_opts.h"
#include "agentsh/policy_request.h"
#include "common/auto.h"
#include "common/log.h"
#include "common/str.h"

/*
 * A table of cases is a YAML file:
 *
 *   workspace: /work/app        # values of the variables, so that the table holds everywhere
 *   home: /home/dev
 *   git_common_dir: /src/app/.git
 *   cases:
 *     - {file: src/main.c, op: [read, write], expect: allow}
 *     - {exec: [git, push, -f], expect: deny, rule: git-force-push}
 *     - {net: "pypi.org:443", expect: allow}
 *     - {tree: /usr, expect: read_only}
 *
 * A relative file is below the workspace; "~/" is the home. Programs are not looked up: a bare
 * name is in /usr/bin.
 */

struct table {
	yaml_document_t *doc;
	const char *file;
	const struct policy_opts *o;
	const struct policy *p;
	json_t *failures; /* with --json */
	unsigned passed, failed, broken;
};

/* ---- reading nodes ---- */

static yaml_node_t *get(yaml_document_t *doc, const yaml_node_t *map, const char *key)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *i = map->data.mapping.pairs.start; i < map->data.mapping.pairs.top;
	     i++) {
		const yaml_node_t *k = yaml_document_get_node(doc, i->key);

		if (k && k->type == YAML_SCALAR_NODE &&
		    strcmp((const char *)k->data.scalar.value, key) == 0)
			return yaml_document_get_node(doc, i->value);
	}
	return NULL;
}

static const char *text(const yaml_node_t *n)
{
	return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

/* The i-th text of a list, or of a single value taken as a list of one. */
static const char *item(yaml_document_t *doc, const yaml_node_t *n, size_t i)
{
	if (n && n->type == YAML_SEQUENCE_NODE) {
		size_t len = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);

		return i < len ? text(yaml_document_get_node(doc, n->data.sequence.items.start[i]))
			       : NULL;
	}
	return i == 0 ? text(n) : NULL;
}

/* ---- one case ---- */

static void broken(struct table *t, const yaml_node_t *n, const char *what)
{
	t->broken++;
	log_err("%s:%zu:%zu: %s", t->file, n->start_mark.line + 1, n->start_mark.column + 1, what);
}

static void check(struct table *t, const yaml_node_t *n, const char *what, const char *expect,
		  const char *rule, const char *got, const char *got_rule)
{
	bool ok = strcmp(expect, got) == 0 && (!rule || strcmp(rule, got_rule) == 0);

	t->passed += ok;
	t->failed += !ok;
	if (ok)
		return;
	if (t->failures)
		json_array_append_new(t->failures,
				      json_pack("{s:i, s:s, s:s, s:s?, s:s, s:s}", "line",
						(int)n->start_mark.line + 1, "case", what, "expect",
						expect, "expect_rule", rule, "got", got, "got_rule",
						got_rule));
	else
		printf("%s:%zu: %s: expected %s%s%s, got %s (rule %s)\n", t->file,
		       n->start_mark.line + 1, what, expect, rule ? " by " : "",
		       rule ? rule : "", got, got_rule);
}

static void run_tree(struct table *t, const yaml_node_t *n, const char *dir, const char *expect)
{
	static const char *const names[] = {
		[SUBTREE_MIXED] = "mixed",
		[SUBTREE_READ_ONLY] = "read_only",
		[SUBTREE_DENIED] = "denied",
		[SUBTREE_ALLOWED] = "allowed",
	};
	char what[300];
	struct str s;

	str_init(&s, what, sizeof(what));
	str_addf(&s, "tree %s", dir);
	check(t, n, what, expect, NULL, names[policy_subtree(t->p, dir)], "-");
}

static void run_words(struct table *t, const yaml_node_t *n, const struct policy_words *w,
		      const char *what, const char *expect, const char *rule)
{
	autofree struct policy_spec *spec = malloc(sizeof(*spec));
	struct err e = ERR_INIT;
	struct decision d;

	if (!spec || policy_request_make(spec, t->p, w, t->o->vars.workspace, false, &e) < 0) {
		broken(t, n, e.text);
		return;
	}
	policy_decide(&d, t->p, &spec->r);
	check(t, n, what, expect, rule, verdict_name(d.verdict), d.rule);
}

static const struct {
	const char *name;
	size_t offset;
} word_keys[] = {
	{"net", offsetof(struct policy_words, net)},
	{"unix", offsetof(struct policy_words, unix_path)},
	{"env", offsetof(struct policy_words, env)},
	{"signal", offsetof(struct policy_words, signal)},
	{"method", offsetof(struct policy_words, method)},
	{"path", offsetof(struct policy_words, path)},
	{"addr", offsetof(struct policy_words, addr)},
	{"proto", offsetof(struct policy_words, proto)},
	{"target", offsetof(struct policy_words, target)},
	{"depth", offsetof(struct policy_words, depth)},
	{"exe", offsetof(struct policy_words, exe)},
};

/* "~/x" is the home's, as in policies. */
static const char *at_home(const struct table *t, const char *path, char *buf, size_t size)
{
	struct str s;

	if (!path || !str_has_prefix(path, "~/"))
		return path;
	str_init(&s, buf, size);
	str_addf(&s, "%s%s", t->o->vars.home ? t->o->vars.home : "", path + 1);
	return buf;
}

static void describe(char *out, size_t size, const struct policy_words *w)
{
	const char *first[] = {w->file, w->exec, w->net, w->unix_path, w->env, w->signal};
	static const char *const kinds[] = {"file", "exec", "net", "unix", "env", "signal"};
	struct str s;

	str_init(&s, out, size);
	for (size_t i = 0; i < ARRAY_LEN(first); i++)
		if (first[i])
			str_addf(&s, "%s %s", kinds[i], first[i]);
	if (w->op && (w->file || w->unix_path))
		str_addf(&s, " %s", w->op);
	for (size_t i = 0; i < w->n_args; i++)
		str_addf(&s, " %s", w->args[i]);
}

static void run_case(struct table *t, const yaml_node_t *n)
{
	yaml_document_t *doc = t->doc;
	const yaml_node_t *files = get(doc, n, "file"), *ops = get(doc, n, "op");
	const yaml_node_t *exec = get(doc, n, "exec");
	const char *expect = text(get(doc, n, "expect")), *rule = text(get(doc, n, "rule"));
	const char *tree = text(get(doc, n, "tree"));
	const char *args[POLICY_ARGS_MAX];
	struct policy_words w = {.exec = item(doc, exec, 0), .args = args};
	char buf[PATH_MAX], exec_buf[PATH_MAX], what[400];

	if (!expect) {
		broken(t, n, "a case needs \"expect\"");
		return;
	}
	if (tree) {
		run_tree(t, n, at_home(t, tree, buf, sizeof(buf)), expect);
		return;
	}
	w.exec = at_home(t, w.exec, exec_buf, sizeof(exec_buf));
	for (; w.n_args + 1 < POLICY_ARGS_MAX && item(doc, exec, w.n_args + 1); w.n_args++)
		args[w.n_args] = item(doc, exec, w.n_args + 1);
	for (size_t i = 0; i < ARRAY_LEN(word_keys); i++) {
		const char *value = text(get(doc, n, word_keys[i].name));

		memcpy((char *)&w + word_keys[i].offset, &value, sizeof(value));
	}
	/* every file with every operation */
	for (size_t i = 0; i == 0 || item(doc, files, i); i++) {
		w.file = at_home(t, item(doc, files, i), buf, sizeof(buf));
		for (size_t j = 0; j == 0 || item(doc, ops, j); j++) {
			w.op = item(doc, ops, j);
			describe(what, sizeof(what), &w);
			run_words(t, n, &w, what, expect, rule);
		}
	}
}

/* ---- the table ---- */

static int read_table(yaml_document_t *doc, const char *file)
{
	autofclose FILE *f = fopen(file, "re");
	yaml_parser_t parser;
	bool ok;

	if (!f) {
		log_err("cases %s: %s", file, strerror(errno));
		return -EINVAL;
	}
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_file(&parser, f);
	ok = yaml_parser_load(&parser, doc);
	if (!ok)
		log_err("%s:%zu:%zu: %s", file, parser.problem_mark.line + 1,
			parser.problem_mark.column + 1,
			parser.problem ? parser.problem : "not YAML");
	yaml_parser_delete(&parser);
	return ok ? 0 : -EINVAL;
}

static int run_table(struct table *t)
{
	yaml_node_t *cases = get(t->doc, yaml_document_get_root_node(t->doc), "cases");

	if (!cases || cases->type != YAML_SEQUENCE_NODE) {
		log_err("%s: no list of \"cases\"", t->file);
		return EXIT_USAGE;
	}
	for (yaml_node_item_t *i = cases->data.sequence.items.start;
	     i < cases->data.sequence.items.top; i++)
		run_case(t, yaml_document_get_node(t->doc, *i));
	if (t->failures) {
		json_t *out = json_pack("{s:i, s:i, s:O}", "passed", (int)t->passed, "failed",
					(int)t->failed, "failures", t->failures);

		json_dumpf(out, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
		json_decref(out);
	} else {
		printf("%u passed, %u failed\n", t->passed, t->failed);
	}
	if (t->broken)
		return EXIT_USAGE;
	return t->failed ? EXIT_NO : EXIT_DONE;
}

/* NAME.cases.yaml beside NAME.yaml, or among the packs. */
static void default_cases(char *out, size_t size, const struct policy_opts *o, const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t len = dot && !strchr(dot, '/') ? (size_t)(dot - name) : strlen(name);
	struct str s;

	str_init(&s, out, size);
	if (policy_opts_is_file(name))
		str_add_mem(&s, name, len);
	else
		str_addf(&s, "%s/%s", o->dirs.policies, name);
	str_add(&s, ".cases.yaml");
}

static int run(struct policy_opts *o, const char *name, const char *file)
{
	AUTO(policy_free) struct policy *p = NULL;
	struct policy_report report = {.quiet = true};
	yaml_document_t doc;
	struct table t = {.doc = &doc, .file = file, .o = o};
	const char *home, *workspace;
	int status = EXIT_USAGE;

	if (read_table(&doc, file) < 0)
		return EXIT_USAGE;
	workspace = text(get(&doc, yaml_document_get_root_node(&doc), "workspace"));
	home = text(get(&doc, yaml_document_get_root_node(&doc), "home"));
	o->workspace = o->workspace ? o->workspace : workspace;
	o->home = o->home ? o->home : home;
	o->git_common = text(get(&doc, yaml_document_get_root_node(&doc), "git_common_dir"));
	if (policy_opts_finish(o) == 0 && policy_opts_load(&p, o, name, &report) == 0) {
		t.p = p;
		if (o->json)
			t.failures = json_array();
		status = run_table(&t);
		json_decref(t.failures);
	}
	yaml_document_delete(&doc);
	return status;
}

int policy_cmd_test(int argc, char **argv)
{
	const char *names[2] = {NULL, NULL};
	struct policy_opts o = {0}, first;
	char cases[PATH_MAX];
	size_t n = 0;

	for (int i = 1; i < argc; i++) {
		int taken = policy_opts_take(&o, argc, argv, &i);

		if (taken < 0)
			return EXIT_USAGE;
		if (!taken && (n == 2 || argv[i][0] == '-')) {
			log_err("policy test: \"%s\" is not understood; see --help", argv[i]);
			return EXIT_USAGE;
		}
		if (!taken)
			names[n++] = argv[i];
	}
	if (!n) {
		log_err("policy test: name a policy file or a pack");
		return EXIT_USAGE;
	}
	first = o;
	if (policy_opts_finish(&first) < 0)
		return EXIT_USAGE;
	default_cases(cases, sizeof(cases), &first, names[0]);
	return run(&o, names[0], names[1] ? names[1] : cases);
}
