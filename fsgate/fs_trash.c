/*
 * Theory: order is everything. The meta file is written first. Then the file itself gets a name in
 * the store (rename: it leaves its place in the same instant), or a complete copy does and the name
 * is removed after that. Killed anywhere, the file is in its place, in the store, or in both.
 *
 * A file that was moved keeps its inode, and whoever has it open would go on writing into it. A
 * write lease can be had by nobody else having it open (fcntl(2)), so it is asked for when the file
 * has no name inside any more: granted, the inode is ours alone; refused, or not to be had on this
 * file system, the content is copied, and the inode is left to those who have it.
 */
#include "fsgate/fs_trash.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/file_copy.h"
#include "common/path.h"
#include "common/sha256.h"
#include "fsgate/fs_at.h"
#include "fsgate/fs_cred_setup.h"
#include "fsgate/fs_undo.h"

#define HASH_MAX 65536
#define ROOTS_MAX 256u

struct fs_trash {
	int dir;
	dev_t dev;
	struct policy_trash limits;
	_Atomic uint64_t bytes; /* put there by this session */
	_Atomic uint32_t count;
};

/* One item that is being made. */
struct item {
	struct fs_call *c;
	const struct fs_doomed *d;
	struct stat st;
	bool is_copied; /* the data is in the store already */
	char meta[TRASH_TOKEN_LEN + 8], data[TRASH_TOKEN_LEN + 8];
};

int fs_trash_open(struct fs *fs, struct err *e)
{
	const char *path = gate_conf(&fs->gate, "trash.dir");
	struct fs_trash *t;
	struct stat st;

	if (!path)
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(e, ENOMEM, "trash");
	t->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (t->dir < 0 || fstat(t->dir, &st) < 0) {
		int r = err_set(e, errno, "open the trash, %s", path);

		if (t->dir >= 0)
			close(t->dir);
		free(t);
		return r;
	}
	t->dev = st.st_dev;
	policy_get_trash(&t->limits, fs->gate.policy);
	/* whoever breaks a lease that is held for a moment must not end the gate */
	signal(SIGIO, SIG_IGN);
	fs->trash = t;
	return 0;
}

void fs_trash_close(struct fs *fs)
{
	if (!fs->trash)
		return;
	close(fs->trash->dir);
	free(fs->trash);
	fs->trash = NULL;
}

bool fs_trash_holds(const struct fs *fs, enum file_op op, const char *path)
{
	const struct policy_request r = {.kind = POLICY_FILE, .file = {.path = path, .op = op}};
	struct decision d;

	if (!(fs->features & 1u << VERDICT_SOFT_DELETE))
		return false;
	policy_decide(&d, fs->gate.policy, &r);
	return d.verdict == VERDICT_SOFT_DELETE;
}

bool fs_trash_leaves(const struct fs *fs, const char *from, const char *to)
{
	return fs_trash_holds(fs, FILE_DELETE, from) && !fs_trash_holds(fs, FILE_DELETE, to);
}

/* ---- before the record ---- */

static void hash_small(struct fs_call *c, const struct fs_doomed *d, const struct stat *st)
{
	autofree char *buf = NULL;
	AUTO(sha256_free) struct sha256 *s = NULL;
	uint8_t sum[SHA256_LEN];
	autoclose int fd = -1;
	ssize_t n;

	if (!S_ISREG(st->st_mode) || st->st_size > HASH_MAX)
		return;
	fd = fs_at_open(d->dirfd, d->name, O_RDONLY, 0);
	buf = malloc(HASH_MAX + 1);
	if (fd < 0 || !buf || sha256_new(&s) < 0)
		return;
	n = pread(fd, buf, HASH_MAX + 1, 0);
	if (n < 0 || n > HASH_MAX ||
	    sha256_hash(s, sum, &(struct sha256_piece){buf, (size_t)n}, 1) < 0)
		return;
	for (unsigned i = 0; i < SHA256_LEN; i++)
		snprintf(c->kept.sha256 + 2 * i, 3, "%02x", sum[i]);
}

void fs_trash_plan(struct fs_call *c, const struct fs_doomed *d)
{
	struct stat st;

	if (c->answer.effect == FS_DENY || c->answer.effect == FS_HIDE)
		return;
	if (!c->fs->trash) {
		c->answer.effect = FS_DENY;
		c->answer.missing = "soft_delete";
		return;
	}
	/* also when it is not there just now: what the act finds has to be kept */
	trash_token(c->kept.token);
	c->kept.why = d->why;
	if (fs_at_stat(d->dirfd, d->name, &st) == 0)
		hash_small(c, d, &st);
}

