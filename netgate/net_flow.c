#include "netgate/net_flow_i.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/log.h"
#include "netgate/net_addr.h"

#define FLOWS_MAX 4096u
#define PIPES_MAX 1024u
#define FDS_KEPT 128u /* for DNS, netlink and the like */
#define ACCEPTS_PER_WAKE 64u
#define SILENCE_MS 300u
#define SLOW_MS 5000u
#define DIAL_STEP_MS 250u
#define IDLE_MS 7200000u
#define LINGER_MS 2000u
#define RETRY_MS 100u

static void set_paused(struct net_flows *fs, bool paused);

/* ---- facts and the end ---- */

static const char *kind_name(enum flow_kind kind)
{
	switch (kind) {
	case FLOW_TLS:
		return "tls";
	case FLOW_HTTP:
		return "http";
	case FLOW_UNKNOWN:
	case FLOW_RAW:
		break;
	}
	return "tcp";
}

void net_flow_facts(struct net_facts *out, const struct net_flow *f)
{
	*out = (struct net_facts){
		.flow = f->id,
		.proto = kind_name(f->kind),
		.host = f->name ? f->name : f->host,
		.addr = f->addr.family ? f->addr : f->dst,
		.port = f->port,
		.sni = f->sni,
		.alpn = f->alpn,
		.method = f->method,
		.path = f->path,
		.has_ech = f->has_ech,
		.to = f->ruling.d.verdict == VERDICT_REDIRECT ? f->ruling.d.redirect_to : NULL,
		.owner = &f->owner,
	};
	if (!out->host && f->kind == FLOW_HTTP)
		out->claimed = f->said;
}

static void record_close(struct net_flow *f, int error)
{
	struct net_totals t = {
		.bytes_in = f->in.total,
		.bytes_out = f->out.total,
		.duration_ms = loop_now_ms() - f->since_ms,
		.error = f->error ? f->error : error,
	};
	struct net_facts facts;

	net_flow_facts(&facts, f);
	if (net_record_close(f->net, &facts, &t) < 0)
		log_warn("the end of a connection could not be recorded");
}

void net_flow_close(struct net_flow *f, int error)
{
	struct net_flows *fs = f->flows;

	if (f->state == FLOW_GONE)
		return;
	f->state = FLOW_GONE;
	if (f->recorded)
		record_close(f, error);
	net_resolve_cancel(&f->ask);
	net_wait_clear(&f->wait);
	net_flow_dial_cancel(f);
	net_flow_decide_forget(f);
	loop_io_del(&f->client);
	loop_io_del(&f->server);
	if (f->client_fd >= 0)
		close(f->client_fd);
	if (f->server_fd >= 0)
		close(f->server_fd);
	net_flow_relay_release(f);
	free(f->head);
	free(f->sniffed);
	if (f->prev)
		f->prev->next = f->next;
	else
		fs->head = f->next;
	if (f->next)
		f->next->prev = f->prev;
	fs->n--;
	loop_defer_free(fs->net->loop, f);
	if (fs->paused)
		set_paused(fs, false);
}

static void set_reset(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void net_flow_reset(struct net_flow *f, int error)
{
	set_reset(f->client_fd);
	set_reset(f->server_fd);
	net_flow_close(f, error);
}

int net_flow_watch(struct net_flow *f, struct loop_io *io, int fd, uint32_t events)
{
	if (events && io->loop)
		return loop_io_mod(io, events);
	if (events)
		return loop_io_add(f->net->loop, io, fd, events, io->fn);
	loop_io_del(io);
	return 0;
}

/* ---- events ---- */

static int socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	return error ? error : ECONNRESET;
}

/* What a refused client still sends is read away, so that our answer is not lost to a reset. */
static void drain(struct net_flow *f)
{
	for (unsigned i = 0; i < 16; i++) {
		ssize_t n = recv(f->client_fd, f->flows->scratch, FLOW_SCRATCH, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			net_flow_close(f, 0);
			return;
		}
	}
}

