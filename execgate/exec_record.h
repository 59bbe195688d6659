/*
 * exec_record.h - an exec as a record of the audit chain
 */
#ifndef EXECGATE_EXEC_RECORD_H
#define EXECGATE_EXEC_RECORD_H

#include "common/gate.h"
#include "execgate/exec_call.h"
#include "execgate/exec_judge.h"
#include "execgate/exec_target.h"
#include "execgate/exec_verify.h"

/** What to record; pointers are borrowed and may be NULL where that is said. */
struct exec_record {
	const struct exec_call *call;
	const struct exec_target *target;    /**< NULL: it was not even looked at */
	const struct exec_judgement *judged; /**< NULL: no policy was asked */
	const char *const *argv;	     /**< without secrets */
	unsigned depth;
	const char *message;
	const char *approver; /**< NULL: nobody was asked */
	uint32_t approval_id;
	uint64_t waited_ms;
};

/**
 * op "exec", allowed: in two halves, because the disk can work while the kernel loads the program.
 *
 * @return 0: exec_record_finish() must follow, and say 0 before the program runs its first
 *         instruction; anything else: the exec must be denied
 */
int exec_record_allowed(struct audit_ticket *t, struct gate *g, const struct exec_record *r);
int exec_record_finish(struct gate *g, const struct audit_ticket *t);

/** op "exec", denied. @return 0 or -errno */
int exec_record_denied(struct gate *g, const struct exec_record *r);

/** op "exec_mismatch": approved, but the kernel loaded something else, which was killed. */
int exec_record_mismatch(struct gate *g, const struct exec_record *r,
			 const struct exec_actual *actual);

#endif
