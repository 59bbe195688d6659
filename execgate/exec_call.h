/*
 * exec_call.h - what a caller of execve asked for, copied once out of its memory
 *
 * Shape:    a notification -> exec_call_read() -> struct exec_call; everything later looks at the
 *           copy only, never again at the caller's memory
 * Source:   execve(2), execveat(2), process_vm_readv(2), proc(5)
 * Limits:   EXEC_ARG_BYTES of arguments; more is -E2BIG ("too long to judge")
 */
#ifndef EXECGATE_EXEC_CALL_H
#define EXECGATE_EXEC_CALL_H

#include <limits.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EXEC_ARG_BYTES (2u << 20)
#define EXEC_COMM 16

struct exec_call {
	uint64_t id;	      /**< of the notification */
	pid_t tid, tgid;      /**< of the caller, in our pid namespace */
	pid_t ppid;
	uint64_t start_ticks; /**< start time of the process: tells reused pids apart */
	char comm[EXEC_COMM + 1];
	int dirfd;	      /**< AT_FDCWD for execve and for execveat that says so */
	int flags;	      /**< of execveat */
	char path[PATH_MAX];
	char cwd[PATH_MAX];   /**< as the sandbox sees it; "" when it has none any more */
	char *strings;	      /**< owned: the arguments, each with its NUL, one after another */
	size_t strings_len;
	const char **argv;    /**< owned array of argc + 1 pointers into strings, NULL at the end */
	size_t argc;	      /**< at least 1: the kernel gives an empty argv one "" */
};

/**
 * Read everything.
 *
 * @param c  zeroed by this function; release with exec_call_deinit() whatever it returned
 * @return 0; -EFAULT, -ENAMETOOLONG (what the kernel would say too); -E2BIG; -ESRCH (caller gone)
 */
int exec_call_read(struct exec_call *c, const struct seccomp_notif *n);
void exec_call_deinit(struct exec_call *c);

/** Parent and start time of a process from /proc. @return 0 or -ESRCH */
int exec_call_parent(pid_t *ppid, uint64_t *start_ticks, pid_t tgid);

#endif
