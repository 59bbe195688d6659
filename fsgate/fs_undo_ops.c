/* What each kind of change writes into the journal, and keeps. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/str.h"
#include "fsgate/fs_at.h"
#include "fsgate/fs_undo_i.h"

static struct undo_ref ref_of(const struct fs_node *n)
{
	return (struct undo_ref){fs_node_dev(n), fs_node_inum(n)};
}

static struct undo_time mtime_of(int dirfd)
{
	struct stat st;

	if (fstat(dirfd, &st) < 0)
		return (struct undo_time){0, 0};
	return (struct undo_time){st.st_mtim.tv_sec, (uint32_t)st.st_mtim.tv_nsec};
}

/* What is missing denies the operation where the policy wants all of it. */
static int check(struct fs_undo *u, unsigned flags)
{
	if (flags & UNDO_F_FULL)
		return fs_undo_i_tolerate(u, "the quota is used up (undo.max_mb)");
	if (flags & UNDO_F_TOO_BIG)
		return fs_undo_i_tolerate(u, "a file is larger than undo.max_file_mb");
	if (flags & UNDO_F_ERROR)
		return fs_undo_i_tolerate(u, "a file could not be copied");
	return 0;
}

static int commit(struct fs_undo_op *op, struct fs_undo_batch *b)
{
	uint64_t id = b->op;
	int r = fs_undo_i_commit(b);

	if (r == 0)
		op->id = id;
	return r;
}

int fs_undo_add(struct fs_undo_op *op, struct fs_call *c, struct fs_node *dir, int dirfd,
		const char *name)
{
	struct undo_frame add = {.type = UNDO_ADD};
	struct fs_undo_batch b;

	if (!c->fs->undo)
		return 0;
	fs_undo_i_begin(&b, c);
	fs_undo_i_place(&b, c->fs, dir);
	if (dir != c->node) /* a link: the file has a name already */
		fs_undo_i_place(&b, c->fs, c->node);
	add.dir = ref_of(dir);
	add.dir_mtime = mtime_of(dirfd);
	add.name = undo_text_of(name);
	fs_undo_i_put(&b, &add);
	return commit(op, &b);
}

/* ---- names that go ---- */

/* A directory goes: all there is to it is its attributes. */
static void put_dir(struct fs_undo_batch *b, int dirfd, const char *name, const struct stat *st)
{
	struct undo_frame keep = {.type = UNDO_KEEP, .ref = undo_ref_of(st)};
	autofree char *xattrs = malloc(UNDO_XATTRS_MAX);
	int fd = fs_at_open(dirfd, name, O_PATH, 0), n;

	keep.attr = undo_attr_of(st);
	if (fd >= 0 && xattrs) {
		n = undo_xattrs_get(xattrs, UNDO_XATTRS_MAX, fd);
		if (n >= 0) {
			keep.flags |= UNDO_F_XATTRS;
			keep.xattrs = (struct undo_text){xattrs, (uint32_t)n};
		}
	}
	if (fd >= 0)
		close(fd);
	fs_undo_i_put(b, &keep);
}

static void put_del(struct fs_undo_batch *b, struct fs_node *dir, int dirfd, const char *name,
		    const struct stat *st, bool last)
{
	struct undo_frame del = {.type = UNDO_DEL, .ref = undo_ref_of(st), .dir = ref_of(dir)};

	del.flags = last ? UNDO_F_LAST : 0;
	del.dir_mtime = mtime_of(dirfd);
	del.name = undo_text_of(name);
	fs_undo_i_put(b, &del);
}

static void put_gone(struct fs_undo_op *op, const struct stat *st, bool last)
{
	if (!last)
		return;
	op->gone_dev = st->st_dev;
	op->gone_ino = st->st_ino;
}

static int remove_dir(struct fs_undo_op *op, struct fs_call *c, int dirfd, const struct stat *st)
{
	struct fs_undo_batch b;

	fs_undo_i_begin(&b, c);
	fs_undo_i_place(&b, c->fs, c->node);
	put_dir(&b, dirfd, c->name, st);
	put_del(&b, c->node, dirfd, c->name, st, true);
	put_gone(op, st, true);
	return commit(op, &b);
}

static int say_keep(struct fs_call *c, struct fs_undo_keeping *k)
{
	struct fs_undo_batch b;

	fs_undo_i_begin(&b, c);
	fs_undo_i_put(&b, &k->keep);
	return fs_undo_i_commit(&b);
}

