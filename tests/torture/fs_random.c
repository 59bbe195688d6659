/*
 * fs_random - the same random operations on two directories; every difference is a fault
 *
 *   fs_random [--seed S] [--ops N] [--jobs J] [--host DIR] NATIVE MOUNT
 *
 * NATIVE and MOUNT are empty directories, one of them governed. N operations drawn from a seeded
 * generator are done on both, one after the other; results, errno, data and the attributes of what
 * was touched have to be equal, time stamps have to be renewed (or left) alike, and now and then
 * the whole trees are compared. With --jobs, J processes work in directories of their own below
 * both. With --host, DIR is what lies below MOUNT: a part of the operations is done there, as by
 * an editor on the host, and what the mount tells about it has to become equal within seconds.
 * The first difference is printed with the operations before it. Exit: 0 equal, 1 not, 2 usage.
 *
 * Not drawn, because the mount refuses them by design: set-user-ID bits, devices, RENAME_WHITEOUT.
 */
#include "tests/torture/fs_random.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

enum { TREE_EVERY = 5000, HISTORY = 60 };

struct side sides[2] = {{.name = "native", .root = -1, .host = -1}, {.name = "mount", .root = -1, .host = -1}};
static char history[HISTORY][400];
static unsigned long done;
static unsigned long long seed = 1;
static unsigned long ops = 20000;
static bool host_mode;

/* ---- drawing ---- */

static uint64_t state;

/* xorshift64*: the same sequence everywhere */
static uint32_t draw(uint32_t below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 2685821657736338717ULL) >> 33) % below;
}

/* A few names, so that most operations meet something; directories rather at the front. */
static void draw_path(char *out, size_t size, bool dir)
{
	unsigned depth = draw(10) < 5 ? 0 : draw(3);
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < depth; i++)
		n += (size_t)snprintf(out + n, size - n, "%c/", 'a' + (int)draw(4));
	switch (draw(200)) {
	case 0:
		snprintf(out + n, size - n, "%0255d", 7);
		return;
	case 1:
		snprintf(out + n, size - n, "%0256d", 7);
		return;
	case 2:
		snprintf(out + n, size - n, "%c/", 'a' + (int)draw(10));
		return;
	case 3:
		snprintf(out + n, size - n, "%c/.", 'a' + (int)draw(4));
		return;
	case 4:
		snprintf(out + n, size - n, "%c/..", 'a' + (int)draw(4));
		return;
	default:
		snprintf(out + n, size - n, "%c",
			 dir ? 'a' + (int)draw(5) : (draw(4) ? 'e' : 'a') + (int)draw(6));
	}
}

static void draw_args(struct args *a, const struct op *op)
{
	static const mode_t umasks[] = {022, 077, 0, 027};

	memset(a, 0, sizeof(*a));
	draw_path(a->p, sizeof(a->p), op->dirs && draw(8));
	draw_path(a->q, sizeof(a->q), op->dirs && draw(4));
	a->slot = (int)draw(SLOTS);
	a->slot2 = (int)draw(SLOTS);
	a->base = draw(20) ? -1 : (int)draw(SLOTS);
	a->off = draw(3) ? draw(20000) : draw(MAX_SIZE);
	a->off2 = draw(3) ? draw(20000) : draw(MAX_SIZE);
	if (draw(3) == 0) {
		a->off &= ~4095;
		a->off2 &= ~4095;
	}
	a->len = draw(4) ? draw(5000) : draw(60000);
	a->mode = draw(512);
	a->choice = draw(1u << 20);
	a->seed = draw(1u << 30);
	a->mask = umasks[draw(ARRAY_COUNT(umasks))];
	a->on_host = host_mode && op->by_path && draw(3) == 0;
}

/* ---- telling ---- */

static void tell_history(void)
{
	unsigned long from = done > HISTORY ? done - HISTORY : 0;

	for (unsigned long i = from; i < done; i++)
		printf("  %s\n", history[i % HISTORY]);
	printf("  %s\n", history[done % HISTORY]);
}

static void describe(const struct op *op, const struct args *a)
{
	snprintf(history[done % HISTORY], sizeof(history[0]),
		 "%lu %s%s p=%.60s q=%.60s base=%d slot=%d,%d off=%ld,%ld len=%zu mode=%o choice=%u", done,
		 a->on_host ? "HOST " : "", op->name, a->p, a->q, a->base, a->slot, a->slot2,
		 (long)a->off, (long)a->off2, a->len, a->mode, a->choice);
}

