#include "agentsh/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/path.h"
#include "common/str.h"

#define CPU_PERIOD_US 100000u
#define REMOVE_TRIES 200
#define STALE_S 60
#define PREFIX "agentsh-"

enum controller { MEMORY, PIDS, CPU, CONTROLLERS };
static const char *const controller_names[] = {"memory", "pids", "cpu"};

struct cgroup {
	int fd;				    /* owned: version 2, or -1 */
	char path[PATH_MAX];		    /* of fd; empty when there is none */
	char legacy[CONTROLLERS][PATH_MAX]; /* version 1 directories; empty: unused */
};

/* One file of a cgroup and the value that the policy demands for it. */
struct setting {
	enum controller controller;
	const char *file;
	bool swap; /* fulfilled by a host without swap */
	char value[48];
};

struct settings {
	struct setting v2[4], v1[5];
	size_t n_v2, n_v1;
	bool needs[CONTROLLERS];
};

static int read_text(char *buf, size_t size, const char *path)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	if (fd < 0)
		return -errno;
	while (len < size - 1) {
		ssize_t n = read(fd, buf + len, size - 1 - len);

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	return 0;
}

static int write_text(const char *dir, const char *file, const char *text)
{
	char path[PATH_MAX];
	autoclose int fd = -1;

	if (path_join(path, sizeof(path), dir, file) < 0)
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len)
		if ((at == text || strchr(" ,\n", at[-1])) && strchr(" ,\n", at[len]))
			return true;
	return false;
}

/* ---- where the hierarchies are ---- */

/*
 * Mount point of cgroup2 (controller NULL) or of a version 1 controller. mountinfo(5) has the root
 * of the mount as field 4, its place as field 5, type and options after " - ".
 */
static int find_mount(char *out, size_t size, const char *controller)
{
	autofclose FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[8192];

	while (f && fgets(line, sizeof(line), f)) {
		char *kind = strstr(line, " - "), *at = line, *end;
		bool legacy;

		if (!kind)
			continue;
		*kind = '\0';
		kind += 3;
		legacy = str_has_prefix(kind, "cgroup ");
		if (controller ? !legacy || !has_word(strchr(kind + 7, ' '), controller)
			       : !str_has_prefix(kind, "cgroup2 "))
			continue;
		for (int i = 0; at && i < 4; i++)
			at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL;
		end = at ? strchr(at, ' ') : NULL;
		if (!end || (size_t)(end - at) >= size)
			continue;
		memcpy(out, at, (size_t)(end - at));
		out[end - at] = '\0';
		return 0;
	}
	return -ENOENT;
}

/* Our own cgroup in a hierarchy, from a line "ID:CONTROLLERS:PATH" of /proc/self/cgroup. */
static int own_path(char *out, size_t size, const char *controller)
{
	autofclose FILE *f = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX + 256];

	while (f && fgets(line, sizeof(line), f)) {
		char *names = strchr(line, ':');
		char *path = names ? strchr(names + 1, ':') : NULL;

		if (!path)
			continue;
		*path++ = '\n'; /* has_word() wants an end that is no letter */
		path[strcspn(path, "\n")] = '\0';
		if (controller ? !has_word(names + 1, controller) : names[1] != '\n')
			continue;
		return path_normalize(out, size, path);
	}
	return -ENOENT;
}

/* Directory of our own cgroup. @return length of the mount point in it, or -errno */
static int own_dir(char *out, size_t size, const char *controller)
{
	char mount_point[PATH_MAX], path[PATH_MAX];
	int r = find_mount(mount_point, sizeof(mount_point), controller);

	if (r == 0)
		r = own_path(path, sizeof(path), controller);
	if (r == 0)
		r = path_join(out, size, mount_point, path[1] ? path + 1 : ".");
	return r < 0 ? r : (int)strlen(mount_point);
}

/* ---- what the policy demands ---- */

static void add_setting(struct setting *list, size_t *n, enum controller c, const char *file,
			const char *value)
{
	struct setting *s = &list[(*n)++];

	s->controller = c;
	s->file = file;
	s->swap = strstr(file, "swap") || strstr(file, "memsw");
	snprintf(s->value, sizeof(s->value), "%s", value);
}

