#include "agentsh/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/redact.h"

AUTO_DEFINE(json_t *, json_decref)

bool session_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= SESSION_NAME_MAX && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static void make_name(struct session *s)
{
	uint16_t r = 0;
	time_t now = time(NULL);
	struct tm tm;

	if (getrandom(&r, sizeof(r), 0) < 0)
		r = (uint16_t)getpid();
	gmtime_r(&now, &tm);
	snprintf(s->name, sizeof(s->name), "%04d%02d%02d-%02d%02d%02d-%04x", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, r);
}

int session_socket(char *out, size_t size, const struct dirs *dirs, const char *name)
{
	int n = snprintf(out, size, "%s/sessions/%s/ctl.sock", dirs->runtime, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* The lock file of a session: opened, and locked when nobody else holds it. -EWOULDBLOCK: live */
static int try_lock(const char *run_dir, int flags)
{
	char path[PATH_MAX + 8];
	autoclose int fd = -1;

	snprintf(path, sizeof(path), "%s/lock", run_dir);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return steal_fd(&fd);
}

bool session_is_live(const struct dirs *dirs, const char *name)
{
	char run_dir[PATH_MAX * 2];
	autoclose int fd = -1;

	snprintf(run_dir, sizeof(run_dir), "%s/sessions/%s", dirs->runtime, name);
	fd = try_lock(run_dir, 0);
	return fd == -EWOULDBLOCK;
}

static void each_dir(const struct dirs *dirs, bool live, void (*fn)(void *arg, const char *name),
		     void *arg)
{
	char path[PATH_MAX + 16];
	struct dirent *de;
	DIR *d;

	snprintf(path, sizeof(path), "%s/sessions", dirs->runtime);
	d = opendir(path);
	if (!d)
		return;
	while ((de = readdir(d)))
		if (session_name_ok(de->d_name) && session_is_live(dirs, de->d_name) == live)
			fn(arg, de->d_name);
	closedir(d);
}

void session_each_live(const struct dirs *dirs, void (*fn)(void *arg, const char *name), void *arg)
{
	each_dir(dirs, true, fn, arg);
}

static void remove_dead(void *arg, const char *name)
{
	const struct dirs *dirs = arg;
	char run_dir[PATH_MAX * 2];
	struct stat st;

	snprintf(run_dir, sizeof(run_dir), "%s/sessions/%s", dirs->runtime, name);
	/* a directory without a lock file yet may be one that is being created just now */
	if (stat(run_dir, &st) == 0 && time(NULL) - st.st_mtime > 5)
		session_remove(run_dir);
}

static int make_dirs(const struct dirs *dirs, struct err *e)
{
	char sub[PATH_MAX + 16];
	int r = dirs_make(dirs->state, e);

	if (r == 0)
		r = dirs_make(dirs->runtime, e);
	snprintf(sub, sizeof(sub), "%s/sessions", dirs->state);
	if (r == 0)
		r = dirs_make(sub, e);
	snprintf(sub, sizeof(sub), "%s/sessions", dirs->runtime);
	if (r == 0)
		r = dirs_make(sub, e);
	return r;
}

int session_create(struct session *s, const struct dirs *dirs, const char *name, struct err *e)
{
	int r;

	memset(s, 0, sizeof(*s));
	s->lock = -1;
	if (name && !session_name_ok(name))
		return err_say(e, EINVAL,
			       "--name %s: use 1 to 64 of A-Z a-z 0-9 . _ - (not . or - first)", name);
	if (name)
		snprintf(s->name, sizeof(s->name), "%s", name);
	else
		make_name(s);
	r = make_dirs(dirs, e);
	if (r < 0)
		return r;
	each_dir(dirs, false, remove_dead, (void *)(uintptr_t)dirs);
	if (snprintf(s->run_dir, sizeof(s->run_dir), "%s/sessions/%s", dirs->runtime, s->name) >=
		    (int)sizeof(s->run_dir) ||
	    snprintf(s->record, sizeof(s->record), "%s/sessions/%s.json", dirs->state, s->name) >=
		    (int)sizeof(s->record) ||
	    session_socket(s->socket, sizeof(s->socket), dirs, s->name) < 0)
		return err_say(e, ENAMETOOLONG, "%s: name too long", dirs->runtime);
	if (mkdir(s->run_dir, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "create %s", s->run_dir);
	r = try_lock(s->run_dir, O_CREAT);
	if (r == -EWOULDBLOCK)
		return err_say(e, EEXIST, "session %s is running: choose another --name", s->name);
	if (r < 0)
		return err_set(e, -r, "lock %s", s->run_dir);
	s->lock = r;
	return 0;
}

static json_t *facts_json(const struct session *s, const struct session_facts *f)
{
	json_t *command = json_array();
	autofree const char **argv = NULL;
	size_t n = 0;
	json_t *o;

	while (f->command && f->command[n])
		n++;
	argv = redact_argv((const char *const *)f->command, n);
	for (size_t i = 0; argv && i < n; i++) {
		json_t *word = json_string(argv[i]);

		json_array_append_new(command, word ? word : json_string("(not UTF-8)"));
	}
	o = json_pack("{s:s, s:o, s:s*, s:s*, s:s*, s:s*, s:I, s:i}", "name", s->name, "command",
		      command, "workspace", f->workspace, "policy", f->policy, "policy_digest",
		      f->policy_digest, "mode", f->mode, "started", (json_int_t)f->started,
		      "supervisor", (int)f->supervisor);
	if (o && f->mount)
		json_object_set_new(o, "mount", json_string(f->mount));
	if (o && f->ended) {
		json_object_set_new(o, "ended", json_integer((json_int_t)f->ended));
		json_object_set_new(o, "status", json_integer(f->status));
	}
	return o;
}

static int write_record(const json_t *o, const char *path, struct err *e)
{
	char part[PATH_MAX + 8];

	snprintf(part, sizeof(part), "%s.part", path);
	if (json_dump_file(o, part, JSON_INDENT(2)) < 0)
		return err_set(e, errno, "write %s", part);
	if (rename(part, path) < 0)
		return err_set(e, errno, "write %s", path);
	return 0;
}

/* @param path  PATH_MAX bytes: where it is */
static json_t *load_record(char *path, const struct dirs *dirs, const char *name)
{
	int n = snprintf(path, PATH_MAX, "%s/sessions/%s.json", dirs->state, name);

	return n < PATH_MAX ? json_load_file(path, 0, NULL) : NULL;
}

pid_t session_supervisor(const struct dirs *dirs, const char *name)
{
	char path[PATH_MAX];
	AUTO(json_decref) json_t *o = load_record(path, dirs, name);
	json_int_t pid = json_integer_value(json_object_get(o, "supervisor"));

	return pid > 0 && pid <= INT_MAX ? (pid_t)pid : -1;
}

void session_mark_ended(const struct dirs *dirs, const char *name, int status)
{
	char path[PATH_MAX];
	AUTO(json_decref) json_t *o = load_record(path, dirs, name);

	if (!o || json_object_get(o, "ended"))
		return;
	json_object_set_new(o, "ended", json_integer((json_int_t)time(NULL)));
	json_object_set_new(o, "status", json_integer(status));
	write_record(o, path, NULL);
}

int session_write(const struct session *s, const struct session_facts *f, struct err *e)
{
	AUTO(json_decref) json_t *o = facts_json(s, f);

	return o ? write_record(o, s->record, e) : err_set(e, ENOMEM, "session record");
}

void session_end(struct session *s)
{
	if (s->lock < 0)
		return;
	session_remove(s->run_dir);
	close(steal_fd(&s->lock));
}
