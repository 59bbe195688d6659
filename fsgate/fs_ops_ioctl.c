/*
 * ioctl(2): a short list. What concerns every file alike (FIONREAD, FIGETBSZ, FIEMAP, FICLONE and its
 * kin) the kernel answers before we are asked; what is not listed is ENOTTY, as on a file system that
 * does not have it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fsgate/fs_at.h"
#include "fsgate/fs_call.h"
#include "fsgate/fs_ops_i.h"

/* Flags that say how a file is stored or backed up; the others change what may be done with it, and
 * want a capability (chattr(1)). */
#define HARMLESS                                                                                   \
	((unsigned)FS_NODUMP_FL | FS_NOATIME_FL | FS_SYNC_FL | FS_DIRSYNC_FL | FS_COMPR_FL |       \
	 FS_NOCOMP_FL | FS_NOCOW_FL | FS_UNRM_FL | FS_SECRM_FL | FS_TOPDIR_FL)

/* The file again, for reading: the handle may be a directory's, or for writing only. */
static int open_node(struct fs_call *c)
{
	struct fs_pin pin;
	int fd, r = fs_node_pin(c->fs->tree, c->node, &pin);

	if (r < 0)
		return r;
	fd = fs_at_reopen(pin.fd, O_RDONLY);
	fs_node_unpin(c->fs->tree, &pin);
	return fd;
}

/* Looking at the file, as stat(2) is. The kernel asks for both before it changes flags. */
static void get(fuse_req_t req, fuse_ino_t ino, const struct fs_kind *kind, unsigned cmd)
{
	struct fsxattr buf = {0};
	/* flags are an int, whatever the number says */
	size_t size = cmd == (unsigned)FS_IOC_FSGETXATTR ? sizeof(buf) : sizeof(int);
	struct fs_call c;
	int fd;

	fs_call_init(&c, req, kind, ino);
	fd = open_node(&c);
	if (fd < 0) {
		fuse_reply_err(req, -fd);
		return;
	}
	if (ioctl(fd, cmd, &buf) < 0)
		fuse_reply_err(req, errno == EOPNOTSUPP ? ENOTTY : errno);
	else
		fuse_reply_ioctl(req, 0, &buf, size);
	close(fd);
}

static int judge_set(struct fs_call *c)
{
	if (fs_node_is_override(c->node))
		return -EROFS;
	return fs_call_judge(c, FILE_CHMOD, NULL);
}

static int act_set(struct fs_call *c)
{
	int fd = open_node(c), now = 0, r = 0;

	if (fd < 0)
		return fd;
	if (ioctl(fd, FS_IOC_GETFLAGS, &now) < 0)
		r = errno == EOPNOTSUPP ? -ENOTTY : -errno;
	else if ((unsigned)(now ^ c->flags) & ~HARMLESS)
		r = -EPERM;
	else if (ioctl(fd, FS_IOC_SETFLAGS, &c->flags) < 0)
		r = -errno;
	close(fd);
	if (r == 0)
		fuse_reply_ioctl(c->req, 0, NULL, 0);
	return r;
}

static const struct fs_kind set_kind = {
	.steer = FS_STEER_NODE,
	.op = "setflags",
	.judge = judge_set,
	.act = act_set,
	.changes = true,
};

void fs_ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg,
		  struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
		  size_t out_size)
{
	struct fs *fs = fuse_req_userdata(req);
	struct fs_call c;

	(void)arg;
	(void)flags;
	if (fs_node_of(fs->tree, ino) == fs_tree_top(fs->tree)) {
		fuse_reply_err(req, ENOTTY);
	} else if ((cmd == (unsigned)FS_IOC_GETFLAGS && out_size >= sizeof(int)) ||
		   (cmd == (unsigned)FS_IOC_FSGETXATTR && out_size >= sizeof(struct fsxattr))) {
		get(req, ino, &set_kind, cmd);
	} else if (cmd == (unsigned)FS_IOC_SETFLAGS && in_size >= sizeof(int)) {
		fs_call_init(&c, req, &set_kind, ino);
		memcpy(&c.flags, in, sizeof(c.flags));
		c.fi = *fi;
		fs_call_run(&c);
	} else {
		fuse_reply_err(req, ENOTTY);
	}
}
