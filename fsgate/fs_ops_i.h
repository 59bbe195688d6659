/*
 * fs_ops_i.h - the operations, by the file that has them (contracts: fuse_lowlevel.h)
 */
#ifndef FSGATE_FS_OPS_I_H
#define FSGATE_FS_OPS_I_H

#include "fsgate/fs.h"

/* fs_ops_dir.c */
void fs_ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups);
void fs_ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void fs_ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);
void fs_ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			struct fuse_file_info *fi);
void fs_ops_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_ops_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

/* fs_ops_open.c */
void fs_ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *fi);

/* fs_ops_file.c */
void fs_ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 struct fuse_file_info *fi);
void fs_ops_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
		      struct fuse_file_info *fi);
void fs_ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_ops_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void fs_ops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		      struct fuse_file_info *fi);
void fs_ops_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		  struct fuse_file_info *fi);
void fs_ops_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
			    struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
			    struct fuse_file_info *fi_out, size_t len, int flags);
void fs_ops_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock);
void fs_ops_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
		  int wait);
void fs_ops_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op);

/* fs_ops_name.c */
void fs_ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void fs_ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void fs_ops_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void fs_ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void fs_ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);

/* fs_ops_rename.c */
void fs_ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		   const char *new_name, unsigned flags);

/* fs_ops_ioctl.c */
void fs_ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg,
		  struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
		  size_t out_size);

/* fs_ops_attr.c */
void fs_ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		    struct fuse_file_info *fi);
void fs_ops_readlink(fuse_req_t req, fuse_ino_t ino);
void fs_ops_statfs(fuse_req_t req, fuse_ino_t ino);
void fs_ops_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		     size_t size, int flags);
void fs_ops_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void fs_ops_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void fs_ops_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif
