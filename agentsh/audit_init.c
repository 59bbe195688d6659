/*
 * agentsh audit init: create the log before its first session, to keep its root secret elsewhere
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agentsh/audit_i.h"
#include "agentsh/cmd.h"
#include "common/audit_log.h"
#include "common/dirs.h"

static const char help[] =
	"usage: agentsh audit init [--escrow FILE] [--dir DIR]\n"
	"Create an empty audit log. There is no need to: the first session does it.\n"
	"\n"
	"  --escrow FILE  write the root secret there; nothing else ever keeps it. With it, verify\n"
	"                 --key checks the authentication code of each record. Whoever has it can\n"
	"                 forge the log, so FILE belongs on a medium that leaves this machine.\n"
	"  --dir DIR      log directory (default: of this user)\n"
	"\n"
	"Exit status: 0 created, 1 there is a log already, 2 usage, 3 it cannot be written.\n";

enum option_id { OPT_ESCROW = 1, OPT_DIR, OPT_HELP };

static const struct option options[] = {
	{"escrow", required_argument, NULL, OPT_ESCROW},
	{"dir", required_argument, NULL, OPT_DIR},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

/* @return -1 to go on, else the exit status */
static int parse(const char **escrow, const char **dir, int argc, char **argv)
{
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case OPT_ESCROW:
			*escrow = optarg;
			break;
		case OPT_DIR:
			*dir = optarg;
			break;
		case OPT_HELP:
			fputs(help, stdout);
			return EXIT_DONE;
		default:
			return audit_cmd_usage("audit init");
		}
	}
	return optind == argc ? -1 : audit_cmd_usage("audit init");
}

static int create(const char *dir, const char *escrow, struct err *e)
{
	const struct audit_log_conf conf = {.dir = dir, .escrow = escrow};
	char state[PATH_MAX + 8];
	struct audit_log *l;
	int r = dirs_make(dir, e);

	if (r < 0)
		return r;
	snprintf(state, sizeof(state), "%s/state", dir);
	if (access(state, F_OK) == 0)
		return err_say(e, EEXIST, "there is an audit log in %s already", dir);
	if (escrow && access(escrow, F_OK) == 0)
		return err_say(e, EINVAL, "%s exists: name a new file for the root secret", escrow);
	r = audit_log_open(&l, &conf, e);
	if (r < 0)
		return r;
	r = audit_log_close(l);
	return r < 0 ? err_set(e, -r, "write the audit log") : 0;
}

int audit_cmd_init(int argc, char **argv)
{
	const char *escrow = NULL, *dir = NULL;
	struct err e = ERR_INIT;
	struct dirs d;
	int r = parse(&escrow, &dir, argc, argv);

	if (r >= 0)
		return r;
	r = dir ? 0 : dirs_init(&d, &e);
	if (r == 0)
		r = create(dir ? dir : d.audit, escrow, &e);
	if (r < 0) {
		fprintf(stderr, "agentsh: %s\n", e.text);
		return r == -EEXIST ? EXIT_NO : r == -EINVAL ? EXIT_USAGE : EXIT_IO;
	}
	printf("created %s\n", dir ? dir : d.audit);
	return EXIT_DONE;
}
