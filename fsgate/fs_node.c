/*
 * Theory: nodes hang in one hash table under (parent pointer, name), so moving a directory moves
 * its whole subtree without touching it. n_refs counts children, holders and open files; lookups
 * counts what the kernel knows. A node is freed when both are zero; that drops its parent's ref.
 *
 * A shared descriptor (struct fs_shared) outlives its node's use of it while someone has it pinned:
 * eviction and detachment only take it off the node.
 *
 * epoch is raised by every move of a directory: facts noted under an older epoch do not count.
 */
#include "fsgate/fs_node.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsgate/fs_at.h"

struct fs_shared {
	int fd;
	unsigned users; /* pins, and one for the node that has it */
};

struct open_file {
	struct open_file *next;
	struct fs_file *file;
	int fd; /* borrowed from the file */
};

struct fs_node {
	struct fs_node *parent; /* NULL for the top; counted in parent->n_refs */
	struct fs_node *hash_next;
	struct fs_node *warm_prev, *warm_next; /* in the list of evictable descriptors */
	char *name;
	char *root_path; /* governed roots only */
	uint64_t lookups;
	uint32_t n_refs;
	uint32_t facts, facts_epoch;
	nlink_t facts_links;
	dev_t dev;
	ino_t ino;
	mode_t type;
	struct timespec born; /* ctime of a symbolic link: its text never changes under one ctime */
	struct fs_shared *shared;
	struct open_file *files;
	struct fs_stamp stamps[2];
	bool hashed;
	bool fixed;    /* top and governed roots */
	bool detached; /* its name is not its own any more */
	bool override;
};

struct fs_tree {
	pthread_mutex_t lock;
	struct fs_node top;
	struct fs_node **buckets;
	size_t n_buckets; /* power of two */
	size_t n_nodes;
	struct fs_node *roots[256];
	unsigned n_roots;
	struct fs_node warm; /* list head: warm.warm_next is the most recently used */
	unsigned n_warm, max_warm;
	uint32_t epoch;
};

static size_t hash_of(const struct fs_tree *t, const struct fs_node *parent, const char *name)
{
	uint64_t h = (uintptr_t)parent * 0x9E3779B97F4A7C15ull;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001B3ull;
	return (size_t)(h ^ h >> 29) & (t->n_buckets - 1);
}

int fs_tree_new(struct fs_tree **out, unsigned max_fds)
{
	struct fs_tree *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->n_buckets = 1024;
	t->buckets = calloc(t->n_buckets, sizeof(struct fs_node *));
	if (!t->buckets) {
		free(t);
		return -ENOMEM;
	}
	pthread_mutex_init(&t->lock, NULL);
	t->warm.warm_next = t->warm.warm_prev = &t->warm;
	t->max_warm = max_fds;
	t->top.type = S_IFDIR;
	t->top.fixed = true;
	t->top.lookups = 1;
	t->n_nodes = 1;
	*out = t;
	return 0;
}

static void shared_put(struct fs_shared *s)
{
	if (s && --s->users == 0) {
		close(s->fd);
		free(s);
	}
}

static void cool(struct fs_tree *t, struct fs_node *n)
{
	if (!n->warm_next)
		return;
	n->warm_next->warm_prev = n->warm_prev;
	n->warm_prev->warm_next = n->warm_next;
	n->warm_next = n->warm_prev = NULL;
	t->n_warm--;
}

static void warm(struct fs_tree *t, struct fs_node *n)
{
	cool(t, n);
	n->warm_next = t->warm.warm_next;
	n->warm_prev = &t->warm;
	n->warm_next->warm_prev = n;
	t->warm.warm_next = n;
	t->n_warm++;
}

static void drop_shared(struct fs_tree *t, struct fs_node *n)
{
	cool(t, n);
	shared_put(n->shared);
	n->shared = NULL;
}

static void evict(struct fs_tree *t)
{
	while (t->n_warm > t->max_warm)
		drop_shared(t, t->warm.warm_prev);
}

