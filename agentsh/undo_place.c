/*
 * Moving things. A stage is a directory of ours on the same mount as the tree, where an inode waits
 * under its number in the model while its old place is not free yet. What an interrupted undo
 * left there is found again by that number.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentsh/undo_i.h"
#include "common/file_copy.h"
#include "common/path.h"
#include "common/str.h"

#define DEPTH_MAX 512u

/* ---- stages ---- */

static void stage_names(const struct undo_model *m, size_t root, char in_store[32], char *in_root,
			size_t size)
{
	snprintf(in_store, 32, "stage-%zu", root);
	snprintf(in_root, size, ".agentsh-undo-%.64s", path_base(m->store));
}

static int open_dir(int at, const char *name, bool make)
{
	if (make && mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return -1;
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* @param near  in the tree itself, because the store is on another mount */
static int open_stage(struct undo_model *m, size_t root, bool near, bool make)
{
	struct undo_root *r = &m->roots[root];
	char in_store[32], in_root[96];

	stage_names(m, root, in_store, in_root, sizeof(in_root));
	if (r->stage >= 0)
		close(r->stage);
	r->stage = near ? open_dir(r->fd, in_root, make) : open_dir(m->store_fd, in_store, make);
	return r->stage < 0 ? -errno : 0;
}

static void read_stage(struct undo_model *m, size_t root)
{
	int fd = openat(m->roots[root].stage, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	while (d && (de = readdir(d))) {
		struct stat st;
		uint64_t n;

		if (str_to_u64(&n, de->d_name, 0, UINT32_MAX) == 0 && n < m->n_inodes &&
		    fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    undo_is(m, (uint32_t)n, &st))
			m->inodes[n].staged = (uint32_t)root + 1;
	}
	if (d)
		closedir(d);
}

void undo_open_stages(struct undo_model *m)
{
	for (size_t i = 0; i < m->n_roots; i++) {
		if (m->roots[i].fd < 0 || !S_ISDIR(m->roots[i].st.st_mode))
			continue;
		for (int near = 1; near >= 0 && m->roots[i].stage < 0; near--)
			if (open_stage(m, i, near, false) == 0)
				read_stage(m, i);
	}
}

static int root_of(const struct undo_model *m, int fd)
{
	for (size_t i = 0; i < m->n_roots; i++)
		if (m->roots[i].fd == fd || m->roots[i].stage == fd)
			return (int)i;
	return -1;
}

static int move_to_stage(struct undo_model *m, int root, int dir, const char *from, const char *to)
{
	struct undo_root *r = &m->roots[root];
	int e = r->stage < 0 ? open_stage(m, (size_t)root, false, true) : 0;

	if (e < 0)
		return e;
	if (renameat2(dir, from, r->stage, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EXDEV)
		return -errno;
	e = open_stage(m, (size_t)root, true, true);
	if (e < 0)
		return e;
	return renameat2(dir, from, r->stage, to, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

int undo_remove_tree(int dir, const char *name, unsigned depth)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *de;
	DIR *d;

	if (fd < 0)
		return unlinkat(dir, name, 0) < 0 ? -errno : 0;
	d = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
	if (!d) {
		close(fd);
		return -EMFILE;
	}
	while ((de = readdir(d)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			undo_remove_tree(dirfd(d), de->d_name, depth + 1);
	closedir(d);
	return unlinkat(dir, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* What has its place in the tree again needs no link in the store. */
static void drop_links(struct undo_model *m)
{
	for (uint32_t i = 0; i < m->n_inodes; i++) {
		const struct undo_inode *in = &m->inodes[i];
		struct undo_place p;
		struct stat st;
		char name[24];

		if (!in->keep_inode.type)
			continue;
		snprintf(name, sizeof(name), "%llu", (unsigned long long)in->keep_inode.object);
		if (fstatat(m->objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_nlink > 1 && undo_find(m, i, &p))
			unlinkat(m->objects_fd, name, 0);
	}
}

void undo_close_stages(struct undo_work *w)
{
	struct undo_model *m = w->m;
	char name[24], in_store[32], in_root[96];

	drop_links(m);

	for (uint32_t i = 0; i < m->n_inodes; i++) {
		struct undo_inode *in = &m->inodes[i];

		if (!in->staged || undo_inode_path_then(m, i, (char[PATH_MAX]){0}, PATH_MAX))
			continue;
		snprintf(name, sizeof(name), "%u", i);
		if (unlinkat(m->roots[in->staged - 1].stage, name,
			     in->type == S_IFDIR ? AT_REMOVEDIR : 0) == 0)
			in->staged = 0;
	}
	for (size_t i = 0; i < m->n_roots; i++) {
		stage_names(m, i, in_store, in_root, sizeof(in_root));
		unlinkat(m->store_fd, in_store, AT_REMOVEDIR);
		if (m->roots[i].fd >= 0 && m->roots[i].stage >= 0)
			unlinkat(m->roots[i].fd, in_root, AT_REMOVEDIR);
	}
}

/* ---- taking away ---- */

static void slot_problem(struct undo_work *w, const struct undo_slot *s, const char *what)
{
	char path[PATH_MAX];

	if (!undo_path_then(w->m, s, path, sizeof(path)) &&
	    !undo_path_now(w->m, s, path, sizeof(path)))
		snprintf(path, sizeof(path), "%s", s->name);
	undo_problem(w, path, what);
}

void undo_evacuate(struct undo_work *w, struct undo_slot *s, bool wanted)
{
	struct undo_model *m = w->m;
	autoclose int dir = undo_open_dir(m, s);
	struct undo_place p;
	char name[24];
	struct stat st;
	int r;

	if (dir < 0 || fstatat(dir, s->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return; /* gone by itself */
	if (st.st_ino != s->st.st_ino || st.st_dev != s->st.st_dev) {
		slot_problem(w, s, "changed just now");
		return;
	}
	if (s->actual >= UNDO_UNKNOWN || (!wanted && !S_ISDIR(st.st_mode))) {
		r = S_ISDIR(st.st_mode) ? undo_remove_tree(dir, s->name, 0)
		    : unlinkat(dir, s->name, 0) < 0 ? -errno : 0;
	} else if (m->inodes[s->actual].staged) {
		/* another name of it waits there already */
		r = unlinkat(dir, s->name, 0) < 0 ? -errno : 0;
	} else {
		snprintf(name, sizeof(name), "%u", s->actual);
		r = undo_find(m, s->dir, &p) ? root_of(m, p.fd) : -ENOENT;
		if (r >= 0) {
			int root = r;

			r = move_to_stage(m, root, dir, s->name, name);
			if (r == 0)
				m->inodes[s->actual].staged = (uint32_t)root + 1;
		}
	}
	if (r < 0)
		slot_problem(w, s, strerror(-r));
	else
		s->present = false;
}

/* ---- putting back ---- */

static int note_alias(struct undo_model *m, uint32_t inode, int dir, const char *name)
{
	struct undo_frame f = {.type = UNDO_ALIAS, .op = inode, .ref = m->inodes[inode].ref};
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	f.ref2 = undo_ref_of(&st);
	undo_set_alias(m, inode, f.ref2);
	return undo_note(m, &f);
}

static int copy_object(struct undo_model *m, uint64_t object, uint64_t size, int to)
{
	autoclose int from = -1;
	char name[24];

	if (!object)
		return 0;
	snprintf(name, sizeof(name), "%llu", (unsigned long long)object);
	from = openat(m->objects_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return from < 0 ? -errno : file_copy(to, from, (off_t)size);
}

static int make_file(struct undo_model *m, const struct undo_frame *k, int dir, const char *name)
{
	autoclose int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				  0600);

	int r = fd < 0 ? -errno : copy_object(m, k->object, k->attr.size, fd);

	if (fd >= 0 && r < 0)
		unlinkat(dir, name, 0);
	return r;
}

/* The inode is gone: one that is like it. */
static int make_anew(struct undo_model *m, uint32_t inode, int dir, const char *name)
{
	const struct undo_inode *i = &m->inodes[inode];
	const struct undo_frame *k = i->keep_copy.type ? &i->keep_copy : &i->keep_inode;
	mode_t type = i->type;
	char target[PATH_MAX];
	int r = -ENOENT;

	if (S_ISDIR(type))
		r = mkdirat(dir, name, 0700) < 0 ? -errno : 0;
	else if (!k->type || k->flags & UNDO_F_MISSING)
		return -ENOENT;
	else if (S_ISREG(type))
		r = make_file(m, k, dir, name);
	else if (S_ISLNK(type) && k->name.len < sizeof(target)) {
		memcpy(target, k->name.p, k->name.len);
		target[k->name.len] = '\0';
		r = symlinkat(target, dir, name) < 0 ? -errno : 0;
	} else if (S_ISFIFO(type) || S_ISSOCK(type))
		r = mknodat(dir, name, type | 0600, 0) < 0 ? -errno : 0;
	return r < 0 ? r : note_alias(m, inode, dir, name);
}

/* A copy of the object with all its attributes. */
static int copy_kept(struct undo_model *m, uint32_t inode, int dir, const char *name)
{
	const struct undo_frame *k = &m->inodes[inode].keep_inode;
	autofree char *xattrs = malloc(UNDO_XATTRS_MAX);
	autoclose int from = -1, to = -1;
	char object[24];
	int n, r = make_file(m, k, dir, name);

	if (r < 0)
		return r;
	snprintf(object, sizeof(object), "%llu", (unsigned long long)k->object);
	from = openat(m->objects_fd, object, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	to = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	n = xattrs && from >= 0 ? undo_xattrs_get(xattrs, UNDO_XATTRS_MAX, from) : -1;
	if (to >= 0 && n > 0)
		undo_xattrs_set(to, (struct undo_text){xattrs, (uint32_t)n});
	return note_alias(m, inode, dir, name);
}

static int move_object(struct undo_model *m, uint32_t inode, int dir, const char *name)
{
	const struct undo_inode *i = &m->inodes[inode];
	char object[24];

	if (!i->keep_inode.type)
		return -ENOENT;
	if (i->keep_inode.flags & UNDO_F_TRASH && S_ISREG(i->type))
		return copy_kept(m, inode, dir, name);
	snprintf(object, sizeof(object), "%llu", (unsigned long long)i->keep_inode.object);
	/* in this order, so that no link to it stays in the store */
	return renameat2(m->objects_fd, object, dir, name, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

static int link_other(struct undo_model *m, uint32_t inode, int dir, const char *name)
{
	autoclose int fd = undo_open(m, inode, O_PATH);
	char proc[40];

	if (fd < 0)
		return fd;
	if (m->inodes[inode].type == S_IFDIR)
		return -EBUSY; /* somebody else has moved it */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, proc, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int put(struct undo_model *m, uint32_t inode, int dir, const char *name)
{
	struct undo_inode *i = &m->inodes[inode];
	char staged[24];
	int r;

	if (i->staged) {
		snprintf(staged, sizeof(staged), "%u", inode);
		r = renameat2(m->roots[i->staged - 1].stage, staged, dir, name, RENAME_NOREPLACE);
		r = r < 0 ? -errno : 0;
		if (r == 0)
			i->staged = 0;
		return r;
	}
	r = move_object(m, inode, dir, name);
	if (r == -ENOENT || r == -EXDEV)
		r = link_other(m, inode, dir, name);
	return r == -ENOENT ? make_anew(m, inode, dir, name) : r;
}

/* The directory itself may have to come back first. */
static int need_dir(struct undo_work *w, uint32_t dir)
{
	struct undo_model *m = w->m;
	struct undo_inode *i = &m->inodes[dir];
	struct undo_place p;

	if ((!i->staged && undo_find(m, dir, &p)) || i->busy)
		return 0;
	for (size_t n = 0; n < i->n_slots; n++) {
		struct undo_slot *s = &m->slots[i->slots[n]];

		if (s->then == dir && s->touched && !s->right && !s->conflict) {
			undo_put_back(w, s);
			return s->right ? 0 : -ENOENT;
		}
	}
	return i->staged ? 0 : -ENOENT;
}

void undo_put_back(struct undo_work *w, struct undo_slot *s)
{
	autoclose int dir = -1;
	int r = need_dir(w, s->dir);

	if (s->right)
		return;
	if (r == 0)
		dir = r = undo_open_dir(w->m, s);
	if (r >= 0)
		r = put(w->m, s->then, dir, s->name);
	if (r < 0) {
		/* once: it may be wanted again as a directory of others */
		if (!s->conflict)
			slot_problem(w, s, strerror(-r));
		s->conflict = true;
		return;
	}
	s->right = s->present = true;
	s->actual = s->then;
}
