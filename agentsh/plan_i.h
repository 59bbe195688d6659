/*
 * plan_i.h - a plan under construction
 */
#ifndef AGENTSH_PLAN_I_H
#define AGENTSH_PLAN_I_H

#include <stdbool.h>
#include <stddef.h>

#include "agentsh/plan.h"

struct plan_build {
	const struct plan_args *args;
	struct plan *plan;   /**< entries in the order they were found until plan_sort() */
	char **roots;	     /**< owned: host directories the policy may grant, none below another */
	size_t n_roots;
	char **sockets;	     /**< owned: the host's, in trees of installed software */
	size_t n_sockets;
	bool wants_all;	     /**< the policy grants something that may lie anywhere */
	const char *home;    /**< args->home, NULL when it is not a directory of its own */
	const char *ws_path; /**< the workspace as the sandbox sees it */
	int error;	     /**< first -errno of a callback */
};

/** In a tree that the sandbox has of its own: /proc, /sys, /dev, /tmp, /var/tmp, /run. */
bool plan_is_private(const char *path);

/** A governed tree whose host side is an empty directory of the session, as /tmp may be. */
bool plan_is_session_tree(const struct plan_args *args, const struct plan_entry *entry);

/** Fill roots with what the policy's granting rules and defaults point at. */
int plan_find_roots(struct plan_build *b, struct err *e);

/** Are the workspace and the mounts what they have to be? */
int plan_check_mounts(const struct plan_args *args, struct err *e);

/** Add them, where no tree shows them already. */
int plan_add_mounts(struct plan_build *b, struct err *e);

/** In one of them, as the sandbox sees it. */
bool plan_is_mount(const struct plan_build *b, const char *path);

/** In a tree that holds installed software, see plan.c. */
bool plan_is_software(const char *path);

/** Fill sockets from /proc/net/unix. */
int plan_find_sockets(struct plan_build *b, struct err *e);

/** Does a service of the host listen, or wait for datagrams, somewhere in this tree? */
bool plan_has_socket(const struct plan_build *b, const char *tree);

/** @param host  NULL for kinds without one. @return 0 or -ENOMEM in e */
int plan_add(struct plan *p, enum plan_kind kind, const char *path, const char *host, struct err *e);

/** Say why the entry that was added last is there. @param r  plan_add()'s result, returned */
int plan_why(struct plan *p, int r, const char *why);

/** The entry that a path of the sandbox lies in: the deepest one; NULL: the private root. */
const struct plan_entry *plan_covering(const struct plan *p, const char *path);

/** Generated files, private host directories, and mount points in them. */
int plan_files(struct plan_build *b, struct err *e);

/** A directory of the session for a private tree that fsgate has to govern. */
int plan_private_dir(char *out, size_t size, const struct plan_args *args, const char *path,
		     struct err *e);

#endif
