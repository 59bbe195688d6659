/*
 * trash.h - the store of soft-deleted files, as the person's commands see it (common/trash.h)
 *
 * Trust:   the store is ours (0700); what the agent left in the trees that files are restored to is
 *          not. Those are walked one component at a time, no link is followed (openat2(2)).
 * Threads: none. Several commands at once are fine: an item is taken by one rename(2).
 */
#ifndef AGENTSH_TRASH_H
#define AGENTSH_TRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/dirs.h"
#include "common/err.h"
#include "common/policy.h"
#include "common/trash.h"

struct trash {
	int dir; /**< owned; -1: there is no store yet */
	struct trash_meta *items; /**< owned; newest first */
	size_t n;
};

/** At the start of a session: make STATE/trash, and trash_tidy(). */
int trash_begin(const struct dirs *dirs, const struct policy *p, struct err *e);

/** Read what is there: items without their data were never deleted, and are left out. */
int trash_load(struct trash *t, const struct dirs *dirs, struct err *e);
void trash_unload(struct trash *t);

/** The host path that it had. */
void trash_host_path(const struct trash_meta *m, char *buf, size_t size);

/** Remove an item for good. @return 0 or -errno */
int trash_purge(const struct trash *t, const struct trash_meta *m);

/**
 * Remove what is too old, then the oldest until the limits hold (0: no limit), then leftovers of
 * deletions that never happened.
 *
 * @param dry  only tell
 * @param fn   told of each item; may be NULL
 * @return how many
 */
typedef void trash_gone_fn(void *arg, const struct trash_meta *m);
size_t trash_expire(const struct trash *t, const struct policy_trash *limits, time_t now, bool dry,
		    trash_gone_fn *fn, void *arg);

/** At the start and the end of a session: trash_expire() by its policy. Failures are only logged. */
void trash_tidy(const struct dirs *dirs, const struct policy *p);

struct trash_restore {
	const char *to; /**< path to restore to, instead of where it was; or NULL */
	bool force;	/**< replace what is there now */
};

/**
 * Bring an item back: content, mode, owner, times, extended attributes; missing parents are made.
 * The item leaves the store when it is back.
 *
 * @return 0; 1: a directory, and it is there already; -EEXIST: something else is there now;
 *         -ELOOP: a link stands where a directory was; or another -errno. e says what to do
 */
int trash_restore(const struct trash *t, const struct trash_meta *m, const struct trash_restore *how,
		  struct err *e);

/** A directory is as it was again when everything below it is back: give it its times. */
void trash_restore_times(const struct trash_meta *m, const char *to);

#endif
