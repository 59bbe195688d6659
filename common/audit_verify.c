#include "common/audit_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/audit_verify_i.h"

int audit_verify_fault(struct audit_verify *v, enum audit_fault f, const char *fmt, ...)
{
	struct audit_report *rep = v->rep;
	va_list ap;

	if (rep->fault != AUDIT_FAULT_NONE)
		return -EUCLEAN;
	rep->fault = f;
	rep->fault_seq = v->chain->tree.size;
	rep->fault_offset = v->offset;
	snprintf(rep->fault_file, sizeof(rep->fault_file), "%s", v->file);
	va_start(ap, fmt);
	vsnprintf(rep->fault_text, sizeof(rep->fault_text), fmt, ap);
	va_end(ap);
	v->stop = true;
	return -EUCLEAN;
}

void audit_verify_notice(struct audit_verify *v, bool incomplete, const char *fmt, ...)
{
	struct audit_report *rep = v->rep;
	struct audit_notice *n;
	va_list ap;

	if (incomplete && rep->verdict == AUDIT_INTACT)
		rep->verdict = AUDIT_INCOMPLETE;
	if (rep->n_notices++ >= ARRAY_LEN(rep->notices))
		return;
	n = &rep->notices[rep->n_notices - 1];
	n->seq = v->chain->tree.size;
	n->incomplete = incomplete;
	va_start(ap, fmt);
	vsnprintf(n->text, sizeof(n->text), fmt, ap);
	va_end(ap);
}

/* ---- segments ---- */

static int check_header(struct audit_verify *v, const struct audit_segment *seg,
			const struct audit_segment_ref *ref)
{
	char name[AUDIT_SEGMENT_NAME];
	const bool begins = v->rep->segments == 0;

	audit_segment_name(name, seg->log_id, seg->first);
	if (!v->root_id_known) {
		memcpy(v->root_id, seg->log_id, AUDIT_ID_LEN);
		v->root_id_known = true;
	}
	memcpy(v->chain->log_id, v->root_id, AUDIT_ID_LEN);
	if (memcmp(seg->log_id, v->root_id, AUDIT_ID_LEN) != 0)
		return audit_verify_fault(v, AUDIT_FAULT_SEGMENT, "the segment is of another log");
	if (strcmp(name, ref->name) != 0)
		return audit_verify_fault(v, AUDIT_FAULT_SEGMENT,
					  "the file's name does not fit its header");
	if (begins && seg->first != 0)
		return audit_verify_fault(v, AUDIT_FAULT_SEGMENT,
					  "the beginning of the log is missing (records 0 to %llu)",
					  (unsigned long long)seg->first - 1);
	if (!begins && !v->seal)
		return audit_verify_fault(v, AUDIT_FAULT_SEGMENT,
					  "the segment before this one is not sealed: its end is missing");
	if (seg->first != v->chain->tree.size)
		return audit_verify_fault(v, AUDIT_FAULT_SEGMENT,
					  "a segment is missing, doubled or out of order");
	if (seg->note_len != (begins ? 0 : v->seal_len) ||
	    (!begins && memcmp(seg->note, v->seal, v->seal_len) != 0))
		return audit_verify_fault(v, AUDIT_FAULT_SEGMENT,
					  "the header does not carry the seal of the segment before");
	return 0;
}

/* What follows the last good frame of a segment. */
static int check_end(struct audit_verify *v, const struct audit_segment *seg, int more, bool last)
{
	const size_t left = seg->len - (size_t)v->offset;

	if (more < 0 && (!last || v->seal || audit_segment_resumes(seg, (size_t)v->offset,
								   v->chain->tree.size)))
		return audit_verify_fault(v, AUDIT_FAULT_CONTENT,
					  "the bytes of this record are not what was written");
	if (left && !last)
		return audit_verify_fault(v, AUDIT_FAULT_SEGMENT,
					  "the segment is not sealed at its end");
	if (v->rep->live)
		return 0;
	if (more < 0)
		audit_verify_notice(v, true, "torn tail: %zu bytes after the last record", left);
	else if (left)
		audit_verify_notice(v, true,
				    "the writer did not close the log (%zu unused bytes at its end)",
				    left);
	return 0;
}

