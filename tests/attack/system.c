/*
 * system.c - devices, setuid files, and the system outside the workspace
 *
 * Expected: every case is refused, for uid 0 inside as well: no device node can be made or opened,
 * no file of the workspace gains privilege on the host, nothing outside can be written.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/attack/attack.h"

/* ---- special files ---- */

static enum outcome device_node(const char *path)
{
	char byte;
	int fd;

	unlink(path);
	if (mknod(path, S_IFBLK | 0666, makedev(254, 0)) < 0 && mknod(path, S_IFCHR | 0666, makedev(1, 1)) < 0)
		return attack_blocked("mknod: %s", strerrorname_np(errno));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	if (fd < 0)
		return attack_escaped("made a device node (opening it: %s)", strerrorname_np(errno));
	return attack_escaped("opened a device node, read gives %zd", read(fd, &byte, 1));
}

static enum outcome device_in_workspace(void)
{
	return device_node("pub/dev");
}

static enum outcome device_in_tmp(void)
{
	return device_node("/tmp/dev");
}

static enum outcome setuid_file(void)
{
	struct stat st;
	int fd;

	unlink("pub/suid");
	fd = open("pub/suid", O_RDWR | O_CREAT | O_CLOEXEC, 04755);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_mode & S_ISUID)
		return attack_escaped("created with the bit");
	attack_spill("pub/suid", "x");
	if (chmod("pub/suid", 04755) < 0)
		return attack_blocked("chmod: %s", strerrorname_np(errno));
	stat("pub/suid", &st);
	unlink("pub/suid");
	return st.st_mode & S_ISUID ? attack_escaped("chmod u+s") : attack_blocked("bit dropped");
}

static enum outcome file_capabilities(void)
{
	/* VFS_CAP_REVISION_2, every capability effective */
	static const unsigned char cap[20] = {1, 0, 0, 2, 255, 255, 255, 255, 0, 0, 0, 0, 255, 1};

	attack_spill("pub/cap", "x");
	if (setxattr("pub/cap", "security.capability", cap, sizeof(cap), 0) < 0)
		return attack_blocked("%s", strerrorname_np(errno));
	return attack_escaped("set security.capability");
}

static enum outcome trusted_xattr(void)
{
	attack_spill("pub/cap", "x");
	return attack_must_fail("setxattr",
				setxattr("pub/cap", "trusted.overlay.opaque", "y", 1, 0));
}

static enum outcome device_list(void)
{
	static const char *const names[] = {"mem",  "kmem",	    "kmsg", "port",  "fuse",   "kvm",
					    "vda",  "sda",	    "nvme0n1", "dm-0", "loop0", "loop-control",
					    "net/tun", "vhost-net", "vsock", "uinput", "mapper/control",
					    "btrfs-control", "cuse", "userfaultfd", "ppp", "vfio/vfio"};
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "/dev/%s", names[i]);
		if (open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) >= 0)
			return attack_escaped("opened %s", path);
	}
	return attack_blocked("%zu devices", sizeof(names) / sizeof(names[0]));
}

/* the nodes are the host's: nothing about them but what goes through them may change */
static enum outcome device_attributes(void)
{
	static const char *const names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
					    "/dev/urandom", "/dev/tty"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (chmod(names[i], 0666) == 0 || lchown(names[i], -1, getgid()) == 0 ||
		    utimensat(AT_FDCWD, names[i], NULL, 0) == 0)
			return attack_escaped("changed attributes of %s", names[i]);
	return attack_blocked("%zu devices", sizeof(names) / sizeof(names[0]));
}

/* standard output may be the host's file: it must not become a set-user-ID program there */
static enum outcome setuid_stdout(void)
{
	struct stat st;
	int r = fstat(1, &st);

	if (r == 0 && S_ISREG(st.st_mode) && fchmod(1, 04700) == 0) {
		fchmod(1, st.st_mode & 0777);
		return attack_escaped("fchmod of descriptor 1");
	}
	r = chmod("/proc/self/fd/1", 04700);
	if (r < 0)
		return attack_blocked("chmod: %s", strerrorname_np(errno));
	chmod("/proc/self/fd/1", st.st_mode & 0777);
	return attack_escaped("chmod by /proc/self/fd/1");
}

/* ---- the system outside the workspace ---- */

