/*
 * exec_resolve.h - from the path that a caller named to the file that the kernel will open
 *
 * Shape:    exec_root_open() once; exec_resolve() per path gives an O_PATH descriptor, the
 *           canonical path as the sandbox sees it, and the file's identity
 * Source:   openat2(2) RESOLVE_IN_ROOT, path_resolution(7), proc(5) on magic links
 * Threads:  a struct exec_root is immutable after exec_root_open()
 */
#ifndef EXECGATE_EXEC_RESOLVE_H
#define EXECGATE_EXEC_RESOLVE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "common/err.h"

struct exec_root {
	int fd;		     /**< borrowed: O_PATH of the sandbox's root directory */
	char path[PATH_MAX]; /**< how the kernel prints it for us; "/" after pivot_root */
};

int exec_root_open(struct exec_root *root, int fd, struct err *e);

struct exec_file {
	int fd;			/**< owned: O_PATH; -1 when none */
	bool trusted;		/**< on a mount that the sandbox cannot write to */
	bool on_fuse;		/**< opening it may take as long as a person takes to answer */
	struct stat st;
	char invoked[PATH_MAX]; /**< absolute text before symlinks */
	char path[PATH_MAX];	/**< canonical, as the sandbox sees it */
};

/** Who asks, and what a relative path is relative to. */
struct exec_base {
	pid_t tid;	 /**< whose /proc/self, /dev/fd and cwd are meant */
	int dirfd;	 /**< AT_FDCWD: cwd */
	const char *cwd; /**< the caller's, as the sandbox sees it */
	bool nofollow;	 /**< AT_SYMLINK_NOFOLLOW */
};

/**
 * Find the file.
 *
 * @param f     written on success; release with exec_file_deinit() whatever was returned
 * @param path  as the caller gave it; "" means the file behind base->dirfd (AT_EMPTY_PATH)
 * @return 0, or the errno that execve would give (-ENOENT, -ENOTDIR, -ELOOP, -EACCES for what is
 *         not an executable file); -EXDEV: the file has no name in the sandbox (memfd, deleted,
 *         handed in from outside), so there is nothing to judge it by
 */
int exec_resolve(struct exec_file *f, const struct exec_root *root, const struct exec_base *base,
		 const char *path);

void exec_file_deinit(struct exec_file *f);

/**
 * Would looking the same path up again find the same file, whatever the sandbox does meanwhile?
 * True when no symlink on the way lies in a writable directory.
 */
bool exec_resolve_is_steady(const struct exec_root *root, const struct exec_file *f);

#endif
