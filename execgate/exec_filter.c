/*
 * Theory: the default is to allow, because an agent runs programs that nobody here has seen; what
 * is refused is what reaches beyond the sandbox's own processes and files, or what only kernel
 * exploits and sandbox tools use. Arguments are registers of 64 bits of which the kernel often
 * reads 32: a comparison here must look at exactly the bits that the kernel will.
 */
#include "execgate/exec_filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"

/* Newest system call that was looked at for the table; see asm-generic/unistd.h. */
#define NEWEST_SYSCALL 469

#define LOW32 0xffffffffull

/* A condition on one argument: (arg & mask) == value, or a plain comparison when mask is 0. */
struct cond {
	uint8_t arg;
	enum scmp_compare op;
	uint64_t mask, value;
};

struct rule {
	const char *name;
	uint16_t number; /* where libseccomp may not know the name yet; the same on all machines */
	uint16_t err;	 /* 0: ask the listener */
	uint8_t n_conds;
	struct cond conds[2];
	const char *when, *why;
	int (*add)(scmp_filter_ctx ctx, int nr, uint32_t action); /* for more than two conditions */
};

#define ALWAYS 0, {{0}}, ""
#define BITS(n, bits) {(n), SCMP_CMP_MASKED_EQ, (bits), (bits)}
#define LOW_IS(n, v) {(n), SCMP_CMP_MASKED_EQ, LOW32, (v)}
#define IS(n, v) {(n), SCMP_CMP_EQ, 0, (v)}

static const char why_ns[] = "a new namespace brings back capabilities and mounts";
static const char why_mount[] = "the mount table is the sandbox";
static const char why_peek[] = "reads or writes another process's memory or descriptors";
static const char why_keys[] = "kernel keyrings are not confined by namespaces";
static const char why_handle[] = "opens files past the mount tree";
static const char why_clock[] = "the clock belongs to the host";
static const char why_kernel[] = "changes the running kernel";
static const char why_attack[] = "large kernel attack surface, programs fall back";
static const char why_uring[] = "its operations pass no seccomp filter";
static const char why_old[] = "obsolete";
static const char why_ports[] = "raw access to hardware";
static const char why_host[] = "administers the host";
static const char when_suid[] = "a mode with the set-user-ID bit";
static const char why_suid[] = "standard output may be a file of the host, where the bit counts";

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static int add_clone(scmp_filter_ctx ctx, int nr, uint32_t action);
static int add_unshare(scmp_filter_ctx ctx, int nr, uint32_t action);
static int add_families(scmp_filter_ctx ctx, int nr, uint32_t action);
static int add_inet_types(scmp_filter_ctx ctx, int nr, uint32_t action);
static int add_inet_protocols(scmp_filter_ctx ctx, int nr, uint32_t action);
static int add_personality(scmp_filter_ctx ctx, int nr, uint32_t action);

