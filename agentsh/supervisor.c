#include "agentsh/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agentsh/cmd.h"
#include "agentsh/prompt.h"
#include "agentsh/supervisor_i.h"
#include "agentsh/trash.h"
#include "common/auto.h"
#include "common/log.h"
#include "common/path.h"

/* The caller's directory as the agent sees it; outside the workspace there is none: its root. */
void supervisor_cwd(const struct supervisor *s, char *out, size_t size)
{
	const struct vars *v = s->args->vars;
	char cwd[PATH_MAX], joined[PATH_MAX * 2];

	snprintf(out, size, "%s", v->seen_as);
	if (!getcwd(cwd, sizeof(cwd)) || !path_is_below(cwd, v->workspace))
		return;
	snprintf(joined, sizeof(joined), "%s%s", v->seen_as,
		 cwd + (strcmp(v->workspace, "/") == 0 ? 0 : strlen(v->workspace)));
	path_normalize(out, size, joined);
}

static void finish(struct supervisor *s, int status, const char *why)
{
	if (s->end)
		return;
	s->status = status;
	s->end = why;
	loop_stop(s->loop, 0);
}

/* ---- what happens while the agent runs ---- */

static void gate_lost(struct supervisor *s, const char *name)
{
	if (s->end)
		return;
	/* first of all nothing of the agent may run on without its gate */
	kill(s->sandbox.init_pid, SIGKILL);
	s->lost_a_gate = true;
	log_err("%s died: the sandbox was killed with it", name);
	finish(s, EXIT_SETUP, name);
}

static void on_gate_message(struct loop_io *io, uint32_t events)
{
	struct gate_link *g = container_of(io, struct gate_link, ctl_io);
	struct supervisor *s = g->owner;
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	int r = m ? ipc_recv(g->ctl, m) : -ENOMEM;

	(void)events;
	if (r != 1) {
		loop_io_del(io);
		gate_lost(s, g->name);
		return;
	}
	if (m->type == GATE_ASK)
		broker_ask(s->broker, g, m);
	else if (m->type == GATE_CANCEL)
		broker_cancel(s->broker, g, m->id);
	else if (m->type == GATE_FAILED && ipc_get_u32(m) > 0)
		log_err("%s: %s", g->name, ipc_get_str(m));
	ipc_drop(m);
}

static void on_gate_death(struct loop_io *io, uint32_t events)
{
	struct gate_link *g = container_of(io, struct gate_link, pidfd_io);

	(void)events;
	loop_io_del(io);
	gate_lost(g->owner, g->name);
}

static void on_audit(struct loop_io *io, uint32_t events)
{
	(void)events;
	gate_lost(container_of(io, struct supervisor, audit_io), "the audit writer");
}

