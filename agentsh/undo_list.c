/*
 * Theory: a touched slot is right when it holds what it held then. What is not right is looked at
 * twice. First it is checked: may it be set right, or would that overwrite what somebody else did
 * since (conflict)? A conflict spreads to what depends on it, until nothing changes any more: an inode
 * that cannot get its old place stays where it is, and so on. Then it is told as people see it, in
 * paths: added, deleted, modified, renamed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agentsh/undo_i.h"
#include "common/path.h"

/* ---- what is there ---- */

static void look(struct undo_model *m, struct undo_slot *s)
{
	autoclose int dir = undo_open_dir(m, s);

	s->present = dir >= 0 && fstatat(dir, s->name, &s->st, AT_SYMLINK_NOFOLLOW) == 0;
	s->actual = UNDO_UNKNOWN;
	if (s->present && s->then < UNDO_UNKNOWN && undo_is(m, s->then, &s->st))
		s->actual = s->then;
	else if (s->present && s->last < UNDO_UNKNOWN && undo_is(m, s->last, &s->st))
		s->actual = s->last;
	else if (s->present) /* an undo to another moment has put it there */
		s->actual = undo_identify(m, &s->st);
	s->right = s->then == UNDO_NONE ? !s->present : s->present && s->actual == s->then;
}

