/*
 * Theory: pending requests are a list, oldest first. Each is answered exactly once: by a person, by
 * a grant given earlier in the session (same gate, rule and operation, and the same subject or one
 * that fits the pattern), or by its timer; or it is withdrawn, when its process has ended or its gate
 * takes it back. Identical requests that wait together are separate
 * entries: each is answered on its own, so nobody approves what they did not see.
 *
 * Socket messages (ipc.h):
 *   LIST   (empty)                                -> ITEMS u32 n, n * {u32 id, str gate, str op,
 *                                                    str subject, str rule, str message, str comm,
 *                                                    u64 pid, u32 waited_ms, u32 left_ms}
 *   ANSWER u32 id, u32 allow, u32 scope,
 *          str pattern, str who, str reason       -> RESULT u32 found
 */
#include "agentsh/broker.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/log.h"
#include "common/str.h"

#define CLIENTS_MAX 32u

struct grant {
	struct grant *next;
	const char *gate;
	char *op, *rule, *subject;
	bool is_pattern;
};

struct client {
	struct client *next;
	struct broker *broker;
	struct loop_io io;
	int fd;
};

struct broker {
	struct broker_args args;
	struct broker_pending *head;
	struct grant *grants;
	struct client *clients;
	unsigned n_clients, n_answered;
	int listener;
	struct loop_io listener_io;
	struct loop_timer timer;
};

static void pending_free(struct broker_pending *p)
{
	free(p->op);
	free(p->subject);
	free(p->rule);
	free(p->message);
	free(p->comm);
	loop_io_del(&p->pidfd_io);
	if (p->pidfd >= 0)
		close(p->pidfd);
	loop_defer_free(p->broker->args.loop, p);
}

const struct broker_pending *broker_oldest(const struct broker *b)
{
	return b->head;
}

unsigned broker_answered(const struct broker *b)
{
	return b->n_answered;
}

static void changed(struct broker *b)
{
	if (b->args.notify)
		b->args.notify(b->args.notify_arg);
}

/* Into the chain: that a request is held (approver NULL), or how it was answered. */
static int record(struct broker *b, const struct broker_pending *p, bool allow, const char *approver)
{
	const struct audit_field fields[] = {
		AUDIT_F_U64("approval_id", p->id),
		AUDIT_F_STR("for", p->op),
		AUDIT_F_STR("subject", p->subject),
		AUDIT_F_STR("approver", approver ? approver : ""),
		AUDIT_F_U64("waited_ms", loop_now_ms() - p->since_ms),
	};
	const struct audit_event ev = {
		.op = approver ? "approval" : "approval_asked",
		.decision = !approver ? "" : allow ? "allow" : "deny",
		.verdict = VERDICT_APPROVE,
		.rule = p->rule,
		.message = p->message,
		.pid = p->pid,
		.comm = p->comm,
		.fields = fields,
		.n_fields = approver ? ARRAY_LEN(fields) : 3,
		.durability = AUDIT_COMMIT,
	};

	return audit_append(b->args.audit, &ev);
}

static void answer_gate(struct broker *b, const struct broker_pending *p, bool allow,
			const char *approver)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));

	/* an answer that is not in the chain is no answer: the gate's own clock denies */
	if (!m || record(b, p, allow, approver) < 0)
		return;
	ipc_begin(m, GATE_ANSWER, p->gate_id);
	ipc_put_u32(m, allow);
	ipc_put_u32(m, p->id);
	ipc_put_str(m, approver);
	if (ipc_send(p->gate->ctl, m) < 0)
		log_debug("%s did not take an answer", p->gate->name);
	b->n_answered++;
}

#define GONE "caller gone" /* the approver, in records */

static void unlist(struct broker *b, struct broker_pending *p)
{
	for (struct broker_pending **pp = &b->head; *pp; pp = &(*pp)->next) {
		if (*pp == p) {
			*pp = p->next;
			break;
		}
	}
	pending_free(p);
	changed(b);
}

void broker_cancel(struct broker *b, const struct gate_link *gate, uint32_t gate_id)
{
	for (struct broker_pending *p = b->head; p; p = p->next) {
		if (p->gate == gate && p->gate_id == gate_id) {
			record(b, p, false, GONE);
			unlist(b, p);
			return;
		}
	}
}

static void on_process_end(struct loop_io *io, uint32_t events)
{
	struct broker_pending *p = container_of(io, struct broker_pending, pidfd_io);

	(void)events;
	answer_gate(p->broker, p, false, GONE);
	unlist(p->broker, p);
}

/*
 * A program start ends with its process. A connection does not (others may have the socket), and
 * fsgate's callers do not end before fsgate lets them: it says so itself.
 */
static void watch_process(struct broker *b, struct broker_pending *p)
{
	if (p->pid <= 0 || strcmp(p->gate->name, "execgate") != 0)
		return;
	p->pidfd = pidfd_open((pid_t)p->pid, 0);
	if (p->pidfd >= 0)
		loop_io_add(b->args.loop, &p->pidfd_io, p->pidfd, EPOLLIN, on_process_end);
}

