#include <stdio.h>
#include <string.h>

#include "agentsh/audit_i.h"
#include "agentsh/cmd.h"
#include "common/auto.h"

static const char help[] = "usage: agentsh audit COMMAND [OPTION...]\n"
			   "\n"
			   "  cat      print the log as a timeline, or as JSON lines\n"
			   "  init     create the log, with its root secret on a medium of yours\n"
			   "  verify   check that nobody changed, removed or added a record\n"
			   "\n"
			   "agentsh audit COMMAND --help tells more.\n";

static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
} commands[] = {
	{"cat", audit_cmd_cat},
	{"init", audit_cmd_init},
	{"verify", audit_cmd_verify},
};

int audit_cmd_usage(const char *what)
{
	fprintf(stderr, "agentsh: see agentsh %s --help\n", what);
	return EXIT_USAGE;
}

int cmd_audit(int argc, char **argv)
{
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
		fputs(help, stdout);
		return EXIT_DONE;
	}
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].fn(argc - 1, argv + 1);
	fputs(help, stderr);
	return EXIT_USAGE;
}
