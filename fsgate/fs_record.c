/*
 * Theory: a scan of a tree that the policy denies would fill the log with one refusal a file and
 * run, so the refusals of lookups are kept for a while in a table that forgets by overwriting:
 * a (process, path) that is still there is not recorded again.
 */
#include "fsgate/fs_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "common/str.h"
#include "fsgate/fs_who.h"

#define RECENT_SLOTS 1024u
#define RECENT_MS 2000u
#define EXEC_FLAG 0x20 /* __FMODE_EXEC: the kernel opens a program to run it */

struct recent {
	uint64_t key;
	uint64_t at_ms;
};

struct fs_recent {
	pthread_mutex_t lock;
	struct recent slots[RECENT_SLOTS];
};

int fs_record_new(struct fs_recent **out)
{
	struct fs_recent *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	*out = r;
	return 0;
}

void fs_record_free(struct fs_recent *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static bool is_repeated(struct fs_call *c)
{
	struct fs_recent *recent = c->fs->recent;
	uint64_t key = 0xCBF29CE484222325ull, now = loop_now_ms();
	struct recent *slot;
	bool yes;

	key = (key ^ (uint64_t)fs_call_who(c)->pid) * 0x100000001B3ull;
	for (const char *s = c->path; *s; s++)
		key = (key ^ (unsigned char)*s) * 0x100000001B3ull;
	pthread_mutex_lock(&recent->lock);
	slot = &recent->slots[(key ^ key >> 32) % RECENT_SLOTS];
	yes = slot->key == key && now - slot->at_ms < RECENT_MS;
	if (!yes) {
		slot->key = key;
		slot->at_ms = now;
	}
	pthread_mutex_unlock(&recent->lock);
	return yes;
}

bool fs_record_wanted(struct fs_call *c)
{
	const struct policy_audit *conf = &c->fs->gate.audit_conf;
	const struct fs_answer *a = &c->answer;
	switch (a->effect) {
	case FS_HOLD: /* answered by now */
	case FS_KEEP:
	case FS_REDIRECT:
		return true;
	case FS_RECORD:
		return !c->kind->repetitive || !is_repeated(c);
	case FS_ALLOW:
		return c->kept.token[0] || (conf->log_allowed && !a->unlogged && !c->kind->quiet);
	case FS_HIDE:
	case FS_DENY:
		if (!conf->log_denied || a->d.log == POLICY_LOG_NONE)
			return false;
		return !c->kind->repetitive || !is_repeated(c);
	}
	return true;
}

void fs_record_message(const struct fs_call *c, char *buf, size_t size)
{
	const struct policy_request r = {
		.kind = POLICY_FILE,
		.file = {.path = c->answer.path, .op = c->answer.op},
	};

	buf[0] = '\0';
	if (c->answer.d.message && c->answer.d.message[0])
		policy_message(buf, size, &c->answer.d, &r, c->fs->gate.session);
}

static void flags_text(int flags, char *buf, size_t size)
{
	static const struct {
		int flag;
		const char *name;
	} names[] = {
		{O_APPEND, "|O_APPEND"}, {O_CREAT, "|O_CREAT"},	    {O_EXCL, "|O_EXCL"},
		{O_TRUNC, "|O_TRUNC"},	 {O_DIRECTORY, "|O_DIRECTORY"}, {EXEC_FLAG, "|exec"},
	};
	static const char *const access[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
	struct str s;

	str_init(&s, buf, size);
	str_add(&s, access[flags & O_ACCMODE]);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (flags & names[i].flag)
			str_add(&s, names[i].name);
}

/* @param pseq  number of the record; may be NULL */
static int append(struct fs *fs, const struct audit_event *ev, uint64_t *pseq)
{
	struct audit_ticket t;
	int r = audit_append_start(&t, fs->gate.audit, ev);

	if (r < 0)
		return r;
	atomic_store(&fs->pseq, t.pseq);
	if (pseq)
		*pseq = t.pseq;
	return audit_append_finish(fs->gate.audit, &t);
}

#define FIELDS_MAX 13

static size_t fill_fields(const struct fs_call *c, struct audit_field *f, char *flags,
			  size_t flags_size, int error)
{
	size_t n = 0;

	f[n++] = AUDIT_F_STR("path", c->path);
	if (c->to[0])
		f[n++] = AUDIT_F_STR("to", c->to);
	if (c->has_fi && c->kind->late) {
		flags_text(c->fi.flags, flags, flags_size);
		f[n++] = AUDIT_F_STR("flags", flags);
	}
	if (c->passes)
		f[n++] = AUDIT_F_STR("io", "passthrough");
	if (error)
		f[n++] = AUDIT_F_I64("errno", error);
	if (c->answer.path && strcmp(c->answer.path, c->path) != 0 &&
	    strcmp(c->answer.path, c->to) != 0)
		f[n++] = AUDIT_F_STR("because", c->answer.path);
	if (c->kept.token[0])
		f[n++] = AUDIT_F_STR("token", c->kept.token);
	if (c->kept.sha256[0])
		f[n++] = AUDIT_F_STR("sha256", c->kept.sha256);
	if (c->answer.missing)
		f[n++] = AUDIT_F_STR("unavailable", c->answer.missing);
	if (c->approval.approver[0]) {
		f[n++] = AUDIT_F_U64("approval_id", c->approval.id);
		f[n++] = AUDIT_F_STR("approver", c->approval.approver);
		f[n++] = AUDIT_F_U64("waited_ms", c->approval.waited_ms);
	}
	return n;
}

static void message_of(const struct fs_call *c, const char *decision, char *buf, size_t size)
{
	bool denied = strcmp(decision, "deny") == 0, kept = strcmp(decision, "soft_delete") == 0;

	buf[0] = '\0';
	if (denied || kept)
		fs_record_message(c, buf, size);
	if (denied && c->answer.missing)
		snprintf(buf, size, "%s is not available here", c->answer.missing);
	if (kept && !buf[0])
		snprintf(buf, size, "kept: agentsh trash restore %s", c->kept.token);
}

int fs_record_call(struct fs_call *c, const char *decision, int error)
{
	struct audit_field fields[FIELDS_MAX];
	char flags[96], message[1024];
	const struct fs_who_is *who = fs_call_who(c);
	struct audit_event ev;
	bool denied = strcmp(decision, "deny") == 0;

	message_of(c, decision, message, sizeof(message));
	ev = (struct audit_event){
		.op = c->op,
		.decision = decision,
		.verdict = c->answer.d.verdict,
		.rule = c->answer.d.rule ? c->answer.d.rule : "",
		.message = message,
		.pid = who->pid,
		.comm = who->comm,
		.fields = fields,
		.n_fields = fill_fields(c, fields, flags, sizeof(flags), error),
		/* looking at what may not be seen is too frequent to wait for the disk each time */
		.durability = gate_durability(&c->fs->gate, denied && !c->kind->repetitive,
					      c->kind->changes),
	};
	return append(c->fs, &ev, decision[0] ? &c->pseq : NULL);
}

void fs_record_note(struct fs *fs, const char *op, const char *message)
{
	const struct audit_event ev = {
		.op = op,
		.decision = "",
		.rule = "",
		.message = message,
		.comm = "agentsh-fsgate",
		.durability = AUDIT_RING,
	};

	audit_append(fs->gate.audit, &ev);
}

void fs_record_close(struct fs *fs, const struct fs_who_is *who, const char *path,
		     const struct fs_written *w)
{
	struct audit_field fields[] = {
		AUDIT_F_STR("path", path),
		w->passed ? AUDIT_F_I64("size", w->size) : AUDIT_F_U64("bytes", w->bytes),
		AUDIT_F_I64("size_before", w->size_before),
	};
	const struct audit_event ev = {
		.op = "close",
		.decision = "",
		.rule = "",
		.message = "",
		.pid = who->pid,
		.comm = who->comm,
		.fields = fields,
		.n_fields = w->passed ? 3 : 2,
		.durability = AUDIT_RING,
	};

	/* the bytes are written: a log that is full denies the next open */
	append(fs, &ev, NULL);
}

int fs_record_io(struct fs *fs, const struct fs_io *io)
{
	const struct audit_field fields[] = {
		AUDIT_F_STR("path", io->path),
		AUDIT_F_I64("offset", io->offset),
		AUDIT_F_U64("bytes", io->bytes),
	};
	const struct audit_event ev = {
		.op = io->op,
		.decision = "allow",
		.verdict = VERDICT_ALLOW,
		.rule = io->rule ? io->rule : "",
		.message = "",
		.pid = io->who.pid,
		.comm = io->who.comm,
		.fields = fields,
		.n_fields = ARRAY_LEN(fields),
		.durability = gate_durability(&fs->gate, false, strcmp(io->op, "read") != 0),
	};

	return audit_append(fs->gate.audit, &ev);
}
