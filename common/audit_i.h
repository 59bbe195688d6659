/*
 * audit_i.h - what the files of the audit chain share
 *
 * Ring (shared memory between one producer and the writer), and the messages on the writer's
 * socket. The format on disk is in audit_frame.h and audit_note.h.
 */
#ifndef COMMON_AUDIT_I_H
#define COMMON_AUDIT_I_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/audit.h"
#include "common/cbor.h"

#define AUDIT_SESSION_MAX 64u /**< bytes of a session name */

/* ---- ring ---- */

#define AUDIT_RING_MAGIC 0x52485341u /* "ASHR" */
#define AUDIT_RING_HEAD 4096u	     /**< bytes before the data */
#define AUDIT_RING_DATA (4u << 20)   /**< bytes of data, a power of two */

enum audit_ring_state {
	AUDIT_RING_OPEN = 0,
	AUDIT_RING_SHUT, /**< the writer takes nothing more: fault, or the session ended */
	AUDIT_RING_FULL, /**< the disk is full: deny until it is OPEN again */
};

/** What a producer must do after publishing; set by the writer before it sleeps. */
enum audit_ring_wake {
	AUDIT_WAKE_NONE = 0, /**< it is awake and will look again */
	AUDIT_WAKE_URGENT,   /**< it looks again in some ms: wake it for a commit or a full ring */
	AUDIT_WAKE_ANY,	     /**< it sleeps until woken */
};

/*
 * Each line has one writer (P producer, W writer), so the two sides share no cache line. The
 * writer believes none of the P words: it keeps its own tail and checks head against it.
 */
struct audit_ring {
	uint32_t magic;
	uint32_t data_size;
	alignas(64) _Atomic uint64_t head; /**< P: bytes ever published */
	_Atomic uint32_t closed;	   /**< P: closed in good order */
	alignas(64) _Atomic uint64_t tail; /**< W: bytes released, hence durable */
	_Atomic uint64_t committed;	   /**< W: last pseq that is on disk */
	_Atomic uint32_t progress;	   /**< W: futex word, changes with tail or state */
	_Atomic uint32_t state;		   /**< W: enum audit_ring_state */
	alignas(64) _Atomic uint32_t wake; /**< both: enum audit_ring_wake */
	alignas(64) _Atomic uint32_t waiters; /**< P: threads that sleep on progress */
	_Atomic uint64_t counts[VERDICT_COUNT]; /**< P: records by what was done */
};

/** A record in the ring; payload follows; size is a multiple of 8. */
struct audit_slot {
	uint32_t size;	  /**< bytes to the next slot */
	uint32_t payload; /**< bytes of payload */
	uint64_t pseq;	  /**< 1, 2, 3, ... of this producer */
	uint64_t wall_ns;
	uint64_t mono_ns;
};

#define AUDIT_SLOT_MAX (sizeof(struct audit_slot) + AUDIT_PAYLOAD_MAX)

/** Map header and data, the data twice in a row so that no record wraps. @return 0 or -errno */
int audit_ring_map(struct audit_ring **out, int fd);
void audit_ring_unmap(struct audit_ring *r);

static inline uint8_t *audit_ring_at(struct audit_ring *r, uint64_t pos)
{
	return (uint8_t *)r + AUDIT_RING_HEAD + (pos & (AUDIT_RING_DATA - 1));
}

/** The payload of an event. @return bytes written (at most AUDIT_PAYLOAD_MAX), or -EINVAL */
int audit_event_encode(void *out, const struct audit_event *ev);

/* ---- messages on the writer's socket; bodies in ipc.h's encoding ---- */

enum audit_msg {
	AUDIT_MSG_HELLO = 1, /**< u64 device and inode of the log directory, str session */
	AUDIT_MSG_PRODUCER,  /**< u32 gate; the answer carries ring and wake */
	AUDIT_MSG_END,	     /**< answered when everything is durable and signed */
	AUDIT_MSG_OK,
	AUDIT_MSG_ERROR, /**< u32 errno, str text */
};

/** How a starting writer reports on its pipe: one byte; after FAILED errno, space, a line. */
enum audit_start {
	AUDIT_START_READY = 'R',
	AUDIT_START_OTHER = 'O', /**< another writer serves already: connect to that one */
	AUDIT_START_FAILED = 'F',
};

/** A writer on its way: it loads while we do something else. */
struct audit_starting {
	int fd;	   /**< its report; -1: none is starting */
	pid_t pid; /**< ours to reap; the writer itself is a child of that */
};

/** Start the writer, detached from this process. */
int audit_setup_start(struct audit_starting *out, const char *auditd_path, const char *log_dir,
		      const char *runtime_dir, struct err *e);

/** Wait for the report. @return 0 (connect now), or -errno with e saying what the writer said */
int audit_setup_wait(struct audit_starting *s, struct err *e);

/** Leave it to itself; a writer without a session soon ends. */
void audit_setup_forget(struct audit_starting *s);

/** Check a session name: [A-Za-z0-9._-]{1,64}. */
bool audit_session_name_ok(const char *name);

#endif
