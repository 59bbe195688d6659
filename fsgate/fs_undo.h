/*
 * fs_undo.h - keep what was there before a change, so that agentsh can put it back (docs/UNDO.md)
 *
 * Flow:    record -> journal -> act. Every operation that changes something calls one of these
 *          after its record and before its act, and fs_undo_end() after it.
 * Cost:    one write(2) to the journal an operation. What is known after the act only (which inode
 *          was made, that it failed, what a closed file looks like) goes with the next write.
 * Off:     without a store every function returns 0 at once.
 * Errors:  where the policy says undo: {required: true}, what cannot be kept is -EDQUOT: deny.
 *          Otherwise the operation goes on, and the journal says what is missing.
 */
#ifndef FSGATE_FS_UNDO_H
#define FSGATE_FS_UNDO_H

#include "fsgate/fs_call.h"
#include "fsgate/fs_file.h"

struct fs_undo; /* opaque: fs_undo.c */

/** Read undo.* keys (fs_conf.h) and open the store. @return 0 (also when off) or -errno with e */
int fs_undo_open(struct fs *fs, struct err *e);

/** Write what is pending, and that the session ended in order. */
void fs_undo_close(struct fs *fs);

/** The operation that was announced; 0: none was. */
struct fs_undo_op {
	uint64_t id;
	dev_t gone_dev; /**< the inode that goes with it and is not kept; gone_ino 0: none */
	ino_t gone_ino;
};
#define FS_UNDO_OP ((struct fs_undo_op){0, 0, 0})

/** A name is made in dir. */
int fs_undo_add(struct fs_undo_op *op, struct fs_call *c, struct fs_node *dir, int dirfd,
		const char *name);

/**
 * A name goes.
 *
 * @param flags  of unlinkat(2)
 * @return 0: remove it now; 1: the store has taken it, the name is gone; -errno
 */
int fs_undo_remove(struct fs_undo_op *op, struct fs_call *c, int dirfd, int flags);

/** The call's rename, with both directories open. */
int fs_undo_rename(struct fs_undo_op *op, struct fs_call *c, int from, int to);

/** A file was opened for writing, or is about to be truncated: its content is kept. */
int fs_undo_data(struct fs_call *c, int fd, const struct stat *st);

/** Mode, owner, times or extended attributes of the call's node change. @param fd  O_PATH */
int fs_undo_attr(struct fs_call *c, int fd, bool xattrs);

/** The act is over. @param st  what was made by add, or NULL */
void fs_undo_end(struct fs_undo_op *op, struct fs_call *c, int result, const struct stat *st);

/** A file that was open for writing is closed. */
void fs_undo_closed(struct fs *fs, struct fs_file *f);

/** Links of a file that only the store has: the sandbox must not see them. */
nlink_t fs_undo_links(const struct fs *fs, const struct stat *st);

#endif
