/*
 * Each probe forks, does the real operation in the child, and reads one line back: "+detail" for
 * success, "-reason" for failure. Nothing of it outlives the child.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agentsh/detect.h"
#include "common/auto.h"

typedef int probe_fn(char *detail, size_t size);

/* Run fn in a child. fn returns 0 or a positive errno and may fill detail. */
static void in_child(struct detect_result *out, probe_fn *fn)
{
	char line[160] = "";
	int pipe_fds[2], status = 0;
	ssize_t n;
	pid_t pid;

	out->works = false;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		snprintf(out->detail, sizeof(out->detail), "pipe: %s", strerror(errno));
		return;
	}
	pid = fork();
	if (pid == 0) {
		int code = fn(line, sizeof(line));

		if (code && !line[0])
			snprintf(line, sizeof(line), "%s", strerror(code));
		if (write(pipe_fds[1], line, strlen(line)) < 0)
			_exit(2);
		_exit(code ? 1 : 0);
	}
	close(pipe_fds[1]);
	n = pid < 0 ? 0 : read(pipe_fds[0], out->detail, sizeof(out->detail) - 1);
	out->detail[n > 0 ? n : 0] = '\0';
	close(pipe_fds[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	out->works = pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int write_file(const char *path, const char *text)
{
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return errno;
	return 0;
}

static int enter(int flags, char *detail, size_t size)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWUSER | flags) < 0) {
		int code = errno;

		snprintf(detail, size, "unshare: %s", strerror(code));
		return code;
	}
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	if (write_file("/proc/self/uid_map", map) != 0) {
		int code = errno;

		snprintf(detail, size, "uid_map: %s", strerror(code));
		return code;
	}
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return write_file("/proc/self/gid_map", map);
}

static int try_user_namespace(char *detail, size_t size)
{
	return enter(0, detail, size);
}

static int try_namespaces(char *detail, size_t size)
{
	int r = enter(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
			      CLONE_NEWCGROUP,
		      detail, size);

	if (r == 0 && mount("agentsh", "/tmp", "tmpfs", 0, NULL) < 0) {
		r = errno;
		snprintf(detail, size, "mount in a new mount namespace: %s", strerror(r));
	}
	return r;
}

static int mount_fuse(int *dev, char *detail, size_t size)
{
	autoclose int fd = -1;
	char options[64];
	int r = geteuid() == 0 ? (unshare(CLONE_NEWNS) < 0 ? errno : 0)
			       : enter(CLONE_NEWNS, detail, size);

	if (r)
		return r;
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		r = errno;
		snprintf(detail, size, "open /dev/fuse: %s", strerror(r));
		return r;
	}
	mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fd,
		 (unsigned)geteuid(), (unsigned)getegid());
	if (mount("agentsh", "/tmp", "fuse.agentsh", MS_NOSUID | MS_NODEV, options) < 0) {
		r = errno;
		snprintf(detail, size, "mount: %s", strerror(r));
	}
	*dev = steal_fd(&fd);
	return r;
}

static int try_fuse(char *detail, size_t size)
{
	autoclose int fd = -1;

	return mount_fuse(&fd, detail, size);
}

/* linux/fuse.h, protocol 7.40; older headers do not have all of it */
struct fuse_init {
	uint32_t len, opcode;
	uint64_t unique, nodeid;
	uint32_t uid, gid, pid, padding;
	uint32_t major, minor, max_readahead, flags, flags2, unused[11];
};

struct fuse_init_answer {
	uint32_t len, error;
	uint64_t unique;
	uint32_t major, minor, max_readahead, flags;
	uint16_t max_background, congestion_threshold;
	uint32_t max_write, time_gran;
	uint16_t max_pages, map_alignment;
	uint32_t flags2, max_stack_depth, unused[6];
};

#define FUSE_INIT_EXT_FLAG (1u << 30)
#define FUSE_PASSTHROUGH_FLAG2 (1u << 5)

static int ask_passthrough(int fd, char *detail, size_t size)
{
	uint8_t buf[8192] __attribute__((aligned(8))) = {0};
	const struct fuse_init *in = (const void *)buf;
	struct fuse_init_answer out;
	struct {
		int32_t fd;
		uint32_t flags;
		uint64_t padding;
	} map = {.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};

	if (map.fd < 0 || read(fd, buf, sizeof(buf)) < (ssize_t)(sizeof(*in) - sizeof(in->unused)))
		return errno ? errno : EIO;
	if (!(in->flags & FUSE_INIT_EXT_FLAG) || !(in->flags2 & FUSE_PASSTHROUGH_FLAG2)) {
		snprintf(detail, size, "this kernel does not offer it");
		return EOPNOTSUPP;
	}
	out = (struct fuse_init_answer){
		.len = sizeof(out), .unique = in->unique, .major = 7, .minor = in->minor,
		.max_readahead = in->max_readahead, .flags = FUSE_INIT_EXT_FLAG,
		.flags2 = FUSE_PASSTHROUGH_FLAG2, .max_write = 4096, .time_gran = 1,
		.max_stack_depth = 2,
	};
	if (write(fd, &out, sizeof(out)) < 0)
		return errno;
	return ioctl(fd, _IOW(229, 1, map), &map) < 0 ? errno : 0;
}

static int try_passthrough(char *detail, size_t size)
{
	autoclose int fd = -1;
	int r;

	if (geteuid() != 0) {
		snprintf(detail, size, "for root only");
		return EPERM;
	}
	r = mount_fuse(&fd, detail, size);
	if (r == 0)
		r = ask_passthrough(fd, detail, size);
	if (r && !detail[0])
		snprintf(detail, size, "backing file: %s", strerror(r));
	return r;
}

static int try_nftables(char *detail, size_t size)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg g;
	} q = {{sizeof(q), NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, NLM_F_REQUEST, 1, 0},
	       {0, NFNETLINK_V0, 0}};
	char answer[512];
	const struct nlmsghdr *h = (const void *)answer;
	autoclose int fd = -1;
	ssize_t n;
	int r = enter(CLONE_NEWNET, detail, size);

	if (r)
		return r;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (fd < 0 || send(fd, &q, sizeof(q), 0) < 0)
		return errno;
	n = recv(fd, answer, sizeof(answer), 0);
	if (n < (ssize_t)sizeof(*h))
		return errno ? errno : EIO;
	if (h->nlmsg_type == NLMSG_ERROR) {
		snprintf(detail, size, "nf_tables is not in this kernel");
		return ENOSYS;
	}
	return 0;
}

static int try_seccomp(char *detail, size_t size)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = {1, &allow};
	autoclose int fd = -1;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return errno;
	fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			  &prog);
	if (fd < 0) {
		int code = errno;

		snprintf(detail, size, "listener: %s", strerror(code));
		return code;
	}
	return 0;
}

void detect_user_namespace(struct detect_result *out)
{
	in_child(out, try_user_namespace);
}

void detect_namespaces(struct detect_result *out)
{
	in_child(out, try_namespaces);
}

void detect_fuse(struct detect_result *out)
{
	in_child(out, try_fuse);
}

void detect_passthrough(struct detect_result *out)
{
	in_child(out, try_passthrough);
}

void detect_nftables(struct detect_result *out)
{
	in_child(out, try_nftables);
}

void detect_seccomp(struct detect_result *out)
{
	in_child(out, try_seccomp);
}
