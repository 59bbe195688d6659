/*
 * Theory: three nodes with fixed numbers, which no fs_node can have (those are addresses). An open
 * file holds the text that it had when it was opened; the kernel asks for it each time (direct_io),
 * so the next open sees what has happened since.
 */
#include "fsgate/fs_virtual.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/log.h"
#include "common/str.h"
#include "fsgate/fs_ops.h"
#include "fsgate/fs_why.h"

#define NAME ".agentsh"

enum { NODE_DIR = 2, NODE_DENIALS, NODE_POLICY };
#define SHOWN_INO 0x6167656e74736800ull /* what stat(2) tells, less the node's number */
#define FOR_EVER 86400.0

static const struct {
	fuse_ino_t ino;
	const char *name;
} files[] = {{NODE_DENIALS, "denials"}, {NODE_POLICY, "policy"}};

struct text {
	atomic_int refs; /* the open file's, and one for each read: the reply may outlast the close */
	size_t len;
	char *bytes;
};

static bool is_ours(fuse_ino_t ino)
{
	return ino >= NODE_DIR && ino <= NODE_POLICY;
}

/* Is this name in this directory ours? */
static bool is_our_name(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fuse_req_userdata(req);
	char path[PATH_MAX];

	if (is_ours(parent))
		return true;
	if (name[0] != '.' || !fs->why_dir || strcmp(name, NAME) != 0)
		return false;
	return fs_node_path(fs->tree, fs_node_of(fs->tree, parent), NULL, path, sizeof(path)) ==
		       0 &&
	       strcmp(path, fs->why_dir) == 0;
}

/* ---- where ---- */

static bool is_below(const char *path, const char *dir)
{
	size_t len = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The host's name of the workspace, or "" when it is in no governed root. */
static void find_host(const struct fs *fs, const char *workspace, char *host, size_t size)
{
	const char *root;
	size_t best = 0;

	host[0] = '\0';
	for (unsigned n = 0;; n++) {
		char key[32];
		const char *at;

		snprintf(key, sizeof(key), "root.%u.path", n);
		root = gate_conf(&fs->gate, key);
		if (!root)
			return;
		snprintf(key, sizeof(key), "root.%u.host", n);
		at = gate_conf(&fs->gate, key);
		if (!at || !is_below(workspace, root) || strlen(root) < best)
			continue;
		best = strlen(root);
		snprintf(host, size, "%s%s", at, workspace + (strcmp(root, "/") ? best : 0));
	}
}

int fs_virtual_place(struct fs *fs)
{
	const char *workspace = gate_conf(&fs->gate, "workspace");
	char path[PATH_MAX + sizeof(NAME)];
	struct stat st;

	if (!workspace)
		return 0;
	find_host(fs, workspace, path, PATH_MAX);
	if (!path[0])
		return 0;
	strcat(path, "/" NAME);
	if (lstat(path, &st) == 0) {
		log_warn("the workspace has a " NAME " of its own: what is refused cannot be read "
			 "there in this session");
		return 0;
	}
	fs->why_dir = strdup(workspace);
	return fs->why_dir ? 0 : -ENOMEM;
}

/* ---- looking ---- */

static void attributes(struct fs *fs, fuse_ino_t ino, struct stat *st)
{
	struct timespec at;
	size_t len;

	fs_why_stat(fs->why, &at, &len);
	memset(st, 0, sizeof(*st));
	st->st_ino = SHOWN_INO + ino;
	st->st_mode = ino == NODE_DIR ? S_IFDIR | 0555 : S_IFREG | 0444;
	st->st_nlink = ino == NODE_DIR ? 2 : 1;
	st->st_uid = fs->gate.is_root ? 0 : fs->uid;
	st->st_gid = fs->gate.is_root ? 0 : fs->gid;
	st->st_size = ino == NODE_DENIALS ? (off_t)len : 0;
	st->st_blksize = 4096;
	st->st_atim = st->st_mtim = st->st_ctim = at;
}

static fuse_ino_t ino_of(fuse_ino_t parent, const char *name)
{
	if (parent != NODE_DIR)
		return is_ours(parent) ? 0 : NODE_DIR;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (strcmp(files[i].name, name) == 0)
			return files[i].ino;
	return 0;
}

static void v_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = {.entry_timeout = FOR_EVER};

	if (!is_our_name(req, parent, name)) {
		fs_ops.lookup(req, parent, name);
		return;
	}
	e.ino = ino_of(parent, name);
	if (e.ino)
		attributes(fuse_req_userdata(req), e.ino, &e.attr);
	fuse_reply_entry(req, &e);
}

static void v_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	if (is_ours(ino))
		fuse_reply_none(req);
	else
		fs_ops.forget(req, ino, lookups);
}

