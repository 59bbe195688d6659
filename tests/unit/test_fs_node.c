#include "fsgate/fs_node.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* A directory with a/b/file, two hard links, and the tree over it as root r0 at /ws. */
struct rig {
	char dir[64];
	int fd;
	struct fs_tree *t;
	struct fs_node *root;
};

static void put(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
}

static void rig_open(struct rig *r, unsigned max_fds)
{
	strcpy(r->dir, "/tmp/fs-node-test.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(r->dir));
	r->fd = open(r->dir, O_RDONLY | O_DIRECTORY);
	CU_ASSERT_FATAL(r->fd >= 0);
	mkdirat(r->fd, "a", 0755);
	mkdirat(r->fd, "a/b", 0755);
	put(r->fd, "a/b/file");
	put(r->fd, "one");
	CU_ASSERT_EQUAL(linkat(r->fd, "one", r->fd, "two", 0), 0);
	CU_ASSERT_EQUAL_FATAL(fs_tree_new(&r->t, max_fds), 0);
	CU_ASSERT_EQUAL_FATAL(
		fs_tree_add_root(r->t, "r0", "/ws", open(r->dir, O_PATH | O_CLOEXEC)), 0);
	r->root = fs_node_find(r->t, fs_tree_top(r->t), "r0");
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->root);
}

