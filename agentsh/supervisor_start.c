/*
 * Theory: the auditor and the gates need milliseconds to load, so they are started first and do it
 * while the plan is made and pid 1 mounts what needs no gate. The order of what follows is forced:
 *
 *   auditor open -> rings, CONFIG -> gates READY -> SETUP with pid 1's pidfd: netgate builds the
 *   network, fsgate mounts -> pid 1 mounts the plan, pivots -> agent forked, filter installed
 *   -> SETUP of execgate with the listener -> all LIVE -> the agent may exec.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agentsh/gate_config.h"
#include "agentsh/session_plan.h"
#include "agentsh/supervisor_i.h"
#include "agentsh/trash.h"
#include "agentsh/undo_store.h"
#include "common/auto.h"

/* ---- the auditor ---- */

int supervisor_audit(struct supervisor *s, struct err *e)
{
	const struct dirs *d = s->args->dirs;
	char program[PATH_MAX];
	int r = dirs_program(program, sizeof(program), "agentsh-auditd", e);

	return r < 0 ? r
		     : audit_session_begin(&s->audit, d->audit, d->runtime, program,
					   s->args->session->name, e);
}

static int open_producer(struct supervisor *s, struct err *e)
{
	autoclose int ring = -1, wake = -1;
	int r = audit_session_producer(s->audit, AUDIT_CTL, &ring, &wake, e);

	if (r < 0)
		return r;
	s->own_ring = fcntl(ring, F_DUPFD_CLOEXEC, 3);
	r = audit_producer_open(&s->producer, ring, wake, e);
	if (r < 0)
		return r;
	steal_fd(&ring);
	steal_fd(&wake);
	return 0;
}

/* ---- the gates ---- */

static void put_fs(const struct supervisor *s, struct ipc_msg *m)
{
	plan_put(s->plan, m);
	if (s->args->undo)
		undo_store_put(m, s->args->dirs, s->args->session->name, s->args->policy);
	gate_config_fs(m, s->args->dirs);
}

static void put_net(const struct supervisor *s, struct ipc_msg *m)
{
	gate_put_kv(m, "resolver4", SESSION_RESOLVER4);
	gate_put_kv(m, "resolver6", SESSION_RESOLVER6);
	for (unsigned i = 0; s->args->dns && s->args->dns[i]; i++) {
		char key[32];

		snprintf(key, sizeof(key), "dns.%u", i);
		gate_put_kv(m, key, s->args->dns[i]);
	}
}

static const enum audit_gate audit_gates[GATE_COUNT] = {AUDIT_FS, AUDIT_NET, AUDIT_EXEC};

static int configure_gate(struct supervisor *s, enum gate_index i, struct ipc_msg *m, struct err *e)
{
	struct gate_link *g = &s->gates[i];
	autoclose int wake = -1;
	int r = audit_session_producer(s->audit, audit_gates[i], &g->ring, &wake, e);

	if (r < 0)
		return r;
	ipc_begin(m, GATE_CONFIG, 0);
	gate_config_common(m, s->args->session, s->args->vars);
	if (i == GATE_FS)
		put_fs(s, m);
	else if (i == GATE_NET)
		put_net(s, m);
	ipc_put_fd(m, policy_image_fd(s->args->policy));
	ipc_put_fd(m, g->ring);
	ipc_put_fd(m, wake);
	return gate_link_send(g, m, e);
}

int supervisor_gates(struct supervisor *s, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < GATE_COUNT; i++)
		r = gate_link_start(&s->gates[i], e);
	return r;
}

int supervisor_configure(struct supervisor *s, struct err *e)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	int r = m ? audit_session_ready(s->audit, e) : err_set(e, ENOMEM, "message");

	if (r == 0)
		r = trash_begin(s->args->dirs, s->args->policy, e);

	if (r == 0)
		r = open_producer(s, e);
	for (unsigned i = 0; r == 0 && i < GATE_COUNT; i++)
		r = configure_gate(s, (enum gate_index)i, m, e);
	return r < 0 ? r : supervisor_record_start(s, e);
}

/* ---- the sandbox ---- */

int supervisor_plan(struct supervisor *s, struct err *e)
{
	const struct supervisor_args *a = s->args;
	const struct session_plan_args pa = {
		.dirs = a->dirs,
		.vars = a->vars,
		.policy = a->policy,
		.session = a->session,
		.mounts = a->mounts,
		.n_mounts = a->n_mounts,
		.hostname = s->hostname,
	};

	return session_plan(&s->plan, &pa, e);
}

