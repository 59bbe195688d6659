/* The operations of fs_random. Each does one thing on one side and tells how it went. */
#include <dirent.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include "tests/torture/fs_random.h"

static char buffer[1 << 18];

int side_base(const struct side *s, const struct args *a, bool act)
{
	struct stat st;

	if (act && a->on_host && s->host >= 0)
		return s->host;
	if (a->on_host || a->base < 0 || s->fd[a->base] < 0)
		return s->root;
	return fstat(s->fd[a->base], &st) == 0 && S_ISDIR(st.st_mode) ? s->fd[a->base] : s->root;
}

uint64_t hash_bytes(uint64_t h, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001B3ULL;
	return h;
}

uint64_t hash_file(int fd)
{
	uint64_t h = 7;
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		h = hash_bytes(h, buffer, (size_t)n);
	return n < 0 ? (uint64_t)errno : h;
}

static int at(const struct side *s, const struct args *a)
{
	return side_base(s, a, true);
}

static void tell(struct result *r, long ret)
{
	r->error = ret < 0 ? errno : 0;
	r->ret = ret;
}

static void fill(const struct args *a, size_t n)
{
	uint32_t x = a->seed | 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		buffer[i] = (char)(x >> 24);
	}
}

/* ---- descriptors ---- */

static void put_slot(struct side *s, int slot, int fd)
{
	if (s->fd[slot] >= 0)
		close(s->fd[slot]);
	s->fd[slot] = fd;
}

static void op_open(struct side *s, const struct args *a, struct result *r)
{
	static const int access[] = {O_RDWR, O_RDWR, O_RDONLY, O_WRONLY};
	int flags = access[a->choice % 4] | O_NONBLOCK | O_CLOEXEC;
	int fd;

	flags |= a->choice & 0x10 ? O_CREAT : 0;
	flags |= (a->choice & 0xe0) == 0x20 ? O_EXCL : 0;
	flags |= (a->choice & 0x700) == 0x100 ? O_TRUNC : 0;
	flags |= (a->choice & 0x3800) == 0x800 ? O_APPEND : 0;
	flags |= (a->choice & 0x1c000) == 0x4000 ? O_NOFOLLOW : 0;
	fd = openat(at(s, a), a->p, flags, a->mode | 0600);
	tell(r, fd < 0 ? -1 : 0);
	put_slot(s, a->slot, fd);
}

