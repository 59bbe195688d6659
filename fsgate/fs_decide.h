/*
 * fs_decide.h - what the policy says about one request that may ask for several things
 *
 * Pure:    no I/O, no allocation; every answer comes from policy_decide()
 * Combine: the strictest answer decides: hide, deny, approve, redirect, soft_delete, audit, allow
 */
#ifndef FSGATE_FS_DECIDE_H
#define FSGATE_FS_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/policy.h"

enum fs_effect {
	FS_DENY = 0, /**< EACCES */
	FS_ALLOW,
	FS_RECORD, /**< allow, and record whatever the settings say */
	FS_KEEP,   /**< the same, and what goes away is kept (fs_trash.h) */
	FS_REDIRECT, /**< the same, at another place (fs_redirect.h); never of what only looks */
	FS_HOLD,   /**< ask a person */
	FS_HIDE,   /**< ENOENT */
};

/** May op be done to path? */
struct fs_question {
	enum file_op op;
	const char *path; /**< sandbox path */
	/**
	 * Goes with another question (open with read, for one): only a rule that says no counts, not
	 * a default that nobody lifted for this operation too.
	 */
	bool minor;
};

struct fs_answer {
	enum fs_effect effect;
	struct decision d;	/**< the one that decided */
	enum file_op op;	/**< what it was asked about */
	const char *path;	/**< borrowed from the question */
	bool unlogged;		/**< every combined answer's rule says log: none */
	bool redirect;		/**< one of the combined answers was to redirect */
	int error;		/**< what the caller gets when denied; 0: EACCES */
	const char *missing;	/**< the policy wants this mechanism, which is not there; or NULL */
};

/** @param a  always written */
void fs_decide(struct fs_answer *a, const struct policy *p, const struct fs_question *q, size_t n);

/** A file gets another name: by rename or by link. */
struct fs_move {
	const char *from, *to;
	enum file_op op;   /**< FILE_RENAME or FILE_LINK: asked for both names */
	bool replaces;	   /**< something has the new name: it is deleted */
	bool replaces_dir; /**< and it is a directory */
};

/**
 * Both names, what is replaced, and: the file must not become readable, writable or executable by
 * its new name, nor appear where the policy lets nothing be created.
 */
void fs_decide_move(struct fs_answer *a, const struct policy *p, const struct fs_move *m);

/**
 * Do the same rules hold for both names, whatever is done? Then a file that goes along with its
 * directory is protected after the move by what protected it before. A file that may not even be
 * read stays where it is: then this is false.
 */
bool fs_decide_same(const struct policy *p, const char *from, const char *to);

/** Keep the stricter of both answers in a. */
void fs_decide_merge(struct fs_answer *a, const struct fs_answer *b);

/** May this directory or file be seen: stat allowed, or a directory on the way to what is readable? */
void fs_decide_look(struct fs_answer *a, const struct policy *p, const char *path, bool is_dir);

/** Does the entry appear in a listing? */
bool fs_decide_listed(const struct policy *p, const char *path, bool is_dir);

/** A refusal that comes from a rule of fsgate itself, not of the policy. */
void fs_decide_refuse(struct fs_answer *a, enum file_op op, const char *path, const char *rule,
		      const char *message);

#endif