/* With the shard's lock. */
static int remove_file(struct fs_undo_op *op, struct fs_call *c, int dirfd, const struct stat *st)
{
	struct fs_undo *u = c->fs->undo;
	struct fs_undo_keeping k;
	struct fs_undo_batch b;
	char object[24];
	bool last;
	int r;

	fs_undo_i_keep(&k, u, c->path, dirfd, c->name, st);
	k.keep.flags |= c->kept.token[0] ? UNDO_F_TRASH : 0;
	r = check(u, k.keep.flags);
	if (r < 0)
		return r;
	last = st->st_nlink == 1 && !(k.keep.flags & UNDO_F_INODE) && k.needed;
	fs_undo_i_begin(&b, c);
	fs_undo_i_place(&b, c->fs, c->node);
	if (k.needed)
		fs_undo_i_put(&b, &k.keep);
	put_del(&b, c->node, dirfd, c->name, st, last);
	put_gone(op, st, last);
	r = commit(op, &b);
	if (r < 0 || !(k.keep.flags & UNDO_F_INODE))
		return r;
	fs_undo_i_object(object, k.keep.object);
	/* the trash wants it, too: it takes the name away */
	if (c->kept.token[0])
		r = linkat(dirfd, c->name, u->objects, object, 0) < 0 ? -errno : 0;
	else
		r = renameat(dirfd, c->name, u->objects, object) < 0 ? -errno : 1;
	if (r >= 0) {
		fs_undo_i_kept(u, st);
		return r;
	}
	fs_undo_i_not_linked(&k, u, dirfd, c->name, st, r);
	r = check(u, k.keep.flags);
	return r < 0 ? r : say_keep(c, &k);
}

static pthread_mutex_t *shard(struct fs_undo *u, ino_t ino)
{
	return &u->shards[ino % SHARDS];
}

int fs_undo_remove(struct fs_undo_op *op, struct fs_call *c, int dirfd, int flags)
{
	struct fs_undo *u = c->fs->undo;
	bool dir = flags & AT_REMOVEDIR;
	struct stat st;
	int r;

	/* what cannot be removed needs no record here: the system call says why */
	if (!u || fs_at_stat(dirfd, c->name, &st) < 0 || S_ISDIR(st.st_mode) != dir)
		return 0;
	if (dir)
		return remove_dir(op, c, dirfd, &st);
	pthread_mutex_lock(shard(u, st.st_ino));
	r = fs_at_stat(dirfd, c->name, &st) < 0 ? 0 : remove_file(op, c, dirfd, &st);
	pthread_mutex_unlock(shard(u, st.st_ino));
	return r;
}

/* ---- rename ---- */

static void put_move(struct fs_undo_batch *b, struct fs_call *c, const int fds[2],
		     const struct stat *x, const struct stat *y)
{
	struct undo_frame f = {.type = UNDO_MOVE, .ref = undo_ref_of(x)};

	f.dir = ref_of(c->node);
	f.dir2 = ref_of(c->node2);
	f.dir_mtime = mtime_of(fds[0]);
	f.dir2_mtime = mtime_of(fds[1]);
	f.name = undo_text_of(c->name);
	f.name2 = undo_text_of(c->name2);
	if (y)
		f.ref2 = undo_ref_of(y);
	if (c->flags & RENAME_EXCHANGE)
		f.flags |= UNDO_F_SWAP;
	fs_undo_i_put(b, &f);
}

static int begin_move(struct fs_undo_batch *b, struct fs_call *c)
{
	fs_undo_i_begin(b, c);
	fs_undo_i_place(b, c->fs, c->node);
	fs_undo_i_place(b, c->fs, c->node2);
	return 0;
}

/* A file y gives its name to x: y's link in the store is made first, so that no name is missing. */
static int replace_file(struct fs_undo_op *op, struct fs_call *c, const int fds[2],
			const struct stat *x, const struct stat *y)
{
	struct fs_undo *u = c->fs->undo;
	struct fs_undo_keeping k;
	struct fs_undo_batch b;
	char object[24];
	bool last;
	int r;

	fs_undo_i_keep(&k, u, c->to, fds[1], c->name2, y);
	k.keep.flags |= c->kept.token[0] ? UNDO_F_TRASH : 0;
	r = check(u, k.keep.flags);
	if (r < 0)
		return r;
	last = y->st_nlink == 1 && !(k.keep.flags & UNDO_F_INODE) && k.needed;
	begin_move(&b, c);
	if (k.needed)
		fs_undo_i_put(&b, &k.keep);
	put_del(&b, c->node2, fds[1], c->name2, y, last);
	put_move(&b, c, fds, x, y);
	put_gone(op, y, last);
	r = commit(op, &b);
	if (r < 0 || !(k.keep.flags & UNDO_F_INODE))
		return r;
	fs_undo_i_object(object, k.keep.object);
	if (linkat(fds[1], c->name2, u->objects, object, 0) == 0) {
		fs_undo_i_kept(u, y);
		return 0;
	}
	fs_undo_i_not_linked(&k, u, fds[1], c->name2, y, -errno);
	r = check(u, k.keep.flags);
	return r < 0 ? r : say_keep(c, &k);
}