/* Give the node a descriptor; consumed. */
static int set_shared(struct fs_node *n, int fd)
{
	struct fs_shared *s = malloc(sizeof(*s));

	if (!s) {
		close(fd);
		return -ENOMEM;
	}
	s->fd = fd;
	s->users = 1;
	n->shared = s;
	return 0;
}

static void node_release(struct fs_node *n)
{
	struct open_file *next;

	for (struct open_file *o = n->files; o; o = next) {
		next = o->next;
		free(o);
	}
	shared_put(n->shared);
	free(n->name);
	free(n->root_path);
}

void fs_tree_free(struct fs_tree *t)
{
	struct fs_node *next;

	if (!t)
		return;
	for (size_t i = 0; i < t->n_buckets; i++) {
		for (struct fs_node *n = t->buckets[i]; n; n = next) {
			next = n->hash_next;
			node_release(n);
			free(n);
		}
	}
	free(t->buckets);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

struct fs_node *fs_tree_top(struct fs_tree *t)
{
	return &t->top;
}

size_t fs_tree_count(struct fs_tree *t)
{
	size_t n;

	pthread_mutex_lock(&t->lock);
	n = t->n_nodes;
	pthread_mutex_unlock(&t->lock);
	return n;
}

const char *fs_tree_root_name(struct fs_tree *t, unsigned n)
{
	return n < t->n_roots ? t->roots[n]->name : NULL;
}

bool fs_tree_is_root(struct fs_tree *t, dev_t dev, ino_t ino)
{
	for (unsigned i = 0; i < t->n_roots; i++)
		if (t->roots[i]->ino == ino && t->roots[i]->dev == dev)
			return true;
	return false;
}

/* ---- the hash; all with the lock held ---- */

static struct fs_node *find(struct fs_tree *t, const struct fs_node *parent, const char *name)
{
	struct fs_node *n = t->buckets[hash_of(t, parent, name)];

	while (n && (n->parent != parent || strcmp(n->name, name) != 0))
		n = n->hash_next;
	return n;
}

static void hash_in(struct fs_tree *t, struct fs_node *n)
{
	struct fs_node **b = &t->buckets[hash_of(t, n->parent, n->name)];

	n->hash_next = *b;
	*b = n;
	n->hashed = true;
}

static void hash_out(struct fs_tree *t, struct fs_node *n)
{
	struct fs_node **p;

	if (!n->hashed)
		return;
	p = &t->buckets[hash_of(t, n->parent, n->name)];
	while (*p != n)
		p = &(*p)->hash_next;
	*p = n->hash_next;
	n->hash_next = NULL;
	n->hashed = false;
}

static void grow(struct fs_tree *t)
{
	struct fs_node **old = t->buckets, *next;
	size_t n_old = t->n_buckets;
	struct fs_node **more;

	if (t->n_nodes <= n_old)
		return;
	more = calloc(n_old * 2, sizeof(struct fs_node *));
	if (!more)
		return; /* longer chains, nothing worse */
	t->buckets = more;
	t->n_buckets = n_old * 2;
	for (size_t i = 0; i < n_old; i++) {
		for (struct fs_node *n = old[i]; n; n = next) {
			next = n->hash_next;
			hash_in(t, n);
		}
	}
	free(old);
}

/* Free every node from n upwards that nobody needs any more. */
static void reap(struct fs_tree *t, struct fs_node *n)
{
	while (n && n->parent && !n->fixed && n->lookups == 0 && n->n_refs == 0) {
		struct fs_node *parent = n->parent;

		hash_out(t, n);
		cool(t, n);
		node_release(n);
		free(n);
		t->n_nodes--;
		parent->n_refs--;
		n = parent;
	}
}

static struct fs_node *add(struct fs_tree *t, struct fs_node *parent, const char *name)
{
	struct fs_node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->name = strdup(name);
	if (!n->name) {
		free(n);
		return NULL;
	}
	n->parent = parent;
	parent->n_refs++;
	t->n_nodes++;
	hash_in(t, n);
	grow(t);
	return n;
}

static void detach(struct fs_tree *t, struct fs_node *n)
{
	hash_out(t, n);
	cool(t, n); /* the descriptor is all that is left: not evictable any more */
	n->detached = true;
	n->facts = 0;
}

static bool same_file(const struct fs_node *n, const struct stat *st)
{
	if (n->ino != st->st_ino || n->dev != st->st_dev || n->type != (st->st_mode & S_IFMT))
		return false;
	return n->type != S_IFLNK || (n->born.tv_sec == st->st_ctim.tv_sec &&
				      n->born.tv_nsec == st->st_ctim.tv_nsec);
}

static void identify(struct fs_node *n, const struct stat *st)
{
	n->dev = st->st_dev;
	n->ino = st->st_ino;
	n->type = st->st_mode & S_IFMT;
	n->born = st->st_ctim;
}

int fs_tree_add_root(struct fs_tree *t, const char *name, const char *path, int fd)
{
	struct fs_node *n;
	struct stat st;

	if (t->n_roots == ARRAY_LEN(t->roots) || fstat(fd, &st) < 0) {
		int code = t->n_roots == ARRAY_LEN(t->roots) ? E2BIG : errno;

		close(fd);
		return -code;
	}
	n = add(t, &t->top, name);
	if (!n || set_shared(n, fd) < 0) {
		if (!n)
			close(fd);
		return -ENOMEM;
	}
	n->root_path = strdup(path);
	if (!n->root_path)
		return -ENOMEM;
	n->fixed = true;
	identify(n, &st);
	t->roots[t->n_roots++] = n;
	return 0;
}

struct fs_node *fs_node_of(struct fs_tree *t, uint64_t ino)
{
	/* the kernel only returns what fs_node_ino() gave it */
	return ino == 1 ? &t->top : (struct fs_node *)(uintptr_t)ino;
}

uint64_t fs_node_ino(struct fs_tree *t, const struct fs_node *n)
{
	return n == &t->top ? 1 : (uint64_t)(uintptr_t)n;
}

struct fs_node *fs_node_seen(struct fs_tree *t, struct fs_node *parent, const char *name,
			     const struct stat *st, int fd)
{
	struct fs_node *n;

	pthread_mutex_lock(&t->lock);
	n = find(t, parent, name);
	if (n && !n->fixed && !n->override && !same_file(n, st)) {
		detach(t, n);
		reap(t, n);
		n = NULL;
	}
	if (!n) {
		n = add(t, parent, name);
		if (n)
			identify(n, st);
		if (n && fd >= 0) {
			n->override = true;
			if (set_shared(n, fd) < 0) {
				reap(t, n);
				n = NULL;
			}
			fd = -1;
		}
	}
	if (n)
		n->lookups++;
	pthread_mutex_unlock(&t->lock);
	if (fd >= 0)
		close(fd);
	return n;
}

struct fs_node *fs_node_find(struct fs_tree *t, struct fs_node *parent, const char *name)
{
	struct fs_node *n;

	pthread_mutex_lock(&t->lock);
	n = find(t, parent, name);
	if (n)
		n->n_refs++;
	pthread_mutex_unlock(&t->lock);
	return n;
}

void fs_node_hold(struct fs_tree *t, struct fs_node *n)
{
	pthread_mutex_lock(&t->lock);
	n->n_refs++;
	pthread_mutex_unlock(&t->lock);
}

void fs_node_put(struct fs_tree *t, struct fs_node *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&t->lock);
	n->n_refs--;
	reap(t, n);
	pthread_mutex_unlock(&t->lock);
}

