#include "execgate/exec_resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/path.h"
#include "execgate/exec_walk.h"

int exec_root_open(struct exec_root *root, int fd, struct err *e)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, root->path, sizeof(root->path) - 1);
	if (n <= 0)
		return err_set(e, n < 0 ? errno : EINVAL, "name of the sandbox's root");
	root->path[n] = '\0';
	root->fd = fd;
	return 0;
}

static bool is_writable_mount(int fd)
{
	struct statvfs s;

	return fstatvfs(fd, &s) < 0 || !(s.f_flag & ST_RDONLY);
}

/*
 * A missing file is the common failure (execvp tries each directory of PATH). It is final when the
 * directory exists, is no procfs and has no such entry; else the slow walk has the last word.
 */
static bool is_plainly_missing(const struct exec_root *root, const char *path)
{
	char dir[PATH_MAX];
	const char *base = path_base(path);
	size_t n = (size_t)(base - path);
	autoclose int fd = -1;
	struct statfs s;
	struct stat st;

	if (n == 0 || n >= sizeof(dir) || !*base)
		return false;
	memcpy(dir, path, n);
	dir[n] = '\0';
	fd = exec_walk_open(root, dir, O_DIRECTORY);
	if (fd < 0 || fstatfs(fd, &s) < 0 || s.f_type == PROC_SUPER_MAGIC)
		return false;
	return fstatat(fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

static int open_path(const struct exec_root *root, const struct exec_base *base, const char *path)
{
	int flags = base->nofollow ? O_NOFOLLOW : 0;
	int fd = exec_walk_open(root, path, flags);

	if (fd >= 0 || (fd != -ENOENT && fd != -ELOOP && fd != -EAGAIN))
		return fd;
	if (fd == -ENOENT && is_plainly_missing(root, path))
		return fd;
	return exec_walk(root, base->tid, path, flags);
}

static int open_descriptor(const struct exec_base *base)
{
	char link[64];
	int fd;

	if (base->dirfd == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/%d/cwd", (int)base->tid);
	else
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)base->tid, base->dirfd);
	fd = open(link, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -EBADF : -errno;
	return fd;
}

/* The absolute text of what was asked for. */
static int absolute(char *out, size_t size, const struct exec_root *root,
		    const struct exec_base *base, const char *path)
{
	autoclose int dir = -1;
	char dir_path[PATH_MAX];
	const char *from = base->cwd;
	int n, r;

	if (path[0] == '/') {
		n = snprintf(out, size, "%s", path);
		return (size_t)n < size ? 0 : -ENAMETOOLONG;
	}
	if (base->dirfd != AT_FDCWD) {
		struct stat st;

		dir = open_descriptor(base);
		if (dir < 0)
			return dir;
		if (fstat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
			return -ENOTDIR;
		r = exec_walk_name(dir_path, sizeof(dir_path), root, dir);
		if (r < 0)
			return r;
		from = dir_path;
	}
	if (from[0] != '/')
		return -ENOENT;
	n = snprintf(out, size, "%s%s%s", from, from[1] ? "/" : "", path);
	return (size_t)n < size ? 0 : -ENAMETOOLONG;
}

static int identify(struct exec_file *f, const struct exec_root *root)
{
	struct statfs fs;
	int r;

	if (fstat(f->fd, &f->st) < 0)
		return -errno;
	if (S_ISLNK(f->st.st_mode))
		return -ELOOP; /* AT_SYMLINK_NOFOLLOW */
	if (!S_ISREG(f->st.st_mode) || !(f->st.st_mode & 0111))
		return -EACCES;
	r = exec_walk_name(f->path, sizeof(f->path), root, f->fd);
	if (r < 0)
		return r; /* memfd, deleted, or passed in from outside */
	f->trusted = !is_writable_mount(f->fd);
	f->on_fuse = fstatfs(f->fd, &fs) < 0 || fs.f_type == FUSE_SUPER_MAGIC;
	return 0;
}

int exec_resolve(struct exec_file *f, const struct exec_root *root, const struct exec_base *base,
		 const char *path)
{
	int r;

	memset(f, 0, sizeof(*f));
	f->fd = -1;
	if (path[0]) {
		r = absolute(f->invoked, sizeof(f->invoked), root, base, path);
		if (r < 0)
			return r;
		f->fd = open_path(root, base, f->invoked);
	} else {
		f->fd = open_descriptor(base);
	}
	if (f->fd < 0)
		return f->fd;
	r = identify(f, root);
	if (r == 0 && !path[0])
		memcpy(f->invoked, f->path, sizeof(f->invoked));
	return r;
}

void exec_file_deinit(struct exec_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static bool is_writable_dir(const struct exec_root *root, const char *path)
{
	autoclose int fd = exec_walk_open(root, path, 0);

	return fd < 0 || is_writable_mount(fd);
}

bool exec_resolve_is_steady(const struct exec_root *root, const struct exec_file *f)
{
	char at[PATH_MAX];

	/* with "..", the text does not tell which directories are passed */
	if (strstr(f->invoked, "/..") || path_normalize(at, sizeof(at), f->invoked) < 0)
		return false;
	if (strcmp(at, f->path) == 0)
		return true;
	for (char *slash = strrchr(at, '/'); slash > at; slash = strrchr(at, '/')) {
		*slash = '\0';
		if (is_writable_dir(root, at))
			return false;
	}
	return !is_writable_dir(root, "/");
}
