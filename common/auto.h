/*
 * auto.h - scope-bound ownership by __attribute__((cleanup))
 *
 * Rule: every autofree/autoclose/AUTO variable is initialised where it is declared, and ownership
 * leaves the scope only through steal_ptr() or steal_fd().
 */
#ifndef COMMON_AUTO_H
#define COMMON_AUTO_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void auto_free(void *p)
{
	free(*(void **)p);
}

static inline void auto_close(int *fd)
{
	/* close(2) is never retried: on Linux the descriptor is gone even after EINTR */
	if (*fd >= 0)
		close(*fd);
}

static inline void auto_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define autofree __attribute__((cleanup(auto_free)))
#define autoclose __attribute__((cleanup(auto_close)))
#define autofclose __attribute__((cleanup(auto_fclose)))

/** Define the cleanup hook that AUTO(fn) uses: fn takes the pointer itself and accepts NULL. */
#define AUTO_DEFINE(type, fn)                                                                      \
	static inline void auto_##fn(type *p)                                                      \
	{                                                                                          \
		fn(*p);                                                                            \
	}
#define AUTO(fn) __attribute__((cleanup(auto_##fn)))

/** Hand over a pointer: the variable becomes NULL. */
#define steal_ptr(pp)                                                                              \
	({                                                                                         \
		__auto_type steal_pp_ = (pp);                                                      \
		__auto_type steal_p_ = *steal_pp_;                                                 \
		*steal_pp_ = NULL;                                                                 \
		steal_p_;                                                                          \
	})

/** Hand over a descriptor: the variable becomes -1. */
static inline int steal_fd(int *fdp)
{
	int fd = *fdp;

	*fdp = -1;
	return fd;
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