static int next_frame(struct audit_verify *v, struct audit_segment *seg,
		      const struct audit_segment_ref *ref, bool last, struct audit_frame *f)
{
	int more = audit_segment_frame(seg, (size_t)v->offset, f);

	if (more < 0 && last && v->rep->live)
		more = audit_segment_again(seg, v->dir, ref->name, (size_t)v->offset, f);
	return more;
}

static int one_segment(struct audit_verify *v, const struct audit_segment_ref *ref, bool last)
{
	__attribute__((cleanup(audit_segment_free))) struct audit_segment seg = {0};
	struct audit_frame f;
	int r = audit_segment_read(&seg, v->dir, ref->name, 0), more = 0;

	if (r < 0)
		return err_set(v->e, -r, "read %s", ref->name);
	snprintf(v->file, sizeof(v->file), "%s", ref->name);
	v->offset = 0;
	v->segment = ref->first;
	if (audit_segment_parse(&seg) < 0)
		return audit_verify_fault(v, AUDIT_FAULT_SEGMENT, "the segment's header is damaged");
	r = check_header(v, &seg, ref);
	free(steal_ptr(&v->seal));
	v->offset = seg.start;
	while (r == 0 && !v->seal && (more = next_frame(v, &seg, ref, last, &f)) == 1) {
		r = f.type == AUDIT_TYPE_CHECKPOINT ? audit_verify_note(v, &f)
						    : audit_verify_record(v, &f);
		v->offset += r == 0 ? f.len : 0;
	}
	if (r == 0 && v->seal)
		more = audit_segment_frame(&seg, (size_t)v->offset, &f) == 0 ? 0 : -EBADMSG;
	v->rep->segments++;
	v->rep->bytes += v->offset;
	return r < 0 ? r : check_end(v, &seg, more, last);
}

static int all_segments(struct audit_verify *v)
{
	struct audit_segment_list list = {0};
	int r = audit_segment_list(&list, v->dir);

	if (r < 0)
		return err_set(v->e, -r, "list %s", v->conf->dir);
	if (audit_segment_list_trim(&list, v->dir) && !v->rep->live)
		audit_verify_notice(v, true, "%s was being made when the writer died",
				    list.v[list.n].name);
	if (list.n == 0 && v->has_state && v->state.epoch == 0)
		audit_verify_notice(v, true, "the log was being created when the writer died");
	else if (list.n == 0 && v->has_state)
		r = audit_verify_fault(v, AUDIT_FAULT_SEGMENT, "all records are gone");
	else if (list.n == 0)
		r = err_say(v->e, ENOENT, "there is no audit log in %s", v->conf->dir);
	for (size_t i = 0; i < list.n && r == 0; i++)
		r = one_segment(v, &list.v[i], i + 1 == list.n);
	audit_segment_list_free(&list);
	return r < 0 ? r : 0;
}

/* ---- the whole ---- */

static void check_tail(struct audit_verify *v)
{
	const struct audit_chain *c = v->chain;
	const uint64_t unsigned_records = c->tree.size - c->note_size;

	if (unsigned_records)
		audit_verify_notice(v, true,
				    "unanchored tail: %llu records are not under a checkpoint%s",
				    (unsigned long long)unsigned_records,
				    v->rep->live ? " yet (the log is being written)" : "");
	for (size_t i = 0; i < c->n_live && !v->rep->live; i++)
		audit_verify_notice(v, true, "unclosed producer: %s of session %s",
				    audit_gate_name((enum audit_gate)c->live[i].gate),
				    c->live[i].session);
	for (size_t i = 0; i < v->n_outside; i++) {
		const struct audit_outside *o = &v->outside[i];

		if (!o->found)
			audit_verify_fault(v, AUDIT_FAULT_STATE,
					   "records are missing: the %s has a checkpoint (number %llu, "
					   "%llu records) that is not in the log",
					   o->what, (unsigned long long)o->number,
					   (unsigned long long)o->size);
	}
}

