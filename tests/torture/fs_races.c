/*
 * fs_races - change what a name means while it is used; what is denied stays denied
 *
 *   fs_races TRIES HOST [CASE...]
 *
 * Runs in the workspace, which has (by policy) pub/ for everybody, priv/ that nobody reads, prot/ that
 * nobody changes; HOST is the directory below the mount. In each case a thread flips what a path leads
 * to as fast as it can while this one uses the path, TRIES times, until the thread has flipped a
 * quarter as often. A case escapes when SECRET is read, or when the host sees another prot/ than at
 * the start. One line a case: "ok NAME ..." or "ESCAPED NAME ...". With a policy that allows
 * everything every case escapes: the control. Exit: 0 no escape, 1 escapes, 2 the test is broken.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static unsigned tries;
static int host;
static atomic_bool stop;
static atomic_uint flips, opened;

static bool read_path(const char *path)
{
	char buf[64] = "";
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (fd >= 0)
		close(fd);
	if (n > 0)
		atomic_fetch_add(&opened, 1);
	return n > 0 && strstr(buf, "SECRET");
}

static void put(int dir, const char *path, const char *text)
{
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		perror(path);
		exit(2);
	}
	close(fd);
}

/* ---- what flips ---- */

static void link_to(const char *target, const char *name)
{
	char tmp[64];

	snprintf(tmp, sizeof(tmp), "%s.tmp", name);
	unlink(tmp);
	if (symlink(target, tmp) == 0 && rename(tmp, name) == 0)
		atomic_fetch_add(&flips, 1);
}

static void *flip_to_priv(void *arg)
{
	(void)arg;
	while (!stop) {
		link_to("open", "pub/cur");
		link_to("../priv", "pub/cur");
	}
	return NULL;
}

static void *flip_to_prot(void *arg)
{
	(void)arg;
	while (!stop) {
		link_to("open", "pub/cur");
		link_to("../prot", "pub/cur");
	}
	return NULL;
}

static void *flip_leaf(void *arg)
{
	(void)arg;
	while (!stop) {
		link_to("open/secret", "pub/leaf");
		link_to("../priv/secret", "pub/leaf");
	}
	return NULL;
}

/* a directory and a link change places */
static void *flip_exchange(void *arg)
{
	(void)arg;
	unlink("pub/d2");
	if (symlink("../priv", "pub/d2") < 0 || (mkdir("pub/d1", 0755) < 0 && errno != EEXIST))
		return NULL;
	put(AT_FDCWD, "pub/d1/secret", "harmless\n");
	while (!stop)
		if (renameat2(AT_FDCWD, "pub/d1", AT_FDCWD, "pub/d2", RENAME_EXCHANGE) == 0)
			atomic_fetch_add(&flips, 1);
	return NULL;
}

/* an ancestor of the file moves to and fro */
static void *flip_ancestor(void *arg)
{
	(void)arg;
	mkdir("pub/t1", 0755);
	mkdir("pub/t2", 0755);
	mkdir("pub/t1/mid", 0755);
	(void)!symlink("../../../priv", "pub/t1/mid/way");
	while (!stop)
		if (rename("pub/t1/mid", "pub/t2/mid") == 0 && rename("pub/t2/mid", "pub/t1/mid") == 0)
			atomic_fetch_add(&flips, 1);
	return NULL;
}

/* the host exchanges the denied directory with one that has harmless names in it */
static void *flip_on_host(void *arg)
{
	(void)arg;
	mkdirat(host, "pub/other", 0755);
	put(host, "pub/other/note", "harmless\n");
	while (!stop) {
		if (renameat2(host, "priv", host, "pub/other", RENAME_EXCHANGE) < 0)
			break;
		if (renameat2(host, "priv", host, "pub/other", RENAME_EXCHANGE) < 0)
			exit(2);
		atomic_fetch_add(&flips, 1);
	}
	return NULL;
}

/* files come and go below the denied name */
static void *flip_into_denied(void *arg)
{
	(void)arg;
	while (!stop) {
		put(AT_FDCWD, "pub/moving", "SECRET as soon as it is denied\n");
		if (rename("pub/moving", "priv/moving") == 0)
			atomic_fetch_add(&flips, 1);
		unlink("priv/moving");
	}
	return NULL;
}

/* ---- what is tried; true: the secret was read ---- */

static bool try_component(unsigned i)
{
	(void)i;
	return read_path("pub/cur/secret");
}

