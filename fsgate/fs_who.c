/*
 * Theory: a number that a thread has had is not given to another before the kernel has gone through
 * all others (32,768 at least), and between the start of a program and its first request lie its
 * loader and execgate's look at it. Both take longer than FRESH_NS, so what was read within
 * that time is believed; older, the comm file is read again, which tells whether that thread still
 * is there.
 */
#include "fsgate/fs_who.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 128u
#define FRESH_NS 500000u

struct slot {
	pid_t tid;
	pid_t pid;
	int comm; /* descriptor */
	uint64_t read_ns;
	char name[17];
};

struct fs_who {
	pthread_mutex_t lock;
	struct slot slots[SLOTS];
};

int fs_who_new(struct fs_who **out)
{
	struct fs_who *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	for (unsigned i = 0; i < SLOTS; i++)
		w->slots[i].comm = -1;
	*out = w;
	return 0;
}

void fs_who_free(struct fs_who *w)
{
	if (!w)
		return;
	for (unsigned i = 0; i < SLOTS; i++)
		if (w->slots[i].comm >= 0)
			close(w->slots[i].comm);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static pid_t read_tgid(pid_t tid)
{
	char path[48], text[512], *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return tid;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, "\nTgid:");
	return at ? (pid_t)strtol(at + 6, NULL, 10) : tid;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool read_comm(struct slot *s)
{
	ssize_t n = s->comm < 0 ? -1 : pread(s->comm, s->name, sizeof(s->name) - 1, 0);

	s->name[n > 0 ? n : 0] = '\0';
	s->name[strcspn(s->name, "\n")] = '\0';
	return n > 0;
}

static void load(struct slot *s, pid_t tid)
{
	char path[48];

	if (s->comm >= 0)
		close(s->comm);
	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	s->comm = open(path, O_RDONLY | O_CLOEXEC);
	s->tid = tid;
	s->pid = read_tgid(tid);
}

void fs_who_get(struct fs_who *w, pid_t tid, struct fs_who_is *out)
{
	struct slot *s = &w->slots[(unsigned)tid % SLOTS];
	uint64_t now = now_ns();

	memset(out, 0, sizeof(*out));
	if (tid <= 0)
		return;
	pthread_mutex_lock(&w->lock);
	if (s->tid != tid || now - s->read_ns > FRESH_NS) {
		if (s->tid != tid || !read_comm(s)) {
			load(s, tid);
			read_comm(s);
		}
		s->read_ns = now;
	}
	out->pid = s->pid;
	memcpy(out->comm, s->name, sizeof(out->comm));
	pthread_mutex_unlock(&w->lock);
}
