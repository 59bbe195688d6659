/*
 * Theory: nothing is remembered about a redirected name but that its node was made for the target
 * (fs_node_seen_elsewhere): where the target is follows from path and rule each time. The names
 * that this session made are kept in a list, because a listing of the governed tree does not have
 * them.
 */
#include "fsgate/fs_redirect_i.h"

#include <dirent.h>
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

#define MADE_MAX 100000u

/* Sandbox paths, each once. */
struct list {
	char **paths;
	size_t n;
};

struct fs_redirects {
	struct fs_redirect_rule *rules;
	size_t n;
	const char *workspace; /* borrowed */
	pthread_mutex_t lock;
	struct list made;    /* names that are only at their target */
	struct list scanned; /* directories whose names of earlier sessions are among them */
};

static void list_free(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->paths[i]);
	free(l->paths);
}

/* @return whether it is new */
static bool list_add(struct list *l, const char *path)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->paths[i], path) == 0)
			return false;
	if (l->n == MADE_MAX)
		return false;
	if ((l->n & (l->n - 1)) == 0) { /* full at powers of two */
		char **more = realloc(l->paths, (l->n ? 2 * l->n : 1) * sizeof(*more));

		if (!more)
			return false;
		l->paths = more;
	}
	l->paths[l->n] = strdup(path);
	l->n += l->paths[l->n] != NULL;
	return true;
}

/* ---- set-up ---- */

/* Component by component: nothing of the path may be a link. */
int fs_redirect_i_walk(int at, const char *rel, mode_t mode, const char **last)
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

static int open_target_dir(struct fs_redirect_rule *r, const char *path)
{
	autoclose int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *last = "";
	autoclose int parent = root < 0 ? -errno : fs_redirect_i_walk(root, path + 1, 0755, &last);
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
	struct fs_redirect_rule *more = realloc(rs->rules, (rs->n + 1) * sizeof(*more)), *r;
	int code;

	if (!more)
		return err_set(e, ENOMEM, "redirect_to %s", to);
	rs->rules = more;
	r = &more[rs->n];
	*r = (struct fs_redirect_rule){
		.index = index, .dir = -1, .shown = to, .preserve = preserve};
	code = open_target_dir(r, to);
	if (code == -ELOOP || code == -ENOTDIR)
		return err_say(e, -code,
			       "redirect_to %s leads through a symbolic link, or what is no "
			       "directory: name the real path",
			       to);
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
	if (rs) {
		pthread_mutex_destroy(&rs->lock);
		list_free(&rs->made);
		list_free(&rs->scanned);
		free(rs->rules);
	}
	free(rs);
	fs->redirects = NULL;
}

/* ---- from a name to its target ---- */

const struct fs_redirect_rule *fs_redirect_i_rule(const struct fs *fs, const char *path)
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

/* The path relative to the workspace, or the absolute one without its first slash. */
static const char *relative(const struct fs *fs, const char *path)
{
	const char *workspace = fs->redirects->workspace;
	size_t len = workspace ? strlen(workspace) : 0;

	if (len > 1 && strcmp(path, workspace) == 0)
		return "";
	return len > 1 && path_is_below(path, workspace) ? path + len + 1 : path + 1;
}

bool fs_redirect_i_find(const struct fs *fs, const char *path, struct fs_redirect_target *t)
{
	const char *rel;

	t->rule = fs_redirect_i_rule(fs, path);
	if (!t->rule)
		return false;
	if (t->rule->file)
		rel = t->rule->file;
	else
		rel = t->rule->preserve ? relative(fs, path) : path_base(path);
	return rel[0] && snprintf(t->rel, sizeof(t->rel), "%s", rel) < (int)sizeof(t->rel);
}

/* What the record says: the host's name of it. */
void fs_redirect_i_show(const struct fs_redirect_target *t, char *buf, size_t size)
{
	struct str s;

	str_init(&s, buf, size);
	str_add(&s, t->rule->shown);
	if (!t->rule->file && t->rule->shown[strlen(t->rule->shown) - 1] != '/')
		str_add(&s, "/");
	if (!t->rule->file)
		str_add(&s, t->rel);
}

static int open_target(const struct fs_redirect_target *t, struct stat *st)
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

bool fs_redirect_i_has(const struct fs *fs, const char *path)
{
	struct fs_redirect_target t;
	struct stat st;
	int fd = fs_redirect_i_find(fs, path, &t) ? open_target(&t, &st) : -ENOENT;

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Two names may lead to one target: its file must not stand for a directory that is here. */
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
	struct fs_redirect_target t;
	int fd;

	if (fs_node_path(fs->tree, dir, name, path, sizeof(path)) < 0 ||
	    !fs_redirect_i_find(fs, path, &t))
		return -ENOENT;
	fd = open_target(&t, st);
	if (fd >= 0 && !S_ISDIR(st->st_mode) && covers_directory(fs, dir, name)) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

/* ---- names that the governed tree does not have ---- */

void fs_redirect_i_remember(struct fs *fs, const char *path)
{
	struct fs_redirects *rs = fs->redirects;

	pthread_mutex_lock(&rs->lock);
	list_add(&rs->made, path);
	pthread_mutex_unlock(&rs->lock);
}

/* What earlier sessions made: with preserve_tree the target's directory has the same names. */
static void scan(struct fs *fs, const struct fs_redirect_rule *rule, const char *dir)
{
	const char *rel = relative(fs, dir);
	const struct dirent *de;
	char path[PATH_MAX];
	struct fs_redirect_target t;
	DIR *d;
	int fd;

	fd = fs_at_open(rule->dir, rel[0] ? rel : ".", O_RDONLY | O_DIRECTORY, 0);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d && fd >= 0)
		close(fd);
	while (d && (de = readdir(d)))
		if (fs_at_is_name(de->d_name) &&
		    path_join(path, sizeof(path), dir, de->d_name) == 0 &&
		    fs_redirect_i_find(fs, path, &t) && t.rule == rule)
			fs_redirect_i_remember(fs, path);
	if (d)
		closedir(d);
}

static void scan_once(struct fs *fs, const char *dir)
{
	struct fs_redirects *rs = fs->redirects;
	bool is_new;

	pthread_mutex_lock(&rs->lock);
	is_new = list_add(&rs->scanned, dir);
	pthread_mutex_unlock(&rs->lock);
	for (size_t i = 0; is_new && i < rs->n; i++)
		if (rs->rules[i].preserve)
			scan(fs, &rs->rules[i], dir);
}

const char *fs_redirect_in(struct fs *fs, const char *dir, size_t n, char *buf)
{
	struct fs_redirects *rs = fs->redirects;
	const char *found = NULL;

	if (n == 0)
		scan_once(fs, dir);
	pthread_mutex_lock(&rs->lock);
	for (size_t i = 0; !found && i < rs->made.n; i++) {
		const char *path = rs->made.paths[i], *base = path_base(path);
		size_t len = (size_t)(base - path) - 1;

		if (strlen(dir) != (len ? len : 1) || strncmp(dir, path, len) != 0)
			continue;
		if (n-- == 0) {
			snprintf(buf, NAME_MAX + 1, "%s", base);
			found = buf;
		}
	}
	pthread_mutex_unlock(&rs->lock);
	return found;
}
