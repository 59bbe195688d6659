/*
 * fs_entry.h - find what a name stands for and tell the kernel
 */
#ifndef FSGATE_FS_ENTRY_H
#define FSGATE_FS_ENTRY_H

#include "fsgate/fs.h"

/**
 * Look at parent/name in the backing tree (or at an override) and make its node known. No policy.
 *
 * @param e  filled; e->ino counts one lookup that the kernel is to be told of
 * @return 0 or -errno (-ENOENT: nothing there, or never to be shown)
 */
int fs_entry_see(struct fs *fs, struct fs_node *parent, const char *name,
		 struct fuse_entry_param *e);

/**
 * The same for attributes that are known already (fstat of a file just made).
 *
 * @param since  fs_spot_changes() from before they were read
 */
int fs_entry_from(struct fs *fs, struct fs_node *parent, const char *name, const struct stat *st,
		  uint64_t since, struct fuse_entry_param *e);

/** The node of e, just seen, is a directory that may be entered next: watch it, so that its
 *  attributes, read again, are good for long. */
void fs_entry_settle(struct fs *fs, struct fs_node *n, struct fuse_entry_param *e);

/** The same for a file without a name. @param fd  O_PATH; consumed, also on failure */
int fs_entry_nameless(struct fs *fs, struct fs_node *dir, const char *shown, const struct stat *st,
		      int fd, struct fuse_entry_param *e);

/** The kernel was not told after all. */
void fs_entry_unsee(struct fs *fs, struct fuse_entry_param *e);

/** Attributes of a node, wherever they can still be had. @return 0 or -errno */
int fs_entry_stat(struct fs *fs, struct fs_node *n, struct stat *st);

/**
 * How long the kernel may believe these attributes, in seconds: not at all when the file has
 * other names, because each name is a node and a change by one is not seen by the others.
 *
 * @param since  fs_spot_changes() from before they were read
 */
double fs_entry_attr_timeout(struct fs *fs, struct fs_node *n, const struct stat *st,
			     uint64_t since);

/** Reply with e; takes the lookup back when the kernel did not want it. @return 0 */
int fs_entry_reply(struct fs *fs, fuse_req_t req, struct fuse_entry_param *e);

#endif
