/*
 * Job control seen from the shell that started us: a pseudo terminal, a shell of a few lines
 * that runs one job, and in that job a supervisor with a sandboxed agent.
 */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>

#include "agentsh/tty.h"
#include "tests/unit/sandbox_fixture.h"
#include "tests/unit/unit.h"

#define WAIT_MS 5000

/* ---- the job: what wrap does with these interfaces ---- */

static int agent_stopped(struct sandbox *sb, struct tty *t, int signo)
{
	return tty_agent_stopped(t, signo) ? sandbox_continue(sb, tty_agent_owns(t)) : 0;
}

static int serve(struct sandbox *sb, struct tty *t, int signals)
{
	struct pollfd fds[2] = {{.fd = sb->ctl, .events = POLLIN}, {signals, POLLIN, 0}};
	struct signalfd_siginfo si;
	struct sandbox_event ev;

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			return 99;
		if (fds[1].revents && read(signals, &si, sizeof(si)) > 0) {
			if (si.ssi_signo == SIGCONT)
				tty_resumed(t);
			sandbox_signal(sb, (int)si.ssi_signo);
		}
		if (!fds[0].revents)
			continue;
		if (sandbox_event(sb, &ev) < 0)
			return 99;
		if (ev.what == SANDBOX_STOPPED)
			agent_stopped(sb, t, ev.value);
		if (ev.what == SANDBOX_EXITED)
			return WIFSIGNALED(ev.value) ? 128 + WTERMSIG(ev.value)
						     : WEXITSTATUS(ev.value);
	}
}

static int supervise(char *const *argv)
{
	struct sandbox_args args = fixture_args(argv);
	struct sandbox sb = SANDBOX_INIT;
	struct err e = ERR_INIT;
	struct tty t;
	uint64_t times[4];
	sigset_t set;
	int status = 98, fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCONT);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTSTP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	tty_init(&t);
	args.tty_fd = tty_terminal(&t);
	args.foreground = tty_gives_at_start(&t);
	if (fixture_prepare(&sb, &args, -1, times)) {
		tty_set_agent(&t, sb.agent_pid);
		if (sandbox_go(&sb, &e) == 0)
			status = serve(&sb, &t, fd);
	}
	sandbox_deinit(&sb);
	tty_deinit(&t);
	return status;
}

/* ---- the shell ---- */

struct shell {
	pid_t pid;
	int master;
	int events;   /* reads "S" + signal for a stopped job, "E" + status for an ended one */
	int commands; /* writes 'f': foreground */
	char seen[65536];
	size_t len;
};

static void say(int fd, char what, int value)
{
	char text[2] = {what, (char)value};

	if (write(fd, text, 2) != 2)
		_exit(97);
}

__attribute__((noreturn)) static void shell_main(int events, int commands, char *const *argv,
						 bool redirect)
{
	pid_t job;
	int status;
	char c;

	signal(SIGTTOU, SIG_IGN);
	job = fork();
	if (job == 0) {
		setpgid(0, 0);
		tcsetpgrp(0, getpid());
		signal(SIGTTOU, SIG_DFL);
		if (redirect && dup2(open("/dev/null", O_WRONLY), 1) < 0)
			_exit(96);
		_exit(supervise(argv));
	}
	setpgid(job, job);
	tcsetpgrp(0, job);
	while (waitpid(job, &status, WUNTRACED) == job) {
		tcsetpgrp(0, getpid());
		if (!WIFSTOPPED(status)) {
			say(events, 'E', WEXITSTATUS(status));
			_exit(0);
		}
		say(events, 'S', WSTOPSIG(status));
		if (read(commands, &c, 1) != 1)
			break;
		if (c == 'f')
			tcsetpgrp(0, job);
		kill(-job, SIGCONT);
	}
	_exit(0);
}

