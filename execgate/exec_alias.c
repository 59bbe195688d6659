/*
 * Theory: the table has one entry for each (file, name). Digests of its files are computed only
 * when an executable of the same size turns up, so starting costs look-ups and no reading.
 */
#include "execgate/exec_alias.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/match.h"
#include "common/path.h"
#include "execgate/exec_walk.h"

enum what { NAMED, LOADER, MULTICALL };
enum digest_state { DIGEST_UNKNOWN = 0, DIGEST_KNOWN, DIGEST_IMPOSSIBLE };

struct entry {
	enum what what;
	char *name; /* owned */
	char *path; /* owned: where it was found */
	struct stat st;
	enum digest_state state;
	uint8_t digest[EXEC_SHA256];
};

/* A bare name, or a glob of bare names, whose files are looked for in the usual directories. */
struct wanted {
	const char *name; /* borrowed */
	enum what what;
	bool is_glob;
};

struct exec_alias {
	const struct exec_root *root;
	pthread_mutex_t lock; /* over digests */
	struct entry *v;      /* owned array */
	size_t n, cap;
	struct wanted *wanted; /* owned array, while filling: sorted plain names, then globs */
	size_t n_wanted, n_plain;
	int error; /* first failure while filling */
};

static const char *const path_dirs[] = {
	"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin",
	"/sbin",	   "/bin",	     "/usr/games", "/snap/bin",
};

static const char *const loaders[] = {
	"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-linux.so.2",
	"/lib/ld-linux-riscv64-lp64d.so.1", "/lib/ld-musl-x86_64.so.1",
	"/lib/ld-musl-aarch64.so.1", "/usr/bin/ld.so",
};

/* Programs that are many: their inode says nothing about which one is meant. */
static const char *const multicalls[] = {"busybox", "busybox.static", "toybox", "coreutils",
					 "sbase-box"};

static bool is_multicall(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(multicalls); i++)
		if (strcmp(multicalls[i], path_base(path)) == 0)
			return true;
	return false;
}

static int push(struct exec_alias *a, enum what what, const char *name, const char *path,
		const struct stat *st)
{
	struct entry *en;

	if (a->n == a->cap) {
		size_t cap = a->cap ? a->cap * 2 : 32;
		struct entry *more = realloc(a->v, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		a->v = more;
		a->cap = cap;
	}
	en = &a->v[a->n];
	memset(en, 0, sizeof(*en));
	en->what = what;
	en->st = *st;
	en->name = strdup(name);
	en->path = strdup(path);
	if (!en->name || !en->path) {
		free(en->name);
		free(en->path);
		return -ENOMEM;
	}
	a->n++;
	return 0;
}

/* Look a path up and enter it, unless it is not there or is a multi-call program. */
static void enter(struct exec_alias *a, enum what what, const char *name, const char *path)
{
	autoclose int fd = exec_walk_open(a->root, path, 0);
	char real[PATH_MAX];
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    exec_walk_name(real, sizeof(real), a->root, fd) < 0)
		return;
	if (what == NAMED && is_multicall(real))
		return; /* the applet's name is judged instead */
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].what == what && a->v[i].st.st_ino == st.st_ino &&
		    a->v[i].st.st_dev == st.st_dev && strcmp(a->v[i].name, name) == 0)
			return;
	r = push(a, what, name, real, &st);
	if (r < 0 && !a->error)
		a->error = r;
}

static void want(struct exec_alias *a, enum what what, const char *name, bool is_glob)
{
	struct wanted *more = realloc(a->wanted, (a->n_wanted + 1) * sizeof(*more));

	if (!more) {
		a->error = -ENOMEM;
		return;
	}
	a->wanted = more;
	a->wanted[a->n_wanted++] = (struct wanted){name, what, is_glob};
}

static void on_command(void *arg, const char *command, enum verdict v)
{
	struct exec_alias *a = arg;
	bool is_glob = strpbrk(command, "*?[{") != NULL;

	if (v == VERDICT_ALLOW || strcmp(command, "*") == 0)
		return;
	if (command[0] == '/' && !is_glob)
		enter(a, NAMED, command, command);
	else if (!strchr(command, '/'))
		want(a, NAMED, command, is_glob);
}

static int by_kind_and_name(const void *x, const void *y)
{
	const struct wanted *a = x, *b = y;

	if (a->is_glob != b->is_glob)
		return a->is_glob ? 1 : -1;
	return strcmp(a->name, b->name);
}

static void sort_wanted(struct exec_alias *a)
{
	if (a->n_wanted)
		qsort(a->wanted, a->n_wanted, sizeof(*a->wanted), by_kind_and_name);
	for (a->n_plain = 0; a->n_plain < a->n_wanted && !a->wanted[a->n_plain].is_glob;)
		a->n_plain++;
}

