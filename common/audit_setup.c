#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/audit_i.h"
#include "common/auto.h"

#define READY_FD 3
#define START_WAIT_MS 15000

extern char **environ;

static int file_actions(posix_spawn_file_actions_t *fa, int ready)
{
	int r = 0;

	for (int fd = 0; fd < 3 && r == 0; fd++)
		r = posix_spawn_file_actions_addopen(fa, fd, "/dev/null", O_RDWR, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(fa, ready, READY_FD);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(fa, READY_FD + 1);
	return r;
}

static int attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawnattr_setsigmask(attr, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attr, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
							   POSIX_SPAWN_SETSID);
	return r;
}

/*
 * posix_spawn(3), because it does not copy our address space. The program forks by itself, so
 * that the writer outlives us and is nobody's zombie; what we started ends at once.
 */
static pid_t spawn(const char *path, char *const *argv, int ready, struct err *e)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	pid_t pid = -1;
	int r;

	r = posix_spawn_file_actions_init(&fa);
	if (r)
		return err_set(e, r, "start %s", path);
	r = posix_spawnattr_init(&attr);
	if (r == 0) {
		r = file_actions(&fa, ready);
		if (r == 0)
			r = attributes(&attr);
		if (r == 0)
			r = posix_spawn(&pid, path, &fa, &attr, argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&fa);
	return r ? err_set(e, r, "start %s", path) : pid;
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

int audit_setup_start(struct audit_starting *out, const char *auditd_path, const char *log_dir,
		      const char *runtime_dir, struct err *e)
{
	char *const argv[] = {(char *)"agentsh-auditd", (char *)log_dir, (char *)runtime_dir, NULL};
	autoclose int in = -1, theirs = -1;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(e, errno, "pipe");
	in = fds[0];
	theirs = fds[1];
	if (theirs == READY_FD) {
		/* dup2 onto itself would keep close-on-exec */
		theirs = fcntl(theirs, F_DUPFD_CLOEXEC, READY_FD + 1);
		close(READY_FD);
		if (theirs < 0)
			return err_set(e, errno, "pipe");
	}
	pid = spawn(auditd_path, argv, theirs, e);
	if (pid < 0)
		return (int)pid;
	out->fd = steal_fd(&in);
	out->pid = pid;
	return 0;
}

void audit_setup_forget(struct audit_starting *s)
{
	if (s->fd < 0)
		return;
	close(steal_fd(&s->fd));
	while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int audit_setup_wait(struct audit_starting *s, struct err *e)
{
	char report[ERR_TEXT_MAX];
	int r = read_report(s->fd, report, sizeof(report), e);

	audit_setup_forget(s);
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
