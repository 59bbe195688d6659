/*
 * Theory: connect, or start a writer and connect. Three things may cross: two clients start a
 * writer at once (the lock on the log directory lets one serve, the other says "other"); the
 * writer is about to exit when we connect (it hangs up without an answer); its socket file is a
 * leftover. Each is answered by trying again.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "common/audit_i.h"
#include "common/audit_sys.h"
#include "common/dirs.h"
#include "common/ipc.h"

#define OPEN_WAIT_NS 10000000000ull
#define ANSWER_S 30

struct audit_session {
	int sock;
	struct audit_starting starting;
	uint32_t last_id;
	char name[AUDIT_SESSION_MAX + 1];
	char log_dir[PATH_MAX], runtime_dir[PATH_MAX], auditd_path[PATH_MAX];
	struct ipc_msg msg; /* one at a time */
};

bool audit_session_name_ok(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t len = strlen(name);

	return len > 0 && len <= AUDIT_SESSION_MAX && strspn(name, allowed) == len;
}

/* Send what is in s->msg and wait for the answer. @return 1, 0 (the writer hung up), or -errno */
static int ask(struct audit_session *s, struct err *e)
{
	int r = ipc_send(s->sock, &s->msg);

	if (r == -EPIPE || r == -ECONNRESET)
		return 0;
	if (r == 0)
		r = ipc_recv(s->sock, &s->msg);
	else
		r = r == -ENOTCONN ? 0 : r;
	if (r == 0)
		return 0;
	if (r < 0)
		return r == -EAGAIN ? err_say(e, ETIMEDOUT, "the audit writer does not answer")
				    : err_set(e, -r, "audit writer");
	if (s->msg.type == AUDIT_MSG_ERROR) {
		uint32_t code = ipc_get_u32(&s->msg);
		const char *text = ipc_get_str(&s->msg);

		r = err_say(e, (int)code, "audit writer: %s", s->msg.bad ? "error" : text);
		ipc_drop(&s->msg);
		return r;
	}
	if (s->msg.type != AUDIT_MSG_OK) {
		ipc_drop(&s->msg);
		return err_say(e, EBADMSG, "the audit writer answers nonsense");
	}
	return 1;
}

/* @return 1 registered, 0 there is no writer (any more), or -errno */
static int try_connect(struct audit_session *s, struct err *e)
{
	const struct timeval limit = {ANSWER_S, 0};
	char sock[PATH_MAX + 16];
	struct stat st;
	int r;

	if (stat(s->log_dir, &st) < 0)
		return err_set(e, errno, "%s", s->log_dir);
	snprintf(sock, sizeof(sock), "%s/audit.sock", s->runtime_dir);
	s->sock = ipc_connect(sock);
	if (s->sock < 0)
		return s->sock == -ENOENT || s->sock == -ECONNREFUSED
			       ? 0
			       : err_set(e, -s->sock, "connect to the audit writer at %s", sock);
	setsockopt(s->sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ipc_begin(&s->msg, AUDIT_MSG_HELLO, ++s->last_id);
	ipc_put_u64(&s->msg, st.st_dev);
	ipc_put_u64(&s->msg, st.st_ino);
	ipc_put_str(&s->msg, s->name);
	r = ask(s, e);
	ipc_drop(&s->msg);
	if (r != 1)
		close(steal_fd(&s->sock));
	return r;
}

static int start_writer(struct audit_session *s, struct err *e)
{
	return audit_setup_start(&s->starting, s->auditd_path, s->log_dir, s->runtime_dir, e);
}

static int fill_in(struct audit_session *s, const char *log_dir, const char *runtime_dir,
		   const char *auditd_path, const char *session, struct err *e)
{
	int r;

	if (!audit_session_name_ok(session))
		return err_say(e, EINVAL, "session name: use 1 to 64 of A-Z a-z 0-9 . _ -");
	if (strlen(auditd_path) >= sizeof(s->auditd_path))
		return err_say(e, ENAMETOOLONG, "%s: name too long", auditd_path);
	r = dirs_make(log_dir, e);
	if (r == 0)
		r = dirs_make(runtime_dir, e);
	if (r < 0)
		return r;
	if (!realpath(log_dir, s->log_dir))
		return err_set(e, errno, "%s", log_dir);
	if (!realpath(runtime_dir, s->runtime_dir))
		return err_set(e, errno, "%s", runtime_dir);
	memcpy(s->name, session, strlen(session) + 1);
	memcpy(s->auditd_path, auditd_path, strlen(auditd_path) + 1);
	return 0;
}

int audit_session_begin(struct audit_session **out, const char *log_dir, const char *runtime_dir,
			const char *auditd_path, const char *session, struct err *e)
{
	AUTO(audit_session_free) struct audit_session *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, ENOMEM, "audit session");
	s->sock = s->starting.fd = -1;
	r = fill_in(s, log_dir, runtime_dir, auditd_path, session, e);
	if (r == 0)
		r = try_connect(s, e);
	if (r == 0)
		r = start_writer(s, e);
	if (r < 0)
		return r;
	*out = steal_ptr(&s);
	return 0;
}