static void shell_start(struct shell *s, char *const *argv, bool redirect)
{
	int events[2], commands[2];

	CU_ASSERT_EQUAL_FATAL(pipe2(events, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(commands, O_CLOEXEC), 0);
	memset(s, 0, sizeof(*s));
	s->pid = forkpty(&s->master, NULL, NULL, NULL);
	if (s->pid == 0)
		shell_main(events[1], commands[0], argv, redirect);
	close(events[1]);
	close(commands[0]);
	s->events = events[0];
	s->commands = commands[1];
}

static void shell_end(struct shell *s)
{
	close(s->master);
	close(s->commands);
	close(s->events);
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
}

/* Read the terminal until this text appears after what was found before. */
static bool shows(struct shell *s, const char *text)
{
	struct pollfd p = {.fd = s->master, .events = POLLIN};
	char *at;

	while (!(at = strstr(s->seen, text))) {
		ssize_t n;

		if (poll(&p, 1, WAIT_MS) <= 0 || s->len >= sizeof(s->seen) - 1)
			break;
		n = read(s->master, s->seen + s->len, sizeof(s->seen) - 1 - s->len);
		if (n <= 0)
			break;
		s->len += (size_t)n;
		s->seen[s->len] = '\0';
	}
	if (!at) {
		printf("\n    no \"%s\" in \"%s\"\n", text, s->seen);
		return false;
	}
	s->len -= (size_t)(at + strlen(text) - s->seen);
	memmove(s->seen, at + strlen(text), s->len + 1);
	return true;
}

static bool happens(struct shell *s, char what, int value)
{
	struct pollfd p = {.fd = s->events, .events = POLLIN};
	char text[2] = {0, 0};

	if (poll(&p, 1, WAIT_MS) <= 0 || read(s->events, text, 2) != 2 || text[0] != what ||
	    text[1] != (char)value) {
		printf("\n    wanted %c %d, got %c %d\n", what, value, text[0], text[1]);
		return false;
	}
	return true;
}

static void type(struct shell *s, const char *text)
{
	CU_ASSERT_EQUAL(write(s->master, text, strlen(text)), (ssize_t)strlen(text));
}

/* ---- cases ---- */

static void test_suspend(void)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)"echo ready; cat; echo over", NULL};
	struct shell s;

	shell_start(&s, argv, false);
	CU_ASSERT(shows(&s, "ready"));
	/* until cat runs: a shell in the middle of its vfork() cannot be stopped */
	type(&s, "begin\n");
	CU_ASSERT(shows(&s, "begin\r\nbegin\r\n"));
	for (int i = 0; i < 3; i++) {
		type(&s, "\x1a");
		CU_ASSERT(happens(&s, 'S', SIGTSTP));
		type(&s, "f"); /* a stopped job reads nothing: this stays in the terminal */
		CU_ASSERT_EQUAL(write(s.commands, "f", 1), 1);
		type(&s, "word\n");
		CU_ASSERT(shows(&s, "fword\r\nfword\r\n"));
	}
	type(&s, "\x04");
	CU_ASSERT(shows(&s, "over"));
	CU_ASSERT(happens(&s, 'E', 0));
	shell_end(&s);
}

static void test_interrupt(void)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)"echo ready; exec sleep 60", NULL};
	struct shell s;

	shell_start(&s, argv, false);
	CU_ASSERT(shows(&s, "ready"));
	type(&s, "\x03");
	CU_ASSERT(happens(&s, 'E', (char)(128 + SIGINT)));
	shell_end(&s);
}

/* Output elsewhere: the agent does not get the terminal until it reads from it. */
static void test_lazy(void)
{
	char *argv[] = {(char *)"sh", (char *)"-c",
			(char *)"echo ready >&2; read x; echo got $x >&2; exit 7", NULL};
	struct shell s;

	shell_start(&s, argv, true);
	CU_ASSERT(shows(&s, "ready"));
	type(&s, "word\n");
	CU_ASSERT(shows(&s, "got word"));
	CU_ASSERT(happens(&s, 'E', 7));
	shell_end(&s);
}

