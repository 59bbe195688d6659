/*
 * audit_i.h - the subcommands of agentsh audit
 */
#ifndef AGENTSH_AUDIT_I_H
#define AGENTSH_AUDIT_I_H

int audit_cmd_init(int argc, char **argv);
int audit_cmd_cat(int argc, char **argv);
int audit_cmd_verify(int argc, char **argv);

/** Point to --help. @return EXIT_USAGE */
int audit_cmd_usage(const char *what);

#endif
