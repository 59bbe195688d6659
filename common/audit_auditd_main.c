/*
 * agentsh-auditd - the one writer of an audit log
 * Started by audit_session_open(): agentsh-auditd LOG_DIR RUNTIME_DIR, with a pipe as descriptor 3
 * on which it says that it serves. It serves every session of its user at the same time and ends
 * when the last one has gone.
 *
 * Theory: a connection is a session; each of its producers has a ring and a wake socket, whose
 * hang-up is the producer's death. Waking: idle, any record wakes us and we wait LINGER_MS for
 * company; a commit or a filling ring is served at once; while records come, we look every
 * LINGER_MS and let only the urgent ones wake us. Each look costs the disk a sync: where records keep
 * coming, programs that sync themselves are not to feel that, and we look every BUSY_LINGER_MS.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/audit_i.h"
#include "common/audit_writer.h"
#include "common/auto.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/priv.h"

#define READY_FD 3
#define LINGER_MS 5u
#define BUSY_LINGER_MS 20u
#define BUSY_ROUNDS 8u	       /* rounds with records until that */
#define QUIET_ROUNDS 4u	       /* rounds without a record before sleeping for good */
#define FIRST_CLIENT_MS 10000u /* started, but nobody comes */
#define ORPHAN_MS 2000u	       /* producers of a dead supervisor have this long */
#define BUSY_SIGN_MS 1000u
#define IDLE_SIGN_MS 60000u
#define EPOCH_MS 3600000u
#define FULL_RETRY_MS 200u
#define LOCK_TRIES 5000 /* of a millisecond */

struct session {
	struct session *next;
	struct auditd *d;
	struct loop_io io;
	int fd;
	struct ipc_peer peer;
	char name[AUDIT_SESSION_MAX + 1]; /* "" before HELLO */
	bool gone;			  /* hung up; its producers may still be there */
	struct loop_timer orphan;
};

struct producer {
	struct producer *next;
	struct session *session;
	struct loop_io io;
	int wake_fd;
	struct audit_consumer *consumer;
};

struct auditd {
	struct loop *loop;
	struct audit_log *log;
	struct audit_writer *writer;
	struct loop_io listen_io;
	int listen_fd;
	char sock[PATH_MAX + 16];
	struct session *sessions;
	struct producer *producers;
	struct loop_timer linger, sign, epoch, first;
	unsigned quiet, busy; /* rounds in a row without records, and with */
	struct ipc_msg msg;
};

static void on_linger(struct loop_timer *t);

/* A final error: everything is refused, supervisors see the hang-up. */
static void die(struct auditd *d, int code)
{
	log_err("audit log: %s: no more records are taken", strerror(-code));
	audit_writer_shut(d->writer);
	loop_stop(d->loop, 1);
}

/* @return false when the log is dead */
static bool drain(struct auditd *d, int *n)
{
	*n = audit_writer_drain(d->writer);
	if (*n >= 0 || *n == -ENOSPC)
		return true;
	die(d, *n);
	return false;
}

static void serve(struct auditd *d)
{
	int n;

	do {
		if (!drain(d, &n))
			return;
		d->quiet = n > 0 ? 0 : d->quiet + 1;
		d->busy = n > 0 ? d->busy + 1 : 0;
		if (audit_writer_full(d->writer)) {
			loop_timer_set(d->loop, &d->linger, FULL_RETRY_MS, on_linger);
			audit_writer_set_wake(d->writer, AUDIT_WAKE_NONE);
			return;
		}
		audit_writer_set_wake(d->writer, d->quiet > QUIET_ROUNDS ? AUDIT_WAKE_ANY
									 : AUDIT_WAKE_URGENT);
	} while (audit_writer_urgent(d->writer));
	if (d->quiet > QUIET_ROUNDS && !audit_writer_pending(d->writer))
		loop_timer_del(d->loop, &d->linger);
	else
		loop_timer_set(d->loop, &d->linger,
			       d->busy > BUSY_ROUNDS ? BUSY_LINGER_MS : LINGER_MS, on_linger);
	if (!d->sign.armed || (audit_log_size(d->log) > audit_log_signed(d->log) &&
			       d->sign.due_ms > loop_now_ms() + BUSY_SIGN_MS))
		loop_timer_set(d->loop, &d->sign, BUSY_SIGN_MS, d->sign.fn);
}

static void on_linger(struct loop_timer *t)
{
	serve(container_of(t, struct auditd, linger));
}

static void on_sign(struct loop_timer *t)
{
	struct auditd *d = container_of(t, struct auditd, sign);
	int r = audit_writer_sign(d->writer);

	if (r < 0 && r != -ENOSPC) {
		die(d, r);
		return;
	}
	loop_timer_set(d->loop, t, IDLE_SIGN_MS, on_sign);
}