static bool object_exists(const struct undo_model *m, uint64_t object)
{
	char name[24];
	struct stat st;

	snprintf(name, sizeof(name), "%llu", (unsigned long long)object);
	return fstatat(m->objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static const char *reason(unsigned flags)
{
	if (flags & UNDO_F_TOO_BIG)
		return "not kept: larger than undo.max_file_mb";
	if (flags & UNDO_F_FULL)
		return "not kept: undo.max_mb was used up";
	if (flags & UNDO_F_EXCLUDED)
		return "not kept: excluded by the policy";
	if (flags & UNDO_F_LATER)
		return "not kept: only its first version was";
	return "not kept: it could not be read";
}

const char *undo_missing(const struct undo_model *m, uint32_t inode)
{
	const struct undo_inode *i = &m->inodes[inode];

	if (i->data.type)
		return i->data.flags & UNDO_F_MISSING ? reason(i->data.flags) : NULL;
	return NULL;
}

/* May the inode be had at all: on disk, in the store, or made anew? */
static const char *unobtainable(struct undo_model *m, uint32_t inode)
{
	const struct undo_inode *i = &m->inodes[inode];
	struct undo_place p;

	if (undo_find(m, inode, &p))
		return NULL;
	if (i->keep_inode.type && object_exists(m, i->keep_inode.object))
		return NULL;
	if (i->keep_copy.type && !(i->keep_copy.flags & UNDO_F_MISSING))
		return NULL;
	if (i->type == S_IFDIR && i->has_attr)
		return NULL;
	if (i->keep_copy.type)
		return reason(i->keep_copy.flags);
	return i->keep_inode.type ? reason(UNDO_F_ERROR) : "it is not where the session left it";
}

/* ---- selection ---- */

static bool below_any(const char *path, char *const *paths, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (path_is_below(path, paths[i]))
			return true;
	return n == 0;
}

static bool slot_selected(struct undo_model *m, const struct undo_slot *s, char *const *paths,
			  size_t n)
{
	char path[PATH_MAX];

	return n == 0 || (undo_path_now(m, s, path, sizeof(path)) && below_any(path, paths, n)) ||
	       (undo_path_then(m, s, path, sizeof(path)) && below_any(path, paths, n));
}

static bool inode_selected(struct undo_model *m, uint32_t inode, char *const *paths, size_t n)
{
	char path[PATH_MAX];

	return n == 0 ||
	       (undo_inode_path_now(m, inode, path, sizeof(path)) && below_any(path, paths, n)) ||
	       (undo_inode_path_then(m, inode, path, sizeof(path)) && below_any(path, paths, n));
}

/* What moved between a selected place and another one: both ends belong together. */
static bool select_other_ends(struct undo_model *m, uint32_t inode)
{
	bool more = false;

	if (inode >= UNDO_UNKNOWN)
		return false;
	for (size_t n = 0; n < m->inodes[inode].n_slots; n++) {
		struct undo_slot *s = &m->slots[m->inodes[inode].slots[n]];

		if (!s->touched || s->selected || s->right)
			continue;
		s->selected = true;
		more = true;
	}
	return more;
}

static void choose(struct undo_model *m, char *const *paths, size_t n)
{
	bool more = n > 0;

	for (size_t i = 0; i < m->n_slots; i++)
		if (m->slots[i].touched)
			m->slots[i].selected = slot_selected(m, &m->slots[i], paths, n);
	for (size_t i = 0; i < m->n_inodes; i++)
		m->inodes[i].selected = inode_selected(m, (uint32_t)i, paths, n);
	while (more) {
		more = false;
		for (size_t i = 0; i < m->n_slots; i++) {
			struct undo_slot *s = &m->slots[i];

			if (!s->touched || !s->selected || s->right)
				continue;
			more |= select_other_ends(m, s->then);
			more |= s->present && select_other_ends(m, s->actual);
		}
	}
}

/* ---- conflicts ---- */

static bool wrong(const struct undo_slot *s)
{
	return s->touched && s->selected && !s->right;
}

/* Will the inode get at least one of its places back? */
static bool has_a_place(const struct undo_model *m, uint32_t inode)
{
	const struct undo_inode *i = &m->inodes[inode];

	for (size_t n = 0; n < i->n_slots; n++) {
		const struct undo_slot *s = &m->slots[i->slots[n]];

		if (s->then == inode && wrong(s) && !s->conflict)
			return true;
	}
	return false;
}

static const char *slot_conflict(struct undo_model *m, const struct undo_slot *s)
{
	const char *why = s->then == UNDO_NONE ? NULL : unobtainable(m, s->then);

	if (why || !s->present)
		return why;
	if (s->actual == UNDO_UNKNOWN && s->last == UNDO_UNKNOWN && !undo_in_run(m, &s->st)) {
		uint64_t at = (uint64_t)s->st.st_ctim.tv_sec * 1000000000 +
			      (uint64_t)s->st.st_ctim.tv_nsec;

		return at + 20000000 >= s->wall_ns && undo_is_ours(m, UNDO_UNKNOWN, &s->st)
			       ? NULL
			       : "something else has this name";
	}
	if (s->actual == UNDO_UNKNOWN && undo_in_run(m, &s->st))
		return NULL;
	if (s->actual == UNDO_UNKNOWN)
		return "something else has this name since";
	if (!S_ISDIR(s->st.st_mode) && !has_a_place(m, s->actual) &&
	    !undo_is_ours(m, s->actual, &s->st))
		return "changed since";
	return NULL;
}

static bool mark(struct undo_slot *s)
{
	bool news = !s->conflict;

	s->conflict = true;
	return news;
}

/* The directory will not be there. */
static bool has_no_dir(struct undo_model *m, const struct undo_slot *s)
{
	struct undo_place p;

	return s->then != UNDO_NONE && !undo_find(m, s->dir, &p) && !has_a_place(m, s->dir);
}

static void spread(struct undo_model *m)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < m->n_slots; i++) {
			struct undo_slot *s = &m->slots[i];

			if (!wrong(s) || s->conflict)
				continue;
			if (has_no_dir(m, s))
				more |= mark(s);
			/* it had another place then and cannot get it: it stays */
			else if (s->present && s->actual < UNDO_UNKNOWN && s->moved_here &&
				 !has_a_place(m, s->actual))
				more |= mark(s);
		}
	}
}

