#include "agentsh/plan.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentsh/plan_i.h"
#include "common/gate.h"
#include "common/path.h"
#include "common/str.h"

/*
 * Trees of installed software. Only these may be plain binds: a read-only mount does not stop
 * connect(2) to a socket in it, and other trees (/var, homes) are where services put theirs; through
 * fsgate such a socket cannot be reached. With split, one with an exception or a service's socket
 * somewhere keeps its unaffected subdirectories as binds, so that programs still start at full speed.
 */
static const struct {
	const char *path;
	bool split;
} system_trees[] = {
	{"/usr", true},	   {"/bin", false},   {"/sbin", false},	  {"/lib", false},
	{"/lib32", false}, {"/lib64", false}, {"/libx32", false}, {"/etc", false},
	{"/opt", true},	   {"/nix", true},    {"/gnu", true},	  {"/boot", false},
};

static const char *const private_trees[] = {"/tmp", "/var/tmp", "/dev/shm", "/run"};

int plan_add(struct plan *p, enum plan_kind kind, const char *path, const char *host, struct err *e)
{
	struct plan_entry *bigger = realloc(p->entries, (p->n_entries + 1) * sizeof(*bigger));
	struct plan_entry *entry;

	if (!bigger)
		return err_set(e, ENOMEM, "plan the sandbox's file tree");
	p->entries = bigger;
	entry = &bigger[p->n_entries];
	memset(entry, 0, sizeof(*entry));
	entry->kind = kind;
	entry->path = strdup(path);
	entry->host = host ? strdup(host) : NULL;
	p->n_entries++;
	if (!entry->path || (host && !entry->host))
		return err_set(e, ENOMEM, "plan the sandbox's file tree");
	return 0;
}

int plan_why(struct plan *p, int r, const char *why)
{
	if (r == 0)
		p->entries[p->n_entries - 1].why = why;
	return r;
}

const struct plan_entry *plan_covering(const struct plan *p, const char *path)
{
	const struct plan_entry *best = NULL;

	for (size_t i = 0; i < p->n_entries; i++) {
		const struct plan_entry *entry = &p->entries[i];

		if (path_is_below(path, entry->path) &&
		    (!best || strlen(entry->path) > strlen(best->path)))
			best = entry;
	}
	return best;
}

bool plan_is_bind(const struct plan *p, const char *path)
{
	const struct plan_entry *in = plan_covering(p, path);

	return in && in->kind == PLAN_BIND;
}

static int system_tree(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(system_trees); i++)
		if (path_is_below(path, system_trees[i].path))
			return (int)i;
	return -1;
}

bool plan_is_software(const char *path)
{
	return system_tree(path) >= 0;
}

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int add_bind(struct plan_build *b, const char *path, struct err *e)
{
	int r = plan_why(b->plan, plan_add(b->plan, PLAN_BIND, path, path, e),
			 "all of it may be read, nothing changed, and nothing of that is recorded");

	for (size_t i = 0; r == 0 && b->args->forbidden && b->args->forbidden[i]; i++)
		if (path_is_below(b->args->forbidden[i], path) && is_dir(b->args->forbidden[i]))
			r = plan_why(b->plan,
				     plan_add(b->plan, PLAN_MASK, b->args->forbidden[i], NULL, e),
				     "agentsh's own");
	return r;
}

/*
 * What the policy says about a tree, without those in it that are mounted on their own: the workspace
 * always is where its surroundings are not governed, and a home in a private tree.
 */
static enum policy_subtree subtree(const struct plan_build *b, const char *path)
{
	const char *except[PLAN_MOUNTS_MAX + 3] = {NULL};
	size_t n = 0;

	if (strcmp(path, b->ws_path) != 0)
		except[n++] = b->ws_path;
	for (size_t i = 0; i < b->args->n_mounts && i < PLAN_MOUNTS_MAX; i++)
		if (strcmp(path, b->args->mounts[i].at) != 0)
			except[n++] = b->args->mounts[i].at;
	if (b->home && plan_is_private(path) && strcmp(path, b->home) != 0 &&
	    plan_covering(b->plan, b->home))
		except[n++] = b->home;
	return policy_subtree_except(b->args->policy, path, except);
}

/* The read-only children of a governed tree of installed software. */
static int split(struct plan_build *b, const char *root, struct err *e)
{
	DIR *d = opendir(root);
	struct dirent *entry;
	int r = 0;

	while (d && r == 0 && (entry = readdir(d))) {
		char path[PATH_MAX];
		struct stat st;

		if (entry->d_name[0] == '.' || path_join(path, sizeof(path), root, entry->d_name) < 0)
			continue;
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
		    subtree(b, path) == SUBTREE_READ_ONLY && !plan_has_socket(b, path))
			r = add_bind(b, path, e);
	}
	if (d)
		closedir(d);
	return r;
}

/* Why fsgate has to answer for a tree. */
static const char *reason(const struct plan_build *b, const char *path, enum policy_subtree s)
{
	switch (s) {
	case SUBTREE_READ_ONLY:
		if (b->args->govern_reads)
			return "read-only, and what is read is to be recorded";
		return plan_has_socket(b, path) ? "read-only, but a service of the host listens in it"
						: "read-only, but a place where services may listen";
	case SUBTREE_ALLOWED:
		return "may be changed";
	case SUBTREE_MIXED:
	case SUBTREE_DENIED:
		break;
	}
	return "the policy tells its files apart, or wants records";
}

