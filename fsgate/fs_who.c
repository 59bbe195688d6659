#include "fsgate/fs_who.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS 128u

struct slot {
	pid_t tid;
	pid_t pid;
	int comm;
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

static bool read_comm(const struct slot *s, char *comm, size_t size)
{
	ssize_t n = s->comm < 0 ? -1 : pread(s->comm, comm, size - 1, 0);

	if (n <= 0)
		return false;
	comm[n] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
	return true;
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

	memset(out, 0, sizeof(*out));
	if (tid <= 0)
		return;
	pthread_mutex_lock(&w->lock);
	if (s->tid != tid || !read_comm(s, out->comm, sizeof(out->comm))) {
		load(s, tid);
		if (!read_comm(s, out->comm, sizeof(out->comm)))
			out->comm[0] = '\0';
	}
	out->pid = s->pid;
	pthread_mutex_unlock(&w->lock);
}