static void on_epoch(struct loop_timer *t)
{
	struct auditd *d = container_of(t, struct auditd, epoch);
	int n, r;

	if (!drain(d, &n))
		return;
	r = audit_writer_full(d->writer) ? 0 : audit_log_next_epoch(d->log);
	if (r < 0 && r != -ENOSPC) {
		die(d, r);
		return;
	}
	loop_timer_set(d->loop, t, EPOCH_MS, on_epoch);
}

/* ---- the end ---- */

static void accept_one(struct auditd *d);

/* Nobody is left: but someone may have connected this instant. */
static void maybe_end(struct auditd *d)
{
	if (d->sessions || d->producers || d->first.armed)
		return;
	accept_one(d);
	if (d->sessions)
		return;
	unlink(d->sock);
	loop_stop(d->loop, 0);
}

static void on_first(struct loop_timer *t)
{
	maybe_end(container_of(t, struct auditd, first));
}

/* ---- producers ---- */

static void producer_end(struct auditd *d, struct producer *p, const char *reason)
{
	struct producer **at = &d->producers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	audit_writer_remove(d->writer, p->consumer, reason);
	loop_io_del(&p->io);
	close(p->wake_fd);
	loop_defer_free(d->loop, p);
}

static void session_free(struct auditd *d, struct session *s)
{
	struct session **at = &d->sessions;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	loop_timer_del(d->loop, &s->orphan);
	loop_io_del(&s->io);
	if (s->fd >= 0)
		close(s->fd);
	loop_defer_free(d->loop, s);
}

static bool has_producers(const struct auditd *d, const struct session *s)
{
	for (const struct producer *p = d->producers; p; p = p->next)
		if (p->session == s)
			return true;
	return false;
}

static void session_reap(struct auditd *d, struct session *s)
{
	if (!s->gone || has_producers(d, s))
		return;
	session_free(d, s);
	maybe_end(d);
}

static void on_wake(struct loop_io *io, uint32_t events)
{
	struct producer *p = container_of(io, struct producer, io);
	struct session *s = p->session;
	struct auditd *d = s->d;
	char buf[64];
	int n;

	while (recv(p->wake_fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) {
		if (!drain(d, &n))
			return;
		producer_end(d, p, audit_writer_closed(p->consumer) ? "closed" : "lost");
		session_reap(d, s);
	}
	if (audit_writer_urgent(d->writer)) {
		serve(d);
	} else if (!d->linger.armed) {
		d->quiet = 0;
		audit_writer_set_wake(d->writer, AUDIT_WAKE_URGENT);
		loop_timer_set(d->loop, &d->linger, LINGER_MS, on_linger);
	}
}

static int producer_add(struct session *s, enum audit_gate gate, int fds[2])
{
	struct auditd *d = s->d;
	struct producer *p = calloc(1, sizeof(*p));
	int pair[2], r;

	if (!p)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		free(p);
		return -errno;
	}
	p->session = s;
	p->wake_fd = pair[0];
	r = loop_io_add(d->loop, &p->io, p->wake_fd, EPOLLIN | EPOLLRDHUP, on_wake);
	if (r == 0)
		r = audit_writer_add(d->writer, &p->consumer, gate, s->name, s->peer.pid, s->peer.uid,
				     &fds[0]);
	if (r < 0) {
		loop_io_del(&p->io);
		close(pair[0]);
		close(pair[1]);
		free(p);
		return r;
	}
	fds[1] = pair[1];
	p->next = d->producers;
	d->producers = p;
	return 0;
}

/* ---- messages ---- */

static void reply_error(struct auditd *d, struct session *s, int code, const char *text)
{
	uint32_t id = d->msg.id;

	ipc_begin(&d->msg, AUDIT_MSG_ERROR, id);
	ipc_put_u32(&d->msg, (uint32_t)-code);
	ipc_put_str(&d->msg, text);
	ipc_send(s->fd, &d->msg);
}

static int take_hello(struct auditd *d, struct session *s)
{
	uint64_t dev = ipc_get_u64(&d->msg), ino = ipc_get_u64(&d->msg);
	const char *name = ipc_get_str(&d->msg);
	struct stat st;

	if (!ipc_end(&d->msg) || s->name[0] || !audit_session_name_ok(name))
		return -EBADMSG;
	if (fstat(audit_log_dir(d->log), &st) < 0 || st.st_dev != dev || st.st_ino != ino) {
		reply_error(d, s, -EBUSY, "it serves another log directory at the moment");
		return 0;
	}
	snprintf(s->name, sizeof(s->name), "%s", name);
	loop_timer_del(d->loop, &d->first);
	loop_timer_del(d->loop, &s->orphan);
	ipc_begin(&d->msg, AUDIT_MSG_OK, d->msg.id);
	return ipc_send(s->fd, &d->msg);
}

