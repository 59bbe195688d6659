/*
 * net_wait.h - deadlines in O(1): queues whose members all wait equally long
 *
 * With one patience a queue, order of arrival is order of expiry, so setting and clearing a
 * deadline is linking at the tail and unlinking; thousands of flows cost one timer a queue.
 */
#ifndef NETGATE_NET_WAIT_H
#define NETGATE_NET_WAIT_H

#include <stdint.h>

#include "common/loop.h"

struct net_wait;

/** @param w  the member whose time is up; already out of the queue */
typedef void net_wait_fn(struct net_wait *w);

/** A member, embedded in its owner; zeroed is "waits for nothing". */
struct net_wait {
	struct net_wait *next, *prev;
	struct net_wait_queue *queue;
	uint64_t due_ms;
};

struct net_wait_queue {
	struct net_wait *head, *tail;
	struct loop *loop; /**< borrowed */
	struct loop_timer timer;
	uint32_t patience_ms;
	net_wait_fn *fn;
};

void net_wait_init(struct net_wait_queue *q, struct loop *l, uint32_t patience_ms, net_wait_fn *fn);
void net_wait_deinit(struct net_wait_queue *q);

/** Wait in q from now on, instead of whatever it waited for. */
void net_wait_set(struct net_wait *w, struct net_wait_queue *q);
void net_wait_clear(struct net_wait *w);

#endif
