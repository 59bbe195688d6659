#include "fsgate/fs_entry.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fsgate/fs_at.h"
#include "fsgate/fs_conf.h"
#include "fsgate/fs_redirect.h"
#include "fsgate/fs_watch.h"

double fs_entry_attr_timeout(struct fs *fs, struct fs_node *n, const struct stat *st,
			     uint64_t since)
{
	enum fs_trust trust = fs_spot_trust(fs->tree, n, since);

	if (trust == FS_TRUST_NOT)
		return 0;
	if (!S_ISDIR(st->st_mode) && (st->st_nlink > 1 || fs_tree_is_stray(fs->tree, st)))
		return 0;
	return trust == FS_TRUST_LONG ? FS_TIMEOUT_LONG : FS_TIMEOUT;
}

static void fill(struct fs *fs, struct fs_node *n, const struct stat *st, uint64_t since,
		 struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->ino = fs_node_ino(fs->tree, n);
	e->attr = *st;
	e->attr_timeout = fs_entry_attr_timeout(fs, n, st, since);
	fs_node_stamp(fs->tree, n, FS_STAMP_ATTR, st);
	fs_conf_show(fs, &e->attr);
}

int fs_entry_from(struct fs *fs, struct fs_node *parent, const char *name, const struct stat *st,
		  uint64_t since, struct fuse_entry_param *e)
{
	struct fs_node *n = fs_node_seen(fs->tree, parent, name, st, -1);

	if (!n)
		return -ENOMEM;
	fill(fs, n, st, since, e);
	e->entry_timeout = fs_watch_name_timeout(fs, parent);
	return 0;
}

int fs_entry_nameless(struct fs *fs, struct fs_node *dir, const char *shown, const struct stat *st,
		      int fd, struct fuse_entry_param *e)
{
	struct fs_node *n = fs_node_nameless(fs->tree, dir, shown, st, fd);

	if (!n)
		return -ENOMEM;
	fill(fs, n, st, 0, e);
	e->attr_timeout = 0; /* by the names that it gets it may change unnoticed */
	return 0;
}

static int see_root(struct fs *fs, const char *name, struct fuse_entry_param *e)
{
	struct fs_node *n = fs_node_find(fs->tree, fs_tree_top(fs->tree), name);
	struct stat st;
	uint64_t since;
	int r;

	if (!n)
		return -ENOENT;
	fs_watch_dir(fs, n, -1);
	since = fs_spot_changes(fs->tree);
	r = fs_entry_stat(fs, n, &st);
	if (r == 0)
		fs_node_seen(fs->tree, fs_tree_top(fs->tree), name, &st, -1);
	fs_node_put(fs->tree, n);
	if (r == 0) {
		fill(fs, n, &st, since, e);
		e->entry_timeout = FS_TIMEOUT_LONG; /* it is there as long as we are */
	}
	return r;
}

static int see_override(struct fs *fs, struct fs_node *parent, const char *name,
			struct fuse_entry_param *e)
{
	struct fs_node *n;
	struct stat st;
	int fd = fs_conf_override(fs, parent, name, &st);

	if (fd < 0)
		return fd;
	n = fs_node_seen(fs->tree, parent, name, &st, fd);
	if (!n)
		return -ENOMEM;
	fill(fs, n, &st, 0, e);
	e->entry_timeout = FS_TIMEOUT;
	return 0;
}

static int see_elsewhere(struct fs *fs, struct fs_node *parent, const char *name,
			 struct fuse_entry_param *e)
{
	struct fs_node *n;
	struct stat st;
	int fd = fs_redirect_see(fs, parent, name, &st);

	if (fd < 0)
		return fd;
	n = fs_node_seen_elsewhere(fs->tree, parent, name, &st, fd);
	if (!n)
		return -ENOMEM;
	fill(fs, n, &st, 0, e);
	e->entry_timeout = FS_TIMEOUT;
	return 0;
}

int fs_entry_see(struct fs *fs, struct fs_node *parent, const char *name,
		 struct fuse_entry_param *e)
{
	struct fs_pin dir;
	struct stat st;
	uint64_t since;
	int r;

	if (parent == fs_tree_top(fs->tree))
		return see_root(fs, name, e);
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (!fs_at_is_name(name))
		return -EINVAL;
	r = fs->n_overrides ? see_override(fs, parent, name, e) : -ENOENT;
	if (r == -ENOENT && fs->redirects)
		r = see_elsewhere(fs, parent, name, e);
	if (r != -ENOENT)
		return r;
	r = fs_node_pin(fs->tree, parent, &dir);
	if (r < 0)
		return r;
	fs_watch_dir(fs, parent, dir.fd);
	since = fs_spot_changes(fs->tree);
	r = fs_at_stat(dir.fd, name, &st);
	fs_node_unpin(fs->tree, &dir);
	if (r < 0)
		return r;
	if (fs->n_hidden && fs_conf_is_hidden(fs, &st))
		return -ENOENT;
	return fs_entry_from(fs, parent, name, &st, since, e);
}

void fs_entry_settle(struct fs *fs, struct fs_node *n, struct fuse_entry_param *e)
{
	double entry_timeout = e->entry_timeout;
	struct stat st;
	uint64_t since;

	if (!fs_spot_open(fs->tree, n))
		return;
	fs_watch_dir(fs, n, -1);
	since = fs_spot_changes(fs->tree);
	if (fs_entry_stat(fs, n, &st) == 0) {
		fill(fs, n, &st, since, e);
		e->entry_timeout = entry_timeout;
	}
}

void fs_entry_unsee(struct fs *fs, struct fuse_entry_param *e)
{
	if (e->ino)
		fs_node_forget(fs->tree, fs_node_of(fs->tree, e->ino), 1);
	e->ino = 0;
}

static int stat_top(struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = 1;
	st->st_mode = S_IFDIR | 0755;
	st->st_nlink = 2;
	return 0;
}

/* The name is another file's by now; whoever has the file open can still ask. */
static int stat_open(struct fs *fs, struct fs_node *n, struct stat *st)
{
	int fd = fs_node_dup_file(fs->tree, n);
	int r;

	if (fd < 0)
		return -ESTALE;
	r = fstat(fd, st) < 0 ? -errno : 0;
	close(fd);
	return r;
}

int fs_entry_stat(struct fs *fs, struct fs_node *n, struct stat *st)
{
	struct fs_where w;
	int r;

	if (n == fs_tree_top(fs->tree))
		return stat_top(st);
	for (int tries = 0; tries < 2; tries++) {
		r = fs_node_where(fs->tree, n, &w);
		if (r < 0)
			break;
		r = fs_at_stat(w.at.fd, w.name, st);
		fs_node_unpin(fs->tree, &w.at);
		if (r == 0 && fs_node_is(n, st))
			return 0;
	}
	return r < 0 && r != -ENOENT && r != -ESTALE && r != -ENOTDIR ? r : stat_open(fs, n, st);
}

int fs_entry_reply(struct fs *fs, fuse_req_t req, struct fuse_entry_param *e)
{
	if (fuse_reply_entry(req, e) == -ENOENT)
		fs_entry_unsee(fs, e);
	return 0;
}
