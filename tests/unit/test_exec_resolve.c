#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "execgate/exec_resolve.h"
#include "execgate/exec_walk.h"
#include "tests/unit/unit.h"

/*
 * A directory plays the sandbox's root:
 *   /bin/prog  /bin/data (not executable)  /link -> bin/prog  /abs -> /bin/prog
 *   /up -> ../../../../bin/prog  /loop -> loop  /out -> the real /bin/true by a bare descriptor
 */
static char dir[64];

static void make(const char *name, mode_t mode)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, mode);
	if (fd < 0)
		abort();
	close(fd);
}

static void make_link(const char *target, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (symlink(target, path) < 0)
		abort();
}

static int make_root(struct exec_root *root)
{
	struct err e = ERR_INIT;
	char path[256];
	int fd;

	strcpy(dir, "/tmp/exec-root-XXXXXX");
	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/bin", dir);
	mkdir(path, 0755);
	make("bin/prog", 0755);
	make("bin/data", 0644);
	make_link("bin/prog", "link");
	make_link("/bin/prog", "abs");
	make_link("../../../../bin/prog", "up");
	make_link("loop", "loop");
	make_link("/bin", "dirlink");
	fd = open(dir, O_PATH | O_CLOEXEC);
	if (exec_root_open(root, fd, &e) < 0)
		abort();
	return fd;
}

static void remove_root(int fd)
{
	static const char *const names[] = {"bin/prog", "bin/data", "link", "abs",
					    "up",	"loop",	    "dirlink"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(fd, names[i], 0);
	unlinkat(fd, "bin", AT_REMOVEDIR);
	rmdir(dir);
	close(fd);
}

struct path_case {
	const char *cwd, *path;
	int want;
	const char *canonical;
};

static const struct path_case paths[] = {
	{"/", "/bin/prog", 0, "/bin/prog"},
	{"/", "bin/prog", 0, "/bin/prog"},
	{"/bin", "prog", 0, "/bin/prog"},
	{"/bin", "./../bin//prog", 0, "/bin/prog"},
	{"/", "link", 0, "/bin/prog"},
	{"/bin", "../abs", 0, "/bin/prog"},
	{"/", "/up", 0, "/bin/prog"},
	{"/", "/../../bin/prog", 0, "/bin/prog"},
	{"/", "/dirlink/../bin/prog", 0, "/bin/prog"},
	{"/", "/loop", -ELOOP, NULL},
	{"/", "/bin/data", -EACCES, NULL},
	{"/", "/bin", -EACCES, NULL},
	{"/", "/bin/prog/", -ENOTDIR, NULL},
	{"/", "/bin/prog/x", -ENOTDIR, NULL},
	{"/", "/etc/passwd", -ENOENT, NULL},
	{"/", "/bin/none", -ENOENT, NULL},
	{"", "prog", -ENOENT, NULL},
};

static void test_paths(void)
{
	struct exec_root root;
	int fd = make_root(&root);

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const struct path_case *c = &paths[i];
		struct exec_base base = {.tid = getpid(), .dirfd = AT_FDCWD, .cwd = c->cwd};
		struct exec_file f;
		int r = exec_resolve(&f, &root, &base, c->path);

		CU_ASSERT_EQUAL(r, c->want);
		if (r != c->want)
			printf("# %s: %d\n", c->path, r);
		if (r == 0)
			CU_ASSERT_STRING_EQUAL(f.path, c->canonical);
		exec_file_deinit(&f);
	}
	remove_root(fd);
}

/* The slow walk agrees with the kernel's resolution wherever both apply. */
static void test_walk(void)
{
	struct exec_root root;
	int fd = make_root(&root);

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const char *path = paths[i].path;
		int a, b;

		if (path[0] != '/')
			continue;
		a = exec_walk_open(&root, path, 0);
		b = exec_walk(&root, getpid(), path, 0);
		CU_ASSERT_EQUAL(a < 0 ? a : 0, b < 0 ? b : 0);
		if ((a < 0 ? a : 0) != (b < 0 ? b : 0))
			printf("# %s: %d %d\n", path, a, b);
		if (a >= 0)
			close(a);
		if (b >= 0)
			close(b);
	}
	remove_root(fd);
}

static void test_outside(void)
{
	struct exec_root root;
	int fd = make_root(&root), out = open("/bin/true", O_PATH | O_CLOEXEC);
	struct exec_base base = {.tid = getpid(), .dirfd = out, .cwd = "/"};
	struct exec_file f;

	/* a descriptor from outside the sandbox's tree has no name in it */
	CU_ASSERT_EQUAL(exec_resolve(&f, &root, &base, ""), -EXDEV);
	exec_file_deinit(&f);
	base.dirfd = fd;
	CU_ASSERT_EQUAL(exec_resolve(&f, &root, &base, "link"), 0);
	CU_ASSERT_STRING_EQUAL(f.invoked, "/link");
	exec_file_deinit(&f);
	base.nofollow = true;
	CU_ASSERT_EQUAL(exec_resolve(&f, &root, &base, "link"), -ELOOP);
	exec_file_deinit(&f);
	base.dirfd = -3;
	CU_ASSERT_EQUAL(exec_resolve(&f, &root, &base, "link"), -EBADF);
	exec_file_deinit(&f);
	close(out);
	remove_root(fd);
}

static void test_steady(void)
{
	struct exec_root root;
	int fd = make_root(&root);
	struct exec_base base = {.tid = getpid(), .dirfd = AT_FDCWD, .cwd = "/"};
	struct exec_file f;

	CU_ASSERT_EQUAL(exec_resolve(&f, &root, &base, "/bin/prog"), 0);
	CU_ASSERT_TRUE(exec_resolve_is_steady(&root, &f));
	CU_ASSERT_FALSE(f.trusted);
	exec_file_deinit(&f);
	CU_ASSERT_EQUAL(exec_resolve(&f, &root, &base, "/link"), 0);
	CU_ASSERT_FALSE(exec_resolve_is_steady(&root, &f));
	exec_file_deinit(&f);
	remove_root(fd);
}

static void *rename_on(void *arg)
{
	atomic_bool *stop = arg;
	char a[256], b[256];

	snprintf(a, sizeof(a), "%s/bin/data", dir);
	snprintf(b, sizeof(b), "%s/bin/other", dir);
	while (!atomic_load(stop))
		if (rename(a, b) < 0 || rename(b, a) < 0)
			abort();
	return NULL;
}

/* The kernel gives up a ".." of a scoped walk when anything is renamed meanwhile. */
static void test_renames(void)
{
	struct exec_root root;
	int fd = make_root(&root), failed = 0;
	atomic_bool stop = false;
	pthread_t t;

	if (pthread_create(&t, NULL, rename_on, &stop) != 0)
		abort();
	for (unsigned i = 0; i < 20000; i++) {
		struct exec_base base = {.tid = getpid(), .dirfd = AT_FDCWD, .cwd = "/bin"};
		struct exec_file f;

		failed += exec_resolve(&f, &root, &base, "../bin/../bin/../bin/prog") != 0;
		exec_file_deinit(&f);
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(failed, 0);
	remove_root(fd);
}

static const struct unit_case cases[] = {
	{"paths", test_paths},
	{"the slow walk", test_walk},
	{"from outside, by descriptor", test_outside},
	{"steady names", test_steady},
	{"names with \"..\" while others rename", test_renames},
};

UNIT_MAIN("exec_resolve", cases)
