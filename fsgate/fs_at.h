/*
 * fs_at.h - the backing tree, one component at a time
 *
 * Promise: no symbolic or magic link is ever followed, and nothing above dirfd is ever reached
 *          (openat2(2): RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS).
 * Source:  openat2(2), open(2) on O_PATH, proc(5) on /proc/self/fd
 */
#ifndef FSGATE_FS_AT_H
#define FSGATE_FS_AT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/** A name that may stand in a directory: not empty, ".", "..", with a slash or over 255 bytes. */
bool fs_at_is_name(const char *name);

/**
 * Open name below dirfd, never following a link. Close-on-exec, non-blocking, no terminal.
 *
 * @param flags  as of open(2); what the kernel adds for its own use is taken out
 * @return descriptor or -errno
 */
int fs_at_open(int dirfd, const char *name, int flags, mode_t mode);

/** Open again, with other flags, what an O_PATH descriptor stands for. @return fd or -errno */
int fs_at_reopen(int fd, int flags);

/** "/proc/self/fd/N" for calls that only take a path. */
struct fs_at_proc {
	char path[40];
};
const char *fs_at_proc_path(struct fs_at_proc *p, int fd);

/** fstatat(2) of name in dirfd, or of dirfd itself when name is "". @return 0 or -errno */
int fs_at_stat(int dirfd, const char *name, struct stat *st);

#endif
