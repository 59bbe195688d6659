/*
 * exec_alias.h - the other names that a program answers to
 *
 * At start every command that a deny, approve, redirect or audit rule names is looked up in the
 * sandbox. Later, an executable that is the same inode as one of them, or a copy of it (same size
 * and SHA-256), answers to that name too: a copied or renamed curl is still curl. The same
 * comparison recognises dynamic loaders and multi-call programs under any name.
 */
#ifndef EXECGATE_EXEC_ALIAS_H
#define EXECGATE_EXEC_ALIAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/auto.h"
#include "common/policy.h"
#include "execgate/exec_hash.h"
#include "execgate/exec_resolve.h"

#define EXEC_ALIASES_MAX 32u

struct exec_alias; /* the table; immutable after exec_alias_new() but for digests filled in later */

int exec_alias_new(struct exec_alias **out, const struct exec_root *root,
		   const struct policy *policy, struct err *e);
void exec_alias_free(struct exec_alias *a);
AUTO_DEFINE(struct exec_alias *, exec_alias_free)

struct exec_names {
	const char *name[EXEC_ALIASES_MAX]; /**< borrowed from the table */
	size_t n;
	bool is_loader;	   /**< runs the program that its arguments name */
	bool is_multicall; /**< is the program that argv[0] or argv[1] names */
};

/**
 * Add what a file answers to.
 *
 * @param names   accumulates: zero it first
 * @param digest  of the file, or NULL when it could not be read (then only the inode tells)
 * @return 0; -E2BIG when it has more names than fit (deny)
 */
int exec_alias_find(struct exec_names *names, struct exec_alias *a, const struct stat *st,
		    const uint8_t *digest);

#endif
