/*
 * Theory: frames are read in order, twice. First, which operations failed. Then each frame adds to
 * the model: the first frame after the wanted moment that touches a slot tells what it held then; the
 * last one, what the session left there. An inode number gets a new identity after the frame with
 * which its inode went (DEL with LAST), because another file may have it from there on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agentsh/undo_i.h"
#include "agentsh/undo_store.h"

#define HASH_SIZE (1u << 17)
#define SLACK_NS 2000000000u /* after the last sign of a session that did not end in order */

/* ---- tables ---- */

static uint32_t hash_of(const void *p, size_t n, uint64_t h)
{
	for (const unsigned char *s = p; n--; s++)
		h = (h ^ *s) * 0x100000001B3ull;
	return (uint32_t)(h ^ h >> 32) & (HASH_SIZE - 1);
}

static uint32_t new_inode(struct undo_model *m, struct undo_ref ref, uint32_t bucket)
{
	struct undo_inode *i;

	if (m->n_inodes == m->max_inodes) {
		size_t max = m->max_inodes ? m->max_inodes * 2 : 256;
		struct undo_inode *v = realloc(m->inodes, max * sizeof(*v));

		if (!v) {
			m->out_of_memory = true;
			return UNDO_NONE;
		}
		m->inodes = v;
		m->max_inodes = max;
	}
	i = &m->inodes[m->n_inodes];
	*i = (struct undo_inode){.ref = ref, .now = ref, .root = -1, .next = m->inode_hash[bucket]};
	m->inode_hash[bucket] = (uint32_t)m->n_inodes;
	return (uint32_t)m->n_inodes++;
}

/* The present life of a number; a new one when there is none. */
static uint32_t inode_of(struct undo_model *m, struct undo_ref ref)
{
	uint32_t bucket = hash_of(&ref, sizeof(ref), 0xCBF29CE484222325ull), i;

	for (i = m->inode_hash[bucket]; i != UNDO_NONE; i = m->inodes[i].next)
		if (m->inodes[i].ref.ino == ref.ino && m->inodes[i].ref.dev == ref.dev) {
			if (!m->inodes[i].dead)
				return i;
			m->inodes[i].reused = true;
		}
	return new_inode(m, ref, bucket);
}

static uint32_t slot_of(struct undo_model *m, uint32_t dir, struct undo_text name)
{
	uint32_t bucket = hash_of(name.p, name.len, 0xCBF29CE484222325ull ^ dir * 0x9E3779B9ull), i;
	struct undo_slot *s;

	for (i = m->slot_hash[bucket]; i != UNDO_NONE; i = m->slots[i].next)
		if (m->slots[i].dir == dir && strlen(m->slots[i].name) == name.len &&
		    memcmp(m->slots[i].name, name.p, name.len) == 0)
			return i;
	if (m->n_slots == m->max_slots) {
		size_t max = m->max_slots ? m->max_slots * 2 : 256;
		struct undo_slot *v = realloc(m->slots, max * sizeof(*v));

		if (!v) {
			m->out_of_memory = true;
			return UNDO_NONE;
		}
		m->slots = v;
		m->max_slots = max;
	}
	s = &m->slots[m->n_slots];
	*s = (struct undo_slot){.dir = dir, .then = UNDO_NONE, .last = UNDO_NONE};
	s->name = strndup(name.p, name.len);
	m->out_of_memory |= !s->name;
	s->next = m->slot_hash[bucket];
	m->slot_hash[bucket] = (uint32_t)m->n_slots;
	return (uint32_t)m->n_slots++;
}

static void has_been_in(struct undo_model *m, uint32_t inode, uint32_t slot)
{
	struct undo_inode *i = &m->inodes[inode];
	uint32_t *v;

	for (size_t n = i->n_slots; n-- > 0;)
		if (i->slots[n] == slot)
			return;
	/* grows in steps of 4: most inodes are in one or two */
	v = i->n_slots % 4 ? i->slots : realloc(i->slots, (i->n_slots + 4) * sizeof(*v));
	if (!v) {
		m->out_of_memory = true;
		return;
	}
	i->slots = v;
	v[i->n_slots++] = slot;
}

