/*
 * tls_hello.h - what a TLS ClientHello says before anything is encrypted
 *
 * Shape:    bytes in -> tls_hello_parse() -> MORE | DONE, or a negative errno
 * Pure:     no I/O, no allocation, no logging, no clock
 * Source:   RFC 8446 4.1.2 (ClientHello), 5.1 (records may split it), 4.2 (extensions);
 *           RFC 6066 3 (server_name); RFC 7301 (ALPN); RFC 9849 (encrypted ClientHello)
 * Limits:   TLS_HELLO_MAX bytes of handshake; more is -EMSGSIZE
 */
#ifndef NETGATE_TLS_HELLO_H
#define NETGATE_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_HELLO_MAX 16384u

enum tls_hello_result {
	TLS_HELLO_MORE = 1, /**< not decided: call again with a longer prefix of the stream */
	TLS_HELLO_DONE,	    /**< the hello is complete and out is written */
};

struct tls_hello {
	bool has_sni;
	bool has_ech;	/**< an ECH extension, real or GREASE: the two cannot be told apart */
	char sni[256];	/**< bytes of host_name as sent, NUL-terminated; no NUL inside */
	char alpn[128]; /**< protocol names joined by ","; unprintable ones are left out; may be cut */
	uint16_t legacy_version;
};

/** Could these first bytes be TLS? True as long as nothing contradicts it; false when len is 0. */
bool tls_hello_looks_like(const uint8_t *buf, size_t len);

/**
 * Parse what has arrived so far of a TCP stream.
 *
 * @param out  always written; meaningful on TLS_HELLO_DONE only
 * @param buf  first byte of the stream; borrowed
 * @return enum tls_hello_result, -EBADMSG (not TLS, malformed, or two SNI extensions) or -EMSGSIZE
 */
int tls_hello_parse(struct tls_hello *out, const uint8_t *buf, size_t len);

#endif
