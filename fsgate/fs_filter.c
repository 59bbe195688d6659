/*
 * Your new code gets EPERM, or kills the session? It makes a system call that is not in this table.
 * Which one: strace -f of the gate; for a kill also dmesg (type=1326, syscall=N). Add it to allowed[] when a file
 * server has use for it and it cannot reach more than descriptors and paths reach already (Landlock
 * limits those); when only some arguments are fine, to limited[]. Work that takes more (a process, a
 * socket, a mount) belongs before fs_confine() or into a helper that is made there. See it with
 * tests/unit/test_fs_confine and tests/e2e/confine.sh.
 */
#include "fsgate/fs_filter.h"

#include <errno.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/auto.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
/* FUSE_DEV_IOC_CLONE, _BACKING_OPEN, _BACKING_CLOSE */
#define FUSE_CLONE _IOC(_IOC_READ, 229, 0, 4)
#define FUSE_BACKING_OPEN _IOC(_IOC_WRITE, 229, 1, 16)
#define FUSE_BACKING_CLOSE _IOC(_IOC_WRITE, 229, 2, 4)

static const char *const allowed[] = {
	/* files by path, one component below a descriptor */
	"open", "openat", "openat2", "mkdir", "mkdirat", "mknod", "mknodat", "unlink", "unlinkat",
	"rmdir", "symlink", "symlinkat", "link", "linkat", "rename", "renameat", "renameat2",
	"readlink", "readlinkat", "chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat",
	"utimensat", "truncate", "access", "faccessat", "faccessat2", "stat", "lstat",
	"newfstatat", "statx", "statfs", "getxattr", "lgetxattr", "setxattr", "lsetxattr",
	"listxattr", "llistxattr", "removexattr", "lremovexattr", "name_to_handle_at",
	"inotify_init1", "inotify_add_watch", "inotify_rm_watch", "fanotify_mark",
	/* open files */
	"read", "pread64", "readv", "preadv", "preadv2", "write", "pwrite64", "writev", "pwritev",
	"pwritev2", "close", "close_range", "fstat", "fstatfs", "lseek", "getdents64", "fchmod",
	"fchown", "ftruncate", "fallocate", "copy_file_range", "sendfile", "splice", "vmsplice",
	"tee", "fsync", "fdatasync", "sync_file_range", "syncfs", "fgetxattr", "fsetxattr",
	"flistxattr", "fremovexattr", "flock", "fcntl", "fadvise64", "readahead", "dup", "dup2",
	"dup3", "pipe", "pipe2", "memfd_create", "umask",
	/* the caller's identity; see fs_cred_setup.c */
	"setfsuid", "setfsgid", "capget", "capset", "getuid", "geteuid", "getgid", "getegid",
	"getgroups", "getpid", "gettid", "getppid",
	/* memory, threads, time */
	"mmap", "munmap", "mremap", "mprotect", "madvise", "brk", "mincore", "futex",
	"futex_waitv", "sched_yield", "sched_getaffinity", "sched_setaffinity", "membarrier",
	"set_robust_list", "get_robust_list", "rseq", "exit", "exit_group", "set_tid_address",
	"restart_syscall", "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres",
	"gettimeofday", "time", "getcpu", "getrandom", "prlimit64", "getrlimit", "getrusage",
	"times", "uname", "sysinfo", "sigaltstack", "rt_sigaction", "rt_sigprocmask",
	"rt_sigreturn", "rt_sigtimedwait", "rt_sigpending",
	/* waiting, and the control socket that is open already */
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2",
	"timerfd_create", "timerfd_settime", "timerfd_gettime", "signalfd4", "poll", "ppoll",
	"select", "pselect6", "recvmsg", "sendmsg", "recvfrom", "sendto", "getsockopt",
	"setsockopt", "shutdown",
};

