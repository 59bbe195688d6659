#include "netgate/net_record.h"

#include <string.h>

#include "netgate/net_name.h"

#define FIELDS_MAX 24

struct fields {
	struct audit_field v[FIELDS_MAX];
	size_t n;
};

static void add(struct fields *f, struct audit_field field)
{
	if (f->n < FIELDS_MAX)
		f->v[f->n++] = field;
}

static void add_str(struct fields *f, const char *key, const char *value)
{
	if (value && *value)
		add(f, AUDIT_F_STR(key, value));
}

static void add_u64(struct fields *f, const char *key, uint64_t value)
{
	if (value)
		add(f, AUDIT_F_U64(key, value));
}

static int append(const struct net *n, struct audit_event *ev, const struct fields *f,
		  const struct net_owner *owner)
{
	ev->fields = f->v;
	ev->n_fields = f->n;
	ev->pid = owner ? owner->pid : 0;
	ev->comm = owner ? owner->comm : "";
	return audit_append(n->gate->audit, ev);
}

static bool is_denial(const char *decision)
{
	return strcmp(decision, "deny") == 0;
}

/* What the policy's audit settings and the rule's "log" ask for. */
static bool is_wanted(const struct net *n, const char *decision, const struct decision *d)
{
	const struct policy_audit *conf = &n->gate->audit_conf;

	if (is_denial(decision))
		return conf->log_denied && d->log != POLICY_LOG_NONE;
	return d->verdict != VERDICT_ALLOW || (conf->log_allowed && d->log != POLICY_LOG_NONE);
}

/* The policy may ask for requests on disk; by itself only what opens a connection waits for that. */
static enum audit_durability durability(const struct net *n, const char *op, const char *decision)
{
	if (strcmp(op, "connect") != 0 && n->gate->audit_conf.net == DURABLE_DEFAULT &&
	    !is_denial(decision))
		return AUDIT_RING;
	return gate_durability(n->gate, is_denial(decision), false);
}

/* ip is the caller's buffer: the fields borrow it */
static void add_facts(struct fields *f, const struct net_facts *x, char *ip)
{
	net_name_of_addr(ip, &x->addr);
	add_u64(f, "flow", x->flow);
	add_str(f, "proto", x->proto);
	add_str(f, "host", x->host);
	add_str(f, "ip", ip);
	add_u64(f, "port", x->port);
	add_str(f, "claimed_host", x->claimed);
	add_str(f, "sni", x->sni);
	add_str(f, "alpn", x->alpn);
	add_u64(f, "ech", x->has_ech);
	add_str(f, "method", x->method);
	add_str(f, "url", x->path);
	add_str(f, "to", x->to);
}

int net_record_decision(const struct net *n, const char *op, const char *decision,
			const struct net_ruling *r, const struct net_facts *x,
			const struct net_approval *approval)
{
	char ip[NET_ADDR_TEXT];
	struct fields f = {.n = 0};
	struct audit_event ev = {
		.op = op,
		.decision = decision,
		.verdict = r->d.verdict,
		.rule = r->d.rule ? r->d.rule : "",
		.message = r->message,
		.durability = durability(n, op, decision),
	};

	if (!is_wanted(n, decision, &r->d))
		return NET_RECORD_LEFT_OUT;
	add_facts(&f, x, ip);
	add_str(&f, "reason", r->reason);
	if (approval && approval->approver[0]) {
		add_u64(&f, "approval_id", approval->id);
		add_str(&f, "approver", approval->approver);
		add(&f, AUDIT_F_U64("waited_ms", approval->waited_ms));
	}
	return append(n, &ev, &f, x->owner);
}

int net_record_close(const struct net *n, const struct net_facts *x, const struct net_totals *t)
{
	char ip[NET_ADDR_TEXT];
	struct fields f = {.n = 0};
	struct audit_event ev = {
		.op = "close", .decision = "", .rule = "", .message = "", .durability = AUDIT_RING};

	add_facts(&f, x, ip);
	add(&f, AUDIT_F_U64("bytes_in", t->bytes_in));
	add(&f, AUDIT_F_U64("bytes_out", t->bytes_out));
	add(&f, AUDIT_F_U64("duration_ms", t->duration_ms));
	add_u64(&f, "errno", (uint64_t)t->error);
	return append(n, &ev, &f, x->owner);
}

int net_record_dns(const struct net *n, const char *decision, const struct net_ruling *r,
		   const char *name, const char *type, uint64_t repeated,
		   const struct net_owner *owner)
{
	struct fields f = {.n = 0};
	struct audit_event ev = {
		.op = "dns",
		.decision = decision,
		.verdict = r->d.verdict,
		.rule = r->d.rule ? r->d.rule : "",
		.message = r->message,
		/* a denial is no less true for being committed a moment later: nothing happened */
		.durability = AUDIT_RING,
	};

	if (!is_wanted(n, decision, &r->d))
		return NET_RECORD_LEFT_OUT;
	add_str(&f, "proto", "dns");
	add_str(&f, "host", name);
	add_str(&f, "qtype", type);
	add_str(&f, "reason", r->reason);
	add_u64(&f, "repeated", repeated);
	return append(n, &ev, &f, owner);
}

int net_record_packet(const struct net *n, const struct net_packet *p,
		      const struct net_owner *owner)
{
	char ip[NET_ADDR_TEXT];
	struct fields f = {.n = 0};
	struct audit_event ev = {
		.op = "packet",
		.decision = "deny",
		.verdict = VERDICT_DENY,
		.rule = "",
		.message = "only TCP and DNS leave the sandbox",
		.durability = AUDIT_RING,
	};

	net_name_of_addr(ip, &p->addr);
	add_str(&f, "proto", p->proto);
	add_str(&f, "ip", ip);
	add_u64(&f, "port", p->port);
	if (p->uid != UINT32_MAX)
		add(&f, AUDIT_F_U64("uid", p->uid));
	return append(n, &ev, &f, owner);
}
