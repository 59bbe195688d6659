/*
 * tty.h - the caller's terminal: who has it, and job control as without agentsh
 *
 * Theory: the shell that started us knows one job, our process group. The agent has a process group
 * of its own in the same session, and that one has the terminal while it runs; so ^C and ^Z go to
 * the agent directly. When the agent stops we take the terminal back and stop our whole job
 * with the same signal, as if it were one program; when the shell continues us, the agent gets
 * the terminal again if we are in the foreground.
 * Source:  tcsetpgrp(3), credentials(7), glibc manual "Implementing a Job Control Shell"
 */
#ifndef AGENTSH_TTY_H
#define AGENTSH_TTY_H

#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

struct tty {
	int fd;		       /**< owned: /dev/tty; -1 without a controlling terminal */
	pid_t own_group;       /**< ours: the job that the shell knows */
	bool foreground;       /**< give the agent the terminal at its start */
	bool is_saved;	       /**< outside holds what the terminal was set to before */
	struct termios outside; /**< the shell's settings */
	bool is_inside_saved;
	struct termios inside; /**< the agent's, while it is stopped */
};

/** No terminal is no error: then every other call does nothing. */
void tty_init(struct tty *t);

/**
 * The agent stopped with this signal.
 *
 * Either it only wants the terminal and we are in the foreground: then it can be continued at once.
 * Or our job stops with it: this returns when the job has been continued (or at once when nobody
 * would continue it, because there is no job control around us).
 *
 * @param agent  its process group, which is its pid
 * @return what sandbox_continue() has to be told: true gives the agent the terminal first
 */
bool tty_agent_stopped(struct tty *t, pid_t agent, int signo);

/** Give the terminal to a process group; false when that failed. */
bool tty_give(const struct tty *t, pid_t group);

/**
 * The agent is gone, and the sandbox with it (sandbox_kill()): the terminal is ours again.
 *
 * @param restore  also bring back the settings from the start, for an agent that a signal ended
 */
void tty_deinit(struct tty *t, bool restore);

#endif
