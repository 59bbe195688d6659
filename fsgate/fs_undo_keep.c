/*
 * How an inode is kept: by a link of its own in the store, which costs nothing and keeps all of it,
 * where the store is on the same mount; else by a copy. Room: half of the quota is for what was there
 * before the session.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file_copy.h"
#include "common/str.h"
#include "fsgate/fs_at.h"
#include "fsgate/fs_undo_i.h"

#define MAX_OBJECTS 1000000u
/* a version between the first and the last is copied only when it is small */
#define MAX_LATER (4u << 20)

void fs_undo_i_object(char name[24], uint64_t object)
{
	snprintf(name, 24, "%llu", (unsigned long long)object);
}

static bool reserve(struct fs_undo *u, uint64_t bytes, bool first)
{
	uint64_t limit = first ? u->max_bytes : u->max_bytes / 2;

	if (atomic_load(&u->n_objects) >= MAX_OBJECTS)
		return false;
	if (atomic_fetch_add(&u->bytes, bytes) + bytes > limit) {
		atomic_fetch_sub(&u->bytes, bytes);
		return false;
	}
	atomic_fetch_add(&u->n_objects, 1);
	return true;
}

static void give_back(struct fs_undo *u, uint64_t bytes)
{
	atomic_fetch_sub(&u->bytes, bytes);
	atomic_fetch_sub(&u->n_objects, 1);
}

static uint64_t next_object(struct fs_undo *u)
{
	return atomic_fetch_add(&u->next_object, 1) + 1;
}

/* @return 0, or -errno; -EFBIG: it is a later version, and blocks cannot be shared */
static int copy_to(struct fs_undo *u, const char *name, int from, const struct stat *st, bool first)
{
	int to = openat(u->objects, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool small = first || st->st_blocks <= (blkcnt_t)(MAX_LATER / 512);
	int r;

	if (to < 0)
		return -errno;
	r = small ? file_copy(to, from, st->st_size) : file_share(to, from);
	if (r == 0 && fchmod(to, 0600) < 0)
		r = -errno;
	close(to);
	if (r < 0)
		unlinkat(u->objects, name, 0);
	return r;
}

void fs_undo_i_copy(struct undo_frame *f, struct fs_undo *u, int fd, const struct stat *st,
		    bool first)
{
	uint64_t object, bytes = (uint64_t)st->st_blocks * 512;
	char name[24];
	int from, r;

	f->object = 0;
	f->flags |= UNDO_F_COPY;
	if (st->st_size == 0)
		return;
	f->flags &= ~UNDO_F_COPY;
	if ((uint64_t)st->st_size > u->max_file) {
		f->flags |= UNDO_F_TOO_BIG;
		return;
	}
	if (!reserve(u, bytes, first)) {
		f->flags |= first ? UNDO_F_FULL : UNDO_F_LATER;
		return;
	}
	object = next_object(u);
	fs_undo_i_object(name, object);
	from = fs_at_reopen(fd, O_RDONLY);
	r = from < 0 ? from : copy_to(u, name, from, st, first);
	if (from >= 0)
		close(from);
	if (r == 0) {
		f->object = object;
		f->flags |= UNDO_F_COPY;
		return;
	}
	give_back(u, bytes);
	f->flags |= !first ? UNDO_F_LATER
		    : r == -ENOSPC || r == -EDQUOT ? UNDO_F_FULL
						   : UNDO_F_ERROR;
}

static struct fs_undo_inode known(struct fs_undo *u, const struct stat *st)
{
	struct fs_undo_inode *i, copy = {0};

	pthread_mutex_lock(&u->table_lock);
	i = fs_undo_table_find(&u->table, undo_ref_of(st));
	if (i)
		copy = *i;
	pthread_mutex_unlock(&u->table_lock);
	return copy;
}

/* Where links do not reach: content, target and attributes. */
static void keep_copy(struct undo_frame *keep, struct fs_undo *u, int dirfd, const char *name,
		      const struct stat *st, bool first)
{
	/* the frame borrows from them until it is written */
	static _Thread_local char target[PATH_MAX], xattrs[UNDO_XATTRS_MAX];
	ssize_t n;
	int fd;

	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(dirfd, name, target, sizeof(target));
		if (n < 0)
			keep->flags |= UNDO_F_ERROR;
		else
			keep->name = (struct undo_text){target, (uint32_t)n};
		return;
	}
	if (!S_ISREG(st->st_mode))
		return;
	fd = fs_at_open(dirfd, name, O_PATH, 0);
	if (fd < 0) {
		keep->flags |= UNDO_F_ERROR;
		return;
	}
	fs_undo_i_copy(keep, u, fd, st, first);
	n = undo_xattrs_get(xattrs, sizeof(xattrs), fd);
	if (n >= 0) {
		keep->flags |= UNDO_F_XATTRS;
		keep->xattrs = (struct undo_text){xattrs, (uint32_t)n};
	}
	close(fd);
}

void fs_undo_i_keep(struct fs_undo_keeping *k, struct fs_undo *u, const char *path, int dirfd,
		    const char *name, const struct stat *st)
{
	struct fs_undo_inode i = known(u, st);
	bool first = !(i.facts & FS_UNDO_BORN), last = st->st_nlink == 1;

	memset(k, 0, sizeof(*k));
	k->keep.type = UNDO_KEEP;
	k->keep.ref = undo_ref_of(st);
	k->keep.attr = undo_attr_of(st);
	/* a new file with another name lives on by that; an old one's may be outside of the tree */
	if (i.facts & FS_UNDO_KEPT || (!first && !last))
		return;
	k->needed = true;
	if (fs_undo_i_excluded(u, path)) {
		k->keep.flags |= UNDO_F_EXCLUDED;
		return;
	}
	if (st->st_dev == u->dev && atomic_load(&u->far_dev) != st->st_dev) {
		k->bytes = (uint64_t)st->st_blocks * 512;
		if (reserve(u, k->bytes, first)) {
			k->keep.object = next_object(u);
			k->keep.flags |= UNDO_F_INODE;
		} else {
			k->bytes = 0;
			k->keep.flags |= first ? UNDO_F_FULL : UNDO_F_LATER;
		}
		return;
	}
	if (last)
		keep_copy(&k->keep, u, dirfd, name, st, first);
	else /* it lives on by another name */
		k->needed = false;
}

void fs_undo_i_kept(struct fs_undo *u, const struct stat *st)
{
	struct fs_undo_inode *i;

	pthread_mutex_lock(&u->table_lock);
	i = fs_undo_table_add(&u->table, undo_ref_of(st));
	if (i)
		i->facts |= FS_UNDO_KEPT;
	pthread_mutex_unlock(&u->table_lock);
}

void fs_undo_i_not_linked(struct fs_undo_keeping *k, struct fs_undo *u, int dirfd,
			  const char *name, const struct stat *st, int error)
{
	bool first = !(known(u, st).facts & FS_UNDO_BORN);

	if (error == -EXDEV)
		atomic_store(&u->far_dev, st->st_dev);
	give_back(u, k->bytes);
	k->bytes = 0;
	k->keep.flags &= ~(unsigned)UNDO_F_INODE;
	k->keep.object = 0;
	if (st->st_nlink == 1)
		keep_copy(&k->keep, u, dirfd, name, st, first);
}
