#include "common/audit_chain.h"

#include <errno.h>
#include <string.h>

#include "common/cbor.h"

static const char *const fault_names[] = {
	[AUDIT_FAULT_NONE] = "none",	     [AUDIT_FAULT_CONTENT] = "content",
	[AUDIT_FAULT_SEQUENCE] = "sequence", [AUDIT_FAULT_PRODUCER] = "producer",
	[AUDIT_FAULT_CHECKPOINT] = "checkpoint", [AUDIT_FAULT_CHAIN] = "chain",
	[AUDIT_FAULT_KEY] = "key",	     [AUDIT_FAULT_SEGMENT] = "segment",
	[AUDIT_FAULT_STATE] = "state",
};

const char *audit_fault_name(enum audit_fault f)
{
	return fault_names[f];
}

struct audit_live *audit_chain_find(struct audit_chain *c, uint16_t id)
{
	uint16_t at = c->index[id];

	return at ? &c->live[at - 1] : NULL;
}

uint16_t audit_chain_free_id(const struct audit_chain *c)
{
	uint16_t id = c->next_id;

	if (c->n_live == AUDIT_LIVE_MAX)
		return 0;
	while (id == 0 || c->index[id])
		id++;
	return id;
}

static bool add_live(struct audit_chain *c, const struct audit_live *l)
{
	if (l->id == 0 || c->index[l->id] || c->n_live == AUDIT_LIVE_MAX)
		return false;
	c->live[c->n_live++] = *l;
	c->index[l->id] = (uint16_t)c->n_live;
	c->next_id = (uint16_t)(l->id + 1);
	return true;
}

static void remove_live(struct audit_chain *c, uint16_t id)
{
	uint16_t at = c->index[id];
	struct audit_live *last = &c->live[c->n_live - 1];

	c->live[at - 1] = *last;
	c->index[last->id] = at;
	c->index[id] = 0;
	c->n_live--;
}

void audit_chain_resume(struct audit_chain *c, const struct audit_note *n,
			const uint8_t note_hash[SHA256_LEN])
{
	memset(c, 0, sizeof(*c));
	memcpy(c->log_id, n->log_id, AUDIT_ID_LEN);
	c->tree = n->tree;
	c->epoch = n->epoch;
	c->begun = true;
	c->ctl_pseq = n->ctl_pseq;
	c->note_number = n->number;
	c->note_size = n->tree.size;
	memcpy(c->note_hash, note_hash, SHA256_LEN);
	for (size_t i = 0; i < n->n_live; i++)
		add_live(c, &n->live[i]);
	c->next_id = n->next_id;
}

static enum audit_fault take_up(struct audit_chain *c, const struct audit_frame *f)
{
	struct audit_live l = {0};
	uint64_t id, gate;

	if (cbor_find_u64(f->payload, f->payload_len, "id", &id) < 0 || id > UINT16_MAX ||
	    cbor_find_u64(f->payload, f->payload_len, "gate", &gate) < 0 || gate > UINT8_MAX ||
	    cbor_find_text(f->payload, f->payload_len, "session", l.session, sizeof(l.session)) < 0)
		return AUDIT_FAULT_CONTENT;
	l.id = (uint16_t)id;
	l.gate = (uint8_t)gate;
	return add_live(c, &l) ? AUDIT_FAULT_NONE : AUDIT_FAULT_PRODUCER;
}

static enum audit_fault take_down(struct audit_chain *c, const struct audit_frame *f)
{
	struct audit_live *l;
	uint64_t id, last;

	if (cbor_find_u64(f->payload, f->payload_len, "id", &id) < 0 || id > UINT16_MAX ||
	    cbor_find_u64(f->payload, f->payload_len, "last", &last) < 0)
		return AUDIT_FAULT_CONTENT;
	l = audit_chain_find(c, (uint16_t)id);
	if (!l || l->pseq != last)
		return AUDIT_FAULT_PRODUCER;
	remove_live(c, (uint16_t)id);
	return AUDIT_FAULT_NONE;
}

static enum audit_fault take_epoch(struct audit_chain *c, const struct audit_frame *f)
{
	uint64_t epoch;

	if (cbor_find_u64(f->payload, f->payload_len, "epoch", &epoch) < 0)
		return AUDIT_FAULT_CONTENT;
	if (!c->begun) {
		if (epoch != 0)
			return AUDIT_FAULT_SEQUENCE;
	} else if (epoch != c->epoch && epoch != c->epoch + 1) {
		return AUDIT_FAULT_SEQUENCE;
	}
	c->begun = true;
	c->epoch = epoch;
	return AUDIT_FAULT_NONE;
}

