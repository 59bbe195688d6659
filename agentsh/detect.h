/*
 * detect.h - which mechanisms this host really has, found by using each one
 */
#ifndef AGENTSH_DETECT_H
#define AGENTSH_DETECT_H

#include <stdbool.h>
#include <stddef.h>

/** A probe's outcome. */
struct detect_result {
	bool works;
	char detail[160]; /**< what was seen, or why not; one line */
};

/** One mechanism: how it is tried and what helps when it is missing. */
struct detect_probe {
	const char *name;
	const char *needed_for;
	bool required; /**< by wrap --isolate */
	void (*fn)(struct detect_result *out);
	const char *remedy;
};

/** Table of all probes; *n entries. */
const struct detect_probe *detect_probes(size_t *n);

/** Is this process confined by agentsh already (filter installed, no new privileges)? */
bool detect_inside(void);

/* detect_setup.c: probes that need namespaces of their own, each in a forked child */
void detect_user_namespace(struct detect_result *out);
void detect_namespaces(struct detect_result *out);
void detect_fuse(struct detect_result *out);
void detect_passthrough(struct detect_result *out);
void detect_nftables(struct detect_result *out);
void detect_seccomp(struct detect_result *out);

#endif