/* ---- the meta file ---- */

/* The governed tree that the path is in, as the supervisor mapped it: the innermost. */
static bool find_root(const struct fs *fs, const char *path, struct trash_meta *m)
{
	size_t best = 0;
	bool found = false;

	for (unsigned i = 0; i < ROOTS_MAX; i++) {
		char key[32];
		const char *inside, *host;
		size_t len;

		snprintf(key, sizeof(key), "root.%u.path", i);
		inside = gate_conf(&fs->gate, key);
		snprintf(key, sizeof(key), "root.%u.host", i);
		host = gate_conf(&fs->gate, key);
		if (!inside || !host)
			break;
		len = strcmp(inside, "/") == 0 ? 0 : strlen(inside);
		if (!path_is_below(path, inside) || path[len] != '/' || (found && len < best))
			continue;
		found = true;
		best = len;
		snprintf(m->root, sizeof(m->root), "%s", host);
		snprintf(m->rel, sizeof(m->rel), "%s", path + len + 1);
	}
	return found;
}

static int describe(struct item *it, struct trash_meta *m)
{
	struct fs_call *c = it->c;
	const struct fs_who_is *who = fs_call_who(c);
	uint64_t ttl_s = c->fs->trash->limits.ttl_ms / 1000;

	if (!find_root(c->fs, it->d->path, m))
		return -EACCES;
	snprintf(m->token, sizeof(m->token), "%s", c->kept.token);
	snprintf(m->session, sizeof(m->session), "%s", c->fs->gate.session);
	snprintf(m->path, sizeof(m->path), "%s", it->d->path);
	snprintf(m->rule, sizeof(m->rule), "%s", c->answer.d.rule ? c->answer.d.rule : "");
	snprintf(m->comm, sizeof(m->comm), "%s", who->comm);
	snprintf(m->sha256, sizeof(m->sha256), "%s", c->kept.sha256);
	m->pid = who->pid;
	m->why = it->d->why;
	m->mode = it->st.st_mode;
	m->uid = it->st.st_uid;
	m->gid = it->st.st_gid;
	m->size = it->st.st_size;
	m->atime = it->st.st_atim;
	m->mtime = it->st.st_mtim;
	clock_gettime(CLOCK_REALTIME, &m->deleted);
	m->expires = ttl_s ? m->deleted.tv_sec + (time_t)ttl_s : 0;
	return 0;
}

/* What only the meta file can hold: the text of a link, the attributes of what has no data. */
static int describe_more(const struct item *it, struct trash_meta *m)
{
	struct fs_at_proc p = {""};
	autoclose int fd = -1;

	if (S_ISREG(it->st.st_mode))
		return 0;
	if (S_ISLNK(it->st.st_mode)) {
		ssize_t n = readlinkat(it->d->dirfd, it->d->name, m->target,
				       sizeof(m->target) - 1);

		m->target[n > 0 ? n : 0] = '\0';
		return n < 0 ? -errno : 0;
	}
	fd = fs_at_open(it->d->dirfd, it->d->name, O_PATH, 0);
	return fd < 0 ? fd : trash_xattrs_get(&m->xattrs, fs_at_proc_path(&p, fd));
}

static int write_whole(int dir, const char *name, const char *text, size_t len)
{
	autoclose int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n == (ssize_t)len)
		return 0;
	unlinkat(dir, name, 0);
	return n < 0 ? -errno : -ENOSPC;
}

static int write_meta(struct item *it)
{
	autofree struct trash_meta *m = calloc(1, sizeof(*m));
	autofree char *text = NULL;
	size_t len = 0;
	int r = m ? describe(it, m) : -ENOMEM;

	if (r == 0)
		r = describe_more(it, m);
	if (r == 0) {
		text = trash_meta_format(m, &len);
		r = text ? write_whole(it->c->fs->trash->dir, it->meta, text, len) : -ENOMEM;
	}
	if (m)
		trash_meta_free(m);
	return r;
}

/* ---- the data ---- */

