/*
 * exec_walk.h - walk a path one component at a time, on behalf of another process
 *
 * The kernel's own resolution cannot be borrowed where /proc/self or a magic link (exe, fd/N, cwd)
 * is on the way: "self" would be the wrong process. This walk translates them; it is the slow path.
 */
#ifndef EXECGATE_EXEC_WALK_H
#define EXECGATE_EXEC_WALK_H

#include <stddef.h>
#include <sys/types.h>

#include "execgate/exec_resolve.h"

/** openat2(2) below the sandbox's root with O_PATH. @return descriptor, or -errno */
int exec_walk_open(const struct exec_root *root, const char *path, int flags);

/**
 * The sandbox's name for an open file or directory, proven by looking it up again.
 *
 * @return 0, or -EXDEV: no name any more (memfd, deleted), or outside the sandbox's tree
 */
int exec_walk_name(char *out, size_t size, const struct exec_root *root, int fd);

/**
 * @param tid   the process that /proc/self means
 * @param path  absolute
 * @return O_PATH descriptor owned by the caller, or -errno
 */
int exec_walk(const struct exec_root *root, pid_t tid, const char *path, int flags);

#endif
