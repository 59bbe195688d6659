/*
 * verdict.h - what a policy can say about a request
 */
#ifndef COMMON_VERDICT_H
#define COMMON_VERDICT_H

/** Zero is deny: memory that nobody set denies. */
enum verdict {
	VERDICT_DENY = 0,
	VERDICT_ALLOW,
	VERDICT_APPROVE,     /**< hold until a person answers; no answer is deny */
	VERDICT_AUDIT,	     /**< allow, and always record */
	VERDICT_REDIRECT,    /**< do something else instead, as the rule says */
	VERDICT_SOFT_DELETE, /**< deletes only: move to the trash */
	VERDICT_HIDE,	     /**< files only: ENOENT, not listed */
	VERDICT_ABSORB,	     /**< signals only: pretend success, deliver nothing */
};

#define VERDICT_COUNT 8

/** "deny", "allow", ... as written in a policy file. */
const char *verdict_name(enum verdict v);

/** @return 0 and *out, or -EINVAL when no verdict has that name */
int verdict_parse(enum verdict *out, const char *name);

#endif
