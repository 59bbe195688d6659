/*
 * http_head.h - a strict HTTP/1 request head
 *
 * Shape:    bytes in -> http_head_parse() -> MORE | DONE, or a negative errno and a reason
 * Pure:     no I/O, no allocation, no logging, no clock
 * Source:   RFC 9112 2-7 (framing), RFC 9110 7.2 (Host). Everything that two parsers could read
 *           differently is refused: bare LF, obs-fold, space before the colon, repeated Host or
 *           Content-Length, Content-Length beside Transfer-Encoding, any coding but "chunked".
 * Limits:   HTTP_HEAD_MAX bytes; more is -EMSGSIZE
 */
#ifndef NETGATE_HTTP_HEAD_H
#define NETGATE_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 16384u
#define HTTP_PATH_SIZE 2048u

enum http_head_result {
	HTTP_HEAD_MORE = 1, /**< not complete: call again with a longer prefix */
	HTTP_HEAD_DONE,
};

enum http_body { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED };

struct http_head {
	char method[32];	   /**< a token, as sent */
	char host[256];		   /**< of the Host field (or absolute target), as sent, no port */
	bool has_host;
	uint16_t port;		   /**< of Host; 0: none given */
	char path[HTTP_PATH_SIZE]; /**< canonical (decoded once, dots resolved), without the query */
	uint8_t minor;		   /**< HTTP/1.minor */
	enum http_body body;
	uint64_t length;	   /**< of the body, for HTTP_BODY_LENGTH */
	bool upgrade;		   /**< an Upgrade field with Connection: upgrade */
	char upgrade_to[32];	   /**< its value, lower case */
	size_t head_len;	   /**< bytes up to and including the empty line */
	const char *reason;	   /**< on error: what is wrong, a literal */
};

/**
 * Do the first bytes look like an HTTP request, however lenient the reader?
 *
 * @return 1 yes, 0 no, -1 not decided with this many bytes
 */
int http_head_looks_like(const uint8_t *buf, size_t len);

/**
 * Parse a request head.
 *
 * @param out  always written; complete on HTTP_HEAD_DONE; reason is set on error
 * @return enum http_head_result, -EBADMSG or -EMSGSIZE
 */
int http_head_parse(struct http_head *out, const uint8_t *buf, size_t len);

/**
 * Status of a response, from its first line.
 *
 * @param head_len  written on HTTP_HEAD_DONE: bytes up to and including the empty line
 * @param status    written on HTTP_HEAD_DONE
 * @return enum http_head_result, -EBADMSG or -EMSGSIZE
 */
int http_head_status(unsigned *status, size_t *head_len, const uint8_t *buf, size_t len);

#endif
