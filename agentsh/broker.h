/*
 * broker.h - held requests of a session, and the people who answer them
 *
 * Life:    GATE_ASK -> pending -> answered by `agentsh approve` (any terminal of the same user), by
 *          the terminal prompt, or by the clock (deny) -> GATE_ANSWER, and a record in the chain.
 *          It goes, with a record, when its process ends or its gate takes it back (GATE_CANCEL).
 * Access:  a Unix socket in the session's runtime directory, which no sandbox can see; peers must
 *          have our uid (or be root) and live in our user namespace.
 */
#ifndef AGENTSH_BROKER_H
#define AGENTSH_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agentsh/gate_link.h"
#include "common/audit.h"
#include "common/err.h"
#include "common/loop.h"

/** Messages of the broker's socket; bodies are described in broker.c. */
enum broker_msg { BROKER_LIST = 1, BROKER_ITEMS, BROKER_ANSWER, BROKER_RESULT };

enum broker_scope { SCOPE_ONCE, SCOPE_SESSION, SCOPE_PATTERN };

enum approver_kind { APPROVER_CLI, APPROVER_TTY, APPROVER_NONE };

struct broker; /* opaque */

struct broker_pending {
	struct broker_pending *next;
	uint32_t id;	  /**< what people type: six digits, unique while pending */
	uint32_t gate_id; /**< the gate's own number */
	struct gate_link *gate;
	char *op, *subject, *rule, *message, *comm; /**< owned; subject is escaped already */
	int64_t pid;
	int pidfd; /**< of the process, or -1 */
	struct loop_io pidfd_io;
	struct broker *broker;
	uint64_t since_ms, due_ms;
	uint32_t timeout_ms;
};

/** Shows a request to a person at once, and hears when the oldest one changed. */
typedef void broker_notify_fn(void *arg);

struct broker_args {
	struct loop *loop;
	struct audit_producer *audit; /**< borrowed */
	const char *socket_path;
	enum approver_kind kind;
	broker_notify_fn *notify; /**< may be NULL */
	void *notify_arg;
};

int broker_open(struct broker **out, const struct broker_args *args, struct err *e);

/** Take a GATE_ASK message (cursor at its body). */
void broker_ask(struct broker *b, struct gate_link *gate, struct ipc_msg *m);

/** The gate wants no answer any more: GATE_CANCEL with this id. */
void broker_cancel(struct broker *b, const struct gate_link *gate, uint32_t gate_id);

/** The oldest pending request, or NULL. */
const struct broker_pending *broker_oldest(const struct broker *b);

/**
 * Answer a request.
 *
 * @param approver  "user@terminal", ... for the record
 * @param pattern   for SCOPE_PATTERN: fnmatch(3) pattern on the subject
 * @return 0, or -ENOENT: no such request (answered, timed out, or never was)
 */
int broker_answer(struct broker *b, uint32_t id, bool allow, const char *approver,
		  enum broker_scope scope, const char *pattern);

unsigned broker_answered(const struct broker *b);

void broker_close(struct broker *b);

#endif