static const struct rule rules[] = {
	{"execve", 0, 0, ALWAYS, "every program start is judged", NULL},
	{"execveat", 0, 0, ALWAYS, "every program start is judged", NULL},
	{"clone", 0, EPERM, 0, {{0}}, "any CLONE_NEW* flag", why_ns, add_clone},
	{"clone", 0, EPERM, 1, {{0, SCMP_CMP_MASKED_EQ, CLONE_PARENT | CLONE_THREAD, CLONE_PARENT}},
	 "CLONE_PARENT without CLONE_THREAD", "hides who started a program", NULL},
	{"clone3", 435, ENOSYS, ALWAYS, "its flags lie in memory; C libraries fall back to clone",
	 NULL},
	{"unshare", 0, EPERM, 0, {{0}}, "any CLONE_NEW* flag", why_ns, add_unshare},
	{"setns", 0, EPERM, ALWAYS, why_ns, NULL},
	{"mount", 0, EPERM, ALWAYS, why_mount, NULL},
	{"umount2", 0, EPERM, ALWAYS, why_mount, NULL},
	{"umount", 0, EPERM, ALWAYS, why_mount, NULL},
	{"pivot_root", 0, EPERM, ALWAYS, why_mount, NULL},
	{"chroot", 0, EPERM, ALWAYS, why_mount, NULL},
	{"open_tree", 428, EPERM, ALWAYS, why_mount, NULL},
	{"move_mount", 429, EPERM, ALWAYS, why_mount, NULL},
	{"fsopen", 430, EPERM, ALWAYS, why_mount, NULL},
	{"fsconfig", 431, EPERM, ALWAYS, why_mount, NULL},
	{"fsmount", 432, EPERM, ALWAYS, why_mount, NULL},
	{"fspick", 433, EPERM, ALWAYS, why_mount, NULL},
	{"mount_setattr", 442, EPERM, ALWAYS, why_mount, NULL},
	{"open_tree_attr", 467, EPERM, ALWAYS, why_mount, NULL},
	{"swapon", 0, EPERM, ALWAYS, why_host, NULL},
	{"swapoff", 0, EPERM, ALWAYS, why_host, NULL},
	{"reboot", 0, EPERM, ALWAYS, why_host, NULL},
	{"acct", 0, EPERM, ALWAYS, why_host, NULL},
	{"quotactl", 0, EPERM, ALWAYS, why_host, NULL},
	{"quotactl_fd", 443, EPERM, ALWAYS, why_host, NULL},
	{"sethostname", 0, EPERM, ALWAYS, why_host, NULL},
	{"setdomainname", 0, EPERM, ALWAYS, why_host, NULL},
	{"vhangup", 0, EPERM, ALWAYS, "ends other people's terminals", NULL},
	{"syslog", 0, EPERM, ALWAYS, "the kernel's log tells addresses", NULL},
	{"nfsservctl", 0, ENOSYS, ALWAYS, why_old, NULL},
	{"_sysctl", 0, ENOSYS, ALWAYS, why_old, NULL},
	{"uselib", 0, ENOSYS, ALWAYS, why_old, NULL},
	{"lookup_dcookie", 0, EPERM, ALWAYS, why_old, NULL},
	{"kexec_load", 0, EPERM, ALWAYS, why_kernel, NULL},
	{"kexec_file_load", 0, EPERM, ALWAYS, why_kernel, NULL},
	{"init_module", 0, EPERM, ALWAYS, why_kernel, NULL},
	{"finit_module", 0, EPERM, ALWAYS, why_kernel, NULL},
	{"create_module", 0, EPERM, ALWAYS, why_kernel, NULL},
	{"delete_module", 0, EPERM, ALWAYS, why_kernel, NULL},
	{"bpf", 0, EPERM, ALWAYS, why_attack, NULL},
	{"perf_event_open", 0, EPERM, ALWAYS, why_attack, NULL},
	{"userfaultfd", 0, EPERM, ALWAYS, why_attack, NULL},
	{"fanotify_init", 0, EPERM, ALWAYS, why_attack, NULL},
	{"memfd_secret", 447, ENOSYS, ALWAYS, "hides memory from inspection", NULL},
	{"modify_ldt", 0, ENOSYS, ALWAYS, why_attack, NULL},
	{"io_uring_setup", 425, ENOSYS, ALWAYS, why_uring, NULL},
	{"io_uring_enter", 426, ENOSYS, ALWAYS, why_uring, NULL},
	{"io_uring_register", 427, ENOSYS, ALWAYS, why_uring, NULL},
	{"ptrace", 0, EPERM, ALWAYS, why_peek, NULL},
	{"process_vm_readv", 0, EPERM, ALWAYS, why_peek, NULL},
	{"process_vm_writev", 0, EPERM, ALWAYS, why_peek, NULL},
	{"process_madvise", 440, EPERM, ALWAYS, why_peek, NULL},
	{"pidfd_getfd", 438, EPERM, ALWAYS, why_peek, NULL},
	{"kcmp", 0, EPERM, ALWAYS, why_peek, NULL},
	{"keyctl", 0, EPERM, ALWAYS, why_keys, NULL},
	{"add_key", 0, EPERM, ALWAYS, why_keys, NULL},
	{"request_key", 0, EPERM, ALWAYS, why_keys, NULL},
	{"open_by_handle_at", 0, EPERM, ALWAYS, why_handle, NULL},
	{"name_to_handle_at", 0, EPERM, ALWAYS, why_handle, NULL},
	{"ioperm", 0, EPERM, ALWAYS, why_ports, NULL},
	{"iopl", 0, EPERM, ALWAYS, why_ports, NULL},
	{"settimeofday", 0, EPERM, ALWAYS, why_clock, NULL},
	{"clock_settime", 0, EPERM, ALWAYS, why_clock, NULL},
	{"clock_adjtime", 0, EPERM, ALWAYS, why_clock, NULL},
	{"adjtimex", 0, EPERM, ALWAYS, why_clock, NULL},
	{"stime", 0, EPERM, ALWAYS, why_clock, NULL},
	{"chmod", 0, EPERM, 1, {BITS(1, S_ISUID)}, when_suid, why_suid, NULL},
	{"fchmod", 0, EPERM, 1, {BITS(1, S_ISUID)}, when_suid, why_suid, NULL},
	{"fchmodat", 0, EPERM, 1, {BITS(2, S_ISUID)}, when_suid, why_suid, NULL},
	{"fchmodat2", 452, EPERM, 1, {BITS(2, S_ISUID)}, when_suid, why_suid, NULL},
	{"personality", 0, EPERM, 0, {{0}},
	 "other than a query, PER_LINUX, PER_LINUX32 or ADDR_NO_RANDOMIZE",
	 "weakens memory protection", add_personality},
	{"prctl", 0, EPERM, 1, {LOW_IS(0, PR_SET_MM)}, "PR_SET_MM",
	 "changes what /proc says a process is running", NULL},
	{"seccomp", 0, EPERM, 2,
	 {LOW_IS(0, SECCOMP_SET_MODE_FILTER), BITS(1, SECCOMP_FILTER_FLAG_NEW_LISTENER)},
	 "SECCOMP_SET_MODE_FILTER with NEW_LISTENER", "a second listener could answer for this one",
	 NULL},
	{"ioctl", 0, EPERM, 1, {LOW_IS(1, TIOCSTI)}, "TIOCSTI", "types into the terminal", NULL},
	{"ioctl", 0, EPERM, 1, {LOW_IS(1, TIOCLINUX)}, "TIOCLINUX", "pastes into the terminal",
	 NULL},
	{"ioctl", 0, EPERM, 1, {LOW_IS(1, TIOCSETD)}, "TIOCSETD", why_attack, NULL},
	{"socket", 0, EAFNOSUPPORT, 0, {{0}}, "family other than UNIX, INET, INET6, NETLINK",
	 "netgate governs only these", add_families},
	{"socketpair", 0, EAFNOSUPPORT, 0, {{0}}, "family other than UNIX, INET, INET6, NETLINK",
	 "netgate governs only these", add_families},
	{"socket", 0, EPROTONOSUPPORT, 2, {IS(0, AF_NETLINK), {2, SCMP_CMP_NE, 0, 0}},
	 "NETLINK with a protocol other than ROUTE", why_attack, NULL},
	{"socket", 0, EPERM, 0, {{0}}, "INET or INET6 with a type other than STREAM and DGRAM",
	 "raw packets pass no gate", add_inet_types},
	{"socket", 0, EPROTONOSUPPORT, 0, {{0}},
	 "INET or INET6 with a protocol other than TCP and UDP",
	 "netgate cannot see into them (SCTP, MPTCP, ICMP, ...); programs fall back",
	 add_inet_protocols},
};