void fs_node_forget(struct fs_tree *t, struct fs_node *n, uint64_t lookups)
{
	pthread_mutex_lock(&t->lock);
	n->lookups -= lookups < n->lookups ? lookups : n->lookups;
	reap(t, n);
	pthread_mutex_unlock(&t->lock);
}

/* ---- paths ---- */

/* Write text so that it ends before *end; move *end to its start. */
static bool put_before(char *buf, size_t *end, const char *text)
{
	size_t len = strlen(text);

	if (len + 1 > *end)
		return false;
	*end -= len;
	memcpy(buf + *end, text, len);
	buf[--*end] = '/';
	return true;
}

static int path_locked(const struct fs_node *n, const char *name, char *buf, size_t size)
{
	size_t end = size, root_len;

	if (!n->parent)
		return -ENOENT;
	buf[--end] = '\0';
	if (name && !put_before(buf, &end, name))
		return -ENAMETOOLONG;
	for (; !n->root_path; n = n->parent)
		if (!put_before(buf, &end, n->name))
			return -ENAMETOOLONG;
	root_len = strcmp(n->root_path, "/") == 0 ? 0 : strlen(n->root_path);
	if (root_len > end)
		return -ENAMETOOLONG;
	end -= root_len;
	memcpy(buf + end, n->root_path, root_len);
	memmove(buf, buf + end, size - end);
	if (buf[0] == '\0')
		memcpy(buf, "/", 2);
	return 0;
}

