#include "fsgate/fs_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/ipc.h"
#include "fsgate/fs_place_setup.h"

#define DEV "/dev/fuse"

enum { MSG_MOUNTED = 1, MSG_FAILED };

static int open_dev(struct err *e)
{
	int fd = open(DEV, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case EACCES:
	case EPERM:
		return err_say(e, EACCES, "cannot open " DEV ": permission denied; run: chmod 666 " DEV
					  " (as root), or load the udev rule of the fuse3 package");
	case ENOENT:
		return err_say(e, ENOENT, DEV " is missing; run: modprobe fuse (as root), or give "
					  "the container the device (--device " DEV ")");
	case ENODEV:
	case ENXIO:
		return err_say(e, ENODEV, "the kernel has no FUSE; run: modprobe fuse (as root)");
	default:
		return err_set(e, errno, "open " DEV);
	}
}

struct option {
	const char *key;
	const char *value; /* NULL: a flag */
};

/* What the kernel says about a refused option, when it says something. */
static int refused(int fs, int code, const char *what, struct err *e)
{
	char text[256];
	ssize_t n = read(fs, text, sizeof(text) - 1);

	if (n <= 0)
		return err_set(e, code, "mount fuse: %s", what);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return err_set(e, code, "mount fuse: %s: %s", what, text);
}

static int configure(int fs, const struct option *o, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		unsigned cmd = o[i].value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

		if (fsconfig(fs, cmd, o[i].key, o[i].value, 0) < 0)
			return refused(fs, errno, o[i].key, e);
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return refused(fs, errno, "create", e);
	return 0;
}

static int mount_here(struct fs_mount *out, const struct fs_setup_args *args, struct err *e)
{
	autoclose int dev = open_dev(e), fs = -1;
	char fd[16], uid[16], gid[16];
	const struct option options[] = {
		{"source", args->source}, {"subtype", "agentsh"}, {"fd", fd},
		{"rootmode", "40000"}, {"user_id", uid},       {"group_id", gid},
		{"default_permissions", NULL}, {"allow_other", NULL},
	};
	/*
	 * With allow_other a mount of a child user namespace is closed to who is outside of it, and
	 * execgate is: it must open what it judges. Without, whoever has the mount's ids may enter
	 * (fuse_allow_current_process()); an ordinary user's sandbox has no other ids.
	 */
	size_t n_options = ARRAY_LEN(options) - (args->is_root ? 0 : 1);
	int r;

	if (dev < 0)
		return dev;
	snprintf(fd, sizeof(fd), "%d", dev);
	snprintf(uid, sizeof(uid), "%u", args->uid);
	snprintf(gid, sizeof(gid), "%u", args->gid);
	fs = fsopen("fuse", FSOPEN_CLOEXEC);
	if (fs < 0)
		return err_set(e, errno, "open a fuse file system");
	r = configure(fs, options, n_options, e);
	if (r < 0)
		return r;
	out->mount = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				     (args->read_only ? MOUNT_ATTR_RDONLY : 0));
	if (out->mount < 0)
		return err_set(e, errno, "mount fuse");
	out->dev = steal_fd(&dev);
	return 0;
}

static int mount_inside(struct fs_mount *out, const struct fs_setup_args *args, struct err *e)
{
	if (setns(args->pidfd, CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return err_set(e, errno, "enter the sandbox's user and mount namespaces");
	return mount_here(out, args, e);
}

static void child(int sock, const struct fs_setup_args *args)
{
	struct ipc_msg *m = malloc(sizeof(*m));
	struct fs_mount out = {-1, -1};
	struct err e = ERR_INIT;

	if (!m)
		_exit(1);
	if (mount_inside(&out, args, &e) == 0) {
		ipc_begin(m, MSG_MOUNTED, 0);
		ipc_put_fd(m, out.dev);
		ipc_put_fd(m, out.mount);
	} else {
		ipc_begin(m, MSG_FAILED, 0);
		ipc_put_u32(m, (uint32_t)e.code);
		ipc_put_str(m, e.text);
	}
	_exit(ipc_send(sock, m) < 0);
}

static int receive(struct fs_mount *out, int sock, struct err *e)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));

	if (!m)
		return err_set(e, ENOMEM, "mount fuse");
	if (ipc_recv(sock, m) != 1)
		return err_say(e, EIO, "mount fuse: the set-up process died");
	if (m->type == MSG_FAILED) {
		int code = (int)ipc_get_u32(m);

		ipc_drop(m);
		return err_say(e, code, "%s", ipc_get_str(m));
	}
	out->dev = ipc_take_fd(m, 0);
	out->mount = ipc_take_fd(m, 1);
	ipc_drop(m);
	return out->dev < 0 || out->mount < 0 ? err_say(e, EBADMSG, "mount fuse: no mount") : 0;
}

static int mount_by_child(struct fs_mount *out, const struct fs_setup_args *args, struct err *e)
{
	int pair[2], r;
	pid_t pid;

	if (ipc_pair(pair) < 0)
		return err_set(e, errno, "socket pair");
	pid = fork();
	if (pid == 0)
		child(pair[1], args);
	close(pair[1]);
	r = pid < 0 ? err_set(e, errno, "fork") : receive(out, pair[0], e);
	close(pair[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return r;
}

int fs_setup_mount(struct fs_mount *out, const struct fs_setup_args *args, struct err *e)
{
	out->dev = out->mount = -1;
	if (args->at && !args->is_root) {
		out->dev = fs_place_user(args, e);
		return out->dev < 0 ? out->dev : 0;
	}
	return args->is_root ? mount_here(out, args, e) : mount_by_child(out, args, e);
}
