/*
 * Theory: a gate is CONFIG -> READY -> SETUP -> LIVE, driven by the supervisor. Held requests live
 * in a list under a lock, because fsgate asks from its worker threads; answers, time-outs and the
 * supervisor's death complete them in the loop's thread, each exactly once.
 */
#include "common/gate.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"
#include "common/priv.h"
#include "common/str.h"

struct gate_conf {
	struct gate_conf *next; /* newest first */
	char *key;
	char *value;
};

struct held {
	struct held *next;
	uint32_t id;
	gate_answer_fn *fn;
	void *arg;
	uint64_t since_ms, due_ms;
};

struct gate_asks {
	pthread_mutex_t lock;
	struct held *head;
	unsigned n;
	uint32_t last_id;
	int wake; /* eventfd: a worker thread added one, look at the timer again */
	struct loop_io wake_io;
	struct loop_timer timer;
	struct gate *gate;
};

#define ASKS_MAX 256u

static int conf_add(struct gate *g, struct ipc_msg *m)
{
	while (!m->bad && m->pos < m->len) {
		struct gate_conf *c = calloc(1, sizeof(*c));

		if (!c)
			return -ENOMEM;
		c->key = strdup(ipc_get_str(m));
		c->value = strdup(ipc_get_str(m));
		c->next = g->conf;
		g->conf = c;
		if (!c->key || !c->value)
			return -ENOMEM;
	}
	return ipc_end(m) ? 0 : -EBADMSG;
}

void gate_put_kv(struct ipc_msg *m, const char *key, const char *value)
{
	ipc_put_str(m, key);
	ipc_put_str(m, value);
}

void gate_put_kvf(struct ipc_msg *m, const char *key, const char *fmt, ...)
{
	char value[8192];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(value))
		m->bad = true;
	else
		gate_put_kv(m, key, value);
}

const char *gate_conf(const struct gate *g, const char *key)
{
	for (const struct gate_conf *c = g->conf; c; c = c->next)
		if (strcmp(c->key, key) == 0)
			return c->value;
	return NULL;
}

const char *gate_conf_nth(const struct gate *g, const char *key, unsigned n)
{
	char name[128];

	snprintf(name, sizeof(name), "%s.%u", key, n);
	return gate_conf(g, name);
}

/* Receive a message of one type; anything else ends the gate. */
static struct ipc_msg *expect(struct gate *g, enum gate_msg type, struct err *e)
{
	struct ipc_msg *m = malloc(sizeof(*m));
	int r;

	if (!m) {
		err_set(e, ENOMEM, "message");
		return NULL;
	}
	r = ipc_recv(g->ctl, m);
	if (r == 1 && m->type == type)
		return m;
	if (r == 1)
		ipc_drop(m);
	/* the start was given up, or the supervisor ended: it has said why, or was killed */
	if (r == 0 || (r == 1 && m->type == GATE_STOP))
		_exit(r == 0);
	free(m);
	err_say(e, EPIPE, "the supervisor sent something else than message %d", type);
	return NULL;
}

static int take_config(struct gate *g, struct err *e)
{
	autofree struct ipc_msg *m = expect(g, GATE_CONFIG, e);
	autoclose int image = -1, ring = -1, wake = -1;
	int r;

	if (!m)
		return -e->code;
	image = ipc_take_fd(m, 0);
	ring = ipc_take_fd(m, 1);
	wake = ipc_take_fd(m, 2);
	ipc_drop(m);
	if (conf_add(g, m) < 0)
		return err_say(e, EBADMSG, "bad configuration message");
	g->session = gate_conf(g, "session");
	if (!g->session)
		g->session = "";
	g->is_root = gate_conf(g, "root") && strcmp(gate_conf(g, "root"), "1") == 0;
	r = policy_map(&g->policy, image, e);
	if (r < 0)
		return r;
	r = audit_producer_open(&g->audit, ring, wake, e);
	if (r < 0)
		return r;
	steal_fd(&ring);
	steal_fd(&wake);
	policy_get_audit(&g->audit_conf, g->policy);
	return 0;
}

static void quiet_signals(void)
{
	static const int ignored[] = {SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE, SIGHUP};

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

int gate_open(struct gate *g, const char *name, enum audit_gate audit_gate, struct err *e)
{
	int r;

	memset(g, 0, sizeof(*g));
	g->name = name;
	g->audit_gate = audit_gate;
	g->ctl = GATE_FD;
	pthread_setname_np(pthread_self(), name);
	quiet_signals();
	g->asks = calloc(1, sizeof(*g->asks));
	if (!g->asks)
		return err_set(e, ENOMEM, "%s", name);
	pthread_mutex_init(&g->asks->lock, NULL);
	g->asks->gate = g;
	g->asks->wake = -1;
	r = priv_initial(e);
	if (r == 0)
		r = take_config(g, e);
	if (r < 0)
		gate_failed(g, e);
	return r;
}

int gate_ready(struct gate *g, const void *body, size_t len)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	ipc_begin(m, GATE_READY, 0);
	ipc_put_mem(m, body, len);
	return ipc_send(g->ctl, m);
}

