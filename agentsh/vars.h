/*
 * vars.h - values of the policy's ${VARIABLES} for this caller and workspace
 */
#ifndef AGENTSH_VARS_H
#define AGENTSH_VARS_H

#include <limits.h>

#include "common/err.h"
#include "common/policy.h"

struct vars {
	char workspace[PATH_MAX]; /**< canonical host path */
	char seen_as[PATH_MAX];	  /**< where the sandbox sees it */
	char project_root[PATH_MAX];
	char git_root[PATH_MAX]; /**< "" when there is none */
	char git_common[PATH_MAX]; /**< repository outside of the workspace (git_dir.h); "": none */
	char home[PATH_MAX];	 /**< canonical; "" when there is none */
	char user[256];
	struct policy_vars policy; /**< points into this struct */
};

/**
 * Resolve the workspace and what is derived from it.
 *
 * @param workspace  as given, or NULL: the current directory
 * @param mount_at   absolute path in the sandbox, or NULL: its own path
 */
int vars_init(struct vars *v, const char *workspace, const char *mount_at, const char *session,
	      struct err *e);

#endif
