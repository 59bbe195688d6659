/*
 * fs_trash.h - what the agent deletes under a soft_delete rule goes into STATE/trash
 *
 * Flow:   judge calls fs_trash_plan(): a token (and for a small file the hash) is there for the
 *         record; act then calls the function that does both, keeping and removing.
 * Reach:  the store is outside of every governed tree's view. A file that somebody has open, or
 *         that has another name, is copied, never moved: what is in the store has no other name
 *         and no descriptor inside, so nobody can change it.
 * Source: docs/POLICY.md, trash; common/trash.h for the format
 */
#ifndef FSGATE_FS_TRASH_H
#define FSGATE_FS_TRASH_H

#include "common/trash.h"
#include "fsgate/fs_call.h"

struct fs_trash; /* opaque: fs_trash.c */

/** Open the store that the key trash.dir names; without the key there is none. @return 0, -errno */
int fs_trash_open(struct fs *fs, struct err *e);
void fs_trash_close(struct fs *fs);

/** Does the policy want what goes away by op on path to be kept? */
bool fs_trash_holds(const struct fs *fs, enum file_op op, const char *path);

/** Would a file that gets the name to be out of what the rule keeps? */
bool fs_trash_leaves(const struct fs *fs, const char *from, const char *to);

/** A file that is about to go, or to be cut. */
struct fs_doomed {
	int dirfd;
	const char *name;
	const char *path; /**< its sandbox path */
	enum trash_why why;
};

/**
 * The call will make it go: have a token and a hash ready for the record. Without a store the
 * call's answer becomes a refusal.
 */
void fs_trash_plan(struct fs_call *c, const struct fs_doomed *d);

/**
 * Keep it, and take its name away.
 *
 * @param flags  of unlinkat(2)
 * @param alone  written: nobody had it open, nor may anybody have it from now on
 * @return 0 or -errno: it is untouched
 */
int fs_trash_unlink(struct fs_call *c, const struct fs_doomed *d, int flags, bool *alone);

/**
 * The call's node will be cut to size bytes: fs_trash_plan(), when it loses something that the
 * policy keeps. fs_trash_cut() then keeps it, if that was planned. @return 0 or -errno
 */
int fs_trash_plan_cut(struct fs_call *c, off_t size);
int fs_trash_cut(struct fs_call *c);

/** Keep a copy of it as it is now. @return 0 or -errno */
int fs_trash_copy(struct fs_call *c, const struct fs_doomed *d);

/**
 * Rename from_dir/from over d, and keep what was d.
 *
 * @param alone  as above, of what was d
 * @return 0 or -errno: both are as they were
 */
int fs_trash_replace(struct fs_call *c, int from_dir, const char *from, const struct fs_doomed *d,
		     bool *alone);

#endif
