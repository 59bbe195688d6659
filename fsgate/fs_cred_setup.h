/*
 * fs_cred_setup.h - create files as the caller would
 *
 * Who may do what was decided before: by the kernel (default_permissions, with the caller's own
 * credentials) and by the policy. What is left is whose the new file is, and the umask, which the
 * backing file system applies unless the directory has a default ACL.
 *
 * Threads: both are properties of one thread (setfsuid(2); umask after unshare(CLONE_FS)).
 */
#ifndef FSGATE_FS_CRED_SETUP_H
#define FSGATE_FS_CRED_SETUP_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * Make this thread create files as uid, gid, under this umask.
 *
 * @param is_root  the gate is root; otherwise the owner can only be the gate's own
 * @return 0 or -errno (then nothing may be created)
 */
int fs_cred_as(bool is_root, uid_t uid, gid_t gid, mode_t mask);

#endif
