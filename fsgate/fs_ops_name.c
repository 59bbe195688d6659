#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsgate/fs_at.h"
#include "fsgate/fs_call.h"
#include "fsgate/fs_cred_setup.h"
#include "fsgate/fs_entry.h"
#include "fsgate/fs_ops_i.h"
#include "fsgate/fs_redirect.h"
#include "fsgate/fs_tmpfile.h"
#include "fsgate/fs_trash.h"
#include "fsgate/fs_undo.h"

/* ---- new names ---- */

/* The directory of the call, pinned, and this thread acting as the caller. */
static int enter(struct fs_call *c, struct fs_pin *dir)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(c->req);
	int r = fs_cred_as(c->fs->gate.is_root, ctx->uid, ctx->gid, ctx->umask);

	return r < 0 ? r : fs_node_pin(c->fs->tree, c->node, dir);
}

/*
 * What was just made as name in dir. When the host has put something else there already, the kernel,
 * told of that, would say EIO; it looks again after ESTALE, and finds that the name is taken.
 */
static int see_new(struct fs_call *c, struct fs_node *dir, mode_t type)
{
	int r = fs_entry_see(c->fs, dir, c->name, &c->entry);

	if (r == 0 && (c->entry.attr.st_mode ^ type) & S_IFMT) {
		fs_entry_unsee(c->fs, &c->entry);
		return -ESTALE;
	}
	return r;
}

static int reply_new(struct fs_call *c)
{
	mode_t type = c->text ? S_IFLNK : c->mode & S_IFMT;
	/* of a directory the kernel gives the permissions alone */
	int r;

	fs_node_free_name(c->fs->tree, c->node, c->name);
	r = see_new(c, c->node, type ? type : S_IFDIR);
	return r < 0 ? r : fs_entry_reply(c->fs, c->req, &c->entry);
}

/* The name was made in dir (or r says why not): undo is told, the kernel gets its reply. */
static int made(struct fs_call *c, struct fs_undo_op *op, struct fs_pin *dir, int r)
{
	struct stat st;

	if (op->id)
		fs_undo_end(op, c, r, r == 0 && fs_at_stat(dir->fd, c->name, &st) == 0 ? &st : NULL);
	fs_node_unpin(c->fs->tree, dir);
	return r < 0 ? r : reply_new(c);
}

static int judge_mknod(struct fs_call *c)
{
	int r;

	c->op = S_ISREG(c->mode) ? "create" : "mknod";
	r = fs_call_judge_new(c, S_ISREG(c->mode) ? FILE_CREATE : FILE_MKNOD);
	if (r == 0 && !S_ISREG(c->mode) && !S_ISFIFO(c->mode) && !S_ISSOCK(c->mode) &&
	    !(S_ISCHR(c->mode) && c->rdev == 0)) { /* a whiteout is no device: mknod(2) */
		fs_decide_refuse(&c->answer, FILE_MKNOD, c->path, "fsgate-device",
				 "device nodes cannot be made here");
		c->answer.error = EPERM;
	}
	return r;
}

static int make_elsewhere(struct fs_call *c)
{
	int fd = S_ISREG(c->mode) ? fs_redirect_make(c, O_WRONLY) : -EACCES;

	if (fd < 0)
		return fd;
	close(fd);
	return reply_new(c);
}

static int act_mknod(struct fs_call *c)
{
	struct fs_undo_op op = FS_UNDO_OP;
	struct fs_pin dir;
	int r;

	if (c->answer.redirect)
		return make_elsewhere(c);
	r = enter(c, &dir);
	if (r < 0)
		return r;
	r = fs_undo_add(&op, c, c->node, dir.fd, c->name);
	if (r == 0)
		r = mknodat(dir.fd, c->name, c->mode, 0) < 0 ? -errno : 0;
	return made(c, &op, &dir, r);
}

static const struct fs_kind mknod_kind = {
	.steer = FS_STEER_NAME,
	.op = "mknod",
	.judge = judge_mknod,
	.act = act_mknod,
	.names = FS_NAMES_SHARE,
	.changes = true,
};

void fs_ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct fs_call c;

	fs_call_init(&c, req, &mknod_kind, parent);
	c.name = name;
	c.mode = mode;
	c.rdev = rdev;
	fs_call_run(&c);
}

static int judge_mkdir(struct fs_call *c)
{
	return fs_call_judge_new(c, FILE_MKDIR);
}

static int act_mkdir(struct fs_call *c)
{
	struct fs_undo_op op = FS_UNDO_OP;
	struct fs_pin dir;
	int r = c->answer.redirect ? fs_redirect_mkdir(c) : enter(c, &dir);

	if (r < 0)
		return r;
	if (c->answer.redirect)
		return reply_new(c);
	r = fs_undo_add(&op, c, c->node, dir.fd, c->name);
	if (r == 0)
		r = mkdirat(dir.fd, c->name, c->mode & 01777) < 0 ? -errno : 0;
	return made(c, &op, &dir, r);
}

