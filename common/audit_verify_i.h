/*
 * audit_verify_i.h - inside of the verifier
 */
#ifndef COMMON_AUDIT_VERIFY_I_H
#define COMMON_AUDIT_VERIFY_I_H

#include "common/audit_segment.h"
#include "common/audit_verify.h"

#define AUDIT_ANCHORS_MAX 4096u

/** A checkpoint text from outside the segments: the head file, or an anchor. */
struct audit_outside {
	const char *what; /**< "head file", "anchor" */
	char *text;	  /**< owned */
	size_t len;
	uint64_t number, size;
	bool found;
};

struct audit_verify {
	const struct audit_verify_conf *conf;
	struct audit_report *rep;
	struct err *e;
	int dir;
	struct sha256 *hash, *mac;
	struct audit_chain *chain;
	struct audit_note *note; /**< the last one seen */
	char *seal;		 /**< owned: text of the last seal, NULL while a segment is open */
	size_t seal_len;

	/* keys */
	uint8_t root_id[AUDIT_ID_LEN], root_pub[AUDIT_KEY_LEN];
	bool root_id_known;
	uint8_t pub[AUDIT_KEY_LEN], next_pub[AUDIT_KEY_LEN], commit[SHA256_LEN];
	struct audit_keys *keys; /**< with the root secret: next is R[h+1] */
	uint8_t r[AUDIT_KEY_LEN]; /**< R[h], to repeat an epoch */
	uint8_t t[SHA256_LEN];

	/* beside the segments */
	struct audit_outside *outside; /**< owned; by number */
	size_t n_outside;
	bool has_state;
	struct audit_state state;

	uint64_t offset; /**< of the frame at hand */
	uint64_t segment;
	char file[AUDIT_SEGMENT_NAME];
	bool stop; /**< a fault was found */
};

/** Note a fault; the first one counts. @return -EUCLEAN */
int audit_verify_fault(struct audit_verify *v, enum audit_fault f, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void audit_verify_notice(struct audit_verify *v, bool incomplete, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** Root key, root secret, anchors, head and state, before any segment is read. */
enum audit_verdict audit_verify_load(struct audit_verify *v);
/** What the files beside the segments say, after the last one. */
void audit_verify_local(struct audit_verify *v);
/** Bytes that an epoch record says were set aside. */
void audit_verify_torn(struct audit_verify *v, uint64_t len, const uint8_t hash[SHA256_LEN]);

/** One frame. @return 0, -EUCLEAN (a fault was noted), -errno */
int audit_verify_record(struct audit_verify *v, const struct audit_frame *f);
int audit_verify_note(struct audit_verify *v, const struct audit_frame *f);

#endif
