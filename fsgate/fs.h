/*
 * fs.h - one session's file server: what its parts share
 *
 * Shape:  fs_conf (keys) -> fs_setup (mount) -> fs_loop (threads). A request is a struct
 *         fs_call: judge -> record -> act -> reply (fs_call.h); fs_decide.h has the judgement, the
 *         fs_ops_*.c files have the acts.
 * Life:   made in main() before the mount; everything but the tree, the lists and the caches behind
 *         their own locks is constant while requests are served.
 */
#ifndef FSGATE_FS_H
#define FSGATE_FS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/gate.h"
#include "fsgate/fs_node.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

/** Seconds that the kernel may believe names and attributes of what is not watched (fs_watch.h). */
#define FS_TIMEOUT 1.0
/** ... and of what is. */
#define FS_TIMEOUT_LONG 3600.0

struct fs_override {
	char *path; /**< in the sandbox */
	int fd;	    /**< O_PATH of the host's file */
};

/** A host file or directory that is never shown. */
struct fs_hidden {
	char *path; /**< on the host */
	dev_t dev;
	ino_t ino;
};

struct fs {
	struct gate gate;
	struct fs_tree *tree;
	struct fuse_session *se;
	struct fs_who *who;	 /**< fs_who.h */
	struct fs_recent *recent; /**< fs_record.h */
	struct fs_locks *locks;	 /**< fs_lock.h */
	struct fs_files *files;	 /**< fs_file.h */
	struct fs_why *why;	 /**< fs_why.h */
	struct fs_holds *holds;	 /**< fs_hold.h */
	char *why_dir;		 /**< sandbox path of the directory with .agentsh/, or NULL */
	struct fs_redirects *redirects; /**< fs_redirect.h; NULL: the policy has none */
	uint32_t features;	 /**< policy_file_features() */
	struct fs_trash *trash;	 /**< fs_trash.h; NULL: there is no store */
	struct fs_pass *pass;	 /**< fs_pass.h */
	struct fs_watch *watch;	 /**< fs_watch.h; NULL: nothing is watched */
	struct fs_override *overrides;
	size_t n_overrides;
	struct fs_hidden *hidden;
	size_t n_hidden;
	const char *at; /**< a mount alone: its place on the host; NULL: a sandbox's; borrowed */
	struct fs_undo *undo;	 /**< fs_undo.h; NULL: off */
	_Atomic uint64_t pseq;	 /**< of the last record */
	dev_t main_dev; /**< inode numbers of this device are shown as they are */
	uid_t uid;	/**< the sandbox's only mapped user and group when the gate is not root */
	gid_t gid;
	gid_t *groups; /**< supplementary groups of the caller, same case */
	int n_groups;
	/** Held shared by whatever adds a name, exclusively by a move of a directory. */
	pthread_rwlock_t names;
};

#endif
