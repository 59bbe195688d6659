/*
 * fs_posix - what POSIX calls say about every kind of object, as text
 *
 *   fs_posix DIR
 *
 * Run in a native directory and on the mount: the two outputs have to be equal, so no expectations
 * are written down here. For each caller (root: itself, an owner and a stranger; a user: itself), each
 * call and each kind of object: result, errno, what is there afterwards, and which of the object's and
 * the directory's time stamps were renewed. Then single cases that were wrong once.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OLD 1000000000

static char long_name[300];
static bool stamps; /* which ctimes were renewed is told: takes a tick of the clock each */

/* ---- kinds of object, always called "o" in directory "p" ---- */

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("# %s: %s\n", path, strerrorname_np(errno));
	close(fd);
}

static void socket_at(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		printf("# bind: %s\n", strerrorname_np(errno));
	close(fd);
}

static const char *const kinds[] = {"nothing", "file",	 "directory", "full directory", "link",	 "link to directory",
				    "dangling", "loop", "fifo",	     "socket",	       "closed", "two names"};

static void make(size_t kind)
{
	switch (kind) {
	case 1:
		put("p/o", "content");
		break;
	case 2:
		mkdir("p/o", 0755);
		break;
	case 3:
		mkdir("p/o", 0755);
		put("p/o/x", "x");
		break;
	case 4:
		put("p/target", "target");
		(void)!symlink("target", "p/o");
		break;
	case 5:
		mkdir("p/target", 0755);
		(void)!symlink("target", "p/o");
		break;
	case 6:
		(void)!symlink("nowhere", "p/o");
		break;
	case 7:
		(void)!symlink("o", "p/o");
		break;
	case 8:
		mkfifo("p/o", 0644);
		break;
	case 9:
		socket_at("p/o");
		break;
	case 10:
		put("p/o", "closed");
		(void)!chmod("p/o", 0);
		break;
	case 11:
		put("p/o", "two");
		(void)!link("p/o", "p/second");
		break;
	default:
		break;
	}
}

static void wipe(const char *path)
{
	struct dirent *e;
	DIR *d;

	if (unlink(path) == 0 || errno == ENOENT)
		return;
	(void)!chmod(path, 0700);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		char sub[600];

		snprintf(sub, sizeof(sub), "%.255s/%.255s", path, e->d_name);
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			wipe(sub);
	}
	if (d)
		closedir(d);
	if (rmdir(path) < 0)
		printf("# %s: %s\n", path, strerrorname_np(errno));
}

static void clean(void)
{
	wipe("p");
	wipe("p2");
}

/* ---- calls ---- */

