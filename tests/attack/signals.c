/*
 * signals.c - reach processes outside by signals, outlive the session, exhaust it
 *
 * Expected: signals arrive only inside. The runner looks afterwards whether its own canary process
 * is still alive and unstopped, and whether anything of the session is left; the cases named *-all
 * end their own session, so each runs in one of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

static enum outcome kill_host_process(void)
{
	pid_t pid = (pid_t)attack_conf_number("canary_pid");
	siginfo_t si = {.si_signo = SIGKILL, .si_code = SI_QUEUE};

	if (kill(pid, SIGKILL) == 0 || kill(-pid, SIGKILL) == 0)
		return attack_escaped("kill");
	if (syscall(SYS_tgkill, pid, pid, SIGKILL) == 0 || syscall(SYS_tkill, pid, SIGKILL) == 0)
		return attack_escaped("tkill");
	if (syscall(SYS_rt_sigqueueinfo, pid, SIGKILL, &si) == 0)
		return attack_escaped("rt_sigqueueinfo");
	if (syscall(SYS_pidfd_open, pid, 0) >= 0)
		return attack_escaped("pidfd_open");
	return attack_must_fail("kill", kill(pid, 0));
}

static enum outcome kill_supervisor(void)
{
	pid_t pid = (pid_t)attack_conf_number("supervisor_pid");

	return attack_must_fail("kill", kill(pid, 0));
}

static enum outcome kill_init(void)
{
	int status;
	pid_t pid;

	kill(1, SIGKILL);
	kill(1, SIGSTOP);
	kill(1, SIGTERM);
	/* it must still reap and answer: an orphan's end shows that */
	pid = fork();
	if (pid == 0) {
		if (fork() == 0)
			_exit(0);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	usleep(200000);
	return kill(1, 0) == 0 || errno == EPERM ? attack_blocked("pid 1 goes on") :
						   attack_escaped("pid 1 is gone");
}

static enum outcome owner_signal(void)
{
	int p[2];
	pid_t pid = (pid_t)attack_conf_number("canary_pid");

	if (pipe(p) < 0)
		return attack_broken("pipe: %m");
	if (fcntl(p[0], F_SETOWN, pid) < 0)
		return attack_blocked("F_SETOWN: %s", strerrorname_np(errno));
	fcntl(p[0], F_SETSIG, SIGKILL);
	fcntl(p[0], F_SETFL, O_ASYNC | O_NONBLOCK);
	(void)!write(p[1], "x", 1);
	return attack_blocked("the runner looks at the canary");
}

static enum outcome kill_all(void)
{
	kill(-1, SIGKILL);
	return attack_blocked("still here");
}

static enum outcome stop_all(void)
{
	if (fork() == 0) {
		setsid();
		kill(-1, SIGSTOP);
		usleep(300000);
		kill(-1, SIGCONT);
		_exit(0);
	}
	usleep(600000);
	return attack_blocked("went on");
}

/* a daemon that has let go of everything: session, group, terminal, parent, descriptors */
static enum outcome outlive(void)
{
	const char *seconds = attack_conf("daemon_seconds");

	if (fork() == 0) {
		setsid();
		signal(SIGHUP, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		if (fork() == 0) {
			for (int fd = 0; fd < 64; fd++)
				close(fd);
			prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
			if (fork() == 0)
				execlp("sleep", "sleep", seconds, (char *)NULL);
			pause();
		}
		_exit(0);
	}
	usleep(300000);
	return attack_blocked("the runner looks for the daemon");
}

static enum outcome many_processes(void)
{
	unsigned n = 0, want = (unsigned)attack_conf_number("pids_max") + 50;
	pid_t group = fork();

	if (group == 0) {
		setpgid(0, 0);
		pause();
		_exit(0);
	}
	setpgid(group, group);
	for (; n < want; n++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			setpgid(0, group);
			pause();
			_exit(0);
		}
		setpgid(pid, group);
	}
	kill(-group, SIGKILL);
	while (wait(NULL) > 0)
		;
	return n < want ? attack_blocked("fork: EAGAIN after %u", n) : attack_escaped("%u processes", n);
}

static const struct attack cases[] = {
	CASE("kill-host-process", "ESRCH", kill_host_process),
	CASE("kill-supervisor", "ESRCH", kill_supervisor),
	CASE("kill-pid-1", "no effect", kill_init),
	CASE("signal-by-F_SETOWN", "no effect outside", owner_signal),
	CASE("outlive-session", "nothing left", outlive),
	CASE("stop-all", "only the session", stop_all),
	CASE("kill-all", "only the session", kill_all),
	CASE("fork-limit", "EAGAIN at pids_max", many_processes),
};

ATTACK_MAIN(cases)