static void check(struct undo_model *m, bool force)
{
	for (size_t i = 0; i < m->n_slots; i++) {
		struct undo_slot *s = &m->slots[i];
		const char *why;

		if (!wrong(s))
			continue;
		s->moved_here = s->present && s->actual < UNDO_UNKNOWN && has_a_place(m, s->actual);
		why = s->then == UNDO_NONE ? NULL : unobtainable(m, s->then);
		if (!why && !force)
			why = slot_conflict(m, s);
		s->conflict = why != NULL;
	}
	spread(m);
	for (size_t i = 0; i < m->n_inodes; i++) {
		struct undo_inode *in = &m->inodes[i];
		autoclose int fd = -1;
		struct stat st;

		if (!in->selected || !in->changed || in->type == S_IFDIR || force)
			continue;
		fd = undo_open(m, (uint32_t)i, O_PATH);
		if (fd >= 0 && fstat(fd, &st) == 0)
			in->conflict = !undo_is_ours(m, (uint32_t)i, &st);
	}
}

/* ---- as people see it ---- */

static struct undo_change *add(struct undo_changes *c)
{
	struct undo_change *v = realloc(c->v, (c->n + 1) * sizeof(*v));

	if (!v)
		return NULL;
	c->v = v;
	v[c->n] = (struct undo_change){.then = UNDO_NONE, .now = UNDO_NONE, .slot = UNDO_NONE};
	return &v[c->n++];
}

static int fill(struct undo_model *m, struct undo_change *c, uint32_t slot, enum undo_kind kind)
{
	struct undo_slot *s = &m->slots[slot];
	char path[PATH_MAX] = "?";
	bool named = kind == UNDO_ADDED ? undo_path_now(m, s, path, sizeof(path))
					: undo_path_then(m, s, path, sizeof(path));

	if (!c)
		return -ENOMEM;
	if (!named)
		undo_path_now(m, s, path, sizeof(path));
	c->kind = kind;
	c->slot = slot;
	c->then = kind == UNDO_ADDED ? UNDO_NONE : s->then;
	c->now = kind == UNDO_DELETED || !s->present ? UNDO_NONE : s->actual;
	c->conflict = s->conflict;
	if (s->conflict) {
		c->why = slot_conflict(m, s);
		c->why = c->why ? c->why : "what it depends on cannot be restored";
	}
	c->path = strdup(path);
	return c->path ? 0 : -ENOMEM;
}

/* A place that the inode of slot has now and did not have then, and that was not told yet. */
static uint32_t new_place(struct undo_model *m, uint32_t inode, const bool *told)
{
	const struct undo_inode *i = &m->inodes[inode];

	for (size_t n = 0; n < i->n_slots; n++) {
		struct undo_slot *s = &m->slots[i->slots[n]];

		if (wrong(s) && s->present && s->actual == inode && !told[i->slots[n]])
			return i->slots[n];
	}
	return UNDO_NONE;
}

static int list_renames(struct undo_changes *out, struct undo_model *m, bool *told, bool *moved)
{
	char path[PATH_MAX];

	for (uint32_t i = 0; i < m->n_slots; i++) {
		struct undo_slot *s = &m->slots[i];
		struct undo_change *c;
		uint32_t to;

		if (!wrong(s) || s->then == UNDO_NONE)
			continue;
		to = new_place(m, s->then, told);
		if (to == UNDO_NONE)
			continue;
		c = add(out);
		if (fill(m, c, i, UNDO_RENAMED) < 0)
			return -ENOMEM;
		moved[i] = told[to] = true;
		c->now = s->then;
		m->inodes[s->then].renamed = (uint32_t)out->n;
		if (undo_path_now(m, &m->slots[to], path, sizeof(path)))
			c->to = strdup(path);
		c->conflict |= m->slots[to].conflict;
		if (!c->why && m->slots[to].conflict)
			c->why = slot_conflict(m, &m->slots[to]);
		if (!c->to)
			return -ENOMEM;
	}
	return 0;
}

static bool is_dir(const struct undo_model *m, uint32_t inode)
{
	return inode < UNDO_UNKNOWN && m->inodes[inode].type == S_IFDIR;
}

