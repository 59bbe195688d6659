/*
 * cbor.h - the part of CBOR that audit records use
 *
 * Source: RFC 8949; deterministic encoding (4.2.1): shortest integers, definite lengths, map keys
 * in bytewise order of their encoding. Items: unsigned, negative, byte string, text string, array,
 * map, tag, false/true/null. The reader refuses everything else and every non-shortest form.
 */
#ifndef COMMON_CBOR_H
#define COMMON_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cbor_type {
	CBOR_UINT,
	CBOR_NINT, /**< value is -1 - n */
	CBOR_BYTES,
	CBOR_TEXT,
	CBOR_ARRAY,
	CBOR_MAP,
	CBOR_TAG,
	CBOR_SIMPLE, /**< n: 20 false, 21 true, 22 null */
};

#define CBOR_TAG_HEX 23u /**< a byte string that is shown in base16 (RFC 8949 3.4.5.2) */
#define CBOR_DEPTH_MAX 4u

/** Output in the caller's buffer; full is sticky. */
struct cbor_out {
	uint8_t *p;
	size_t size;
	size_t len;
	bool full;
};

void cbor_begin(struct cbor_out *o, void *buf, size_t size);
void cbor_head(struct cbor_out *o, enum cbor_type type, uint64_t n);
void cbor_u64(struct cbor_out *o, uint64_t v);
void cbor_i64(struct cbor_out *o, int64_t v);
void cbor_bool(struct cbor_out *o, bool v);
void cbor_bytes(struct cbor_out *o, const void *p, size_t len);
/** Text string when the bytes are UTF-8, else byte string. */
void cbor_str(struct cbor_out *o, const void *p, size_t len);
/** A literal key or word: NUL-terminated ASCII. */
void cbor_text(struct cbor_out *o, const char *s);

/** Order of two text keys in a deterministic map: <0, 0, >0. */
int cbor_key_cmp(const char *a, const char *b);

/** One item: for strings p points into the input; n is the value, length or count. */
struct cbor_item {
	enum cbor_type type;
	uint64_t n;
	const uint8_t *p;
};

struct cbor_in {
	const uint8_t *p;
	size_t left;
};

/** Read the head of the next item (and the bytes of a string). @return 0 or -EBADMSG */
int cbor_next(struct cbor_in *in, struct cbor_item *out);

/** Step over one whole item. @return 0 or -EBADMSG */
int cbor_skip(struct cbor_in *in);

/** True when the item is the text s. */
bool cbor_is_text(const struct cbor_item *it, const char *s);

/**
 * Check that the bytes are exactly one deterministic map with text keys, nested at most
 * CBOR_DEPTH_MAX deep, text strings being UTF-8.
 *
 * @return 0 or -EBADMSG
 */
int cbor_check_map(const void *p, size_t len);

/** Look a key of the top map up; in a checked map it is there at most once. @return 0 or -ENOENT */
int cbor_find(const void *map, size_t len, const char *key, struct cbor_in *value);

/** Typed look-ups in the top map. @return 0, -ENOENT, or -EBADMSG (another type, too long) */
int cbor_find_u64(const void *map, size_t len, const char *key, uint64_t *out);
int cbor_find_text(const void *map, size_t len, const char *key, char *out, size_t size);
/** A byte string of exactly n bytes. */
int cbor_find_bytes(const void *map, size_t len, const char *key, uint8_t *out, size_t n);

#endif