static int take_producer(struct auditd *d, struct session *s)
{
	uint32_t gate = ipc_get_u32(&d->msg);
	int fds[2], r;

	if (!ipc_end(&d->msg) || !s->name[0] || gate >= AUDIT_GATES)
		return -EBADMSG;
	r = producer_add(s, (enum audit_gate)gate, fds);
	if (r < 0) {
		reply_error(d, s, r, r == -ENOSPC ? "disk full" : strerror(-r));
		return 0;
	}
	ipc_begin(&d->msg, AUDIT_MSG_OK, d->msg.id);
	ipc_put_fd(&d->msg, fds[0]);
	ipc_put_fd(&d->msg, fds[1]);
	r = ipc_send(s->fd, &d->msg);
	d->msg.n_fds = 0;
	close(fds[0]);
	close(fds[1]);
	return r;
}

static void end_producers(struct auditd *d, struct session *s, const char *reason)
{
	struct producer *next;

	for (struct producer *p = d->producers; p; p = next) {
		next = p->next;
		if (p->session == s)
			producer_end(d, p, audit_writer_closed(p->consumer) ? "closed" : reason);
	}
}

static int take_end(struct auditd *d, struct session *s)
{
	uint32_t id = d->msg.id;
	int n, r;

	if (!ipc_end(&d->msg) || !s->name[0])
		return -EBADMSG;
	if (!drain(d, &n))
		return -EIO;
	end_producers(d, s, "session ended");
	r = audit_writer_sign(d->writer);
	if (r < 0) {
		reply_error(d, s, r, r == -ENOSPC ? "disk full" : "the log cannot be written");
		return r == -ENOSPC ? 0 : r;
	}
	ipc_begin(&d->msg, AUDIT_MSG_OK, id);
	return ipc_send(s->fd, &d->msg);
}

static void session_gone(struct auditd *d, struct session *s)
{
	s->gone = true;
	loop_io_del(&s->io);
	close(steal_fd(&s->fd));
	session_reap(d, s);
}

static void on_orphan(struct loop_timer *t)
{
	struct session *s = container_of(t, struct session, orphan);
	struct auditd *d = s->d;
	int n;

	if (!s->gone) {
		session_gone(d, s); /* connected, and never said who it is */
		return;
	}
	if (!drain(d, &n))
		return;
	end_producers(d, s, "session lost");
	session_reap(d, s);
}

typedef int message_fn(struct auditd *d, struct session *s);

static message_fn *const handlers[] = {
	[AUDIT_MSG_HELLO] = take_hello,
	[AUDIT_MSG_PRODUCER] = take_producer,
	[AUDIT_MSG_END] = take_end,
};

static void on_session(struct loop_io *io, uint32_t events)
{
	struct session *s = container_of(io, struct session, io);
	struct auditd *d = s->d;
	int r = ipc_recv(s->fd, &d->msg);

	(void)events;
	if (r == -EAGAIN)
		return;
	if (r == 1) {
		message_fn *fn = d->msg.type < ARRAY_LEN(handlers) ? handlers[d->msg.type] : NULL;

		ipc_drop(&d->msg); /* no message of a client carries descriptors */
		r = fn ? fn(d, s) : -EBADMSG;
		if (r >= 0)
			return;
	}
	/* hung up, or speaks another language */
	if (has_producers(d, s))
		loop_timer_set(d->loop, &s->orphan, ORPHAN_MS, on_orphan);
	session_gone(d, s);
}

static void accept_one(struct auditd *d)
{
	autoclose int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int size = IPC_BODY_MAX * 2;
	struct session *s;

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	s = calloc(1, sizeof(*s));
	if (!s)
		return;
	if (ipc_peer(fd, &s->peer) < 0 || s->peer.uid != geteuid() ||
	    loop_io_add(d->loop, &s->io, fd, EPOLLIN, on_session) < 0) {
		free(s);
		return;
	}
	s->d = d;
	s->fd = steal_fd(&fd);
	s->next = d->sessions;
	d->sessions = s;
	loop_timer_set(d->loop, &s->orphan, ORPHAN_MS, on_orphan);
}

static void on_listen(struct loop_io *io, uint32_t events)
{
	(void)events;
	accept_one(container_of(io, struct auditd, listen_io));
}

static void on_signal(void *arg, const struct signalfd_siginfo *si)
{
	struct auditd *d = arg;
	int n;

	(void)si;
	log_warn("audit writer: asked to end");
	if (!drain(d, &n))
		return;
	audit_writer_shut(d->writer);
	unlink(d->sock);
	loop_stop(d->loop, 0);
}

