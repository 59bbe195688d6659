/*
 * git_dir.h - the repository of a workspace that is a git worktree or a submodule
 *
 * In both, .git is a file that names a directory outside of the workspace. The file is content an agent
 * may have written, so its word alone opens nothing: that directory must say by itself that it belongs
 * to this workspace, in a place that only who could write to the repository could put it.
 * Source: gitrepository-layout(5), gitsubmodules(7), git-worktree(1)
 */
#ifndef AGENTSH_GIT_DIR_H
#define AGENTSH_GIT_DIR_H

#include <stddef.h>

/**
 * @param workspace  canonical path
 * @param out        written: canonical path of the directory with objects, refs, hooks and config; ""
 *                   when the workspace needs none beside its own
 * @return NULL, or why what .git names is not believed: a literal
 */
const char *git_dir_find(char *out, size_t size, const char *workspace);

#endif
