/*
 * rig - run a command behind netgate alone: the supervisor's part of the protocol and no more
 *
 *   rig [-d ADDR:PORT]... [-a allow|deny|none] NETGATE AUDITD POLICY STATE_DIR COMMAND...
 *
 * The command runs in new user, mount and network namespaces without capabilities, with a
 * resolv.conf that names the gate. Exit status: the command's; 125 when the gate did not come up.
 */
#include <errno.h>
#include <fcntl.h>
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
#include <time.h>
#include <unistd.h>

#include "common/audit.h"
#include "common/auto.h"
#include "common/err.h"
#include "common/gate.h"
#include "common/ipc.h"
#include "common/policy.h"
#include "common/priv.h"

#define FAILED 125
#define SERVERS_MAX 4u

struct rig {
	const char *servers[SERVERS_MAX];
	unsigned n_servers;
	const char *answer; /* to held requests; NULL: none */
	const char *netgate, *auditd, *policy, *state;
	char **command;
	struct policy *p;
	struct audit_session *audit;
	int ctl; /* to netgate */
	pid_t gate, sandbox;
	int go; /* a byte lets the command start */
};

static int fail(const char *what)
{
	fprintf(stderr, "rig: %s: %s\n", what, strerror(errno));
	return -1;
}

static int fail_say(const struct err *e)
{
	fprintf(stderr, "rig: %s\n", e->text);
	return -1;
}

static int put_file(const char *path, const char *text)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : fail(path);
}

/* ---- the sandbox ---- */

static _Noreturn void in_sandbox(const struct rig *r, int ready, int go)
{
	char resolv[4096], byte = 0;
	struct err e = ERR_INIT;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) < 0 || write(ready, &byte, 1) != 1)
		_exit(FAILED);
	if (read(go, &byte, 1) != 1)
		_exit(FAILED);
	snprintf(resolv, sizeof(resolv), "%s/resolv.conf", r->state);
	if (mount(resolv, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0 || priv_drop(0, &e) < 0) {
		fail("sandbox");
		_exit(FAILED);
	}
	execvp(r->command[0], r->command);
	fail(r->command[0]);
	_exit(127);
}

static int map_ids(pid_t pid)
{
	char path[64], map[64];

	snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
	if (getuid() != 0 && put_file(path, "deny") < 0)
		return -1;
	for (unsigned i = 0; i < 2; i++) {
		unsigned id = i ? getgid() : getuid();

		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, i ? "gid_map" : "uid_map");
		if (getuid() == 0)
			snprintf(map, sizeof(map), "0 0 4294967295");
		else
			snprintf(map, sizeof(map), "%u %u 1", id, id);
		if (put_file(path, map) < 0)
			return -1;
	}
	return 0;
}

static int start_sandbox(struct rig *r)
{
	int ready[2], go[2];
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
		return fail("pipe");
	r->sandbox = fork();
	if (r->sandbox == 0)
		in_sandbox(r, ready[1], go[0]);
	close(ready[1]);
	close(go[0]);
	r->go = go[1];
	if (r->sandbox < 0 || read(ready[0], &byte, 1) != 1)
		return fail("sandbox");
	close(ready[0]);
	return map_ids(r->sandbox);
}

/* ---- netgate ---- */

static int start_gate(struct rig *r)
{
	int pair[2];

	if (ipc_pair(pair) < 0)
		return fail("socket pair");
	r->gate = fork();
	if (r->gate == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (dup2(pair[1], GATE_FD) == GATE_FD)
			execl(r->netgate, r->netgate, (char *)NULL);
		fail(r->netgate);
		_exit(FAILED);
	}
	close(pair[1]);
	r->ctl = pair[0];
	return r->gate < 0 ? fail("fork") : 0;
}

static int configure(struct rig *r, struct ipc_msg *m)
{
	autoclose int ring = -1, wake = -1;
	struct err e = ERR_INIT;

	if (audit_session_producer(r->audit, AUDIT_NET, &ring, &wake, &e) < 0)
		return fail_say(&e);
	ipc_begin(m, GATE_CONFIG, 0);
	gate_put_kv(m, "session", "rig");
	gate_put_kv(m, "root", getuid() == 0 ? "1" : "0");
	for (unsigned i = 0; i < r->n_servers; i++) {
		char key[16];

		snprintf(key, sizeof(key), "dns.%u", i);
		gate_put_kv(m, key, r->servers[i]);
	}
	ipc_put_fd(m, policy_image_fd(r->p));
	ipc_put_fd(m, ring);
	ipc_put_fd(m, wake);
	return ipc_send(r->ctl, m) < 0 ? fail("configure") : 0;
}

