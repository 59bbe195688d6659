/*
 * agentsh audit cat: the timeline of one or all sessions
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agentsh/audit_i.h"
#include "agentsh/audit_view.h"
#include "agentsh/cmd.h"
#include "common/dirs.h"

static const char help[] =
	"usage: agentsh audit cat [OPTION...]\n"
	"Print the audit log: one line a record, oldest first.\n"
	"\n"
	"  --json            one JSON object a line, with all fields\n"
	"  --session NAME    only this session; \"last\" is the newest\n"
	"  --gate NAME       only fs, net, exec or ctl\n"
	"  --decision WORD   only allow, deny, redirect, ...\n"
	"  --all             also the writer's own records (keys, producers)\n"
	"  --dir DIR         log directory (default: of this user)\n"
	"  --no-color        no colours (also with NO_COLOR set, or no terminal)\n"
	"\n"
	"Exit status: 0 printed, 1 there is nothing to print, 2 usage, 3 the log is damaged or\n"
	"cannot be read (then: agentsh audit verify).\n";

struct cat {
	bool json, all, colour;
	const char *session, *decision;
	int gate; /* -1: any */
	uint64_t shown;
	char *line;
};

enum option_id { OPT_JSON = 1, OPT_SESSION, OPT_GATE, OPT_DECISION, OPT_ALL, OPT_DIR, OPT_PLAIN, OPT_HELP };

static const struct option options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"session", required_argument, NULL, OPT_SESSION},
	{"gate", required_argument, NULL, OPT_GATE},
	{"decision", required_argument, NULL, OPT_DECISION},
	{"all", no_argument, NULL, OPT_ALL},
	{"dir", required_argument, NULL, OPT_DIR},
	{"no-color", no_argument, NULL, OPT_PLAIN},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static int gate_number(const char *name)
{
	for (int i = 0; i < AUDIT_GATES; i++)
		if (strcmp(name, audit_gate_name((enum audit_gate)i)) == 0)
			return i;
	return -1;
}

static bool wanted(const struct cat *c, const struct audit_record *r)
{
	char decision[32];

	if (r->type != AUDIT_TYPE_EVENT && !c->all && !audit_view_notable(r))
		return false;
	if (c->session && strcmp(c->session, r->session) != 0)
		return false;
	if (c->gate >= 0 && (int)r->gate != c->gate)
		return false;
	return !c->decision ||
	       strcmp(c->decision, audit_view_decision(r, decision, sizeof(decision))) == 0;
}

static int print(void *arg, const struct audit_record *r)
{
	struct cat *c = arg;
	struct str s;

	if (!wanted(c, r))
		return 0;
	str_init(&s, c->line, AUDIT_VIEW_MAX);
	if (c->json)
		audit_view_json(&s, r);
	else
		audit_view_line(&s, r, c->colour);
	c->shown++;
	/* a closed pipe (cat | head) is the reader's good right */
	return fwrite(s.buf, 1, s.len, stdout) == s.len ? 0 : 1;
}

/* @return -1 to go on, else the exit status */
static int parse(struct cat *c, const char **dir, int argc, char **argv)
{
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case OPT_JSON:
			c->json = true;
			break;
		case OPT_SESSION:
			c->session = optarg;
			break;
		case OPT_GATE:
			c->gate = gate_number(optarg);
			if (c->gate < 0) {
				fprintf(stderr, "agentsh: audit cat: no gate is named so: use fs, net, exec or ctl\n");
				return EXIT_USAGE;
			}
			break;
		case OPT_DECISION:
			c->decision = optarg;
			break;
		case OPT_ALL:
			c->all = true;
			break;
		case OPT_DIR:
			*dir = optarg;
			break;
		case OPT_PLAIN:
			c->colour = false;
			break;
		case OPT_HELP:
			fputs(help, stdout);
			return EXIT_DONE;
		default:
			return audit_cmd_usage("audit cat");
		}
	}
	return optind == argc ? -1 : audit_cmd_usage("audit cat");
}

static int finish(const struct cat *c, int r, const struct err *e)
{
	if (fflush(stdout) != 0 || r > 0)
		return EXIT_DONE;
	if (r < 0) {
		fprintf(stderr, "agentsh: %s\n", e->text);
		return r == -ENOENT ? EXIT_NO : EXIT_IO;
	}
	if (c->shown)
		return EXIT_DONE;
	fprintf(stderr, "agentsh: no record matches\n");
	return EXIT_NO;
}

int audit_cmd_cat(int argc, char **argv)
{
	struct cat c = {.gate = -1, .colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR")};
	autofree char *line = malloc(AUDIT_VIEW_MAX);
	struct err e = ERR_INIT;
	const char *dir = NULL;
	struct dirs d;
	char last[65];
	int r = parse(&c, &dir, argc, argv);

	if (r >= 0)
		return r;
	r = dir ? 0 : dirs_init(&d, &e);
	if (r == 0 && !line)
		r = err_set(&e, ENOMEM, "audit cat");
	if (r < 0)
		return finish(&c, r, &e);
	if (!dir)
		dir = d.audit;
	c.line = line;
	signal(SIGPIPE, SIG_IGN);
	if (c.session && strcmp(c.session, "last") == 0) {
		r = audit_reader_last_session(last, dir, &e);
		if (r < 0 && r != -EBADMSG)
			return finish(&c, r, &e);
		c.session = last;
	}
	r = audit_reader_each(dir, print, &c, &e);
	return finish(&c, r, &e);
}
