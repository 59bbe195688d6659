/*
 * fs_setup.h - make the FUSE mount that the sandbox will see
 *
 * Root: mounted in the initial namespaces. Otherwise a forked child enters the sandbox's user and
 * mount namespaces, opens /dev/fuse and mounts there, and passes both descriptors back, so that the
 * gate itself stays outside and request pids are the host's.
 * Source: fsopen(2), fsconfig(2), fsmount(2), setns(2), fuse(4)
 */
#ifndef FSGATE_FS_SETUP_H
#define FSGATE_FS_SETUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"

struct fs_mount {
	int dev;   /**< /dev/fuse, owned */
	int mount; /**< detached mount, owned */
};

struct fs_setup_args {
	bool is_root;
	int pidfd; /**< of the sandbox's pid 1; borrowed; used when not root */
	uid_t uid;
	gid_t gid;
	const char *source; /**< what mountinfo(5) shows as the mount's source; no comma, no space */
	const char *at;	    /**< a mount alone: its place on the host; NULL: a sandbox's */
	bool read_only;
};

/**
 * A user's mount alone is in its place already when this returns, and has no descriptor; every other
 * one is detached.
 *
 * @return 0, or -errno with e naming what the host refuses and the remedy
 */
int fs_setup_mount(struct fs_mount *out, const struct fs_setup_args *args, struct err *e);

#endif
