/*
 * fs_record.h - what of a call goes into the audit chain
 *
 * Recorded:     every denied, audited or approved operation; every change; opens for reading
 *               unless the rule says log: none or the policy's audit.log_allowed is off
 * Not recorded: attributes and lookups that are allowed
 */
#ifndef FSGATE_FS_RECORD_H
#define FSGATE_FS_RECORD_H

#include "fsgate/fs_call.h"
#include "fsgate/fs_who.h"

struct fs_recent; /* opaque: which denials were recorded a moment ago */

int fs_record_new(struct fs_recent **out);
void fs_record_free(struct fs_recent *r);

/** Does the call, as answered, need a record? */
bool fs_record_wanted(struct fs_call *c);

/**
 * @param decision  "allow", "deny", or "" for how an allowed operation went
 * @param error     errno that the caller gets, 0 for none
 * @return 0, or -errno: the operation must not happen
 */
int fs_record_call(struct fs_call *c, const char *decision, int error);

/** What happened to a file while it was open for writing. */
struct fs_written {
	uint64_t bytes;
	bool passed;		 /**< unseen: then the sizes are known instead of bytes */
	off_t size_before, size; /**< at open and at close */
};

/** A file that was written to is closed: how much, and by whom it had been opened. */
void fs_record_close(struct fs *fs, const struct fs_who_is *who, const char *path,
		     const struct fs_written *w);

/** One read or write of a file with log: full. */
struct fs_io {
	const char *op, *path, *rule;
	off_t offset;
	uint64_t bytes;
	struct fs_who_is who;
};

/** @return 0 or -errno: it must not happen */
int fs_record_io(struct fs *fs, const struct fs_io *io);

/** Something about the gate itself that an auditor should know. */
void fs_record_note(struct fs *fs, const char *op, const char *message);

/** The message of the call's decision, expanded. */
void fs_record_message(const struct fs_call *c, char *buf, size_t size);

#endif
