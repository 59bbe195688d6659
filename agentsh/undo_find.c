/*
 * Where things are on disk. The workspace is hostile: the agent may have left links anywhere. Every
 * path here is a row of names below the descriptor of a governed root, opened with
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), and what is found must be the very inode.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agentsh/undo_i.h"
#include "common/sys.h"

static int open_beneath(int dir, const char *path, int flags)
{
	int fd = sys_openat2(dir, path, flags | O_CLOEXEC | O_NOFOLLOW,
			     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);

	return fd < 0 ? -errno : fd;
}

int undo_open_at(const struct undo_place *p, int flags)
{
	int fd;

	if (p->path[0])
		return open_beneath(p->fd, p->path, flags);
	if (flags & O_PATH) {
		fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? -errno : fd;
	}
	fd = openat(p->fd, ".", flags | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* Device numbers of some file systems differ after a reboot. */
static uint64_t dev_now(const struct undo_model *m, uint64_t dev)
{
	for (size_t i = 0; i < m->n_roots; i++)
		if (m->roots[i].dev == dev && m->roots[i].fd >= 0)
			return m->roots[i].st.st_dev;
	return dev;
}

static bool same_time(struct undo_time a, struct timespec b)
{
	return a.s == b.tv_sec && a.ns == (uint32_t)b.tv_nsec;
}

/* The inode went with its last name, says the journal; but did that happen? */
static bool is_undead(const struct undo_inode *i, const struct stat *st)
{
	if (i->reused)
		return false;
	return S_ISDIR(st->st_mode) || (i->keep_copy.type && (uint64_t)st->st_size == i->attr.size &&
					same_time(i->keep_copy.attr.mtime, st->st_mtim));
}

bool undo_is(const struct undo_model *m, uint32_t inode, const struct stat *st)
{
	const struct undo_inode *i = &m->inodes[inode];
	struct undo_ref ref = i->now.ino ? i->now : i->ref;

	if (i->type && i->type != (st->st_mode & S_IFMT))
		return false;
	if (ref.ino != st->st_ino || dev_now(m, ref.dev) != st->st_dev)
		return false;
	return i->now.ino || is_undead(i, st);
}

static uint64_t changed_at(const struct stat *st)
{
	return (uint64_t)st->st_ctim.tv_sec * 1000000000 + (uint64_t)st->st_ctim.tv_nsec;
}

bool undo_in_run(const struct undo_model *m, const struct stat *st)
{
	uint64_t at = changed_at(st);

	for (size_t i = 0; i < m->n_runs; i++)
		if (at >= m->runs[i].from_ns && at <= m->runs[i].to_ns)
			return true;
	return false;
}

bool undo_is_ours(const struct undo_model *m, uint32_t inode, const struct stat *st)
{
	if (undo_in_run(m, st))
		return true;
	if (changed_at(st) > m->end_ns)
		return false;
	if (inode >= UNDO_UNKNOWN || !m->inodes[inode].has_stamp || S_ISDIR(st->st_mode))
		return true;
	/* changed while the session ran, after its last word on the file */
	return same_time(m->inodes[inode].stamp.ctime, st->st_ctim);
}

#define NOW_HASH (1u << 14)

static bool index_now(struct undo_model *m)
{
	m->now_hash = malloc(NOW_HASH * sizeof(*m->now_hash));
	if (!m->now_hash)
		return false;
	memset(m->now_hash, 0xFF, NOW_HASH * sizeof(*m->now_hash));
	/* the newest life of a number comes first */
	for (uint32_t n = 0; n < m->n_inodes; n++) {
		struct undo_inode *i = &m->inodes[n];
		uint64_t ino = i->now.ino ? i->now.ino : i->ref.ino;

		i->next_now = m->now_hash[ino % NOW_HASH];
		m->now_hash[ino % NOW_HASH] = n;
	}
	return true;
}

uint32_t undo_identify(struct undo_model *m, const struct stat *st)
{
	if (!m->now_hash && !index_now(m))
		return UNDO_UNKNOWN;
	for (uint32_t n = m->now_hash[st->st_ino % NOW_HASH]; n != UNDO_NONE;
	     n = m->inodes[n].next_now)
		if (undo_is(m, n, st))
			return n;
	return UNDO_UNKNOWN;
}

/* ---- places ---- */

static bool staged_at(struct undo_model *m, uint32_t inode, struct undo_place *p)
{
	const struct undo_inode *i = &m->inodes[inode];

	if (!i->staged)
		return false;
	p->fd = m->roots[i->staged - 1].stage;
	snprintf(p->path, sizeof(p->path), "%u", inode);
	return true;
}

