/*
 * exec_notify.h - the threads that take notifications from the listener
 *
 * One thread waits in SECCOMP_IOCTL_NOTIF_RECV; with a notification in hand it lets the next one
 * wait and serves its own. An exec that takes long (a large file to hash, a disk to wait for) holds
 * up nobody else; threads are added when all are busy.
 */
#ifndef EXECGATE_EXEC_NOTIFY_H
#define EXECGATE_EXEC_NOTIFY_H

#include "common/err.h"
#include "execgate/exec_serve.h"

struct exec_notify;

/**
 * Start serving.
 *
 * @param s  borrowed until exec_notify_join() has returned 0
 */
int exec_notify_start(struct exec_notify **out, struct exec_serve *s, struct err *e);

/**
 * Wait for the threads, which end when no process of the sandbox is left, and free.
 *
 * @return 0, or -ETIMEDOUT: some still run, nothing is freed
 */
int exec_notify_join(struct exec_notify *p, unsigned timeout_ms);

#endif
