/*
 * audit_disk.h - the calls by which the writer changes the disk
 *
 * A table, so that tests can fail, tear or end the process at each of them.
 */
#ifndef COMMON_AUDIT_DISK_H
#define COMMON_AUDIT_DISK_H

#include <stddef.h>
#include <sys/types.h>

/** Each returns 0 (create: a descriptor; write: bytes) or a negative errno. */
struct audit_disk {
	ssize_t (*write)(int fd, const void *p, size_t len, off_t at);
	int (*sync)(int fd); /**< fdatasync */
	int (*grow)(int fd, off_t from, off_t len);
	int (*truncate)(int fd, off_t len);
	int (*rename)(int dir, const char *from, const char *to);
	int (*create)(int dir, const char *name); /**< read-write, emptied, 0600 */
	int (*remove)(int dir, const char *name);
};

extern const struct audit_disk audit_disk_posix;

/** All of it, or a negative errno. */
int audit_disk_write(const struct audit_disk *d, int fd, const void *p, size_t len, off_t at);

/** Replace a small file at once: temporary file, written (and synced), renamed. */
int audit_disk_replace(const struct audit_disk *d, int dir, const char *name, const void *p,
		       size_t len, int sync);

#endif
