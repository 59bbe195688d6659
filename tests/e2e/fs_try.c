/*
 * fs_try - operations on a governed mount and what each must answer
 *
 *   fs_try BACKING    in the workspace of fsgate.yaml, laid out by fsgate.sh; BACKING is the host's
 *                     side of it
 *
 * A table of operations with the errno each must give, then what takes more than one call. Prints
 * TAP; exit status 1 when anything was wrong.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static const char *backing;
static int n_tests, n_failed;

static void report(bool fine, const char *what)
{
	printf("%sok %d - %s\n", fine ? "" : "not ", ++n_tests, what);
	if (!fine)
		n_failed++;
}

#define CHECK(x) report((x), #x)

static const char *host(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, PATH_MAX, "%s/%s", backing, name);
	return p;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("# cannot write %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static bool holds(const char *path, const char *text)
{
	char buf[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	buf[n] = '\0';
	return strcmp(buf, text) == 0;
}

/* ---- the table ---- */

typedef int op_fn(const char *a, const char *b, long x);

static int op_open(const char *a, const char *b, long x)
{
	int fd = open(a, (int)x, 0644);

	(void)b;
	return fd < 0 ? fd : close(fd);
}

static int op_mkdir(const char *a, const char *b, long x)
{
	(void)b;
	return mkdir(a, (mode_t)x);
}

static int op_unlink(const char *a, const char *b, long x)
{
	(void)b;
	(void)x;
	return unlink(a);
}

static int op_rmdir(const char *a, const char *b, long x)
{
	(void)b;
	(void)x;
	return rmdir(a);
}

static int op_rename(const char *a, const char *b, long x)
{
	return renameat2(AT_FDCWD, a, AT_FDCWD, b, (unsigned)x);
}

static int op_link(const char *a, const char *b, long x)
{
	(void)x;
	return link(a, b);
}

static int op_symlink(const char *a, const char *b, long x)
{
	(void)x;
	return symlink(a, b);
}

static int op_readlink(const char *a, const char *b, long x)
{
	char buf[PATH_MAX];

	(void)b;
	(void)x;
	return readlink(a, buf, sizeof(buf)) < 0 ? -1 : 0;
}

static int op_chmod(const char *a, const char *b, long x)
{
	(void)b;
	return chmod(a, (mode_t)x);
}

static int op_chown(const char *a, const char *b, long x)
{
	(void)b;
	(void)x;
	return chown(a, getuid(), getgid());
}

static int op_utime(const char *a, const char *b, long x)
{
	const struct timespec t[2] = {{x, 0}, {x, 0}};

	(void)b;
	return utimensat(AT_FDCWD, a, t, AT_SYMLINK_NOFOLLOW);
}

static int op_setxattr(const char *a, const char *b, long x)
{
	(void)x;
	return setxattr(a, b, "v", 1, 0);
}

static int op_mknod(const char *a, const char *b, long x)
{
	(void)b;
	return mknod(a, (mode_t)x, S_ISCHR(x) ? makedev(1, 3) : 0);
}

static int op_stat(const char *a, const char *b, long x)
{
	struct stat st;

	(void)b;
	(void)x;
	return lstat(a, &st);
}

static int op_list(const char *a, const char *b, long x)
{
	DIR *d = opendir(a);

	(void)b;
	(void)x;
	return d ? closedir(d) : -1;
}

static int op_truncate(const char *a, const char *b, long x)
{
	(void)b;
	return truncate(a, x);
}

static int op_flock(const char *a, const char *b, long x)
{
	int fd = open(a, O_RDWR), r;

	(void)b;
	if (fd < 0)
		return -1;
	r = flock(fd, (int)x);
	close(fd);
	return r;
}

static int op_exec(const char *a, const char *b, long x)
{
	int status;
	pid_t pid = fork();

	(void)b;
	(void)x;
	if (pid == 0) {
		execl(a, a, (char *)NULL);
		_exit(errno);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

static int op_bind(const char *a, const char *b, long x)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), r;

	(void)b;
	(void)x;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", a);
	r = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	close(fd);
	return r;
}

