/*
 * Theory of a held call: WAITING -> ANSWERED (the gate loop) or ENDED (its caller is being killed or
 * told to stop). Whoever makes the change replies. References: the gate's, dropped after its one
 * answer or with the question that is taken back; the request's, dropped by the replier; the watch's.
 * The last one frees.
 *
 * The kernel speaks of signals once. A caller whose first signal did not end the wait is watched: a
 * thread looks at it a few times a second, until there is none left to look at.
 */
#include "fsgate/fs_hold.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsgate/fs_record.h"
#include "fsgate/fs_watch.h"

#define WATCH_US 100000

enum { WAITING, ANSWERED, ENDED };

struct held {
	struct fs_call call;
	pid_t tid; /* of the caller */
	atomic_int state;
	atomic_int refs;
	struct held *next; /* in the watch */
	struct fs_node *about[3]; /* what the kernel has locked for it; held */
};

struct fs_holds {
	pthread_mutex_t lock;
	struct held *watched;
	bool running;
};

int fs_hold_new(struct fs_holds **out)
{
	struct fs_holds *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	*out = l;
	return 0;
}

static void begin_waiting(struct held *h)
{
	struct fs_call *c = &h->call;
	struct fs_tree *t = c->fs->tree;

	h->about[0] = c->node;
	h->about[1] = c->node2;
	for (unsigned i = 0; i < 2; i++)
		if (h->about[i])
			fs_node_hold(t, h->about[i]);
	h->about[2] = c->name ? fs_node_find(t, c->node, c->name) : NULL;
	for (unsigned i = 0; i < ARRAY_LEN(h->about); i++)
		fs_watch_held(c->fs, h->about[i], 1);
}

static void end_waiting(struct held *h)
{
	for (unsigned i = 0; i < ARRAY_LEN(h->about); i++) {
		fs_watch_held(h->call.fs, h->about[i], -1);
		fs_node_put(h->call.fs->tree, h->about[i]);
	}
}

static void held_put(struct held *h)
{
	struct fs_call *c = &h->call;

	if (atomic_fetch_sub(&h->refs, 1) > 1)
		return;
	end_waiting(h);
	free((void *)c->name);
	free((void *)c->name2);
	free((void *)c->text);
	free((void *)c->value);
	free(c->approval.path);
	free(c->approval.to);
	free(h);
}

static bool copy_text(const char **s)
{
	char *copy = *s ? strdup(*s) : NULL;
	bool fine = !*s || copy;

	*s = copy;
	return fine;
}

static struct held *held_new(const struct fs_call *c)
{
	struct held *h = calloc(1, sizeof(*h));
	bool fine;

	if (!h)
		return NULL;
	h->call = *c;
	h->call.answer.path = NULL;
	h->call.value = NULL;
	memset(&h->call.approval, 0, sizeof(h->call.approval));
	h->tid = fuse_req_ctx(c->req)->pid;
	atomic_store(&h->refs, 1);
	fine = copy_text(&h->call.name) & copy_text(&h->call.name2) & copy_text(&h->call.text);
	if (c->value) {
		void *copy = malloc(c->size ? c->size : 1);

		if (copy)
			memcpy(copy, c->value, c->size);
		h->call.value = copy;
		fine = fine && copy;
	}
	h->call.approval.path = strdup(c->path);
	h->call.approval.to = strdup(c->to);
	if (fine && h->call.approval.path && h->call.approval.to)
		return h;
	held_put(h);
	return NULL;
}

static void *go_on(void *arg)
{
	struct held *h = arg;

	fs_call_run(&h->call);
	held_put(h);
	return NULL;
}

/* The file system may block: not in the loop's thread. */
static void go_on_in_thread(struct held *h)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&t, &attr, go_on, h) != 0) {
		h->call.answer.path = h->call.path;
		fs_call_refuse(&h->call, EACCES);
		held_put(h);
	}
	pthread_attr_destroy(&attr);
}

static void on_answer(void *arg, bool allow, const char *approver, uint64_t waited_ms, uint32_t id)
{
	struct held *h = arg;
	struct fs_call *c = &h->call;
	int waiting = WAITING;

	if (!atomic_compare_exchange_strong(&h->state, &waiting, ANSWERED)) {
		held_put(h);
		return;
	}
	/* waits for an interrupt that is just being handled: it finds ANSWERED */
	fuse_req_interrupt_func(c->req, NULL, NULL);
	c->approval.given = allow;
	c->approval.id = id;
	c->approval.waited_ms = waited_ms;
	snprintf(c->approval.approver, sizeof(c->approval.approver), "%s", approver);
	if (allow) {
		go_on_in_thread(h);
	} else {
		c->answer.path = c->path;
		fs_call_refuse(c, EACCES);
		held_put(h);
	}
	held_put(h);
}

/* ---- signals ---- */

static uint64_t bit(int sig)
{
	return 1ull << (sig - 1);
}

