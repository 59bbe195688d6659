/*
 * policy_opts.h - what the subcommands of agentsh policy have in common
 *
 * Options: --json, --workspace DIR, --home DIR, --help. Loading prints what is wrong with a policy.
 */
#ifndef AGENTSH_POLICY_OPTS_H
#define AGENTSH_POLICY_OPTS_H

#include <limits.h>
#include <stdbool.h>

#include "common/dirs.h"
#include "common/policy.h"

struct policy_opts {
	bool json;
	const char *workspace; /**< as given, or NULL */
	const char *home;
	const char *git_common; /**< a table's; NULL: that of the workspace */
	struct dirs dirs;
	struct policy_vars vars; /**< points into the buffers below or to the arguments */
	char ws_buf[PATH_MAX], project_buf[PATH_MAX], git_buf[PATH_MAX], home_buf[PATH_MAX];
	char common_buf[PATH_MAX];
};

/**
 * Take --NAME VALUE and flags that every subcommand knows out of argv.
 *
 * @param i  index of the argument; moved to the last one consumed
 * @return 1 taken, 0 not one of these, -EINVAL said on stderr
 */
int policy_opts_take(struct policy_opts *o, int argc, char **argv, int *i);

/** Set dirs and the variables, from the options or from where we are. @return 0 or said on stderr */
int policy_opts_finish(struct policy_opts *o);

/** How errors of loading are reported: each on stderr, or collected into an array with --json. */
struct policy_report {
	bool quiet;
	unsigned n_errors, n_warnings;
	struct json_t *list; /**< NULL without --json; borrowed */
};

/**
 * Load a file or a pack.
 *
 * @param name  a path, or the name of a pack
 * @return 0, or -errno said on stderr (with --json: in report->list)
 */
int policy_opts_load(struct policy **out, const struct policy_opts *o, const char *name,
		     struct policy_report *report);

/** True when name means a file and not a pack. */
bool policy_opts_is_file(const char *name);

#endif
