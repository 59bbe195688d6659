/*
 * Theory: the caller's descriptor is borrowed with pidfd_getfd(2). Setting O_NONBLOCK on it would
 * change the caller's own, so pipes and terminals are opened anew; sockets take MSG_DONTWAIT; a
 * regular file must be written through the borrowed one, because the position is shared.
 */
#include "execgate/exec_notice.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/loop.h"
#include "common/str.h"

#define ARGS_MAX 320 /* bytes of arguments in the line */
#define MEMORY 64u   /* lines remembered */

#define AGAIN_MS 3000u /* how long a refused approval is not asked for again */

struct said {
	pid_t tgid;
	uint64_t start, hash;
	uint64_t ms; /* when */
};

struct exec_notices {
	pthread_mutex_t lock;
	struct said last[MEMORY];
	unsigned next;
};

struct exec_notices *exec_notices_new(void)
{
	struct exec_notices *n = calloc(1, sizeof(*n));

	if (n)
		pthread_mutex_init(&n->lock, NULL);
	return n;
}

void exec_notices_free(struct exec_notices *n)
{
	if (n)
		pthread_mutex_destroy(&n->lock);
	free(n);
}

/* FNV-1a: a collision costs a line or a question, nothing is allowed by it. */
static uint64_t hash_line(uint64_t salt, const char *line)
{
	uint64_t h = 0xcbf29ce484222325ull ^ salt;

	for (; *line; line++)
		h = (h ^ (unsigned char)*line) * 0x100000001b3ull;
	return h;
}

/* @return when it was remembered, 0: it is not */
static uint64_t find(const struct exec_notices *n, const struct said *what)
{
	for (unsigned i = 0; i < MEMORY; i++)
		if (n->last[i].tgid == what->tgid && n->last[i].start == what->start &&
		    n->last[i].hash == what->hash)
			return n->last[i].ms;
	return 0;
}

static bool was_said(struct exec_notices *n, const struct said *what)
{
	bool known;

	pthread_mutex_lock(&n->lock);
	known = find(n, what) != 0;
	if (!known)
		n->last[n->next++ % MEMORY] = *what;
	pthread_mutex_unlock(&n->lock);
	return known;
}

static struct said refusal(pid_t tgid, uint64_t start_ticks, const char *subject)
{
	return (struct said){tgid, start_ticks, hash_line(1, subject), loop_now_ms()};
}

void exec_notice_refused(struct exec_notices *n, pid_t tgid, uint64_t start_ticks,
			 const char *subject)
{
	struct said what = refusal(tgid, start_ticks, subject);

	pthread_mutex_lock(&n->lock);
	n->last[n->next++ % MEMORY] = what;
	pthread_mutex_unlock(&n->lock);
}

bool exec_notice_was_refused(struct exec_notices *n, pid_t tgid, uint64_t start_ticks,
			     const char *subject)
{
	struct said what = refusal(tgid, start_ticks, subject);
	uint64_t ms;

	pthread_mutex_lock(&n->lock);
	ms = find(n, &what);
	pthread_mutex_unlock(&n->lock);
	return ms != 0 && what.ms - ms <= AGAIN_MS;
}

void exec_notice_format(char *buf, size_t size, const char *const *argv, size_t argc,
			const char *rule, const char *message)
{
	char args[ARGS_MAX];
	struct str a, s;

	str_init(&a, args, sizeof(args));
	for (size_t i = 0; i < argc && !a.cut; i++) {
		str_add(&a, i ? " " : "");
		str_add_escaped(&a, argv[i], strnlen(argv[i], ARGS_MAX));
	}
	str_init(&s, buf, size - 1);
	str_addf(&s, "agentsh: denied: %s%s", args, a.cut ? "..." : "");
	if (rule[0])
		str_addf(&s, " (rule %s)", rule);
	if (message[0])
		str_addf(&s, ": %s", message);
	memcpy(buf + s.len, "\n", 2);
}

static int borrow_stderr(pid_t tgid)
{
	autoclose int pidfd = pidfd_open(tgid, 0);

	return pidfd < 0 ? -1 : pidfd_getfd(pidfd, STDERR_FILENO, 0);
}

/* /dev/tty, /dev/console and /dev/ptmx (major 5) are another device when opened by us. */
static bool is_reopenable(const struct stat *st, int fd)
{
	return S_ISFIFO(st->st_mode) ||
	       (S_ISCHR(st->st_mode) && isatty(fd) && major(st->st_rdev) != 5);
}

static void write_line(int fd, const char *line)
{
	autoclose int own = -1;
	size_t len = strlen(line);
	char path[64];
	struct stat st;
	ssize_t n = -1;
	int mode;

	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	mode = fcntl(fd, F_GETFL);
	if (mode < 0 || (mode & O_PATH) || (mode & O_ACCMODE) == O_RDONLY)
		return;
	if (S_ISSOCK(st.st_mode)) {
		n = send(fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else if (S_ISREG(st.st_mode)) {
		n = write(fd, line, len);
	} else if (is_reopenable(&st, fd)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		n = own < 0 ? -1 : write(own, line, len);
	}
	(void)n; /* the caller's loss: it still gets EACCES */
}

void exec_notice_send(struct exec_notices *n, pid_t tgid, uint64_t start_ticks, const char *line)
{
	struct said what = {tgid, start_ticks, hash_line(0, line), loop_now_ms()};
	autoclose int fd = was_said(n, &what) ? -1 : borrow_stderr(tgid);

	write_line(fd, line);
}
