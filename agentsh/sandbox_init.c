/*
 * Pid 1 of the sandbox.
 *
 * Theory: it sets up, step by step as the supervisor tells it, then serves: it reaps, reports
 * the agent's stops and its end, and passes signals on. A step that fails is reported as one
 * message; then it waits to be killed. When the control socket ends it exits, and the kernel kills
 * every process of its pid namespace (pid_namespaces(7)).
 *
 * The session ends with the agent: what it left in the background is killed then. Outside of a
 * sandbox such processes would live on, but nobody would be there to judge what they do.
 *
 * It runs in a fork of the supervisor without exec, so it allocates nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agentsh/mount.h"
#include "agentsh/sandbox_i.h"
#include "common/auto.h"

struct init {
	const struct sandbox_args *args;
	struct ipc_msg *msg;
	int ctl;
	struct mount_root root;
	struct sandbox_agent agent;
	uint32_t n_continued; /* how often the supervisor said SIGCONT */
};

__attribute__((noreturn)) static void fail(struct init *in, const struct err *e)
{
	ipc_begin(in->msg, SANDBOX_MSG_ERROR, 0);
	ipc_put_u32(in->msg, (uint32_t)e->code);
	ipc_put_str(in->msg, e->text);
	ipc_send(in->ctl, in->msg);
	/* closing a socket with unread messages would take the report back: unix(7) ECONNRESET */
	while (ipc_recv(in->ctl, in->msg) > 0)
		ipc_drop(in->msg);
	_exit(1);
}

static void tell(struct init *in, enum sandbox_msg type)
{
	ipc_begin(in->msg, type, 0);
	if (ipc_send(in->ctl, in->msg) < 0)
		_exit(1);
}

static void report(struct init *in, enum sandbox_what what, int value)
{
	ipc_begin(in->msg, SANDBOX_MSG_EVENT, 0);
	ipc_put_u32(in->msg, what);
	ipc_put_u32(in->msg, (uint32_t)value);
	ipc_put_u32(in->msg, in->n_continued);
	if (ipc_send(in->ctl, in->msg) < 0)
		_exit(1);
}

static void expect(struct init *in, enum sandbox_msg type)
{
	struct err e = ERR_INIT;
	int r = ipc_recv(in->ctl, in->msg);

	if (r <= 0)
		_exit(1);
	if (in->msg->type != type) {
		err_say(&e, EPROTO, "pid 1 got message %u, not %u", in->msg->type, type);
		fail(in, &e);
	}
}

static int build(struct init *in, struct err *e)
{
	autoclose int fuse = ipc_take_fd(in->msg, 0);
	int r;

	ipc_drop(in->msg);
	r = mount_finish(&in->root, in->args, fuse, e);
	return r < 0 ? r : sandbox_init_confine(in->args, e);
}

/*
 * The pipes and the listener are closed here once they are handed out; the agent shares this
 * descriptor table until its exec, and none of them outlives that.
 */
static int arm(struct init *in, struct err *e)
{
	size_t len;
	const void *filter = ipc_get_mem(in->msg, &len);
	autoclose int root = -1;
	int r;

	if (!ipc_end(in->msg) || len == 0)
		return err_say(e, EBADMSG, "the filter is missing");
	r = sandbox_agent_fork(&in->agent, in->args, filter, len, e);
	if (r == 0)
		r = sandbox_init_hide(e);
	if (r < 0)
		return r;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_set(e, errno, "open the sandbox's root");
	ipc_begin(in->msg, SANDBOX_MSG_ARMED, 0);
	ipc_put_fd(in->msg, in->agent.listener);
	ipc_put_fd(in->msg, root);
	ipc_put_fd(in->msg, in->agent.pidfd);
	r = ipc_send(in->ctl, in->msg);
	auto_close(&in->agent.listener);
	auto_close(&in->agent.pidfd);
	return r < 0 ? err_set(e, -r, "hand out the listener") : 0;
}

static void set_up(struct init *in)
{
	struct err e = ERR_INIT;
	mode_t mask = umask(022); /* for the directories of the tree; the agent has the caller's */

	if (sandbox_init_isolate(in->args, in->ctl, &e) < 0)
		fail(in, &e);
	tell(in, SANDBOX_MSG_READY);
	expect(in, SANDBOX_MSG_MAPPED);
	if (mount_prepare(&in->root, in->args, &e) < 0)
		fail(in, &e);
	expect(in, SANDBOX_MSG_BUILD);
	if (build(in, &e) < 0)
		fail(in, &e);
	close(steal_fd(&in->root.fd));
	umask(mask);
	tell(in, SANDBOX_MSG_BUILT);
	expect(in, SANDBOX_MSG_ARM);
	if (arm(in, &e) < 0)
		fail(in, &e);
}

/* A stop or end of the terminal's job concerns every process of it, as if the terminal had said so. */
static bool is_for_group(int signo)
{
	static const int group[] = {SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGHUP, SIGWINCH};

	for (size_t i = 0; i < ARRAY_LEN(group); i++)
		if (signo == group[i])
			return true;
	return false;
}

static void pass_signal(struct init *in, int signo)
{
	in->n_continued += signo == SIGCONT;
	if (in->agent.pid <= 0 || signo <= 0 || signo >= NSIG)
		return;
	if (!is_for_group(signo) || kill(-in->agent.pid, signo) < 0)
		kill(in->agent.pid, signo);
}

static void agent_ended(struct init *in, int status)
{
	struct sandbox_report rep;

	in->agent.pid = 0;
	/* written before the exit, so it is in the pipe if the exec failed */
	if (read(in->agent.report, &rep, sizeof(rep)) == (ssize_t)sizeof(rep) && rep.err.code)
		report(in, SANDBOX_EXEC_FAILED, rep.err.code);
	report(in, SANDBOX_EXITED, status);
	kill(-1, SIGKILL);
}

static void reap(struct init *in)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != in->agent.pid)
			continue;
		if (WIFSTOPPED(status))
			report(in, SANDBOX_STOPPED, WSTOPSIG(status));
		else
			agent_ended(in, status);
	}
}

static void command(struct init *in)
{
	if (ipc_recv(in->ctl, in->msg) <= 0)
		_exit(0);
	ipc_drop(in->msg);
	if (in->msg->type == SANDBOX_MSG_GO) {
		char one = 1;

		if (write(in->agent.go, &one, 1) != 1)
			_exit(1);
	} else if (in->msg->type == SANDBOX_MSG_SIGNAL) {
		int signo = (int)ipc_get_u32(in->msg);

		if (ipc_end(in->msg))
			pass_signal(in, signo);
	}
}

void sandbox_init_main(const struct sandbox_args *args, int ctl, struct ipc_msg *m)
{
	struct init in = {.args = args, .msg = m, .ctl = ctl};
	struct pollfd fds[2] = {{.fd = ctl, .events = POLLIN}, {.events = POLLIN}};
	struct signalfd_siginfo info;
	sigset_t child;

	set_up(&in);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	fds[1].fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fds[1].fd < 0)
		_exit(1);
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			command(&in);
		if (fds[1].revents) {
			/* one SIGCHLD can stand for many: it only says that it is time to look */
			while (read(fds[1].fd, &info, sizeof(info)) > 0)
				;
			reap(&in);
		}
	}
}