static const struct fs_kind mkdir_kind = {
	.steer = FS_STEER_NAME,
	.op = "mkdir",
	.judge = judge_mkdir,
	.act = act_mkdir,
	.names = FS_NAMES_SHARE,
	.changes = true,
};

void fs_ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fs_call c;

	fs_call_init(&c, req, &mkdir_kind, parent);
	c.name = name;
	c.mode = mode;
	fs_call_run(&c);
}

static int judge_symlink(struct fs_call *c)
{
	/* the target is text: whoever walks it is judged where it leads */
	snprintf(c->to, sizeof(c->to), "%s", c->text);
	return fs_call_judge_new(c, FILE_SYMLINK);
}

static int act_symlink(struct fs_call *c)
{
	struct fs_undo_op op = FS_UNDO_OP;
	struct fs_pin dir;
	int r = enter(c, &dir);

	if (r < 0)
		return r;
	r = fs_undo_add(&op, c, c->node, dir.fd, c->name);
	if (r == 0)
		r = symlinkat(c->text, dir.fd, c->name) < 0 ? -errno : 0;
	return made(c, &op, &dir, r);
}

static const struct fs_kind symlink_kind = {
	.op = "symlink",
	.judge = judge_symlink,
	.act = act_symlink,
	.names = FS_NAMES_SHARE,
	.changes = true,
};

void fs_ops_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct fs_call c;

	fs_call_init(&c, req, &symlink_kind, parent);
	c.name = name;
	c.text = target;
	fs_call_run(&c);
}

/* ---- link: node2/name becomes another name of node ---- */

static int judge_link(struct fs_call *c)
{
	const struct fs_move m = {.from = c->path, .to = c->to, .op = FILE_LINK};
	struct fs_tree *t = c->fs->tree;
	int r;

	if (c->node2 == fs_tree_top(t))
		return -EACCES;
	if (fs_node_is_override(c->node))
		return -EROFS;
	if (!fs_at_is_name(c->name))
		return -EINVAL;
	r = fs_node_path(t, c->node, NULL, c->path, sizeof(c->path));
	if (r == 0)
		r = fs_node_path(t, c->node2, c->name, c->to, sizeof(c->to));
	if (r == 0 && fs_node_is_nameless(c->node) && fs_tmpfile_judge_name(c))
		return 0;
	if (r == 0 && !fs_redirect_judge_pair(c, &m, fs_node_is_elsewhere(c->node)))
		fs_decide_move(&c->answer, c->fs->gate.policy, &m);
	return r;
}

static int act_link(struct fs_call *c)
{
	struct fs_undo_op op = FS_UNDO_OP;
	struct fs_tree *t = c->fs->tree;
	struct fs_pin file, dir;
	struct fs_at_proc p = {""};
	struct stat st;
	bool inside;
	nlink_t links;
	int r = fs_node_pin(t, c->node, &file);

	if (r < 0)
		return r;
	r = fs_node_pin(t, c->node2, &dir);
	if (r < 0) {
		fs_node_unpin(t, &file);
		return r;
	}
	inside = fstat(file.fd, &st) == 0;
	links = inside ? st.st_nlink - fs_undo_links(c->fs, &st) : 0;
	inside = links == 1 || (inside && fs_node_fact(t, c->node, FS_LINKS_INSIDE, links));
	/* by way of /proc, because AT_EMPTY_PATH wants a capability (link(2)) */
	r = fs_undo_add(&op, c, c->node2, dir.fd, c->name);
	if (r == 0 &&
	    linkat(AT_FDCWD, fs_at_proc_path(&p, file.fd), dir.fd, c->name, AT_SYMLINK_FOLLOW) < 0)
		r = -errno;
	st.st_nlink++; /* it was there before: not made by this */
	fs_undo_end(&op, c, r, &st);
	fs_node_unpin(t, &dir);
	fs_node_unpin(t, &file);
	if (r == 0)
		r = see_new(c, c->node2, fs_node_type(c->node));
	if (r < 0)
		return r;
	if (inside) {
		fs_node_set_fact(t, c->node, FS_LINKS_INSIDE, c->entry.attr.st_nlink);
		fs_node_set_fact(t, fs_node_of(t, c->entry.ino), FS_LINKS_INSIDE,
				 c->entry.attr.st_nlink);
	}
	/* the old name's link count, too, has changed */
	fuse_lowlevel_notify_inval_inode(c->fs->se, fs_node_ino(t, c->node), -1, 0);
	return fs_entry_reply(c->fs, c->req, &c->entry);
}

