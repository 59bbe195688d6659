/*
 * Theory: decide -> (resolve) -> judge every address -> (ask a person) -> record -> dial. A name
 * that the agent was given a synthetic address for is exact, and SNI or Host must repeat it. For a
 * literal address the name in SNI or Host is only a claim: it can make things stricter, and can
 * permit the connection only if the name really has that address.
 */
#include "netgate/net_flow_i.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

#include "common/str.h"

struct flow_hold {
	struct net_flow *flow; /* NULL: gone before the answer */
};

static void judge_addrs(struct net_flow *f, const struct net_addrs *addrs);
static void permitted(struct net_flow *f);
static void look_up(struct net_flow *f);

static void deny(struct net_flow *f, const char *reason, const char *message)
{
	net_judge_deny(&f->ruling, reason, message);
}

static void judge_as(struct net_ruling *r, const struct net_flow *f, const char *host,
		     const struct policy_addr *addr)
{
	struct net_question q = {
		.host = host,
		.addr = *addr,
		.port = f->port,
		.proto = NET_TCP,
		.method = f->kind == FLOW_HTTP && f->method[0] ? f->method : NULL,
		.path = f->kind == FLOW_HTTP && f->path[0] ? f->path : NULL,
	};

	net_judge(r, f->net, &q);
}

static bool literal_is_denied(const struct net_flow *f)
{
	struct net_ruling r;

	judge_as(&r, f, NULL, &f->dst);
	return r.d.verdict == VERDICT_DENY;
}

bool net_flow_needs_bytes(const struct net_flow *f)
{
	static const struct policy_addr unknown;
	struct net_ruling r;

	if (!f->name)
		return literal_is_denied(f);
	judge_as(&r, f, f->name, &unknown);
	return r.d.http_rule != NULL;
}

/* SNI and Host against the name that the address stands for; false: f->ruling denies. */
static bool agrees(struct net_flow *f)
{
	const char *host = f->name ? f->name : f->host;
	bool tls = f->kind == FLOW_TLS;

	if (!f->said_wrong && (!host || !f->said[0] || strcmp(host, f->said) == 0))
		return true;
	deny(f, tls ? "tls_name_mismatch" : "host_mismatch",
	     tls ? "the TLS server name is not the name that was connected to"
		 : "the Host of the request is not the name and port that were connected to");
	return false;
}

/* What the rule demands beyond addresses. */
static bool can_serve(struct net_flow *f)
{
	if (f->ruling.d.tls != POLICY_TLS_INSPECT || f->kind == FLOW_HTTP)
		return true;
	deny(f, "tls_inspection_unavailable",
	     "the rule demands tls: inspect, and TLS inspection is not available");
	return false;
}

/* The ruling for one address, by all that is known; a claimed name can only make it stricter. */
static void judge_addr(struct net_ruling *r, const struct net_flow *f,
		       const struct policy_addr *addr)
{
	struct net_ruling claimed;

	judge_as(r, f, f->host, addr);
	if (!f->host && f->said[0] && r->d.verdict != VERDICT_DENY) {
		judge_as(&claimed, f, f->said, addr);
		if (claimed.d.verdict == VERDICT_DENY || net_judge_is_allowed(r))
			*r = claimed;
	}
	if (f->kind != FLOW_HTTP && r->d.http_rule) {
		r->d.rule = r->d.http_rule;
		net_judge_deny(r, "tls_inspection_unavailable",
			       "the rule asks for HTTP methods or paths, which cannot be seen in this "
			       "connection: TLS inspection is not available");
	}
}

/* ---- a person's answer ---- */

static void on_approval(void *arg, bool allow, const char *approver, uint64_t waited_ms,
			uint32_t approval_id)
{
	struct flow_hold *hold = arg;
	struct net_flow *f = hold->flow;

	free(hold);
	if (!f)
		return;
	f->hold = NULL;
	f->approval.id = approval_id;
	f->approval.waited_ms = waited_ms;
	snprintf(f->approval.approver, sizeof(f->approval.approver), "%s", approver);
	if (allow) {
		f->approved = true;
		f->approved_rule = f->ruling.d.rule_index;
		if (f->addrs.n)
			permitted(f);
		else
			look_up(f);
		return;
	}
	f->ruling.reason = strcmp(approver, "timeout") == 0 ? "approval_timeout" : "approval_denied";
	net_flow_refuse(f);
}