int gate_wait_setup(struct gate *g, int *fds, unsigned max, struct err *e)
{
	autofree struct ipc_msg *m = expect(g, GATE_SETUP, e);
	int n;

	if (!m)
		return -e->code;
	n = (int)m->n_fds;
	for (unsigned i = 0; i < max; i++)
		fds[i] = ipc_take_fd(m, i);
	ipc_drop(m);
	if (conf_add(g, m) < 0)
		return err_say(e, EBADMSG, "bad set-up message");
	return n > (int)max ? (int)max : n;
}

int gate_live(struct gate *g, const int *fds, unsigned n_fds)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	ipc_begin(m, GATE_LIVE, 0);
	for (unsigned i = 0; i < n_fds; i++)
		ipc_put_fd(m, fds[i]);
	return ipc_send(g->ctl, m);
}

void gate_failed(struct gate *g, const struct err *e)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));

	if (!m)
		return;
	ipc_begin(m, GATE_FAILED, 0);
	ipc_put_u32(m, (uint32_t)(e->code > 0 ? e->code : EIO));
	ipc_put_str(m, e->text);
	if (ipc_send(g->ctl, m) < 0)
		log_err("%s", e->text);
}

/* ---- held requests ---- */

static struct held *unlink_held(struct gate_asks *a, uint32_t id)
{
	struct held *h = NULL;

	pthread_mutex_lock(&a->lock);
	for (struct held **p = &a->head; *p; p = &(*p)->next) {
		if ((*p)->id == id) {
			h = *p;
			*p = h->next;
			a->n--;
			break;
		}
	}
	pthread_mutex_unlock(&a->lock);
	return h;
}

static void complete(struct gate_asks *a, uint32_t id, bool allow, const char *approver,
		     uint32_t approval_id)
{
	struct held *h = unlink_held(a, id);

	if (!h)
		return;
	h->fn(h->arg, allow, approver, loop_now_ms() - h->since_ms, approval_id);
	free(h);
}

/* The next one that is due, or 0; *due_ms: when the nearest of the others is. */
static uint32_t next_due(struct gate_asks *a, uint64_t *due_ms)
{
	uint64_t now = loop_now_ms();
	uint32_t id = 0;

	*due_ms = UINT64_MAX;
	pthread_mutex_lock(&a->lock);
	for (struct held *h = a->head; h; h = h->next) {
		if (h->due_ms <= now)
			id = h->id;
		else if (h->due_ms < *due_ms)
			*due_ms = h->due_ms;
	}
	pthread_mutex_unlock(&a->lock);
	return id;
}

static void on_due(struct loop_timer *t)
{
	struct gate_asks *a = container_of(t, struct gate_asks, timer);
	uint64_t due_ms;
	uint32_t id;

	while ((id = next_due(a, &due_ms)))
		complete(a, id, false, "timeout", 0);
	if (due_ms != UINT64_MAX)
		loop_timer_set(a->gate->loop, &a->timer, due_ms - loop_now_ms() + 1, on_due);
}

static void on_wake(struct loop_io *io, uint32_t events)
{
	struct gate_asks *a = container_of(io, struct gate_asks, wake_io);
	uint64_t v;

	(void)events;
	if (read(io->fd, &v, sizeof(v)) == (ssize_t)sizeof(v))
		on_due(&a->timer);
}

static void deny_all(struct gate *g, const char *why)
{
	while (g->asks->head)
		complete(g->asks, g->asks->head->id, false, why, 0);
}

static void on_ctl(struct loop_io *io, uint32_t events)
{
	struct gate *g = container_of(io, struct gate, ctl_io);
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	int r = m ? ipc_recv(g->ctl, m) : -ENOMEM;

	(void)events;
	if (r == 1 && m->type == GATE_ANSWER) {
		bool allow = ipc_get_u32(m) == 1;
		uint32_t approval_id = ipc_get_u32(m);
		const char *approver = ipc_get_str(m);

		if (ipc_end(m))
			complete(g->asks, m->id, allow, approver, approval_id);
		ipc_drop(m);
		return;
	}
	if (r == 1)
		ipc_drop(m);
	if (r == 1 && m->type != GATE_STOP)
		return;
	deny_all(g, "none");
	loop_stop(g->loop, r == 1 ? 0 : 1);
}

