#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "agentsh/cmd.h"
#include "common/auto.h"
#include "common/log.h"

struct command {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *what;
};

static const struct command commands[] = {
	{"wrap", cmd_wrap, "run a command under a policy, isolated, every decision recorded"},
	{"audit", cmd_audit, "print and verify the record of everything"},
	{"policy", cmd_policy, "check, explain and test policies; list the packs"},
	{"approve", cmd_approve, "list held requests and answer them"},
	{"mount", cmd_mount, "govern one directory, without a sandbox"},
	{"umount", cmd_umount, "end such a mount"},
	{"session", cmd_session, "list and show sessions"},
	{"trash", cmd_trash, "list, restore and purge files that were deleted and kept"},
	{"diff", cmd_diff, "what a session changed, as a patch or a list"},
	{"undo", cmd_undo, "put back what a session changed"},
	{"detect", cmd_detect, "tell which mechanisms this host has"},
};

static int usage(FILE *to)
{
	fputs("usage: agentsh COMMAND [OPTION...]\n"
	      "       agentsh wrap --isolate --pack code-edit -- COMMAND [ARG...]\n\n",
	      to);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].what);
	fputs("\n\"agentsh COMMAND --help\" tells more; agentsh(1) tells all.\n", to);
	return to == stderr ? EXIT_USAGE : EXIT_DONE;
}

int main(int argc, char **argv)
{
	log_init_env("agentsh");
	/* the host's openssl.cnf configures nothing that we use, and takes half a millisecond */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (argc < 2)
		return usage(stderr);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return usage(stdout);
	if (strcmp(argv[1], "--version") == 0) {
		puts(PACKAGE_STRING);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].fn(argc - 1, argv + 1);
	log_err("%s: no such command; \"agentsh --help\" lists them", argv[1]);
	return EXIT_USAGE;
}