/* ---- frames ---- */

static bool is_after(const struct undo_model *m, const struct undo_frame *f)
{
	return m->all || f->pseq > m->cut;
}

/* @param then  what the slot held before the frame */
static uint32_t touch(struct undo_model *m, const struct undo_frame *f, struct undo_ref dir,
		      struct undo_time mtime, struct undo_text name, uint32_t then)
{
	uint32_t d = inode_of(m, dir), s;
	struct undo_inode *i;

	if (d == UNDO_NONE)
		return UNDO_NONE;
	s = slot_of(m, d, name);
	if (s == UNDO_NONE)
		return UNDO_NONE;
	i = &m->inodes[d];
	i->type = S_IFDIR;
	if (then != UNDO_NONE)
		has_been_in(m, then, s);
	m->slots[s].wall_ns = f->wall_ns;
	m->slots[s].op = f->op;
	if (!is_after(m, f)) {
		m->slots[s].then = UNDO_NONE; /* set by who comes next */
		return s;
	}
	if (!m->slots[s].touched) {
		m->slots[s].touched = true;
		m->slots[s].then = then;
	}
	if (!i->has_mtime) {
		i->has_mtime = true;
		i->mtime = mtime;
	}
	return s;
}

/* The session leaves inode in the slot. */
static void leave(struct undo_model *m, uint32_t slot, uint32_t inode)
{
	struct undo_slot *s = &m->slots[slot];

	s->last = inode;
	if (!s->touched)
		s->then = inode;
	if (inode < UNDO_UNKNOWN)
		has_been_in(m, inode, slot);
}

static void on_at(struct undo_model *m, const struct undo_frame *f)
{
	uint32_t i = inode_of(m, f->ref), d = inode_of(m, f->dir), s;

	if (i == UNDO_NONE || d == UNDO_NONE)
		return;
	s = slot_of(m, d, f->name);
	if (s == UNDO_NONE)
		return;
	has_been_in(m, i, s);
	if (!m->slots[s].touched && m->slots[s].op == 0)
		leave(m, s, i);
}

static void on_add(struct undo_model *m, const struct undo_frame *f)
{
	uint32_t s;

	if (f->op < m->n_ops && m->op_failed[f->op])
		return;
	s = touch(m, f, f->dir, f->dir_mtime, f->name, UNDO_NONE);
	if (s == UNDO_NONE)
		return;
	leave(m, s, UNDO_UNKNOWN);
	if (f->op < m->n_ops)
		m->op_slot[f->op] = s;
}

static void on_done(struct undo_model *m, const struct undo_frame *f)
{
	uint32_t s = f->op < m->n_ops ? m->op_slot[f->op] : UNDO_NONE, i;

	if (s == UNDO_NONE)
		return;
	i = inode_of(m, f->ref);
	if (i == UNDO_NONE)
		return;
	has_been_in(m, i, s);
	m->inodes[i].has_stamp = false;
	if (m->slots[s].op == f->op)
		leave(m, s, i);
}

static void on_del(struct undo_model *m, const struct undo_frame *f)
{
	uint32_t i, s;

	if (f->op < m->n_ops && m->op_failed[f->op])
		return;
	i = inode_of(m, f->ref);
	if (i == UNDO_NONE)
		return;
	s = touch(m, f, f->dir, f->dir_mtime, f->name, i);
	if (s != UNDO_NONE)
		leave(m, s, UNDO_NONE);
	m->inodes[i].has_stamp = false;
	if (f->flags & UNDO_F_LAST) {
		m->inodes[i].dead = true;
		m->inodes[i].now = (struct undo_ref){0, 0};
	}
}

