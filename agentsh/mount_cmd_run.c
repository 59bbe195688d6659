/*
 * Theory: the supervisor of a governed mount alone. It ends in one of three ways:
 *
 *   unmounted  the kernel tells fsgate, which ends in order (exit 0), and we with it
 *   a signal   we unmount, lazily when something still uses the mount, then stop fsgate
 *   lost       fsgate or the audit writer died: the mount is left as it is, dead, so that nobody
 *              goes on below it without a policy; `agentsh umount` or the next start takes it away
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agentsh/cmd.h"
#include "agentsh/gate_config.h"
#include "agentsh/gate_link.h"
#include "agentsh/mount_cmd_i.h"
#include "agentsh/mount_stale.h"
#include "agentsh/mount_table.h"
#include "agentsh/trash.h"
#include "agentsh/undo_store.h"
#include "agentsh/unmount_setup.h"
#include "common/audit.h"
#include "common/auto.h"
#include "common/log.h"

struct run {
	const struct mount_job *job;
	struct loop *loop;
	struct audit_session *audit;
	struct audit_producer *producer; /* our own ring: gate "ctl" */
	struct gate_link gate;
	struct broker *broker;
	struct loop_io audit_io;
	struct loop_timer timer;
	bool live, lost;
	int status;
	const char *end; /* why */
};

static void finish(struct run *r, int status, const char *why)
{
	if (r->end)
		return;
	r->status = status;
	r->end = why;
	loop_stop(r->loop, 0);
}

static void lose(struct run *r, const char *why)
{
	r->lost = true;
	finish(r, EXIT_IO, why);
}

static bool is_mounted(const struct run *r)
{
	struct mount_entry entry;

	return mount_table_find(&entry, r->job->vars->seen_as) == 0 && mount_table_session(&entry) &&
	       strcmp(mount_table_session(&entry), r->job->session->name) == 0;
}

/* ---- events ---- */

static void on_message(struct loop_io *io, uint32_t events)
{
	struct gate_link *g = container_of(io, struct gate_link, ctl_io);
	struct run *run = g->owner;
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	int r = m ? ipc_recv(g->ctl, m) : -ENOMEM;

	(void)events;
	if (r != 1) {
		loop_io_del(io); /* its end says which it was */
		return;
	}
	if (m->type == GATE_ASK)
		broker_ask(run->broker, g, m);
	else if (m->type == GATE_CANCEL)
		broker_cancel(run->broker, g, m->id);
	else if (m->type == GATE_FAILED && ipc_get_u32(m) > 0)
		log_err("%s: %s", g->name, ipc_get_str(m));
	ipc_drop(m);
}

static void on_end(struct loop_io *io, uint32_t events)
{
	struct gate_link *g = container_of(io, struct gate_link, pidfd_io);
	struct run *r = g->owner;
	int status = gate_link_stop(g, 1000);

	(void)events;
	if (status != 0)
		lose(r, "fsgate died");
	else if (is_mounted(r))
		lose(r, "the connection to the kernel was cut");
	else
		finish(r, EXIT_DONE, "unmounted");
}

static void on_audit(struct loop_io *io, uint32_t events)
{
	(void)events;
	lose(container_of(io, struct run, audit_io), "the audit writer died");
}

static void on_signal(void *arg, const struct signalfd_siginfo *si)
{
	(void)si;
	finish(arg, EXIT_DONE, "stopped by a signal");
}

static void on_time(struct loop_timer *t)
{
	finish(container_of(t, struct run, timer), EXIT_TIMEOUT, "session_timeout reached");
}

/* ---- start ---- */

static int record(struct run *r, const char *op, const struct audit_field *fields, size_t n)
{
	const struct audit_event ev = {
		.op = op,
		.decision = "",
		.rule = "",
		.message = "",
		.pid = getpid(),
		.comm = "agentsh",
		.fields = fields,
		.n_fields = n,
		.durability = AUDIT_RING,
	};

	return audit_append(r->producer, &ev);
}

