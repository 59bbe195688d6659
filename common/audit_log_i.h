/*
 * audit_log_i.h - inside of struct audit_log
 */
#ifndef COMMON_AUDIT_LOG_I_H
#define COMMON_AUDIT_LOG_I_H

#include "common/audit_log.h"
#include "common/audit_note.h"
#include "common/audit_segment.h"
#include "common/cbor.h"

#define AUDIT_BATCH_MAX (1u << 20)
#define AUDIT_BATCH_BUF (AUDIT_BATCH_MAX + 4 * AUDIT_FRAME_MAX)
#define AUDIT_SPACE_STEP (8u << 20)    /**< bytes reserved ahead at a time */
#define AUDIT_SPACE_LOW (4u << 20)     /**< less than this ahead: reserve more */
#define AUDIT_SEGMENT_BYTES (64u << 20)

struct audit_log {
	const struct audit_disk *disk;
	int dir;
	uint64_t segment_bytes;
	struct sha256 *hash, *mac;
	struct audit_keys *keys;
	struct audit_chain *chain;
	struct audit_note *note; /**< scratch, and the last one made */
	uint8_t t[SHA256_LEN];	 /**< T of the last record */
	uint64_t step;		 /**< j of the MAC key */
	uint8_t pub[AUDIT_KEY_LEN];
	int fd;		 /**< segment; -1 before the first */
	int next_fd;	 /**< made for the next segment, or -1 */
	uint64_t next_first;
	uint64_t first;	 /**< its first seq */
	uint64_t off;	 /**< durable bytes in it */
	uint64_t alloc;	 /**< bytes reserved in it */
	uint8_t *batch;
	size_t batch_len;
	bool stepped;	 /**< the batch has its own key already */
	uint64_t torn;	 /**< bytes that recovery set aside, until the epoch record tells of them */
	uint8_t torn_hash[SHA256_LEN];
	int failed; /**< negative errno, final */
};

/** Add a record of the writer itself. */
int audit_log_ctl(struct audit_log *l, enum audit_type type, const struct cbor_out *payload);

/** Begin epoch h from keys->next (= R[h]): record, commit, state file. */
int audit_log_epoch(struct audit_log *l, uint64_t epoch, const char *reason);

/** -EDQUOT is -ENOSPC, too. */
int audit_log_no_space(int code);

/** Make the file of a segment and reserve space in it: next_fd. @return 0, -ENOSPC, -errno */
int audit_log_segment_create(struct audit_log *l, uint64_t first);

/** Write the header of next_fd and go over to it; "note" is the seal of the one before, or none. */
int audit_log_segment_begin(struct audit_log *l, const char *note, size_t note_len);

int audit_log_save_state(struct audit_log *l);

/** Sign what there is, as the seal of the segment or not, and commit. */
int audit_log_sign(struct audit_log *l, bool seal);

#endif
