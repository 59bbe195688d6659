/*
 * exec_loader.h - which program a command line of the dynamic loader names
 *
 * Pure. Source: ld.so(8), musl's ldso/dynlink.c
 */
#ifndef EXECGATE_EXEC_LOADER_H
#define EXECGATE_EXEC_LOADER_H

#include <stddef.h>

struct exec_loader_call {
	size_t program;	   /**< its index in argv; 0: the loader starts none */
	const char *argv0; /**< what the program will see as argv[0]; borrowed */
};

/** @return 0, or -EINVAL for an option that is not known (it may or may not take a value) */
int exec_loader_parse(struct exec_loader_call *out, const char *const *argv, size_t argc);

#endif
