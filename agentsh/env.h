/*
 * env.h - the agent's environment: what the policy lets through of the caller's, and what it adds
 */
#ifndef AGENTSH_ENV_H
#define AGENTSH_ENV_H

#include <stddef.h>

#include "common/auto.h"
#include "common/err.h"
#include "common/policy.h"

struct env {
	char **vars; /**< NULL-terminated NAME=VALUE, owned */
	size_t n;
	char **dropped; /**< names only, owned */
	size_t n_dropped;
};

/**
 * Filter, then inject, then set what the user gave with --env (which wins).
 *
 * @param from   the caller's environ
 * @param given  NAME=VALUE strings, n_given of them
 */
int env_build(struct env **out, const struct policy *p, char *const *from, char *const *given,
	      size_t n_given, struct err *e);

/** Set NAME to VALUE, replacing an earlier one. */
int env_set(struct env *env, const char *name, const char *value);

/** Borrowed value, or NULL. */
const char *env_get(const struct env *env, const char *name);

void env_free(struct env *env);
AUTO_DEFINE(struct env *, env_free)

#endif
