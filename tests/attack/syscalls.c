/*
 * syscalls.c - doors of the kernel that an agent has no business with, and other processes
 *
 * Expected: every case is refused with EPERM, EACCES, ENOSYS or ESRCH, or the caller is killed by
 * SIGSYS. Programs fall back; no case may succeed, also not through another entry to the kernel
 * (x32, int 0x80).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/kcmp.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/attack/attack.h"

static enum outcome io_uring(void)
{
	struct io_uring_params p = {0};

	return attack_must_fail("io_uring_setup", syscall(SYS_io_uring_setup, 4, &p));
}

static enum outcome bpf_map(void)
{
	union bpf_attr a = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8,
			    .max_entries = 1};

	return attack_must_fail("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a)));
}

static enum outcome bpf_program(void)
{
	static const struct bpf_insn prog[] = {{.code = 0xb7}, {.code = 0x95}}; /* r0 = 0; exit */
	union bpf_attr a = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = 2,
			    .insns = (uint64_t)(uintptr_t)prog, .license = (uint64_t)(uintptr_t)"GPL"};

	return attack_must_fail("bpf", syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a)));
}

static enum outcome user_fault(void)
{
	return attack_must_fail("userfaultfd",
				syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
}

static enum outcome perf(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE, .size = sizeof(a),
				    .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1};

	return attack_must_fail("perf_event_open", syscall(SYS_perf_event_open, &a, 0, -1, -1, 0));
}

static enum outcome keyring(void)
{
	if (syscall(SYS_add_key, "user", "attack", "x", 1, KEY_SPEC_SESSION_KEYRING) >= 0)
		return attack_escaped("add_key");
	if (syscall(SYS_request_key, "user", "attack", NULL, KEY_SPEC_SESSION_KEYRING) >= 0)
		return attack_escaped("request_key");
	if (errno != EPERM && errno != ENOSYS)
		return attack_escaped("request_key looked: %s", strerrorname_np(errno));
	return attack_must_fail("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID,
						  KEY_SPEC_SESSION_KEYRING, 1));
}

static enum outcome trace_init(void)
{
	/* not PTRACE_ATTACH: where it works, a stopped pid 1 would never reap this program */
	return attack_must_fail("PTRACE_SEIZE", ptrace(PTRACE_SEIZE, 1, NULL, NULL));
}

static enum outcome trace_parent(void)
{
	pid_t pid = getppid();

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return attack_blocked("PTRACE_SEIZE: %s", strerrorname_np(errno));
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return attack_escaped("traced the parent");
}

static enum outcome memory_of_init(void)
{
	char byte = 0;
	struct iovec local = {&byte, 1}, remote = {(void *)&environ, 1};

	if (process_vm_readv(1, &local, 1, &remote, 1, 0) >= 0)
		return attack_escaped("process_vm_readv");
	if (errno == EFAULT)
		return attack_escaped("process_vm_readv looked into pid 1");
	if (process_vm_writev(1, &local, 1, &remote, 1, 0) >= 0 || errno == EFAULT)
		return attack_escaped("process_vm_writev");
	return attack_must_fail("process_vm_writev", -1);
}

static enum outcome descriptor_of_init(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, 1, 0);

	if (pidfd < 0)
		return attack_blocked("pidfd_open: %s", strerrorname_np(errno));
	for (int fd = 0; fd < 32; fd++)
		if (syscall(SYS_pidfd_getfd, pidfd, fd, 0) >= 0)
			return attack_escaped("took descriptor %d of pid 1", fd);
	return attack_must_fail("pidfd_getfd", -1);
}

static enum outcome compare_processes(void)
{
	return attack_must_fail("kcmp", syscall(SYS_kcmp, 1, getpid(), KCMP_FILES, 0, 0));
}

static enum outcome kernel_code(void)
{
	if (syscall(SYS_init_module, "", 0, "") == 0 || syscall(SYS_finit_module, 0, "", 0) == 0 ||
	    syscall(SYS_delete_module, "agentsh_none", O_NONBLOCK) == 0)
		return attack_escaped("modules");
	if (errno == ENOEXEC || errno == EBADF || errno == ENOENT)
		return attack_escaped("modules: %s", strerrorname_np(errno));
	if (syscall(SYS_kexec_load, 0, 0, NULL, 0) == 0)
		return attack_escaped("kexec_load");
	return attack_must_fail("kexec_file_load", syscall(SYS_kexec_file_load, -1, -1, 0, NULL, 0));
}

static enum outcome machine(void)
{
	struct timespec now = {0, 0};

	/* CAD on and off again would do no harm even outside */
	if (reboot(RB_DISABLE_CAD) == 0)
		return attack_escaped("reboot");
	if (clock_gettime(CLOCK_REALTIME, &now) == 0 && clock_settime(CLOCK_REALTIME, &now) == 0)
		return attack_escaped("clock_settime");
	if (swapon("/tmp/none", 0) == 0 || errno == ENOENT)
		return attack_escaped("swapon: %s", strerrorname_np(errno));
	if (acct(NULL) == 0)
		return attack_escaped("acct");
	return attack_must_fail("quotactl", syscall(SYS_quotactl, 0x80000100, NULL, 0, NULL));
}

