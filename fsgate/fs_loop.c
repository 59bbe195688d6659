/*
 * Theory: one thread at a time has the reading (leader). It takes a request, serves it, and reads on:
 * no other thread is woken, and what it needs is in its core's cache. Threads that sleep in read(2)
 * side by side, as libfuse has them, are woken in turn for each request instead.
 *
 * A request may block. So there is a deputy, woken by a timer while there is work: when it finds
 * the leader still at the request of a tick before, it takes the reading over and another thread
 * becomes deputy. The former leader notices when its request is done, and waits with the idle ones.
 *
 * at is one word, so that taking over and being done exclude each other: the turn, which goes up
 * with each new leader, and the number of the request that the leader is at, 0 while it reads.
 *
 * The timer runs only while there is work: whoever takes a request sets it if it is off; the deputy
 * sets it again, or finds the leader reading and leaves it off. Nothing is missed: the leader sets
 * "at" before it looks at "armed", the deputy clears "armed" before it looks at "at".
 *
 * Waiting for the next request with poll(2) for some ten microseconds instead of sleeping was tried
 * and cost more than it gave, even with a core to spare.
 */
#include "fsgate/fs_loop.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MAX_THREADS 32
#define TICK_NS 300000
#define TURN (1ull << 40) /* in at: the turn is above, the request below */
/* one leader serves so many cores, and there are at most so many leaders */
#define CORES 4
#define MAX_LOOPS 4

/* For all loops. */
struct shared {
	struct fs *fs;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	_Atomic bool over; /* the mount is gone */
};

struct loop_state {
	struct shared *all;
	int timer;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* of idle threads */
	unsigned n_threads, n_idle;
	bool wanted;		  /* a deputy */
	_Atomic uint64_t at;
	_Atomic bool armed;
};

static void arm(struct loop_state *l)
{
	const struct itimerspec once = {.it_value = {.tv_nsec = TICK_NS}};

	if (!atomic_exchange(&l->armed, true))
		timerfd_settime(l->timer, 0, &once, NULL);
}

/* @return false when the turn is another's */
static bool go(struct loop_state *l, uint64_t from, uint64_t to)
{
	return atomic_compare_exchange_strong(&l->at, &from, to);
}

static void lead(struct loop_state *l, uint64_t turn, struct fuse_buf *buf)
{
	struct fuse_session *se = l->all->fs->se;
	uint64_t number = 0;

	while (!fuse_session_exited(se)) {
		int n = fuse_session_receive_buf(se, buf);

		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break;
		go(l, turn, turn + ++number);
		arm(l);
		fuse_session_process_buf(se, buf);
		if (!go(l, turn + number, turn))
			return;
	}
	pthread_mutex_lock(&l->all->lock);
	atomic_store(&l->all->over, true);
	pthread_cond_broadcast(&l->all->wake);
	pthread_mutex_unlock(&l->all->lock);
}

/* @return the turn that was taken over */
static uint64_t stand_by(struct loop_state *l)
{
	uint64_t before = 0, ticks;

	for (;;) {
		uint64_t at, turn;

		if (read(l->timer, &ticks, sizeof(ticks)) < 0)
			continue;
		atomic_store(&l->armed, false);
		at = atomic_load(&l->at);
		turn = at / TURN * TURN;
		if (at == turn)
			continue;
		if (at == before && go(l, at, turn + TURN))
			return turn + TURN;
		before = at;
		arm(l);
	}
}

static int add_thread(struct loop_state *l);

/* With the lock: somebody shall be the deputy. */
static void want_deputy(struct loop_state *l)
{
	l->wanted = true;
	if (l->n_idle > 0)
		pthread_cond_signal(&l->wake);
	else if (l->n_threads < MAX_THREADS)
		(void)add_thread(l);
	/* else: the first that is done with its request */
}

static void await_turn(struct loop_state *l)
{
	pthread_mutex_lock(&l->lock);
	l->n_idle++;
	while (!l->wanted)
		pthread_cond_wait(&l->wake, &l->lock);
	l->n_idle--;
	l->wanted = false;
	pthread_mutex_unlock(&l->lock);
}

/* These threads end with the process, which ends when the mount is gone. */
static void *serve(void *arg)
{
	struct loop_state *l = arg;
	struct fuse_buf buf = {.mem = NULL};

	for (;;) {
		uint64_t turn;

		await_turn(l);
		turn = stand_by(l);
		pthread_mutex_lock(&l->lock);
		want_deputy(l);
		pthread_mutex_unlock(&l->lock);
		lead(l, turn, &buf);
	}
	return NULL;
}

static void *serve_first(void *arg)
{
	struct loop_state *l = arg;
	struct fuse_buf buf = {.mem = NULL};

	lead(l, TURN, &buf);
	free(buf.mem);
	return serve(l);
}

static int start(struct loop_state *l, void *(*fn)(void *))
{
	pthread_t t;
	int r = pthread_create(&t, NULL, fn, l);

	if (r != 0)
		return -r;
	l->n_threads++;
	pthread_detach(t);
	return 0;
}

static int add_thread(struct loop_state *l)
{
	return start(l, serve);
}

static int begin(struct shared *all)
{
	struct loop_state *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->all = all;
	l->at = TURN;
	l->wanted = true;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->wake, NULL);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (l->timer < 0)
		return -errno;
	pthread_mutex_lock(&l->lock);
	r = add_thread(l);
	if (r == 0)
		r = start(l, serve_first);
	pthread_mutex_unlock(&l->lock);
	return r;
}

static unsigned count_loops(void)
{
	cpu_set_t cores;
	int n = sched_getaffinity(0, sizeof(cores), &cores) < 0 ? 1 : CPU_COUNT(&cores) / CORES;

	return n < 1 ? 1 : n > MAX_LOOPS ? MAX_LOOPS : (unsigned)n;
}

int fs_loop_run(struct fs *fs)
{
	/* for the life of the process */
	static struct shared all = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.wake = PTHREAD_COND_INITIALIZER,
	};
	int r = 0;

	all.fs = fs;
	for (unsigned i = 0; r == 0 && i < count_loops(); i++)
		r = begin(&all);
	if (r < 0)
		return r;
	pthread_mutex_lock(&all.lock);
	while (!atomic_load(&all.over))
		pthread_cond_wait(&all.wake, &all.lock);
	pthread_mutex_unlock(&all.lock);
	return 0;
}
