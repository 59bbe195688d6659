/*
 * audit_verify.h - is this log what was written?
 *
 * Without a secret: checksums, sequence, producers' numbering, the Merkle root and signature of
 * every checkpoint, the chain of certified keys from the root key. With the root secret: every
 * record's MAC, too. docs/AUDIT.md says what each way can and cannot show.
 */
#ifndef COMMON_AUDIT_VERIFY_H
#define COMMON_AUDIT_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/audit_chain.h"
#include "common/err.h"

/** The exit status of agentsh audit verify. */
enum audit_verdict {
	AUDIT_INTACT = 0,     /**< complete, and under a checkpoint */
	AUDIT_TAMPERED = 1,
	AUDIT_INCOMPLETE = 2, /**< what is there is right; the end is torn, unsigned or unclosed */
	AUDIT_UNREADABLE = 3, /**< I/O, or no log there */
	AUDIT_NO_TRUST = 4,   /**< the key is missing, or of another log */
};

struct audit_verify_conf {
	const char *dir;
	const char *pub;    /**< file with the root public key; NULL: root.pub of the directory */
	const char *key;    /**< file with the root secret in hex, or NULL */
	const char *anchor; /**< file with checkpoints kept elsewhere, or NULL */
	bool strict;	    /**< crashes, lost producers and a full disk are AUDIT_INCOMPLETE, too */
	bool quick;	    /**< signatures and order, but no hash of each record */
};

/** Something to know that is not a fault. */
struct audit_notice {
	uint64_t seq;
	bool incomplete; /**< it makes the log AUDIT_INCOMPLETE */
	char text[160];
};

struct audit_verify_session {
	char name[AUDIT_NOTE_SESSION];
	uint64_t records;
	unsigned lost; /**< producers that ended without closing */
};

struct audit_report {
	enum audit_verdict verdict;
	enum audit_fault fault; /**< the first one found */
	uint64_t fault_seq, fault_offset;
	char fault_file[AUDIT_NOTE_SESSION + 32];
	char fault_text[240];

	uint8_t log_id[AUDIT_ID_LEN];
	uint64_t records, bytes, segments, checkpoints;
	uint64_t signed_records; /**< under the last checkpoint */
	uint64_t anchored;	 /**< under the newest anchor given */
	uint64_t epochs, starts, crashes;
	uint64_t first_ns, last_ns;
	uint8_t root[SHA256_LEN]; /**< of the last checkpoint */
	bool live;		  /**< a writer has the log open */
	bool macs;		  /**< the MACs were checked, too */

	size_t n_notices; /**< may be larger than what is kept */
	struct audit_notice notices[64];
	size_t n_sessions;
	struct audit_verify_session *sessions; /**< owned */
};

/**
 * Verify a log directory.
 *
 * @param rep  written always; free with audit_report_free()
 * @return the verdict; e is set for AUDIT_UNREADABLE and AUDIT_NO_TRUST
 */
enum audit_verdict audit_verify(struct audit_report *rep, const struct audit_verify_conf *conf,
				struct err *e);
void audit_report_free(struct audit_report *rep);

#endif
