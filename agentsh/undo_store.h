/*
 * undo_store.h - STATE/undo/SESSION: where fsgate keeps what a session changes
 *
 *   journal    frames of common/undo.h, by fsgate
 *   objects/   kept inodes and contents, by number
 *   undone     frames, by agentsh undo
 *   stage/     things on their way, during an undo
 */
#ifndef AGENTSH_UNDO_STORE_H
#define AGENTSH_UNDO_STORE_H

#include <limits.h>

#include "common/dirs.h"
#include "common/err.h"
#include "common/ipc.h"
#include "common/policy.h"

/** Path of a session's store. @return 0 or -ENAMETOOLONG */
int undo_store_path(char *out, size_t size, const struct dirs *dirs, const char *session);

/**
 * Make the store of a session that begins; an earlier one of the same name is kept as NAME~1, ...
 * Stores older than the policy's retention are removed.
 *
 * @param made  set when the policy wants a store
 */
int undo_store_make(bool *made, const struct dirs *dirs, const char *session,
		    const struct policy *p, struct err *e);

/** fsgate's keys: undo.dir, undo.required, undo.max_bytes, undo.max_file, undo.exclude.N */
int undo_store_put(struct ipc_msg *m, const struct dirs *dirs, const char *session,
		   const struct policy *p);

#endif