static int add_if(scmp_filter_ctx ctx, int nr, uint32_t action, const struct cond *c, unsigned n)
{
	struct scmp_arg_cmp args[2];

	for (unsigned i = 0; i < n; i++) {
		args[i].arg = c[i].arg;
		args[i].op = c[i].op;
		args[i].datum_a = c[i].op == SCMP_CMP_MASKED_EQ ? c[i].mask : c[i].value;
		args[i].datum_b = c[i].op == SCMP_CMP_MASKED_EQ ? c[i].value : 0;
	}
	return seccomp_rule_add_array(ctx, action, nr, n, args);
}

static int add_bits(scmp_filter_ctx ctx, int nr, uint32_t action, const uint64_t *bits, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = add_if(ctx, nr, action, &(struct cond)BITS(0, bits[i]), 1);
	return r;
}

/* In clone(2) the low byte is the exit signal, so CLONE_NEWTIME cannot be asked for there. */
static const uint64_t ns_bits[] = {
	CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
	CLONE_NEWUSER, CLONE_NEWPID,   CLONE_NEWNET, CLONE_NEWTIME,
};

static int add_clone(scmp_filter_ctx ctx, int nr, uint32_t action)
{
	return add_bits(ctx, nr, action, ns_bits, ARRAY_LEN(ns_bits) - 1);
}

