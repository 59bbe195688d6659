/*
 * The one door that mounts do not close: a descriptor from outside names a file of the host, and
 * /proc/self/fd/N opens that file again with any access its owner has. Landlock judges by the file
 * itself: writing is for what lies below the sandbox's root, and for what is open for writing
 * already (a terminal or log as standard output). Pipes and sockets are not its business.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agentsh/sandbox_i.h"
#include "common/auto.h"
#include "common/sys.h"

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* since version 3, Linux 6.2 */
#endif

/* Version 1 refuses every rename to another directory, which no program would put up with. */
#define VERSION_MIN	 2
#define VERSION_TRUNCATE 3

/* Would opening it anew give more than it is? Not a terminal, and /dev/null is there anyway. */
static bool is_restricted(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || (flags & O_ACCMODE) != O_RDONLY || fstat(fd, &st) < 0)
		return false;
	if (S_ISCHR(st.st_mode))
		return st.st_rdev != makedev(1, 3) && !isatty(fd);
	return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
}

int sandbox_fence(struct err *e)
{
	uint64_t change = LANDLOCK_ACCESS_FS_WRITE_FILE;
	int version = sys_landlock_abi();
	autoclose int rules = -1, root = -1;

	/* every open(2) pays for it, some 0.5 us: only where there is something to protect */
	if (!is_restricted(0) && !is_restricted(1) && !is_restricted(2))
		return 0;
	/* a kernel without it: what an agent does to the files it was given is then up to the caller */
	if (version < VERSION_MIN)
		return 0;
	if (version >= VERSION_TRUNCATE)
		change |= LANDLOCK_ACCESS_FS_TRUNCATE;
	rules = sys_landlock_create(change | LANDLOCK_ACCESS_FS_REFER);
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rules < 0 || root < 0 ||
	    sys_landlock_allow(rules, root, change | LANDLOCK_ACCESS_FS_REFER) < 0)
		return err_set(e, errno, "fence the standard descriptors (Landlock)");
	for (int fd = 0; fd < 3; fd++) {
		int flags = fcntl(fd, F_GETFL);

		/* EBADFD: a pipe or socket, which has no path to open it again */
		if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY &&
		    sys_landlock_allow(rules, fd, change) < 0 && errno != EBADFD)
			return err_set(e, errno, "fence descriptor %d (Landlock)", fd);
	}
	if (sys_landlock_restrict(rules) < 0)
		return err_set(e, errno, "fence the standard descriptors (Landlock)");
	return 0;
}
