/*
 * policy_cmd.h - the subcommands of agentsh policy, each in its file
 */
#ifndef AGENTSH_POLICY_CMD_H
#define AGENTSH_POLICY_CMD_H

#include "agentsh/cmd.h"

/** Each gets argv with argv[0] its own name, and returns an exit status. */
int policy_cmd_check(int argc, char **argv);
int policy_cmd_explain(int argc, char **argv);
int policy_cmd_test(int argc, char **argv);
int policy_cmd_list(int argc, char **argv);
int policy_cmd_show(int argc, char **argv);

#endif
