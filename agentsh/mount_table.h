/*
 * mount_table.h - the mounts of this mount namespace, and which of them are agentsh's
 *
 * Source: proc_pid_mountinfo(5)
 */
#ifndef AGENTSH_MOUNT_TABLE_H
#define AGENTSH_MOUNT_TABLE_H

#include <limits.h>
#include <stdbool.h>

#define MOUNT_SOURCE_PREFIX "agentsh/" /* and the session's name: what fsgate gives as the source */

struct mount_entry {
	char type[64];
	char source[256];
};

/**
 * Call fn for every mount of a table, in the table's order.
 *
 * @param table  "/proc/PID/mountinfo"; places are as that process names them
 */
typedef void mount_table_fn(void *arg, const char *at, const struct mount_entry *entry);
int mount_table_each(const char *table, mount_table_fn *fn, void *arg);

/** The uppermost mount at a path. @return 0, -ENOENT (nothing is mounted there) or -errno */
int mount_table_find(struct mount_entry *out, const char *at);

/** The session that a governed mount belongs to, borrowed from the entry; NULL: not agentsh's. */
const char *mount_table_session(const struct mount_entry *entry);

/** Its server is gone: every use of it fails with ENOTCONN. Asks the server. */
bool mount_table_is_dead(const char *at);

#endif
