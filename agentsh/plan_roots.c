/*
 * Which host directories the policy could grant anything in. A rule's literal prefix points at a
 * directory; what does not exist is looked for one level up, since a rule may allow to create it.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentsh/plan_i.h"
#include "common/path.h"
#include "common/str.h"

/* Made by the sandbox itself; nothing of the host's is ever shown there. */
static const char *const own[] = {"/proc", "/sys", "/dev", "/tmp", "/run", "/var/tmp"};

bool plan_is_private(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (path_is_below(path, own[i]))
			return true;
	return false;
}

static bool is_forbidden(const struct plan_args *args, const char *path)
{
	for (size_t i = 0; args->forbidden && args->forbidden[i]; i++)
		if (path_is_below(path, args->forbidden[i]))
			return true;
	return false;
}

/* Keep the list free of roots below other roots. */
static int add_root(struct plan_build *b, const char *path)
{
	size_t kept = 0;
	char **bigger, *copy;

	if (is_forbidden(b->args, path))
		return 0;
	for (size_t i = 0; i < b->n_roots; i++)
		if (path_is_below(path, b->roots[i]))
			return 0;
	for (size_t i = 0; i < b->n_roots; i++)
		if (path_is_below(b->roots[i], path))
			free(b->roots[i]);
		else
			b->roots[kept++] = b->roots[i];
	b->n_roots = kept;
	copy = strdup(path);
	bigger = copy ? realloc(b->roots, (kept + 1) * sizeof(*bigger)) : NULL;
	if (!bigger) {
		free(copy);
		return -ENOMEM;
	}
	b->roots = bigger;
	b->roots[b->n_roots++] = copy;
	return 0;
}

/*
 * The nearest directory at or above path that is reached without a symlink: a tree is granted
 * under the name it really has. @return false when only / is left
 */
static bool existing_dir(char *path)
{
	char real[PATH_MAX];
	struct stat st;

	while (path[0] && path[1]) {
		if (realpath(path, real) && strcmp(real, path) == 0 && stat(path, &st) == 0 &&
		    S_ISDIR(st.st_mode))
			return true;
		*strrchr(path, '/') = '\0';
	}
	return false;
}

static void one_prefix(void *arg, const char *prefix, bool is_literal, enum verdict v)
{
	struct plan_build *b = arg;
	char text[PATH_MAX], path[PATH_MAX];
	size_t len = strlen(prefix);

	(void)v;
	if (b->error || len == 0 || prefix[0] != '/' || len >= sizeof(text))
		return;
	/* "/opt/tool*" speaks of names in /opt */
	while (!is_literal && len > 1 && prefix[len - 1] != '/')
		len--;
	memcpy(text, prefix, len);
	text[len] = '\0';
	if (path_normalize(path, sizeof(path), text) < 0)
		return;
	if (strcmp(path, "/") == 0) {
		b->wants_all |= !is_literal;
		return;
	}
	if (plan_is_mount(b, path))
		return;
	/* a home directory is shown whole or not at all, so that a file in it can be created */
	if (b->home && path_is_below(path, b->home))
		b->error = add_root(b, b->home);
	else if (!plan_is_private(path) && existing_dir(path))
		b->error = add_root(b, path);
}

/* Every directory right below / that the caller may at least enter. */
static int all_roots(struct plan_build *b)
{
	DIR *d = opendir("/");
	struct dirent *entry;
	int r = 0;

	if (!d)
		return -errno;
	while (r == 0 && (entry = readdir(d))) {
		char path[sizeof(entry->d_name) + 2] = "/";
		struct stat st;

		if (entry->d_name[0] == '.' &&
		    (!entry->d_name[1] || strcmp(entry->d_name, "..") == 0))
			continue;
		memcpy(path + 1, entry->d_name, strlen(entry->d_name) + 1);
		if (!plan_is_private(path) && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
		    access(path, X_OK) == 0)
			r = add_root(b, path);
	}
	closedir(d);
	return r;
}

int plan_find_roots(struct plan_build *b, struct err *e)
{
	enum verdict reads = policy_default(b->args->policy, POLICY_FILE, false);
	enum verdict writes = policy_default(b->args->policy, POLICY_FILE, true);

	b->wants_all = reads != VERDICT_DENY || writes != VERDICT_DENY;
	policy_each_granted_prefix(b->args->policy, one_prefix, b);
	if (b->error == 0 && b->wants_all)
		b->error = all_roots(b);
	return b->error < 0 ? err_set(e, -b->error, "plan the sandbox's file tree") : 0;
}
