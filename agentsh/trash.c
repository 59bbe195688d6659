#include "agentsh/trash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/log.h"
#include "common/str.h"

#define META_MAX (1u << 20)
#define LEFTOVER_S 3600 /* a deletion takes no longer than this */

static void store_path(const struct dirs *dirs, char *buf, size_t size)
{
	snprintf(buf, size, "%s/trash", dirs->state);
}

static void data_name(char *buf, size_t size, const char *token)
{
	snprintf(buf, size, "%s.data", token);
}

static bool has_data(int dir, const struct trash_meta *m)
{
	char name[TRASH_TOKEN_LEN + 8];
	struct stat st;

	data_name(name, sizeof(name), m->token);
	return !S_ISREG(m->mode) || (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
				     S_ISREG(st.st_mode));
}

static int read_meta(struct trash_meta *m, int dir, const char *name)
{
	autofree char *text = NULL;
	autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)META_MAX)
		return -EINVAL;
	text = malloc((size_t)st.st_size + 1);
	n = text ? read(fd, text, (size_t)st.st_size) : -1;
	if (n < 0)
		return -EIO;
	return trash_meta_parse(m, text, (size_t)n);
}

static bool is_meta_name(const char *name, char token[TRASH_TOKEN_LEN + 1])
{
	if (strlen(name) != TRASH_TOKEN_LEN + 5 || strcmp(name + TRASH_TOKEN_LEN, ".meta") != 0)
		return false;
	memcpy(token, name, TRASH_TOKEN_LEN);
	token[TRASH_TOKEN_LEN] = '\0';
	return trash_is_token(token);
}

static int add(struct trash *t, const char *name, const char *token)
{
	struct trash_meta *more = NULL;

	if ((t->n & (t->n - 1)) == 0) { /* full at powers of two */
		more = realloc(t->items, (t->n ? 2 * t->n : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		t->items = more;
	}
	if (read_meta(&t->items[t->n], t->dir, name) < 0)
		return 0;
	if (strcmp(t->items[t->n].token, token) != 0 || !has_data(t->dir, &t->items[t->n])) {
		trash_meta_free(&t->items[t->n]);
		return 0;
	}
	t->n++;
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct timespec *x = &((const struct trash_meta *)a)->deleted;
	const struct timespec *y = &((const struct trash_meta *)b)->deleted;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? 1 : -1;
	return x->tv_nsec < y->tv_nsec ? 1 : x->tv_nsec > y->tv_nsec ? -1 : 0;
}

int trash_load(struct trash *t, const struct dirs *dirs, struct err *e)
{
	char path[PATH_MAX + 16], token[TRASH_TOKEN_LEN + 1];
	struct dirent *de;
	int copy, r = 0;
	DIR *d;

	memset(t, 0, sizeof(*t));
	store_path(dirs, path, sizeof(path));
	t->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (t->dir < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "open %s", path);
	copy = openat(t->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = copy < 0 ? NULL : fdopendir(copy);
	if (!d)
		return err_set(e, errno, "read %s", path);
	while (r == 0 && (de = readdir(d)))
		if (is_meta_name(de->d_name, token))
			r = add(t, de->d_name, token);
	closedir(d);
	if (r < 0)
		return err_set(e, -r, "read %s", path);
	if (t->n)
		qsort(t->items, t->n, sizeof(*t->items), newest_first);
	return 0;
}

void trash_unload(struct trash *t)
{
	for (size_t i = 0; i < t->n; i++)
		trash_meta_free(&t->items[i]);
	free(t->items);
	if (t->dir >= 0)
		close(t->dir);
	t->dir = -1;
	t->items = NULL;
	t->n = 0;
}

void trash_host_path(const struct trash_meta *m, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s", strcmp(m->root, "/") == 0 ? "" : m->root, m->rel);
}

/* ---- what is too old or too much ---- */

int trash_purge(const struct trash *t, const struct trash_meta *m)
{
	char name[TRASH_TOKEN_LEN + 8];

	/* the data first: an item without it is none */
	data_name(name, sizeof(name), m->token);
	if (unlinkat(t->dir, name, 0) < 0 && errno != ENOENT)
		return -errno;
	snprintf(name, sizeof(name), "%s.meta", m->token);
	return unlinkat(t->dir, name, 0) < 0 ? -errno : 0;
}

static bool is_known(const struct trash *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strncmp(t->items[i].token, name, TRASH_TOKEN_LEN) == 0)
			return true;
	return false;
}

/* Of a deletion that a crash cut short: the file is still in its place. */
static void remove_leftovers(const struct trash *t, time_t now)
{
	int copy = openat(t->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *de;
	struct stat st;

	while (d && (de = readdir(d))) {
		if (de->d_name[0] == '.' ||
		    fstatat(t->dir, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    now - st.st_ctime < LEFTOVER_S || is_known(t, de->d_name))
			continue;
		unlinkat(t->dir, de->d_name, 0);
	}
	if (d)
		closedir(d);
}

size_t trash_expire(const struct trash *t, const struct policy_trash *limits, time_t now, bool dry,
		    trash_gone_fn *fn, void *arg)
{
	uint64_t bytes = 0;
	uint32_t count = 0;
	size_t gone = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct trash_meta *m = &t->items[i];
		uint64_t size = S_ISREG(m->mode) ? (uint64_t)m->size : 0;

		if ((!m->expires || m->expires > now) &&
		    (!limits->max_bytes || bytes + size <= limits->max_bytes) &&
		    (!limits->max_count || count < limits->max_count)) {
			bytes += size;
			count++;
			continue;
		}
		if (!dry && trash_purge(t, m) < 0)
			continue;
		gone++;
		if (fn)
			fn(arg, m);
	}
	if (t->dir >= 0 && !dry)
		remove_leftovers(t, now);
	return gone;
}

void trash_tidy(const struct dirs *dirs, const struct policy *p)
{
	struct policy_trash limits;
	struct err e = ERR_INIT;
	struct trash t;

	policy_get_trash(&limits, p);
	if (trash_load(&t, dirs, &e) < 0)
		log_warn("trash: %s", e.text);
	else
		trash_expire(&t, &limits, time(NULL), false, NULL, NULL);
	trash_unload(&t);
}

int trash_begin(const struct dirs *dirs, const struct policy *p, struct err *e)
{
	char path[PATH_MAX + 16];
	int r;

	store_path(dirs, path, sizeof(path));
	r = dirs_make(path, e);
	if (r == 0)
		trash_tidy(dirs, p);
	return r;
}