static int list_names(struct undo_changes *out, struct undo_model *m, const bool *told,
		      const bool *moved)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < m->n_slots; i++) {
		struct undo_slot *s = &m->slots[i];
		bool gone = wrong(s) && s->then != UNDO_NONE && !moved[i];
		bool new = wrong(s) && s->present && !told[i];

		if (gone && new && is_dir(m, s->then) == S_ISDIR(s->st.st_mode))
			r = fill(m, add(out), i,
				 S_ISDIR(s->st.st_mode) ? UNDO_MODE : UNDO_MODIFIED);
		else {
			if (gone)
				r = fill(m, add(out), i, UNDO_DELETED);
			if (r == 0 && new)
				r = fill(m, add(out), i, UNDO_ADDED);
		}
	}
	return r;
}

bool undo_content_differs(struct undo_model *m, uint32_t inode)
{
	const struct undo_inode *i = &m->inodes[inode];
	autoclose int was = -1, is = -1, path = undo_open(m, inode, O_PATH);
	char a[8192], b[8192], name[24];
	struct stat st;
	ssize_t n;

	if (!i->data.type || path < 0 || fstat(path, &st) < 0)
		return false;
	if ((uint64_t)st.st_size != i->data.attr.size || i->data.flags & UNDO_F_MISSING)
		return true;
	if (st.st_size == 0)
		return false;
	snprintf(name, sizeof(name), "%llu", (unsigned long long)i->data.object);
	was = openat(m->objects_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	is = undo_open(m, inode, O_RDONLY);
	if (was < 0 || is < 0)
		return true;
	while ((n = read(was, a, sizeof(a))) > 0)
		if (read(is, b, sizeof(b)) != n || memcmp(a, b, (size_t)n) != 0)
			return true;
	return n < 0;
}

static bool attr_differs(const struct undo_inode *i, const struct stat *st)
{
	return i->has_attr && (i->attr.mode != st->st_mode || i->attr.uid != st->st_uid ||
			       i->attr.gid != st->st_gid);
}

/* Files that kept their name and changed, and directories' attributes. */
static int list_inode(struct undo_changes *out, struct undo_model *m, uint32_t n)
{
	struct undo_inode *i = &m->inodes[n];
	char path[PATH_MAX];
	struct undo_change *c;
	autoclose int fd = -1;
	struct stat st;
	bool content;

	if (!i->selected || !i->changed || !undo_inode_path_then(m, n, path, sizeof(path)))
		return 0;
	fd = undo_open(m, n, O_PATH);
	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	content = undo_content_differs(m, n);
	if (!content && !attr_differs(i, &st) &&
	    (!i->has_xattrs || undo_xattrs_same(fd, i->xattrs)))
		return 0;
	if (i->renamed) {
		out->v[i->renamed - 1].content = content;
		return 0;
	}
	c = add(out);
	if (!c)
		return -ENOMEM;
	c->kind = content ? UNDO_MODIFIED : UNDO_MODE;
	c->then = c->now = n;
	c->why = content ? undo_missing(m, n) : NULL;
	c->conflict = i->conflict || c->why;
	if (i->conflict)
		c->why = "changed since";
	c->path = strdup(path);
	return c->path ? 0 : -ENOMEM;
}

static int by_path(const void *a, const void *b)
{
	const struct undo_change *x = a, *y = b;

	return strcmp(x->path, y->path);
}

int undo_list(struct undo_changes *out, struct undo_model *m, char *const *paths, size_t n_paths,
	      bool force)
{
	autofree bool *told = calloc(m->n_slots + 1, sizeof(bool));
	autofree bool *moved = calloc(m->n_slots + 1, sizeof(bool));
	int r = told && moved ? 0 : -ENOMEM;

	for (size_t i = 0; i < m->n_slots; i++)
		if (m->slots[i].touched)
			look(m, &m->slots[i]);
	choose(m, paths, n_paths);
	check(m, force);
	if (r == 0)
		r = list_renames(out, m, told, moved);
	if (r == 0)
		r = list_names(out, m, told, moved);
	for (uint32_t i = 0; r == 0 && i < m->n_inodes; i++)
		r = list_inode(out, m, i);
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_path);
	return r;
}

void undo_changes_free(struct undo_changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].path);
		free(c->v[i].to);
	}
	free(c->v);
	*c = (struct undo_changes){NULL, 0};
}
