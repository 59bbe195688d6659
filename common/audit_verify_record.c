/*
 * Theory: a record passes when its number, its producer's number and (with the root secret) its
 * MAC are right; its leaf joins the tree. A checkpoint passes when its text is the one that the
 * state so far gives, and the epoch's key signed it: with that, all records before it are as they
 * were. An epoch's key is good when the one before it vouched for it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/audit_verify_i.h"
#include "common/cbor.h"

/* ---- epochs ---- */

struct epoch {
	uint8_t log_id[AUDIT_ID_LEN], pub[AUDIT_KEY_LEN], next[AUDIT_KEY_LEN];
	uint8_t cert[AUDIT_SIG_LEN], commit[SHA256_LEN], torn_hash[SHA256_LEN];
	uint64_t epoch, torn;
	char reason[16];
};

static int parse_epoch(struct epoch *ep, const struct audit_frame *f)
{
	const uint8_t *p = f->payload;
	const size_t n = f->payload_len;

	if (cbor_find_bytes(p, n, "log", ep->log_id, AUDIT_ID_LEN) < 0 ||
	    cbor_find_bytes(p, n, "pub", ep->pub, AUDIT_KEY_LEN) < 0 ||
	    cbor_find_bytes(p, n, "cert", ep->cert, AUDIT_SIG_LEN) < 0 ||
	    cbor_find_bytes(p, n, "next", ep->next, AUDIT_KEY_LEN) < 0 ||
	    cbor_find_bytes(p, n, "commit", ep->commit, SHA256_LEN) < 0 ||
	    cbor_find_bytes(p, n, "torn_sha256", ep->torn_hash, SHA256_LEN) < 0 ||
	    cbor_find_u64(p, n, "torn", &ep->torn) < 0 ||
	    cbor_find_u64(p, n, "epoch", &ep->epoch) < 0 ||
	    cbor_find_text(p, n, "reason", ep->reason, sizeof(ep->reason)) < 0)
		return -EBADMSG;
	return 0;
}

/* With the root secret: the keys of this epoch. */
static int advance_keys(struct audit_verify *v, uint64_t epoch, bool repeated)
{
	int r;

	if (!v->keys)
		return 0;
	if (!repeated)
		memcpy(v->r, v->keys->next, AUDIT_KEY_LEN);
	r = audit_key_epoch(v->keys, v->r, v->root_id, epoch);
	if (r == 0)
		r = sha256_key(v->mac, v->keys->mac, AUDIT_KEY_LEN);
	if (r == 0)
		r = audit_chain_start(v->hash, v->t, v->chain);
	return r;
}

static int check_epoch(struct audit_verify *v, const struct audit_frame *f, bool first,
		       uint64_t before)
{
	struct epoch ep = {0};
	uint8_t cert[AUDIT_CERT_LEN];
	bool repeated;
	int r;

	if (parse_epoch(&ep, f) < 0 || memcmp(ep.log_id, v->root_id, AUDIT_ID_LEN) != 0)
		return audit_verify_fault(v, AUDIT_FAULT_CONTENT, "not an epoch record of this log");
	repeated = !first && ep.epoch == before;
	if (first && memcmp(ep.pub, v->root_pub, AUDIT_KEY_LEN) != 0)
		return err_say(v->e, EKEYREJECTED,
			       "the log was begun with another key than the root key given");
	if (!first && memcmp(ep.pub, repeated ? v->pub : v->next_pub, AUDIT_KEY_LEN) != 0)
		return audit_verify_fault(v, AUDIT_FAULT_KEY,
					  "the key of epoch %llu is not the one that was announced",
					  (unsigned long long)ep.epoch);
	audit_key_cert(cert, v->root_id, ep.epoch + 1, ep.next);
	if (audit_key_verify(ep.pub, ep.cert, cert, sizeof(cert)) < 0)
		return audit_verify_fault(v, AUDIT_FAULT_KEY,
					  "the next key is not signed by the key of epoch %llu",
					  (unsigned long long)ep.epoch);
	memcpy(v->pub, ep.pub, AUDIT_KEY_LEN);
	memcpy(v->next_pub, ep.next, AUDIT_KEY_LEN);
	memcpy(v->commit, ep.commit, SHA256_LEN);
	v->rep->epochs += !repeated;
	v->rep->starts += strcmp(ep.reason, "hour") != 0;
	if (strcmp(ep.reason, "crash") == 0) {
		v->rep->crashes++;
		audit_verify_notice(v, v->conf->strict,
				    "the writer had died before record %llu; %llu torn bytes set aside",
				    (unsigned long long)f->seq, (unsigned long long)ep.torn);
	}
	if (ep.torn)
		audit_verify_torn(v, ep.torn, ep.torn_hash);
	r = v->stop ? -EUCLEAN : advance_keys(v, ep.epoch, repeated);
	return r < 0 && r != -EUCLEAN ? err_set(v->e, -r, "audit keys") : r;
}

