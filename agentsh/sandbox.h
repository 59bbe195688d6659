/*
 * sandbox.h - the namespaces an agent lives in, from clone3 to the last reaped process
 *
 * Shape:   plan_build() decides what the agent can see (plan.h); sandbox_start() makes pid 1 in
 *          fresh user, mount, pid, net, ipc, uts and cgroup namespaces and maps ids;
 *          sandbox_build() mounts the plan and pivots; sandbox_arm() forks the agent, installs
 *          execgate's filter in it and hands out its listener; sandbox_go() lets it exec.
 * Init:    pid 1 of the sandbox reaps, forwards signals and reports; it dies (and with it
 *          everything inside) when its control socket closes, that is, with the supervisor.
 *          The session ends with the agent: what it leaves in the background is killed then.
 * Source:  namespaces(7), user_namespaces(7), pivot_root(2), mount_setattr(2), credentials(7)
 */
#ifndef AGENTSH_SANDBOX_H
#define AGENTSH_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "agentsh/plan.h"
#include "common/err.h"

struct sandbox_args {
	const struct plan *plan;
	char *const *argv;	  /**< the command, NULL-terminated */
	char *const *envp;	  /**< its whole environment */
	const char *cwd;	  /**< inside the sandbox */
	const char *hostname;
	uid_t uid;		  /**< caller's; mapped to itself */
	gid_t gid;
	bool is_root;		  /**< map all ids one to one; else just uid and gid */
	int cgroup_fd;		  /**< cgroup v2 directory to start in (CLONE_INTO_CGROUP), or -1 */
	int tty_fd;		  /**< controlling terminal, or -1; borrowed */
	bool foreground;	  /**< give the agent's process group the terminal at the start */
	const sigset_t *ignored;  /**< signals the agent starts with ignored (nohup), or NULL */
};

struct sandbox {
	pid_t init_pid;	 /**< in the caller's pid namespace */
	int init_pidfd;	 /**< owned; readable when the sandbox is gone */
	int ctl;	 /**< owned; SEQPACKET to pid 1 */
	pid_t agent_pid; /**< in the caller's pid namespace; 0 until sandbox_arm() */
	int tty_fd;	 /**< borrowed from the arguments */
	uint32_t n_continued; /**< SIGCONTs sent: a stop from before the last one is over */
	struct ipc_msg *msg;  /**< owned */
};

#define SANDBOX_INIT                                                                               \
	{                                                                                          \
		.init_pidfd = -1, .ctl = -1, .tty_fd = -1                                          \
	}

/**
 * Clone pid 1 and map its ids; it begins at once with those mounts that need no gate.
 *
 * From here until sandbox_arm() gates may setns() into its namespaces.
 *
 * @param sb    SANDBOX_INIT; sandbox_deinit() it also after a failure
 * @param args  borrowed until this returns: pid 1 works on its own copy of the memory
 * @return 0, or -errno with e naming the mechanism that the host refuses and the remedy
 */
int sandbox_start(struct sandbox *sb, const struct sandbox_args *args, struct err *e);

/**
 * Mount the plan.
 *
 * @param fuse_mount  detached FUSE mount whose directories r0, r1, ... are the governed roots of
 *                    the plan in order; -1 when there is none. Borrowed.
 */
int sandbox_build(struct sandbox *sb, int fuse_mount, struct err *e);

/**
 * Fork the agent and install the filter in it. The agent then waits for sandbox_go().
 *
 * @param filter      struct sock_filter array as bytes
 * @param listener    written: seccomp notify descriptor, owned by the caller
 * @param root        written: O_PATH descriptor of the sandbox's root directory, owned
 * @param agent_pid   written: the agent in the caller's pid namespace
 */
int sandbox_arm(struct sandbox *sb, const void *filter, size_t filter_len, int *listener, int *root,
		pid_t *agent_pid, struct err *e);

int sandbox_go(struct sandbox *sb, struct err *e);

enum sandbox_what {
	SANDBOX_NOTHING,
	SANDBOX_EXEC_FAILED, /**< value: errno of the agent's execve (EACCES: denied) */
	SANDBOX_EXITED,	     /**< value: wait status of the agent */
	SANDBOX_STOPPED,     /**< value: signal that stopped the agent's process group */
	SANDBOX_GONE,	     /**< pid 1 closed its socket */
};

struct sandbox_event {
	enum sandbox_what what;
	int value;
};

/** Read one event from sb->ctl; SANDBOX_NOTHING when it is out of date. @return 0 or -errno */
int sandbox_event(struct sandbox *sb, struct sandbox_event *out);

/** Deliver a signal to the agent (to its process group for SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGHUP). */
int sandbox_signal(struct sandbox *sb, int signo);

/** Continue a stopped agent; with foreground, its group gets the terminal first if we have it. */
int sandbox_continue(struct sandbox *sb, bool foreground);

/** SIGKILL pid 1 (and so every process inside) and reap it. */
void sandbox_kill(struct sandbox *sb);

void sandbox_deinit(struct sandbox *sb);

#endif
