#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agentsh/sandbox_i.h"
#include "common/priv.h"
#include "common/sys.h"

/* Close everything but 0-2 and two more; what stays above 2 ends with the next exec. */
static int close_others(int a, int b)
{
	unsigned low = (unsigned)(a < b || b < 0 ? a : b);
	unsigned high = (unsigned)(a < b ? b : a);

	if (low > 3 && close_range(3, low - 1, 0) < 0)
		return -errno;
	if (high > low + 1 && close_range(low + 1, high - 1, 0) < 0)
		return -errno;
	if (close_range(high + 1, ~0u, 0) < 0)
		return -errno;
	return close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

int sandbox_init_isolate(const struct sandbox_args *args, int ctl, struct err *e)
{
	sigset_t all;
	int r;

	/* nothing of the supervisor's handlers may run here; SIGCHLD is read from a signalfd */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (int s = 1; s < NSIG; s++)
		sys_set_signal(s, false);
	prctl(PR_SET_NAME, "agentsh-init", 0, 0, 0);
	/* a second belt: the end of the control socket already ends pid 1 */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_set(e, errno, "die with the supervisor");
	/*
	 * The gates enter our namespaces by pidfd, and the supervisor writes our id maps: both need
	 * a dumpable process when it is not root's. sandbox_init_hide() ends that.
	 */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "prepare pid 1");
	r = close_others(ctl, args->tty_fd > 2 ? args->tty_fd : -1);
	return r < 0 ? err_set(e, -r, "close inherited descriptors") : 0;
}

/*
 * A crash inside must not start the host's core_pattern program, which runs outside as root. With
 * a pipe the kernel looks only for the limit 1 (core(5) says 0 suffices for files alone).
 */
static void forbid_cores(void)
{
	struct rlimit one = {1, 1}, none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &one) < 0)
		setrlimit(RLIMIT_CORE, &none);
}

int sandbox_init_confine(const struct sandbox_args *args, struct err *e)
{
	if (args->hostname && sethostname(args->hostname, strlen(args->hostname)) < 0)
		return err_set(e, errno, "set the sandbox's host name to %s", args->hostname);
	/* ENOSYS: a kernel without keyrings has none to hide */
	if (sys_new_session_keyring() < 0 && errno != ENOSYS)
		return err_set(e, errno, "make a session keyring");
	forbid_cores();
	return priv_drop(0, e);
}

int sandbox_init_hide(struct err *e)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "make pid 1 undumpable");
	return 0;
}
