/*
 * session_plan.h - the sandbox's file tree for a session: what plan.h needs, put together
 */
#ifndef AGENTSH_SESSION_PLAN_H
#define AGENTSH_SESSION_PLAN_H

#include "agentsh/plan.h"
#include "agentsh/session.h"
#include "agentsh/vars.h"
#include "common/dirs.h"

#define SESSION_RESOLVER4 "10.200.0.1"
#define SESSION_RESOLVER6 "fd00:ffff::1"

struct session_plan_args {
	const struct dirs *dirs;
	const struct vars *vars;
	const struct policy *policy;
	const struct session *session;
	const struct plan_mount *mounts; /**< those of --mount */
	size_t n_mounts;
	const char *hostname;
};

/** plan_build() for the workspace, its repository when that lies outside, and the mounts. */
int session_plan(struct plan **out, const struct session_plan_args *args, struct err *e);

#endif
