/*
 * The agent's process between fork and exec.
 *
 * It shares the descriptor table with pid 1 until its exec (CLONE_FILES): so the listener of its
 * filter can be handed out without a system call that the filter itself might hold, and pid 1
 * closes it for both. execve(2) gives the agent a table of its own, and everything above
 * descriptor 2 is close-on-exec.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agentsh/sandbox_i.h"
#include "common/auto.h"
#include "common/str.h"
#include "common/sys.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static const char *search_path(char *const *envp)
{
	for (; *envp; envp++)
		if (str_has_prefix(*envp, "PATH="))
			return *envp + 5;
	return DEFAULT_PATH;
}

/* A script without "#!" is run by the shell, as execvp(3) does. */
static int exec_script(const char *path, char *const *argv, char *const *envp)
{
	size_t n = 0;
	char **v;

	while (argv[n])
		n++;
	v = mmap(NULL, (n + 2) * sizeof(*v), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	if (v == MAP_FAILED)
		return errno;
	v[0] = (char *)(uintptr_t)"sh";
	v[1] = (char *)(uintptr_t)path;
	for (size_t i = 1; i < n; i++)
		v[i + 1] = argv[i];
	execve("/bin/sh", v, envp);
	return errno;
}

static int exec_file(const char *path, char *const *argv, char *const *envp)
{
	execve(path, argv, envp);
	return errno == ENOEXEC ? exec_script(path, argv, envp) : errno;
}

/* dir/name of the next element of PATH; an empty one is the current directory. @return next or NULL */
static const char *candidate(struct str *out, const char *path, const char *name)
{
	const char *end = strchrnul(path, ':');

	out->len = 0;
	out->cut = false;
	if (end > path) {
		str_add_mem(out, path, (size_t)(end - path));
		str_add(out, "/");
	}
	str_add(out, name);
	return *end ? end + 1 : NULL;
}

int sandbox_agent_exec(char *const *argv, char *const *envp)
{
	const char *next = search_path(envp);
	int result = ENOENT;
	char file[PATH_MAX];
	struct str s;

	if (!argv[0] || !*argv[0])
		return ENOENT;
	if (strchr(argv[0], '/'))
		return exec_file(argv[0], argv, envp);
	str_init(&s, file, sizeof(file));
	while (next) {
		int code;

		next = candidate(&s, next, argv[0]);
		if (s.cut)
			continue;
		/* what does not exist, or lies in a directory that the policy closes, is not tried */
		if (faccessat(AT_FDCWD, file, F_OK, 0) < 0)
			continue;
		code = exec_file(file, argv, envp);
		/* refused, not merely without its x bit: another one of that name is not asked for */
		if (code == EACCES && faccessat(AT_FDCWD, file, X_OK, 0) == 0)
			return EACCES;
		if (code == EACCES)
			result = EACCES;
		else if (code != ENOENT && code != ENOTDIR && code != ESTALE && code != ENODEV)
			return code;
	}
	return result;
}

static void reset_signals(const sigset_t *ignored)
{
	for (int s = 1; s < NSIG; s++)
		sys_set_signal(s, ignored && sigismember(ignored, s) == 1);
}

static int install_filter(const void *filter, size_t len, struct err *e)
{
	unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	int fd = sys_seccomp_filter(filter, len, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);

	/* before 5.19: a signal handler of the agent may then interrupt a held exec, and restart it */
	if (fd < 0 && errno == EINVAL)
		fd = sys_seccomp_filter(filter, len, flags);
	return fd < 0 ? err_set(e, errno, "install the system call filter (seccomp)") : fd;
}

static int become_agent(const struct sandbox_args *args, struct err *e)
{
	if (setpgid(0, 0) < 0)
		return err_set(e, errno, "make the agent's process group");
	/* all signals are blocked: SIGTTOU cannot stop this. No terminal any more: go on without */
	if (args->foreground && args->tty_fd >= 0)
		tcsetpgrp(args->tty_fd, getpid());
	if (chdir(args->cwd) < 0)
		return err_set(e, errno, "enter the directory %s inside the sandbox", args->cwd);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "set no_new_privs");
	if (sandbox_fence(e) < 0)
		return -e->code;
	/* a parent's death is pid 1's, and ends the namespace; an inherited wish means nothing */
	prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	reset_signals(args->ignored);
	return 0;
}

struct agent_pipes {
	int report[2], go[2];
};

__attribute__((noreturn)) static void agent_main(const struct sandbox_args *args,
						 const struct agent_pipes *p, const void *filter,
						 size_t filter_len)
{
	struct sandbox_report rep = {.listener = -1, .err = ERR_INIT};
	sigset_t none;
	char one;

	if (become_agent(args, &rep.err) == 0)
		rep.listener = install_filter(filter, filter_len, &rep.err);
	if (write(p->report[1], &rep, sizeof(rep)) != (ssize_t)sizeof(rep) || rep.listener < 0)
		_exit(125);
	if (read(p->go[0], &one, 1) != 1)
		_exit(125);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	rep.listener = -1;
	rep.err.code = sandbox_agent_exec(args->argv, args->envp);
	if (write(p->report[1], &rep, sizeof(rep)) != (ssize_t)sizeof(rep))
		_exit(125);
	_exit(rep.err.code == ENOENT ? 127 : 126);
}

/* The table is shared, so the pipe has no end of file: the agent's death shows on its pidfd. */
static int wait_report(struct sandbox_report *rep, const struct sandbox_agent *a, struct err *e)
{
	struct pollfd fds[2] = {{.fd = a->report, .events = POLLIN},
				{.fd = a->pidfd, .events = POLLIN}};

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	if (read(a->report, rep, sizeof(*rep)) != (ssize_t)sizeof(*rep))
		return err_say(e, ECHILD, "the agent's process died before its exec");
	if (rep->err.code) {
		*e = rep->err;
		return -e->code;
	}
	return 0;
}

int sandbox_agent_fork(struct sandbox_agent *out, const struct sandbox_args *args,
		       const void *filter, size_t filter_len, struct err *e)
{
	struct sandbox_agent a = {.pidfd = -1};
	struct sys_clone c = {
		.flags = CLONE_FILES, .pidfd = &a.pidfd, .exit_signal = SIGCHLD, .cgroup_fd = -1};
	struct sandbox_report rep;
	struct agent_pipes p;
	int r;

	if (pipe2(p.report, O_CLOEXEC | O_NONBLOCK) < 0 || pipe2(p.go, O_CLOEXEC) < 0)
		return err_set(e, errno, "make the agent's pipes");
	a.pid = sys_clone3(&c);
	if (a.pid == 0)
		agent_main(args, &p, filter, filter_len);
	if (a.pid < 0)
		return err_set(e, errno, "start the agent's process");
	a.report = p.report[0];
	a.go = p.go[1];
	r = wait_report(&rep, &a, e);
	if (r < 0)
		return r;
	a.listener = rep.listener;
	*out = a;
	return 0;
}
