#include "agentsh/audit_view.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/audit_key.h"
#include "common/auto.h"

#define SUBJECT_COLUMN 46 /* subjects shorter than this are padded to it */
#define SUBJECT_SHOWN 400 /* bytes of a subject in a line for people */

/* ---- what both forms need ---- */

static const char *type_op(const struct audit_record *r)
{
	switch (r->type) {
	case AUDIT_TYPE_EPOCH:
		return "audit_keys";
	case AUDIT_TYPE_UP:
		return "producer_up";
	case AUDIT_TYPE_DOWN:
		return "producer_down";
	case AUDIT_TYPE_DISK:
	case AUDIT_TYPE_EVENT:
	case AUDIT_TYPE_CHECKPOINT:
		break;
	}
	return "";
}

static const char *text_of(const struct audit_record *r, const char *key, char *buf, size_t size)
{
	if (cbor_find_text(r->payload, r->payload_len, key, buf, size) < 0)
		buf[0] = '\0';
	return buf;
}

static const char *op_of(const struct audit_record *r, char *buf, size_t size)
{
	text_of(r, "op", buf, size);
	return buf[0] ? buf : type_op(r);
}

const char *audit_view_decision(const struct audit_record *r, char *buf, size_t size)
{
	return text_of(r, "decision", buf, size);
}

bool audit_view_notable(const struct audit_record *r)
{
	char reason[32];

	text_of(r, "reason", reason, sizeof(reason));
	if (r->type == AUDIT_TYPE_DISK)
		return true;
	if (r->type == AUDIT_TYPE_EPOCH)
		return strcmp(reason, "crash") == 0;
	return r->type == AUDIT_TYPE_DOWN && strcmp(reason, "closed") != 0 &&
	       strcmp(reason, "session ended") != 0;
}

/* ---- JSON ---- */

static void add_base64(struct str *s, const uint8_t *p, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
			     (n > 2 ? p[i + 2] : 0);

		str_addf(s, "%c%c%c%c", digits[v >> 18], digits[v >> 12 & 63],
			 n > 1 ? digits[v >> 6 & 63] : '=', n > 2 ? digits[v & 63] : '=');
	}
}

static void json_string(struct str *s, const char *p, size_t len)
{
	str_add(s, "\"");
	str_add_json(s, p, len);
	str_add(s, "\"");
}

static void json_hex(struct str *s, const uint8_t *p, size_t len)
{
	char hex[3];

	str_add(s, "\"");
	for (size_t i = 0; i < len; i++) {
		audit_hex(hex, p + i, 1);
		str_add_mem(s, hex, 2);
	}
	str_add(s, "\"");
}

static void json_value(struct str *s, struct cbor_in *in);

static void json_list(struct str *s, struct cbor_in *in, uint64_t n, bool map)
{
	struct cbor_item key;

	str_add(s, map ? "{" : "[");
	for (uint64_t i = 0; i < n; i++) {
		if (i)
			str_add(s, ",");
		if (map && cbor_next(in, &key) == 0) {
			json_string(s, (const char *)key.p, key.n);
			str_add(s, ":");
		}
		json_value(s, in);
	}
	str_add(s, map ? "}" : "]");
}

/* The payload was checked as a whole: depth is bounded, items are complete. */
static void json_value(struct str *s, struct cbor_in *in)
{
	static const char *const simple[] = {"false", "true", "null"};
	struct cbor_item it;

	if (cbor_next(in, &it) < 0) {
		str_add(s, "null");
		return;
	}
	switch (it.type) {
	case CBOR_UINT:
		str_addf(s, "%llu", (unsigned long long)it.n);
		break;
	case CBOR_NINT:
		str_addf(s, "-%llu", (unsigned long long)it.n + 1);
		break;
	case CBOR_TEXT:
		json_string(s, (const char *)it.p, it.n);
		break;
	case CBOR_BYTES:
		str_add(s, "{\"b64\":\"");
		add_base64(s, it.p, it.n);
		str_add(s, "\"}");
		break;
	case CBOR_TAG:
		if (it.n == CBOR_TAG_HEX && cbor_next(in, &it) == 0 && it.type == CBOR_BYTES)
			json_hex(s, it.p, it.n);
		break;
	case CBOR_ARRAY:
	case CBOR_MAP:
		json_list(s, in, it.n, it.type == CBOR_MAP);
		break;
	case CBOR_SIMPLE:
		str_add(s, simple[it.n - 20]);
		break;
	}
}

static void json_time(struct str *s, uint64_t ns)
{
	time_t t = (time_t)(ns / 1000000000u);
	char text[32];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	str_addf(s, "\"time\":\"%s.%09lluZ\"", text, (unsigned long long)(ns % 1000000000u));
}

/* Keys that every object has, in this order, with the value for "not there". */
static const struct {
	const char *key, *absent;
} always[] = {{"op", "\"\""},	{"decision", "\"\""}, {"verdict", "\"\""},
	      {"rule", "\"\""}, {"pid", "0"},	      {"comm", "\"\""}};

static bool is_always(const struct cbor_item *key)
{
	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		if (cbor_is_text(key, always[i].key))
			return true;
	/* what we say ourselves must not appear twice, whatever a payload holds */
	return cbor_is_text(key, "seq") || cbor_is_text(key, "time") ||
	       cbor_is_text(key, "session") || cbor_is_text(key, "gate");
}

