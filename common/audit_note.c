#include "common/audit_note.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/str.h"

#define SIG_TEXT 93 /* base64 of key hash (4) and signature (64), and the NUL */

static void add_hex(struct str *s, const uint8_t *p, size_t n)
{
	char hex[2 * SHA256_LEN + 1];

	audit_hex(hex, p, n);
	str_add(s, hex);
}

static void add_base64(struct str *s, const uint8_t *p, int n)
{
	unsigned char text[64];

	EVP_EncodeBlock(text, p, n);
	str_add(s, (char *)text);
}

static void body(struct str *s, const struct audit_note *n)
{
	str_add(s, "agentsh-audit/");
	add_hex(s, n->log_id, AUDIT_ID_LEN);
	str_addf(s, "\n%llu\n", (unsigned long long)n->tree.size);
	add_base64(s, n->root, SHA256_LEN);
	str_addf(s, "\nnumber %llu\nepoch %llu.%llu\nchain ", (unsigned long long)n->number,
		 (unsigned long long)n->epoch, (unsigned long long)n->step);
	add_hex(s, n->chain, SHA256_LEN);
	str_add(s, "\nfrontier");
	for (unsigned i = 0; i < n->tree.n; i++) {
		str_add(s, " ");
		add_hex(s, n->tree.frontier[i], SHA256_LEN);
	}
	str_addf(s, "\ntime %llu %llu\nsegment %llu %llu\nwriter %llu %u\nseal %d\nprevious ",
		 (unsigned long long)n->wall_ns, (unsigned long long)n->mono_ns,
		 (unsigned long long)n->segment, (unsigned long long)n->offset,
		 (unsigned long long)n->ctl_pseq, n->next_id, n->seal);
	add_hex(s, n->previous, SHA256_LEN);
	for (size_t i = 0; i < n->n_live; i++)
		str_addf(s, "\nproducer %u %u %llu %s", n->live[i].id, n->live[i].gate,
			 (unsigned long long)n->live[i].pseq, n->live[i].session);
	str_add(s, "\n");
}

/* "\n— name base64\n", the form of a signed note's signature line (the dash is U+2014) */
static void signature(struct str *s, const struct audit_note *n, const uint8_t sig[AUDIT_SIG_LEN])
{
	uint8_t blob[4 + AUDIT_SIG_LEN] = {0};
	unsigned char text[SIG_TEXT];

	memcpy(blob + 4, sig, AUDIT_SIG_LEN);
	/* the key hash of a note names the signing key: here the epoch, big-endian */
	for (unsigned i = 0; i < 4; i++)
		blob[i] = (uint8_t)(n->epoch >> (8 * (3 - i)));
	EVP_EncodeBlock(text, blob, sizeof(blob));
	str_addf(s, "\n\xe2\x80\x94 agentsh-audit %s\n", (char *)text);
}

int audit_note_format(char *out, size_t size, const struct audit_note *n,
		      const uint8_t seed[AUDIT_KEY_LEN])
{
	uint8_t sig[AUDIT_SIG_LEN];
	struct str s;

	str_init(&s, out, size);
	body(&s, n);
	if (s.cut)
		return -EMSGSIZE;
	if (audit_key_sign(sig, seed, out, s.len) < 0)
		return -EIO;
	signature(&s, n, sig);
	return s.cut ? -EMSGSIZE : (int)s.len;
}

/* ---- reading ---- */

struct reader {
	const char *p;
	size_t left;
	bool bad;
};

static void expect(struct reader *r, const char *word)
{
	size_t n = strlen(word);

	if (r->bad || r->left < n || memcmp(r->p, word, n) != 0) {
		r->bad = true;
		return;
	}
	r->p += n;
	r->left -= n;
}

static bool at(const struct reader *r, const char *word)
{
	size_t n = strlen(word);

	return !r->bad && r->left >= n && memcmp(r->p, word, n) == 0;
}

static uint64_t number(struct reader *r, uint64_t max)
{
	char digits[24];
	size_t n = 0;
	uint64_t v = 0;

	while (!r->bad && n < r->left && n < sizeof(digits) - 1 && r->p[n] >= '0' && r->p[n] <= '9') {
		digits[n] = r->p[n];
		n++;
	}
	digits[n] = '\0';
	if (r->bad || str_to_u64(&v, digits, 0, max) < 0) {
		r->bad = true;
		return 0;
	}
	r->p += n;
	r->left -= n;
	return v;
}

static void hex(struct reader *r, uint8_t *out, size_t n)
{
	if (r->bad || r->left < 2 * n || audit_unhex(out, n, r->p) < 0) {
		r->bad = true;
		return;
	}
	r->p += 2 * n;
	r->left -= 2 * n;
}

