#include "execgate/exec_loader.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/auto.h"

struct option {
	const char *name;
	bool takes_value; /* in the next argument */
};

/* musl accepts the long ones with "=value" too. */
static const struct option options[] = {
	{"--list", false},	     {"--verify", false},	 {"--inhibit-cache", false},
	{"--list-tunables", false},  {"--list-diagnostics", false}, {"--help", false},
	{"--version", false},	     {"--library-path", true},	 {"--glibc-hwcaps-prepend", true},
	{"--glibc-hwcaps-mask", true}, {"--inhibit-rpath", true}, {"--audit", true},
	{"--preload", true},	     {"--argv0", true},
};

static const struct option *find(const char *arg)
{
	size_t n = strcspn(arg, "=");

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strlen(options[i].name) == n && strncmp(options[i].name, arg, n) == 0)
			return &options[i];
	return NULL;
}

int exec_loader_parse(struct exec_loader_call *out, const char *const *argv, size_t argc)
{
	size_t i = 1;

	out->program = 0;
	out->argv0 = NULL;
	while (i < argc && argv[i][0] == '-') {
		const char *equals = strchr(argv[i], '=');
		const struct option *o;

		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		o = find(argv[i]);
		if (!o || (o->takes_value && !equals && i + 1 >= argc))
			return -EINVAL;
		if (strcmp(o->name, "--argv0") == 0)
			out->argv0 = equals ? equals + 1 : argv[i + 1];
		i += o->takes_value && !equals ? 2 : 1;
	}
	if (i >= argc)
		return 0;
	out->program = i;
	if (!out->argv0)
		out->argv0 = argv[i];
	return 0;
}
