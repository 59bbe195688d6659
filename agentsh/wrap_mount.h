/*
 * wrap_mount.h - the option --mount DIR[:AT][:ro]
 */
#ifndef AGENTSH_WRAP_MOUNT_H
#define AGENTSH_WRAP_MOUNT_H

#include <limits.h>
#include <stddef.h>

#include "agentsh/plan.h"
#include "common/err.h"

struct wrap_mount {
	char host[PATH_MAX], at[PATH_MAX];
};

/**
 * @param list    written: n entries that point into places
 * @param places  room for n; must live as long as list
 * @param specs   as given
 * @return 0, or -errno with e saying what to write instead
 */
int wrap_mounts(struct plan_mount *list, struct wrap_mount *places, const char *const *specs,
		size_t n, struct err *e);

#endif