static enum outcome kernel_log(void)
{
	char buf[4096];
	int n = klogctl(3, buf, sizeof(buf)); /* SYSLOG_ACTION_READ_ALL */

	return attack_must_fail("syslog", n);
}

static enum outcome ports(void)
{
#if defined(__x86_64__) || defined(__i386__)
	if (syscall(SYS_iopl, 3) == 0)
		return attack_escaped("iopl");
	return attack_must_fail("ioperm", syscall(SYS_ioperm, 0x80, 1, 1));
#else
	return attack_blocked("no such thing on this machine");
#endif
}

static enum outcome watch_files(void)
{
	return attack_must_fail("fanotify_init", fanotify_init(FAN_CLASS_CONTENT, O_RDONLY));
}

static enum outcome raise_priority(void)
{
	struct sched_param p = {.sched_priority = 50};

	if (setpriority(PRIO_PROCESS, 0, -20) == 0)
		return attack_escaped("nice -20");
	if (setpriority(PRIO_PROCESS, (id_t)attack_conf_number("canary_pid"), 19) == 0)
		return attack_escaped("reniced a process of the host");
	return attack_must_fail("sched_setscheduler", sched_setscheduler(0, SCHED_FIFO, &p));
}

/* a second listener would let the agent answer its own calls */
static enum outcome own_listener(void)
{
	struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = {1, &code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return attack_must_fail("seccomp", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
						   SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog));
}

#ifdef __x86_64__
#define X32 0x40000000ul

static enum outcome x32_calls(void)
{
	long r;

	if (syscall(X32 | SYS_getpid) > 0)
		return attack_escaped("x32 getpid");
	r = syscall(X32 | SYS_mkdir, "pub/x32", 0755);
	return attack_must_fail("x32 mkdir", r);
}

static long int80(long nr, long a, long b, long c)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
	return r;
}

static enum outcome compat_calls(void)
{
	long r = int80(20, 0, 0, 0); /* getpid of i386 */

	if (r > 0)
		return attack_escaped("getpid by int 0x80 gave %ld", r);
	errno = (int)-r;
	return attack_must_fail("int 0x80", r < 0 ? -1 : 0);
}

static enum outcome compat_exec(void)
{
	/* strings must lie below 4 GiB for the 32-bit entry */
	char *low = (char *)syscall(SYS_mmap, 0x10000000, 4096, 3, 0x32, -1, 0);
	int status;
	pid_t pid;

	if (low == (char *)-1)
		return attack_broken("no low memory");
	strcpy(low, attack_conf("denied_program"));
	pid = fork();
	if (pid == 0) {
		unsigned *argv = (unsigned *)(low + 256);

		argv[0] = (unsigned)(uintptr_t)low;
		argv[1] = 0;
		int80(11, (long)low, (long)argv, 0);
		_exit(113);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 113)
		return attack_escaped("execve by int 0x80: status %d", WEXITSTATUS(status));
	return attack_blocked("did not run");
}

static enum outcome local_descriptors(void)
{
	return attack_must_fail("modify_ldt", syscall(SYS_modify_ldt, 0, NULL, 0));
}
#else
static enum outcome x32_calls(void)
{
	return attack_blocked("no such entry on this machine");
}
#define compat_calls x32_calls
#define compat_exec x32_calls
#define local_descriptors x32_calls
#endif

static const struct attack cases[] = {
	CASE("io_uring", "EPERM or ENOSYS", io_uring),
	CASE("bpf-map", "EPERM or ENOSYS", bpf_map),
	CASE("bpf-program", "EPERM or ENOSYS", bpf_program),
	CASE("userfaultfd", "EPERM or ENOSYS", user_fault),
	CASE("perf_event_open", "EPERM or ENOSYS", perf),
	CASE("keyrings", "EPERM or ENOSYS", keyring),
	CASE("ptrace-pid-1", "EPERM", trace_init),
	CASE("ptrace-parent", "EPERM", trace_parent),
	CASE("process_vm-pid-1", "EPERM", memory_of_init),
	CASE("pidfd_getfd-pid-1", "EPERM", descriptor_of_init),
	CASE("kcmp-pid-1", "EPERM", compare_processes),
	CASE("modules-and-kexec", "EPERM", kernel_code),
	CASE("clock-swap-reboot", "EPERM", machine),
	CASE("kernel-log", "EPERM", kernel_log),
	CASE("io-ports", "EPERM", ports),
	CASE("fanotify", "EPERM", watch_files),
	CASE("raise-priority", "EPERM", raise_priority),
	CASE("own-seccomp-listener", "EBUSY or EPERM", own_listener),
	CASE("x32-calls", "ENOSYS or killed", x32_calls),
	CASE("int80-calls", "ENOSYS or killed", compat_calls),
	CASE("int80-execve", "did not run", compat_exec),
	CASE("modify_ldt", "EPERM or ENOSYS", local_descriptors),
};

ATTACK_MAIN(cases)
