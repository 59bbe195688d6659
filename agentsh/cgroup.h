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

#include <sys/types.h>

#include "common/auto.h"
#include "common/err.h"
#include "common/policy.h"

struct cgroup;

/**
 * Make the session's cgroup and set the limits.
 *
 * @param out     written on success; NULL when there is none to be had and none is needed
 * @param limits  what the policy demands; a limit that cannot be set is an error
 * @return 0 or -errno
 */
int cgroup_create(struct cgroup **out, const char *session, const struct policy_limits *limits,
		  struct err *e);

/** Version 2 directory for sandbox_args.cgroup_fd, borrowed; -1: none. @param c  may be NULL */
int cgroup_dir_fd(const struct cgroup *c);

/**
 * Put the sandbox's pid 1 into the version 1 cgroups, before it starts anything: call it between
 * sandbox_start() and sandbox_arm(). Version 2 is entered by the clone itself.
 *
 * @param c  may be NULL
 */
int cgroup_enter(const struct cgroup *c, pid_t pid, struct err *e);

/** Kill what is left in it, remove it and free c, which may be NULL. */
void cgroup_remove(struct cgroup *c);
AUTO_DEFINE(struct cgroup *, cgroup_remove)

#endif
