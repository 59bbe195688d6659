/*
 * Theory: a file with several names is never cached under one of them, since it changes by the
 * others (fs_entry_attr_timeout()). One name is left when the others are removed, but whoever has
 * the file open by a removed one goes on changing it, and the kernel knows nothing of the two being
 * one file. So detached nodes with open files are kept in a small table by inode: a stray. Mostly
 * there is none, and then nothing is locked or looked up.
 */
#include <stdatomic.h>

#include "fsgate/fs_node_i.h"

static struct fs_node **bucket_of(struct fs_tree *t, ino_t ino)
{
	return &t->strays[ino % ARRAY_LEN(t->strays)];
}

void fs_node_i_stray(struct fs_tree *t, struct fs_node *n)
{
	bool now = n->detached && n->files && n->type == S_IFREG;
	struct fs_node **p = bucket_of(t, n->ino);

	if (now == n->stray)
		return;
	n->stray = now;
	if (now) {
		n->stray_next = *p;
		*p = n;
		atomic_fetch_add(&t->n_strays, 1);
		return;
	}
	while (*p != n)
		p = &(*p)->stray_next;
	*p = n->stray_next;
	atomic_fetch_sub(&t->n_strays, 1);
}

bool fs_tree_is_stray(struct fs_tree *t, const struct stat *st)
{
	struct fs_node *n;

	if (atomic_load(&t->n_strays) == 0)
		return false;
	pthread_mutex_lock(&t->lock);
	n = *bucket_of(t, st->st_ino);
	while (n && !fs_node_is(n, st))
		n = n->stray_next;
	pthread_mutex_unlock(&t->lock);
	return n != NULL;
}
