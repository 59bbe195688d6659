/*
 * exec_filter.h - the seccomp filter that every process of a sandbox runs under
 *
 * Shape:    a table of system calls that are refused or reported, everything else is allowed;
 *           exec_filter_build() turns it into a BPF program, which the agent installs itself
 * Source:   seccomp(2), seccomp_unotify(2), syscalls(2); docs/SYSCALLS.md is this table
 */
#ifndef EXECGATE_EXEC_FILTER_H
#define EXECGATE_EXEC_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/** One row: what is answered for a system call when the condition holds. */
struct exec_filter_row {
	const char *syscall;
	const char *when;   /**< the condition in words, "" for always */
	const char *answer; /**< "EPERM", ..., or "judged" for what the listener decides */
	const char *why;
};

/** Number of rows, and row i of the table as documentation. */
size_t exec_filter_rows(void);
void exec_filter_row(struct exec_filter_row *out, size_t i);

/**
 * Build the program for this machine.
 *
 * Other architectures (and x32) kill the process; numbers newer than the table answer ENOSYS.
 *
 * @param out  an array of struct sock_filter as bytes; the caller frees
 */
int exec_filter_build(void **out, size_t *len, struct err *e);

#endif
