#include "common/audit_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/auto.h"

static ssize_t posix_write(int fd, const void *p, size_t len, off_t at)
{
	ssize_t n;

	do
		n = pwrite(fd, p, len, at);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int posix_sync(int fd)
{
	return fdatasync(fd) < 0 ? -errno : 0;
}

/* Where the file system cannot reserve, zeros do it. */
static int grow_by_zeros(int fd, off_t from, off_t len)
{
	static const char zeros[65536];
	int r = 0;

	while (len > 0 && r == 0) {
		size_t n = len < (off_t)sizeof(zeros) ? (size_t)len : sizeof(zeros);

		r = audit_disk_write(&audit_disk_posix, fd, zeros, n, from);
		from += (off_t)n;
		len -= (off_t)n;
	}
	return r;
}

static int posix_grow(int fd, off_t from, off_t len)
{
	if (fallocate(fd, 0, from, len) == 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == ENOSYS)
		return grow_by_zeros(fd, from, len);
	return -errno;
}

static int posix_truncate(int fd, off_t len)
{
	return ftruncate(fd, len) < 0 ? -errno : 0;
}

static int posix_rename(int dir, const char *from, const char *to)
{
	return renameat(dir, from, dir, to) < 0 ? -errno : 0;
}

static int posix_create(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

static int posix_remove(int dir, const char *name)
{
	return unlinkat(dir, name, 0) < 0 ? -errno : 0;
}

const struct audit_disk audit_disk_posix = {
	.write = posix_write,
	.sync = posix_sync,
	.grow = posix_grow,
	.truncate = posix_truncate,
	.rename = posix_rename,
	.create = posix_create,
	.remove = posix_remove,
};

int audit_disk_write(const struct audit_disk *d, int fd, const void *p, size_t len, off_t at)
{
	const char *q = p;

	while (len > 0) {
		ssize_t n = d->write(fd, q, len, at);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		q += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int audit_disk_replace(const struct audit_disk *d, int dir, const char *name, const void *p,
		       size_t len, int sync)
{
	autoclose int fd = -1;
	char temporary[PATH_MAX + 8];
	int r;

	if (strlen(name) > PATH_MAX)
		return -ENAMETOOLONG;
	snprintf(temporary, sizeof(temporary), "%s.tmp", name);
	fd = d->create(dir, temporary);
	if (fd < 0)
		return fd;
	r = audit_disk_write(d, fd, p, len, 0);
	if (r == 0 && sync)
		r = d->sync(fd);
	if (r == 0)
		r = d->rename(dir, temporary, name);
	return r;
}
