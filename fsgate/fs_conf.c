#include "fsgate/fs_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/path.h"
#include "common/str.h"
#include "fsgate/fs_virtual.h"
#include "fsgate/fs_undo.h"

#define ROOTS_MAX 256u

static const char *key(const struct fs *fs, const char *list, unsigned n, const char *field)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.%u%s", list, n, field);
	return gate_conf(&fs->gate, name);
}

static int load_root(struct fs *fs, unsigned n, const char *path, struct err *e)
{
	const char *host = key(fs, "root", n, ".host");
	char name[16], canonical[PATH_MAX];
	struct stat st;
	int fd, r;

	if (!host)
		return err_say(e, EINVAL, "root.%u.host is missing", n);
	r = path_normalize(canonical, sizeof(canonical), path);
	if (r < 0)
		return err_set(e, -r, "root.%u.path \"%s\"", n, path);
	fd = open(host, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "open %s for %s", host, path);
	if (n == 0)
		fs->main_dev = st.st_dev;
	snprintf(name, sizeof(name), "r%u", n);
	r = fs_tree_add_root(fs->tree, name, canonical, fd);
	return r < 0 ? err_set(e, -r, "governed root %s", path) : 0;
}

static int load_override(struct fs *fs, unsigned n, const char *path, struct err *e)
{
	const char *host = key(fs, "override", n, ".host");
	char canonical[PATH_MAX];
	struct fs_override *more;
	int r;

	if (!host)
		return err_say(e, EINVAL, "override.%u.host is missing", n);
	r = path_normalize(canonical, sizeof(canonical), path);
	if (r < 0)
		return err_set(e, -r, "override.%u.path \"%s\"", n, path);
	more = realloc(fs->overrides, (n + 1) * sizeof(*more));
	if (!more)
		return err_set(e, ENOMEM, "override %s", path);
	fs->overrides = more;
	more[n].fd = open(host, O_PATH | O_CLOEXEC);
	if (more[n].fd < 0)
		return err_set(e, errno, "open %s for %s", host, path);
	more[n].path = strdup(canonical);
	fs->n_overrides = n + 1;
	return more[n].path ? 0 : err_set(e, ENOMEM, "override %s", path);
}

static int load_hidden(struct fs *fs, unsigned n, const char *host, struct err *e)
{
	struct fs_hidden *more = realloc(fs->hidden, (fs->n_hidden + 1) * sizeof(*more));
	struct stat st;

	if (!more)
		return err_set(e, ENOMEM, "hide.%u", n);
	fs->hidden = more;
	if (stat(host, &st) < 0) /* what is not there cannot be hidden, nor seen */
		return errno == ENOENT ? 0 : err_set(e, errno, "hide.%u %s", n, host);
	more[fs->n_hidden].dev = st.st_dev;
	more[fs->n_hidden].ino = st.st_ino;
	more[fs->n_hidden].path = strdup(host);
	return more[fs->n_hidden++].path ? 0 : err_set(e, ENOMEM, "hide.%u", n);
}

static int load_ids(struct fs *fs, struct err *e)
{
	const char *uid = gate_conf(&fs->gate, "uid"), *gid = gate_conf(&fs->gate, "gid");
	uint64_t u, g;
	int n;

	if (!uid || !gid || str_to_u64(&u, uid, 0, UINT32_MAX - 1) < 0 ||
	    str_to_u64(&g, gid, 0, UINT32_MAX - 1) < 0)
		return err_say(e, EINVAL, "uid or gid is missing or not a number");
	fs->uid = (uid_t)u;
	fs->gid = (gid_t)g;
	n = getgroups(0, NULL);
	if (n > 0) {
		fs->groups = calloc((size_t)n, sizeof(gid_t));
		if (!fs->groups)
			return err_set(e, ENOMEM, "groups");
		fs->n_groups = getgroups(n, fs->groups);
	}
	return 0;
}

