/*
 * Theory: the journal is a row of frames behind one lock. A frame is written before the act that it
 * announces; DONE, FAIL and STAMP frames, which say how acts went, wait in "pending" and are
 * written in front of the next one, so that they cost no write of their own. A kill loses at most
 * those: the reader then looks at what is there.
 *
 * No frame depends on the order of two operations on different names: the state before is worked
 * out for each name and each inode by itself (docs/UNDO.md). The kernel gives us one operation on a
 * name at a time, so that for one name the order of records, of frames and of acts is the same.
 */
#include "fsgate/fs_undo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/match.h"
#include "common/str.h"
#include "fsgate/fs_undo_i.h"

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- frames ---- */

static void batch_init(struct fs_undo_batch *b, struct fs_undo *u)
{
	b->u = u;
	b->pseq = 0;
	b->op = 0;
	b->wall_ns = now_ns();
	b->buf = b->small;
	b->len = 0;
	b->size = sizeof(b->small);
	b->failed = false;
}

void fs_undo_i_begin(struct fs_undo_batch *b, struct fs_call *c)
{
	batch_init(b, c->fs->undo);
	b->pseq = c->pseq ? c->pseq : atomic_load(&c->fs->pseq);
	b->op = atomic_fetch_add(&b->u->next_op, 1);
}

static bool grow(struct fs_undo_batch *b)
{
	size_t size = b->size + UNDO_FRAME_MAX;
	uint8_t *p = malloc(size);

	if (!p)
		return false;
	memcpy(p, b->buf, b->len);
	if (b->buf != b->small)
		free(b->buf);
	b->buf = p;
	b->size = size;
	return true;
}

void fs_undo_i_put(struct fs_undo_batch *b, struct undo_frame *f)
{
	int n;

	f->pseq = b->pseq;
	f->op = b->op;
	f->wall_ns = b->wall_ns;
	n = undo_encode(b->buf + b->len, b->size - b->len, f);
	if (n < 0 && grow(b))
		n = undo_encode(b->buf + b->len, b->size - b->len, f);
	if (n < 0)
		b->failed = true;
	else
		b->len += (size_t)n;
}

/* With the lock held. A frame that was cut by a full disk is skipped by the reader. */
static int write_journal(struct fs_undo *u, const uint8_t *p, size_t len)
{
	ssize_t n = write(u->journal, p, len);

	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -ENOSPC;
}

static int flush_pending(struct fs_undo *u)
{
	int r = u->n_pending ? write_journal(u, u->pending, u->n_pending) : 0;

	if (r == 0)
		u->n_pending = 0;
	return r;
}

/* After a failed write: say that there is a hole, as soon as that can be written. */
static int close_gap(struct fs_undo *u)
{
	struct undo_frame f = {.type = UNDO_GAP, .wall_ns = now_ns()};
	uint8_t buf[256];
	int r;

	if (!u->gap)
		return 0;
	f.name = undo_text_of("the journal could not be written");
	r = undo_encode(buf, sizeof(buf), &f);
	r = write_journal(u, buf, (size_t)r);
	u->gap = r < 0;
	return r;
}

static int write_all(struct fs_undo *u, const uint8_t *p, size_t len)
{
	int r = close_gap(u);

	/* one write for both where it fits */
	if (r == 0 && u->n_pending && u->n_pending + len <= sizeof(u->pending)) {
		memcpy(u->pending + u->n_pending, p, len);
		r = write_journal(u, u->pending, u->n_pending + len);
		if (r == 0)
			u->n_pending = 0;
		return r;
	}
	if (r == 0)
		r = flush_pending(u);
	return r < 0 ? r : write_journal(u, p, len);
}

int fs_undo_i_commit(struct fs_undo_batch *b)
{
	struct fs_undo *u = b->u;
	int r = b->failed ? -ENOMEM : 0;

	pthread_mutex_lock(&u->lock);
	if (r == 0)
		r = write_all(u, b->buf, b->len);
	if (r < 0)
		u->gap = true;
	pthread_mutex_unlock(&u->lock);
	if (b->buf != b->small)
		free(b->buf);
	b->buf = b->small;
	return r < 0 ? fs_undo_i_tolerate(u, "the journal cannot be written") : 0;
}