int audit_session_ready(struct audit_session *s, struct err *e)
{
	const uint64_t start = audit_sys_now(CLOCK_MONOTONIC);
	int r = s->sock >= 0;

	while (r == 0) {
		if (s->starting.fd >= 0)
			r = audit_setup_wait(&s->starting, e);
		if (r == 0)
			r = try_connect(s, e);
		if (r == 0 && audit_sys_now(CLOCK_MONOTONIC) - start > OPEN_WAIT_NS)
			r = err_say(e, ETIMEDOUT, "the audit writer starts and stops again");
		/* the one that answered was about to end: start another */
		if (r == 0)
			r = start_writer(s, e);
	}
	return r < 0 ? r : 0;
}

int audit_session_open(struct audit_session **out, const char *log_dir, const char *runtime_dir,
		       const char *auditd_path, const char *session, struct err *e)
{
	AUTO(audit_session_free) struct audit_session *s = NULL;
	int r = audit_session_begin(&s, log_dir, runtime_dir, auditd_path, session, e);

	if (r == 0)
		r = audit_session_ready(s, e);
	if (r == 0)
		*out = steal_ptr(&s);
	return r;
}

int audit_session_producer(struct audit_session *s, enum audit_gate gate, int *ring_fd,
			   int *wake_fd, struct err *e)
{
	autoclose int ring = -1, wake = -1;
	int r;

	ipc_begin(&s->msg, AUDIT_MSG_PRODUCER, ++s->last_id);
	ipc_put_u32(&s->msg, gate);
	r = ask(s, e);
	if (r == 0)
		return err_say(e, EPIPE, "the audit writer is gone");
	if (r < 0)
		return r;
	ring = ipc_take_fd(&s->msg, 0);
	wake = ipc_take_fd(&s->msg, 1);
	ipc_drop(&s->msg);
	if (ring < 0 || wake < 0)
		return err_say(e, EBADMSG, "the audit writer sent no ring");
	*ring_fd = steal_fd(&ring);
	*wake_fd = steal_fd(&wake);
	return 0;
}

int audit_session_fd(const struct audit_session *s)
{
	return s->sock;
}

int audit_session_end(struct audit_session *s, struct err *e)
{
	int r;

	if (s->sock < 0)
		return 0;
	ipc_begin(&s->msg, AUDIT_MSG_END, ++s->last_id);
	r = ask(s, e);
	ipc_drop(&s->msg);
	close(steal_fd(&s->sock));
	if (r == 0)
		return err_say(e, EPIPE, "the audit writer is gone: the end of the session is not signed");
	return r < 0 ? r : 0;
}

void audit_session_free(struct audit_session *s)
{
	if (!s)
		return;
	if (s->sock >= 0)
		close(s->sock);
	audit_setup_forget(&s->starting);
	free(s);
}
