/*
 * spawn_setup.h - start one of our own helper programs
 *
 * The child gets descriptor 3 (the control socket), /dev/null as 0 and 1, our stderr, a session of
 * its own (the terminal's signals do not reach it) and nothing else.
 */
#ifndef AGENTSH_SPAWN_SETUP_H
#define AGENTSH_SPAWN_SETUP_H

#include <sys/types.h>

#include "common/err.h"

/**
 * @param ctl    becomes descriptor 3 of the child; borrowed
 * @param pidfd  written: owned by the caller, readable when the child has ended
 * @return pid, or -errno
 */
pid_t spawn_helper(int *pidfd, const char *program, int ctl, struct err *e);

#endif
