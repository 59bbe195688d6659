/*
 * agentsh-execgate: judges every program start of a sandbox.
 *
 * GATE_READY body: the seccomp filter (struct sock_filter array) for the agent to install.
 * GATE_SETUP: fds[0] the filter's listener, fds[1] O_PATH of the sandbox's root directory;
 *             keys init.pid and agent.pid, as this process's pid namespace sees them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/gate.h"
#include "common/log.h"
#include "common/priv.h"
#include "common/str.h"
#include "execgate/exec_filter.h"
#include "execgate/exec_notify.h"

/* What a real root keeps: looking into the agent's processes, and at files of any mode. */
#define KEEP (1ull << CAP_SYS_PTRACE | 1ull << CAP_DAC_READ_SEARCH)

static int send_filter(struct gate *g, struct err *e)
{
	autofree void *filter = NULL;
	size_t len;
	int r = exec_filter_build(&filter, &len, e);

	if (r < 0)
		return r;
	r = gate_ready(g, filter, len);
	return r < 0 ? err_set(e, -r, "send the filter") : 0;
}

static int conf_pid(pid_t *out, const struct gate *g, const char *key, struct err *e)
{
	const char *text = gate_conf(g, key);
	uint64_t v;

	if (!text || str_to_u64(&v, text, 1, INT32_MAX) < 0)
		return err_say(e, EINVAL, "execgate: %s is missing or no process id", key);
	*out = (pid_t)v;
	return 0;
}

/* Yama's strictest setting forbids what exec_verify.c needs; say so now, not at the first exec. */
static int check_ptrace(struct err *e)
{
	autoclose int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
	char c = '0';

	if (fd >= 0 && read(fd, &c, 1) == 1 && c == '3')
		return err_say(e, EPERM,
			       "kernel.yama.ptrace_scope is 3, so program starts cannot be "
			       "verified; set it to 2 or lower (it takes a reboot)");
	return 0;
}

static int set_up(struct gate *g, struct exec_serve *s, struct exec_root *root, struct err *e)
{
	int fds[2] = {-1, -1};
	pid_t agent, init;
	int r = gate_wait_setup(g, fds, 2, e);

	if (r < 0)
		return r;
	if (fds[0] < 0 || fds[1] < 0)
		return err_say(e, EBADMSG, "execgate: listener or root is missing in the set-up");
	r = conf_pid(&agent, g, "agent.pid", e);
	if (r == 0)
		r = conf_pid(&init, g, "init.pid", e);
	if (r == 0)
		r = exec_root_open(root, fds[1], e);
	if (r == 0)
		r = exec_alias_new(&s->world.alias, root, g->policy, e);
	if (r < 0)
		return r;
	s->gate = g;
	s->listener = fds[0];
	s->world.root = root;
	s->world.hash = exec_hash_new();
	s->depth = exec_depth_new(agent, init);
	s->notices = exec_notices_new();
	s->threads = exec_threads_new();
	if (!s->world.hash || !s->depth || !s->notices || !s->threads)
		return err_set(e, ENOMEM, "execgate");
	return 0;
}

/* The sandbox is gone, so its threads here end too; one that does not keeps everything in use. */
static void close_cleanly(struct gate *g, struct exec_threads *threads)
{
	if (exec_threads_wait(threads, 500) == 0)
		gate_close(g);
}

static int serve(struct gate *g, struct err *e)
{
	static struct exec_root root;
	static struct exec_serve s;
	struct exec_notify *notify;
	struct loop *loop = NULL;
	int r = check_ptrace(e);

	if (r == 0)
		r = send_filter(g, e);
	if (r == 0)
		r = set_up(g, &s, &root, e);
	if (r == 0)
		r = priv_drop(g->is_root ? KEEP : 0, e);
	if (r < 0)
		return r;
	r = loop_new(&loop);
	if (r == 0)
		r = gate_watch(g, loop);
	if (r < 0)
		return err_set(e, -r, "event loop");
	r = exec_notify_start(&notify, &s, e);
	if (r == 0 && (r = gate_live(g, NULL, 0)) < 0)
		err_set(e, -r, "report to the supervisor");
	if (r < 0)
		return r;
	r = loop_run(loop);
	if (r == 0)
		close_cleanly(g, s.threads);
	return r;
}

int main(void)
{
	struct gate g;
	struct err e = ERR_INIT;
	int r;

	log_init_env("agentsh-execgate");
	if (gate_open(&g, "execgate", AUDIT_EXEC, &e) < 0) {
		log_err("%s", e.text);
		return 1;
	}
	r = serve(&g, &e);
	if (r < 0)
		gate_failed(&g, &e);
	/* other threads may still use everything: the process ends with them, nothing is freed */
	_exit(r == 0 ? 0 : 1);
}
