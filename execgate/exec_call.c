/*
 * Theory: another thread may be changing the memory while it is read. That is harmless: the copy is
 * what gets judged, and exec_verify.c compares what the kernel really loaded with the copy.
 * process_vm_readv() stops at the first byte that is not mapped, so every single read stays within
 * one page, and strings are asked for in batches of a guessed length.
 */
#include "execgate/exec_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/auto.h"

#define PAGE 4096u /* the smallest there is: a larger page only means more reads than needed */
#define BATCH 64u
#define GUESS 128u /* bytes of an argument in the first read */

static size_t to_page_end(uint64_t addr)
{
	return PAGE - (size_t)(addr % PAGE);
}

static struct iovec remote(uint64_t addr, size_t len)
{
	return (struct iovec){(void *)(uintptr_t)addr, len}; /* NOLINT: another address space */
}

/* A string of at most size bytes with its NUL. @return length, or -errno */
static ssize_t read_string(pid_t pid, uint64_t addr, char *buf, size_t size)
{
	size_t n = 0;

	while (n < size) {
		size_t want = to_page_end(addr + n);
		struct iovec here, there;
		ssize_t got;
		char *nul;

		if (want > size - n)
			want = size - n;
		here = (struct iovec){buf + n, want};
		there = remote(addr + n, want);
		got = process_vm_readv(pid, &here, 1, &there, 1, 0);
		if (got <= 0)
			return got < 0 && errno != EFAULT ? -errno : -EFAULT;
		nul = memchr(buf + n, '\0', (size_t)got);
		if (nul)
			return nul - buf;
		n += (size_t)got;
	}
	return -ENAMETOOLONG;
}

/* ---- arguments ---- */

struct vector {
	uint64_t *ptr; /* owned */
	size_t n;
};

#define POINTERS_MAX (EXEC_ARG_BYTES / sizeof(uint64_t))

static int read_pointers(struct vector *v, pid_t pid, uint64_t addr)
{
	size_t cap = 0;

	while (v->n < POINTERS_MAX) {
		size_t room = to_page_end(addr) / sizeof(uint64_t);
		struct iovec here, there;
		ssize_t got;

		if (room == 0)
			room = 1; /* a pointer across two pages: unaligned, but legal */
		if (v->n + room > cap) {
			uint64_t *more;

			cap = (v->n + room) * 2;
			more = realloc(v->ptr, cap * sizeof(*more));
			if (!more)
				return -ENOMEM;
			v->ptr = more;
		}
		here = (struct iovec){v->ptr + v->n, room * sizeof(uint64_t)};
		there = remote(addr, room * sizeof(uint64_t));
		got = process_vm_readv(pid, &here, 1, &there, 1, 0);
		if (got < (ssize_t)sizeof(uint64_t))
			return got < 0 && errno != EFAULT ? -errno : -EFAULT;
		for (size_t i = 0; i < (size_t)got / sizeof(uint64_t); i++, v->n++)
			if (!v->ptr[v->n])
				return 0;
		addr += (uint64_t)got / sizeof(uint64_t) * sizeof(uint64_t);
	}
	return -E2BIG;
}

struct strings {
	char *buf; /* owned */
	size_t len, cap;
};

static int strings_room(struct strings *s, size_t more)
{
	size_t cap = s->cap ? s->cap : 4096;
	char *buf;

	if (s->len + more > EXEC_ARG_BYTES)
		return -E2BIG;
	if (s->len + more <= s->cap)
		return 0;
	while (cap < s->len + more)
		cap *= 2;
	buf = realloc(s->buf, cap);
	if (!buf)
		return -ENOMEM;
	s->buf = buf;
	s->cap = cap;
	return 0;
}

/* The rest of a string of which the first bytes are already at the end of s, page by page. */
static int finish_string(struct strings *s, pid_t pid, uint64_t addr)
{
	for (;;) {
		size_t want = to_page_end(addr);
		struct iovec here, there;
		ssize_t got;
		char *nul;
		int r = strings_room(s, want);

		if (r < 0)
			return r;
		here = (struct iovec){s->buf + s->len, want};
		there = remote(addr, want);
		got = process_vm_readv(pid, &here, 1, &there, 1, 0);
		if (got <= 0)
			return got < 0 && errno != EFAULT ? -errno : -EFAULT;
		nul = memchr(s->buf + s->len, '\0', (size_t)got);
		if (nul) {
			s->len = (size_t)(nul - s->buf) + 1;
			return 0;
		}
		s->len += (size_t)got;
		addr += (uint64_t)got;
	}
}

static int append_strings(struct strings *s, pid_t pid, const uint64_t *ptr, size_t n)
{
	char guess[BATCH][GUESS] = {{0}};
	struct iovec here[BATCH], there[BATCH];
	size_t got_left;
	ssize_t got;

	for (size_t i = 0; i < n; i++) {
		size_t want = to_page_end(ptr[i]) < GUESS ? to_page_end(ptr[i]) : GUESS;

		here[i] = (struct iovec){guess[i], want};
		there[i] = remote(ptr[i], want);
	}
	got = process_vm_readv(pid, here, n, there, n, 0);
	if (got < 0 && errno != EFAULT)
		return -errno;
	got_left = got < 0 ? 0 : (size_t)got;
	for (size_t i = 0; i < n; i++) {
		size_t have = got_left < here[i].iov_len ? got_left : here[i].iov_len;
		const char *nul = memchr(guess[i], '\0', have);
		size_t len = nul ? (size_t)(nul - guess[i]) + 1 : have;
		int r = strings_room(s, len);

		if (r < 0)
			return r;
		got_left -= have;
		memcpy(s->buf + s->len, guess[i], len);
		s->len += len;
		r = nul ? 0 : finish_string(s, pid, ptr[i] + len);
		if (r < 0)
			return r;
	}
	return 0;
}