static int add_tree(struct plan_build *b, const char *root, struct err *e)
{
	enum policy_subtree s = subtree(b, root);
	int system = system_tree(root);
	int r;

	if (s == SUBTREE_DENIED)
		return 0;
	if (s == SUBTREE_READ_ONLY && system >= 0 && !b->args->govern_reads && !plan_has_socket(b, root))
		return add_bind(b, root, e);
	r = plan_why(b->plan, plan_add(b->plan, PLAN_GOVERNED, root, root, e), reason(b, root, s));
	if (r == 0 && system >= 0 && system_trees[system].split && !b->args->govern_reads)
		r = split(b, root, e);
	return r;
}

static int add_private(struct plan_build *b, const char *path, struct err *e)
{
	const struct plan_entry *in = plan_covering(b->plan, path);
	char host[PATH_MAX];
	int r;

	if (in && !is_dir(path))
		return 0;
	switch (subtree(b, path)) {
	case SUBTREE_ALLOWED:
		return plan_why(b->plan, plan_add(b->plan, PLAN_TMPFS, path, NULL, e),
				"the session's own, everything is allowed");
	case SUBTREE_MIXED:
		r = plan_private_dir(host, sizeof(host), b->args, path, e);
		if (r == 0)
			r = plan_add(b->plan, PLAN_GOVERNED, path, host, e);
		return plan_why(b->plan, r, "the session's own, the policy tells its files apart");
	case SUBTREE_READ_ONLY:
		return in ? plan_why(b->plan, plan_add(b->plan, PLAN_MASK, path, NULL, e),
				     "nothing of the host's is shown here")
			  : 0;
	case SUBTREE_DENIED:
		return 0;
	}
	return 0;
}

/* /bin -> usr/bin and the like, where what they lead to is there. */
static int add_symlinks(struct plan_build *b, struct err *e)
{
	DIR *d = opendir("/");
	struct dirent *entry;
	int r = 0;

	while (d && r == 0 && (entry = readdir(d))) {
		char path[sizeof(entry->d_name) + 2] = "/", target[PATH_MAX], full[PATH_MAX];
		ssize_t n;

		if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
			continue;
		memcpy(path + 1, entry->d_name, strlen(entry->d_name) + 1);
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (path_join(full, sizeof(full), "/", target) == 0 &&
		    plan_covering(b->plan, full) && !plan_covering(b->plan, path))
			r = plan_why(b->plan, plan_add(b->plan, PLAN_SYMLINK, path, target, e),
				     "as on the host");
	}
	if (d)
		closedir(d);
	return r;
}

static int compare_paths(const void *a, const void *b)
{
	const struct plan_entry *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* In byte order a directory comes before what is below it. */
static void plan_sort(struct plan *p)
{
	qsort(p->entries, p->n_entries, sizeof(p->entries[0]), compare_paths);
	for (size_t i = 0; i < p->n_entries; i++)
		if (p->entries[i].kind == PLAN_GOVERNED)
			p->entries[i].root = p->n_governed++;
}

static int build(struct plan_build *b, struct err *e)
{
	int r = plan_find_roots(b, e);

	if (r == 0)
		r = plan_find_sockets(b, e);
	for (size_t i = 0; r == 0 && i < b->n_roots; i++)
		if (!plan_is_mount(b, b->roots[i]))
			r = add_tree(b, b->roots[i], e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(private_trees); i++)
		if (!plan_is_mount(b, private_trees[i]))
			r = add_private(b, private_trees[i], e);
	if (r == 0)
		r = plan_add_mounts(b, e);
	if (r == 0)
		r = add_symlinks(b, e);
	if (r == 0)
		r = plan_files(b, e);
	if (r == 0)
		plan_sort(b->plan);
	return r;
}

int plan_build(struct plan **out, const struct plan_args *args, struct err *e)
{
	AUTO(plan_free) struct plan *p = NULL;
	struct plan_build b = {.args = args};
	int r = plan_check_mounts(args, e);

	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	b.plan = p;
	b.ws_path = args->mount_at ? args->mount_at : args->workspace;
	if (p)
		p->workspace = strdup(b.ws_path);
	if (!p || !p->workspace)
		return err_set(e, ENOMEM, "plan the sandbox's file tree");
	if (args->home && args->home[0] == '/' && args->home[1] && is_dir(args->home))
		b.home = args->home;
	r = build(&b, e);
	for (size_t i = 0; i < b.n_roots; i++)
		free(b.roots[i]);
	free(b.roots);
	for (size_t i = 0; i < b.n_sockets; i++)
		free(b.sockets[i]);
	free(b.sockets);
	if (r == 0)
		*out = steal_ptr(&p);
	return r;
}

void plan_put(const struct plan *p, struct ipc_msg *m)
{
	char key[64];
	unsigned n = 0;

	for (size_t i = 0; i < p->n_entries; i++) {
		if (p->entries[i].kind != PLAN_GOVERNED)
			continue;
		snprintf(key, sizeof(key), "root.%u.path", p->entries[i].root);
		gate_put_kv(m, key, p->entries[i].path);
		snprintf(key, sizeof(key), "root.%u.host", p->entries[i].root);
		gate_put_kv(m, key, p->entries[i].host);
	}
	for (size_t i = 0; i < p->n_overrides; i++) {
		if (!p->overrides[i].governed)
			continue;
		snprintf(key, sizeof(key), "override.%u.path", n);
		gate_put_kv(m, key, p->overrides[i].path);
		snprintf(key, sizeof(key), "override.%u.host", n++);
		gate_put_kv(m, key, p->overrides[i].host);
	}
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_entries; i++) {
		free(p->entries[i].path);
		free(p->entries[i].host);
	}
	for (size_t i = 0; i < p->n_overrides; i++) {
		free(p->overrides[i].path);
		free(p->overrides[i].host);
	}
	free(p->entries);
	free(p->overrides);
	free(p->workspace);
	free(p);
}