static int closed(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

#define CALL(name, expression)                                                                     \
	static int name(void)                                                                      \
	{                                                                                          \
		return expression;                                                                 \
	}
static const struct timespec two_times[2] = {{7, 8}, {9, 10}}, omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
CALL(c_stat, access("p/o", F_OK))
CALL(c_read, closed(open("p/o", O_RDONLY | O_NONBLOCK | O_CLOEXEC)))
CALL(c_write, closed(open("p/o", O_WRONLY | O_NONBLOCK | O_CLOEXEC)))
CALL(c_trunc, closed(open("p/o", O_WRONLY | O_TRUNC | O_NONBLOCK | O_CLOEXEC)))
CALL(c_read_trunc, closed(open("p/o", O_RDONLY | O_TRUNC | O_NONBLOCK | O_CLOEXEC)))
CALL(c_creat, closed(open("p/o", O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0640)))
CALL(c_excl, closed(open("p/o", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640)))
CALL(c_nofollow, closed(open("p/o", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)))
CALL(c_opendir, closed(open("p/o", O_RDONLY | O_DIRECTORY | O_CLOEXEC)))
CALL(c_creat_dir, closed(open("p/o", O_RDONLY | O_CREAT | O_DIRECTORY | O_CLOEXEC, 0755)))
CALL(c_slash, closed(open("p/o/", O_RDONLY | O_NONBLOCK | O_CLOEXEC)))
CALL(c_creat_slash, closed(open("p/new/", O_RDWR | O_CREAT | O_CLOEXEC, 0644)))
CALL(c_below, closed(open("p/o/below", O_RDWR | O_CREAT | O_CLOEXEC, 0644)))
CALL(c_direct, closed(open("p/o", O_RDONLY | O_DIRECT | O_NONBLOCK | O_CLOEXEC)))
CALL(c_unlink, unlink("p/o"))
CALL(c_unlink_slash, unlink("p/o/"))
CALL(c_rmdir, rmdir("p/o"))
CALL(c_rmdir_dot, rmdir("p/o/."))
CALL(c_rmdir_dots, rmdir("p/o/.."))
CALL(c_mkdir, mkdir("p/o", 0751))
CALL(c_mkdir_slash, mkdir("p/o/", 0751))
CALL(c_mkfifo, mkfifo("p/o", 0640))
CALL(c_symlink, symlink("text", "p/o"))
CALL(c_symlink_empty, symlink("", "p/o"))
CALL(c_link_from, link("p/o", "p/new"))
CALL(c_link_to, link("p/other", "p/o"))
CALL(c_link_follow, linkat(AT_FDCWD, "p/o", AT_FDCWD, "p/new", AT_SYMLINK_FOLLOW))
CALL(c_rename_from, rename("p/o", "p/new"))
CALL(c_rename_to, rename("p/other", "p/o"))
CALL(c_rename_dir_to, rename("p/otherdir", "p/o"))
CALL(c_rename_away, rename("p/o", "p2/new"))
CALL(c_rename_below, rename("p/o", "p/o/x/y"))
CALL(c_rename_self, rename("p/o", "p/o"))
CALL(c_rename_slash, rename("p/o/", "p/new/"))
CALL(c_rename_dot, rename("p/o/.", "p/new"))
CALL(c_noreplace, renameat2(AT_FDCWD, "p/other", AT_FDCWD, "p/o", RENAME_NOREPLACE))
CALL(c_exchange, renameat2(AT_FDCWD, "p/other", AT_FDCWD, "p/o", RENAME_EXCHANGE))
CALL(c_exchange_away, renameat2(AT_FDCWD, "p/o", AT_FDCWD, "p2/other", RENAME_EXCHANGE))
CALL(c_rename_second, rename("p/o", "p/second"))
CALL(c_chmod, chmod("p/o", 0604))
CALL(c_chmod_sticky, chmod("p/o", 01777))
CALL(c_chown_same, lchown("p/o", (uid_t)-1, (gid_t)-1))
CALL(c_chown, chown("p/o", 65534, 65534))
/* a user's namespace has no other ids */
CALL(c_lchown, lchown("p/o", getuid() ? getuid() : 65533, getuid() ? getgid() : 65533))
CALL(c_truncate, truncate("p/o", 3))
CALL(c_truncate_more, truncate("p/o", 12345))
CALL(c_truncate_minus, truncate("p/o", -1))
CALL(c_utime_now, utimensat(AT_FDCWD, "p/o", NULL, 0))
CALL(c_utime, utimensat(AT_FDCWD, "p/o", two_times, AT_SYMLINK_NOFOLLOW))
CALL(c_utime_omit, utimensat(AT_FDCWD, "p/o", omit, 0))
CALL(c_access_rwx, access("p/o", R_OK | W_OK | X_OK))
CALL(c_chdir, chdir("p/o") == 0 ? chdir("../..") : -1)
CALL(c_setxattr, setxattr("p/o", "user.x", "v", 1, 0))
CALL(c_getxattr, (int)getxattr("p/o", "user.none", NULL, 0))
CALL(c_tmpfile, closed(open("p/o", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) == 0 || errno == EOPNOTSUPP ? 0 : -1)

static int c_readlink(void)
{
	char b[64];

	return (int)readlink("p/o", b, sizeof(b));
}

static int c_execute(void)
{
	return access("p/o", X_OK);
}

static int c_long(void)
{
	return closed(open(long_name, O_RDWR | O_CREAT | O_CLOEXEC, 0644));
}

static int c_too_long(void)
{
	char path[310];

	snprintf(path, sizeof(path), "%sx", long_name);
	return closed(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644));
}

#define ROW(name) {#name, c_##name}
static const struct {
	const char *name;
	int (*call)(void);
} calls[] = {
	ROW(stat),	  ROW(read),	     ROW(write),	ROW(trunc),	   ROW(read_trunc),
	ROW(creat),	  ROW(excl),	     ROW(nofollow),	ROW(opendir),	   ROW(creat_dir),
	ROW(slash),	  ROW(creat_slash),  ROW(below),	ROW(direct),	   ROW(unlink),
	ROW(unlink_slash), ROW(rmdir),	     ROW(rmdir_dot),	ROW(rmdir_dots),   ROW(mkdir),
	ROW(mkdir_slash), ROW(mkfifo),	     ROW(symlink),	ROW(symlink_empty), ROW(link_from),
	ROW(link_to),	  ROW(link_follow),  ROW(rename_from),	ROW(rename_to),	   ROW(rename_dir_to),
	ROW(rename_away), ROW(rename_below), ROW(rename_self),	ROW(rename_slash), ROW(rename_dot),
	ROW(noreplace),	  ROW(exchange),     ROW(exchange_away), ROW(rename_second), ROW(chmod),
	ROW(chmod_sticky), ROW(chown_same),  ROW(chown),	ROW(lchown),	   ROW(truncate),
	ROW(truncate_more), ROW(truncate_minus), ROW(utime_now), ROW(utime),	   ROW(utime_omit),
	ROW(access_rwx),  ROW(chdir),	     ROW(setxattr),	ROW(getxattr),	   ROW(tmpfile),
	ROW(readlink),	  ROW(execute),	     ROW(long),		ROW(too_long),
};

/* ---- what is there ---- */

static void age(const char *path)
{
	const struct timespec t[2] = {{OLD, 0}, {OLD, 0}};

	utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW);
}

