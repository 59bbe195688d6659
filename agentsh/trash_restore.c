/*
 * Theory: the place to restore to may have been prepared by the agent: a directory of it exchanged
 * for a link to somewhere else. So it is reached from the governed tree's own directory, whose path
 * is the person's, by openat2(2) BENEATH and NO_SYMLINKS, and a link there ends the matter. What
 * comes back is complete under a name of its own before it gets its old one, without replacing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agentsh/trash.h"
#include "common/auto.h"
#include "common/file_copy.h"
#include "common/path.h"
#include "common/str.h"

static int open_beneath(int dir, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* A missing directory, like the one that it is in. */
static int make_parent(int dir, const char *name)
{
	struct stat st;
	int fd;

	if (fstat(dir, &st) < 0 || (mkdirat(dir, name, 0700) < 0 && errno != EEXIST))
		return -errno;
	fd = open_beneath(dir, name);
	if (fd < 0)
		return fd;
	if (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) < 0) {
		close(fd);
		return -errno;
	}
	fchmod(fd, st.st_mode & 0777);
	return fd;
}

/*
 * The directory that rel's last component is in, below dir.
 *
 * @param name  written: that component, in rel
 */
static int walk_to(int dir, const char *rel, const char **name)
{
	int at = fcntl(dir, F_DUPFD_CLOEXEC, 3);

	for (const char *slash; at >= 0 && (slash = strchr(rel, '/')); rel = slash + 1) {
		char part[NAME_MAX + 1];
		int next;

		if (slash == rel) /* "//" */
			continue;
		if (slash - rel > NAME_MAX) {
			close(at);
			return -ENAMETOOLONG;
		}
		memcpy(part, rel, (size_t)(slash - rel));
		part[slash - rel] = '\0';
		next = open_beneath(at, part);
		if (next == -ENOENT)
			next = make_parent(at, part);
		close(at);
		if (next < 0)
			return next;
		at = next;
	}
	*name = rel;
	return at < 0 ? -errno : at;
}

/* ---- what comes back ---- */

/* Where an item is being put together, and where it goes. */
struct place {
	const struct trash *t;
	const struct trash_meta *m;
	int dir;
	const char *name;
	char part[64]; /* its name in dir until it is whole */
};

/*
 * By descriptor: an agent that still runs may exchange what has the name. After the owner the mode: a
 * change of owner takes special bits away.
 */
