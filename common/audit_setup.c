#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/audit_i.h"

#define READY_FD 3
#define START_WAIT_MS 15000

extern char **environ;

/* Between fork and exec: no allocation, no return. */
static void become_writer(const char *path, char *const *argv, int ready)
{
	sigset_t none;
	int null;

	setsid();
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(ready, READY_FD) < 0)
		_exit(127);
	if (ready == READY_FD && fcntl(ready, F_SETFD, 0) < 0)
		_exit(127);
	for (int i = 0; i < 3; i++)
		if (dup2(null, i) < 0)
			_exit(127);
	close_range(READY_FD + 1, ~0u, 0);
	execve(path, argv, environ);
	dprintf(READY_FD, "F%d start %s: %s", errno, path, strerror(errno));
	_exit(127);
}

/* Twice forked: the writer outlives us and is nobody's zombie. */
static int spawn(const char *path, char *const *argv, int ready, struct err *e)
{
	pid_t pid = fork();
	int status = 0;

	if (pid < 0)
		return err_set(e, errno, "fork");
	if (pid == 0) {
		pid_t child = fork();

		if (child == 0)
			become_writer(path, argv, ready);
		_exit(child < 0 ? 1 : 0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "start the audit writer");
	return status == 0 ? 0 : err_say(e, EAGAIN, "start the audit writer: fork failed");
}

/* The whole report: one byte and a line, until the writer closes its end. */
static int read_report(int fd, char *buf, size_t size, struct err *e)
{
	size_t len = 0;

	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		int r = poll(&pfd, 1, START_WAIT_MS);
		ssize_t n;

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return err_say(e, ETIMEDOUT, "the audit writer does not start");
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	return (int)len;
}

int audit_setup_writer(const char *auditd_path, const char *log_dir, const char *runtime_dir,
		       struct err *e)
{
	char *const argv[] = {(char *)"agentsh-auditd", (char *)log_dir, (char *)runtime_dir, NULL};
	autoclose int in = -1, out = -1;
	char report[ERR_TEXT_MAX];
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(e, errno, "pipe");
	in = fds[0];
	out = fds[1];
	r = spawn(auditd_path, argv, out, e);
	close(steal_fd(&out));
	if (r == 0)
		r = read_report(in, report, sizeof(report), e);
	if (r < 0)
		return r;
	if (report[0] == AUDIT_START_READY || report[0] == AUDIT_START_OTHER)
		return 0;
	if (report[0] == AUDIT_START_FAILED) {
		char *text;
		long code = strtol(report + 1, &text, 10);

		return err_say(e, (int)code, "%s", text + (*text == ' '));
	}
	return err_say(e, EIO, "the audit writer ended while it started");
}
