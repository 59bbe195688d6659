#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsgate/fs_at.h"
#include "fsgate/fs_node_i.h"

void fs_node_i_shared_put(struct fs_shared *s)
{
	if (s && --s->users == 0) {
		close(s->fd);
		free(s);
	}
}

void fs_node_i_cool(struct fs_tree *t, struct fs_node *n)
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
	fs_node_i_cool(t, n);
	n->warm_next = t->warm.warm_next;
	n->warm_prev = &t->warm;
	n->warm_next->warm_prev = n;
	t->warm.warm_next = n;
	t->n_warm++;
}

static void drop_shared(struct fs_tree *t, struct fs_node *n)
{
	fs_node_i_cool(t, n);
	fs_node_i_shared_put(n->shared);
	n->shared = NULL;
}

static void evict(struct fs_tree *t)
{
	while (t->n_warm > t->max_warm)
		drop_shared(t, t->warm.warm_prev);
}

/* Give the node a descriptor; consumed. */
int fs_node_i_set_shared(struct fs_node *n, int fd)
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
		fs_node_i_shared_put(pin->shared);
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
	w->self = n->fixed || n->detached || n->override || n->elsewhere;
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

struct fs_node *fs_node_parent(struct fs_tree *t, struct fs_node *n, char name[NAME_MAX + 1])
{
	struct fs_node *parent = NULL;

	pthread_mutex_lock(&t->lock);
	if (!n->fixed && !n->detached && !n->override) {
		parent = n->parent;
		parent->n_refs++;
		strncpy(name, n->name, NAME_MAX);
		name[NAME_MAX] = '\0';
	}
	pthread_mutex_unlock(&t->lock);
	return parent;
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
	if (fstat(fd, &st) < 0 || !fs_node_accept(t, n, &st)) {
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

/* ---- open files ---- */

void fs_node_add_file(struct fs_tree *t, struct fs_node *n, struct fs_file *f, int fd)
{
	struct open_file *o = malloc(sizeof(*o));

	pthread_mutex_lock(&t->lock);
	n->n_refs++;
	n->opened = true;
	if (o) { /* without it, stat of the file after its unlink may fail: no more than that */
		o->file = f;
		o->fd = fd;
		o->next = n->files;
		n->files = o;
		fs_node_i_stray(t, n);
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
	fs_node_i_stray(t, n);
	n->n_refs--;
	fs_node_i_reap(t, n);
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

int fs_node_pin_open(struct fs_tree *t, struct fs_node *n, struct fs_pin *out)
{
	out->shared = NULL;
	out->fd = n->type == S_IFREG ? fs_node_dup_file(t, n) : -1;
	return out->fd >= 0 ? 0 : fs_node_pin(t, n, out);
}
