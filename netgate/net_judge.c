#include "netgate/net_judge.h"

#include <stdio.h>
#include <string.h>

static const char *reason_name(enum policy_reason reason)
{
	switch (reason) {
	case REASON_PRIVATE_ADDRESS:
		return "private_address";
	case REASON_REGEX_LIMIT:
		return "pattern_limit";
	case REASON_MALFORMED:
		return "malformed_request";
	case REASON_RULE:
	case REASON_DEFAULT:
	case REASON_UNTRUSTED_DIR:
		break;
	}
	return "";
}

static struct policy_request to_request(const struct net_question *q)
{
	struct policy_request r = {.kind = POLICY_NETWORK};

	r.network.host = q->host;
	r.network.addr = q->addr;
	r.network.port = q->port;
	r.network.proto = q->proto;
	r.network.method = q->method;
	r.network.url_path = q->path;
	return r;
}

static void finish(struct net_ruling *out, const struct net *n, const struct policy_request *req)
{
	out->reason = reason_name(out->d.reason);
	out->message[0] = '\0';
	if (net_judge_is_allowed(out))
		return;
	policy_message(out->message, sizeof(out->message), &out->d, req, n->gate->session);
	if (out->message[0])
		return;
	if (out->d.reason == REASON_PRIVATE_ADDRESS)
		snprintf(out->message, sizeof(out->message),
			 "this is a private or local address, and the rule has no cidrs that name it");
	else if (out->d.reason == REASON_DEFAULT)
		snprintf(out->message, sizeof(out->message), "no rule allows this connection");
}

void net_judge(struct net_ruling *out, const struct net *n, const struct net_question *q)
{
	struct policy_request req = to_request(q);

	memset(out, 0, sizeof(*out));
	policy_decide(&out->d, n->gate->policy, &req);
	finish(out, n, &req);
}

void net_judge_name(struct net_ruling *out, const struct net *n, const char *host)
{
	struct policy_request req = {.kind = POLICY_NETWORK, .network = {.host = host}};

	memset(out, 0, sizeof(*out));
	out->d.verdict = policy_name_verdict(&out->d, n->gate->policy, host);
	finish(out, n, &req);
}

void net_judge_deny(struct net_ruling *r, const char *reason, const char *message)
{
	r->d.verdict = VERDICT_DENY;
	r->reason = reason;
	snprintf(r->message, sizeof(r->message), "%s", message);
}

bool net_judge_is_allowed(const struct net_ruling *r)
{
	return r->d.verdict == VERDICT_ALLOW || r->d.verdict == VERDICT_AUDIT;
}