static void on_client(struct loop_io *io, uint32_t events)
{
	struct net_flow *f = container_of(io, struct net_flow, client);

	switch (f->state) {
	case FLOW_CLASSIFY:
		net_flow_on_first_bytes(f, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
		break;
	case FLOW_RESOLVE:
	case FLOW_HOLD:
	case FLOW_DIAL:
		if (events & (EPOLLHUP | EPOLLERR))
			net_flow_reset(f, ECONNRESET);
		else
			net_flow_watch(f, io, f->client_fd, 0); /* half closed: that may be meant */
		break;
	case FLOW_RELAY:
		if (events & EPOLLERR)
			net_flow_reset(f, socket_error(f->client_fd));
		else if (f->gate == FLOW_GATE_LATE && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)))
			net_flow_on_first_bytes(f, events & (EPOLLRDHUP | EPOLLHUP));
		else
			net_flow_relay_pump(f, (events & ~(uint32_t)EPOLLOUT ? FLOW_OUT : 0u) |
						       (events & ~(uint32_t)EPOLLIN ? FLOW_IN : 0u));
		break;
	case FLOW_REFUSED:
		drain(f);
		break;
	case FLOW_GONE:
		break;
	}
}

static void on_server(struct loop_io *io, uint32_t events)
{
	struct net_flow *f = container_of(io, struct net_flow, server);

	if (f->state != FLOW_RELAY)
		return;
	if (events & EPOLLERR)
		net_flow_reset(f, socket_error(f->server_fd));
	else
		net_flow_relay_pump(f, (events & ~(uint32_t)EPOLLOUT ? FLOW_IN : 0u) |
					       (events & ~(uint32_t)EPOLLIN ? FLOW_OUT : 0u));
}

/* ---- deadlines ---- */

static void on_silence(struct net_wait *w)
{
	net_flow_on_silence(container_of(w, struct net_flow, wait));
}

static void on_slow(struct net_wait *w)
{
	net_flow_on_slow(container_of(w, struct net_flow, wait));
}

static void on_idle(struct net_wait *w)
{
	net_flow_reset(container_of(w, struct net_flow, wait), ETIMEDOUT);
}

static void on_linger(struct net_wait *w)
{
	net_flow_close(container_of(w, struct net_flow, wait), 0);
}

static void on_retry(struct net_wait *w)
{
	set_paused(container_of(w, struct net_flows, retry_wait), false);
}

/* ---- accept ---- */

static void find_owner(struct net_flow *f, const struct sockaddr_storage *from)
{
	struct net_owner_socket s = {
		.proto = NET_TCP, .remote = f->dst, .remote_port = f->port};

	net_addr_from_sockaddr(&s.local, &s.local_port, from);
	net_owner_find(&f->owner, &f->net->owners, &s);
}

static bool is_own(const struct net *n, const struct policy_addr *a)
{
	return net_name_same_addr(a, &n->conf.own4) || net_name_same_addr(a, &n->conf.own6);
}

static void start(struct net_flow *f)
{
	if (is_own(f->net, &f->dst)) {
		net_judge_deny(&f->ruling, "self_dial", "this address is the gateway itself");
		net_flow_refuse(f);
		return;
	}
	if (net_pool_contains(&f->dst)) {
		f->name = net_pool_name(f->net->pool, &f->dst);
		if (!f->name) {
			net_judge_deny(&f->ruling, "unknown_synthetic_address",
				       "no name was ever given this address");
			net_flow_refuse(f);
			return;
		}
	}
	net_wait_set(&f->wait, &f->flows->silence);
	if (net_flow_watch(f, &f->client, f->client_fd, EPOLLIN | EPOLLRDHUP) < 0)
		net_flow_reset(f, ENOMEM);
}

