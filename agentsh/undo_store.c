#include "agentsh/undo_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agentsh/session.h"
#include "common/auto.h"
#include "common/gate.h"

AUTO_DEFINE(json_t *, json_decref)

#define DEFAULT_MAX_MB 2048
#define DEFAULT_MAX_FILE_MB 256
#define DEFAULT_RETENTION_S (7 * 86400)

struct settings {
	bool enabled, required;
	uint64_t max_bytes, max_file;
	time_t retention_s;
	json_t *section; /* owned; has exclude */
};

static uint64_t mebibytes(const json_t *section, const char *key, uint64_t otherwise)
{
	const json_t *v = json_object_get(section, key);

	return (json_is_integer(v) ? (uint64_t)json_integer_value(v) : otherwise) << 20;
}

/* The policy has checked its form. */
static time_t duration(const json_t *section, const char *key, time_t otherwise)
{
	const char *text = json_string_value(json_object_get(section, key));
	time_t total = 0;
	char *end;

	if (!text)
		return otherwise;
	for (; *text; text = end) {
		double n = strtod(text, &end);
		bool milli = end[0] == 'm' && end[1] == 's';
		double unit = milli ? 0.001 : *end == 'd' ? 86400 : *end == 'h' ? 3600 : *end == 'm' ? 60 : 1;

		if (end == text)
			break;
		total += (time_t)(n * unit);
		end += milli ? 2 : *end != '\0';
	}
	return total;
}

static void read_settings(struct settings *s, const struct policy *p)
{
	const char *text = policy_section(p, "undo");

	s->section = text ? json_loads(text, 0, NULL) : NULL;
	s->enabled = !json_is_false(json_object_get(s->section, "enabled"));
	s->required = json_is_true(json_object_get(s->section, "required"));
	s->max_bytes = mebibytes(s->section, "max_mb", DEFAULT_MAX_MB);
	s->max_file = mebibytes(s->section, "max_file_mb", DEFAULT_MAX_FILE_MB);
	s->retention_s = duration(s->section, "retention", DEFAULT_RETENTION_S);
}

int undo_store_path(char *out, size_t size, const struct dirs *dirs, const char *session)
{
	int n = snprintf(out, size, "%s/undo/%s", dirs->state, session);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* ---- old ones ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* The session of a store: NAME, or NAME~N when a later one has taken its name. */
static bool is_live(const struct dirs *dirs, const char *store)
{
	return !strchr(store, '~') && session_is_live(dirs, store);
}

static void prune(const struct dirs *dirs, time_t retention_s)
{
	char path[PATH_MAX + 512];
	time_t now = time(NULL);
	struct dirent *de;
	struct stat st;
	DIR *d;

	snprintf(path, sizeof(path), "%s/undo", dirs->state);
	d = opendir(path);
	if (!d)
		return;
	while ((de = readdir(d))) {
		if (de->d_name[0] == '.' || is_live(dirs, de->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/undo/%s/journal", dirs->state, de->d_name);
		if (stat(path, &st) < 0 || now - st.st_mtime < retention_s)
			continue;
		*strrchr(path, '/') = '\0';
		remove_tree(path);
	}
	closedir(d);
}

/* ---- a new one ---- */

static int set_aside(const char *path, struct err *e)
{
	char other[PATH_MAX + 16];

	if (access(path, F_OK) < 0)
		return 0;
	for (unsigned n = 1; n < 1000; n++) {
		snprintf(other, sizeof(other), "%s~%u", path, n);
		if (access(other, F_OK) == 0)
			continue;
		return rename(path, other) < 0 ? err_set(e, errno, "rename %s", path) : 0;
	}
	return err_say(e, EEXIST, "%s: too many sessions of this name", path);
}

static int make(const char *path, struct err *e)
{
	autoclose int dir = -1, journal = -1;

	if (mkdir(path, 0700) < 0)
		return err_set(e, errno, "create %s", path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || mkdirat(dir, "objects", 0700) < 0)
		return err_set(e, errno, "create %s", path);
	journal = openat(dir, "journal", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return journal < 0 ? err_set(e, errno, "create %s/journal", path) : 0;
}

int undo_store_make(bool *made, const struct dirs *dirs, const char *session,
		    const struct policy *p, struct err *e)
{
	struct settings s;
	char path[PATH_MAX];
	int r;

	read_settings(&s, p);
	json_decref(s.section);
	*made = s.enabled;
	if (!s.enabled)
		return 0;
	snprintf(path, sizeof(path), "%.4000s/undo", dirs->state);
	r = dirs_make(path, e);
	if (r < 0)
		return r;
	prune(dirs, s.retention_s);
	if (undo_store_path(path, sizeof(path), dirs, session) < 0)
		return err_say(e, ENAMETOOLONG, "%s: name too long", dirs->state);
	r = set_aside(path, e);
	return r < 0 ? r : make(path, e);
}

int undo_store_put(struct ipc_msg *m, const struct dirs *dirs, const char *session,
		   const struct policy *p)
{
	const json_t *exclude;
	struct settings s;
	char path[PATH_MAX], key[48];
	json_t *glob;
	size_t i;
	int r = undo_store_path(path, sizeof(path), dirs, session);

	if (r < 0)
		return r;
	read_settings(&s, p);
	gate_put_kv(m, "undo.dir", path);
	gate_put_kv(m, "undo.required", s.required ? "1" : "0");
	gate_put_kvf(m, "undo.max_bytes", "%llu", (unsigned long long)s.max_bytes);
	gate_put_kvf(m, "undo.max_file", "%llu", (unsigned long long)s.max_file);
	exclude = json_object_get(s.section, "exclude");
	json_array_foreach(exclude, i, glob) {
		snprintf(key, sizeof(key), "undo.exclude.%zu", i);
		gate_put_kv(m, key, json_string_value(glob) ? json_string_value(glob) : "");
	}
	json_decref(s.section);
	return 0;
}
