/* The filter as installed: each refused call answers as the table says, ordinary ones work. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "execgate/exec_filter.h"
#include "tests/unit/unit.h"

static void install(void)
{
	struct err e = ERR_INIT;
	struct sock_fprog prog;
	void *filter;
	size_t len;

	if (exec_filter_build(&filter, &len, &e) < 0)
		_exit(120);
	prog.len = (unsigned short)(len / sizeof(struct sock_filter));
	prog.filter = filter;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* with a listener, because notify actions need one; nobody answers */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		    &prog) < 0)
		_exit(121);
	free(filter);
}

/* Run fn under the filter. @return its exit status, or -signal */
static int under_filter(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		install();
		_exit(fn());
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

struct probe {
	long nr;
	long args[6];
	int want; /* errno; 0: anything but what the filter could answer */
};

#define HIGH 0x7700000000l

static const struct probe refused[] = {
	{SYS_clone, {CLONE_NEWUSER | SIGCHLD}, EPERM},
	{SYS_clone, {CLONE_NEWNS | SIGCHLD}, EPERM},
	{SYS_clone, {CLONE_NEWNET | CLONE_NEWPID | SIGCHLD}, EPERM},
	{SYS_clone, {CLONE_PARENT | SIGCHLD}, EPERM},
	{SYS_clone3, {0, 0}, ENOSYS},
	{SYS_unshare, {CLONE_NEWUSER}, EPERM},
	{SYS_unshare, {CLONE_NEWNS | CLONE_FS}, EPERM},
	{SYS_unshare, {0x80 /* CLONE_NEWTIME */}, EPERM},
	{SYS_setns, {-1, 0}, EPERM},
	{SYS_mount, {0}, EPERM},
	{SYS_umount2, {0}, EPERM},
	{SYS_pivot_root, {0}, EPERM},
	{SYS_chroot, {0}, EPERM},
	{SYS_open_tree, {-1, 0, 0}, EPERM},
	{SYS_move_mount, {-1}, EPERM},
	{SYS_fsopen, {0}, EPERM},
	{SYS_fsconfig, {-1}, EPERM},
	{SYS_fsmount, {-1}, EPERM},
	{SYS_fspick, {-1}, EPERM},
	{442 /* mount_setattr */, {-1}, EPERM},
	{467 /* open_tree_attr */, {-1}, EPERM},
	{SYS_swapon, {0}, EPERM},
	{SYS_swapoff, {0}, EPERM},
	{SYS_reboot, {0}, EPERM},
	{SYS_acct, {0}, EPERM},
	{SYS_quotactl, {0}, EPERM},
	{443 /* quotactl_fd */, {-1}, EPERM},
	{SYS_sethostname, {0}, EPERM},
	{SYS_vhangup, {0}, EPERM},
	{SYS_syslog, {10}, EPERM},
	{SYS_kexec_load, {0}, EPERM},
	{SYS_kexec_file_load, {-1}, EPERM},
	{SYS_init_module, {0}, EPERM},
	{SYS_finit_module, {-1}, EPERM},
	{SYS_delete_module, {0}, EPERM},
	{SYS_bpf, {0}, EPERM},
	{SYS_perf_event_open, {0}, EPERM},
	{SYS_userfaultfd, {0}, EPERM},
	{SYS_fanotify_init, {0}, EPERM},
	{447 /* memfd_secret */, {0}, ENOSYS},
	{SYS_io_uring_setup, {0}, ENOSYS},
	{SYS_io_uring_enter, {-1}, ENOSYS},
	{SYS_io_uring_register, {-1}, ENOSYS},
	{SYS_ptrace, {0 /* PTRACE_TRACEME */}, EPERM},
	{SYS_process_vm_readv, {1}, EPERM},
	{SYS_process_vm_writev, {1}, EPERM},
	{440 /* process_madvise */, {-1}, EPERM},
	{SYS_pidfd_getfd, {-1}, EPERM},
	{SYS_kcmp, {1, 1}, EPERM},
	{SYS_keyctl, {0}, EPERM},
	{SYS_fchmod, {99999, 04755}, EPERM},
	{SYS_add_key, {0}, EPERM},
	{SYS_request_key, {0}, EPERM},
	{SYS_open_by_handle_at, {-1}, EPERM},
	{SYS_name_to_handle_at, {-1}, EPERM},
	{SYS_settimeofday, {0}, EPERM},
	{SYS_clock_settime, {0}, EPERM},
	{SYS_clock_adjtime, {0}, EPERM},
	{SYS_adjtimex, {0}, EPERM},
	{SYS_personality, {READ_IMPLIES_EXEC}, EPERM},
	{SYS_personality, {HIGH | READ_IMPLIES_EXEC}, EPERM},
	{SYS_personality, {0x80000000l | READ_IMPLIES_EXEC}, EPERM},
	{SYS_personality, {ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC}, EPERM},
	{SYS_prctl, {PR_SET_MM, 0}, EPERM},
	{SYS_prctl, {HIGH | PR_SET_MM, 0}, EPERM},
	{SYS_seccomp, {SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER}, EPERM},
	{SYS_seccomp, {HIGH | SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER}, EPERM},
	{SYS_ioctl, {0, TIOCSTI}, EPERM},
	{SYS_ioctl, {0, HIGH | TIOCSTI}, EPERM},
	{SYS_ioctl, {0, TIOCLINUX}, EPERM},
	{SYS_ioctl, {0, TIOCSETD}, EPERM},
	{SYS_socket, {AF_ALG, SOCK_SEQPACKET, 0}, EAFNOSUPPORT},
	{SYS_socket, {HIGH | AF_ALG, SOCK_SEQPACKET, 0}, EAFNOSUPPORT},
	{SYS_socket, {AF_PACKET, SOCK_RAW, 0}, EAFNOSUPPORT},
	{SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}, EAFNOSUPPORT},
	{SYS_socket, {AF_BLUETOOTH, SOCK_RAW, 0}, EAFNOSUPPORT},
	{SYS_socket, {AF_KEY, SOCK_RAW, 2}, EAFNOSUPPORT},
	{SYS_socket, {44 /* AF_XDP */, SOCK_RAW, 0}, EAFNOSUPPORT},
	{SYS_socket, {3 /* AF_AX25 */, SOCK_DGRAM, 0}, EAFNOSUPPORT},
	{SYS_socket, {-1, SOCK_DGRAM, 0}, EAFNOSUPPORT},
	{SYS_socketpair, {AF_TIPC, SOCK_STREAM, 0}, EAFNOSUPPORT},
	{SYS_socket, {AF_INET, SOCK_RAW, 0}, EPERM},
	{SYS_socket, {AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP}, EPERM},
	{SYS_socket, {AF_INET, HIGH | SOCK_RAW, IPPROTO_TCP}, EPERM},
	{SYS_socket, {AF_INET, SOCK_PACKET, 0}, EPERM},
	{SYS_socket, {AF_INET, SOCK_DGRAM, IPPROTO_ICMP}, EPROTONOSUPPORT},
	{SYS_socket, {AF_INET, SOCK_RAW, IPPROTO_ICMP}, EPROTONOSUPPORT},
	{SYS_socket, {AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6}, EPROTONOSUPPORT},
	{SYS_socket, {AF_INET, SOCK_STREAM, IPPROTO_SCTP}, EPROTONOSUPPORT},
	{SYS_socket, {AF_INET6, SOCK_STREAM, 262 /* MPTCP */}, EPROTONOSUPPORT},
	{SYS_socket, {AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDPLITE}, EPROTONOSUPPORT},
	{SYS_socket, {AF_NETLINK, SOCK_RAW, NETLINK_XFRM}, EPROTONOSUPPORT},
	{SYS_socket, {AF_NETLINK, SOCK_DGRAM, NETLINK_NETFILTER}, EPROTONOSUPPORT},
	{470, {0}, ENOSYS},
	{5000, {0}, ENOSYS},
};

