/*
 * /proc and /sys: in root mode the agent has uid 0 without capabilities, and many of their files
 * are writable to uid 0 by their mode alone. So every entry that does not belong to a process is
 * read-only by its mount, whatever this kernel has there; what tells about the host is masked.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agentsh/mount.h"
#include "common/auto.h"

#define GUARD (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* Read through /dev/null instead: memory, addresses, keys, timers of every process of the host. */
static const char *const masked[] = {
	"kcore",      "keys",	    "key-users",   "kmsg",	  "kpagecgroup",   "kpagecount",
	"kpageflags", "latency_stats", "sched_debug", "slabinfo", "sysrq-trigger", "timer_list",
	"timer_stats", "vmallocinfo", "kallsyms",
};

static const char *const sys_masked[] = {"/sys/firmware", "/sys/devices/virtual/powercap"};

/*
 * Access times of an existing mount may be locked, and a new mount of procfs or sysfs must then
 * have the same setting (mount_namespaces(7)).
 */
static unsigned atime_of(const char *path)
{
	struct statfs st;

	if (statfs(path, &st) < 0)
		return 0;
	if (st.f_flags & ST_NOATIME)
		return MOUNT_ATTR_NOATIME;
	return st.f_flags & ST_RELATIME ? MOUNT_ATTR_RELATIME : MOUNT_ATTR_STRICTATIME;
}

int mount_proc(int root, struct err *e)
{
	static const char *const none[] = {NULL};
	autoclose int mnt = mount_new("proc", none, GUARD | atime_of("/proc"), e);

	if (mnt == -EPERM)
		return err_say(e, EPERM,
			       "a new /proc may not be mounted: this host hides parts of its own "
			       "/proc, as container runtimes do; start the container with an "
			       "unmasked /proc (docker: --security-opt systempaths=unconfined)");
	return mnt < 0 ? mnt : mount_attach(mnt, root, "/proc", e);
}

static int attach_empty(int root, const char *path, struct err *e)
{
	static const char *const options[] = {"mode=0555", "size=4k", NULL};
	autoclose int mnt = mount_new("tmpfs", options, GUARD | MOUNT_ATTR_RDONLY, e);

	return mnt < 0 ? mnt : mount_attach(mnt, root, path, e);
}

int mount_sys(int root, struct err *e)
{
	static const char *const none[] = {NULL};
	autoclose int mnt =
		mount_new("sysfs", none, GUARD | MOUNT_ATTR_RDONLY | atime_of("/sys"), e);
	int r;

	/* programs live without /sys, and a host that hides parts of its own refuses a new one */
	if (mnt < 0) {
		e->code = 0;
		return 0;
	}
	r = mount_attach(mnt, root, "/sys", e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(sys_masked); i++)
		if (faccessat(root, sys_masked[i] + 1, F_OK, 0) == 0)
			r = attach_empty(root, sys_masked[i], e);
	return r;
}

static bool is_masked(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(masked); i++)
		if (strcmp(name, masked[i]) == 0)
			return true;
	return false;
}

static int guard_one(int root, const char *name, struct err *e)
{
	char path[300];
	autoclose int mnt = -1;
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s", name);
	/* an entry may come and go with a driver: then there is nothing to guard */
	if (fstatat(root, path + 1, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISLNK(st.st_mode))
		return 0;
	if (strcmp(name, "sys") == 0) /* mount_proc_limits() still has to write there */
		return 0;
	if (S_ISDIR(st.st_mode))
		mnt = mount_clone(root, path + 1, GUARD | MOUNT_ATTR_RDONLY, e);
	else if (is_masked(name))
		mnt = mount_clone(root, "dev/null", MOUNT_ATTR_RDONLY, e);
	else if (st.st_mode & 0222)
		mnt = mount_clone(root, path + 1, GUARD | MOUNT_ATTR_RDONLY, e);
	else
		return 0;
	return mnt < 0 ? mnt : mount_attach(mnt, root, path, e);
}

int mount_proc_guard(int root, struct err *e)
{
	_Alignas(struct dirent64) char buf[16384];
	autoclose int dir = openat(root, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_set(e, errno, "open the sandbox's /proc");
	for (;;) {
		ssize_t n = getdents64(dir, buf, sizeof(buf));

		if (n < 0)
			return err_set(e, errno, "list the sandbox's /proc");
		if (n == 0)
			return 0;
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *d = (const struct dirent64 *)(buf + at);
			int r = 0;

			if (d->d_name[0] != '.' && !isdigit((unsigned char)d->d_name[0]))
				r = guard_one(root, d->d_name, e);
			if (r < 0)
				return r;
			at += d->d_reclen;
		}
	}
}

static int write_limit(int root, const char *name, const char *value)
{
	autoclose int fd = openat(root, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

/*
 * The read-only copy of /proc/sys is made before and attached after: with no mount namespaces left
 * even open_tree(2) fails, for a detached mount lives in one of its own.
 */
int mount_proc_limits(int root, struct err *e)
{
	static const char *const zero[] = {"proc/sys/user/max_user_namespaces",
					   "proc/sys/user/max_mnt_namespaces"};
	autoclose int sys = mount_clone(root, "proc/sys", GUARD | MOUNT_ATTR_RDONLY, e);

	if (sys < 0)
		return sys;
	/*
	 * Executable memfds (memfd_create(2), per pid namespace since 6.3): refused where that is
	 * ours to say. An ordinary user may not write the file; execgate refuses the exec itself.
	 */
	write_limit(root, "proc/sys/vm/memfd_noexec", "2");
	for (size_t i = 0; i < ARRAY_LEN(zero); i++) {
		int r = write_limit(root, zero[i], "0");

		if (r < 0)
			return err_set(e, -r, "forbid namespaces inside the sandbox: write %s",
				       zero[i]);
	}
	return mount_attach(sys, root, "/proc/sys", e);
}
