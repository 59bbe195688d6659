/*
 * The supervisor's side of a sandbox: every call is one message to pid 1, and at most one answer.
 */
#include "agentsh/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agentsh/sandbox_i.h"
#include "common/sys.h"

#define KILL_WAIT_MS 10000

/*
 * A directory as one of the standard descriptors would be a door into the host's tree:
 * openat(0, "../..") needs no mount to be visible.
 */
static int check_stdio(struct err *e)
{
	static const char *const names[] = {"standard input", "standard output", "standard error"};

	for (int fd = 0; fd < 3; fd++) {
		struct stat st;
		int flags = fcntl(fd, F_GETFL);

		if (flags < 0 || fstat(fd, &st) < 0)
			return err_say(e, EBADF, "%s is closed: connect it to something, /dev/null "
				       "for example", names[fd]);
		if (S_ISDIR(st.st_mode) || (flags & O_PATH))
			return err_say(e, EINVAL,
				       "%s is a directory or an O_PATH descriptor: the command "
				       "could leave the sandbox through it", names[fd]);
	}
	return 0;
}

/* A caller without descriptor 0, 1 or 2 must not get our socket in its place. */
static int above_stdio(int *fd)
{
	int higher;

	if (*fd > 2)
		return 0;
	higher = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
	if (higher < 0)
		return -errno;
	close(*fd);
	*fd = higher;
	return 0;
}

/* Wait for one message of this type; pid 1's own error becomes ours. */
static int expect(struct sandbox *sb, enum sandbox_msg type, struct err *e)
{
	struct ipc_msg *m = sb->msg;
	int r = ipc_recv(sb->ctl, m);

	if (r < 0)
		return err_set(e, -r, "read from the sandbox");
	if (r == 0)
		return err_say(e, EPIPE, "the sandbox's first process died while it was set up");
	if (m->type == SANDBOX_MSG_ERROR) {
		uint32_t code = ipc_get_u32(m);

		/* it waits for its end now, so that no later call waits for it */
		sys_pidfd_send_signal(sb->init_pidfd, SIGKILL);
		return err_say(e, code ? (int)code : EIO, "%s", ipc_get_str(m));
	}
	if (m->type != type) {
		ipc_drop(m);
		return err_say(e, EPROTO, "the sandbox sent message %u, not %u", m->type, type);
	}
	return 0;
}

static int tell(struct sandbox *sb, enum sandbox_msg type, struct err *e)
{
	int r;

	ipc_begin(sb->msg, type, 0);
	r = ipc_send(sb->ctl, sb->msg);
	return r < 0 ? err_set(e, -r, "write to the sandbox") : 0;
}

static int clone_error(struct err *e, int code, int cgroup_fd)
{
	switch (code) {
	case EPERM:
	case ENOSPC:
	case EUSERS:
	case EACCES:
		return err_say(e, code, "user namespaces are not permitted here (clone3: %s); %s%s",
			       strerror(code), sandbox_userns_remedy(),
			       cgroup_fd >= 0 ? "; or the session's cgroup may not be entered" : "");
	case ENOSYS:
		return err_say(e, code, "clone3 is not available: a kernel >= 5.15 is needed, or a "
			       "container's seccomp profile hides it");
	case EINVAL:
		return err_say(e, code, "this kernel lacks one of the user, pid, net, ipc, uts or "
			       "cgroup namespaces");
	default:
		return err_set(e, code, "clone3 of the sandbox");
	}
}

static int clone_init(struct sandbox *sb, const struct sandbox_args *args, struct err *e)
{
	struct sys_clone c = {
		.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
			 CLONE_NEWUTS | CLONE_NEWCGROUP,
		.pidfd = &sb->init_pidfd,
		.exit_signal = SIGCHLD,
		.cgroup_fd = args->cgroup_fd,
	};
	int pair[2], r;
	pid_t pid;

	r = ipc_pair(pair);
	if (r < 0)
		return err_set(e, -r, "socketpair");
	r = above_stdio(&pair[0]);
	if (r == 0)
		r = above_stdio(&pair[1]);
	pid = r < 0 ? -1 : sys_clone3(&c);
	if (pid == 0)
		sandbox_init_main(args, pair[1], sb->msg);
	r = r < 0 ? r : -errno;
	close(pair[1]);
	sb->ctl = pair[0];
	if (pid < 0)
		return clone_error(e, -r, args->cgroup_fd);
	sb->init_pid = pid;
	return 0;
}

int sandbox_start(struct sandbox *sb, const struct sandbox_args *args, struct err *e)
{
	int r = check_stdio(e);

	if (r < 0)
		return r;
	sb->tty_fd = args->tty_fd;
	sb->msg = malloc(sizeof(*sb->msg));
	if (!sb->msg)
		return err_set(e, ENOMEM, "start a sandbox");
	r = clone_init(sb, args, e);
	if (r < 0)
		return r;
	r = expect(sb, SANDBOX_MSG_READY, e);
	if (r < 0)
		return r;
	r = sandbox_map_ids(sb->init_pid, args, e);
	return r < 0 ? r : tell(sb, SANDBOX_MSG_MAPPED, e);
}

