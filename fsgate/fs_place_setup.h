/*
 * fs_place_setup.h - a governed mount alone, at a place on the host (`agentsh mount`)
 *
 * Root moves the detached mount of fs_setup.h there. An ordinary user has fusermount3 mount, which is
 * set-uid: it checks that the place is the caller's and hands the descriptor of /dev/fuse back over
 * the socket that _FUSE_COMMFD names.
 * Source: move_mount(2), fusermount3(1), fuse's util/fusermount.c
 */
#ifndef FSGATE_FS_PLACE_SETUP_H
#define FSGATE_FS_PLACE_SETUP_H

#include "common/err.h"
#include "fsgate/fs_setup.h"

/** Attach a detached mount over the directory args->at. */
int fs_place_root(int mount, const struct fs_setup_args *args, struct err *e);

/** @return descriptor of /dev/fuse, the caller's; or -errno with e saying what fusermount3 said */
int fs_place_user(const struct fs_setup_args *args, struct err *e);

#endif
