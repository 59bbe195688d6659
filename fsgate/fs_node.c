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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsgate/fs_node_i.h"

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

static void node_release(struct fs_node *n)
{
	struct open_file *next;

	for (struct open_file *o = n->files; o; o = next) {
		next = o->next;
		free(o);
	}
	fs_node_i_shared_put(n->shared);
	fs_node_i_unspot(n);
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

struct fs_node *fs_node_i_find(struct fs_tree *t, const struct fs_node *parent, const char *name)
{
	struct fs_node *n = t->buckets[hash_of(t, parent, name)];

	while (n && (n->parent != parent || strcmp(n->name, name) != 0))
		n = n->hash_next;
	return n;
}

void fs_node_i_hash_in(struct fs_tree *t, struct fs_node *n)
{
	struct fs_node **b = &t->buckets[hash_of(t, n->parent, n->name)];

	n->hash_next = *b;
	*b = n;
	n->hashed = true;
}

void fs_node_i_hash_out(struct fs_tree *t, struct fs_node *n)
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
			fs_node_i_hash_in(t, n);
		}
	}
	free(old);
}

/* Free every node from n upwards that nobody needs any more. */
void fs_node_i_reap(struct fs_tree *t, struct fs_node *n)
{
	while (n && n->parent && !n->fixed && n->lookups == 0 && n->n_refs == 0) {
		struct fs_node *parent = n->parent;

		fs_node_i_hash_out(t, n);
		fs_node_i_cool(t, n);
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
	fs_node_i_hash_in(t, n);
	grow(t);
	return n;
}

void fs_node_i_detach(struct fs_tree *t, struct fs_node *n)
{
	fs_node_i_hash_out(t, n);
	fs_node_i_cool(t, n); /* the descriptor is all that is left: not evictable any more */
	n->detached = true;
	n->facts = 0;
	fs_node_i_stray(t, n);
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
	if (!n || fs_node_i_set_shared(n, fd) < 0) {
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

void fs_tree_alone(struct fs_tree *t)
{
	t->alone = true;
}

/* What the mount shows first. */
static struct fs_node *first(struct fs_tree *t)
{
	return t->alone ? t->roots[0] : &t->top;
}

struct fs_node *fs_node_of(struct fs_tree *t, uint64_t ino)
{
	/* the kernel only returns what fs_node_ino() gave it */
	return ino == 1 ? first(t) : (struct fs_node *)(uintptr_t)ino;
}

uint64_t fs_node_ino(struct fs_tree *t, const struct fs_node *n)
{
	return n == first(t) ? 1 : (uint64_t)(uintptr_t)n;
}

/* @param elsewhere  fd is the target of a redirected name */
static struct fs_node *seen(struct fs_tree *t, struct fs_node *parent, const char *name,
			    const struct stat *st, int fd, bool elsewhere)
{
	struct fs_node *n;

	pthread_mutex_lock(&t->lock);
	n = fs_node_i_find(t, parent, name);
	if (n && !n->fixed && !n->override &&
	    (n->elsewhere != elsewhere || !same_file(n, st))) {
		fs_node_i_detach(t, n);
		fs_node_i_reap(t, n);
		n = NULL;
	}
	if (!n) {
		n = add(t, parent, name);
		if (n)
			identify(n, st);
		if (n && fd >= 0) {
			n->override = !elsewhere;
			n->elsewhere = elsewhere;
			if (fs_node_i_set_shared(n, fd) < 0) {
				fs_node_i_reap(t, n);
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

struct fs_node *fs_node_seen(struct fs_tree *t, struct fs_node *parent, const char *name,
			     const struct stat *st, int fd)
{
	return seen(t, parent, name, st, fd, false);
}

struct fs_node *fs_node_seen_elsewhere(struct fs_tree *t, struct fs_node *parent, const char *name,
				       const struct stat *st, int fd)
{
	return seen(t, parent, name, st, fd, true);
}

struct fs_node *fs_node_nameless(struct fs_tree *t, struct fs_node *parent, const char *shown,
				 const struct stat *st, int fd)
{
	struct fs_node *n;

	pthread_mutex_lock(&t->lock);
	n = add(t, parent, shown);
	if (n) {
		identify(n, st);
		n->nameless = true;
		/* nobody can look it up; one of the same name is another file */
		fs_node_i_detach(t, n);
		if (fs_node_i_set_shared(n, fd) < 0) {
			fs_node_i_reap(t, n);
			n = NULL;
		} else {
			n->lookups = 1;
		}
		fd = -1;
	}
	pthread_mutex_unlock(&t->lock);
	if (fd >= 0)
		close(fd);
	return n;
}

bool fs_node_is_nameless(const struct fs_node *n)
{
	return n->nameless;
}

struct fs_node *fs_node_find(struct fs_tree *t, struct fs_node *parent, const char *name)
{
	struct fs_node *n;

	pthread_mutex_lock(&t->lock);
	n = fs_node_i_find(t, parent, name);
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
	fs_node_i_reap(t, n);
	pthread_mutex_unlock(&t->lock);
}

void fs_node_forget(struct fs_tree *t, struct fs_node *n, uint64_t lookups)
{
	pthread_mutex_lock(&t->lock);
	n->lookups -= lookups < n->lookups ? lookups : n->lookups;
	fs_node_i_reap(t, n);
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

bool fs_node_is_elsewhere(const struct fs_node *n)
{
	return n->elsewhere;
}

bool fs_node_is_fixed(const struct fs_node *n)
{
	return n->fixed;
}

struct fs_io_count *fs_node_io(struct fs_node *n)
{
	return &n->io;
}

bool fs_node_is(const struct fs_node *n, const struct stat *st)
{
	return n->ino == st->st_ino && n->dev == st->st_dev && n->type == (st->st_mode & S_IFMT);
}

/* A directory that has children or a descriptor is in use; so is a file that was opened. */
static bool is_unused(const struct fs_node *n)
{
	return !n->fixed && !n->override && !n->detached && !n->elsewhere && !n->opened && !n->shared &&
	       !n->spot && !n->files && (n->type == S_IFREG || (n->type == S_IFDIR && n->n_refs == 0));
}

bool fs_node_accept(struct fs_tree *t, struct fs_node *n, const struct stat *st)
{
	bool yes = fs_node_is(n, st);

	if (yes || n->type != (st->st_mode & S_IFMT))
		return yes;
	pthread_mutex_lock(&t->lock);
	yes = is_unused(n) && n->told_mode == st->st_mode && n->told_uid == st->st_uid &&
	      n->told_gid == st->st_gid;
	if (yes) {
		identify(n, st);
		n->facts = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return yes;
}

bool fs_node_below(struct fs_tree *t, struct fs_node *n, const struct fs_node *dir)
{
	pthread_mutex_lock(&t->lock);
	while (n && n != dir)
		n = n->parent;
	pthread_mutex_unlock(&t->lock);
	return n != NULL;
}