static int copy_into(struct item *it, int from, const char *name)
{
	int dir = it->c->fs->trash->dir;
	autoclose int to = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (to < 0)
		return -errno;
	r = file_copy(to, from, FILE_COPY_ALL);
	if (r == 0)
		r = trash_copy_attr(from, to, &it->st);
	if (r < 0)
		unlinkat(dir, name, 0);
	return r;
}

static int copy_file(struct item *it)
{
	autoclose int from = fs_at_open(it->d->dirfd, it->d->name, O_RDONLY, 0);
	int r = from < 0 ? from : copy_into(it, from, it->data);

	it->is_copied = r == 0;
	return r;
}

/* The quota of what one session may put there: it cannot push out what it has put there before. */
static int charge(struct item *it)
{
	struct fs_trash *t = it->c->fs->trash;
	uint64_t size = S_ISREG(it->st.st_mode) ? (uint64_t)it->st.st_size : 0;
	uint64_t bytes = atomic_fetch_add(&t->bytes, size) + size;
	uint32_t count = atomic_fetch_add(&t->count, 1) + 1;

	if ((!t->limits.max_bytes || bytes <= t->limits.max_bytes) &&
	    (!t->limits.max_count || count <= t->limits.max_count))
		return 0;
	atomic_fetch_sub(&t->bytes, size);
	atomic_fetch_sub(&t->count, 1);
	return -EDQUOT;
}

/* The item did not come about. */
static void drop(struct item *it)
{
	struct fs_trash *t = it->c->fs->trash;

	unlinkat(t->dir, it->data, 0);
	unlinkat(t->dir, it->meta, 0);
	atomic_fetch_sub(&t->bytes, S_ISREG(it->st.st_mode) ? (uint64_t)it->st.st_size : 0);
	atomic_fetch_sub(&t->count, 1);
}

/* @param copy  in any case, even if the file could be moved */
static int begin(struct item *it, struct fs_call *c, const struct fs_doomed *d, bool copy)
{
	int r = fs_cred_as(c->fs->gate.is_root, 0, 0, 077);

	memset(it, 0, sizeof(*it));
	it->c = c;
	it->d = d;
	snprintf(it->meta, sizeof(it->meta), "%s.meta", c->kept.token);
	snprintf(it->data, sizeof(it->data), "%s.data", c->kept.token);
	if (r == 0)
		r = fs_at_stat(d->dirfd, d->name, &it->st);
	if (r == 0)
		r = charge(it);
	if (r < 0)
		return r;
	r = write_meta(it);
	if (r == 0 && S_ISREG(it->st.st_mode) &&
	    (copy || it->st.st_nlink - fs_undo_links(c->fs, &it->st) > 1 || it->st.st_dev != c->fs->trash->dev))
		r = copy_file(it);
	if (r < 0)
		drop(it);
	return r;
}

static bool is_ours_alone(struct item *it, int fd)
{
	bool yes = fs_cred_as(it->c->fs->gate.is_root, it->st.st_uid, it->st.st_gid, 077) == 0 &&
		   fcntl(fd, F_SETLEASE, F_WRLCK) == 0;

	if (yes)
		fcntl(fd, F_SETLEASE, F_UNLCK);
	fs_cred_as(it->c->fs->gate.is_root, 0, 0, 077);
	return yes;
}

/* Leave the inode to those who have it open, and have its content. */
static int part_from(struct item *it, int fd)
{
	int dir = it->c->fs->trash->dir, r;
	char part[TRASH_TOKEN_LEN + 8];

	snprintf(part, sizeof(part), "%s.part", it->c->kept.token);
	r = copy_into(it, fd, part);
	if (r == 0 && renameat(dir, part, dir, it->data) < 0)
		r = -errno;
	return r;
}

/* One file system, but mounted twice: nothing can be moved from one mount to the other. */
static int copy_and_remove(struct item *it, int dirfd, const char *name)
{
	autoclose int fd = fs_at_open(dirfd, name, O_RDONLY, 0);
	int r = fd < 0 ? fd : copy_into(it, fd, it->data);

	if (r == 0 && unlinkat(dirfd, name, 0) < 0)
		r = -errno;
	return r;
}

