/*
 * Theory: an event becomes one deterministic CBOR map. Its keys are those of struct audit_event
 * and the caller's fields, merged in the order of RFC 8949 4.2.1. A map that would be larger than
 * AUDIT_PAYLOAD_MAX is built again with each value cut to a fair share and "truncated": true.
 */
#include <errno.h>
#include <string.h>

#include "common/audit_i.h"
#include "common/str.h"

#define FIELDS_MAX 48u

struct entry {
	uint64_t order; /* length and first bytes of the key: nearly always all that is compared */
	const char *key;
	size_t key_len;
	const struct audit_field *field; /* NULL: text */
	const char *text;		 /* NULL, too: true */
	size_t text_len;
};

struct entries {
	struct entry v[FIELDS_MAX];
	uint8_t sorted[FIELDS_MAX]; /* places in v */
	size_t n;
};

/* Deterministic order is by length, then by bytes. */
static void measure_key(struct entry *e)
{
	uint64_t first = 0;
	size_t n = 0;

	for (; e->key[n]; n++)
		if (n < 7)
			first = first << 8 | (unsigned char)e->key[n];
	e->key_len = n;
	e->order = (uint64_t)n << 56 | first << (n < 7 ? 8 * (7 - n) : 0);
}

static int key_cmp(const struct entry *a, const struct entry *b)
{
	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	return memcmp(a->key, b->key, a->key_len);
}

/* A new entry, which is true until it gets a value; NULL for a key that is there, or one too many. */
static struct entry *insert(struct entries *es, const char *key)
{
	struct entry *in = &es->v[es->n];
	size_t at = es->n;

	if (es->n == FIELDS_MAX)
		return NULL;
	in->key = key;
	in->field = NULL;
	in->text = NULL;
	measure_key(in);
	for (; at > 0; at--) {
		int c = key_cmp(&es->v[es->sorted[at - 1]], in);

		if (c == 0)
			return NULL; /* two values for one key: nobody could say which counts */
		if (c < 0)
			break;
		es->sorted[at] = es->sorted[at - 1];
	}
	es->sorted[at] = (uint8_t)es->n++;
	return in;
}

/* @return false on error; nothing is inserted for "" and NULL */
static bool insert_text(struct entries *es, const char *key, const char *text)
{
	struct entry *e;

	if (!text || !*text)
		return true;
	e = insert(es, key);
	if (!e)
		return false;
	e->text = text;
	e->text_len = strlen(text);
	return true;
}

static bool insert_field(struct entries *es, const struct audit_field *f)
{
	struct entry *e = insert(es, f->key);

	if (e)
		e->field = f;
	return e;
}

/* Cut without leaving half a UTF-8 sequence, which would turn text into bytes. */
static size_t cut(const char *p, size_t len, size_t max)
{
	size_t n = max;

	if (len <= max)
		return len;
	while (n > 0 && max - n < 4 && ((unsigned char)p[n] & 0xc0) == 0x80)
		n--;
	return str_is_utf8(p, n) ? n : max;
}

static void put_strv(struct cbor_out *o, const struct audit_field *f, size_t share)
{
	size_t used = 0, n = 0;

	while (n < f->strv.n && used < share)
		used += strlen(f->strv.v[n++]) + 5;
	cbor_head(o, CBOR_ARRAY, n);
	used = 0;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(f->strv.v[i]);
		size_t left = share - used < 5 ? 0 : share - used - 5;

		len = cut(f->strv.v[i], len, left);
		cbor_str(o, f->strv.v[i], len);
		used += len + 5;
	}
}

static void put_field(struct cbor_out *o, const struct audit_field *f, size_t share)
{
	switch (f->kind) {
	case AUDIT_KIND_U64:
		cbor_u64(o, f->u64);
		break;
	case AUDIT_KIND_I64:
		cbor_i64(o, f->i64);
		break;
	case AUDIT_KIND_STR:
		cbor_str(o, f->str.p, cut(f->str.p, f->str.len, share));
		break;
	case AUDIT_KIND_HEX:
		cbor_head(o, CBOR_TAG, CBOR_TAG_HEX);
		cbor_bytes(o, f->str.p, f->str.len < share ? f->str.len : share);
		break;
	case AUDIT_KIND_STRV:
		put_strv(o, f, share);
		break;
	}
}

static int encode(void *out, const struct entries *es, size_t share)
{
	struct cbor_out o;

	cbor_begin(&o, out, AUDIT_PAYLOAD_MAX);
	cbor_head(&o, CBOR_MAP, es->n);
	for (size_t i = 0; i < es->n; i++) {
		const struct entry *en = &es->v[es->sorted[i]];

		cbor_str(&o, en->key, en->key_len);
		if (en->field)
			put_field(&o, en->field, share);
		else if (!en->text)
			cbor_bool(&o, true);
		else
			cbor_str(&o, en->text, cut(en->text, en->text_len, share));
	}
	return o.full ? -EMSGSIZE : (int)o.len;
}

int audit_event_encode(void *out, const struct audit_event *ev)
{
	const struct audit_field pid = AUDIT_F_I64("pid", ev->pid);
	const bool decided = ev->decision && *ev->decision;
	struct entries es;
	bool fine;
	int r;

	es.n = 0; /* and the rest as it is: it is large */
	/* in their order, so that nothing is moved */
	fine = insert_text(&es, "op", ev->op) && (!ev->pid || insert_field(&es, &pid)) &&
	       insert_text(&es, "comm", ev->comm) && insert_text(&es, "rule", ev->rule) &&
	       insert_text(&es, "message", ev->message);
	if (fine && decided)
		fine = insert_text(&es, "verdict", verdict_name(ev->verdict)) &&
		       insert_text(&es, "decision", ev->decision);
	for (size_t i = 0; fine && i < ev->n_fields; i++)
		fine = insert_field(&es, &ev->fields[i]);
	if (!fine)
		return -EINVAL;
	r = encode(out, &es, SIZE_MAX);
	if (r != -EMSGSIZE)
		return r;
	if (!insert(&es, "truncated"))
		return -EINVAL;
	/* 64 bytes for each key and head: keys are literals, much shorter than that */
	return encode(out, &es, AUDIT_PAYLOAD_MAX / es.n - 64);
}
