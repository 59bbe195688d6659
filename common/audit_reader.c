#include "common/audit_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/audit_note.h"
#include "common/audit_segment.h"
#include "common/verdict.h"

/* Who has which producer number at the moment. */
struct names {
	struct name {
		bool live;
		uint8_t gate;
		char session[AUDIT_NOTE_SESSION];
	} v[UINT16_MAX + 1];
};

struct walk {
	audit_record_fn *fn;
	void *arg;
	struct names *names;
	struct audit_note *note;
	struct err *e;
};

static void adopt(struct walk *w, const struct audit_segment *seg)
{
	uint8_t sig[AUDIT_SIG_LEN];
	size_t len;

	if (!seg->note_len || audit_note_parse(w->note, seg->note, seg->note_len, &len, sig) < 0)
		return;
	for (size_t i = 0; i < w->note->n_live; i++) {
		const struct audit_live *l = &w->note->live[i];
		struct name *n = &w->names->v[l->id];

		n->live = true;
		n->gate = l->gate;
		memcpy(n->session, l->session, sizeof(n->session));
	}
}

static struct name *registered(struct walk *w, const struct audit_frame *f)
{
	uint64_t id;

	if (cbor_find_u64(f->payload, f->payload_len, "id", &id) < 0 || id > UINT16_MAX)
		return NULL;
	return &w->names->v[id];
}

static void name_up(struct walk *w, const struct audit_frame *f)
{
	struct name *n = registered(w, f);
	uint64_t gate;

	if (!n || cbor_find_u64(f->payload, f->payload_len, "gate", &gate) < 0 ||
	    cbor_find_text(f->payload, f->payload_len, "session", n->session, sizeof(n->session)) < 0)
		return;
	n->live = true;
	n->gate = gate < AUDIT_GATES ? (uint8_t)gate : (uint8_t)AUDIT_CTL;
}

static int give(struct walk *w, const struct audit_frame *f)
{
	struct audit_record r = {.seq = f->seq,
				 .wall_ns = f->wall_ns,
				 .type = (enum audit_type)f->type,
				 .session = "",
				 .gate = AUDIT_CTL,
				 .producer = f->producer,
				 .pseq = f->pseq,
				 .payload = f->payload,
				 .payload_len = f->payload_len};
	struct name *n = NULL;
	int rc;

	if (f->type == AUDIT_TYPE_CHECKPOINT)
		return 0;
	if (cbor_check_map(f->payload, f->payload_len) < 0)
		return err_say(w->e, EBADMSG, "record %llu is damaged", (unsigned long long)f->seq);
	if (f->type == AUDIT_TYPE_UP)
		name_up(w, f);
	if (f->type == AUDIT_TYPE_UP || f->type == AUDIT_TYPE_DOWN)
		n = registered(w, f);
	else if (f->type == AUDIT_TYPE_EVENT)
		n = &w->names->v[f->producer];
	if (n && n->live) {
		r.session = n->session;
		r.gate = (enum audit_gate)n->gate;
	}
	rc = w->fn(w->arg, &r);
	if (f->type == AUDIT_TYPE_DOWN && n)
		n->live = false;
	return rc;
}

static int walk_segment(struct walk *w, int dir, const struct audit_segment_ref *ref, bool last)
{
	__attribute__((cleanup(audit_segment_free))) struct audit_segment seg = {0};
	uint64_t next = ref->first;
	struct audit_frame f;
	size_t pos;
	int r = audit_segment_read(&seg, dir, ref->name, 0);

	if (r < 0)
		return err_set(w->e, -r, "read %s", ref->name);
	if (audit_segment_parse(&seg) < 0)
		return err_say(w->e, EBADMSG, "%s has a damaged header", ref->name);
	adopt(w, &seg);
	for (pos = seg.start;; pos += f.len) {
		r = audit_segment_frame(&seg, pos, &f);
		if (r < 0 && last)
			r = audit_segment_again(&seg, dir, ref->name, pos, &f);
		if (r != 1)
			break;
		next = f.seq;
		r = give(w, &f);
		if (r != 0)
			return r;
	}
	if (r < 0 && (!last || audit_segment_resumes(&seg, pos, next)))
		return err_say(w->e, EBADMSG, "%s is damaged at byte %zu (after record %llu)",
			       ref->name, pos, (unsigned long long)next);
	return 0;
}

