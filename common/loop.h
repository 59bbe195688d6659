/*
 * loop.h - one-threaded, level-triggered event loop on epoll(7)
 *
 * The source is embedded in its owner (container_of). loop_io_del() only unhooks: free the owner's
 * memory with loop_defer_free() or after loop_run() returns, because an event of the same batch
 * may still point at it.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/signalfd.h>

struct loop;
struct loop_io;

/** @param events  EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR bits that happened */
typedef void loop_io_fn(struct loop_io *io, uint32_t events);

struct loop_io {
	int fd; /**< borrowed; -1 when not in a loop */
	uint32_t events;
	loop_io_fn *fn;
	struct loop *loop;
};

struct loop_timer;
typedef void loop_timer_fn(struct loop_timer *t);

/** One-shot timer, embedded in its owner; kept in a heap inside the loop. */
struct loop_timer {
	loop_timer_fn *fn;
	uint64_t due_ms; /**< CLOCK_MONOTONIC */
	struct loop_timer *next;
	bool armed;
};

typedef void loop_signal_fn(void *arg, const struct signalfd_siginfo *si);

int loop_new(struct loop **out);
void loop_free(struct loop *l);

/** Zeroed io is fine; fd stays the caller's. @return 0 or -errno */
int loop_io_add(struct loop *l, struct loop_io *io, int fd, uint32_t events, loop_io_fn *fn);
int loop_io_mod(struct loop_io *io, uint32_t events);
void loop_io_del(struct loop_io *io);

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t in_ms, loop_timer_fn *fn);
void loop_timer_del(struct loop *l, struct loop_timer *t);

/** Block these signals and deliver them here. @param signals  ends with 0 */
int loop_signals(struct loop *l, const int *signals, loop_signal_fn *fn, void *arg);

/** free(3) the pointer when the current batch of events is done. */
void loop_defer_free(struct loop *l, void *p);

/** Run until loop_stop(). @return the code given to loop_stop(), or -errno */
int loop_run(struct loop *l);
void loop_stop(struct loop *l, int code);

/** Milliseconds of CLOCK_MONOTONIC. */
uint64_t loop_now_ms(void);

#endif
