/*
 * undo.h - the journal of what a session changed: frames that fsgate appends and agentsh reads
 *
 * Shape:   STATE/undo/SESSION/journal is a row of frames; objects/N are kept inodes and contents.
 *          docs/UNDO.md says what each frame means and how the state before is worked out.
 * Frame:   u32 magic, u32 length of all of it (a multiple of 8), u32 crc32c of what follows,
 *          u16 type, u16 flags, u64 pseq, u64 wall clock in ns, u64 operation, then fields that
 *          depend on the type. Little-endian; strings are u32 length and bytes.
 * Torn:    a frame that was cut or is damaged is skipped; the reader looks for the next magic.
 */
#ifndef COMMON_UNDO_H
#define COMMON_UNDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define UNDO_MAGIC 0x314A5541u /* "AUJ1" */
#define UNDO_HEAD 40u
#define UNDO_FRAME_MAX (192u << 10)
#define UNDO_XATTRS_MAX (96u << 10)

enum undo_type {
	UNDO_ROOT = 1, /**< a governed root: ref, path (in the sandbox), host */
	UNDO_AT,       /**< where an inode was when it was first mentioned: ref, dir, name */
	UNDO_ADD,      /**< a name is about to be made: dir, dir_mtime, name */
	UNDO_DONE,     /**< the operation happened; ref is what ADD made */
	UNDO_FAIL,     /**< the operation did not happen */
	UNDO_DEL,      /**< a name is about to go: dir, dir_mtime, name, ref; flag LAST */
	UNDO_MOVE,     /**< ref: dir/name becomes dir2/name2; flag SWAP: ref2 goes the other way */
	UNDO_KEEP,     /**< the inode ref as it is now: attr, and how it is kept */
	UNDO_DATA,     /**< its content is about to change: attr, object */
	UNDO_ATTR,     /**< its attributes are about to change: attr, xattrs with flag XATTRS */
	UNDO_STAMP,    /**< what the session left behind: ref, attr */
	UNDO_GAP,      /**< changes from here on may not be in the journal: name is the reason */
	UNDO_END,      /**< the session ended in order */
	UNDO_ALIAS,    /**< (undone) ref came back as ref2 */
	UNDO_RUN,      /**< (undone) an undo began */
	UNDO_STEP,     /**< (undone) it is at work */
	UNDO_TYPES
};

enum undo_flag {
	UNDO_F_LAST = 1u << 0,	  /**< DEL: the inode goes with this name */
	UNDO_F_SWAP = 1u << 1,	  /**< MOVE: RENAME_EXCHANGE */
	UNDO_F_XATTRS = 1u << 2,  /**< ATTR, KEEP: xattrs are complete */
	UNDO_F_INODE = 1u << 3,	  /**< KEEP: the object is the inode itself */
	UNDO_F_COPY = 1u << 4,	  /**< KEEP, DATA: the object is a copy of its content */
	UNDO_F_TOO_BIG = 1u << 5, /**< nothing was kept: over max_file_mb */
	UNDO_F_FULL = 1u << 6,	  /**< nothing was kept: the quota is used up */
	UNDO_F_EXCLUDED = 1u << 7, /**< nothing was kept: the policy's exclude */
	UNDO_F_ERROR = 1u << 8,	  /**< nothing was kept: it could not be read */
	UNDO_F_TRASH = 1u << 10,  /**< KEEP: the trash has the inode, too: it comes back as a copy */
	UNDO_F_LATER = 1u << 9,	  /**< nothing was kept: not the first version, and large */
};
#define UNDO_F_MISSING                                                                             \
	(UNDO_F_TOO_BIG | UNDO_F_FULL | UNDO_F_EXCLUDED | UNDO_F_ERROR | UNDO_F_LATER)

struct undo_ref {
	uint64_t dev, ino;
};

struct undo_time {
	int64_t s;
	uint32_t ns;
};

struct undo_attr {
	uint32_t mode; /**< with the type */
	uint32_t uid, gid;
	uint64_t size;
	struct undo_time mtime, ctime;
};

struct undo_text {
	const char *p; /**< any bytes, no NUL at the end */
	uint32_t len;
};

/** One frame, as it is written and as it is read; texts are borrowed. */
struct undo_frame {
	enum undo_type type;
	unsigned flags;
	uint64_t pseq;	  /**< record of fsgate's producer that announced it; 0: none */
	uint64_t wall_ns; /**< 0: now, when written */
	uint64_t op;	  /**< ties DONE and FAIL to what they are about */
	struct undo_ref ref, ref2, dir, dir2;
	struct undo_time dir_mtime, dir2_mtime;
	struct undo_attr attr;
	uint64_t object;
	struct undo_text name, name2; /**< ROOT: path and host; KEEP: target of a symbolic link */
	struct undo_text xattrs;      /**< name NUL u32 length value, repeated */
};

/**
 * Encode a frame.
 *
 * @return bytes written, or -EMSGSIZE
 */
int undo_encode(void *out, size_t size, const struct undo_frame *f);

/**
 * The next good frame of a journal.
 *
 * @param at       where to begin; moved behind the frame
 * @param skipped  bytes that were no good frame are added
 * @return 1, or 0 at the end
 */
int undo_decode(struct undo_frame *f, const uint8_t *buf, size_t len, size_t *at, size_t *skipped);

struct undo_ref undo_ref_of(const struct stat *st);
struct undo_attr undo_attr_of(const struct stat *st);
struct undo_text undo_text_of(const char *s);

/** All extended attributes of what fd (O_PATH will do) stands for. @return bytes or -errno */
int undo_xattrs_get(char *buf, size_t size, int fd);

/** Are these all that fd has? */
bool undo_xattrs_same(int fd, struct undo_text xattrs);

/** Make fd's extended attributes these. @return 0 or the first -errno; the rest is done */
int undo_xattrs_set(int fd, struct undo_text xattrs);

#endif