int fs_undo_rename(struct fs_undo_op *op, struct fs_call *c, int from, int to)
{
	struct fs_undo *u = c->fs->undo;
	const int fds[2] = {from, to};
	struct fs_undo_batch b;
	struct stat x, y;
	bool exists;
	int r;

	if (!u || fs_at_stat(from, c->name, &x) < 0)
		return 0;
	exists = fs_at_stat(to, c->name2, &y) == 0;
	if (exists && x.st_ino == y.st_ino && x.st_dev == y.st_dev)
		return 0; /* two names of one file: nothing happens */
	if (exists && !(c->flags & RENAME_EXCHANGE) && !S_ISDIR(y.st_mode)) {
		pthread_mutex_lock(shard(u, y.st_ino));
		r = replace_file(op, c, fds, &x, &y);
		pthread_mutex_unlock(shard(u, y.st_ino));
		return r;
	}
	begin_move(&b, c);
	if (exists && !(c->flags & RENAME_EXCHANGE)) {
		put_dir(&b, to, c->name2, &y);
		put_del(&b, c->node2, to, c->name2, &y, true);
		put_gone(op, &y, true);
	}
	put_move(&b, c, fds, &x, exists ? &y : NULL);
	return commit(op, &b);
}

/* ---- content and attributes ---- */

static bool same_version(const struct fs_undo_inode *i, const struct stat *st)
{
	const struct undo_attr a = undo_attr_of(st);

	return i->facts & FS_UNDO_SEEN && i->size == a.size && i->mtime.s == a.mtime.s &&
	       i->mtime.ns == a.mtime.ns && i->ctime.s == a.ctime.s && i->ctime.ns == a.ctime.ns;
}

static void remember(struct fs_undo *u, const struct undo_frame *f)
{
	struct fs_undo_inode *i;

	pthread_mutex_lock(&u->table_lock);
	i = fs_undo_table_add(&u->table, f->ref);
	if (i) {
		i->facts |= FS_UNDO_SEEN;
		i->object = f->object;
		i->missing = f->flags;
		i->size = f->attr.size;
		i->mtime = f->attr.mtime;
		i->ctime = f->attr.ctime;
	}
	pthread_mutex_unlock(&u->table_lock);
}

int fs_undo_data(struct fs_call *c, int fd, const struct stat *st)
{
	struct undo_frame f = {.type = UNDO_DATA, .ref = undo_ref_of(st)};
	struct fs_undo *u = c->fs->undo;
	struct fs_undo_inode i = {0}, *known;
	struct fs_undo_batch b;
	int r;

	if (!u || !S_ISREG(st->st_mode) || fs_node_is_elsewhere(c->node))
		return 0;
	pthread_mutex_lock(&u->table_lock);
	known = fs_undo_table_find(&u->table, f.ref);
	if (known)
		i = *known;
	pthread_mutex_unlock(&u->table_lock);
	f.attr = undo_attr_of(st);
	if (same_version(&i, st)) {
		f.object = i.object;
		f.flags = i.missing;
	} else if (fs_undo_i_excluded(u, c->path)) {
		f.flags = UNDO_F_EXCLUDED;
	} else {
		fs_undo_i_copy(&f, u, fd, st, !(i.facts & (FS_UNDO_BORN | FS_UNDO_SEEN)));
	}
	r = check(u, f.flags);
	if (r < 0)
		return r;
	fs_undo_i_begin(&b, c);
	fs_undo_i_place(&b, c->fs, c->node);
	fs_undo_i_put(&b, &f);
	remember(u, &f);
	return fs_undo_i_commit(&b);
}

int fs_undo_attr(struct fs_call *c, int fd, bool xattrs)
{
	struct undo_frame f = {.type = UNDO_ATTR};
	struct fs_undo *u = c->fs->undo;
	autofree char *text = NULL;
	struct fs_undo_batch b;
	struct stat st;
	int n;

	if (!u || fs_node_is_elsewhere(c->node) || fstat(fd, &st) < 0)
		return 0;
	f.ref = undo_ref_of(&st);
	f.attr = undo_attr_of(&st);
	if (xattrs) {
		text = malloc(UNDO_XATTRS_MAX);
		n = text ? undo_xattrs_get(text, UNDO_XATTRS_MAX, fd) : -ENOMEM;
		if (n < 0)
			return fs_undo_i_tolerate(u, "extended attributes could not be read");
		f.xattrs = (struct undo_text){text, (uint32_t)n};
		f.flags |= UNDO_F_XATTRS;
	}
	fs_undo_i_begin(&b, c);
	fs_undo_i_place(&b, c->fs, c->node);
	fs_undo_i_put(&b, &f);
	return fs_undo_i_commit(&b);
}