int fs_undo_i_tolerate(struct fs_undo *u, const char *what)
{
	if (!atomic_exchange(&u->said_missing, true))
		log_warn("undo: %s: %s", what,
			 u->required ? "such changes are denied" : "some changes cannot be undone");
	return u->required ? -EDQUOT : 0;
}

/* A frame that can wait. */
static void put_later(struct fs_undo *u, struct undo_frame *f)
{
	uint8_t buf[512];
	int n;

	f->wall_ns = now_ns();
	n = undo_encode(buf, sizeof(buf), f);
	if (n < 0)
		return;
	pthread_mutex_lock(&u->lock);
	if (u->n_pending + (size_t)n > sizeof(u->pending) && flush_pending(u) < 0) {
		u->gap = true;
		u->n_pending = 0;
	}
	memcpy(u->pending + u->n_pending, buf, (size_t)n);
	u->n_pending += (size_t)n;
	pthread_mutex_unlock(&u->lock);
}

/* ---- where things are ---- */

static bool place_once(struct fs_undo *u, struct undo_ref ref)
{
	struct fs_undo_inode *i;
	bool news = true;

	pthread_mutex_lock(&u->table_lock);
	i = fs_undo_table_add(&u->table, ref);
	if (i) {
		news = !(i->facts & FS_UNDO_PLACED);
		i->facts |= FS_UNDO_PLACED;
	}
	pthread_mutex_unlock(&u->table_lock);
	return news;
}

static struct undo_ref ref_of(const struct fs_node *n)
{
	return (struct undo_ref){fs_node_dev(n), fs_node_inum(n)};
}

void fs_undo_i_place(struct fs_undo_batch *b, struct fs *fs, struct fs_node *n)
{
	struct fs_node *at = n;

	fs_node_hold(fs->tree, at);
	while (place_once(b->u, ref_of(at))) {
		struct undo_frame f = {.type = UNDO_AT, .ref = ref_of(at)};
		char name[NAME_MAX + 1];
		struct fs_node *parent = fs_node_parent(fs->tree, at, name);

		if (!parent)
			break;
		f.dir = ref_of(parent);
		f.name = undo_text_of(name);
		fs_undo_i_put(b, &f);
		fs_node_put(fs->tree, at);
		at = parent;
	}
	fs_node_put(fs->tree, at);
}

bool fs_undo_i_excluded(const struct fs_undo *u, const char *path)
{
	for (size_t i = 0; i < u->n_exclude; i++)
		if (match_path(u->exclude[i], path))
			return true;
	return false;
}

/* ---- after the act ---- */

static void note_made(struct fs_undo *u, const struct stat *st)
{
	struct fs_undo_inode *i;

	pthread_mutex_lock(&u->table_lock);
	i = fs_undo_table_add(&u->table, undo_ref_of(st));
	/* a new name of an old file says nothing of its age */
	if (i && !(i->facts & (FS_UNDO_SEEN | FS_UNDO_PLACED | FS_UNDO_KEPT)) &&
	    (S_ISDIR(st->st_mode) || st->st_nlink == 1))
		i->facts |= FS_UNDO_BORN;
	if (i)
		i->facts |= FS_UNDO_PLACED;
	pthread_mutex_unlock(&u->table_lock);
}

void fs_undo_end(struct fs_undo_op *op, struct fs_call *c, int result, const struct stat *st)
{
	struct fs_undo *u = c->fs->undo;
	struct undo_frame f = {.type = result < 0 ? UNDO_FAIL : UNDO_DONE, .op = op->id};

	if (!u || !op->id)
		return;
	op->id = 0;
	if (result == 0 && op->gone_ino) {
		pthread_mutex_lock(&u->table_lock);
		fs_undo_table_forget(&u->table, (struct undo_ref){op->gone_dev, op->gone_ino});
		pthread_mutex_unlock(&u->table_lock);
	}
	if (result == 0 && st) {
		f.ref = undo_ref_of(st);
		note_made(u, st);
	} else if (result == 0) {
		return; /* the journal says it all */
	}
	put_later(u, &f);
}

void fs_undo_closed(struct fs *fs, struct fs_file *f)
{
	struct undo_frame stamp = {.type = UNDO_STAMP, .pseq = atomic_load(&fs->pseq)};
	struct stat st;

	if (!fs->undo || (f->flags & O_ACCMODE) == O_RDONLY || fstat(f->fd, &st) < 0)
		return;
	stamp.ref = undo_ref_of(&st);
	stamp.attr = undo_attr_of(&st);
	put_later(fs->undo, &stamp);
}