static void rig_close(struct rig *r)
{
	char cmd[128];

	fs_node_put(r->t, r->root);
	fs_tree_free(r->t);
	close(r->fd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", r->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static struct fs_node *see(struct rig *r, struct fs_node *parent, const char *name,
			   const char *real)
{
	struct stat st;

	CU_ASSERT_EQUAL_FATAL(fstatat(r->fd, real, &st, AT_SYMLINK_NOFOLLOW), 0);
	return fs_node_seen(r->t, parent, name, &st, -1);
}

static bool path_is(struct rig *r, struct fs_node *n, const char *want)
{
	char buf[PATH_MAX];

	return fs_node_path(r->t, n, NULL, buf, sizeof(buf)) == 0 && strcmp(buf, want) == 0;
}

static void test_paths(void)
{
	struct fs_node *a, *b, *f;
	char buf[PATH_MAX], tiny[12];
	struct rig r;

	rig_open(&r, 100);
	a = see(&r, r.root, "a", "a");
	b = see(&r, a, "b", "a/b");
	f = see(&r, b, "file", "a/b/file");
	CU_ASSERT_TRUE(path_is(&r, r.root, "/ws"));
	CU_ASSERT_TRUE(path_is(&r, f, "/ws/a/b/file"));
	CU_ASSERT_EQUAL(fs_node_path(r.t, b, "new", buf, sizeof(buf)), 0);
	CU_ASSERT_STRING_EQUAL(buf, "/ws/a/b/new");
	CU_ASSERT_EQUAL(fs_node_path(r.t, f, NULL, tiny, sizeof(tiny)), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(fs_node_path(r.t, fs_tree_top(r.t), NULL, buf, sizeof(buf)), -ENOENT);
	CU_ASSERT_TRUE(fs_node_below(r.t, f, a));
	CU_ASSERT_FALSE(fs_node_below(r.t, a, f));
	fs_node_forget(r.t, f, 1);
	fs_node_forget(r.t, b, 1);
	fs_node_forget(r.t, a, 1);
	CU_ASSERT_EQUAL(fs_tree_count(r.t), 2);
	rig_close(&r);
}

static void test_root_at_slash(void)
{
	struct fs_node *n;
	struct stat st;
	struct rig r;
	char buf[PATH_MAX];

	rig_open(&r, 100);
	CU_ASSERT_EQUAL(fs_tree_add_root(r.t, "r1", "/", open(r.dir, O_PATH | O_CLOEXEC)), 0);
	n = fs_node_find(r.t, fs_tree_top(r.t), "r1");
	CU_ASSERT_TRUE(path_is(&r, n, "/"));
	CU_ASSERT_EQUAL(fs_node_path(r.t, n, "etc", buf, sizeof(buf)), 0);
	CU_ASSERT_STRING_EQUAL(buf, "/etc");
	fs_node_put(r.t, n);
	CU_ASSERT_STRING_EQUAL(fs_tree_root_name(r.t, 1), "r1");
	CU_ASSERT_PTR_NULL(fs_tree_root_name(r.t, 2));
	CU_ASSERT_EQUAL(fstat(r.fd, &st), 0);
	CU_ASSERT_TRUE(fs_tree_is_root(r.t, st.st_dev, st.st_ino));
	rig_close(&r);
}

static void test_counts(void)
{
	struct fs_node *a, *again, *b;
	struct rig r;

	rig_open(&r, 100);
	a = see(&r, r.root, "a", "a");
	again = see(&r, r.root, "a", "a");
	CU_ASSERT_PTR_EQUAL(a, again);
	b = see(&r, a, "b", "a/b");
	fs_node_forget(r.t, a, 2);
	/* a child needs it */
	CU_ASSERT_EQUAL(fs_tree_count(r.t), 4);
	CU_ASSERT_TRUE(path_is(&r, b, "/ws/a/b"));
	fs_node_forget(r.t, b, 100);
	CU_ASSERT_EQUAL(fs_tree_count(r.t), 2);
	rig_close(&r);
}

static void test_hard_links(void)
{
	struct fs_node *one, *two;
	struct rig r;

	rig_open(&r, 100);
	one = see(&r, r.root, "one", "one");
	two = see(&r, r.root, "two", "two");
	CU_ASSERT_PTR_NOT_EQUAL(one, two);
	CU_ASSERT_EQUAL(fs_node_inum(one), fs_node_inum(two));
	CU_ASSERT_TRUE(path_is(&r, one, "/ws/one"));
	CU_ASSERT_TRUE(path_is(&r, two, "/ws/two"));
	rig_close(&r);
}

static void test_moves(void)
{
	struct fs_node *a, *b, *f, *one, *back;
	struct rig r;

	rig_open(&r, 100);
	a = see(&r, r.root, "a", "a");
	b = see(&r, a, "b", "a/b");
	f = see(&r, b, "file", "a/b/file");
	fs_node_set_fact(r.t, f, FS_STAT_ALLOWED, 0);
	CU_ASSERT_TRUE(fs_node_fact(r.t, f, FS_STAT_ALLOWED, 0));
	fs_node_moved(r.t, r.root, "a", r.root, "z", -1);
	CU_ASSERT_TRUE(path_is(&r, f, "/ws/z/b/file"));
	/* what was worked out for the old path does not hold for the new one */
	CU_ASSERT_FALSE(fs_node_fact(r.t, f, FS_STAT_ALLOWED, 0));
	CU_ASSERT_PTR_NULL(fs_node_find(r.t, r.root, "a"));
	/* over something: that node loses its name, not its life */
	one = see(&r, r.root, "one", "one");
	fs_node_moved(r.t, b, "file", r.root, "one", open("/dev/null", O_PATH));
	CU_ASSERT_TRUE(path_is(&r, f, "/ws/one"));
	back = fs_node_find(r.t, r.root, "one");
	CU_ASSERT_PTR_EQUAL(back, f);
	fs_node_put(r.t, back);
	fs_node_forget(r.t, one, 1);
	fs_node_swapped(r.t, a, "b", r.root, "one");
	CU_ASSERT_TRUE(path_is(&r, f, "/ws/z/b"));
	CU_ASSERT_TRUE(path_is(&r, b, "/ws/one"));
	rig_close(&r);
}

static void test_replaced(void)
{
	struct fs_node *one, *other;
	struct fs_pin pin;
	struct rig r;
	int fd;

	rig_open(&r, 100);
	one = see(&r, r.root, "one", "one");
	fd = openat(r.fd, "one", O_RDONLY);
	fs_node_add_file(r.t, one, (struct fs_file *)&r, fd);
	put(r.fd, "new");
	CU_ASSERT_EQUAL(renameat(r.fd, "new", r.fd, "one"), 0);
	other = see(&r, r.root, "one", "one");
	CU_ASSERT_PTR_NOT_EQUAL(one, other);
	/* still reachable through the open file, and as nothing else */
	CU_ASSERT_EQUAL(fs_node_pin(r.t, one, &pin), 0);
	fs_node_unpin(r.t, &pin);
	fs_node_del_file(r.t, one, (struct fs_file *)&r);
	close(fd);
	CU_ASSERT_EQUAL(fs_node_pin(r.t, one, &pin), -ESTALE);
	fs_node_forget(r.t, one, 1);
	CU_ASSERT_EQUAL(fs_node_pin(r.t, other, &pin), 0);
	fs_node_unpin(r.t, &pin);
	CU_ASSERT_EQUAL(fs_tree_count(r.t), 3);
	rig_close(&r);
}

/* A name that leads elsewhere by now must not be followed. */
static void test_swapped_for_link(void)
{
	struct fs_node *a, *b;
	struct fs_pin pin;
	struct rig r;

	rig_open(&r, 1);
	a = see(&r, r.root, "a", "a");
	b = see(&r, a, "b", "a/b");
	CU_ASSERT_EQUAL(renameat(r.fd, "a/b", r.fd, "a/c"), 0);
	CU_ASSERT_EQUAL(symlinkat("/etc", r.fd, "a/b"), 0);
	CU_ASSERT_EQUAL(fs_node_pin(r.t, b, &pin), -ESTALE);
	CU_ASSERT_EQUAL(unlinkat(r.fd, "a/b", 0), 0);
	CU_ASSERT_EQUAL(mkdirat(r.fd, "a/b", 0755), 0);
	/* another directory of the same name */
	CU_ASSERT_EQUAL(fs_node_pin(r.t, b, &pin), -ESTALE);
	rig_close(&r);
}

static int open_fds(void)
{
	return unit_open_fds();
}

static void test_descriptor_cap(void)
{
	enum { N = 200 };
	struct fs_node *dirs[N];
	struct rig r;
	int before;

	rig_open(&r, 10);
	for (int i = 0; i < N; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%d", i);
		mkdirat(r.fd, name, 0755);
		dirs[i] = see(&r, r.root, name, name);
	}
	before = open_fds();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++) {
			struct fs_pin pin;
			struct stat st;

			CU_ASSERT_EQUAL_FATAL(fs_node_pin(r.t, dirs[i], &pin), 0);
			CU_ASSERT_EQUAL(fstat(pin.fd, &st), 0);
			CU_ASSERT_TRUE(fs_node_is(dirs[i], &st));
			fs_node_unpin(r.t, &pin);
		}
	}
	CU_ASSERT_TRUE(open_fds() <= before + 10);
	rig_close(&r);
}