int fs_conf_load(struct fs *fs, struct err *e)
{
	const char *v;
	int r = load_ids(fs, e);

	fs->features = policy_file_features(fs->gate.policy);
	for (unsigned n = 0; r == 0 && n < ROOTS_MAX && (v = key(fs, "root", n, ".path")); n++)
		r = load_root(fs, n, v, e);
	for (unsigned n = 0; r == 0 && (v = key(fs, "override", n, ".path")); n++)
		r = load_override(fs, n, v, e);
	for (unsigned n = 0; r == 0 && (v = key(fs, "hide", n, "")); n++)
		r = load_hidden(fs, n, v, e);
	if (r == 0 && fs_virtual_place(fs) < 0)
		r = err_set(e, ENOMEM, "workspace");
	fs->at = gate_conf(&fs->gate, "at");
	if (r == 0 && fs->at && !fs_tree_root_name(fs->tree, 0))
		r = err_say(e, EINVAL, "root.0.path is missing");
	if (r == 0 && fs->at)
		fs_tree_alone(fs->tree);
	return r;
}

void fs_conf_free(struct fs *fs)
{
	for (size_t i = 0; i < fs->n_overrides; i++) {
		close(fs->overrides[i].fd);
		free(fs->overrides[i].path);
	}
	free(fs->overrides);
	for (size_t i = 0; i < fs->n_hidden; i++)
		free(fs->hidden[i].path);
	free(fs->hidden);
	free(fs->groups);
	free(fs->why_dir);
}

int fs_conf_override(struct fs *fs, struct fs_node *dir, const char *name, struct stat *st)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < fs->n_overrides; i++) {
		const struct fs_override *o = &fs->overrides[i];
		int fd;

		if (strcmp(path_base(o->path), name) != 0)
			continue;
		if (fs_node_path(fs->tree, dir, name, path, sizeof(path)) < 0 ||
		    strcmp(path, o->path) != 0)
			continue;
		fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0 || fstat(fd, st) < 0)
			return -EIO;
		return fd;
	}
	return -ENOENT;
}

const char *fs_conf_override_in(const struct fs *fs, const char *dir, size_t n)
{
	for (size_t i = 0; i < fs->n_overrides; i++) {
		const char *base = path_base(fs->overrides[i].path);
		size_t len = (size_t)(base - fs->overrides[i].path) - 1;

		if (strlen(dir) != (len ? len : 1) || strncmp(dir, fs->overrides[i].path, len) != 0)
			continue;
		if (n-- == 0)
			return base;
	}
	return NULL;
}

bool fs_conf_is_hidden(const struct fs *fs, const struct stat *st)
{
	for (size_t i = 0; i < fs->n_hidden; i++)
		if (fs->hidden[i].ino == st->st_ino && fs->hidden[i].dev == st->st_dev)
			return true;
	return false;
}

/* Is the directory one of the path's ancestors, or the path itself? */
static bool leads_to(const struct stat *dir, const char *path)
{
	char part[PATH_MAX];
	struct stat st;

	snprintf(part, sizeof(part), "%s", path);
	for (;;) {
		char *slash = strrchr(part, '/');

		if (stat(part, &st) == 0 && st.st_ino == dir->st_ino && st.st_dev == dir->st_dev)
			return true;
		if (!slash || slash == part)
			return false;
		*slash = '\0';
	}
}

bool fs_conf_holds_hidden(const struct fs *fs, int dirfd)
{
	struct stat st;

	if (fstat(dirfd, &st) < 0)
		return true;
	for (size_t i = 0; i < fs->n_hidden; i++)
		if (leads_to(&st, fs->hidden[i].path))
			return true;
	return false;
}

static bool in_groups(const struct fs *fs, gid_t gid)
{
	for (int i = 0; i < fs->n_groups; i++)
		if (fs->groups[i] == gid)
			return true;
	return false;
}

void fs_conf_show(const struct fs *fs, struct stat *st)
{
	st->st_nlink -= fs_undo_links(fs, st);
	/* several devices are one to the sandbox: equal numbers must not look like hard links */
	if (st->st_dev != fs->main_dev)
		st->st_ino ^= (ino_t)((uint64_t)st->st_dev * 0x9E3779B97F4A7C15ull) &
			      0xFFFFFF0000000000ull;
	/*
	 * One group is mapped. A file of another of the caller's groups, or the caller's own file,
	 * is shown as of that one: else the kernel refuses to write what natively can be written.
	 */
	if (!fs->gate.is_root && !fs->at && st->st_gid != fs->gid &&
	    (st->st_uid == fs->uid || in_groups(fs, st->st_gid)))
		st->st_gid = fs->gid;
}
