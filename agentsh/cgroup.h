/*
 * cgroup.h - a session's resource limits
 *
 * The session's processes live in a cgroup of their own, below the caller's or below the nearest
 * ancestor of it that hands out the controllers that the policy's limits need. Version 2 where
 * it has them; on hosts that still keep memory, pids or cpu in version 1, there.
 * Without demanded limits nothing of this is needed, and its absence is no error.
 * Source:  cgroups(7), the kernel's admin-guide/cgroup-v2
 */
#ifndef AGENTSH_CGROUP_H
#define AGENTSH_CGROUP_H

#include <limits.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/policy.h"

#define CGROUP_LEGACY_MAX 3

struct cgroup {
	int fd;		     /**< owned: version 2 directory for sandbox_args.cgroup_fd, or -1 */
	char path[PATH_MAX]; /**< of fd; empty when there is none */
	char legacy[CGROUP_LEGACY_MAX][PATH_MAX]; /**< version 1 directories; empty: unused */
};

#define CGROUP_INIT                                                                                \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/**
 * Make the session's cgroup and set the limits.
 *
 * @param c       CGROUP_INIT; cgroup_destroy() it also after a failure
 * @param limits  what the policy demands; a limit that cannot be set is an error
 * @return 0 (fd may still be -1: none available and none needed), or -errno
 */
int cgroup_create(struct cgroup *c, const char *session, const struct policy_limits *limits,
		  struct err *e);

/**
 * Put the sandbox's pid 1 into the version 1 cgroups, before it starts anything: call it between
 * sandbox_start() and sandbox_arm(). Version 2 is entered by the clone itself.
 */
int cgroup_enter(const struct cgroup *c, pid_t pid, struct err *e);

/** Kill what is left in it and remove it. */
void cgroup_destroy(struct cgroup *c);

#endif