int fs_node_path(struct fs_tree *t, struct fs_node *n, const char *name, char *buf, size_t size)
{
	int r;

	pthread_mutex_lock(&t->lock);
	r = path_locked(n, name, buf, size);
	pthread_mutex_unlock(&t->lock);
	return r;
}

mode_t fs_node_type(const struct fs_node *n)
{
	return n->type;
}

dev_t fs_node_dev(const struct fs_node *n)
{
	return n->dev;
}

ino_t fs_node_inum(const struct fs_node *n)
{
	return n->ino;
}

bool fs_node_is_override(const struct fs_node *n)
{
	return n->override;
}

bool fs_node_is_fixed(const struct fs_node *n)
{
	return n->fixed;
}

bool fs_node_is(const struct fs_node *n, const struct stat *st)
{
	return n->ino == st->st_ino && n->dev == st->st_dev && n->type == (st->st_mode & S_IFMT);
}

bool fs_node_below(struct fs_tree *t, struct fs_node *n, const struct fs_node *dir)
{
	pthread_mutex_lock(&t->lock);
	while (n && n != dir)
		n = n->parent;
	pthread_mutex_unlock(&t->lock);
	return n != NULL;
}

/* ---- descriptors ---- */

/* With the lock held: pin what the node has. */
static bool pin_shared(struct fs_tree *t, struct fs_node *n, struct fs_pin *out)
{
	if (!n->shared)
		return false;
	n->shared->users++;
	out->fd = n->shared->fd;
	out->shared = n->shared;
	if (n->warm_next && t->warm.warm_next != n)
		warm(t, n);
	return true;
}

void fs_node_unpin(struct fs_tree *t, struct fs_pin *pin)
{
	if (pin->shared) {
		pthread_mutex_lock(&t->lock);
		shared_put(pin->shared);
		pthread_mutex_unlock(&t->lock);
	} else if (pin->fd >= 0) {
		close(pin->fd);
	}
	pin->fd = -1;
	pin->shared = NULL;
}

int fs_node_where(struct fs_tree *t, struct fs_node *n, struct fs_where *w)
{
	struct fs_node *parent;
	int r;

	w->at.fd = -1;
	w->at.shared = NULL;
	w->name[0] = '\0';
	pthread_mutex_lock(&t->lock);
	w->self = n->fixed || n->detached || n->override;
	if (w->self) {
		bool have = pin_shared(t, n, &w->at);

		pthread_mutex_unlock(&t->lock);
		return have ? 0 : -ESTALE;
	}
	parent = n->parent;
	parent->n_refs++;
	strncpy(w->name, n->name, sizeof(w->name) - 1);
	w->name[sizeof(w->name) - 1] = '\0';
	pthread_mutex_unlock(&t->lock);
	r = fs_node_pin(t, parent, &w->at);
	fs_node_put(t, parent);
	return r;
}

