/*
 * http_body.h - where the body of a request ends
 *
 * Pure:    no I/O, no allocation, no clock
 * Source:  RFC 9112 6-7. Strict: no chunk extensions, no bare LF, trailers are fields and end
 *          within HTTP_HEAD_MAX bytes.
 */
#ifndef NETGATE_HTTP_BODY_H
#define NETGATE_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netgate/http_head.h"

struct http_body_state {
	uint8_t state;	 /**< private; zeroed memory is "no body: a head comes next" */
	uint64_t left;	 /**< bytes of data left of the body or the chunk */
	uint32_t digits; /**< of the chunk size so far */
	uint32_t trailer; /**< bytes of trailers so far */
};

void http_body_begin(struct http_body_state *b, const struct http_head *h);

/** True when the next byte of the stream belongs to the next request's head. */
bool http_body_is_done(const struct http_body_state *b);

/**
 * Walk over body bytes.
 *
 * @return bytes of buf that belong to this body (all of them unless it ends), or -EBADMSG
 */
int64_t http_body_walk(struct http_body_state *b, const uint8_t *buf, size_t len);

#endif