static int expect(struct rig *r, struct ipc_msg *m, enum gate_msg type)
{
	if (ipc_recv(r->ctl, m) != 1)
		return fail("netgate died");
	if (m->type == GATE_FAILED) {
		ipc_get_u32(m);
		fprintf(stderr, "rig: netgate: %s\n", ipc_get_str(m));
		return -1;
	}
	return m->type == type ? 0 : fail("netgate said something else");
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int bring_up(struct rig *r, struct ipc_msg *m)
{
	autoclose int pidfd = -1;
	double start;

	if (configure(r, m) < 0 || expect(r, m, GATE_READY) < 0)
		return -1;
	pidfd = (int)syscall(SYS_pidfd_open, r->sandbox, 0);
	if (pidfd < 0)
		return fail("pidfd");
	start = now_ms();
	ipc_begin(m, GATE_SETUP, 0);
	ipc_put_fd(m, pidfd);
	if (ipc_send(r->ctl, m) < 0 || expect(r, m, GATE_LIVE) < 0)
		return -1;
	if (getenv("RIG_VERBOSE"))
		fprintf(stderr, "rig: set-up took %.2f ms\n", now_ms() - start);
	return 0;
}

/* ---- while it runs ---- */

static void answer(struct rig *r, struct ipc_msg *m)
{
	uint32_t id = m->id;

	if (m->type != GATE_ASK || !r->answer)
		return;
	ipc_begin(m, GATE_ANSWER, id);
	ipc_put_u32(m, strcmp(r->answer, "allow") == 0);
	ipc_put_u32(m, id + 1000); /* what people would see as its number */
	ipc_put_str(m, "rig");
	if (ipc_send(r->ctl, m) < 0)
		fail("answer");
}

/* @return the command's wait status, or -1 when the gate died first */
static int attend(struct rig *r, struct ipc_msg *m)
{
	struct pollfd p = {.fd = r->ctl, .events = POLLIN};
	int status;

	for (;;) {
		if (waitpid(r->sandbox, &status, WNOHANG) == r->sandbox)
			return status;
		if (poll(&p, 1, 5) <= 0)
			continue;
		if (ipc_recv(r->ctl, m) != 1)
			return fail("netgate died");
		answer(r, m);
	}
}

static int run(struct rig *r)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	int status, gate_status;

	if (!m || bring_up(r, m) < 0)
		return FAILED;
	if (write(r->go, "", 1) != 1)
		return FAILED;
	status = attend(r, m);
	if (status < 0)
		return FAILED;
	ipc_begin(m, GATE_STOP, 0);
	ipc_send(r->ctl, m);
	if (waitpid(r->gate, &gate_status, 0) < 0 || gate_status != 0)
		fprintf(stderr, "rig: netgate ended with status 0x%x\n", gate_status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int prepare(struct rig *r)
{
	struct policy_vars vars = {.workspace = "/tmp", .home = "/tmp", .tmpdir = "/tmp",
				   .user = "rig", .session = "rig"};
	struct policy_load_args args = {.file = r->policy, .vars = &vars};
	char log_dir[4096], path[4096];
	struct err e = ERR_INIT;

	snprintf(path, sizeof(path), "%s/resolv.conf", r->state);
	if (put_file(path, "nameserver 10.200.0.1\n") < 0)
		return -1;
	if (policy_load(&r->p, &args, &e) < 0)
		return fail_say(&e);
	snprintf(log_dir, sizeof(log_dir), "%s/audit", r->state);
	snprintf(path, sizeof(path), "%s/run", r->state);
	if (audit_session_open(&r->audit, log_dir, path, r->auditd, "rig", &e) < 0)
		return fail_say(&e);
	return start_sandbox(r) < 0 ? -1 : start_gate(r);
}

int main(int argc, char **argv)
{
	struct rig r = {.ctl = -1};
	struct err e = ERR_INIT;
	int c, status;

	while ((c = getopt(argc, argv, "+d:a:")) != -1) {
		if (c == 'd' && r.n_servers < SERVERS_MAX)
			r.servers[r.n_servers++] = optarg;
		else if (c == 'a')
			r.answer = optarg;
		else
			return 2;
	}
	if (argc - optind < 5)
		return 2;
	r.netgate = argv[optind];
	r.auditd = argv[optind + 1];
	r.policy = argv[optind + 2];
	r.state = argv[optind + 3];
	r.command = argv + optind + 4;
	if (prepare(&r) < 0)
		return FAILED;
	status = run(&r);
	if (audit_session_end(r.audit, &e) < 0)
		fprintf(stderr, "rig: %s\n", e.text);
	audit_session_free(r.audit);
	policy_free(r.p);
	return status;
}
