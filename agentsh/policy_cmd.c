#include "agentsh/policy_cmd.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "agentsh/policy_opts.h"
#include "common/auto.h"
#include "common/log.h"

static const struct subcommand {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *usage;
	const char *what;
} subcommands[] = {
	{"check", policy_cmd_check, "FILE|PACK...", "print every error of a policy"},
	{"explain", policy_cmd_explain,
	 "FILE|PACK --file PATH --op OP | --exec CMD [ARG...] | --net HOST:PORT\n"
	 "                  [--method M --path P --addr IP] | --unix PATH --op OP | --env NAME |\n"
	 "                  --signal NAME [--target KIND]",
	 "which rule decides a request, and why earlier ones did not"},
	{"test", policy_cmd_test, "FILE|PACK [CASES.yaml]",
	 "decide a table of requests and compare with what it expects"},
	{"list", policy_cmd_list, "", "the packs"},
	{"show", policy_cmd_show, "FILE|PACK", "the effective policy, with what it extends"},
};

static int usage(FILE *to, const struct subcommand *only)
{
	fprintf(to, "usage: agentsh policy %s\n\n", only ? only->name : "SUBCOMMAND [OPTION...]");
	for (size_t i = 0; i < ARRAY_LEN(subcommands); i++) {
		const struct subcommand *s = &subcommands[i];

		if (!only || only == s)
			fprintf(to, "  %-8s %s\n           %s\n", s->name, s->usage, s->what);
	}
	fputs("\noptions of all: --json, --workspace DIR, --home DIR (values of the variables)\n"
	      "status: 0 done; 1 denied, or a case failed; 2 bad policy or bad usage\n",
	      to);
	return to == stderr ? EXIT_USAGE : EXIT_DONE;
}

static unsigned count_rules(const struct policy *p)
{
	unsigned n = 0;

	for (unsigned k = 0; k < POLICY_KINDS; k++)
		n += policy_count_rules(p, (enum policy_kind)k);
	return n;
}

static int check_one(const struct policy_opts *o, const char *name, json_t *results)
{
	struct policy_report report = {.list = results ? json_array() : NULL};
	AUTO(policy_free) struct policy *p = NULL;
	int r = policy_opts_load(&p, o, name, &report);

	if (results)
		json_array_append_new(results,
				      json_pack("{s:s, s:b, s:s, s:i, s:o}", "policy", name, "ok",
						r == 0, "name", p ? policy_name(p) : "", "rules",
						p ? (int)count_rules(p) : 0, "diagnostics",
						report.list));
	else if (r == 0)
		printf("ok: %s, %u rules\n", policy_name(p), count_rules(p));
	else
		fprintf(stderr, "%s: %u error%s\n", name, report.n_errors,
			report.n_errors == 1 ? "" : "s");
	return r;
}

int policy_cmd_check(int argc, char **argv)
{
	struct policy_opts o = {0};
	json_t *results = NULL;
	int first = 1, bad = 0;

	for (int i = 1; i < argc; i++) {
		int taken = policy_opts_take(&o, argc, argv, &i);

		if (taken < 0 || (!taken && argv[i][0] == '-'))
			return usage(stderr, &subcommands[0]);
		if (!taken)
			argv[first++] = argv[i];
	}
	if (first == 1)
		return usage(stderr, &subcommands[0]);
	if (policy_opts_finish(&o) < 0)
		return EXIT_USAGE;
	if (o.json)
		results = json_array();
	for (int i = 1; i < first; i++)
		bad |= check_one(&o, argv[i], results) < 0;
	if (results) {
		json_dumpf(first == 2 ? json_array_get(results, 0) : results, stdout,
			   JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
		json_decref(results);
	}
	return bad ? EXIT_USAGE : EXIT_DONE;
}

int cmd_policy(int argc, char **argv)
{
	const struct subcommand *s = NULL;

	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(subcommands); i++)
		if (strcmp(argv[1], subcommands[i].name) == 0)
			s = &subcommands[i];
	for (int i = 1; i < argc; i++) {
		/* what follows --exec belongs to the command that is asked about */
		if (strcmp(argv[i], "--exec") == 0)
			break;
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return usage(stdout, s);
	}
	if (!s) {
		if (argc > 1)
			log_err("policy %s: no such subcommand", argv[1]);
		return usage(stderr, NULL);
	}
	return s->fn(argc - 1, argv + 1);
}
