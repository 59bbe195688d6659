/*
 * session_policy.h - the policy that a session is to have
 */
#ifndef AGENTSH_SESSION_POLICY_H
#define AGENTSH_SESSION_POLICY_H

#include "agentsh/vars.h"
#include "common/dirs.h"
#include "common/policy.h"

/**
 * Given or not: a file, a pack (both: the file's rules come first), the user's own default, the pack
 * code-edit. Warnings are logged.
 */
int session_policy(struct policy **out, const char *file, const char *pack,
		   const struct dirs *dirs, const struct vars *vars, struct err *e);

/** @param out  65 bytes: the policy's digest in hexadecimal */
void session_policy_digest(char *out, const struct policy *policy);

#endif
