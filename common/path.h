/*
 * path.h - paths as text: joining and canonical form, without asking a file system
 */
#ifndef COMMON_PATH_H
#define COMMON_PATH_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Canonical text of an absolute path: no "//", no ".", ".." resolved textually, no trailing slash.
 *
 * @return 0, -EINVAL (not absolute, empty) or -ENAMETOOLONG
 */
int path_normalize(char *out, size_t size, const char *path);

/** dir + "/" + name, canonical; an absolute name replaces dir. */
int path_join(char *out, size_t size, const char *dir, const char *name);

/** True for dir itself and anything below it; both canonical. */
bool path_is_below(const char *path, const char *dir);

/** Last component, borrowed from path. */
const char *path_base(const char *path);

#endif
