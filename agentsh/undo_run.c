/*
 * Theory: everything that is in a wrong place leaves it (to a stage, or for good), then every slot
 * gets what it held, then contents, then what the session had made of directories goes, and
 * attributes come last, because all the rest changes times. Each step looks at what is there, so that an
 * undo that was interrupted is finished by another one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agentsh/undo_i.h"
#include "common/file_copy.h"

int undo_note(struct undo_model *m, struct undo_frame *f)
{
	struct timespec t;
	uint8_t buf[256];
	int n;

	clock_gettime(CLOCK_REALTIME, &t);
	f->wall_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	n = undo_encode(buf, sizeof(buf), f);
	if (n < 0)
		return n;
	return write(m->undone_fd, buf, (size_t)n) == n ? 0 : -EIO;
}

static int sign_of_life(struct undo_work *w, enum undo_type type)
{
	struct undo_frame f = {.type = type};

	return undo_note(w->m, &f);
}

void undo_problem(struct undo_work *w, const char *path, const char *what)
{
	w->n_problems++;
	w->problem(w->arg, path, what);
}

static bool wrong(const struct undo_slot *s)
{
	return s->touched && s->selected && !s->right && !s->conflict;
}

static bool is_wanted(const struct undo_model *m, uint32_t inode)
{
	if (inode >= UNDO_UNKNOWN)
		return false;
	for (size_t n = 0; n < m->inodes[inode].n_slots; n++) {
		const struct undo_slot *s = &m->slots[m->inodes[inode].slots[n]];

		if (s->then == inode && wrong(s))
			return true;
	}
	return false;
}

/* ---- names ---- */

static void move_all(struct undo_work *w)
{
	struct undo_model *m = w->m;

	for (size_t i = 0; i < m->n_slots; i++) {
		struct undo_slot *s = &m->slots[i];
		bool wanted;

		if (!wrong(s) || !s->present)
			continue;
		wanted = is_wanted(m, s->actual);
		/* a directory that just goes is emptied first */
		if (!wanted && S_ISDIR(s->st.st_mode) && s->then == UNDO_NONE)
			continue;
		undo_evacuate(w, s, wanted);
		sign_of_life(w, UNDO_STEP);
	}
	for (size_t i = 0; i < m->n_slots; i++) {
		if (!wrong(&m->slots[i]) || m->slots[i].then == UNDO_NONE || m->slots[i].present)
			continue;
		undo_put_back(w, &m->slots[i]);
		sign_of_life(w, UNDO_STEP);
	}
}

struct going {
	size_t slot, len;
};

static int longer_first(const void *a, const void *b)
{
	const struct going *x = a, *y = b;

	return x->len < y->len ? 1 : x->len > y->len ? -1 : 0;
}

static void remove_dir(struct undo_work *w, struct undo_slot *s)
{
	autoclose int dir = undo_open_dir(w->m, s);
	char path[PATH_MAX];
	int r = -ENOENT;

	if (dir >= 0)
		r = unlinkat(dir, s->name, AT_REMOVEDIR) < 0 ? -errno : 0;
	if ((r == -ENOTEMPTY || r == -EEXIST) && w->force)
		r = undo_remove_tree(dir, s->name, 0);
	if (r == 0 || r == -ENOENT) {
		s->right = true;
		return;
	}
	if (!undo_path_now(w->m, s, path, sizeof(path)))
		snprintf(path, sizeof(path), "%s", s->name);
	undo_problem(w, path, r == -ENOTEMPTY || r == -EEXIST
				      ? "stays: something in it is not the session's"
				      : strerror(-r));
}

static int remove_dirs(struct undo_work *w)
{
	struct undo_model *m = w->m;
	autofree struct going *v = calloc(m->n_slots + 1, sizeof(*v));
	char path[PATH_MAX];
	size_t n = 0;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_slots; i++) {
		struct undo_slot *s = &m->slots[i];

		if (!wrong(s) || s->then != UNDO_NONE || !s->present || !S_ISDIR(s->st.st_mode))
			continue;
		if (undo_path_now(m, s, path, sizeof(path)))
			v[n++] = (struct going){i, strlen(path)};
	}
	qsort(v, n, sizeof(*v), longer_first);
	for (size_t i = 0; i < n; i++)
		remove_dir(w, &m->slots[v[i].slot]);
	return 0;
}

/* ---- contents ---- */

static int open_for_writing(struct undo_model *m, uint32_t n)
{
	int fd = undo_open(m, n, O_WRONLY), path;
	char proc[40];

	if (fd != -EACCES)
		return fd;
	/* our own file, but the session made it read-only */
	path = undo_open(m, n, O_PATH);
	if (path < 0)
		return path;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path);
	fd = chmod(proc, 0600) < 0 ? -errno : undo_open(m, n, O_WRONLY);
	close(path);
	return fd;
}

