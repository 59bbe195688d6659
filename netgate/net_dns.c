/*
 * Theory: a struct job is one query with its way back: a UDP address, or the TCP client that sent
 * it. Most jobs are answered at once; one that asks upstream lives until net_resolve() calls. A TCP
 * client has at most one job and is not read meanwhile; when it leaves, its job goes with it.
 */
#include "netgate/net_dns.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/log.h"
#include "netgate/net_addr.h"
#include "netgate/net_dns_wire.h"
#include "netgate/net_judge.h"
#include "netgate/net_name.h"
#include "netgate/net_record.h"
#include "netgate/net_wait.h"

#define TTL_S 30u
#define JOBS_MAX 4096u
#define CLIENTS_MAX 64u
#define CLIENT_PATIENCE_MS 10000
#define PER_WAKE 64u
#define SEEN_SLOTS 512u
#define SEEN_MS 60000u	     /* an allowed name is recorded once in this time */
#define SEEN_DENIED_MS 10000u
#define RECORDS_PER_SECOND 100u

struct client {
	struct loop_io io;
	struct net_wait wait;
	struct net_dns *dns;
	struct client *next, *prev;
	struct job *job; /* being answered */
	bool serving;	 /* client_serve() is at work further up */
	struct sockaddr_storage from;
	size_t have;
	uint8_t buf[2 + DNS_MESSAGE_MAX];
};

struct listener {
	struct loop_io io;
	struct net_dns *dns;
};

/* What was recorded lately, so that a loop of queries is not a flood of records. */
struct seen {
	uint64_t key; /* 0: free */
	uint64_t since_ms;
	uint64_t repeated;
};

struct net_dns {
	struct net *net;
	struct listener udp[2], tcp[2];
	struct job *jobs; /* waiting for an answer from upstream */
	unsigned n_jobs, n_clients;
	struct client *clients;
	struct net_wait_queue patience;
	struct seen seen[SEEN_SLOTS];
	uint64_t second;      /* records are counted for this second */
	unsigned n_records;
	uint64_t n_skipped; /* records that the limit left out */
};

struct job {
	struct net_resolve ask;
	struct net_dns *dns;
	struct job *next, *prev; /* of dns->jobs; not linked while answered at once */
	struct client *client;	 /* NULL: UDP */
	int udp_fd;
	struct sockaddr_storage from;
	struct dns_query q;
};

static void client_serve(struct client *c);

/* ---- records ---- */

static uint64_t key_of(const char *name, bool allowed)
{
	uint64_t h = 14695981039346656037u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return (h ^ allowed) * 1099511628211u | 1;
}

static bool over_limit(struct net_dns *d, uint64_t now)
{
	if (d->second != now / 1000) {
		d->second = now / 1000;
		d->n_records = 0;
	}
	if (d->n_records < RECORDS_PER_SECOND) {
		d->n_records++;
		return false;
	}
	d->n_skipped++;
	return true;
}

static int record(struct net_dns *d, const struct job *j, const struct net_ruling *r)
{
	bool allowed = r->d.verdict != VERDICT_DENY;
	uint64_t now = loop_now_ms(), key = key_of(j->q.name, allowed), repeated;
	struct seen *s = &d->seen[key % SEEN_SLOTS];
	struct net_owner_socket sock = {.proto = j->client ? NET_TCP : NET_UDP, .remote_port = 53};
	struct net_owner owner;
	char type[16];

	if (s->key == key && now - s->since_ms < (allowed ? SEEN_MS : SEEN_DENIED_MS)) {
		s->repeated++;
		return 0;
	}
	if (over_limit(d, now))
		return 0;
	repeated = (s->key == key ? s->repeated : 0) + d->n_skipped;
	*s = (struct seen){.key = key, .since_ms = now};
	d->n_skipped = 0;
	net_addr_from_sockaddr(&sock.local, &sock.local_port, &j->from);
	sock.remote = sock.local.family == 4 ? d->net->conf.own4 : d->net->conf.own6;
	net_owner_find(&owner, &d->net->owners, &sock);
	return net_record_dns(d->net, allowed ? "allow" : "deny", r, j->q.name,
			      net_dns_wire_type(type, j->q.type), repeated, &owner);
}

