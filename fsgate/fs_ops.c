#include "fsgate/fs_ops.h"

#include <errno.h>

#include "fsgate/fs_ops_i.h"
#include "fsgate/fs_pass.h"

static void init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;

	/*
	 * Requests by read(2), not splice(2): two system calls less for each but large writes.
	 * Replies with data by splice, which moves the backing file's pages.
	 */
	conn->want &= ~(unsigned)FUSE_CAP_SPLICE_READ;
	conn->want |= conn->capable & (FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
				       FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
				       FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_DONT_MASK);
	fs_pass_ask(fs, conn);
	/* not in a user namespace: an ACL that names an unmapped id would be an error there */
	if (fs->gate.is_root)
		conn->want |= conn->capable & FUSE_CAP_POSIX_ACL;
}

/* no bmap, no poll: libfuse says ENOSYS, the kernel "always ready" */
const struct fuse_lowlevel_ops fs_ops = {
	.init = init,
	.lookup = fs_ops_lookup,
	.forget = fs_ops_forget,
	.forget_multi = fs_ops_forget_multi,
	.getattr = fs_ops_getattr,
	.setattr = fs_ops_setattr,
	.readlink = fs_ops_readlink,
	.mknod = fs_ops_mknod,
	.mkdir = fs_ops_mkdir,
	.unlink = fs_ops_unlink,
	.rmdir = fs_ops_rmdir,
	.symlink = fs_ops_symlink,
	.rename = fs_ops_rename,
	.link = fs_ops_link,
	.open = fs_ops_open,
	.create = fs_ops_create,
	.read = fs_ops_read,
	.write_buf = fs_ops_write_buf,
	.flush = fs_ops_flush,
	.release = fs_ops_release,
	.fsync = fs_ops_fsync,
	.opendir = fs_ops_opendir,
	.readdir = fs_ops_readdir,
	.readdirplus = fs_ops_readdirplus,
	.releasedir = fs_ops_releasedir,
	.fsyncdir = fs_ops_fsyncdir,
	.statfs = fs_ops_statfs,
	.setxattr = fs_ops_setxattr,
	.getxattr = fs_ops_getxattr,
	.listxattr = fs_ops_listxattr,
	.removexattr = fs_ops_removexattr,
	.getlk = fs_ops_getlk,
	.setlk = fs_ops_setlk,
	.flock = fs_ops_flock,
	.fallocate = fs_ops_fallocate,
	.copy_file_range = fs_ops_copy_file_range,
	.lseek = fs_ops_lseek,
	.ioctl = fs_ops_ioctl,
};
