#include <string.h>

#include "common/match.h"
#include "common/path.h"
#include "common/policy_i.h"

/*
 * What the rules say about a whole tree. For the directory itself policy_decide() answers. For
 * everything below, the rules are walked once per operation: a rule that may match something there
 * adds its verdict to the set of possible ones; a rule that matches everything there ends the
 * walk. match_below() errs towards "may match", so a set with one verdict is a proof.
 */

#define OUTCOME_FULL_LOG (1u << VERDICT_COUNT) /* beside the verdicts: allowed, but recorded */

static unsigned outcome(enum verdict v, enum policy_log log)
{
	return 1u << v | (v == VERDICT_ALLOW && log == POLICY_LOG_FULL ? OUTCOME_FULL_LOG : 0);
}

/* Reach of every file rule below a directory; the same for all operations. */
struct tree {
	const struct policy *p;
	const struct image_rule *rules;
	uint32_t n;
	const char *const *except; /* trees in it that do not count, NULL-terminated; or NULL */
	char prefix[4096 + 2];
};

/* Can this pattern match in an excepted tree alone? "/a/b*" is not in /a/b, it also matches /a/bc. */
static bool is_excepted(const struct tree *t, const struct image_glob *g)
{
	const char *prefix = policy_str(t->p, g->prefix);

	for (size_t i = 0; t->except && t->except[i]; i++) {
		size_t len = strlen(t->except[i]);

		if (strncmp(prefix, t->except[i], len) == 0 &&
		    (prefix[len] == '/' || (!prefix[len] && g->kind == GLOB_LITERAL)))
			return true;
	}
	return false;
}

static enum match_reach rule_reach(const struct tree *t, const struct image_rule *rule)
{
	const struct image_glob *g = policy_at(t->p, rule->globs);
	enum match_reach reach = MATCH_NEVER;

	for (uint32_t i = 0; i < rule->globs.n && reach != MATCH_EVERY; i++) {
		enum match_reach one = MATCH_NEVER;

		if (!is_excepted(t, &g[i]))
			one = match_below(policy_str(t->p, g[i].text), t->prefix);
		if (one > reach)
			reach = one;
	}
	return reach;
}

static bool tree_init(struct tree *t, const struct policy *p, const char *dir)
{
	size_t len = strlen(dir);

	if (dir[0] != '/' || len + 2 > sizeof(t->prefix))
		return false;
	t->p = p;
	t->except = NULL;
	t->rules = policy_at(p, policy_header(p)->rules[POLICY_FILE]);
	t->n = policy_header(p)->rules[POLICY_FILE].n;
	memcpy(t->prefix, dir, len + 1);
	if (len > 1)
		memcpy(t->prefix + len, "/", 2);
	return true;
}

/* Possible outcomes of each operation below the directory. */
static void outcomes_below(unsigned out[FILE_OPS], const struct tree *t)
{
	uint32_t open = FILE_ALL_OPS; /* operations that no rule has settled yet */

	memset(out, 0, FILE_OPS * sizeof(*out));
	for (uint32_t i = 0; i < t->n && open; i++) {
		const struct image_rule *rule = &t->rules[i];
		uint32_t ops = rule->ops & open;
		enum match_reach reach = ops ? rule_reach(t, rule) : MATCH_NEVER;

		for (unsigned op = 0; op < FILE_OPS && reach != MATCH_NEVER; op++) {
			enum verdict v = (enum verdict)rule->verdict;

			if (!(ops & 1u << op))
				continue;
			out[op] |= outcome(v, (enum policy_log)rule->log);
		}
		if (reach == MATCH_EVERY)
			open &= ~ops;
	}
	for (unsigned op = 0; op < FILE_OPS; op++) {
		bool write = !(FILE_READ_OPS & 1u << op);

		if (open & 1u << op)
			out[op] |= 1u << policy_default(t->p, POLICY_FILE, write);
	}
}

static unsigned outcome_at(const struct policy *p, const char *path, enum file_op op)
{
	const struct policy_request r = {.kind = POLICY_FILE, .file = {path, op}};
	struct decision d;

	policy_decide(&d, p, &r);
	return outcome(d.verdict, d.log);
}

enum policy_subtree policy_subtree(const struct policy *p, const char *dir)
{
	return policy_subtree_except(p, dir, NULL);
}

enum policy_subtree policy_subtree_except(const struct policy *p, const char *dir,
					  const char *const *except)
{
	unsigned below[FILE_OPS], reads = 0, writes = 0;
	struct tree t;

	if (!tree_init(&t, p, dir))
		return SUBTREE_MIXED;
	t.except = except;
	outcomes_below(below, &t);
	for (unsigned op = 0; op < FILE_OPS; op++) {
		unsigned all = below[op] | outcome_at(p, dir, (enum file_op)op);

		if (FILE_READ_OPS & 1u << op)
			reads |= all;
		else
			writes |= all;
	}
	if (reads == 1u << VERDICT_ALLOW && writes == 1u << VERDICT_DENY)
		return SUBTREE_READ_ONLY;
	if (reads == 1u << VERDICT_DENY && writes == 1u << VERDICT_DENY)
		return SUBTREE_DENIED;
	if (reads == 1u << VERDICT_ALLOW && writes == 1u << VERDICT_ALLOW)
		return SUBTREE_ALLOWED;
	return SUBTREE_MIXED;
}

bool policy_may_read_below(const struct policy *p, const char *dir)
{
	const unsigned refusals = 1u << VERDICT_DENY | 1u << VERDICT_HIDE;
	unsigned below[FILE_OPS];
	struct tree t;

	if (!tree_init(&t, p, dir))
		return false;
	outcomes_below(below, &t);
	for (unsigned op = 0; op < FILE_OPS; op++)
		if (FILE_READ_OPS & 1u << op &&
		    (below[op] | outcome_at(p, dir, (enum file_op)op)) & ~refusals)
			return true;
	return false;
}

void policy_each_granted_prefix(const struct policy *p, policy_prefix_fn *fn, void *arg)
{
	const struct image_rule *rules = policy_at(p, policy_header(p)->rules[POLICY_FILE]);

	for (uint32_t i = 0; i < policy_header(p)->rules[POLICY_FILE].n; i++) {
		const struct image_glob *g = policy_at(p, rules[i].globs);
		enum verdict v = (enum verdict)rules[i].verdict;

		for (uint32_t j = 0; policy_grants(v) && j < rules[i].globs.n; j++)
			fn(arg, g[j].prefix_len ? policy_str(p, g[j].prefix) : "/",
			   g[j].kind == GLOB_LITERAL, v);
	}
}

void policy_each_command(const struct policy *p, policy_command_fn *fn, void *arg)
{
	const struct image_rule *rules = policy_at(p, policy_header(p)->rules[POLICY_COMMAND]);

	for (uint32_t i = 0; i < policy_header(p)->rules[POLICY_COMMAND].n; i++) {
		const struct image_glob *g = policy_at(p, rules[i].globs);
		enum verdict v = (enum verdict)rules[i].verdict;

		for (uint32_t j = 0; j < rules[i].names.n; j++)
			fn(arg, policy_item(p, rules[i].names, j), v);
		for (uint32_t j = 0; j < rules[i].globs.n; j++)
			if (g[j].kind == GLOB_LITERAL)
				fn(arg, policy_str(p, g[j].prefix), v);
	}
}
