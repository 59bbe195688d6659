#include "fsgate/fs_call.h"

#include <errno.h>
#include <string.h>

#include "fsgate/fs_at.h"
#include "fsgate/fs_hold.h"
#include "fsgate/fs_record.h"
#include "fsgate/fs_redirect.h"
#include "fsgate/fs_why.h"

void fs_call_init(struct fs_call *c, fuse_req_t req, const struct fs_kind *kind, fuse_ino_t ino)
{
	memset(c, 0, offsetof(struct fs_call, path));
	c->path[0] = c->to[0] = '\0';
	memset(&c->answer, 0, sizeof(c->answer));
	memset(&c->approval, 0, sizeof(c->approval));
	c->recorded = c->steered = false;
	c->pseq = 0;
	c->kept.token[0] = c->kept.sha256[0] = '\0';
	c->who.pid = 0;
	c->fs = fuse_req_userdata(req);
	c->req = req;
	c->kind = kind;
	c->op = kind->op;
	c->node = fs_node_of(c->fs->tree, ino);
}

const struct fs_who_is *fs_call_who(struct fs_call *c)
{
	if (!c->who.pid)
		fs_who_get(c->fs->who, fuse_req_ctx(c->req)->pid, &c->who);
	return &c->who;
}

int fs_call_judge(struct fs_call *c, enum file_op op, const char *name)
{
	const struct fs_question q = {.op = op, .path = c->path};
	int r = fs_node_path(c->fs->tree, c->node, name, c->path, sizeof(c->path));

	if (r < 0)
		return r;
	fs_decide(&c->answer, c->fs->gate.policy, &q, 1);
	return 0;
}

int fs_call_judge_new(struct fs_call *c, enum file_op op)
{
	struct fs_answer no;
	int r;

	if (c->node == fs_tree_top(c->fs->tree))
		return -EACCES;
	if (!fs_at_is_name(c->name))
		return strlen(c->name) > NAME_MAX ? -ENAMETOOLONG : -EINVAL;
	r = fs_call_judge(c, op, c->name);
	if (r == 0 && op != FILE_MKDIR && c->mode & (S_ISUID | S_ISGID)) {
		/* the host must not find a program that runs as someone else */
		fs_decide_refuse(&no, op, c->path, "fsgate-setid",
				 "set-user-ID and set-group-ID files cannot be made here");
		no.error = EPERM;
		fs_decide_merge(&c->answer, &no);
	}
	return r;
}

void fs_call_refuse(struct fs_call *c, int error)
{
	if (fs_record_wanted(c) && fs_record_call(c, "deny", error) < 0)
		error = EIO;
	fs_why_denied(c, error);
	fuse_reply_err(c->req, error);
}

static bool is_approved(const struct fs_call *c)
{
	return c->approval.given && strcmp(c->path, c->approval.path) == 0 &&
	       strcmp(c->to, c->approval.to) == 0;
}

/* ---- running ---- */

int fs_call_record(struct fs_call *c, int error)
{
	const char *decision = c->kept.token[0] ? "soft_delete"
			       : c->answer.redirect || c->steered ? "redirect" : "allow";

	if (!fs_record_wanted(c))
		return 0;
	c->recorded = true;
	return fs_record_call(c, decision, error) < 0 ? -EIO : 0;
}

/* @return whether the call is over: it was refused, or the kernel has to ask again */
static bool is_steered_away(struct fs_call *c)
{
	int r = c->answer.redirect || c->steered ? fs_redirect_before(c) : 0;

	if (r == 0)
		return false;
	if (r == -ESTALE)
		fuse_reply_err(c->req, ESTALE);
	else
		fs_call_refuse(c, -r);
	return true;
}

static void act(struct fs_call *c)
{
	int r;

	if (is_steered_away(c))
		return;
	r = c->kind->late ? 0 : fs_call_record(c, 0);
	if (r == 0)
		r = c->kind->act(c);
	else
		c->recorded = false;
	if (r == 0)
		return;
	/* it was announced and did not happen */
	if (c->recorded && !c->kind->late)
		fs_record_call(c, "", -r);
	fuse_reply_err(c->req, -r);
}

/*
 * What is hidden is not there. But who makes a name that may not be has to be told: "there is no
 * such file" would be about the directory.
 */
static int hidden_error(const struct fs_call *c)
{
	const unsigned making = 1u << FILE_CREATE | 1u << FILE_MKDIR | 1u << FILE_MKNOD |
				1u << FILE_SYMLINK;
	bool new_name = c->node2 && c->answer.path == c->to;

	return new_name || making & 1u << c->answer.op ? EACCES : ENOENT;
}

static void run(struct fs_call *c)
{
	int r = c->kind->judge(c);

	if (r < 0) {
		fuse_reply_err(c->req, -r);
		return;
	}
	switch (c->answer.effect) {
	case FS_ALLOW:
	case FS_RECORD:
	case FS_KEEP:
	case FS_REDIRECT:
		act(c);
		return;
	case FS_HOLD:
		if (is_approved(c))
			act(c);
		else
			fs_hold(c);
		return;
	case FS_HIDE:
		fs_call_refuse(c, hidden_error(c));
		return;
	case FS_DENY:
		fs_call_refuse(c, c->answer.error ? c->answer.error : EACCES);
		return;
	}
}

void fs_call_run(struct fs_call *c)
{
	pthread_rwlock_t *names = c->kind->names == FS_NAMES_NONE ? NULL : &c->fs->names;

	if (names && c->kind->names == FS_NAMES_OWN)
		pthread_rwlock_wrlock(names);
	else if (names)
		pthread_rwlock_rdlock(names);
	run(c);
	if (names)
		pthread_rwlock_unlock(names);
}