static void op_opendir(struct side *s, const struct args *a, struct result *r)
{
	int fd = openat(at(s, a), a->p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	tell(r, fd < 0 ? -1 : 0);
	put_slot(s, a->slot, fd);
}

static void op_tmpfile(struct side *s, const struct args *a, struct result *r)
{
	int fd = openat(at(s, a), a->p, O_TMPFILE | O_RDWR | O_CLOEXEC, a->mode | 0600);

	tell(r, fd < 0 ? -1 : 0);
	put_slot(s, a->slot, fd);
}

/* a mount that has no O_TMPFILE says so, and programs do without */
static void fixup_tmpfile(const struct args *a, struct result r[2])
{
	if (r[1].error != EOPNOTSUPP || r[0].error)
		return;
	put_slot(&sides[0], a->slot, -1);
	r[0] = r[1];
}

static void op_close(struct side *s, const struct args *a, struct result *r)
{
	tell(r, s->fd[a->slot] < 0 ? -2 : 0);
	put_slot(s, a->slot, -1);
}

static void op_dup(struct side *s, const struct args *a, struct result *r)
{
	int fd = s->fd[a->slot] < 0 ? -1 : fcntl(s->fd[a->slot], F_DUPFD_CLOEXEC, 3);

	r->ret = fd < 0;
	if (a->slot != a->slot2)
		put_slot(s, a->slot2, fd);
	else if (fd >= 0)
		close(fd);
}

static void op_read(struct side *s, const struct args *a, struct result *r)
{
	ssize_t n = read(s->fd[a->slot], buffer, a->len);

	tell(r, n);
	if (n > 0)
		r->hash = hash_bytes(1, buffer, (size_t)n);
}

static void op_pread(struct side *s, const struct args *a, struct result *r)
{
	ssize_t n = pread(s->fd[a->slot], buffer, a->len, a->off);

	tell(r, n);
	if (n > 0)
		r->hash = hash_bytes(1, buffer, (size_t)n);
}

static void op_write(struct side *s, const struct args *a, struct result *r)
{
	fill(a, a->len);
	tell(r, write(s->fd[a->slot], buffer, a->len));
}

static void op_pwrite(struct side *s, const struct args *a, struct result *r)
{
	fill(a, a->len);
	tell(r, pwrite(s->fd[a->slot], buffer, a->len, a->off));
}

static void op_writev(struct side *s, const struct args *a, struct result *r)
{
	struct iovec v[2] = {{buffer, a->len / 2}, {buffer + a->len / 2, a->len - a->len / 2}};

	fill(a, a->len);
	tell(r, pwritev(s->fd[a->slot], v, 2, a->off));
}

static void op_lseek(struct side *s, const struct args *a, struct result *r)
{
	static const int whence[] = {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE};
	off_t off = a->choice & 0x100 ? a->off : a->off % 100;
	struct stat st;

	/* places in directories are the file system's own */
	if (fstat(s->fd[a->slot], &st) == 0 && !S_ISREG(st.st_mode))
		return;
	tell(r, lseek(s->fd[a->slot], off, whence[a->choice % 5]));
}

/*
 * Where holes are is the file system's business (and a matter of time): the answer only has to lie
 * in the file, and both sides go on from the same place.
 */
static void fixup_lseek(const struct args *a, struct result r[2])
{
	if (a->choice % 5 < 3)
		return;
	for (int i = 0; i < 2; i++) {
		struct stat st;

		if (fstat(sides[i].fd[a->slot], &st) < 0 || !S_ISREG(st.st_mode))
			return;
		if (r[i].error == 0 && r[i].ret >= 0 && r[i].ret <= st.st_size)
			lseek(sides[i].fd[a->slot], a->off % 100, SEEK_SET);
	}
	if (r[0].error == 0 && r[1].error == 0)
		r[1] = r[0];
}

static void op_ftruncate(struct side *s, const struct args *a, struct result *r)
{
	tell(r, ftruncate(s->fd[a->slot], a->off));
}

static void op_fsync(struct side *s, const struct args *a, struct result *r)
{
	tell(r, a->choice & 1 ? fdatasync(s->fd[a->slot]) : 0);
}

static void op_fallocate(struct side *s, const struct args *a, struct result *r)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_ZERO_RANGE,
				    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0x4000};

	tell(r, fallocate(s->fd[a->slot], modes[a->choice % 6], a->off, (off_t)a->len));
}

static void op_copy_range(struct side *s, const struct args *a, struct result *r)
{
	off_t in = a->off, out = a->off2;

	tell(r, copy_file_range(s->fd[a->slot], &in, s->fd[a->slot2], &out, a->len, 0));
}

static void op_mmap(struct side *s, const struct args *a, struct result *r)
{
	size_t from = (size_t)a->off & ~4095UL, n;
	struct stat st;
	char *p;

	if (fstat(s->fd[a->slot], &st) < 0 || !S_ISREG(st.st_mode) || (off_t)from >= st.st_size)
		return;
	n = (size_t)st.st_size - from;
	n = n > 40000 ? 40000 : n;
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd[a->slot], (off_t)from);
	if (p == MAP_FAILED) {
		tell(r, -1);
		return;
	}
	r->hash = hash_bytes(1, p, n);
	for (size_t i = a->seed % 97; i < n && a->choice & 1; i += 501)
		p[i] = (char)(a->seed + i);
	tell(r, msync(p, n, MS_SYNC));
	munmap(p, n);
}

static void op_fchmod(struct side *s, const struct args *a, struct result *r)
{
	tell(r, fchmod(s->fd[a->slot], a->mode));
}

static void op_fxattr(struct side *s, const struct args *a, struct result *r)
{
	ssize_t n;

	fill(a, 40);
	if (a->choice & 1) {
		tell(r, fsetxattr(s->fd[a->slot], "user.x", buffer, a->len % 40, 0));
		return;
	}
	n = fgetxattr(s->fd[a->slot], "user.x", buffer, 64);
	tell(r, n);
	if (n > 0)
		r->hash = hash_bytes(1, buffer, (size_t)n);
}

