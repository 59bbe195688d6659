#include "agentsh/vars.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentsh/git_dir.h"
#include "common/auto.h"
#include "common/log.h"
#include "common/path.h"
#include "common/str.h"

/* What marks the root of a project, in docs/POLICY.md's order. */
static const char *const project_marks[] = {
	".git",	   "go.mod",  "package.json",	"Cargo.toml",	"pyproject.toml",
	"setup.py", "pom.xml", "CMakeLists.txt", "configure.ac",
};

static int check_workspace(const char *path, struct err *e)
{
	struct stat st;

	if (strcmp(path, "/") == 0)
		return err_say(e, EINVAL,
			       "workspace / is the whole system: name a directory with --workspace");
	if (stat(path, &st) < 0)
		return err_set(e, errno, "workspace %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_say(e, ENOTDIR, "workspace %s is not a directory", path);
	if (!str_is_utf8(path, strlen(path)))
		return err_say(e, EILSEQ,
			       "the name of the workspace is not UTF-8, so no policy can name it: "
			       "rename it");
	if (access(path, R_OK | X_OK) < 0)
		return err_set(e, errno, "workspace %s", path);
	return 0;
}

static bool has_mark(const char *dir, const char *const *marks, size_t n)
{
	char name[PATH_MAX + 32];

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%s", dir, marks[i]);
		if (access(name, F_OK) == 0)
			return true;
	}
	return false;
}

/* Nearest ancestor-or-self of dir with a mark; "" when there is none. */
static void find_root(char *out, const char *dir, const char *const *marks, size_t n)
{
	snprintf(out, PATH_MAX, "%s", dir);
	while (out[0] && strcmp(out, "/") != 0) {
		if (has_mark(out, marks, n))
			return;
		*strrchr(out, '/') = '\0';
	}
	out[0] = '\0';
}

/* A root above the workspace lies elsewhere in the sandbox when the workspace is mounted elsewhere. */
static void see_root(char *root, const struct vars *v)
{
	char tail[PATH_MAX], joined[PATH_MAX * 2];

	if (!root[0] || strcmp(v->workspace, v->seen_as) == 0)
		return;
	if (!path_is_below(root, v->workspace)) {
		snprintf(root, PATH_MAX, "%s", v->seen_as);
		return;
	}
	snprintf(tail, sizeof(tail), "%s", root + strlen(v->workspace));
	snprintf(joined, sizeof(joined), "%s%s", v->seen_as, tail);
	path_normalize(root, PATH_MAX, joined);
}

/* A place that is not one person's: rules about ~ must not take it from everybody. */
static bool is_shared(const char *dir)
{
	static const char *const shared[] = {"/", "/tmp", "/var/tmp", "/dev/shm"};

	for (size_t i = 0; i < ARRAY_LEN(shared); i++)
		if (strcmp(dir, shared[i]) == 0)
			return true;
	return false;
}

static void find_home(struct vars *v)
{
	const char *home = getenv("HOME");
	struct passwd *pw = getpwuid(geteuid());
	autofree char *real = NULL;

	snprintf(v->user, sizeof(v->user), "%s", pw ? pw->pw_name : "user");
	if ((!home || home[0] != '/') && pw)
		home = pw->pw_dir;
	if (home)
		real = realpath(home, NULL);
	if ((real && is_shared(real)) || (home && is_shared(home)))
		snprintf(v->home, sizeof(v->home), "/nonexistent");
	else if (real && strlen(real) < sizeof(v->home))
		snprintf(v->home, sizeof(v->home), "%s", real);
	else if (home && home[0] == '/' && strlen(home) < sizeof(v->home))
		path_normalize(v->home, sizeof(v->home), home);
}

int vars_init(struct vars *v, const char *workspace, const char *mount_at, const char *session,
	      struct err *e)
{
	autofree char *real = realpath(workspace ? workspace : ".", NULL);
	const char *why;
	int r;

	memset(v, 0, sizeof(*v));
	if (!real)
		return err_set(e, errno, "workspace %s", workspace ? workspace : "(current directory)");
	r = check_workspace(real, e);
	if (r < 0)
		return r;
	snprintf(v->workspace, sizeof(v->workspace), "%s", real);
	if (mount_at && (path_normalize(v->seen_as, sizeof(v->seen_as), mount_at) < 0 ||
			 strcmp(v->seen_as, "/") == 0))
		return err_say(e, EINVAL, "--mount-at %s: give an absolute path other than /", mount_at);
	if (!mount_at)
		snprintf(v->seen_as, sizeof(v->seen_as), "%s", real);
	find_root(v->project_root, real, project_marks, ARRAY_LEN(project_marks));
	find_root(v->git_root, real, project_marks, 1);
	see_root(v->project_root, v);
	see_root(v->git_root, v);
	find_home(v);
	why = git_dir_find(v->git_common, sizeof(v->git_common), real);
	if (why)
		log_warn("git will not work here: %s/.git names a repository, but %s", real, why);
	v->policy = (struct policy_vars){
		.workspace = v->seen_as,
		.project_root = v->project_root[0] ? v->project_root : v->seen_as,
		.git_root = v->git_root[0] ? v->git_root : NULL,
		.git_common_dir = v->git_common[0] ? v->git_common : NULL,
		.home = v->home[0] ? v->home : NULL,
		.tmpdir = "/tmp",
		.user = v->user,
		.session = session,
	};
	return 0;
}
