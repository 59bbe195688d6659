#include "agentsh/session_policy.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

struct diag {
	unsigned n_errors;
};

static void show_diag(void *arg, bool is_error, const char *file, unsigned line, unsigned column,
		      const char *text)
{
	struct diag *d = arg;

	d->n_errors += is_error;
	if (!is_error)
		log_warn("%s:%u:%u: %s", file, line, column, text);
}

int session_policy(struct policy **out, const char *file, const char *pack,
		   const struct dirs *dirs, const struct vars *vars, struct err *e)
{
	char mine[PATH_MAX + 16];
	struct diag diag = {0};
	struct policy_load_args pa = {
		.file = file,
		.pack = pack,
		.pack_dir = dirs->policies,
		.vars = &vars->policy,
		.diag = show_diag,
		.diag_arg = &diag,
	};
	int r;

	snprintf(mine, sizeof(mine), "%s/policy.yaml", dirs->config);
	if (!pa.file && !pa.pack && access(mine, F_OK) == 0)
		pa.file = mine;
	if (!pa.file && !pa.pack)
		pa.pack = "code-edit";
	r = policy_load(out, &pa, e);
	if (r < 0 && diag.n_errors > 1) {
		size_t n = strlen(e->text);

		snprintf(e->text + n, sizeof(e->text) - n, " (and %u more: agentsh policy check %s)",
			 diag.n_errors - 1, pa.file ? pa.file : pa.pack);
	}
	return r;
}

void session_policy_digest(char *out, const struct policy *policy)
{
	const uint8_t *p = policy_digest(policy);

	for (size_t i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}
