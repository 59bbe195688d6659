/*
 * Theory: "at" is the descriptor of the directory reached so far and holds no symlink in its name,
 * so ".." is textual. "rest" is what is still to be walked; a symlink's target is put in front of
 * it. The number of symlinks is bounded as in the kernel (40).
 */
#include "execgate/exec_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/str.h"
#include "common/sys.h"

#define LINKS_MAX 40

struct walk {
	const struct exec_root *root;
	pid_t tid;
	int fd;		       /* owned: where we are */
	char at[PATH_MAX];     /* its canonical name, "" for the root */
	char rest[2 * PATH_MAX];
	unsigned n_links;
	bool nofollow;
};

static int open_in(int dir, const char *path, int flags, uint64_t resolve)
{
	int fd = sys_openat2(dir, path, O_PATH | O_CLOEXEC | flags, resolve);

	return fd < 0 ? -errno : fd;
}

int exec_walk_open(const struct exec_root *root, const char *path, int flags)
{
	return open_in(root->fd, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/* What /proc/self/fd prints, relative to the sandbox's root. */
static int printed_name(char *out, size_t size, const struct exec_root *root, int fd)
{
	char link[64], text[PATH_MAX];
	size_t skip = strlen(root->path);
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, text, sizeof(text) - 1);
	if (n <= 0 || text[0] != '/')
		return -EXDEV;
	text[n] = '\0';
	if (skip > 1) {
		if (strncmp(text, root->path, skip) != 0 ||
		    (text[skip] != '/' && text[skip] != '\0'))
			return -EXDEV;
		memmove(text, text + skip, strlen(text + skip) + 1);
	}
	if (snprintf(out, size, "%s", text[0] ? text : "/") >= (int)size)
		return -ENAMETOOLONG;
	return 0;
}

int exec_walk_name(char *out, size_t size, const struct exec_root *root, int fd)
{
	autoclose int again = -1;
	struct stat a, b;
	int r = printed_name(out, size, root, fd);

	if (r < 0)
		return r;
	again = exec_walk_open(root, out, 0);
	if (again < 0 || fstat(fd, &a) < 0 || fstat(again, &b) < 0)
		return -EXDEV;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino ? 0 : -EXDEV;
}

static bool is_proc(int fd)
{
	struct statfs s;

	return fstatfs(fd, &s) == 0 && s.f_type == PROC_SUPER_MAGIC;
}

/* A process id as the sandbox's own /proc shows it: the innermost NSpid in proc_pid_status(5). */
static int inner_pid(pid_t *out, pid_t tid, const char *key)
{
	char path[64], text[4096], *line, *last;
	autoclose int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	line = strstr(text, key);
	if (!line)
		return -ESRCH;
	line += strlen(key);
	line[strcspn(line, "\n")] = '\0';
	last = strrchr(line, '\t');
	*out = (pid_t)strtol(last ? last : line, NULL, 10);
	return *out > 0 ? 0 : -ESRCH;
}

static int put_in_front(struct walk *w, const char *text)
{
	char joined[2 * PATH_MAX];
	/* a slash only in front of something: at the end it would ask for a directory */
	int n = snprintf(joined, sizeof(joined), "%s%s%s", text, w->rest[0] ? "/" : "", w->rest);

	if (n < 0 || (size_t)n >= sizeof(joined))
		return -ENAMETOOLONG;
	memcpy(w->rest, joined, (size_t)n + 1);
	return 0;
}

static int go_to(struct walk *w, const char *path)
{
	int fd = exec_walk_open(w->root, *path ? path : "/", 0);

	if (fd < 0)
		return fd;
	close(w->fd);
	w->fd = fd;
	if (path != w->at)
		snprintf(w->at, sizeof(w->at), "%s", path);
	return 0;
}

static int go_up(struct walk *w)
{
	char *slash = strrchr(w->at, '/');

	if (slash)
		*slash = '\0';
	return go_to(w, w->at);
}

/* At the root of a procfs, "self" and "thread-self" are the caller's, not ours. */
static int translate_self(struct walk *w, const char *name)
{
	bool thread = strcmp(name, "thread-self") == 0;
	char text[64];
	pid_t tgid, tid;
	int r = inner_pid(&tgid, w->tid, "\nNStgid:");

	if (r == 0)
		r = inner_pid(&tid, w->tid, "\nNSpid:");
	if (r < 0)
		return r;
	if (thread)
		snprintf(text, sizeof(text), "%d/task/%d", (int)tgid, (int)tid);
	else
		snprintf(text, sizeof(text), "%d", (int)tgid);
	return put_in_front(w, text);
}

static int follow_magic(struct walk *w, const char *name)
{
	int fd = openat(w->fd, name, O_PATH | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) {
		/* the end of the path; whoever asked for it checks its name */
		close(w->fd);
		w->fd = fd;
		return w->rest[strspn(w->rest, "/")] ? -ENOTDIR : 0;
	}
	r = exec_walk_name(w->at, sizeof(w->at), w->root, fd);
	if (r == 0 && strcmp(w->at, "/") == 0)
		w->at[0] = '\0';
	close(w->fd);
	w->fd = fd;
	return r;
}

static int follow(struct walk *w, const char *name, int link)
{
	char target[PATH_MAX];
	ssize_t n;
	int fd, r;

	if (++w->n_links > LINKS_MAX)
		return -ELOOP;
	if (is_proc(w->fd)) {
		fd = open_in(w->fd, name, 0, RESOLVE_NO_MAGICLINKS);
		if (fd == -ELOOP)
			return follow_magic(w, name);
		if (fd >= 0)
			close(fd);
	}
	n = readlinkat(link, "", target, sizeof(target) - 1);
	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	target[n] = '\0';
	r = target[0] == '/' ? go_to(w, "") : 0;
	return r < 0 ? r : put_in_front(w, target);
}

static int step(struct walk *w, const char *name)
{
	bool last = w->rest[strspn(w->rest, "/")] == '\0';
	bool must_be_dir = !last || w->rest[0] == '/';
	autoclose int fd = -1;
	struct stat st;
	struct str at;

	if (strcmp(name, "..") == 0)
		return go_up(w);
	if ((strcmp(name, "self") == 0 || strcmp(name, "thread-self") == 0) && is_proc(w->fd) &&
	    fstat(w->fd, &st) == 0 && st.st_ino == 1 /* PROC_ROOT_INO */)
		return translate_self(w, name);
	fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode) && !(last && w->nofollow && !must_be_dir))
		return follow(w, name, fd);
	if (must_be_dir && !S_ISDIR(st.st_mode))
		return -ENOTDIR;
	close(w->fd);
	w->fd = steal_fd(&fd);
	str_init(&at, w->at, sizeof(w->at));
	at.len = strlen(w->at);
	str_addf(&at, "/%s", name);
	return at.cut ? -ENAMETOOLONG : 0;
}

static int run(struct walk *w)
{
	char name[NAME_MAX + 1];

	for (;;) {
		const char *p = w->rest + strspn(w->rest, "/");
		size_t len = strcspn(p, "/");
		int r;

		if (len == 0)
			return 0;
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, p, len);
		name[len] = '\0';
		memmove(w->rest, p + len, strlen(p + len) + 1);
		r = strcmp(name, ".") == 0 ? 0 : step(w, name);
		if (r < 0)
			return r;
	}
}

int exec_walk(const struct exec_root *root, pid_t tid, const char *path, int flags)
{
	autofree struct walk *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->root = root;
	w->tid = tid;
	w->nofollow = flags & O_NOFOLLOW;
	if (snprintf(w->rest, sizeof(w->rest), "%s", path) >= (int)sizeof(w->rest))
		return -ENAMETOOLONG;
	w->fd = exec_walk_open(root, "/", 0);
	if (w->fd < 0)
		return w->fd;
	r = run(w);
	if (r < 0) {
		close(w->fd);
		return r;
	}
	return w->fd;
}
