#include "common/audit_key.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "common/audit_frame.h"

#define KEY_PAGE 4096u

struct audit_keys *audit_keys_new(void)
{
	void *p = mmap(NULL, KEY_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* refused by a small RLIMIT_MEMLOCK: then the keys may be swapped, as docs/AUDIT.md says */
	(void)mlock(p, KEY_PAGE);
	(void)madvise(p, KEY_PAGE, MADV_DONTDUMP);
	return p;
}

void audit_keys_free(struct audit_keys *k)
{
	if (!k)
		return;
	explicit_bzero(k, sizeof(*k));
	munmap(k, KEY_PAGE);
}

static int derive(struct sha256 *s, uint8_t out[AUDIT_KEY_LEN], const char *label,
		  const uint8_t log_id[AUDIT_ID_LEN], uint64_t epoch)
{
	uint8_t number[8];
	const struct sha256_piece v[] = {
		{label, strlen(label)}, {log_id, AUDIT_ID_LEN}, {number, sizeof(number)}};

	audit_put64(number, epoch);
	return sha256_mac(s, out, v, 3);
}

int audit_key_epoch(struct audit_keys *k, const uint8_t r[AUDIT_KEY_LEN],
		    const uint8_t log_id[AUDIT_ID_LEN], uint64_t epoch)
{
	AUTO(sha256_free) struct sha256 *s = NULL;
	int rc = sha256_new(&s);

	if (rc == 0)
		rc = sha256_key(s, r, AUDIT_KEY_LEN);
	if (rc == 0)
		rc = derive(s, k->mac, "mac", log_id, epoch);
	if (rc == 0)
		rc = derive(s, k->seed, "sign", log_id, epoch);
	/* last: r may be k->next itself */
	if (rc == 0)
		rc = derive(s, k->next, "ratchet", log_id, epoch + 1);
	return rc;
}

int audit_key_step(uint8_t mac[AUDIT_KEY_LEN])
{
	AUTO(sha256_free) struct sha256 *s = NULL;
	int r = sha256_new(&s);

	if (r == 0)
		r = sha256_key(s, mac, AUDIT_KEY_LEN);
	if (r == 0)
		r = sha256_mac(s, mac, &(struct sha256_piece){"step", 4}, 1);
	return r;
}

AUTO_DEFINE(EVP_PKEY *, EVP_PKEY_free)
AUTO_DEFINE(EVP_MD_CTX *, EVP_MD_CTX_free)

int audit_key_public(uint8_t pub[AUDIT_KEY_LEN], const uint8_t seed[AUDIT_KEY_LEN])
{
	AUTO(EVP_PKEY_free) EVP_PKEY *k =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, AUDIT_KEY_LEN);
	size_t len = AUDIT_KEY_LEN;

	return k && EVP_PKEY_get_raw_public_key(k, pub, &len) ? 0 : -EIO;
}

int audit_key_sign(uint8_t sig[AUDIT_SIG_LEN], const uint8_t seed[AUDIT_KEY_LEN], const void *msg,
		   size_t len)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *k =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, AUDIT_KEY_LEN);
	AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t sig_len = AUDIT_SIG_LEN;

	if (!k || !ctx || !EVP_DigestSignInit(ctx, NULL, NULL, NULL, k) ||
	    !EVP_DigestSign(ctx, sig, &sig_len, msg, len))
		return -EIO;
	return 0;
}

int audit_key_verify(const uint8_t pub[AUDIT_KEY_LEN], const uint8_t sig[AUDIT_SIG_LEN],
		     const void *msg, size_t len)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *k =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, AUDIT_KEY_LEN);
	AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!k || !ctx || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k) != 1 ||
	    EVP_DigestVerify(ctx, sig, AUDIT_SIG_LEN, msg, len) != 1)
		return -EKEYREJECTED;
	return 0;
}

size_t audit_key_cert(uint8_t out[AUDIT_CERT_LEN], const uint8_t log_id[AUDIT_ID_LEN],
		      uint64_t epoch, const uint8_t pub[AUDIT_KEY_LEN])
{
	memcpy(out, "agentsh-audit-key", 17);
	memcpy(out + 17, log_id, AUDIT_ID_LEN);
	audit_put64(out + 17 + AUDIT_ID_LEN, epoch);
	memcpy(out + 17 + AUDIT_ID_LEN + 8, pub, AUDIT_KEY_LEN);
	return AUDIT_CERT_LEN;
}

static int plain_hash(uint8_t out[SHA256_LEN], const struct sha256_piece *v, size_t n)
{
	AUTO(sha256_free) struct sha256 *s = NULL;
	int r = sha256_new(&s);

	return r == 0 ? sha256_hash(s, out, v, n) : r;
}

int audit_key_commit(uint8_t out[SHA256_LEN], const uint8_t r[AUDIT_KEY_LEN])
{
	const struct sha256_piece v[] = {{"state", 5}, {r, AUDIT_KEY_LEN}};

	return plain_hash(out, v, 2);
}