static void test_many(void)
{
	enum { N = 100000 };
	struct fs_node **nodes = calloc(N, sizeof(*nodes));
	struct stat st;
	struct rig r;
	char name[32];

	rig_open(&r, 100);
	CU_ASSERT_EQUAL(fstatat(r.fd, "one", &st, 0), 0);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		nodes[i] = fs_node_seen(r.t, r.root, name, &st, -1);
	}
	CU_ASSERT_EQUAL(fs_tree_count(r.t), N + 2);
	for (int i = 0; i < N; i += 997) {
		struct fs_node *n;

		snprintf(name, sizeof(name), "file-%d", i);
		n = fs_node_find(r.t, r.root, name);
		CU_ASSERT_PTR_EQUAL(n, nodes[i]);
		fs_node_put(r.t, n);
	}
	for (int i = 0; i < N; i++)
		fs_node_forget(r.t, nodes[i], 1);
	CU_ASSERT_EQUAL(fs_tree_count(r.t), 2);
	free(nodes);
	rig_close(&r);
}

static void test_stamp(void)
{
	struct fs_node *one;
	struct stat st;
	struct rig r;

	rig_open(&r, 100);
	one = see(&r, r.root, "one", "one");
	CU_ASSERT_EQUAL(fstatat(r.fd, "one", &st, 0), 0);
	CU_ASSERT_FALSE(fs_node_stamp(r.t, one, FS_STAMP_DATA, &st));
	CU_ASSERT_TRUE(fs_node_stamp(r.t, one, FS_STAMP_DATA, &st));
	st.st_size++;
	CU_ASSERT_FALSE(fs_node_stamp(r.t, one, FS_STAMP_DATA, &st));
	fs_node_set_fact(r.t, one, FS_LINKS_INSIDE, 2);
	CU_ASSERT_TRUE(fs_node_fact(r.t, one, FS_LINKS_INSIDE, 2));
	CU_ASSERT_FALSE(fs_node_fact(r.t, one, FS_LINKS_INSIDE, 3));
	rig_close(&r);
}

static const struct unit_case cases[] = {
	{"paths by construction", test_paths},
	{"a root at /", test_root_at_slash},
	{"lookup and forget counts", test_counts},
	{"two hard links are two nodes", test_hard_links},
	{"moves take the subtree along", test_moves},
	{"a replaced file", test_replaced},
	{"a directory swapped for a link", test_swapped_for_link},
	{"a cap on open descriptors", test_descriptor_cap},
	{"100,000 names", test_many},
	{"stamps and facts", test_stamp},
};

UNIT_MAIN("fs_node", cases)