/* GATE_SETUP with the pidfd of the sandbox's pid 1. */
static int set_up_gate(struct supervisor *s, enum gate_index i, struct ipc_msg *m, struct err *e)
{
	int r = gate_link_expect(&s->gates[i], GATE_READY, m, e);

	if (r < 0)
		return r;
	ipc_drop(m);
	ipc_begin(m, GATE_SETUP, 0);
	gate_put_kvf(m, "init.pid", "%d", (int)s->sandbox.init_pid);
	ipc_put_fd(m, s->sandbox.init_pidfd);
	return gate_link_send(&s->gates[i], m, e);
}

static int limit(struct supervisor *s, struct err *e)
{
	struct policy_limits limits;

	policy_get_limits(&limits, s->args->policy);
	return cgroup_create(&s->cgroup, s->args->session->name, &limits, e);
}

int supervisor_clone(struct supervisor *s, struct err *e)
{
	const struct supervisor_args *a = s->args;
	char cwd[PATH_MAX];
	struct sandbox_args sa = {
		.plan = s->plan,
		.argv = a->argv,
		.cwd = cwd,
		.hostname = s->hostname,
		.uid = geteuid(),
		.gid = getegid(),
		.is_root = s->is_root,
		.tty_fd = tty_terminal(&s->tty),
		.foreground = tty_gives_at_start(&s->tty),
		.ignored = &s->ignored,
	};
	int r = limit(s, e);

	if (r < 0)
		return r;
	supervisor_cwd(s, cwd, sizeof(cwd));
	if (env_set(a->env, "PWD", cwd) < 0)
		return err_set(e, ENOMEM, "environment");
	sa.envp = a->env->vars;
	sa.cgroup_fd = cgroup_dir_fd(s->cgroup);
	r = sandbox_start(&s->sandbox, &sa, e);
	s->sandbox_up = s->sandbox.init_pid > 0;
	return r < 0 ? r : cgroup_enter(s->cgroup, s->sandbox.init_pid, e);
}

int supervisor_build(struct supervisor *s, struct err *e)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	autoclose int fuse = -1;
	int r;

	if (!m)
		return err_set(e, ENOMEM, "message");
	r = set_up_gate(s, GATE_FS, m, e);
	if (r == 0)
		r = set_up_gate(s, GATE_NET, m, e);
	if (r == 0)
		r = gate_link_expect(&s->gates[GATE_FS], GATE_LIVE, m, e);
	if (r < 0)
		return r;
	fuse = ipc_take_fd(m, 0);
	ipc_drop(m);
	r = sandbox_build(&s->sandbox, fuse, e);
	if (r == 0)
		r = gate_link_expect(&s->gates[GATE_NET], GATE_LIVE, m, e);
	return r;
}

int supervisor_arm(struct supervisor *s, struct err *e)
{
	struct gate_link *g = &s->gates[GATE_EXEC];
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	autoclose int listener = -1, root = -1;
	const void *filter;
	pid_t agent = 0;
	size_t len;
	int r;

	if (!m)
		return err_set(e, ENOMEM, "message");
	r = gate_link_expect(g, GATE_READY, m, e);
	if (r < 0)
		return r;
	filter = ipc_get_mem(m, &len);
	if (!filter || !ipc_end(m))
		return err_say(e, EPROTO, "execgate sent no filter");
	r = sandbox_arm(&s->sandbox, filter, len, &listener, &root, &agent, e);
	ipc_drop(m);
	if (r < 0)
		return r;
	tty_set_agent(&s->tty, agent);
	ipc_begin(m, GATE_SETUP, 0);
	gate_put_kvf(m, "init.pid", "%d", (int)s->sandbox.init_pid);
	gate_put_kvf(m, "agent.pid", "%d", (int)agent);
	ipc_put_fd(m, listener);
	ipc_put_fd(m, root);
	r = gate_link_send(g, m, e);
	if (r == 0)
		r = gate_link_expect(g, GATE_LIVE, m, e);
	if (r == 0)
		ipc_drop(m);
	return r;
}

int supervisor_outside(struct supervisor *s, struct err *e)
{
	pid_t ours[GATE_COUNT + 1] = {getpid()};
	const struct outside_args oa = {
		.loop = s->loop,
		.producer = s->producer,
		.plan = s->plan,
		.init = s->sandbox.init_pid,
		.not_of = ours,
		.n_not_of = ARRAY_LEN(ours),
	};
	struct policy_audit audit;

	policy_get_audit(&audit, s->args->policy);
	/* where it is not possible the plan has no plain binds */
	if (!audit.log_outside_reads || !outside_possible())
		return 0;
	for (unsigned i = 0; i < GATE_COUNT; i++)
		ours[i + 1] = s->gates[i].pid;
	return outside_open(&s->outside, &oa, e);
}
