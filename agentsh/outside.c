/*
 * Theory: events are counted in a table by (process, file, kind) until the second is over or the table
 * is full; then each entry becomes a record. Everything happens in the supervisor's loop. The loader's
 * files (libc, ld.so.cache, locales) are opened by every process: after some records the kernel is told
 * to leave such a file out, and the last record of it says so.
 */
#include "agentsh/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentsh/mount_table.h"
#include "common/log.h"
#include "common/path.h"
#include "common/str.h"

#define WINDOW_MS 1000
#define SEEN_MAX  512u
#define HOT_MAX	  256u /* loader files that are counted */
#define HOT_AFTER 32u  /* records of one of them, before the kernel leaves it out */
#define BATCH	  64u  /* events, and so descriptors, at a time */

struct seen {
	pid_t pid;
	bool is_exec, is_last;
	dev_t dev;
	ino_t ino;
	uint64_t count;
	char comm[16];
	char *path; /* owned */
};

struct hot {
	dev_t dev;
	ino_t ino;
	unsigned n;
};

struct outside {
	int fd;
	struct loop *loop;
	struct audit_producer *producer;
	pid_t not_of[8];
	size_t n_not_of;
	struct loop_io io;
	struct loop_timer timer;
	struct seen seen[SEEN_MAX];
	size_t n_seen;
	struct hot hot[HOT_MAX];
	size_t n_hot;
	uint64_t lost;		/* records that the writer did not take */
	const char *lost_where; /* or the kernel's queue; NULL: nothing to tell */
};

static int open_group(void)
{
	return fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE |
				     FAN_UNLIMITED_MARKS,
			     O_RDONLY | O_CLOEXEC | O_LARGEFILE | O_NOATIME | O_NONBLOCK);
}

bool outside_possible(void)
{
	autoclose int fd = open_group();

	return fd >= 0;
}

/* ---- records ---- */

static int append(struct outside *o, const char *op, pid_t pid, const char *comm,
		  const struct audit_field *fields, size_t n)
{
	const struct audit_event ev = {
		.op = op,
		.decision = "",
		.rule = "",
		.message = "",
		.pid = pid,
		.comm = comm,
		.fields = fields,
		.n_fields = n,
		.durability = AUDIT_RING,
	};

	return audit_append(o->producer, &ev);
}

static void tell_gap(struct outside *o)
{
	const struct audit_field fields[] = {
		AUDIT_F_STR("reason", o->lost_where ? o->lost_where : ""),
		AUDIT_F_U64("lost", o->lost),
	};

	if (o->lost_where && append(o, "gap", 0, "", fields, ARRAY_LEN(fields)) == 0) {
		o->lost_where = NULL;
		o->lost = 0;
	}
}

static void flush(struct outside *o)
{
	for (size_t i = 0; i < o->n_seen; i++) {
		struct seen *s = &o->seen[i];
		const struct audit_field fields[] = {
			AUDIT_F_STR("path", s->path),
			AUDIT_F_U64("count", s->count),
			AUDIT_F_STR("note", "a file of the loader: not recorded from here on"),
		};

		if (append(o, s->is_exec ? "run" : "read", s->pid, s->comm, fields,
			   ARRAY_LEN(fields) - !s->is_last) < 0) {
			o->lost++;
			o->lost_where = "records of reads outside the workspace were not taken";
		}
		free(s->path);
	}
	o->n_seen = 0;
	tell_gap(o);
}

static void on_time(struct loop_timer *t)
{
	flush(container_of(t, struct outside, timer));
}

/* ---- events ---- */

/* Opened by every process, and by no choice of its own. */
static bool is_loaders(const char *path)
{
	const char *base = path_base(path);

	return strcmp(path, "/etc/ld.so.cache") == 0 || path_is_below(path, "/usr/lib/locale") ||
	       (str_has_prefix(path, "/usr/lib") &&
		(str_has_prefix(base, "lib") || str_has_prefix(base, "ld-")) && strstr(base, ".so"));
}

static struct hot *find_hot(struct outside *o, dev_t dev, ino_t ino)
{
	for (size_t i = 0; i < o->n_hot; i++)
		if (o->hot[i].dev == dev && o->hot[i].ino == ino)
			return &o->hot[i];
	if (o->n_hot == HOT_MAX)
		return NULL;
	o->hot[o->n_hot] = (struct hot){dev, ino, 0};
	return &o->hot[o->n_hot++];
}

/* @return true: from now on the kernel says nothing about this file */
static bool leave_out(struct outside *o, int fd, const struct seen *s)
{
	struct hot *h = is_loaders(s->path) ? find_hot(o, s->dev, s->ino) : NULL;

	return h && ++h->n == HOT_AFTER &&
	       fanotify_mark(o->fd,
			     FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY,
			     FAN_OPEN | FAN_OPEN_EXEC, fd, NULL) == 0;
}

