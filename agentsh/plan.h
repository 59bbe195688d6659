/*
 * plan.h - what the sandbox's file tree will be, decided from the policy before anything is mounted
 *
 * A tree whose verdict is provably constant (policy_subtree()) is a plain read-only bind or is not
 * there at all; everything else that the policy can grant goes through fsgate.
 */
#ifndef AGENTSH_PLAN_H
#define AGENTSH_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/auto.h"
#include "common/err.h"
#include "common/ipc.h"
#include "common/policy.h"

enum plan_kind {
	PLAN_BIND,     /**< read-only, nosuid, nodev bind of a host tree */
	PLAN_GOVERNED, /**< through fsgate, as its root number n_governed so far */
	PLAN_TMPFS,    /**< private, writable, mode 01777 */
	PLAN_SYMLINK,  /**< host holds the target text (/bin -> usr/bin) */
	PLAN_MASK,     /**< an empty read-only directory over one of a bind; host: NULL */
};

struct plan_entry {
	enum plan_kind kind;
	char *path;	/**< in the sandbox; parents come before children */
	char *host;	/**< on the host; PLAN_TMPFS: NULL */
	unsigned root;	/**< PLAN_GOVERNED: fsgate's root number */
	bool read_only; /**< PLAN_GOVERNED: nothing in it can be changed, whatever the policy says */
	const char *why; /**< for people; a literal */
};

/** A file whose content the sandbox sees instead of the host's (/etc/resolv.conf, /etc/hosts). */
struct plan_override {
	char *path;
	char *host;
	bool governed; /**< fsgate answers for it; otherwise the sandbox binds host over path */
};

struct plan {
	struct plan_entry *entries;
	size_t n_entries;
	struct plan_override *overrides;
	size_t n_overrides;
	unsigned n_governed;
	char *workspace; /**< as the sandbox sees it */
};

/** A host directory that is governed because it was asked for. */
struct plan_mount {
	const char *what; /**< "--mount", for errors */
	const char *host; /**< canonical */
	const char *at;	  /**< in the sandbox */
	bool read_only;
};

#define PLAN_MOUNTS_MAX 65u

struct plan_args {
	const struct policy *policy;
	const char *workspace;	     /**< canonical host path */
	const char *mount_at;	     /**< where the sandbox sees it; NULL: at its own path */
	const struct plan_mount *mounts; /**< beside the workspace */
	size_t n_mounts;		 /**< at most PLAN_MOUNTS_MAX */
	bool govern_reads; /**< no plain binds: nothing else can tell what is read in them */
	const char *home;	     /**< canonical host path, or NULL */
	const char *const *forbidden; /**< host trees never shown (state, runtime); NULL-terminated */
	const char *run_dir;	     /**< session's directory: generated files are put here */
	const char *resolver;	     /**< address of the sandbox's DNS server */
	const char *hostname;
};

/** Does a path of the sandbox lie in a plain read-only bind? */
bool plan_is_bind(const struct plan *p, const char *path);

int plan_build(struct plan **out, const struct plan_args *args, struct err *e);
/** Append fsgate's keys: root.N.path, root.N.host, override.N.path, override.N.host. */
void plan_put(const struct plan *p, struct ipc_msg *m);
void plan_free(struct plan *p);
AUTO_DEFINE(struct plan *, plan_free)

#endif
