#include <string.h>

#include "common/policy_i.h"
#include "common/regex.h"

/*
 * Which program is it? A rule that restricts (deny, approve, redirect, audit) holds for anything
 * that goes by the name: as invoked, as resolved, as applet, by any other name of the same file.
 * A rule that allows by a bare name holds only for a program of that name where the sandbox cannot
 * put one: a copy in the workspace may be called anything.
 */

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool any_alias(const struct policy_eval *ev, const struct image_rule *rule)
{
	const struct policy_request *r = ev->r;

	for (size_t i = 0; i < r->command.n_aliases; i++)
		if (policy_eval_names(ev->p, rule->names, base(r->command.aliases[i])))
			return true;
	return false;
}

static bool any_name(const struct policy_eval *ev, const struct image_rule *rule)
{
	const struct policy_request *r = ev->r;
	const struct policy *p = ev->p;

	return policy_eval_names(p, rule->names, base(r->command.invoked)) ||
	       policy_eval_names(p, rule->names, base(r->command.exe)) ||
	       (r->command.applet && policy_eval_names(p, rule->names, r->command.applet)) ||
	       any_alias(ev, rule);
}

static bool trusted_name(const struct policy_eval *ev, const struct image_rule *rule)
{
	const struct policy_request *r = ev->r;
	const struct policy *p = ev->p;

	if (!r->command.trusted_dir)
		return false;
	return policy_eval_names(p, rule->names, base(r->command.exe)) ||
	       (r->command.trusted_invoked &&
		policy_eval_names(p, rule->names, base(r->command.invoked))) ||
	       (r->command.applet && policy_eval_names(p, rule->names, r->command.applet)) ||
	       any_alias(ev, rule);
}

static bool any_glob(const struct policy_eval *ev, const struct image_rule *rule, const char *path)
{
	const struct policy_text t = policy_text_of(path);

	return policy_eval_globs(ev->p, rule, &t);
}

static bool any_path(const struct policy_eval *ev, const struct image_rule *rule)
{
	const struct policy_request *r = ev->r;
	bool found;

	if (!rule->globs.n)
		return false;
	found = policy_eval_globs(ev->p, rule, &ev->path) || any_glob(ev, rule, r->command.invoked);
	if (rule->verdict == VERDICT_ALLOW)
		return found;
	for (size_t i = 0; !found && i < r->command.n_aliases; i++)
		found = any_glob(ev, rule, r->command.aliases[i]);
	return found;
}

static bool names_program(struct policy_eval *ev, const struct image_rule *rule)
{
	if (rule->any_command || any_path(ev, rule))
		return true;
	ev->why = "no command of it is this program";
	if (!rule->names.n || !any_name(ev, rule))
		return false;
	if (rule->verdict != VERDICT_ALLOW || trusted_name(ev, rule))
		return true;
	ev->why = "it allows that name only where the sandbox cannot write";
	ev->untrusted = true;
	return false;
}

static bool args_match(struct policy_eval *ev, const struct image_rule *rule)
{
	const struct policy_request *r = ev->r;
	size_t skip = r->command.argc ? 1 : 0, which;
	int found;

	if (!rule->regexes.n)
		return true;
	ev->why = "no pattern of it is found in the arguments";
	found = regex_search_words(&which, ev->p->regexes + rule->regex_first, rule->regexes.n,
				   ev->p->scratch, r->command.argv + skip, r->command.argc - skip);
	ev->limit = found < 0;
	return found != 0;
}

bool policy_eval_command(struct policy_eval *ev, const struct image_rule *rule)
{
	ev->why = "it is for another depth";
	if (ev->r->command.depth < rule->min || ev->r->command.depth > rule->max)
		return false;
	return names_program(ev, rule) && args_match(ev, rule);
}