/* ---- answers ---- */

static void send_tcp(struct client *c, uint8_t *out, size_t len)
{
	/* an answer is small and the client waits for it: what does not fit was not wanted */
	out[0] = (uint8_t)(len >> 8);
	out[1] = (uint8_t)len;
	if (send(c->io.fd, out, len + 2, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)(len + 2))
		shutdown(c->io.fd, SHUT_RDWR);
}

static void answer(struct job *j, const struct dns_answer *a)
{
	uint8_t out[2 + DNS_ANSWER_MAX];
	size_t len = net_dns_wire_answer(out + 2, &j->q, a);
	struct client *c = j->client;

	if (c) {
		c->job = NULL;
		send_tcp(c, out, len);
		loop_io_mod(&c->io, EPOLLIN);
	} else {
		socklen_t sa_len = j->from.ss_family == AF_INET ? sizeof(struct sockaddr_in)
								 : sizeof(struct sockaddr_in6);

		/* UDP may lose it: the client asks again */
		if (sendto(j->udp_fd, out + 2, len, MSG_DONTWAIT, (struct sockaddr *)&j->from,
			   sa_len) < 0)
			log_debug("DNS answer: %s", strerror(errno));
	}
}

static void answer_rcode(struct job *j, enum dns_rcode rcode)
{
	struct dns_answer a = {.rcode = rcode};

	answer(j, &a);
}

static void answer_addr(struct job *j, const struct policy_addr *addr)
{
	struct dns_answer a = {.has_addr = true, .addr = *addr, .ttl_s = TTL_S};

	answer(j, &a);
}

static void answer_synthetic(struct job *j)
{
	uint8_t family = j->q.type == DNS_A ? 4 : 6;
	struct net_ruling full = {.reason = ""};
	struct policy_addr addr;
	int index = net_pool_get(j->dns->net->pool, j->q.name);

	if (index < 0) {
		net_judge_deny(&full, "name_table_full", "too many names in this session");
		record(j->dns, j, &full);
		answer_rcode(j, DNS_SERVFAIL);
		return;
	}
	addr = net_pool_addr(family, (uint32_t)index);
	answer_addr(j, &addr);
}

static bool has_family(const struct net_addrs *addrs, uint8_t family)
{
	for (unsigned i = 0; i < addrs->n; i++)
		if (addrs->v[i].family == family)
			return true;
	return false;
}

static void unlink_job(struct job *j)
{
	struct net_dns *d = j->dns;

	if (j->prev)
		j->prev->next = j->next;
	else if (d->jobs == j)
		d->jobs = j->next;
	if (j->next)
		j->next->prev = j->prev;
	d->n_jobs--;
	free(j);
}

static void on_resolved(struct net_resolve *q, enum net_resolve_status status,
			const struct net_addrs *addrs)
{
	struct job *j = container_of(q, struct job, ask);
	struct client *c = j->client;

	if (status == NET_NO_NAME)
		answer_rcode(j, DNS_NXDOMAIN);
	else if (status == NET_RESOLVE_FAILED)
		answer_rcode(j, DNS_SERVFAIL);
	else if (has_family(addrs, j->q.type == DNS_A ? 4 : 6))
		answer_synthetic(j);
	else
		answer_rcode(j, DNS_NOERROR);
	unlink_job(j);
	if (c)
		client_serve(c); /* what came behind this query */
}

/* Copy a job to the heap and ask upstream; on_resolved() answers, maybe at once. */
static void ask_upstream(const struct job *from)
{
	struct net_dns *d = from->dns;
	struct job *j = d->n_jobs < JOBS_MAX ? malloc(sizeof(*j)) : NULL;

	if (!j) {
		struct job busy = *from;

		answer_rcode(&busy, DNS_SERVFAIL);
		return;
	}
	*j = *from;
	j->prev = NULL;
	j->next = d->jobs;
	if (d->jobs)
		d->jobs->prev = j;
	d->jobs = j;
	d->n_jobs++;
	if (j->client) {
		j->client->job = j;
		loop_io_mod(&j->client->io, EPOLLRDHUP);
	}
	net_resolve(d->net->resolver, &j->ask, j->q.name, on_resolved);
}