int gate_watch(struct gate *g, struct loop *l)
{
	int r;

	g->loop = l;
	g->asks->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->asks->wake < 0)
		return -errno;
	r = loop_io_add(l, &g->asks->wake_io, g->asks->wake, EPOLLIN, on_wake);
	if (r < 0)
		return r;
	return loop_io_add(l, &g->ctl_io, g->ctl, EPOLLIN, on_ctl);
}

static int send_ask(struct gate *g, uint32_t id, const struct gate_ask *ask)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	char subject[4096];
	struct str s;

	if (!m)
		return -ENOMEM;
	str_init(&s, subject, sizeof(subject));
	str_add_escaped(&s, ask->subject, strlen(ask->subject));
	ipc_begin(m, GATE_ASK, id);
	ipc_put_str(m, ask->op);
	ipc_put_str(m, subject);
	ipc_put_str(m, ask->rule);
	ipc_put_str(m, ask->message);
	ipc_put_u64(m, (uint64_t)ask->pid);
	ipc_put_str(m, ask->comm);
	ipc_put_u32(m, ask->timeout_ms);
	return ipc_send(g->ctl, m);
}

int gate_ask(struct gate *g, const struct gate_ask *ask, gate_answer_fn *fn, void *arg)
{
	struct gate_asks *a = g->asks;
	struct held *h = calloc(1, sizeof(*h));
	uint64_t one = 1;
	uint32_t id = 0;
	int r;

	if (!h || !g->loop) {
		free(h);
		return -ENOMEM;
	}
	h->fn = fn;
	h->arg = arg;
	h->since_ms = loop_now_ms();
	/* the supervisor times out first and says so; this is for the case that it hangs */
	h->due_ms = h->since_ms + ask->timeout_ms + 1000;
	pthread_mutex_lock(&a->lock);
	if (a->n < ASKS_MAX) {
		id = h->id = ++a->last_id;
		h->next = a->head;
		a->head = h;
		a->n++;
	}
	pthread_mutex_unlock(&a->lock);
	if (!id) {
		free(h);
		return -EBUSY;
	}
	r = send_ask(g, id, ask);
	if (r < 0) {
		h = unlink_held(a, id);
		free(h);
		/* completed meanwhile: then fn was called, and that is the answer */
		return h ? r : 0;
	}
	return write(a->wake, &one, sizeof(one)) < 0 && errno != EAGAIN ? -errno : 0;
}

bool gate_cancel(struct gate *g, const void *arg)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	struct gate_asks *a = g->asks;
	struct held *h = NULL;

	pthread_mutex_lock(&a->lock);
	for (struct held **p = &a->head; *p; p = &(*p)->next) {
		if ((*p)->arg == arg) {
			h = *p;
			*p = h->next;
			a->n--;
			break;
		}
	}
	pthread_mutex_unlock(&a->lock);
	if (!h)
		return false;
	if (m) { /* else it stays listed until its time is up */
		ipc_begin(m, GATE_CANCEL, h->id);
		ipc_send(g->ctl, m);
	}
	free(h);
	return true;
}

unsigned gate_asking(const struct gate *g)
{
	return g->asks->n;
}

enum audit_durability gate_durability(const struct gate *g, bool denied, bool changes_state)
{
	const struct policy_audit *a = &g->audit_conf;
	enum policy_durability d = DURABLE_DEFAULT;

	if (denied)
		d = a->deny;
	else if (g->audit_gate == AUDIT_FS)
		d = changes_state ? a->file_write : a->file_read;
	else if (g->audit_gate == AUDIT_EXEC)
		d = a->exec;
	else if (g->audit_gate == AUDIT_NET)
		d = a->net;
	if (d != DURABLE_DEFAULT)
		return d == DURABLE_COMMIT ? AUDIT_COMMIT : AUDIT_RING;
	return denied || g->audit_gate != AUDIT_FS ? AUDIT_COMMIT : AUDIT_RING;
}

void gate_close(struct gate *g)
{
	struct gate_conf *next;

	if (g->asks && g->loop)
		deny_all(g, "none");
	for (struct gate_conf *c = g->conf; c; c = next) {
		next = c->next;
		free(c->key);
		free(c->value);
		free(c);
	}
	audit_producer_close(g->audit);
	policy_free(g->policy);
	if (g->asks && g->asks->wake >= 0)
		close(g->asks->wake);
	free(g->asks);
	close(g->ctl);
}