static void adopt(struct net_flows *fs, int fd, const struct sockaddr_storage *from)
{
	struct net_flow *f = calloc(1, sizeof(*f));
	int one = 1;

	if (!f) {
		set_reset(fd);
		close(fd);
		return;
	}
	f->flows = fs;
	f->net = fs->net;
	f->id = ++fs->last_id;
	f->since_ms = loop_now_ms();
	f->client_fd = fd;
	f->server_fd = -1;
	f->out.pipe[0] = f->out.pipe[1] = f->in.pipe[0] = f->in.pipe[1] = -1;
	f->ruling.reason = "";
	f->client.fn = on_client;
	f->server.fn = on_server;
	f->next = fs->head;
	if (fs->head)
		fs->head->prev = f;
	fs->head = f;
	fs->n++;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	if (net_addr_original(&f->dst, &f->port, fd) < 0) {
		net_judge_deny(&f->ruling, "no_original_destination",
			       "the address that was dialled is not known");
		net_flow_refuse(f);
		return;
	}
	f->dial_port = f->port;
	find_owner(f, from);
	start(f);
}

static void on_listener(struct loop_io *io, uint32_t events)
{
	struct flow_listener *l = container_of(io, struct flow_listener, io);
	struct net_flows *fs = l->flows;

	(void)events;
	for (unsigned i = 0; i < ACCEPTS_PER_WAKE; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		int fd;

		if (fs->n >= fs->max) {
			/* the others wait in the backlog until one of these ends */
			set_paused(fs, true);
			return;
		}
		fd = accept4(io->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			adopt(fs, fd, &from);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			set_paused(fs, true);
			net_wait_set(&fs->retry_wait, &fs->retry);
			return;
		} else if (errno == EAGAIN) {
			return;
		}
	}
}

static void set_paused(struct net_flows *fs, bool paused)
{
	static const enum net_sock socks[2] = {NET_TCP4, NET_TCP6};

	fs->paused = paused;
	for (unsigned i = 0; i < 2; i++) {
		int fd = fs->net->socks.fd[socks[i]];

		if (fd < 0)
			continue;
		if (paused)
			loop_io_del(&fs->listeners[i].io);
		else if (!fs->listeners[i].io.loop &&
			 loop_io_add(fs->net->loop, &fs->listeners[i].io, fd, EPOLLIN, on_listener) < 0)
			net_wait_set(&fs->retry_wait, &fs->retry);
	}
}

/* ---- life ---- */

static unsigned least(uint64_t a, unsigned b)
{
	return a < b ? (unsigned)a : b;
}

/* As many connections as descriptors allow, within reason. */
static void set_limits(struct net_flows *fs)
{
	struct rlimit lim = {.rlim_max = 1024};

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_cur < FDS_KEPT * 2)
		lim.rlim_cur = FDS_KEPT * 2; /* then EMFILE sets the pace */
	fs->max_pipes = least(lim.rlim_cur / 8, PIPES_MAX);
	fs->max = least((lim.rlim_cur - FDS_KEPT - fs->max_pipes * 2) / 2, FLOWS_MAX);
}

int net_flows_new(struct net_flows **out, struct net *n, struct err *e)
{
	struct net_flows *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return err_set(e, ENOMEM, "connections");
	fs->net = n;
	set_limits(fs);
	fs->listeners[0].flows = fs->listeners[1].flows = fs;
	net_wait_init(&fs->silence, n->loop, SILENCE_MS, on_silence);
	net_wait_init(&fs->slow, n->loop, SLOW_MS, on_slow);
	net_wait_init(&fs->dialling, n->loop, DIAL_STEP_MS, net_flow_dial_step);
	net_wait_init(&fs->idle, n->loop, IDLE_MS, on_idle);
	net_wait_init(&fs->linger, n->loop, LINGER_MS, on_linger);
	net_wait_init(&fs->retry, n->loop, RETRY_MS, on_retry);
	set_paused(fs, false);
	*out = fs;
	return 0;
}

void net_flows_free(struct net_flows *fs)
{
	struct net_wait_queue *queues[6];

	if (!fs)
		return;
	queues[0] = &fs->silence;
	queues[1] = &fs->slow;
	queues[2] = &fs->dialling;
	queues[3] = &fs->idle;
	queues[4] = &fs->linger;
	queues[5] = &fs->retry;
	while (fs->head)
		net_flow_reset(fs->head, ECANCELED);
	set_paused(fs, true);
	net_wait_clear(&fs->retry_wait);
	for (size_t i = 0; i < ARRAY_LEN(queues); i++)
		net_wait_deinit(queues[i]);
	free(fs);
}