/* A directory's descriptor was opened: let others use it too. */
static void keep_pin(struct fs_tree *t, struct fs_node *n, struct fs_pin *pin)
{
	pthread_mutex_lock(&t->lock);
	if (!n->shared && !n->detached) {
		struct fs_shared *s = malloc(sizeof(*s));

		if (s) {
			s->fd = pin->fd;
			s->users = 2;
			n->shared = s;
			pin->shared = s;
			warm(t, n);
			evict(t);
		}
	}
	pthread_mutex_unlock(&t->lock);
}

static int open_path(struct fs_tree *t, struct fs_node *n, struct fs_pin *out)
{
	struct fs_where w;
	struct stat st;
	int fd, r = fs_node_where(t, n, &w);

	if (r < 0)
		return r;
	if (w.self) { /* detached in the meantime: it has a descriptor of its own */
		*out = w.at;
		return 0;
	}
	fd = fs_at_open(w.at.fd, w.name, O_PATH, 0);
	fs_node_unpin(t, &w.at);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !fs_node_is(n, &st)) {
		close(fd);
		return -ESTALE;
	}
	out->fd = fd;
	out->shared = NULL;
	return 0;
}

int fs_node_pin(struct fs_tree *t, struct fs_node *n, struct fs_pin *out)
{
	bool have;
	int r;

	out->fd = -1;
	out->shared = NULL;
	if (!n->parent)
		return -EACCES; /* the top has no backing */
	pthread_mutex_lock(&t->lock);
	have = pin_shared(t, n, out);
	pthread_mutex_unlock(&t->lock);
	if (have)
		return 0;
	r = open_path(t, n, out);
	if (r == -ENOENT || r == -ENOTDIR || r == -ESTALE) /* perhaps it moved while we looked */
		r = open_path(t, n, out);
	if (r == 0 && !out->shared && n->type == S_IFDIR)
		keep_pin(t, n, out);
	if (r != -ENOENT && r != -ENOTDIR && r != -ESTALE)
		return r;
	/* the name is another file's by now; whoever has this one open can go on */
	out->fd = fs_node_dup_file(t, n);
	return out->fd < 0 ? -ESTALE : 0;
}

/* ---- changes of names ---- */

void fs_node_detach(struct fs_tree *t, struct fs_node *n, int fd)
{
	pthread_mutex_lock(&t->lock);
	if (!n->fixed) {
		detach(t, n);
		if (!n->shared && fd >= 0) {
			set_shared(n, fd);
			fd = -1;
		}
	}
	pthread_mutex_unlock(&t->lock);
	if (fd >= 0)
		close(fd);
}

/* Put n under a new name; spare is that name's own copy. */
static void rehash(struct fs_tree *t, struct fs_node *n, struct fs_node *parent, char *spare)
{
	struct fs_node *old = n->parent;

	hash_out(t, n);
	free(n->name);
	n->name = spare;
	n->parent = parent;
	n->facts = 0;
	if (n->type == S_IFDIR)
		t->epoch++;
	parent->n_refs++;
	hash_in(t, n);
	old->n_refs--;
	reap(t, old);
}

void fs_node_moved(struct fs_tree *t, struct fs_node *parent, const char *name,
		   struct fs_node *new_parent, const char *new_name, int fd)
{
	char *spare = strdup(new_name);
	struct fs_node *n, *gone;

	pthread_mutex_lock(&t->lock);
	gone = find(t, new_parent, new_name);
	if (gone && !gone->fixed) {
		detach(t, gone);
		if (!gone->shared && fd >= 0) {
			set_shared(gone, fd);
			fd = -1;
		}
		reap(t, gone);
	}
	n = find(t, parent, name);
	if (n && spare) {
		rehash(t, n, new_parent, spare);
		spare = NULL;
	} else if (n) {
		detach(t, n); /* out of memory: better no name than the wrong one */
	}
	pthread_mutex_unlock(&t->lock);
	free(spare);
	if (fd >= 0)
		close(fd);
}

