#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsgate/fs_node_i.h"

/* ---- changes of names ---- */

void fs_node_detach(struct fs_tree *t, struct fs_node *n, int fd)
{
	pthread_mutex_lock(&t->lock);
	if (!n->fixed) {
		fs_node_i_detach(t, n);
		if (!n->shared && fd >= 0) {
			fs_node_i_set_shared(n, fd);
			fd = -1;
		}
	}
	pthread_mutex_unlock(&t->lock);
	if (fd >= 0)
		close(fd);
}

void fs_node_free_name(struct fs_tree *t, struct fs_node *parent, const char *name)
{
	struct fs_node *n;

	pthread_mutex_lock(&t->lock);
	n = fs_node_i_find(t, parent, name);
	if (n && !n->fixed && !n->override) {
		fs_node_i_detach(t, n);
		fs_node_i_reap(t, n);
	}
	pthread_mutex_unlock(&t->lock);
}

void fs_node_lost(struct fs_tree *t, struct fs_node *parent, const char *name, struct fs_node *n)
{
	pthread_mutex_lock(&t->lock);
	if (!n->fixed && !n->override && fs_node_i_find(t, parent, name) == n)
		fs_node_i_detach(t, n);
	pthread_mutex_unlock(&t->lock);
}

/* Put n under a new name; spare is that name's own copy. */
static void rehash(struct fs_tree *t, struct fs_node *n, struct fs_node *parent, char *spare)
{
	struct fs_node *old = n->parent;

	fs_node_i_hash_out(t, n);
	free(n->name);
	n->name = spare;
	n->parent = parent;
	n->facts = 0;
	if (n->type == S_IFDIR)
		t->epoch++;
	parent->n_refs++;
	fs_node_i_hash_in(t, n);
	old->n_refs--;
	fs_node_i_reap(t, old);
}

void fs_node_moved(struct fs_tree *t, struct fs_node *parent, const char *name,
		   struct fs_node *new_parent, const char *new_name, int fd)
{
	char *spare = strdup(new_name);
	struct fs_node *n, *gone;

	pthread_mutex_lock(&t->lock);
	gone = fs_node_i_find(t, new_parent, new_name);
	if (gone && !gone->fixed) {
		fs_node_i_detach(t, gone);
		if (!gone->shared && fd >= 0) {
			fs_node_i_set_shared(gone, fd);
			fd = -1;
		}
		fs_node_i_reap(t, gone);
	}
	n = fs_node_i_find(t, parent, name);
	if (n && spare) {
		rehash(t, n, new_parent, spare);
		spare = NULL;
	} else if (n) {
		fs_node_i_detach(t, n); /* out of memory: better no name than the wrong one */
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
	x = fs_node_i_find(t, a, a_name);
	y = fs_node_i_find(t, b, b_name);
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
		fs_node_i_reap(t, x);
	}
	if (y) {
		y->n_refs--;
		fs_node_i_reap(t, y);
	}
	pthread_mutex_unlock(&t->lock);
	free(spare_a);
	free(spare_b);
}

/* ---- what is remembered about a node ---- */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

uint64_t fs_node_i_told(const struct stat *st)
{
	uint64_t h = st->st_mode;

	h = (h ^ (uint64_t)st->st_uid << 32 ^ st->st_gid) * 0x9E3779B97F4A7C15ull;
	return (h ^ st->st_nlink) * 0x9E3779B97F4A7C15ull;
}

bool fs_node_i_same(const struct fs_stamp *s, const struct stat *st)
{
	return same_time(&s->mtime, &st->st_mtim) && same_time(&s->ctime, &st->st_ctim) &&
	       s->size == st->st_size;
}

bool fs_node_stamp(struct fs_tree *t, struct fs_node *n, enum fs_stamp_of which,
		   const struct stat *st)
{
	struct fs_stamp *s = &n->stamps[which];
	bool same;

	pthread_mutex_lock(&t->lock);
	same = fs_node_i_same(s, st);
	*s = (struct fs_stamp){st->st_mtim, st->st_ctim, st->st_size};
	if (which == FS_STAMP_ATTR) {
		n->told = fs_node_i_told(st);
		n->told_mode = st->st_mode;
		n->told_uid = st->st_uid;
		n->told_gid = st->st_gid;
	}
	pthread_mutex_unlock(&t->lock);
	return same;
}

void fs_node_unstamp(struct fs_tree *t, struct fs_node *n, enum fs_stamp_of which)
{
	pthread_mutex_lock(&t->lock);
	memset(&n->stamps[which], 0, sizeof(n->stamps[which]));
	pthread_mutex_unlock(&t->lock);
}

void fs_node_touched(struct fs_tree *t, struct fs_node *n, const struct stat *before,
		     const struct stat *after)
{
	pthread_mutex_lock(&t->lock);
	if (same_time(&n->born, &before->st_ctim))
		n->born = after->st_ctim;
	pthread_mutex_unlock(&t->lock);
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
