#include "agentsh/session_plan.h"

#include <errno.h>
#include <string.h>

#include "agentsh/outside.h"
#include "common/auto.h"
#include "common/log.h"

/* A policy that grants nothing there has not thought of worktrees: that is no reason to stop. */
static bool wants_repository(const struct session_plan_args *a)
{
	const char *dir = a->vars->git_common;

	if (!dir[0])
		return false;
	for (size_t i = 0; i < a->n_mounts; i++)
		if (strcmp(a->mounts[i].at, dir) == 0)
			return false;
	if (policy_may_read_below(a->policy, dir))
		return true;
	log_warn("git will not work here: the policy grants nothing in %s, the repository of this "
		 "worktree; give it rules with ${GIT_COMMON_DIR:-/nonexistent}", dir);
	return false;
}

int session_plan(struct plan **out, const struct session_plan_args *a, struct err *e)
{
	const char *const forbidden[] = {a->dirs->state, a->dirs->runtime, a->dirs->config, NULL};
	const struct vars *v = a->vars;
	struct policy_audit audit;
	struct plan_mount mounts[PLAN_MOUNTS_MAX];
	struct plan_args pa = {
		.policy = a->policy,
		.workspace = v->workspace,
		.mount_at = strcmp(v->seen_as, v->workspace) != 0 ? v->seen_as : NULL,
		.mounts = mounts,
		.n_mounts = a->n_mounts,
		.home = v->home[0] ? v->home : NULL,
		.forbidden = forbidden,
		.run_dir = a->session->run_dir,
		.resolver = SESSION_RESOLVER4,
		.hostname = a->hostname,
	};

	policy_get_audit(&audit, a->policy);
	pa.govern_reads = audit.log_outside_reads && !outside_possible();
	if (a->n_mounts >= PLAN_MOUNTS_MAX)
		return err_say(e, E2BIG, "--mount: at most %u times", PLAN_MOUNTS_MAX - 1);
	for (size_t i = 0; i < a->n_mounts; i++)
		mounts[i] = a->mounts[i];
	if (wants_repository(a))
		mounts[pa.n_mounts++] =
			(struct plan_mount){"the repository", v->git_common, v->git_common, false};
	return plan_build(out, &pa, e);
}
