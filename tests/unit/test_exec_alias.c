/*
 * The table of other names, over a directory that plays the sandbox's root:
 *   /usr/bin/curl /usr/bin/fetch -> curl /usr/bin/mkfs.x /usr/bin/allowed /usr/bin/busybox
 *   /usr/bin/wget -> busybox /bin -> usr/bin /opt/tool /lib64/ld-linux-x86-64.so.2
 *   /ws/copy (of curl) /ws/changed (as long as curl) /ws/hard (link to curl) /ws/box (of busybox)
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "execgate/exec_alias.h"
#include "execgate/exec_walk.h"
#include "tests/unit/unit.h"

void __wrap_policy_each_command(const struct policy *p, policy_command_fn *fn, void *arg);
void __wrap_policy_each_command(const struct policy *p, policy_command_fn *fn, void *arg)
{
	(void)p;
	fn(arg, "curl", VERDICT_DENY);
	fn(arg, "mkfs.*", VERDICT_DENY);
	fn(arg, "allowed", VERDICT_ALLOW);
	fn(arg, "wget", VERDICT_APPROVE);
	fn(arg, "/opt/tool", VERDICT_AUDIT);
	fn(arg, "missing", VERDICT_DENY);
	fn(arg, "*", VERDICT_DENY);
}

static char dir[64];

static void put(const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

static int make_root(struct exec_root *root)
{
	static const char *const dirs[] = {"usr", "usr/bin", "opt", "lib64", "ws"};
	struct err e = ERR_INIT;
	int fd;

	strcpy(dir, "/tmp/exec-alias-XXXXXX");
	if (!mkdtemp(dir))
		abort();
	fd = open(dir, O_PATH | O_CLOEXEC);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		mkdirat(fd, dirs[i], 0755);
	put("usr/bin/curl", "this is curl");
	put("usr/bin/mkfs.x", "this is mkfs");
	put("usr/bin/allowed", "allowed");
	put("usr/bin/busybox", "many");
	put("opt/tool", "a tool");
	put("lib64/ld-linux-x86-64.so.2", "the loader");
	put("ws/copy", "this is curl");
	put("ws/changed", "this is cURL");
	put("ws/box", "many");
	put("ws/myld", "the loader");
	if (symlinkat("usr/bin", fd, "bin") < 0 || symlinkat("curl", fd, "usr/bin/fetch") < 0 ||
	    symlinkat("busybox", fd, "usr/bin/wget") < 0 ||
	    linkat(fd, "usr/bin/curl", fd, "ws/hard", 0) < 0 || exec_root_open(root, fd, &e) < 0)
		abort();
	return fd;
}

static void remove_root(int fd)
{
	char cmd[128];

	close(fd);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	if (system(cmd) != 0)
		abort();
}

struct alias_case {
	const char *path;
	const char *name; /* the one name it answers to, or NULL */
	bool is_loader, is_multicall;
};

static const struct alias_case cases_of_names[] = {
	{"/usr/bin/curl", "curl", false, false},
	{"/usr/bin/fetch", "curl", false, false},
	{"/bin/curl", "curl", false, false},
	{"/ws/copy", "curl", false, false},
	{"/ws/hard", "curl", false, false},
	{"/ws/changed", NULL, false, false},
	{"/usr/bin/mkfs.x", "mkfs.x", false, false},
	{"/usr/bin/allowed", NULL, false, false},
	{"/opt/tool", "/opt/tool", false, false},
	/* "wget" is a name of busybox, which is not wget for that */
	{"/usr/bin/wget", NULL, false, true},
	{"/usr/bin/busybox", NULL, false, true},
	{"/ws/box", NULL, false, true},
	{"/lib64/ld-linux-x86-64.so.2", NULL, true, false},
	{"/ws/myld", NULL, true, false},
};

