/*
 * agentsh umount: end a governed mount in order
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agentsh/cmd.h"
#include "agentsh/mount_stale.h"
#include "agentsh/mount_table.h"
#include "agentsh/session.h"
#include "agentsh/unmount_setup.h"
#include "common/auto.h"
#include "common/dirs.h"
#include "common/log.h"
#include "common/path.h"

#define OTHERS_MS 1000
#define END_MS 10000 /* the log is made durable and signed before it returns */

static const char usage_text[] =
	"usage: agentsh umount [--lazy] MOUNTPOINT\n\n"
	"End a mount that agentsh mount made, or clear a dead one, and wait until its session has\n"
	"ended. --lazy: also when it is in use; then its place is free at once, and the session ends\n"
	"with the last user.\n\n"
	"Exit status: 0 unmounted, 1 in use, or no mount of agentsh, 2 usage, 3 could not unmount.\n";

/* A dead mount cannot be looked at, what leads to it can. */
static int real_place(char *out, const char *at, struct err *e)
{
	char parent[PATH_MAX], clean[PATH_MAX], cwd[PATH_MAX], joined[PATH_MAX];

	if (realpath(at, out))
		return 0;
	if (!getcwd(cwd, sizeof(cwd)) || path_join(clean, sizeof(clean), cwd, at) < 0)
		return err_set(e, errno, "%s", at);
	snprintf(parent, sizeof(parent), "%.*s", (int)(path_base(clean) - clean), clean);
	if (!realpath(parent, joined))
		return err_set(e, errno, "%s", at);
	return path_join(out, PATH_MAX, joined, path_base(clean)) < 0
		       ? err_set(e, ENAMETOOLONG, "%s", at)
		       : 0;
}

static bool has_ended(const struct dirs *dirs, const char *session, int within_ms)
{
	const struct timespec pause = {.tv_nsec = 10000000};

	for (int ms = 0; session_is_live(dirs, session); ms += 10) {
		if (ms >= within_ms)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* Another mount namespace may have a copy of the mount: for fsgate it goes on. Then it is stopped. */
static void wait_for_end(const struct dirs *dirs, const char *session)
{
	pid_t pid;

	if (has_ended(dirs, session, OTHERS_MS))
		return;
	pid = session_supervisor(dirs, session);
	if (pid > 0 && session_is_live(dirs, session))
		kill(pid, SIGTERM);
	if (!has_ended(dirs, session, END_MS))
		log_warn("unmounted, but session %s is still ending", session);
}

static int unmount_place(const struct dirs *dirs, const char *at, bool lazy)
{
	struct mount_entry entry;
	struct err e = ERR_INIT;
	const char *session;
	bool dead;

	session = mount_table_find(&entry, at) == 0 ? mount_table_session(&entry) : NULL;
	if (!session) {
		log_err("%s is no mount of agentsh; \"agentsh session list\" lists them", at);
		return EXIT_NO;
	}
	dead = mount_table_is_dead(at);
	if (unmount_at(at, lazy || dead, &e) < 0) {
		log_err("%s%s", e.text, e.code == EBUSY ? "; see fuser -m, or use --lazy" : "");
		return e.code == EBUSY ? EXIT_NO : EXIT_IO;
	}
	if (!lazy)
		wait_for_end(dirs, session);
	if (dead)
		mount_stale_clean(dirs);
	return EXIT_DONE;
}

int cmd_umount(int argc, char **argv)
{
	char at[PATH_MAX];
	struct err e = ERR_INIT;
	struct dirs dirs;
	bool lazy = argc > 1 && strcmp(argv[1], "--lazy") == 0;

	argc -= lazy;
	argv += lazy;
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage_text, stdout);
		return EXIT_DONE;
	}
	if (argc != 2 || argv[1][0] == '-') {
		fputs(usage_text, stderr);
		return EXIT_USAGE;
	}
	if (dirs_init(&dirs, &e) < 0 || real_place(at, argv[1], &e) < 0) {
		log_err("%s", e.text);
		return EXIT_USAGE;
	}
	return unmount_place(&dirs, at, lazy);
}
