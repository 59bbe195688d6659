#include "tests/unit/exec_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/audit.h"
#include "common/gate.h"
#include "common/path.h"
#include "execgate/exec_filter.h"
#include "execgate/exec_notify.h"
#include "execgate/exec_serve.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

static struct rig *current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- the policy and the audit ring, as the gate sees them ---- */

void __wrap_policy_decide(struct decision *d, const struct policy *p,
			  const struct policy_request *r);
void __wrap_policy_each_command(const struct policy *p, policy_command_fn *fn, void *arg);
void __wrap_policy_message(char *buf, size_t size, const struct decision *d,
			   const struct policy_request *r, const char *session);
int __wrap_audit_append(struct audit_producer *p, const struct audit_event *ev);
int __wrap_audit_append_start(struct audit_ticket *t, struct audit_producer *p,
			      const struct audit_event *ev);
int __wrap_audit_append_finish(struct audit_producer *p, const struct audit_ticket *t);

static bool answers_to(const struct policy_request *r, const char *name)
{
	bool hit = strcmp(path_base(r->command.invoked), name) == 0 ||
		   strcmp(path_base(r->command.exe), name) == 0 ||
		   (r->command.applet && strcmp(r->command.applet, name) == 0);

	for (size_t i = 0; i < r->command.n_aliases; i++)
		hit = hit || strcmp(path_base(r->command.aliases[i]), name) == 0;
	return hit;
}

void __wrap_policy_decide(struct decision *d, const struct policy *p,
			  const struct policy_request *r)
{
	bool evil = answers_to(r, "denied");

	(void)p;
	if (r->command.argc > 1 && strcmp(r->command.argv[1], "EVIL") == 0)
		evil = true;
	memset(d, 0, sizeof(*d));
	d->verdict = evil ? VERDICT_DENY
		     : answers_to(r, "asked") ? VERDICT_APPROVE
					      : VERDICT_ALLOW;
	d->rule = evil ? "no-evil" : "rest";
	d->message = "";
	d->timeout_ms = 5000;
}

void __wrap_policy_each_command(const struct policy *p, policy_command_fn *fn, void *arg)
{
	(void)p;
	fn(arg, current->denied, VERDICT_DENY);
	fn(arg, "true", VERDICT_ALLOW);
}

void __wrap_policy_message(char *buf, size_t size, const struct decision *d,
			   const struct policy_request *r, const char *session)
{
	(void)r;
	(void)session;
	snprintf(buf, size, "%s", d->verdict == VERDICT_DENY ? "use the other one" : "");
}

static void keep(struct rig_event *e, const struct audit_event *ev)
{
	memset(e, 0, sizeof(*e));
	snprintf(e->op, sizeof(e->op), "%s", ev->op);
	snprintf(e->decision, sizeof(e->decision), "%s", ev->decision);
	snprintf(e->message, sizeof(e->message), "%s", ev->message);
	e->pid = (long)ev->pid;
	for (size_t i = 0; i < ev->n_fields; i++) {
		const struct audit_field *f = &ev->fields[i];

		if (strcmp(f->key, "exe") == 0)
			snprintf(e->exe, sizeof(e->exe), "%s", f->str.p);
		else if (strcmp(f->key, "interpreter") == 0)
			snprintf(e->interpreter, sizeof(e->interpreter), "%s", f->str.p);
		else if (strcmp(f->key, "differs") == 0)
			snprintf(e->differs, sizeof(e->differs), "%s", f->str.p);
		else if (strcmp(f->key, "argv") == 0 && f->strv.n > 1)
			snprintf(e->argv1, sizeof(e->argv1), "%s", f->strv.v[1]);
		else if (strcmp(f->key, "sha256") == 0)
			e->sha256_len = f->str.len;
		else if (strcmp(f->key, "depth") == 0)
			e->depth = (unsigned)f->u64;
	}
}

int __wrap_audit_append(struct audit_producer *p, const struct audit_event *ev)
{
	(void)p;
	pthread_mutex_lock(&lock);
	if (current->n_events < RIG_EVENTS)
		keep(&current->event[current->n_events], ev);
	current->n_events++;
	current->n_denied += strcmp(ev->op, "exec") == 0 && strcmp(ev->decision, "deny") == 0;
	current->n_mismatch += strcmp(ev->op, "exec_mismatch") == 0;
	pthread_mutex_unlock(&lock);
	return current->audit_result;
}

struct held {
	gate_answer_fn *fn;
	void *arg;
};

int __wrap_audit_append_start(struct audit_ticket *t, struct audit_producer *p,
			      const struct audit_event *ev)
{
	t->pseq = 1;
	t->commit = true;
	return __wrap_audit_append(p, ev);
}

int __wrap_audit_append_finish(struct audit_producer *p, const struct audit_ticket *t)
{
	(void)p;
	if (t->pseq != 1)
		abort();
	return current->commit_result;
}

static struct exec_threads *threads;

static void answer(void *arg)
{
	struct held *h = arg;

	usleep(50000);
	h->fn(h->arg, current->approve, "tester", 50, 7);
	free(h);
}

int __wrap_gate_ask(struct gate *g, const struct gate_ask *ask, gate_answer_fn *fn, void *arg);
int __wrap_gate_ask(struct gate *g, const struct gate_ask *ask, gate_answer_fn *fn, void *arg)
{
	struct held *h = malloc(sizeof(*h));

	(void)g;
	if (!h)
		return -ENOMEM;
	snprintf(current->asked, sizeof(current->asked), "%s", ask->subject);
	h->fn = fn;
	h->arg = arg;
	return exec_threads_start(threads, answer, h);
}

