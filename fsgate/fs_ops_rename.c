/*
 * Theory: the move is judged for both names, for what it replaces, and, when a directory moves, for
 * every name below it. Nothing else may add names meanwhile (fs.names), or something could be put
 * where the check has just been. The host is not held off by that: a target that appears after the
 * check is never replaced unseen (RENAME_NOREPLACE), the judgement starts again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsgate/fs_at.h"
#include "fsgate/fs_call.h"
#include "fsgate/fs_cred_setup.h"
#include "fsgate/fs_ops_i.h"
#include "fsgate/fs_redirect.h"
#include "fsgate/fs_trash.h"
#include "fsgate/fs_undo.h"
#include "fsgate/fs_walk.h"

/* Both directories, pinned. */
struct ends {
	struct fs_pin from, to;
};

static int open_ends(struct fs_call *c, struct ends *e)
{
	int r = fs_node_pin(c->fs->tree, c->node, &e->from);

	if (r < 0)
		return r;
	r = fs_node_pin(c->fs->tree, c->node2, &e->to);
	if (r < 0)
		fs_node_unpin(c->fs->tree, &e->from);
	return r;
}

static void close_ends(struct fs_call *c, struct ends *e)
{
	fs_node_unpin(c->fs->tree, &e->from);
	fs_node_unpin(c->fs->tree, &e->to);
}

static bool is_override(struct fs_call *c, struct fs_node *dir, const char *name)
{
	struct fs_node *n = fs_node_find(c->fs->tree, dir, name);
	bool yes = n && fs_node_is_override(n);

	fs_node_put(c->fs->tree, n);
	return yes;
}

static int check(struct fs_call *c)
{
	struct fs_tree *t = c->fs->tree;
	int r;

	if (c->node == fs_tree_top(t) || c->node2 == fs_tree_top(t))
		return -EACCES;
	if (c->flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT) ||
	    (c->flags & (RENAME_NOREPLACE | RENAME_WHITEOUT) && c->flags & RENAME_EXCHANGE))
		return -EINVAL;
	if (!fs_at_is_name(c->name) || !fs_at_is_name(c->name2))
		return strlen(c->name2) > NAME_MAX ? -ENAMETOOLONG : -EINVAL;
	if (is_override(c, c->node, c->name) || is_override(c, c->node2, c->name2))
		return -EROFS;
	r = fs_node_path(t, c->node, c->name, c->path, sizeof(c->path));
	return r < 0 ? r : fs_node_path(t, c->node2, c->name2, c->to, sizeof(c->to));
}

/* The names below a directory that gets the name to. */
static int judge_below(struct fs_call *c, int dirfd, const char *name, const char *from,
		       const char *to)
{
	int fd = fs_at_open(dirfd, name, O_PATH, 0);

	if (fd < 0)
		return fd;
	fs_walk_move(c, fd, from, to);
	close(fd);
	return 0;
}

static bool is_open_question(const struct fs_call *c)
{
	return c->answer.effect != FS_DENY && c->answer.effect != FS_HIDE;
}

/* What would go: the file of the new name; or the old name leaves what a rule keeps. */
static void doomed(struct fs_call *c, const struct ends *e, enum trash_why why, struct fs_doomed *d)
{
	bool replaced = why == TRASH_REPLACE;

	*d = (struct fs_doomed){
		.dirfd = replaced ? e->to.fd : e->from.fd,
		.name = replaced ? c->name2 : c->name,
		.path = replaced ? c->to : c->path,
		.why = why,
	};
}

/* mv(1) copies and deletes when it gets EXDEV: then each file is kept. */
static void refuse_leaving(struct fs_call *c, const char *path)
{
	struct fs_answer no;

	fs_decide_refuse(&no, FILE_RENAME, path, "fsgate-keep",
			 "what is deleted here is kept: copy it, and delete the original");
	no.error = EXDEV;
	fs_decide_merge(&c->answer, &no);
}

