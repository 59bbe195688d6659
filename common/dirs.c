#include "common/dirs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/path.h"

static int absolute(char *out, const char *dir, const char *name, struct err *e)
{
	char cwd[PATH_MAX];

	if (dir[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return err_set(e, errno, "current directory");
	if (dir[0] != '/') {
		char full[PATH_MAX * 2];

		snprintf(full, sizeof(full), "%s/%s/%s", cwd, dir, name);
		return path_normalize(out, PATH_MAX, full) < 0
			       ? err_say(e, ENAMETOOLONG, "%s: name too long", dir)
			       : 0;
	}
	if (path_join(out, PATH_MAX, dir, name) < 0)
		return err_say(e, ENAMETOOLONG, "%s: name too long", dir);
	return 0;
}

/* $env/agentsh, else $HOME/fallback/agentsh */
static int user_dir(char *out, const char *env, const char *fallback, struct err *e)
{
	const char *base = getenv(env), *home = getenv("HOME");
	char name[PATH_MAX];

	if (base && base[0] == '/')
		return absolute(out, base, "agentsh", e);
	if (!home || home[0] != '/')
		return err_say(e, ENOENT, "HOME is not set: set it, or AGENTSH_STATE_DIR");
	snprintf(name, sizeof(name), "%s/agentsh", fallback);
	return absolute(out, home, name, e);
}

static int runtime_dir(struct dirs *d, const char *state_override, struct err *e)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (state_override)
		return absolute(d->runtime, d->state, "run", e);
	if (geteuid() == 0) {
		snprintf(d->runtime, sizeof(d->runtime), "/run/agentsh");
		return 0;
	}
	if (xdg && xdg[0] == '/' && stat(xdg, &st) == 0 && st.st_uid == geteuid())
		return absolute(d->runtime, xdg, "agentsh", e);
	return absolute(d->runtime, d->state, "run", e);
}

static int exe_dir(char *out, size_t size, struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", out, size - 1);
	char *slash;

	if (n < 0)
		return err_set(e, errno, "read /proc/self/exe");
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

static void policies_dir(struct dirs *d, const char *exe)
{
	static const char *const places[] = {"../share/agentsh/policies", "../policies",
					     "../../policies"};
	const char *env = getenv("AGENTSH_POLICY_DIR");

	if (env && absolute(d->policies, env, "", NULL) == 0)
		return;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char file[PATH_MAX + 16];

		if (path_join(d->policies, sizeof(d->policies), exe, places[i]) < 0)
			continue;
		snprintf(file, sizeof(file), "%s/base.yaml", d->policies);
		if (access(file, R_OK) == 0)
			return;
	}
	/* a build tree that lies apart from its sources */
	if (path_join(d->policies, sizeof(d->policies), exe, "../config.status") == 0 &&
	    access(d->policies, F_OK) == 0) {
		snprintf(d->policies, sizeof(d->policies), "%s/policies", AGENTSH_SRCDIR);
		return;
	}
	snprintf(d->policies, sizeof(d->policies), "/usr/share/agentsh/policies");
}

int dirs_init(struct dirs *d, struct err *e)
{
	const char *state = getenv("AGENTSH_STATE_DIR"), *config = getenv("AGENTSH_CONFIG_DIR");
	char exe[PATH_MAX];
	int r;

	memset(d, 0, sizeof(*d));
	if (state && !*state)
		state = NULL;
	if (state)
		r = absolute(d->state, state, "", e);
	else if (geteuid() == 0)
		r = absolute(d->state, "/var/lib/agentsh", "", e);
	else
		r = user_dir(d->state, "XDG_STATE_HOME", ".local/state", e);
	if (r < 0)
		return r;
	if (config && *config)
		r = absolute(d->config, config, "", e);
	else if (geteuid() == 0)
		r = absolute(d->config, "/etc/agentsh", "", e);
	else
		r = user_dir(d->config, "XDG_CONFIG_HOME", ".config", state ? NULL : e);
	if (r < 0 && !state)
		return r;
	if (runtime_dir(d, state, e) < 0 || absolute(d->audit, d->state, "audit", e) < 0)
		return -ENAMETOOLONG;
	r = exe_dir(exe, sizeof(exe), e);
	if (r < 0)
		return r;
	policies_dir(d, exe);
	return 0;
}

int dirs_make(const char *path, struct err *e)
{
	char part[PATH_MAX];
	struct stat st;

	if (strlen(path) >= sizeof(part))
		return err_say(e, ENAMETOOLONG, "%s: name too long", path);
	for (const char *p = path + 1;; p++) {
		bool last = *p == '\0';

		if (*p != '/' && !last)
			continue;
		memcpy(part, path, (size_t)(p - path));
		part[p - path] = '\0';
		if (mkdir(part, last ? 0700 : 0755) < 0 && errno != EEXIST)
			return err_set(e, errno, "create %s", part);
		if (last)
			break;
	}
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_say(e, ENOTDIR, "%s is not a directory", path);
	if (st.st_uid != geteuid())
		return err_say(e, EPERM, "%s belongs to uid %u, not to us: remove it or set AGENTSH_STATE_DIR",
			       path, (unsigned)st.st_uid);
	if ((st.st_mode & 022) && chmod(path, 0700) < 0)
		return err_set(e, errno, "%s is writable by others", path);
	return 0;
}

int dirs_program(char *out, size_t size, const char *name, struct err *e)
{
	/* installed: bin/../libexec/agentsh; build tree: agentsh/../fsgate and so on */
	static const char *const places[] = {"../libexec/agentsh", "../fsgate", "../netgate",
					     "../execgate", "../common", "."};
	char exe[PATH_MAX], dir[PATH_MAX];
	int r = exe_dir(exe, sizeof(exe), e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (path_join(dir, sizeof(dir), exe, places[i]) < 0 ||
		    path_join(out, size, dir, name) < 0)
			continue;
		if (access(out, X_OK) == 0)
			return 0;
	}
	return err_say(e, ENOENT, "%s is not installed beside agentsh (looked in %s/../libexec/agentsh)",
		       name, exe);
}
