#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "agentsh/policy_cmd.h"
#include "agentsh/policy_opts.h"
#include "agentsh/policy_request.h"
#include "common/auto.h"
#include "common/log.h"
#include "common/str.h"

static const char *reason_text(enum policy_reason reason)
{
	switch (reason) {
	case REASON_RULE:
		return "the rule matches";
	case REASON_DEFAULT:
		return "no rule matches";
	case REASON_PRIVATE_ADDRESS:
		return "the address is private and no cidrs of the rule names it";
	case REASON_UNTRUSTED_DIR:
		return "a rule allows that name, but the program lies where the sandbox can write";
	case REASON_REGEX_LIMIT:
		return "a pattern of the rule exceeded its limit";
	case REASON_MALFORMED:
		return "the request cannot be judged";
	}
	return "";
}

static const char *section_name(enum policy_kind kind)
{
	static const char *const names[POLICY_KINDS] = {
		[POLICY_FILE] = "file_rules",	      [POLICY_COMMAND] = "command_rules",
		[POLICY_NETWORK] = "network_rules",   [POLICY_UNIX] = "unix_socket_rules",
		[POLICY_SIGNAL] = "signal_rules",     [POLICY_ENV] = "env_policy",
	};

	return (unsigned)kind < POLICY_KINDS ? names[kind] : "";
}

/* ---- output ---- */

struct trace {
	json_t *list; /* with --json */
	char *text;   /* without: lines to print after the verdict */
	size_t len;
	FILE *out;
};

static void one_rule(void *arg, uint32_t index, const char *rule, bool matched, const char *why)
{
	struct trace *t = arg;

	if (t->list)
		json_array_append_new(t->list, json_pack("{s:i, s:s, s:b, s:s}", "index", (int)index,
							 "rule", rule, "matched", matched, "why",
							 why));
	else
		fprintf(t->out, "  %3u %-28s %s\n", index, rule, why);
}

static void print_json(const struct decision *d, const struct policy_request *r,
		       const char *message, json_t *trace)
{
	json_t *out = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:i, s:o}", "verdict",
				verdict_name(d->verdict), "rule", d->rule, "section",
				section_name(r->kind), "rule_index",
				d->rule_index == UINT32_MAX ? -1 : (int)d->rule_index, "reason",
				reason_text(d->reason), "message", message, "redirect_to",
				d->redirect_to, "timeout_ms", (int)d->timeout_ms, "trace", trace);

	json_dumpf(out, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(out);
}

static void print_text(const struct decision *d, const struct policy_request *r,
		       const char *message, const char *trace)
{
	printf("%s: rule %s", verdict_name(d->verdict), d->rule);
	if (d->rule_index != UINT32_MAX)
		printf(" (%s %u)", section_name(r->kind), d->rule_index);
	printf(": %s\n", reason_text(d->reason));
	if (*message)
		printf("message: %s\n", message);
	if (*d->redirect_to)
		printf("redirect to: %s\n", d->redirect_to);
	if (d->verdict == VERDICT_APPROVE)
		printf("waits for a person at most %u s, then denied\n", d->timeout_ms / 1000);
	if (*trace)
		printf("rules looked at, in order:\n%s", trace);
}

static int explain(const struct policy_opts *o, const struct policy *p,
		   const struct policy_request *r)
{
	autofree char *lines = NULL;
	struct trace t = {0};
	struct decision d;
	char message[1024];

	if (o->json)
		t.list = json_array();
	else
		t.out = open_memstream(&t.text, &t.len);
	if (!t.list && !t.out) {
		log_err("out of memory");
		return EXIT_IO;
	}
	policy_explain(&d, p, r, one_rule, &t);
	if (t.out)
		fclose(t.out);
	lines = t.text;
	policy_message(message, sizeof(message), &d, r, "session");
	if (o->json)
		print_json(&d, r, message, t.list);
	else
		print_text(&d, r, message, lines ? lines : "");
	return d.verdict == VERDICT_DENY || d.verdict == VERDICT_HIDE ? EXIT_NO : EXIT_DONE;
}

/* ---- arguments ---- */

static const struct {
	const char *name;
	size_t offset;
} options[] = {
	{"--file", offsetof(struct policy_words, file)},
	{"--net", offsetof(struct policy_words, net)},
	{"--unix", offsetof(struct policy_words, unix_path)},
	{"--env", offsetof(struct policy_words, env)},
	{"--signal", offsetof(struct policy_words, signal)},
	{"--op", offsetof(struct policy_words, op)},
	{"--method", offsetof(struct policy_words, method)},
	{"--path", offsetof(struct policy_words, path)},
	{"--addr", offsetof(struct policy_words, addr)},
	{"--proto", offsetof(struct policy_words, proto)},
	{"--target", offsetof(struct policy_words, target)},
	{"--depth", offsetof(struct policy_words, depth)},
	{"--exe", offsetof(struct policy_words, exe)},
};

/* @return 1 taken, 0 unknown, -1 said on stderr */
static int take_word(struct policy_words *w, int argc, char **argv, int *i)
{
	const char *name = argv[*i];

	for (size_t k = 0; k < ARRAY_LEN(options); k++) {
		size_t len = strlen(options[k].name);
		const char *value = NULL;

		if (strncmp(name, options[k].name, len) != 0 || (name[len] && name[len] != '='))
			continue;
		if (name[len])
			value = name + len + 1;
		else if (*i + 1 < argc)
			value = argv[++*i];
		if (!value) {
			log_err("%s needs a value", name);
			return -1;
		}
		memcpy((char *)w + options[k].offset, &value, sizeof(value));
		return 1;
	}
	return 0;
}

static int parse(struct policy_opts *o, struct policy_words *w, const char **name, int argc,
		 char **argv)
{
	for (int i = 1; i < argc; i++) {
		int taken;

		if (strcmp(argv[i], "--exec") == 0 && i + 1 < argc) {
			/* all that follows is the command */
			w->exec = argv[i + 1];
			w->args = (const char *const *)argv + i + 2;
			w->n_args = (size_t)(argc - i - 2);
			break;
		}
		taken = policy_opts_take(o, argc, argv, &i);
		if (!taken)
			taken = take_word(w, argc, argv, &i);
		if (!taken && argv[i][0] != '-' && !*name) {
			*name = argv[i];
			continue;
		}
		if (!taken)
			log_err("policy explain: \"%s\" is not understood; see --help", argv[i]);
		if (taken <= 0)
			return -1;
	}
	if (!*name)
		log_err("policy explain: name a policy file or a pack");
	return *name ? 0 : -1;
}

int policy_cmd_explain(int argc, char **argv)
{
	AUTO(policy_free) struct policy *p = NULL;
	autofree struct policy_spec *spec = malloc(sizeof(*spec));
	struct policy_report report = {.quiet = true};
	struct policy_words words = {0};
	struct policy_opts o = {0};
	const char *name = NULL;
	struct err e = ERR_INIT;

	if (!spec || parse(&o, &words, &name, argc, argv) < 0 || policy_opts_finish(&o) < 0 ||
	    policy_opts_load(&p, &o, name, &report) < 0)
		return EXIT_USAGE;
	if (policy_request_make(spec, p, &words, o.vars.workspace, true, &e) < 0) {
		log_err("policy explain: %s", e.text);
		return EXIT_USAGE;
	}
	return explain(&o, p, &spec->r);
}