static void plan_keeping(struct fs_call *c, const struct ends *e, const struct fs_move *m,
			 mode_t type)
{
	const struct fs *fs = c->fs;
	struct fs_doomed d;

	if (c->flags & RENAME_EXCHANGE) {
		if (fs_trash_leaves(fs, m->from, m->to))
			refuse_leaving(c, c->path);
		else if (fs_trash_leaves(fs, m->to, m->from))
			refuse_leaving(c, c->to);
		return;
	}
	if (m->replaces &&
	    fs_trash_holds(fs, m->replaces_dir ? FILE_RMDIR : FILE_DELETE, m->to))
		doomed(c, e, TRASH_REPLACE, &d);
	else if (!S_ISDIR(type) && fs_trash_leaves(fs, m->from, m->to))
		doomed(c, e, TRASH_RENAME, &d);
	else
		return;
	fs_trash_plan(c, &d);
}

static int judge_ends(struct fs_call *c, struct ends *e)
{
	const struct policy *p = c->fs->gate.policy;
	bool exchange = c->flags & RENAME_EXCHANGE;
	struct fs_move there = {.from = c->path, .to = c->to, .op = FILE_RENAME};
	const struct fs_move back = {.from = c->to, .to = c->path, .op = FILE_RENAME};
	struct stat st, target;
	struct fs_answer a;
	int r = fs_at_stat(e->from.fd, c->name, &st);
	bool exists;

	if (r < 0)
		return r;
	r = fs_at_stat(e->to.fd, c->name2, &target);
	if (r < 0 && r != -ENOENT)
		return r;
	exists = r == 0;
	if (exchange && !exists)
		return -ENOENT;
	if (exists && c->flags & RENAME_NOREPLACE)
		return -EEXIST;
	there.replaces = exists && !exchange;
	there.replaces_dir = there.replaces && S_ISDIR(target.st_mode);
	c->rdev = exists; /* act must find it so */
	fs_decide_move(&c->answer, p, &there);
	if (c->flags & RENAME_WHITEOUT) { /* it leaves a node (of no device) behind */
		const struct fs_question left = {.op = FILE_MKNOD, .path = c->path};

		fs_decide(&a, p, &left, 1);
		fs_decide_merge(&c->answer, &a);
	}
	if (exchange) {
		fs_decide_move(&a, p, &back);
		fs_decide_merge(&c->answer, &a);
	}
	r = 0;
	plan_keeping(c, e, &there, st.st_mode);
	if (S_ISDIR(st.st_mode) && is_open_question(c))
		r = judge_below(c, e->from.fd, c->name, c->path, c->to);
	if (r == 0 && exchange && S_ISDIR(target.st_mode) && is_open_question(c))
		r = judge_below(c, e->to.fd, c->name2, c->to, c->path);
	return r;
}

static bool is_elsewhere(struct fs_call *c)
{
	struct fs_node *n = fs_node_find(c->fs->tree, c->node, c->name);
	bool yes = n && fs_node_is_elsewhere(n);

	fs_node_put(c->fs->tree, n);
	return yes;
}

static int judge_rename(struct fs_call *c)
{
	const struct fs_move m = {.from = c->path, .to = c->to, .op = FILE_RENAME};
	struct ends e;
	int r = check(c);

	if (r == 0 && fs_redirect_judge_pair(c, &m, is_elsewhere(c)))
		return 0;
	if (r == 0)
		r = open_ends(c, &e);
	if (r < 0)
		return r;
	r = judge_ends(c, &e);
	close_ends(c, &e);
	return r;
}