static const char *const killed[] = {
	"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev",
	"process_madvise", "pidfd_getfd", "kcmp", "kill", "tkill", "rt_sigqueueinfo",
	"rt_tgsigqueueinfo", "pidfd_send_signal",
	"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4",
	"mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen",
	"fsconfig", "fsmount", "fspick", "mount_setattr", "setns", "quotactl", "quotactl_fd",
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups",
	/* any file of a file system by its number */
	"open_by_handle_at",
	/* calls inside the ring are not seen by this filter */
	"io_uring_setup", "io_uring_enter", "io_uring_register",
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "bpf",
	"perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "personality",
	"reboot", "swapon", "swapoff", "acct", "settimeofday", "clock_settime", "adjtimex",
	"clock_adjtime", "sethostname", "setdomainname", "iopl", "ioperm", "modify_ldt",
	"fanotify_init", "seccomp", "landlock_restrict_self",
};

/* Allowed when (argument & mask) == value. A call may have several lines. */
static const struct {
	const char *name;
	unsigned arg;
	uint64_t mask, value;
} limited[] = {
	{"clone", 0, CLONE_THREAD | CLONE_NEWUSER | CLONE_NEWNS, CLONE_THREAD},
	{"unshare", 0, UINT64_MAX, CLONE_FS},
	{"prctl", 0, UINT32_MAX, PR_SET_NAME},
	{"prctl", 0, UINT32_MAX, PR_GET_NAME},
	{"prctl", 0, UINT32_MAX, PR_SET_VMA},
	{"ioctl", 1, UINT32_MAX, FUSE_CLONE},
	{"ioctl", 1, UINT32_MAX, FUSE_BACKING_OPEN},
	{"ioctl", 1, UINT32_MAX, FUSE_BACKING_CLOSE},
	{"ioctl", 1, UINT32_MAX, FICLONE},
	{"ioctl", 1, UINT32_MAX, FICLONERANGE},
	{"ioctl", 1, UINT32_MAX, FS_IOC_GETFLAGS},
	{"ioctl", 1, UINT32_MAX, FS_IOC_SETFLAGS},
	{"ioctl", 1, UINT32_MAX, FS_IOC_FSGETXATTR},
	{"ioctl", 1, UINT32_MAX, FIONREAD},
	{"ioctl", 1, UINT32_MAX, TCGETS},
};

static int add(scmp_filter_ctx ctx, uint32_t action, const char *name, unsigned n,
	       const struct scmp_arg_cmp *cond, struct err *e)
{
	int nr = seccomp_syscall_resolve_name(name), r;

	if (nr == __NR_SCMP_ERROR)
		return 0; /* a newer call than the library knows: ENOSYS */
	r = seccomp_rule_add_array(ctx, action, nr, n, cond);
	return r < 0 ? err_set(e, -r, "seccomp rule for %s", name) : 0;
}

static int fill(scmp_filter_ctx ctx, struct err *e)
{
	const struct scmp_arg_cmp self = SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)getpid());
	const struct scmp_arg_cmp process = SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(allowed); i++)
		r = add(ctx, SCMP_ACT_ALLOW, allowed[i], 0, NULL, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(killed); i++)
		r = add(ctx, SCMP_ACT_KILL_PROCESS, killed[i], 0, NULL, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(limited); i++) {
		const struct scmp_arg_cmp c = {limited[i].arg, SCMP_CMP_MASKED_EQ, limited[i].mask,
					       limited[i].value};

		r = add(ctx, SCMP_ACT_ALLOW, limited[i].name, 1, &c, e);
	}
	/* its flags are in memory, where nobody can look at them: ENOSYS makes the C library use clone */
	if (r == 0)
		r = add(ctx, SCMP_ACT_KILL_PROCESS, "clone", 1, &process, e);
	if (r == 0)
		r = add(ctx, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL, e);
	/* abort(3), and the end of a thread */
	return r == 0 ? add(ctx, SCMP_ACT_ALLOW, "tgkill", 1, &self, e) : r;
}

int fs_filter_install(struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!ctx)
		return err_set(e, ENOMEM, "seccomp filter");
	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0); /* set already */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = fill(ctx, e);
	if (r == 0) {
		r = seccomp_load(ctx);
		if (r < 0)
			err_set(e, -r, "install the seccomp filter");
	}
	seccomp_release(ctx);
	return r;
}
