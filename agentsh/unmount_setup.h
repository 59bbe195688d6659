/*
 * unmount_setup.h - take a governed mount away: as root by umount2(2), else by fusermount3(1)
 */
#ifndef AGENTSH_UNMOUNT_SETUP_H
#define AGENTSH_UNMOUNT_SETUP_H

#include <stdbool.h>

#include "common/err.h"

/**
 * @param at    where it is mounted
 * @param lazy  the place is free at once, the mount ends with its last user
 * @return 0, -EBUSY when something uses it, or -errno with e set
 */
int unmount_at(const char *at, bool lazy, struct err *e);

#endif
