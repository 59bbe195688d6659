/*
 * exec_notify.h - the threads that take notifications from the listener
 *
 * One thread waits in SECCOMP_IOCTL_NOTIF_RECV; with a notification in hand it lets the next one
 * wait and serves its own. An exec that takes long (a large file to hash, a disk to wait for) holds
 * up nobody else; threads are added when all are busy, and all end when no process of the sandbox
 * is left.
 */
#ifndef EXECGATE_EXEC_NOTIFY_H
#define EXECGATE_EXEC_NOTIFY_H

#include "common/err.h"
#include "execgate/exec_serve.h"

struct exec_notify;

/**
 * Start serving, in threads of s->threads.
 *
 * @param s  borrowed while any of them runs
 */
int exec_notify_start(struct exec_notify **out, struct exec_serve *s, struct err *e);

/** None of the threads may be running. */
void exec_notify_free(struct exec_notify *p);

#endif