static int record_start(struct run *r, struct err *e)
{
	const struct mount_job *j = r->job;
	const struct audit_field fields[] = {
		AUDIT_F_STR("workspace", j->vars->workspace),
		AUDIT_F_STR("mount", j->vars->seen_as),
		AUDIT_F_STR("policy", policy_name(j->policy)),
		AUDIT_F_HEX("policy_sha256", (const char *)policy_digest(j->policy), 32),
		AUDIT_F_STR("mode", "mount"),
		AUDIT_F_STR("mechanisms", "fuse"),
		AUDIT_F_U64("uid", geteuid()),
		AUDIT_F_STR("version", PACKAGE_VERSION),
	};
	int code = record(r, "session_start", fields, ARRAY_LEN(fields));

	return code < 0 ? err_set(e, -code, "audit record of the session's start") : 0;
}

static int open_audit(struct run *r, struct err *e)
{
	const struct dirs *d = r->job->dirs;
	autoclose int ring = -1, wake = -1;
	char program[PATH_MAX];
	int code = dirs_program(program, sizeof(program), "agentsh-auditd", e);

	if (code == 0)
		code = audit_session_open(&r->audit, d->audit, d->runtime, program,
					  r->job->session->name, e);
	if (code == 0)
		code = audit_session_producer(r->audit, AUDIT_CTL, &ring, &wake, e);
	if (code == 0)
		code = audit_producer_open(&r->producer, ring, wake, e);
	if (code < 0)
		return code;
	steal_fd(&ring);
	steal_fd(&wake);
	return record_start(r, e);
}

static int configure(struct run *r, struct ipc_msg *m, struct err *e)
{
	const struct mount_job *j = r->job;
	autoclose int wake = -1;
	int code = audit_session_producer(r->audit, AUDIT_FS, &r->gate.ring, &wake, e);

	if (code < 0)
		return code;
	ipc_begin(m, GATE_CONFIG, 0);
	gate_config_common(m, j->session, j->vars);
	gate_config_fs(m, j->dirs);
	if (j->undo)
		undo_store_put(m, j->dirs, j->session->name, j->policy);
	gate_put_kv(m, "root.0.path", j->vars->seen_as);
	gate_put_kv(m, "root.0.host", j->vars->workspace);
	gate_put_kv(m, "at", j->vars->seen_as);
	if (j->read_only)
		gate_put_kv(m, "read_only", "1");
	ipc_put_fd(m, policy_image_fd(j->policy));
	ipc_put_fd(m, r->gate.ring);
	ipc_put_fd(m, wake);
	return gate_link_send(&r->gate, m, e);
}

static int start_gate(struct run *r, struct err *e)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	int code = m ? gate_link_start(&r->gate, e) : err_set(e, ENOMEM, "message");

	if (code == 0)
		code = configure(r, m, e);
	if (code == 0)
		code = gate_link_expect(&r->gate, GATE_READY, m, e);
	if (code < 0)
		return code;
	ipc_drop(m);
	ipc_begin(m, GATE_SETUP, 0);
	code = gate_link_send(&r->gate, m, e);
	if (code == 0)
		code = gate_link_expect(&r->gate, GATE_LIVE, m, e);
	if (code == 0)
		ipc_drop(m);
	return code;
}

static int watch(struct run *r, struct err *e)
{
	struct broker_args ba = {
		.loop = r->loop,
		.audit = r->producer,
		.socket_path = r->job->session->socket,
		.kind = r->job->approver,
	};
	struct policy_limits limits;
	int code = broker_open(&r->broker, &ba, e);

	if (code < 0)
		return code;
	r->gate.owner = r;
	code = loop_io_add(r->loop, &r->gate.ctl_io, r->gate.ctl, EPOLLIN, on_message);
	if (code == 0)
		code = loop_io_add(r->loop, &r->gate.pidfd_io, r->gate.pidfd, EPOLLIN, on_end);
	if (code == 0)
		code = loop_io_add(r->loop, &r->audit_io, audit_session_fd(r->audit), EPOLLRDHUP,
				   on_audit);
	if (code < 0)
		return err_set(e, -code, "event loop");
	policy_get_limits(&limits, r->job->policy);
	if (limits.session_timeout_ms)
		loop_timer_set(r->loop, &r->timer, limits.session_timeout_ms, on_time);
	return 0;
}

