/*
 * Theory: a notification about a name waits for the directory's lock, which the kernel holds while it
 * asks us about anything in that directory; one about pages waits for reads. So both are done by
 * threads that serve nothing, and never under a lock of ours. The queue is in order of events; a
 * thread takes the first change whose directory no other thread is at, so that one busy directory
 * stops nobody else. A directory about which a request waits for a person is left out until that is
 * over; kernels since 6.16 are told meanwhile that every name wants a look (INC_EPOCH).
 *
 * Over MAX_JOBS changes, what is not told yet becomes "everything": all nodes are gone through.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "fsgate/fs_at.h"
#include "fsgate/fs_entry.h"
#include "fsgate/fs_watch_i.h"

#define MAX_JOBS 65536u
#define MAX_THREADS 16
#define MAX_LINKS 64
#define MAX_TRIES 5
#define PAGES_MS 30
#define ALL_AT_ONCE 64
#define ATTR_ONLY (-1)
#define NOTIFY_INC_EPOCH 8

struct job {
	struct job *next;
	struct fs_node *dir;  /* held */
	struct fs_node *file; /* that had the name when it was queued; held, or NULL */
	uint32_t mask;
	uint64_t due_ms; /* not before; 0: at once */
	char name[];
};

struct fs_teller {
	struct fs *fs;
	atomic_bool missed;   /* something was not told because its directory was held */
	pthread_mutex_t lock; /* for all below */
	pthread_cond_t more;
	struct job *head, **tail;
	size_t n_jobs;
	struct fs_node *at[MAX_THREADS]; /* where each thread is */
	unsigned n_threads, n_idle;
	bool all;	/* everything is to be told */
	bool all_running;
};

/* ---- notifications ---- */

static fuse_ino_t ino_of(struct fs_teller *w, const struct fs_node *n)
{
	return fs_node_ino(w->fs->tree, n);
}

/* The parent and the name of a node, held; NULL when it has none that could be told of. */
static struct fs_node *name_of(struct fs_teller *w, struct fs_node *n, char *name)
{
	return fs_node_is_fixed(n) ? NULL : fs_node_parent(w->fs->tree, n, name);
}

static void inc_epoch(struct fs_teller *w)
{
	struct {
		uint32_t len;
		int32_t code;
		uint64_t unique;
	} h = {.len = sizeof(h), .code = NOTIFY_INC_EPOCH};

	if (write(fuse_session_fd(w->fs->se), &h, sizeof(h)) < 0)
		log_debug("no epochs in this kernel");
}

static void drop_name(struct fs_teller *w, struct fs_node *dir, const char *name)
{
	if (fs_spot_is_held(w->fs->tree, dir)) { /* it would wait for a person */
		inc_epoch(w);
		atomic_store(&w->missed, true);
		return;
	}
	fuse_lowlevel_notify_inval_entry(w->fs->se, ino_of(w, dir), name, strlen(name));
}

/* Attributes, and with off 0 all pages. May block. */
static void drop_inode(struct fs_teller *w, struct fs_node *n, off_t off)
{
	char name[NAME_MAX + 1];
	struct fs_node *parent;

	if (fuse_lowlevel_notify_inval_inode(w->fs->se, ino_of(w, n), off, 0) != -ENOENT)
		return;
	/* the kernel has forgotten it, or the answer that tells it of the node is on its way */
	parent = name_of(w, n, name);
	if (!parent)
		return;
	drop_name(w, parent, name);
	fs_node_put(w->fs->tree, parent);
	fuse_lowlevel_notify_inval_inode(w->fs->se, ino_of(w, n), off, 0);
}

/* ---- one change ---- */

/* A file has got another name: what is known by its old ones is not to be kept any more. */
static void look_at_links(struct fs_teller *w, const struct stat *st, const struct fs_node *except)
{
	struct fs_node *other[MAX_LINKS];
	size_t n;

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return;
	n = fs_spot_links(w->fs->tree, st, except, other, MAX_LINKS);
	for (size_t i = 0; i < n; i++) {
		drop_inode(w, other[i], ATTR_ONLY);
		fs_node_put(w->fs->tree, other[i]);
	}
}

