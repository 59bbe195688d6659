/*
 * Theory of a held call: WAITING -> ANSWERED (the gate loop) or INTERRUPTED (a worker, when a signal
 * reached the caller). Whoever makes the change replies. Two references: the gate's, dropped after
 * its one answer, and the request's, dropped by the replier; the last one frees.
 */
#include "fsgate/fs_call.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "fsgate/fs_at.h"
#include "fsgate/fs_record.h"
#include "fsgate/fs_why.h"

enum { WAITING, ANSWERED, INTERRUPTED };

struct held {
	struct fs_call call;
	atomic_int state;
	atomic_int refs;
};

void fs_call_init(struct fs_call *c, fuse_req_t req, const struct fs_kind *kind, fuse_ino_t ino)
{
	memset(c, 0, offsetof(struct fs_call, path));
	c->path[0] = c->to[0] = '\0';
	memset(&c->answer, 0, sizeof(c->answer));
	memset(&c->approval, 0, sizeof(c->approval));
	c->recorded = false;
	c->who.pid = 0;
	c->fs = fuse_req_userdata(req);
	c->req = req;
	c->kind = kind;
	c->op = kind->op;
	c->node = fs_node_of(c->fs->tree, ino);
}

const struct fs_who_is *fs_call_who(struct fs_call *c)
{
	if (!c->who.pid)
		fs_who_get(c->fs->who, fuse_req_ctx(c->req)->pid, &c->who);
	return &c->who;
}

int fs_call_judge(struct fs_call *c, enum file_op op, const char *name)
{
	const struct fs_question q = {.op = op, .path = c->path};
	int r = fs_node_path(c->fs->tree, c->node, name, c->path, sizeof(c->path));

	if (r < 0)
		return r;
	fs_decide(&c->answer, c->fs->gate.policy, &q, 1);
	return 0;
}

int fs_call_judge_new(struct fs_call *c, enum file_op op)
{
	struct fs_answer no;
	int r;

	if (c->node == fs_tree_top(c->fs->tree))
		return -EACCES;
	if (!fs_at_is_name(c->name))
		return strlen(c->name) > NAME_MAX ? -ENAMETOOLONG : -EINVAL;
	r = fs_call_judge(c, op, c->name);
	if (r == 0 && op != FILE_MKDIR && c->mode & (S_ISUID | S_ISGID)) {
		/* the host must not find a program that runs as someone else */
		fs_decide_refuse(&no, op, c->path, "fsgate-setid",
				 "set-user-ID and set-group-ID files cannot be made here");
		no.error = EPERM;
		fs_decide_merge(&c->answer, &no);
	}
	return r;
}

/* ---- holding ---- */

static void held_put(struct held *h)
{
	struct fs_call *c = &h->call;

	if (atomic_fetch_sub(&h->refs, 1) > 1)
		return;
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

static void refuse(struct fs_call *c, int error)
{
	if (fs_record_wanted(c) && fs_record_call(c, "deny", error) < 0)
		error = EIO;
	fs_why_denied(c, error);
	fuse_reply_err(c->req, error);
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
		refuse(&h->call, EACCES);
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
		refuse(c, EACCES);
		held_put(h);
	}
	held_put(h);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct held *h = data;
	int waiting = WAITING;

	(void)req;
	if (!atomic_compare_exchange_strong(&h->state, &waiting, INTERRUPTED))
		return;
	h->call.answer.path = h->call.path;
	snprintf(h->call.approval.approver, sizeof(h->call.approval.approver), "interrupted");
	refuse(&h->call, EINTR);
	held_put(h);
}

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

static void hold(struct fs_call *c)
{
	struct held *h = held_new(c);
	int waiting = WAITING;

	if (!h) {
		refuse(c, EACCES);
		return;
	}
	atomic_store(&h->refs, 2);
	/* may find that the caller was interrupted already, and reply at once */
	fuse_req_interrupt_func(c->req, on_interrupt, h);
	if (put_question(c, h) == 0)
		return;
	/* nobody can be asked; on_answer will not be called */
	if (atomic_compare_exchange_strong(&h->state, &waiting, ANSWERED)) {
		fuse_req_interrupt_func(c->req, NULL, NULL);
		refuse(c, EACCES);
		held_put(h);
	}
	held_put(h);
}

static bool is_approved(const struct fs_call *c)
{
	return c->approval.given && strcmp(c->path, c->approval.path) == 0 &&
	       strcmp(c->to, c->approval.to) == 0;
}

/* ---- running ---- */

int fs_call_record(struct fs_call *c, int error)
{
	if (!fs_record_wanted(c))
		return 0;
	c->recorded = true;
	return fs_record_call(c, "allow", error) < 0 ? -EIO : 0;
}

static void act(struct fs_call *c)
{
	int r = c->kind->late ? 0 : fs_call_record(c, 0);

	if (r == 0)
		r = c->kind->act(c);
	else
		c->recorded = false;
	if (r == 0)
		return;
	/* it was announced and did not happen */
	if (c->recorded && !c->kind->late)
		fs_record_call(c, "", -r);
	fuse_reply_err(c->req, -r);
}

static void run(struct fs_call *c)
{
	int r = c->kind->judge(c);

	if (r < 0) {
		fuse_reply_err(c->req, -r);
		return;
	}
	switch (c->answer.effect) {
	case FS_ALLOW:
	case FS_RECORD:
		act(c);
		return;
	case FS_HOLD:
		if (is_approved(c))
			act(c);
		else
			hold(c);
		return;
	case FS_HIDE:
		refuse(c, ENOENT);
		return;
	case FS_DENY:
		refuse(c, c->answer.error ? c->answer.error : EACCES);
		return;
	}
}

void fs_call_run(struct fs_call *c)
{
	pthread_rwlock_t *names = c->kind->names == FS_NAMES_NONE ? NULL : &c->fs->names;

	if (names && c->kind->names == FS_NAMES_OWN)
		pthread_rwlock_wrlock(names);
	else if (names)
		pthread_rwlock_rdlock(names);
	run(c);
	if (names)
		pthread_rwlock_unlock(names);
}
