/*
 * sys.h - system calls that the C library has no function for
 *
 * Each returns what the kernel does, as the C library would: -1 and errno on failure.
 * Source: clone(2) (clone3), seccomp(2), pivot_root(2), keyctl(2), openat2(2), ptrace(2)
 */
#ifndef COMMON_SYS_H
#define COMMON_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sys_clone {
	uint64_t flags;	 /**< CLONE_*; CLONE_PIDFD and CLONE_INTO_CGROUP follow from the fields below */
	int *pidfd;	 /**< written in the parent, close-on-exec; NULL: none */
	int exit_signal; /**< SIGCHLD, or 0 */
	int cgroup_fd;	 /**< cgroup v2 directory the child starts in, or -1 */
};

/**
 * fork() with clone3's flags: both sides return from this call on their own copy of the stack.
 * No pthread_atfork handler runs: in a program with threads the child must not allocate.
 */
pid_t sys_clone3(const struct sys_clone *c);

/** Install a filter (array of struct sock_filter) in the calling thread. @return 0 or a listener */
int sys_seccomp_filter(const void *filter, size_t len, unsigned flags);

int sys_pivot_root(const char *new_root, const char *put_old);

/** A new, empty, anonymous session keyring instead of the inherited one. */
int sys_new_session_keyring(void);

/**
 * openat2(2), again for a while when it says EAGAIN (".." of a scoped walk while others rename).
 *
 * @param resolve  RESOLVE_* of linux/openat2.h
 */
int sys_openat2(int dir, const char *path, int flags, uint64_t resolve);

int sys_pidfd_send_signal(int pidfd, int signo);

/** ptrace(2): PTRACE_SEIZE. Does not stop the thread. @param options  PTRACE_O_* */
int sys_trace_seize(pid_t tid, unsigned options);
/** PTRACE_INTERRUPT: a stop comes at the latest on the thread's way back to user space. */
int sys_trace_interrupt(pid_t tid);
/** PTRACE_CONT of a stopped thread. */
int sys_trace_continue(pid_t tid, int signo);
/** PTRACE_DETACH of a stopped thread. @param signo  delivered to it; 0: none */
int sys_trace_leave(pid_t tid, int signo);

/** Landlock: version of the interface. @return -1 and errno where there is none */
int sys_landlock_abi(void);
/** A ruleset for these LANDLOCK_ACCESS_FS_* rights. @return descriptor */
int sys_landlock_create(uint64_t handled);
/** Grant rights on a file, or on a directory and everything below it. */
int sys_landlock_allow(int ruleset, int fd, uint64_t rights);
/** The calling thread and its future children. */
int sys_landlock_restrict(int ruleset);

/** Default action or SIG_IGN, also for the two signals that the C library keeps to itself. */
int sys_set_signal(int signo, bool ignore);

#endif