static void hold(struct net_flow *f)
{
	struct flow_hold *h = calloc(1, sizeof(*h));
	char literal[NET_ADDR_TEXT], subject[NET_NAME_SIZE + 8];
	struct gate_ask ask = {
		.op = "connect",
		.subject = subject,
		.rule = f->ruling.d.rule,
		.message = f->ruling.message,
		.pid = f->owner.pid,
		.comm = f->owner.comm,
		.timeout_ms = f->ruling.d.timeout_ms,
	};

	net_name_of_addr(literal, &f->dst);
	snprintf(subject, sizeof(subject), strchr(literal, ':') && !f->host ? "[%s]:%u" : "%s:%u",
		 f->host ? f->host : literal, f->port);
	f->state = FLOW_HOLD;
	net_wait_clear(&f->wait);
	net_flow_watch(f, &f->client, f->client_fd, EPOLLRDHUP);
	if (h) {
		h->flow = f;
		f->hold = h;
		if (gate_ask(f->net->gate, &ask, on_approval, h) == 0)
			return;
	}
	f->hold = NULL;
	free(h);
	f->ruling.reason = "approval_unavailable";
	net_flow_refuse(f);
}

void net_flow_decide_forget(struct net_flow *f)
{
	if (f->hold)
		f->hold->flow = NULL;
	f->hold = NULL;
}

/* ---- redirects ---- */

/* "HOST", "HOST:PORT", "ADDR", "ADDR:PORT", "[ADDR6]:PORT" */
static bool parse_target(struct net_flow *f, struct policy_addr *addr)
{
	const char *to = f->ruling.d.redirect_to, *end = strrchr(to, ':'), *host = to;
	size_t len = strlen(to);
	uint64_t port;

	addr->family = 0;
	if (net_name_to_addr(addr, to, len))
		return true;
	if (end) {
		if (str_to_u64(&port, end + 1, 1, 65535) < 0)
			return false;
		f->dial_port = (uint16_t)port;
		len = (size_t)(end - to);
	}
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	return net_name_to_addr(addr, host, len) || net_name_normalise(f->dial_name, host, len);
}

/* Record, then act. */
static void record_and_dial(struct net_flow *f, const char *decision)
{
	struct net_facts facts;
	int r;

	if (!f->addrs.n) {
		deny(f, "name_not_resolved", "the name has no address");
		net_flow_refuse(f);
		return;
	}
	f->addr = f->addrs.v[0];
	net_flow_facts(&facts, f);
	r = net_record_decision(f->net, "connect", decision, &f->ruling, &facts, &f->approval);
	if (r < 0) {
		net_flow_reset(f, EIO);
		return;
	}
	f->recorded = r != NET_RECORD_LEFT_OUT;
	net_flow_dial(f);
}

static void on_target(struct net_resolve *q, enum net_resolve_status status,
		      const struct net_addrs *addrs)
{
	struct net_flow *f = container_of(q, struct net_flow, ask);

	(void)status;
	f->addrs = *addrs;
	record_and_dial(f, "redirect");
}

static void redirect(struct net_flow *f)
{
	struct policy_addr addr;

	if (!parse_target(f, &addr)) {
		deny(f, "bad_redirect", "the rule redirects to something that is not HOST:PORT");
		net_flow_refuse(f);
	} else if (addr.family) {
		f->addrs = (struct net_addrs){1, {addr}};
		record_and_dial(f, "redirect");
	} else {
		f->state = FLOW_RESOLVE;
		net_resolve(f->net->resolver, &f->ask, f->dial_name, on_target);
	}
}

static void permitted(struct net_flow *f)
{
	if (f->ruling.d.verdict == VERDICT_REDIRECT)
		redirect(f);
	else
		record_and_dial(f, "allow");
}

/* ---- addresses ---- */

static bool same_rule(const struct net_ruling *a, const struct net_ruling *b)
{
	return a->d.verdict == b->d.verdict && a->d.rule_index == b->d.rule_index;
}

/*
 * The first address that is not denied sets the ruling; of the others, those that fall under the
 * same rule may be tried after it.
 */
