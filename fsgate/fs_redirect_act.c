#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file_copy.h"
#include "fsgate/fs_at.h"
#include "fsgate/fs_cred_setup.h"
#include "fsgate/fs_entry.h"
#include "fsgate/fs_redirect_i.h"

/* ---- making targets ---- */

static int as_caller(struct fs_call *c)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(c->req);

	return fs_cred_as(c->fs->gate.is_root, ctx->uid, ctx->gid, ctx->umask);
}

/* The directory of the target, its parents made. @return descriptor or -errno */
static int target_dir(struct fs_call *c, const struct fs_redirect_target *t, const char **last)
{
	int r = as_caller(c);

	return r < 0 ? r : fs_redirect_i_walk(t->rule->dir, t->rel, 0777, last);
}

int fs_redirect_make(struct fs_call *c, int flags)
{
	struct fs_redirect_target t;
	const char *last;
	int dir, fd;

	if (!fs_redirect_i_find(c->fs, c->path, &t))
		return -EACCES;
	dir = target_dir(c, &t, &last);
	if (dir < 0)
		return dir;
	fd = fs_at_open(dir, last, flags | O_CREAT | O_EXCL, c->mode);
	close(dir);
	if (fd >= 0)
		fs_redirect_i_remember(c->fs, c->path);
	return fd;
}

int fs_redirect_mkdir(struct fs_call *c)
{
	struct fs_redirect_target t;
	const char *last;
	int dir, r;

	if (!fs_redirect_i_find(c->fs, c->path, &t) || !t.rule->preserve)
		return -EACCES;
	dir = target_dir(c, &t, &last);
	if (dir < 0)
		return dir;
	r = mkdirat(dir, last, c->mode & 01777) < 0 ? -errno : 0;
	close(dir);
	if (r == 0)
		fs_redirect_i_remember(c->fs, c->path);
	return r;
}

int fs_redirect_entry(struct fs_call *c)
{
	return fs_entry_see(c->fs, c->node, c->name, &c->entry);
}

static int copy_from(struct fs_call *c, int to)
{
	struct fs_pin pin;
	struct stat st;
	int from, r = fs_node_pin(c->fs->tree, c->node, &pin);

	if (r < 0)
		return r;
	from = fs_at_reopen(pin.fd, O_RDONLY);
	fs_node_unpin(c->fs->tree, &pin);
	if (from < 0)
		return from;
	r = fstat(from, &st) < 0 ? -errno : 0;
	if (r == 0 && !(c->has_fi && c->fi.flags & O_TRUNC))
		r = file_copy(to, from, FILE_COPY_ALL);
	if (r == 0)
		r = trash_copy_attr(from, to, &st);
	close(from);
	return r;
}

/* What the governed tree has is the target's first content; whole before it has its name. */
static int copy_up(struct fs_call *c, const struct fs_redirect_target *t)
{
	char part[64];
	const char *last;
	int dir, fd, r;

	if (fs_node_type(c->node) != S_IFREG)
		return -EACCES;
	dir = target_dir(c, t, &last);
	if (dir < 0)
		return dir;
	snprintf(part, sizeof(part), ".agentsh-copy.%p", (void *)c->node);
	fd = fs_at_open(dir, part, O_RDWR | O_CREAT | O_EXCL, 0600);
	r = fd < 0 ? fd : copy_from(c, fd);
	if (fd >= 0)
		close(fd);
	if (r == 0 && renameat2(dir, part, dir, last, RENAME_NOREPLACE) < 0 && errno != EEXIST)
		r = -errno;
	if (fd >= 0)
		unlinkat(dir, part, 0); /* only there when it did not get its name */
	close(dir);
	return r;
}

/* ---- may it be done ---- */

static int refuse(struct fs_call *c, int error, const char *message)
{
	const enum file_op op = c->answer.op;

	fs_decide_refuse(&c->answer, op, c->path, "fsgate-redirect", message);
	c->answer.error = error;
	return -error;
}

static int before_node(struct fs_call *c)
{
	struct fs_redirect_target t;
	int r;

	if (!fs_redirect_i_find(c->fs, c->path, &t))
		return refuse(c, EACCES, "only creating and writing can be redirected");
	if (!c->to[0])
		fs_redirect_i_show(&t, c->to, sizeof(c->to));
	if (fs_node_is_elsewhere(c->node))
		return 0;
	c->op = "copy_up";
	r = fs_call_record(c, 0);
	if (r == 0)
		r = copy_up(c, &t);
	return r < 0 ? refuse(c, -r, "the file cannot be copied to where it is redirected")
		     : -ESTALE;
}

