/*
 * fs_tmpfile.h - files without a name: open(2) with O_TMPFILE, then linkat(2)
 *
 * The file is made as a create of FS_TMPFILE_SHOWN in the directory: a rule that denies that denies it;
 * where no rule allows it, or one asks or redirects, it is EOPNOTSUPP, and programs make a named
 * file instead, which is judged by its name. The name that it gets is judged as one that is created
 * (and linked): what it may be used for then is decided by that name, which is a node of its own.
 * Source: open(2), linkat(2); FUSE_TMPFILE has the body of FUSE_CREATE and the name "/"
 */
#ifndef FSGATE_FS_TMPFILE_H
#define FSGATE_FS_TMPFILE_H

#include "fsgate/fs_call.h"

#define FS_TMPFILE_SHOWN "#tmpfile" /**< in paths */

/** libfuse before 3.17 does not know the request: make it the FUSE_CREATE that it equals. */
void fs_tmpfile_see(void *request, size_t n);

/** Is this create one of a nameless file? */
bool fs_tmpfile_is(const struct fs_call *c);

int fs_tmpfile_judge(struct fs_call *c);
/** @return descriptor or -errno */
int fs_tmpfile_make(const struct fs_call *c, int dirfd);
int fs_tmpfile_entry(struct fs_call *c, int fd, const struct stat *st);

/** link(2) of one to c->to, both paths set. @return whether it was judged: else it is redirected */
bool fs_tmpfile_judge_name(struct fs_call *c);

#endif
