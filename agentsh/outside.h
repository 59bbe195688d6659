/*
 * outside.h - which files of the sandbox's plain read-only binds were read, for audit.log_outside_reads
 *
 * Source:  fanotify(7): a notification group with a mark on each of the sandbox's own mounts, so that
 *          nothing of the host is heard, and no open waits for anything. Needs CAP_SYS_ADMIN in the
 *          initial user namespace; without it the plan governs those trees instead (session_plan.h).
 * Tells:   one record for each (process, file, opened or run) and second, with a count. What the kernel
 *          or we had to drop is a record "gap".
 */
#ifndef AGENTSH_OUTSIDE_H
#define AGENTSH_OUTSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agentsh/plan.h"
#include "common/audit.h"
#include "common/auto.h"
#include "common/err.h"
#include "common/loop.h"

struct outside; /* opaque */

/** Will outside_open() work here? */
bool outside_possible(void);

struct outside_args {
	struct loop *loop;
	struct audit_producer *producer; /**< borrowed */
	const struct plan *plan;
	pid_t init;	    /**< the sandbox's pid 1, which has mounted everything */
	const pid_t *not_of; /**< our own processes, which look at those files to judge */
	size_t n_not_of;     /**< at most 8 */
};

int outside_open(struct outside **out, const struct outside_args *args, struct err *e);

/** Write what is still to be written. NULL is fine. */
void outside_close(struct outside *o);
AUTO_DEFINE(struct outside *, outside_close)

#endif
