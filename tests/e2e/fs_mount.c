/*
 * fs_mount - run a command on a governed mount alone: fsgate without the other gates
 *
 *   fs_mount [--user] --policy FILE --state DIR [--map SANDBOX=HOST]... [--override SANDBOX=HOST]...
 *            [--approve allow|deny|none] [--initial] [--caps] -- COMMAND...
 *
 * Plays the supervisor (common/gate.h) and a much reduced sandbox: user and mount namespaces, the
 * governed roots bound to their places (which must exist), no capabilities (--caps leaves them, those
 * of the user namespace; --initial makes no user namespace and leaves root what it has). The HOST
 * side stays visible, so a test can look at both. The first SANDBOX is ${WORKSPACE}. Programs are found in
 * $AGENTSH_TEST_BUILD. Exit status: COMMAND's; 125: the gate or the set-up failed, see stderr.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/audit.h"
#include "common/auto.h"
#include "common/err.h"
#include "common/gate.h"
#include "common/ipc.h"
#include "common/policy.h"

#define MAX_PAIRS 16

struct pair {
	const char *inside;
	const char *host;
};

static struct {
	bool user, initial, caps;
	const char *policy, *state, *approve;
	struct pair maps[MAX_PAIRS], overrides[MAX_PAIRS];
	unsigned n_maps, n_overrides;
	char **argv;
} opt = {.approve = "none"};

static void die(const char *what)
{
	fprintf(stderr, "fs_mount: %s: %s\n", what, strerror(errno));
	exit(125);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static void add_pair(struct pair *list, unsigned *n, char *text)
{
	char *eq = strchr(text, '=');

	if (!eq || *n == MAX_PAIRS) {
		fprintf(stderr, "fs_mount: bad pair %s\n", text);
		exit(2);
	}
	*eq = '\0';
	list[*n].inside = text;
	list[(*n)++].host = eq + 1;
}

static void parse(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--user") == 0)
			opt.user = true;
		else if (strcmp(argv[i], "--initial") == 0)
			opt.initial = opt.caps = true;
		else if (strcmp(argv[i], "--caps") == 0)
			opt.caps = true;
		else if (i + 1 == argc)
			break;
		else if (strcmp(argv[i], "--policy") == 0)
			opt.policy = argv[++i];
		else if (strcmp(argv[i], "--state") == 0)
			opt.state = argv[++i];
		else if (strcmp(argv[i], "--approve") == 0)
			opt.approve = argv[++i];
		else if (strcmp(argv[i], "--map") == 0)
			add_pair(opt.maps, &opt.n_maps, argv[++i]);
		else if (strcmp(argv[i], "--override") == 0)
			add_pair(opt.overrides, &opt.n_overrides, argv[++i]);
	}
	opt.argv = argv + i + 1;
	if (i + 1 >= argc || !opt.policy || !opt.state) {
		fprintf(stderr, "usage: see the head of fs_mount.c\n");
		exit(2);
	}
}

/* ---- the sandbox ---- */

static void drop_caps(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];

	memset(d, 0, sizeof(d));
	for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (syscall(SYS_capset, &h, d) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("drop capabilities");
}

static int receive_mount(int sock)
{
	struct ipc_msg *m = malloc(sizeof(*m));
	int fd;

	if (!m || ipc_recv(sock, m) != 1)
		exit(125);
	fd = ipc_take_fd(m, 0);
	free(m);
	return fd;
}

