/*
 * What a .git file may open, and what it may not: the repository has to name the workspace back.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentsh/git_dir.h"
#include "common/path.h"
#include "tests/unit/unit.h"

static char base[PATH_MAX];

static void make_dirs(const char *path)
{
	char full[PATH_MAX];

	CU_ASSERT_EQUAL_FATAL(path_join(full, sizeof(full), base, path), 0);
	for (char *at = full + strlen(base) + 1; at; at = strchr(at + 1, '/')) {
		char *slash = strchr(at + 1, '/');

		if (slash)
			*slash = '\0';
		CU_ASSERT_FATAL(mkdir(full, 0755) == 0 || errno == EEXIST);
		if (slash)
			*slash = '/';
	}
}

__attribute__((format(printf, 2, 3))) static void put(const char *path, const char *fmt, ...)
{
	char full[PATH_MAX];
	va_list ap;
	FILE *f;

	CU_ASSERT_EQUAL_FATAL(path_join(full, sizeof(full), base, path), 0);
	unlink(full);
	f = fopen(full, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static void repository(const char *path)
{
	char name[PATH_MAX];

	for (const char *const *d = (const char *const[]){"objects", "refs", NULL}; *d; d++) {
		snprintf(name, sizeof(name), "%s/%s", path, *d);
		make_dirs(name);
	}
	snprintf(name, sizeof(name), "%s/HEAD", path);
	put(name, "ref: refs/heads/main\n");
	snprintf(name, sizeof(name), "%s/config", path);
	put(name, "[core]\n\tbare = false\n");
}

/* @return whether what .git of ws names is believed; want: what is opened, below base, or "" */
static bool opens(const char *want)
{
	char ws[PATH_MAX], out[PATH_MAX], full[PATH_MAX] = "";
	const char *why;

	CU_ASSERT_EQUAL_FATAL(path_join(ws, sizeof(ws), base, "ws"), 0);
	why = git_dir_find(out, sizeof(out), ws);
	if (*want)
		CU_ASSERT_EQUAL_FATAL(path_join(full, sizeof(full), base, want), 0);
	if (strcmp(out, full) != 0)
		printf("\n    opens \"%s\", not \"%s\": %s\n", out, full, why ? why : "believed");
	CU_ASSERT(!why || !*out);
	CU_ASSERT_STRING_EQUAL(out, full);
	return !why;
}

static void fresh(void)
{
	char cwd[PATH_MAX];

	CU_ASSERT_PTR_NOT_NULL_FATAL(realpath(".", cwd));
	CU_ASSERT_EQUAL_FATAL(path_join(base, sizeof(base), cwd, "test_git_dir.d"), 0);
	CU_ASSERT_EQUAL_FATAL(system("rm -rf test_git_dir.d"), 0);
	CU_ASSERT_EQUAL_FATAL(mkdir(base, 0755), 0);
	make_dirs("ws/sub");
	repository("main/.git");
	make_dirs("main/.git/worktrees/ws");
	put("main/.git/worktrees/ws/commondir", "../..\n");
	put("main/.git/worktrees/ws/gitdir", "%s/ws/.git\n", base);
	repository("main/.git/modules/a/b");
}

static void test_worktree(void)
{
	fresh();
	CU_ASSERT(opens("")); /* no .git at all */
	put("ws/.git", "gitdir: %s/main/.git/worktrees/ws\n", base);
	CU_ASSERT(opens("main/.git"));
	put("ws/.git", "gitdir: ../main/.git/worktrees/ws\n");
	CU_ASSERT(opens("main/.git"));
	put("ws/.git", "something else\n");
	CU_ASSERT(opens(""));
	put("ws/.git", "gitdir: \n");
	CU_ASSERT_FALSE(opens(""));
	put("ws/.git", "gitdir: ../main/.git/worktrees/none\n");
	CU_ASSERT_FALSE(opens(""));
}

static void test_no_way_back(void)
{
	fresh();
	put("ws/.git", "gitdir: ../main/.git/worktrees/ws\n");
	put("main/.git/worktrees/ws/gitdir", "%s/other/.git\n", base);
	CU_ASSERT_FALSE(opens(""));
	put("main/.git/worktrees/ws/gitdir", "%s/ws/sub\n", base);
	CU_ASSERT_FALSE(opens(""));
	unlink("test_git_dir.d/main/.git/worktrees/ws/gitdir");
	CU_ASSERT_FALSE(opens(""));
	/* the main repository itself is nobody's worktree */
	put("ws/.git", "gitdir: ../main/.git\n");
	CU_ASSERT_FALSE(opens(""));
}

/* All of these an agent could write in its workspace. */
static void test_forged(void)
{
	fresh();
	make_dirs("ws/fake");
	put("ws/.git", "gitdir: fake\n");
	put("ws/fake/gitdir", "%s/ws/.git\n", base);
	put("ws/fake/commondir", "%s/main/.git\n", base);
	CU_ASSERT_FALSE(opens(""));
	CU_ASSERT_EQUAL(symlink("../main/.git/worktrees/ws", "test_git_dir.d/ws/link"), 0);
	put("ws/.git", "gitdir: link\n");
	CU_ASSERT(opens("main/.git")); /* where it leads is what counts, and that agrees */
	unlink("test_git_dir.d/ws/.git");
	CU_ASSERT_EQUAL(symlink("../main/.git/worktrees/ws", "test_git_dir.d/ws/.git"), 0);
	CU_ASSERT(opens("")); /* no file */
	unlink("test_git_dir.d/ws/.git");
	repository("ws/modules/x");
	put("ws/.git", "gitdir: modules/x\n");
	put("ws/modules/x/config", "[core]\n\tworktree = %s/ws\n", base);
	CU_ASSERT(opens("")); /* it is governed already */
	put("ws/modules/x/config", "[core]\n\tworktree = %s/main\n", base);
	CU_ASSERT_FALSE(opens(""));
}

static void test_submodule(void)
{
	static const char *const good[] = {
		"[core]\n\tworktree = ../../../../../ws\n",
		"[core]\n\trepositoryformatversion = 0\n  worktree=\"../../../../../ws\"  \n",
		"[CORE]\nworktree = /nowhere\nworktree = ../../../../../ws\r\n[other]\nworktree = /x\n",
	};
	static const char *const bad[] = {
		"", "[core]\nbare = false\n", "[other]\nworktree = ../../../../../ws\n",
		"[core]\nworktree = ../../../../../ws/sub\n", "[core]\nworktrees = ../../../../../ws\n",
		"[core]\nworktree\n", "[core]\nworktree = \n",
	};

	fresh();
	put("ws/.git", "gitdir: ../main/.git/modules/a/b\n");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		put("main/.git/modules/a/b/config", "%s", good[i]);
		CU_ASSERT(opens("main/.git/modules/a/b"));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put("main/.git/modules/a/b/config", "%s", bad[i]);
		CU_ASSERT_FALSE(opens(""));
	}
	/* a repository that is in no modules directory is not one of a submodule */
	put("ws/.git", "gitdir: ../main/.git\n");
	put("main/.git/config", "[core]\n\tworktree = ../../ws\n");
	CU_ASSERT_FALSE(opens(""));
}

static void remove_places(void)
{
	CU_ASSERT_EQUAL(system("rm -rf test_git_dir.d"), 0);
}

static const struct unit_case cases[] = {
	{"worktree", test_worktree},
	{"no way back", test_no_way_back},
	{"forged", test_forged},
	{"submodule", test_submodule},
	{"cleaning up", remove_places},
};

UNIT_MAIN("git_dir", cases)