/* The name is another file's: the node is not found by it any more. */
static void check_name(struct fs_teller *w, const struct job *j, struct fs_node *n)
{
	struct fs_tree *t = w->fs->tree;
	struct fs_pin pin;
	struct stat st;
	int r = fs_node_pin(t, j->dir, &pin);

	if (r == 0) {
		r = fs_at_stat(pin.fd, j->name, &st);
		fs_node_unpin(t, &pin);
	}
	if (r == 0 && j->mask & IN_CREATE)
		look_at_links(w, &st, n);
	if (n && (r == -ENOENT || (r == 0 && !fs_node_is(n, &st))))
		fs_node_lost(t, j->dir, j->name, n);
}

static void tell(struct fs_teller *w, const struct job *j)
{
	struct fs_tree *t = w->fs->tree;
	struct fs_node *n;

	if (strcmp(j->name, ".") == 0) {
		drop_inode(w, j->dir, ATTR_ONLY);
		return;
	}
	if (j->mask & FS_WATCH_NAMES) {
		n = fs_node_find(t, j->dir, j->name);
		drop_inode(w, j->dir, 0);
		drop_name(w, j->dir, j->name);
		check_name(w, j, n);
		if (n)
			drop_inode(w, n, ATTR_ONLY);
		fs_node_put(t, n);
	}
	if (j->file) {
		fs_spot_pages_due(t, j->file, false);
		drop_inode(w, j->file, j->mask & FS_WATCH_DATA ? 0 : ATTR_ONLY);
	}
}

static void tell_everything(struct fs_teller *w)
{
	struct fs_node *nodes[ALL_AT_ONCE], *parent;
	struct fs_tree *t = w->fs->tree;
	char name[NAME_MAX + 1];
	int n;

	inc_epoch(w);
	for (size_t i = 0; (n = fs_spot_all(t, i, nodes, ALL_AT_ONCE)) >= 0; i++) {
		for (int k = 0; k < n; k++) {
			fs_spot_pages_due(t, nodes[k], false);
			drop_inode(w, nodes[k], 0);
			parent = name_of(w, nodes[k], name);
			if (parent)
				drop_name(w, parent, name);
			fs_node_put(t, parent);
			fs_node_put(t, nodes[k]);
		}
	}
}

/* ---- threads ---- */

static bool is_taken(struct fs_teller *w, const struct fs_node *dir)
{
	for (unsigned i = 0; i < w->n_threads; i++)
		if (w->at[i] == dir)
			return true;
	return fs_spot_is_held(w->fs->tree, (struct fs_node *)dir);
}

static struct job *take(struct fs_teller *w)
{
	uint64_t now = loop_now_ms();

	for (struct job **at = &w->head; *at; at = &(*at)->next) {
		struct job *j = *at;

		if (j->due_ms > now || is_taken(w, j->dir))
			continue;
		*at = j->next;
		if (!*at)
			w->tail = at;
		w->n_jobs--;
		return j;
	}
	return NULL;
}

struct worker {
	struct fs_teller *w;
	unsigned slot;
};

static bool run_one(struct fs_teller *w, unsigned slot)
{
	struct job *j;

	if (w->all && !w->all_running) {
		w->all = false;
		w->all_running = true;
		pthread_mutex_unlock(&w->lock);
		tell_everything(w);
		pthread_mutex_lock(&w->lock);
		w->all_running = false;
		return true;
	}
	j = take(w);
	if (!j)
		return false;
	w->at[slot] = j->dir;
	pthread_mutex_unlock(&w->lock);
	tell(w, j);
	pthread_mutex_lock(&w->lock);
	w->at[slot] = NULL;
	fs_node_put(w->fs->tree, j->dir);
	fs_node_put(w->fs->tree, j->file);
	free(j);
	return true;
}

/* What is not due, or waits for a held directory, is looked at again after a while. */
static void wait_for_work(struct fs_teller *w)
{
	struct timespec until;

	if (!w->head) {
		pthread_cond_wait(&w->more, &w->lock);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PAGES_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&w->more, &w->lock, &until);
}

static void *run(void *arg)
{
	struct worker me = *(struct worker *)arg;

	free(arg);
	pthread_mutex_lock(&me.w->lock);
	for (;;) {
		if (run_one(me.w, me.slot))
			continue;
		me.w->n_idle++;
		wait_for_work(me.w);
		me.w->n_idle--;
	}
	return NULL;
}

/* With the lock held: somebody must be there for what was queued. */
static void call_someone(struct fs_teller *w)
{
	struct worker *me;
	pthread_t t;

	if (w->n_idle > 0) {
		pthread_cond_signal(&w->more);
		return;
	}
	if (w->n_threads == MAX_THREADS)
		return; /* each of them looks again when it is done */
	me = malloc(sizeof(*me));
	if (!me)
		return;
	me->w = w;
	me->slot = w->n_threads;
	if (pthread_create(&t, NULL, run, me) != 0) {
		free(me);
		return;
	}
	pthread_detach(t);
	w->n_threads++;
}