static bool try_leaf(unsigned i)
{
	(void)i;
	return read_path("pub/leaf");
}

static bool try_exchange(unsigned i)
{
	return read_path(i & 1 ? "pub/d1/secret" : "pub/d2/secret");
}

static bool try_ancestor(unsigned i)
{
	return read_path(i & 1 ? "pub/t1/mid/way/secret" : "pub/t2/mid/way/secret");
}

static bool try_denied_name(unsigned i)
{
	return read_path(i & 1 ? "priv/moving" : "priv/secret");
}

/* what the host has in place of priv/ is denied, too, as long as it is there */
static bool try_host(unsigned i)
{
	return read_path(i & 1 ? "priv/secret" : "priv/note");
}

static bool try_hard_link(unsigned i)
{
	bool got;

	if (i & 1)
		(void)!linkat(AT_FDCWD, "pub/leaf", AT_FDCWD, "pub/hard", AT_SYMLINK_FOLLOW);
	else
		(void)!link("pub/cur/secret", "pub/hard");
	got = read_path("pub/hard");
	unlink("pub/hard");
	return got;
}

static bool try_move_out(unsigned i)
{
	bool got;

	put(AT_FDCWD, "pub/open/secret", "harmless\n");
	if (i & 1)
		(void)!rename("pub/cur/secret", "pub/taken");
	else
		(void)!renameat2(AT_FDCWD, "pub/cur/secret", AT_FDCWD, "pub/taken", RENAME_EXCHANGE);
	got = read_path("pub/taken");
	if (!got)
		put(AT_FDCWD, "pub/taken", "harmless\n");
	return got;
}

/* by a descriptor of the link or of a directory, through /proc */
static bool try_proc(unsigned i)
{
	int fd = open("pub/cur", O_PATH | O_CLOEXEC);
	char path[64];
	bool got;

	if (fd < 0)
		return false;
	if (i & 1)
		snprintf(path, sizeof(path), "/proc/self/fd/%d/secret", fd);
	else
		snprintf(path, sizeof(path), "/proc/thread-self/fd/%d/../cur/secret", fd);
	got = read_path(path);
	close(fd);
	return got;
}

static pid_t stander = -1;

/* by the working directory of a process that stands in the denied directory */
static bool try_cwd(unsigned i)
{
	char path[64];

	if (stander < 0) {
		stander = fork();
		if (stander == 0) {
			while (chdir("priv") == 0 && chdir("../pub/open") == 0 && chdir("../..") == 0)
				;
			_exit(0);
		}
	}
	snprintf(path, sizeof(path), "/proc/%d/cwd/secret", (int)stander);
	(void)i;
	return read_path(path);
}

static void open_and_write(const char *path, int flags)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | flags, 0644);

	if (fd < 0)
		return;
	atomic_fetch_add(&opened, 1);
	(void)!write(fd, "EVIL\n", 5);
	close(fd);
}

/* every change there is, of a file and of names, by way of pub/cur, which is prot/ half of the time */
static bool try_change(unsigned i)
{
	const struct timespec t[2] = {{7, 0}, {7, 0}};

	switch (i % 14) {
	case 0:
		open_and_write("pub/cur/keep", 0);
		break;
	case 1:
		open_and_write("pub/cur/keep", O_TRUNC);
		break;
	case 2:
		open_and_write("pub/cur/planted", O_CREAT);
		break;
	case 3:
		(void)!truncate("pub/cur/keep", 1);
		break;
	case 4:
		(void)!chmod("pub/cur/keep", 0777);
		break;
	case 5:
		utimensat(AT_FDCWD, "pub/cur/keep", t, 0);
		break;
	case 6:
		unlink("pub/cur/keep");
		break;
	case 7:
		rename("pub/cur/keep", "pub/got");
		break;
	case 8:
		put(AT_FDCWD, "pub/evil", "EVIL\n");
		rename("pub/evil", "pub/cur/keep");
		break;
	case 9:
		put(AT_FDCWD, "pub/evil", "EVIL\n");
		(void)!renameat2(AT_FDCWD, "pub/evil", AT_FDCWD, "pub/cur/keep", RENAME_EXCHANGE);
		break;
	case 10:
		(void)!link("pub/evil", "pub/cur/planted");
		break;
	case 11:
		(void)!symlink("x", "pub/cur/planted");
		break;
	case 12:
		mkdir("pub/cur/planted.d", 0755);
		break;
	default:
		setxattr("pub/cur/keep", "user.evil", "x", 1, 0);
	}
	return false;
}