static bool is_there(struct undo_model *m, uint32_t inode, const struct undo_place *p)
{
	autoclose int fd = undo_open_at(p, O_PATH | O_NOFOLLOW);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && undo_is(m, inode, &st);
}

static bool in_slot(struct undo_model *m, uint32_t inode, const struct undo_slot *s,
		    struct undo_place *p)
{
	size_t len;

	if (!undo_find(m, s->dir, p))
		return false;
	len = strlen(p->path);
	if (len + strlen(s->name) + 2 > sizeof(p->path))
		return false;
	snprintf(p->path + len, sizeof(p->path) - len, len ? "/%s" : "%s", s->name);
	return is_there(m, inode, p);
}

static bool search(struct undo_model *m, uint32_t inode, struct undo_place *p)
{
	struct undo_inode *i = &m->inodes[inode];

	/* most likely where the session left it, or where it was before */
	for (size_t n = i->n_slots; n-- > 0;)
		if (m->slots[i->slots[n]].last == inode && in_slot(m, inode, &m->slots[i->slots[n]], p))
			return true;
	for (size_t n = i->n_slots; n-- > 0;)
		if (m->slots[i->slots[n]].last != inode && in_slot(m, inode, &m->slots[i->slots[n]], p))
			return true;
	return false;
}

bool undo_find(struct undo_model *m, uint32_t inode, struct undo_place *p)
{
	struct undo_inode *i = &m->inodes[inode];
	bool found;

	if (i->root >= 0) {
		p->fd = m->roots[i->root].fd;
		p->path[0] = '\0';
		return p->fd >= 0;
	}
	if (staged_at(m, inode, p))
		return true;
	if (i->busy)
		return false;
	i->busy = true;
	found = search(m, inode, p);
	i->busy = false;
	return found;
}

int undo_open_dir(struct undo_model *m, const struct undo_slot *s)
{
	struct undo_place p;

	return undo_find(m, s->dir, &p) ? undo_open_at(&p, O_PATH | O_DIRECTORY) : -ENOENT;
}

int undo_open(struct undo_model *m, uint32_t inode, int flags)
{
	struct undo_place p;
	struct stat st;
	int fd;

	if (!undo_find(m, inode, &p))
		return -ENOENT;
	fd = undo_open_at(&p, flags | O_NOFOLLOW | (flags & O_PATH ? 0 : O_NONBLOCK | O_NOCTTY));
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && undo_is(m, inode, &st))
		return fd;
	close(fd);
	return -ESTALE;
}

/* ---- paths for people ---- */

static bool join(char *out, size_t size, const char *name)
{
	size_t len = strlen(out);

	return snprintf(out + len, size - len, strcmp(out, "/") == 0 ? "%s" : "/%s", name) <
	       (int)(size - len);
}

bool undo_inode_path_now(struct undo_model *m, uint32_t inode, char *out, size_t size)
{
	struct undo_place p;

	if (!undo_find(m, inode, &p))
		return false;
	for (size_t i = 0; i < m->n_roots; i++) {
		if (m->roots[i].fd != p.fd)
			continue;
		snprintf(out, size, "%s", m->roots[i].host);
		return !p.path[0] || join(out, size, p.path);
	}
	return false;
}

bool undo_path_now(struct undo_model *m, const struct undo_slot *s, char *out, size_t size)
{
	return undo_inode_path_now(m, s->dir, out, size) && join(out, size, s->name);
}

bool undo_inode_path_then(struct undo_model *m, uint32_t inode, char *out, size_t size)
{
	struct undo_inode *i = &m->inodes[inode];
	bool found = false;

	if (i->root >= 0) {
		snprintf(out, size, "%s", m->roots[i->root].host);
		return true;
	}
	if (i->busy)
		return false;
	i->busy = true;
	/* a name that it still has rather than one that is gone */
	for (int right = 1; right >= 0 && !found; right--) {
		for (size_t n = 0; n < i->n_slots && !found; n++) {
			const struct undo_slot *s = &m->slots[i->slots[n]];

			if (s->then == inode && (!s->touched || s->right) == right)
				found = undo_path_then(m, s, out, size);
		}
	}
	i->busy = false;
	return found;
}

bool undo_path_then(struct undo_model *m, const struct undo_slot *s, char *out, size_t size)
{
	return undo_inode_path_then(m, s->dir, out, size) && join(out, size, s->name);
}