static void collect(struct settings *out, const struct policy_limits *l)
{
	char v[48];

	memset(out, 0, sizeof(*out));
	out->needs[MEMORY] = l->memory_max_bytes || l->swap_max_bytes;
	out->needs[PIDS] = l->pids_max != 0;
	out->needs[CPU] = l->cpu_quota_percent != 0;
	if (l->memory_max_bytes) {
		snprintf(v, sizeof(v), "%" PRIu64, l->memory_max_bytes);
		add_setting(out->v2, &out->n_v2, MEMORY, "memory.max", v);
		add_setting(out->v1, &out->n_v1, MEMORY, "memory.limit_in_bytes", v);
	}
	if (l->swap_max_bytes) {
		snprintf(v, sizeof(v), "%" PRIu64, l->swap_max_bytes);
		add_setting(out->v2, &out->n_v2, MEMORY, "memory.swap.max", v);
		snprintf(v, sizeof(v), "%" PRIu64, l->memory_max_bytes + l->swap_max_bytes);
		add_setting(out->v1, &out->n_v1, MEMORY, "memory.memsw.limit_in_bytes", v);
	}
	if (l->pids_max) {
		snprintf(v, sizeof(v), "%" PRIu64, l->pids_max);
		add_setting(out->v2, &out->n_v2, PIDS, "pids.max", v);
		add_setting(out->v1, &out->n_v1, PIDS, "pids.max", v);
	}
	if (l->cpu_quota_percent) {
		uint64_t quota = l->cpu_quota_percent * (CPU_PERIOD_US / 100);

		snprintf(v, sizeof(v), "%" PRIu64 " %u", quota, CPU_PERIOD_US);
		add_setting(out->v2, &out->n_v2, CPU, "cpu.max", v);
		snprintf(v, sizeof(v), "%u", CPU_PERIOD_US);
		add_setting(out->v1, &out->n_v1, CPU, "cpu.cfs_period_us", v);
		snprintf(v, sizeof(v), "%" PRIu64, quota);
		add_setting(out->v1, &out->n_v1, CPU, "cpu.cfs_quota_us", v);
	}
}

static bool host_has_swap(void)
{
	char text[512];
	const char *line;

	if (read_text(text, sizeof(text), "/proc/swaps") < 0)
		return false;
	line = strchr(text, '\n');
	return line && line[1];
}

static int apply(const char *dir, const struct setting *s, struct err *e)
{
	int r = write_text(dir, s->file, s->value);

	if (r == -ENOENT && s->swap && !host_has_swap())
		return 0;
	return r < 0 ? err_set(e, -r, "the policy's resource limit %s=%s: write %s/%s", s->file,
			       s->value, dir, s->file)
		     : 0;
}

/*
 * What killed supervisors left: our cgroups without a process. rmdir(2) refuses the others; a
 * young one may belong to a session that is just about to enter it.
 */
static void remove_stale(const char *parent)
{
	DIR *d = opendir(parent);
	struct dirent *entry;
	struct stat st;

	while (d && (entry = readdir(d)))
		if (str_has_prefix(entry->d_name, PREFIX) &&
		    fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_uid == geteuid() && st.st_mtime + STALE_S < time(NULL))
			unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR);
	if (d)
		closedir(d);
}

/* ---- version 2 ---- */

/* Does this cgroup give its children the controllers? One without processes can be told to. */
static bool gives(const char *dir, const struct settings *s)
{
	char path[PATH_MAX], text[512], wish[64];

	if (access(dir, W_OK) < 0)
		return false;
	for (unsigned c = 0; c < CONTROLLERS; c++) {
		if (!s->needs[c])
			continue;
		if (path_join(path, sizeof(path), dir, "cgroup.subtree_control") < 0 ||
		    read_text(text, sizeof(text), path) < 0)
			return false;
		if (has_word(text, controller_names[c]))
			continue;
		snprintf(wish, sizeof(wish), "+%s", controller_names[c]);
		if (write_text(dir, "cgroup.subtree_control", wish) < 0)
			return false;
	}
	return true;
}

