/*
 * audit_key.h - the keys of the chain and the file that carries them across restarts
 *
 * R[h+1] = HMAC(R[h], "ratchet" | log_id | h+1)   one step an epoch (hour or start of the writer)
 * K[h,0] = HMAC(R[h], "mac" | log_id | h), K[h,j+1] = HMAC(K[h,j], "step")    one step a batch
 * seed[h] = HMAC(R[h], "sign" | log_id | h)       Ed25519 (RFC 8032) key pair of the epoch
 *
 * On disk is only the R of the next epoch; who reads it later cannot compute older keys.
 */
#ifndef COMMON_AUDIT_KEY_H
#define COMMON_AUDIT_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/sha256.h"

#define AUDIT_KEY_LEN 32u
#define AUDIT_SIG_LEN 64u
#define AUDIT_ID_LEN 16u

/** Secrets of a writer, in one locked page that core dumps leave out. */
struct audit_keys {
	uint8_t next[AUDIT_KEY_LEN]; /**< R[h+1] */
	uint8_t mac[AUDIT_KEY_LEN];  /**< K[h,j] */
	uint8_t seed[AUDIT_KEY_LEN]; /**< signing seed of epoch h */
};

/** @return NULL when memory is short; locking is best effort (RLIMIT_MEMLOCK) */
struct audit_keys *audit_keys_new(void);
void audit_keys_free(struct audit_keys *k);
AUTO_DEFINE(struct audit_keys *, audit_keys_free)

/** Epoch keys from R[h]: K[h,0] into mac, the seed, and R[h+1] into next. */
int audit_key_epoch(struct audit_keys *k, const uint8_t r[AUDIT_KEY_LEN],
		    const uint8_t log_id[AUDIT_ID_LEN], uint64_t epoch);
int audit_key_step(uint8_t mac[AUDIT_KEY_LEN]);

int audit_key_public(uint8_t pub[AUDIT_KEY_LEN], const uint8_t seed[AUDIT_KEY_LEN]);
int audit_key_sign(uint8_t sig[AUDIT_SIG_LEN], const uint8_t seed[AUDIT_KEY_LEN], const void *msg,
		   size_t len);
/** @return 0, or -EKEYREJECTED when the signature is not valid */
int audit_key_verify(const uint8_t pub[AUDIT_KEY_LEN], const uint8_t sig[AUDIT_SIG_LEN],
		     const void *msg, size_t len);

/** What an epoch's key signs to vouch for the next one. @return bytes written to out */
#define AUDIT_CERT_LEN (17u + AUDIT_ID_LEN + 8u + AUDIT_KEY_LEN)
size_t audit_key_cert(uint8_t out[AUDIT_CERT_LEN], const uint8_t log_id[AUDIT_ID_LEN],
		      uint64_t epoch, const uint8_t pub[AUDIT_KEY_LEN]);

/** Public value that tells whether a state file holds the right secret: SHA-256("state" | R). */
int audit_key_commit(uint8_t out[SHA256_LEN], const uint8_t r[AUDIT_KEY_LEN]);

/** The state file. */
struct audit_state {
	uint8_t log_id[AUDIT_ID_LEN];
	uint64_t epoch;			/**< of secret: the next epoch to begin */
	uint8_t secret[AUDIT_KEY_LEN];	/**< R[epoch] */
	uint8_t pub[AUDIT_KEY_LEN];	/**< signing key of epoch - 1; zero when epoch is 0 */
	uint64_t min_size;		/**< records that the log had when this was written */
};

#define AUDIT_STATE_TEXT 512u
/** @return bytes of text, without the NUL */
int audit_state_format(char out[AUDIT_STATE_TEXT], const struct audit_state *s);
/** @return 0 or -EBADMSG */
int audit_state_parse(struct audit_state *s, const char *text, size_t len);

/** root.pub: one line in the verifier-key form of signed notes (C2SP signed-note). */
#define AUDIT_PUB_TEXT 160u
int audit_pub_format(char out[AUDIT_PUB_TEXT], const uint8_t log_id[AUDIT_ID_LEN],
		     const uint8_t pub[AUDIT_KEY_LEN]);
int audit_pub_parse(uint8_t log_id[AUDIT_ID_LEN], uint8_t pub[AUDIT_KEY_LEN], const char *text,
		    size_t len);

void audit_hex(char *out, const uint8_t *p, size_t n); /**< writes 2n + 1 bytes */
/** Lower-case hex of exactly n bytes; text need not end there. @return 0 or -EINVAL */
int audit_unhex(uint8_t *out, size_t n, const char *text);

#endif