static struct broker_pending *take(struct broker *b, uint32_t id)
{
	for (struct broker_pending **pp = &b->head; *pp; pp = &(*pp)->next) {
		if ((*pp)->id == id) {
			struct broker_pending *p = *pp;

			*pp = p->next;
			return p;
		}
	}
	return NULL;
}

static void add_grant(struct broker *b, const struct broker_pending *p, enum broker_scope scope,
		      const char *pattern)
{
	struct grant *g = calloc(1, sizeof(*g));

	if (!g)
		return;
	g->gate = p->gate->name;
	g->op = strdup(p->op);
	g->rule = strdup(p->rule);
	g->subject = strdup(scope == SCOPE_PATTERN ? pattern : p->subject);
	g->is_pattern = scope == SCOPE_PATTERN;
	if (!g->op || !g->rule || !g->subject) {
		free(g->op);
		free(g->rule);
		free(g->subject);
		free(g);
		return;
	}
	g->next = b->grants;
	b->grants = g;
}

static bool is_granted(const struct broker *b, const struct broker_pending *p)
{
	for (const struct grant *g = b->grants; g; g = g->next) {
		if (g->gate != p->gate->name || strcmp(g->op, p->op) != 0 ||
		    strcmp(g->rule, p->rule) != 0)
			continue;
		if (g->is_pattern ? fnmatch(g->subject, p->subject, 0) == 0
				  : strcmp(g->subject, p->subject) == 0)
			return true;
	}
	return false;
}

int broker_answer(struct broker *b, uint32_t id, bool allow, const char *approver,
		  enum broker_scope scope, const char *pattern)
{
	struct broker_pending *p = take(b, id);

	if (!p)
		return -ENOENT;
	answer_gate(b, p, allow, approver);
	if (allow && scope != SCOPE_ONCE)
		add_grant(b, p, scope, pattern);
	pending_free(p);
	changed(b);
	return 0;
}

static void on_due(struct loop_timer *t)
{
	struct broker *b = container_of(t, struct broker, timer);
	uint64_t now = loop_now_ms(), next = UINT64_MAX;
	struct broker_pending *p = b->head;

	while (p) {
		if (p->due_ms <= now) {
			broker_answer(b, p->id, false, "timeout", SCOPE_ONCE, "");
			p = b->head;
			continue;
		}
		if (p->due_ms < next)
			next = p->due_ms;
		p = p->next;
	}
	if (next != UINT64_MAX)
		loop_timer_set(b->args.loop, &b->timer, next - now, on_due);
}

static bool id_in_use(const struct broker *b, uint32_t id)
{
	for (const struct broker_pending *p = b->head; p; p = p->next)
		if (p->id == id)
			return true;
	return false;
}

static uint32_t new_id(const struct broker *b)
{
	uint32_t r = 0;

	do {
		if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
			r = (uint32_t)loop_now_ms();
		r = 100000 + r % 900000;
	} while (id_in_use(b, r));
	return r;
}

static struct broker_pending *parse_ask(struct broker *b, struct gate_link *gate, struct ipc_msg *m)
{
	struct broker_pending *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->broker = b;
	p->pidfd = p->pidfd_io.fd = -1;
	p->gate = gate;
	p->gate_id = m->id;
	p->op = strdup(ipc_get_str(m));
	p->subject = strdup(ipc_get_str(m));
	p->rule = strdup(ipc_get_str(m));
	p->message = strdup(ipc_get_str(m));
	p->pid = (int64_t)ipc_get_u64(m);
	p->comm = strdup(ipc_get_str(m));
	p->timeout_ms = ipc_get_u32(m);
	p->since_ms = loop_now_ms();
	p->due_ms = p->since_ms + p->timeout_ms;
	p->id = new_id(b);
	if (!ipc_end(m) || !p->op || !p->subject || !p->rule || !p->message || !p->comm) {
		pending_free(p);
		return NULL;
	}
	return p;
}

void broker_ask(struct broker *b, struct gate_link *gate, struct ipc_msg *m)
{
	struct broker_pending *p = parse_ask(b, gate, m), **tail = &b->head;
	const char *at_once = NULL;

	if (!p)
		return; /* the gate's own clock denies it */
	if (b->args.kind == APPROVER_NONE)
		at_once = "none";
	else if (is_granted(b, p))
		at_once = "granted earlier in this session";
	if (at_once || record(b, p, false, NULL) < 0) {
		answer_gate(b, p, at_once && b->args.kind != APPROVER_NONE,
			    at_once ? at_once : "none");
		pending_free(p);
		return;
	}
	while (*tail)
		tail = &(*tail)->next;
	*tail = p;
	watch_process(b, p);
	on_due(&b->timer);
	changed(b);
}

/* ---- the socket ---- */

static void client_close(struct client *c)
{
	struct broker *b = c->broker;

	for (struct client **cp = &b->clients; *cp; cp = &(*cp)->next) {
		if (*cp == c) {
			*cp = c->next;
			break;
		}
	}
	loop_io_del(&c->io);
	close(c->fd);
	b->n_clients--;
	loop_defer_free(b->args.loop, c);
}

