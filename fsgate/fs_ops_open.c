/*
 * Theory: a file is opened before the record of it is made, without any effect on it (no
 * O_TRUNC, no O_CREAT), so that the record can say how it went and the hard links can be looked at;
 * the truncation and the reply follow the record. A missing file is made after its record, always
 * with O_EXCL: what appeared in the meantime is judged as the existing file that it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fsgate/fs_at.h"
#include "fsgate/fs_call.h"
#include "fsgate/fs_cred_setup.h"
#include "fsgate/fs_entry.h"
#include "fsgate/fs_file.h"
#include "fsgate/fs_full.h"
#include "fsgate/fs_ops_i.h"
#include "fsgate/fs_pass.h"
#include "fsgate/fs_record.h"
#include "fsgate/fs_redirect.h"
#include "fsgate/fs_trash.h"
#include "fsgate/fs_tmpfile.h"
#include "fsgate/fs_undo.h"
#include "fsgate/fs_walk.h"
#include "fsgate/fs_watch.h"
#include "fsgate/fs_why.h"

#define EXEC_FLAG 0x20 /* __FMODE_EXEC: the kernel opens a program to run it */
/* what is done here, or is between the caller and the kernel */
#define NOT_BACKING (O_TRUNC | O_CREAT | O_EXCL | O_DIRECT | O_NOFOLLOW | O_NONBLOCK)
/*
 * A file of at most so many bytes is read through the kernel's cache: one READ when it is opened
 * first, none later, where passthrough costs two calls of ours for each open.
 */
#define SMALL 65536

static int judge_open(struct fs_call *c)
{
	int access = c->fi.flags & O_ACCMODE;
	struct fs_question q[4];
	size_t n = 0;
	int r = fs_node_path(c->fs->tree, c->node, NULL, c->path, sizeof(c->path));

	if (r < 0)
		return r;
	if (c->fi.flags & EXEC_FLAG)
		q[n++] = (struct fs_question){.op = FILE_EXEC, .path = c->path};
	if (access != O_WRONLY) {
		q[n] = (struct fs_question){.op = FILE_READ, .path = c->path, .minor = n > 0};
		n++;
		q[n++] = (struct fs_question){.op = FILE_OPEN, .path = c->path, .minor = true};
	}
	if (access != O_RDONLY || c->fi.flags & O_TRUNC)
		q[n++] = (struct fs_question){.op = FILE_WRITE, .path = c->path};
	fs_decide(&c->answer, c->fs->gate.policy, q, n);
	return c->fi.flags & O_TRUNC ? fs_trash_plan_cut(c, 0) : 0;
}

/* The descriptor of exactly this node's file. */
static int open_backing(struct fs *fs, struct fs_node *n, int flags, struct stat *st)
{
	int fd = -ESTALE, again = flags & ~NOT_BACKING;

	for (int tries = 0; tries < 2; tries++) {
		struct fs_where w;
		int r = fs_node_where(fs->tree, n, &w);

		if (r < 0)
			return r;
		fd = w.self ? fs_at_reopen(w.at.fd, again) : fs_at_open(w.at.fd, w.name, again, 0);
		fs_node_unpin(fs->tree, &w.at);
		if (fd == -ELOOP || fd == -ENXIO) /* a link or a fifo has taken its place */
			fd = -ESTALE;
		if (fd < 0)
			continue;
		if (fstat(fd, st) == 0 && fs_node_accept(fs->tree, n, st))
			return fd;
		close(fd);
		fd = -ESTALE;
	}
	return fd == -ENOENT ? -ESTALE : fd;
}

static bool writes(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
}

static int truncate_open(int fd, int flags)
{
	int other;

	if ((flags & O_ACCMODE) != O_RDONLY)
		return ftruncate(fd, 0) < 0 ? -errno : 0;
	other = fs_at_reopen(fd, O_WRONLY | O_TRUNC);
	if (other < 0)
		return other;
	close(other);
	return 0;
}

/* May the kernel go on using the pages and the size that it has? */
static void tell_caches(struct fs_call *c, const struct stat *st)
{
	struct fs_tree *t = c->fs->tree;

	c->fi.keep_cache = fs_node_stamp(t, c->node, FS_STAMP_DATA, st) && !fs_file_is_fresh(st);
	/* only attributes: pages are dropped by the open itself, when they are not kept */
	if (!fs_node_stamp(t, c->node, FS_STAMP_ATTR, st))
		fuse_lowlevel_notify_inval_inode(c->fs->se, fs_node_ino(t, c->node), -1, 0);
}

