/*
 * fs_watch_i.h - inside the watcher: fs_watch.c (marks, events), fs_watch_tell.c (notifications)
 */
#ifndef FSGATE_FS_WATCH_I_H
#define FSGATE_FS_WATCH_I_H

#include <stdint.h>
#include <sys/inotify.h>

#include "fsgate/fs_watch.h"

/* fanotify(7) has the same bits */
#define FS_WATCH_NAMES (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define FS_WATCH_DATA (IN_MODIFY | IN_CLOSE_WRITE)

/** A change in a directory. */
struct fs_change {
	struct fs_node *dir; /**< held: one more reference is taken when it is kept */
	const char *name;    /**< "." for the directory itself */
	uint32_t mask;
};

struct fs_teller; /* opaque: fs_watch_tell.c */

int fs_watch_i_teller_new(struct fs_teller **out, struct fs *fs);

/** Tell the kernel; what can block is done by another thread. */
void fs_watch_i_tell(struct fs_teller *w, const struct fs_change *c);

/** Some changes were lost: nothing that the kernel has can be believed. */
void fs_watch_i_tell_all(struct fs_teller *w);

/** Held requests have gone. */
void fs_watch_i_wake(struct fs_teller *w);

#endif
