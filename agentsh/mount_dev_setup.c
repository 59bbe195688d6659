#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentsh/mount.h"
#include "common/auto.h"

/*
 * Nodes cannot be made in a user namespace (mknod(2)): the host's are bound one by one. Read-only:
 * that does not concern writing to a device, but its mode, owner and times, which are the host's
 * and which a root without capabilities may still change.
 */
static const char *const nodes[] = {"/dev/null",   "/dev/zero",	   "/dev/full",
				    "/dev/random", "/dev/urandom", "/dev/tty"};

static const struct {
	const char *name, *target;
} links[] = {
	{"dev/fd", "/proc/self/fd"},	    {"dev/stdin", "/proc/self/fd/0"},
	{"dev/stdout", "/proc/self/fd/1"},  {"dev/stderr", "/proc/self/fd/2"},
	{"dev/ptmx", "pts/ptmx"},	    {"dev/core", "/proc/kcore"},
};

static int attach_node(int root, const char *from, const char *at, struct err *e)
{
	autoclose int mnt = mount_clone(AT_FDCWD, from, MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY, e);
	int r;

	if (mnt < 0)
		return mnt;
	r = mount_point(root, at, false, e);
	return r < 0 ? r : mount_attach(mnt, root, at, e);
}

/* As programs find it elsewhere: ptys of its own, group tty where that group is mapped. */
static int attach_pts(int root, struct err *e)
{
	static const char *const tty[] = {"newinstance", "ptmxmode=0666", "mode=0620", "gid=5", NULL};
	static const char *const own[] = {"newinstance", "ptmxmode=0666", "mode=0600", NULL};
	unsigned attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
	autoclose int mnt = mount_new("devpts", tty, attrs, e);

	/* a group that the id map does not have is an invalid option */
	if (mnt == -EINVAL)
		mnt = mount_new("devpts", own, attrs, e);
	return mnt < 0 ? mnt : mount_attach(mnt, root, "/dev/pts", e);
}

/* The name by which this descriptor's terminal can be opened in our mount namespace. */
static bool terminal_name(char *out, size_t size, int fd)
{
	char link[64];
	struct stat st, there;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = isatty(fd) ? readlink(link, out, size - 1) : -1;
	if (n <= 0)
		return false;
	out[n] = '\0';
	return strncmp(out, "/dev/", 5) == 0 && strcmp(out, "/dev/tty") != 0 &&
	       fstat(fd, &st) == 0 && stat(out, &there) == 0 && S_ISCHR(there.st_mode) &&
	       st.st_rdev == there.st_rdev;
}

/*
 * The caller's terminal, so that ttyname(3) finds a name for it: its own one is in another devpts.
 * Not an error when it has no name here.
 */
static void attach_console(int root)
{
	struct err e = ERR_INIT;
	char name[128];

	for (int fd = 0; fd < 3; fd++)
		if (terminal_name(name, sizeof(name), fd)) {
			attach_node(root, name, "/dev/console", &e);
			return;
		}
}

int mount_dev(int root, struct err *e)
{
	static const char *const options[] = {"mode=0755", "size=64k", NULL};
	struct mount_attr ro = {.attr_set = MOUNT_ATTR_RDONLY};
	autoclose int dev = mount_new("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, e);
	int r = dev < 0 ? dev : mount_attach(dev, root, "/dev", e);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(nodes); i++)
		r = attach_node(root, nodes[i], nodes[i], e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(links); i++)
		if (symlinkat(links[i].target, root, links[i].name) < 0)
			r = err_set(e, errno, "make /%s", links[i].name);
	if (r == 0 && (mkdirat(root, "dev/pts", 0755) < 0 || mkdirat(root, "dev/shm", 0755) < 0))
		r = err_set(e, errno, "make directories in /dev");
	if (r == 0)
		r = attach_pts(root, e);
	if (r < 0)
		return r;
	attach_console(root);
	if (mount_setattr(dev, "", AT_EMPTY_PATH, &ro, sizeof(ro)) < 0)
		return err_set(e, errno, "make /dev read-only");
	return 0;
}