static void note_results(const struct result *r)
{
	char *line = history[done % HISTORY];
	size_t n = strlen(line);

	snprintf(line + n, sizeof(history[0]) - n, " -> %ld/%s", r[0].ret,
		 r[0].error ? strerrorname_np(r[0].error) : "0");
}

static void differ(const char *what, const char *native, const char *mount)
{
	printf("seed %llu, operation %lu: %s differs: native %s, mount %s\n", seed, done, what, native,
	       mount);
	tell_history();
	fflush(stdout);
	_exit(1);
}

static void differ_number(const char *what, long native, long mount)
{
	char a[32], b[32];

	snprintf(a, sizeof(a), "%ld", native);
	snprintf(b, sizeof(b), "%ld", mount);
	differ(what, a, b);
}

/* ---- comparing attributes ---- */

struct look {
	struct stat st;
	int error;
};

static void look_at(struct side *s, const struct args *a, const char *path, struct look *l)
{
	memset(l, 0, sizeof(*l));
	if (fstatat(side_base(s, a, false), path, &l->st, AT_SYMLINK_NOFOLLOW) < 0)
		l->error = errno;
}

static void look_slot(struct side *s, int slot, struct look *l)
{
	memset(l, 0, sizeof(*l));
	if (s->fd[slot] < 0 || fstat(s->fd[slot], &l->st) < 0)
		l->error = s->fd[slot] < 0 ? EBADF : errno;
}

/* @return what differs, or NULL */
static const char *look_difference(const struct look *n, const struct look *m, long v[2])
{
#define FIELD(what, value)                                                                         \
	do {                                                                                       \
		v[0] = (long)(n->value);                                                           \
		v[1] = (long)(m->value);                                                           \
		if (v[0] != v[1])                                                                  \
			return what;                                                               \
	} while (0)
	FIELD("errno of stat", error);
	FIELD("mode", st.st_mode);
	FIELD("nlink", st.st_nlink);
	FIELD("uid", st.st_uid);
	FIELD("gid", st.st_gid);
	if (S_ISREG(n->st.st_mode) || S_ISLNK(n->st.st_mode))
		FIELD("size", st.st_size);
#undef FIELD
	return NULL;
}

static void compare_looks(const char *of, const struct look *n, const struct look *m)
{
	long v[2];
	const char *what = look_difference(n, m, v);
	char text[320];

	if (!what)
		return;
	snprintf(text, sizeof(text), "%s of %.200s", what, of);
	differ_number(text, v[0], v[1]);
}

static bool before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static const struct timespec *stamp(const struct look *l, int which)
{
	return which ? &l->st.st_ctim : &l->st.st_mtim;
}

/*
 * Was a stamp renewed? Only when it is clear on both sides: an older stamp before, on the same
 * inode. start: the coarse clock before the operation.
 */
static void compare_stamps(const char *of, struct look was[2], struct look is[2],
			   const struct timespec start[2], int which)
{
	bool renewed[2];
	char text[320];

	for (int i = 0; i < 2; i++) {
		if (was[i].error || is[i].error || was[i].st.st_ino != is[i].st.st_ino)
			return;
		/* a fifo's data is the kernel's: no file system but local ones hears of it */
		if (S_ISFIFO(was[i].st.st_mode))
			return;
		if (!before(stamp(&was[i], which), &start[i]))
			return;
		renewed[i] = !before(stamp(&is[i], which), &start[i]);
	}
	if (renewed[0] == renewed[1])
		return;
	for (int i = 0; i < 2; i++)
		printf("%s: %ld.%09ld -> %ld.%09ld, operation after %ld.%09ld\n", sides[i].name,
		       stamp(&was[i], which)->tv_sec, stamp(&was[i], which)->tv_nsec,
		       stamp(&is[i], which)->tv_sec, stamp(&is[i], which)->tv_nsec, start[i].tv_sec,
		       start[i].tv_nsec);
	snprintf(text, sizeof(text), "renewal of %s of %.200s", which ? "ctime" : "mtime", of);
	differ_number(text, renewed[0], renewed[1]);
}

/* ---- one operation ---- */

struct view {
	struct look p, q, parent, slot, slot2;
};

