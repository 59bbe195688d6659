/*
 * fs_serve.h - the server's life between set-up and exit
 */
#ifndef FSGATE_FS_SERVE_H
#define FSGATE_FS_SERVE_H

#include "common/err.h"
#include "fsgate/fs.h"

/** Tables and limits, before anything is opened. */
int fs_serve_init(struct fs *fs, struct err *e);

/** libfuse's session on an open /dev/fuse; consumed. */
int fs_serve_attach(struct fs *fs, int dev, struct err *e);

/** Keep what serving needs of root's capabilities, and nothing else; before any thread. */
int fs_serve_drop(struct fs *fs, struct err *e);

/** A thread for the control socket: it ends the process on GATE_STOP (0) or EOF (1). */
int fs_serve_watch(struct fs *fs, struct err *e);

/** Serve until the process ends; returns only when the connection is lost or the mount is gone. */
int fs_serve_run(struct fs *fs);

/** The last records, and exit 0. Any thread; does not return. */
_Noreturn void fs_serve_end(struct fs *fs);

#endif
