/*
 * merkle.h - append-only Merkle tree, kept as its frontier
 *
 * Source: RFC 9162 section 2.1.1 (leaf = SHA-256(0x00 | d), node = SHA-256(0x01 | l | r)).
 * The frontier holds one hash for each set bit of the size: the roots of the complete subtrees,
 * largest first. It is all that is needed to append and to compute the root.
 */
#ifndef COMMON_MERKLE_H
#define COMMON_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#include "common/sha256.h"

#define MERKLE_MAX 64u

struct merkle {
	uint64_t size; /**< leaves */
	unsigned n;    /**< hashes in frontier: popcount(size) */
	uint8_t frontier[MERKLE_MAX][SHA256_LEN];
};

int merkle_leaf(struct sha256 *s, uint8_t out[SHA256_LEN], const void *data, size_t len);
int merkle_node(struct sha256 *s, uint8_t out[SHA256_LEN], const uint8_t left[SHA256_LEN],
		const uint8_t right[SHA256_LEN]);

/** Append a leaf hash. @return 0 or -EIO (the tree is unchanged) */
int merkle_add(struct sha256 *s, struct merkle *m, const uint8_t leaf[SHA256_LEN]);

/** Root of the tree; for an empty one the hash of nothing. */
int merkle_root(struct sha256 *s, uint8_t out[SHA256_LEN], const struct merkle *m);

#endif
