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
	const char *key;
	const struct audit_field *field; /* NULL: text */
	const char *text;		 /* NULL, too: true */
};

struct entries {
	struct entry v[FIELDS_MAX];
	size_t n;
};

static int insert(struct entries *es, struct entry in)
{
	size_t at = es->n;

	if (es->n == FIELDS_MAX)
		return -EINVAL;
	while (at > 0) {
		int c = cbor_key_cmp(es->v[at - 1].key, in.key);

		if (c == 0)
			return -EINVAL; /* two values for one key: nobody could say which counts */
		if (c < 0)
			break;
		es->v[at] = es->v[at - 1];
		at--;
	}
	es->v[at] = in;
	es->n++;
	return 0;
}

static int insert_text(struct entries *es, const char *key, const char *text)
{
	return text && *text ? insert(es, (struct entry){.key = key, .text = text}) : 0;
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
		const struct entry *en = &es->v[i];

		cbor_text(&o, en->key);
		if (en->field)
			put_field(&o, en->field, share);
		else if (!en->text)
			cbor_bool(&o, true);
		else
			cbor_str(&o, en->text, cut(en->text, strlen(en->text), share));
	}
	return o.full ? -EMSGSIZE : (int)o.len;
}

int audit_event_encode(void *out, const struct audit_event *ev)
{
	const struct audit_field pid = AUDIT_F_I64("pid", ev->pid);
	struct entries es = {.n = 0};
	int r = insert_text(&es, "op", ev->op);

	if (r == 0 && ev->decision && *ev->decision) {
		r = insert_text(&es, "decision", ev->decision);
		if (r == 0)
			r = insert_text(&es, "verdict", verdict_name(ev->verdict));
	}
	if (r == 0)
		r = insert_text(&es, "rule", ev->rule);
	if (r == 0)
		r = insert_text(&es, "message", ev->message);
	if (r == 0)
		r = insert_text(&es, "comm", ev->comm);
	if (r == 0 && ev->pid)
		r = insert(&es, (struct entry){.key = "pid", .field = &pid});
	for (size_t i = 0; r == 0 && i < ev->n_fields; i++)
		r = insert(&es, (struct entry){.key = ev->fields[i].key, .field = &ev->fields[i]});
	if (r < 0)
		return r;
	r = encode(out, &es, SIZE_MAX);
	if (r != -EMSGSIZE)
		return r;
	r = insert(&es, (struct entry){.key = "truncated"});
	/* 64 bytes for each key and head: keys are literals, much shorter than that */
	return r < 0 ? r : encode(out, &es, AUDIT_PAYLOAD_MAX / es.n - 64);
}
