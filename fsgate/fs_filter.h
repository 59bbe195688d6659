/*
 * fs_filter.h - the system calls that fsgate may make while it serves
 *
 * Allowed:  what serving files takes (the table in fs_filter.c)
 * Killed:   what no file server does, and who took fsgate over would: exec, ptrace, sockets, mounts,
 *           namespaces, ids, a new process. The session then ends with 125, and the kernel's log has
 *           the call.
 * EPERM:    everything else: a call that the table lacks is a failed operation, never a wrong one.
 * Source:   seccomp(2), seccomp_rule_add(3)
 */
#ifndef FSGATE_FS_FILTER_H
#define FSGATE_FS_FILTER_H

#include "common/err.h"

/** All threads of the process, for good; wants no_new_privs. @return 0, or -errno with e */
int fs_filter_install(struct err *e);

#endif
