#include "agentsh/env.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/str.h"

static int push(char ***list, size_t *n, char *s)
{
	char **more;

	if (!s)
		return -ENOMEM;
	more = realloc(*list, (*n + 2) * sizeof(*more));
	if (!more) {
		free(s);
		return -ENOMEM;
	}
	more[(*n)++] = s;
	more[*n] = NULL;
	*list = more;
	return 0;
}

static size_t find(const struct env *env, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->vars[i], name, len) == 0 && env->vars[i][len] == '=')
			return i;
	return env->n;
}

int env_set(struct env *env, const char *name, const char *value)
{
	size_t i = find(env, name);
	char *s = str_dupf("%s=%s", name, value);

	if (i == env->n)
		return push(&env->vars, &env->n, s);
	if (!s)
		return -ENOMEM;
	free(env->vars[i]);
	env->vars[i] = s;
	return 0;
}

const char *env_get(const struct env *env, const char *name)
{
	size_t i = find(env, name);

	return i == env->n ? NULL : env->vars[i] + strlen(name) + 1;
}

/* Our own variables steer agentsh, in any letter case: the agent gets none of the caller's. */
static bool is_ours(const char *name)
{
	return strncasecmp(name, "AGENTSH_", 8) == 0;
}

static int filter_one(struct env *env, const struct policy *p, const char *var)
{
	struct policy_request r = {.kind = POLICY_ENV};
	const char *eq = strchr(var, '=');
	autofree char *name = NULL;
	struct decision d;

	if (!eq || eq == var)
		return 0;
	name = strndup(var, (size_t)(eq - var));
	if (!name)
		return -ENOMEM;
	r.env.name = name;
	policy_decide(&d, p, &r);
	if (!is_ours(name) && (d.verdict == VERDICT_ALLOW || d.verdict == VERDICT_AUDIT))
		return push(&env->vars, &env->n, strdup(var));
	return push(&env->dropped, &env->n_dropped, steal_ptr(&name));
}

struct inject {
	struct env *env;
	int r;
};

static void inject_one(void *arg, const char *key, const char *value)
{
	struct inject *in = arg;

	if (in->r == 0)
		in->r = env_set(in->env, key, value);
}

static int give_one(struct env *env, const char *var, struct err *e)
{
	const char *eq = strchr(var, '=');
	autofree char *name = NULL;

	if (!eq || eq == var)
		return err_say(e, EINVAL, "--env %s: write NAME=VALUE", var);
	name = strndup(var, (size_t)(eq - var));
	if (!name || env_set(env, name, eq + 1) < 0)
		return err_set(e, ENOMEM, "environment");
	return 0;
}

int env_build(struct env **out, const struct policy *p, char *const *from, char *const *given,
	      size_t n_given, struct err *e)
{
	AUTO(env_free) struct env *env = calloc(1, sizeof(*env));
	struct inject in = {env, 0};

	if (!env)
		return err_set(e, ENOMEM, "environment");
	env->vars = calloc(1, sizeof(*env->vars));
	if (!env->vars)
		return err_set(e, ENOMEM, "environment");
	for (; *from; from++)
		if (filter_one(env, p, *from) < 0)
			return err_set(e, ENOMEM, "environment");
	policy_each_env_inject(p, inject_one, &in);
	if (in.r < 0)
		return err_set(e, -in.r, "env_inject");
	for (size_t i = 0; i < n_given; i++) {
		int r = give_one(env, given[i], e);

		if (r < 0)
			return r;
	}
	*out = steal_ptr(&env);
	return 0;
}

void env_free(struct env *env)
{
	if (!env)
		return;
	for (size_t i = 0; i < env->n; i++)
		free(env->vars[i]);
	for (size_t i = 0; i < env->n_dropped; i++)
		free(env->dropped[i]);
	free(env->vars);
	free(env->dropped);
	free(env);
}