static int exit_status(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static void exec_failed(struct supervisor *s, int code)
{
	const char *name = s->args->argv[0];

	if (code == ENOENT) {
		log_err("%s: command not found in the sandbox", name);
		finish(s, EXIT_NOT_FOUND, "command not found");
		return;
	}
	log_err("%s: %s", name, code == EACCES ? "not permitted to run" : strerror(code));
	finish(s, EXIT_DENIED, "command not executed");
}

static void agent_stopped(struct supervisor *s, int signo)
{
	/* a prompt owns the terminal: the agent goes on when it has been answered */
	if (s->prompt && prompt_is_open(s->prompt))
		return;
	if (tty_agent_stopped(&s->tty, signo))
		sandbox_continue(&s->sandbox, tty_agent_owns(&s->tty));
}

static void on_sandbox(struct loop_io *io, uint32_t events)
{
	struct supervisor *s = container_of(io, struct supervisor, sandbox_io);
	struct sandbox_event ev;

	(void)events;
	if (sandbox_event(&s->sandbox, &ev) < 0)
		ev.what = SANDBOX_GONE;
	switch (ev.what) {
	case SANDBOX_NOTHING:
		break;
	case SANDBOX_EXEC_FAILED:
		exec_failed(s, ev.value);
		break;
	case SANDBOX_EXITED:
		finish(s, exit_status(ev.value), "agent ended");
		break;
	case SANDBOX_STOPPED:
		agent_stopped(s, ev.value);
		break;
	case SANDBOX_GONE:
		loop_io_del(io);
		log_err("the sandbox's first process died");
		finish(s, EXIT_SETUP, "sandbox died");
		break;
	}
}

static void on_init_death(struct loop_io *io, uint32_t events)
{
	struct supervisor *s = container_of(io, struct supervisor, init_io);

	(void)events;
	loop_io_del(io);
	/* its last message may still be unread: that one counts */
	if (s->sandbox_io.loop)
		on_sandbox(&s->sandbox_io, 0);
	if (!s->end)
		log_err("the sandbox's first process died");
	finish(s, EXIT_SETUP, "sandbox died");
}

static void on_signal(void *arg, const struct signalfd_siginfo *si)
{
	struct supervisor *s = arg;
	int signo = (int)si->ssi_signo;

	if (signo == SIGCONT) {
		tty_resumed(&s->tty);
		sandbox_continue(&s->sandbox, tty_agent_owns(&s->tty));
	} else {
		sandbox_signal(&s->sandbox, signo);
	}
}

static void time_is_up(struct supervisor *s, const char *which)
{
	log_err("%s: the session was ended", which);
	finish(s, EXIT_TIMEOUT, which);
}

static void on_session_time(struct loop_timer *t)
{
	time_is_up(container_of(t, struct supervisor, session_timer), "session_timeout reached");
}

static void on_command_time(struct loop_timer *t)
{
	time_is_up(container_of(t, struct supervisor, command_timer), "command_timeout reached");
}

static void on_broker_change(void *arg)
{
	struct supervisor *s = arg;

	if (s->prompt)
		prompt_update(s->prompt);
}

/* ---- start, run, end ---- */

static int watch(struct supervisor *s, struct err *e)
{
	struct policy_limits limits;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < GATE_COUNT; i++) {
		struct gate_link *g = &s->gates[i];

		g->owner = s;
		r = loop_io_add(s->loop, &g->ctl_io, g->ctl, EPOLLIN, on_gate_message);
		if (r == 0)
			r = loop_io_add(s->loop, &g->pidfd_io, g->pidfd, EPOLLIN, on_gate_death);
	}
	if (r == 0)
		r = loop_io_add(s->loop, &s->audit_io, audit_session_fd(s->audit), EPOLLRDHUP,
				on_audit);
	if (r == 0)
		r = loop_io_add(s->loop, &s->sandbox_io, s->sandbox.ctl, EPOLLIN, on_sandbox);
	if (r == 0)
		r = loop_io_add(s->loop, &s->init_io, s->sandbox.init_pidfd, EPOLLIN,
				on_init_death);
	if (r < 0)
		return err_set(e, -r, "event loop");
	policy_get_limits(&limits, s->args->policy);
	if (limits.session_timeout_ms)
		loop_timer_set(s->loop, &s->session_timer, limits.session_timeout_ms,
			       on_session_time);
	if (limits.command_timeout_ms)
		loop_timer_set(s->loop, &s->command_timer, limits.command_timeout_ms,
			       on_command_time);
	return 0;
}

static int open_broker(struct supervisor *s, struct err *e)
{
	const struct broker_args ba = {
		.loop = s->loop,
		.audit = s->producer,
		.socket_path = s->args->session->socket,
		.kind = s->args->approver,
		.notify = on_broker_change,
		.notify_arg = s,
	};
	int r = broker_open(&s->broker, &ba, e);

	if (r == 0 && s->args->approver == APPROVER_TTY)
		r = prompt_open(&s->prompt, s->loop, s->broker, &s->tty, &s->sandbox, e);
	return r;
}

