/*
 * ipc.h - framed messages with descriptors over SOCK_SEQPACKET
 *
 * A message is a header (type, length, id) and a body that is written with ipc_put_*() and read
 * with ipc_get_*(): the reader's cursor has one sticky "bad" flag, tested once by ipc_end().
 * Source: unix(7), cmsg(3). Unexpected descriptors are closed on receipt.
 */
#ifndef COMMON_IPC_H
#define COMMON_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

#define IPC_BODY_MAX 131072u /**< bytes of body */
#define IPC_FDS_MAX 8u

struct ipc_msg {
	uint16_t type;
	uint32_t id;  /**< pairs an answer with its question */
	size_t len;   /**< bytes in body */
	size_t pos;   /**< read cursor */
	bool bad;     /**< a put did not fit, or a get ran past the end */
	unsigned n_fds;
	int fds[IPC_FDS_MAX]; /**< received: owned by the message until ipc_take_fd(); sending: borrowed */
	uint8_t body[IPC_BODY_MAX];
};

/** A connected pair, both ends close-on-exec. @return 0 or -errno */
int ipc_pair(int fds[2]);

/** Start a message to send. */
void ipc_begin(struct ipc_msg *m, uint16_t type, uint32_t id);
void ipc_put_u32(struct ipc_msg *m, uint32_t v);
void ipc_put_u64(struct ipc_msg *m, uint64_t v);
void ipc_put_mem(struct ipc_msg *m, const void *p, size_t len);
void ipc_put_str(struct ipc_msg *m, const char *s);
/** Attach a descriptor; it stays the caller's. */
void ipc_put_fd(struct ipc_msg *m, int fd);

/** @return 0, or -errno (-EMSGSIZE when a put did not fit; -EPIPE when the peer is gone) */
int ipc_send(int sock, const struct ipc_msg *m);

/**
 * Receive one message; blocks unless the socket is non-blocking.
 *
 * @return 1, 0 (peer closed), or -errno (-EAGAIN, -EBADMSG)
 */
int ipc_recv(int sock, struct ipc_msg *m);

uint32_t ipc_get_u32(struct ipc_msg *m);
uint64_t ipc_get_u64(struct ipc_msg *m);
/** Borrowed from the message; *len bytes. */
const void *ipc_get_mem(struct ipc_msg *m, size_t *len);
/** Borrowed from the message, NUL-terminated; "" once the message is bad. */
const char *ipc_get_str(struct ipc_msg *m);
/** Take over descriptor i; -1 when there is none. */
int ipc_take_fd(struct ipc_msg *m, unsigned i);
/** True when everything was there and nothing is left over. */
bool ipc_end(const struct ipc_msg *m);
/** Close the descriptors that nobody took. */
void ipc_drop(struct ipc_msg *m);

/** Listen on a path (mode 0600, an old socket is replaced). @return fd or -errno in e */
int ipc_listen(const char *path, struct err *e);
/** @return fd or -errno (quiet: the caller knows whether absence is an error) */
int ipc_connect(const char *path);

struct ipc_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};
/** SO_PEERCRED of a connected socket. @return 0 or -errno */
int ipc_peer(int sock, struct ipc_peer *out);

#endif
