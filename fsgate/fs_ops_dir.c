/*
 * Theory of a listing: the backing directory's entries, in its own order and with its own offsets,
 * less those that the policy does not let be seen; then the overrides that the backing directory
 * does not have, all with the offset of its end. at..len is what getdents64(2) gave and is not
 * passed on yet; off is the offset of the entry at it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsgate/fs_at.h"
#include "fsgate/fs_call.h"
#include "fsgate/fs_conf.h"
#include "fsgate/fs_entry.h"
#include "fsgate/fs_file.h"
#include "fsgate/fs_ops_i.h"
#include "fsgate/fs_redirect.h"
#include "fsgate/fs_watch.h"

#define DIR_BUF 32768

struct fs_dir {
	pthread_mutex_t lock;
	bool top;	   /* it has no backing */
	struct fs_pin pin; /* of the directory */
	int fd;		   /* -1 until the kernel wants what it has no listing of */
	off_t off;
	size_t at, len;
	size_t next_override, next_made;
	char buf[DIR_BUF];
};

/* ---- lookup ---- */

static int judge_lookup(struct fs_call *c)
{
	struct fs_tree *t = c->fs->tree;
	struct fs_node *n;
	int r = fs_entry_see(c->fs, c->node, c->name, &c->entry);

	c->answer.effect = FS_ALLOW;
	if (r == -ENOENT) {
		memset(&c->entry, 0, sizeof(c->entry));
		c->entry.entry_timeout = fs_watch_name_timeout(c->fs, c->node);
		return 0;
	}
	if (r < 0)
		return r;
	n = fs_node_of(t, c->entry.ino);
	fs_entry_settle(c->fs, n, &c->entry);
	if (fs_node_is_fixed(n) || fs_node_fact(t, n, FS_STAT_ALLOWED, 0))
		return 0;
	r = fs_node_path(t, c->node, c->name, c->path, sizeof(c->path));
	if (r == 0)
		fs_decide_look(&c->answer, c->fs->gate.policy, c->path, S_ISDIR(fs_node_type(n)));
	if (r == 0 && c->answer.effect == FS_ALLOW)
		fs_node_set_fact(t, n, FS_STAT_ALLOWED, 0);
	if (r < 0 || (c->answer.effect != FS_ALLOW && c->answer.effect != FS_RECORD &&
		      !c->approval.given))
		fs_entry_unsee(c->fs, &c->entry);
	return r;
}

static int act_lookup(struct fs_call *c)
{
	int r = c->answer.effect == FS_ALLOW ? 0 : fs_call_record(c, 0);

	if (r < 0) {
		fs_entry_unsee(c->fs, &c->entry);
		return r;
	}
	if (c->answer.effect != FS_ALLOW) /* it wants to be seen when it is looked at again */
		c->entry.entry_timeout = FS_TIMEOUT;
	if (c->approval.given) /* one answer is for every look at it */
		fs_node_set_fact(c->fs->tree, fs_node_of(c->fs->tree, c->entry.ino),
				 FS_STAT_ALLOWED, 0);
	return fs_entry_reply(c->fs, c->req, &c->entry);
}

static const struct fs_kind lookup_kind = {
	.op = "stat",
	.judge = judge_lookup,
	.act = act_lookup,
	.late = true,
	.quiet = true,
	.repetitive = true,
};

void fs_ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs_call c;

	fs_call_init(&c, req, &lookup_kind, parent);
	c.name = name;
	fs_call_run(&c);
}

void fs_ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	struct fs *fs = fuse_req_userdata(req);

	fs_node_forget(fs->tree, fs_node_of(fs->tree, ino), lookups);
	fuse_reply_none(req);
}