int sandbox_build(struct sandbox *sb, int fuse_mount, struct err *e)
{
	int r;

	ipc_begin(sb->msg, SANDBOX_MSG_BUILD, 0);
	if (fuse_mount >= 0)
		ipc_put_fd(sb->msg, fuse_mount);
	r = ipc_send(sb->ctl, sb->msg);
	/* a pid 1 that failed earlier has said why before it closed its end */
	if (r < 0 && r != -EPIPE)
		return err_set(e, -r, "write to the sandbox");
	return expect(sb, SANDBOX_MSG_BUILT, e);
}

/* The kernel translates a pidfd's pid into the namespace of the /proc that is asked: pidfd_open(2). */
static int pid_of_pidfd(pid_t *pid, int pidfd, struct err *e)
{
	char name[64], line[128];
	autofclose FILE *f = NULL;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", pidfd);
	f = fopen(name, "re");
	if (!f)
		return err_set(e, errno, "open %s", name);
	while (fgets(line, sizeof(line), f)) {
		long n;

		if (strncmp(line, "Pid:", 4))
			continue;
		n = strtol(line + 4, NULL, 10);
		if (n <= 0)
			break;
		*pid = (pid_t)n;
		return 0;
	}
	return err_say(e, ESRCH, "the agent's process died while it was set up");
}

int sandbox_arm(struct sandbox *sb, const void *filter, size_t filter_len, int *listener, int *root,
		pid_t *agent_pid, struct err *e)
{
	autoclose int notify = -1;
	autoclose int root_dir = -1;
	autoclose int pidfd = -1;
	int r;

	ipc_begin(sb->msg, SANDBOX_MSG_ARM, 0);
	ipc_put_mem(sb->msg, filter, filter_len);
	r = ipc_send(sb->ctl, sb->msg);
	if (r < 0 && r != -EPIPE)
		return err_set(e, -r, "write to the sandbox");
	r = expect(sb, SANDBOX_MSG_ARMED, e);
	if (r < 0)
		return r;
	notify = ipc_take_fd(sb->msg, 0);
	root_dir = ipc_take_fd(sb->msg, 1);
	pidfd = ipc_take_fd(sb->msg, 2);
	ipc_drop(sb->msg);
	if (notify < 0 || root_dir < 0 || pidfd < 0)
		return err_say(e, EPROTO, "the sandbox sent too few descriptors");
	r = pid_of_pidfd(&sb->agent_pid, pidfd, e);
	if (r < 0)
		return r;
	*agent_pid = sb->agent_pid;
	*listener = steal_fd(&notify);
	*root = steal_fd(&root_dir);
	return 0;
}

int sandbox_go(struct sandbox *sb, struct err *e)
{
	return tell(sb, SANDBOX_MSG_GO, e);
}

int sandbox_event(struct sandbox *sb, struct sandbox_event *out)
{
	struct ipc_msg *m = sb->msg;
	int r = ipc_recv(sb->ctl, m);
	uint32_t continued;

	out->what = SANDBOX_NOTHING;
	out->value = 0;
	if (r < 0)
		return r;
	ipc_drop(m);
	if (r == 0) {
		out->what = SANDBOX_GONE;
		return 0;
	}
	if (m->type != SANDBOX_MSG_EVENT)
		return -EPROTO;
	out->what = (enum sandbox_what)ipc_get_u32(m);
	out->value = (int)ipc_get_u32(m);
	continued = ipc_get_u32(m);
	if (out->what == SANDBOX_STOPPED && continued != sb->n_continued)
		out->what = SANDBOX_NOTHING;
	return ipc_end(m) ? 0 : -EBADMSG;
}

int sandbox_signal(struct sandbox *sb, int signo)
{
	ipc_begin(sb->msg, SANDBOX_MSG_SIGNAL, 0);
	ipc_put_u32(sb->msg, (uint32_t)signo);
	sb->n_continued += signo == SIGCONT;
	return ipc_send(sb->ctl, sb->msg);
}

int sandbox_continue(struct sandbox *sb, bool foreground)
{
	if (foreground && sb->tty_fd >= 0 && sb->agent_pid > 0 &&
	    tcgetpgrp(sb->tty_fd) == getpgrp()) {
		sigset_t ttou, old;
		int r;

		/* from a background group tcsetpgrp(3) raises SIGTTOU unless it is blocked */
		sigemptyset(&ttou);
		sigaddset(&ttou, SIGTTOU);
		sigprocmask(SIG_BLOCK, &ttou, &old);
		r = tcsetpgrp(sb->tty_fd, sb->agent_pid) < 0 ? -errno : 0;
		sigprocmask(SIG_SETMASK, &old, NULL);
		if (r < 0 && r != -ESRCH && r != -ENOTTY)
			return r;
	}
	return sandbox_signal(sb, SIGCONT);
}

void sandbox_kill(struct sandbox *sb)
{
	struct pollfd gone = {.fd = sb->init_pidfd, .events = POLLIN};

	if (sb->init_pid <= 0 || sb->init_pidfd < 0)
		return;
	sys_pidfd_send_signal(sb->init_pidfd, SIGKILL);
	/* bounded: a process inside may hang in a file system that is itself being torn down */
	while (poll(&gone, 1, KILL_WAIT_MS) < 0 && errno == EINTR)
		;
	waitid(P_PIDFD, (id_t)sb->init_pidfd, NULL, WEXITED | WNOHANG);
	sb->init_pid = 0;
}

void sandbox_deinit(struct sandbox *sb)
{
	sandbox_kill(sb);
	auto_close(&sb->init_pidfd);
	auto_close(&sb->ctl);
	free(sb->msg);
	*sb = (struct sandbox)SANDBOX_INIT;
}
