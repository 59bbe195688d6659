#include "agentsh/spawn_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/gate.h"
#include "common/str.h"

/* What a helper may know of our environment: where things are and how to log, nothing of the user's. */
static char *const *helper_env(char *env[], size_t n)
{
	static const char *const kept[] = {"AGENTSH_LOG=",  "ASAN_OPTIONS=",	   "UBSAN_OPTIONS=",
					   "LSAN_OPTIONS=", "GCOV_PREFIX=",	   "HOME=",
					   "PATH=",	    "AGENTSH_TEST_FAULT=", "JOURNAL_STREAM="};
	size_t used = 0;

	for (char **v = environ; *v && used + 1 < n; v++)
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			if (str_has_prefix(*v, kept[i]) && used + 1 < n)
				env[used++] = *v;
	env[used] = NULL;
	return env;
}

static int file_actions(posix_spawn_file_actions_t *fa, int ctl)
{
	int r = posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDONLY, 0);

	if (r == 0)
		r = posix_spawn_file_actions_addopen(fa, 1, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(fa, ctl, GATE_FD);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(fa, GATE_FD + 1);
	return r;
}

static int attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
						   POSIX_SPAWN_SETSIGDEF);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attr, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attr, &all);
	return r;
}

pid_t spawn_helper(int *pidfd, const char *program, int ctl, struct err *e)
{
	char *const argv[] = {(char *)(uintptr_t)program, NULL};
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	char *env[32];
	pid_t pid = -1;
	int r;

	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	r = file_actions(&fa, ctl);
	if (r == 0)
		r = attributes(&attr);
	if (r == 0)
		r = posix_spawn(&pid, program, &fa, &attr, argv, helper_env(env, ARRAY_LEN(env)));
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	if (r != 0)
		return err_set(e, r, "start %s", program);
	*pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (*pidfd < 0) {
		r = errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err_set(e, r, "pidfd of %s", program);
	}
	return pid;
}
