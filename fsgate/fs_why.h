/*
 * fs_why.h - what the agent may read about its own refusals: text for .agentsh/denials and policy
 *
 * Quotes:  names that the sandbox chose are data: JSON strings, cut at FS_WHY_TEXT bytes.
 * Not in:  what a rule hides (it would be a way to learn that it exists); who answers approvals;
 *          what the policy injects or refers to as a secret.
 * Threads: every function may be called from any.
 */
#ifndef FSGATE_FS_WHY_H
#define FSGATE_FS_WHY_H

#include <stddef.h>
#include <time.h>

#include "common/policy.h"
#include "fsgate/fs_call.h"

#define FS_WHY_KEPT 256u /**< denials; the oldest is forgotten first */
#define FS_WHY_TEXT 512u /**< bytes shown of one name or message */

struct fs_why; /* opaque: fs_why.c */

int fs_why_new(struct fs_why **out);
void fs_why_free(struct fs_why *w);

/** One refusal, in the words that are shown. All borrowed. */
struct fs_why_denial {
	const char *op, *path, *to, *rule, *message, *advice;
	int error;
	pid_t pid;
	const char *comm;
};

/** The same one again is counted, not kept twice. Without memory it is forgotten. */
void fs_why_add(struct fs_why *w, const struct fs_why_denial *d);

/** The call is refused with this errno: keep it, unless it must not be told. */
void fs_why_denied(struct fs_call *c, int error);

/**
 * Denials as JSON lines, oldest first.
 *
 * @param len   bytes; written on success
 * @return on the heap, the caller's; NULL on ENOMEM
 */
char *fs_why_denials(struct fs_why *w, size_t *len);

/** When the last denial was, and how many bytes fs_why_denials() would give. */
void fs_why_stat(struct fs_why *w, struct timespec *at, size_t *len);

/** The effective policy as one JSON object, a rule a line; on the heap, NULL on ENOMEM. */
char *fs_why_policy(const struct policy *p, size_t *len);

#endif