static const struct {
	const char *what;
	op_fn *fn;
	const char *a, *b;
	long x;
	int want;
} table[] = {
	{"read", op_open, "file", NULL, O_RDONLY, 0},
	{"read a missing file", op_open, "none", NULL, O_RDONLY, ENOENT},
	{"write", op_open, "file", NULL, O_WRONLY, 0},
	{"create exclusively", op_open, "new", NULL, O_WRONLY | O_CREAT | O_EXCL, 0},
	{"create exclusively again", op_open, "new", NULL, O_WRONLY | O_CREAT | O_EXCL, EEXIST},
	{"create what exists", op_open, "new", NULL, O_RDWR | O_CREAT, 0},
	{"open with O_TRUNC", op_open, "new", NULL, O_WRONLY | O_TRUNC, 0},
	{"open a directory for writing", op_open, "dir", NULL, O_WRONLY, EISDIR},
	{"O_DIRECTORY on a file", op_open, "file", NULL, O_RDONLY | O_DIRECTORY, ENOTDIR},
	{"O_NOFOLLOW on a link", op_open, "link", NULL, O_RDONLY | O_NOFOLLOW, ELOOP},
	{"O_DIRECT", op_open, "file", NULL, O_RDONLY | O_DIRECT, 0},
	{"open through a link", op_open, "link", NULL, O_RDONLY, 0},
	{"open a dangling link", op_open, "dangling", NULL, O_RDONLY, ENOENT},
	{"a path with // and ..", op_open, "dir//../dir/./../file", NULL, O_RDONLY, 0},
	{"mkdir", op_mkdir, "d1", NULL, 0755, 0},
	{"mkdir again", op_mkdir, "d1", NULL, 0755, EEXIST},
	{"mkdir below a file", op_mkdir, "file/x", NULL, 0755, ENOTDIR},
	{"rmdir of a full directory", op_rmdir, "dir", NULL, 0, ENOTEMPTY},
	{"rename a directory", op_rename, "d1", "d2", 0, 0},
	{"the old name is gone", op_stat, "d1", NULL, 0, ENOENT},
	{"rename into itself", op_rename, "d2", "d2/x", 0, EINVAL},
	{"rmdir", op_rmdir, "d2", NULL, 0, 0},
	{"unlink a directory", op_unlink, "dir", NULL, 0, EISDIR},
	{"rename with NOREPLACE on something", op_rename, "new", "file", RENAME_NOREPLACE, EEXIST},
	{"rename with NOREPLACE", op_rename, "new", "new2", RENAME_NOREPLACE, 0},
	{"rename with EXCHANGE", op_rename, "new2", "dir", RENAME_EXCHANGE, 0},
	{"and back", op_rename, "new2", "dir", RENAME_EXCHANGE, 0},
	{"rename with EXCHANGE of nothing", op_rename, "new2", "none", RENAME_EXCHANGE, ENOENT},
	{"unlink", op_unlink, "new2", NULL, 0, 0},
	{"unlink again", op_unlink, "new2", NULL, 0, ENOENT},
	{"symlink", op_symlink, "/etc/passwd", "l1", 0, 0},
	{"readlink", op_readlink, "l1", NULL, 0, 0},
	{"times of a link", op_utime, "l1", NULL, 1000, 0},
	{"unlink a link", op_unlink, "l1", NULL, 0, 0},
	{"a fifo", op_mknod, "fifo", NULL, S_IFIFO | 0600, 0},
	{"a socket", op_bind, "sock", NULL, 0, 0},
	{"a regular file by mknod", op_mknod, "reg", NULL, S_IFREG | 0600, 0},
	{"a device", op_mknod, "dev", NULL, S_IFCHR | 0600, EPERM},
	{"chmod", op_chmod, "file", NULL, 0600, 0},
	{"chmod to set-user-ID", op_chmod, "file", NULL, 04755, EPERM},
	{"chmod to set-group-ID", op_chmod, "file", NULL, 02755, EPERM},
	{"create with set-user-ID", op_mknod, "suid", NULL, S_IFREG | 04755, EPERM},
	{"a sticky, set-group-ID directory", op_chmod, "dir", NULL, 03755, 0},
	{"chown to oneself", op_chown, "file", NULL, 0, 0},
	{"utime", op_utime, "file", NULL, 12345, 0},
	{"truncate", op_truncate, "file", NULL, 3, 0},
	{"truncate a directory", op_truncate, "dir", NULL, 3, EISDIR},
	{"set a user attribute", op_setxattr, "file", "user.a", 0, 0},
	{"set a security attribute", op_setxattr, "file", "security.a", 0, EPERM},
	{"set a trusted attribute", op_setxattr, "file", "trusted.a", 0, EPERM},
	{"flock", op_flock, "file", NULL, LOCK_EX, 0},
	{"exec", op_exec, "true", NULL, 0, 0},
	{"exec of a script", op_exec, "script", NULL, 0, 0},
	{"exec without x", op_exec, "file", NULL, 0, EACCES},
	{"a name of 255 bytes", op_open,
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	 NULL, O_CREAT | O_WRONLY, 0},
	{"a name of 256 bytes", op_open,
	 "baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	 NULL, O_CREAT | O_WRONLY, ENAMETOOLONG},
	{"a name that is not UTF-8", op_open, "\xff\xfe\x01\n", NULL, O_CREAT | O_WRONLY, 0},

	/* what the policy denies, operation by operation */
	{"denied: read", op_open, "no/read", NULL, O_RDONLY, EACCES},
	{"denied: read by read-write", op_open, "no/read", NULL, O_RDWR, EACCES},
	{"not denied: write beside read", op_open, "no/read", NULL, O_WRONLY, 0},
	{"denied: write", op_open, "no/write", NULL, O_WRONLY, EACCES},
	{"denied: append", op_open, "no/write", NULL, O_WRONLY | O_APPEND, EACCES},
	{"denied: O_TRUNC with O_RDONLY", op_open, "no/write", NULL, O_RDONLY | O_TRUNC, EACCES},
	{"denied: truncate", op_truncate, "no/write", NULL, 0, EACCES},
	{"not denied: read beside write", op_open, "no/write", NULL, O_RDONLY, 0},
	{"denied: create", op_open, "no/create1", NULL, O_WRONLY | O_CREAT, EACCES},
	{"denied: create exclusively", op_open, "no/create1", NULL, O_RDWR | O_CREAT | O_EXCL,
	 EACCES},
	{"denied: create by mknod", op_mknod, "no/create1", NULL, S_IFREG | 0600, EACCES},
	{"not denied: open beside create", op_open, "no/create", NULL, O_RDWR | O_CREAT, 0},
	{"denied: create by rename", op_rename, "r1", "no/create1", 0, EACCES},
	{"denied: create by link", op_link, "r1", "no/create1", 0, EACCES},
	{"denied: mkdir", op_mkdir, "no/mkdir", NULL, 0755, EACCES},
	{"denied: delete", op_unlink, "no/delete", NULL, 0, EACCES},
	{"denied: delete by rename", op_rename, "r1", "no/delete", 0, EACCES},
	{"denied: rmdir", op_rmdir, "no/rmdir", NULL, 0, EACCES},
	{"denied: rmdir by rename", op_rename, "emptydir", "no/rmdir", 0, EACCES},
	{"denied: rename from", op_rename, "no/rename", "r2", 0, EACCES},
	{"denied: rename to", op_rename, "r1", "no/rename1", 0, EACCES},
	{"denied: exchange", op_rename, "r1", "no/rename", RENAME_EXCHANGE, EACCES},
	{"denied: link from", op_link, "no/link", "r2", 0, EACCES},
	{"denied: link to", op_link, "r1", "no/link1", 0, EACCES},
	{"denied: symlink", op_symlink, "r1", "no/symlink", 0, EACCES},
	{"denied: readlink", op_readlink, "no/readlink", NULL, 0, EACCES},
	{"denied: walking that link", op_open, "no/readlink", NULL, O_RDONLY, EACCES},
	{"denied: chmod", op_chmod, "no/chmod", NULL, 0600, EACCES},
	{"denied: chown", op_chown, "no/chown", NULL, 0, EACCES},
	{"denied: utime", op_utime, "no/utime", NULL, 1, EACCES},
	{"denied: xattr", op_setxattr, "no/xattr", "user.a", 0, EACCES},
	{"denied: a fifo", op_mknod, "no/mknod", NULL, S_IFIFO | 0600, EACCES},
	{"denied: a socket", op_bind, "no/mknod", NULL, 0, EACCES},
	{"denied: stat", op_stat, "no/stat", NULL, 0, EACCES},
	{"denied: list", op_list, "no/list", NULL, 0, EACCES},
	{"denied: lock", op_flock, "no/lock", NULL, LOCK_EX, EACCES},
	{"denied: exec", op_exec, "no/exec", NULL, 0, EACCES},

	/* a denied file must not get an allowed name, nor a planted one a protected name */
	{"denied: rename of what cannot be read", op_rename, "no/read", "r2", 0, EACCES},
	{"denied: link of what cannot be read", op_link, "no/read", "r2", 0, EACCES},
	{"denied: rename of what cannot be written", op_rename, "no/write", "r2", 0, EACCES},
	{"denied: rename of what cannot be run", op_rename, "no/exec", "r2", 0, EACCES},
	{"denied: a directory with a secret in it", op_rename, "withsecret", "moved", 0, EACCES},
	{"denied: exchange of such a directory", op_rename, "dir", "withsecret", RENAME_EXCHANGE,
	 EACCES},
	{"denied: a directory that becomes hooks", op_rename, "traps", "dir/hooks", 0, EACCES},
	{"denied: a directory with a kept file", op_rename, "kept", "moved", 0, EACCES},
	{"allowed: a directory of harmless files", op_rename, "harmless", "harmless2", 0, 0},

	/* other verdicts */
	{"hidden: stat", op_stat, "hide", NULL, 0, ENOENT},
	{"hidden: open below", op_open, "hide/x", NULL, O_RDONLY, ENOENT},
	{"audited", op_open, "watched", NULL, O_RDONLY, 0},
	{"unrecorded", op_open, "quiet", NULL, O_RDONLY, 0},
	{"soft delete", op_unlink, "soft/x", NULL, 0, 0},
	{"soft delete: it is gone", op_stat, "soft/x", NULL, 0, ENOENT},
	{"redirect", op_open, "redirected/x", NULL, O_WRONLY | O_CREAT, 0},
	{"redirect: it is there", op_stat, "redirected/x", NULL, 0, 0},

	/* under a default of deny */
	{"default: not stat", op_stat, "zone/x", NULL, 0, EACCES},
	{"default: a missing name", op_stat, "zone/none", NULL, 0, ENOENT},
	{"default: on the way to what is readable", op_stat, "zone/a", NULL, 0, 0},
	{"default: what is readable", op_open, "zone/a/b/file", NULL, O_RDONLY, 0},
	{"default: not beside it", op_open, "zone/a/b/other", NULL, O_RDONLY, EACCES},
	{"default: no listing", op_list, "zone/a", NULL, 0, EACCES},
	{"default: no create", op_open, "zone/new", NULL, O_WRONLY | O_CREAT, EACCES},
};

static void run_table(void)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int got;

		errno = 0;
		got = table[i].fn(table[i].a, table[i].b, table[i].x) < 0 ? errno : 0;
		report(got == table[i].want, table[i].what);
		if (got != table[i].want)
			printf("# got %s, want %s\n", strerror(got), strerror(table[i].want));
	}
}

