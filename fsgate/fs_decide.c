#include "fsgate/fs_decide.h"

#include <string.h>

static void ask(struct decision *d, const struct policy *p, enum file_op op, const char *path)
{
	const struct policy_request r = {.kind = POLICY_FILE, .file = {.path = path, .op = op}};

	policy_decide(d, p, &r);
}

static enum fs_effect effect_of(enum verdict v, enum file_op op)
{
	switch (v) {
	case VERDICT_ALLOW:
		return FS_ALLOW;
	case VERDICT_AUDIT:
		return FS_RECORD;
	case VERDICT_APPROVE:
		return FS_HOLD;
	case VERDICT_HIDE:
		return FS_HIDE;
	case VERDICT_REDIRECT:
		/* who looks sees what the name stands for: the target, once it is there */
		return FILE_READ_OPS & 1u << op ? FS_ALLOW : FS_REDIRECT;
	case VERDICT_SOFT_DELETE:
		return FS_KEEP;
	case VERDICT_ABSORB:
	case VERDICT_DENY:
		return FS_DENY;
	}
	return FS_DENY;
}

static unsigned strictness(enum fs_effect e)
{
	switch (e) {
	case FS_ALLOW:
		return 0;
	case FS_RECORD:
		return 1;
	case FS_KEEP:
		return 2;
	case FS_REDIRECT:
		return 3;
	case FS_HOLD:
		return 4;
	case FS_DENY:
		return 5;
	case FS_HIDE:
		return 6;
	}
	return 5;
}

static void answer(struct fs_answer *a, const struct policy *p, enum file_op op, const char *path)
{
	ask(&a->d, p, op, path);
	a->effect = effect_of(a->d.verdict, op);
	a->missing = NULL;
	a->redirect = a->effect == FS_REDIRECT;
	a->unlogged = a->d.log == POLICY_LOG_NONE;
	a->op = op;
	a->path = path;
	a->error = 0;
}

void fs_decide_merge(struct fs_answer *a, const struct fs_answer *b)
{
	bool redirect = a->redirect || b->redirect, unlogged = a->unlogged && b->unlogged;

	if (strictness(b->effect) > strictness(a->effect))
		*a = *b;
	a->redirect = redirect;
	a->unlogged = unlogged;
}

void fs_decide(struct fs_answer *a, const struct policy *p, const struct fs_question *q, size_t n)
{
	struct fs_answer one;

	memset(a, 0, sizeof(*a));
	for (size_t i = 0; i < n; i++) {
		answer(&one, p, q[i].op, q[i].path);
		if (i == 0)
			*a = one;
		else if (!q[i].minor || one.d.reason == REASON_RULE ||
			 a->d.reason == REASON_DEFAULT)
			fs_decide_merge(a, &one);
	}
}

static bool permits(const struct fs_answer *a)
{
	return a->effect == FS_ALLOW || a->effect == FS_RECORD || a->effect == FS_KEEP ||
	       a->effect == FS_REDIRECT;
}

/* What a file could not be used for by its old name, it must not become by the new one. */
static void keep_limits(struct fs_answer *a, const struct policy *p, const struct fs_move *m)
{
	static const enum file_op uses[] = {FILE_READ, FILE_WRITE, FILE_EXEC};
	struct fs_answer from, to;

	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		answer(&from, p, uses[i], m->from);
		if (permits(&from))
			continue;
		answer(&to, p, uses[i], m->to);
		if (strictness(from.effect) > strictness(to.effect))
			fs_decide_merge(a, &from);
	}
	answer(&to, p, FILE_CREATE, m->to);
	if (permits(&to))
		return;
	answer(&from, p, FILE_CREATE, m->from);
	if (strictness(to.effect) > strictness(from.effect))
		fs_decide_merge(a, &to);
}

void fs_decide_move(struct fs_answer *a, const struct policy *p, const struct fs_move *m)
{
	const struct fs_question q[] = {
		{.op = m->op, .path = m->from},
		{.op = m->op, .path = m->to},
		{.op = m->replaces_dir ? FILE_RMDIR : FILE_DELETE, .path = m->to},
	};

	fs_decide(a, p, q, m->replaces ? 3 : 2);
	keep_limits(a, p, m);
}

bool fs_decide_same(const struct policy *p, const char *from, const char *to)
{
	static const enum file_op ops[] = {FILE_READ,	FILE_WRITE, FILE_EXEC, FILE_CREATE,
					   FILE_DELETE, FILE_RENAME, FILE_STAT};
	struct decision x, y;

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		ask(&x, p, ops[i], from);
		ask(&y, p, ops[i], to);
		if (x.reason != REASON_RULE || y.reason != REASON_RULE ||
		    x.rule_index != y.rule_index)
			return false;
		if (ops[i] == FILE_READ && x.verdict != VERDICT_ALLOW && x.verdict != VERDICT_AUDIT)
			return false;
	}
	return true;
}

void fs_decide_look(struct fs_answer *a, const struct policy *p, const char *path, bool is_dir)
{
	answer(a, p, FILE_STAT, path);
	if (is_dir && a->effect == FS_DENY && policy_may_read_below(p, path))
		a->effect = FS_ALLOW;
}

bool fs_decide_listed(const struct policy *p, const char *path, bool is_dir)
{
	struct fs_answer a;

	fs_decide_look(&a, p, path, is_dir);
	if (a.effect == FS_HIDE)
		return false;
	return a.effect != FS_DENY || a.d.reason == REASON_RULE;
}

void fs_decide_refuse(struct fs_answer *a, enum file_op op, const char *path, const char *rule,
		      const char *message)
{
	memset(a, 0, sizeof(*a));
	a->effect = FS_DENY;
	a->op = op;
	a->path = path;
	a->d.verdict = VERDICT_DENY;
	a->d.reason = REASON_RULE;
	a->d.rule = rule;
	a->d.message = message;
	a->d.redirect_to = "";
}
