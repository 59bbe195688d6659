#include "execgate/exec_judge.h"

#include <string.h>

#include "common/auto.h"

/* Least to most permissive; what is not listed is not a verdict on commands and means deny. */
static const enum verdict by_strictness[] = {
	VERDICT_DENY, VERDICT_REDIRECT, VERDICT_APPROVE, VERDICT_AUDIT, VERDICT_ALLOW,
};

static size_t permissiveness(enum verdict v)
{
	for (size_t i = 0; i < ARRAY_LEN(by_strictness); i++)
		if (by_strictness[i] == v)
			return i;
	return 0;
}

static void ask(struct exec_judgement *j, const struct policy *policy, const struct exec_part *p,
		unsigned depth)
{
	struct policy_request *r = &j->request;

	memset(r, 0, sizeof(*r));
	r->kind = POLICY_COMMAND;
	r->command.invoked = p->file.invoked;
	r->command.exe = p->file.path;
	r->command.applet = p->applet;
	r->command.aliases = p->names.name;
	r->command.n_aliases = p->names.n;
	r->command.argv = p->argv;
	r->command.argc = p->argc;
	r->command.depth = depth;
	r->command.trusted_dir = p->file.trusted;
	policy_decide(&j->decision, policy, r);
}

void exec_judge(struct exec_judgement *j, const struct policy *policy, const struct exec_target *t,
		unsigned depth)
{
	ask(j, policy, &t->part[0], depth);
	for (unsigned i = 1; i < t->n_parts; i++) {
		struct exec_judgement other;

		/* an interpreter, or a program under a loader, is one level below what named it */
		ask(&other, policy, &t->part[i], depth);
		if (permissiveness(other.decision.verdict) < permissiveness(j->decision.verdict))
			*j = other;
	}
}
