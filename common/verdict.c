#include "common/verdict.h"

#include <errno.h>
#include <string.h>

static const char *const names[VERDICT_COUNT] = {
	[VERDICT_DENY] = "deny",	 [VERDICT_ALLOW] = "allow",
	[VERDICT_APPROVE] = "approve",	 [VERDICT_AUDIT] = "audit",
	[VERDICT_REDIRECT] = "redirect", [VERDICT_SOFT_DELETE] = "soft_delete",
	[VERDICT_HIDE] = "hide",	 [VERDICT_ABSORB] = "absorb",
};

const char *verdict_name(enum verdict v)
{
	return (unsigned)v < VERDICT_COUNT ? names[v] : "deny";
}

int verdict_parse(enum verdict *out, const char *name)
{
	for (unsigned i = 0; i < VERDICT_COUNT; i++) {
		if (strcmp(names[i], name) == 0) {
			*out = (enum verdict)i;
			return 0;
		}
	}
	return -EINVAL;
}