static void on_move(struct undo_model *m, const struct undo_frame *f)
{
	bool swap = f->flags & UNDO_F_SWAP;
	uint32_t x, y = UNDO_NONE, from, to;

	if (f->op < m->n_ops && m->op_failed[f->op])
		return;
	x = inode_of(m, f->ref);
	if (swap)
		y = inode_of(m, f->ref2);
	if (x == UNDO_NONE || (swap && y == UNDO_NONE))
		return;
	from = touch(m, f, f->dir, f->dir_mtime, f->name, x);
	to = touch(m, f, f->dir2, f->dir2_mtime, f->name2, y);
	if (from == UNDO_NONE || to == UNDO_NONE)
		return;
	leave(m, from, swap ? y : UNDO_NONE);
	leave(m, to, x);
	m->inodes[x].has_stamp = false;
	if (swap)
		m->inodes[y].has_stamp = false;
}

static void note_attr(struct undo_model *m, struct undo_inode *i, const struct undo_frame *f)
{
	i->type = f->attr.mode & S_IFMT;
	i->has_stamp = false;
	if (!is_after(m, f))
		return;
	i->changed |= f->type != UNDO_KEEP;
	if (!i->has_attr) {
		i->has_attr = true;
		i->attr = f->attr;
	}
	if (!i->has_mtime) {
		i->has_mtime = true;
		i->mtime = f->attr.mtime;
	}
	if (f->flags & UNDO_F_XATTRS && !i->has_xattrs) {
		i->has_xattrs = true;
		i->xattrs = f->xattrs;
	}
	if (f->type == UNDO_DATA && !i->data.type)
		i->data = *f;
}

static void on_inode(struct undo_model *m, const struct undo_frame *f)
{
	uint32_t n = inode_of(m, f->ref);
	struct undo_inode *i;

	if (n == UNDO_NONE)
		return;
	i = &m->inodes[n];
	if (f->type == UNDO_STAMP) {
		i->has_stamp = true;
		i->stamp = f->attr;
		return;
	}
	note_attr(m, i, f);
	if (f->type == UNDO_KEEP && f->flags & UNDO_F_INODE)
		i->keep_inode = *f;
	else if (f->type == UNDO_KEEP)
		i->keep_copy = *f;
}

static void on_root(struct undo_model *m, const struct undo_frame *f)
{
	uint32_t i = inode_of(m, f->ref);
	struct undo_root *v = realloc(m->roots, (m->n_roots + 1) * sizeof(*v)), *r;

	if (!v || i == UNDO_NONE) {
		m->out_of_memory = true;
		return;
	}
	m->roots = v;
	r = &v[m->n_roots];
	*r = (struct undo_root){.dev = f->ref.dev, .stage = -1};
	r->path = strndup(f->name.p, f->name.len);
	r->host = strndup(f->name2.p, f->name2.len);
	r->fd = r->host ? open(r->host, O_PATH | O_CLOEXEC | O_NOFOLLOW) : -1;
	m->out_of_memory |= !r->path || !r->host;
	if (r->fd >= 0 && fstat(r->fd, &r->st) < 0) {
		close(r->fd);
		r->fd = -1;
	}
	m->inodes[i].root = (int)m->n_roots++;
}

static void apply(struct undo_model *m, const struct undo_frame *f)
{
	switch (f->type) {
	case UNDO_ROOT:
		on_root(m, f);
		return;
	case UNDO_AT:
		on_at(m, f);
		return;
	case UNDO_ADD:
		on_add(m, f);
		return;
	case UNDO_DONE:
		on_done(m, f);
		return;
	case UNDO_DEL:
		on_del(m, f);
		return;
	case UNDO_MOVE:
		on_move(m, f);
		return;
	case UNDO_KEEP:
	case UNDO_DATA:
	case UNDO_ATTR:
	case UNDO_STAMP:
		on_inode(m, f);
		return;
	case UNDO_GAP:
		m->gap = true;
		return;
	case UNDO_END:
		m->ended = true;
		m->end_ns = f->wall_ns;
		return;
	case UNDO_FAIL:
	case UNDO_ALIAS:
	case UNDO_RUN:
	case UNDO_STEP:
	case UNDO_TYPES:
		return;
	}
}

