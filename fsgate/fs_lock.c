/*
 * Theory: owners is the list of (node, owner) that have locks or had them until they were unlocked;
 * waiters are requests without an answer. Both are under one lock, which is never held while a
 * reply is sent or an interrupt function is set: an interrupt arrives with the request's own lock
 * held and takes ours.
 */
#include "fsgate/fs_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "fsgate/fs_at.h"

#define RETRY_MIN_MS 1
#define RETRY_MAX_MS 20

struct owner {
	struct owner *next;
	struct fs_node *node; /* held by the file */
	uint64_t id;
	struct fs_file *via; /* the open file that locked first */
	int fd;
	pid_t pid;
};

struct waiter {
	struct waiter *next;
	struct fs_locks *locks;
	fuse_req_t req;
	struct fs_file *file;
	bool is_flock;
	int op; /* flock */
	uint64_t owner;
	struct flock lock;
	bool interrupted;
	int result;
};

struct fs_locks {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct owner *owners;
	struct waiter *waiters;
	bool has_thread;
	bool unlocked; /* something was given back since the last try */
};

int fs_lock_init(struct fs *fs)
{
	struct fs_locks *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wake, &attr);
	pthread_condattr_destroy(&attr);
	fs->locks = l;
	return 0;
}

void fs_lock_deinit(struct fs *fs)
{
	struct owner *next;

	if (!fs->locks || fs->locks->has_thread)
		return; /* a thread that waits ends with the process */
	for (struct owner *o = fs->locks->owners; o; o = next) {
		next = o->next;
		close(o->fd);
		free(o);
	}
	pthread_cond_destroy(&fs->locks->wake);
	pthread_mutex_destroy(&fs->locks->mutex);
	free(fs->locks);
	fs->locks = NULL;
}

/* ---- owners; all with the mutex held ---- */

static struct owner *find(struct fs_locks *l, const struct fs_node *n, uint64_t id)
{
	struct owner *o = l->owners;

	while (o && (o->node != n || o->id != id))
		o = o->next;
	return o;
}

/* A descriptor that OFD locks of both kinds can be put on. */
static int own_descriptor(const struct fs_file *f)
{
	int fd = fs_at_reopen(f->fd, O_RDWR);

	return fd >= 0 ? fd : fs_at_reopen(f->fd, f->flags & O_ACCMODE);
}

static struct owner *find_or_make(struct fs_locks *l, struct fs_file *f, uint64_t id, pid_t pid)
{
	struct owner *o = find(l, f->node, id);

	if (o)
		return o;
	o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	o->fd = own_descriptor(f);
	if (o->fd < 0) {
		free(o);
		return NULL;
	}
	o->node = f->node;
	o->id = id;
	o->via = f;
	o->pid = pid;
	o->next = l->owners;
	l->owners = o;
	return o;
}

static void give_back(struct fs_locks *l)
{
	if (!l->waiters)
		return;
	l->unlocked = true;
	pthread_cond_signal(&l->wake);
}

static bool goes(const struct owner *o, const struct fs_file *f, const uint64_t *id)
{
	return id ? o->node == f->node && o->id == *id : o->via == f;
}

static void drop(struct fs_locks *l, const struct fs_file *f, const uint64_t *id)
{
	struct owner **p;

	pthread_mutex_lock(&l->mutex);
	for (p = &l->owners; *p;) {
		struct owner *o = *p;

		if (!goes(o, f, id)) {
			p = &o->next;
			continue;
		}
		*p = o->next;
		close(o->fd);
		free(o);
	}
	give_back(l);
	pthread_mutex_unlock(&l->mutex);
}

void fs_lock_flush(struct fs *fs, struct fs_file *f, uint64_t owner)
{
	drop(fs->locks, f, &owner);
}

void fs_lock_release(struct fs *fs, struct fs_file *f)
{
	/* the kernel may have the open file for longer than we do: as a backing (fs_pass.c) */
	if (f->flocked)
		flock(f->fd, LOCK_UN);
	drop(fs->locks, f, NULL);
}

/* ---- one try ---- */

/* @return 0, -EAGAIN (someone else has it) or another -errno */
static int try_posix(struct fs_locks *l, struct fs_file *f, uint64_t id, const struct flock *lock)
{
	struct flock fl = *lock;
	struct owner *o;

	o = lock->l_type == F_UNLCK ? find(l, f->node, id) :
				      find_or_make(l, f, id, lock->l_pid);
	if (!o)
		return lock->l_type == F_UNLCK ? 0 : -ENOLCK;
	fl.l_pid = 0;
	if (fcntl(o->fd, F_OFD_SETLK, &fl) < 0)
		return errno == EACCES ? -EAGAIN : -errno;
	if (lock->l_type != F_WRLCK)
		give_back(l);
	return 0;
}

static int try_flock(struct fs_locks *l, struct fs_file *f, int op)
{
	if (flock(f->fd, op | LOCK_NB) < 0)
		return -errno;
	f->flocked = true;
	if ((op & ~LOCK_NB) != LOCK_EX)
		give_back(l);
	return 0;
}

static int try_waiter(struct waiter *w)
{
	if (w->is_flock)
		return try_flock(w->locks, w->file, w->op);
	return try_posix(w->locks, w->file, w->owner, &w->lock);
}

