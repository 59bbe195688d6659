/*
 * priv.h - giving up what a process does not need
 *
 * Stages, in this order: priv_initial() -> set-up -> priv_drop().
 * Source: capabilities(7), prctl(2), proc(5) on dumpable.
 */
#ifndef COMMON_PRIV_H
#define COMMON_PRIV_H

#include <stdint.h>

#include "common/err.h"

/** No core dumps, not ptraceable, umask 077 kept by callers that create files for others. */
int priv_initial(struct err *e);

/**
 * Keep only these capabilities (mask of 1ull << CAP_*), empty the bounding, ambient and inheritable
 * sets of everything else, set no_new_privs. Works for an ordinary user (then nothing is left).
 */
int priv_drop(uint64_t keep, struct err *e);

#endif