static void serve_localhost(struct job *j)
{
	static const struct policy_addr v4 = {4, {127, 0, 0, 1}}, v6 = {6, {[15] = 1}};

	if (j->q.type == DNS_A)
		answer_addr(j, &v4);
	else if (j->q.type == DNS_AAAA)
		answer_addr(j, &v6);
	else
		answer_rcode(j, DNS_NOERROR);
}

/* Reverse names are answered from what the session itself was told, never from upstream. */
static void serve_reverse(struct job *j, const struct policy_addr *addr)
{
	struct dns_answer a = {.rcode = DNS_NXDOMAIN, .ttl_s = TTL_S};
	bool loopback = (addr->family == 4 && addr->bytes[0] == 127) ||
			(addr->family == 6 && addr->bytes[15] == 1 &&
			 memcmp(addr->bytes, (const uint8_t[15]){0}, 15) == 0);

	a.ptr = loopback ? "localhost" : net_pool_name(j->dns->net->pool, addr);
	if (a.ptr)
		a.rcode = DNS_NOERROR;
	if (j->q.type != DNS_PTR)
		a.ptr = NULL;
	answer(j, &a);
}

static void serve_name(struct job *j)
{
	struct net *n = j->dns->net;
	struct net_ruling r;

	net_judge_name(&r, n, j->q.name);
	if (record(j->dns, j, &r) < 0)
		answer_rcode(j, DNS_SERVFAIL);
	else if (r.d.verdict == VERDICT_DENY)
		answer_rcode(j, DNS_REFUSED);
	else if (j->q.type != DNS_A && j->q.type != DNS_AAAA)
		answer_rcode(j, DNS_NOERROR);
	else if (j->q.type == DNS_AAAA && n->socks.fd[NET_TCP6] < 0)
		answer_rcode(j, DNS_NOERROR);
	else if (net_judge_is_allowed(&r) && policy_name_is_exact(n->gate->policy, j->q.name))
		ask_upstream(j);
	else
		answer_synthetic(j);
}

static void serve(struct job *j, const uint8_t *msg, size_t len)
{
	struct net_ruling odd = {.reason = ""};
	struct policy_addr addr;
	int rcode = net_dns_wire_parse(&j->q, msg, len);

	if (rcode < 0) {
		if (j->client)
			shutdown(j->client->io.fd, SHUT_RDWR);
	} else if (rcode != DNS_NOERROR) {
		answer_rcode(j, (enum dns_rcode)rcode);
	} else if (!j->q.has_name) {
		net_judge_deny(&odd, "malformed_name", "not a host name");
		record(j->dns, j, &odd);
		answer_rcode(j, DNS_REFUSED);
	} else if (net_name_is_localhost(j->q.name)) {
		serve_localhost(j);
	} else if (net_dns_wire_reverse(&addr, j->q.name)) {
		serve_reverse(j, &addr);
	} else {
		serve_name(j);
	}
}

/* ---- UDP ---- */

static void on_udp(struct loop_io *io, uint32_t events)
{
	struct listener *l = container_of(io, struct listener, io);
	uint8_t msg[DNS_MESSAGE_MAX];

	(void)events;
	for (unsigned i = 0; i < PER_WAKE; i++) {
		struct job j = {.dns = l->dns, .udp_fd = io->fd};
		socklen_t len = sizeof(j.from);
		ssize_t n = recvfrom(io->fd, msg, sizeof(msg), MSG_DONTWAIT | MSG_TRUNC,
				     (struct sockaddr *)&j.from, &len);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n >= 0 && (size_t)n <= sizeof(msg))
			serve(&j, msg, (size_t)n);
	}
}

/* ---- TCP ---- */

