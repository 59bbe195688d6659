/*
 * audit_reader.h - read the records of a log directory, in order
 *
 * For people and reports; it trusts nothing but checksums. Whether the log may be believed is the
 * verifier's question (audit_verify.h). A live log is read up to what is there.
 */
#ifndef COMMON_AUDIT_READER_H
#define COMMON_AUDIT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/audit.h"
#include "common/audit_frame.h"
#include "common/cbor.h"

/** One record; everything is borrowed for the time of the call. */
struct audit_record {
	uint64_t seq;
	uint64_t wall_ns;      /**< since 1970, UTC */
	enum audit_type type;  /**< AUDIT_TYPE_EVENT, or what the writer itself has to say */
	const char *session;   /**< "" when it belongs to none */
	enum audit_gate gate;  /**< AUDIT_CTL for the writer's own records */
	uint16_t producer;
	uint64_t pseq;
	const uint8_t *payload; /**< a checked CBOR map: cbor_find() and its kin */
	size_t payload_len;
};

/** @return 0 to go on, anything else ends the reading and is returned */
typedef int audit_record_fn(void *arg, const struct audit_record *r);

/**
 * Call fn for every record.
 *
 * @return 0; what fn returned; -ENOENT (no log there); -EBADMSG (a damaged record: e names it, fn
 *         has seen all before it); -errno
 */
int audit_reader_each(const char *dir, audit_record_fn *fn, void *arg, struct err *e);

/** What a session did, in numbers. */
struct audit_summary {
	char session[65];
	uint64_t records, allowed, denied, approved, redirected, other;
	uint64_t first_ns, last_ns; /**< wall clock of first and last record */
	bool open;		    /**< a producer of it is still registered */
};

/**
 * Count the events of a session.
 *
 * @param session  name, or NULL for the newest of the log
 * @return 0, -ENOENT (no such session), or as audit_reader_each()
 */
int audit_reader_summary(struct audit_summary *out, const char *dir, const char *session,
			 struct err *e);

/** Name of the session that was registered last. @return 0, -ENOENT, or as audit_reader_each() */
int audit_reader_last_session(char out[65], const char *dir, struct err *e);

#endif
