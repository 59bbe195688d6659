/*
 * fs_pass.h - passthrough: the kernel reads and writes the backing file by itself
 *
 * A file opened so costs nothing for each read, write or page of a mapping: they go to the backing
 * inode and its page cache, and what host and sandbox see is the same pages.
 *
 * Rule of the kernel: a FUSE inode that is open through the page cache cannot be opened for
 *         passthrough, nor the other way round (EIO). So the first open of a node decides for all
 *         that come before its last close, which is what fs_pass_enter() keeps count of.
 * Needs:  Linux 6.9, CAP_SYS_ADMIN in the initial user namespace (so: root), a backing file system
 *         that is not itself stacked twice. Without them every open is a cached one.
 * Source: linux/Documentation/filesystems/fuse-passthrough.rst, fuse-io.rst; linux/fuse.h (7.40)
 */
#ifndef FSGATE_FS_PASS_H
#define FSGATE_FS_PASS_H

#include <sys/uio.h>

#include "fsgate/fs.h"

struct fs_pass; /* opaque: fs_pass.c */

int fs_pass_init(struct fs *fs);
void fs_pass_deinit(struct fs *fs);

/** The session's connection: dev is consumed. */
int fs_pass_attach(struct fs *fs, int dev, struct err *e);

/** In the init callback: ask the kernel for it. */
void fs_pass_ask(struct fs *fs, struct fuse_conn_info *conn);

/** Would a file of this device be opened so? */
bool fs_pass_works(struct fs *fs, dev_t dev);

/**
 * Count one more open of a node and say how it is to be opened.
 *
 * @param fd    of the backing file; borrowed
 * @param want  passthrough is preferred
 * @return backing id for fs_pass_reply_*(), or 0: through the page cache. Either way
 *         fs_pass_leave() is due when the open ends, or did not come about
 */
int32_t fs_pass_enter(struct fs *fs, struct fs_node *n, int fd, bool want);
void fs_pass_leave(struct fs *fs, struct fs_node *n, bool passed);

/** fuse_reply_open(), fuse_reply_create() that tell of the backing id; 0: none. */
int fs_pass_reply_open(fuse_req_t req, struct fuse_file_info *fi, int32_t id);
int fs_pass_reply_create(fuse_req_t req, const struct fuse_entry_param *e,
			 struct fuse_file_info *fi, int32_t id);

#endif