static int add_unshare(scmp_filter_ctx ctx, int nr, uint32_t action)
{
	return add_bits(ctx, nr, action, ns_bits, ARRAY_LEN(ns_bits));
}

/*
 * The family is compared as 64 bits although the kernel reads an int: anything with a high bit set
 * is >= 64 and refused, so the truncation opens nothing.
 */
static int add_families(scmp_filter_ctx ctx, int nr, uint32_t action)
{
	int r = add_if(ctx, nr, action, &(struct cond){0, SCMP_CMP_GT, 0, AF_NETLINK}, 1);

	for (unsigned family = 0; family < AF_NETLINK && r == 0; family++)
		if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
			r = add_if(ctx, nr, action, &(struct cond)IS(0, family), 1);
	return r;
}

#define SOCK_TYPE_BITS 0xfu /* the rest of the argument: SOCK_CLOEXEC, SOCK_NONBLOCK */

static int add_inet_types(scmp_filter_ctx ctx, int nr, uint32_t action)
{
	static const unsigned families[] = {AF_INET, AF_INET6};
	int r = 0;

	for (size_t f = 0; f < ARRAY_LEN(families); f++)
		for (unsigned type = SOCK_RAW; type <= SOCK_TYPE_BITS && r == 0; type++)
			r = add_if(ctx, nr, action,
				   (struct cond[]){IS(0, families[f]),
						   {1, SCMP_CMP_MASKED_EQ, SOCK_TYPE_BITS, type}},
				   2);
	return r;
}

/* Between the numbers of ICMP and UDP only TCP has a stream or datagram protocol in the kernel. */
static int add_inet_protocols(scmp_filter_ctx ctx, int nr, uint32_t action)
{
	static const unsigned families[] = {AF_INET, AF_INET6};
	int r = 0;

	for (size_t f = 0; f < ARRAY_LEN(families) && r == 0; f++) {
		r = add_if(ctx, nr, action,
			   (struct cond[]){IS(0, families[f]), {2, SCMP_CMP_GT, 0, IPPROTO_UDP}},
			   2);
		for (unsigned proto = IPPROTO_ICMP; proto < IPPROTO_UDP && r == 0; proto++)
			if (proto != IPPROTO_TCP)
				r = add_if(ctx, nr, action,
					   (struct cond[]){IS(0, families[f]), IS(2, proto)}, 2);
	}
	return r;
}

/*
 * Only 0xffffffff (a query) has bit 31; without it, every bit must be one of ADDR_NO_RANDOMIZE and
 * PER_LINUX32. libseccomp takes one comparison of an argument a rule, hence bit by bit.
 */
