#include "agentsh/policy_opts.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agentsh/git_dir.h"
#include "common/auto.h"
#include "common/log.h"
#include "common/path.h"

int policy_opts_take(struct policy_opts *o, int argc, char **argv, int *i)
{
	const char *arg = argv[*i];
	const char **value = NULL;
	size_t len = strcspn(arg, "=");

	if (strcmp(arg, "--json") == 0) {
		o->json = true;
		return 1;
	}
	if (len == 11 && strncmp(arg, "--workspace", len) == 0)
		value = &o->workspace;
	else if (len == 6 && strncmp(arg, "--home", len) == 0)
		value = &o->home;
	if (!value)
		return 0;
	if (arg[len]) {
		*value = arg + len + 1;
	} else if (*i + 1 < argc) {
		*value = argv[++*i];
	} else {
		log_err("%s needs a value", arg);
		return -EINVAL;
	}
	return 1;
}

/* Canonical text of a directory, which need not exist: a policy can be asked about any place. */
static int place(char *out, const char *given, const char *what)
{
	autofree char *real = realpath(given, NULL);
	char cwd[PATH_MAX];
	int r;

	if (real)
		r = path_normalize(out, PATH_MAX, real);
	else if (given[0] == '/')
		r = path_normalize(out, PATH_MAX, given);
	else
		r = getcwd(cwd, sizeof(cwd)) ? path_join(out, PATH_MAX, cwd, given) : -errno;
	if (r < 0)
		log_err("%s %s: %s", what, given, strerror(-r));
	return r;
}

static const char *nearest(char *out, const char *dir, const char *const *marks, size_t n)
{
	char probe[PATH_MAX + 32];

	snprintf(out, PATH_MAX, "%s", dir);
	while (out[0]) {
		for (size_t i = 0; i < n; i++) {
			snprintf(probe, sizeof(probe), "%s/%s", out, marks[i]);
			if (access(probe, F_OK) == 0)
				return out;
		}
		*strrchr(out, '/') = '\0';
	}
	return dir;
}

int policy_opts_finish(struct policy_opts *o)
{
	static const char *const marks[] = {".git",	  "go.mod",	    "package.json",
					    "Cargo.toml", "pyproject.toml", "setup.py",
					    "pom.xml",	  "CMakeLists.txt", "configure.ac"};
	const char *home = o->home ? o->home : getenv("HOME");
	const char *user = getenv("USER");
	struct err e = ERR_INIT;
	int r = dirs_init(&o->dirs, &e);

	if (r < 0) {
		log_err("%s", e.text);
		return r;
	}
	r = place(o->ws_buf, o->workspace ? o->workspace : ".", "workspace");
	if (r < 0)
		return r;
	/* a home directory that is all there is would make everything private */
	if (home && home[0] == '/' && home[1] && place(o->home_buf, home, "home") < 0)
		return -EINVAL;
	git_dir_find(o->common_buf, sizeof(o->common_buf), o->ws_buf);
	if (!o->git_common && o->common_buf[0])
		o->git_common = o->common_buf;
	o->vars = (struct policy_vars){
		.workspace = o->ws_buf,
		.project_root = nearest(o->project_buf, o->ws_buf, marks, ARRAY_LEN(marks)),
		.git_root = nearest(o->git_buf, o->ws_buf, marks, 1),
		.git_common_dir = o->git_common,
		.home = o->home_buf[0] ? o->home_buf : NULL,
		.tmpdir = "/tmp",
		.user = user ? user : "user",
		.session = "session",
	};
	return 0;
}

static void collect(void *arg, bool is_error, const char *file, unsigned line, unsigned column,
		    const char *text)
{
	struct policy_report *report = arg;

	report->n_errors += is_error;
	report->n_warnings += !is_error;
	if (report->list)
		json_array_append_new(report->list,
				      json_pack("{s:s, s:s, s:i, s:i, s:s}", "level",
						is_error ? "error" : "warning", "file", file,
						"line", (int)line, "column", (int)column, "text",
						text));
	else if (is_error || !report->quiet)
		fprintf(stderr, "%s:%u:%u: %s%s\n", file, line, column,
			is_error ? "" : "warning: ", text);
}

bool policy_opts_is_file(const char *name)
{
	const char *dot = strrchr(name, '.');

	return strchr(name, '/') || (dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"))) ||
	       access(name, F_OK) == 0;
}

int policy_opts_load(struct policy **out, const struct policy_opts *o, const char *name,
		     struct policy_report *report)
{
	bool is_file = policy_opts_is_file(name);
	struct policy_load_args args = {
		.file = is_file ? name : NULL,
		.pack = is_file ? NULL : name,
		.pack_dir = o->dirs.policies,
		.vars = &o->vars,
		.diag = collect,
		.diag_arg = report,
	};
	struct err e = ERR_INIT;
	int r = policy_load(out, &args, &e);

	if (r < 0 && !report->n_errors) {
		report->n_errors++;
		if (report->list)
			json_array_append_new(report->list,
					      json_pack("{s:s, s:s, s:s}", "level", "error", "file",
							name, "text", e.text));
		else
			log_err("%s", e.text);
	}
	return r;
}
