/*
 * Theory: nothing is remembered about a redirected name but that its node was made for the target
 * (fs_node_seen_elsewhere): where the target is follows from path and rule each time. The names
 * that this session made are kept in a list, because a listing of the governed tree does not have
 * them.
 */
#include "fsgate/fs_redirect.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/path.h"
#include "common/str.h"
#include "fsgate/fs_at.h"
#include "fsgate/fs_cred_setup.h"
#include "fsgate/fs_entry.h"

#define MADE_MAX 100000u

struct rule {
	uint32_t index; /* of the policy's file rule */
	int dir;
	char *file; /* in dir, when redirect_to is a file; else NULL */
	const char *shown; /* redirect_to, the policy's */
	bool preserve;
};

struct fs_redirects {
	struct rule *rules;
	size_t n;
	const char *workspace; /* borrowed */
	pthread_mutex_t lock;
	char **made; /* sandbox paths */
	size_t n_made;
};

/* Where a name leads. */
struct target {
	const struct rule *rule;
	char rel[PATH_MAX]; /* below rule->dir */
};

/* ---- set-up ---- */

/* The directory that path is in, one component after the other, without a link; made when missing. */
static int walk(int at, const char *rel, mode_t mode, const char **last)
{
	int dir = openat(at, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (const char *slash; dir >= 0 && (slash = strchr(rel, '/')); rel = slash + 1) {
		char part[NAME_MAX + 1];
		int next;

		if (slash - rel > NAME_MAX) {
			close(dir);
			return -ENAMETOOLONG;
		}
		memcpy(part, rel, (size_t)(slash - rel));
		part[slash - rel] = '\0';
		next = fs_at_open(dir, part, O_RDONLY | O_DIRECTORY, 0);
		if (next == -ENOENT && mode) {
			if (mkdirat(dir, part, mode) < 0 && errno != EEXIST)
				next = -errno;
			else
				next = fs_at_open(dir, part, O_RDONLY | O_DIRECTORY, 0);
		}
		close(dir);
		if (next < 0)
			return next;
		dir = next;
	}
	*last = rel;
	return dir < 0 ? -errno : dir;
}

static int open_target_dir(struct rule *r, const char *path)
{
	autoclose int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *last = "";
	autoclose int parent = root < 0 ? -errno : walk(root, path + 1, 0755, &last);
	struct stat st;

	if (parent < 0)
		return parent;
	if (!last[0]) { /* "/a/b/": what is before the slash */
		r->dir = steal_fd(&parent);
		return 0;
	}
	if (fs_at_stat(parent, last, &st) == 0 && S_ISREG(st.st_mode) && !r->preserve) {
		r->file = strdup(last);
		r->dir = steal_fd(&parent);
		return r->file ? 0 : -ENOMEM;
	}
	if (mkdirat(parent, last, 0755) < 0 && errno != EEXIST)
		return -errno;
	r->dir = fs_at_open(parent, last, O_RDONLY | O_DIRECTORY, 0);
	return r->dir < 0 ? r->dir : 0;
}

static int add_rule(struct fs *fs, uint32_t index, const char *to, bool preserve, struct err *e)
{
	struct fs_redirects *rs = fs->redirects;
	struct rule *more = realloc(rs->rules, (rs->n + 1) * sizeof(*more)), *r;
	int code;

	if (!more)
		return err_set(e, ENOMEM, "redirect_to %s", to);
	rs->rules = more;
	r = &more[rs->n];
	*r = (struct rule){.index = index, .dir = -1, .shown = to, .preserve = preserve};
	code = open_target_dir(r, to);
	if (code == -ELOOP || code == -ENOTDIR)
		return err_say(e, -code, "redirect_to %s leads through a symbolic link, or what is no "
			       "directory: name the real path", to);
	if (code < 0)
		return err_set(e, -code, "redirect_to %s", to);
	rs->n++;
	return 0;
}

int fs_redirect_open(struct fs *fs, struct err *e)
{
	const struct policy *p = fs->gate.policy;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < policy_count_rules(p, POLICY_FILE); i++) {
		bool preserve;
		const char *to = policy_file_redirect(p, i, &preserve);

		if (!to)
			continue;
		if (!fs->redirects) {
			fs->redirects = calloc(1, sizeof(*fs->redirects));
			if (!fs->redirects)
				return err_set(e, ENOMEM, "redirects");
			pthread_mutex_init(&fs->redirects->lock, NULL);
			fs->redirects->workspace = gate_conf(&fs->gate, "workspace");
		}
		r = add_rule(fs, i, to, preserve, e);
	}
	return r;
}

