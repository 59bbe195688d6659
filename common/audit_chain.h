/*
 * audit_chain.h - the rules that hold from one record to the next
 *
 * One state machine for three users: the writer feeds it what it writes, recovery what it finds in
 * the last segment, the verifier the whole log. It knows sequence numbers, producers and the order
 * of checkpoints; hashes and signatures are the caller's business.
 */
#ifndef COMMON_AUDIT_CHAIN_H
#define COMMON_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/audit_frame.h"
#include "common/audit_note.h"

enum audit_fault {
	AUDIT_FAULT_NONE,
	AUDIT_FAULT_CONTENT,	/**< the bytes of a record are not what was written */
	AUDIT_FAULT_SEQUENCE,	/**< a record is missing, doubled or out of place */
	AUDIT_FAULT_PRODUCER,	/**< a producer's own numbering has a gap, or it is not registered */
	AUDIT_FAULT_CHECKPOINT, /**< a checkpoint does not match the records before it */
	AUDIT_FAULT_CHAIN,	/**< a MAC is wrong (only with the root secret) */
	AUDIT_FAULT_KEY,	/**< a key is not certified by the one before it */
	AUDIT_FAULT_SEGMENT,	/**< a segment file is missing, doubled or foreign */
	AUDIT_FAULT_STATE,	/**< a file beside the segments contradicts them */
};

const char *audit_fault_name(enum audit_fault f);

struct audit_chain {
	uint8_t log_id[AUDIT_ID_LEN];
	struct merkle tree;   /**< size is the next seq; the caller adds the leaves */
	uint64_t epoch;
	bool begun;	      /**< an epoch record was seen, or a note resumed from */
	uint64_t ctl_pseq;
	uint16_t next_id;
	uint64_t note_number; /**< of the last checkpoint; 0: none yet */
	uint64_t note_size;   /**< records that it covers */
	uint8_t note_hash[SHA256_LEN];
	size_t n_live;
	struct audit_live live[AUDIT_LIVE_MAX];
	uint16_t index[UINT16_MAX + 1]; /**< producer id -> position in live + 1 */
};

/** Go on from a checkpoint. */
void audit_chain_resume(struct audit_chain *c, const struct audit_note *n,
			const uint8_t note_hash[SHA256_LEN]);

/** Check a record (not a checkpoint) against the state and advance it, but for the tree. */
enum audit_fault audit_chain_take(struct audit_chain *c, const struct audit_frame *f);

/** The state as a note; root, chain, step, times, place and seal are left for the caller. */
void audit_chain_note(const struct audit_chain *c, struct audit_note *n);

/** Check a checkpoint's numbers against the state, then make it the last one. */
enum audit_fault audit_chain_take_note(struct audit_chain *c, const struct audit_note *n,
				       const struct audit_frame *f,
				       const uint8_t note_hash[SHA256_LEN]);

/** NULL when no such producer is live. */
struct audit_live *audit_chain_find(struct audit_chain *c, uint16_t id);

/** A free producer id, or 0 when AUDIT_LIVE_MAX are live. */
uint16_t audit_chain_free_id(const struct audit_chain *c);

/** T at the start of an epoch: bound to everything before by the tree's root. */
int audit_chain_start(struct sha256 *s, uint8_t t[SHA256_LEN], const struct audit_chain *c);

#endif
