#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/str.h"
#include "fsgate/fs_at.h"
#include "fsgate/fs_call.h"
#include "fsgate/fs_conf.h"
#include "fsgate/fs_entry.h"
#include "fsgate/fs_file.h"
#include "fsgate/fs_ops_i.h"
#include "fsgate/fs_trash.h"
#include "fsgate/fs_undo.h"
#include "fsgate/fs_walk.h"
#include "fsgate/fs_watch.h"

/* ---- looking ---- */

static int reply_attr(struct fs *fs, fuse_req_t req, struct fs_node *n, struct stat *st,
		      double timeout)
{
	fs_node_stamp(fs->tree, n, FS_STAMP_ATTR, st);
	fs_conf_show(fs, st);
	fuse_reply_attr(req, st, timeout);
	return 0;
}

void fs_ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	struct fs_node *n = fs_node_of(fs->tree, ino);
	struct stat st;
	uint64_t since;
	int r;

	if (n != fs_tree_top(fs->tree))
		fs_watch_dir(fs, n, -1);
	since = fs_spot_changes(fs->tree);
	if (fi)
		r = fstat(fs_file_of(fi)->fd, &st) < 0 ? -errno : 0;
	else
		r = fs_entry_stat(fs, n, &st);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply_attr(fs, req, n, &st, fs_entry_attr_timeout(fs, n, &st, since));
}

static int judge_readlink(struct fs_call *c)
{
	return fs_call_judge(c, FILE_READLINK, NULL);
}

static int act_readlink(struct fs_call *c)
{
	char target[PATH_MAX + 1];
	struct fs_pin pin;
	ssize_t n;
	int r = fs_node_pin(c->fs->tree, c->node, &pin);

	if (r < 0)
		return r;
	n = readlinkat(pin.fd, "", target, sizeof(target) - 1);
	r = n < 0 ? -errno : 0;
	fs_node_unpin(c->fs->tree, &pin);
	if (r < 0)
		return r;
	target[n] = '\0';
	fuse_reply_readlink(c->req, target);
	return 0;
}

static const struct fs_kind readlink_kind = {
	.op = "readlink",
	.judge = judge_readlink,
	.act = act_readlink,
	.quiet = true,
	.repetitive = true,
};

void fs_ops_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct fs_call c;

	fs_call_init(&c, req, &readlink_kind, ino);
	fs_call_run(&c);
}

void fs_ops_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct fs *fs = fuse_req_userdata(req);
	struct statvfs st = {.f_namemax = NAME_MAX, .f_bsize = 4096, .f_frsize = 4096};
	struct fs_node *n = fs_node_of(fs->tree, ino);
	struct fs_pin pin;
	int r = 0;

	if (n != fs_tree_top(fs->tree)) {
		r = fs_node_pin(fs->tree, n, &pin);
		if (r == 0) {
			r = fstatvfs(pin.fd, &st) < 0 ? -errno : 0;
			fs_node_unpin(fs->tree, &pin);
		}
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_statfs(req, &st);
}

/* ---- setattr ---- */

#define SET_OWNER (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)
#define SET_TIMES                                                                                  \
	(FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |                     \
	 FUSE_SET_ATTR_MTIME_NOW)

#define SET_ANY (FUSE_SET_ATTR_SIZE | SET_OWNER | FUSE_SET_ATTR_MODE | SET_TIMES)
/* not in the protocol: chown(-1, -1), which comes without any bit and renews the ctime */
#define SET_CTIME (1 << 30)

static const struct {
	int bits;
	enum file_op op;
	const char *name;
} set_ops[] = {
	{FUSE_SET_ATTR_SIZE, FILE_WRITE, "truncate"},
	{SET_OWNER | SET_CTIME, FILE_CHOWN, "chown"},
	{FUSE_SET_ATTR_MODE, FILE_CHMOD, "chmod"},
	{SET_TIMES, FILE_UTIME, "utime"},
};

static bool is_open_write(const struct fs_call *c)
{
	return c->has_fi && (fs_file_of(&c->fi)->flags & O_ACCMODE) != O_RDONLY;
}