/* ---- files ---- */

static int read_file(uint8_t **out, size_t *len, struct stat *st, int dir, const char *name)
{
	autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	autofree uint8_t *buf = NULL;
	size_t n = 0;

	if (fd < 0 || fstat(fd, st) < 0)
		return -errno;
	buf = malloc((size_t)st->st_size + 1);
	if (!buf)
		return -ENOMEM;
	while (n < (size_t)st->st_size) {
		ssize_t r = read(fd, buf + n, (size_t)st->st_size - n);

		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	*out = steal_ptr(&buf);
	*len = n;
	return 0;
}

static int read_failures(struct undo_model *m)
{
	struct undo_frame f;
	size_t at = 0, skipped = 0;

	while (undo_decode(&f, m->journal, m->journal_len, &at, &skipped))
		if (f.op >= m->n_ops && f.op < UINT32_MAX)
			m->n_ops = f.op + 1;
	m->op_failed = calloc(m->n_ops + 1, 1);
	m->op_slot = malloc((m->n_ops + 1) * sizeof(*m->op_slot));
	if (!m->op_failed || !m->op_slot)
		return -ENOMEM;
	memset(m->op_slot, 0xFF, (m->n_ops + 1) * sizeof(*m->op_slot));
	at = 0;
	while (undo_decode(&f, m->journal, m->journal_len, &at, &skipped))
		if (f.type == UNDO_FAIL && f.op < m->n_ops)
			m->op_failed[f.op] = 1;
	return 0;
}

static int read_journal(struct undo_model *m, struct err *e)
{
	struct undo_frame f;
	struct stat st;
	size_t at = 0;
	int r = read_file(&m->journal, &m->journal_len, &st, m->store_fd, "journal");

	if (r == 0)
		r = read_failures(m);
	if (r < 0)
		return err_set(e, -r, "read %.1000s/journal", m->store);
	while (undo_decode(&f, m->journal, m->journal_len, &at, &m->damaged)) {
		if (!m->start_ns)
			m->start_ns = f.wall_ns;
		apply(m, &f);
	}
	if (!m->ended)
		m->end_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 +
			    (uint64_t)st.st_mtim.tv_nsec + SLACK_NS;
	return m->out_of_memory ? err_set(e, ENOMEM, "read %.1000s/journal", m->store) : 0;
}

static bool add_run(struct undo_model *m, uint64_t from_ns)
{
	struct undo_span *v = realloc(m->runs, (m->n_runs + 1) * sizeof(*v));

	if (!v)
		return false;
	m->runs = v;
	v[m->n_runs++] = (struct undo_span){from_ns - 20000000, from_ns};
	return true;
}

static bool same_ref(struct undo_ref a, struct undo_ref b)
{
	return a.ino == b.ino && a.dev == b.dev;
}

/* Somebody else has the number by now. */
static void lose_number(struct undo_inode *i, struct undo_ref number)
{
	if (same_ref(i->now, number))
		i->now = (struct undo_ref){0, 0};
	if (same_ref(i->ref, number))
		i->reused = true;
	i->dead |= !i->now.ino;
}

void undo_set_alias(struct undo_model *m, uint32_t inode, struct undo_ref now)
{
	uint32_t bucket = hash_of(&now, sizeof(now), 0xCBF29CE484222325ull);
	uint32_t *v = realloc(m->aliased, (m->n_aliased + 1) * sizeof(*v));

	if (!v) {
		m->out_of_memory = true;
		return;
	}
	m->aliased = v;
	for (uint32_t i = m->inode_hash[bucket]; i != UNDO_NONE; i = m->inodes[i].next)
		if (same_ref(m->inodes[i].ref, now))
			lose_number(&m->inodes[i], now);
	for (size_t i = 0; i < m->n_aliased; i++)
		lose_number(&m->inodes[v[i]], now);
	m->inodes[inode].now = now;
	v[m->n_aliased++] = inode;
}

static int read_undone(struct undo_model *m, struct err *e)
{
	struct undo_frame f;
	struct stat st;
	size_t at = 0, skipped = 0;
	int r = read_file(&m->undone, &m->undone_len, &st, m->store_fd, "undone");

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_set(e, -r, "read %.1000s/undone", m->store);
	while (undo_decode(&f, m->undone, m->undone_len, &at, &skipped)) {
		if (f.type == UNDO_RUN && !add_run(m, f.wall_ns))
			return err_set(e, ENOMEM, "undo");
		/* what it did between two of its own signs of life */
		if (m->n_runs)
			m->runs[m->n_runs - 1].to_ns = f.wall_ns + 50000000;
		if (f.type == UNDO_ALIAS && f.op < m->n_inodes)
			undo_set_alias(m, (uint32_t)f.op, f.ref2);
	}
	return 0;
}

int undo_load(struct undo_model **out, const struct dirs *dirs, const char *session, bool all,
	      uint64_t cut, struct err *e)
{
	AUTO(undo_free) struct undo_model *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_set(e, ENOMEM, "undo");
	m->store_fd = m->objects_fd = m->undone_fd = -1;
	m->all = all;
	m->cut = cut;
	m->slot_hash = malloc(HASH_SIZE * sizeof(uint32_t));
	m->inode_hash = malloc(HASH_SIZE * sizeof(uint32_t));
	if (!m->slot_hash || !m->inode_hash)
		return err_set(e, ENOMEM, "undo");
	memset(m->slot_hash, 0xFF, HASH_SIZE * sizeof(uint32_t));
	memset(m->inode_hash, 0xFF, HASH_SIZE * sizeof(uint32_t));
	if (undo_store_path(m->store, sizeof(m->store), dirs, session) < 0)
		return err_say(e, ENAMETOOLONG, "%s: name too long", dirs->state);
	m->store_fd = open(m->store, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (m->store_fd < 0 && errno == ENOENT)
		return err_say(e, ENOENT, "%s: nothing was kept of such a session", session);
	if (m->store_fd >= 0)
		m->objects_fd = openat(m->store_fd, "objects",
				       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (m->objects_fd < 0)
		return err_set(e, errno, "open %.1000s", m->store);
	r = read_journal(m, e);
	if (r == 0)
		r = read_undone(m, e);
	if (r < 0)
		return r;
	undo_open_stages(m);
	*out = steal_ptr(&m);
	return 0;
}

void undo_free(struct undo_model *m)
{
	const int fds[] = {m ? m->store_fd : -1, m ? m->objects_fd : -1, m ? m->undone_fd : -1};

	if (!m)
		return;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (size_t i = 0; i < m->n_roots; i++) {
		if (m->roots[i].fd >= 0)
			close(m->roots[i].fd);
		if (m->roots[i].stage >= 0)
			close(m->roots[i].stage);
		free(m->roots[i].path);
		free(m->roots[i].host);
	}
	for (size_t i = 0; i < m->n_slots; i++)
		free(m->slots[i].name);
	for (size_t i = 0; i < m->n_inodes; i++)
		free(m->inodes[i].slots);
	free(m->roots);
	free(m->slots);
	free(m->inodes);
	free(m->slot_hash);
	free(m->inode_hash);
	free(m->now_hash);
	free(m->aliased);
	free(m->op_slot);
	free(m->op_failed);
	free(m->runs);
	free(m->journal);
	free(m->undone);
	free(m);
}