/* The caller was interrupted while we said yes. */
static void take_back(struct waiter *w)
{
	struct flock none = w->lock;

	pthread_mutex_lock(&w->locks->mutex);
	none.l_type = F_UNLCK;
	if (w->is_flock)
		try_flock(w->locks, w->file, LOCK_UN);
	else
		try_posix(w->locks, w->file, w->owner, &none);
	pthread_mutex_unlock(&w->locks->mutex);
}

/* ---- waiting ---- */

static struct waiter *take_decided(struct fs_locks *l)
{
	struct waiter *done = NULL;

	for (struct waiter **p = &l->waiters; *p;) {
		struct waiter *w = *p;

		w->result = w->interrupted ? -EINTR : try_waiter(w);
		if (w->result == -EAGAIN) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		w->next = done;
		done = w;
	}
	return done;
}

static void reply_all(struct waiter *done)
{
	struct waiter *next;

	for (; done; done = next) {
		next = done->next;
		/* waits for an interrupt that is being handled; none comes after it */
		fuse_req_interrupt_func(done->req, NULL, NULL);
		if (fuse_reply_err(done->req, -done->result) == -ENOENT && done->result == 0)
			take_back(done);
		free(done);
	}
}

static void nap(struct fs_locks *l, unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += (long)ms * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	pthread_cond_timedwait(&l->wake, &l->mutex, &t);
}

static void *wait_thread(void *arg)
{
	struct fs_locks *l = arg;
	unsigned ms = RETRY_MIN_MS;

	pthread_mutex_lock(&l->mutex);
	for (;;) {
		struct waiter *done;

		while (!l->waiters)
			pthread_cond_wait(&l->wake, &l->mutex);
		l->unlocked = false;
		done = take_decided(l);
		if (done) {
			ms = RETRY_MIN_MS;
			pthread_mutex_unlock(&l->mutex);
			reply_all(done);
			pthread_mutex_lock(&l->mutex);
		} else if (!l->unlocked) {
			nap(l, ms);
			ms = ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : ms * 2;
		}
	}
	return NULL;
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct waiter *w = data;

	(void)req;
	pthread_mutex_lock(&w->locks->mutex);
	w->interrupted = true;
	pthread_cond_signal(&w->locks->wake);
	pthread_mutex_unlock(&w->locks->mutex);
}

static int start_thread(struct fs_locks *l)
{
	pthread_t t;

	if (l->has_thread)
		return 0;
	if (pthread_create(&t, NULL, wait_thread, l) != 0)
		return -ENOLCK;
	pthread_detach(t);
	l->has_thread = true;
	return 0;
}

static int enqueue(const struct waiter *template)
{
	struct waiter *w = malloc(sizeof(*w));
	struct fs_locks *l = template->locks;
	int r;

	if (!w)
		return -ENOLCK;
	*w = *template;
	fuse_req_interrupt_func(w->req, on_interrupt, w);
	pthread_mutex_lock(&l->mutex);
	r = start_thread(l);
	if (r == 0) {
		w->next = l->waiters;
		l->waiters = w;
		pthread_cond_signal(&l->wake);
	}
	pthread_mutex_unlock(&l->mutex);
	if (r < 0) {
		fuse_req_interrupt_func(w->req, NULL, NULL);
		free(w);
	}
	return r;
}

static void lock_or_wait(struct waiter *w, bool wait)
{
	int r;

	pthread_mutex_lock(&w->locks->mutex);
	r = try_waiter(w);
	pthread_mutex_unlock(&w->locks->mutex);
	if (r == -EAGAIN && wait) {
		r = enqueue(w);
		if (r == 0)
			return;
	}
	if (fuse_reply_err(w->req, -r) == -ENOENT && r == 0)
		take_back(w);
}

/* ---- requests ---- */

void fs_lock_set(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
		 int wait)
{
	struct fs *fs = fuse_req_userdata(req);
	struct waiter w = {
		.locks = fs->locks,
		.req = req,
		.file = fs_file_of(fi),
		.owner = fi->lock_owner,
		.lock = *lock,
	};

	(void)ino;
	lock_or_wait(&w, wait != 0);
}

void fs_lock_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	struct fs *fs = fuse_req_userdata(req);
	struct waiter w = {
		.locks = fs->locks,
		.req = req,
		.file = fs_file_of(fi),
		.is_flock = true,
		.op = op & ~LOCK_NB,
	};

	(void)ino;
	lock_or_wait(&w, !(op & LOCK_NB));
}

/* Which process of the sandbox has a lock that is in the way: OFD locks do not say. */
static pid_t holder(struct fs_locks *l, const struct fs_file *f, uint64_t id)
{
	for (const struct owner *o = l->owners; o; o = o->next)
		if (o->node == f->node && o->id != id)
			return o->pid;
	return 0;
}

void fs_lock_get(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
	struct fs *fs = fuse_req_userdata(req);
	struct fs_locks *l = fs->locks;
	struct fs_file *f = fs_file_of(fi);
	struct flock fl = *lock;
	struct owner *o;
	int fd, r = 0;

	(void)ino;
	pthread_mutex_lock(&l->mutex);
	o = find(l, f->node, fi->lock_owner);
	fd = o ? o->fd : own_descriptor(f);
	fl.l_pid = 0;
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &fl) < 0)
		r = fd < 0 ? -fd : errno;
	if (fl.l_type != F_UNLCK && fl.l_pid <= 0)
		fl.l_pid = holder(l, f, fi->lock_owner);
	pthread_mutex_unlock(&l->mutex);
	if (!o && fd >= 0)
		close(fd);
	if (r)
		fuse_reply_err(req, r);
	else
		fuse_reply_lock(req, &fl);
}
