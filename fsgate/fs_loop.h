/*
 * fs_loop.h - the threads that serve the kernel's requests
 *
 * Order:   none beyond the kernel's: requests are taken one at a time, in the order they come, by the
 *          thread that reads; a request that takes long gives the reading to another thread.
 * Promise: whatever a request waits for (a disk, the kernel's locks), others are taken within
 *          about a millisecond, up to MAX_THREADS that wait at once.
 * Source:  linux/fuse.h; fuse_session_receive_buf(), fuse_session_process_buf()
 */
#ifndef FSGATE_FS_LOOP_H
#define FSGATE_FS_LOOP_H

#include "fsgate/fs.h"

/** Serve until the mount is gone. @return 0 or -errno */
int fs_loop_run(struct fs *fs);

#endif