int fs_redirect_before(struct fs_call *c)
{
	struct fs_redirect_target t;

	switch (c->kind->steer) {
	case FS_STEER_NODE:
		return before_node(c);
	case FS_STEER_NAME:
		if (c->node2 && c->steered)
			return 0;
		if (c->node2)
			return refuse(c, EXDEV, "the rule redirects changes: copy the file");
		if (!fs_redirect_i_find(c->fs, c->path, &t))
			return refuse(c, EACCES, "only creating and writing can be redirected");
		if (!c->to[0])
			fs_redirect_i_show(&t, c->to, sizeof(c->to));
		return 0;
	case FS_STEER_NEVER:
		break;
	}
	return refuse(c, EACCES, "this cannot be done with a redirected name");
}

/* ---- names that go or change ---- */

static bool is_elsewhere(struct fs_call *c, struct fs_node *dir, const char *name)
{
	struct fs_node *n = fs_node_find(c->fs->tree, dir, name);
	bool yes = n && fs_node_is_elsewhere(n);

	fs_node_put(c->fs->tree, n);
	return yes;
}

static bool is_below(struct fs_call *c, struct fs_node *dir, const char *name)
{
	struct fs_pin pin;
	struct stat st;
	bool yes = true;

	if (fs_node_is_elsewhere(dir)) /* its entries are the target's */
		return false;
	if (fs_node_pin(c->fs->tree, dir, &pin) == 0) {
		yes = fs_at_stat(pin.fd, name, &st) != -ENOENT;
		fs_node_unpin(c->fs->tree, &pin);
	}
	return yes;
}

void fs_redirect_judge_gone(struct fs_call *c, enum file_op op)
{
	if (!c->fs->redirects || c->answer.effect == FS_DENY || c->answer.effect == FS_HIDE)
		return;
	if (!is_elsewhere(c, c->node, c->name)) {
		if (c->answer.redirect)
			refuse(c, EACCES, "the rule redirects changes: what was there before them "
					  "stays");
		return;
	}
	c->steered = true;
	if (c->answer.effect == FS_KEEP)
		refuse(c, EACCES, "a redirected file cannot be kept in the trash");
	else if (is_below(c, c->node, c->name))
		refuse(c, EACCES, "the rule redirects changes: the file that was there before them "
				  "stays");
	c->answer.op = op;
}

int fs_redirect_unlink(struct fs_call *c, int flags)
{
	struct fs_redirect_target t;
	const char *last;
	int dir, r;

	if (!fs_redirect_i_find(c->fs, c->path, &t))
		return -EACCES;
	dir = fs_redirect_i_walk(t.rule->dir, t.rel, 0, &last);
	if (dir < 0)
		return dir;
	r = unlinkat(dir, last, flags) < 0 ? -errno : 0;
	close(dir);
	return r;
}

bool fs_redirect_judge_pair(struct fs_call *c, const struct fs_move *m, bool from_is_steered)
{
	struct fs_move move = *m;
	const struct fs_redirect_rule *a, *b;

	if (!c->fs->redirects)
		return false;
	a = from_is_steered ? fs_redirect_i_rule(c->fs, c->path) : NULL;
	b = fs_redirect_i_rule(c->fs, c->to);
	if (!from_is_steered && !b)
		return false;
	move.replaces = fs_redirect_i_has(c->fs, c->to);
	fs_decide_move(&c->answer, c->fs->gate.policy, &move);
	if (c->answer.effect == FS_DENY || c->answer.effect == FS_HIDE)
		return true;
	if (m->op == FILE_RENAME && a && a == b && !a->file && !(c->flags & RENAME_EXCHANGE)) {
		c->steered = true;
		return true;
	}
	refuse(c, EXDEV, "one of the names is redirected to another place: copy the file");
	return true;
}

int fs_redirect_rename(struct fs_call *c)
{
	struct fs_redirect_target a, b;
	const char *from, *to;
	autoclose int x = -1, y = -1;

	if (!fs_redirect_i_find(c->fs, c->path, &a) || !fs_redirect_i_find(c->fs, c->to, &b))
		return -EACCES;
	x = fs_redirect_i_walk(a.rule->dir, a.rel, 0, &from);
	y = x < 0 ? x : target_dir(c, &b, &to);
	if (y < 0)
		return y;
	if (renameat2(x, from, y, to, (unsigned)c->flags) < 0)
		return -errno;
	fs_redirect_i_remember(c->fs, c->to);
	return 0;
}