static bool is_live(int dir)
{
	if (flock(dir, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK;
	flock(dir, LOCK_UN);
	return false;
}

static enum audit_verdict run(struct audit_verify *v)
{
	struct audit_report *rep = v->rep;
	enum audit_verdict loaded;
	int r;

	rep->live = is_live(v->dir);
	loaded = audit_verify_load(v);
	if (loaded != AUDIT_INTACT)
		return loaded;
	r = all_segments(v);
	if (r == 0)
		check_tail(v);
	if (r == 0 && !v->stop)
		audit_verify_local(v);
	rep->records = v->chain->tree.size;
	rep->signed_records = v->chain->note_size;
	memcpy(rep->log_id, v->root_id, AUDIT_ID_LEN);
	if (r == -EKEYREJECTED)
		return AUDIT_NO_TRUST;
	if (r < 0 && r != -EUCLEAN)
		return AUDIT_UNREADABLE;
	return v->stop ? AUDIT_TAMPERED : rep->verdict;
}

static void verify_free(struct audit_verify *v)
{
	for (size_t i = 0; i < v->n_outside; i++)
		free(v->outside[i].text);
	free(v->outside);
	free(v->seal);
	free(v->chain);
	free(v->note);
	sha256_free(v->hash);
	sha256_free(v->mac);
	audit_keys_free(v->keys);
	explicit_bzero(v->r, sizeof(v->r));
	explicit_bzero(&v->state, sizeof(v->state));
}

static enum audit_verdict verify_once(struct audit_report *rep,
				      const struct audit_verify_conf *conf, int dir, struct err *e)
{
	__attribute__((cleanup(verify_free))) struct audit_verify v = {
		.conf = conf, .rep = rep, .e = e, .dir = dir};

	memset(rep, 0, sizeof(*rep));
	v.chain = calloc(1, sizeof(*v.chain));
	v.note = calloc(1, sizeof(*v.note));
	if (!v.chain || !v.note || sha256_new(&v.hash) < 0 || sha256_new(&v.mac) < 0) {
		err_set(e, ENOMEM, "audit log");
		return rep->verdict = AUDIT_UNREADABLE;
	}
	v.chain->next_id = 1;
	return rep->verdict = run(&v);
}

/* Which state file is there: each start of a writer, and each hour of it, makes a new one. */
static struct stat state_stamp(int dir)
{
	struct stat st = {0};

	(void)fstatat(dir, "state", &st, AT_SYMLINK_NOFOLLOW);
	return st;
}

static bool same_stamp(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

enum audit_verdict audit_verify(struct audit_report *rep, const struct audit_verify_conf *conf,
				struct err *e)
{
	autoclose int dir = open(conf->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat before, after;

	memset(rep, 0, sizeof(*rep));
	if (dir < 0) {
		err_set(e, errno, "audit log %s", conf->dir);
		return rep->verdict = AUDIT_UNREADABLE;
	}
	/* a writer that came or went meanwhile moved what we were comparing: look again */
	for (int i = 0; i < 5; i++) {
		before = state_stamp(dir);
		if (i > 0)
			audit_report_free(rep);
		verify_once(rep, conf, dir, e);
		after = state_stamp(dir);
		if (rep->verdict == AUDIT_INTACT || (same_stamp(&before, &after) &&
						     (rep->live || !is_live(dir))))
			break;
	}
	return rep->verdict;
}

void audit_report_free(struct audit_report *rep)
{
	free(rep->sessions);
	rep->sessions = NULL;
}
