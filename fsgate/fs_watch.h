/*
 * fs_watch.h - the host's changes of the backing tree, told to the kernel's caches
 *
 * Promise: what is watched may be cached for long: each change by anybody else reaches the kernel's
 *          caches of names, missing names, listings, attributes and pages, a moment after it was made.
 * Limits:  file systems that others change without this kernel (network, FUSE) are not watched, nor
 *          directories over the cap; what is not watched is believed for FS_TIMEOUT. Stores through a
 *          shared mapping are told when the file is closed; times of reading (atime) never.
 * Source:  fanotify(7), inotify(7), name_to_handle_at(2)
 */
#ifndef FSGATE_FS_WATCH_H
#define FSGATE_FS_WATCH_H

#include "common/err.h"
#include "fsgate/fs.h"
#include "fsgate/fs_spot.h"

struct fs_watch; /* opaque: fs_watch.c */

/**
 * Open the group; while there are privileges. What cannot be had is left out: fs->watch stays NULL
 * when there is nothing at all.
 *
 * @return 0 or -ENOMEM
 */
int fs_watch_init(struct fs *fs);

/** Start the threads. @return 0 or -errno */
int fs_watch_start(struct fs *fs);

/**
 * Watch a directory, if it is not watched and can be: to be called before anything is said about
 * what is in it, or about its own attributes.
 *
 * @param fd  O_PATH descriptor of it, or -1: it is opened when it is needed
 */
void fs_watch_dir(struct fs *fs, struct fs_node *dir, int fd);

/** Seconds that the kernel may believe a name in dir, or that there is none. */
double fs_watch_name_timeout(struct fs *fs, struct fs_node *dir);

/** A request begins (1) or ends (-1) to wait for a person: the kernel has these directories locked. */
void fs_watch_held(struct fs *fs, struct fs_node *dir, int by);

#endif