nlink_t fs_undo_links(const struct fs *fs, const struct stat *st)
{
	struct fs_undo *u = fs->undo;
	struct fs_undo_inode *i;
	bool kept;

	if (!u || S_ISDIR(st->st_mode) || st->st_nlink == 0 || atomic_load(&u->n_objects) == 0)
		return 0;
	pthread_mutex_lock(&u->table_lock);
	i = fs_undo_table_find(&u->table, undo_ref_of(st));
	kept = i && i->facts & FS_UNDO_KEPT;
	pthread_mutex_unlock(&u->table_lock);
	return kept;
}

/* ---- life ---- */

static uint64_t number(const struct fs *fs, const char *key, uint64_t otherwise)
{
	const char *text = gate_conf(&fs->gate, key);
	uint64_t v;

	return text && str_to_u64(&v, text, 0, UINT64_MAX) == 0 ? v : otherwise;
}

static int load_exclude(struct fs_undo *u, const struct fs *fs)
{
	char key[32];
	const char *glob;

	for (;;) {
		const char **more;

		snprintf(key, sizeof(key), "undo.exclude.%zu", u->n_exclude);
		glob = gate_conf(&fs->gate, key);
		if (!glob)
			return 0;
		more = realloc(u->exclude, (u->n_exclude + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		u->exclude = more;
		u->exclude[u->n_exclude++] = glob;
	}
}

static int open_store(struct fs_undo *u, const char *dir, struct err *e)
{
	struct stat st;

	u->dir = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (u->dir < 0)
		return err_set(e, errno, "undo store %s", dir);
	u->objects = openat(u->dir, "objects", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	u->journal = openat(u->dir, "journal", O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (u->objects < 0 || u->journal < 0 || fstat(u->objects, &st) < 0)
		return err_set(e, errno, "undo store %s", dir);
	u->dev = st.st_dev;
	return 0;
}

static int write_roots(struct fs *fs)
{
	struct fs_undo_batch b;
	const char *name;
	char path[PATH_MAX], key[32];

	batch_init(&b, fs->undo);
	for (unsigned i = 0; (name = fs_tree_root_name(fs->tree, i)); i++) {
		struct fs_node *n = fs_node_find(fs->tree, fs_tree_top(fs->tree), name);
		struct undo_frame f = {.type = UNDO_ROOT};
		const char *host;

		snprintf(key, sizeof(key), "root.%u.host", i);
		host = gate_conf(&fs->gate, key);
		if (n && host && fs_node_path(fs->tree, n, NULL, path, sizeof(path)) == 0) {
			f.ref = ref_of(n);
			f.name = undo_text_of(path);
			f.name2 = undo_text_of(host);
			fs_undo_i_put(&b, &f);
			place_once(fs->undo, f.ref);
		}
		fs_node_put(fs->tree, n);
	}
	return fs_undo_i_commit(&b);
}

int fs_undo_open(struct fs *fs, struct err *e)
{
	const char *dir = gate_conf(&fs->gate, "undo.dir");
	struct fs_undo *u;
	int r;

	if (!dir)
		return 0;
	u = calloc(1, sizeof(*u));
	if (!u)
		return err_set(e, ENOMEM, "undo");
	u->dir = u->objects = u->journal = -1;
	pthread_mutex_init(&u->lock, NULL);
	pthread_mutex_init(&u->table_lock, NULL);
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&u->shards[i], NULL);
	u->required = number(fs, "undo.required", 0);
	u->max_bytes = number(fs, "undo.max_bytes", UINT64_MAX);
	u->max_file = number(fs, "undo.max_file", UINT64_MAX);
	atomic_store(&u->next_op, 1);
	fs->undo = u;
	r = load_exclude(u, fs);
	if (r < 0)
		return err_set(e, -r, "undo");
	r = open_store(u, dir, e);
	return r < 0 ? r : write_roots(fs);
}

void fs_undo_close(struct fs *fs)
{
	struct undo_frame f = {.type = UNDO_END};
	struct fs_undo *u = fs->undo;

	if (!u)
		return;
	put_later(u, &f);
	pthread_mutex_lock(&u->lock);
	if (close_gap(u) == 0)
		flush_pending(u);
	pthread_mutex_unlock(&u->lock);
}
