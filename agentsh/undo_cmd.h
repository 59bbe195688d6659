/*
 * undo_cmd.h - what agentsh diff and agentsh undo have in common
 */
#ifndef AGENTSH_UNDO_CMD_H
#define AGENTSH_UNDO_CMD_H

#include <stdio.h>

#include "agentsh/session.h"
#include "agentsh/undo_i.h"

struct undo_opts {
	char session[SESSION_NAME_MAX + 8]; /**< "last" is resolved */
	char workspace[PATH_MAX];	    /**< host path; "" when unknown */
	char **paths;			    /**< host paths; owned */
	size_t n_paths;
	bool has_to, json, force;
	uint64_t to; /**< record of the audit log */
};

/** Find the session and make paths absolute. @return 0 or -errno with e */
int undo_opts_init(struct undo_opts *o, const struct dirs *dirs, const char *session,
		   char *const *paths, struct err *e);
void undo_opts_free(struct undo_opts *o);

/** Load the journal up to the wanted record and compare. */
int undo_opts_load(struct undo_model **m, struct undo_changes *c, const struct undo_opts *o,
		   const struct dirs *dirs, struct err *e);

/** As people read it: below the workspace relative to it, control characters escaped. */
const char *undo_show(const struct undo_opts *o, const char *path, char *buf, size_t size);

/** "A", "D", "M", "R", "m" */
char undo_letter(const struct undo_change *c);

/** Contents of both sides. @return descriptor, or -errno (-ENOENT: there is none) */
int undo_open_then(struct undo_model *m, uint32_t inode);
int undo_open_now(struct undo_model *m, const struct undo_change *c);

/** Unified diff of two texts, without a header. @return lines added and removed, -1: too large */
struct undo_text_diff {
	unsigned added, removed;
	bool binary;
};
int undo_diff_text(struct undo_text_diff *out, FILE *to, const char *a, size_t a_len, const char *b,
		   size_t b_len);

#endif
