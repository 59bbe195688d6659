/*
 * Trees that are asked for by name: the workspace, the repository of a git worktree or submodule, and
 * those of --mount.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentsh/plan_i.h"
#include "common/path.h"
#include "common/str.h"

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_canonical(const char *path)
{
	char text[PATH_MAX];

	return path_normalize(text, sizeof(text), path) == 0 && strcmp(text, path) == 0;
}

static int check_place(const char *what, const char *path, struct err *e)
{
	static const char *const no[] = {"/proc", "/sys", "/dev"};

	if (!is_canonical(path))
		return err_say(e, EINVAL, "%s %s: give it as a plain absolute path", what, path);
	if (strcmp(path, "/") == 0)
		return err_say(e, EINVAL, "%s / would be the whole host: name a directory", what);
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (path_is_below(path, no[i]) && strcmp(path, "/dev/shm") != 0 &&
		    !str_has_prefix(path, "/dev/shm/"))
			return err_say(e, EINVAL, "%s %s: %s is the sandbox's own", what, path,
				       no[i]);
	return 0;
}

static int check_host(const struct plan_args *a, const char *what, const char *host, struct err *e)
{
	int r = check_place(what, host, e);

	if (r < 0)
		return r;
	if (access(host, F_OK) < 0)
		return err_set(e, errno, "%s %s", what, host);
	if (!is_dir(host))
		return err_say(e, ENOTDIR, "%s %s is not a directory", what, host);
	if (access(host, R_OK | X_OK) < 0)
		return err_set(e, errno, "%s %s cannot be read", what, host);
	for (size_t i = 0; a->forbidden && a->forbidden[i]; i++)
		if (path_is_below(host, a->forbidden[i]))
			return err_say(e, EINVAL,
				       "%s %s lies in agentsh's own directory %s, which no session "
				       "may see", what, host, a->forbidden[i]);
	return 0;
}

int plan_check_mounts(const struct plan_args *a, struct err *e)
{
	int r = check_host(a, "the workspace", a->workspace, e);

	if (r == 0 && a->mount_at)
		r = check_place("the mount point", a->mount_at, e);
	for (size_t i = 0; r == 0 && i < a->n_mounts; i++) {
		const struct plan_mount *m = &a->mounts[i];

		r = check_host(a, m->what, m->host, e);
		if (r == 0 && strcmp(m->at, m->host) != 0)
			r = check_place("the mount point", m->at, e);
		if (r == 0 && !policy_may_read_below(a->policy, m->at))
			r = err_say(e, EACCES,
				    "%s %s: the policy grants nothing there; give it a rule of its own: "
				    "{name: more, paths: [\"%s\", \"%s/**\"], operations: [\"*\"], "
				    "decision: allow}", m->what, m->at, m->at, m->at);
	}
	return r;
}

/* Where the mount point lies on the host, when the tree around it is one of the host's. */
static int check_mount_point(const struct plan_entry *in, const struct plan_mount *m, struct err *e)
{
	const char *rest = m->at + strlen(in->path);
	char host[PATH_MAX];

	if (path_join(host, sizeof(host), in->host, *rest == '/' ? rest + 1 : ".") < 0)
		return err_set(e, ENAMETOOLONG, "mount point %s", m->at);
	if (is_dir(host))
		return 0;
	return err_say(e, ENOENT,
		       "%s cannot be shown at %s: that directory does not exist on the "
		       "host, and the tree above it is the host's; make it, or choose another place",
		       m->what, m->at);
}

static int add(struct plan_build *b, const struct plan_mount *m, struct err *e)
{
	const struct plan_entry *in = plan_covering(b->plan, m->at);
	bool is_hosts = in && in->host && !plan_is_session_tree(b->args, in);
	const char *rest = in ? m->at + strlen(in->path) : "";
	char seen[PATH_MAX];
	int r = 0;

	/* seen under its own name through a governed tree above it: nothing to add */
	if (is_hosts && in->kind == PLAN_GOVERNED && !m->read_only &&
	    path_join(seen, sizeof(seen), in->host, *rest == '/' ? rest + 1 : ".") == 0 &&
	    strcmp(seen, m->host) == 0)
		return 0;
	if (in && strcmp(in->path, m->at) == 0)
		return err_say(e, EEXIST, "%s: there is another tree at %s already", m->what, m->at);
	if (is_hosts)
		r = check_mount_point(in, m, e);
	if (r == 0)
		r = plan_add(b->plan, PLAN_GOVERNED, m->at, m->host, e);
	if (r == 0)
		b->plan->entries[b->plan->n_entries - 1].read_only = m->read_only;
	return plan_why(b->plan, r, m->what);
}

int plan_add_mounts(struct plan_build *b, struct err *e)
{
	const struct plan_mount ws = {
		.what = "the workspace", .host = b->args->workspace, .at = b->ws_path};
	int r = 0;

	/* what contains another comes first */
	for (size_t i = 0; r == 0 && i < b->args->n_mounts; i++)
		if (path_is_below(b->ws_path, b->args->mounts[i].at))
			r = add(b, &b->args->mounts[i], e);
	if (r == 0)
		r = add(b, &ws, e);
	for (size_t i = 0; r == 0 && i < b->args->n_mounts; i++)
		if (!path_is_below(b->ws_path, b->args->mounts[i].at))
			r = add(b, &b->args->mounts[i], e);
	return r;
}

bool plan_is_mount(const struct plan_build *b, const char *path)
{
	bool is = path_is_below(path, b->ws_path);

	for (size_t i = 0; !is && i < b->args->n_mounts; i++)
		is = path_is_below(path, b->args->mounts[i].at);
	return is;
}
