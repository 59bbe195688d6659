/* Open addressing; what was forgotten leaves a mark until the table is built anew. */
#include <stdlib.h>

#include "fsgate/fs_undo_i.h"

#define FIRST_SIZE 1024u
#define MAX_SIZE (1u << 21) /* 128 MiB; beyond that, places are told twice and nothing is kept */
#define GONE UINT64_MAX

static size_t slot_of(const struct fs_undo_table *t, struct undo_ref ref)
{
	uint64_t h = (ref.ino ^ ref.dev * 0x9E3779B97F4A7C15ull) * 0xD6E8FEB86659FD93ull;

	return (size_t)(h ^ h >> 32) & (t->size - 1);
}

static bool is(const struct fs_undo_inode *i, struct undo_ref ref)
{
	return i->ino == ref.ino && i->dev == ref.dev;
}

struct fs_undo_inode *fs_undo_table_find(const struct fs_undo_table *t, struct undo_ref ref)
{
	if (!t->size)
		return NULL;
	for (size_t s = slot_of(t, ref); t->v[s].ino; s = (s + 1) & (t->size - 1))
		if (is(&t->v[s], ref))
			return &t->v[s];
	return NULL;
}

static struct fs_undo_inode *free_slot(struct fs_undo_table *t, struct undo_ref ref)
{
	size_t s = slot_of(t, ref);

	while (t->v[s].ino)
		s = (s + 1) & (t->size - 1);
	return &t->v[s];
}

static size_t count_live(const struct fs_undo_table *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->size; i++)
		n += t->v[i].ino && t->v[i].ino != GONE;
	return n;
}

static bool rebuild(struct fs_undo_table *t)
{
	struct fs_undo_table bigger = {.size = t->size ? t->size : FIRST_SIZE};
	size_t live = count_live(t);

	if (live >= bigger.size / 4)
		bigger.size *= 2;
	if (bigger.size > MAX_SIZE)
		return false;
	bigger.v = calloc(bigger.size, sizeof(*bigger.v));
	if (!bigger.v)
		return false;
	for (size_t i = 0; i < t->size; i++)
		if (t->v[i].ino && t->v[i].ino != GONE)
			*free_slot(&bigger, (struct undo_ref){t->v[i].dev, t->v[i].ino}) = t->v[i];
	bigger.used = live;
	free(t->v);
	*t = bigger;
	return true;
}

struct fs_undo_inode *fs_undo_table_add(struct fs_undo_table *t, struct undo_ref ref)
{
	struct fs_undo_inode *i = fs_undo_table_find(t, ref);

	if (i)
		return i;
	if (t->used >= t->size / 2 && !rebuild(t))
		return NULL;
	i = free_slot(t, ref);
	*i = (struct fs_undo_inode){.dev = ref.dev, .ino = ref.ino};
	t->used++;
	return i;
}

void fs_undo_table_forget(struct fs_undo_table *t, struct undo_ref ref)
{
	struct fs_undo_inode *i = fs_undo_table_find(t, ref);

	if (i)
		*i = (struct fs_undo_inode){.ino = GONE, .dev = GONE};
}
