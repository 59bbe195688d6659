/*
 * fs_hold.h - a call that waits for a person
 *
 * Ends:   answered; time is up; or its caller will not take the answer any more: it is being
 *         killed, or was told to stop (SIGINT, SIGQUIT, SIGTERM, SIGHUP, handled or not): EINTR, and
 *         the question is taken back. Other signals that the caller handles or ignores do not end
 *         the wait: their handlers run when it is over.
 * Source: the kernel tells a server once, at the first signal (FUSE_INTERRUPT), and then waits for
 *         its reply even when the caller is being killed (fs/fuse/dev.c, request_wait_answer());
 *         proc(5) on status, signal(7)
 */
#ifndef FSGATE_FS_HOLD_H
#define FSGATE_FS_HOLD_H

#include <stdint.h>

#include "fsgate/fs_call.h"

struct fs_holds; /* opaque: calls whose callers are watched */

int fs_hold_new(struct fs_holds **out);

/** Replies later; c is copied. */
void fs_hold(struct fs_call *c);

/** Signals of a thread, as masks of 1 << (number - 1). */
struct fs_hold_signals {
	uint64_t pending, blocked, ignored, caught;
};

/** Do these end a wait? */
bool fs_hold_ends(const struct fs_hold_signals *s);

#endif