/* Shall the kernel read and write by itself? */
static bool wants_pass(const struct fs_call *c, off_t size)
{
	return (c->fi.flags & O_ACCMODE) != O_RDONLY || size > SMALL;
}

/* What the kernel is told about a file that is opened: how, with what handle. fd is consumed. */
struct opening {
	struct fs_node *node;
	int fd;
	int32_t id; /* of the backing, or 0 */
	bool full;  /* fs_full.h */
	struct stat st;
};

static void enter(struct fs_call *c, struct opening *o)
{
	o->full = fs_full_wanted(c);
	if (o->full) { /* each read and write is to be seen here */
		c->fi.direct_io = 1;
		c->passes = false;
		return;
	}
	o->id = fs_pass_enter(c->fs, o->node, o->fd, wants_pass(c, o->st.st_size));
	c->passes = o->id != 0;
}

static void leave(struct fs_call *c, struct opening *o)
{
	if (!o->full)
		fs_pass_leave(c->fs, o->node, o->id != 0);
	close(o->fd);
}

/* @return the file or NULL */
static struct fs_file *make_handle(struct fs_call *c, struct opening *o)
{
	struct fs_file *f = fs_file_new(c->fs, o->node, o->fd, c->fi.flags, &o->st);
	bool reads = (c->fi.flags & O_ACCMODE) == O_RDONLY;

	c->fi.fh = (uintptr_t)f;
	if (!f) {
		if (!o->full)
			fs_pass_leave(c->fs, o->node, o->id != 0);
		return NULL;
	}
	f->full = o->full;
	f->unlogged = c->answer.effect == FS_ALLOW && c->answer.unlogged;
	f->passed = o->id != 0;
	f->who = *fs_call_who(c);
	f->rule = c->answer.d.rule;
	/*
	 * Flush is for the locks of writers (fs_lock.h). What is unpacked, checked out or copied is
	 * made with O_EXCL to be written, and no place for locks: a round less for each file.
	 */
	c->fi.noflush = reads || ((c->fi.flags & O_EXCL) && (c->fi.flags & O_ACCMODE) == O_WRONLY);
	if (f->passed) {
		c->fi.keep_cache = 0;
		if (!reads)
			fs_node_unstamp(c->fs->tree, o->node, FS_STAMP_DATA);
	}
	return f;
}

/* What the policy and the record let happen. The file is entered. */
static int finish_open(struct fs_call *c, struct opening *o)
{
	struct fs_file *f;
	int r = fs_call_record(c, 0);

	/* whoever keeps what files were does it here: nothing is changed yet */
	if (r == 0 && writes(c->fi.flags))
		r = fs_undo_data(c, o->fd, &o->st);
	if (r == 0 && c->fi.flags & O_TRUNC)
		r = fs_trash_cut(c);
	if (r == 0 && c->fi.flags & O_TRUNC)
		r = truncate_open(o->fd, c->fi.flags);
	if (r < 0) {
		if (c->recorded)
			fs_record_call(c, "", -r);
		leave(c, o);
		return r;
	}
	if (!(c->fi.flags & O_TRUNC))
		tell_caches(c, &o->st);
	f = make_handle(c, o);
	if (!f)
		return -ENOMEM;
	if (fs_pass_reply_open(c->req, &c->fi, o->id) == -ENOENT)
		fs_file_close(c->fs, f);
	return 0;
}

static int act_open(struct fs_call *c)
{
	struct opening o = {.node = c->node};
	int r;

	if (fs_node_is_override(c->node) && writes(c->fi.flags))
		return -EROFS;
	o.fd = open_backing(c->fs, c->node, c->fi.flags, &o.st);
	if (o.fd < 0) {
		r = fs_call_record(c, -o.fd);
		return r < 0 ? r : o.fd;
	}
	/* what is written would appear by its other names, too */
	if (writes(c->fi.flags) && fs_walk_refuse_links(c, &o.st)) {
		close(o.fd);
		if (fs_record_wanted(c) && fs_record_call(c, "deny", EACCES) < 0)
			return -EIO;
		fs_why_denied(c, EACCES);
		return -EACCES;
	}
	enter(c, &o);
	return finish_open(c, &o);
}

