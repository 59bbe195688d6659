/*
 * policy_request.h - a request that a person describes in words, for policy explain and test
 */
#ifndef AGENTSH_POLICY_REQUEST_H
#define AGENTSH_POLICY_REQUEST_H

#include <limits.h>
#include <stdbool.h>

#include "common/err.h"
#include "common/policy.h"

/** What was said; every pointer borrowed, NULL: not said. */
struct policy_words {
	const char *file;   /**< a path, absolute or below the workspace */
	const char *exec;   /**< a name or a path */
	const char *net;    /**< HOST:PORT, [V6]:PORT */
	const char *unix_path;
	const char *env;
	const char *signal;
	const char *op;	    /**< of file and unix */
	const char *method; /**< of net */
	const char *path;   /**< of net: URL path */
	const char *addr;   /**< of net: the address that is dialled */
	const char *proto;  /**< of net: tcp or udp */
	const char *target; /**< of signal: how the target is related */
	const char *exe;    /**< of exec: what it resolves to */
	const char *depth;  /**< of exec */
	const char *const *args; /**< of exec: after the name */
	size_t n_args;
};

#define POLICY_ARGS_MAX 256

/** A request and the text that it points to. */
struct policy_spec {
	struct policy_request r;
	char text[2][PATH_MAX];
	const char *argv[POLICY_ARGS_MAX + 1];
};

/**
 * @param look  ask the file system which program a name is; without, a bare name is in /usr/bin
 * @return 0, or -EINVAL with what is wrong in e
 */
int policy_request_make(struct policy_spec *out, const struct policy *p,
			const struct policy_words *w, const char *workspace, bool look,
			struct err *e);

#endif