static void look(struct exec_alias *a, const struct exec_root *root, const struct alias_case *c)
{
	int path_fd = exec_walk_open(root, c->path, 0), fd;
	uint8_t digest[EXEC_SHA256];
	struct exec_names names = {0};
	char again[64];
	struct stat st;

	snprintf(again, sizeof(again), "/proc/self/fd/%d", path_fd);
	fd = open(again, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(path_fd >= 0 && fd >= 0 && fstat(fd, &st) == 0);
	CU_ASSERT_EQUAL(exec_hash_read(digest, fd, st.st_size), 0);
	CU_ASSERT_EQUAL(exec_alias_find(&names, a, &st, digest), 0);
	CU_ASSERT_EQUAL(names.n, c->name ? 1 : 0);
	if (names.n != (c->name ? 1 : 0))
		printf("# %s: %zu names\n", c->path, names.n);
	if (names.n && c->name)
		CU_ASSERT_STRING_EQUAL(names.name[0], c->name);
	CU_ASSERT_EQUAL(names.is_loader, c->is_loader);
	CU_ASSERT_EQUAL(names.is_multicall, c->is_multicall);
	close(fd);
	close(path_fd);
}

static void test_names(void)
{
	AUTO(exec_alias_free) struct exec_alias *a = NULL;
	struct err e = ERR_INIT;
	struct exec_root root;
	int fd = make_root(&root);

	CU_ASSERT_EQUAL_FATAL(exec_alias_new(&a, &root, NULL, &e), 0);
	for (size_t i = 0; i < sizeof(cases_of_names) / sizeof(cases_of_names[0]); i++)
		look(a, &root, &cases_of_names[i]);
	remove_root(fd);
}

/* Without a digest only the inode tells. */
static void test_unreadable(void)
{
	AUTO(exec_alias_free) struct exec_alias *a = NULL;
	struct exec_names names = {0};
	struct err e = ERR_INIT;
	struct exec_root root;
	struct stat st;
	int fd = make_root(&root);

	CU_ASSERT_EQUAL_FATAL(exec_alias_new(&a, &root, NULL, &e), 0);
	CU_ASSERT_EQUAL(fstatat(fd, "ws/hard", &st, 0), 0);
	CU_ASSERT_EQUAL(exec_alias_find(&names, a, &st, NULL), 0);
	CU_ASSERT_EQUAL(names.n, 1);
	CU_ASSERT_EQUAL(fstatat(fd, "ws/copy", &st, 0), 0);
	names.n = 0;
	CU_ASSERT_EQUAL(exec_alias_find(&names, a, &st, NULL), 0);
	CU_ASSERT_EQUAL(names.n, 0);
	remove_root(fd);
}

static void test_hash_cache(void)
{
	AUTO(exec_hash_free) struct exec_hash *h = exec_hash_new();
	uint8_t one[EXEC_SHA256], two[EXEC_SHA256];
	char path[] = "/tmp/exec-hash-XXXXXX";
	int fd = mkstemp(path);
	struct stat st;

	CU_ASSERT_FATAL(fd >= 0 && h != NULL && write(fd, "abc", 3) == 3);
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_TRUE(exec_hash_is_fresh(&st));
	CU_ASSERT_EQUAL(exec_hash_get(one, h, fd, &st), 0);
	CU_ASSERT_EQUAL(one[0], 0xba); /* FIPS 180-2, appendix B.1 */
	CU_ASSERT_EQUAL(one[31], 0xad);
	/* changed within the same tick: the young file is read again */
	CU_ASSERT_EQUAL(pwrite(fd, "abd", 3, 0), 3);
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_EQUAL(exec_hash_get(two, h, fd, &st), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(one, two, sizeof(one)), 0);
	usleep(80000);
	CU_ASSERT_FALSE(exec_hash_is_fresh(&st));
	CU_ASSERT_EQUAL(exec_hash_get(one, h, fd, &st), 0);
	CU_ASSERT_EQUAL(memcmp(one, two, sizeof(one)), 0);
	/* shorter than its stat says: changing */
	CU_ASSERT_EQUAL(ftruncate(fd, 1), 0);
	st.st_ctim.tv_nsec ^= 1;
	CU_ASSERT_EQUAL(exec_hash_get(one, h, fd, &st), -ESTALE);
	st.st_size = EXEC_HASH_MAX + 1;
	CU_ASSERT_EQUAL(exec_hash_get(one, h, fd, &st), -EFBIG);
	close(fd);
	unlink(path);
}

static const struct unit_case cases[] = {
	{"names by inode and content", test_names},
	{"a file that cannot be read", test_unreadable},
	{"the cache of digests", test_hash_cache},
};

UNIT_MAIN("exec_alias", cases)
