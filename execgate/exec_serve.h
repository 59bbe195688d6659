/*
 * exec_serve.h - one exec from notification to answer
 *
 * Order: copy the caller's request, find the files, ask the policy, record, answer, verify.
 * Every way out answers the notification; every failure is a denial.
 */
#ifndef EXECGATE_EXEC_SERVE_H
#define EXECGATE_EXEC_SERVE_H

#include <linux/seccomp.h>

#include "common/gate.h"
#include "execgate/exec_depth.h"
#include "execgate/exec_notice.h"
#include "execgate/exec_target.h"
#include "execgate/exec_threads.h"

struct exec_serve {
	struct gate *gate;
	int listener;
	struct exec_world world;
	struct exec_depth *depth;
	struct exec_notices *notices;
	struct exec_threads *threads; /**< everything that runs beside the event loop */
};

/** Thread-safe; returns when the exec has been answered and verified, or is held for approval. */
void exec_serve(struct exec_serve *s, const struct seccomp_notif *n);

#endif
