/*
 * Theory: a struct net_lookup is one name, either under way (waiting) or answered (a cache entry
 * until expires_ms); it lives in one hash bucket. c-ares tells which sockets it wants watched; its
 * deadlines are driven by a timer that ares_timeout(3) sets after every step.
 */
#include "netgate/net_resolve.h"

#include <ares.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "netgate/net_name.h"

#define BUCKETS 256u
#define LOOKUPS_MAX 4096u
#define TTL_MIN 5
#define TTL_MAX 300
#define TRY_MS 2000
#define TRIES 2
#define SOCKETS_MAX 32

struct net_lookup {
	struct net_lookup *next;
	struct net_resolver *r;
	struct net_resolve *waiting;
	enum net_resolve_status status;
	struct net_addrs addrs;
	uint64_t expires_ms;
	bool is_pending;
	char name[NET_NAME_SIZE];
};

struct watch {
	struct loop_io io; /* fd -1: free */
	struct net_resolver *r;
};

struct net_resolver {
	struct loop *loop;
	ares_channel channel;
	bool has_channel;
	struct loop_timer timer;
	struct watch watches[SOCKETS_MAX];
	struct net_lookup *buckets[BUCKETS];
	unsigned n_lookups;
};

static void set_timer(struct net_resolver *r);

static void on_socket(struct loop_io *io, uint32_t events)
{
	struct watch *w = container_of(io, struct watch, io);
	struct net_resolver *r = w->r;
	bool error = events & (EPOLLERR | EPOLLHUP);
	int fd = io->fd;

	ares_process_fd(r->channel, events & EPOLLIN || error ? fd : ARES_SOCKET_BAD,
			events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
	set_timer(r);
}

static void on_timer(struct loop_timer *t)
{
	struct net_resolver *r = container_of(t, struct net_resolver, timer);

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(r);
}

static void set_timer(struct net_resolver *r)
{
	struct timeval tv, *next = ares_timeout(r->channel, NULL, &tv);

	loop_timer_del(r->loop, &r->timer);
	if (next)
		loop_timer_set(r->loop, &r->timer,
			       (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000 + 1,
			       on_timer);
}

/* c-ares: watch this socket for that from now on; neither: it is about to be closed. */
static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct net_resolver *r = arg;
	uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
	struct watch *unused = NULL;

	for (size_t i = 0; i < SOCKETS_MAX; i++) {
		struct watch *w = &r->watches[i];

		if (!w->io.loop && !unused)
			unused = w;
		if (!w->io.loop || w->io.fd != fd)
			continue;
		if (events)
			loop_io_mod(&w->io, events);
		else
			loop_io_del(&w->io);
		return;
	}
	/* one that cannot be watched times out, and its lookup fails */
	if (events && unused)
		loop_io_add(r->loop, &unused->io, fd, events, on_socket);
}

int net_resolver_new(struct net_resolver **out, struct loop *l, const char *servers, struct err *e)
{
	char lookups[] = "fb";
	struct ares_options o = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = TRY_MS,
		.tries = TRIES,
		.lookups = lookups,
		.sock_state_cb = on_state,
	};
	AUTO(net_resolver_free) struct net_resolver *r = calloc(1, sizeof(*r));
	int s;

	if (!r)
		return err_set(e, ENOMEM, "resolver");
	r->loop = l;
	for (size_t i = 0; i < SOCKETS_MAX; i++)
		r->watches[i].r = r;
	o.sock_state_cb_data = r;
	s = ares_library_init(ARES_LIB_INIT_ALL);
	if (s == ARES_SUCCESS)
		s = ares_init_options(&r->channel, &o,
				      ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
					      ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
	if (s != ARES_SUCCESS)
		return err_say(e, EIO, "resolver: %s", ares_strerror(s));
	r->has_channel = true;
	if (*servers) {
		s = ares_set_servers_ports_csv(r->channel, servers);
		if (s != ARES_SUCCESS)
			return err_say(e, EINVAL, "DNS servers %s: %s", servers, ares_strerror(s));
	}
	*out = steal_ptr(&r);
	return 0;
}

void net_resolver_free(struct net_resolver *r)
{
	if (!r)
		return;
	if (r->has_channel)
		ares_destroy(r->channel); /* completes what is under way */
	loop_timer_del(r->loop, &r->timer);
	for (size_t i = 0; i < BUCKETS; i++) {
		while (r->buckets[i]) {
			struct net_lookup *k = r->buckets[i];

			r->buckets[i] = k->next;
			free(k);
		}
	}
	free(r);
	ares_library_cleanup();
}

/* ---- cache ---- */

static struct net_lookup **bucket(struct net_resolver *r, const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return &r->buckets[h % BUCKETS];
}

/* Find a name; what has expired on the way is dropped. */
static struct net_lookup *find(struct net_resolver *r, const char *name, uint64_t now)
{
	struct net_lookup **p = bucket(r, name);

	while (*p) {
		struct net_lookup *k = *p;

		if (!k->is_pending && k->expires_ms <= now) {
			*p = k->next;
			free(k);
			r->n_lookups--;
			continue;
		}
		if (strcmp(k->name, name) == 0)
			return k;
		p = &k->next;
	}
	return NULL;
}

static void drop_answered(struct net_resolver *r)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct net_lookup **p = &r->buckets[i];

		while (*p) {
			struct net_lookup *k = *p;

			if (k->is_pending) {
				p = &k->next;
				continue;
			}
			*p = k->next;
			free(k);
			r->n_lookups--;
		}
	}
}

