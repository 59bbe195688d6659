#include "common/sha256.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

/*
 * HMAC is built from two hashes whose first block (the padded key) is computed once a key: the
 * copies of those contexts cost less than EVP_MAC's re-initialisation.
 */
struct sha256 {
	EVP_MD *md;
	EVP_MD_CTX *work;
	EVP_MD_CTX *inner, *outer;
};

int sha256_new(struct sha256 **out)
{
	AUTO(sha256_free) struct sha256 *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	s->work = EVP_MD_CTX_new();
	s->inner = EVP_MD_CTX_new();
	s->outer = EVP_MD_CTX_new();
	if (!s->md || !s->work || !s->inner || !s->outer ||
	    !EVP_DigestInit_ex2(s->work, s->md, NULL))
		return -ENOMEM;
	*out = steal_ptr(&s);
	return 0;
}

void sha256_free(struct sha256 *s)
{
	if (!s)
		return;
	EVP_MD_CTX_free(s->work);
	EVP_MD_CTX_free(s->inner);
	EVP_MD_CTX_free(s->outer);
	EVP_MD_free(s->md);
	free(s);
}

static int update(EVP_MD_CTX *ctx, const struct sha256_piece *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!EVP_DigestUpdate(ctx, v[i].p, v[i].len))
			return -EIO;
	return 0;
}

int sha256_hash(struct sha256 *s, uint8_t out[SHA256_LEN], const struct sha256_piece *v, size_t n)
{
	/* the work context always has the digest: NULL re-initialises without a fetch */
	if (!EVP_DigestInit_ex2(s->work, NULL, NULL) || update(s->work, v, n) < 0 ||
	    !EVP_DigestFinal_ex(s->work, out, NULL))
		return -EIO;
	return 0;
}

static int pad(struct sha256 *s, EVP_MD_CTX *ctx, const uint8_t block[64], uint8_t with)
{
	uint8_t padded[64];
	int ok;

	for (size_t i = 0; i < sizeof(padded); i++)
		padded[i] = block[i] ^ with;
	ok = EVP_DigestInit_ex2(ctx, s->md, NULL) && EVP_DigestUpdate(ctx, padded, sizeof(padded));
	explicit_bzero(padded, sizeof(padded));
	return ok ? 0 : -EIO;
}

int sha256_key(struct sha256 *s, const uint8_t *key, size_t len)
{
	uint8_t block[64] = {0};
	int r = 0;

	if (len > sizeof(block))
		r = sha256_hash(s, block, &(struct sha256_piece){key, len}, 1);
	else
		memcpy(block, key, len);
	if (r == 0)
		r = pad(s, s->inner, block, 0x36);
	if (r == 0)
		r = pad(s, s->outer, block, 0x5c);
	explicit_bzero(block, sizeof(block));
	return r;
}

int sha256_mac(struct sha256 *s, uint8_t out[SHA256_LEN], const struct sha256_piece *v, size_t n)
{
	if (!EVP_MD_CTX_copy_ex(s->work, s->inner) || update(s->work, v, n) < 0 ||
	    !EVP_DigestFinal_ex(s->work, out, NULL) || !EVP_MD_CTX_copy_ex(s->work, s->outer) ||
	    !EVP_DigestUpdate(s->work, out, SHA256_LEN) || !EVP_DigestFinal_ex(s->work, out, NULL))
		return -EIO;
	return 0;
}
