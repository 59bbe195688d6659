/*
 * session.h - one session's directory, its description on disk, and who else is alive
 *
 * RUNTIME/sessions/NAME/  lock (flock'ed while the supervisor lives), ctl.sock, generated files
 * STATE/sessions/NAME.json  what it was: survives the session
 */
#ifndef AGENTSH_SESSION_H
#define AGENTSH_SESSION_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "common/dirs.h"
#include "common/err.h"

#define SESSION_NAME_MAX 64

struct session {
	char name[SESSION_NAME_MAX + 1];
	char run_dir[PATH_MAX];
	char socket[PATH_MAX];
	char record[PATH_MAX]; /**< the JSON file */
	int lock;	       /**< owned; -1: not created */
};

/**
 * Create the directory and take the lock. Leftovers of sessions that died are removed.
 *
 * @param name  as the user gave it, or NULL: made up (time and random digits)
 * @return 0, -EINVAL (bad name), -EEXIST (a live session, or an earlier one, has it)
 */
int session_create(struct session *s, const struct dirs *dirs, const char *name, struct err *e);

/** What `session show` tells. Strings borrowed. */
struct session_facts {
	const char *workspace;
	const char *policy;
	const char *policy_digest; /**< hex */
	char *const *command;	   /**< NULL-terminated */
	const char *mode;
	const char *mount;	   /**< where `agentsh mount` shows it; NULL: a sandbox's session */
	time_t started;
	time_t ended; /**< 0: not yet */
	int status;   /**< exit status once ended */
	pid_t supervisor;
};

/** A session that could not say so itself has ended; nothing happens when its record says that. */
void session_mark_ended(const struct dirs *dirs, const char *name, int status);

int session_write(const struct session *s, const struct session_facts *f, struct err *e);

/** Process id of the supervisor that wrote a session's record, or -1. */
pid_t session_supervisor(const struct dirs *dirs, const char *name);

/** Remove the runtime directory and drop the lock. */
void session_end(struct session *s);

/** Remove a runtime directory with all that a session left in it. Not while the session runs. */
void session_remove(const char *run_dir);

/** Is a supervisor holding this session's lock? */
bool session_is_live(const struct dirs *dirs, const char *name);

/** Socket of a session by name. @return 0 or -ENAMETOOLONG */
int session_socket(char *out, size_t size, const struct dirs *dirs, const char *name);

/** Call fn for every live session. */
void session_each_live(const struct dirs *dirs, void (*fn)(void *arg, const char *name), void *arg);

bool session_name_ok(const char *name);

#endif
