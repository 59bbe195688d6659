#include "execgate/exec_notify.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#define THREADS_MAX 64u

struct exec_notify {
	struct exec_serve *serve;
	size_t notif_size;	   /* as large as the kernel's, see seccomp_unotify(2) */
	pthread_mutex_t receive;   /* held by the thread that waits for the next notification */
	pthread_mutex_t count;	   /* over what follows */
	unsigned n_threads, n_idle; /* idle: waiting, or waiting to wait */
};

static void run(void *arg);

static void count(struct exec_notify *p, int threads, int idle)
{
	pthread_mutex_lock(&p->count);
	p->n_threads += (unsigned)threads;
	p->n_idle += (unsigned)idle;
	pthread_mutex_unlock(&p->count);
}

static int add_thread(struct exec_notify *p)
{
	int r;

	count(p, 1, 1);
	r = exec_threads_start(p->serve->threads, run, p);
	if (r < 0)
		count(p, -1, -1);
	return r;
}

/* This thread is about to serve. If that leaves nobody to receive, there is a new one. */
static void become_busy(struct exec_notify *p)
{
	bool need;

	pthread_mutex_lock(&p->count);
	need = --p->n_idle == 0 && p->n_threads < THREADS_MAX;
	pthread_mutex_unlock(&p->count);
	if (need && add_thread(p) < 0)
		log_warn("no more threads: program starts may wait for each other");
}

/* @return false when no process of the sandbox is left */
static bool receive(struct exec_notify *p, struct seccomp_notif *n)
{
	for (;;) {
		struct pollfd pfd = {.fd = p->serve->listener, .events = POLLIN};

		memset(n, 0, p->notif_size);
		if (ioctl(p->serve->listener, SECCOMP_IOCTL_NOTIF_RECV, n) == 0)
			return true;
		if (errno == EINTR)
			continue;
		/* ENOENT: the caller was killed before it could be served, or all are gone */
		if (errno != ENOENT || poll(&pfd, 1, -1) < 0 || (pfd.revents & POLLHUP))
			return false;
	}
}

static void run(void *arg)
{
	struct exec_notify *p = arg;
	struct seccomp_notif *n = malloc(p->notif_size);
	bool more = n != NULL;

	while (more) {
		pthread_mutex_lock(&p->receive);
		more = receive(p, n);
		pthread_mutex_unlock(&p->receive);
		if (!more)
			break;
		become_busy(p);
		exec_serve(p->serve, n);
		count(p, 0, 1);
	}
	free(n);
}

int exec_notify_start(struct exec_notify **out, struct exec_serve *s, struct err *e)
{
	struct seccomp_notif_sizes sizes;
	struct exec_notify *p;
	int r;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return err_set(e, errno, "seccomp user notification");
	if (sizes.seccomp_notif_resp > sizeof(struct seccomp_notif_resp))
		log_info("the kernel's seccomp response is larger than ours");
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, ENOMEM, "threads");
	p->serve = s;
	p->notif_size = sizes.seccomp_notif > sizeof(struct seccomp_notif)
				? sizes.seccomp_notif
				: sizeof(struct seccomp_notif);
	pthread_mutex_init(&p->receive, NULL);
	pthread_mutex_init(&p->count, NULL);
	/* Linux 6.6: caller and gate take turns on one CPU; older kernels go without */
	(void)ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
		    SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	r = add_thread(p);
	if (r < 0) {
		exec_notify_free(p);
		return err_set(e, -r, "threads");
	}
	*out = p;
	return 0;
}

void exec_notify_free(struct exec_notify *p)
{
	if (p) {
		pthread_mutex_destroy(&p->receive);
		pthread_mutex_destroy(&p->count);
	}
	free(p);
}