int fs_redirect_dir(const struct fs *fs, size_t n, const char **file)
{
	const struct fs_redirects *rs = fs->redirects;

	if (!rs || n >= rs->n)
		return -1;
	*file = rs->rules[n].file;
	return rs->rules[n].dir;
}

void fs_redirect_close(struct fs *fs)
{
	struct fs_redirects *rs = fs->redirects;

	for (size_t i = 0; rs && i < rs->n; i++) {
		close(rs->rules[i].dir);
		free(rs->rules[i].file);
	}
	for (size_t i = 0; rs && i < rs->n_made; i++)
		free(rs->made[i]);
	if (rs) {
		pthread_mutex_destroy(&rs->lock);
		free(rs->made);
		free(rs->rules);
	}
	free(rs);
	fs->redirects = NULL;
}

/* ---- from a name to its target ---- */

static const struct rule *rule_of(const struct fs *fs, const char *path)
{
	static const enum file_op ops[] = {FILE_WRITE, FILE_CREATE, FILE_MKDIR};
	const struct fs_redirects *rs = fs->redirects;

	for (size_t i = 0; rs && i < ARRAY_LEN(ops); i++) {
		const struct policy_request r = {.kind = POLICY_FILE, .file = {path, ops[i]}};
		struct decision d;

		policy_decide(&d, fs->gate.policy, &r);
		for (size_t j = 0; d.verdict == VERDICT_REDIRECT && j < rs->n; j++)
			if (rs->rules[j].index == d.rule_index)
				return &rs->rules[j];
	}
	return NULL;
}

static bool find(const struct fs *fs, const char *path, struct target *t)
{
	const char *workspace = fs->redirects ? fs->redirects->workspace : NULL;
	const char *rel = path + 1;

	t->rule = rule_of(fs, path);
	if (!t->rule)
		return false;
	if (t->rule->file)
		rel = t->rule->file;
	else if (!t->rule->preserve)
		rel = path_base(path);
	else if (workspace && path_is_below(path, workspace) && strcmp(workspace, "/") != 0)
		rel = path + strlen(workspace) + 1;
	return rel[0] && snprintf(t->rel, sizeof(t->rel), "%s", rel) < (int)sizeof(t->rel);
}

/* What the record says: the host's name of it. */
static void show(const struct target *t, char *buf, size_t size)
{
	struct str s;

	str_init(&s, buf, size);
	str_add(&s, t->rule->shown);
	if (!t->rule->file && t->rule->shown[strlen(t->rule->shown) - 1] != '/')
		str_add(&s, "/");
	if (!t->rule->file)
		str_add(&s, t->rel);
}

static int open_target(const struct target *t, struct stat *st)
{
	int fd = fs_at_open(t->rule->dir, t->rel, O_PATH, 0);

	if (fd == -ENOTDIR) /* a file where a directory would have to be: no target there */
		return -ENOENT;
	if (fd < 0)
		return fd;
	if (fstat(fd, st) == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)))
		return fd;
	close(fd);
	return -ELOOP; /* a link, a device: nothing that we have put there */
}

