/*
 * mount_cmd_i.h - `agentsh mount`: what is to be mounted, and the process that supervises it
 */
#ifndef AGENTSH_MOUNT_CMD_I_H
#define AGENTSH_MOUNT_CMD_I_H

#include <stdbool.h>

#include "agentsh/broker.h"
#include "agentsh/session.h"
#include "agentsh/vars.h"
#include "common/dirs.h"
#include "common/err.h"
#include "common/policy.h"

struct mount_job {
	const struct dirs *dirs;
	const struct vars *vars; /**< workspace: what is shown; seen_as: where */
	const struct policy *policy;
	struct session *session;
	bool read_only;
	bool undo; /**< the session has a store (undo_store.h) */
	bool quiet; /**< no closing line */
	enum approver_kind approver;
	/** Called once, when the mount is ready. */
	void (*ready)(void *arg);
	void *arg;
};

/**
 * Mount, serve until it is unmounted or a signal says stop, take it down.
 *
 * @param why  written: why it ended, a literal
 * @return exit status; EXIT_IO with e set when it never became ready, or was lost
 */
int mount_cmd_run(const struct mount_job *job, const char **why, struct err *e);

/** Tell a service manager that started us (sd_notify(3)); nothing without NOTIFY_SOCKET. */
void mount_cmd_notify(const char *state);

#endif
