#include "agentsh/git_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/path.h"
#include "common/str.h"

#define TEXT_MAX 65536u

/* A regular file, no link. @return its text, NUL-terminated; NULL when it is none, or too long */
static char *read_text(const char *dir, const char *name)
{
	char path[PATH_MAX];
	autofree char *text = malloc(TEXT_MAX);
	autoclose int fd = -1;
	struct stat st;
	ssize_t n;

	if (!text || path_join(path, sizeof(path), dir, name) < 0)
		return NULL;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	n = read(fd, text, TEXT_MAX);
	if (n < 0 || n == TEXT_MAX)
		return NULL;
	text[n] = '\0';
	return steal_ptr(&text);
}

/* A path in a file: alone on its line, relative to a directory. @return false: there is none */
static bool resolve(char *out, const char *base, char *text)
{
	char joined[PATH_MAX * 2];

	text[strcspn(text, "\r\n")] = '\0';
	if (!*text || snprintf(joined, sizeof(joined), "%s%s%s", *text == '/' ? "" : base,
			       *text == '/' ? "" : "/", text) >= (int)sizeof(joined))
		return false;
	return realpath(joined, out) != NULL;
}

static bool has(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	return path_join(path, sizeof(path), dir, name) == 0 && lstat(path, &st) == 0;
}

static bool is_repository(const char *dir)
{
	return has(dir, "HEAD") && has(dir, "objects") && has(dir, "refs") && has(dir, "config");
}

/* COMMON/worktrees/NAME, whose "gitdir" leads back to the workspace's .git. */
static const char *worktree(char *common, const char *git, const char *workspace)
{
	autofree char *text = read_text(git, "commondir");
	autofree char *back = read_text(git, "gitdir");
	char place[PATH_MAX], want[PATH_MAX];

	if (!text || !resolve(common, git, text) || !is_repository(common))
		return "its commondir leads to no repository";
	if (path_join(place, sizeof(place), common, "worktrees") < 0 ||
	    !path_is_below(git, place) || strchr(git + strlen(place) + 1, '/'))
		return "it is no worktree of the repository that its commondir names";
	if (!back || !resolve(place, git, back) ||
	    path_join(want, sizeof(want), workspace, ".git") < 0 || strcmp(place, want) != 0)
		return "its gitdir file does not lead back here";
	return NULL;
}

/* The value of core.worktree in a git config, unquoted in place; NULL: not set. The last one wins. */
static char *core_worktree(char *text)
{
	bool in_core = false;
	char *value = NULL, *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		size_t len;

		line += strspn(line, " \t");
		if (*line == '[')
			in_core = strncasecmp(line, "[core]", 6) == 0;
		if (!in_core || strncasecmp(line, "worktree", 8) != 0)
			continue;
		line += 8;
		line += strspn(line, " \t");
		if (*line++ != '=')
			continue;
		line += strspn(line, " \t\"");
		len = strcspn(line, "\"\r");
		while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
			len--;
		line[len] = '\0';
		value = line;
	}
	return value;
}

/* SUPER/.git/modules/NAME, whose core.worktree is the workspace. */
static const char *submodule(char *common, const char *git, const char *workspace)
{
	autofree char *config = read_text(git, "config");
	char *value = config ? core_worktree(config) : NULL;
	char place[PATH_MAX];

	if (!strstr(git, "/modules/") || !is_repository(git))
		return "it is neither a worktree's nor a submodule's repository";
	if (!value || !resolve(place, git, value) || strcmp(place, workspace) != 0)
		return "its core.worktree is not this directory";
	snprintf(common, PATH_MAX, "%s", git);
	return NULL;
}

const char *git_dir_find(char *out, size_t size, const char *workspace)
{
	static const char prefix[] = "gitdir:";
	autofree char *text = read_text(workspace, ".git");
	char git[PATH_MAX], common[PATH_MAX];
	const char *why;
	char *name;

	*out = '\0';
	if (!text || !str_has_prefix(text, prefix))
		return NULL;
	name = text + strlen(prefix);
	name += strspn(name, " \t");
	if (!resolve(git, workspace, name))
		return "it does not exist";
	why = has(git, "commondir") ? worktree(common, git, workspace)
				    : submodule(common, git, workspace);
	if (why || path_is_below(common, workspace))
		return why;
	if (path_is_below(workspace, common) || strlen(common) >= size)
		return "the workspace lies in its own repository";
	if (!str_is_utf8(common, strlen(common)))
		return "its name is not UTF-8";
	snprintf(out, size, "%s", common);
	return NULL;
}