int audit_reader_each(const char *dir, audit_record_fn *fn, void *arg, struct err *e)
{
	autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree struct names *names = calloc(1, sizeof(*names));
	autofree struct audit_note *note = calloc(1, sizeof(*note));
	struct walk w = {fn, arg, names, note, e};
	struct audit_segment_list list = {0};
	int r;

	if (fd < 0)
		return errno == ENOENT ? err_say(e, ENOENT, "there is no audit log in %s yet", dir)
				       : err_set(e, errno, "audit log %s", dir);
	if (!names || !note)
		return err_set(e, ENOMEM, "audit log");
	r = audit_segment_list(&list, fd);
	if (r < 0)
		return err_set(e, -r, "audit log %s", dir);
	audit_segment_list_trim(&list, fd);
	if (list.n == 0)
		r = err_say(e, ENOENT, "there is no audit log in %s yet", dir);
	for (size_t i = 0; i < list.n && r == 0; i++)
		r = walk_segment(&w, fd, &list.v[i], i + 1 == list.n);
	audit_segment_list_free(&list);
	return r;
}

/* ---- summaries ---- */

static int note_session(void *arg, const struct audit_record *r)
{
	if (r->type == AUDIT_TYPE_UP)
		snprintf(arg, 65, "%s", r->session);
	return 0;
}

int audit_reader_last_session(char out[65], const char *dir, struct err *e)
{
	int r;

	out[0] = '\0';
	r = audit_reader_each(dir, note_session, out, e);
	if (r == 0 && !out[0])
		r = err_say(e, ENOENT, "there is no session in the audit log yet");
	return r;
}

struct counting {
	struct audit_summary *out;
	int open;
};

static void count_decision(struct audit_summary *s, const struct audit_record *r)
{
	char decision[32], verdict[32] = "";

	if (cbor_find_text(r->payload, r->payload_len, "decision", decision, sizeof(decision)) < 0)
		return;
	cbor_find_text(r->payload, r->payload_len, "verdict", verdict, sizeof(verdict));
	if (strcmp(decision, "deny") == 0)
		s->denied++;
	else if (strcmp(decision, "allow") == 0 && strcmp(verdict, "approve") == 0)
		s->approved++;
	else if (strcmp(decision, "allow") == 0)
		s->allowed++;
	else if (strcmp(decision, "redirect") == 0)
		s->redirected++;
	else
		s->other++;
}

static int count(void *arg, const struct audit_record *r)
{
	struct counting *c = arg;

	if (strcmp(r->session, c->out->session) != 0)
		return 0;
	if (r->type == AUDIT_TYPE_UP)
		c->open++;
	if (r->type == AUDIT_TYPE_DOWN)
		c->open--;
	if (!c->out->first_ns)
		c->out->first_ns = r->wall_ns;
	c->out->last_ns = r->wall_ns;
	if (r->type != AUDIT_TYPE_EVENT)
		return 0;
	c->out->records++;
	count_decision(c->out, r);
	return 0;
}

int audit_reader_summary(struct audit_summary *out, const char *dir, const char *session,
			 struct err *e)
{
	struct counting c = {.out = out};
	int r;

	memset(out, 0, sizeof(*out));
	if (session && strlen(session) >= sizeof(out->session))
		return err_say(e, ENOENT, "no session has that name");
	if (session) {
		memcpy(out->session, session, strlen(session) + 1);
	} else {
		r = audit_reader_last_session(out->session, dir, e);
		if (r < 0)
			return r;
	}
	r = audit_reader_each(dir, count, &c, e);
	out->open = c.open > 0;
	if (r == 0 && !out->first_ns)
		r = err_say(e, ENOENT, "session %s is not in the audit log", out->session);
	return r;
}
