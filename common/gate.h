/*
 * gate.h - what the three gates have in common: their life under the supervisor
 *
 * A gate is a program started with a SEQPACKET control socket as descriptor 3 (GATE_FD):
 *
 *   supervisor -> gate  GATE_CONFIG   key/value strings; fds: policy image, audit ring, wake
 *   gate -> supervisor  GATE_READY    body: bytes the supervisor needs (execgate: BPF filter)
 *   supervisor -> gate  GATE_SETUP    key/value strings; fds as the gate documents
 *   gate -> supervisor  GATE_LIVE     enforcing from now on; fds as the gate documents
 *   gate -> supervisor  GATE_FAILED   one line for the person; the gate then exits 1
 *   gate -> supervisor  GATE_ASK      a held request;   supervisor -> gate  GATE_ANSWER
 *   gate -> supervisor  GATE_CANCEL   the request of that id waits no more: no answer is wanted
 *   supervisor -> gate  GATE_STOP     the agent is gone: finish and exit 0
 *
 * Bodies: GATE_ASK is str op, subject (escaped), rule, message, u64 pid, str comm, u32 timeout_ms;
 * GATE_ANSWER is u32 allow, u32 approval id, str approver, under the id of its question.
 *
 * EOF on the control socket means the supervisor died: the gate exits at once.
 */
#ifndef COMMON_GATE_H
#define COMMON_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/audit.h"
#include "common/err.h"
#include "common/ipc.h"
#include "common/loop.h"
#include "common/policy.h"

#define GATE_FD 3

enum gate_msg {
	GATE_CONFIG = 1,
	GATE_READY,
	GATE_SETUP,
	GATE_LIVE,
	GATE_FAILED,
	GATE_ASK,
	GATE_ANSWER,
	GATE_STOP,
	GATE_CANCEL,
};

struct gate_conf; /* opaque key/value list; byte-exact strings */

struct gate {
	const char *name;	       /**< "fsgate", "netgate", "execgate" */
	enum audit_gate audit_gate;
	int ctl;		       /**< owned */
	struct policy *policy;	       /**< owned */
	struct audit_producer *audit;  /**< owned */
	struct gate_conf *conf;	       /**< owned */
	const char *session;	       /**< borrowed from conf */
	bool is_root;		       /**< the supervisor runs as real root: conf "root" is "1" */
	struct policy_audit audit_conf;
	struct gate_asks *asks;	       /**< owned */
	struct loop *loop;	       /**< borrowed, from gate_watch() */
	struct loop_io ctl_io;
};

/**
 * First call of a gate's main(): take GATE_CONFIG from GATE_FD, map the policy, attach the ring,
 * name the process, ignore SIGINT/SIGQUIT/SIGTSTP/SIGPIPE, forbid core dumps and ptrace.
 *
 * @return 0, or -errno with e set (already reported to the supervisor)
 */
int gate_open(struct gate *g, const char *name, enum audit_gate audit_gate, struct err *e);

/** Value of a key of GATE_CONFIG or GATE_SETUP; NULL when absent; the last one wins. */
const char *gate_conf(const struct gate *g, const char *key);
/** Value of "key.N" for N = 0, 1, ...; NULL past the end. */
const char *gate_conf_nth(const struct gate *g, const char *key, unsigned n);

int gate_ready(struct gate *g, const void *body, size_t len);

/**
 * Wait for GATE_SETUP; its strings join gate_conf().
 *
 * @param fds   written: descriptors of the message, now the caller's; -1 beyond those sent
 * @param max   entries in fds
 * @return number of descriptors, or -errno
 */
int gate_wait_setup(struct gate *g, int *fds, unsigned max, struct err *e);

int gate_live(struct gate *g, const int *fds, unsigned n_fds);

/** Tell the supervisor why, as one line; then the caller exits 1. */
void gate_failed(struct gate *g, const struct err *e);

/** From GATE_LIVE on: answers, GATE_STOP and EOF are handled in this loop. */
int gate_watch(struct gate *g, struct loop *l);

/**
 * A held request was answered, or its time is up.
 *
 * @param allow     the answer; false on timeout, no approver, or a dead supervisor
 * @param approver     who, "timeout", or "none"; borrowed
 * @param approval_id  the number that people see; 0 when nobody was asked
 */
typedef void gate_answer_fn(void *arg, bool allow, const char *approver, uint64_t waited_ms,
			    uint32_t approval_id);

struct gate_ask {
	const char *op;	     /**< "open", "exec", "connect" */
	const char *subject; /**< canonical form of what is asked: path, argv, host:port */
	const char *rule;
	const char *message;
	int64_t pid;
	const char *comm;
	uint32_t timeout_ms;
};

/**
 * Hold a request until a person answers. Thread-safe; fn runs in the loop's thread, exactly once.
 *
 * @return 0, or -errno (then fn is not called: deny)
 */
int gate_ask(struct gate *g, const struct gate_ask *ask, gate_answer_fn *fn, void *arg);

/**
 * Take a question back: the one that was asked with this argument. Thread-safe.
 *
 * @return true: fn was not called and will not be; false: it was, is being, or there is none
 */
bool gate_cancel(struct gate *g, const void *arg);

/** How many requests are being held. */
unsigned gate_asking(const struct gate *g);

/** Durability for this record by the policy's audit.durability and the classes of AUDIT.md. */
enum audit_durability gate_durability(const struct gate *g, bool denied, bool changes_state);

void gate_close(struct gate *g);

/* ---- the supervisor's side of the same messages ---- */

void gate_put_kv(struct ipc_msg *m, const char *key, const char *value);
void gate_put_kvf(struct ipc_msg *m, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