/* Move the file dirfd/name into the store. @return 0 or -errno: it is where it was */
static int move_in(struct item *it, int dirfd, const char *name, bool *alone)
{
	int dir = it->c->fs->trash->dir, r = 0;
	autoclose int fd = -1;

	if (renameat2(dirfd, name, dir, it->data, RENAME_NOREPLACE) < 0 &&
	    (errno != EINVAL || renameat(dirfd, name, dir, it->data) < 0))
		return errno == EXDEV ? copy_and_remove(it, dirfd, name) : -errno;
	fd = openat(dir, it->data, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	*alone = fd >= 0 && is_ours_alone(it, fd);
	if (!*alone)
		r = fd < 0 ? -errno : part_from(it, fd);
	if (r < 0 && renameat2(dir, it->data, dirfd, name, RENAME_NOREPLACE) < 0)
		r = 0; /* better kept as it is than in neither place */
	return r;
}

/* ---- what goes ---- */

int fs_trash_unlink(struct fs_call *c, const struct fs_doomed *d, int flags, bool *alone)
{
	struct item it;
	int r = begin(&it, c, d, false);

	*alone = false;
	if (r < 0)
		return r;
	if (S_ISREG(it.st.st_mode) && !it.is_copied)
		r = flags & AT_REMOVEDIR ? -ENOTDIR : move_in(&it, d->dirfd, d->name, alone);
	else
		r = unlinkat(d->dirfd, d->name, flags) < 0 ? -errno : 0;
	if (r < 0)
		drop(&it);
	return r;
}

int fs_trash_copy(struct fs_call *c, const struct fs_doomed *d)
{
	struct item it;

	return begin(&it, c, d, true);
}

static bool same_file(int a, const char *a_name, const struct stat *b)
{
	struct stat st;

	return fs_at_stat(a, a_name, &st) == 0 && st.st_dev == b->st_dev && st.st_ino == b->st_ino;
}

int fs_trash_replace(struct fs_call *c, int from_dir, const char *from, const struct fs_doomed *d,
		     bool *alone)
{
	struct item it;
	int r = begin(&it, c, d, false);

	*alone = false;
	if (r < 0) /* when it is gone: the kernel looks again */
		return r == -ENOENT ? -ESTALE : r;
	if (same_file(from_dir, from, &it.st)) { /* two names of one file: both stay (rename(2)) */
		drop(&it);
		return 0;
	}
	if (S_ISREG(it.st.st_mode) && !it.is_copied &&
	    renameat2(from_dir, from, d->dirfd, d->name, RENAME_EXCHANGE) == 0) {
		/* in one instant, as rename(2) is; what was replaced stands under the old name */
		r = move_in(&it, from_dir, from, alone);
		if (r < 0)
			renameat2(from_dir, from, d->dirfd, d->name, RENAME_EXCHANGE);
	} else {
		if (S_ISREG(it.st.st_mode) && !it.is_copied)
			r = copy_file(&it);
		if (r == 0 && renameat(from_dir, from, d->dirfd, d->name) < 0)
			r = -errno;
	}
	if (r < 0)
		drop(&it);
	return r;
}

/* ---- content that is cut ---- */

int fs_trash_plan_cut(struct fs_call *c, off_t size)
{
	struct fs_where w;
	struct stat st;
	int r;

	if (!fs_trash_holds(c->fs, FILE_DELETE, c->path) ||
	    fs_node_where(c->fs->tree, c->node, &w) < 0)
		return 0;
	/* without a name of its own it was deleted, and kept then */
	r = w.self ? -ENOENT : fs_at_stat(w.at.fd, w.name, &st);
	if (r == 0 && S_ISREG(st.st_mode) && st.st_size > size && fs_node_is(c->node, &st)) {
		const struct fs_doomed d = {
			.dirfd = w.at.fd, .name = w.name, .path = c->path, .why = TRASH_TRUNCATE};

		fs_trash_plan(c, &d);
	}
	fs_node_unpin(c->fs->tree, &w.at);
	return 0;
}

int fs_trash_cut(struct fs_call *c)
{
	struct fs_doomed d = {.path = c->path, .why = TRASH_TRUNCATE};
	struct fs_where w;
	int r;

	if (!c->kept.token[0])
		return 0;
	r = fs_node_where(c->fs->tree, c->node, &w);
	if (r < 0)
		return r;
	d.dirfd = w.at.fd;
	d.name = w.name;
	r = w.self ? -ESTALE : fs_trash_copy(c, &d);
	fs_node_unpin(c->fs->tree, &w.at);
	return r;
}
