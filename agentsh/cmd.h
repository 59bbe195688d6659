/*
 * cmd.h - the subcommands of agentsh
 *
 * Each takes argv after its own name (argv[0] is the name) and returns an exit status as in
 * docs/agentsh.1: 0 done, 1 the answer is no, 2 usage or bad input, 3 I/O, 4 key or trust;
 * wrap returns the command's own status, or 124..127.
 */
#ifndef AGENTSH_CMD_H
#define AGENTSH_CMD_H

#include "common/err.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_NO = 1,
	EXIT_USAGE = 2,
	EXIT_IO = 3,
	EXIT_KEY = 4,
	EXIT_TIMEOUT = 124,
	EXIT_SETUP = 125,
	EXIT_DENIED = 126,
	EXIT_NOT_FOUND = 127,
};

int cmd_wrap(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_approve(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_detect(int argc, char **argv);
int cmd_session(int argc, char **argv);
int cmd_mount(int argc, char **argv);
int cmd_umount(int argc, char **argv);
int cmd_trash(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_undo(int argc, char **argv);

#endif
