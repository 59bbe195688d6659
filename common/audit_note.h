/*
 * audit_note.h - a checkpoint: what the log is at one size, signed by the epoch's key
 *
 * The text is a C2SP signed note (origin, size, root, extension lines, blank line, signature) and
 * holds all that is needed to go on from there: frontier, chain value, live producers. Exactly one
 * text is valid for each content, so no byte of it is without meaning.
 */
#ifndef COMMON_AUDIT_NOTE_H
#define COMMON_AUDIT_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/audit_key.h"
#include "common/merkle.h"

#define AUDIT_NOTE_SESSION 65u /**< bytes of a session name with its NUL */
#define AUDIT_LIVE_MAX 512u    /**< producers at one time */

/** A registered producer. */
struct audit_live {
	uint16_t id;
	uint8_t gate;  /**< enum audit_gate */
	uint64_t pseq; /**< of its last record */
	char session[AUDIT_NOTE_SESSION];
};

struct audit_note {
	uint8_t log_id[AUDIT_ID_LEN];
	struct merkle tree;
	uint8_t root[SHA256_LEN];
	uint64_t number;	    /**< 1, 2, 3, ... over the life of the log */
	uint64_t epoch, step;	    /**< h and j of the keys in use */
	uint8_t chain[SHA256_LEN];  /**< T: the MAC chain's value */
	uint64_t wall_ns, mono_ns;
	uint64_t segment, offset;   /**< first record of the segment file, and where the frame is */
	uint64_t ctl_pseq;	    /**< the writer's own last pseq */
	uint16_t next_id;	    /**< where to look for the next free producer id */
	bool seal;
	uint8_t previous[SHA256_LEN]; /**< hash of the note before; zero for number 1 */
	size_t n_live;
	struct audit_live live[AUDIT_LIVE_MAX];
};

/**
 * @param out   the note, not NUL-terminated
 * @param seed  signs
 * @return bytes written, -EMSGSIZE or -EIO
 */
int audit_note_format(char *out, size_t size, const struct audit_note *n,
		      const uint8_t seed[AUDIT_KEY_LEN]);

/** Signed part, sig: written on success. @return 0 or -EBADMSG (not the one valid text) */
int audit_note_parse(struct audit_note *n, const char *text, size_t len, size_t *signed_len,
		     uint8_t sig[AUDIT_SIG_LEN]);

/** Parse and check the signature. @return 0, -EBADMSG, -EKEYREJECTED */
int audit_note_open(struct audit_note *n, const char *text, size_t len,
		    const uint8_t pub[AUDIT_KEY_LEN]);

#endif
