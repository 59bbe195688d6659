/*
 * gate_link.h - the supervisor's end of one gate's control socket
 */
#ifndef AGENTSH_GATE_LINK_H
#define AGENTSH_GATE_LINK_H

#include <sys/types.h>

#include "common/audit.h"
#include "common/gate.h"
#include "common/ipc.h"
#include "common/loop.h"

enum gate_index { GATE_FS, GATE_NET, GATE_EXEC, GATE_COUNT };

struct gate_link {
	const char *name; /**< "fsgate", ... */
	pid_t pid;
	int pidfd; /**< owned; -1: not running */
	int ctl;   /**< owned */
	int ring;  /**< owned: our reference to its audit ring, for the counters */
	struct loop_io ctl_io, pidfd_io;
	void *owner; /**< the supervisor, for its event handlers */
};

/** Every field to "not running". */
void gate_link_init(struct gate_link *g, const char *name);

/** Start the program and hand it its end of a fresh control socket. */
int gate_link_start(struct gate_link *g, struct err *e);

/** Send a message that the caller has filled (GATE_CONFIG, GATE_SETUP, ...). */
int gate_link_send(struct gate_link *g, const struct ipc_msg *m, struct err *e);

/**
 * Wait for one message during set-up (at most 10 s).
 *
 * @param m  the message; GATE_FAILED and a dead gate become an error that names the gate
 */
int gate_link_expect(struct gate_link *g, enum gate_msg type, struct ipc_msg *m, struct err *e);

/** Ask it to finish; all are asked before any is waited for. */
void gate_link_tell_stop(struct gate_link *g);

/**
 * Wait until it has ended, kill it when it does not.
 *
 * @return its wait status; -1: it was not running, or did not end by itself
 */
int gate_link_stop(struct gate_link *g, int timeout_ms);

void gate_link_deinit(struct gate_link *g);

#endif
