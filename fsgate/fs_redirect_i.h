/*
 * fs_redirect_i.h - inside redirection: fs_redirect.c (rules, targets, lists),
 *                   fs_redirect_act.c (what is done to a redirected name)
 */
#ifndef FSGATE_FS_REDIRECT_I_H
#define FSGATE_FS_REDIRECT_I_H

#include "fsgate/fs_redirect.h"

struct fs_redirect_rule {
	uint32_t index; /* of the policy's file rule */
	int dir;
	char *file; /* in dir, when redirect_to is a file; else NULL */
	const char *shown; /* redirect_to, the policy's */
	bool preserve;
};

/* Where a name leads. */
struct fs_redirect_target {
	const struct fs_redirect_rule *rule;
	char rel[PATH_MAX]; /* below rule->dir */
};

/** Where does the name lead? @return false: nowhere */
bool fs_redirect_i_find(const struct fs *fs, const char *path, struct fs_redirect_target *t);
/** The rule that redirects the name, or NULL. */
const struct fs_redirect_rule *fs_redirect_i_rule(const struct fs *fs, const char *path);
/** Is its target there? */
bool fs_redirect_i_has(const struct fs *fs, const char *path);

/**
 * The directory that rel's last component is in, below at; no link is followed.
 *
 * @param mode  of directories that are missing; 0: they are not made
 * @param last  written: that component, in rel
 * @return descriptor or -errno
 */
int fs_redirect_i_walk(int at, const char *rel, mode_t mode, const char **last);

/** The host's name of a target, for the record. */
void fs_redirect_i_show(const struct fs_redirect_target *t, char *buf, size_t size);

/** The name has to be listed, although the governed tree does not have it. */
void fs_redirect_i_remember(struct fs *fs, const char *path);

#endif
