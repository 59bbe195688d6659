/*
 * fs_file.h - open files: what stands behind a FUSE file handle
 *
 * What is written by passthrough (fs_pass.h) is not seen here: there, size and time stamp before
 * and after say whether anything was.
 */
#ifndef FSGATE_FS_FILE_H
#define FSGATE_FS_FILE_H

#include <stdatomic.h>
#include <stdint.h>

#include "fsgate/fs.h"
#include "fsgate/fs_who.h"

struct fs_file {
	struct fs_file *next, *prev; /**< among those open for writing */
	struct fs_node *node;	     /**< held */
	int fd;			     /**< owned */
	int flags;		     /**< of the open: access mode, O_APPEND */
	_Atomic uint64_t written;    /**< bytes */
	bool passed;		     /**< by passthrough */
	bool flocked;		     /**< flock(2) was taken through it, once */
	bool full;		     /**< fs_full.h: each read and write is recorded */
	bool unlogged;		     /**< the rule says log: none */
	bool fresh;		     /**< a write need not change the time stamp */
	struct fs_stamp before;	     /**< of a passed writer: as it was opened */
	struct fs_who_is who;	     /**< opened by */
	const char *rule;	     /**< that let it be opened; the policy's */
};

struct fs_files; /* opaque: those open for writing */

int fs_file_init(struct fs *fs);
void fs_file_deinit(struct fs *fs);

/**
 * @param fd  consumed, also on failure
 * @param st  of the file, before anything is written
 * @return NULL on ENOMEM
 */
struct fs_file *fs_file_new(struct fs *fs, struct fs_node *n, int fd, int flags,
			    const struct stat *st);

/** May the file change again under the time stamp that it has? */
bool fs_file_is_fresh(const struct stat *st);

/** Record what was written, drop its locks, close, give the open of its node back. */
void fs_file_close(struct fs *fs, struct fs_file *f);

/** The session ends: record what was written through files that are still open. */
void fs_file_finish(struct fs *fs);

static inline struct fs_file *fs_file_of(const struct fuse_file_info *fi)
{
	return (struct fs_file *)(uintptr_t)fi->fh;
}

#endif