/* ---- text forms ---- */

void audit_hex(char *out, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * n] = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int audit_unhex(uint8_t *out, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		int hi = digit(text[2 * i]), lo = hi < 0 ? -1 : digit(text[2 * i + 1]);

		if (lo < 0)
			return -EINVAL;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

int audit_state_format(char out[AUDIT_STATE_TEXT], const struct audit_state *s)
{
	char id[2 * AUDIT_ID_LEN + 1], secret[65], pub[65], sum[65];
	uint8_t hash[SHA256_LEN];
	int n;

	audit_hex(id, s->log_id, AUDIT_ID_LEN);
	audit_hex(secret, s->secret, AUDIT_KEY_LEN);
	audit_hex(pub, s->pub, AUDIT_KEY_LEN);
	n = snprintf(out, AUDIT_STATE_TEXT,
		     "agentsh-audit-state 1\nlog %s\nepoch %llu\nrecords %llu\npublic %s\nsecret %s\n",
		     id, (unsigned long long)s->epoch, (unsigned long long)s->min_size, pub, secret);
	explicit_bzero(secret, sizeof(secret));
	if (plain_hash(hash, &(struct sha256_piece){out, (size_t)n}, 1) < 0)
		return -EIO;
	audit_hex(sum, hash, SHA256_LEN);
	return n + snprintf(out + n, AUDIT_STATE_TEXT - (size_t)n, "sum %s\n", sum);
}

int audit_state_parse(struct audit_state *s, const char *text, size_t len)
{
	char copy[AUDIT_STATE_TEXT], again[AUDIT_STATE_TEXT];
	char id[33], pub[65], secret[65];
	unsigned long long epoch, records;
	int r = -EBADMSG;

	if (len >= sizeof(copy))
		return r;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (sscanf(copy,
		   "agentsh-audit-state 1\nlog %32s\nepoch %llu\nrecords %llu\npublic %64s\nsecret %64s\n",
		   id, &epoch, &records, pub, secret) == 5 &&
	    strlen(id) == 32 && strlen(pub) == 64 && strlen(secret) == 64 &&
	    audit_unhex(s->log_id, AUDIT_ID_LEN, id) == 0 &&
	    audit_unhex(s->pub, AUDIT_KEY_LEN, pub) == 0 &&
	    audit_unhex(s->secret, AUDIT_KEY_LEN, secret) == 0) {
		s->epoch = epoch;
		s->min_size = records;
		/* only the exact text that we would write is good: that covers the sum, too */
		if (audit_state_format(again, s) == (int)len && memcmp(again, copy, len) == 0)
			r = 0;
	}
	explicit_bzero(copy, sizeof(copy));
	explicit_bzero(again, sizeof(again));
	explicit_bzero(secret, sizeof(secret));
	return r;
}

int audit_pub_format(char out[AUDIT_PUB_TEXT], const uint8_t log_id[AUDIT_ID_LEN],
		     const uint8_t pub[AUDIT_KEY_LEN])
{
	char id[2 * AUDIT_ID_LEN + 1], key[64], name[64];
	uint8_t typed[1 + AUDIT_KEY_LEN] = {1}, hash[SHA256_LEN];
	const struct sha256_piece v[] = {{name, 0}, {"\n", 1}, {typed, sizeof(typed)}};
	struct sha256_piece w[3];

	audit_hex(id, log_id, AUDIT_ID_LEN);
	snprintf(name, sizeof(name), "agentsh-audit/%s", id);
	memcpy(typed + 1, pub, AUDIT_KEY_LEN);
	memcpy(w, v, sizeof(w));
	w[0].len = strlen(name);
	if (plain_hash(hash, w, 3) < 0)
		return -EIO;
	EVP_EncodeBlock((unsigned char *)key, typed, sizeof(typed));
	return snprintf(out, AUDIT_PUB_TEXT, "%s+%02x%02x%02x%02x+%s\n", name, hash[0], hash[1],
			hash[2], hash[3], key);
}

int audit_pub_parse(uint8_t log_id[AUDIT_ID_LEN], uint8_t pub[AUDIT_KEY_LEN], const char *text,
		    size_t len)
{
	char copy[AUDIT_PUB_TEXT], again[AUDIT_PUB_TEXT], id[33], key[45];
	unsigned char typed[48];
	unsigned hash;

	if (len >= sizeof(copy))
		return -EBADMSG;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (sscanf(copy, "agentsh-audit/%32[0-9a-f]+%8x+%44s", id, &hash, key) != 3 ||
	    strlen(id) != 32 || strlen(key) != 44 || audit_unhex(log_id, AUDIT_ID_LEN, id) < 0 ||
	    EVP_DecodeBlock(typed, (const unsigned char *)key, 44) != 33)
		return -EBADMSG;
	memcpy(pub, typed + 1, AUDIT_KEY_LEN);
	if (audit_pub_format(again, log_id, pub) != (int)len || memcmp(again, copy, len) != 0)
		return -EBADMSG;
	return 0;
}
