#include "netgate/net_flow_i.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/str.h"

/* RFC 8446 6: record type 21, TLS 1.2 on the wire, fatal */
#define ALERT_ACCESS_DENIED 49
#define ALERT_INTERNAL_ERROR 80

static void drop_server(struct net_flow *f)
{
	net_resolve_cancel(&f->ask);
	net_flow_dial_cancel(f);
	loop_io_del(&f->server);
	if (f->server_fd >= 0)
		close(f->server_fd);
	f->server_fd = -1;
}

/* Send the last words, then read away what the client still says for a moment. */
static void last_words(struct net_flow *f, const void *text, size_t len)
{
	int low = 1;

	drop_server(f);
	setsockopt(f->client_fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
	if (send(f->client_fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len) {
		net_flow_reset(f, ECONNABORTED);
		return;
	}
	shutdown(f->client_fd, SHUT_WR);
	f->state = FLOW_REFUSED;
	net_wait_set(&f->wait, &f->flows->linger);
	if (net_flow_watch(f, &f->client, f->client_fd, EPOLLIN) < 0)
		net_flow_close(f, 0);
}

static void say_tls(struct net_flow *f, uint8_t alert)
{
	const uint8_t text[] = {21, 3, 3, 0, 2, 2, alert};

	last_words(f, text, sizeof(text));
}

static void add_member(struct str *s, const char *key, const char *value)
{
	str_addf(s, "%s\"%s\":\"", s->len > 1 ? "," : "", key);
	str_add_json(s, value, strlen(value));
	str_add(s, "\"");
}

static void say_http(struct net_flow *f, const char *status, const char *error)
{
	char body[2048], text[2560];
	char id[32];
	struct str s;
	int n;

	snprintf(id, sizeof(id), "net-%llu", (unsigned long long)f->id);
	str_init(&s, body, sizeof(body));
	str_add(&s, "{");
	add_member(&s, "error", error);
	add_member(&s, "rule", f->ruling.d.rule ? f->ruling.d.rule : "");
	add_member(&s, "reason", f->ruling.reason);
	add_member(&s, "message", f->ruling.message);
	add_member(&s, "session", f->net->gate->session);
	add_member(&s, "request_id", id);
	str_add(&s, "}\n");
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
		     "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
		     status, s.len, strcmp(f->method, "HEAD") == 0 ? "" : body);
	last_words(f, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* In a relay that is under way our words may come only where an answer would start. */
static bool may_speak(const struct net_flow *f)
{
	if (f->state != FLOW_RELAY)
		return true;
	if (f->in.len || f->in.piped)
		return false;
	return f->in.total == 0 || (f->kind == FLOW_HTTP && f->answered);
}

static void tell(struct net_flow *f, const char *status, const char *error, uint8_t alert)
{
	if (!may_speak(f))
		net_flow_reset(f, ECONNABORTED);
	else if (f->kind == FLOW_HTTP)
		say_http(f, status, error);
	else if (f->kind == FLOW_TLS)
		say_tls(f, alert);
	else
		net_flow_reset(f, ECONNABORTED);
}

void net_flow_refuse(struct net_flow *f)
{
	bool relayed = f->state == FLOW_RELAY;
	struct net_facts facts;

	net_wait_clear(&f->wait);
	net_flow_facts(&facts, f);
	/* a denial that cannot be recorded is a denial all the same, but a mute one */
	if (net_record_decision(f->net, relayed ? "request" : "connect", "deny", &f->ruling, &facts,
				relayed ? NULL : &f->approval) < 0) {
		net_flow_reset(f, EIO);
		return;
	}
	if (strncmp(f->ruling.reason, "malformed_http", 14) == 0)
		tell(f, "400 Bad Request", "bad_request", ALERT_ACCESS_DENIED);
	else if (strcmp(f->ruling.reason, "approval_timeout") == 0)
		tell(f, "403 Forbidden", "approval_timeout", ALERT_ACCESS_DENIED);
	else if (strcmp(f->ruling.reason, "name_not_resolved") == 0)
		tell(f, "502 Bad Gateway", "name_not_resolved", ALERT_INTERNAL_ERROR);
	else
		tell(f, "403 Forbidden", "denied", ALERT_ACCESS_DENIED);
}

void net_flow_unreachable(struct net_flow *f, int error)
{
	f->error = error;
	net_wait_clear(&f->wait);
	if (f->kind != FLOW_HTTP && f->kind != FLOW_TLS) {
		net_flow_reset(f, error);
		return;
	}
	f->ruling.reason = "unreachable";
	snprintf(f->ruling.message, sizeof(f->ruling.message), "the server cannot be reached: %s",
		 strerror(error));
	tell(f, "502 Bad Gateway", "unreachable", ALERT_INTERNAL_ERROR);
}