static int index_strings(struct exec_call *c, size_t n)
{
	const char *p = c->strings;

	c->argv = calloc(n + 1, sizeof(*c->argv));
	if (!c->argv)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++, p += strlen(p) + 1)
		c->argv[i] = p;
	c->argc = n;
	return 0;
}

static int read_argv(struct exec_call *c, uint64_t addr)
{
	struct vector v = {NULL, 0};
	struct strings s = {NULL, 0, 0};
	int r = addr ? read_pointers(&v, c->tid, addr) : 0;

	for (size_t i = 0; i < v.n && r == 0; i += BATCH)
		r = append_strings(&s, c->tid, v.ptr + i, v.n - i < BATCH ? v.n - i : BATCH);
	if (r == 0 && v.n == 0)
		r = strings_room(&s, 1);
	if (r == 0 && v.n == 0)
		s.buf[s.len++] = '\0';
	free(v.ptr);
	c->strings = s.buf;
	c->strings_len = s.len;
	return r < 0 ? r : index_strings(c, v.n ? v.n : 1);
}

/* ---- the process ---- */

static int read_proc(char *buf, size_t size, pid_t pid, const char *name)
{
	char path[64];
	autoclose int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	n = read(fd, buf, size - 1);
	if (n <= 0)
		return -ESRCH;
	buf[n] = '\0';
	return 0;
}

/* proc_pid_stat(5): the comm in parentheses may itself contain any byte, so look from the end. */
static int parse_stat(pid_t *ppid, uint64_t *start, char *comm, const char *text)
{
	const char *open = strchr(text, '('), *end = strrchr(text, ')');
	unsigned long long ticks;
	int parent;

	if (!open || !end || end < open ||
	    sscanf(end + 1,
		   " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%llu",
		   &parent, &ticks) != 2)
		return -ESRCH;
	*ppid = parent;
	*start = ticks;
	if (comm) {
		size_t n = (size_t)(end - open - 1);

		n = n > EXEC_COMM ? EXEC_COMM : n;
		memcpy(comm, open + 1, n);
		comm[n] = '\0';
	}
	return 0;
}

int exec_call_parent(pid_t *ppid, uint64_t *start_ticks, pid_t tgid)
{
	char text[1024];
	int r = read_proc(text, sizeof(text), tgid, "stat");

	return r < 0 ? r : parse_stat(ppid, start_ticks, NULL, text);
}

static int read_tgid(pid_t *tgid, pid_t tid)
{
	char text[4096];
	const char *p;
	int fd = (int)syscall(SYS_pidfd_open, tid, 0), id;

	/* without PIDFD_THREAD only the leader of a thread group can be opened */
	if (fd >= 0) {
		close(fd);
		*tgid = tid;
		return 0;
	}
	if (read_proc(text, sizeof(text), tid, "status") < 0)
		return -ESRCH;
	p = strstr(text, "\nTgid:");
	if (!p || sscanf(p, "\nTgid:%d", &id) != 1)
		return -ESRCH;
	*tgid = id;
	return 0;
}

static int read_process(struct exec_call *c)
{
	char text[1024], link[64];
	ssize_t n;
	int r = read_tgid(&c->tgid, c->tid);

	if (r == 0)
		r = read_proc(text, sizeof(text), c->tgid, "stat");
	if (r == 0)
		r = parse_stat(&c->ppid, &c->start_ticks, c->comm, text);
	if (r < 0)
		return r;
	snprintf(link, sizeof(link), "/proc/%d/cwd", (int)c->tid);
	n = readlink(link, c->cwd, sizeof(c->cwd) - 1);
	c->cwd[n < 0 ? 0 : n] = '\0';
	return 0;
}

int exec_call_read(struct exec_call *c, const struct seccomp_notif *n)
{
	bool is_at = n->data.nr == SYS_execveat;
	unsigned shift = is_at ? 1 : 0;
	ssize_t len;
	int r;

	memset(c, 0, sizeof(*c));
	c->id = n->id;
	c->tid = (pid_t)n->pid;
	c->dirfd = is_at ? (int)n->data.args[0] : AT_FDCWD;
	c->flags = is_at ? (int)n->data.args[4] : 0;
	r = read_process(c);
	if (r < 0)
		return r;
	len = read_string(c->tid, n->data.args[shift], c->path, sizeof(c->path));
	if (len < 0)
		return (int)len;
	return read_argv(c, n->data.args[shift + 1]);
}

void exec_call_deinit(struct exec_call *c)
{
	free(c->strings);
	free(c->argv);
	c->strings = NULL;
	c->argv = NULL;
}
