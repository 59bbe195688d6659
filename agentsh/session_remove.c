/*
 * Removing a session's directory: private trees in it hold what the agent left there, so names are as
 * deep and modes as odd as it liked. No link is followed; what lies deeper than a few levels is moved up
 * first, so that neither descriptors nor the stack run out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentsh/session.h"
#include "common/auto.h"
#include "common/log.h"

#define DEEP 64u

/* Directories below dir are emptied and removed; those at the deepest level are moved to top. */
static void empty(int top, int dir, unsigned depth, unsigned *moved)
{
	DIR *d = fdopendir(dir);
	struct dirent *de;

	while (d && (de = readdir(d))) {
		char name[32];
		int sub;

		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0 ||
		    unlinkat(dirfd(d), de->d_name, 0) == 0 ||
		    unlinkat(dirfd(d), de->d_name, AT_REMOVEDIR) == 0)
			continue;
		/* a directory with something in it, and whatever mode */
		if (fchmodat(dirfd(d), de->d_name, 0700, AT_SYMLINK_NOFOLLOW) < 0)
			log_debug("chmod %s: %s", de->d_name, strerror(errno));
		if (depth == DEEP) {
			snprintf(name, sizeof(name), "deep.%u", (*moved)++);
			if (renameat(dirfd(d), de->d_name, top, name) < 0)
				log_debug("left: %s: %s", de->d_name, strerror(errno));
			continue;
		}
		sub = openat(dirfd(d), de->d_name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			empty(top, sub, depth + 1, moved);
		unlinkat(dirfd(d), de->d_name, AT_REMOVEDIR);
	}
	if (d)
		closedir(d);
	else
		close(dir);
}

void session_remove(const char *dir)
{
	autoclose int top = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	unsigned moved = 0, before;

	if (top < 0)
		return;
	do {
		int again = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		before = moved;
		if (again >= 0)
			empty(top, again, 0, &moved);
	} while (moved != before);
	rmdir(dir);
}
