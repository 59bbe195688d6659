/*
 * fs_full.h - files of a rule with log: full: each read and write is a record
 *
 * Such a file is opened without page cache and without passthrough (FOPEN_DIRECT_IO), so that every
 * read(2) and write(2) comes here; a shared mapping is refused by the kernel (ENODEV), a private one is
 * read in page by page, which is recorded.
 */
#ifndef FSGATE_FS_FULL_H
#define FSGATE_FS_FULL_H

#include "fsgate/fs_call.h"
#include "fsgate/fs_file.h"

/** Does a rule that lets this open or create read or write the file say so? */
bool fs_full_wanted(const struct fs_call *c);

/** Record, read, reply. */
void fs_full_read(fuse_req_t req, struct fs_file *f, size_t size, off_t off);

/**
 * Record what is about to be done with a file; nothing when it is not such a file.
 *
 * @param op  "read", "write", "fallocate"
 * @return 0 or -EIO: it must not be done
 */
int fs_full_note(fuse_req_t req, struct fs_file *f, const char *op, off_t off, size_t len);

#endif
