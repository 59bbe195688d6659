/*
 * namespaces.c - mount something, or get into other namespaces
 *
 * Expected: every case is refused (EPERM, ENOSYS or EINVAL), for uid 0 inside as well: the tree that
 * the agent sees cannot be changed, left or covered, and no new user namespace gives it
 * capabilities to try with.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/limits.h>
#include <linux/mount.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

/* ---- mounts ---- */

static enum outcome mount_tmpfs(void)
{
	mkdir("pub/mnt", 0755);
	return attack_must_fail("mount", mount("none", "pub/mnt", "tmpfs", 0, NULL));
}

static enum outcome mount_bind(void)
{
	mkdir("pub/mnt", 0755);
	return attack_must_fail("mount", mount("/", "pub/mnt", NULL, MS_BIND | MS_REC, NULL));
}

static enum outcome mount_proc(void)
{
	mkdir("pub/mnt", 0755);
	return attack_must_fail("mount", mount("proc", "pub/mnt", "proc", 0, NULL));
}

static enum outcome mount_fuse(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	mkdir("pub/mnt", 0755);
	if (fd < 0)
		return attack_blocked("/dev/fuse: %s", strerrorname_np(errno));
	return attack_must_fail("mount", mount("f", "pub/mnt", "fuse", 0,
					       "fd=3,rootmode=40000,user_id=0,group_id=0"));
}

static enum outcome remount_writable(void)
{
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
		return attack_escaped("remounted / writable");
	if (mount(NULL, "/usr", NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
		return attack_escaped("remounted /usr writable");
	return attack_must_fail("mount", mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL));
}

static enum outcome move_mounts(void)
{
	char cwd[PATH_MAX];

	mkdir("pub/mnt", 0755);
	if (!getcwd(cwd, sizeof(cwd)))
		return attack_broken("getcwd: %m");
	return attack_must_fail("mount", mount(cwd, "/tmp", NULL, MS_MOVE, NULL));
}

static enum outcome unmount(void)
{
	static const char *const names[] = {"/", "/proc", "/tmp", "/dev", "/sys", "/usr", "/etc/hosts"};
	char cwd[PATH_MAX];

	if (getcwd(cwd, sizeof(cwd)) && umount2(cwd, MNT_DETACH) == 0)
		return attack_escaped("unmounted the workspace");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (umount2(names[i], MNT_DETACH) == 0)
			return attack_escaped("unmounted %s", names[i]);
	return attack_must_fail("umount2", -1);
}

static enum outcome new_mount_api(void)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};

	if (syscall(SYS_fsopen, "tmpfs", 0) >= 0)
		return attack_escaped("fsopen");
	if (syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | AT_RECURSIVE) >= 0)
		return attack_escaped("open_tree");
	if (syscall(SYS_fspick, AT_FDCWD, "/", 0) >= 0)
		return attack_escaped("fspick");
	if (syscall(SYS_move_mount, AT_FDCWD, "pub", AT_FDCWD, "/usr", 0) >= 0)
		return attack_escaped("move_mount");
	return attack_must_fail("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE,
							 &attr, sizeof(attr)));
}

static enum outcome pivot(void)
{
	mkdir("pub/mnt", 0755);
	return attack_must_fail("pivot_root", syscall(SYS_pivot_root, ".", "pub/mnt"));
}

/* the classic: chroot below the current directory, then walk up and out */
static enum outcome chroot_walk(void)
{
	char buf[64];
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	mkdir("pub/root", 0755);
	if (chroot("pub/root") < 0)
		return attack_blocked("chroot: %s", strerrorname_np(errno));
	if (fchdir(fd) < 0)
		return attack_blocked("fchdir: %s", strerrorname_np(errno));
	for (int i = 0; i < 64; i++)
		(void)!chdir("..");
	(void)!chroot(".");
	if (attack_slurp(attack_conf("outside_file"), buf, sizeof(buf)) > 0)
		return attack_escaped("walked out of the root");
	return attack_escaped("chroot works");
}

/* ---- namespaces ---- */

static enum outcome unshare_flags(int flags)
{
	return attack_must_fail("unshare", unshare(flags));
}

static enum outcome unshare_user(void)
{
	return unshare_flags(CLONE_NEWUSER);
}

static enum outcome unshare_mount(void)
{
	return unshare_flags(CLONE_NEWNS);
}

static enum outcome unshare_others(void)
{
	static const int flags[] = {CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS,
				    CLONE_NEWCGROUP, 0x80 /* CLONE_NEWTIME */, CLONE_NEWUSER | CLONE_NEWNS};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (unshare(flags[i]) == 0)
			return attack_escaped("unshare(%#x)", (unsigned)flags[i]);
	return attack_must_fail("unshare", -1);
}

static enum outcome clone_user(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return attack_must_fail("clone", pid);
}

static enum outcome clone3_with(uint64_t flags)
{
	struct clone_args a = {.flags = flags, .exit_signal = SIGCHLD};
	long pid = syscall(SYS_clone3, &a, sizeof(a));

	if (pid == 0)
		_exit(0);
	return attack_must_fail("clone3", pid);
}

static enum outcome clone3_user(void)
{
	return clone3_with(CLONE_NEWUSER);
}

static enum outcome clone3_mount(void)
{
	return clone3_with(CLONE_NEWNS);
}

