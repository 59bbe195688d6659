#include <string.h>

#include "common/match.h"
#include "common/policy_i.h"

/*
 * Rules in order, the first that matches decides. A kind of request differs from another only in
 * what "matches" means and in its default.
 */

#define APPROVE_TIMEOUT_MS 300000u

/* ---- globs and names ---- */

/* memcmp(3) of a few bytes, without the call when they differ early, as they nearly always do. */
static inline bool is_same(const char *a, const char *b, size_t n)
{
	uint64_t x, y;
	uint32_t v, w;

	if (n >= sizeof(x)) {
		memcpy(&x, a, sizeof(x));
		memcpy(&y, b, sizeof(y));
		return x == y && (n == sizeof(x) || memcmp(a + sizeof(x), b + sizeof(x),
							   n - sizeof(x)) == 0);
	}
	if (n >= sizeof(v)) {
		memcpy(&v, a, sizeof(v));
		memcpy(&w, b, sizeof(w));
		if (v != w)
			return false;
		memcpy(&v, a + n - sizeof(v), sizeof(v));
		memcpy(&w, b + n - sizeof(w), sizeof(w));
		return v == w;
	}
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

/* The first known bytes of the prefix have been compared already. */
static bool glob_match(const struct policy *p, const struct image_glob *g,
		       const struct policy_text *t, uint32_t known)
{
	const char *path = t->path, *tail = path + t->len - g->tail_len;

	if (t->len < (size_t)g->prefix_len + g->tail_len ||
	    (g->prefix_len > known &&
	     !is_same(path + known, policy_str(p, g->prefix) + known, g->prefix_len - known)))
		return false;
	switch ((enum image_glob_kind)g->kind) {
	case GLOB_LITERAL:
		return t->len == g->prefix_len;
	case GLOB_BELOW:
		return t->len > g->prefix_len || g->prefix_len <= 1;
	case GLOB_BASE:
		return tail[-1] == '/' && is_same(tail, policy_str(p, g->tail), g->tail_len);
	case GLOB_GENERAL:
		return is_same(tail, policy_str(p, g->tail), g->tail_len) &&
		       match_path_plain(policy_str(p, g->rest), path + g->prefix_len);
	}
	return false;
}

bool policy_eval_globs(const struct policy *p, const struct image_rule *rule,
		       const struct policy_text *t)
{
	const struct image_glob *g = policy_at(p, rule->globs);
	const uint64_t starts = ~t->sums.starts, words = ~t->sums.words;

	if (!(t->sums.starts & policy_bits(rule->starts)) &&
	    !(t->sums.words & policy_bits(rule->words)))
		return false;
	if (t->len < rule->prefix_len ||
	    !is_same(t->path, policy_str(p, rule->prefix), rule->prefix_len))
		return false;
	for (uint32_t i = 0; i < rule->globs.n; i++)
		if (!(policy_bits(g[i].starts) & starts) && !(policy_bits(g[i].words) & words) &&
		    glob_match(p, &g[i], t, rule->prefix_len))
			return true;
	return false;
}

bool policy_eval_names(const struct policy *p, struct image_span names, const char *name)
{
	for (uint32_t i = 0; i < names.n; i++)
		if (match_name(policy_item(p, names, i), name))
			return true;
	return false;
}

/* ---- what a match means for each kind ---- */

static bool file_matches(struct policy_eval *ev, const struct image_rule *rule)
{
	if (!(rule->ops & 1u << ev->r->file.op)) {
		ev->why = "its operations do not include this one";
		return false;
	}
	ev->why = "no path of it matches";
	return policy_eval_globs(ev->p, rule, &ev->path);
}

static bool unix_matches(struct policy_eval *ev, const struct image_rule *rule)
{
	if (!(rule->ops & 1u << ev->r->unix_socket.op)) {
		ev->why = "its operations do not include this one";
		return false;
	}
	ev->why = "no path of it matches";
	return policy_eval_globs(ev->p, rule, &ev->path);
}

static bool signal_matches(struct policy_eval *ev, const struct image_rule *rule)
{
	uint64_t mask = (uint64_t)rule->signals_high << 32 | rule->signals_low;
	const struct policy_request *r = ev->r;

	ev->why = "its signals do not include this one";
	if (!(mask & 1ull << (r->signal.signo - 1)))
		return false;
	ev->why = "its target is another kind of process";
	if (rule->ops == SIGNAL_PROCESS)
		return r->signal.comm && policy_eval_names(ev->p, rule->names, r->signal.comm);
	if (rule->ops == SIGNAL_PID_RANGE)
		return r->signal.pid >= rule->min && r->signal.pid <= rule->max;
	return r->signal.relations & 1u << rule->ops;
}

static bool (*const matchers[POLICY_KINDS])(struct policy_eval *, const struct image_rule *) = {
	[POLICY_FILE] = file_matches,
	[POLICY_COMMAND] = policy_eval_command,
	[POLICY_NETWORK] = policy_eval_network,
	[POLICY_UNIX] = unix_matches,
	[POLICY_SIGNAL] = signal_matches,
};

/* ---- requests that cannot be judged ---- */

/* Absolute, and without the spellings that a rule could not have meant. */
static bool path_is_canonical(const char *path, struct policy_text *t)
{
	const char *p = path, *name;

	if (!p || *p != '/')
		return false;
	*t = (struct policy_text){.path = path};
	while (*p) {
		size_t n;

		for (name = ++p; *p && *p != '/'; p++)
			;
		n = (size_t)(p - name);
		if (n == 0) {
			t->len = 1;
			t->sums.starts = t->sums.words = 1; /* of nothing: never a rule's */
			return name == path + 1 && !*p;
		}
		if (name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.')))
			return false;
		t->sums.starts |= policy_start_bit((unsigned char)name[0],
						   n > 1 ? (unsigned char)name[1] : 0);
		t->sums.words |= policy_word_bit(name, n);
	}
	t->len = (size_t)(p - path);
	return true;
}

static bool host_is_plain(const char *host)
{
	size_t len = strlen(host);

	return len && len <= 253 && host[len - 1] != '.' &&
	       strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.:") == len;
}

static bool request_is_sound(struct policy_eval *ev)
{
	const struct policy_request *r = ev->r;

	switch (r->kind) {
	case POLICY_FILE:
		return (unsigned)r->file.op < FILE_OPS &&
		       path_is_canonical(r->file.path, &ev->path);
	case POLICY_COMMAND:
		return path_is_canonical(r->command.exe, &ev->path) && r->command.invoked &&
		       (r->command.argc == 0 || r->command.argv);
	case POLICY_NETWORK:
		if (r->network.addr.family != 0 && r->network.addr.family != 4 &&
		    r->network.addr.family != 6)
			return false;
		match_addr_text(ev->addr, r->network.addr.family, r->network.addr.bytes);
		return r->network.host ? host_is_plain(r->network.host)
				       : r->network.addr.family != 0;
	case POLICY_UNIX:
		if ((unsigned)r->unix_socket.op >= UNIX_OPS || !r->unix_socket.path)
			return false;
		ev->path = policy_text_of(r->unix_socket.path);
		return r->unix_socket.path[0] == '@' ||
		       path_is_canonical(r->unix_socket.path, &ev->path);
	case POLICY_SIGNAL:
		return r->signal.signo >= 1 && r->signal.signo <= 64;
	case POLICY_ENV:
	case POLICY_KINDS:
		break;
	}
	return false;
}

/* ---- defaults ---- */

enum verdict policy_default(const struct policy *p, enum policy_kind kind, bool write)
{
	const uint32_t *d = policy_header(p)->defaults;

	switch (kind) {
	case POLICY_FILE:
		return (enum verdict)d[write ? DEFAULT_FILE_WRITE : DEFAULT_FILE_READ];
	case POLICY_COMMAND:
		return (enum verdict)d[DEFAULT_COMMAND];
	case POLICY_NETWORK:
		return (enum verdict)d[DEFAULT_NETWORK];
	case POLICY_UNIX:
		return (enum verdict)d[DEFAULT_UNIX];
	case POLICY_SIGNAL:
		return (enum verdict)d[DEFAULT_SIGNAL];
	case POLICY_ENV:
	case POLICY_KINDS:
		break;
	}
	return VERDICT_DENY;
}

#define OWN_SESSION                                                                                \
	(1u << SIGNAL_SELF | 1u << SIGNAL_CHILDREN | 1u << SIGNAL_DESCENDANTS |                    \
	 1u << SIGNAL_SIBLINGS | 1u << SIGNAL_SESSION)

static enum verdict default_for(const struct policy *p, const struct policy_request *r)
{
	bool write = r->kind == POLICY_FILE && !(FILE_READ_OPS & 1u << r->file.op);

	if (r->kind == POLICY_SIGNAL && !policy_header(p)->signal_default_set &&
	    !(r->signal.relations & OWN_SESSION))
		return VERDICT_DENY;
	return policy_default(p, r->kind, write);
}

/* ---- the decision ---- */

static void decision_init(struct decision *d, enum verdict v, enum policy_reason reason)
{
	memset(d, 0, sizeof(*d));
	d->verdict = v;
	d->reason = reason;
	d->rule = "default";
	d->message = d->redirect_to = "";
	d->rule_index = UINT32_MAX;
	d->timeout_ms = APPROVE_TIMEOUT_MS;
}

void policy_eval_take(struct decision *d, const struct policy *p, const struct image_rule *rule,
		      uint32_t index)
{
	d->verdict = (enum verdict)rule->verdict;
	d->reason = REASON_RULE;
	d->rule = policy_str(p, rule->name);
	d->message = policy_str(p, rule->message);
	d->redirect_to = policy_str(p, rule->redirect_to);
	d->rule_index = index;
	d->timeout_ms = rule->timeout_ms;
	d->log = (enum policy_log)rule->log;
	d->tls = (enum policy_tls)rule->tls;
	d->preserve_tree = rule->preserve_tree;
}

/* What a rule's verdict means for this very request. */
static void refine(struct decision *d, const struct policy_eval *ev, const struct image_rule *rule)
{
	const struct policy_request *r = ev->r;

	if (ev->limit) {
		d->verdict = VERDICT_DENY;
		d->reason = REASON_REGEX_LIMIT;
	}
	if (r->kind == POLICY_NETWORK && policy_grants(d->verdict) &&
	    policy_eval_is_rebinding(ev, rule)) {
		d->verdict = VERDICT_DENY;
		d->reason = REASON_PRIVATE_ADDRESS;
	}
	/* what a soft-deleted file is worth it is worth only when it goes away */
	if (d->verdict == VERDICT_SOFT_DELETE && r->file.op != FILE_DELETE &&
	    r->file.op != FILE_RMDIR && r->file.op != FILE_RENAME)
		d->verdict = VERDICT_ALLOW;
}

/* @return the index of the first that matches, or their number */
static uint32_t first_rule(struct policy_eval *ev, const struct image_rule *rules,
			   policy_trace_fn *fn, void *arg)
{
	const enum policy_kind kind = ev->r->kind;
	const uint32_t n = policy_header(ev->p)->rules[kind].n;
	uint32_t i;

	for (i = 0; i < n; i++) {
		bool matched = matchers[kind](ev, &rules[i]);

		if (fn)
			fn(arg, i, policy_str(ev->p, rules[i].name), matched,
			   matched ? "matches" : ev->why);
		if (matched)
			break;
	}
	return i;
}

/* The same for files when nobody wants to know why: they are asked about most. */
static uint32_t first_file_rule(const struct policy_eval *ev, const struct image_rule *rules)
{
	const uint32_t n = policy_header(ev->p)->rules[POLICY_FILE].n;
	const uint32_t op = 1u << ev->r->file.op;
	uint32_t i;

	for (i = 0; i < n; i++)
		if (rules[i].ops & op && policy_eval_globs(ev->p, &rules[i], &ev->path))
			break;
	return i;
}

void policy_explain(struct decision *d, const struct policy *p, const struct policy_request *r,
		    policy_trace_fn *fn, void *arg)
{
	struct policy_eval ev = {.p = p, .r = r};
	const struct image_rule *rules;
	uint32_t i;

	decision_init(d, VERDICT_DENY, REASON_MALFORMED);
	if (r->kind == POLICY_ENV) {
		policy_eval_env(d, p, r, fn, arg);
		return;
	}
	if (!request_is_sound(&ev))
		return;
	rules = policy_at(p, policy_header(p)->rules[r->kind]);
	i = r->kind == POLICY_FILE && !fn ? first_file_rule(&ev, rules)
					  : first_rule(&ev, rules, fn, arg);
	if (i < policy_header(p)->rules[r->kind].n) {
		policy_eval_take(d, p, &rules[i], i);
		d->http_rule = ev.http_rule;
		refine(d, &ev, &rules[i]);
		return;
	}
	d->verdict = default_for(p, r);
	d->reason = REASON_DEFAULT;
	d->http_rule = ev.http_rule;
	if (ev.untrusted && d->verdict == VERDICT_DENY)
		d->reason = REASON_UNTRUSTED_DIR;
	refine(d, &ev, NULL);
}

void policy_decide(struct decision *d, const struct policy *p, const struct policy_request *r)
{
	policy_explain(d, p, r, NULL, NULL);
}
