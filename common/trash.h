/*
 * trash.h - soft-deleted files: what is kept of one, on disk and in memory
 *
 * Store:  STATE/trash, 0700. An item is TOKEN.meta (text, see below) and for a regular file
 *         TOKEN.data, which is the very file or a copy with its attributes. Everything else (an
 *         empty directory, a symbolic link, a fifo, a socket) is described by the meta file alone.
 * Crash:  the meta file is written, in one write(2), before the data is there, the data is
 *         complete before the name goes: an item without its data was never deleted.
 * Text:   "agentsh-trash 1", then lines "key value"; paths escaped as str_add_escaped() does; "end"
 *         comes last, so that a cut file is not mistaken for a whole one.
 */
#ifndef COMMON_TRASH_H
#define COMMON_TRASH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "common/auto.h"

#define TRASH_TOKEN_LEN 12u

/** What took the file, or its content, away. */
enum trash_why {
	TRASH_DELETE = 0, /**< also rmdir */
	TRASH_REPLACE,	  /**< another file was renamed over it */
	TRASH_RENAME,	  /**< it was renamed to where the rule does not hold: a copy was kept */
	TRASH_TRUNCATE,	  /**< its content was cut: a copy was kept */
};

const char *trash_why_name(enum trash_why why);

struct trash_meta {
	char token[TRASH_TOKEN_LEN + 1];
	char session[65];
	char path[PATH_MAX]; /**< as the sandbox saw it */
	char root[PATH_MAX]; /**< host path of the governed tree that it was in */
	char rel[PATH_MAX];  /**< below root; "" is root itself, which is never deleted */
	char target[PATH_MAX]; /**< of a symbolic link */
	char rule[128];
	char comm[17];
	char sha256[65]; /**< hex, or "" */
	int64_t pid;
	enum trash_why why;
	mode_t mode; /**< with the type */
	uid_t uid;
	gid_t gid;
	off_t size;
	struct timespec atime, mtime;
	struct timespec deleted; /**< when: CLOCK_REALTIME */
	time_t expires;		 /**< 0: never */
	char *xattrs;		 /**< "xattr NAME HEX\n" lines, owned; NULL: none. Not of a regular
				      file: its data has them */
};

void trash_meta_free(struct trash_meta *m);

/** A new token: random hex digits. */
void trash_token(char out[TRASH_TOKEN_LEN + 1]);
bool trash_is_token(const char *text);

/** @return the text, the caller's, with its length in *len; NULL on ENOMEM */
char *trash_meta_format(const struct trash_meta *m, size_t *len);

/** @param m  written on success only; free with trash_meta_free(). @return 0, -EINVAL, -ENOMEM */
int trash_meta_parse(struct trash_meta *m, const char *text, size_t len);

/** Copy extended attributes (where both may have them), owner, mode, times. @return 0 or -errno */
int trash_copy_attr(int from, int to, const struct stat *st);

/** Extended attributes as lines of a meta file. @param path  "/proc/self/fd/N". @return 0, -errno */
int trash_xattrs_get(char **out, const char *path);
/** @param lines  may be NULL. @return 0 or -errno */
int trash_xattrs_set(const char *path, const char *lines);

#endif
