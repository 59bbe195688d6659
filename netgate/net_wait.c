#include "netgate/net_wait.h"

#include <string.h>

#include "common/auto.h"

static void on_timer(struct loop_timer *t);

static void arm(struct net_wait_queue *q)
{
	uint64_t now = loop_now_ms();

	if (q->head && !q->timer.armed)
		loop_timer_set(q->loop, &q->timer, q->head->due_ms > now ? q->head->due_ms - now : 0,
			       on_timer);
}

static void on_timer(struct loop_timer *t)
{
	struct net_wait_queue *q = container_of(t, struct net_wait_queue, timer);
	uint64_t now = loop_now_ms();

	while (q->head && q->head->due_ms <= now) {
		struct net_wait *w = q->head;

		net_wait_clear(w);
		q->fn(w);
	}
	arm(q);
}

void net_wait_init(struct net_wait_queue *q, struct loop *l, uint32_t patience_ms, net_wait_fn *fn)
{
	memset(q, 0, sizeof(*q));
	q->loop = l;
	q->patience_ms = patience_ms;
	q->fn = fn;
}

void net_wait_deinit(struct net_wait_queue *q)
{
	if (q->loop)
		loop_timer_del(q->loop, &q->timer);
}

void net_wait_clear(struct net_wait *w)
{
	struct net_wait_queue *q = w->queue;

	if (!q)
		return;
	if (w->prev)
		w->prev->next = w->next;
	else
		q->head = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		q->tail = w->prev;
	w->next = w->prev = NULL;
	w->queue = NULL;
}

void net_wait_set(struct net_wait *w, struct net_wait_queue *q)
{
	net_wait_clear(w);
	w->queue = q;
	w->due_ms = loop_now_ms() + q->patience_ms;
	w->prev = q->tail;
	if (q->tail)
		q->tail->next = w;
	else
		q->head = w;
	q->tail = w;
	/* the timer may fire early, for a member that left: it then arms itself for the next */
	arm(q);
}
