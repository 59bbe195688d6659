#include <string.h>

#include "common/match.h"
#include "common/policy_i.h"

/* ---- connections ---- */

static bool host_matches(const struct policy_eval *ev, const struct image_rule *rule)
{
	const char *host = ev->r->network.host ? ev->r->network.host : ev->addr;

	for (uint32_t i = 0; i < rule->names.n; i++)
		if (match_host(policy_item(ev->p, rule->names, i), host))
			return true;
	return rule->names.n == 0;
}

/* An IPv4 address in IPv6 clothes is judged as what it is. */
static struct policy_addr bare_addr(const struct policy_addr *addr)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct policy_addr out = *addr;

	if (addr->family == 6 && match_prefix(addr->bytes, mapped, 96)) {
		memset(&out, 0, sizeof(out));
		out.family = 4;
		memcpy(out.bytes, addr->bytes + 12, 4);
	}
	return out;
}

static bool in_cidrs(const struct policy_eval *ev, const struct image_rule *rule)
{
	struct policy_addr addr = bare_addr(&ev->r->network.addr);
	const struct image_cidr *c = policy_at(ev->p, rule->cidrs);

	for (uint32_t i = 0; i < rule->cidrs.n; i++)
		if (addr.family && c[i].family == addr.family &&
		    match_prefix(addr.bytes, c[i].bytes, c[i].bits))
			return true;
	return false;
}

static bool port_matches(const struct policy_eval *ev, const struct image_rule *rule)
{
	const struct image_ports *ports = policy_at(ev->p, rule->ports);
	uint16_t port = ev->r->network.port;

	for (uint32_t i = 0; i < rule->ports.n; i++)
		if (port >= ports[i].low && port <= ports[i].high)
			return true;
	return rule->ports.n == 0;
}

static bool method_matches(const struct policy_eval *ev, const struct image_rule *rule)
{
	const char *method = ev->r->network.method;

	for (uint32_t i = 0; i < rule->methods.n; i++) {
		const char *m = policy_item(ev->p, rule->methods, i);

		if (strcmp(m, "*") == 0 || strcasecmp(m, method) == 0)
			return true;
	}
	return rule->methods.n == 0;
}

/* Method and path, where the rule asks for them; unknown ones match nothing, and that is told. */
static bool http_matches(struct policy_eval *ev, const struct image_rule *rule)
{
	const char *path = ev->r->network.url_path;
	struct policy_text t;

	if ((rule->methods.n && !ev->r->network.method) || (rule->globs.n && !path)) {
		ev->why = "it asks for a method or path, which is not known";
		if (!ev->http_rule)
			ev->http_rule = policy_str(ev->p, rule->name);
		return false;
	}
	ev->why = "the method is none of its methods";
	if (!method_matches(ev, rule))
		return false;
	ev->why = "the URL path is none of its paths";
	if (!rule->globs.n)
		return true;
	t = policy_text_of(path);
	return policy_eval_globs(ev->p, rule, &t);
}

bool policy_eval_network(struct policy_eval *ev, const struct image_rule *rule)
{
	ev->why = "no domain of it matches";
	if (!host_matches(ev, rule))
		return false;
	ev->why = "the address is in none of its cidrs";
	if (rule->cidrs.n && !in_cidrs(ev, rule))
		return false;
	ev->why = "the port is none of its ports";
	if (!port_matches(ev, rule))
		return false;
	ev->why = "it is for another protocol";
	if (!(rule->ops & 1u << ev->r->network.proto))
		return false;
	return http_matches(ev, rule);
}

bool policy_eval_is_rebinding(const struct policy_eval *ev, const struct image_rule *rule)
{
	const struct policy_addr *addr = &ev->r->network.addr;

	return addr->family && match_is_private(addr->family, addr->bytes) &&
	       !(rule && in_cidrs(ev, rule));
}

/* ---- names ---- */

/*
 * Could some connection to this name be let through? Only a refusal without further conditions
 * settles it before a rule that grants. A grant by cidrs alone speaks of addresses: if it made
 * every name resolvable, looking names up would be a way out for data.
 */
static bool refuses_all(const struct image_rule *rule)
{
	return !rule->cidrs.n && !rule->ports.n && !rule->methods.n && !rule->globs.n &&
	       rule->ops & 1u << NET_TCP;
}

static const struct image_rule *name_rule(struct decision *d, const struct policy *p,
					  const char *host)
{
	struct policy_request r = {.kind = POLICY_NETWORK, .network = {.host = host}};
	struct policy_eval ev = {.p = p, .r = &r};
	const struct image_rule *rules = policy_at(p, policy_header(p)->rules[POLICY_NETWORK]);

	for (uint32_t i = 0; i < policy_header(p)->rules[POLICY_NETWORK].n; i++) {
		bool grants = policy_grants((enum verdict)rules[i].verdict);

		if (!host_matches(&ev, &rules[i]) || (!grants && !refuses_all(&rules[i])))
			continue;
		if (grants && !rules[i].names.n && rules[i].cidrs.n)
			continue;
		policy_eval_take(d, p, &rules[i], i);
		return &rules[i];
	}
	return NULL;
}

enum verdict policy_name_verdict(struct decision *d, const struct policy *p, const char *host)
{
	struct policy_request r = {.kind = POLICY_NETWORK, .network = {.host = host}};
	struct decision whole;

	/* the defaults, and whether the name can be judged at all */
	policy_decide(&whole, p, &r);
	*d = whole;
	if (whole.reason == REASON_MALFORMED)
		return d->verdict;
	if (!name_rule(d, p, host)) {
		d->verdict = policy_default(p, POLICY_NETWORK, false);
		d->reason = REASON_DEFAULT;
		d->rule = "default";
		d->message = d->redirect_to = "";
		d->rule_index = UINT32_MAX;
	}
	return d->verdict;
}

bool policy_name_is_exact(const struct policy *p, const char *host)
{
	struct decision d;
	const struct image_rule *rule = name_rule(&d, p, host);

	if (!rule || !policy_grants((enum verdict)rule->verdict))
		return false;
	for (uint32_t i = 0; i < rule->names.n; i++)
		if (strcmp(policy_item(p, rule->names, i), host) == 0)
			return true;
	return false;
}