static void v_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (!is_ours(forgets[i].ino))
			forgets[n++] = forgets[i];
	fs_ops.forget_multi(req, n, forgets);
}

static void v_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	if (!is_ours(ino)) {
		fs_ops.getattr(req, ino, fi);
		return;
	}
	attributes(fuse_req_userdata(req), ino, &st);
	fuse_reply_attr(req, &st, 0);
}

static void v_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct statvfs st = {.f_namemax = NAME_MAX, .f_bsize = 4096, .f_frsize = 4096};

	if (is_ours(ino))
		fuse_reply_statfs(req, &st);
	else
		fs_ops.statfs(req, ino);
}

static void v_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	if (!is_ours(ino))
		fs_ops.listxattr(req, ino, size);
	else if (size)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_xattr(req, 0);
}

/* ---- reading ---- */

static void text_put(struct text *t)
{
	if (atomic_fetch_sub(&t->refs, 1) > 1)
		return;
	free(t->bytes);
	free(t);
}

static void v_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	struct text *t;

	if (!is_ours(ino)) {
		fs_ops.open(req, ino, fi);
		return;
	}
	if ((fi->flags & O_ACCMODE) != O_RDONLY || fi->flags & O_TRUNC) {
		fuse_reply_err(req, EROFS);
		return;
	}
	t = calloc(1, sizeof(*t));
	if (t)
		t->bytes = ino == NODE_DENIALS ? fs_why_denials(fs->why, &t->len)
					       : fs_why_policy(fs->gate.policy, &t->len);
	if (!t || !t->bytes) {
		free(t);
		fuse_reply_err(req, ENOMEM);
		return;
	}
	atomic_init(&t->refs, 1);
	fi->fh = (uintptr_t)t;
	fi->direct_io = 1;
	fi->noflush = 1;
	if (fuse_reply_open(req, fi) == -ENOENT)
		text_put(t);
}

static void v_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		   struct fuse_file_info *fi)
{
	struct text *t = (void *)(uintptr_t)fi->fh;
	size_t at = (size_t)off;

	if (!is_ours(ino)) {
		fs_ops.read(req, ino, size, off, fi);
		return;
	}
	atomic_fetch_add(&t->refs, 1);
	if (at >= t->len)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, t->bytes + at, size < t->len - at ? size : t->len - at);
	text_put(t);
}

static void v_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct text *t = (void *)(uintptr_t)fi->fh;

	if (!is_ours(ino)) {
		fs_ops.release(req, ino, fi);
		return;
	}
	text_put(t);
	fuse_reply_err(req, 0);
}

static void v_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (is_ours(ino))
		fuse_reply_open(req, fi);
	else
		fs_ops.opendir(req, ino, fi);
}

static void v_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (is_ours(ino))
		fuse_reply_err(req, 0);
	else
		fs_ops.releasedir(req, ino, fi);
}

static void list(fuse_req_t req, size_t size, off_t off, bool plus)
{
	static const char *const names[] = {".", "..", "denials", "policy"};
	char buf[1024];
	size_t used = 0;

	if (size > sizeof(buf))
		size = sizeof(buf);
	for (size_t i = (size_t)off; i < ARRAY_LEN(names); i++) {
		struct fuse_entry_param e = {.ino = 0};
		size_t n;

		e.attr.st_mode = i < 2 ? S_IFDIR : S_IFREG;
		e.attr.st_ino = SHOWN_INO + (i < 2 ? NODE_DIR : files[i - 2].ino);
		if (plus)
			n = fuse_add_direntry_plus(req, buf + used, size - used, names[i], &e,
						   (off_t)i + 1);
		else
			n = fuse_add_direntry(req, buf + used, size - used, names[i], &e.attr,
					      (off_t)i + 1);
		if (n > size - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, buf, used);
}

static void v_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		      struct fuse_file_info *fi)
{
	if (is_ours(ino))
		list(req, size, off, false);
	else
		fs_ops.readdir(req, ino, size, off, fi);
}

static void v_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			  struct fuse_file_info *fi)
{
	if (is_ours(ino))
		list(req, size, off, true);
	else
		fs_ops.readdirplus(req, ino, size, off, fi);
}

/* ---- what has one answer ---- */

/*
 * Never ENOSYS: the kernel would not ask for that operation on any file any more. EXDEV makes
 * copy_file_range(2) copy by reading.
 */
