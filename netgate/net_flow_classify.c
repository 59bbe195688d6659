/*
 * Theory: bytes are only peeked at, so that whatever is decided, the relay later reads all of them.
 * SO_RCVLOWAT keeps the level-triggered loop quiet until there is more than was seen. Three kinds
 * of "more": a hello or a request head must become complete (5 s); a first word that could still
 * become an HTTP request may stay short, as in protocols without lines, and passes after 300 ms
 * under the eyes of FLOW_GATE_SNIFF; nothing at all after 300 ms means that the server speaks
 * first, and the first bytes are judged when they come (FLOW_GATE_LATE).
 */
#include "netgate/net_flow_i.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "netgate/tls_hello.h"

enum seen { SEEN_MORE, SEEN_MAYBE_HTTP, SEEN_DONE, SEEN_BAD };

static void set_low_water(struct net_flow *f, size_t bytes)
{
	int n = bytes ? (int)bytes : 1;

	setsockopt(f->client_fd, SOL_SOCKET, SO_RCVLOWAT, &n, sizeof(n));
}

static enum seen see_tls(struct net_flow *f, const uint8_t *buf, size_t len)
{
	struct tls_hello hello;
	int r = tls_hello_parse(&hello, buf, len);

	f->kind = FLOW_TLS;
	if (r == TLS_HELLO_MORE)
		return len < FLOW_PEEK_MAX ? SEEN_MORE : SEEN_BAD;
	if (r < 0)
		return SEEN_BAD;
	f->has_ech = hello.has_ech;
	snprintf(f->alpn, sizeof(f->alpn), "%s", hello.alpn);
	if (hello.has_sni) {
		snprintf(f->sni, sizeof(f->sni), "%s", hello.sni);
		if (!net_name_normalise(f->said, hello.sni, strlen(hello.sni)))
			f->said_wrong = true;
	}
	return SEEN_DONE;
}

static enum seen see_http(struct net_flow *f, const uint8_t *buf, size_t len)
{
	int r = net_flow_http_head(f, buf, len);

	f->kind = FLOW_HTTP;
	if (r == HTTP_HEAD_MORE)
		return SEEN_MORE;
	return r == HTTP_HEAD_DONE ? SEEN_DONE : SEEN_BAD;
}

static enum seen see(struct net_flow *f, const uint8_t *buf, size_t len)
{
	int http;

	f->kind = FLOW_RAW;
	if (tls_hello_looks_like(buf, len))
		return see_tls(f, buf, len);
	http = http_head_looks_like(buf, len);
	if (http > 0)
		return see_http(f, buf, len);
	return http < 0 ? SEEN_MAYBE_HTTP : SEEN_DONE;
}

/* The bytes are understood as far as they will be: on with it, before or after dialling. */
static void understood(struct net_flow *f, enum flow_gate gate)
{
	set_low_water(f, 1);
	f->gate = gate;
	if (f->state == FLOW_CLASSIFY) {
		net_flow_decide(f);
		return;
	}
	net_wait_set(&f->wait, &f->flows->idle);
	if (net_flow_recheck(f))
		net_flow_relay_pump(f, FLOW_OUT | FLOW_IN);
	else
		net_flow_refuse(f);
}

static void malformed(struct net_flow *f)
{
	if (f->kind == FLOW_TLS)
		net_judge_deny(&f->ruling, "malformed_tls", "the TLS ClientHello is malformed");
	else if (f->kind == FLOW_HTTP && f->head && f->head->reason)
		net_judge_deny(&f->ruling, "malformed_http", f->head->reason);
	else
		net_judge_deny(&f->ruling, "malformed_http", "the request head is malformed");
	net_flow_refuse(f);
}

/* Wait for more; the deadline is that of what it may become, and runs from its first byte. */
static void await_more(struct net_flow *f)
{
	struct net_wait_queue *q = f->kind == FLOW_RAW ? &f->flows->silence : &f->flows->slow;

	set_low_water(f, f->peeked + 1);
	if (f->wait.queue != q)
		net_wait_set(&f->wait, q);
}

void net_flow_on_first_bytes(struct net_flow *f, bool ended)
{
	uint8_t *buf = f->flows->scratch;
	ssize_t n = recv(f->client_fd, buf, FLOW_PEEK_MAX, MSG_PEEK | MSG_DONTWAIT);
	enum seen seen;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0) {
		net_flow_reset(f, errno);
		return;
	}
	f->peeked = (size_t)n;
	f->kind = FLOW_RAW;
	/* who says nothing and never will still has a connection to be judged */
	seen = n ? see(f, buf, (size_t)n) : SEEN_DONE;
	if (seen == SEEN_MAYBE_HTTP && ended)
		seen = SEEN_DONE;
	else if (seen == SEEN_MORE && ended)
		seen = SEEN_BAD;
	switch (seen) {
	case SEEN_DONE:
		understood(f, f->kind == FLOW_HTTP ? FLOW_GATE_HTTP : FLOW_GATE_OPEN);
		break;
	case SEEN_BAD:
		malformed(f);
		break;
	case SEEN_MAYBE_HTTP:
	case SEEN_MORE:
		await_more(f);
		break;
	}
}

void net_flow_on_silence(struct net_flow *f)
{
	if (f->peeked) {
		understood(f, FLOW_GATE_SNIFF);
		return;
	}
	/* what is denied so far may still be saved by the name or request that comes */
	if (f->state == FLOW_CLASSIFY && net_flow_needs_bytes(f)) {
		net_wait_set(&f->wait, &f->flows->slow);
		return;
	}
	f->kind = FLOW_UNKNOWN;
	understood(f, FLOW_GATE_LATE);
}

void net_flow_on_slow(struct net_flow *f)
{
	if (f->peeked) {
		malformed(f);
		return;
	}
	f->kind = FLOW_UNKNOWN;
	understood(f, FLOW_GATE_LATE);
}
