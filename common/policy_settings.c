#include <string.h>

#include "common/policy_i.h"

/* What a policy says beside its rules. */

void policy_each_env_inject(const struct policy *p, policy_env_fn *fn, void *arg)
{
	struct image_span all = policy_header(p)->env_inject;

	for (uint32_t i = 0; i + 1 < all.n; i += 2)
		fn(arg, policy_item(p, all, i), policy_item(p, all, i + 1));
}

void policy_get_limits(struct policy_limits *out, const struct policy *p)
{
	const uint64_t *v = policy_header(p)->limits.values;

	*out = (struct policy_limits){
		.memory_max_bytes = v[0],
		.swap_max_bytes = v[1],
		.cpu_quota_percent = v[2],
		.pids_max = v[3],
		.command_timeout_ms = v[4],
		.session_timeout_ms = v[5],
		.idle_timeout_ms = v[6],
	};
}

void policy_get_audit(struct policy_audit *out, const struct policy *p)
{
	const struct image_audit *a = &policy_header(p)->audit;

	*out = (struct policy_audit){
		.log_allowed = a->log_allowed,
		.log_denied = a->log_denied,
		.log_outside_reads = a->log_outside_reads,
		.file_read = (enum policy_durability)a->durability[0],
		.file_write = (enum policy_durability)a->durability[1],
		.exec = (enum policy_durability)a->durability[2],
		.net = (enum policy_durability)a->durability[3],
		.deny = (enum policy_durability)a->durability[4],
		.retention_days = a->retention_days,
	};
}

void policy_get_trash(struct policy_trash *out, const struct policy *p)
{
	const struct image_trash *t = &policy_header(p)->trash;

	*out = (struct policy_trash){
		.ttl_ms = t->ttl_ms,
		.max_bytes = t->max_bytes,
		.max_count = t->max_count,
	};
}

const char *policy_section(const struct policy *p, const char *name)
{
	struct image_span all = policy_header(p)->sections;

	for (uint32_t i = 0; i + 1 < all.n; i += 2)
		if (strcmp(policy_item(p, all, i), name) == 0)
			return policy_item(p, all, i + 1);
	return NULL;
}

void policy_each_section(const struct policy *p, policy_env_fn *fn, void *arg)
{
	struct image_span all = policy_header(p)->sections;

	for (uint32_t i = 0; i + 1 < all.n; i += 2)
		fn(arg, policy_item(p, all, i), policy_item(p, all, i + 1));
}

uint32_t policy_count_rules(const struct policy *p, enum policy_kind kind)
{
	return (unsigned)kind < POLICY_KINDS ? policy_header(p)->rules[kind].n : 0;
}

uint32_t policy_file_features(const struct policy *p)
{
	struct image_span all = policy_header(p)->rules[POLICY_FILE];
	const struct image_rule *r = policy_at(p, all);
	uint32_t has = 0;

	for (uint32_t i = 0; i < all.n; i++) {
		has |= 1u << r[i].verdict;
		if (r[i].log == POLICY_LOG_FULL)
			has |= POLICY_HAS_FULL;
	}
	return has;
}

const char *policy_file_redirect(const struct policy *p, uint32_t index, bool *preserve)
{
	struct image_span all = policy_header(p)->rules[POLICY_FILE];
	const struct image_rule *r;

	if (index >= all.n)
		return NULL;
	r = (const struct image_rule *)policy_at(p, all) + index;
	if (r->verdict != VERDICT_REDIRECT)
		return NULL;
	if (preserve)
		*preserve = r->preserve_tree;
	return policy_str(p, r->redirect_to);
}

/* ---- what a command rule says beside its verdict ---- */

static const struct image_rule *command_rule(const struct policy *p, uint32_t index)
{
	struct image_span all = policy_header(p)->rules[POLICY_COMMAND];

	return index < all.n ? (const struct image_rule *)policy_at(p, all) + index : NULL;
}

static struct image_span list_of(const struct image_rule *r, enum policy_command_list list)
{
	switch (list) {
	case COMMAND_ARGS:
		return r->args;
	case COMMAND_ARGS_APPEND:
		return r->args_append;
	case COMMAND_ENVIRONMENT:
		return r->environment;
	case COMMAND_ENV_ALLOW:
		return r->env_allow;
	case COMMAND_ENV_DENY:
		return r->env_deny;
	}
	return (struct image_span){0, 0};
}

size_t policy_command_list_len(const struct policy *p, uint32_t index,
			       enum policy_command_list list)
{
	const struct image_rule *r = command_rule(p, index);

	return r ? list_of(r, list).n : 0;
}

const char *policy_command_list_get(const struct policy *p, uint32_t index,
				    enum policy_command_list list, size_t i)
{
	const struct image_rule *r = command_rule(p, index);

	return r && i < list_of(r, list).n ? policy_item(p, list_of(r, list), (uint32_t)i) : NULL;
}
