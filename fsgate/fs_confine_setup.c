#include "fsgate/fs_confine_setup.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/log.h"
#include "common/priv.h"
#include "common/sha256.h"
#include "common/sys.h"
#include "fsgate/fs_at.h"
#include "fsgate/fs_filter.h"
#include "fsgate/fs_redirect.h"

/* Directories outside the governed trees that fsgate writes to, by their keys of GATE_CONFIG. */
static const char *const stores[] = {"undo.dir", "trash.dir"};

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ull << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif
#define ACCESS_IOCTL_DEV (1ull << 15)
#define REFER_ABI 2
#define TRUNCATE_ABI 3
#define IOCTL_DEV_ABI 5

#define READ LANDLOCK_ACCESS_FS_READ_FILE
/* of files, and so of a rule for a single file */
#define ON_FILES                                                                                   \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | READ |                       \
	 LANDLOCK_ACCESS_FS_TRUNCATE | ACCESS_IOCTL_DEV)
/*
 * What is done with the files of a tree. EXECUTE, because the kernel opens a passed-through program
 * for its caller with our credentials; seccomp is what keeps fsgate itself from running any.
 * MAKE_CHAR is for whiteouts: without CAP_MKNOD there is no other character device.
 */
#define TREE                                                                                       \
	(READ | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_DIR |                         \
	 LANDLOCK_ACCESS_FS_WRITE_FILE |                                                           \
	 LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_REMOVE_DIR |  \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                            \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                              \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM |                              \
	 LANDLOCK_ACCESS_FS_MAKE_CHAR)

static uint64_t handled_by(int abi)
{
	uint64_t all = TREE | ON_FILES | LANDLOCK_ACCESS_FS_MAKE_BLOCK;

	if (abi < IOCTL_DEV_ABI)
		all &= ~ACCESS_IOCTL_DEV;
	if (abi < TRUNCATE_ABI)
		all &= ~(uint64_t)LANDLOCK_ACCESS_FS_TRUNCATE;
	return all;
}

struct rules {
	int fd;
	uint64_t handled;
};

static int allow(const struct rules *r, int fd, uint64_t rights, const char *what, struct err *e)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "Landlock: %s", what);
	if (!S_ISDIR(st.st_mode))
		rights &= ON_FILES;
	/* EBADFD: a descriptor of no file system that a path leads to; nothing to limit */
	if (sys_landlock_allow(r->fd, fd, rights & r->handled) < 0 && errno != EBADFD)
		return err_set(e, errno, "Landlock: %s", what);
	return 0;
}

static int allow_path(const struct rules *r, const char *path, uint64_t rights, struct err *e)
{
	autoclose int fd = open(path, O_PATH | O_CLOEXEC);

	return allow(r, fd, rights, path, e);
}

static int allow_roots(const struct rules *rules, struct fs *fs, struct err *e)
{
	const char *name;
	int r = 0;

	for (unsigned i = 0; r == 0 && (name = fs_tree_root_name(fs->tree, i)); i++) {
		struct fs_node *n = fs_node_find(fs->tree, fs_tree_top(fs->tree), name);
		struct fs_pin pin;

		r = fs_node_pin(fs->tree, n, &pin);
		if (r < 0) {
			r = err_set(e, -r, "Landlock: governed root %u", i);
		} else {
			r = allow(rules, pin.fd, TREE, "a governed root", e);
			fs_node_unpin(fs->tree, &pin);
		}
		fs_node_put(fs->tree, n);
	}
	return r;
}

/* Where redirections lead. A file's directory may be any of the host's: the file alone. */
static int allow_targets(const struct rules *rules, const struct fs *fs, struct err *e)
{
	const char *file;
	int dir, r = 0;

	for (size_t i = 0; r == 0 && (dir = fs_redirect_dir(fs, i, &file)) >= 0; i++) {
		autoclose int fd = fs_at_open(dir, file ? file : ".", O_PATH, 0);

		r = allow(rules, fd, TREE, "redirect_to", e);
	}
	return r;
}

static int allow_all(const struct rules *rules, struct fs *fs, struct err *e)
{
	int r = allow_roots(rules, fs, e);

	for (size_t i = 0; r == 0 && i < fs->n_overrides; i++)
		r = allow(rules, fs->overrides[i].fd, READ | LANDLOCK_ACCESS_FS_EXECUTE,
			  fs->overrides[i].path, e);
	if (r == 0)
		r = allow_targets(rules, fs, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(stores); i++) {
		const char *dir = gate_conf(&fs->gate, stores[i]);

		if (dir)
			r = allow_path(rules, dir, TREE, e);
	}
	/* more queues of the connection; who asks */
	if (r == 0)
		r = allow_path(rules, "/dev/fuse",
			       READ | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_IOCTL_DEV, e);
	if (r == 0)
		r = allow_path(rules, "/proc", READ, e);
#ifdef AGENTSH_SANITIZED
	/* a report wants the program's own symbols: nothing else is taken from the rest of the disk */
	if (r == 0)
		r = allow_path(rules, "/", READ | LANDLOCK_ACCESS_FS_READ_DIR, e);
#endif
	return r;
}

static int limit_files(struct fs *fs, struct err *e)
{
	int abi = sys_landlock_abi();
	struct rules rules = {.fd = -1};
	int r;

	if (abi < REFER_ABI) {
		log_info("no Landlock here: fsgate's own access to files is not limited by it");
		return 0;
	}
	rules.handled = handled_by(abi);
	rules.fd = sys_landlock_create(rules.handled);
	if (rules.fd < 0)
		return err_set(e, errno, "Landlock");
	r = allow_all(&rules, fs, e);
	if (r == 0 && sys_landlock_restrict(rules.fd) < 0)
		r = err_set(e, errno, "Landlock");
	close(rules.fd);
	return r;
}

/* What libraries open at their first use, later than they could. */
static int warm_up(struct err *e)
{
	struct sha256 *s = NULL;

	/* the end of a cancelled thread is in it */
	dlopen("libgcc_s.so.1", RTLD_NOW);
	if (sha256_new(&s) < 0)
		return err_say(e, EIO, "SHA-256 cannot be had");
	sha256_free(s);
	return 0;
}

/* Capabilities and Landlock are a thread's own: one that runs already would not be limited. */
static int check_alone(struct err *e)
{
	struct stat st;

	if (stat("/proc/self/task", &st) < 0)
		return err_set(e, errno, "/proc/self/task");
	return st.st_nlink == 3 ? 0 : err_say(e, EBUSY, "a thread runs before the confinement");
}

int fs_confine(struct fs *fs, uint64_t keep, struct err *e)
{
	int r = check_alone(e);

	if (r == 0)
		r = warm_up(e);

	if (r == 0)
		r = priv_drop(keep, e);
	if (r == 0)
		r = limit_files(fs, e);
	return r == 0 ? fs_filter_install(e) : r;
}