static const struct probe fine[] = {
	{SYS_unshare, {CLONE_FS | CLONE_FILES}, 0},
	{SYS_personality, {0xffffffffl}, 0},
	{SYS_personality, {ADDR_NO_RANDOMIZE}, 0},
	{SYS_personality, {0}, 0},
	{SYS_socket, {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0}, 0},
	{SYS_socket, {AF_UNIX, SOCK_SEQPACKET, 0}, 0},
	{SYS_socket, {AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0}, 0},
	{SYS_socket, {AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP}, 0},
	{SYS_socket, {AF_INET6, SOCK_STREAM, IPPROTO_TCP}, 0},
	{SYS_socket, {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE}, 0},
	{SYS_prctl, {PR_SET_NAME, (long)"x"}, 0},
	{SYS_memfd_create, {(long)"x", 0}, 0},
	{SYS_getpid, {0}, 0},
};

static int run_probe(const struct probe *p)
{
	errno = 0;
	if (syscall(p->nr, p->args[0], p->args[1], p->args[2], p->args[3], p->args[4],
		    p->args[5]) >= 0)
		return 0;
	return errno;
}

static int probe_refused(void)
{
	int bad = 0;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		int got = run_probe(&refused[i]);

		if (got != refused[i].want) {
			printf("# call %ld(%#lx, %#lx, %#lx): errno %d, not %d\n", refused[i].nr,
			       refused[i].args[0], refused[i].args[1], refused[i].args[2], got,
			       refused[i].want);
			bad++;
		}
	}
	fflush(stdout);
	return bad;
}

