/*
 * fs_lock.h - file locks, taken on the backing files
 *
 * So host and sandbox, and two names of one file, see each other's locks. flock(2) is taken on the
 * open file itself. A POSIX owner (a process, or an open file for OFD locks) has a descriptor of
 * its own for each file, with OFD locks on it: they merge, split and end as that owner's would.
 *
 * Waiting: one thread tries the waiting requests again, at once when a lock was given back here,
 *          every few milliseconds for the sake of the host's locks. No worker waits.
 * Differs: EDEADLK is not detected; F_GETLK names a process only when it is one of the sandbox;
 *          read locks on a read-only descriptor end with its last close, not with the first close
 *          of any descriptor of the file (such opens are not flushed, which saves a round trip);
 *          the same for a file that was made with O_WRONLY and O_EXCL.
 * Source:  fcntl(2), flock(2)
 */
#ifndef FSGATE_FS_LOCK_H
#define FSGATE_FS_LOCK_H

#include "fsgate/fs_file.h"

int fs_lock_init(struct fs *fs);
void fs_lock_deinit(struct fs *fs);

void fs_lock_get(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock);
void fs_lock_set(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
		 int wait);
void fs_lock_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op);

/** close(2) of one descriptor: this owner's POSIX locks on the file end. */
void fs_lock_flush(struct fs *fs, struct fs_file *f, uint64_t owner);

/** The open file is gone: what was locked through it ends. */
void fs_lock_release(struct fs *fs, struct fs_file *f);

#endif