static void bind_roots(int mount_fd)
{
	char base[] = "/tmp/fs-mount.XXXXXX", from[64];

	/* a private tmpfs would need a place of its own; a directory that is gone later will do */
	if (!mkdtemp(base))
		die("mkdtemp");
	if (syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, base, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		die("move_mount");
	for (unsigned i = 0; i < opt.n_maps; i++) {
		snprintf(from, sizeof(from), "%s/r%u", base, i);
		if (mount(from, opt.maps[i].inside, NULL, MS_BIND, NULL) < 0)
			die(opt.maps[i].inside);
	}
	if (umount2(base, MNT_DETACH) < 0)
		die("umount");
	rmdir(base);
}

static void sandbox(int sock)
{
	char go;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* ids are mapped by the parent */
	if (read(sock, &go, 1) != 1)
		exit(125);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("private mounts");
	if (write(sock, "r", 1) != 1)
		exit(125);
	bind_roots(receive_mount(sock));
	close(sock);
	if (!opt.caps)
		drop_caps();
	execvp(opt.argv[0], opt.argv);
	die(opt.argv[0]);
}

static void map_ids(pid_t pid)
{
	char path[64], map[64];

	snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
	if (opt.user)
		write_file(path, "deny");
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	if (opt.user)
		snprintf(map, sizeof(map), "%u %u 1", getuid(), getuid());
	else
		snprintf(map, sizeof(map), "0 0 4294967295");
	write_file(path, map);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	if (opt.user)
		snprintf(map, sizeof(map), "%u %u 1", getgid(), getgid());
	write_file(path, map);
}

static pid_t start_sandbox(int *sock)
{
	char ready;
	int pair[2];
	pid_t pid;

	if (ipc_pair(pair) < 0)
		die("socketpair");
	pid = (pid_t)syscall(SYS_clone, (opt.initial ? 0 : CLONE_NEWUSER) | CLONE_NEWNS | SIGCHLD, NULL,
			     NULL, NULL, 0);
	if (pid < 0)
		die("clone");
	if (pid == 0) {
		close(pair[0]);
		sandbox(pair[1]);
	}
	close(pair[1]);
	if (!opt.initial)
		map_ids(pid);
	if (write(pair[0], "g", 1) != 1 || read(pair[0], &ready, 1) != 1)
		die("sandbox");
	*sock = pair[0];
	return pid;
}

/* ---- the gate ---- */

static void built(char *path, size_t size, const char *program)
{
	const char *build = getenv("AGENTSH_TEST_BUILD");

	snprintf(path, size, "%s/%s", build ? build : ".", program);
}

static pid_t start_gate(int *ctl)
{
	char program[PATH_MAX];
	int pair[2];
	pid_t pid;

	built(program, sizeof(program), "fsgate/agentsh-fsgate");
	if (ipc_pair(pair) < 0)
		die("socketpair");
	pid = fork();
	if (pid == 0) {
		if (dup2(pair[1], GATE_FD) < 0)
			_exit(125);
		if (pair[1] == GATE_FD)
			fcntl(GATE_FD, F_SETFD, 0);
		execl(program, "agentsh-fsgate", (char *)NULL);
		_exit(125);
	}
	close(pair[1]);
	*ctl = pair[0];
	return pid;
}

static void send_config(int ctl, const struct policy *p, int ring, int wake)
{
	struct ipc_msg *m = malloc(sizeof(*m));
	char key[64];

	if (!m)
		die("malloc");
	ipc_begin(m, GATE_CONFIG, 0);
	gate_put_kv(m, "root", opt.user ? "0" : "1");
	gate_put_kv(m, "session", "fs-test");
	gate_put_kvf(m, "uid", "%u", getuid());
	gate_put_kvf(m, "gid", "%u", getgid());
	if (opt.n_maps)
		gate_put_kv(m, "workspace", opt.maps[0].inside);
	gate_put_kvf(m, "trash.dir", "%s/trash", opt.state);
	for (unsigned i = 0; i < opt.n_maps; i++) {
		snprintf(key, sizeof(key), "root.%u.path", i);
		gate_put_kv(m, key, opt.maps[i].inside);
		snprintf(key, sizeof(key), "root.%u.host", i);
		gate_put_kv(m, key, opt.maps[i].host);
	}
	for (unsigned i = 0; i < opt.n_overrides; i++) {
		snprintf(key, sizeof(key), "override.%u.path", i);
		gate_put_kv(m, key, opt.overrides[i].inside);
		snprintf(key, sizeof(key), "override.%u.host", i);
		gate_put_kv(m, key, opt.overrides[i].host);
	}
	ipc_put_fd(m, policy_image_fd(p));
	ipc_put_fd(m, ring);
	ipc_put_fd(m, wake);
	if (ipc_send(ctl, m) < 0)
		die("send configuration");
	free(m);
}

/* @return the message, which the caller frees */
static struct ipc_msg *expect(int ctl, enum gate_msg type)
{
	struct ipc_msg *m = malloc(sizeof(*m));

	if (!m || ipc_recv(ctl, m) != 1) {
		fprintf(stderr, "fs_mount: the gate died\n");
		exit(125);
	}
	if (m->type == GATE_FAILED) {
		ipc_get_u32(m);
		fprintf(stderr, "fs_mount: %s\n", ipc_get_str(m));
		exit(125);
	}
	if (m->type != type)
		exit(125);
	return m;
}

static int set_up_gate(int ctl, pid_t init)
{
	struct ipc_msg *m;
	int pidfd = (int)syscall(SYS_pidfd_open, init, 0), fd;

	free(expect(ctl, GATE_READY));
	m = malloc(sizeof(*m));
	if (!m || pidfd < 0)
		die("pidfd");
	ipc_begin(m, GATE_SETUP, 0);
	ipc_put_fd(m, pidfd);
	if (ipc_send(ctl, m) < 0)
		die("send set-up");
	free(m);
	close(pidfd);
	m = expect(ctl, GATE_LIVE);
	fd = ipc_take_fd(m, 0);
	free(m);
	return fd;
}

static void hand_over(int sock, int mount_fd)
{
	struct ipc_msg *m = malloc(sizeof(*m));

	if (!m)
		die("malloc");
	ipc_begin(m, 1, 0);
	ipc_put_fd(m, mount_fd);
	if (ipc_send(sock, m) < 0)
		die("send mount");
	free(m);
	close(mount_fd);
}

static void gate_died(pid_t gate)
{
	int status = 0;

	waitpid(gate, &status, 0);
	fprintf(stderr, "fs_mount: the gate died, wait status %#x\n", (unsigned)status);
	exit(125);
}

static void answer(int ctl, pid_t gate)
{
	struct ipc_msg *m = malloc(sizeof(*m));
	uint32_t id;

	if (!m || ipc_recv(ctl, m) != 1)
		gate_died(gate);
	id = m->id;
	if (m->type != GATE_ASK || strcmp(opt.approve, "none") == 0) {
		free(m);
		return;
	}
	ipc_begin(m, GATE_ANSWER, id);
	ipc_put_u32(m, strcmp(opt.approve, "allow") == 0);
	ipc_put_u32(m, 7);
	ipc_put_str(m, "tester");
	ipc_send(ctl, m);
	free(m);
}

static int supervise(int ctl, pid_t gate, pid_t init)
{
	int pidfd = (int)syscall(SYS_pidfd_open, init, 0), status;
	struct pollfd p[] = {{.fd = ctl, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			die("poll");
		if (p[1].revents) /* the sandbox is gone: the gate may see that before we do */
			break;
		if (p[0].revents)
			answer(ctl, gate);
	}
	close(pidfd);
	if (waitpid(init, &status, 0) < 0)
		die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void stop_gate(int ctl, pid_t gate)
{
	struct ipc_msg *m = malloc(sizeof(*m));

	if (!m)
		die("malloc");
	ipc_begin(m, GATE_STOP, 0);
	ipc_send(ctl, m);
	free(m);
	waitpid(gate, NULL, 0);
	close(ctl);
}

int main(int argc, char **argv)
{
	struct policy_vars vars = {
		.home = getenv("HOME"), .user = getenv("USER"), .session = "fs-test"};
	struct policy_load_args load = {.vars = &vars};
	AUTO(policy_free) struct policy *p = NULL;
	AUTO(audit_session_free) struct audit_session *s = NULL;
	char log[PATH_MAX], run[PATH_MAX], auditd[PATH_MAX], trash[PATH_MAX];
	int ring, wake, ctl, sock, status;
	struct err e = ERR_INIT;
	pid_t gate, init;

	parse(argc, argv);
	vars.workspace = opt.n_maps ? opt.maps[0].inside : NULL;
	vars.tmpdir = opt.state;
	load.file = opt.policy;
	snprintf(log, sizeof(log), "%s/audit", opt.state);
	snprintf(run, sizeof(run), "%s/run", opt.state);
	snprintf(trash, sizeof(trash), "%s/trash", opt.state);
	if (mkdir(trash, 0700) < 0 && errno != EEXIST)
		die(trash);
	built(auditd, sizeof(auditd), "common/agentsh-auditd");
	if (policy_load(&p, &load, &e) < 0 ||
	    audit_session_open(&s, log, run, auditd, "fs-test", &e) < 0 ||
	    audit_session_producer(s, AUDIT_FS, &ring, &wake, &e) < 0) {
		fprintf(stderr, "fs_mount: %s\n", e.text);
		return 125;
	}
	gate = start_gate(&ctl);
	send_config(ctl, p, ring, wake);
	close(ring);
	close(wake);
	init = start_sandbox(&sock);
	hand_over(sock, set_up_gate(ctl, init));
	status = supervise(ctl, gate, init);
	stop_gate(ctl, gate);
	if (audit_session_end(s, &e) < 0)
		fprintf(stderr, "fs_mount: %s\n", e.text);
	return status;
}