/* What no rule can allow, because of what the file is now. */
static int refuse_by_state(struct fs_call *c)
{
	mode_t special = c->flags & FUSE_SET_ATTR_MODE ? c->attr.st_mode & (S_ISUID | S_ISGID) : 0;
	bool size = c->flags & FUSE_SET_ATTR_SIZE && !is_open_write(c);
	struct fs_answer no;
	struct stat st;
	int r;

	if (S_ISDIR(fs_node_type(c->node)) || (!special && !size))
		return 0;
	r = fs_entry_stat(c->fs, c->node, &st);
	if (r < 0)
		return r;
	if (special & ~st.st_mode) {
		fs_decide_refuse(&no, FILE_CHMOD, c->path, "fsgate-setid",
				 "set-user-ID and set-group-ID bits cannot be given here");
		no.error = EPERM;
		fs_decide_merge(&c->answer, &no);
	}
	if (size)
		fs_walk_refuse_links(c, &st);
	return 0;
}

static int judge_setattr(struct fs_call *c)
{
	struct fs_question q[ARRAY_LEN(set_ops)];
	size_t n = 0;
	int r = fs_node_path(c->fs->tree, c->node, NULL, c->path, sizeof(c->path));

	if (r < 0)
		return r;
	if (fs_node_is_override(c->node))
		return -EROFS;
	for (size_t i = 0; i < ARRAY_LEN(set_ops); i++) {
		bool size = set_ops[i].bits == FUSE_SET_ATTR_SIZE;

		if (!(c->flags & set_ops[i].bits))
			continue;
		if (n == 0)
			c->op = set_ops[i].name;
		/* through a descriptor that may write: judged when it was opened */
		if (!size || !is_open_write(c))
			q[n++] = (struct fs_question){.op = set_ops[i].op, .path = c->path};
	}
	if (n > 0) {
		fs_decide(&c->answer, c->fs->gate.policy, q, n);
	} else {
		c->answer.effect = FS_ALLOW;
		c->answer.d.verdict = VERDICT_ALLOW;
		c->answer.d.rule = c->has_fi ? fs_file_of(&c->fi)->rule : "";
	}
	r = refuse_by_state(c);
	return r == 0 && c->flags & FUSE_SET_ATTR_SIZE ? fs_trash_plan_cut(c, c->attr.st_size) : r;
}

static int set_mode(struct fs_call *c, int fd)
{
	struct fs_at_proc p = {""};

	return chmod(fs_at_proc_path(&p, fd), c->attr.st_mode & 07777) < 0 ? -errno : 0;
}