/* In the background the job as a whole stops for input, as any program would. */
static void test_background(void)
{
	char *argv[] = {(char *)"sh", (char *)"-c",
			(char *)"echo ready; kill -STOP $$; read x; echo got $x; exit 5", NULL};
	struct shell s;

	shell_start(&s, argv, false);
	CU_ASSERT(shows(&s, "ready"));
	CU_ASSERT(happens(&s, 'S', SIGSTOP));
	CU_ASSERT_EQUAL(write(s.commands, "b", 1), 1);
	CU_ASSERT(happens(&s, 'S', SIGTTIN));
	CU_ASSERT_EQUAL(write(s.commands, "f", 1), 1);
	type(&s, "word\n");
	CU_ASSERT(shows(&s, "got word"));
	CU_ASSERT(happens(&s, 'E', 5));
	shell_end(&s);
}

/* A shell with job control of its own inside. */
static void test_inner_shell(void)
{
	char *argv[] = {(char *)"bash", (char *)"--norc", (char *)"--noprofile", (char *)"-i", NULL};
	struct shell s;

	shell_start(&s, argv, false);
	type(&s, "PS1=; tty\n");
	CU_ASSERT(shows(&s, "/dev/console"));
	type(&s, "sleep 50; echo not\" \"yet\n");
	usleep(300000);
	type(&s, "\x1a");
	CU_ASSERT(shows(&s, "Stopped"));
	type(&s, "jobs | wc -l; kill %1; wait; echo all\" \"done\n");
	CU_ASSERT(shows(&s, "1\r\n"));
	CU_ASSERT(shows(&s, "all done"));
	type(&s, "suspend -f\n");
	CU_ASSERT(happens(&s, 'S', SIGSTOP));
	CU_ASSERT_EQUAL(write(s.commands, "f", 1), 1);
	type(&s, "echo here\" \"again\n");
	CU_ASSERT(shows(&s, "here again"));
	/* twice: bash may not have noticed yet that its stopped job is gone */
	type(&s, "exit 3\nexit 3\n");
	CU_ASSERT(happens(&s, 'E', 3));
	shell_end(&s);
}

static void test_modes(void)
{
	char *argv[] = {(char *)"sh", (char *)"-c",
			(char *)"stty raw -echo; echo ready; kill -STOP $$; stty -a; exit 0", NULL};
	struct termios before, during;
	struct shell s;

	shell_start(&s, argv, false);
	CU_ASSERT_EQUAL(tcgetattr(s.master, &before), 0);
	CU_ASSERT(shows(&s, "ready"));
	CU_ASSERT(happens(&s, 'S', SIGSTOP));
	CU_ASSERT_EQUAL(tcgetattr(s.master, &during), 0);
	CU_ASSERT_EQUAL(during.c_lflag & ECHO, before.c_lflag & ECHO);
	CU_ASSERT_EQUAL(write(s.commands, "f", 1), 1);
	CU_ASSERT(shows(&s, "-echo "));
	CU_ASSERT(happens(&s, 'E', 0));
	/* what the command did to the terminal stays, as without a sandbox */
	CU_ASSERT_EQUAL(tcgetattr(s.master, &during), 0);
	CU_ASSERT_EQUAL(during.c_lflag & ECHO, 0);
	shell_end(&s);
}

/* Away from the terminal a stop is the agent's own affair: the job goes on when the agent does. */
static void test_stop_inside(void)
{
	char *argv[] = {(char *)"sh", (char *)"-c",
			(char *)"(sleep 0.2; kill -CONT $$) & kill -STOP $$; exit 6", NULL};
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		setsid();
		_exit(supervise(argv));
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, WUNTRACED), pid);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 6);
}

static const struct unit_case cases[] = {
	{"stop without terminal", test_stop_inside},
	{"suspend and continue", test_suspend},
	{"interrupt", test_interrupt},
	{"terminal on demand", test_lazy},
	{"background", test_background},
	{"shell with jobs inside", test_inner_shell},
	{"terminal modes", test_modes},
};

FIXTURE_MAIN("tty", cases)