bool fs_hold_ends(const struct fs_hold_signals *s)
{
	static const int harmless[] = {SIGCHLD, SIGURG,	 SIGWINCH, SIGCONT,
				       SIGSTOP, SIGTSTP, SIGTTIN,  SIGTTOU};
	const uint64_t stop = bit(SIGINT) | bit(SIGQUIT) | bit(SIGTERM) | bit(SIGHUP);
	uint64_t now = s->pending & ~s->blocked & ~s->ignored;
	uint64_t by_default = now & ~s->caught;

	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		by_default &= ~bit(harmless[i]);
	return by_default || now & stop || s->pending & bit(SIGKILL);
}

static uint64_t mask_of(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? strtoull(at + strlen(key), NULL, 16) : 0;
}

/* A caller that cannot be looked at is gone. */
static bool is_ending(pid_t tid)
{
	char path[40], text[4096];
	struct fs_hold_signals s;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return true;
	text[n] = '\0';
	s = (struct fs_hold_signals){
		.pending = mask_of(text, "\nSigPnd:") | mask_of(text, "\nShdPnd:"),
		.blocked = mask_of(text, "\nSigBlk:"),
		.ignored = mask_of(text, "\nSigIgn:"),
		.caught = mask_of(text, "\nSigCgt:"),
	};
	return fs_hold_ends(&s);
}

/* Nobody needs an answer to the question any more. */
static void take_back(struct held *h)
{
	if (gate_cancel(&h->call.fs->gate, h))
		held_put(h);
}

static void end(struct held *h, bool in_callback)
{
	int waiting = WAITING;

	if (!atomic_compare_exchange_strong(&h->state, &waiting, ENDED))
		return;
	if (!in_callback)
		fuse_req_interrupt_func(h->call.req, NULL, NULL);
	take_back(h);
	h->call.answer.path = h->call.path;
	snprintf(h->call.approval.approver, sizeof(h->call.approval.approver), "interrupted");
	fs_call_refuse(&h->call, EINTR);
	held_put(h);
}

static void *watch_thread(void *arg)
{
	struct fs_holds *l = arg;
	struct held *all, *kept, *h;
	bool more = true;

	while (more) {
		usleep(WATCH_US);
		pthread_mutex_lock(&l->lock);
		all = l->watched;
		l->watched = NULL;
		pthread_mutex_unlock(&l->lock);
		for (kept = NULL; (h = all);) {
			all = h->next;
			if (atomic_load(&h->state) == WAITING && is_ending(h->tid))
				end(h, false);
			if (atomic_load(&h->state) != WAITING) {
				held_put(h);
				continue;
			}
			h->next = kept;
			kept = h;
		}
		pthread_mutex_lock(&l->lock);
		while ((h = kept)) {
			kept = h->next;
			h->next = l->watched;
			l->watched = h;
		}
		more = l->running = l->watched != NULL;
		pthread_mutex_unlock(&l->lock);
	}
	return NULL;
}

static void watch(struct held *h)
{
	struct fs_holds *l = h->call.fs->holds;
	pthread_t t;

	atomic_fetch_add(&h->refs, 1);
	pthread_mutex_lock(&l->lock);
	h->next = l->watched;
	l->watched = h;
	/* without a thread the wait lasts until it is answered, or its time is up */
	if (!l->running && pthread_create(&t, NULL, watch_thread, l) == 0) {
		l->running = true;
		pthread_detach(t);
	}
	pthread_mutex_unlock(&l->lock);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct held *h = data;

	(void)req;
	if (atomic_load(&h->state) != WAITING)
		return;
	if (is_ending(h->tid))
		end(h, true);
	else
		watch(h);
}

/* ---- holding ---- */

static int put_question(struct fs_call *c, struct held *h)
{
	char subject[2 * PATH_MAX + 8], message[1024];
	struct gate_ask ask;

	fs_record_message(c, message, sizeof(message));
	snprintf(subject, sizeof(subject), c->to[0] ? "%s -> %s" : "%s", c->path, c->to);
	ask = (struct gate_ask){
		.op = c->op,
		.subject = subject,
		.rule = c->answer.d.rule,
		.message = message,
		.pid = fs_call_who(c)->pid,
		.comm = c->who.comm,
		.timeout_ms = c->answer.d.timeout_ms,
	};
	return gate_ask(&c->fs->gate, &ask, on_answer, h);
}

void fs_hold(struct fs_call *c)
{
	struct held *h;
	int waiting = WAITING;

	fs_call_who(c); /* while the request is ours for certain */
	h = held_new(c);
	if (!h) {
		fs_call_refuse(c, EACCES);
		return;
	}
	/* the third is ours: an answer may be here before put_question() returns */
	atomic_store(&h->refs, 3);
	begin_waiting(h);
	/* may find that the caller was interrupted already, and reply at once */
	fuse_req_interrupt_func(c->req, on_interrupt, h);
	if (put_question(c, h) == 0) {
		if (atomic_load(&h->state) == ENDED) /* before there was a question to take back */
			take_back(h);
		held_put(h);
		return;
	}
	/* nobody can be asked; on_answer will not be called */
	if (atomic_compare_exchange_strong(&h->state, &waiting, ANSWERED)) {
		fuse_req_interrupt_func(c->req, NULL, NULL);
		fs_call_refuse(c, EACCES);
		held_put(h);
	}
	held_put(h); /* the gate's */
	held_put(h);
}