static struct net_lookup *add(struct net_resolver *r, const char *name)
{
	struct net_lookup **p = bucket(r, name);
	struct net_lookup *k;

	if (r->n_lookups >= LOOKUPS_MAX)
		drop_answered(r);
	if (r->n_lookups >= LOOKUPS_MAX || strlen(name) >= NET_NAME_SIZE)
		return NULL;
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->r = r;
	k->is_pending = true;
	memcpy(k->name, name, strlen(name) + 1);
	k->next = *p;
	*p = k;
	r->n_lookups++;
	return k;
}

/* ---- answers ---- */

static bool take_addr(struct policy_addr *out, const struct sockaddr *sa)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	memset(out, 0, sizeof(*out));
	if (sa->sa_family == AF_INET) {
		memcpy(&sin, sa, sizeof(sin));
		out->family = 4;
		memcpy(out->bytes, &sin.sin_addr, 4);
		return true;
	}
	if (sa->sa_family != AF_INET6)
		return false;
	memcpy(&sin6, sa, sizeof(sin6));
	out->family = 6;
	memcpy(out->bytes, &sin6.sin6_addr, 16);
	return true;
}

/* IPv6 and IPv4 alternate (RFC 8305 4), so that a family that does not work costs one attempt. */
static int take_answer(struct net_addrs *out, const struct ares_addrinfo *ai)
{
	const struct ares_addrinfo_node *next6 = ai->nodes, *next4 = ai->nodes;
	int ttl = TTL_MAX;

	out->n = 0;
	while (out->n < NET_ADDRS_MAX && (next6 || next4)) {
		const struct ares_addrinfo_node **side[2] = {&next6, &next4};
		static const int family[2] = {AF_INET6, AF_INET};

		for (unsigned i = 0; i < 2; i++) {
			const struct ares_addrinfo_node *n = *side[i];

			while (n && n->ai_family != family[i])
				n = n->ai_next;
			*side[i] = n ? n->ai_next : NULL;
			if (!n || out->n == NET_ADDRS_MAX || !take_addr(&out->v[out->n], n->ai_addr))
				continue;
			out->n++;
			if (n->ai_ttl < ttl)
				ttl = n->ai_ttl;
		}
	}
	return ttl < TTL_MIN ? TTL_MIN : ttl;
}

static enum net_resolve_status to_status(int ares)
{
	switch (ares) {
	case ARES_SUCCESS:
	case ARES_ENODATA:
		return NET_NO_ADDRESS;
	case ARES_ENOTFOUND:
	case ARES_ENONAME:
		return NET_NO_NAME;
	default:
		return NET_RESOLVE_FAILED;
	}
}

/* A callback may cancel others that wait, or ask again: one at a time, from the head. */
static void tell(struct net_lookup *k)
{
	struct net_addrs addrs = k->addrs;

	while (k->waiting) {
		struct net_resolve *q = k->waiting;

		k->waiting = q->next;
		q->next = NULL;
		q->lookup = NULL;
		q->fn(q, k->status, &addrs);
	}
}

static void on_answer(void *arg, int ares, int timeouts, struct ares_addrinfo *ai)
{
	struct net_lookup *k = arg;
	int ttl = TTL_MIN;

	(void)timeouts;
	k->status = to_status(ares);
	if (ares == ARES_SUCCESS && ai) {
		ttl = take_answer(&k->addrs, ai);
		if (k->addrs.n)
			k->status = NET_RESOLVED;
	}
	if (ai)
		ares_freeaddrinfo(ai);
	k->expires_ms = k->status == NET_RESOLVE_FAILED ? 0 : loop_now_ms() + (uint64_t)ttl * 1000;
	tell(k);
	k->is_pending = false;
}

void net_resolve(struct net_resolver *r, struct net_resolve *q, const char *name,
		 net_resolve_fn *fn)
{
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT};
	struct net_lookup *k = find(r, name, loop_now_ms());
	struct net_addrs none = {0};

	memset(q, 0, sizeof(*q));
	q->fn = fn;
	if (k && !k->is_pending) {
		struct net_addrs addrs = k->addrs;

		fn(q, k->status, &addrs);
		return;
	}
	if (k) {
		q->lookup = k;
		q->next = k->waiting;
		k->waiting = q;
		return;
	}
	k = add(r, name);
	if (!k) {
		fn(q, NET_RESOLVE_FAILED, &none);
		return;
	}
	q->lookup = k;
	k->waiting = q;
	ares_getaddrinfo(r->channel, k->name, NULL, &hints, on_answer, k);
	set_timer(r);
}

void net_resolve_cancel(struct net_resolve *q)
{
	if (!q->lookup)
		return;
	for (struct net_resolve **p = &q->lookup->waiting; *p; p = &(*p)->next) {
		if (*p == q) {
			*p = q->next;
			break;
		}
	}
	q->lookup = NULL;
	q->next = NULL;
}