void fs_ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct fs *fs = fuse_req_userdata(req);

	for (size_t i = 0; i < count; i++)
		fs_node_forget(fs->tree, fs_node_of(fs->tree, forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(req);
}

/* ---- opendir ---- */

static int judge_list(struct fs_call *c)
{
	if (c->node == fs_tree_top(c->fs->tree)) {
		c->answer.effect = FS_ALLOW;
		return 0;
	}
	return fs_call_judge(c, FILE_LIST, NULL);
}

/* With the directory's lock held, or before anybody else has it. */
static int open_dir(struct fs_dir *d)
{
	int fd = d->fd < 0 && !d->top ? fs_at_reopen(d->pin.fd, O_RDONLY | O_DIRECTORY) : d->fd;

	if (fd < 0 && !d->top)
		return fd;
	d->fd = fd;
	return 0;
}

/* May the kernel keep the listing, and go on using the one that it has? */
static bool may_cache(struct fs_call *c, int fd)
{
	struct stat st;

	/* one that has just changed may change again without a new time (theory in fs_watch.c) */
	return fs_spot_is_watched(c->fs->tree, c->node) && fstat(fd, &st) == 0 &&
	       !fs_file_is_fresh(&st);
}

static void close_dir(struct fs *fs, struct fs_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	if (!d->top)
		fs_node_unpin(fs->tree, &d->pin);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static int act_list(struct fs_call *c)
{
	struct fs_dir *d = malloc(sizeof(*d));
	int r = 0;

	if (!d)
		return -ENOMEM;
	pthread_mutex_init(&d->lock, NULL);
	d->fd = -1;
	d->pin.fd = -1;
	d->pin.shared = NULL;
	d->off = 0;
	d->at = d->len = 0;
	d->next_override = d->next_made = 0;
	d->top = c->node == fs_tree_top(c->fs->tree);
	if (!d->top)
		r = fs_node_pin(c->fs->tree, c->node, &d->pin);
	if (r == 0 && !d->top) {
		fs_watch_dir(c->fs, c->node, d->pin.fd);
		c->fi.cache_readdir = c->fi.keep_cache = may_cache(c, d->pin.fd);
		if (!c->fi.keep_cache)
			r = open_dir(d);
	}
	if (r < 0) {
		close_dir(c->fs, d);
		return r;
	}
	c->fi.fh = (uintptr_t)d;
	if (fuse_reply_open(c->req, &c->fi) == -ENOENT)
		close_dir(c->fs, d);
	return 0;
}

static const struct fs_kind list_kind = {
	.op = "list",
	.judge = judge_list,
	.act = act_list,
	.quiet = true,
	.repetitive = true,
};

void fs_ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs_call c;

	fs_call_init(&c, req, &list_kind, ino);
	c.fi = *fi;
	c.has_fi = true;
	fs_call_run(&c);
}

static struct fs_dir *dir_of(const struct fuse_file_info *fi)
{
	return (struct fs_dir *)(uintptr_t)fi->fh;
}

void fs_ops_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	close_dir(fuse_req_userdata(req), dir_of(fi));
	fuse_reply_err(req, 0);
}

void fs_ops_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct fs_dir *d = dir_of(fi);
	int r;

	(void)ino;
	pthread_mutex_lock(&d->lock);
	r = open_dir(d);
	pthread_mutex_unlock(&d->lock);
	if (r == 0 && !d->top && (datasync ? fdatasync(d->fd) : fsync(d->fd)) < 0)
		r = -errno;
	fuse_reply_err(req, -r);
}

/* ---- readdir ---- */

/* A reply that is being filled. */
struct listing {
	struct fs *fs;
	fuse_req_t req;
	struct fs_node *dir;
	bool plus;
	char *buf;
	size_t used, size;
	size_t base; /* bytes of the directory's path in path */
	char path[PATH_MAX];
};

/* @return whether it fitted */
static bool put(struct listing *l, const char *name, const struct stat *st, off_t next)
{
	size_t n = fuse_add_direntry(l->req, l->buf + l->used, l->size - l->used, name, st, next);

	if (n > l->size - l->used)
		return false;
	l->used += n;
	return true;
}

static bool put_plus(struct listing *l, const char *name, struct fuse_entry_param *e, off_t next)
{
	size_t n = fuse_add_direntry_plus(l->req, l->buf + l->used, l->size - l->used, name, e,
					  next);

	if (n > l->size - l->used)
		return false;
	l->used += n;
	return true;
}

static bool may_list(struct listing *l, const char *name, bool is_dir)
{
	size_t len = strlen(name);

	if (l->base + 1 + len >= sizeof(l->path))
		return true; /* opening it will say ENAMETOOLONG */
	l->path[l->base] = '/';
	memcpy(l->path + l->base + 1, name, len + 1);
	return fs_decide_listed(l->fs->gate.policy, l->path, is_dir);
}

/* An entry with its attributes; when they may not be seen, or not at once, just its name. */
static bool put_seen(struct listing *l, const char *name, const struct stat *bare, off_t next)
{
	struct fs_tree *t = l->fs->tree;
	struct fuse_entry_param e;
	struct fs_answer a;
	struct fs_node *n;
	bool fits;

	if (fs_entry_see(l->fs, l->dir, name, &e) < 0)
		return true; /* gone, or hidden */
	n = fs_node_of(t, e.ino);
	if (!fs_node_fact(t, n, FS_STAT_ALLOWED, 0)) {
		bool is_dir = S_ISDIR(fs_node_type(n));

		if (!may_list(l, name, is_dir)) {
			fs_entry_unsee(l->fs, &e);
			return true;
		}
		fs_decide_look(&a, l->fs->gate.policy, l->path, is_dir);
		if (a.effect != FS_ALLOW) { /* a lookup of its own will judge and record it */
			fs_entry_unsee(l->fs, &e);
			e.attr = *bare;
		} else {
			fs_node_set_fact(t, n, FS_STAT_ALLOWED, 0);
		}
	}
	fits = put_plus(l, name, &e, next);
	if (!fits)
		fs_entry_unsee(l->fs, &e);
	return fits;
}

