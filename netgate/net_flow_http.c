/*
 * Theory: the client's bytes collect in f->out.buf. f->body knows where the request at the front
 * ends; body bytes pass as they come, a head passes when it is complete, strict and permitted. The
 * server's bytes are not parsed, but for one case: after an Upgrade on the first request nothing
 * more passes until its status is known, since 101 turns the stream into something else.
 */
#include "netgate/net_flow_i.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void take_host(struct net_flow *f, const struct http_head *h)
{
	struct policy_addr literal;

	f->said[0] = '\0';
	f->said_wrong = false;
	if (!h->has_host)
		return;
	if (h->port && h->port != f->port)
		f->said_wrong = true;
	if (net_name_normalise(f->said, h->host, strlen(h->host)))
		return;
	f->said[0] = '\0';
	if (f->name || !net_name_to_addr(&literal, h->host, strlen(h->host)) ||
	    !net_name_same_addr(&literal, &f->dst))
		f->said_wrong = true;
}

int net_flow_http_head(struct net_flow *f, const uint8_t *buf, size_t len)
{
	int r;

	if (!f->head)
		f->head = malloc(sizeof(*f->head));
	if (!f->head)
		return -ENOMEM;
	r = http_head_parse(f->head, buf, len);
	if (r == HTTP_HEAD_MORE)
		return r;
	snprintf(f->method, sizeof(f->method), "%s", f->head->method);
	snprintf(f->path, sizeof(f->path), "%.*s", (int)sizeof(f->path) - 1, f->head->path);
	if (r == HTTP_HEAD_DONE)
		take_host(f, f->head);
	return r;
}

static int refuse(struct net_flow *f, const char *reason, const char *message)
{
	net_judge_deny(&f->ruling, reason, message);
	return -EACCES;
}

/* What an Upgrade leads to is opaque: only WebSocket, and only where its answer can be seen. */
static int check_upgrade(struct net_flow *f)
{
	if (!f->head->upgrade)
		return 0;
	if (strcmp(f->head->upgrade_to, "websocket") != 0)
		return refuse(f, "upgrade_refused", "only an Upgrade to websocket is passed on");
	if (f->n_requests > 0)
		return refuse(f, "upgrade_refused",
			      "an Upgrade must be the first request of its connection");
	f->gate = FLOW_GATE_AWAIT;
	return 0;
}

/* The head of a further request is judged and recorded; the first was, with the connection. */
static int judge_head(struct net_flow *f)
{
	struct net_facts facts;

	if (check_upgrade(f) < 0)
		return -EACCES;
	if (f->n_requests++ == 0)
		return 0;
	if (!net_flow_recheck(f))
		return -EACCES;
	net_flow_facts(&facts, f);
	if (net_record_decision(f->net, "request", "allow", &f->ruling, &facts, NULL) < 0)
		return refuse(f, "audit", "the request could not be recorded");
	f->answered = false;
	return 0;
}

int net_flow_http_advance(struct net_flow *f)
{
	struct flow_half *h = &f->out;

	while (h->pass < h->len && f->gate == FLOW_GATE_HTTP) {
		const uint8_t *p = h->buf + h->start + h->pass;
		size_t len = h->len - h->pass;
		int64_t n;
		int r;

		if (!http_body_is_done(&f->body)) {
			n = http_body_walk(&f->body, p, len);
			if (n < 0)
				return refuse(f, "malformed_http", "the chunked body is malformed");
			h->pass += (size_t)n;
			continue;
		}
		r = net_flow_http_head(f, p, len);
		if (r == HTTP_HEAD_MORE)
			return 0;
		if (r != HTTP_HEAD_DONE)
			return refuse(f, "malformed_http",
				      f->head && f->head->reason ? f->head->reason
								 : "the request head is malformed");
		r = judge_head(f);
		if (r < 0)
			return r;
		http_body_begin(&f->body, f->head);
		h->pass += f->head->head_len;
		if (f->gate == FLOW_GATE_AWAIT && f->head->body != HTTP_BODY_NONE)
			return refuse(f, "upgrade_refused", "an Upgrade request with a body");
	}
	return 0;
}

int64_t net_flow_http_answer(struct net_flow *f, const uint8_t *buf, size_t len)
{
	unsigned status;
	size_t head_len;
	int r = http_head_status(&status, &head_len, buf, len);

	if (r == HTTP_HEAD_MORE)
		return 0;
	if (r < 0)
		return r;
	if (status == 101)
		f->gate = FLOW_GATE_OPEN;
	else if (status >= 200)
		f->gate = FLOW_GATE_HTTP;
	return (int64_t)head_len;
}
