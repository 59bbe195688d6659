/*
 * Theory: epoll holds a pointer to each struct loop_io. One batch of events is handled at a time;
 * an io that is deleted during the batch is struck from the rest of it. Timers form a list sorted
 * by due time (a session has tens, not thousands), whose head sets epoll_wait's timeout.
 */
#include "common/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/auto.h"

#define BATCH 64

struct loop {
	int epoll;
	bool stopped;
	int code;
	struct loop_timer *timers;
	struct epoll_event batch[BATCH];
	int n_batch;
	void **defer;
	size_t n_defer, cap_defer;
	struct loop_io signal_io;
	loop_signal_fn *signal_fn;
	void *signal_arg;
};

uint64_t loop_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int loop_new(struct loop **out)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->signal_io.fd = -1;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		int code = errno;

		free(l);
		return -code;
	}
	*out = l;
	return 0;
}

static void run_deferred(struct loop *l)
{
	for (size_t i = 0; i < l->n_defer; i++)
		free(l->defer[i]);
	l->n_defer = 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	if (l->signal_io.fd >= 0)
		close(l->signal_io.fd);
	run_deferred(l);
	free(l->defer);
	close(l->epoll);
	free(l);
}

int loop_io_add(struct loop *l, struct loop_io *io, int fd, uint32_t events, loop_io_fn *fn)
{
	struct epoll_event ev = {.events = events, .data.ptr = io};

	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	io->fd = fd;
	io->events = events;
	io->fn = fn;
	io->loop = l;
	return 0;
}

int loop_io_mod(struct loop_io *io, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = io};

	if (io->events == events)
		return 0;
	if (!io->loop || epoll_ctl(io->loop->epoll, EPOLL_CTL_MOD, io->fd, &ev) < 0)
		return -errno;
	io->events = events;
	return 0;
}

void loop_io_del(struct loop_io *io)
{
	struct loop *l = io->loop;

	if (!l)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, io->fd, NULL);
	for (int i = 0; i < l->n_batch; i++)
		if (l->batch[i].data.ptr == io)
			l->batch[i].data.ptr = NULL;
	io->loop = NULL;
	io->fd = -1;
}

void loop_timer_del(struct loop *l, struct loop_timer *t)
{
	if (!t->armed)
		return;
	for (struct loop_timer **p = &l->timers; *p; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			break;
		}
	}
	t->armed = false;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t in_ms, loop_timer_fn *fn)
{
	struct loop_timer **p = &l->timers;

	loop_timer_del(l, t);
	t->fn = fn;
	t->due_ms = loop_now_ms() + in_ms;
	while (*p && (*p)->due_ms <= t->due_ms)
		p = &(*p)->next;
	t->next = *p;
	*p = t;
	t->armed = true;
}

static void on_signal(struct loop_io *io, uint32_t events)
{
	struct loop *l = io->loop;
	struct signalfd_siginfo si;

	(void)events;
	while (read(io->fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		l->signal_fn(l->signal_arg, &si);
}

int loop_signals(struct loop *l, const int *signals, loop_signal_fn *fn, void *arg)
{
	sigset_t set;
	int fd, r;

	sigemptyset(&set);
	for (; *signals; signals++)
		sigaddset(&set, *signals);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	l->signal_fn = fn;
	l->signal_arg = arg;
	r = loop_io_add(l, &l->signal_io, fd, EPOLLIN, on_signal);
	if (r < 0)
		close(fd);
	return r;
}

void loop_defer_free(struct loop *l, void *p)
{
	if (l->n_defer == l->cap_defer) {
		size_t cap = l->cap_defer ? l->cap_defer * 2 : 32;
		void **more = realloc(l->defer, cap * sizeof(*more));

		if (!more)
			return; /* leaked rather than freed under a pending event */
		l->defer = more;
		l->cap_defer = cap;
	}
	l->defer[l->n_defer++] = p;
}

static int next_timeout(const struct loop *l)
{
	uint64_t now;

	if (!l->timers)
		return -1;
	now = loop_now_ms();
	if (l->timers->due_ms <= now)
		return 0;
	return l->timers->due_ms - now > 60000 ? 60000 : (int)(l->timers->due_ms - now);
}

static void run_timers(struct loop *l)
{
	uint64_t now = loop_now_ms();

	while (l->timers && l->timers->due_ms <= now && !l->stopped) {
		struct loop_timer *t = l->timers;

		l->timers = t->next;
		t->armed = false;
		t->fn(t);
	}
}

static void run_batch(struct loop *l)
{
	for (int i = 0; i < l->n_batch && !l->stopped; i++) {
		struct loop_io *io = l->batch[i].data.ptr;

		if (io)
			io->fn(io, l->batch[i].events);
	}
	l->n_batch = 0;
}

int loop_run(struct loop *l)
{
	l->stopped = false;
	while (!l->stopped) {
		int n = epoll_wait(l->epoll, l->batch, BATCH, next_timeout(l));

		if (n < 0 && errno != EINTR)
			return -errno;
		l->n_batch = n < 0 ? 0 : n;
		run_batch(l);
		run_timers(l);
		run_deferred(l);
	}
	return l->code;
}

void loop_stop(struct loop *l, int code)
{
	l->stopped = true;
	l->code = code;
}
