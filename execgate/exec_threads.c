#include "execgate/exec_threads.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

struct exec_threads {
	pthread_mutex_t lock;
	pthread_cond_t none_left;
	unsigned n;
};

struct start {
	struct exec_threads *threads;
	exec_thread_fn *fn;
	void *arg;
};

struct exec_threads *exec_threads_new(void)
{
	struct exec_threads *t = calloc(1, sizeof(*t));

	if (t) {
		pthread_mutex_init(&t->lock, NULL);
		pthread_cond_init(&t->none_left, NULL);
	}
	return t;
}

void exec_threads_free(struct exec_threads *t)
{
	if (t) {
		pthread_mutex_destroy(&t->lock);
		pthread_cond_destroy(&t->none_left);
	}
	free(t);
}

static void count(struct exec_threads *t, int by)
{
	pthread_mutex_lock(&t->lock);
	t->n += (unsigned)by;
	if (t->n == 0)
		pthread_cond_broadcast(&t->none_left);
	pthread_mutex_unlock(&t->lock);
}

static void *run(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	s.fn(s.arg);
	count(s.threads, -1);
	return NULL;
}

int exec_threads_start(struct exec_threads *t, exec_thread_fn *fn, void *arg)
{
	struct start *s = malloc(sizeof(*s));
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct start){t, fn, arg};
	count(t, 1);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, run, s);
	pthread_attr_destroy(&attr);
	if (r != 0) {
		free(s);
		count(t, -1);
	}
	return -r;
}

int exec_threads_wait(struct exec_threads *t, unsigned timeout_ms)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&t->lock);
	while (t->n > 0 && r == 0)
		r = pthread_cond_clockwait(&t->none_left, &t->lock, CLOCK_MONOTONIC, &until);
	r = t->n > 0 ? -ETIMEDOUT : 0;
	pthread_mutex_unlock(&t->lock);
	return r;
}