/* @return 0 or -errno; c->path stays empty when no cgroup at or above ours will do */
static int create_v2(struct cgroup *c, const char *name, const struct settings *s, struct err *e)
{
	char dir[PATH_MAX];
	int stop = own_dir(dir, sizeof(dir), NULL);
	int r = 0;

	if (stop < 0)
		return 0;
	while (!gives(dir, s)) {
		if (strlen(dir) <= (size_t)stop)
			return 0;
		*strrchr(dir, '/') = '\0';
	}
	remove_stale(dir);
	if (path_join(c->path, sizeof(c->path), dir, name) < 0 || mkdir(c->path, 0755) < 0) {
		c->path[0] = '\0';
		return 0;
	}
	for (size_t i = 0; r == 0 && i < s->n_v2; i++)
		r = apply(c->path, &s->v2[i], e);
	if (r < 0)
		return r;
	c->fd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->fd < 0 ? err_set(e, errno, "open %s", c->path) : 0;
}

/* ---- version 1 ---- */

static int create_v1(struct cgroup *c, enum controller k, const char *name,
		     const struct settings *s, struct err *e)
{
	char dir[PATH_MAX];
	int r = own_dir(dir, sizeof(dir), controller_names[k]);

	if (r >= 0)
		remove_stale(dir);
	if (r >= 0 && path_join(c->legacy[k], PATH_MAX, dir, name) < 0)
		r = -ENAMETOOLONG;
	if (r >= 0 && mkdir(c->legacy[k], 0755) < 0) {
		r = -errno;
		c->legacy[k][0] = '\0';
	}
	if (r < 0)
		return err_say(e, r == -ENOENT ? EOPNOTSUPP : -r,
			       "the policy limits %s, but this host gives us no cgroup with that "
			       "controller (%s); run as root, or under systemd with Delegate=yes "
			       "(systemd-run --user --scope -p Delegate=yes), or drop the limit",
			       controller_names[k], strerror(-r));
	r = 0;
	for (size_t i = 0; r == 0 && i < s->n_v1; i++)
		if (s->v1[i].controller == k)
			r = apply(c->legacy[k], &s->v1[i], e);
	return r;
}

int cgroup_create(struct cgroup **out, const char *session, const struct policy_limits *limits,
		  struct err *e)
{
	AUTO(cgroup_remove) struct cgroup *c = calloc(1, sizeof(*c));
	struct settings s;
	char name[NAME_MAX];
	bool any = false;
	int r;

	if (!c)
		return err_set(e, ENOMEM, "cgroup for session %s", session);
	c->fd = -1;
	collect(&s, limits);
	if ((size_t)snprintf(name, sizeof(name), PREFIX "%s", session) >= sizeof(name))
		return err_set(e, ENAMETOOLONG, "cgroup for session %s", session);
	r = create_v2(c, name, &s, e);
	for (unsigned k = 0; r == 0 && !c->path[0] && k < CONTROLLERS; k++) {
		any |= s.needs[k];
		if (s.needs[k])
			r = create_v1(c, (enum controller)k, name, &s, e);
	}
	if (r == 0)
		*out = c->fd >= 0 || any ? steal_ptr(&c) : NULL;
	return r;
}

int cgroup_dir_fd(const struct cgroup *c)
{
	return c ? c->fd : -1;
}

int cgroup_enter(const struct cgroup *c, pid_t pid, struct err *e)
{
	char text[32];

	if (!c)
		return 0;
	snprintf(text, sizeof(text), "%d", (int)pid);
	for (unsigned k = 0; k < CONTROLLERS; k++) {
		int r = c->legacy[k][0] ? write_text(c->legacy[k], "cgroup.procs", text) : 0;

		if (r < 0)
			return err_set(e, -r, "enter the cgroup %s", c->legacy[k]);
	}
	return 0;
}

/* A cgroup can be removed once its last process is not only dead but reaped. */
static void remove_dir(const char *path)
{
	const struct timespec pause = {0, 1000000};

	for (int i = 0; path[0] && i < REMOVE_TRIES; i++) {
		if (rmdir(path) == 0 || errno != EBUSY)
			return;
		nanosleep(&pause, NULL);
	}
}

void cgroup_remove(struct cgroup *c)
{
	if (!c)
		return;
	if (c->path[0])
		write_text(c->path, "cgroup.kill", "1");
	auto_close(&c->fd);
	remove_dir(c->path);
	for (unsigned k = 0; k < CONTROLLERS; k++)
		remove_dir(c->legacy[k]);
	free(c);
}
