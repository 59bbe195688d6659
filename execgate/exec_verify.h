/*
 * exec_verify.h - let an exec go on, and make sure that what runs is what was judged
 *
 * After the answer CONTINUE the kernel reads path and arguments again, from memory that another
 * thread or process may have changed, and walks directories that may have been swapped. So the
 * caller is traced across its exec: at the exec stop the new program is committed, nobody else can
 * touch it, and it has not run one instruction. Then executable and arguments are compared with
 * what was approved; anything else is killed.
 *
 * Source:   seccomp_unotify(2), ptrace(2) (PTRACE_SEIZE, PTRACE_EVENT_EXEC, PTRACE_INTERRUPT)
 * Threads:  a thread traces one exec at a time; calls from several threads do not meet
 */
#ifndef EXECGATE_EXEC_VERIFY_H
#define EXECGATE_EXEC_VERIFY_H

#include "execgate/exec_call.h"
#include "execgate/exec_target.h"

enum exec_outcome {
	EXEC_RAN,	/**< the judged program is running now */
	EXEC_FAILED,	/**< the kernel refused (permission, memory): the caller saw its errno */
	EXEC_GONE,	/**< the caller died, or a signal withdrew the call */
	EXEC_MISMATCH,	/**< something else was loaded: killed before its first instruction */
	EXEC_STOPPED,	/**< the last check said no: killed before its first instruction */
};

/** What was loaded instead; for the record. */
struct exec_actual {
	const char *what; /**< "executable", "arguments" or "content"; a literal */
	char exe[PATH_MAX];
};

/** Asked at the exec stop, when all else is well. @return false: kill */
typedef bool exec_last_check_fn(void *arg);

/**
 * Answer the notification with CONTINUE and watch.
 *
 * @param actual  written on EXEC_MISMATCH
 * @return enum exec_outcome, or -errno: cannot be watched, and was not answered (deny it)
 */
int exec_verify_run(struct exec_actual *actual, int listener, const struct exec_call *c,
		    const struct exec_target *t, exec_last_check_fn *last_check, void *arg);

/** True while the caller still waits for its answer. */
bool exec_verify_is_waiting(int listener, uint64_t id);

/** Answer with an error. @param err  positive errno */
void exec_verify_refuse(int listener, uint64_t id, int err);

#endif