static enum audit_fault take_ctl(struct audit_chain *c, const struct audit_frame *f)
{
	if (f->producer != 0 || cbor_check_map(f->payload, f->payload_len) < 0)
		return AUDIT_FAULT_CONTENT;
	if (f->pseq != c->ctl_pseq + 1)
		return AUDIT_FAULT_PRODUCER;
	c->ctl_pseq = f->pseq;
	switch (f->type) {
	case AUDIT_TYPE_EPOCH:
		return take_epoch(c, f);
	case AUDIT_TYPE_UP:
		return take_up(c, f);
	case AUDIT_TYPE_DOWN:
		return take_down(c, f);
	case AUDIT_TYPE_DISK:
		return AUDIT_FAULT_NONE;
	}
	return AUDIT_FAULT_CONTENT;
}

enum audit_fault audit_chain_take(struct audit_chain *c, const struct audit_frame *f)
{
	struct audit_live *l;

	if (f->seq != c->tree.size)
		return AUDIT_FAULT_SEQUENCE;
	if (!c->begun && f->type != AUDIT_TYPE_EPOCH)
		return AUDIT_FAULT_SEQUENCE;
	if (f->flags & ~(uint32_t)AUDIT_FLAG_STEP)
		return AUDIT_FAULT_CONTENT;
	if (f->type != AUDIT_TYPE_EVENT)
		return take_ctl(c, f);
	l = audit_chain_find(c, f->producer);
	if (!l || f->pseq != l->pseq + 1)
		return AUDIT_FAULT_PRODUCER;
	l->pseq = f->pseq;
	return AUDIT_FAULT_NONE;
}

void audit_chain_note(const struct audit_chain *c, struct audit_note *n)
{
	memcpy(n->log_id, c->log_id, AUDIT_ID_LEN);
	n->tree = c->tree;
	n->number = c->note_number + 1;
	n->epoch = c->epoch;
	n->ctl_pseq = c->ctl_pseq;
	n->next_id = c->next_id;
	memcpy(n->previous, c->note_hash, SHA256_LEN);
	n->n_live = c->n_live;
	memcpy(n->live, c->live, c->n_live * sizeof(c->live[0]));
}

static bool same_live(const struct audit_chain *c, const struct audit_note *n)
{
	if (c->n_live != n->n_live)
		return false;
	for (size_t i = 0; i < n->n_live; i++) {
		const struct audit_live *a = &c->live[i], *b = &n->live[i];

		if (a->id != b->id || a->gate != b->gate || a->pseq != b->pseq ||
		    strcmp(a->session, b->session) != 0)
			return false;
	}
	return true;
}

static bool same_tree(const struct merkle *a, const struct merkle *b)
{
	return a->size == b->size && a->n == b->n &&
	       memcmp(a->frontier, b->frontier, a->n * sizeof(a->frontier[0])) == 0;
}

enum audit_fault audit_chain_take_note(struct audit_chain *c, const struct audit_note *n,
				       const struct audit_frame *f,
				       const uint8_t note_hash[SHA256_LEN])
{
	if (!c->begun || n->number != c->note_number + 1 ||
	    memcmp(n->previous, c->note_hash, SHA256_LEN) != 0 ||
	    memcmp(n->log_id, c->log_id, AUDIT_ID_LEN) != 0 || n->epoch != c->epoch ||
	    n->tree.size != c->tree.size)
		return AUDIT_FAULT_SEQUENCE;
	if (!same_tree(&n->tree, &c->tree) || n->ctl_pseq != c->ctl_pseq ||
	    n->next_id != c->next_id || !same_live(c, n))
		return AUDIT_FAULT_CHECKPOINT;
	if (f->seq != n->tree.size || f->pseq != n->number || f->wall_ns != n->wall_ns ||
	    f->mono_ns != n->mono_ns || f->producer != 0 ||
	    f->flags != (n->seal ? AUDIT_FLAG_SEAL : 0u))
		return AUDIT_FAULT_CONTENT;
	c->note_number = n->number;
	c->note_size = n->tree.size;
	memcpy(c->note_hash, note_hash, SHA256_LEN);
	return AUDIT_FAULT_NONE;
}

int audit_chain_start(struct sha256 *s, uint8_t t[SHA256_LEN], const struct audit_chain *c)
{
	uint8_t root[SHA256_LEN], size[8];
	const struct sha256_piece v[] = {
		{"agentsh-chain", 13}, {c->log_id, AUDIT_ID_LEN}, {size, 8}, {root, SHA256_LEN}};

	audit_put64(size, c->tree.size);
	if (merkle_root(s, root, &c->tree) < 0)
		return -EIO;
	return sha256_hash(s, t, v, 4);
}