/* ---- files ---- */

void rig_copy(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			abort();
	close(in);
	close(out);
}

struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	snprintf(r->dir, sizeof(r->dir), "/tmp/exec-rig-XXXXXX");
	if (!mkdtemp(r->dir))
		abort();
	snprintf(r->denied, sizeof(r->denied), "%s/denied", r->dir);
	rig_copy("/bin/false", r->denied);
	/* told from /bin/false by its content */
	int fd = open(r->denied, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0 || write(fd, "x", 1) != 1)
		abort();
	close(fd);
	current = r;
	return r;
}

void rig_free(struct rig *r)
{
	char cmd[320];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", r->dir);
	if (system(cmd) != 0)
		abort();
	free(r);
	current = NULL;
}

/* ---- the child ---- */

static void send_fd(int sock, int fd)
{
	struct ipc_msg *m = malloc(sizeof(*m));

	if (!m)
		abort();
	ipc_begin(m, 1, 0);
	ipc_put_fd(m, fd);
	if (ipc_send(sock, m) < 0)
		abort();
	free(m);
}

static int recv_fd(int sock)
{
	struct ipc_msg *m = malloc(sizeof(*m));
	int fd;

	if (!m || ipc_recv(sock, m) != 1)
		abort();
	fd = ipc_take_fd(m, 0);
	ipc_drop(m);
	free(m);
	return fd;
}

static void child(struct rig *r, int sock, int err, int (*fn)(struct rig *r))
{
	struct sock_fprog prog;
	struct err e = ERR_INIT;
	void *filter;
	size_t len;
	char go;
	int fd;

	dup2(err, 2);
	if (exec_filter_build(&filter, &len, &e) < 0)
		_exit(120);
	prog.len = (unsigned short)(len / sizeof(struct sock_filter));
	prog.filter = filter;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			  SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
			  &prog);
	free(filter);
	if (fd < 0)
		_exit(121);
	send_fd(sock, fd);
	close(fd);
	if (read(sock, &go, 1) != 1)
		_exit(122);
	close(sock);
	_exit(fn(r));
}

/* ---- the gate ---- */

struct gate_side {
	struct gate gate;
	struct exec_root root;
	struct exec_serve serve;
};

static void drain(struct rig *r, int fd)
{
	size_t n = 0;
	ssize_t got;

	while (n + 1 < sizeof(r->err) && (got = read(fd, r->err + n, sizeof(r->err) - 1 - n)) > 0)
		n += (size_t)got;
	r->err[n] = '\0';
}

void rig_run(struct rig *r, int (*fn)(struct rig *r))
{
	struct gate_side *g = calloc(1, sizeof(*g));
	struct err e = ERR_INIT;
	int sock[2], err[2], root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct exec_notify *notify;
	pid_t pid;

	if (!g || ipc_pair(sock) < 0 || pipe2(err, O_CLOEXEC) < 0)
		abort();
	r->n_events = r->n_denied = r->n_mismatch = 0;
	pid = fork();
	if (pid == 0) {
		close(sock[0]);
		child(r, sock[1], err[1], fn);
	}
	close(sock[1]);
	close(err[1]);
	g->gate.session = "test";
	g->gate.audit_gate = AUDIT_EXEC;
	g->serve.gate = &g->gate;
	g->serve.listener = recv_fd(sock[0]);
	g->serve.world.root = &g->root;
	g->serve.world.hash = exec_hash_new();
	g->serve.depth = exec_depth_new(pid, getpid());
	g->serve.notices = exec_notices_new();
	g->serve.threads = threads = exec_threads_new();
	if (exec_root_open(&g->root, root, &e) < 0 ||
	    exec_alias_new(&g->serve.world.alias, &g->root, NULL, &e) < 0 ||
	    exec_notify_start(&notify, &g->serve, &e) < 0 || write(sock[0], "g", 1) != 1)
		abort();
	drain(r, err[0]);
	if (waitpid(pid, &r->status, 0) != pid)
		abort();
	if (exec_threads_wait(g->serve.threads, 60000) < 0)
		abort();
	close(sock[0]);
	close(err[0]);
	close(g->serve.listener);
	close(root);
	exec_alias_free(g->serve.world.alias);
	exec_hash_free(g->serve.world.hash);
	exec_depth_free(g->serve.depth);
	exec_notices_free(g->serve.notices);
	exec_notify_free(notify);
	exec_threads_free(g->serve.threads);
	free(g);
}

int rig_exit(const struct rig *r)
{
	return WIFEXITED(r->status) ? WEXITSTATUS(r->status) : -1;
}

int rig_spawn(const char *path, const char *const *argv)
{
	static char *const env[] = {NULL};
	int status, report[2], err = 0;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -2;
	pid = fork();
	if (pid == 0) {
		/* not execve(): its arguments may be NULL here */
		syscall(SYS_execve, path, argv, env);
		err = errno;
		if (write(report[1], &err, sizeof(err)) < 0)
			_exit(126);
		_exit(127);
	}
	close(report[1]);
	if (read(report[0], &err, sizeof(err)) != (ssize_t)sizeof(err))
		err = 0;
	close(report[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -2;
	if (err)
		return 1000 + err;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