/* ---- start ---- */

static void report(int *ready, enum audit_start what, const struct err *e)
{
	if (*ready < 0)
		return;
	if (what == AUDIT_START_FAILED)
		dprintf(*ready, "%c%d %s", what, e->code, e->text);
	else
		dprintf(*ready, "%c", what);
	close(steal_fd(ready));
}

/*
 * Take the log over. A writer that is ending holds the lock for some milliseconds; one that
 * serves is the one to connect to.
 * @return 0, 1 when another one serves, or -errno
 */
static int open_log(struct auditd *d, const char *dir, struct err *e)
{
	const struct audit_log_conf conf = {.dir = dir};

	for (int i = 0; i < LOCK_TRIES; i++) {
		int r = audit_log_open(&d->log, &conf, e);
		int fd;

		if (r != -EBUSY)
			return r;
		fd = ipc_connect(d->sock);
		if (fd >= 0) {
			close(fd);
			return 1;
		}
		usleep(1000);
	}
	return -EBUSY;
}

static int start(struct auditd *d, struct err *e)
{
	static const int signals[] = {SIGTERM, 0};
	int r = audit_writer_new(&d->writer, d->log);

	if (r == 0)
		r = loop_new(&d->loop);
	if (r == 0)
		r = loop_signals(d->loop, signals, on_signal, d);
	if (r < 0)
		return err_set(e, -r, "audit writer");
	d->listen_fd = ipc_listen(d->sock, e);
	if (d->listen_fd < 0)
		return d->listen_fd;
	if (fcntl(d->listen_fd, F_SETFL, O_NONBLOCK) < 0)
		return err_set(e, errno, "audit writer");
	r = loop_io_add(d->loop, &d->listen_io, d->listen_fd, EPOLLIN, on_listen);
	if (r < 0)
		return err_set(e, -r, "audit writer");
	loop_timer_set(d->loop, &d->first, FIRST_CLIENT_MS, on_first);
	loop_timer_set(d->loop, &d->epoch, EPOCH_MS, on_epoch);
	loop_timer_set(d->loop, &d->sign, IDLE_SIGN_MS, on_sign);
	return 0;
}

static int run(struct auditd *d, int *ready)
{
	int r;

	report(ready, AUDIT_START_READY, NULL);
	r = loop_run(d->loop);
	if (r == 0) {
		r = audit_log_close(d->log);
		d->log = NULL;
	}
	return r == 0 ? 0 : 1;
}

static void auditd_free(struct auditd *d)
{
	while (d->producers) {
		struct producer *p = d->producers;

		d->producers = p->next;
		close(p->wake_fd);
		free(p);
	}
	while (d->sessions) {
		struct session *s = d->sessions;

		d->sessions = s->next;
		if (s->fd >= 0)
			close(s->fd);
		free(s);
	}
	audit_writer_free(d->writer);
	audit_log_free(d->log);
	loop_free(d->loop);
	if (d->listen_fd >= 0)
		close(d->listen_fd);
	free(d);
}

int main(int argc, char **argv)
{
	struct auditd *d = calloc(1, sizeof(*d));
	int ready = fcntl(READY_FD, F_GETFD) < 0 ? -1 : READY_FD;
	struct err e = ERR_INIT;
	pid_t pid;
	int r;

	log_init_env("agentsh-auditd");
	/* nothing of openssl.cnf concerns us, and reading it takes time at every start */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (argc != 3 || !d) {
		fprintf(stderr, "usage: agentsh-auditd LOG_DIR RUNTIME_DIR\n"
				"Started by agentsh itself; there is no need to run it.\n");
		return 2;
	}
	/* started by a session: detach, so that we outlive it (it has given us a session of our own) */
	pid = ready >= 0 ? fork() : 0;
	if (pid < 0)
		report(&ready, AUDIT_START_FAILED,
		       &(struct err){errno, "the audit writer cannot fork"});
	if (pid != 0)
		_exit(pid < 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error like another */
	umask(077);
	d->listen_fd = -1;
	snprintf(d->sock, sizeof(d->sock), "%s/audit.sock", argv[2]);
	if (ready >= 0)
		fcntl(ready, F_SETFD, FD_CLOEXEC);
	r = priv_initial(&e);
	if (r == 0)
		r = open_log(d, argv[1], &e);
	if (r == 0)
		r = start(d, &e);
	if (r != 0)
		report(&ready, r > 0 ? AUDIT_START_OTHER : AUDIT_START_FAILED, &e);
	else
		r = run(d, &ready);
	auditd_free(d);
	return r == 0 ? 0 : 1;
}