static int rename_backing(struct fs_call *c, struct ends *e)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(c->req);
	bool exists = c->rdev;
	unsigned flags = (unsigned)c->flags;
	int r = 0;

	if (flags & RENAME_WHITEOUT) /* it is the caller's */
		r = fs_cred_as(c->fs->gate.is_root, ctx->uid, ctx->gid, ctx->umask);
	if (r < 0)
		return r;

	if (!exists)
		flags |= RENAME_NOREPLACE;
	if (renameat2(e->from.fd, c->name, e->to.fd, c->name2, flags) == 0)
		return 0;
	/* a file system without the flag: the check a moment ago has to do */
	if (errno == EINVAL && !exists && !c->flags)
		return renameat(e->from.fd, c->name, e->to.fd, c->name2) < 0 ? -errno : 0;
	/* ESTALE: the kernel looks both names up again and asks anew */
	return errno == EEXIST && !c->flags ? -ESTALE : -errno;
}

/* @param alone  written: nobody can reach the replaced file any more */
static int rename_keeping(struct fs_call *c, struct ends *e, bool *alone)
{
	struct fs_doomed d;
	int r;

	*alone = false;
	if (c->steered)
		return fs_redirect_rename(c);
	if (!c->kept.token[0])
		return rename_backing(c, e);
	doomed(c, e, c->kept.why, &d);
	if (c->kept.why == TRASH_REPLACE)
		return fs_trash_replace(c, e->from.fd, c->name, &d, alone);
	r = fs_trash_copy(c, &d);
	return r < 0 ? r : rename_backing(c, e);
}

static int act_rename(struct fs_call *c)
{
	struct fs_undo_op op = FS_UNDO_OP;
	struct fs_tree *t = c->fs->tree;
	struct ends e;
	bool alone;
	int fd = -1, r = open_ends(c, &e);

	if (r < 0)
		return r;
	if (c->rdev && !(c->flags & RENAME_EXCHANGE)) {
		struct fs_node *n = fs_node_find(t, c->node2, c->name2);

		if (n) /* who has the replaced file open goes on using it */
			fd = fs_at_open(e.to.fd, c->name2, O_PATH, 0);
		fs_node_put(t, n);
	}
	alone = false;
	r = c->steered ? 0 : fs_undo_rename(&op, c, e.from.fd, e.to.fd);
	if (r == 0)
		r = rename_keeping(c, &e, &alone);
	fs_undo_end(&op, c, r, NULL);
	close_ends(c, &e);
	if (alone && fd >= 0) /* it is in the store now: no way to it may be left */
		close(steal_fd(&fd));
	if (r == 0 && c->flags & RENAME_EXCHANGE) {
		fs_node_swapped(t, c->node, c->name, c->node2, c->name2);
	} else if (r == 0) {
		fs_node_moved(t, c->node, c->name, c->node2, c->name2, fd);
		fd = -1;
	}
	if (fd >= 0)
		close(fd);
	if (r == 0)
		fuse_reply_err(c->req, 0);
	return r;
}

static const struct fs_kind rename_kind = {
	.steer = FS_STEER_NAME,
	.op = "rename",
	.judge = judge_rename,
	.act = act_rename,
	.names = FS_NAMES_OWN,
	.changes = true,
};

/* A file's move needs no more than the other changes of names. */
static const struct fs_kind rename_file_kind = {
	.steer = FS_STEER_NAME,
	.op = "rename",
	.judge = judge_rename,
	.act = act_rename,
	.names = FS_NAMES_SHARE,
	.changes = true,
};

static bool is_known_file(struct fs *fs, struct fs_node *dir, const char *name)
{
	struct fs_node *n = fs_node_find(fs->tree, dir, name);
	bool yes = n && fs_node_type(n) != S_IFDIR;

	fs_node_put(fs->tree, n);
	return yes;
}

void fs_ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		   const char *new_name, unsigned flags)
{
	struct fs *fs = fuse_req_userdata(req);
	const struct fs_kind *kind = &rename_kind;
	struct fs_call c;

	if (!(flags & RENAME_EXCHANGE) && is_known_file(fs, fs_node_of(fs->tree, parent), name))
		kind = &rename_file_kind;
	fs_call_init(&c, req, kind, parent);
	c.node2 = fs_node_of(fs->tree, new_parent);
	c.name = name;
	c.name2 = new_name;
	c.flags = (int)flags;
	fs_call_run(&c);
}
