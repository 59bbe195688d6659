#include "agentsh/gate_link.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agentsh/spawn_setup.h"
#include "common/auto.h"
#include "common/dirs.h"
#include "common/log.h"

#define SETUP_TIMEOUT_MS 10000

void gate_link_init(struct gate_link *g, const char *name)
{
	memset(g, 0, sizeof(*g));
	g->name = name;
	g->pid = -1;
	g->pidfd = -1;
	g->ctl = -1;
	g->ring = -1;
}

int gate_link_start(struct gate_link *g, struct err *e)
{
	char program[PATH_MAX], name[64];
	autoclose int theirs = -1;
	int pair[2], r;
	pid_t pid;

	snprintf(name, sizeof(name), "agentsh-%s", g->name);
	r = dirs_program(program, sizeof(program), name, e);
	if (r < 0)
		return r;
	r = ipc_pair(pair);
	if (r < 0)
		return err_set(e, -r, "socket for %s", g->name);
	g->ctl = pair[0];
	theirs = pair[1];
	pid = spawn_helper(&g->pidfd, program, theirs, e);
	if (pid < 0)
		return (int)pid;
	g->pid = pid;
	return 0;
}

int gate_link_send(struct gate_link *g, const struct ipc_msg *m, struct err *e)
{
	int r = ipc_send(g->ctl, m);

	/* a gate that died has usually said why: expect() reads that */
	if (r == -EPIPE || r == -ECONNRESET)
		return 0;
	return r < 0 ? err_set(e, -r, "send to %s", g->name) : 0;
}

static int died(struct gate_link *g, struct err *e)
{
	siginfo_t si = {0};

	if (g->pidfd >= 0 && waitid(P_PIDFD, (id_t)g->pidfd, &si, WEXITED | WNOWAIT | WNOHANG) == 0 &&
	    si.si_pid && si.si_code != CLD_EXITED)
		return err_say(e, EPIPE, "%s was killed by signal %d", g->name, si.si_status);
	return err_say(e, EPIPE, "%s ended unexpectedly", g->name);
}

int gate_link_expect(struct gate_link *g, enum gate_msg type, struct ipc_msg *m, struct err *e)
{
	struct pollfd pf = {.fd = g->ctl, .events = POLLIN};
	int r;

	do
		r = poll(&pf, 1, SETUP_TIMEOUT_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return err_say(e, ETIMEDOUT, "%s did not answer within %d s", g->name,
			       SETUP_TIMEOUT_MS / 1000);
	r = ipc_recv(g->ctl, m);
	if (r < 0)
		return err_set(e, -r, "message from %s", g->name);
	if (r == 0)
		return died(g, e);
	if (m->type == GATE_FAILED) {
		int code = (int)ipc_get_u32(m);

		err_say(e, code, "%s: %s", g->name, ipc_get_str(m));
		ipc_drop(m);
		return -e->code;
	}
	if (m->type != type) {
		ipc_drop(m);
		return err_say(e, EPROTO, "%s sent message %u while %u was expected", g->name,
			       m->type, (unsigned)type);
	}
	return 0;
}

static int reap(struct gate_link *g)
{
	int status = -1;

	while (waitpid(g->pid, &status, 0) < 0 && errno == EINTR)
		;
	g->pid = -1;
	close(steal_fd(&g->pidfd));
	return status;
}

void gate_link_tell_stop(struct gate_link *g)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));

	if (g->pid < 0 || !m)
		return;
	ipc_begin(m, GATE_STOP, 0);
	if (ipc_send(g->ctl, m) < 0)
		log_debug("%s is gone already", g->name);
}

int gate_link_stop(struct gate_link *g, int timeout_ms)
{
	struct pollfd pf = {.fd = g->pidfd, .events = POLLIN};
	int status;

	if (g->pid < 0)
		return -1;
	loop_io_del(&g->ctl_io);
	loop_io_del(&g->pidfd_io);
	if (timeout_ms > 0 && poll(&pf, 1, timeout_ms) > 0)
		return reap(g);
	syscall(SYS_pidfd_send_signal, g->pidfd, SIGKILL, NULL, 0);
	status = reap(g);
	return WIFSIGNALED(status) ? -1 : status;
}

void gate_link_deinit(struct gate_link *g)
{
	gate_link_stop(g, 0);
	if (g->ctl >= 0)
		close(steal_fd(&g->ctl));
	if (g->ring >= 0)
		close(steal_fd(&g->ring));
}
