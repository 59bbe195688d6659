#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/policy_i.h"

/* From one merged, checked document to an image. Nothing here can find a fault but ENOMEM. */

#define APPROVE_TIMEOUT_MS 300000u

static const char *get_text(const struct policy_node *map, const char *key)
{
	const struct policy_node *n = policy_get(map, key);

	return n && n->kind == NODE_SCALAR ? n->text : "";
}

static uint64_t get_count(const struct policy_node *map, const char *key)
{
	const struct policy_node *n = policy_get(map, key);
	int64_t v = 0;

	return n && policy_parse_int(&v, n) && v > 0 ? (uint64_t)v : 0;
}

static uint32_t get_u32(const struct policy_node *map, const char *key)
{
	uint64_t v = get_count(map, key);

	return v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
}

static bool get_bool(const struct policy_node *map, const char *key, bool unset)
{
	const struct policy_node *n = policy_get(map, key);
	bool v = unset;

	return n && policy_parse_bool(&v, n) ? v : unset;
}

static uint64_t get_duration(const struct policy_node *map, const char *key)
{
	uint64_t ms = 0;

	policy_parse_duration(&ms, get_text(map, key));
	return ms;
}

/* Which of the words a key has; 0 when it is not there. */
static uint32_t get_word(const struct policy_node *map, const char *key, const char *const *words)
{
	const char *text = get_text(map, key);

	for (uint32_t i = 0; words[i]; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	return 0;
}

static uint32_t get_verdict(const struct policy_node *map, const char *key, enum verdict unset)
{
	enum verdict v = unset;

	verdict_parse(&v, get_text(map, key));
	return v;
}

/* ---- parts of rules ---- */

static void build_common(struct builder *b, struct image_rule *r, const struct policy_node *node,
			 const char *section, size_t index)
{
	uint64_t timeout = get_duration(node, "timeout");
	const char *name = get_text(node, "name");
	char numbered[64];

	if (!*name) {
		snprintf(numbered, sizeof(numbered), "%s[%zu]", section, index);
		name = numbered;
	}
	memset(r, 0, sizeof(*r));
	r->name = policy_build_string(b, name);
	r->message = policy_build_string(b, get_text(node, "message"));
	r->verdict = get_verdict(node, "decision", VERDICT_DENY);
	r->timeout_ms = timeout ? (uint32_t)(timeout < UINT32_MAX ? timeout : UINT32_MAX)
				: APPROVE_TIMEOUT_MS;
	r->max = UINT32_MAX;
}

static void build_file(struct builder *b, struct image_rule *r, const struct policy_node *node)
{
	static const char *const logs[] = {"summary", "none", "full", NULL};
	const struct policy_node *ops = policy_get(node, "operations");

	policy_build_globs(b, r, policy_get(node, "paths"), false);
	r->redirect_to = policy_build_string(b, get_text(node, "redirect_to"));
	r->preserve_tree = get_bool(node, "preserve_tree", false);
	r->log = get_word(node, "log", logs);
	r->ops = ops && ops->n ? 0 : FILE_ALL_OPS;
	for (size_t i = 0; ops && i < ops->n; i++)
		r->ops |= policy_parse_file_op(ops->items[i]->text);
}

static void build_names(struct builder *b, struct image_rule *r, const struct policy_node *commands)
{
	autofree uint32_t *names = calloc(commands ? commands->n + 1 : 1, sizeof(*names));
	size_t n = 0;

	r->any_command = !commands || !commands->n;
	for (size_t i = 0; names && commands && i < commands->n; i++) {
		const struct policy_node *c = commands->items[i];

		if (c->kind != NODE_SCALAR || strchr(c->text, '/'))
			continue;
		if (strcmp(c->text, "*") == 0)
			r->any_command = true;
		names[n++] = policy_build_string(b, c->text);
	}
	b->failed |= !names;
	r->names = policy_build_table(b, names, n, sizeof(*names));
}

static void build_regexes(struct builder *b, struct image_rule *r, const struct policy_node *list)
{
	const struct policy_loader *l = b->l;

	/* the checks met the patterns of one list one after the other */
	r->regexes = policy_build_strings(b, list);
	for (unsigned i = 0; list && list->n && i < l->n_regexes; i++) {
		if (l->regex_nodes[i] == list->items[0]) {
			r->regex_first = i;
			return;
		}
	}
}

static void build_command(struct builder *b, struct image_rule *r, const struct policy_node *node)
{
	const struct policy_node *to = policy_get(node, "redirect_to");

	build_names(b, r, policy_get(node, "commands"));
	policy_build_globs(b, r, policy_get(node, "commands"), true);
	build_regexes(b, r, policy_get(node, "args_patterns"));
	policy_parse_context(&r->min, &r->max, policy_get(node, "context"));
	r->redirect_to = policy_build_string(b, get_text(to, "command"));
	r->args = policy_build_strings(b, policy_get(to, "args"));
	r->args_append = policy_build_strings(b, policy_get(to, "args_append"));
	r->environment = policy_build_pairs(b, policy_get(to, "environment"));
	r->env_allow = policy_build_strings(b, policy_get(node, "env_allow"));
	r->env_deny = policy_build_strings(b, policy_get(node, "env_deny"));
	r->env_max_bytes = get_u32(node, "env_max_bytes");
	r->env_max_keys = get_u32(node, "env_max_keys");
	r->env_block_iteration = get_bool(node, "env_block_iteration", false);
}

static void build_cidrs(struct builder *b, struct image_rule *r, const struct policy_node *list)
{
	autofree struct image_cidr *items = calloc(list ? list->n + 1 : 1, sizeof(*items));
	size_t n = 0;

	b->failed |= !items;
	for (size_t i = 0; items && list && i < list->n; i++, n++) {
		struct policy_addr addr;
		unsigned bits = 0;

		if (!policy_parse_cidr(&addr, &bits, list->items[i]->text))
			continue;
		items[n].family = addr.family;
		items[n].bits = (uint8_t)bits;
		memcpy(items[n].bytes, addr.bytes, sizeof(addr.bytes));
	}
	r->cidrs = policy_build_table(b, items, n, sizeof(*items));
}

static void build_ports(struct builder *b, struct image_rule *r, const struct policy_node *list)
{
	autofree struct image_ports *items = calloc(list ? list->n + 1 : 1, sizeof(*items));

	b->failed |= !items;
	for (size_t i = 0; items && list && i < list->n; i++)
		policy_parse_ports(&items[i].low, &items[i].high, list->items[i]->text);
	r->ports = policy_build_table(b, items, list ? list->n : 0, sizeof(*items));
}

static void build_network(struct builder *b, struct image_rule *r, const struct policy_node *node)
{
	static const char *const protocols[] = {"any", "tcp", "udp", NULL};
	static const char *const tls[] = {"", "inspect", "passthrough", NULL};
	static const uint32_t masks[] = {1u << NET_TCP | 1u << NET_UDP, 1u << NET_TCP,
					 1u << NET_UDP};
	const struct policy_node *domains = policy_get(node, "domains");
	const struct policy_node *paths = policy_get(node, "paths");

	if (!domains)
		domains = policy_get(node, "destinations");
	r->names = policy_build_strings(b, domains);
	build_cidrs(b, r, policy_get(node, "cidrs"));
	build_ports(b, r, policy_get(node, "ports"));
	r->ops = masks[get_word(node, "protocol", protocols)];
	r->redirect_to = policy_build_string(b, get_text(node, "redirect_to"));
	r->tls = get_word(node, "tls", tls);
	r->methods = policy_build_strings(b, policy_get(node, "methods"));
	policy_build_globs(b, r, paths, false);
}

static void build_unix(struct builder *b, struct image_rule *r, const struct policy_node *node)
{
	const struct policy_node *ops = policy_get(node, "operations");

	policy_build_globs(b, r, policy_get(node, "paths"), false);
	r->ops = ops && ops->n ? 0 : (1u << UNIX_OPS) - 1;
	for (size_t i = 0; ops && i < ops->n; i++)
		r->ops |= policy_parse_unix_op(ops->items[i]->text);
}

static void build_signal(struct builder *b, struct image_rule *r, const struct policy_node *node)
{
	const struct policy_node *signals = policy_get(node, "signals");
	const struct policy_node *target = policy_get(node, "target");
	uint32_t pattern = policy_build_string(b, get_text(target, "pattern"));
	uint64_t mask = 0;

	for (size_t i = 0; signals && i < signals->n; i++)
		mask |= policy_parse_signals(signals->items[i]->text);
	r->signals_low = (uint32_t)mask;
	r->signals_high = (uint32_t)(mask >> 32);
	r->ops = (uint32_t)policy_parse_signal_target(get_text(target, "type"));
	r->min = get_u32(target, "min");
	r->max = policy_get(target, "max") ? get_u32(target, "max") : UINT32_MAX;
	r->redirect_to = policy_build_string(b, get_text(node, "redirect_to"));
	if (pattern)
		r->names = policy_build_table(b, &pattern, 1, sizeof(pattern));
}

static const struct {
	const char *key;
	enum policy_kind kind;
	void (*build)(struct builder *b, struct image_rule *r, const struct policy_node *node);
} sections[] = {
	{"file_rules", POLICY_FILE, build_file},
	{"command_rules", POLICY_COMMAND, build_command},
	{"network_rules", POLICY_NETWORK, build_network},
	{"unix_socket_rules", POLICY_UNIX, build_unix},
	{"signal_rules", POLICY_SIGNAL, build_signal},
};

static bool rule_can_apply(const struct image_rule *r, const struct policy_node *node,
			   enum policy_kind kind)
{
	/* every path of the rule was of another operating system */
	if (kind == POLICY_FILE || kind == POLICY_UNIX)
		return r->globs.n > 0;
	if (kind == POLICY_COMMAND)
		return r->any_command || r->names.n || r->globs.n;
	return node != NULL;
}

static void build_rules(struct builder *b, struct image_header *h, const struct policy_node *root)
{
	for (size_t s = 0; s < ARRAY_LEN(sections); s++) {
		const struct policy_node *list = policy_get(root, sections[s].key);
		autofree struct image_rule *rules = NULL;
		size_t n = 0;

		if (!list || !list->n)
			continue;
		rules = calloc(list->n, sizeof(*rules));
		b->failed |= !rules;
		for (size_t i = 0; rules && i < list->n && !b->failed; i++) {
			build_common(b, &rules[n], list->items[i], sections[s].key, i);
			sections[s].build(b, &rules[n], list->items[i]);
			n += rule_can_apply(&rules[n], list->items[i], sections[s].kind);
		}
		h->rules[sections[s].kind] = policy_build_table(b, rules, n, sizeof(*rules));
	}
}

/* ---- settings ---- */

static void build_settings(struct builder *b, struct image_header *h,
			   const struct policy_node *root)
{
	const struct policy_node *d = policy_get(root, "defaults");
	const struct policy_node *lim = policy_get(root, "resource_limits");
	const struct policy_node *env = policy_get(root, "env_policy");
	const uint64_t mib = 1u << 20;

	h->name = policy_build_string(b, get_text(root, "name"));
	h->description = policy_build_string(b, get_text(root, "description"));
	h->defaults[DEFAULT_FILE_READ] = get_verdict(d, "file_read", VERDICT_ALLOW);
	h->defaults[DEFAULT_FILE_WRITE] = get_verdict(d, "file_write", VERDICT_DENY);
	h->defaults[DEFAULT_COMMAND] = get_verdict(d, "command", VERDICT_DENY);
	h->defaults[DEFAULT_NETWORK] = get_verdict(d, "network", VERDICT_DENY);
	h->defaults[DEFAULT_UNIX] = get_verdict(d, "unix_socket", VERDICT_DENY);
	h->defaults[DEFAULT_SIGNAL] = get_verdict(d, "signal", VERDICT_ALLOW);
	h->signal_default_set = policy_get(d, "signal") != NULL;
	h->env_allow = policy_build_strings(b, policy_get(env, "allow"));
	h->env_deny = policy_build_strings(b, policy_get(env, "deny"));
	h->env_inject = policy_build_pairs(b, policy_get(root, "env_inject"));
	h->limits = (struct image_limits){{
		get_count(lim, "max_memory_mb") * mib,
		get_count(lim, "memory_swap_max_mb") * mib,
		get_count(lim, "cpu_quota_percent"),
		get_count(lim, "pids_max"),
		get_duration(lim, "command_timeout"),
		get_duration(lim, "session_timeout"),
		get_duration(lim, "idle_timeout"),
	}};
}

static void build_audit(struct image_header *h, const struct policy_node *root)
{
	static const char *const classes[] = {"file_read", "file_write", "exec", "net", "deny"};
	static const char *const words[] = {"default", "ring", "commit", NULL};
	const struct policy_node *audit = policy_get(root, "audit");
	const struct policy_node *durability = policy_get(audit, "durability");

	h->audit.log_allowed = get_bool(audit, "log_allowed", true);
	h->audit.log_denied = get_bool(audit, "log_denied", true);
	h->audit.log_outside_reads = get_bool(audit, "log_outside_reads", false);
	h->audit.retention_days = get_u32(audit, "retention_days");
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		h->audit.durability[i] = get_word(durability, classes[i], words);
}

static void build_trash(struct image_header *h, const struct policy_node *root)
{
	const struct policy_node *trash = policy_get(root, "trash");
	const uint64_t week_ms = 7ull * 24 * 3600 * 1000;

	h->trash.ttl_ms = policy_get(trash, "ttl") ? get_duration(trash, "ttl") : week_ms;
	h->trash.max_bytes = get_count(trash, "max_mb") << 20;
	h->trash.max_count = get_u32(trash, "max_count");
}

/* Every section as JSON, for gates and commands that read more of it than the image has. */
static void build_sections(struct builder *b, struct image_header *h,
			   const struct policy_node *root)
{
	autofree uint32_t *items = calloc(root->n + 1, 2 * sizeof(*items));
	size_t n = 0;

	b->failed |= !items;
	for (size_t i = 0; i < root->n && !b->failed; i++) {
		autofree char *text = NULL;
		size_t len = 0;
		FILE *f;

		if (strcmp(root->keys[i]->text, "extends") == 0)
			continue;
		f = open_memstream(&text, &len);
		if (f)
			policy_json_write(f, root->items[i]);
		if (!f || fclose(f) != 0) {
			b->failed = true;
			return;
		}
		items[n++] = policy_build_string(b, root->keys[i]->text);
		items[n++] = policy_build_string(b, text);
	}
	h->sections = policy_build_table(b, items, n, sizeof(*items));
}

int policy_compile(uint8_t **out, size_t *size, struct policy_loader *l,
		   const struct policy_node *root)
{
	struct image_header h = {0};
	struct builder b;
	int r = -ENOMEM;

	if (policy_build_init(&b, l)) {
		autofree uint32_t *regexes = calloc(l->n_regexes + 1, sizeof(*regexes));

		b.failed |= !regexes;
		for (unsigned i = 0; regexes && i < l->n_regexes; i++)
			regexes[i] = policy_build_string(&b, l->regex_nodes[i]->text);
		h.regexes = policy_build_table(&b, regexes, l->n_regexes, sizeof(*regexes));
		build_rules(&b, &h, root);
		build_settings(&b, &h, root);
		build_audit(&h, root);
		build_trash(&h, root);
		build_sections(&b, &h, root);
		r = policy_build_finish(out, size, &b, &h);
	}
	policy_build_deinit(&b);
	return r;
}
