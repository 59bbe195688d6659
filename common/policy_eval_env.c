#include <string.h>

#include "common/match.h"
#include "common/policy_i.h"

/* What an agent gets when the policy lists nothing. */
static const char *const usual[] = {"PATH", "LANG", "LANGUAGE", "LC_*", "TERM", "HOME", "USER",
				    "LOGNAME", "SHELL", "TZ", "COLORTERM", "NO_COLOR"};

/* Names that carry secrets, or that make a program load or run something. */
static const char *const sensitive[] = {
	"*_TOKEN", "*_TOKEN_*", "TOKEN", "*_KEY", "*_KEY_*", "*APIKEY*", "*SECRET*", "*PASSWORD*",
	"*PASSWD*", "*PASSPHRASE*", "*CREDENTIAL*", "AWS_*", "AZURE_*", "GCP_*", "GOOGLE_*",
	"DATABASE_URL", "*_DATABASE_URL", "REDIS_URL", "MONGODB_URI", "*_DSN", "PGPASSFILE",
	"SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS", "GIT_ASKPASS", "SUDO_ASKPASS",
	"GPG_AGENT_INFO", "KUBECONFIG", "DOCKER_HOST", "DOCKER_CONFIG", "NETRC",
	"DBUS_SESSION_BUS_ADDRESS", "XAUTHORITY", "LD_*", "GCONV_PATH", "BASH_ENV", "ENV",
	"BASH_FUNC_*", "PROMPT_COMMAND", "NODE_OPTIONS", "BUN_OPTIONS", "DENO_*", "PYTHONSTARTUP",
	"PYTHONPATH", "PYTHONHOME", "PERL5OPT", "PERL5LIB", "RUBYOPT", "RUBYLIB",
	"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "GIT_SSH", "GIT_SSH_COMMAND",
	"GIT_EXEC_PATH", "GIT_CONFIG*", "GIT_PROXY_COMMAND", "GIT_EXTERNAL_DIFF",
};

static bool in_table(const char *const *table, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (match_name(table[i], name))
			return true;
	return false;
}

static bool listed_exactly(const struct policy_request *r, const struct policy *p,
			   struct image_span allow)
{
	for (size_t i = 0; i < r->env.n_rule_allow; i++)
		if (strcmp(r->env.rule_allow[i], r->env.name) == 0)
			return true;
	for (uint32_t i = 0; i < allow.n && !r->env.n_rule_allow; i++)
		if (strcmp(policy_item(p, allow, i), r->env.name) == 0)
			return true;
	return false;
}

static bool listed(const struct policy_request *r, const struct policy *p, struct image_span allow)
{
	for (size_t i = 0; i < r->env.n_rule_allow; i++)
		if (match_name(r->env.rule_allow[i], r->env.name))
			return true;
	return !r->env.n_rule_allow && policy_eval_names(p, allow, r->env.name);
}

static bool name_is_sound(const char *name)
{
	return name && *name && !strchr(name, '=') && strlen(name) <= 256;
}

struct env_step {
	const char *rule;
	bool matched;
	enum verdict verdict;
	const char *why;
};

/* Deny wins; then exact allows; then what looks like a secret; then the allow list or the usual. */
void policy_eval_env(struct decision *d, const struct policy *p, const struct policy_request *r,
		     policy_trace_fn *fn, void *arg)
{
	struct image_span allow = policy_header(p)->env_allow, deny = policy_header(p)->env_deny;
	const char *name = r->env.name;
	bool has_list = allow.n || r->env.n_rule_allow;

	if (!name_is_sound(name))
		return;
	const struct env_step steps[] = {
		{"env_policy.deny", policy_eval_names(p, deny, name), VERDICT_DENY,
		 "no entry of it matches"},
		{"env_policy.allow", listed_exactly(r, p, allow), VERDICT_ALLOW,
		 "no entry of it names this one exactly"},
		{"env_secrets", in_table(sensitive, ARRAY_LEN(sensitive), name), VERDICT_DENY,
		 "the name does not look like a secret"},
		{"env_policy.allow", listed(r, p, allow), VERDICT_ALLOW, "no entry of it matches"},
		{"env_usual", !has_list && in_table(usual, ARRAY_LEN(usual), name), VERDICT_ALLOW,
		 has_list ? "there is an allow list" : "it is not one of the usual names"},
	};

	d->reason = REASON_DEFAULT;
	for (uint32_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (fn)
			fn(arg, i, steps[i].rule, steps[i].matched,
			   steps[i].matched ? "matches" : steps[i].why);
		if (!steps[i].matched)
			continue;
		d->verdict = steps[i].verdict;
		d->reason = REASON_RULE;
		d->rule = steps[i].rule;
		d->rule_index = i;
		return;
	}
}
