#include "common/loop.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/auto.h"
#include "tests/unit/unit.h"

struct seen {
	struct loop *loop;
	struct loop_io a, b;
	struct loop_timer first, second;
	int order[4], n, fds[4];
};

static struct seen s;

static void on_second(struct loop_timer *t)
{
	(void)t;
	s.order[s.n++] = 2;
	loop_stop(s.loop, 5);
}

static void on_first(struct loop_timer *t)
{
	(void)t;
	s.order[s.n++] = 1;
}

static void timers_in_order(void)
{
	memset(&s, 0, sizeof(s));
	CU_ASSERT_EQUAL_FATAL(loop_new(&s.loop), 0);
	loop_timer_set(s.loop, &s.second, 20, on_second);
	loop_timer_set(s.loop, &s.first, 50, on_first);
	loop_timer_set(s.loop, &s.first, 5, on_first); /* set again: moved, not doubled */
	CU_ASSERT_EQUAL(loop_run(s.loop), 5);
	CU_ASSERT_EQUAL(s.n, 2);
	CU_ASSERT_EQUAL(s.order[0], 1);
	CU_ASSERT_EQUAL(s.order[1], 2);
	loop_free(s.loop);
}

/* Whichever comes first removes the other: a deleted io of the same batch must not be called. */
static void on_either(struct loop_io *io, uint32_t events)
{
	(void)events;
	s.n++;
	loop_io_del(io == &s.a ? &s.b : &s.a);
	loop_stop(s.loop, 0);
}

static void deleted_in_batch(void)
{
	memset(&s, 0, sizeof(s));
	CU_ASSERT_EQUAL_FATAL(loop_new(&s.loop), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(s.fds), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(s.fds + 2), 0);
	CU_ASSERT_EQUAL(write(s.fds[1], "x", 1), 1);
	CU_ASSERT_EQUAL(write(s.fds[3], "x", 1), 1);
	CU_ASSERT_EQUAL(loop_io_add(s.loop, &s.a, s.fds[0], EPOLLIN, on_either), 0);
	CU_ASSERT_EQUAL(loop_io_add(s.loop, &s.b, s.fds[2], EPOLLIN, on_either), 0);
	CU_ASSERT_EQUAL(loop_run(s.loop), 0);
	CU_ASSERT_EQUAL(s.n, 1);
	for (int i = 0; i < 4; i++)
		close(s.fds[i]);
	loop_free(s.loop);
}

static void on_usr1(void *arg, const struct signalfd_siginfo *si)
{
	(void)arg;
	CU_ASSERT_EQUAL(si->ssi_signo, SIGUSR1);
	loop_stop(s.loop, 9);
}

static void signals(void)
{
	static const int list[] = {SIGUSR1, 0};

	memset(&s, 0, sizeof(s));
	CU_ASSERT_EQUAL_FATAL(loop_new(&s.loop), 0);
	CU_ASSERT_EQUAL(loop_signals(s.loop, list, on_usr1, NULL), 0);
	kill(getpid(), SIGUSR1);
	CU_ASSERT_EQUAL(loop_run(s.loop), 9);
	loop_free(s.loop);
}

static const struct unit_case cases[] = {
	{"timers in order", timers_in_order},
	{"deleted within its batch", deleted_in_batch},
	{"signals", signals},
};

UNIT_MAIN("loop", cases)
