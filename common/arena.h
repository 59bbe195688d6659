/*
 * arena.h - many small allocations that are freed together
 *
 * Memory is zeroed. Pointers stay valid until arena_deinit(). Not thread-safe.
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <stddef.h>

#include "common/auto.h"

struct arena {
	struct arena_chunk *chunks;
	char *next, *end;
};

#define ARENA_INIT {NULL, NULL, NULL}

/** Aligned for any type; NULL on ENOMEM. */
void *arena_alloc(struct arena *a, size_t size);

/** Copy len bytes and add a NUL; NULL on ENOMEM. */
char *arena_dup(struct arena *a, const char *text, size_t len);

char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void arena_deinit(struct arena *a);

static inline void auto_arena(struct arena *a)
{
	arena_deinit(a);
}
#define autoarena __attribute__((cleanup(auto_arena)))

#endif
