/*
 * fs_redirect.h - names whose file is elsewhere: the verdict redirect
 *
 * A name is redirected when the policy redirects `create` or `write` of it. Its target is below a
 * directory of the host that was opened when the session began (redirect_to; the rule's file when
 * that is one). Once the target is there the name stands for it, whatever is asked: its node is
 * backed by the target. Until then reading sees what the governed tree has, and the first change
 * copies that to the target.
 *
 * Reach:  the target is opened below that directory's descriptor without following a link, so
 *         neither the agent's links nor a renamed directory lead anywhere else.
 * Source: docs/POLICY.md, redirect
 */
#ifndef FSGATE_FS_REDIRECT_H
#define FSGATE_FS_REDIRECT_H

#include "fsgate/fs_call.h"

struct fs_redirects; /* opaque: fs_redirect.c */

/** Open, and make where they are missing, the directories that the rules name. @return 0, -errno */
int fs_redirect_open(struct fs *fs, struct err *e);
void fs_redirect_close(struct fs *fs);

/** The nth of these directories, borrowed; -1 past the end. @param file  in it, or NULL: all of it */
int fs_redirect_dir(const struct fs *fs, size_t n, const char **file);

/**
 * Lookup: has the name a target?
 *
 * @param st  written when it has
 * @return an O_PATH descriptor of the target, the caller's; -ENOENT; -errno
 */
int fs_redirect_see(struct fs *fs, struct fs_node *dir, const char *name, struct stat *st);

/** The nth name that is only at its target, of the directory with this path; NULL past the end.
 *  The name is written to buf (NAME_MAX + 1 bytes). */
const char *fs_redirect_in(struct fs *fs, const char *dir, size_t n, char *buf);

/**
 * The policy redirects something of this call: may it be done at all, and to what is there?
 *
 * @return 0: act; -ESTALE: the target has just been made, the kernel has to look again; -errno:
 *         no, and c->answer says why
 */
int fs_redirect_before(struct fs_call *c);

/** create, mknod of a file. @return descriptor of the new target, or -errno */
int fs_redirect_make(struct fs_call *c, int flags);
/** @return 0 or -errno */
int fs_redirect_mkdir(struct fs_call *c);
/** The entry of a name whose target was just made. @return 0 or -errno */
int fs_redirect_entry(struct fs_call *c);

/** Is it about a name that stands for its target? Then the removal is of the target. */
void fs_redirect_judge_gone(struct fs_call *c, enum file_op op);
/** @param flags  of unlinkat(2) */
int fs_redirect_unlink(struct fs_call *c, int flags);

/**
 * Both names of a rename or link: sets c->steered when both are redirected by one rule and the file
 * is at its target. One redirected and one plain name are on two file systems: EXDEV.
 *
 * @return whether the call was judged here
 */
bool fs_redirect_judge_pair(struct fs_call *c, const struct fs_move *m, bool from_is_steered);
int fs_redirect_rename(struct fs_call *c);

#endif