/* ---- listings ---- */

static bool listed(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	bool yes = false;

	while (d && (de = readdir(d)))
		yes = yes || strcmp(de->d_name, name) == 0;
	if (d)
		closedir(d);
	return yes;
}

static unsigned count(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static void test_listing(void)
{
	CHECK(listed(".", "file"));
	CHECK(listed(".", "."));
	CHECK(listed(".", ".."));
	CHECK(!listed(".", "hide"));
	CHECK(listed("no", "stat"));
	CHECK(listed(".", "zone"));
	CHECK(count("many") == 3002);
}

/* ---- open files without a name ---- */

static void test_unlinked(void)
{
	int fd = open("unlinked", O_RDWR | O_CREAT, 0600), path;
	struct stat st;
	char c = 0;

	CHECK(unlink("unlinked") == 0);
	CHECK(write(fd, "x", 1) == 1 && pread(fd, &c, 1, 0) == 1 && c == 'x');
	CHECK(fstat(fd, &st) == 0 && st.st_size == 1 && st.st_nlink == 0);
	CHECK(ftruncate(fd, 100) == 0 && fstat(fd, &st) == 0 && st.st_size == 100);
	CHECK(fchmod(fd, 0640) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0640);
	close(fd);
	put("held", "old");
	put("over", "new");
	fd = open("held", O_RDONLY);
	path = open("held", O_PATH);
	CHECK(rename("over", "held") == 0);
	CHECK(read(fd, &c, 1) == 1 && c == 'o');
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0);
	CHECK(fstat(path, &st) == 0 && st.st_nlink == 0);
	CHECK(holds("held", "new"));
	close(path);
	close(fd);
	mkdir("gone", 0755);
	fd = open("gone", O_RDONLY | O_DIRECTORY);
	CHECK(rmdir("gone") == 0 && fstat(fd, &st) == 0);
	CHECK(mkdirat(fd, "x", 0755) < 0 && errno == ENOENT);
	close(fd);
}