/* ---- records ---- */

static int check_mac(struct audit_verify *v, const struct audit_frame *f)
{
	struct sha256_piece p[3] = {{v->t, SHA256_LEN}};

	if (!v->keys)
		return 0;
	if (f->flags & AUDIT_FLAG_STEP &&
	    (audit_key_step(v->keys->mac) < 0 || sha256_key(v->mac, v->keys->mac, AUDIT_KEY_LEN) < 0))
		return err_set(v->e, EIO, "audit keys");
	audit_frame_mac_pieces(p + 1, f->raw, f->len);
	if (sha256_mac(v->mac, v->t, p, 3) < 0)
		return err_set(v->e, EIO, "audit keys");
	if (memcmp(v->t, f->raw + f->len - AUDIT_FRAME_TAG, AUDIT_FRAME_TAG) != 0)
		return audit_verify_fault(v, AUDIT_FAULT_CHAIN,
					  "the record's authentication code is wrong");
	return 0;
}

static struct audit_verify_session *session(struct audit_report *rep, const char *name)
{
	struct audit_verify_session *s;

	/* the newest first: records come mostly from it */
	for (size_t i = rep->n_sessions; i-- > 0;)
		if (strcmp(rep->sessions[i].name, name) == 0)
			return &rep->sessions[i];
	if (rep->n_sessions % 16 == 0) {
		s = realloc(rep->sessions, (rep->n_sessions + 16) * sizeof(*s));
		if (!s)
			return NULL;
		rep->sessions = s;
	}
	s = &rep->sessions[rep->n_sessions++];
	memset(s, 0, sizeof(*s));
	snprintf(s->name, sizeof(s->name), "%s", name);
	return s;
}

/* A producer's end; called before the chain forgets it. */
static void note_down(struct audit_verify *v, const struct audit_frame *f)
{
	struct audit_verify_session *s;
	struct audit_live *l;
	char reason[32];
	uint64_t id;

	if (cbor_find_u64(f->payload, f->payload_len, "id", &id) < 0 || id > UINT16_MAX ||
	    cbor_find_text(f->payload, f->payload_len, "reason", reason, sizeof(reason)) < 0)
		return;
	l = audit_chain_find(v->chain, (uint16_t)id);
	s = l ? session(v->rep, l->session) : NULL;
	if (!s || strcmp(reason, "closed") == 0 || strcmp(reason, "session ended") == 0)
		return;
	s->lost++;
	audit_verify_notice(v, v->conf->strict, "record %llu: %s of session %s: %s",
			    (unsigned long long)f->seq,
			    audit_gate_name((enum audit_gate)l->gate), l->session, reason);
}

static int fault_of(struct audit_verify *v, const struct audit_frame *f, enum audit_fault fault)
{
	static const char *const texts[] = {
		[AUDIT_FAULT_CONTENT] = "the record is not well formed",
		[AUDIT_FAULT_SEQUENCE] = "a record is missing, doubled or out of place",
		[AUDIT_FAULT_PRODUCER] = "a producer's own numbering has a gap",
	};

	return audit_verify_fault(v, fault, "%s (found number %llu)", texts[fault],
				  (unsigned long long)f->seq);
}

static int add_leaf(struct audit_verify *v, const struct audit_frame *f)
{
	uint8_t leaf[SHA256_LEN];

	if (v->conf->quick) {
		v->chain->tree.size++;
		return 0;
	}
	if (merkle_leaf(v->hash, leaf, f->raw, f->len) < 0 ||
	    merkle_add(v->hash, &v->chain->tree, leaf) < 0)
		return err_set(v->e, EIO, "hash");
	return 0;
}

int audit_verify_record(struct audit_verify *v, const struct audit_frame *f)
{
	const bool first = !v->chain->begun;
	const uint64_t before = v->chain->epoch;
	struct audit_report *rep = v->rep;
	struct audit_live *l;
	enum audit_fault fault;
	int r = 0;

	if (f->type == AUDIT_TYPE_DOWN)
		note_down(v, f);
	fault = audit_chain_take(v->chain, f);
	if (fault != AUDIT_FAULT_NONE)
		return fault_of(v, f, fault);
	if (f->type == AUDIT_TYPE_EPOCH)
		r = check_epoch(v, f, first, before);
	else if (f->type == AUDIT_TYPE_UP && v->chain->n_live)
		(void)session(rep, v->chain->live[v->chain->n_live - 1].session);
	else if (f->type == AUDIT_TYPE_DISK)
		audit_verify_notice(v, v->conf->strict, "record %llu: the disk was full, or has room again",
				    (unsigned long long)f->seq);
	else if ((l = audit_chain_find(v->chain, f->producer)) != NULL) {
		struct audit_verify_session *s = session(rep, l->session);

		if (s)
			s->records++;
	}
	if (r == 0)
		r = check_mac(v, f);
	if (r == 0)
		r = add_leaf(v, f);
	if (!rep->first_ns)
		rep->first_ns = f->wall_ns;
	rep->last_ns = f->wall_ns;
	return r;
}