static enum outcome write_system(void)
{
	static const char *const names[] = {"/etc/hosts", "/etc/passwd", "/etc/ld.so.preload",
					    "/usr/bin/agentsh-attack", "/usr/local/bin/git",
					    "/var/spool/cron/root", "/root/.bashrc", "/lib/x", "/x",
					    "/opt/x", "/boot/x", "/etc/profile.d/x.sh"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = open(names[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

		if (fd >= 0)
			return attack_escaped("opened %s for writing", names[i]);
	}
	if (chmod("/etc/hosts", 0666) == 0 || utimensat(AT_FDCWD, "/usr/bin/env", NULL, 0) == 0 ||
	    rename("/usr/bin/env", "/usr/bin/env2") == 0 || unlink("/etc/hostname") == 0 ||
	    mkdir("/usr/x", 0755) == 0)
		return attack_escaped("changed the system");
	return attack_blocked("%zu names", sizeof(names) / sizeof(names[0]));
}

static enum outcome kernel_files(void)
{
	static const char *const names[] = {
		"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/kernel/modprobe",
		"/proc/sys/vm/overcommit_memory", "/proc/sys/fs/binfmt_misc/register",
		"/sys/kernel/uevent_helper", "/sys/power/state", "/proc/kcore", "/proc/kmsg",
		"/sys/kernel/debug/x", "/sys/kernel/security/lockdown", "/proc/sys/kernel/hostname",
		"/sys/module/kernel/parameters/panic", "/proc/1/oom_score_adj", "/proc/1/coredump_filter",
		"/sys/fs/cgroup/cgroup.procs", "/proc/sys/kernel/ns_last_pid", "/proc/sys/user/max_user_namespaces"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = open(names[i], O_WRONLY | O_CLOEXEC);

		struct stat st;

		/* what is masked by /dev/null may be opened: nothing is there */
		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_rdev != makedev(1, 3) && write(fd, "", 0) >= 0)
			return attack_escaped("opened %s for writing", names[i]);
	}
	if (open("/proc/kcore", O_RDONLY | O_CLOEXEC) >= 0)
		return attack_escaped("opened /proc/kcore");
	return attack_blocked("%zu names", sizeof(names) / sizeof(names[0]));
}

static enum outcome cgroup_escape(void)
{
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified",
					    "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids",
					    "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/rdma"};
	static const char *const names[] = {"cgroup.procs", "tasks", "release_agent",
					    "../cgroup.procs", "notify_on_release", "cgroup.kill"};
	char path[128];

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			snprintf(path, sizeof(path), "%s/%s", roots[i], names[k]);
			if (open(path, O_WRONLY | O_CLOEXEC) >= 0)
				return attack_escaped("opened %s for writing", path);
		}
		snprintf(path, sizeof(path), "%s/attack", roots[i]);
		if (mkdir(path, 0755) == 0)
			return attack_escaped("made %s", path);
	}
	return attack_blocked("no control file opens");
}

static enum outcome inherited_fds(void)
{
	char path[64], target[PATH_MAX];

	for (int fd = 3; fd < 1024; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		/* the pipe and the result pipe of this program are its own; a directory or file is not */
		if (n > 0 && (target[n] = '\0', target[0] == '/'))
			return attack_escaped("descriptor %d is %s", fd, target);
	}
	return attack_blocked("none but 0 to 2 and pipes of our own");
}

static enum outcome stdin_directory(void)
{
	struct stat st;

	if (fstat(0, &st) < 0 || !S_ISDIR(st.st_mode))
		return attack_blocked("descriptor 0 is no directory");
	return attack_must_fail("openat of the host's root",
				openat(0, "etc/shadow", O_PATH | O_CLOEXEC));
}

static const struct attack cases[] = {
	CASE("mknod-in-workspace", "EPERM or EACCES", device_in_workspace),
	CASE("mknod-in-tmp", "EPERM", device_in_tmp),
	CASE("setuid-file", "refused or bit dropped", setuid_file),
	CASE("file-capabilities", "EPERM or EACCES", file_capabilities),
	CASE("trusted-xattr", "EPERM or EACCES", trusted_xattr),
	CASE("devices", "not there", device_list),
	CASE("device-attributes", "EROFS or EPERM", device_attributes),
	CASE("setuid-standard-output", "EPERM", setuid_stdout),
	CASE("write-system-files", "EROFS or not there", write_system),
	CASE("write-kernel-files", "refused", kernel_files),
	CASE("cgroup-escape", "refused", cgroup_escape),
	CASE("inherited-descriptors", "none", inherited_fds),
	CASE("stdin-is-a-directory", "refused", stdin_directory),
};

ATTACK_MAIN(cases)