/* ---- data ---- */

static void test_data(void)
{
	int fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0644), other;
	off_t in = 0, out = 0;
	struct stat st;
	char *map;

	CHECK(write(fd, "abc", 3) == 3);
	other = open("data", O_WRONLY | O_APPEND);
	CHECK(write(other, "def", 3) == 3 && write(other, "ghi", 3) == 3);
	CHECK(holds("data", "abcdefghi") && holds(host("data"), "abcdefghi"));
	close(other);
	CHECK(ftruncate(fd, 1 << 20) == 0 && fstat(fd, &st) == 0 && st.st_size == 1 << 20);
	CHECK(pwrite(fd, "z", 1, 900000) == 1);
	CHECK(lseek(fd, 4096, SEEK_DATA) > 0 && lseek(fd, 0, SEEK_HOLE) >= 4096);
	CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8192) == 0 || errno == EOPNOTSUPP);
	CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED && memcmp(map, "abc", 3) == 0);
	memcpy(map, "MAP", 3);
	CHECK(msync(map, 4096, MS_SYNC) == 0);
	munmap(map, 4096);
	CHECK(ftruncate(fd, 9) == 0);
	CHECK(holds(host("data"), "MAPdefghi"));
	other = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);
	CHECK(copy_file_range(fd, &in, other, &out, 9, 0) == 9 && holds("copy", "MAPdefghi"));
	close(other);
	close(fd);
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	CHECK(fd >= 0 || errno == EOPNOTSUPP);
	if (fd >= 0)
		close(fd);
}