static void parent_of(const char *path, char *out, size_t size)
{
	const char *slash = strrchr(path, '/');

	snprintf(out, size, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
}

static void view(struct side *s, const struct args *a, struct view *v)
{
	char parent[sizeof(a->p)];

	parent_of(a->p, parent, sizeof(parent));
	look_at(s, a, a->p, &v->p);
	look_at(s, a, a->q, &v->q);
	look_at(s, a, parent, &v->parent);
	look_slot(s, a->slot, &v->slot);
	look_slot(s, a->slot2, &v->slot2);
}

static bool views_equal(const struct view *n, const struct view *m)
{
	long v[2];

	return !look_difference(&n->p, &m->p, v) && !look_difference(&n->q, &m->q, v) &&
	       !look_difference(&n->parent, &m->parent, v) && !look_difference(&n->slot, &m->slot, v) &&
	       !look_difference(&n->slot2, &m->slot2, v);
}

/* The host's change becomes visible on the mount: at once is not promised, soon is. */
static void settle(const struct args *a)
{
	const struct timespec nap = {0, 2000000};
	struct view n, m;

	for (int i = 0; i < 2500; i++) {
		view(&sides[0], a, &n);
		view(&sides[1], a, &m);
		if (views_equal(&n, &m))
			return;
		nanosleep(&nap, NULL);
	}
}

static void compare_views(const struct args *a, struct view was[2], struct view is[2],
			  const struct timespec start[2], const struct op *op)
{
	struct look before_it[2], after_it[2];

	compare_looks(a->p, &is[0].p, &is[1].p);
	compare_looks(a->q, &is[0].q, &is[1].q);
	compare_looks("parent", &is[0].parent, &is[1].parent);
	compare_looks("descriptor", &is[0].slot, &is[1].slot);
	compare_looks("second descriptor", &is[0].slot2, &is[1].slot2);
	if (op->no_stamps || a->on_host)
		return;
	for (int which = 0; which < 2; which++) {
#define STAMPS(of, member)                                                                         \
	do {                                                                                       \
		for (int i = 0; i < 2; i++) {                                                      \
			before_it[i] = was[i].member;                                              \
			after_it[i] = is[i].member;                                                \
		}                                                                                  \
		compare_stamps(of, before_it, after_it, start, which);                             \
	} while (0)
		STAMPS(a->p, p);
		STAMPS(a->q, q);
		STAMPS("parent", parent);
		STAMPS("descriptor", slot);
#undef STAMPS
	}
}

static void compare_results(const struct result *r)
{
	if (r[0].error != r[1].error)
		differ("errno", r[0].error ? strerrorname_np(r[0].error) : "none",
		       r[1].error ? strerrorname_np(r[1].error) : "none");
	if (r[0].ret != r[1].ret)
		differ_number("result", r[0].ret, r[1].ret);
	if (r[0].hash != r[1].hash)
		differ_number("data", (long)r[0].hash, (long)r[1].hash);
}

static const struct op *draw_op(void)
{
	static unsigned sum;
	unsigned at;

	if (sum == 0)
		for (const struct op *o = ops_table; o->name; o++)
			sum += o->weight;
	at = draw(sum);
	for (const struct op *o = ops_table;; o++) {
		if (at < o->weight)
			return o;
		at -= o->weight;
	}
}

static void one(void)
{
	const struct op *op = draw_op();
	struct view was[2], is[2];
	struct result r[2];
	struct timespec start[2];
	struct args a;

	draw_args(&a, op);
	describe(op, &a);
	view(&sides[0], &a, &was[0]);
	view(&sides[1], &a, &was[1]);
	compare_views(&a, was, was, start, &(struct op){.no_stamps = true});
	/* on directories a mode that keeps their owner out would stop the test itself */
	if (op->dirs || S_ISDIR(was[0].p.st.st_mode) || S_ISLNK(was[0].p.st.st_mode) ||
	    S_ISDIR(was[0].slot.st.st_mode))
		a.mode |= 0700;
	for (int i = 0; i < 2; i++) {
		memset(&r[i], 0, sizeof(r[i]));
		clock_gettime(CLOCK_REALTIME_COARSE, &start[i]);
		umask(a.mask);
		op->run(&sides[i], &a, &r[i]);
		umask(022);
	}
	if (op->fixup)
		op->fixup(&a, r);
	note_results(r);
	compare_results(r);
	if (host_mode)
		settle(&a);
	view(&sides[0], &a, &is[0]);
	view(&sides[1], &a, &is[1]);
	compare_views(&a, was, is, start, op);
}

/* ---- whole trees ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list(int fd, char ***names)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	size_t n = 0;

	*names = calloc(512, sizeof(char *));
	while (d && *names && (e = readdir(d)) && n < 511)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(*names)[n++] = strdup(e->d_name);
	if (d)
		closedir(d);
	if (*names)
		qsort(*names, n, sizeof(char *), by_name);
	return n;
}

static void compare_content(const char *name, int dir0, int dir1)
{
	uint64_t h[2] = {0, 0};
	int dirs[2] = {dir0, dir1}, error[2] = {0, 0};

	for (int i = 0; i < 2; i++) {
		int fd = openat(dirs[i], name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

		if (fd < 0)
			error[i] = errno;
		else
			h[i] = hash_file(fd);
		if (fd >= 0)
			close(fd);
	}
	if (error[0] != error[1])
		differ_number(name, error[0], error[1]);
	if (h[0] != h[1])
		differ_number(name, (long)h[0], (long)h[1]);
}

static void compare_trees(int dir0, int dir1)
{
	char **names[2];
	size_t n[2] = {list(dup(dir0), &names[0]), list(dup(dir1), &names[1])};

	if (n[0] != n[1])
		differ_number("number of names in a directory", (long)n[0], (long)n[1]);
	for (size_t i = 0; i < n[0]; i++) {
		struct look l[2] = {{.error = 0}, {.error = 0}};

		if (strcmp(names[0][i], names[1][i]) != 0)
			differ("name in a directory", names[0][i], names[1][i]);
		if (fstatat(dir0, names[0][i], &l[0].st, AT_SYMLINK_NOFOLLOW) < 0)
			l[0].error = errno;
		if (fstatat(dir1, names[0][i], &l[1].st, AT_SYMLINK_NOFOLLOW) < 0)
			l[1].error = errno;
		compare_looks(names[0][i], &l[0], &l[1]);
		if (S_ISREG(l[0].st.st_mode))
			compare_content(names[0][i], dir0, dir1);
		if (S_ISDIR(l[0].st.st_mode)) {
			int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
			int sub[2] = {openat(dir0, names[0][i], flags), openat(dir1, names[0][i], flags)};

			if (sub[0] >= 0 && sub[1] >= 0)
				compare_trees(sub[0], sub[1]);
			close(sub[0]);
			close(sub[1]);
		}
		free(names[0][i]);
		free(names[1][i]);
	}
	free(names[0]);
	free(names[1]);
}

static void whole_trees(void)
{
	int fd[2];

	for (int i = 0; i < 2; i++) {
		fd[i] = openat(sides[i].root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd[i] < 0)
			differ("opening the top", strerror(errno), sides[i].name);
	}
	compare_trees(fd[0], fd[1]);
	close(fd[0]);
	close(fd[1]);
}

static int run_one(void)
{
	state = seed * 0x9E3779B97F4A7C15ULL + 88172645463325252ULL;
	for (done = 0; done < ops; done++) {
		one();
		if (done % TREE_EVERY == TREE_EVERY - 1)
			whole_trees();
	}
	whole_trees();
	return 0;
}

/* ---- starting ---- */

static int open_top(const char *path, int job)
{
	char sub[PATH_MAX];

	snprintf(sub, sizeof(sub), "%s/job%d", path, job);
	if (mkdir(sub, 0755) < 0 && errno != EEXIST) {
		perror(sub);
		exit(2);
	}
	return open(sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* SIGBUS: a mapped page could not be read */
static void on_signal(int sig)
{
	printf("seed %llu, operation %lu: %s\n", seed, done, strsignal(sig));
	tell_history();
	fflush(stdout);
	_exit(1);
}

static int job_main(int job, char **dirs, const char *host)
{
	seed += (unsigned)job;
	umask(022);
	signal(SIGPIPE, SIG_IGN); /* a fifo without a reader */
	signal(SIGBUS, on_signal);
	signal(SIGSEGV, on_signal);
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < SLOTS; k++)
			sides[i].fd[k] = -1;
		sides[i].root = open_top(dirs[i], job);
		if (sides[i].root < 0) {
			perror(dirs[i]);
			return 2;
		}
	}
	if (host) {
		sides[1].host = open_top(host, job);
		host_mode = true;
	}
	return run_one();
}

int main(int argc, char **argv)
{
	const char *host = NULL;
	int jobs = 1, worst = 0, i = 1;

	for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
		if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--ops") == 0)
			ops = strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--jobs") == 0)
			jobs = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--host") == 0)
			host = argv[i + 1];
	}
	if (argc - i != 2) {
		fprintf(stderr, "usage: see the head of fs_random.c\n");
		return 2;
	}
	for (int job = 0; job < jobs; job++) {
		pid_t pid = fork();

		if (pid < 0)
			return 2;
		if (pid == 0)
			exit(job_main(job, argv + i, host));
	}
	for (int job = 0; job < jobs; job++) {
		int status = 0;

		wait(&status);
		if (status)
			worst = WIFEXITED(status) ? WEXITSTATUS(status) : 3;
	}
	if (worst == 0)
		printf("%lu operations in %d processes: equal\n", ops, jobs);
	return worst;
}