/* First of the plain names that is not less than name. */
static size_t lower_bound(const struct exec_alias *a, const char *name)
{
	size_t lo = 0, hi = a->n_plain;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(a->wanted[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void enter_if_wanted(struct exec_alias *a, const char *dir, const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= PATH_MAX)
		return;
	for (size_t i = lower_bound(a, name);
	     i < a->n_plain && strcmp(a->wanted[i].name, name) == 0; i++)
		enter(a, a->wanted[i].what, name, path);
	for (size_t i = a->n_plain; i < a->n_wanted; i++)
		if (match_name(a->wanted[i].name, name))
			enter(a, a->wanted[i].what, name, path);
}

/* One pass over a directory: reading a thousand names costs less than looking up each wanted. */
static void enter_from(struct exec_alias *a, const char *dir)
{
	autoclose int fd = exec_walk_open(a->root, dir, O_DIRECTORY);
	char again[64];
	struct dirent *de;
	DIR *d;

	if (fd < 0)
		return;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	d = opendir(again);
	while (d && (de = readdir(d)))
		enter_if_wanted(a, dir, de->d_name);
	if (d)
		closedir(d);
}

/* Most systems have /bin -> usr/bin. */
static bool is_seen_before(const struct exec_alias *a, size_t i)
{
	autoclose int fd = exec_walk_open(a->root, path_dirs[i], O_DIRECTORY);
	struct stat st, other;

	for (size_t k = 0; k < i && fd >= 0 && fstat(fd, &st) == 0; k++) {
		autoclose int earlier = exec_walk_open(a->root, path_dirs[k], O_DIRECTORY);

		if (earlier >= 0 && fstat(earlier, &other) == 0 && st.st_ino == other.st_ino &&
		    st.st_dev == other.st_dev)
			return true;
	}
	return false;
}

int exec_alias_new(struct exec_alias **out, const struct exec_root *root,
		   const struct policy *policy, struct err *e)
{
	AUTO(exec_alias_free) struct exec_alias *a = calloc(1, sizeof(*a));

	if (!a)
		return err_set(e, ENOMEM, "table of command names");
	a->root = root;
	pthread_mutex_init(&a->lock, NULL);
	policy_each_command(policy, on_command, a);
	for (size_t i = 0; i < ARRAY_LEN(multicalls); i++)
		want(a, MULTICALL, multicalls[i], false);
	sort_wanted(a);
	for (size_t i = 0; i < ARRAY_LEN(path_dirs); i++)
		if (!is_seen_before(a, i))
			enter_from(a, path_dirs[i]);
	for (size_t i = 0; i < ARRAY_LEN(loaders); i++)
		enter(a, LOADER, loaders[i], loaders[i]);
	if (a->error)
		return err_set(e, -a->error, "table of command names");
	*out = steal_ptr(&a);
	return 0;
}

void exec_alias_free(struct exec_alias *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++) {
		free(a->v[i].name);
		free(a->v[i].path);
	}
	free(a->v);
	free(a->wanted);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static void compute(struct exec_alias *a, struct entry *en)
{
	autoclose int found = exec_walk_open(a->root, en->path, 0);
	autoclose int fd = -1;
	char again[64];
	struct stat st;

	en->state = DIGEST_IMPOSSIBLE;
	if (found < 0)
		return;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", found);
	fd = open(again, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &st) == 0 && exec_hash_read(en->digest, fd, st.st_size) == 0)
		en->state = DIGEST_KNOWN;
}

static bool is_copy(struct exec_alias *a, struct entry *en, const struct stat *st,
		    const uint8_t *digest)
{
	bool same;

	if (!digest || st->st_size != en->st.st_size)
		return false;
	pthread_mutex_lock(&a->lock);
	if (en->state == DIGEST_UNKNOWN)
		compute(a, en);
	same = en->state == DIGEST_KNOWN && memcmp(en->digest, digest, EXEC_SHA256) == 0;
	pthread_mutex_unlock(&a->lock);
	return same;
}

static int add_name(struct exec_names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->name[i], name) == 0)
			return 0;
	if (names->n == EXEC_ALIASES_MAX)
		return -E2BIG;
	names->name[names->n++] = name;
	return 0;
}

int exec_alias_find(struct exec_names *names, struct exec_alias *a, const struct stat *st,
		    const uint8_t *digest)
{
	for (size_t i = 0; i < a->n; i++) {
		struct entry *en = &a->v[i];
		int r = 0;

		if (!(en->st.st_ino == st->st_ino && en->st.st_dev == st->st_dev) &&
		    !is_copy(a, en, st, digest))
			continue;
		if (en->what == LOADER)
			names->is_loader = true;
		else if (en->what == MULTICALL)
			names->is_multicall = true;
		else
			r = add_name(names, en->name);
		if (r < 0)
			return r;
	}
	return 0;
}
