/*
 * exec_judge.h - ask the policy about everything that an exec would run; the strictest answer holds
 */
#ifndef EXECGATE_EXEC_JUDGE_H
#define EXECGATE_EXEC_JUDGE_H

#include "common/policy.h"
#include "execgate/exec_target.h"

struct exec_judgement {
	struct decision decision;
	struct policy_request request; /**< what the decision answers; borrows from the target */
};

/** @param j  always written; VERDICT_DENY unless every part may run */
void exec_judge(struct exec_judgement *j, const struct policy *policy, const struct exec_target *t,
		unsigned depth);

#endif