/* ---- the host edits the same tree ---- */

static void test_host(void)
{
	struct stat st, before;
	int fd;

	put("both", "one");
	CHECK(holds("both", "one"));
	put(host("both"), "second version");
	CHECK(holds("both", "second version"));
	put(host("both.new"), "third");
	CHECK(rename(host("both.new"), host("both")) == 0);
	fd = open("both", O_RDONLY);
	usleep(1100000);
	CHECK(holds("both", "third"));
	CHECK(fstat(fd, &st) == 0);
	close(fd);
	CHECK(lstat("both", &before) == 0 && lstat(host("both"), &st) == 0);
	CHECK(before.st_ino == st.st_ino);
	CHECK(unlink(host("both")) == 0);
	usleep(1100000);
	CHECK(stat("both", &st) < 0 && errno == ENOENT);
	CHECK(mkdir(host("both"), 0755) == 0);
	usleep(1100000);
	CHECK(stat("both", &st) == 0 && S_ISDIR(st.st_mode));
	put("both/below", "x");
	CHECK(holds(host("both/below"), "x"));
}

/* ---- names ---- */

static void test_links(void)
{
	struct stat a, b;

	put("one", "text");
	CHECK(link("one", "two") == 0);
	CHECK(stat("one", &a) == 0 && stat("two", &b) == 0);
	CHECK(a.st_ino == b.st_ino && a.st_nlink == 2 && b.st_nlink == 2);
	put("two", "longer text");
	CHECK(holds("one", "longer text") && stat("one", &a) == 0 && a.st_size == 11);
	CHECK(unlink("one") == 0 && stat("two", &b) == 0 && b.st_nlink == 1);
	/* its other name is outside of the workspace: writing would change that file */
	CHECK(open("shared", O_WRONLY) < 0 && errno == EACCES);
	CHECK(truncate("shared", 0) < 0 && errno == EACCES);
	CHECK(holds("shared", "outside\n"));
	CHECK(open("pair1", O_WRONLY) >= 0);
}