void fs_node_swapped(struct fs_tree *t, struct fs_node *a, const char *a_name, struct fs_node *b,
		     const char *b_name)
{
	char *spare_a = strdup(a_name), *spare_b = strdup(b_name);
	struct fs_node *x, *y;

	pthread_mutex_lock(&t->lock);
	x = find(t, a, a_name);
	y = find(t, b, b_name);
	if (x)
		x->n_refs++;
	if (y)
		y->n_refs++;
	if (x && spare_b) {
		rehash(t, x, b, spare_b);
		spare_b = NULL;
	}
	if (y && spare_a) {
		rehash(t, y, a, spare_a);
		spare_a = NULL;
	}
	if (x) {
		x->n_refs--;
		reap(t, x);
	}
	if (y) {
		y->n_refs--;
		reap(t, y);
	}
	pthread_mutex_unlock(&t->lock);
	free(spare_a);
	free(spare_b);
}

/* ---- open files ---- */

void fs_node_add_file(struct fs_tree *t, struct fs_node *n, struct fs_file *f, int fd)
{
	struct open_file *o = malloc(sizeof(*o));

	pthread_mutex_lock(&t->lock);
	n->n_refs++;
	if (o) { /* without it, stat of the file after its unlink may fail: no more than that */
		o->file = f;
		o->fd = fd;
		o->next = n->files;
		n->files = o;
	}
	pthread_mutex_unlock(&t->lock);
}

void fs_node_del_file(struct fs_tree *t, struct fs_node *n, struct fs_file *f)
{
	struct open_file *o = NULL;

	pthread_mutex_lock(&t->lock);
	for (struct open_file **p = &n->files; *p; p = &(*p)->next) {
		if ((*p)->file == f) {
			o = *p;
			*p = o->next;
			break;
		}
	}
	n->n_refs--;
	reap(t, n);
	pthread_mutex_unlock(&t->lock);
	free(o);
}

int fs_node_dup_file(struct fs_tree *t, struct fs_node *n)
{
	int fd = -1;

	pthread_mutex_lock(&t->lock);
	if (n->files)
		fd = fcntl(n->files->fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&t->lock);
	return fd;
}

/* ---- what is remembered about a node ---- */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool fs_node_stamp(struct fs_tree *t, struct fs_node *n, enum fs_stamp_of which,
		   const struct stat *st)
{
	struct fs_stamp now = {st->st_mtim, st->st_ctim, st->st_size};
	struct fs_stamp *s = &n->stamps[which];
	bool same;

	pthread_mutex_lock(&t->lock);
	same = same_time(&s->mtime, &now.mtime) && same_time(&s->ctime, &now.ctime) &&
	       s->size == now.size;
	*s = now;
	pthread_mutex_unlock(&t->lock);
	return same;
}

bool fs_node_fact(struct fs_tree *t, struct fs_node *n, enum fs_fact f, nlink_t links)
{
	bool yes;

	pthread_mutex_lock(&t->lock);
	yes = (n->facts & f) && n->facts_epoch == t->epoch &&
	      (f != FS_LINKS_INSIDE || n->facts_links == links);
	pthread_mutex_unlock(&t->lock);
	return yes;
}

void fs_node_set_fact(struct fs_tree *t, struct fs_node *n, enum fs_fact f, nlink_t links)
{
	pthread_mutex_lock(&t->lock);
	if (n->facts_epoch != t->epoch)
		n->facts = 0;
	n->facts_epoch = t->epoch;
	n->facts |= f;
	if (f == FS_LINKS_INSIDE)
		n->facts_links = links;
	pthread_mutex_unlock(&t->lock);
}