static const struct fs_kind link_kind = {
	.steer = FS_STEER_NAME,
	.op = "link",
	.judge = judge_link,
	.act = act_link,
	.names = FS_NAMES_SHARE,
	.changes = true,
};

void fs_ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct fs_call c;

	fs_call_init(&c, req, &link_kind, ino);
	c.node2 = fs_node_of(c.fs->tree, parent);
	c.name = name;
	fs_call_run(&c);
}

/* ---- names that go ---- */

static void doomed(struct fs_call *c, const struct fs_pin *dir, struct fs_doomed *d)
{
	*d = (struct fs_doomed){
		.dirfd = dir->fd, .name = c->name, .path = c->path, .why = TRASH_DELETE};
}

static int plan_keeping(struct fs_call *c)
{
	struct fs_doomed d;
	struct fs_pin dir;
	int r = fs_node_pin(c->fs->tree, c->node, &dir);

	if (r < 0)
		return r;
	doomed(c, &dir, &d);
	fs_trash_plan(c, &d);
	fs_node_unpin(c->fs->tree, &dir);
	return 0;
}

static int judge_gone(struct fs_call *c, enum file_op op)
{
	struct fs_tree *t = c->fs->tree;
	struct fs_node *n;
	bool fixed;
	int r;

	if (c->node == fs_tree_top(t))
		return -EACCES;
	if (!fs_at_is_name(c->name))
		return -EINVAL;
	n = fs_node_find(t, c->node, c->name);
	fixed = n && fs_node_is_override(n);
	fs_node_put(t, n);
	r = fixed ? -EROFS : fs_call_judge(c, op, c->name);
	if (r == 0)
		fs_redirect_judge_gone(c, op);
	return r == 0 && c->answer.effect == FS_KEEP ? plan_keeping(c) : r;
}

/* @param alone  written: nobody can reach the file any more */
static int unlink_backing(struct fs_call *c, const struct fs_pin *dir, int flags, bool *alone)
{
	struct fs_doomed d;

	*alone = false;
	if (c->steered)
		return fs_redirect_unlink(c, flags);
	if (!c->kept.token[0])
		return unlinkat(dir->fd, c->name, flags) < 0 ? -errno : 0;
	doomed(c, dir, &d);
	return fs_trash_unlink(c, &d, flags, alone);
}

static int remove_name(struct fs_call *c, int flags)
{
	struct fs_tree *t = c->fs->tree;
	struct fs_node *n = fs_node_find(t, c->node, c->name);
	struct fs_undo_op op = FS_UNDO_OP;
	struct fs_pin dir;
	int fd = -1, r = fs_node_pin(t, c->node, &dir);
	bool alone;

	if (r < 0) {
		fs_node_put(t, n);
		return r;
	}
	/* who has the file open or stands in the directory goes on using it without a name */
	if (n)
		fd = fs_at_open(dir.fd, c->name, O_PATH, 0);
	alone = false;
	r = c->steered ? 0 : fs_undo_remove(&op, c, dir.fd, flags);
	if (r == 0)
		r = unlink_backing(c, &dir, flags, &alone);
	if (r > 0)
		r = 0;
	fs_undo_end(&op, c, r, NULL);
	fs_node_unpin(t, &dir);
	if (alone && fd >= 0) /* it is in the store now: no way to it may be left */
		close(steal_fd(&fd));
	if (r == 0 && n)
		fs_node_detach(t, n, fd);
	else if (fd >= 0)
		close(fd);
	fs_node_put(t, n);
	if (r == 0)
		fuse_reply_err(c->req, 0);
	return r;
}

static int judge_unlink(struct fs_call *c)
{
	return judge_gone(c, FILE_DELETE);
}

static int act_unlink(struct fs_call *c)
{
	return remove_name(c, 0);
}

static const struct fs_kind unlink_kind = {
	.steer = FS_STEER_NAME,
	.op = "delete",
	.judge = judge_unlink,
	.act = act_unlink,
	.names = FS_NAMES_SHARE,
	.changes = true,
};

void fs_ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs_call c;

	fs_call_init(&c, req, &unlink_kind, parent);
	c.name = name;
	fs_call_run(&c);
}

static int judge_rmdir(struct fs_call *c)
{
	return judge_gone(c, FILE_RMDIR);
}

static int act_rmdir(struct fs_call *c)
{
	return remove_name(c, AT_REMOVEDIR);
}

static const struct fs_kind rmdir_kind = {
	.steer = FS_STEER_NAME,
	.op = "rmdir",
	.judge = judge_rmdir,
	.act = act_rmdir,
	.names = FS_NAMES_SHARE,
	.changes = true,
};

void fs_ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs_call c;

	fs_call_init(&c, req, &rmdir_kind, parent);
	c.name = name;
	fs_call_run(&c);
}
