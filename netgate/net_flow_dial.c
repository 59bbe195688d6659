/*
 * Theory: the permitted addresses are tried in order; each further one is started when the last
 * failed or 250 ms went by without an answer, and the first that connects wins (RFC 8305 5). Only
 * addresses that were judged are ever dialled, by number: no name is looked up again.
 */
#include "netgate/net_flow_i.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "netgate/net_addr.h"

#define DIAL_TOTAL_MS 10000u

struct attempt {
	struct loop_io io;
	struct flow_dial *dial;
	int fd; /* -1: not started, or failed */
	struct policy_addr addr;
};

struct flow_dial {
	struct net_flow *flow;
	struct attempt attempts[FLOW_ATTEMPTS_MAX];
	unsigned n_started, n_open;
	uint64_t since_ms;
	int error; /* of the last one that failed */
};

static void start_next(struct net_flow *f);

static void drop_attempt(struct attempt *a)
{
	if (a->fd < 0)
		return;
	loop_io_del(&a->io);
	close(a->fd);
	a->fd = -1;
	a->dial->n_open--;
}

void net_flow_dial_cancel(struct net_flow *f)
{
	struct flow_dial *d = f->dial;

	if (!d)
		return;
	f->dial = NULL;
	for (unsigned i = 0; i < d->n_started; i++)
		drop_attempt(&d->attempts[i]);
	loop_defer_free(f->net->loop, d);
}

static void connected(struct attempt *a)
{
	struct net_flow *f = a->dial->flow;
	int one = 1;

	loop_io_del(&a->io);
	f->server_fd = a->fd;
	f->addr = a->addr;
	a->fd = -1;
	net_flow_dial_cancel(f);
	setsockopt(f->server_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(f->server_fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	net_flow_relay(f);
}

static void failed(struct attempt *a, int error)
{
	struct net_flow *f = a->dial->flow;

	a->dial->error = error;
	drop_attempt(a);
	start_next(f);
}

static void on_attempt(struct loop_io *io, uint32_t events)
{
	struct attempt *a = container_of(io, struct attempt, io);
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error)
		failed(a, error);
	else
		connected(a);
}

/* @return 0 when under way, or an errno */
static int start(struct attempt *a, struct net_flow *f, const struct policy_addr *addr)
{
	struct sockaddr_storage ss;
	socklen_t len = net_addr_to_sockaddr(&ss, addr, f->dial_port);
	int r;

	a->dial = f->dial;
	a->addr = *addr;
	a->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0)
		return errno;
	f->dial->n_open++;
	if (connect(a->fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return errno;
	r = loop_io_add(f->net->loop, &a->io, a->fd, EPOLLOUT, on_attempt);
	return r < 0 ? -r : 0;
}

/* Start the next address that can be started; none left and none open: the server is not there. */
static void start_next(struct net_flow *f)
{
	struct flow_dial *d = f->dial;
	unsigned max = f->addrs.n < FLOW_ATTEMPTS_MAX ? f->addrs.n : FLOW_ATTEMPTS_MAX;

	while (d->n_started < max) {
		struct attempt *a = &d->attempts[d->n_started];
		int error = start(a, f, &f->addrs.v[d->n_started]);

		d->n_started++;
		if (!error) {
			net_wait_set(&f->wait, &f->flows->dialling);
			return;
		}
		d->error = error;
		drop_attempt(a);
	}
	if (d->n_open == 0)
		net_flow_unreachable(f, d->error);
}

void net_flow_dial_step(struct net_wait *w)
{
	struct net_flow *f = container_of(w, struct net_flow, wait);

	if (loop_now_ms() - f->dial->since_ms >= DIAL_TOTAL_MS) {
		net_flow_unreachable(f, ETIMEDOUT);
		return;
	}
	net_wait_set(&f->wait, &f->flows->dialling);
	start_next(f);
}

void net_flow_dial(struct net_flow *f)
{
	f->state = FLOW_DIAL;
	f->dial = calloc(1, sizeof(*f->dial));
	if (!f->dial) {
		net_flow_unreachable(f, ENOMEM);
		return;
	}
	f->dial->flow = f;
	f->dial->since_ms = loop_now_ms();
	for (unsigned i = 0; i < FLOW_ATTEMPTS_MAX; i++)
		f->dial->attempts[i].fd = -1;
	net_flow_watch(f, &f->client, f->client_fd, EPOLLRDHUP);
	start_next(f);
}
