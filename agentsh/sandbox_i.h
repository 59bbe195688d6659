/*
 * sandbox_i.h - what the two sides of the sandbox's control socket share
 *
 * The supervisor's side is sandbox.c; pid 1 is sandbox_init.c; the agent between fork and exec is
 * sandbox_agent_setup.c. Pid 1 is a fork of the supervisor without exec: it reads the arguments
 * from its copy of the memory, so only what comes into being later travels over the socket.
 */
#ifndef AGENTSH_SANDBOX_I_H
#define AGENTSH_SANDBOX_I_H

#include <stddef.h>

#include "agentsh/sandbox.h"
#include "common/ipc.h"

enum sandbox_msg {
	SANDBOX_MSG_READY = 1, /**< from pid 1: ids can be mapped now */
	SANDBOX_MSG_MAPPED,
	SANDBOX_MSG_BUILD, /**< fd: the FUSE mount, when there is one */
	SANDBOX_MSG_BUILT,
	SANDBOX_MSG_ARM,   /**< mem: the filter */
	SANDBOX_MSG_ARMED, /**< fds: listener, root directory, pidfd of the agent */
	SANDBOX_MSG_GO,
	SANDBOX_MSG_SIGNAL, /**< u32 signal */
	SANDBOX_MSG_ERROR,  /**< from pid 1: u32 errno, str text; it then exits */
	SANDBOX_MSG_EVENT,  /**< from pid 1: u32 enum sandbox_what, u32 value, u32 SIGCONTs seen */
};

/** What the agent process tells pid 1 over their pipe. */
struct sandbox_report {
	int listener;	 /**< descriptor number in the shared table, or -1 */
	struct err err;	 /**< set: why the agent cannot be armed, or its execve's errno */
};

/** The agent, as pid 1 sees it. */
struct sandbox_agent {
	pid_t pid;
	int pidfd;    /**< owned */
	int report;   /**< owned: reads struct sandbox_report */
	int go;	      /**< owned: one byte lets the agent exec */
	int listener; /**< owned until it is handed out */
};

/** Write the id maps of a child that has just been cloned into a user namespace. */
int sandbox_map_ids(pid_t pid, const struct sandbox_args *args, struct err *e);

/** What to change on this host so that user namespaces work, for an error message. */
const char *sandbox_userns_remedy(void);

/** Pid 1's life; never returns. */
__attribute__((noreturn)) void sandbox_init_main(const struct sandbox_args *args, int ctl,
						 struct ipc_msg *m);

/** Identity, privileges and keyring of pid 1, once the mounts are done. */
int sandbox_init_confine(const struct sandbox_args *args, struct err *e);

/** Pid 1's first steps, before anything else runs in it. */
int sandbox_init_isolate(const struct sandbox_args *args, int ctl, struct err *e);

/** Nobody but the host's root reads pid 1's memory from here on. */
int sandbox_init_hide(struct err *e);

/** Start the agent's process and wait until its filter is installed. */
int sandbox_agent_fork(struct sandbox_agent *out, const struct sandbox_args *args,
		       const void *filter, size_t filter_len, struct err *e);

/**
 * Files that the agent did not open itself, its standard descriptors, cannot be opened anew for
 * more than they are: /proc/self/fd/0 of a file that was opened for reading is not writable.
 */
int sandbox_fence(struct err *e);

/** execve() of the command along PATH of its environment. @return errno, if it returns at all */
int sandbox_agent_exec(char *const *argv, char *const *envp);

#endif
