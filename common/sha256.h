/*
 * sha256.h - SHA-256 and HMAC-SHA256 over several pieces, with contexts made once
 *
 * Source: FIPS 180-4, RFC 2104. Errors of the library (out of memory) are returned, never ignored.
 */
#ifndef COMMON_SHA256_H
#define COMMON_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "common/auto.h"

#define SHA256_LEN 32u

struct sha256_piece {
	const void *p;
	size_t len;
};

struct sha256; /* opaque: holds library contexts; one thread at a time */

/** @return 0 or -ENOMEM */
int sha256_new(struct sha256 **out);
void sha256_free(struct sha256 *s);
AUTO_DEFINE(struct sha256 *, sha256_free)

/** Hash of the pieces in order. @return 0 or -EIO */
int sha256_hash(struct sha256 *s, uint8_t out[SHA256_LEN], const struct sha256_piece *v, size_t n);

/** Set the key for sha256_mac(); the context keeps the padded key, not the caller's bytes. */
int sha256_key(struct sha256 *s, const uint8_t *key, size_t len);

/** HMAC of the pieces with the key set before. @return 0 or -EIO */
int sha256_mac(struct sha256 *s, uint8_t out[SHA256_LEN], const struct sha256_piece *v, size_t n);

#endif
