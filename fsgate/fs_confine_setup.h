/*
 * fs_confine_setup.h - fsgate gives up what serving does not need
 *
 * It reads names and bytes that the sandbox chose, all day; who takes it over by one of them must
 * not get the host. In this order: capabilities and no_new_privs; Landlock: the governed trees,
 * the overrides (to read), the stores, /dev/fuse, /proc (to read), nothing else; seccomp.
 * Source: landlock(7), capabilities(7), seccomp(2)
 */
#ifndef FSGATE_FS_CONFINE_SETUP_H
#define FSGATE_FS_CONFINE_SETUP_H

#include <stdint.h>

#include "common/err.h"
#include "fsgate/fs.h"

/**
 * @param keep  capabilities, as a mask of 1ull << CAP_*
 * @return 0, or -errno with e: fsgate must not serve. A kernel without Landlock (or with one that
 *         forbids every rename between directories, before 5.19) is none.
 */
int fs_confine(struct fs *fs, uint64_t keep, struct err *e);

#endif
