/*
 * exec_target.h - everything that one exec would run
 *
 * Shape:    a call -> exec_target_open() -> the file, for a script its chain of interpreters, for a
 *           dynamic loader the program it is told to load; each with identity, digest and names
 * Source:   execve(2) "Interpreter scripts"; ld.so(8)
 */
#ifndef EXECGATE_EXEC_TARGET_H
#define EXECGATE_EXEC_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "execgate/exec_alias.h"
#include "execgate/exec_call.h"
#include "execgate/exec_hash.h"
#include "execgate/exec_image.h"
#include "execgate/exec_resolve.h"

/** What all look-ups need; borrowed. */
struct exec_world {
	const struct exec_root *root;
	struct exec_alias *alias;
	struct exec_hash *hash;
};

/** One file that takes part, and the argument vector that it will see. */
struct exec_part {
	struct exec_file file;
	int fd;			  /**< owned: open for reading */
	bool is_fresh;		  /**< changed so recently that its stamps prove nothing */
	struct exec_image image;
	uint8_t digest[EXEC_SHA256];
	struct exec_names names;
	const char **argv;	  /**< owned array of borrowed strings */
	size_t argc;
	const char *applet;	  /**< of a multi-call program, or NULL; borrowed */
};

#define EXEC_CHAIN 5u /**< interpreters of interpreters that the kernel follows, and the ELF */
#define EXEC_PARTS (2 * (EXEC_CHAIN + 1))

struct exec_target {
	struct exec_part *part; /**< owned array: the file, each interpreter, what a loader loads */
	unsigned n_chain;	/**< parts that the kernel itself opens; the last is an ELF */
	unsigned n_parts;	/**< with the programs handed to a dynamic loader */
	char script_name[PATH_MAX + 32]; /**< what an interpreter is told its script is */
	const char *refused;	/**< why it cannot be judged, a literal, or NULL */
};

/**
 * Find and read all of it.
 *
 * @param t  zeroed by this function; release with exec_target_deinit() whatever was returned
 * @return 0; or -errno for the caller: with t->refused set, the exec must be denied and recorded,
 *         else it is the answer that the kernel would give as well
 */
int exec_target_open(struct exec_target *t, const struct exec_world *w, const struct exec_call *c);
void exec_target_deinit(struct exec_target *t);

/** The ELF that will run: last of the chain. */
const struct exec_part *exec_target_image(const struct exec_target *t);

#endif