static void json_rest(struct str *s, const struct audit_record *r)
{
	struct cbor_in in = {r->payload, r->payload_len};
	struct cbor_item map, key;

	if (cbor_next(&in, &map) < 0)
		return;
	for (uint64_t i = 0; i < map.n; i++) {
		if (cbor_next(&in, &key) < 0)
			return;
		if (is_always(&key)) {
			cbor_skip(&in);
			continue;
		}
		str_add(s, ",");
		json_string(s, (const char *)key.p, key.n);
		str_add(s, ":");
		json_value(s, &in);
	}
}

void audit_view_json(struct str *s, const struct audit_record *r)
{
	str_addf(s, "{\"seq\":%llu,", (unsigned long long)r->seq);
	json_time(s, r->wall_ns);
	str_add(s, ",\"session\":");
	json_string(s, r->session, strlen(r->session));
	str_addf(s, ",\"gate\":\"%s\"", audit_gate_name(r->gate));
	for (size_t i = 0; i < ARRAY_LEN(always); i++) {
		struct cbor_in in;

		str_addf(s, ",\"%s\":", always[i].key);
		if (cbor_find(r->payload, r->payload_len, always[i].key, &in) == 0)
			json_value(s, &in);
		else if (i == 0)
			json_string(s, type_op(r), strlen(type_op(r)));
		else
			str_add(s, always[i].absent);
	}
	json_rest(s, r);
	str_add(s, "}\n");
}

/* ---- for people ---- */

static const char *const dim = "\033[2m", *const reset = "\033[0m";

static const char *colour_of(const char *decision)
{
	if (strcmp(decision, "deny") == 0)
		return "\033[1;31m";
	if (*decision && strcmp(decision, "allow") != 0)
		return "\033[33m";
	return "";
}

static void add_string(struct str *s, const struct cbor_item *it)
{
	if (it->type == CBOR_TEXT || it->type == CBOR_BYTES)
		str_add_escaped(s, (const char *)it->p, it->n);
	else if (it->type == CBOR_UINT)
		str_addf(s, "%llu", (unsigned long long)it->n);
	else if (it->type == CBOR_NINT)
		str_addf(s, "-%llu", (unsigned long long)it->n + 1);
}

/* Append the value of a key: strings, numbers, and lists of strings with blanks between. */
static bool add_key(struct str *s, const struct audit_record *r, const char *before,
		    const char *key)
{
	struct cbor_in in;
	struct cbor_item it;

	if (cbor_find(r->payload, r->payload_len, key, &in) < 0 || cbor_next(&in, &it) < 0)
		return false;
	str_add(s, before);
	if (it.type != CBOR_ARRAY) {
		add_string(s, &it);
		return true;
	}
	for (uint64_t i = 0, n = it.n; i < n && cbor_next(&in, &it) == 0; i++) {
		if (i)
			str_add(s, " ");
		add_string(s, &it);
	}
	return true;
}

/* What a record is about: the first of these that it has. */
static void subject(struct str *s, const struct audit_record *r)
{
	static const char *const first[] = {"path", "argv", "exe", "subject"};
	static const char *const facts[] = {"reason", "policy", "mode", "status", "workspace",
					    "names", "last", "epoch"};

	for (size_t i = 0; i < ARRAY_LEN(first); i++) {
		if (add_key(s, r, "", first[i])) {
			add_key(s, r, " -> ", "to");
			return;
		}
	}
	if (add_key(s, r, "", "host") || add_key(s, r, "", "ip")) {
		add_key(s, r, ":", "port");
		add_key(s, r, " ", "method");
		add_key(s, r, " ", "url");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
		char label[24];

		snprintf(label, sizeof(label), "%s%s ", s->len ? " " : "", facts[i]);
		add_key(s, r, label, facts[i]);
	}
}

static void add_clock(struct str *s, uint64_t ns)
{
	time_t t = (time_t)(ns / 1000000000u);
	char text[16];
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	str_addf(s, "%s.%03llu", text, (unsigned long long)(ns / 1000000u % 1000u));
}

/* Columns on a terminal: bytes that continue a UTF-8 sequence take none. */
static int columns(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void add_reason(struct str *s, const struct audit_record *r, const char *decision)
{
	bool plain = strcmp(decision, "allow") == 0 || !*decision;

	if (add_key(s, r, " [", "rule"))
		str_add(s, "]");
	if (!plain)
		add_key(s, r, " ", "message");
	if (add_key(s, r, " by ", "approver") && add_key(s, r, " after ", "waited_ms"))
		str_add(s, " ms");
}

void audit_view_line(struct str *s, const struct audit_record *r, bool colour)
{
	char text[SUBJECT_SHOWN], decision_buf[24], op_buf[32], op_shown[64], done[64];
	const char *decision = audit_view_decision(r, decision_buf, sizeof(decision_buf));
	const char *op = op_of(r, op_buf, sizeof(op_buf));
	const char *paint = colour ? colour_of(decision) : "";
	struct str sub;

	str_init(&sub, op_shown, sizeof(op_shown));
	str_add_escaped(&sub, op, strlen(op));
	str_init(&sub, done, sizeof(done));
	str_add_escaped(&sub, decision, strlen(decision));
	str_init(&sub, text, sizeof(text));
	subject(&sub, r);
	str_add(s, colour ? dim : "");
	add_clock(s, r->wall_ns);
	str_add(s, colour ? reset : "");
	str_addf(s, "  %-4s  %-13s  %s%-11s%s  %s", audit_gate_name(r->gate), op_shown, paint,
		 *done ? done : "-", *paint ? reset : "", text);
	if (sub.cut)
		str_add(s, "...");
	for (int n = columns(text); n < SUBJECT_COLUMN; n++)
		str_add(s, " ");
	add_reason(s, r, decision);
	while (s->len && s->buf[s->len - 1] == ' ')
		s->buf[--s->len] = '\0';
	str_add(s, "\n");
}
