/*
 * str.h - bounded string building and number parsing
 */
#ifndef COMMON_STR_H
#define COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A string under construction in the caller's buffer; always NUL-terminated; cut, never overrun. */
struct str {
	char *buf;
	size_t size; /**< bytes in buf, with the NUL */
	size_t len;  /**< bytes used, without the NUL */
	bool cut;    /**< something did not fit */
};

void str_init(struct str *s, char *buf, size_t size);
void str_add(struct str *s, const char *text);
void str_add_mem(struct str *s, const char *text, size_t len);
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Append with control bytes, DEL, backslash and invalid UTF-8 as \xNN: safe on a terminal. */
void str_add_escaped(struct str *s, const char *text, size_t len);

/** Append as the inside of a JSON string (no quotes); bytes that are not UTF-8 become U+FFFD. */
void str_add_json(struct str *s, const char *text, size_t len);

/**
 * Parse a whole decimal number.
 *
 * @return 0, -EINVAL (not a number, trailing text) or -ERANGE (outside min..max)
 */
int str_to_u64(uint64_t *out, const char *text, uint64_t min, uint64_t max);

/** True when len bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_is_utf8(const char *text, size_t len);

/** Duplicate a formatted string on the heap; NULL on ENOMEM. Caller frees. */
char *str_dupf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Edit distance (Levenshtein) for "did you mean"; strings longer than 63 bytes give UINT_MAX. */
unsigned str_distance(const char *a, const char *b);

bool str_has_prefix(const char *s, const char *prefix);

#endif