static int write_content(struct undo_model *m, uint32_t n)
{
	const struct undo_frame *d = &m->inodes[n].data;
	autoclose int to = -1, from = -1;
	char name[24];

	if (d->object) {
		snprintf(name, sizeof(name), "%llu", (unsigned long long)d->object);
		from = openat(m->objects_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (from < 0)
			return -errno;
	}
	to = open_for_writing(m, n);
	if (to < 0)
		return to;
	if (ftruncate(to, 0) < 0)
		return -errno;
	return d->object ? file_copy(to, from, (off_t)d->attr.size) : 0;
}

static void restore_content(struct undo_work *w, uint32_t n)
{
	struct undo_model *m = w->m;
	struct undo_inode *i = &m->inodes[n];
	char path[PATH_MAX];
	int r;

	if (!i->data.type || !i->selected || i->conflict ||
	    !undo_inode_path_then(m, n, path, sizeof(path)))
		return;
	if (!undo_content_differs(m, n))
		return;
	if (i->data.flags & UNDO_F_MISSING) {
		undo_problem(w, path, undo_missing(m, n));
		return;
	}
	r = write_content(m, n);
	sign_of_life(w, UNDO_STEP);
	if (r < 0 && r != -ENOENT)
		undo_problem(w, path, strerror(-r));
}

/* ---- attributes ---- */

static int set_attr(const struct undo_inode *i, int fd, const struct stat *st)
{
	struct timespec t[2] = {{0, UTIME_OMIT}, {i->mtime.s, (long)i->mtime.ns}};
	const struct undo_attr *a = &i->attr;
	char proc[40];
	int r = 0;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (i->has_attr && (a->uid != st->st_uid || a->gid != st->st_gid) &&
	    fchownat(fd, "", a->uid, a->gid, AT_EMPTY_PATH) < 0)
		r = -errno;
	if (i->has_attr && !S_ISLNK(st->st_mode) && (a->mode & 07777) != (st->st_mode & 07777) &&
	    chmod(proc, a->mode & 07777) < 0)
		r = -errno;
	if (i->has_xattrs && !S_ISLNK(st->st_mode)) {
		int x = undo_xattrs_set(fd, i->xattrs);

		r = x < 0 ? x : r;
	}
	if (i->has_mtime && utimensat(fd, "", t, AT_EMPTY_PATH) < 0)
		r = -errno;
	return r;
}

static bool same_attr(const struct undo_inode *i, int fd, const struct stat *st)
{
	if (i->has_xattrs && !undo_xattrs_same(fd, i->xattrs))
		return false;
	if (i->has_mtime && (i->mtime.s != st->st_mtim.tv_sec ||
			     i->mtime.ns != (uint32_t)st->st_mtim.tv_nsec))
		return false;
	return !i->has_attr || (i->attr.uid == st->st_uid && i->attr.gid == st->st_gid &&
				i->attr.mode == st->st_mode);
}

static void restore_attr(struct undo_work *w, uint32_t n)
{
	struct undo_model *m = w->m;
	struct undo_inode *i = &m->inodes[n];
	char path[PATH_MAX];
	autoclose int fd = -1;
	struct stat st;
	int r;

	if ((!i->has_attr && !i->has_mtime) || !i->selected || i->conflict ||
	    !undo_inode_path_then(m, n, path, sizeof(path)))
		return;
	fd = undo_open(m, n, O_PATH);
	if (fd < 0 || fstat(fd, &st) < 0 || same_attr(i, fd, &st))
		return;
	r = set_attr(i, fd, &st);
	sign_of_life(w, UNDO_STEP);
	if (r < 0)
		undo_problem(w, path, strerror(-r));
}

int undo_run(struct undo_work *w, struct err *e)
{
	struct undo_model *m = w->m;
	int r;

	m->undone_fd = openat(m->store_fd, "undone",
			      O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = m->undone_fd < 0 ? -errno : sign_of_life(w, UNDO_RUN);
	if (r < 0)
		return err_set(e, -r, "write %.1000s/undone", m->store);
	move_all(w);
	for (uint32_t i = 0; i < m->n_inodes; i++)
		restore_content(w, i);
	r = remove_dirs(w);
	undo_close_stages(w);
	for (uint32_t i = 0; i < m->n_inodes; i++)
		restore_attr(w, i);
	sign_of_life(w, UNDO_STEP);
	return r < 0 ? err_set(e, -r, "undo") : 0;
}
