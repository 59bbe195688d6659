/*
 * Theory: PTRACE_SEIZE before the answer does not stop the caller. After the answer,
 * PTRACE_INTERRUPT makes sure that a stop comes in any case: either the exec stop, or, when the
 * exec failed, a trap on the way back to user space; no timer is needed. An exec by a thread that
 * is not the leader takes over the leader's id, so the stop is waited for with __WNOTHREAD, which
 * means "whatever this thread traces". PTRACE_O_EXITKILL covers the gate's own death.
 */
#include "execgate/exec_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/sys.h"

#define OPTIONS ((unsigned)PTRACE_O_TRACEEXEC | (unsigned)PTRACE_O_EXITKILL)

bool exec_verify_is_waiting(int listener, uint64_t id)
{
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

static int answer(int listener, uint64_t id, int error, uint32_t flags)
{
	struct seccomp_notif_resp resp = {.id = id, .error = error, .flags = flags};

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0 ? -errno : 0;
}

void exec_verify_refuse(int listener, uint64_t id, int err)
{
	/* ENOENT: the caller is gone and needs no answer; nothing else can happen to a valid id */
	(void)answer(listener, id, -err, 0);
}

/* ---- comparing ---- */

static bool has_arguments(pid_t pid, const struct exec_part *image)
{
	autoclose int fd = -1;
	autofree char *buf = NULL;
	size_t want = 0, got = 0;
	char path[64];
	const char *p;

	for (size_t i = 0; i < image->argc; i++)
		want += strlen(image->argv[i]) + 1;
	buf = malloc(want + 1);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (!buf || fd < 0)
		return false;
	while (got < want + 1) {
		ssize_t n = read(fd, buf + got, want + 1 - got);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	if (got != want)
		return false;
	p = buf;
	for (size_t i = 0; i < image->argc; i++) {
		size_t n = strlen(image->argv[i]) + 1;

		if (memcmp(p, image->argv[i], n) != 0)
			return false;
		p += n;
	}
	return true;
}

/*
 * A running file cannot be written to (ETXTBSY), so what is there now stays. Stamps as young as the
 * judgement itself prove nothing: then the content is read once more.
 */
static bool has_content(const struct exec_part *image)
{
	uint8_t digest[EXEC_SHA256];
	struct stat now;

	if (image->file.trusted)
		return true;
	if (fstat(image->fd, &now) < 0 || !exec_hash_same(&now, &image->file.st))
		return false;
	return !image->is_fresh || (exec_hash_read(digest, image->fd, now.st_size) == 0 &&
				    memcmp(digest, image->digest, sizeof(digest)) == 0);
}

static bool is_approved(struct exec_actual *actual, pid_t pid, const struct exec_part *image)
{
	char path[64];
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	actual->what = NULL;
	if (stat(path, &st) < 0 || st.st_dev != image->file.st.st_dev ||
	    st.st_ino != image->file.st.st_ino)
		actual->what = "executable";
	else if (!has_arguments(pid, image))
		actual->what = "arguments";
	else if (!has_content(image))
		actual->what = "content";
	if (!actual->what)
		return true;
	n = readlink(path, actual->exe, sizeof(actual->exe) - 1);
	actual->exe[n < 0 ? 0 : n] = '\0';
	return false;
}

/* ---- tracing ---- */

/* Wait until the killed process is gone, so that its parent can be told. */
static void reap(void)
{
	int status;
	pid_t pid;

	do {
		pid = waitpid(-1, &status, __WALL | __WNOTHREAD);
		if (pid > 0 && WIFSTOPPED(status))
			sys_trace_continue(pid, 0);
	} while (pid > 0 || (pid < 0 && errno == EINTR));
}

struct watch {
	struct exec_actual *actual;
	const struct exec_target *target;
	exec_last_check_fn *last_check;
	void *arg;
};

static int end(pid_t pid, enum exec_outcome why)
{
	kill(pid, SIGKILL);
	reap();
	return why;
}

static int at_exec(const struct watch *w, pid_t pid)
{
	if (!is_approved(w->actual, pid, exec_target_image(w->target)))
		return end(pid, EXEC_MISMATCH);
	if (!w->last_check(w->arg))
		return end(pid, EXEC_STOPPED);
	/* ESRCH: killed meanwhile; then it is ours to reap */
	if (sys_trace_leave(pid, 0) < 0)
		reap();
	return EXEC_RAN;
}

static int at_stop(const struct watch *w, pid_t pid, int status)
{
	int event = status >> 16;
	/* without an event it is a signal on its way: deliver it */
	int sig = event == 0 ? WSTOPSIG(status) : 0;

	if (event == PTRACE_EVENT_EXEC)
		return at_exec(w, pid);
	if (sys_trace_leave(pid, sig) < 0)
		reap();
	return EXEC_FAILED;
}

static bool is_on_fuse(const struct exec_target *t)
{
	for (unsigned i = 0; i < t->n_chain; i++)
		if (t->part[i].file.on_fuse)
			return true;
	return false;
}

enum where { IN_EXEC, ON_CPU, ELSEWHERE };

/* What a thread is doing, from /proc/PID/syscall: a number when it waits in a system call. */
static enum where where_is(pid_t tid)
{
	char path[64], text[128];
	autoclose int fd = -1;
	ssize_t n;
	long nr;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return ELSEWHERE;
	text[n] = '\0';
	if (strncmp(text, "running", 7) == 0)
		return ON_CPU;
	nr = strtol(text, NULL, 10);
	return nr == SYS_execve || nr == SYS_execveat ? IN_EXEC : ELSEWHERE;
}

/* timer_create(2) documents the name, older C libraries hide it */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define TICK_US 5000
#define SEIZE_TRIES 40u
#define ON_CPU_MAX 6u /* ticks: no exec computes that long */

static void on_tick(int signo)
{
	(void)signo; /* it only ends the wait */
}

static void catch_ticks(void)
{
	struct sigaction sa = {.sa_handler = on_tick}; /* no SA_RESTART */

	sigaction(SIGALRM, &sa, NULL);
}

/* A clock that interrupts this thread, again and again: one tick may come before the wait. */
static int start_ticks(timer_t *timer)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
	struct timespec tick = {.tv_nsec = TICK_US * 1000};
	struct itimerspec its = {.it_interval = tick, .it_value = tick};

	pthread_once(&once, catch_ticks);
	ev.sigev_notify_thread_id = gettid();
	if (timer_create(CLOCK_MONOTONIC, &ev, timer) < 0)
		return -errno;
	if (timer_settime(*timer, 0, &its, NULL) == 0)
		return 0;
	timer_delete(*timer);
	return -EINVAL;
}

/*
 * PTRACE_INTERRUPT would reach a FUSE request as an interrupt, and end the wait for a person's
 * approval of that file. So there, look from time to time whether the exec is still going on.
 */
static void let_fuse_finish(pid_t tid)
{
	const int what = WEXITED | WSTOPPED | WNOWAIT | __WALL | __WNOTHREAD;
	unsigned on_cpu = 0;
	timer_t timer;

	if (start_ticks(&timer) < 0)
		return;
	while (on_cpu < ON_CPU_MAX) {
		siginfo_t si;
		enum where where;

		if (waitid(P_ALL, 0, &si, what) == 0 || errno != EINTR)
			break;
		where = where_is(tid);
		if (where == ELSEWHERE)
			break;
		on_cpu = where == ON_CPU ? on_cpu + 1 : 0;
	}
	timer_delete(timer);
}

static int follow(const struct watch *w)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL | __WNOTHREAD);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return EXEC_GONE;
		if (WIFSTOPPED(status))
			return at_stop(w, pid, status);
		/* the traced thread ended */
	}
}

/*
 * After an exec that failed on FUSE the thread may come with its next one before it is let go;
 * then the thread here that traces it needs a moment.
 */
static int seize(pid_t tid)
{
	for (unsigned i = 0;; i++) {
		if (sys_trace_seize(tid, OPTIONS) == 0)
			return 0;
		if (errno != EPERM || i == SEIZE_TRIES)
			return -errno;
		usleep(TICK_US);
	}
}

int exec_verify_run(struct exec_actual *actual, int listener, const struct exec_call *c,
		    const struct exec_target *t, exec_last_check_fn *last_check, void *arg)
{
	struct watch w = {actual, t, last_check, arg};
	int r, outcome;

	r = seize(c->tid);
	if (r < 0)
		return r == -ESRCH || !exec_verify_is_waiting(listener, c->id) ? EXEC_GONE : r;
	/* the call may have been withdrawn and the id of the thread reused before it was seized */
	r = answer(listener, c->id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	if (r == 0 && is_on_fuse(t))
		let_fuse_finish(c->tid);
	sys_trace_interrupt(c->tid);
	outcome = follow(&w);
	return r < 0 && outcome == EXEC_FAILED ? EXEC_GONE : outcome;
}
