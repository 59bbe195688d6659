#include "agentsh/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/path.h"
#include "common/sys.h"

#define FIRST (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

/*
 * Directories of the host's tree that are covered, in our own mount namespace only, while the new
 * root is built. Nothing is bound from below them after they are covered, and gates that enter
 * this namespace meanwhile need neither. Without /sys, /mnt takes its place.
 */
static const char *const root_places[] = {"/sys", "/mnt", "/tmp"};
#define FUSE_PLACE "/proc"

int mount_new(const char *fs, const char *const *options, unsigned attrs, struct err *e)
{
	autoclose int ctx = fsopen(fs, FSOPEN_CLOEXEC);
	int mnt;

	if (ctx < 0)
		return err_set(e, errno, "open the file system %s", fs);
	fsconfig(ctx, FSCONFIG_SET_STRING, "source", fs, 0); /* for readers of the mount table */
	for (; *options; options++) {
		const char *eq = strchr(*options, '=');
		char key[32];
		int r;

		if (eq && (size_t)(eq - *options) < sizeof(key)) {
			memcpy(key, *options, (size_t)(eq - *options));
			key[eq - *options] = '\0';
			r = fsconfig(ctx, FSCONFIG_SET_STRING, key, eq + 1, 0);
		} else {
			r = fsconfig(ctx, FSCONFIG_SET_FLAG, *options, NULL, 0);
		}
		if (r < 0)
			return err_set(e, errno, "%s option %s", fs, *options);
	}
	if (fsconfig(ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_set(e, errno, "create a %s", fs);
	mnt = fsmount(ctx, FSMOUNT_CLOEXEC, attrs);
	return mnt < 0 ? err_set(e, errno, "mount a %s", fs) : mnt;
}

int mount_clone(int dir, const char *path, unsigned attrs, struct err *e)
{
	struct mount_attr attr = {.attr_set = attrs};
	autoclose int mnt = open_tree(dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (mnt < 0)
		return err_set(e, errno, "bind %s", path);
	/* flags are only ever added: clearing one that an outer namespace locked would be EPERM */
	if (attrs && mount_setattr(mnt, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_set(e, errno, "restrict the mounts below %s", path);
	return steal_fd(&mnt);
}

static int open_inside(int root, const char *path, int flags)
{
	return sys_openat2(root, path, flags | O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT);
}

int mount_attach(int mnt, int root, const char *path, struct err *e)
{
	autoclose int at = open_inside(root, path, 0);

	if (at < 0)
		return err_set(e, errno, "find the mount point %s in the sandbox", path);
	if (move_mount(mnt, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_set(e, errno, "mount %s in the sandbox", path);
	return 0;
}

/* One component below an existing directory; an existing object of that name will do. */
static int make_one(int root, const char *path, bool is_dir, struct err *e)
{
	char parent[PATH_MAX];
	const char *name = path_base(path);
	autoclose int dir = -1;
	autoclose int there = open_inside(root, path, 0);
	size_t len = (size_t)(name - path);
	int r;

	if (there >= 0)
		return 0;
	if (len == 0 || len >= sizeof(parent))
		return err_set(e, ENAMETOOLONG, "mount point %s", path);
	memcpy(parent, path, len);
	parent[len] = '\0';
	dir = open_inside(root, parent, O_DIRECTORY);
	if (dir < 0)
		return err_set(e, errno, "open %s in the sandbox", parent);
	r = is_dir ? mkdirat(dir, name, 0755) : mknodat(dir, name, S_IFREG | 0644, 0);
	if (r < 0 && errno == EROFS)
		return err_say(e, ENOENT,
			       "the mount point %s does not exist, and %s is read-only: make it on "
			       "the host first", path, parent);
	return r < 0 ? err_set(e, errno, "make the mount point %s", path) : 0;
}

int mount_mkdirs(int root, const char *path, struct err *e)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return err_set(e, ENAMETOOLONG, "mount point %s", path);
	for (size_t i = 1; i <= len; i++) {
		int r;

		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		r = make_one(root, part, true, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int mount_point(int root, const char *path, bool is_dir, struct err *e)
{
	char parent[PATH_MAX];
	size_t len = (size_t)(path_base(path) - path);

	if (len > 1 && len < sizeof(parent)) {
		int r;

		memcpy(parent, path, len - 1);
		parent[len - 1] = '\0';
		r = mount_mkdirs(root, parent, e);
		if (r < 0)
			return r;
	}
	return make_one(root, path, is_dir, e);
}

/* A mount of its own for a directory of a writable tmpfs that is not one yet. */
static int pin_one(int root, const char *path, dev_t root_dev, struct err *e)
{
	autoclose int at = open_inside(root, path, O_DIRECTORY);
	autoclose int mnt = -1;
	struct statfs fs;
	struct statx sx;
	struct stat st;

	if (at < 0 || fstat(at, &st) < 0 || fstatfs(at, &fs) < 0 ||
	    statx(at, "", AT_EMPTY_PATH, 0, &sx) < 0)
		return err_set(e, errno, "look at %s in the sandbox", path);
	if (st.st_dev == root_dev || fs.f_type != TMPFS_MAGIC ||
	    sx.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return 0;
	mnt = open_tree(at, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	return mnt < 0 ? err_set(e, errno, "bind %s", path) : mount_attach(mnt, root, path, e);
}

/*
 * A mount point cannot be renamed, but the directories that lead to it could be, where they are the
 * agent's own, as in a private /tmp: then something else would stand at the path that rules are
 * about. So each of them becomes a mount point as well.
 */
static int pin_parents(int root, const char *path, struct err *e)
{
	char part[PATH_MAX];
	size_t len = strlen(path);
	struct stat st;
	int r = 0;

	if (len >= sizeof(part))
		return err_set(e, ENAMETOOLONG, "mount point %s", path);
	if (fstat(root, &st) < 0)
		return err_set(e, errno, "stat the sandbox's root");
	for (size_t i = 1; r == 0 && i < len; i++)
		if (path[i] == '/') {
			memcpy(part, path, i);
			part[i] = '\0';
			r = pin_one(root, part, st.st_dev, e);
		}
	return r;
}

/* ---- the entries of a plan ---- */

static int attach_bind(int root, const struct plan_entry *p, struct err *e)
{
	autoclose int mnt = mount_clone(AT_FDCWD, p->host, FIRST | MOUNT_ATTR_RDONLY, e);
	struct stat st;
	int r;

	if (mnt < 0)
		return mnt;
	if (fstat(mnt, &st) < 0)
		return err_set(e, errno, "stat %s", p->host);
	r = mount_point(root, p->path, S_ISDIR(st.st_mode), e);
	if (r == 0)
		r = pin_parents(root, p->path, e);
	return r < 0 ? r : mount_attach(mnt, root, p->path, e);
}

static int attach_governed(int root, const struct plan_entry *p, struct err *e)
{
	char name[sizeof(FUSE_PLACE) + 16];
	autoclose int mnt = -1;
	int r;

	snprintf(name, sizeof(name), FUSE_PLACE "/r%u", p->root);
	mnt = mount_clone(AT_FDCWD, name, FIRST | (p->read_only ? MOUNT_ATTR_RDONLY : 0), e);
	if (mnt < 0)
		return err_wrap(e, "governed tree %s", p->path);
	r = mount_mkdirs(root, p->path, e);
	if (r == 0)
		r = pin_parents(root, p->path, e);
	return r < 0 ? r : mount_attach(mnt, root, p->path, e);
}

static int attach_tmpfs(int root, const struct plan_entry *p, struct err *e)
{
	static const char *const writable[] = {"mode=01777", NULL};
	autoclose int mnt = mount_new("tmpfs", writable, FIRST, e);
	int r;

	if (mnt < 0)
		return mnt;
	r = mount_mkdirs(root, p->path, e);
	return r < 0 ? r : mount_attach(mnt, root, p->path, e);
}

static int attach_mask(int root, const struct plan_entry *p, struct err *e)
{
	static const char *const empty[] = {"mode=0555", "size=4k", NULL};
	autoclose int mnt = mount_new("tmpfs", empty, FIRST | MOUNT_ATTR_RDONLY, e);

	return mnt < 0 ? mnt : mount_attach(mnt, root, p->path, e);
}

static int attach_symlink(int root, const struct plan_entry *p, struct err *e)
{
	/* entries are canonical, and a symlink's parent is a directory of the private root */
	if (symlinkat(p->host, root, p->path + 1) < 0)
		return err_set(e, errno, "symlink %s -> %s", p->path, p->host);
	return 0;
}

static int (*const attach[])(int, const struct plan_entry *, struct err *) = {
	[PLAN_BIND] = attach_bind,	 [PLAN_GOVERNED] = attach_governed,
	[PLAN_TMPFS] = attach_tmpfs,	 [PLAN_MASK] = attach_mask,
	[PLAN_SYMLINK] = attach_symlink,
};

static int attach_entries(struct mount_root *root, const struct plan *plan, bool governed,
			  struct err *e)
{
	for (; root->n_done < plan->n_entries; root->n_done++) {
		const struct plan_entry *p = &plan->entries[root->n_done];
		int r;

		if (p->kind == PLAN_GOVERNED && !governed)
			return 0;
		r = attach[p->kind](root->fd, p, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A generated file where fsgate does not answer: over the file of a bind, or in the private root. */
static int attach_override(int root, const struct plan_override *o, struct err *e)
{
	autoclose int mnt = mount_clone(AT_FDCWD, o->host, FIRST | MOUNT_ATTR_RDONLY, e);
	int r;

	if (mnt < 0)
		return mnt;
	r = mount_point(root, o->path, false, e);
	return r < 0 ? r : mount_attach(mnt, root, o->path, e);
}

static int private_root(struct err *e)
{
	static const char *const options[] = {"mode=0755", "size=1m", NULL};
	autoclose int mnt = -1;

	/* nothing that happens here may travel back to the host, nor the other way round */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, errno, "make the mounts private");
	mnt = mount_new("tmpfs", options, FIRST, e);
	if (mnt < 0)
		return mnt;
	for (size_t i = 0; i < ARRAY_LEN(root_places); i++)
		if (move_mount(mnt, "", AT_FDCWD, root_places[i], MOVE_MOUNT_F_EMPTY_PATH) == 0)
			return steal_fd(&mnt);
	return err_set(e, errno, "attach the sandbox's root below the host's");
}

int mount_prepare(struct mount_root *out, const struct sandbox_args *args, struct err *e)
{
	static const char *const dirs[] = {"proc", "sys", "dev", "tmp", "run", "var", "var/tmp"};
	int r;

	out->n_done = 0;
	out->fd = private_root(e);
	if (out->fd < 0)
		return out->fd;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (mkdirat(out->fd, dirs[i], 0755) < 0)
			return err_set(e, errno, "make /%s in the sandbox", dirs[i]);
	r = mount_dev(out->fd, e);
	if (r == 0)
		r = mount_proc(out->fd, e);
	if (r == 0)
		r = mount_proc_guard(out->fd, e);
	if (r == 0)
		r = mount_sys(out->fd, e);
	return r < 0 ? r : attach_entries(out, args->plan, false, e);
}

static int leave_host(int root, struct err *e)
{
	struct mount_attr ro = {.attr_set = MOUNT_ATTR_RDONLY};

	/* pivot_root(2), NOTES: the old root is stacked on the new one and taken off again */
	if (fchdir(root) < 0 || sys_pivot_root(".", ".") < 0)
		return err_set(e, errno, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_set(e, errno, "detach the host's tree");
	if (chdir("/") < 0)
		return err_set(e, errno, "enter the sandbox's root");
	if (mount_setattr(AT_FDCWD, "/", 0, &ro, sizeof(ro)) < 0)
		return err_set(e, errno, "make the sandbox's root read-only");
	return 0;
}

int mount_finish(struct mount_root *root, const struct sandbox_args *args, int fuse_mount,
		 struct err *e)
{
	const struct plan *plan = args->plan;
	int r;

	if (fuse_mount >= 0 &&
	    move_mount(fuse_mount, "", AT_FDCWD, FUSE_PLACE, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(e, errno, "attach the governed trees");
	if (fuse_mount < 0 && plan->n_governed > 0)
		return err_say(e, EINVAL, "the plan has governed trees but no FUSE mount came");
	r = attach_entries(root, plan, true, e);
	for (size_t i = 0; r == 0 && i < plan->n_overrides; i++)
		if (!plan->overrides[i].governed)
			r = attach_override(root->fd, &plan->overrides[i], e);
	if (r == 0)
		r = mount_proc_limits(root->fd, e);
	return r < 0 ? r : leave_host(root->fd, e);
}