static int set_owner(struct fs_call *c, int fd)
{
	uid_t uid = c->flags & FUSE_SET_ATTR_UID ? c->attr.st_uid : (uid_t)-1;
	gid_t gid = c->flags & FUSE_SET_ATTR_GID ? c->attr.st_gid : (gid_t)-1;

	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_size(struct fs_call *c, int fd)
{
	struct fs_at_proc p = {""};

	if (is_open_write(c))
		return ftruncate(fs_file_of(&c->fi)->fd, c->attr.st_size) < 0 ? -errno : 0;
	return truncate(fs_at_proc_path(&p, fd), c->attr.st_size) < 0 ? -errno : 0;
}

static int set_times(struct fs_call *c, int fd)
{
	struct timespec t[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};

	if (c->flags & FUSE_SET_ATTR_ATIME_NOW)
		t[0].tv_nsec = UTIME_NOW;
	else if (c->flags & FUSE_SET_ATTR_ATIME)
		t[0] = c->attr.st_atim;
	if (c->flags & FUSE_SET_ATTR_MTIME_NOW)
		t[1].tv_nsec = UTIME_NOW;
	else if (c->flags & FUSE_SET_ATTR_MTIME)
		t[1] = c->attr.st_mtim;
	return utimensat(fd, "", t, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* A file that is open for writing was kept when it was opened. */
static int keep_before(struct fs_call *c, int fd)
{
	struct stat st;
	int r = 0;

	if (c->flags & FUSE_SET_ATTR_SIZE && !is_open_write(c))
		r = fstat(fd, &st) < 0 ? -errno : fs_undo_data(c, fd, &st);
	if (r == 0 && c->flags & (SET_OWNER | FUSE_SET_ATTR_MODE | SET_TIMES))
		r = fs_undo_attr(c, fd, false);
	return r;
}

static int set_all(struct fs_call *c, int fd)
{
	int r = keep_before(c, fd);

	if (r == 0 && c->flags & (SET_OWNER | SET_CTIME))
		r = set_owner(c, fd);
	if (r == 0 && c->flags & FUSE_SET_ATTR_MODE)
		r = set_mode(c, fd);
	if (r == 0 && c->flags & FUSE_SET_ATTR_SIZE)
		r = set_size(c, fd);
	if (r == 0 && c->flags & SET_TIMES)
		r = set_times(c, fd);
	return r;
}

static int act_setattr(struct fs_call *c)
{
	bool is_link = S_ISLNK(fs_node_type(c->node));
	struct stat st, before;
	struct fs_pin pin;
	int r = fs_trash_cut(c);

	if (r == 0)
		r = fs_node_pin_open(c->fs->tree, c->node, &pin);
	if (r < 0)
		return r;
	is_link = is_link && fstat(pin.fd, &before) == 0;
	r = set_all(c, pin.fd);
	if (r == 0)
		r = fstat(pin.fd, &st) < 0 ? -errno : 0;
	if (r == 0 && is_link)
		fs_node_touched(c->fs->tree, c->node, &before, &st);
	fs_node_unpin(c->fs->tree, &pin);
	/* the kernel believes this answer whatever it was told meanwhile (fs_watch.c): for no time */
	return r < 0 ? r : reply_attr(c->fs, c->req, c->node, &st, 0);
}

static const struct fs_kind setattr_kind = {
	.steer = FS_STEER_NODE,
	.op = "setattr",
	.judge = judge_setattr,
	.act = act_setattr,
	.changes = true,
};

void fs_ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		    struct fuse_file_info *fi)
{
	struct fs_call c;

	fs_call_init(&c, req, &setattr_kind, ino);
	if (c.node == fs_tree_top(c.fs->tree)) {
		fuse_reply_err(req, EACCES);
		return;
	}
	c.attr = *attr;
	c.flags = to_set & SET_ANY ? to_set : SET_CTIME;
	if (fi)
		c.fi = *fi;
	c.has_fi = fi != NULL;
	fs_call_run(&c);
}

/* ---- extended attributes ---- */

static int judge_xattr(struct fs_call *c)
{
	if (fs_node_is_override(c->node))
		return -EROFS;
	return fs_call_judge(c, FILE_XATTR, NULL);
}

/* Reading them is looking at the file, as stat(2) is: "ls -l" asks for its ACL. */
static int judge_get_xattr(struct fs_call *c)
{
	int r;

	c->answer.effect = FS_ALLOW;
	if (fs_node_is_fixed(c->node) || fs_node_fact(c->fs->tree, c->node, FS_STAT_ALLOWED, 0))
		return 0;
	r = fs_node_path(c->fs->tree, c->node, NULL, c->path, sizeof(c->path));
	if (r == 0)
		fs_decide_look(&c->answer, c->fs->gate.policy, c->path,
			       S_ISDIR(fs_node_type(c->node)));
	return r;
}

/* A path of the node's file for the calls that have no other way; the pin must stay. */
static int pin_path(struct fs_call *c, struct fs_pin *pin, struct fs_at_proc *p)
{
	int r = fs_node_pin(c->fs->tree, c->node, pin);

	if (r == 0)
		fs_at_proc_path(p, pin->fd);
	return r;
}

static int act_set_xattr(struct fs_call *c)
{
	struct fs_at_proc p = {""};
	struct fs_pin pin;
	int r = pin_path(c, &pin, &p);

	if (r < 0)
		return r;
	r = fs_undo_attr(c, pin.fd, true);
	if (r < 0) {
		fs_node_unpin(c->fs->tree, &pin);
		return r;
	}
	if (c->value)
		r = setxattr(p.path, c->text, c->value, c->size, c->flags);
	else
		r = removexattr(p.path, c->text);
	r = r < 0 ? -errno : 0;
	fs_node_unpin(c->fs->tree, &pin);
	if (r == 0)
		fuse_reply_err(c->req, 0);
	return r;
}

/* We may see trusted attributes, because of what fs_serve.c keeps; the caller may not. */
static ssize_t list_shown(const char *path, char *buf)
{
	ssize_t n = listxattr(path, buf, XATTR_LIST_MAX), kept = 0, len;

	for (ssize_t at = 0; at < n; at += len) {
		len = (ssize_t)strlen(buf + at) + 1;
		if (str_has_prefix(buf + at, "trusted."))
			continue;
		memmove(buf + kept, buf + at, (size_t)len);
		kept += len;
	}
	return n < 0 ? -errno : kept;
}

static int act_list_xattr(struct fs_call *c)
{
	autofree char *buf = malloc(XATTR_LIST_MAX);
	struct fs_at_proc p = {""};
	struct fs_pin pin;
	ssize_t n;
	int r;

	if (!buf)
		return -ENOMEM;
	r = pin_path(c, &pin, &p);
	if (r < 0)
		return r;
	n = list_shown(p.path, buf);
	fs_node_unpin(c->fs->tree, &pin);
	if (n < 0)
		return (int)n;
	if (c->size == 0)
		fuse_reply_xattr(c->req, (size_t)n);
	else if ((size_t)n > c->size)
		return -ERANGE;
	else
		fuse_reply_buf(c->req, buf, (size_t)n);
	return 0;
}

static int act_get_xattr(struct fs_call *c)
{
	autofree char *buf = c->size ? malloc(c->size) : NULL;
	struct fs_at_proc p = {""};
	struct fs_pin pin;
	ssize_t n;
	int r;

	if (c->size && !buf)
		return -ENOMEM;
	r = pin_path(c, &pin, &p);
	if (r < 0)
		return r;
	n = getxattr(p.path, c->text, buf, c->size);
	r = n < 0 ? -errno : 0;
	fs_node_unpin(c->fs->tree, &pin);
	if (r < 0)
		return r;
	if (c->size)
		fuse_reply_buf(c->req, buf, (size_t)n);
	else
		fuse_reply_xattr(c->req, (size_t)n);
	return 0;
}

static const struct fs_kind xattr_kind = {
	.steer = FS_STEER_NODE,
	.op = "xattr",
	.judge = judge_xattr,
	.act = act_set_xattr,
	.changes = true,
};

static const struct fs_kind get_xattr_kind = {
	.op = "xattr",
	.judge = judge_get_xattr,
	.act = act_get_xattr,
	.quiet = true,
	.repetitive = true,
};

static const struct fs_kind list_xattr_kind = {
	.op = "xattr",
	.judge = judge_get_xattr,
	.act = act_list_xattr,
	.quiet = true,
	.repetitive = true,
};

static bool is_privileged(const char *name)
{
	return str_has_prefix(name, "security.") || str_has_prefix(name, "trusted.");
}

static void set_xattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		      size_t size, int flags)
{
	struct fs_call c;

	fs_call_init(&c, req, &xattr_kind, ino);
	if (is_privileged(name) || c.node == fs_tree_top(c.fs->tree)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	c.text = name;
	c.value = value;
	c.size = size;
	c.flags = flags;
	fs_call_run(&c);
}

void fs_ops_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		     size_t size, int flags)
{
	set_xattr(req, ino, name, value ? value : "", size, flags);
}

void fs_ops_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	set_xattr(req, ino, name, NULL, 0, 0);
}

static void get_xattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct fs_call c;

	fs_call_init(&c, req, name ? &get_xattr_kind : &list_xattr_kind, ino);
	/*
	 * File capabilities mean nothing on a nosuid mount, and the kernel asks for them before
	 * it writes: no round through the backing tree for that.
	 */
	if (c.node == fs_tree_top(c.fs->tree) ||
	    (name && (strcmp(name, "security.capability") == 0 ||
		      str_has_prefix(name, "trusted.")))) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	c.text = name;
	c.size = size;
	fs_call_run(&c);
}

void fs_ops_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	get_xattr(req, ino, name, size);
}

void fs_ops_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	get_xattr(req, ino, NULL, size);
}