/* Each name of a fifo on the mount is a pipe of its own: fifos get no second name here. */
static bool is_fifo(int dir, const char *path, int flags)
{
	struct stat st;

	return fstatat(dir, path, &st, flags) == 0 && S_ISFIFO(st.st_mode);
}

static void op_link_fd(struct side *s, const struct args *a, struct result *r)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd[a->slot]);
	if (is_fifo(AT_FDCWD, path, 0))
		return;
	tell(r, linkat(AT_FDCWD, path, at(s, a), a->p, AT_SYMLINK_FOLLOW));
}

/* ---- names ---- */

static void op_mkdir(struct side *s, const struct args *a, struct result *r)
{
	tell(r, mkdirat(at(s, a), a->p, a->mode | 0700));
}

static void op_rmdir(struct side *s, const struct args *a, struct result *r)
{
	tell(r, unlinkat(at(s, a), a->p, AT_REMOVEDIR));
}

static void op_unlink(struct side *s, const struct args *a, struct result *r)
{
	tell(r, unlinkat(at(s, a), a->p, 0));
}

static void op_rename(struct side *s, const struct args *a, struct result *r)
{
	static const unsigned flags[] = {0, 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, 0x40};
	int b = at(s, a);

	tell(r, renameat2(b, a->p, b, a->q, flags[a->choice % 7]));
}

static void op_link(struct side *s, const struct args *a, struct result *r)
{
	int b = at(s, a), follow = a->choice & 1;

	if (is_fifo(b, a->p, follow ? 0 : AT_SYMLINK_NOFOLLOW))
		return;
	tell(r, linkat(b, a->p, b, a->q, follow ? AT_SYMLINK_FOLLOW : 0));
}

/* targets stay inside: a name, or two, without ".." */
static void op_symlink(struct side *s, const struct args *a, struct result *r)
{
	char target[8];

	snprintf(target, sizeof(target), a->choice & 1 ? "%c" : "%c/%c", 'a' + (int)(a->choice >> 4 & 7),
		 'a' + (int)(a->choice >> 8 & 7));
	tell(r, symlinkat(target, at(s, a), a->p));
}

static void op_readlink(struct side *s, const struct args *a, struct result *r)
{
	ssize_t n = readlinkat(at(s, a), a->p, buffer, sizeof(buffer));

	tell(r, n);
	if (n > 0)
		r->hash = hash_bytes(1, buffer, (size_t)n);
}

static void op_mkfifo(struct side *s, const struct args *a, struct result *r)
{
	tell(r, mknodat(at(s, a), a->p, (a->choice & 1 ? S_IFIFO : S_IFREG) | (a->mode & 0777), 0));
}

