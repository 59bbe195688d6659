/*
 * Theory: a table from (pid, start time) to the depth of the program it runs; processes that only
 * forked are not in it, so the walk goes up to the nearest ancestor that is. Dead processes are
 * swept out when the table has grown to twice what was left after the last sweep.
 */
#include "execgate/exec_depth.h"

#include <pthread.h>
#include <stdbool.h>

#include "execgate/exec_call.h"

#define BUCKETS 1024u
#define SWEEP_MIN 2048u
#define WALK_MAX 1024u

struct node {
	struct node *next;
	pid_t pid;
	uint64_t start;
	unsigned depth;
};

struct exec_depth {
	pthread_mutex_t lock;
	pid_t agent, init;
	bool started; /* the agent's first exec succeeded */
	struct node *bucket[BUCKETS];
	unsigned n, sweep_at;
};

struct exec_depth *exec_depth_new(pid_t agent_pid, pid_t init_pid)
{
	struct exec_depth *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	pthread_mutex_init(&d->lock, NULL);
	d->agent = agent_pid;
	d->init = init_pid;
	d->sweep_at = SWEEP_MIN;
	return d;
}

static struct node **head(struct exec_depth *d, pid_t pid)
{
	return &d->bucket[(unsigned)pid % BUCKETS];
}

void exec_depth_free(struct exec_depth *d)
{
	struct node *next;

	if (!d)
		return;
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (struct node *n = d->bucket[i]; n; n = next) {
			next = n->next;
			free(n);
		}
	}
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static bool find(struct exec_depth *d, pid_t pid, uint64_t start, unsigned *depth)
{
	struct node *n;

	pthread_mutex_lock(&d->lock);
	for (n = *head(d, pid); n; n = n->next)
		if (n->pid == pid && n->start == start)
			break;
	if (n)
		*depth = n->depth;
	pthread_mutex_unlock(&d->lock);
	return n != NULL;
}

unsigned exec_depth_of(struct exec_depth *d, pid_t tgid, pid_t ppid, uint64_t start_ticks)
{
	pid_t pid = tgid;
	unsigned depth;

	if (tgid == d->agent && !__atomic_load_n(&d->started, __ATOMIC_ACQUIRE))
		return 0;
	for (unsigned i = 0; i < WALK_MAX; i++) {
		if (find(d, pid, start_ticks, &depth))
			return depth + 1;
		pid = ppid;
		if (pid <= 1 || pid == d->init || exec_call_parent(&ppid, &start_ticks, pid) < 0)
			break;
	}
	return 1;
}

static void sweep(struct exec_depth *d)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		struct node **p = &d->bucket[i];

		while (*p) {
			struct node *n = *p;
			uint64_t start;
			pid_t ppid;

			if (exec_call_parent(&ppid, &start, n->pid) == 0 && start == n->start) {
				p = &n->next;
				continue;
			}
			*p = n->next;
			free(n);
			d->n--;
		}
	}
	d->sweep_at = d->n * 2 < SWEEP_MIN ? SWEEP_MIN : d->n * 2;
}

void exec_depth_set(struct exec_depth *d, pid_t tgid, uint64_t start_ticks, unsigned depth)
{
	struct node *n;

	pthread_mutex_lock(&d->lock);
	for (n = *head(d, tgid); n; n = n->next)
		if (n->pid == tgid)
			break;
	if (!n) {
		if (d->n >= d->sweep_at)
			sweep(d);
		n = calloc(1, sizeof(*n));
		if (n) {
			n->pid = tgid;
			n->next = *head(d, tgid);
			*head(d, tgid) = n;
			d->n++;
		}
	}
	/* without memory the process is judged by its parent's depth: never less than 1 */
	if (n) {
		n->start = start_ticks;
		n->depth = depth;
	}
	pthread_mutex_unlock(&d->lock);
	if (tgid == d->agent)
		__atomic_store_n(&d->started, true, __ATOMIC_RELEASE);
}