static bool put_entry(struct listing *l, const char *name, unsigned char type, ino_t ino,
		      off_t next)
{
	struct stat st = {.st_ino = ino, .st_mode = DTTOIF(type), .st_dev = fs_node_dev(l->dir)};
	struct fuse_entry_param e = {.ino = 0};

	if (l->fs->n_hidden && fs_conf_is_hidden(l->fs, &st))
		return true;
	fs_conf_show(l->fs, &st);
	if (!fs_at_is_name(name)) { /* "." and ".." */
		e.attr = st;
		return l->plus ? put_plus(l, name, &e, next) : put(l, name, &st, next);
	}
	if (l->plus)
		return put_seen(l, name, &st, next);
	if (!may_list(l, name, type == DT_DIR || type == DT_UNKNOWN))
		return true;
	return put(l, name, &st, next);
}

/* @return 1: there are entries, 0: the end, or -errno */
static int refill(struct fs_dir *d)
{
	ssize_t n;

	if (d->at < d->len)
		return 1;
	n = getdents64(d->fd, d->buf, sizeof(d->buf));
	if (n < 0)
		return -errno;
	d->at = 0;
	d->len = (size_t)n;
	return n > 0;
}

static void put_overrides(struct listing *l, struct fs_dir *d)
{
	const char *name;
	struct stat st;

	for (;;) {
		l->path[l->base] = '\0';
		name = fs_conf_override_in(l->fs, l->base ? l->path : "/", d->next_override);
		if (!name)
			return;
		if (fs_at_stat(d->fd, name, &st) < 0 && !put_entry(l, name, DT_REG, 1, d->off))
			return;
		d->next_override++;
	}
}

/* What is only at its target: names that this session made by redirection. */
static void put_made(struct listing *l, struct fs_dir *d)
{
	char name[NAME_MAX + 1];
	struct stat st, target;
	int fd;

	for (;;) {
		l->path[l->base] = '\0';
		if (!fs_redirect_in(l->fs, l->base ? l->path : "/", d->next_made, name))
			return;
		fd = fs_redirect_see(l->fs, l->dir, name, &target);
		if (fd >= 0)
			close(fd);
		if (fd >= 0 && fs_at_stat(d->fd, name, &st) < 0 &&
		    !put_entry(l, name, IFTODT(target.st_mode), target.st_ino, d->off))
			return;
		d->next_made++;
	}
}

static int fill_from(struct listing *l, struct fs_dir *d, off_t off)
{
	int r;

	if (off != d->off) {
		if (lseek(d->fd, off, SEEK_SET) < 0)
			return -errno;
		d->off = off;
		d->at = d->len = 0;
		d->next_override = d->next_made = 0;
	}
	while ((r = refill(d)) > 0) {
		const struct dirent64 *de = (const void *)(d->buf + d->at);

		if (!put_entry(l, de->d_name, de->d_type, de->d_ino, de->d_off))
			return 0;
		d->off = de->d_off;
		d->at += de->d_reclen;
	}
	if (r == 0 && l->fs->n_overrides)
		put_overrides(l, d);
	if (r == 0 && l->fs->redirects)
		put_made(l, d);
	return r;
}

static int fill_top(struct listing *l, off_t off)
{
	const char *name;

	for (unsigned i = (unsigned)off; (name = fs_tree_root_name(l->fs->tree, i)); i++) {
		const struct stat st = {.st_ino = i + 2, .st_mode = S_IFDIR};
		struct fuse_entry_param e = {.ino = 0, .attr = st};

		if (!(l->plus ? put_plus(l, name, &e, i + 1) : put(l, name, &st, i + 1)))
			break;
	}
	return 0;
}

static void list(fuse_req_t req, struct fs_node *dir, size_t size, off_t off,
		 struct fuse_file_info *fi, bool plus)
{
	struct fs_dir *d = dir_of(fi);
	struct listing *l = malloc(sizeof(*l));
	int r = 0;

	if (!l) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	l->fs = fuse_req_userdata(req);
	l->req = req;
	l->dir = dir;
	l->plus = plus;
	l->used = 0;
	l->size = size;
	l->buf = malloc(size);
	if (!l->buf)
		r = -ENOMEM;
	else if (d->top)
		r = fill_top(l, off);
	else
		r = fs_node_path(l->fs->tree, dir, NULL, l->path, sizeof(l->path));
	if (r == 0 && !d->top) {
		l->base = strcmp(l->path, "/") == 0 ? 0 : strlen(l->path);
		pthread_mutex_lock(&d->lock);
		r = open_dir(d);
		if (r == 0)
			r = fill_from(l, d, off);
		pthread_mutex_unlock(&d->lock);
	}
	if (r < 0 && (!l->buf || l->used == 0))
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, l->buf, l->used);
	free(l->buf);
	free(l);
}

void fs_ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);

	list(req, fs_node_of(fs->tree, ino), size, off, fi, false);
}

void fs_ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);

	list(req, fs_node_of(fs->tree, ino), size, off, fi, true);
}
