#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agentsh/sandbox_i.h"
#include "common/auto.h"
#include "common/str.h"

static int read_small(char *buf, size_t size, const char *path)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return (int)n;
}

static bool says(const char *path, char c)
{
	char buf[64];

	return read_small(buf, sizeof(buf), path) > 0 && buf[0] == c;
}

const char *sandbox_userns_remedy(void)
{
	if (says("/proc/sys/user/max_user_namespaces", '0'))
		return "they are switched off: sysctl user.max_user_namespaces=10000";
	if (says("/proc/sys/kernel/unprivileged_userns_clone", '0'))
		return "ordinary users may not have them: sysctl kernel.unprivileged_userns_clone=1";
	if (says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", '1'))
		return "AppArmor restricts them: install agentsh's AppArmor profile, or sysctl "
		       "kernel.apparmor_restrict_unprivileged_userns=0";
	return "a container runtime or security module forbids them: run as root on the host, or "
	       "allow clone3 and mount in the container's seccomp profile";
}

static int write_file(int dir, const char *name, const char *text)
{
	autoclose int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* Every id of our own user namespace, mapped to itself; on the host that is "0 0 4294967295". */
static int identity(char *buf, size_t size, const char *own_map)
{
	char text[2048], *at = text;
	struct str out;
	int r = read_small(text, sizeof(text), own_map);

	if (r < 0)
		return r;
	str_init(&out, buf, size);
	for (;;) {
		unsigned long field[3]; /* first id inside, first id outside, how many */
		char *end = at;

		for (unsigned i = 0; i < 3; i++) {
			at = end;
			field[i] = strtoul(at, &end, 10);
		}
		if (end == at)
			break;
		at = end;
		str_addf(&out, "%lu %lu %lu\n", field[0], field[0], field[2]);
	}
	return out.cut || out.len == 0 ? -EINVAL : 0;
}

static int map_error(struct err *e, int code, const char *what)
{
	if (code == EPERM || code == EACCES)
		return err_say(e, code, "user namespaces: writing the %s is refused; %s", what,
			       sandbox_userns_remedy());
	return err_set(e, code, "user namespaces: write the %s", what);
}

int sandbox_map_ids(pid_t pid, const struct sandbox_args *args, struct err *e)
{
	char dir_name[64], uids[2048], gids[2048];
	autoclose int dir = -1;
	int r;

	snprintf(dir_name, sizeof(dir_name), "/proc/%d", (int)pid);
	dir = open(dir_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(e, errno, "open %s (is /proc mounted?)", dir_name);
	if (args->is_root) {
		r = identity(uids, sizeof(uids), "/proc/self/uid_map");
		if (r == 0)
			r = identity(gids, sizeof(gids), "/proc/self/gid_map");
		if (r < 0)
			return err_set(e, -r, "read the id map of this process");
	} else {
		snprintf(uids, sizeof(uids), "%u %u 1\n", args->uid, args->uid);
		snprintf(gids, sizeof(gids), "%u %u 1\n", args->gid, args->gid);
		/* user_namespaces(7): without privilege, gid_map wants setgroups refused first */
		r = write_file(dir, "setgroups", "deny");
		if (r < 0)
			return map_error(e, -r, "setgroups file");
	}
	r = write_file(dir, "uid_map", uids);
	if (r < 0)
		return map_error(e, -r, "uid map");
	r = write_file(dir, "gid_map", gids);
	return r < 0 ? map_error(e, -r, "gid map") : 0;
}
