#include "common/sys.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPENAT2_TRIES 256u

pid_t sys_clone3(const struct sys_clone *c)
{
	struct clone_args a;

	memset(&a, 0, sizeof(a));
	a.flags = c->flags;
	a.exit_signal = (uint64_t)(unsigned)c->exit_signal;
	if (c->pidfd) {
		a.flags |= CLONE_PIDFD;
		a.pidfd = (uint64_t)(uintptr_t)c->pidfd;
	}
	if (c->cgroup_fd >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)(unsigned)c->cgroup_fd;
	}
	return (pid_t)syscall(SYS_clone3, &a, sizeof(a));
}

int sys_seccomp_filter(const void *filter, size_t len, unsigned flags)
{
	struct sock_fprog prog;

	if (len % sizeof(struct sock_filter) || len / sizeof(struct sock_filter) > BPF_MAXINSNS) {
		errno = EINVAL;
		return -1;
	}
	prog.len = (unsigned short)(len / sizeof(struct sock_filter));
	prog.filter = (struct sock_filter *)(uintptr_t)filter;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int sys_new_session_keyring(void)
{
	return (int)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}

int sys_openat2(int dir, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {.flags = (uint64_t)(unsigned)flags, .resolve = resolve};
	int fd = -1;

	/* a rename anywhere while the kernel was at a ".." of a scoped walk: look again */
	for (unsigned tries = 0; tries < OPENAT2_TRIES; tries++) {
		fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

int sys_pidfd_send_signal(int pidfd, int signo)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0);
}

int sys_trace_seize(pid_t tid, unsigned options)
{
	return (int)ptrace(PTRACE_SEIZE, tid, NULL, (void *)(uintptr_t)options);
}

int sys_trace_interrupt(pid_t tid)
{
	return (int)ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
}

int sys_trace_continue(pid_t tid, int signo)
{
	return (int)ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)signo);
}

int sys_trace_leave(pid_t tid, int signo)
{
	return (int)ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)signo);
}

int sys_landlock_abi(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

int sys_landlock_create(uint64_t handled)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = handled};

	return (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
}

int sys_landlock_allow(int ruleset, int fd, uint64_t rights)
{
	struct landlock_path_beneath_attr attr = {.allowed_access = rights, .parent_fd = fd};

	return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0);
}

int sys_landlock_restrict(int ruleset)
{
	return (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
}

int sys_set_signal(int signo, bool ignore)
{
	/* the kernel's struct: handler, flags, restorer, mask of 64 signals */
	unsigned long action[4] = {ignore ? (unsigned long)(uintptr_t)SIG_IGN : 0};

	return (int)syscall(SYS_rt_sigaction, signo, action, NULL, sizeof(uint64_t));
}