static void tell(const char *path, const struct timespec *since)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		printf(" %s:%s", path, errno == ENOENT ? "-" : strerrorname_np(errno));
		return;
	}
	printf(" %s:%o/%u/%d.%d", path, st.st_mode, (unsigned)st.st_nlink, (int)st.st_uid, (int)st.st_gid);
	if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
		printf("/%ld", (long)st.st_size);
	printf("%s%s", st.st_mtime != OLD ? "m" : "",
	       st.st_ctim.tv_sec > since->tv_sec ||
			       (st.st_ctim.tv_sec == since->tv_sec && st.st_ctim.tv_nsec > since->tv_nsec)
		       ? "c"
		       : "");
}

static void newest(struct timespec *since)
{
	static const char *const paths[] = {"p", "p2", "p/o", "p/other", "p2/other", "p/second"};
	const struct timespec nap = {0, 500000};
	struct timespec now;
	struct stat st;

	memset(since, 0, sizeof(*since));
	for (size_t i = 0; i < COUNT(paths); i++)
		if (lstat(paths[i], &st) == 0 &&
		    (st.st_ctim.tv_sec > since->tv_sec ||
		     (st.st_ctim.tv_sec == since->tv_sec && st.st_ctim.tv_nsec > since->tv_nsec)))
			*since = st.st_ctim;
	/* the clock of a file system ticks slowly */
	do {
		nanosleep(&nap, NULL);
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (now.tv_sec < since->tv_sec ||
		 (now.tv_sec == since->tv_sec && now.tv_nsec <= since->tv_nsec));
}

static void one(const char *who, size_t call, size_t kind, uid_t as, mode_t dir_mode, uid_t owner)
{
	static const char *const paths[] = {"p", "p2", "p/o", "p/other", "p/new", "p2/new", "p2/other", "p/second"};
	struct timespec since;
	int r, error;

	clean();
	mkdir("p", 0755);
	mkdir("p2", 0777);
	make(kind);
	put("p/other", "other one");
	put("p2/other", "second one");
	mkdir("p/otherdir", 0755);
	if (owner) {
		(void)!lchown("p/o", owner, owner);
		(void)!lchown("p/other", owner, owner);
		(void)!lchown("p", owner, owner);
	}
	(void)!chmod("p", dir_mode);
	(void)!chmod("p2", 0777);
	for (size_t i = 0; i < COUNT(paths); i++)
		age(paths[i]);
	since = (struct timespec){.tv_sec = 1LL << 40};
	if (stamps)
		newest(&since);
	if (as && (setegid(as) < 0 || seteuid(as) < 0))
		printf("# seteuid\n");
	errno = 0;
	r = calls[call].call();
	error = r < 0 ? errno : 0;
	if (as && (seteuid(0) < 0 || setegid(0) < 0))
		exit(2);
	printf("%s %s %s: %d %s", who, calls[call].name, kinds[kind], r < 0 ? -1 : r,
	       error ? strerrorname_np(error) : "-");
	for (size_t i = 0; i < COUNT(paths); i++)
		tell(paths[i], &since);
	putchar('\n');
}

static void table(const char *who, uid_t as, mode_t dir_mode, uid_t owner)
{
	for (size_t call = 0; call < COUNT(calls); call++) {
		/*
		 * One name over another of the same file does nothing; the mount, where the two are
		 * two files to the kernel, asks for the right to do it first.
		 */
		if (calls[call].call == c_rename_second && (as != owner || !(dir_mode & 0200)))
			continue;
		for (size_t kind = 0; kind < COUNT(kinds); kind++)
			one(who, call, kind, as, dir_mode, owner);
	}
}

/* ---- what was wrong once ---- */

static void show(const char *what, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld bytes, %u links\n", what, (long)st.st_size, (unsigned)st.st_nlink);
}

/* pages of a mapping have their place, whatever the descriptor is for */
static void mapped_append(void)
{
	int fd = open("app", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	char *p;

	(void)!write(fd, "0123456789", 10);
	p = mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		printf("mmap: %s\n", strerrorname_np(errno));
		return;
	}
	p[2] = 'x';
	msync(p, 10, MS_SYNC);
	munmap(p, 10);
	show("mapped and appended", "app");
	close(fd);
}

/* a file that is open by a removed name changes under its last one */
static void removed_name(void)
{
	int fd = open("first", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	char buf[16] = "";
	int other;

	(void)!link("first", "last");
	unlink("first");
	show("last name", "last");
	(void)!write(fd, "changed", 7);
	show("last name, changed", "last");
	other = open("last", O_RDONLY | O_CLOEXEC);
	(void)!read(other, buf, sizeof(buf) - 1);
	(void)!pwrite(fd, "C", 1, 0);
	(void)!pread(other, buf, sizeof(buf) - 1, 0);
	printf("last name reads %s\n", buf);
	(void)!ftruncate(other, 2);
	printf("by the first: %ld\n", (long)lseek(fd, 0, SEEK_END));
	close(fd);
	close(other);
}

/* a directory that nobody may look into, or that is too deep, says nothing against a file's links */
static void links_and_closed_directory(void)
{
	int fd;

	mkdir("closed", 0755);
	mkdir("deep", 0755);
	for (int i = 0; i < 300; i++) {
		mkdir("deep2", 0755);
		(void)!rename("deep", "deep2/d");
		(void)!rename("deep2", "deep");
	}
	(void)!chmod("closed", 0);
	mkdir("z", 0755);
	put("z/one", "1");
	(void)!link("z/one", "two");
	fd = open("two", O_WRONLY | O_CLOEXEC);
	printf("write to one of two names: %s\n", fd < 0 ? strerrorname_np(errno) : "yes");
	close(fd);
	(void)!chmod("closed", 0755);
}

int main(int argc, char **argv)
{
	if (argc != 2 || chdir(argv[1]) < 0) {
		fprintf(stderr, "usage: see the head of fs_posix.c\n");
		return 2;
	}
	umask(022);
	snprintf(long_name, sizeof(long_name), "p/%0255d", 1);
	stamps = true;
	if (getuid() == 0) {
		table("root", 0, 0755, 0);
		stamps = false;
		table("owner", 65534, 0755, 65534);
		table("stranger in a sticky directory", 65533, 01777, 65534);
		table("stranger", 65533, 0755, 65534);
	} else {
		table("user", 0, 0755, 0);
		stamps = false;
		table("user in a directory that only leads on", 0, 0311, 0);
	}
	clean();
	mapped_append();
	removed_name();
	links_and_closed_directory();
	return 0;
}
