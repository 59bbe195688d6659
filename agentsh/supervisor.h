/*
 * supervisor.h - one session from the first gate to the last record
 *
 * supervisor_run() starts the auditor, the three gates and the sandbox, lets the agent run, carries
 * signals, terminal and approvals between them, and takes everything down again.
 */
#ifndef AGENTSH_SUPERVISOR_H
#define AGENTSH_SUPERVISOR_H

#include <stdbool.h>

#include "agentsh/broker.h"
#include "agentsh/env.h"
#include "agentsh/plan.h"
#include "agentsh/session.h"
#include "agentsh/vars.h"
#include "common/dirs.h"
#include "common/err.h"
#include "common/policy.h"

struct supervisor_args {
	const struct dirs *dirs;
	const struct vars *vars;
	const struct policy *policy;
	struct session *session;
	struct env *env;
	char *const *argv;
	const struct plan_mount *mounts; /**< those of --mount */
	size_t n_mounts;
	const char *const *dns;	  /**< upstream servers ADDR:PORT, NULL-terminated, or NULL */
	enum approver_kind approver;
	bool quiet;		  /**< no closing line */
	bool undo;		  /**< the session has a store (undo_store.h) */
};

/** @return the exit status of `agentsh wrap` (docs/agentsh.1) */
int supervisor_run(const struct supervisor_args *args);

#endif