static void base64(struct reader *r, uint8_t *out, size_t n)
{
	size_t text = (n + 2) / 3 * 4;
	unsigned char raw[72];

	if (r->bad || r->left < text || text / 4 * 3 > sizeof(raw) ||
	    EVP_DecodeBlock(raw, (const unsigned char *)r->p, (int)text) < 0) {
		r->bad = true;
		return;
	}
	memcpy(out, raw, n);
	r->p += text;
	r->left -= text;
}

static void session(struct reader *r, char out[AUDIT_NOTE_SESSION])
{
	size_t n = 0;

	while (!r->bad && n < r->left && r->p[n] != '\n')
		n++;
	if (r->bad || n == 0 || n >= AUDIT_NOTE_SESSION) {
		r->bad = true;
		return;
	}
	memcpy(out, r->p, n);
	out[n] = '\0';
	r->p += n;
	r->left -= n;
}

static void read_live(struct reader *r, struct audit_note *n)
{
	n->n_live = 0;
	while (at(r, "\nproducer ")) {
		struct audit_live *l = &n->live[n->n_live];

		if (n->n_live++ == AUDIT_LIVE_MAX) {
			r->bad = true;
			return;
		}
		expect(r, "\nproducer ");
		l->id = (uint16_t)number(r, UINT16_MAX);
		expect(r, " ");
		l->gate = (uint8_t)number(r, UINT8_MAX);
		expect(r, " ");
		l->pseq = number(r, UINT64_MAX);
		expect(r, " ");
		session(r, l->session);
	}
}

static void read_frontier(struct reader *r, struct audit_note *n)
{
	n->tree.n = 0;
	expect(r, "\nfrontier");
	while (at(r, " ") && n->tree.n < MERKLE_MAX) {
		expect(r, " ");
		hex(r, n->tree.frontier[n->tree.n++], SHA256_LEN);
	}
	if ((unsigned)__builtin_popcountll(n->tree.size) != n->tree.n)
		r->bad = true;
}

static void read_body(struct reader *r, struct audit_note *n)
{
	expect(r, "agentsh-audit/");
	hex(r, n->log_id, AUDIT_ID_LEN);
	expect(r, "\n");
	n->tree.size = number(r, UINT64_MAX);
	expect(r, "\n");
	base64(r, n->root, SHA256_LEN);
	expect(r, "\nnumber ");
	n->number = number(r, UINT64_MAX);
	expect(r, "\nepoch ");
	n->epoch = number(r, UINT64_MAX);
	expect(r, ".");
	n->step = number(r, UINT64_MAX);
	expect(r, "\nchain ");
	hex(r, n->chain, SHA256_LEN);
	read_frontier(r, n);
	expect(r, "\ntime ");
	n->wall_ns = number(r, UINT64_MAX);
	expect(r, " ");
	n->mono_ns = number(r, UINT64_MAX);
	expect(r, "\nsegment ");
	n->segment = number(r, UINT64_MAX);
	expect(r, " ");
	n->offset = number(r, UINT64_MAX);
	expect(r, "\nwriter ");
	n->ctl_pseq = number(r, UINT64_MAX);
	expect(r, " ");
	n->next_id = (uint16_t)number(r, UINT16_MAX);
	expect(r, "\nseal ");
	n->seal = number(r, 1) == 1;
	expect(r, "\nprevious ");
	hex(r, n->previous, SHA256_LEN);
	read_live(r, n);
	expect(r, "\n");
}

int audit_note_parse(struct audit_note *n, const char *text, size_t len, size_t *signed_len,
		     uint8_t sig[AUDIT_SIG_LEN])
{
	struct reader r = {text, len, false};
	uint8_t blob[4 + AUDIT_SIG_LEN];
	autofree char *again = NULL;
	struct str s;

	read_body(&r, n);
	if (r.bad)
		return -EBADMSG;
	*signed_len = len - r.left;
	expect(&r, "\n\xe2\x80\x94 agentsh-audit ");
	base64(&r, blob, sizeof(blob));
	if (r.bad)
		return -EBADMSG;
	memcpy(sig, blob + 4, AUDIT_SIG_LEN);
	again = malloc(len + 1);
	if (!again)
		return -ENOMEM;
	/* numbers with leading zeros, sloppy base64, trailing bytes: all end here */
	str_init(&s, again, len + 1);
	body(&s, n);
	signature(&s, n, sig);
	return !s.cut && s.len == len && memcmp(again, text, len) == 0 ? 0 : -EBADMSG;
}

int audit_note_open(struct audit_note *n, const char *text, size_t len,
		    const uint8_t pub[AUDIT_KEY_LEN])
{
	uint8_t sig[AUDIT_SIG_LEN];
	size_t signed_len;
	int r = audit_note_parse(n, text, len, &signed_len, sig);

	return r < 0 ? r : audit_key_verify(pub, sig, text, signed_len);
}
