#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agentsh/supervisor_i.h"
#include "common/auto.h"
#include "common/redact.h"

static size_t count_args(char *const *argv)
{
	size_t n = 0;

	while (argv[n])
		n++;
	return n;
}

/* A record of our own about the session. @param decision  "" for a plain fact */
static int record(struct supervisor *s, const char *op, const char *decision, const char *rule,
		  const struct audit_field *fields, size_t n)
{
	const struct audit_event ev = {
		.op = op,
		.decision = decision,
		.rule = rule,
		.message = "",
		.pid = getpid(),
		.comm = "agentsh",
		.fields = fields,
		.n_fields = n,
		.durability = AUDIT_RING,
	};

	return audit_append(s->producer, &ev);
}

static int record_dropped_env(struct supervisor *s)
{
	const struct env *env = s->args->env;
	const struct audit_field names =
		AUDIT_F_STRV("names", (const char *const *)env->dropped, env->n_dropped);

	return env->n_dropped ? record(s, "env_dropped", "deny", "env_policy", &names, 1) : 0;
}

int supervisor_record_start(struct supervisor *s, struct err *e)
{
	const struct supervisor_args *a = s->args;
	size_t n = count_args(a->argv);
	autofree const char **argv = redact_argv((const char *const *)a->argv, n);
	const char *mounts[PLAN_MOUNTS_MAX];
	const struct audit_field fields[] = {
		AUDIT_F_STRV("argv", argv, argv ? n : 0),
		AUDIT_F_STR("workspace", a->vars->workspace),
		AUDIT_F_STR("policy", policy_name(a->policy)),
		AUDIT_F_HEX("policy_sha256", (const char *)policy_digest(a->policy), 32),
		AUDIT_F_STR("mode", "isolate"),
		AUDIT_F_STR("mechanisms", "namespaces,fuse,nftables,seccomp-notify"),
		AUDIT_F_U64("uid", geteuid()),
		AUDIT_F_STR("version", PACKAGE_VERSION),
		AUDIT_F_STRV("mounts", mounts, a->n_mounts),
	};
	int r;

	for (size_t i = 0; i < a->n_mounts; i++)
		mounts[i] = a->mounts[i].at;
	r = record(s, "session_start", "", "", fields, ARRAY_LEN(fields) - (a->n_mounts == 0));

	if (r == 0)
		r = record_dropped_env(s);
	return r < 0 ? err_set(e, -r, "audit record of the session's start") : 0;
}

void supervisor_record_end(struct supervisor *s)
{
	const struct audit_field fields[] = {
		AUDIT_F_I64("status", s->status),
		AUDIT_F_STR("reason", s->end),
	};

	if (s->producer)
		record(s, "session_end", "", "", fields, ARRAY_LEN(fields));
}

void supervisor_summary(struct supervisor *s)
{
	uint64_t counts[VERDICT_COUNT] = {0};
	uint64_t steered;

	for (unsigned i = 0; i < GATE_COUNT; i++)
		audit_ring_counts(s->gates[i].ring, counts);
	steered = counts[VERDICT_REDIRECT] + counts[VERDICT_SOFT_DELETE] + counts[VERDICT_ABSORB] +
		  counts[VERDICT_HIDE];
	fprintf(stderr,
		"agentsh: session %s: %llu allowed, %llu denied, %u approvals answered, %llu steered; "
		"agentsh audit cat --session %s\n",
		s->args->session->name, (unsigned long long)counts[VERDICT_ALLOW],
		(unsigned long long)counts[VERDICT_DENY],
		s->broker ? broker_answered(s->broker) : 0, (unsigned long long)steered,
		s->args->session->name);
	if (counts[VERDICT_SOFT_DELETE])
		fprintf(stderr, "agentsh: what was deleted is kept: agentsh trash list --session %s\n",
			s->args->session->name);
}