static int add_personality(scmp_filter_ctx ctx, int nr, uint32_t action)
{
	const uint64_t fine = ADDR_NO_RANDOMIZE | PER_LINUX32, top = 1ull << 31;
	int r = 0;

	for (unsigned i = 0; i < 31 && r == 0; i++) {
		uint64_t bit = 1ull << i;

		r = add_if(ctx, nr, action,
			   &(struct cond){0, SCMP_CMP_MASKED_EQ, top | bit, top}, 1);
		if (r == 0 && !(fine & bit))
			r = add_if(ctx, nr, action,
				   &(struct cond){0, SCMP_CMP_MASKED_EQ, top | bit, bit}, 1);
	}
	return r;
}

size_t exec_filter_rows(void)
{
	return ARRAY_LEN(rules);
}

void exec_filter_row(struct exec_filter_row *out, size_t i)
{
	const struct rule *r = &rules[i];

	out->syscall = r->name;
	out->when = r->when;
	out->why = r->why;
	out->answer = r->err ? strerrorname_np(r->err) : "judged";
}

static int add_rule(scmp_filter_ctx ctx, const struct rule *r)
{
	int nr = seccomp_syscall_resolve_name(r->name);
	uint32_t action = r->err ? SCMP_ACT_ERRNO(r->err) : SCMP_ACT_NOTIFY;

	if (nr < 0 && r->number)
		nr = r->number;
	if (nr < 0)
		return 0; /* this machine never had it */
	if (r->add)
		return r->add(ctx, nr, action);
	return add_if(ctx, nr, action, r->conds, r->n_conds);
}

static int fill(scmp_filter_ctx ctx, struct err *e)
{
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (r < 0)
		return err_set(e, -r, "seccomp: kill foreign architectures");
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		r = add_rule(ctx, &rules[i]);
		if (r < 0)
			return err_set(e, -r, "seccomp rule for %s (%s)", rules[i].name,
				       rules[i].when);
	}
	return 0;
}

#define X32_BIT 0x40000000u
#define PROLOGUE 6

/*
 * In front of the table: a number that the table's author could not know answers ENOSYS, as on an
 * older kernel. Foreign architectures and x32 go on to the table, which kills them.
 */
static void put_prologue(struct sock_filter out[PROLOGUE])
{
	const struct sock_filter f[PROLOGUE] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, X32_BIT, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST_SYSCALL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (ENOSYS & SECCOMP_RET_DATA)),
	};

	memcpy(out, f, sizeof(f));
}

static int export_bytes(void **out, size_t *len, scmp_filter_ctx ctx, struct err *e)
{
	autoclose int fd = memfd_create("execgate-filter", MFD_CLOEXEC);
	autofree uint8_t *bytes = NULL;
	struct sock_filter head[PROLOGUE];
	off_t size;
	int r;

	if (fd < 0)
		return err_set(e, errno, "memfd for the seccomp filter");
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return err_set(e, -r, "export the seccomp filter");
	size = lseek(fd, 0, SEEK_END);
	if (size <= 0 || size % (off_t)sizeof(struct sock_filter) != 0)
		return err_say(e, EIO, "the seccomp filter has an odd size");
	bytes = malloc(sizeof(head) + (size_t)size);
	if (!bytes)
		return err_set(e, ENOMEM, "seccomp filter");
	put_prologue(head);
	memcpy(bytes, head, sizeof(head));
	if (pread(fd, bytes + sizeof(head), (size_t)size, 0) != (ssize_t)size)
		return err_set(e, EIO, "read the seccomp filter");
	*len = sizeof(head) + (size_t)size;
	*out = steal_ptr(&bytes);
	return 0;
}

int exec_filter_build(void **out, size_t *len, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!ctx)
		return err_set(e, ENOMEM, "seccomp filter");
	r = fill(ctx, e);
	if (r == 0)
		r = export_bytes(out, len, ctx, e);
	seccomp_release(ctx);
	return r;
}