static void test_tree(void)
{
	char deep[PATH_MAX] = "deep";
	struct stat st;
	int i;

	mkdir("t1", 0755);
	mkdir("t1/a", 0755);
	put("t1/a/f", "below");
	CHECK(rename("t1", "t2") == 0 && holds("t2/a/f", "below"));
	CHECK(open("t1/a/f", O_RDONLY) < 0 && errno == ENOENT);
	mkdir("t1", 0755);
	mkdir("t1/a", 0755);
	put("t1/a/f", "second");
	CHECK(holds("t1/a/f", "second") && holds("t2/a/f", "below"));
	CHECK(renameat2(AT_FDCWD, "t1", AT_FDCWD, "t2/a", RENAME_EXCHANGE) == 0);
	CHECK(holds("t1/f", "below") && holds("t2/a/a/f", "second"));
	mkdir(deep, 0755);
	if (chdir(deep) == 0) {
		for (i = 0; i < 40; i++)
			if (mkdir("0123456789012345678901234567890123456789012345678901234567890123456789"
				  "0123456789012345678901234567890123456789012345678901234567890123456789",
				  0755) < 0 ||
			    chdir("0123456789012345678901234567890123456789012345678901234567890123456789"
				  "01234567890123456789012345678901234567890123456789012345678901234567"
				  "89") < 0)
				break;
		CHECK(i < 40 && errno == ENAMETOOLONG);
		while (i-- > 0)
			if (chdir("..") < 0)
				break;
		if (chdir("..") < 0)
			exit(1);
	}
	CHECK(stat("file", &st) == 0);
}

/* ---- ownership ---- */

static void test_mode(void)
{
	struct stat st;
	int fd;

	umask(027);
	fd = open("masked", O_WRONLY | O_CREAT, 0666);
	CHECK(fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0640);
	CHECK(st.st_uid == getuid() && st.st_gid == getgid());
	close(fd);
	CHECK(mkdir("maskeddir", 0777) == 0 && stat(host("maskeddir"), &st) == 0 &&
	      (st.st_mode & 0777) == 0750);
	umask(022);
	CHECK(setxattr("masked", "user.k", "value", 5, 0) == 0);
	CHECK(getxattr("masked", "user.k", NULL, 0) == 5);
	CHECK(getxattr("masked", "user.none", NULL, 0) < 0 && errno == ENODATA);
	CHECK(listxattr("masked", NULL, 0) >= 7);
	CHECK(removexattr("masked", "user.k") == 0);
	CHECK(statvfs(".", &(struct statvfs){0}) == 0);
}

/* ---- locks ---- */

static int lock_posix(int fd, short type, int cmd)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_len = 10};

	return fcntl(fd, cmd, &fl);
}

static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn());
	return pid < 0 || waitpid(pid, &status, 0) < 0 ? -1 : WEXITSTATUS(status);
}

static int child_locks(void)
{
	int fd = open("locked", O_RDWR);

	return lock_posix(fd, F_WRLCK, F_SETLK) < 0 ? errno : 0;
}

