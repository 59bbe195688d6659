#include "fsgate/fs_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsgate/fs_at.h"
#include "fsgate/fs_conf.h"
#include "fsgate/fs_trash.h"
#include "fsgate/fs_undo.h"

#define MOVE_BUDGET 200000u
#define LINKS_BUDGET 100000u
#define DEPTH_MAX 256u

struct walk {
	size_t *budget;
	fs_walk_fn *fn;
	void *arg;
	dev_t dev;
	unsigned depth;
	bool lenient; /* what cannot be entered is left out */
	char path[PATH_MAX];
};

static int visit_dir(struct walk *w, int fd, size_t len);

static unsigned char type_of(int dirfd, const struct dirent *de)
{
	struct stat st;

	if (de->d_type != DT_UNKNOWN)
		return de->d_type;
	return fs_at_stat(dirfd, de->d_name, &st) < 0 ? DT_UNKNOWN : IFTODT(st.st_mode);
}

static int descend(struct walk *w, int dirfd, const char *name, size_t len)
{
	int fd = fs_at_open(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	struct stat st;

	if (fd < 0) /* it went away meanwhile */
		return fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR ? 0 : fd;
	if (fstat(fd, &st) == 0 && st.st_dev == w->dev)
		return visit_dir(w, fd, len);
	close(fd);
	return 0;
}

/* 1: the visitor has seen enough */
static int visit(struct walk *w, int dirfd, const struct dirent *de, size_t len)
{
	size_t name_len = strlen(de->d_name);
	unsigned char type = type_of(dirfd, de);
	int r;

	if (len + 1 + name_len >= sizeof(w->path))
		return -E2BIG;
	if (*w->budget == 0)
		return -E2BIG;
	--*w->budget;
	w->path[len] = '/';
	memcpy(w->path + len + 1, de->d_name, name_len + 1);
	switch (w->fn(w->arg, w->path, type, de->d_ino)) {
	case FS_STEP_END:
		return 1;
	case FS_STEP_OVER:
		return 0;
	case FS_STEP_ON:
		break;
	}
	if (type != DT_DIR)
		return 0;
	r = descend(w, dirfd, de->d_name, len + 1 + name_len);
	return r < 0 && w->lenient ? 0 : r;
}

static int visit_dir(struct walk *w, int fd, size_t len)
{
	DIR *d = w->depth < DEPTH_MAX ? fdopendir(fd) : NULL;
	struct dirent *de;
	int r = 0;

	if (!d) {
		close(fd);
		return -E2BIG;
	}
	w->depth++;
	while (r == 0 && (de = readdir(d)))
		if (fs_at_is_name(de->d_name))
			r = visit(w, dirfd(d), de, len);
	w->depth--;
	closedir(d);
	return r;
}

static int begin(struct walk *w, int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		close(fd);
		return -EIO;
	}
	w->dev = st.st_dev;
	r = visit_dir(w, fd, 0);
	return r > 0 ? 0 : r;
}

int fs_walk(int dirfd, size_t *budget, fs_walk_fn *fn, void *arg)
{
	struct walk w = {.budget = budget, .fn = fn, .arg = arg};

	return begin(&w, dirfd);
}

/* ---- moves of directories ---- */

struct moving {
	struct fs_call *c;
	const char *from, *to;
	bool too_long;
};

static enum fs_step judge_move(void *arg, const char *path, unsigned char type, ino_t ino)
{
	struct moving *m = arg;
	const struct policy *p = m->c->fs->gate.policy;
	char from[PATH_MAX], to[PATH_MAX];
	const struct fs_move move = {.from = from, .to = to, .op = FILE_RENAME};
	struct fs_answer one;

	(void)ino;
	if (snprintf(from, sizeof(from), "%s%s", m->from, path) >= (int)sizeof(from) ||
	    snprintf(to, sizeof(to), "%s%s", m->to, path) >= (int)sizeof(to)) {
		m->too_long = true;
		return FS_STEP_END;
	}
	fs_decide_move(&one, p, &move);
	if (type != DT_DIR && fs_trash_leaves(m->c->fs, from, to)) {
		fs_decide_refuse(&one, FILE_RENAME, from, "fsgate-keep",
				 "what is deleted in the directory is kept: copy it, and delete "
				 "the original");
		one.error = EXDEV; /* mv(1) then does just that */
	}
	/* "mv clone other": its .git goes along, and is as protected there */
	if (one.effect == FS_DENY && !one.error && fs_decide_same(p, from, to))
		one.effect = FS_ALLOW;
	if (one.effect != FS_ALLOW) {
		snprintf(m->c->because, sizeof(m->c->because), "%s", one.path);
		one.path = m->c->because;
	}
	fs_decide_merge(&m->c->answer, &one);
	if (m->c->answer.effect == FS_DENY || m->c->answer.effect == FS_HIDE)
		return FS_STEP_END;
	if (type == DT_DIR && policy_subtree(p, from) == SUBTREE_ALLOWED &&
	    policy_subtree(p, to) == SUBTREE_ALLOWED)
		return FS_STEP_OVER;
	return FS_STEP_ON;
}