static bool has_target(const struct fs *fs, const char *path)
{
	struct target t;
	struct stat st;
	int fd = find(fs, path, &t) ? open_target(&t, &st) : -ENOENT;

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Two directories' names may lead to one target: a file must not stand for a directory that is here. */
static bool covers_directory(struct fs *fs, struct fs_node *dir, const char *name)
{
	struct fs_pin pin;
	struct stat st;
	bool yes = false;

	if (fs_node_pin(fs->tree, dir, &pin) == 0) {
		yes = fs_at_stat(pin.fd, name, &st) == 0 && S_ISDIR(st.st_mode);
		fs_node_unpin(fs->tree, &pin);
	}
	return yes;
}

int fs_redirect_see(struct fs *fs, struct fs_node *dir, const char *name, struct stat *st)
{
	char path[PATH_MAX];
	struct target t;
	int fd;

	if (fs_node_path(fs->tree, dir, name, path, sizeof(path)) < 0 || !find(fs, path, &t))
		return -ENOENT;
	fd = open_target(&t, st);
	if (fd >= 0 && !S_ISDIR(st->st_mode) && covers_directory(fs, dir, name)) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

/* ---- names that the governed tree does not have ---- */

static void remember(struct fs_redirects *rs, const char *path)
{
	bool known = false;

	pthread_mutex_lock(&rs->lock);
	for (size_t i = 0; !known && i < rs->n_made; i++)
		known = strcmp(rs->made[i], path) == 0;
	if (!known && rs->n_made < MADE_MAX) {
		char **more = rs->made;

		if ((rs->n_made & (rs->n_made - 1)) == 0)
			more = realloc(rs->made, (rs->n_made ? 2 * rs->n_made : 1) * sizeof(*more));
		if (more) {
			rs->made = more;
			more[rs->n_made] = strdup(path);
			rs->n_made += more[rs->n_made] != NULL;
		}
	}
	pthread_mutex_unlock(&rs->lock);
}

const char *fs_redirect_in(struct fs *fs, const char *dir, size_t n, char *buf)
{
	struct fs_redirects *rs = fs->redirects;
	const char *found = NULL;

	pthread_mutex_lock(&rs->lock);
	for (size_t i = 0; !found && i < rs->n_made; i++) {
		const char *base = path_base(rs->made[i]);
		size_t len = (size_t)(base - rs->made[i]) - 1;

		if (strlen(dir) != (len ? len : 1) || strncmp(dir, rs->made[i], len) != 0)
			continue;
		if (n-- == 0) {
			snprintf(buf, NAME_MAX + 1, "%s", base);
			found = buf;
		}
	}
	pthread_mutex_unlock(&rs->lock);
	return found;
}

/* ---- making targets ---- */

static int as_caller(struct fs_call *c)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(c->req);

	return fs_cred_as(c->fs->gate.is_root, ctx->uid, ctx->gid, ctx->umask);
}

/* The directory of the target, its parents made. @return descriptor or -errno */
static int target_dir(struct fs_call *c, const struct target *t, const char **last)
{
	int r = as_caller(c);

	return r < 0 ? r : walk(t->rule->dir, t->rel, 0777, last);
}

int fs_redirect_make(struct fs_call *c, int flags)
{
	struct target t;
	const char *last;
	int dir, fd;

	if (!find(c->fs, c->path, &t))
		return -EACCES;
	dir = target_dir(c, &t, &last);
	if (dir < 0)
		return dir;
	fd = fs_at_open(dir, last, flags | O_CREAT | O_EXCL, c->mode);
	close(dir);
	if (fd >= 0)
		remember(c->fs->redirects, c->path);
	return fd;
}

int fs_redirect_mkdir(struct fs_call *c)
{
	struct target t;
	const char *last;
	int dir, r;

	if (!find(c->fs, c->path, &t) || !t.rule->preserve)
		return -EACCES;
	dir = target_dir(c, &t, &last);
	if (dir < 0)
		return dir;
	r = mkdirat(dir, last, c->mode & 01777) < 0 ? -errno : 0;
	close(dir);
	if (r == 0)
		remember(c->fs->redirects, c->path);
	return r;
}

int fs_redirect_entry(struct fs_call *c)
{
	return fs_entry_see(c->fs, c->node, c->name, &c->entry);
}

static int copy_from(struct fs_call *c, int to)
{
	struct fs_pin pin;
	struct stat st;
	int from, r = fs_node_pin(c->fs->tree, c->node, &pin);

	if (r < 0)
		return r;
	from = fs_at_reopen(pin.fd, O_RDONLY);
	fs_node_unpin(c->fs->tree, &pin);
	if (from < 0)
		return from;
	r = fstat(from, &st) < 0 ? -errno : 0;
	if (r == 0 && !(c->has_fi && c->fi.flags & O_TRUNC))
		r = trash_copy_data(from, to);
	if (r == 0)
		r = trash_copy_attr(from, to, &st);
	close(from);
	return r;
}

/* What the governed tree has becomes the target's first content, complete before it has its name. */
static int copy_up(struct fs_call *c, const struct target *t)
{
	char part[64];
	const char *last;
	int dir, fd, r;

	if (fs_node_type(c->node) != S_IFREG)
		return -EACCES;
	dir = target_dir(c, t, &last);
	if (dir < 0)
		return dir;
	snprintf(part, sizeof(part), ".agentsh-copy.%p", (void *)c->node);
	fd = fs_at_open(dir, part, O_RDWR | O_CREAT | O_EXCL, 0600);
	r = fd < 0 ? fd : copy_from(c, fd);
	if (fd >= 0)
		close(fd);
	if (r == 0 && renameat2(dir, part, dir, last, RENAME_NOREPLACE) < 0 && errno != EEXIST)
		r = -errno;
	if (fd >= 0)
		unlinkat(dir, part, 0); /* only there when it did not get its name */
	close(dir);
	return r;
}

/* ---- may it be done ---- */

static int refuse(struct fs_call *c, int error, const char *message)
{
	const enum file_op op = c->answer.op;

	fs_decide_refuse(&c->answer, op, c->path, "fsgate-redirect", message);
	c->answer.error = error;
	return -error;
}

static int before_node(struct fs_call *c)
{
	struct target t;
	int r;

	if (!find(c->fs, c->path, &t))
		return refuse(c, EACCES, "only creating and writing can be redirected");
	if (!c->to[0])
		show(&t, c->to, sizeof(c->to));
	if (fs_node_is_elsewhere(c->node))
		return 0;
	c->op = "copy_up";
	r = fs_call_record(c, 0);
	if (r == 0)
		r = copy_up(c, &t);
	return r < 0 ? refuse(c, -r, "the file cannot be copied to where it is redirected")
		     : -ESTALE;
}

int fs_redirect_before(struct fs_call *c)
{
	struct target t;

	switch (c->kind->steer) {
	case FS_STEER_NODE:
		return before_node(c);
	case FS_STEER_NAME:
		if (c->node2 && c->steered)
			return 0;
		if (c->node2)
			return refuse(c, EXDEV, "the rule redirects changes: copy the file");
		if (!find(c->fs, c->path, &t))
			return refuse(c, EACCES, "only creating and writing can be redirected");
		if (!c->to[0])
			show(&t, c->to, sizeof(c->to));
		return 0;
	case FS_STEER_NEVER:
		break;
	}
	return refuse(c, EACCES, "this cannot be done with a redirected name");
}

/* ---- names that go or change ---- */

static bool is_elsewhere(struct fs_call *c, struct fs_node *dir, const char *name)
{
	struct fs_node *n = fs_node_find(c->fs->tree, dir, name);
	bool yes = n && fs_node_is_elsewhere(n);

	fs_node_put(c->fs->tree, n);
	return yes;
}

static bool is_below(struct fs_call *c, struct fs_node *dir, const char *name)
{
	struct fs_pin pin;
	struct stat st;
	bool yes = true;

	if (fs_node_is_elsewhere(dir)) /* its entries are the target's */
		return false;
	if (fs_node_pin(c->fs->tree, dir, &pin) == 0) {
		yes = fs_at_stat(pin.fd, name, &st) != -ENOENT;
		fs_node_unpin(c->fs->tree, &pin);
	}
	return yes;
}

void fs_redirect_judge_gone(struct fs_call *c, enum file_op op)
{
	if (!c->fs->redirects || c->answer.effect == FS_DENY || c->answer.effect == FS_HIDE)
		return;
	if (!is_elsewhere(c, c->node, c->name)) {
		if (c->answer.redirect)
			refuse(c, EACCES, "the rule redirects changes: what was there before them "
					  "stays");
		return;
	}
	c->steered = true;
	if (c->answer.effect == FS_KEEP)
		refuse(c, EACCES, "a redirected file cannot be kept in the trash");
	else if (is_below(c, c->node, c->name))
		refuse(c, EACCES, "the rule redirects changes: the file that was there before them "
				  "stays");
	c->answer.op = op;
}

int fs_redirect_unlink(struct fs_call *c, int flags)
{
	struct target t;
	const char *last;
	int dir, r;

	if (!find(c->fs, c->path, &t))
		return -EACCES;
	dir = walk(t.rule->dir, t.rel, 0, &last);
	if (dir < 0)
		return dir;
	r = unlinkat(dir, last, flags) < 0 ? -errno : 0;
	close(dir);
	return r;
}

bool fs_redirect_judge_pair(struct fs_call *c, const struct fs_move *m, bool from_is_steered)
{
	struct fs_move move = *m;
	const struct rule *a, *b;

	if (!c->fs->redirects)
		return false;
	a = from_is_steered ? rule_of(c->fs, c->path) : NULL;
	b = rule_of(c->fs, c->to);
	if (!from_is_steered && !b)
		return false;
	move.replaces = has_target(c->fs, c->to);
	fs_decide_move(&c->answer, c->fs->gate.policy, &move);
	if (c->answer.effect == FS_DENY || c->answer.effect == FS_HIDE)
		return true;
	if (m->op == FILE_RENAME && a && a == b && !a->file && !(c->flags & RENAME_EXCHANGE)) {
		c->steered = true;
		return true;
	}
	refuse(c, EXDEV, "one of the names is redirected to another place: copy the file");
	return true;
}

int fs_redirect_rename(struct fs_call *c)
{
	struct target a, b;
	const char *from, *to;
	autoclose int x = -1, y = -1;

	if (!find(c->fs, c->path, &a) || !find(c->fs, c->to, &b))
		return -EACCES;
	x = walk(a.rule->dir, a.rel, 0, &from);
	y = x < 0 ? x : target_dir(c, &b, &to);
	if (y < 0)
		return y;
	if (renameat2(x, from, y, to, (unsigned)c->flags) < 0)
		return -errno;
	remember(c->fs->redirects, c->to);
	return 0;
}