/* the sum over all entries does not depend on their order */
static void op_readdir(struct side *s, const struct args *a, struct result *r)
{
	int fd = openat(at(s, a), a->p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	tell(r, fd < 0 ? -1 : 0);
	while (d && (e = readdir(d))) {
		r->hash += hash_bytes(e->d_type, e->d_name, strlen(e->d_name));
		r->ret++;
	}
	if (d)
		closedir(d);
}

/* a directory's descriptor that is read again from the start sees what has changed */
static void op_rereaddir(struct side *s, const struct args *a, struct result *r)
{
	struct stat st;
	struct dirent *e;
	DIR *d;
	int fd;

	if (fstat(s->fd[a->slot], &st) < 0 || !S_ISDIR(st.st_mode))
		return;
	fd = fcntl(s->fd[a->slot], F_DUPFD_CLOEXEC, 3);
	d = fdopendir(fd);
	if (!d)
		return;
	rewinddir(d);
	while ((e = readdir(d))) {
		r->hash += hash_bytes(1, e->d_name, strlen(e->d_name));
		r->ret++;
	}
	closedir(d);
}

static void op_chmod(struct side *s, const struct args *a, struct result *r)
{
	tell(r, fchmodat(at(s, a), a->p, a->mode, 0));
}

static void op_chown(struct side *s, const struct args *a, struct result *r)
{
	static const uid_t ids[] = {(uid_t)-1, 0, 65534, 1000};
	int flags = a->choice & 1 ? AT_SYMLINK_NOFOLLOW : 0;

	tell(r, fchownat(at(s, a), a->p, ids[a->choice >> 2 & 3], ids[a->choice >> 4 & 3], flags));
}

static void op_truncate(struct side *s, const struct args *a, struct result *r)
{
	int fd = openat(at(s, a), a->p, O_WRONLY | O_TRUNC | O_NONBLOCK | O_CLOEXEC);

	tell(r, fd < 0 ? -1 : 0);
	if (fd >= 0)
		close(fd);
}

static void op_utimens(struct side *s, const struct args *a, struct result *r)
{
	struct timespec t[2] = {{a->choice, 5}, {a->seed, a->choice % 1000000000}};
	int flags = a->choice & 1 ? AT_SYMLINK_NOFOLLOW : 0, base = at(s, a);
	struct stat st;

	t[0].tv_nsec = a->choice & 2 ? UTIME_NOW : UTIME_OMIT;
	if (a->choice & 4)
		t[1].tv_nsec = a->choice & 8 ? UTIME_NOW : UTIME_OMIT;
	tell(r, utimensat(base, a->p, t, flags));
	if (r->error || a->choice & 4 || fstatat(base, a->p, &st, flags) < 0)
		return;
	r->hash = hash_bytes(1, &st.st_mtim, sizeof(st.st_mtim));
}

static void op_access(struct side *s, const struct args *a, struct result *r)
{
	tell(r, faccessat(at(s, a), a->p, (int)(a->choice & 7), a->choice & 8 ? AT_EACCESS : 0));
}

static void op_stat(struct side *s, const struct args *a, struct result *r)
{
	struct stat st;

	tell(r, fstatat(at(s, a), a->p, &st, 0));
	if (r->error)
		return;
	r->hash = hash_bytes(1, &st.st_mode, sizeof(st.st_mode));
	r->hash = hash_bytes(r->hash, &st.st_nlink, sizeof(st.st_nlink));
	if (S_ISREG(st.st_mode))
		r->hash = hash_bytes(r->hash, &st.st_size, sizeof(st.st_size));
}

/* the attributes of p by descriptor: there is no *at call for them in this libc */
static void op_xattr(struct side *s, const struct args *a, struct result *r)
{
	static const char *const names[] = {"user.a", "user.b", "user.longer-name"};
	const char *name = names[a->choice >> 4 & 1 ? 0 : a->choice >> 5 & 1 ? 1 : 2];
	int fd = openat(at(s, a), a->p, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	char path[64];
	ssize_t n = 0;

	if (fd < 0) {
		tell(r, -1);
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fill(a, a->len % 300);
	memset(buffer + 512, 0, 512);
	switch (a->choice & 7) {
	case 0:
	case 1:
		n = setxattr(path, name, buffer, a->len % 300, 0);
		break;
	case 2:
		n = setxattr(path, name, buffer, a->len % 300, XATTR_CREATE);
		break;
	case 3:
		n = setxattr(path, name, buffer, a->len % 300, XATTR_REPLACE);
		break;
	case 4:
		n = removexattr(path, name);
		break;
	case 5:
		n = listxattr(path, buffer + 512, 512);
		break;
	default:
		n = getxattr(path, name, buffer + 512, a->choice & 8 ? 20 : 512);
	}
	tell(r, n);
	if (n > 0 && (a->choice & 7) >= 6)
		r->hash = hash_bytes(1, buffer + 512, (size_t)n);
	close(fd);
}

/* open, look at everything, close: what most programs do */
static void op_cat(struct side *s, const struct args *a, struct result *r)
{
	int fd = openat(at(s, a), a->p, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	tell(r, fd < 0 ? -1 : 0);
	if (fd < 0)
		return;
	r->hash = hash_file(fd);
	close(fd);
}

/* a new file beside, and a rename over: what editors do */
static void op_replace(struct side *s, const struct args *a, struct result *r)
{
	char beside[sizeof(a->p) + 8];
	int base = at(s, a), fd;

	snprintf(beside, sizeof(beside), "%s.new", a->p);
	fd = openat(base, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	tell(r, fd < 0 ? -1 : 0);
	if (fd < 0)
		return;
	fill(a, a->len);
	tell(r, write(fd, buffer, a->len));
	close(fd);
	if (renameat(base, beside, base, a->p) < 0) {
		tell(r, -1);
		unlinkat(base, beside, 0);
	}
}

static void op_append(struct side *s, const struct args *a, struct result *r)
{
	int fd = openat(at(s, a), a->p, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644);

	tell(r, fd < 0 ? -1 : 0);
	if (fd < 0)
		return;
	fill(a, a->len % 3000);
	tell(r, write(fd, buffer, a->len % 3000));
	close(fd);
}

const struct op ops_table[] = {
	{.name = "open", .weight = 60, .run = op_open},
	{.name = "opendir", .weight = 8, .run = op_opendir, .dirs = true},
	{.name = "tmpfile", .weight = 4, .run = op_tmpfile, .fixup = fixup_tmpfile, .dirs = true},
	{.name = "close", .weight = 15, .run = op_close, .no_stamps = true},
	{.name = "dup", .weight = 5, .run = op_dup, .no_stamps = true},
	{.name = "read", .weight = 25, .run = op_read},
	{.name = "pread", .weight = 30, .run = op_pread},
	{.name = "write", .weight = 25, .run = op_write},
	{.name = "pwrite", .weight = 30, .run = op_pwrite},
	{.name = "writev", .weight = 8, .run = op_writev},
	{.name = "lseek", .weight = 15, .run = op_lseek, .fixup = fixup_lseek, .no_stamps = true},
	{.name = "ftruncate", .weight = 12, .run = op_ftruncate},
	{.name = "fsync", .weight = 3, .run = op_fsync, .no_stamps = true},
	{.name = "fallocate", .weight = 12, .run = op_fallocate},
	{.name = "copy_file_range", .weight = 10, .run = op_copy_range},
	{.name = "mmap", .weight = 15, .run = op_mmap, .no_stamps = true},
	{.name = "fchmod", .weight = 5, .run = op_fchmod},
	{.name = "fxattr", .weight = 4, .run = op_fxattr},
	{.name = "link_fd", .weight = 10, .run = op_link_fd},
	{.name = "mkdir", .weight = 20, .run = op_mkdir, .dirs = true, .by_path = true},
	{.name = "rmdir", .weight = 8, .run = op_rmdir, .dirs = true, .by_path = true},
	{.name = "unlink", .weight = 20, .run = op_unlink, .by_path = true},
	{.name = "rename", .weight = 30, .run = op_rename, .by_path = true},
	{.name = "rename directory", .weight = 10, .run = op_rename, .dirs = true, .by_path = true},
	{.name = "link", .weight = 20, .run = op_link, .by_path = true},
	{.name = "symlink", .weight = 10, .run = op_symlink, .by_path = true},
	{.name = "readlink", .weight = 5, .run = op_readlink, .by_path = true},
	{.name = "mkfifo", .weight = 4, .run = op_mkfifo, .by_path = true},
	{.name = "readdir", .weight = 12, .run = op_readdir, .dirs = true},
	{.name = "readdir again", .weight = 5, .run = op_rereaddir},
	{.name = "chmod", .weight = 10, .run = op_chmod, .by_path = true},
	{.name = "chown", .weight = 5, .run = op_chown},
	{.name = "truncate", .weight = 8, .run = op_truncate, .by_path = true},
	{.name = "utimens", .weight = 10, .run = op_utimens, .by_path = true, .no_stamps = true},
	{.name = "access", .weight = 8, .run = op_access},
	{.name = "stat", .weight = 15, .run = op_stat},
	{.name = "xattr", .weight = 12, .run = op_xattr},
	{.name = "cat", .weight = 25, .run = op_cat},
	{.name = "replace", .weight = 15, .run = op_replace, .by_path = true},
	{.name = "append", .weight = 15, .run = op_append, .by_path = true},
	{.name = NULL},
};
