/*
 * exec_depth.h - how deep below the wrapped command a program is started
 *
 * The first program of the agent has depth 0; a program started by a program of depth n has n + 1,
 * whether that one forked first (any number of times) or replaced itself. A process whose ancestors
 * are gone counts as started by a program of depth 0.
 * Threads: safe.
 */
#ifndef EXECGATE_EXEC_DEPTH_H
#define EXECGATE_EXEC_DEPTH_H

#include <stdint.h>
#include <sys/types.h>

#include "common/auto.h"

struct exec_depth;

/**
 * @param agent_pid  the agent before its first exec
 * @param init_pid   pid 1 of the sandbox: orphans end up there
 */
struct exec_depth *exec_depth_new(pid_t agent_pid, pid_t init_pid);
void exec_depth_free(struct exec_depth *d);
AUTO_DEFINE(struct exec_depth *, exec_depth_free)

/** Depth of a program that this process is about to start. */
unsigned exec_depth_of(struct exec_depth *d, pid_t tgid, pid_t ppid, uint64_t start_ticks);

/** The process now runs a program of that depth. */
void exec_depth_set(struct exec_depth *d, pid_t tgid, uint64_t start_ticks, unsigned depth);

#endif
