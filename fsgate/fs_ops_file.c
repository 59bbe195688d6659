/* What was judged when the file was opened needs no judgement here; locks have their own word. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/auto.h"
#include "fsgate/fs_at.h"
#include "fsgate/fs_call.h"
#include "fsgate/fs_file.h"
#include "fsgate/fs_full.h"
#include "fsgate/fs_lock.h"
#include "fsgate/fs_ops_i.h"

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif

void fs_ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct fuse_bufvec buf = FUSE_BUFVEC_INIT(size);
	struct fs_file *f = fs_file_of(fi);

	(void)ino;
	if (f->full) {
		fs_full_read(req, f, size, off);
		return;
	}
	buf.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	buf.buf[0].fd = f->fd;
	buf.buf[0].pos = off;
	fuse_reply_data(req, &buf, FUSE_BUF_SPLICE_MOVE);
}

/*
 * A page of a shared mapping has its place, also when the descriptor the kernel happens to name
 * was opened to append.
 */
static ssize_t write_page(struct fs_file *f, struct fuse_bufvec *in, off_t off)
{
	size_t size = fuse_buf_size(in);
	struct fuse_bufvec flat = FUSE_BUFVEC_INIT(size);
	autofree char *data = malloc(size);
	struct iovec v = {data, size};
	ssize_t n;
	int fd;

	if (!data)
		return -ENOMEM;
	flat.buf[0].mem = data;
	n = fuse_buf_copy(&flat, in, 0);
	if (n < 0)
		return n;
	v.iov_len = (size_t)n;
	n = pwritev2(f->fd, &v, 1, off, RWF_NOAPPEND);
	if (n >= 0 || errno != EOPNOTSUPP)
		return n < 0 ? -errno : n;
	/* Linux before 6.9 */
	fd = fs_at_reopen(f->fd, O_WRONLY);
	if (fd < 0)
		return fd;
	n = pwrite(fd, data, v.iov_len, off);
	n = n < 0 ? -errno : n;
	close(fd);
	return n;
}

void fs_ops_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
		      struct fuse_file_info *fi)
{
	struct fuse_bufvec buf = FUSE_BUFVEC_INIT(fuse_buf_size(in));
	struct fs_file *f = fs_file_of(fi);
	ssize_t n;

	(void)ino;
	if (fs_full_note(req, f, "write", off, fuse_buf_size(in)) < 0) {
		fuse_reply_err(req, EIO);
		return;
	}
	buf.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	buf.buf[0].fd = f->fd;
	buf.buf[0].pos = off;
	n = fi->writepage && f->flags & O_APPEND ? write_page(f, in, off) : fuse_buf_copy(&buf, in, 0);
	if (n < 0) {
		fuse_reply_err(req, (int)-n);
		return;
	}
	atomic_fetch_add(&f->written, (uint64_t)n);
	fuse_reply_write(req, (size_t)n);
}

void fs_ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fs_lock_flush(fuse_req_userdata(req), fs_file_of(fi), fi->lock_owner);
	fuse_reply_err(req, 0);
}

void fs_ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fs_file_close(fuse_req_userdata(req), fs_file_of(fi));
	fuse_reply_err(req, 0);
}

void fs_ops_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	int fd = fs_file_of(fi)->fd;
	int r = datasync ? fdatasync(fd) : fsync(fd);

	(void)ino;
	fuse_reply_err(req, r < 0 ? errno : 0);
}

void fs_ops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		      struct fuse_file_info *fi)
{
	struct fs_file *f = fs_file_of(fi);

	(void)ino;
	if (fs_full_note(req, f, "fallocate", off, (size_t)len) < 0)
		fuse_reply_err(req, EIO);
	else
		fuse_reply_err(req, fallocate(f->fd, mode, off, len) < 0 ? errno : 0);
}

void fs_ops_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	/* SEEK_DATA and SEEK_HOLE; nobody uses the descriptor's own offset */
	off_t at = lseek(fs_file_of(fi)->fd, off, whence);

	(void)ino;
	if (at < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_lseek(req, at);
}

void fs_ops_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
			    struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
			    struct fuse_file_info *fi_out, size_t len, int flags)
{
	struct fs_file *in = fs_file_of(fi_in), *out = fs_file_of(fi_out);
	ssize_t n;

	(void)ino_in;
	(void)ino_out;
	if (fs_full_note(req, in, "read", off_in, len) < 0 ||
	    fs_full_note(req, out, "write", off_out, len) < 0) {
		fuse_reply_err(req, EIO);
		return;
	}
	n = copy_file_range(in->fd, &off_in, out->fd, &off_out, len, (unsigned)flags);
	if (n < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	atomic_fetch_add(&out->written, (uint64_t)n);
	fuse_reply_write(req, (size_t)n);
}

/* ---- locks ---- */

/* Taking a lock is judged by name; only a rule that says no counts, the file is open already. */
static int judge_lock(struct fs_call *c)
{
	int r = fs_call_judge(c, FILE_LOCK, NULL);

	if (r == 0 && c->answer.d.reason == REASON_DEFAULT)
		c->answer.effect = FS_ALLOW;
	return r;
}

static int act_setlk(struct fs_call *c)
{
	struct flock lock;

	memcpy(&lock, c->value, sizeof(lock));
	fs_lock_set(c->req, fs_node_ino(c->fs->tree, c->node), &c->fi, &lock, c->flags);
	return 0;
}

static int act_flock(struct fs_call *c)
{
	fs_lock_flock(c->req, fs_node_ino(c->fs->tree, c->node), &c->fi, c->flags);
	return 0;
}

static const struct fs_kind setlk_kind = {
	.op = "lock",
	.judge = judge_lock,
	.act = act_setlk,
	.steer = FS_STEER_NODE,
	.quiet = true,
};

static const struct fs_kind flock_kind = {
	.op = "lock",
	.judge = judge_lock,
	.act = act_flock,
	.steer = FS_STEER_NODE,
	.quiet = true,
};

static void init_lock(struct fs_call *c, fuse_req_t req, const struct fs_kind *kind, fuse_ino_t ino,
		      const struct fuse_file_info *fi)
{
	fs_call_init(c, req, kind, ino);
	c->fi = *fi;
	c->has_fi = true;
}

void fs_ops_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
	fs_lock_get(req, ino, fi, lock);
}

void fs_ops_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
		  int wait)
{
	struct fs_call c;

	if (lock->l_type == F_UNLCK) {
		fs_lock_set(req, ino, fi, lock, wait);
		return;
	}
	init_lock(&c, req, &setlk_kind, ino, fi);
	c.value = lock;
	c.size = sizeof(*lock);
	c.flags = wait;
	fs_call_run(&c);
}

void fs_ops_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	struct fs_call c;

	if ((op & ~LOCK_NB) == LOCK_UN) {
		fs_lock_flock(req, ino, fi, op);
		return;
	}
	init_lock(&c, req, &flock_kind, ino, fi);
	c.flags = op;
	fs_call_run(&c);
}