static int dress(const struct trash_meta *m, int fd)
{
	const struct timespec times[2] = {m->atime, m->mtime};
	char path[40];
	int r;

	if (fchownat(fd, "", m->uid, m->gid, AT_EMPTY_PATH) < 0 &&
	    (geteuid() == 0 || errno != EPERM))
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!S_ISLNK(m->mode)) {
		r = trash_xattrs_set(path, m->xattrs);
		if (r < 0)
			return r;
		if (chmod(path, m->mode & 07777) < 0)
			return -errno;
	}
	return utimensat(fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int make_special(const struct place *p)
{
	const struct trash_meta *m = p->m;
	autoclose int fd = -1;
	struct stat st;
	int r;

	if (S_ISLNK(m->mode))
		r = symlinkat(m->target, p->dir, p->part);
	else if (S_ISDIR(m->mode))
		r = mkdirat(p->dir, p->part, 0700);
	else
		r = mknodat(p->dir, p->part, (m->mode & S_IFMT) | 0600, 0);
	if (r < 0)
		return -errno;
	fd = openat(p->dir, p->part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != (m->mode & S_IFMT) || st.st_uid != geteuid() ||
	    (!S_ISDIR(st.st_mode) && st.st_nlink != 1))
		return -EBUSY; /* not what we have just made */
	return dress(m, fd);
}

static int make_copy(const struct place *p, int data)
{
	autoclose int to = openat(p->dir, p->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;
	int r;

	if (to < 0 || fstat(data, &st) < 0)
		return -errno;
	st.st_uid = p->m->uid;
	st.st_gid = p->m->gid;
	st.st_mode = p->m->mode;
	st.st_atim = p->m->atime;
	st.st_mtim = p->m->mtime;
	r = file_copy(to, data, FILE_COPY_ALL);
	return r < 0 ? r : trash_copy_attr(data, to, &st);
}

/* Give from its place. */
static int put(const struct place *p, int from_dir, const char *from, bool force)
{
	struct stat st;

	if (renameat2(from_dir, from, p->dir, p->name, force ? 0 : RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL || force)
		return -errno;
	/* NFS and its like have no such flag */
	if (fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return renameat(from_dir, from, p->dir, p->name) < 0 ? -errno : 0;
}

static int put_part(const struct place *p, bool force)
{
	int r = put(p, p->dir, p->part, force);

	if (r < 0)
		unlinkat(p->dir, p->part, S_ISDIR(p->m->mode) ? AT_REMOVEDIR : 0);
	return r;
}

/* The very file, in one step: it never has a name here and in the store. Else a copy. */
static int bring_file(const struct place *p, bool force)
{
	char name[TRASH_TOKEN_LEN + 8];
	autoclose int data = -1;
	int r;

	snprintf(name, sizeof(name), "%s.data", p->m->token);
	r = put(p, p->t->dir, name, force);
	if (r != -EXDEV)
		return r;
	data = openat(p->t->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	r = data < 0 ? -errno : make_copy(p, data);
	if (r < 0)
		unlinkat(p->dir, p->part, 0);
	return r < 0 ? r : put_part(p, force);
}

static int bring(struct place *p, bool force)
{
	struct stat st;
	int r;

	if (fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISDIR(st.st_mode) && S_ISDIR(p->m->mode))
			return 1;
		if (!force || S_ISDIR(st.st_mode))
			return -EEXIST;
	}
	snprintf(p->part, sizeof(p->part), ".agentsh-restore.%s", p->m->token);
	/* of an earlier attempt that was cut short */
	if (unlinkat(p->dir, p->part, 0) < 0 && errno == EISDIR)
		unlinkat(p->dir, p->part, AT_REMOVEDIR);
	if (S_ISREG(p->m->mode))
		return bring_file(p, force);
	r = make_special(p);
	if (r < 0)
		unlinkat(p->dir, p->part, S_ISDIR(p->m->mode) ? AT_REMOVEDIR : 0);
	return r < 0 ? r : put_part(p, force);
}

/* ---- where to ---- */

static int open_place(struct place *p, const char *to)
{
	autoclose int base = -1;

	/* whoever names a place names it without links: the agent may have made one there */
	if (to && *to == '/')
		base = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else if (to)
		base = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else
		base = open(p->m->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return -errno;
	if (to)
		to += strspn(to, "/");
	p->dir = walk_to(base, to ? to : p->m->rel, &p->name);
	if (p->dir >= 0 && (!p->name[0] || strcmp(p->name, ".") == 0 || strcmp(p->name, "..") == 0))
		return -EINVAL;
	return p->dir < 0 ? p->dir : 0;
}

static int explain(struct err *e, int r, const char *shown)
{
	switch (-r) {
	case EEXIST:
		return err_say(e, EEXIST,
			       "%s: something is there now; --to PATH restores elsewhere, --force "
			       "replaces it", shown);
	case ELOOP:
		return err_say(e, ELOOP,
			       "%s: a symbolic link stands where a directory was; --to PATH restores "
			       "elsewhere (a path without links)", shown);
	default:
		return err_set(e, -r, "restore %s", shown);
	}
}

int trash_restore(const struct trash *t, const struct trash_meta *m, const struct trash_restore *how,
		  struct err *e)
{
	struct place p = {.t = t, .m = m, .dir = -1};
	char host[2 * PATH_MAX], shown[1024];
	struct str s;
	int r = open_place(&p, how->to);

	trash_host_path(m, host, sizeof(host));
	str_init(&s, shown, sizeof(shown));
	str_add_escaped(&s, how->to ? how->to : host, strlen(how->to ? how->to : host));
	if (r == 0)
		r = bring(&p, how->force);
	if (p.dir >= 0)
		close(p.dir);
	if (r < 0)
		return explain(e, r, shown);
	if (trash_purge(t, m) < 0)
		return err_set(e, errno, "%s is back; remove %s from the trash", shown, m->token);
	return r;
}

void trash_restore_times(const struct trash_meta *m, const char *to)
{
	struct place p = {.m = m, .dir = -1};
	struct stat st;

	if (open_place(&p, to) == 0 &&
	    fstatat(p.dir, p.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
		const struct timespec times[2] = {m->atime, m->mtime};

		utimensat(p.dir, p.name, times, AT_SYMLINK_NOFOLLOW);
	}
	if (p.dir >= 0)
		close(p.dir);
}
