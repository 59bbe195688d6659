#include "fsgate/fs_at.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* what open(2) of a regular file or directory can mean; the rest (__FMODE_EXEC, ...) is internal */
#define OPEN_FLAGS                                                                                 \
	(O_ACCMODE | O_APPEND | O_CREAT | O_DIRECT | O_DIRECTORY | O_DSYNC | O_EXCL | O_NOATIME |  \
	 O_SYNC | O_TRUNC)

bool fs_at_is_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX || strchr(name, '/'))
		return false;
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

int fs_at_open(int dirfd, const char *name, int flags, mode_t mode)
{
	struct open_how how = {
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	if (flags & O_PATH)
		how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
	else /* a fifo that took the file's place must not block a worker */
		how.flags = (uint64_t)((flags & OPEN_FLAGS) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
				       O_NOCTTY);
	if (how.flags & O_CREAT)
		how.mode = mode & 07777;
	fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

const char *fs_at_proc_path(struct fs_at_proc *p, int fd)
{
	snprintf(p->path, sizeof(p->path), "/proc/self/fd/%d", fd);
	return p->path;
}

int fs_at_reopen(int fd, int flags)
{
	struct fs_at_proc p = {""};
	int r = open(fs_at_proc_path(&p, fd),
		     (flags & OPEN_FLAGS & ~O_EXCL) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return r < 0 ? -errno : r;
}

int fs_at_stat(int dirfd, const char *name, struct stat *st)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name[0] ? 0 : AT_EMPTY_PATH);

	return fstatat(dirfd, name, st, flags) < 0 ? -errno : 0;
}