int fs_watch_i_teller_new(struct fs_teller **out, struct fs *fs)
{
	struct fs_teller *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->fs = fs;
	w->tail = &w->head;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	*out = w;
	return 0;
}

struct target {
	struct fs_teller *w;
	struct fs_node *node;
	int result;
};

/* Attributes alone: takes no lock that anybody could wait for. */
static void drop_attributes(void *arg)
{
	struct target *t = arg;

	t->result = fuse_lowlevel_notify_inval_inode(t->w->fs->se, ino_of(t->w, t->node), ATTR_ONLY, 0);
}

/*
 * A reader whose getattr is under way when it is made void goes by the size from before, and sees the
 * first half of a file that was written as a whole. So nothing is said of what the kernel knows by
 * itself, because it has opened the file or looked at it since; and the pages, which the kernel drops
 * by itself when it sees a new time, are dropped a while later.
 *
 * @return milliseconds after which there is something left to do, or -1
 */
static int tell_of_file(struct fs_teller *w, const struct fs_change *c, struct fs_node *n)
{
	struct target target = {.w = w, .node = n};
	bool told = false;
	struct stat st;

	if (c->mask & FS_WATCH_DATA)
		fs_spot_busy(w->fs->tree, n, !(c->mask & IN_CLOSE_WRITE));
	for (int tries = 0; tries < MAX_TRIES && !told; tries++) {
		uint64_t was = fs_spot_last(w->fs->tree, n);

		if (fs_entry_stat(w->fs, n, &st) < 0)
			break;
		told = fs_spot_told(w->fs->tree, n, &st, was, drop_attributes, &target);
	}
	if (!told)
		drop_attributes(&target);
	if (target.result == -ENOENT)
		return 0;
	return c->mask & FS_WATCH_DATA && fs_spot_pages_due(w->fs->tree, n, true) ? PAGES_MS : -1;
}

/* What needs no waiting is done at once, also for directories that are held. @return as above */
static int tell_at_once(struct fs_teller *w, const struct fs_change *c)
{
	struct target dir = {.w = w, .node = c->dir};
	struct fs_node *n;
	int more = 0;

	if (strcmp(c->name, ".") == 0) {
		drop_attributes(&dir);
		return dir.result == -ENOENT ? 0 : -1;
	}
	n = fs_node_find(w->fs->tree, c->dir, c->name);
	if (c->mask & FS_WATCH_NAMES) {
		struct target file = {.w = w, .node = n};

		if (n)
			drop_attributes(&file);
		drop_attributes(&dir);
		if (fs_spot_is_held(w->fs->tree, c->dir))
			inc_epoch(w);
	} else {
		more = n ? tell_of_file(w, c, n) : -1;
	}
	fs_node_put(w->fs->tree, n);
	return more;
}

void fs_watch_i_tell(struct fs_teller *w, const struct fs_change *c)
{
	size_t len = strlen(c->name) + 1;
	int more = tell_at_once(w, c);
	struct job *j;

	if (more < 0)
		return;
	j = malloc(sizeof(*j) + len);
	pthread_mutex_lock(&w->lock);
	if (!j || w->n_jobs >= MAX_JOBS) {
		w->all = true;
		free(j);
	} else {
		fs_node_hold(w->fs->tree, c->dir);
		j->dir = c->dir;
		j->file = fs_node_find(w->fs->tree, c->dir, c->name);
		j->mask = c->mask;
		j->due_ms = more ? loop_now_ms() + (uint64_t)more : 0;
		memcpy(j->name, c->name, len);
		j->next = NULL;
		*w->tail = j;
		w->tail = &j->next;
		w->n_jobs++;
	}
	call_someone(w);
	pthread_mutex_unlock(&w->lock);
}

void fs_watch_i_tell_all(struct fs_teller *w)
{
	pthread_mutex_lock(&w->lock);
	w->all = true;
	call_someone(w);
	pthread_mutex_unlock(&w->lock);
}

void fs_watch_i_wake(struct fs_teller *w)
{
	pthread_mutex_lock(&w->lock);
	if (atomic_exchange(&w->missed, false)) {
		w->all = true;
		call_someone(w);
	}
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
}
