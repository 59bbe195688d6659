#include "agentsh/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/auto.h"

void tty_init(struct tty *t)
{
	memset(t, 0, sizeof(*t));
	t->own_group = getpgrp();
	t->fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->fd < 0)
		return;
	/* tcgetpgrp() answers for the controlling terminal alone */
	t->foreground = tcgetpgrp(t->fd) == t->own_group && tcgetpgrp(STDIN_FILENO) > 0 &&
			tcgetpgrp(STDOUT_FILENO) > 0;
	t->is_saved = tcgetattr(t->fd, &t->outside) == 0;
}

/* From a background group both calls raise SIGTTOU, unless it is blocked. */
static void block_ttou(sigset_t *old)
{
	sigset_t ttou;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	sigprocmask(SIG_BLOCK, &ttou, old);
}

bool tty_give(const struct tty *t, pid_t group)
{
	sigset_t old;
	bool ok;

	if (t->fd < 0)
		return false;
	block_ttou(&old);
	ok = tcsetpgrp(t->fd, group) == 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	return ok;
}

static void set_modes(const struct tty *t, const struct termios *modes)
{
	sigset_t old;

	block_ttou(&old);
	tcsetattr(t->fd, TCSADRAIN, modes);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static bool has_terminal(const struct tty *t, pid_t group)
{
	return t->fd >= 0 && tcgetpgrp(t->fd) == group;
}

/* Does a group of the sandbox have it: the agent's, or one that is no more? */
static bool agent_has_terminal(const struct tty *t, pid_t agent)
{
	pid_t group = t->fd >= 0 ? tcgetpgrp(t->fd) : -1;

	if (group <= 0 || group == t->own_group)
		return false;
	return group == agent || (kill(-group, 0) < 0 && errno == ESRCH);
}

/*
 * Stop with the default action of the signal, whatever we do with it otherwise. Only this process
 * for SIGSTOP, which nobody sends to a whole job from the keyboard.
 *
 * An orphaned process group does not stop for terminal signals (POSIX: nobody could continue it).
 */
static void stop_job(int signo)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL}, old_action;
	sigset_t one, old;

	if (signo == SIGSTOP) {
		raise(SIGSTOP);
		return;
	}
	sigemptyset(&one);
	sigaddset(&one, signo);
	sigprocmask(SIG_BLOCK, &one, &old);
	sigaction(signo, &dfl, &old_action);
	kill(0, signo);
	sigprocmask(SIG_UNBLOCK, &one, NULL); /* here we stop */
	sigprocmask(SIG_SETMASK, &old, NULL);
	sigaction(signo, &old_action, NULL);
}

bool tty_agent_stopped(struct tty *t, pid_t agent, int signo)
{
	bool wants_terminal = signo == SIGTTIN || signo == SIGTTOU;

	/* started without the terminal, as in "agentsh wrap cat >file": it gets it when it asks */
	if (wants_terminal && has_terminal(t, t->own_group))
		return true;
	if (agent_has_terminal(t, agent)) {
		t->is_inside_saved = tcgetattr(t->fd, &t->inside) == 0;
		tty_give(t, t->own_group);
		if (t->is_saved)
			set_modes(t, &t->outside);
	}
	stop_job(signo);
	if (!has_terminal(t, t->own_group))
		return false;
	t->is_saved = tcgetattr(t->fd, &t->outside) == 0;
	if (t->is_inside_saved)
		set_modes(t, &t->inside);
	t->is_inside_saved = false;
	return true;
}

void tty_deinit(struct tty *t, bool restore)
{
	if (t->fd < 0)
		return;
	if (agent_has_terminal(t, -1))
		tty_give(t, t->own_group);
	if (restore && t->is_saved && has_terminal(t, t->own_group))
		set_modes(t, &t->outside);
	auto_close(&t->fd);
	t->fd = -1;
}