static void put_items(const struct broker *b, struct ipc_msg *m)
{
	uint64_t now = loop_now_ms();
	uint32_t n = 0;

	for (const struct broker_pending *p = b->head; p; p = p->next)
		n++;
	/* 24 of the largest items fit; the rest is listed once these are answered */
	n = n > 24 ? 24 : n;
	ipc_put_u32(m, n);
	for (const struct broker_pending *p = b->head; n; p = p->next, n--) {
		ipc_put_u32(m, p->id);
		ipc_put_str(m, p->gate->name);
		ipc_put_str(m, p->op);
		ipc_put_str(m, p->subject);
		ipc_put_str(m, p->rule);
		ipc_put_str(m, p->message);
		ipc_put_str(m, p->comm);
		ipc_put_u64(m, (uint64_t)p->pid);
		ipc_put_u32(m, (uint32_t)(now - p->since_ms));
		ipc_put_u32(m, p->due_ms > now ? (uint32_t)(p->due_ms - now) : 0);
	}
}

static bool take_answer(struct broker *b, struct client *c, struct ipc_msg *m)
{
	uint32_t id = ipc_get_u32(m), allow = ipc_get_u32(m), scope = ipc_get_u32(m);
	const char *pattern = ipc_get_str(m), *who = ipc_get_str(m), *reason = ipc_get_str(m);
	struct ipc_peer peer = {0};
	char approver[512], escaped[384];
	struct str s;

	if (!ipc_end(m) || scope > SCOPE_PATTERN || allow > 1)
		return false;
	ipc_peer(c->fd, &peer);
	str_init(&s, escaped, sizeof(escaped));
	str_add_escaped(&s, who, strnlen(who, 64));
	if (*reason) {
		str_add(&s, ": ");
		str_add_escaped(&s, reason, strnlen(reason, 200));
	}
	snprintf(approver, sizeof(approver), "uid %u pid %d %s", (unsigned)peer.uid, (int)peer.pid,
		 escaped);
	return broker_answer(b, id, allow == 1, approver, (enum broker_scope)scope, pattern) == 0;
}

static void on_client(struct loop_io *io, uint32_t events)
{
	struct client *c = container_of(io, struct client, io);
	struct broker *b = c->broker;
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	int r = m ? ipc_recv(c->fd, m) : -ENOMEM;

	(void)events;
	if (r != 1) {
		client_close(c);
		return;
	}
	ipc_drop(m);
	if (m->type == BROKER_LIST) {
		ipc_begin(m, BROKER_ITEMS, m->id);
		put_items(b, m);
	} else if (m->type == BROKER_ANSWER) {
		bool found = take_answer(b, c, m);

		ipc_begin(m, BROKER_RESULT, m->id);
		ipc_put_u32(m, found);
	} else {
		client_close(c);
		return;
	}
	if (ipc_send(c->fd, m) < 0)
		client_close(c);
}

/* A process inside a sandbox cannot reach the socket; should it ever, it is still not a person. */
static bool is_outside(const struct ipc_peer *peer)
{
	char path[64];
	struct stat theirs, ours;

	if (peer->pid <= 0 || (peer->uid != geteuid() && peer->uid != 0))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)peer->pid);
	if (stat("/proc/self/ns/user", &ours) < 0)
		return false;
	/* root asked by an ordinary user's supervisor cannot be looked into, and needs no leave */
	if (stat(path, &theirs) < 0)
		return peer->uid == 0 && geteuid() != 0;
	return theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

static void on_listener(struct loop_io *io, uint32_t events)
{
	struct broker *b = container_of(io, struct broker, listener_io);
	autoclose int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ipc_peer peer = {0};
	struct client *c;

	(void)events;
	if (fd < 0 || ipc_peer(fd, &peer) < 0 || !is_outside(&peer) || b->n_clients >= CLIENTS_MAX)
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		return;
	c->broker = b;
	c->fd = fd;
	if (loop_io_add(b->args.loop, &c->io, fd, EPOLLIN, on_client) < 0) {
		free(c);
		return;
	}
	steal_fd(&fd);
	c->next = b->clients;
	b->clients = c;
	b->n_clients++;
}

int broker_open(struct broker **out, const struct broker_args *args, struct err *e)
{
	struct broker *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_set(e, ENOMEM, "approvals");
	b->args = *args;
	b->listener = ipc_listen(args->socket_path, e);
	if (b->listener < 0) {
		free(b);
		return -e->code;
	}
	r = loop_io_add(args->loop, &b->listener_io, b->listener, EPOLLIN, on_listener);
	if (r < 0) {
		broker_close(b);
		return err_set(e, -r, "approvals");
	}
	*out = b;
	return 0;
}

void broker_close(struct broker *b)
{
	struct grant *next;

	if (!b)
		return;
	while (b->head)
		broker_answer(b, b->head->id, false, "session ended", SCOPE_ONCE, "");
	while (b->clients)
		client_close(b->clients);
	for (struct grant *g = b->grants; g; g = next) {
		next = g->next;
		free(g->op);
		free(g->rule);
		free(g->subject);
		free(g);
	}
	loop_timer_del(b->args.loop, &b->timer);
	loop_io_del(&b->listener_io);
	close(b->listener);
	free(b);
}