static void read_comm(char *out, size_t size, pid_t pid)
{
	char path[32];
	autoclose int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

/* The file as the sandbox names it: the mount's own tree has no other root. */
static char *name_of(int fd)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return strdup(path);
}

static void count(struct outside *o, int fd, pid_t pid, bool is_exec)
{
	struct seen *s;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	for (size_t i = 0; i < o->n_seen; i++) {
		s = &o->seen[i];
		if (s->pid == pid && s->ino == st.st_ino && s->dev == st.st_dev &&
		    s->is_exec == is_exec) {
			s->count++;
			return;
		}
	}
	if (o->n_seen == SEEN_MAX)
		flush(o);
	if (o->n_seen == 0)
		loop_timer_set(o->loop, &o->timer, WINDOW_MS, on_time);
	s = &o->seen[o->n_seen];
	*s = (struct seen){.pid = pid, .is_exec = is_exec, .dev = st.st_dev, .ino = st.st_ino};
	s->count = 1;
	s->path = name_of(fd);
	if (!s->path) {
		o->lost++;
		o->lost_where = "out of memory";
		return;
	}
	read_comm(s->comm, sizeof(s->comm), pid);
	s->is_last = leave_out(o, fd, s);
	o->n_seen++;
}

static bool is_ours(const struct outside *o, pid_t pid)
{
	for (size_t i = 0; i < o->n_not_of; i++)
		if (o->not_of[i] == pid)
			return true;
	return false;
}

static void take(struct outside *o, const struct fanotify_event_metadata *m)
{
	if (m->mask & FAN_Q_OVERFLOW)
		o->lost_where = "the kernel dropped reads outside the workspace";
	if (m->fd < 0)
		return;
	if (!is_ours(o, m->pid))
		count(o, m->fd, m->pid, m->mask & FAN_OPEN_EXEC);
	close(m->fd);
}

/* @return false when nothing waits any more */
static bool read_batch(struct outside *o)
{
	struct fanotify_event_metadata events[BATCH];
	ssize_t n = read(o->fd, events, sizeof(events));
	const struct fanotify_event_metadata *m = events;

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		o->lost_where = "reads outside the workspace could not be taken";
	for (; n > 0 && FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n))
		take(o, m);
	return n > 0 || (n < 0 && errno != EAGAIN);
}

static void on_events(struct loop_io *io, uint32_t events)
{
	(void)events;
	read_batch(container_of(io, struct outside, io));
}

/* ---- set-up ---- */

struct marking {
	struct outside *o;
	const struct outside_args *args;
	struct err *e;
	unsigned n;
	int r;
};

static void mark(void *arg, const char *at, const struct mount_entry *entry)
{
	struct marking *k = arg;
	char path[PATH_MAX + 32];

	(void)entry;
	if (k->r < 0 || !plan_is_bind(k->args->plan, at))
		return;
	snprintf(path, sizeof(path), "/proc/%d/root%s", k->args->init, at);
	if (fanotify_mark(k->o->fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN | FAN_OPEN_EXEC, AT_FDCWD,
			  path) < 0)
		k->r = err_set(k->e, errno, "audit.log_outside_reads: watch %s", at);
	k->n++;
}

int outside_open(struct outside **out, const struct outside_args *args, struct err *e)
{
	AUTO(outside_close) struct outside *o = calloc(1, sizeof(*o));
	struct marking k = {.o = o, .args = args, .e = e};
	char table[48];

	if (!o)
		return err_set(e, ENOMEM, "audit.log_outside_reads");
	o->loop = args->loop;
	o->producer = args->producer;
	o->n_not_of = args->n_not_of < ARRAY_LEN(o->not_of) ? args->n_not_of : ARRAY_LEN(o->not_of);
	memcpy(o->not_of, args->not_of, o->n_not_of * sizeof(pid_t));
	o->fd = open_group();
	if (o->fd < 0)
		return err_set(e, errno, "audit.log_outside_reads: fanotify");
	snprintf(table, sizeof(table), "/proc/%d/mountinfo", args->init);
	if (mount_table_each(table, mark, &k) < 0)
		return err_set(e, EIO, "audit.log_outside_reads: read %s", table);
	if (k.r < 0)
		return k.r;
	if (loop_io_add(args->loop, &o->io, o->fd, EPOLLIN, on_events) < 0)
		return err_set(e, ENOMEM, "event loop");
	log_debug("reads in %u mounts are recorded", k.n);
	*out = steal_ptr(&o);
	return 0;
}

void outside_close(struct outside *o)
{
	if (!o)
		return;
	loop_timer_del(o->loop, &o->timer);
	loop_io_del(&o->io);
	while (o->fd >= 0 && read_batch(o))
		;
	flush(o);
	loop_timer_del(o->loop, &o->timer);
	if (o->fd >= 0)
		close(o->fd);
	free(o);
}