#define NODE(op, error, params, ...)                                                               \
	static void v_##op params                                                                  \
	{                                                                                          \
		if (is_ours(ino))                                                                  \
			fuse_reply_err(req, error);                                                \
		else                                                                               \
			fs_ops.op(req, ino, ##__VA_ARGS__);                                        \
	}

#define NAMED(op, params, ...)                                                                     \
	static void v_##op params                                                                  \
	{                                                                                          \
		if (is_our_name(req, parent, name))                                                \
			fuse_reply_err(req, EROFS);                                                \
		else                                                                               \
			fs_ops.op(__VA_ARGS__);                                                    \
	}

NODE(setattr, EROFS,
     (fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi),
     attr, to_set, fi)
NODE(readlink, EINVAL, (fuse_req_t req, fuse_ino_t ino))
NODE(write_buf, EBADF,
     (fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
      struct fuse_file_info *fi),
     in, off, fi)
NODE(flush, 0, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), fi)
NODE(fsync, 0, (fuse_req_t req, fuse_ino_t ino, int data, struct fuse_file_info *fi), data, fi)
NODE(fsyncdir, 0, (fuse_req_t req, fuse_ino_t ino, int data, struct fuse_file_info *fi), data, fi)
NODE(setxattr, EROFS,
     (fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags),
     name, value, size, flags)
NODE(getxattr, ENODATA, (fuse_req_t req, fuse_ino_t ino, const char *name, size_t size), name,
     size)
NODE(removexattr, EROFS, (fuse_req_t req, fuse_ino_t ino, const char *name), name)
NODE(getlk, EOPNOTSUPP,
     (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock), fi, lock)
NODE(setlk, EOPNOTSUPP,
     (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock, int wait), fi,
     lock, wait)
NODE(flock, EOPNOTSUPP, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op), fi,
     op)
NODE(fallocate, EBADF,
     (fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi),
     mode, off, len, fi)
NODE(lseek, EINVAL,
     (fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi), off,
     whence, fi)

NODE(ioctl, ENOTTY,
     (fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
      unsigned flags, const void *in, size_t in_size, size_t out_size),
     cmd, arg, fi, flags, in, in_size, out_size)

NAMED(mknod, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev), req,
      parent, name, mode, rdev)
NAMED(mkdir, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode), req, parent, name,
      mode)
NAMED(symlink, (fuse_req_t req, const char *target, fuse_ino_t parent, const char *name), req,
      target, parent, name)
NAMED(unlink, (fuse_req_t req, fuse_ino_t parent, const char *name), req, parent, name)
NAMED(rmdir, (fuse_req_t req, fuse_ino_t parent, const char *name), req, parent, name)
NAMED(create,
      (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
       struct fuse_file_info *fi),
      req, parent, name, mode, fi)

static void v_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	if (is_ours(ino) || is_our_name(req, parent, name))
		fuse_reply_err(req, EROFS);
	else
		fs_ops.link(req, ino, parent, name);
}

static void v_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		     const char *new_name, unsigned flags)
{
	if (is_our_name(req, parent, name) || is_our_name(req, new_parent, new_name))
		fuse_reply_err(req, EROFS);
	else
		fs_ops.rename(req, parent, name, new_parent, new_name, flags);
}

static void v_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in,
			      struct fuse_file_info *fi_in, fuse_ino_t out, off_t off_out,
			      struct fuse_file_info *fi_out, size_t len, int flags)
{
	if (is_ours(in) || is_ours(out))
		fuse_reply_err(req, EXDEV);
	else
		fs_ops.copy_file_range(req, in, off_in, fi_in, out, off_out, fi_out, len, flags);
}

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
/* as an older libfuse shows it: fs_tmpfile.h */
static void v_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
	v_create(req, parent, "/", mode, fi);
}
#endif

static void v_init(void *userdata, struct fuse_conn_info *conn)
{
	fs_ops.init(userdata, conn);
}

const struct fuse_lowlevel_ops fs_virtual_ops = {
	.init = v_init,
	.lookup = v_lookup,
	.forget = v_forget,
	.forget_multi = v_forget_multi,
	.getattr = v_getattr,
	.setattr = v_setattr,
	.readlink = v_readlink,
	.mknod = v_mknod,
	.mkdir = v_mkdir,
	.unlink = v_unlink,
	.rmdir = v_rmdir,
	.symlink = v_symlink,
	.rename = v_rename,
	.link = v_link,
	.open = v_open,
	.create = v_create,
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
	.tmpfile = v_tmpfile,
#endif
	.read = v_read,
	.write_buf = v_write_buf,
	.flush = v_flush,
	.release = v_release,
	.fsync = v_fsync,
	.opendir = v_opendir,
	.readdir = v_readdir,
	.readdirplus = v_readdirplus,
	.releasedir = v_releasedir,
	.fsyncdir = v_fsyncdir,
	.statfs = v_statfs,
	.setxattr = v_setxattr,
	.getxattr = v_getxattr,
	.listxattr = v_listxattr,
	.removexattr = v_removexattr,
	.getlk = v_getlk,
	.setlk = v_setlk,
	.flock = v_flock,
	.fallocate = v_fallocate,
	.copy_file_range = v_copy_file_range,
	.lseek = v_lseek,
	.ioctl = v_ioctl,
};
