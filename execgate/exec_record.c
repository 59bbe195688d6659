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

static struct audit_event event(const struct gate *g, const struct exec_record *r, const char *op,
				bool allowed, const struct fields *f)
{
	return (struct audit_event){
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
}

int exec_record_allowed(struct audit_ticket *t, struct gate *g, const struct exec_record *r)
{
	struct fields f = {.n = 0};
	struct audit_event ev;

	add_call(&f, r);
	ev = event(g, r, "exec", true, &f);
	return audit_append_start(t, g->audit, &ev);
}

int exec_record_finish(struct gate *g, const struct audit_ticket *t)
{
	return audit_append_finish(g->audit, t);
}

int exec_record_denied(struct gate *g, const struct exec_record *r)
{
	struct fields f = {.n = 0};
	struct audit_event ev;

	add_call(&f, r);
	ev = event(g, r, "exec", false, &f);
	return audit_append(g->audit, &ev);
}

int exec_record_mismatch(struct gate *g, const struct exec_record *r,
			 const struct exec_actual *actual)
{
	struct fields f = {.n = 0};
	struct audit_event ev;

	add_call(&f, r);
	add(&f, AUDIT_F_STR("differs", actual->what));
	add(&f, AUDIT_F_STR("loaded_exe", actual->exe));
	ev = event(g, r, "exec_mismatch", false, &f);
	return audit_append(g->audit, &ev);
}
