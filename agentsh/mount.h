/*
 * mount.h - the file tree of a sandbox, mounted from its plan
 *
 * Runs in pid 1 of the sandbox, in its fresh mount namespace, with all capabilities of its user
 * namespace. Allocates nothing. Two steps, because the first needs nobody else and so overlaps
 * with the start of the gates.
 * Source:  mount_namespaces(7), mount_setattr(2), fsopen(2), pivot_root(2), tmpfs(5), proc(5)
 */
#ifndef AGENTSH_MOUNT_H
#define AGENTSH_MOUNT_H

#include "agentsh/sandbox.h"
#include "common/err.h"

/** A sandbox's root while it is being built: still below the host's tree. */
struct mount_root {
	int fd;		/**< owned: O_PATH of the new root */
	size_t n_done;	/**< entries of the plan that are mounted */
};

/**
 * The private root with /dev, /proc, /sys and those entries of the plan that come before the first
 * governed one.
 */
int mount_prepare(struct mount_root *out, const struct sandbox_args *args, struct err *e);

/**
 * The rest of the plan; then this root becomes the only one, read-only.
 *
 * @param fuse_mount  detached mount with the directories r0, r1, ...; borrowed; -1: none
 */
int mount_finish(struct mount_root *root, const struct sandbox_args *args, int fuse_mount,
		 struct err *e);

/* ---- shared by the mount_*_setup.c files ---- */

/** A detached mount of a new file system. @param options  "key=value" or "flag", NULL-terminated */
int mount_new(const char *fs, const char *const *options, unsigned attrs, struct err *e);

/** A detached, recursive copy of the mounts below a path. @param attrs  MOUNT_ATTR_* to add */
int mount_clone(int dir, const char *path, unsigned attrs, struct err *e);

/** Make the missing directories of an absolute path of the sandbox. */
int mount_mkdirs(int root, const char *path, struct err *e);

/** Attach a detached mount to an absolute path of the sandbox, which must exist. */
int mount_attach(int mnt, int root, const char *path, struct err *e);

/** Create a file or directory as a mount point if it is missing. */
int mount_point(int root, const char *path, bool is_dir, struct err *e);

int mount_dev(int root, struct err *e);
int mount_proc(int root, struct err *e);
int mount_sys(int root, struct err *e);
/** What nobody inside may write or see in /proc, but /proc/sys. */
int mount_proc_guard(int root, struct err *e);
/** No nested namespaces, no executable memfds; then /proc/sys is read-only. The last mount. */
int mount_proc_limits(int root, struct err *e);

#endif
