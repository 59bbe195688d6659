/*
 * file_copy.h - the content of a regular file, to another one
 *
 * Source:  copy_file_range(2), lseek(2) (SEEK_DATA), ioctl_ficlone(2)
 * Threads: no state; the descriptors' offsets are moved
 */
#ifndef COMMON_FILE_COPY_H
#define COMMON_FILE_COPY_H

#include <sys/types.h>

#define FILE_COPY_ALL ((off_t)-1)

/**
 * Copy content, holes as holes, with shared blocks where the file system has them.
 *
 * @param to    open for writing, empty
 * @param from  open for reading
 * @param size  bytes of it, and the size of the copy; FILE_COPY_ALL: as it is now
 * @return 0 or -errno
 */
int file_copy(int to, int from, off_t size);

/** Share all blocks, or fail: -EOPNOTSUPP, -EXDEV. */
int file_share(int to, int from);

#endif
