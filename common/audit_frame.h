/*
 * audit_frame.h - one record as it is stored
 *
 * len u32 | crc32c u32 | seq u64 | wall_ns u64 | mono_ns u64 | producer u16 | type u16 | flags u32 |
 * pseq u64 | payload | tag 16 bytes; all little-endian. crc covers the frame but itself. The MAC
 * covers the frame but crc and tag; the Merkle leaf covers all bytes.
 * Source: docs/AUDIT.md, "Frames"
 */
#ifndef COMMON_AUDIT_FRAME_H
#define COMMON_AUDIT_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "common/audit.h"
#include "common/sha256.h"

#define AUDIT_FRAME_HEAD 48u
#define AUDIT_FRAME_TAG 16u
#define AUDIT_FRAME_MIN (AUDIT_FRAME_HEAD + AUDIT_FRAME_TAG)
#define AUDIT_FRAME_MAX (AUDIT_FRAME_MIN + AUDIT_PAYLOAD_MAX)

enum audit_type {
	AUDIT_TYPE_EVENT = 1,	  /**< from a producer */
	AUDIT_TYPE_EPOCH = 2,	  /**< new keys: log creation, writer start, or an hour has passed */
	AUDIT_TYPE_UP = 3,	  /**< a producer was registered */
	AUDIT_TYPE_DOWN = 4,	  /**< a producer's last record, and why it was the last */
	AUDIT_TYPE_DISK = 5,	  /**< the disk became full, or has room again */
	AUDIT_TYPE_CHECKPOINT = 64, /**< signed note; not a leaf of the tree */
};

enum audit_flag {
	AUDIT_FLAG_STEP = 1, /**< first of a batch: the MAC key was stepped before it */
	AUDIT_FLAG_SEAL = 2, /**< checkpoint that ends its segment */
};

struct audit_frame {
	uint32_t len; /**< bytes of the whole frame */
	uint64_t seq;
	uint64_t wall_ns, mono_ns;
	uint16_t producer; /**< 0: the writer itself */
	uint16_t type;
	uint32_t flags;
	uint64_t pseq;
	const uint8_t *payload; /**< borrowed */
	size_t payload_len;
	const uint8_t *raw; /**< borrowed: the stored bytes (after audit_frame_parse) */
};

/** Write head and payload; room for AUDIT_FRAME_MIN + payload_len is the caller's business. */
void audit_frame_put(uint8_t *out, const struct audit_frame *f);

/** Pieces that the MAC covers besides the previous chain value. */
void audit_frame_mac_pieces(struct sha256_piece v[2], const uint8_t *raw, uint32_t len);

/** Store the tag, then the checksum over everything. */
void audit_frame_finish(uint8_t *raw, uint32_t len, const uint8_t tag[AUDIT_FRAME_TAG]);

/**
 * @return 0; -ENODATA (the length is zero: unused space), -EMSGSIZE (runs past "left"), -EBADMSG
 *         (length out of range, or the checksum is wrong)
 */
int audit_frame_parse(struct audit_frame *f, const uint8_t *p, size_t left);

/** Little-endian integers of the format. */
uint32_t audit_get32(const uint8_t *p);
uint64_t audit_get64(const uint8_t *p);
void audit_put32(uint8_t *p, uint32_t v);
void audit_put64(uint8_t *p, uint64_t v);

#endif
