/*
 * audit.h - the producer's side of the one audit chain
 *
 * Roles:    the writer process (agentsh-auditd) alone owns log files and keys. A producer (a gate
 *           thread, the supervisor) puts records into a shared-memory ring of its own.
 * Promise:  when audit_append() returns 0 the record is in the ring that the writer owns, and will
 *           be in the chain though the producer be killed the next instant. With AUDIT_COMMIT it is
 *           on disk (fdatasync).
 * Failure:  any negative return means: the operation must be denied.
 * Source:   docs/AUDIT.md (format, keys, verification)
 */
#ifndef COMMON_AUDIT_H
#define COMMON_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/auto.h"
#include "common/err.h"
#include "common/verdict.h"

enum audit_gate { AUDIT_CTL, AUDIT_FS, AUDIT_NET, AUDIT_EXEC, AUDIT_GATES };
enum audit_durability { AUDIT_RING, AUDIT_COMMIT };

const char *audit_gate_name(enum audit_gate gate);

enum audit_kind { AUDIT_KIND_U64, AUDIT_KIND_I64, AUDIT_KIND_STR, AUDIT_KIND_STRV, AUDIT_KIND_HEX };

/** One extra field of a record; keys are those of the event view in docs/AUDIT.md. */
struct audit_field {
	const char *key; /**< literal: path, to, flags, errno, exe, argv, cwd, sha256, host, ... */
	enum audit_kind kind;
	union {
		uint64_t u64;
		int64_t i64;
		struct {
			const char *p; /**< any bytes */
			size_t len;
		} str; /**< AUDIT_KIND_STR, and AUDIT_KIND_HEX (raw bytes shown as hex) */
		struct {
			const char *const *v; /**< n strings */
			size_t n;
		} strv;
	};
};

#define AUDIT_F_U64(k, x) ((struct audit_field){.key = (k), .kind = AUDIT_KIND_U64, .u64 = (x)})
#define AUDIT_F_I64(k, x) ((struct audit_field){.key = (k), .kind = AUDIT_KIND_I64, .i64 = (x)})
#define AUDIT_F_STR(k, s)                                                                          \
	((struct audit_field){.key = (k), .kind = AUDIT_KIND_STR, .str = {(s), strlen(s)}})
#define AUDIT_F_MEM(k, s, n)                                                                       \
	((struct audit_field){.key = (k), .kind = AUDIT_KIND_STR, .str = {(s), (n)}})
#define AUDIT_F_HEX(k, s, n)                                                                       \
	((struct audit_field){.key = (k), .kind = AUDIT_KIND_HEX, .str = {(s), (n)}})
#define AUDIT_F_STRV(k, a, count)                                                                  \
	((struct audit_field){.key = (k), .kind = AUDIT_KIND_STRV, .strv = {(a), (count)}})

/** An event as a gate sees it. Session, sequence and times are added by ring and writer. */
struct audit_event {
	const char *op;		  /**< "open", "exec", "connect", "dns", "session_start", ... */
	const char *decision;	  /**< what was done: allow, deny, redirect, ...; "" for plain facts */
	enum verdict verdict;	  /**< what the policy said; ignored when decision is "" */
	const char *rule;	  /**< "" when no policy was asked */
	const char *message;	  /**< expanded message, or "" */
	int64_t pid;		  /**< in the initial pid namespace; 0: unknown */
	const char *comm;	  /**< "" when unknown */
	const struct audit_field *fields;
	size_t n_fields;
	enum audit_durability durability;
};

/** Largest payload; longer records are cut with a "truncated" field, never refused. */
#define AUDIT_PAYLOAD_MAX 65536u

struct audit_producer; /* opaque: audit_ring.c */

/**
 * Attach to a ring that the supervisor got from the writer.
 *
 * @param ring_fd  sealed memfd; consumed on success
 * @param wake_fd  eventfd that wakes the writer; consumed on success
 */
int audit_producer_open(struct audit_producer **out, int ring_fd, int wake_fd, struct err *e);

/** There are no more records: audit_append() fails from now on, in every thread. */
void audit_producer_end(struct audit_producer *p);

/** Flush nothing, lose nothing: records already appended stay the writer's. */
void audit_producer_close(struct audit_producer *p);
AUTO_DEFINE(struct audit_producer *, audit_producer_close)

/**
 * Put one record into the chain. Thread-safe.
 *
 * @return 0; -EAGAIN (ring full for 250 ms), -EIO (writer gone or disk full): deny the operation
 */
int audit_append(struct audit_producer *p, const struct audit_event *ev);

/** A record that is in the ring, and maybe not on disk yet. */
struct audit_ticket {
	uint64_t pseq;
	bool commit;
};

/**
 * audit_append() in two halves, for who has something useful to do while the disk works.
 *
 * After 0 the record will be in the chain; the operation may be prepared, but must not take effect
 * until audit_append_finish() has returned 0 as well.
 *
 * @param t  written on success; then it must be finished exactly once
 */
int audit_append_start(struct audit_ticket *t, struct audit_producer *p,
		       const struct audit_event *ev);
/** Wait for the disk if the record asked for that. @return 0 or -EIO: undo the operation */
int audit_append_finish(struct audit_producer *p, const struct audit_ticket *t);

/**
 * Add a ring's counters: how many decisions were recorded, by what was done.
 *
 * @param ring_fd  borrowed; -1 adds nothing
 */
void audit_ring_counts(int ring_fd, uint64_t counts[VERDICT_COUNT]);

/* ---- the supervisor's connection to the writer ---- */

struct audit_session; /* opaque: audit_client.c */

/**
 * Connect to the writer of this state directory; when none runs, start one (one writer a log,
 * shared by every concurrent session of the same owner) and do not wait for it.
 *
 * @param log_dir      created 0700 if missing
 * @param runtime_dir  where the writer's socket is; created 0700 if missing
 * @param auditd_path  the program to start
 * @param session      name, [A-Za-z0-9._-]{1,64}
 */
int audit_session_begin(struct audit_session **out, const char *log_dir, const char *runtime_dir,
			const char *auditd_path, const char *session, struct err *e);

/** Wait until the writer serves this session; needed before everything below. */
int audit_session_ready(struct audit_session *s, struct err *e);

/** Both at once. */
int audit_session_open(struct audit_session **out, const char *log_dir, const char *runtime_dir,
		       const char *auditd_path, const char *session, struct err *e);

/** A new ring for one producer; both descriptors are the caller's, to use or to pass on. */
int audit_session_producer(struct audit_session *s, enum audit_gate gate, int *ring_fd,
			   int *wake_fd, struct err *e);

/** Borrowed: readable (EOF) when the writer died; epoll on it. */
int audit_session_fd(const struct audit_session *s);

/**
 * Say that the session ends cleanly, wait until all of it is durable and signed, disconnect.
 * The object remains for audit_session_free(). A session that never became ready has nothing to sign:
 * 0.
 */
int audit_session_end(struct audit_session *s, struct err *e);

/** Drop the connection (the writer records the producers as lost). */
void audit_session_free(struct audit_session *s);
AUTO_DEFINE(struct audit_session *, audit_session_free)

#endif