static void client_free(struct client *c)
{
	struct net_dns *d = c->dns;
	int fd = c->io.fd;

	if (c->job) {
		net_resolve_cancel(&c->job->ask);
		unlink_job(c->job);
	}
	net_wait_clear(&c->wait);
	loop_io_del(&c->io);
	close(fd);
	if (c->prev)
		c->prev->next = c->next;
	else
		d->clients = c->next;
	if (c->next)
		c->next->prev = c->prev;
	d->n_clients--;
	loop_defer_free(d->net->loop, c);
}

static void on_impatient(struct net_wait *w)
{
	client_free(container_of(w, struct client, wait));
}

/* Serve the messages that are complete in the buffer, one at a time. */
static void client_serve(struct client *c)
{
	if (c->serving)
		return;
	c->serving = true;
	while (!c->job && c->have >= 2) {
		size_t len = (size_t)c->buf[0] << 8 | c->buf[1];
		struct job j = {.dns = c->dns, .client = c, .udp_fd = -1, .from = c->from};

		if (len > DNS_MESSAGE_MAX) {
			shutdown(c->io.fd, SHUT_RDWR);
			break;
		}
		if (c->have < len + 2)
			break;
		serve(&j, c->buf + 2, len);
		c->have -= len + 2;
		memmove(c->buf, c->buf + 2 + len, c->have);
		net_wait_set(&c->wait, &c->dns->patience);
	}
	c->serving = false;
}

static void client_read(struct client *c)
{
	ssize_t n = recv(c->io.fd, c->buf + c->have, sizeof(c->buf) - c->have, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		client_free(c);
		return;
	}
	c->have += (size_t)n;
	client_serve(c);
}

static void on_client(struct loop_io *io, uint32_t events)
{
	struct client *c = container_of(io, struct client, io);

	if (c->job && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		client_free(c);
	else if (!c->job)
		client_read(c);
}

static void on_listener(struct loop_io *io, uint32_t events)
{
	struct listener *l = container_of(io, struct listener, io);
	struct net_dns *d = l->dns;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct client *c;
	int fd = accept4(io->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	c = d->n_clients < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c || loop_io_add(d->net->loop, &c->io, fd, EPOLLIN, on_client) < 0) {
		free(c);
		close(fd);
		return;
	}
	c->dns = d;
	c->from = from;
	c->next = d->clients;
	if (d->clients)
		d->clients->prev = c;
	d->clients = c;
	d->n_clients++;
	net_wait_set(&c->wait, &d->patience);
}

/* ---- life ---- */

static int listen_on(struct net_dns *d, struct listener *l, int fd, loop_io_fn *fn)
{
	l->dns = d;
	return fd < 0 ? 0 : loop_io_add(d->net->loop, &l->io, fd, EPOLLIN, fn);
}

int net_dns_new(struct net_dns **out, struct net *n, struct err *e)
{
	struct net_dns *d = calloc(1, sizeof(*d));
	const int *fd = n->socks.fd;
	int r;

	if (!d)
		return err_set(e, ENOMEM, "DNS server");
	d->net = n;
	net_wait_init(&d->patience, n->loop, CLIENT_PATIENCE_MS, on_impatient);
	r = listen_on(d, &d->udp[0], fd[NET_DNS_UDP4], on_udp);
	if (r == 0)
		r = listen_on(d, &d->udp[1], fd[NET_DNS_UDP6], on_udp);
	if (r == 0)
		r = listen_on(d, &d->tcp[0], fd[NET_DNS_TCP4], on_listener);
	if (r == 0)
		r = listen_on(d, &d->tcp[1], fd[NET_DNS_TCP6], on_listener);
	if (r < 0) {
		net_dns_free(d);
		return err_set(e, -r, "DNS server");
	}
	*out = d;
	return 0;
}

void net_dns_free(struct net_dns *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < 2; i++) {
		loop_io_del(&d->udp[i].io);
		loop_io_del(&d->tcp[i].io);
	}
	while (d->clients)
		client_free(d->clients);
	while (d->jobs) {
		struct job *j = d->jobs;

		net_resolve_cancel(&j->ask);
		unlink_job(j);
	}
	net_wait_deinit(&d->patience);
	free(d);
}