static int child_flocks_host(void)
{
	int fd = open(host("locked"), O_RDWR);

	return flock(fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
}

static int child_asks(void)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 5};
	int fd = open("locked", O_RDWR);

	return fcntl(fd, F_GETLK, &fl) == 0 && fl.l_type == F_WRLCK && fl.l_pid == getppid() ? 0 : 1;
}

static void on_alarm(int signo)
{
	(void)signo;
}

static int child_waits(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	int fd = open("locked", O_RDWR);

	sigaction(SIGALRM, &sa, NULL);
	alarm(1);
	return flock(fd, LOCK_EX) < 0 ? errno : 0;
}

static void test_locks(void)
{
	int fd, other, status;
	pid_t pid;

	put("locked", "0123456789");
	fd = open("locked", O_RDWR);
	CHECK(lock_posix(fd, F_WRLCK, F_SETLK) == 0);
	CHECK(in_child(child_locks) == EAGAIN);
	CHECK(in_child(child_asks) == 0);
	CHECK(lock_posix(fd, F_UNLCK, F_SETLK) == 0);
	CHECK(in_child(child_locks) == 0);
	/* any close of the file by the process ends its locks */
	CHECK(lock_posix(fd, F_WRLCK, F_SETLK) == 0);
	close(open("locked", O_RDWR));
	CHECK(in_child(child_locks) == 0);
	CHECK(flock(fd, LOCK_EX) == 0);
	CHECK(in_child(child_flocks_host) == EWOULDBLOCK);
	CHECK(in_child(child_waits) == EINTR);
	/* a waiting lock is granted when the other goes */
	pid = fork();
	if (pid == 0) {
		close(fd); /* the parent's open file, with its lock */
		other = open("locked", O_RDWR);
		_exit(flock(other, LOCK_EX) < 0);
	}
	usleep(100000);
	CHECK(waitpid(pid, &status, WNOHANG) == 0);
	close(fd);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	/* OFD locks end with the open file */
	fd = open("locked", O_RDWR);
	other = open("locked", O_RDWR);
	CHECK(lock_posix(fd, F_WRLCK, F_OFD_SETLK) == 0);
	CHECK(lock_posix(other, F_WRLCK, F_OFD_SETLK) < 0 && errno == EAGAIN);
	close(fd);
	usleep(20000);
	CHECK(lock_posix(other, F_WRLCK, F_OFD_SETLK) == 0);
	close(other);
}

/* ---- held requests ---- */

static void test_ask(const char *approve)
{
	bool allow = strcmp(approve, "allow") == 0;
	struct timespec a, b;
	long ms;

	clock_gettime(CLOCK_MONOTONIC, &a);
	if (allow) {
		CHECK(op_open("ask/new", NULL, O_WRONLY | O_CREAT) == 0);
		CHECK(unlink("ask/new") == 0);
		CHECK(op_open("ask/file", NULL, O_WRONLY) == 0);
		return;
	}
	CHECK(op_open("ask/file", NULL, O_WRONLY) < 0 && errno == EACCES);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	CHECK(strcmp(approve, "none") != 0 || (ms > 1900 && ms < 4000));
	CHECK(op_open("ask/file", NULL, O_RDONLY) == 0);
}

static int child_held(void)
{
	return op_open("ask/file", NULL, O_WRONLY) < 0 ? errno : 0;
}

/* A held process can be killed, and others go on meanwhile. */
static void test_ask_kill(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(child_held());
	usleep(200000);
	CHECK(op_open("ask/file", NULL, O_RDONLY) == 0 && op_stat("file", NULL, 0) == 0);
	kill(pid, SIGKILL);
	usleep(300000);
	CHECK(waitpid(pid, &status, WNOHANG) == pid && WIFSIGNALED(status));
}

int main(int argc, char **argv)
{
	const char *approve = argc > 2 ? argv[2] : "none";

	if (argc < 2)
		return 2;
	backing = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	run_table();
	test_listing();
	test_unlinked();
	test_data();
	test_host();
	test_links();
	test_tree();
	test_mode();
	test_locks();
	test_ask(approve);
	if (strcmp(approve, "none") == 0)
		test_ask_kill();
	printf("1..%d\n", n_tests);
	return n_failed != 0;
}
