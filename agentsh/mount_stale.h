/*
 * mount_stale.h - governed mounts that this state directory knows of
 *
 * STATE/mounts/NAME holds the mount point of session NAME from before it is mounted until it is
 * unmounted. One whose session is not alive any more is a leftover: its server died with the
 * supervisor, or was killed. What is not agentsh's, or another session's, is never touched.
 */
#ifndef AGENTSH_MOUNT_STALE_H
#define AGENTSH_MOUNT_STALE_H

#include "agentsh/session.h"
#include "common/dirs.h"
#include "common/err.h"

int mount_stale_note(const struct dirs *dirs, const char *session, const char *at, struct err *e);
void mount_stale_forget(const struct dirs *dirs, const char *session);

/** Unmount dead leftovers lazily and mark their sessions ended; says so in the log. */
void mount_stale_clean(const struct dirs *dirs);

#endif
