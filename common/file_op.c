#include "common/policy.h"

static const char *const names[FILE_OPS] = {
	[FILE_OPEN] = "open",	    [FILE_READ] = "read",	  [FILE_WRITE] = "write",
	[FILE_CREATE] = "create",   [FILE_MKDIR] = "mkdir",	  [FILE_DELETE] = "delete",
	[FILE_RMDIR] = "rmdir",	    [FILE_RENAME] = "rename",	  [FILE_LINK] = "link",
	[FILE_SYMLINK] = "symlink", [FILE_READLINK] = "readlink", [FILE_CHMOD] = "chmod",
	[FILE_CHOWN] = "chown",	    [FILE_UTIME] = "utime",	  [FILE_XATTR] = "xattr",
	[FILE_MKNOD] = "mknod",	    [FILE_STAT] = "stat",	  [FILE_LIST] = "list",
	[FILE_ACCESS] = "access",   [FILE_LOCK] = "lock",	  [FILE_EXEC] = "exec",
};

const char *file_op_name(enum file_op op)
{
	return (unsigned)op < FILE_OPS ? names[op] : "unknown";
}