static void refuse_move(struct fs_call *c, const char *why)
{
	struct fs_answer no;

	fs_decide_refuse(&no, FILE_RENAME, c->path, "fsgate-move", why);
	fs_decide_merge(&c->answer, &no);
}

void fs_walk_move(struct fs_call *c, int fd, const char *from, const char *to)
{
	struct moving m = {.c = c, .from = from, .to = to};
	const struct policy *p = c->fs->gate.policy;
	size_t budget = MOVE_BUDGET;

	if (fs_conf_holds_hidden(c->fs, fd))
		refuse_move(c, "something below the directory must stay where it is");
	else if (policy_subtree(p, from) == SUBTREE_ALLOWED &&
		 policy_subtree(p, to) == SUBTREE_ALLOWED)
		return;
	else if (fs_walk(fd, &budget, judge_move, &m) < 0 || m.too_long)
		refuse_move(c, "the directory is too large to check every name in it: "
			       "move its parts");
}

/* ---- hard links ---- */

struct links {
	struct fs *fs;
	const char *root; /* sandbox path of the walked root */
	dev_t dev;
	ino_t ino;
	nlink_t found;
	nlink_t wanted;
};

static enum fs_step count_link(void *arg, const char *path, unsigned char type, ino_t ino)
{
	struct links *l = arg;
	char full[PATH_MAX];
	const struct fs_question q = {.op = FILE_WRITE, .path = full};
	struct fs_answer a;

	/* a root inside another one is walked by itself: its names must not count twice */
	if (type == DT_DIR)
		return fs_tree_is_root(l->fs->tree, l->dev, ino) ? FS_STEP_OVER : FS_STEP_ON;
	if (type != DT_REG || ino != l->ino)
		return FS_STEP_ON;
	if (snprintf(full, sizeof(full), "%s%s", l->root, path) >= (int)sizeof(full))
		return FS_STEP_ON;
	fs_decide(&a, l->fs->gate.policy, &q, 1);
	if (a.effect == FS_ALLOW || a.effect == FS_RECORD)
		l->found++;
	return l->found < l->wanted ? FS_STEP_ON : FS_STEP_END;
}

static bool links_inside(struct fs *fs, struct fs_node *n, const struct stat *st)
{
	struct links l = {
		.fs = fs,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.wanted = st->st_nlink,
	};
	size_t budget = LINKS_BUDGET;
	/* a name that is not found is a name outside: what cannot be looked into does no harm */
	struct walk w = {.budget = &budget, .fn = count_link, .arg = &l, .lenient = true};
	const char *name;

	if (fs_node_fact(fs->tree, n, FS_LINKS_INSIDE, st->st_nlink))
		return true;
	for (unsigned i = 0; l.found < l.wanted && (name = fs_tree_root_name(fs->tree, i)); i++) {
		struct fs_node *root = fs_node_find(fs->tree, fs_tree_top(fs->tree), name);
		char path[PATH_MAX];
		struct fs_pin pin;

		if (!root)
			continue;
		if (fs_node_type(root) == S_IFDIR && fs_node_dev(root) == st->st_dev &&
		    fs_node_path(fs->tree, root, NULL, path, sizeof(path)) == 0 &&
		    fs_node_pin(fs->tree, root, &pin) == 0) {
			l.root = strcmp(path, "/") == 0 ? "" : path;
			begin(&w, pin.fd);
			fs_node_unpin(fs->tree, &pin);
		}
		fs_node_put(fs->tree, root);
	}
	if (l.found < l.wanted)
		return false;
	fs_node_set_fact(fs->tree, n, FS_LINKS_INSIDE, st->st_nlink);
	return true;
}

bool fs_walk_refuse_links(struct fs_call *c, const struct stat *st)
{
	struct stat seen = *st;

	seen.st_nlink -= fs_undo_links(c->fs, st);
	st = &seen;
	if (st->st_nlink < 2 || !S_ISREG(st->st_mode) || c->answer.effect != FS_ALLOW)
		return false;
	if (links_inside(c->fs, c->node, st))
		return false;
	fs_decide_refuse(&c->answer, FILE_WRITE, c->path, "fsgate-hard-link",
			 "the file has another name outside of what may be written; "
			 "write a copy and rename it over this one");
	return true;
}
