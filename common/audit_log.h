/*
 * audit_log.h - the writer's side of the chain: a log directory that is open for appending
 *
 * Shape:    audit_log_open() recovers and begins an epoch; records gather in a batch;
 *           audit_log_commit() makes the batch durable; audit_log_checkpoint() signs.
 * Threads:  one.
 * Failure:  -ENOSPC keeps the batch for another try; any other error of write or sync is final
 *           for this object, because what the disk holds is then unknown. Nothing is retried.
 */
#ifndef COMMON_AUDIT_LOG_H
#define COMMON_AUDIT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/audit.h"
#include "common/audit_chain.h"
#include "common/audit_disk.h"
#include "common/err.h"

struct audit_log; /* opaque: audit_log_i.h */

struct audit_log_conf {
	const char *dir;
	const struct audit_disk *disk; /**< NULL: the real one */
	uint64_t segment_bytes;	       /**< a segment is sealed when it is larger; 0: 64 MiB */
	const char *escrow;	       /**< file for the root secret when the log is created, or NULL */
};

/**
 * Open (create, recover) the log and start an epoch; the boot record is durable on return.
 *
 * @return 0; -EBUSY (another writer has it); -ENOSPC; -EUCLEAN (the log contradicts its key state:
 *         it was cut, exchanged or damaged; e says how)
 */
int audit_log_open(struct audit_log **out, const struct audit_log_conf *conf, struct err *e);

/** Let go of everything without another write (what is not committed is lost). */
void audit_log_free(struct audit_log *l);
AUTO_DEFINE(struct audit_log *, audit_log_free)

/** Last checkpoint if there is something to sign, then give unused space back. @return 0, -errno */
int audit_log_close(struct audit_log *l);

/** True while the batch takes one more record. */
bool audit_log_has_room(const struct audit_log *l);

/** A record of a producer; the payload is one CBOR map. @return 0, -EINVAL (refused: pseq, form) */
int audit_log_event(struct audit_log *l, const struct audit_frame *f);

/** Register a producer. @return its id, -EUSERS, or -errno */
int audit_log_up(struct audit_log *l, enum audit_gate gate, const char *session, pid_t pid,
		 uid_t uid);
int audit_log_down(struct audit_log *l, uint16_t id, const char *reason);

/** Tell of disk space: op "disk_full" or "disk_ok". */
int audit_log_disk(struct audit_log *l, const char *op);

/** Write and sync the batch. @return 0, -ENOSPC (batch kept), -EIO (final) */
int audit_log_commit(struct audit_log *l);

/** Commit, with a signed checkpoint at the end. */
int audit_log_checkpoint(struct audit_log *l);

/** Checkpoint, then new keys ("hour"). */
int audit_log_next_epoch(struct audit_log *l);

/** Start the next segment when this one is large; call after a commit. */
int audit_log_rotate(struct audit_log *l);

/** Keep space ahead of the records. @return 0 or -ENOSPC (the reserve is being used) */
int audit_log_ensure_space(struct audit_log *l);
/** Bytes that can still be written for sure. */
uint64_t audit_log_space(const struct audit_log *l);

uint64_t audit_log_size(const struct audit_log *l);	/**< records, with the batch */
uint64_t audit_log_signed(const struct audit_log *l);	/**< records under the last checkpoint */
struct audit_chain *audit_log_chain(struct audit_log *l);
/** Borrowed: the log directory, and the lock with it. */
int audit_log_dir(const struct audit_log *l);

#endif
