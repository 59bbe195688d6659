#include "tests/attack/attack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char happened[512];

static enum outcome say(enum outcome o, const char *fmt, va_list ap)
{
	vsnprintf(happened, sizeof(happened), fmt, ap);
	for (char *p = happened; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	return o;
}

enum outcome attack_blocked(const char *fmt, ...)
{
	va_list ap;
	enum outcome o;

	va_start(ap, fmt);
	o = say(BLOCKED, fmt, ap);
	va_end(ap);
	return o;
}

enum outcome attack_escaped(const char *fmt, ...)
{
	va_list ap;
	enum outcome o;

	va_start(ap, fmt);
	o = say(ESCAPED, fmt, ap);
	va_end(ap);
	return o;
}

enum outcome attack_broken(const char *fmt, ...)
{
	va_list ap;
	enum outcome o;

	va_start(ap, fmt);
	o = say(BROKEN, fmt, ap);
	va_end(ap);
	return o;
}

enum outcome attack_must_fail(const char *call, long r)
{
	if (r < 0)
		return attack_blocked("%s: %s", call, strerrorname_np(errno));
	return attack_escaped("%s gave %ld", call, r);
}

static const char *const words[] = {"BLOCKED", "ESCAPED", "BROKEN"};

/* The child's last words come through a pipe, so that a case may do as it likes with stdout. */
static void child(const struct attack *a, int to_parent)
{
	enum outcome o;
	char line[600];

	alarm(a->seconds);
	o = a->fn();
	snprintf(line, sizeof(line), "%s\t%s", words[o], happened);
	(void)!write(to_parent, line, strlen(line));
	_exit(0);
}

static int died(char *line, size_t size, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return snprintf(line, size, "BLOCKED\tkilled by SIGSYS");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return snprintf(line, size, "BROKEN\thung");
	if (WIFSIGNALED(status))
		return snprintf(line, size, "BROKEN\tended by signal %d", WTERMSIG(status));
	return snprintf(line, size, "BROKEN\tended with status %d, no result", WEXITSTATUS(status));
}

static int run_case(const struct attack *a)
{
	char line[600];
	size_t len = 0;
	ssize_t n;
	int p[2], status;
	pid_t pid;

	fflush(stdout);
	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid < 0)
		return -1;
	if (pid == 0)
		child(a, p[1]);
	close(p[1]);
	/* waiting first: a process that the case left behind may hold the pipe open for ever */
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	while (len < sizeof(line) - 1 && (n = read(p[0], line + len, sizeof(line) - 1 - len)) > 0)
		len += (size_t)n;
	line[len] = '\0';
	close(p[0]);
	if (len == 0)
		died(line, sizeof(line), status);
	printf("%.*s\t%s\t%s\t%s\n", (int)strcspn(line, "\t"), line, a->name, a->expect,
	       strchr(line, '\t') + 1);
	return strncmp(line, "BLOCKED", 7) == 0 ? 0 : 1;
}

int attack_run(const struct attack *cases, size_t n, int argc, char **argv)
{
	int bad = 0;

	for (size_t i = 0; i < n; i++) {
		bool wanted = argc < 2;

		for (int k = 1; k < argc; k++)
			wanted = wanted || strcmp(argv[k], cases[i].name) == 0;
		if (wanted && run_case(&cases[i]) != 0)
			bad = 1;
	}
	return bad;
}

static _Noreturn void end_broken(const char *what, const char *key)
{
	attack_broken("%s %s", what, key);
	printf("BROKEN\t%s\n", happened);
	fflush(stdout);
	_exit(99);
}

const char *attack_conf(const char *key)
{
	static char text[8192];
	size_t len = strlen(key);

	if (!*text && attack_slurp("outside.conf", text, sizeof(text)) < 0)
		end_broken("cannot read outside.conf for", key);
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == '=')
			return strndup(line + len + 1, strcspn(line + len + 1, "\n"));
	}
	end_broken("outside.conf does not say", key);
}

long attack_conf_number(const char *key)
{
	return strtol(attack_conf(key), NULL, 10);
}

ssize_t attack_slurp(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	n = n < 0 && len == 0 ? -errno : (ssize_t)len;
	buf[len] = '\0';
	close(fd);
	return n;
}

int attack_spill(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		r = -errno;
	if (close(fd) < 0)
		r = -errno;
	return r;
}

enum outcome attack_read_secret(const char *path)
{
	char buf[4096];
	ssize_t n = attack_slurp(path, buf, sizeof(buf));

	if (n < 0)
		return attack_blocked("%s", strerrorname_np((int)-n));
	if (strstr(buf, attack_conf("secret")))
		return attack_escaped("read the secret by %s", path);
	return attack_blocked("%zd bytes, not the secret", n);
}

int attack_capture(char *out, size_t size, const char *const argv[])
{
	size_t len = 0;
	ssize_t n;
	int p[2], status;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(p[1], 1);
		if (null >= 0)
			dup2(null, 2);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(errno == EACCES ? 126 : 127);
	}
	close(p[1]);
	while (len < size - 1 && (n = read(p[0], out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(p[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

unsigned attack_tries(unsigned fallback)
{
	char buf[64];
	const char *s = getenv("ATTACK_TRIES");

	if (!s && attack_slurp("tries", buf, sizeof(buf)) > 0)
		s = buf;
	return s && atoi(s) > 0 ? (unsigned)atoi(s) : fallback;
}
