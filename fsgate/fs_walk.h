/*
 * fs_walk.h - bounded walks of the backing tree, and the two questions that need one
 */
#ifndef FSGATE_FS_WALK_H
#define FSGATE_FS_WALK_H

#include "fsgate/fs_call.h"

enum fs_step {
	FS_STEP_ON,
	FS_STEP_OVER, /**< do not go into this directory */
	FS_STEP_END,
};

/** @param path  of the entry, relative to where the walk began, "/a/b" */
typedef enum fs_step fs_walk_fn(void *arg, const char *path, unsigned char type, ino_t ino);

/**
 * Visit everything below a directory; never follows a link, stays on its device.
 *
 * @param budget  entries left to visit; counted down
 * @return 0, -E2BIG (over budget, or too deep), or another -errno
 */
int fs_walk(int dirfd, size_t *budget, fs_walk_fn *fn, void *arg);

/**
 * A directory gets another name: is there something below it that may not get one?
 * Merges into c->answer; over a bound of entries the move is denied.
 *
 * @param fd  the directory
 */
void fs_walk_move(struct fs_call *c, int fd, const char *from, const char *to);

/**
 * A file is about to be written: when it has other names, and not all of them are names in governed
 * trees that the policy lets be written, the call's answer becomes a refusal, unless it was audited
 * or approved by this name.
 *
 * @return whether it became one
 */
bool fs_walk_refuse_links(struct fs_call *c, const struct stat *st);

#endif
