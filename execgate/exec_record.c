#include "execgate/exec_record.h"

#include <string.h>

#define FIELDS_MAX 16

struct fields {
	struct audit_field v[FIELDS_MAX];
	size_t n;
};

static void add(struct fields *f, struct audit_field field)
{
	if (f->n < FIELDS_MAX)
		f->v[f->n++] = field;
}

static void add_target(struct fields *f, const struct exec_target *t)
{
	const struct exec_part *p = &t->part[0];

	if (p->fd < 0)
		return; /* not found, or not readable */
	add(f, AUDIT_F_STR("exe", p->file.path));
	if (strcmp(p->file.path, p->file.invoked) != 0)
		add(f, AUDIT_F_STR("invoked", p->file.invoked));
	add(f, AUDIT_F_HEX("sha256", (const char *)p->digest, sizeof(p->digest)));
	if (t->n_chain > 1) {
		p = exec_target_image(t);
		add(f, AUDIT_F_STR("interpreter", p->file.path));
		add(f, AUDIT_F_HEX("interpreter_sha256", (const char *)p->digest,
				   sizeof(p->digest)));
	}
	if (t->n_parts > t->n_chain) {
		p = &t->part[t->n_parts - 1];
		add(f, AUDIT_F_STR("loaded", p->file.path));
		add(f, AUDIT_F_HEX("loaded_sha256", (const char *)p->digest, sizeof(p->digest)));
	}
}

static void add_call(struct fields *f, const struct exec_record *r)
{
	const struct exec_call *c = r->call;

	if (r->target && r->target->part)
		add_target(f, r->target);
	if (f->n == 0)
		add(f, AUDIT_F_STR("invoked", c->path));
	if (r->argv)
		add(f, AUDIT_F_STRV("argv", r->argv, c->argc));
	add(f, AUDIT_F_STR("cwd", c->cwd));
	add(f, AUDIT_F_I64("ppid", c->ppid));
	add(f, AUDIT_F_U64("depth", r->depth));
	if (r->approver) {
		add(f, AUDIT_F_U64("approval_id", r->approval_id));
		add(f, AUDIT_F_STR("approver", r->approver));
		add(f, AUDIT_F_U64("waited_ms", r->waited_ms));
	}
}

static int append(struct gate *g, const struct exec_record *r, const char *op, bool allowed,
		  const struct fields *f)
{
	struct audit_event ev = {
		.op = op,
		.decision = allowed ? "allow" : "deny",
		.verdict = r->judged ? r->judged->decision.verdict : VERDICT_DENY,
		.rule = r->judged ? r->judged->decision.rule : "",
		.message = r->message,
		.pid = r->call->tgid,
		.comm = r->call->comm,
		.fields = f->v,
		.n_fields = f->n,
		.durability = gate_durability(g, !allowed, true),
	};

	return audit_append(g->audit, &ev);
}

int exec_record_decision(struct gate *g, const struct exec_record *r, bool allowed)
{
	struct fields f = {.n = 0};

	add_call(&f, r);
	return append(g, r, "exec", allowed, &f);
}

int exec_record_mismatch(struct gate *g, const struct exec_record *r,
			 const struct exec_actual *actual)
{
	struct fields f = {.n = 0};

	add_call(&f, r);
	add(&f, AUDIT_F_STR("differs", actual->what));
	add(&f, AUDIT_F_STR("loaded_exe", actual->exe));
	return append(g, r, "exec_mismatch", false, &f);
}