static void judge_addrs(struct net_flow *f, const struct net_addrs *addrs)
{
	struct net_ruling r;

	f->addrs.n = 0;
	for (unsigned i = 0; i < addrs->n; i++) {
		judge_addr(&r, f, &addrs->v[i]);
		if (i == 0 || (f->addrs.n == 0 && r.d.verdict != VERDICT_DENY)) {
			f->ruling = r;
			f->addr = f->judged = addrs->v[i];
		}
		if (r.d.verdict != VERDICT_DENY && same_rule(&r, &f->ruling))
			f->addrs.v[f->addrs.n++] = addrs->v[i];
	}
	if (f->ruling.d.verdict == VERDICT_DENY || !can_serve(f)) {
		net_flow_refuse(f);
		return;
	}
	switch (f->ruling.d.verdict) {
	case VERDICT_ALLOW:
	case VERDICT_AUDIT:
	case VERDICT_REDIRECT:
		permitted(f);
		return;
	case VERDICT_APPROVE:
		if (f->approved && f->approved_rule == f->ruling.d.rule_index)
			permitted(f);
		else
			hold(f);
		return;
	case VERDICT_DENY:
	case VERDICT_SOFT_DELETE:
	case VERDICT_HIDE:
	case VERDICT_ABSORB:
		break;
	}
	deny(f, "unsupported_verdict", "the rule's decision does not apply to connections");
	net_flow_refuse(f);
}

static void on_resolved(struct net_resolve *q, enum net_resolve_status status,
			const struct net_addrs *addrs)
{
	struct net_flow *f = container_of(q, struct net_flow, ask);
	struct net_addrs one = {1, {f->dst}};

	if (status != NET_RESOLVED) {
		deny(f, "name_not_resolved",
		     status == NET_RESOLVE_FAILED ? "the name could not be looked up"
						  : "the name has no address");
		net_flow_refuse(f);
		return;
	}
	if (f->name) {
		judge_addrs(f, addrs);
		return;
	}
	for (unsigned i = 0; i < addrs->n; i++) {
		if (net_name_same_addr(&addrs->v[i], &f->dst)) {
			judge_addrs(f, &one);
			return;
		}
	}
	deny(f, "address_not_of_name", "the address that was dialled does not belong to the name");
	net_flow_refuse(f);
}

static void look_up(struct net_flow *f)
{
	f->state = FLOW_RESOLVE;
	net_wait_clear(&f->wait); /* the resolver has its own patience */
	net_flow_watch(f, &f->client, f->client_fd, EPOLLRDHUP);
	net_resolve(f->net->resolver, &f->ask, f->host, on_resolved);
}

/* A lookup tells the world the name: what needs a person's consent is held before it. */
static void resolve(struct net_flow *f)
{
	static const struct policy_addr unknown;
	struct net_ruling r;

	net_judge_name(&f->ruling, f->net, f->host);
	if (f->ruling.d.verdict == VERDICT_DENY) {
		net_flow_refuse(f);
		return;
	}
	judge_as(&r, f, f->host, &unknown);
	if (r.d.verdict == VERDICT_APPROVE) {
		f->ruling = r;
		hold(f);
		return;
	}
	look_up(f);
}

void net_flow_decide(struct net_flow *f)
{
	struct net_addrs literal = {1, {f->dst}};

	if (!agrees(f)) {
		net_flow_refuse(f);
		return;
	}
	f->host = f->name;
	if (f->name || (f->said[0] && literal_is_denied(f))) {
		if (!f->name) {
			memcpy(f->claimed, f->said, sizeof(f->claimed));
			f->host = f->claimed;
		}
		resolve(f);
		return;
	}
	judge_addrs(f, &literal);
}

bool net_flow_recheck(struct net_flow *f)
{
	struct net_ruling before = f->ruling;

	if (!agrees(f))
		return false;
	judge_addr(&f->ruling, f, &f->judged);
	if (!can_serve(f))
		return false;
	if (net_judge_is_allowed(&f->ruling) || same_rule(&before, &f->ruling))
		return true;
	if (f->ruling.d.verdict != VERDICT_DENY)
		deny(f, "needs_new_connection",
		     "another rule holds for this request: send it on a new connection");
	return false;
}
