/*
 * audit_segment.h - segment files: names, headers, and the frames in them
 *
 * Header: magic 8 | version u32 | header length u32 | log id 16 | first seq u64 | note length u32 |
 * crc32c u32 (of the header without this field) | the note that sealed the segment before.
 * Source: docs/AUDIT.md, "Segments"
 */
#ifndef COMMON_AUDIT_SEGMENT_H
#define COMMON_AUDIT_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/audit_frame.h"
#include "common/audit_key.h"
#include "common/err.h"

#define AUDIT_SEGMENT_HEAD 48u
#define AUDIT_SEGMENT_NAME 48u
#define AUDIT_SEGMENT_LIMIT (1u << 30) /**< bytes: more is not a segment of ours */

void audit_segment_name(char out[AUDIT_SEGMENT_NAME], const uint8_t log_id[AUDIT_ID_LEN],
			uint64_t first);

/** Where bytes go that were cut off a segment at an offset. */
#define AUDIT_TORN_NAME 80u
void audit_segment_torn(char out[AUDIT_TORN_NAME], const uint8_t log_id[AUDIT_ID_LEN],
			uint64_t first, uint64_t offset);

struct audit_segment_list {
	size_t n;
	struct audit_segment_ref {
		char name[AUDIT_SEGMENT_NAME];
		uint64_t first;
	} *v; /**< owned; by first seq, then name */
};

/** Segments of a directory. @return 0 or -errno */
int audit_segment_list(struct audit_segment_list *out, int dir);
void audit_segment_list_free(struct audit_segment_list *l);

/**
 * Leave a last file out that was only being made: no complete header, and no record in it.
 *
 * @return true when one was left out; its name is then at v[n]
 */
bool audit_segment_list_trim(struct audit_segment_list *l, int dir);

/** A segment's bytes in memory, as they were when it was read. */
struct audit_segment {
	uint8_t *data; /**< owned */
	size_t len;
	uint8_t log_id[AUDIT_ID_LEN];
	uint64_t first;
	const char *note; /**< of the seal before; borrowed from data */
	size_t note_len;
	size_t start; /**< where the frames begin */
};

#define AUDIT_SEGMENT_HEADER_ONLY UINT64_MAX

/**
 * Read the file.
 *
 * @param from  leave out what is between the header and this offset (its bytes are not to be used)
 * @return 0 or -errno
 */
int audit_segment_read(struct audit_segment *s, int dir, const char *name, uint64_t from);
void audit_segment_free(struct audit_segment *s);

/** Parse the header. @return 0 or -EBADMSG */
int audit_segment_parse(struct audit_segment *s);

/**
 * A bad frame in the last segment may be a write in flight: what one read(2) returns of a file that
 * grows can have its pages from before and after. Read it again until there is a good frame at
 * pos, at most some milliseconds.
 *
 * @return 1, 0, -EBADMSG as audit_segment_frame(), or -errno
 */
int audit_segment_again(struct audit_segment *s, int dir, const char *name, size_t pos,
			struct audit_frame *f);

/** Write a header. @return bytes, at most AUDIT_SEGMENT_HEAD + note_len */
size_t audit_segment_header(uint8_t *out, const uint8_t log_id[AUDIT_ID_LEN], uint64_t first,
			    const char *note, size_t note_len);

/** Frame at pos. @return 1; 0 (nothing but unused space follows); -EBADMSG (torn or changed) */
int audit_segment_frame(const struct audit_segment *s, size_t pos, struct audit_frame *f);

/**
 * True when a frame with a number of "seq" or more can be found after pos: then what is at pos
 * was changed, because a torn write is the last thing in a file.
 */
bool audit_segment_resumes(const struct audit_segment *s, size_t pos, uint64_t seq);

#endif