/* a file without a name gets one in prot/ */
static bool try_tmpfile(unsigned i)
{
	int fd = open("pub", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	char path[64];

	if (fd < 0) /* a mount without it: the same by a file that has a name */
		fd = open("pub/named", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	if (fd < 0)
		return false;
	(void)!write(fd, "EVIL\n", 5);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	(void)!linkat(AT_FDCWD, path, AT_FDCWD, i & 1 ? "pub/cur/planted" : "pub/cur/keep2",
		      AT_SYMLINK_FOLLOW);
	unlink("pub/open/planted");
	unlink("pub/open/keep2");
	close(fd);
	return false;
}

/* ---- is prot/ what it was? ---- */

static bool prot_changed(void)
{
	int fd = openat(host, "prot", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
	char buf[64] = "", value[8];
	struct dirent *e;
	struct stat st;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		return true;
	while ((e = readdir(d)))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	fd = openat(dirfd(d), "keep", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || read(fd, buf, sizeof(buf) - 1) < 0 || fstat(fd, &st) < 0)
		n = -1;
	else if (fgetxattr(fd, "user.evil", value, sizeof(value)) >= 0)
		n = -1;
	if (fd >= 0)
		close(fd);
	closedir(d);
	return n != 1 || strcmp(buf, "KEEP\n") != 0 || (st.st_mode & 07777) != 0644 || st.st_mtime == 7;
}

static const struct {
	const char *name;
	void *(*flip)(void *);
	bool (*attempt)(unsigned i);
} cases[] = {
	{"component", flip_to_priv, try_component},
	{"leaf", flip_leaf, try_leaf},
	{"exchange", flip_exchange, try_exchange},
	{"ancestor", flip_ancestor, try_ancestor},
	{"denied-name", flip_into_denied, try_denied_name},
	{"host", flip_on_host, try_host},
	{"hard-link", flip_to_priv, try_hard_link},
	{"hard-link-leaf", flip_leaf, try_hard_link},
	{"move-out", flip_to_priv, try_move_out},
	{"proc-fd", flip_to_priv, try_proc},
	{"proc-cwd", flip_to_priv, try_cwd},
	{"change", flip_to_prot, try_change},
	{"tmpfile", flip_to_prot, try_tmpfile},
};

static void prepare(void)
{
	mkdir("pub/open", 0755);
	put(AT_FDCWD, "pub/open/secret", "harmless\n");
	put(AT_FDCWD, "pub/open/keep", "harmless\n");
	put(AT_FDCWD, "pub/evil", "EVIL\n");
	put(AT_FDCWD, "pub/taken", "harmless\n");
	stop = false;
	flips = opened = 0;
}

static bool one_case(size_t k)
{
	time_t end = time(NULL) + 60 + tries / 500;
	bool escaped = false;
	unsigned i = 0;
	pthread_t t;

	prepare();
	if (pthread_create(&t, NULL, cases[k].flip, NULL) != 0)
		exit(2);
	while (!escaped && (i < tries || flips < tries / 4) && time(NULL) < end) {
		escaped = cases[k].attempt(i++);
		if (i % 256 == 0)
			escaped = escaped || prot_changed();
	}
	stop = true;
	pthread_join(t, NULL);
	if (stander > 0) {
		kill(stander, SIGKILL);
		waitpid(stander, NULL, 0);
		stander = -1;
	}
	escaped = escaped || prot_changed();
	printf("%s %s: %u tries, %u flips, %u opened\n", escaped ? "ESCAPED" : "ok", cases[k].name, i,
	       flips, opened);
	fflush(stdout);
	if (!escaped && flips == 0 && cases[k].flip != flip_into_denied && cases[k].flip != flip_on_host) {
		printf("%s: nothing flipped\n", cases[k].name);
		exit(2);
	}
	return escaped;
}

static bool wanted(int argc, char **argv, const char *name)
{
	for (int i = 3; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 3;
}

int main(int argc, char **argv)
{
	bool escaped = false;

	if (argc < 3) {
		fprintf(stderr, "usage: see the head of fs_races.c\n");
		return 2;
	}
	tries = (unsigned)atoi(argv[1]);
	host = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
		if (wanted(argc, argv, cases[k].name))
			escaped |= one_case(k);
	return escaped;
}