static int start(struct run *r, struct err *e)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, 0};
	const struct mount_job *j = r->job;
	int code = loop_new(&r->loop);

	if (code == 0)
		code = loop_signals(r->loop, signals, on_signal, r);
	if (code < 0)
		return err_set(e, -code, "event loop");
	signal(SIGPIPE, SIG_IGN);
	code = open_audit(r, e);
	if (code == 0)
		code = mount_stale_note(j->dirs, j->session->name, j->vars->seen_as, e);
	if (code == 0)
		code = trash_begin(j->dirs, j->policy, e);
	if (code == 0)
		code = start_gate(r, e);
	return code < 0 ? code : watch(r, e);
}

/* ---- end ---- */

static void unmount(struct run *r)
{
	const char *at = r->job->vars->seen_as;
	struct err e = ERR_INIT;

	if (!is_mounted(r) || unmount_at(at, false, &e) == 0)
		return;
	log_warn("%s: what still uses it loses it", e.text);
	if (unmount_at(at, true, &e) < 0)
		log_err("%s", e.text);
}

static void summary(const struct run *r)
{
	uint64_t counts[VERDICT_COUNT] = {0};

	audit_ring_counts(r->gate.ring, counts);
	fprintf(stderr,
		"agentsh: session %s: %llu allowed, %llu denied, %u approvals answered; "
		"agentsh audit cat --session %s\n",
		r->job->session->name, (unsigned long long)counts[VERDICT_ALLOW],
		(unsigned long long)counts[VERDICT_DENY], r->broker ? broker_answered(r->broker) : 0,
		r->job->session->name);
}

static void stop(struct run *r)
{
	struct err e = ERR_INIT;
	bool gone;

	if (!r->lost)
		unmount(r);
	gate_link_tell_stop(&r->gate);
	gate_link_stop(&r->gate, r->live ? 2000 : 100);
	gone = !is_mounted(r);
	if (r->producer) {
		const struct audit_field fields[] = {
			AUDIT_F_I64("status", r->status),
			AUDIT_F_STR("reason", r->end),
		};

		record(r, "session_end", fields, ARRAY_LEN(fields));
	}
	if (r->live && !r->job->quiet)
		summary(r);
	broker_close(r->broker);
	audit_producer_close(r->producer);
	if (r->audit && audit_session_end(r->audit, &e) < 0)
		log_err("audit: %s", e.text);
	audit_session_free(r->audit);
	gate_link_deinit(&r->gate);
	loop_free(r->loop);
	trash_tidy(r->job->dirs, r->job->policy);
	if (gone)
		mount_stale_forget(r->job->dirs, r->job->session->name);
}

int mount_cmd_run(const struct mount_job *job, const char **why, struct err *e)
{
	struct run r = {.job = job, .status = EXIT_IO};

	gate_link_init(&r.gate, "fsgate");
	if (start(&r, e) < 0) {
		r.end = "set-up failed";
	} else {
		r.live = true;
		job->ready(job->arg);
		loop_run(r.loop);
		if (r.lost)
			err_say(e, EIO, "%s: the mount at %s is dead, and stays so that nobody goes on "
				"without a policy; agentsh umount takes it away", r.end,
				job->vars->seen_as);
	}
	stop(&r);
	*why = r.end;
	return r.status;
}

void mount_cmd_notify(const char *state)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *name = getenv("NOTIFY_SOCKET");
	size_t len = name ? strlen(name) : 0;
	autoclose int fd = -1;

	if (len < 2 || len >= sizeof(to.sun_path) || (name[0] != '/' && name[0] != '@'))
		return;
	memcpy(to.sun_path, name, len);
	if (name[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		log_warn("cannot tell the service manager: %s", strerror(errno));
}