static const struct fs_kind open_kind = {
	.steer = FS_STEER_NODE,
	.op = "open",
	.judge = judge_open,
	.act = act_open,
	.late = true,
};

void fs_ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs_call c;

	fs_call_init(&c, req, &open_kind, ino);
	c.fi = *fi;
	c.has_fi = true;
	fs_call_run(&c);
}

/* ---- create ---- */

static int judge_create(struct fs_call *c)
{
	if (fs_tmpfile_is(c))
		return fs_tmpfile_judge(c);
	return fs_call_judge_new(c, FILE_CREATE);
}

static int make_file(struct fs_call *c)
{
	struct fs_undo_op op = FS_UNDO_OP;
	struct stat st;
	const struct fuse_ctx *ctx = fuse_req_ctx(c->req);
	int flags = (c->fi.flags & ~(O_DIRECT | O_TRUNC)) | O_CREAT | O_EXCL;
	struct fs_pin dir;
	int r;

	if (c->answer.redirect && !fs_tmpfile_is(c))
		return fs_redirect_make(c, flags);
	r = fs_cred_as(c->fs->gate.is_root, ctx->uid, ctx->gid, ctx->umask);
	if (r < 0)
		return r;
	r = fs_node_pin(c->fs->tree, c->node, &dir);
	if (r < 0)
		return r;
	if (fs_tmpfile_is(c)) { /* nothing that undo could find: the name that it gets is told */
		r = fs_tmpfile_make(c, dir.fd);
		fs_node_unpin(c->fs->tree, &dir);
		return r;
	}
	r = fs_undo_add(&op, c, c->node, dir.fd, c->name);
	if (r == 0)
		r = fs_at_open(dir.fd, c->name, flags, c->mode);
	fs_node_unpin(c->fs->tree, &dir);
	fs_undo_end(&op, c, r < 0 ? r : 0, r >= 0 && fstat(r, &st) == 0 ? &st : NULL);
	return r;
}

static int reply_created(struct fs_call *c, int fd)
{
	struct opening o = {.fd = fd};
	struct fs_file *f;
	uint64_t since;
	int r;

	fs_node_free_name(c->fs->tree, c->node, c->name);
	fs_watch_dir(c->fs, c->node, -1);
	since = fs_spot_changes(c->fs->tree);
	if (fstat(fd, &o.st) < 0) {
		close(fd);
		return -EIO;
	}
	r = fs_tmpfile_is(c)	 ? fs_tmpfile_entry(c, fd, &o.st)
	    : c->answer.redirect ? fs_redirect_entry(c)
				 : fs_entry_from(c->fs, c->node, c->name, &o.st, since, &c->entry);
	if (r < 0) {
		close(fd);
		return r;
	}
	o.node = fs_node_of(c->fs->tree, c->entry.ino);
	enter(c, &o);
	f = make_handle(c, &o);
	if (!f) {
		fs_entry_unsee(c->fs, &c->entry);
		return -ENOMEM;
	}
	if (fs_pass_reply_create(c->req, &c->entry, &c->fi, o.id) == -ENOENT) {
		fs_file_close(c->fs, f);
		fs_entry_unsee(c->fs, &c->entry);
	}
	return 0;
}

/* The kernel believed the name free. What has it now is looked up and opened as any other file:
 * ESTALE makes the kernel do that. */
static int act_create(struct fs_call *c)
{
	int fd, r;

	c->passes = wants_pass(c, 0) && !fs_full_wanted(c) &&
		    fs_pass_works(c->fs, fs_node_dev(c->node));
	r = fs_call_record(c, 0);
	if (r < 0)
		return r;
	fd = make_file(c);
	if (fd == -EEXIST && !(c->fi.flags & O_EXCL))
		fd = -ESTALE;
	if (fd >= 0)
		return reply_created(c, fd);
	if (c->recorded)
		fs_record_call(c, "", -fd);
	return fd;
}

static const struct fs_kind create_kind = {
	.steer = FS_STEER_NAME,
	.op = "create",
	.judge = judge_create,
	.act = act_create,
	.names = FS_NAMES_SHARE,
	.changes = true,
	.late = true,
};

void fs_ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *fi)
{
	struct fs_call c;

	fs_call_init(&c, req, &create_kind, parent);
	c.name = strcmp(name, "/") == 0 ? FS_TMPFILE_SHOWN : name;
	c.mode = mode;
	c.fi = *fi;
	c.has_fi = true;
	fs_call_run(&c);
}
