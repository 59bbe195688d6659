#include "agentsh/mount_stale.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agentsh/cmd.h"
#include "agentsh/mount_table.h"
#include "agentsh/unmount_setup.h"
#include "common/auto.h"
#include "common/log.h"

#define DYING_MS 2000 /* a server that lost its supervisor ends at once, if the machine is not busy */

static int note_path(char *out, size_t size, const struct dirs *dirs, const char *session)
{
	int n = snprintf(out, size, "%s/mounts/%s", dirs->state, session);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int mount_stale_note(const struct dirs *dirs, const char *session, const char *at, struct err *e)
{
	char path[PATH_MAX], dir[PATH_MAX + 16];
	autoclose int fd = -1;
	int r;

	snprintf(dir, sizeof(dir), "%s/mounts", dirs->state);
	r = dirs_make(dir, e);
	if (r < 0)
		return r;
	if (note_path(path, sizeof(path), dirs, session) < 0)
		return err_set(e, ENAMETOOLONG, "%s", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, at, strlen(at)) != (ssize_t)strlen(at))
		return err_set(e, errno, "write %s", path);
	return 0;
}

void mount_stale_forget(const struct dirs *dirs, const char *session)
{
	char path[PATH_MAX];

	if (note_path(path, sizeof(path), dirs, session) == 0)
		unlink(path);
}

static int read_note(char *at, size_t size, const struct dirs *dirs, const char *session)
{
	char path[PATH_MAX];
	autoclose int fd = -1;
	ssize_t n;

	if (note_path(path, sizeof(path), dirs, session) < 0)
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, at, size - 1);
	if (n <= 0)
		return -ENOENT;
	at[n] = '\0';
	return 0;
}

static bool is_theirs(const char *at, const char *session)
{
	struct mount_entry entry;

	if (mount_table_find(&entry, at) < 0 || !mount_table_session(&entry))
		return false;
	return strcmp(mount_table_session(&entry), session) == 0;
}

/* The server may still be about to end. */
static bool is_dead(const char *at)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	for (int ms = 0; !mount_table_is_dead(at); ms += 20) {
		if (ms >= DYING_MS)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

static void clean_one(const struct dirs *dirs, const char *session)
{
	char at[PATH_MAX];
	struct err e = ERR_INIT;

	if (session_is_live(dirs, session))
		return;
	if (read_note(at, sizeof(at), dirs, session) == 0 && is_theirs(at, session)) {
		if (!is_dead(at))
			return; /* somebody's: it answers */
		if (unmount_at(at, true, &e) < 0) {
			log_warn("the dead mount of session %s: %s", session, e.text);
			return;
		}
		log_warn("the mount of session %s at %s was dead and is unmounted", session, at);
	}
	session_mark_ended(dirs, session, EXIT_SETUP);
	mount_stale_forget(dirs, session);
}

void mount_stale_clean(const struct dirs *dirs)
{
	char path[PATH_MAX + 16];
	struct dirent *de;
	DIR *d;

	snprintf(path, sizeof(path), "%s/mounts", dirs->state);
	d = opendir(path);
	if (!d)
		return;
	while ((de = readdir(d)))
		if (session_name_ok(de->d_name))
			clean_one(dirs, de->d_name);
	closedir(d);
}
