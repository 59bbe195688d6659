#include "agentsh/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
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
	t->agent_had = t->foreground;
	t->is_outside_saved = tcgetattr(t->fd, &t->outside) == 0;
}

int tty_terminal(const struct tty *t)
{
	return t->fd;
}

bool tty_gives_at_start(const struct tty *t)
{
	return t->foreground;
}

void tty_set_agent(struct tty *t, pid_t agent)
{
	t->agent = agent;
}

/* From a background group these calls raise SIGTTOU, unless it is blocked. */
static void block_ttou(sigset_t *old)
{
	sigset_t ttou;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	sigprocmask(SIG_BLOCK, &ttou, old);
}

static bool set_group(const struct tty *t, pid_t group)
{
	sigset_t old;
	bool ok;

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

static bool is_ours(const struct tty *t)
{
	return t->fd >= 0 && tcgetpgrp(t->fd) == t->own_group;
}

/*
 * A job of the agent's own shell is in a group of its own. Its leader has more pid namespaces than
 * we do: one number each after "NSpid:" (proc(5)).
 */
static bool is_inside(pid_t group)
{
	char name[64], line[256];
	autofclose FILE *f = NULL;

	snprintf(name, sizeof(name), "/proc/%d/status", (int)group);
	f = fopen(name, "re");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned numbers = 0;

		if (strncmp(line, "NSpid:", 6) != 0)
			continue;
		for (const char *at = line + 6; *at; at++)
			numbers += *at == '\t';
		return numbers > 1;
	}
	return false;
}

bool tty_agent_owns(const struct tty *t)
{
	pid_t group = t->fd >= 0 ? tcgetpgrp(t->fd) : -1;

	if (group <= 0 || group == t->own_group)
		return false;
	/* a group without processes was the agent's: the shell's own would be alive */
	return group == t->agent || (kill(-group, 0) < 0 && errno == ESRCH) || is_inside(group);
}

/*
 * Stop with the default action of the signal, whatever we do with it otherwise. For SIGSTOP only
 * this process: nobody sends that to a whole job from the keyboard.
 *
 * The SIGCONT that ends it is taken here: seen later, it would continue an agent that has been
 * stopped again meanwhile.
 *
 * @return false when we did not stop: an orphaned process group does not for the terminal's
 *         signals, since nobody could continue it (POSIX, General Terminal Interface)
 */
static bool stop_job(int signo)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL}, old_action;
	const struct timespec now = {0, 0};
	sigset_t stop, cont, old;
	bool continued;

	sigemptyset(&stop);
	sigaddset(&stop, signo);
	sigemptyset(&cont);
	sigaddset(&cont, SIGCONT);
	/* a stop signal takes a pending SIGCONT away: one that is there afterwards continued us */
	sigprocmask(SIG_BLOCK, &cont, &old);
	if (signo == SIGSTOP) {
		raise(SIGSTOP);
	} else {
		sigprocmask(SIG_BLOCK, &stop, NULL);
		sigaction(signo, &dfl, &old_action);
		kill(0, signo);
		sigprocmask(SIG_UNBLOCK, &stop, NULL); /* here we stop */
		sigaction(signo, &old_action, NULL);
	}
	continued = sigtimedwait(&cont, NULL, &now) == SIGCONT;
	sigprocmask(SIG_SETMASK, &old, NULL);
	return continued;
}

static void give_to_agent(struct tty *t)
{
	if (t->agent <= 0 || t->taken_from)
		return;
	t->is_outside_saved = tcgetattr(t->fd, &t->outside) == 0;
	if (t->is_inside_saved)
		set_modes(t, &t->inside);
	t->is_inside_saved = false;
	t->agent_had = set_group(t, t->agent);
}

bool tty_agent_stopped(struct tty *t, int signo)
{
	bool wants_terminal = signo == SIGTTIN || signo == SIGTTOU;
	bool stopped;

	/*
	 * No terminal, no shell that watches a job: stopping as well would only mean not to notice
	 * when the agent is continued from inside. A SIGCONT to us continues it, too.
	 */
	if (t->fd < 0 && signo == SIGSTOP)
		return false;
	/* started without the terminal, as in "agentsh wrap cat >file": it gets it when it asks */
	if (wants_terminal && is_ours(t)) {
		give_to_agent(t);
		return true;
	}
	/*
	 * Stopped by a signal that no terminal sent: whoever did that may continue it, from the inside
	 * too, and could not continue us.
	 */
	if (!wants_terminal && !is_ours(t) && !tty_agent_owns(t))
		return false;
	if (tty_agent_owns(t)) {
		t->is_inside_saved = tcgetattr(t->fd, &t->inside) == 0;
		set_group(t, t->own_group);
		if (t->is_outside_saved)
			set_modes(t, &t->outside);
		t->agent_had = true;
	}
	stopped = stop_job(signo);
	if (is_ours(t) && (t->agent_had || wants_terminal))
		give_to_agent(t);
	else if (wants_terminal && !stopped && t->agent > 0)
		kill(-t->agent, SIGHUP); /* what the kernel does to a stopped group it orphans */
	return true;
}

void tty_resumed(struct tty *t)
{
	if (t->agent_had && is_ours(t))
		give_to_agent(t);
}

void tty_take(struct tty *t)
{
	pid_t group = t->fd >= 0 ? tcgetpgrp(t->fd) : -1;

	if (group <= 0 || t->taken_from || !tty_agent_owns(t))
		return;
	if (set_group(t, t->own_group))
		t->taken_from = group;
}

void tty_give(struct tty *t)
{
	pid_t group = t->taken_from;

	t->taken_from = 0;
	/* the group may have ended meanwhile: then the agent itself */
	if (group > 0 && is_ours(t) && !set_group(t, group))
		set_group(t, t->agent);
}

void tty_restore(struct tty *t)
{
	if (t->fd >= 0 && t->is_outside_saved && (is_ours(t) || tty_agent_owns(t)))
		set_modes(t, &t->outside);
}

void tty_deinit(struct tty *t)
{
	if (t->fd >= 0 && tty_agent_owns(t))
		set_group(t, t->own_group);
	auto_close(&t->fd);
	t->fd = -1;
}