/* ---- checkpoints ---- */

static void match_outside(struct audit_verify *v, const struct audit_frame *f)
{
	for (size_t i = 0; i < v->n_outside; i++) {
		struct audit_outside *o = &v->outside[i];

		if (o->number != v->note->number)
			continue;
		if (o->len != f->payload_len || memcmp(o->text, f->payload, o->len) != 0) {
			audit_verify_fault(v, AUDIT_FAULT_STATE,
					   "checkpoint %llu is not the one of the %s: the log was "
					   "exchanged or rewritten",
					   (unsigned long long)o->number, o->what);
			return;
		}
		o->found = true;
		if (strcmp(o->what, "anchor") == 0 && o->size > v->rep->anchored)
			v->rep->anchored = o->size;
	}
}

static int check_note(struct audit_verify *v, const struct audit_frame *f,
		      const uint8_t hash[SHA256_LEN])
{
	struct audit_note *n = v->note;
	uint8_t root[SHA256_LEN];
	enum audit_fault fault;

	if (v->conf->quick && n->tree.size == v->chain->tree.size)
		v->chain->tree = n->tree;
	fault = audit_chain_take_note(v->chain, n, f, hash);
	if (fault == AUDIT_FAULT_CHECKPOINT)
		return audit_verify_fault(v, fault,
					  "records before checkpoint %llu were changed (after record %llu)",
					  (unsigned long long)n->number,
					  (unsigned long long)v->chain->note_size);
	if (fault != AUDIT_FAULT_NONE)
		return audit_verify_fault(v, fault, "checkpoint %llu is out of place",
					  (unsigned long long)n->number);
	if (merkle_root(v->hash, root, &v->chain->tree) < 0)
		return err_set(v->e, EIO, "hash");
	if (memcmp(root, n->root, SHA256_LEN) != 0 || n->segment != v->segment ||
	    n->offset != v->offset || (v->keys && memcmp(n->chain, v->t, SHA256_LEN) != 0))
		return audit_verify_fault(v, AUDIT_FAULT_CHECKPOINT,
					  "checkpoint %llu does not match the records before it",
					  (unsigned long long)n->number);
	memcpy(v->rep->root, root, SHA256_LEN);
	return 0;
}

/* The frame around a note holds nothing of its own: its tag is a hash of the rest. */
static int check_wrapping(struct audit_verify *v, const struct audit_frame *f)
{
	struct sha256_piece p[2];
	uint8_t digest[SHA256_LEN];

	audit_frame_mac_pieces(p, f->raw, f->len);
	if (sha256_hash(v->hash, digest, p, 2) < 0)
		return err_set(v->e, EIO, "hash");
	return memcmp(digest, f->raw + f->len - AUDIT_FRAME_TAG, AUDIT_FRAME_TAG) == 0
		       ? 0
		       : audit_verify_fault(v, AUDIT_FAULT_CONTENT, "a checkpoint's frame was changed");
}

int audit_verify_note(struct audit_verify *v, const struct audit_frame *f)
{
	const char *text = (const char *)f->payload;
	uint8_t hash[SHA256_LEN];
	int r = audit_note_open(v->note, text, f->payload_len, v->pub);

	if (r < 0)
		return audit_verify_fault(v, AUDIT_FAULT_CHECKPOINT, r == -EKEYREJECTED
						  ? "a checkpoint's signature is wrong"
						  : "a checkpoint is not well formed");
	if (sha256_hash(v->hash, hash, &(struct sha256_piece){text, f->payload_len}, 1) < 0)
		return err_set(v->e, EIO, "hash");
	r = check_wrapping(v, f);
	if (r == 0)
		r = check_note(v, f, hash);
	if (r < 0)
		return r;
	v->rep->checkpoints++;
	match_outside(v, f);
	if (v->note->seal) {
		v->seal = malloc(f->payload_len);
		if (!v->seal)
			return err_set(v->e, ENOMEM, "verify");
		memcpy(v->seal, text, f->payload_len);
		v->seal_len = f->payload_len;
	}
	return v->stop ? -EUCLEAN : 0;
}
