#include "common/merkle.h"

#include <errno.h>
#include <string.h>

int merkle_leaf(struct sha256 *s, uint8_t out[SHA256_LEN], const void *data, size_t len)
{
	const uint8_t prefix = 0;
	const struct sha256_piece v[] = {{&prefix, 1}, {data, len}};

	return sha256_hash(s, out, v, 2);
}

int merkle_node(struct sha256 *s, uint8_t out[SHA256_LEN], const uint8_t left[SHA256_LEN],
		const uint8_t right[SHA256_LEN])
{
	const uint8_t prefix = 1;
	const struct sha256_piece v[] = {{&prefix, 1}, {left, SHA256_LEN}, {right, SHA256_LEN}};

	return sha256_hash(s, out, v, 3);
}

int merkle_add(struct sha256 *s, struct merkle *m, const uint8_t leaf[SHA256_LEN])
{
	uint8_t hash[SHA256_LEN];
	unsigned n = m->n;

	if (m->size == UINT64_MAX)
		return -EIO;
	memcpy(hash, leaf, sizeof(hash));
	/* as in binary addition: each trailing one-bit of the size is a subtree to merge with */
	for (uint64_t carry = m->size; carry & 1; carry >>= 1)
		if (merkle_node(s, hash, m->frontier[--n], hash) < 0)
			return -EIO;
	memcpy(m->frontier[n], hash, sizeof(hash));
	m->n = n + 1;
	m->size++;
	return 0;
}

int merkle_root(struct sha256 *s, uint8_t out[SHA256_LEN], const struct merkle *m)
{
	uint8_t hash[SHA256_LEN];

	if (m->n == 0)
		return sha256_hash(s, out, NULL, 0);
	memcpy(hash, m->frontier[m->n - 1], sizeof(hash));
	for (unsigned i = m->n - 1; i-- > 0;)
		if (merkle_node(s, hash, m->frontier[i], hash) < 0)
			return -EIO;
	memcpy(out, hash, sizeof(hash));
	return 0;
}
