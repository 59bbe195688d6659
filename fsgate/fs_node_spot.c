#include "fsgate/fs_spot.h"

#include <stdlib.h>
#include <string.h>

#include "fsgate/fs_node_i.h"

struct fs_spot *fs_spot_new(void)
{
	return calloc(1, sizeof(struct fs_spot));
}

void fs_spot_drop(struct fs_tree *t, struct fs_spot *p)
{
	pthread_mutex_lock(&t->lock);
	p->dead = true;
	if (!p->nodes)
		free(p);
	pthread_mutex_unlock(&t->lock);
}

void fs_spot_put(struct fs_tree *t, struct fs_spot *p, struct fs_node *n)
{
	pthread_mutex_lock(&t->lock);
	if (!n->spot) {
		n->spot = p;
		n->spot_next = p->nodes;
		p->nodes = n;
		t->changes++; /* for whoever has looked before the directory was watched */
	}
	pthread_mutex_unlock(&t->lock);
}

void fs_node_i_unspot(struct fs_node *n)
{
	struct fs_spot *p = n->spot;
	struct fs_node **at;

	if (!p)
		return;
	for (at = &p->nodes; *at != n; at = &(*at)->spot_next)
		;
	*at = n->spot_next;
	n->spot = NULL;
	if (p->dead && !p->nodes)
		free(p);
}

void fs_spot_refuse(struct fs_tree *t, struct fs_node *n)
{
	pthread_mutex_lock(&t->lock);
	n->unwatchable = true;
	pthread_mutex_unlock(&t->lock);
}

bool fs_spot_open(struct fs_tree *t, struct fs_node *n)
{
	bool yes;

	pthread_mutex_lock(&t->lock);
	yes = n->type == S_IFDIR && n->parent && !n->spot && !n->unwatchable;
	pthread_mutex_unlock(&t->lock);
	return yes;
}

bool fs_spot_is_watched(struct fs_tree *t, struct fs_node *n)
{
	bool yes;

	pthread_mutex_lock(&t->lock);
	yes = n->spot && !n->detached;
	pthread_mutex_unlock(&t->lock);
	return yes;
}

static size_t count(const struct fs_spot *p)
{
	size_t n = 0;

	for (const struct fs_node *i = p->nodes; i; i = i->spot_next)
		n++;
	return n;
}

size_t fs_spot_count(struct fs_tree *t, struct fs_spot *p)
{
	size_t n;

	pthread_mutex_lock(&t->lock);
	n = count(p);
	pthread_mutex_unlock(&t->lock);
	return n;
}

size_t fs_spot_nodes(struct fs_tree *t, struct fs_spot *p, bool changed, struct fs_node **out,
		      size_t max)
{
	size_t n;

	pthread_mutex_lock(&t->lock);
	t->changes += changed;
	n = count(p);
	if (n <= max) {
		for (struct fs_node *i = p->nodes; i; i = i->spot_next) {
			i->n_refs++;
			*out++ = i;
		}
	}
	pthread_mutex_unlock(&t->lock);
	return n;
}

uint64_t fs_spot_changes(struct fs_tree *t)
{
	uint64_t n;

	pthread_mutex_lock(&t->lock);
	n = t->changes;
	pthread_mutex_unlock(&t->lock);
	return n;
}

void fs_spot_hold(struct fs_tree *t, struct fs_node *n, int by)
{
	pthread_mutex_lock(&t->lock);
	n->held += (unsigned)by;
	pthread_mutex_unlock(&t->lock);
}

bool fs_spot_is_held(struct fs_tree *t, struct fs_node *n)
{
	bool yes;

	pthread_mutex_lock(&t->lock);
	yes = n->held > 0;
	pthread_mutex_unlock(&t->lock);
	return yes;
}

void fs_spot_busy(struct fs_tree *t, struct fs_node *n, bool yes)
{
	pthread_mutex_lock(&t->lock);
	n->busy = yes;
	pthread_mutex_unlock(&t->lock);
}

static uint64_t last(const struct fs_node *n)
{
	const struct fs_stamp *s = &n->stamps[FS_STAMP_ATTR];
	uint64_t h = n->told ^ (uint64_t)s->size;

	h = h * 0x9E3779B97F4A7C15ull ^ (uint64_t)s->mtime.tv_sec << 30 ^ (uint64_t)s->mtime.tv_nsec;
	return h * 0x9E3779B97F4A7C15ull ^ (uint64_t)s->ctime.tv_sec << 30 ^
	       (uint64_t)s->ctime.tv_nsec;
}

uint64_t fs_spot_last(struct fs_tree *t, struct fs_node *n)
{
	uint64_t h;

	pthread_mutex_lock(&t->lock);
	h = last(n);
	pthread_mutex_unlock(&t->lock);
	return h;
}

bool fs_spot_told(struct fs_tree *t, struct fs_node *n, const struct stat *st, uint64_t was,
		  void (*fn)(void *arg), void *arg)
{
	bool current;

	pthread_mutex_lock(&t->lock);
	current = last(n) == was;
	if (current && (!fs_node_i_same(&n->stamps[FS_STAMP_ATTR], st) ||
			n->told != fs_node_i_told(st)))
		fn(arg);
	pthread_mutex_unlock(&t->lock);
	return current;
}

bool fs_spot_pages_due(struct fs_tree *t, struct fs_node *n, bool due)
{
	bool news;

	pthread_mutex_lock(&t->lock);
	news = n->pages_due != due;
	n->pages_due = due;
	pthread_mutex_unlock(&t->lock);
	return news;
}

enum fs_trust fs_spot_trust(struct fs_tree *t, struct fs_node *n, uint64_t since)
{
	enum fs_trust trust = FS_TRUST_SOON;

	pthread_mutex_lock(&t->lock);
	if (n->type == S_IFDIR && n->parent && !n->spot && !n->unwatchable)
		trust = FS_TRUST_NOT;
	else if (n->fixed)
		trust = n->spot ? FS_TRUST_LONG : FS_TRUST_SOON;
	else if (n->parent->spot && !n->detached && !n->override && !n->elsewhere && !n->busy &&
		 (n->type != S_IFDIR || n->spot))
		trust = FS_TRUST_LONG;
	if (trust == FS_TRUST_LONG && t->changes != since)
		trust = FS_TRUST_NOT;
	pthread_mutex_unlock(&t->lock);
	return trust;
}

int fs_spot_all(struct fs_tree *t, size_t i, struct fs_node **out, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&t->lock);
	if (i >= t->n_buckets) {
		pthread_mutex_unlock(&t->lock);
		return -1;
	}
	for (struct fs_node *at = t->buckets[i]; at && n < max; at = at->hash_next) {
		at->n_refs++;
		out[n++] = at;
	}
	pthread_mutex_unlock(&t->lock);
	return (int)n;
}

size_t fs_spot_links(struct fs_tree *t, const struct stat *st, const struct fs_node *no,
		      struct fs_node **out, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->n_buckets && n < max; i++) {
		for (struct fs_node *at = t->buckets[i]; at && n < max; at = at->hash_next) {
			if (at == no || !fs_node_is(at, st))
				continue;
			at->n_refs++;
			out[n++] = at;
		}
	}
	pthread_mutex_unlock(&t->lock);
	return n;
}
