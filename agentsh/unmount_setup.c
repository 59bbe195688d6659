#include "agentsh/unmount_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/str.h"

/* The helper's standard error goes to a pipe. @return its wait status, or -errno */
static int run_helper(char *const argv[], int errors)
{
	posix_spawn_file_actions_t fa;
	int status = -1, r;
	pid_t pid;

	posix_spawn_file_actions_init(&fa);
	r = posix_spawn_file_actions_adddup2(&fa, errors, STDERR_FILENO);
	if (r == 0)
		r = posix_spawnp(&pid, argv[0], &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* One line of what the helper said; it names the reason by strerror() only. */
static int said(int errors, const char *at, struct err *e)
{
	char text[512], clean[512];
	ssize_t n = read(errors, text, sizeof(text) - 1);
	struct str s;

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	str_init(&s, clean, sizeof(clean));
	str_add_escaped(&s, text, strlen(text));
	return err_say(e, strstr(text, strerror(EBUSY)) ? EBUSY : EPERM, "unmount %s: %s", at,
		       n > 0 ? clean : "fusermount3 failed");
}

static int by_helper(const char *at, bool lazy, struct err *e)
{
	char program[] = "fusermount3", options[] = "-uz", end[] = "--";
	autofree char *place = strdup(at);
	char *const argv[] = {program, options, end, place, NULL};
	autoclose int errors = -1;
	int ends[2], r;

	if (!lazy)
		options[2] = '\0';
	if (!place || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_set(e, errno, "unmount %s", at);
	errors = ends[0];
	r = run_helper(argv, ends[1]);
	close(ends[1]);
	if (r < 0)
		return err_say(e, -r, "unmount %s: cannot run fusermount3: apt install fuse3", at);
	return r == 0 ? 0 : said(errors, at, e);
}

int unmount_at(const char *at, bool lazy, struct err *e)
{
	if (geteuid() != 0)
		return by_helper(at, lazy, e);
	if (umount2(at, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) < 0)
		return err_set(e, errno, "unmount %s", at);
	return 0;
}
