/*
 * exec_rig.h - execgate without a supervisor: a child under the filter, served in this process
 *
 * The policy is a list of names: a program that answers to "denied" or is called with "EVIL" as its
 * first argument is denied, "asked" needs an approval, everything else is allowed.
 */
#ifndef TESTS_EXEC_RIG_H
#define TESTS_EXEC_RIG_H

#include <stdbool.h>
#include <stddef.h>

#define RIG_EVENTS 64

struct rig_event {
	char op[16], decision[16], message[160], exe[256], interpreter[256], argv1[64], differs[16];
	size_t sha256_len;
	unsigned depth;
	long pid;
};

struct rig {
	char dir[256];	    /**< a fresh directory, writable */
	char denied[300];   /**< a program in it that the policy denies by name */
	int status;	    /**< wait status of the child */
	char err[4096];	    /**< what it and its gate wrote on its stderr */
	struct rig_event event[RIG_EVENTS];
	unsigned n_events;  /**< also beyond RIG_EVENTS */
	unsigned n_denied, n_mismatch;
	int audit_result;   /**< what audit_append returns */
	int commit_result;  /**< what audit_append_finish returns */
	bool approve;	    /**< answer to approvals */
	char asked[256];    /**< subject of the last approval */
};

/** The one rig of this process, made new. */
struct rig *rig_new(void);

/** Run fn(rig) in a child under the gate; its return value is the exit status. */
void rig_run(struct rig *r, int (*fn)(struct rig *r));

void rig_free(struct rig *r);

/** Exit status of the child, or -1. */
int rig_exit(const struct rig *r);

/** In the child: fork, exec, wait. @return exit status; 1000 + errno when exec failed, -1 killed */
int rig_spawn(const char *path, const char *const *argv);

void rig_copy(const char *from, const char *to);

#endif