static enum outcome clone3_cgroup(void)
{
	struct clone_args a = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	int fd = open("/sys/fs/cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC);
	long pid;

	if (fd < 0)
		return attack_blocked("/sys/fs/cgroup: %s", strerrorname_np(errno));
	a.cgroup = (uint64_t)fd;
	pid = syscall(SYS_clone3, &a, sizeof(a));
	if (pid == 0)
		_exit(0);
	return attack_must_fail("clone3", pid);
}

/* the exec that an unprivileged user namespace would start with every capability */
static enum outcome nested_user_root(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			_exit(1);
		_exit(mount("none", "/tmp", "tmpfs", 0, NULL) == 0 ? 0 : 2);
	}
	waitpid(pid, &status, 0);
	if (status == 0)
		return attack_escaped("mounted in a namespace of its own");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		return attack_escaped("a namespace, though not a mount");
	return attack_blocked("no namespace");
}

static enum outcome setns_init(void)
{
	static const char *const names[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (int k = 0; k < 2; k++) {
			int fd;

			snprintf(path, sizeof(path), "/proc/%s/ns/%s", k ? "self" : "1", names[i]);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd >= 0 && setns(fd, 0) == 0)
				return attack_escaped("setns to %s", path);
		}
	return attack_must_fail("setns", setns(-1, 0));
}

static enum outcome setns_pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, 1, 0);

	if (fd < 0)
		return attack_blocked("pidfd_open: %s", strerrorname_np(errno));
	return attack_must_fail("setns", setns(fd, CLONE_NEWNS | CLONE_NEWNET));
}

static enum outcome parent_namespace(void)
{
	static const char *const names[] = {"user", "pid", "mnt", "net"};
	static const unsigned long asks[] = {NS_GET_PARENT, NS_GET_USERNS};
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (size_t k = 0; k < 2; k++) {
			int fd, up;

			snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			up = fd < 0 ? -1 : ioctl(fd, asks[k]);
			if (up >= 0 && setns(up, 0) == 0)
				return attack_escaped("entered the parent of %s", path);
		}
	return attack_blocked("no parent can be entered");
}

static enum outcome raise_capabilities(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {{0, 0, 0}, {0, 0, 0}};

	syscall(SYS_capget, &h, d);
	if (d[0].permitted || d[1].permitted || d[0].effective || d[1].effective)
		return attack_escaped("capabilities %08x%08x", d[1].permitted, d[0].permitted);
	d[0].permitted = d[0].effective = 1u << CAP_SYS_ADMIN;
	if (syscall(SYS_capset, &h, d) == 0)
		return attack_escaped("capset");
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			return attack_escaped("capability %d is in the bounding set", cap);
	return attack_blocked("none, none to be had");
}

static enum outcome become_another(void)
{
	uid_t other = getuid() == 1 ? 2 : 1;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return attack_escaped("no_new_privs is not set");
	if (setuid(other) == 0 || setgid(other) == 0 || setgroups(0, NULL) == 0)
		return attack_escaped("changed ids");
	if (getuid() != 0 && setuid(0) == 0)
		return attack_escaped("became root");
	return attack_must_fail("setresuid", setresuid(other, other, other));
}

static enum outcome hostname(void)
{
	return attack_must_fail("sethostname", sethostname("attacked", 8));
}

/* the workspace is below a private /tmp: may another tree take the place of the one with rules? */
static enum outcome move_mount_parent(void)
{
	char here[PATH_MAX], away[PATH_MAX + 8], *slash;

	if (!getcwd(here, sizeof(here)))
		return attack_broken("getcwd");
	slash = strrchr(here, '/');
	*slash = '\0';
	snprintf(away, sizeof(away), "%s.away", here);
	if (rename(here, away) == 0) {
		rename(away, here);
		return attack_escaped("moved %s, with the workspace in it", here);
	}
	return attack_blocked("rename: %s", strerrorname_np(errno));
}

static const struct attack cases[] = {
	CASE("mount-tmpfs", "EPERM", mount_tmpfs),
	CASE("mount-bind", "EPERM", mount_bind),
	CASE("mount-proc", "EPERM", mount_proc),
	CASE("mount-fuse", "no /dev/fuse", mount_fuse),
	CASE("remount-writable", "EPERM", remount_writable),
	CASE("mount-move", "EPERM", move_mounts),
	CASE("umount", "EPERM", unmount),
	CASE("new-mount-api", "EPERM or ENOSYS", new_mount_api),
	CASE("pivot_root", "EPERM", pivot),
	CASE("move-parent-of-workspace", "EBUSY or EPERM", move_mount_parent),
	CASE("chroot-walk-out", "EPERM", chroot_walk),
	CASE("unshare-user", "EPERM", unshare_user),
	CASE("unshare-mount", "EPERM", unshare_mount),
	CASE("unshare-others", "EPERM", unshare_others),
	CASE("clone-user", "EPERM", clone_user),
	CASE("clone3-user", "ENOSYS or EPERM", clone3_user),
	CASE("clone3-mount", "ENOSYS or EPERM", clone3_mount),
	CASE("clone3-into-cgroup", "ENOSYS or not there", clone3_cgroup),
	CASE("nested-user-root", "no namespace", nested_user_root),
	CASE("setns-init", "EPERM", setns_init),
	CASE("setns-pidfd", "EPERM", setns_pidfd),
	CASE("parent-namespace", "EPERM", parent_namespace),
	CASE("capabilities", "none", raise_capabilities),
	CASE("change-ids", "EPERM", become_another),
	CASE("sethostname", "EPERM", hostname),
};

ATTACK_MAIN(cases)
