/*
 * dirs.h - where agentsh keeps its things (docs/agentsh.1, FILES)
 *
 * Root: /etc/agentsh, /var/lib/agentsh, /run/agentsh. A user: XDG directories. The environment
 * variables AGENTSH_STATE_DIR, AGENTSH_CONFIG_DIR and AGENTSH_POLICY_DIR override.
 * Installed trees are relocatable: programs and packs are found from /proc/self/exe.
 */
#ifndef COMMON_DIRS_H
#define COMMON_DIRS_H

#include <limits.h>

#include "common/err.h"

struct dirs {
	char state[PATH_MAX];	/**< sessions, audit log */
	char config[PATH_MAX];
	char runtime[PATH_MAX]; /**< sockets; 0700 */
	char audit[PATH_MAX];	/**< state/audit */
	char policies[PATH_MAX];
};

/** Work out the names; creates nothing. */
int dirs_init(struct dirs *d, struct err *e);

/** mkdir -p with mode 0700 for the last component; an existing directory must be ours. */
int dirs_make(const char *path, struct err *e);

/** Path of a helper program: "agentsh-fsgate" -> .../libexec/agentsh/agentsh-fsgate or build tree. */
int dirs_program(char *out, size_t size, const char *name, struct err *e);

#endif
