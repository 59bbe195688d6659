/*
 * audit_writer.h - from the rings into the log
 *
 * Shape:    producers are added and removed; audit_writer_drain() takes what their rings hold, in
 *           the order of their clocks, commits it, and tells them.
 * Threads:  one.
 */
#ifndef COMMON_AUDIT_WRITER_H
#define COMMON_AUDIT_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/audit.h"
#include "common/audit_log.h"

struct audit_writer;   /* opaque */
struct audit_consumer; /* the writer's end of one ring; opaque */

/** @param log  borrowed */
int audit_writer_new(struct audit_writer **out, struct audit_log *log);
void audit_writer_free(struct audit_writer *w);
AUTO_DEFINE(struct audit_writer *, audit_writer_free)

/**
 * Make a ring and register its producer in the log.
 *
 * @param ring_fd  written: for the producer, the caller's to close
 */
int audit_writer_add(struct audit_writer *w, struct audit_consumer **out, enum audit_gate gate,
		     const char *session, pid_t pid, uid_t uid, int *ring_fd);

/** The producer is no more: record its last number and why. Drain first. */
void audit_writer_remove(struct audit_writer *w, struct audit_consumer *c, const char *reason);

/** True when the producer said that it is done. */
bool audit_writer_closed(const struct audit_consumer *c);

/** True once the consumer is shut because its producer broke the rules. */
bool audit_writer_faulty(const struct audit_consumer *c);

/**
 * Take all there is, commit, publish.
 *
 * @return number of records; -ENOSPC (rings are told; call again later), -EIO (final)
 */
int audit_writer_drain(struct audit_writer *w);

/** Checkpoint over everything drained. */
int audit_writer_sign(struct audit_writer *w);

/** Any record waiting; any producer waiting for it. */
bool audit_writer_pending(const struct audit_writer *w);
bool audit_writer_urgent(const struct audit_writer *w);

/** Say how producers shall wake us: enum audit_ring_wake. Look at pending again after it. */
void audit_writer_set_wake(struct audit_writer *w, uint32_t wake);

/** True while the disk is full. */
bool audit_writer_full(const struct audit_writer *w);

/** Refuse everything from now on (fatal error). */
void audit_writer_shut(struct audit_writer *w);

#endif
