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
	int fd;			/**< owned: /dev/tty; -1 without a controlling terminal */
	pid_t own_group;	/**< ours: the job that the shell knows */
	pid_t agent;		/**< the agent's group, which is its pid; 0: not known yet */
	bool foreground;	/**< the agent is to have the terminal from its start */
	bool agent_had;		/**< it had the terminal when we last knew */
	pid_t taken_from;	/**< group that tty_take() took it from, else 0 */
	bool is_outside_saved;
	struct termios outside; /**< the shell's settings */
	bool is_inside_saved;
	struct termios inside;	/**< the agent's, while its job is stopped */
};

/** No terminal is no error: then every other call does nothing. */
void tty_init(struct tty *t);

/** Borrowed descriptor for sandbox_args.tty_fd, or -1. */
int tty_terminal(const struct tty *t);

/** For sandbox_args.foreground: stdin and stdout are the terminal, and it is ours to give. */
bool tty_gives_at_start(const struct tty *t);

/** @param agent  from sandbox_arm() */
void tty_set_agent(struct tty *t, pid_t agent);

/** Does a process group of the sandbox have the terminal? */
bool tty_agent_owns(const struct tty *t);

/**
 * The agent stopped with this signal.
 *
 * Either it only wants the terminal and we are in the foreground: then it gets it. Or our whole
 * job stops with it; this returns when the job has been continued (at once when nobody would
 * continue it, because there is no job control around us), and the agent has the terminal again if
 * we are in the foreground. Without a terminal SIGSTOP stops the agent alone.
 *
 * @return true: continue the agent now (sandbox_continue() with tty_agent_owns()); false: it stays
 *         stopped, since that has nothing to do with the terminal
 */
bool tty_agent_stopped(struct tty *t, int signo);

/** We were continued (SIGCONT): whoever stopped us, the agent gets back what it had. */
void tty_resumed(struct tty *t);

/** Take the terminal from the agent for a question, and give it back to the same group. */
void tty_take(struct tty *t);
void tty_give(struct tty *t);

/** The settings from the start again, as a shell does for a job that a signal ended. */
void tty_restore(struct tty *t);

/** The agent is gone, and the sandbox with it (sandbox_kill()): the terminal is ours again. */
void tty_deinit(struct tty *t);

#endif