static int probe_fine(void)
{
	int bad = 0;

	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		int got = run_probe(&fine[i]);

		if (got != 0) {
			printf("# call %ld(%#lx, %#lx, %#lx): errno %d\n", fine[i].nr,
			       fine[i].args[0], fine[i].args[1], fine[i].args[2], got);
			bad++;
		}
	}
	fflush(stdout);
	return bad;
}

static void test_refused(void)
{
	CU_ASSERT_EQUAL(under_filter(probe_refused), 0);
}

static void test_fine(void)
{
	CU_ASSERT_EQUAL(under_filter(probe_fine), 0);
}

static void *thread(void *arg)
{
	return arg;
}

static int use_threads(void)
{
	int status, pair[2];
	pthread_t t;
	pid_t pid;

	if (pthread_create(&t, NULL, thread, NULL) != 0 || pthread_join(t, NULL) != 0)
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(3);
	if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 3)
		return 2;
	pid = vfork();
	if (pid == 0)
		_exit(4);
	if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 4)
		return 3;
	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ? 4 : 0;
}

static void test_threads(void)
{
	CU_ASSERT_EQUAL(under_filter(use_threads), 0);
}

#if defined(__x86_64__)
static int x32_call(void)
{
	syscall(0x40000000 | SYS_getpid);
	return 0;
}

static int i386_call(void)
{
	long r;

	/* getpid of the 32-bit table */
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	return r > 0 ? 0 : 1;
}

static void test_foreign(void)
{
	CU_ASSERT_EQUAL(under_filter(x32_call), -SIGSYS);
	CU_ASSERT_EQUAL(under_filter(i386_call), -SIGSYS);
}
#endif

/* docs/SYSCALLS.md has a table line for every row, in order, and no other. */
static void test_doc(void)
{
	FILE *f = fopen(SYSCALLS_MD, "re");
	char line[512], want[512];
	size_t i = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(line, sizeof(line), f)) {
		struct exec_filter_row row;

		if (strncmp(line, "| `", 3) != 0)
			continue;
		CU_ASSERT_FATAL(i < exec_filter_rows());
		exec_filter_row(&row, i++);
		snprintf(want, sizeof(want), "| `%s` | %s | %s | %s |\n", row.syscall,
			 row.when[0] ? row.when : "always", row.answer, row.why);
		CU_ASSERT_STRING_EQUAL(line, want);
	}
	CU_ASSERT_EQUAL(i, exec_filter_rows());
	fclose(f);
}

static const struct unit_case cases[] = {
	{"refused calls answer as the table says", test_refused},
	{"ordinary calls work", test_fine},
	{"threads, fork, vfork, socketpair", test_threads},
#if defined(__x86_64__)
	{"foreign architectures are killed", test_foreign},
#endif
	{"docs/SYSCALLS.md is the table", test_doc},
};

UNIT_MAIN("exec_filter", cases)