/* A caller's nohup, or a shell's "&", holds for the agent too. */
static void note_ignored(sigset_t *set)
{
	sigemptyset(set);
	for (int signo = 1; signo < NSIG; signo++) {
		struct sigaction sa;

		if (sigaction(signo, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
			sigaddset(set, signo);
	}
}

static int go(struct supervisor *s, struct err *e)
{
	return sandbox_go(&s->sandbox, e);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* In this order; AGENTSH_LOG=debug tells how long each takes. */
static const struct step {
	const char *name;
	int (*fn)(struct supervisor *s, struct err *e);
} steps[] = {
	{"audit writer, begun", supervisor_audit},
	{"gates, begun", supervisor_gates},
	{"plan", supervisor_plan},
	{"sandbox, begun", supervisor_clone},
	{"audit writer, rings", supervisor_configure},
	{"network and mounts", supervisor_build},
	{"agent", supervisor_arm},
	{"outside reads", supervisor_outside},
	{"approvals", open_broker},
	{"watch", watch},
	{"go", go},
};

static int run_steps(struct supervisor *s, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		uint64_t since = now_us();
		int r = steps[i].fn(s, e);

		if (r < 0)
			return r;
		log_debug("start-up: %s: %llu us", steps[i].name,
			  (unsigned long long)(now_us() - since));
	}
	return 0;
}

static int start(struct supervisor *s, struct err *e)
{
	static const int forwarded[] = {SIGTERM, SIGINT,  SIGQUIT,  SIGHUP, SIGTSTP, SIGUSR1,
					SIGUSR2, SIGCONT, SIGWINCH, 0};
	int r = loop_new(&s->loop);

	note_ignored(&s->ignored);
	if (r == 0)
		r = loop_signals(s->loop, forwarded, on_signal, s);
	if (r < 0)
		return err_set(e, -r, "event loop");
	signal(SIGPIPE, SIG_IGN);
	tty_init(&s->tty);
	return run_steps(s, e);
}

/*
 * A gate that was killed takes the agent's files or network away before the kernel tells of its
 * death; an agent that ends on that must not look like one that ended by itself.
 */
static void end_gate(struct supervisor *s, struct gate_link *g, int patience_ms)
{
	int status = gate_link_stop(g, patience_ms);

	if (status < 0 || !WIFSIGNALED(status) || s->lost_a_gate || !s->sandbox_up)
		return;
	s->lost_a_gate = true;
	s->status = EXIT_SETUP;
	s->end = g->name;
	log_err("%s died while the command ended: what it did last may have failed for that", g->name);
}

/* @param patience_ms  for each gate: one that did not get to serve may not hear that it should stop */
static void stop(struct supervisor *s, int patience_ms)
{
	struct err e = ERR_INIT;

	if (s->sandbox_up)
		sandbox_kill(&s->sandbox);
	for (unsigned i = 0; i < GATE_COUNT; i++)
		gate_link_tell_stop(&s->gates[i]);
	if (s->status > 128 || s->lost_a_gate)
		tty_restore(&s->tty);
	tty_deinit(&s->tty);
	if (s->prompt)
		prompt_close(s->prompt);
	for (unsigned i = 0; i < GATE_COUNT; i++)
		end_gate(s, &s->gates[i], patience_ms);
	outside_close(s->outside);
	if (s->producer)
		supervisor_record_end(s);
	if (!s->args->quiet && s->sandbox_up)
		supervisor_summary(s);
	broker_close(s->broker);
	cgroup_remove(s->cgroup);
	audit_producer_close(s->producer);
	if (s->audit && audit_session_end(s->audit, &e) < 0)
		log_err("audit: %s", e.text);
	audit_session_free(s->audit);
	s->audit = NULL;
	for (unsigned i = 0; i < GATE_COUNT; i++)
		gate_link_deinit(&s->gates[i]);
	if (s->own_ring >= 0)
		close(s->own_ring);
	trash_tidy(s->args->dirs, s->args->policy);
	sandbox_deinit(&s->sandbox);
	plan_free(s->plan);
	loop_free(s->loop);
}

int supervisor_run(const struct supervisor_args *args)
{
	static const char *const names[GATE_COUNT] = {"fsgate", "netgate", "execgate"};
	struct supervisor s = {
		.args = args,
		.own_ring = -1,
		.status = EXIT_SETUP,
		.sandbox = SANDBOX_INIT,
	};
	struct err e = ERR_INIT;

	s.is_root = geteuid() == 0;
	snprintf(s.hostname, sizeof(s.hostname), "%.60s", "sandbox");
	for (unsigned i = 0; i < GATE_COUNT; i++)
		gate_link_init(&s.gates[i], names[i]);
	if (start(&s, &e) < 0) {
		log_err("%s", e.text);
		s.end = "set-up failed";
		stop(&s, 100);
	} else {
		loop_run(s.loop);
		stop(&s, s.lost_a_gate ? 200 : 2000);
	}
	return s.status;
}
