/*
 * regex.h - regular expressions with a bound on the work that one search may cost
 *
 * Syntax:  PCRE2 (pcre2pattern(3)). Subject and pattern are UTF-8, but invalid sequences in the
 *          subject do not fail: they match nothing but themselves. `.` matches a newline and `$`
 *          only the very end, so that no argument can hide behind a line break.
 * Threads: a struct regex is immutable; a struct regex_scratch may be shared: searches take one
 *          of its places, allocated beforehand, and wait when all are taken
 */
#ifndef COMMON_REGEX_H
#define COMMON_REGEX_H

#include <stddef.h>

#include "common/auto.h"
#include "common/err.h"

struct regex;
struct regex_scratch;

/** @return 0, -EINVAL (e says what is wrong and at which offset) or -ENOMEM */
int regex_new(struct regex **out, const char *pattern, struct err *e);
void regex_free(struct regex *re);
AUTO_DEFINE(struct regex *, regex_free)

/** Largest subject of regex_search_words(), in bytes. */
#define REGEX_SUBJECT_MAX (2u << 20)

int regex_scratch_new(struct regex_scratch **out);
void regex_scratch_free(struct regex_scratch *s);
AUTO_DEFINE(struct regex_scratch *, regex_scratch_free)

/**
 * Search for any of n patterns in the words joined by single spaces.
 *
 * @param which  written on a match or an exceeded limit: index of that pattern
 * @return 1 found, 0 not found, -E2BIG (a limit was exceeded: nobody knows), -EIO
 */
int regex_search_words(size_t *which, struct regex *const *patterns, size_t n,
		       struct regex_scratch *scratch, const char *const *words, size_t n_words);

#endif
