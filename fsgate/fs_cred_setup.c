#include "fsgate/fs_cred_setup.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What this thread is now; saves the system calls when nothing changes. */
static _Thread_local struct {
	bool own_fs; /* cwd and umask are not shared with the other threads */
	mode_t mask;
	uid_t uid;
	gid_t gid;
} self;

/*
 * Leaving fsuid 0 takes the file capabilities out of the effective set (capabilities(7)). They are
 * wanted back: the kernel has checked the caller, including groups that we do not have.
 */
static int raise_caps(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		return -errno;
	for (unsigned i = 0; i < 2; i++)
		d[i].effective = d[i].permitted;
	return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

static int set_owner(uid_t uid, gid_t gid)
{
	if (self.gid != gid) {
		syscall(SYS_setfsgid, gid);
		if ((gid_t)syscall(SYS_setfsgid, (gid_t)-1) != gid)
			return -EPERM;
		self.gid = gid;
	}
	if (self.uid != uid) {
		syscall(SYS_setfsuid, uid);
		if ((uid_t)syscall(SYS_setfsuid, (uid_t)-1) != uid)
			return -EPERM;
		self.uid = uid;
		return raise_caps();
	}
	return 0;
}

int fs_cred_as(bool is_root, uid_t uid, gid_t gid, mode_t mask)
{
	if (!self.own_fs) {
		if (unshare(CLONE_FS) < 0)
			return -errno;
		self.own_fs = true;
		self.mask = (mode_t)-1;
	}
	if (self.mask != (mask & 0777)) {
		self.mask = mask & 0777;
		umask(self.mask);
	}
	return is_root ? set_owner(uid, gid) : 0;
}
