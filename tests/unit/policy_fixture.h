/*
 * policy_fixture.h - policies out of text, for the tests of the policy model
 */
#ifndef TESTS_UNIT_POLICY_FIXTURE_H
#define TESTS_UNIT_POLICY_FIXTURE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/policy.h"

#define HEAD "version: 1\nname: t\n"

static const struct policy_vars fixture_vars = {
	.workspace = "/ws",
	.project_root = "/ws",
	.home = "/home/u",
	.tmpdir = "/tmp",
	.user = "u",
	.session = "s1",
};

struct fixture_diags {
	char lines[40][400]; /* "LINE:COLUMN: text", warnings with "warning: " before the text */
	unsigned n, n_errors;
};

static void fixture_diag(void *arg, bool is_error, const char *file, unsigned line, unsigned column,
			 const char *text)
{
	struct fixture_diags *d = arg;

	(void)file;
	d->n_errors += is_error;
	if (d->n < 40)
		snprintf(d->lines[d->n++], sizeof(d->lines[0]), "%u:%u: %s%s", line, column,
			 is_error ? "" : "warning: ", text);
}

static void fixture_write(char *path, const char *text, size_t len)
{
	int fd;

	strcpy(path, "/tmp/agentsh-policy-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		abort();
	close(fd);
}

/* Load len bytes of text; what is wrong is in diags. @return NULL when it does not load */
static struct policy *fixture_load_mem(const char *text, size_t len, const struct policy_vars *vars,
				       struct fixture_diags *diags, struct err *e)
{
	char path[64];
	struct policy_load_args args = {.file = path, .pack_dir = "/nonexistent", .vars = vars,
					.diag = diags ? fixture_diag : NULL, .diag_arg = diags};
	struct policy *p = NULL;

	fixture_write(path, text, len);
	if (diags)
		memset(diags, 0, sizeof(*diags));
	policy_load(&p, &args, e);
	unlink(path);
	return p;
}

static inline struct policy *fixture_load(const char *text)
{
	struct err e = ERR_INIT;
	struct policy *p = fixture_load_mem(text, strlen(text), &fixture_vars, NULL, &e);

	if (!p)
		fprintf(stderr, "fixture: %s\n", e.text);
	return p;
}

#endif
