/*
 * match.h - path globs, host patterns and address prefixes
 *
 * Pure:    no I/O, no allocation, no clock
 * Source:  docs/POLICY.md, "Matching"; RFC 6890 and its registries for match_is_private();
 *          RFC 5952 for match_addr_text()
 * Cost:    exact for every well-formed pattern: a cheap greedy walk first, and when that exceeds
 *          its step budget, a state-set simulation in O(pattern * path)
 * Limits:  a pattern has at most MATCH_PATTERN_MAX bytes and MATCH_ALTERNATIVES expansions of its
 *          braces; the *_check() functions refuse more, and such a pattern matches nothing
 */
#ifndef COMMON_MATCH_H
#define COMMON_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MATCH_PATTERN_MAX  1024
#define MATCH_ALTERNATIVES 256
#define MATCH_ADDR_TEXT	   48

/**
 * Match a path: `*` within a component, `**` across components (a whole component `**` followed by
 * a slash also matches no component at all), `?`, `[a-z]`, `[!a]`, `{a,b}`, `\` escapes.
 * Byte exact. "/a/" + "**" does not match "/a".
 */
bool match_path(const char *pattern, const char *path);

/** match_path() for a pattern without braces: what match_expand() gave. */
bool match_path_plain(const char *pattern, const char *path);

/** Is the pattern well formed? @return NULL, or what is wrong with it (a literal) */
const char *match_path_check(const char *pattern);

/** Bytes of pattern before its first special character. */
size_t match_literal_prefix(const char *pattern);

typedef int match_expand_fn(void *arg, const char *pattern);

/**
 * Call fn with each brace-free pattern that the alternatives of pattern stand for.
 *
 * @return 0, the first nonzero value that fn returned, or -E2BIG (over a limit: fn may have been
 *         called for some)
 */
int match_expand(const char *pattern, match_expand_fn *fn, void *arg);

/** What a brace-free path pattern says about all strings that begin with a prefix. */
enum match_reach {
	MATCH_NEVER, /**< no string that begins with the prefix matches */
	MATCH_SOME,  /**< some may match */
	MATCH_EVERY, /**< each one matches */
};

/** @param prefix  a directory with its trailing slash; only longer, canonical paths are meant */
enum match_reach match_below(const char *pattern, const char *prefix);

/**
 * Match a host pattern against a lower-case name or the text of an address: `*` is any host, a
 * leading `*.` or `**.` is one or more labels; elsewhere `*` and `?` stay within a label.
 */
bool match_host(const char *pattern, const char *host);
const char *match_host_check(const char *pattern);

/** A name glob ("git", "python3*") against a bare name. */
bool match_name(const char *pattern, const char *name);

/** First bits of a equal those of b. */
bool match_prefix(const uint8_t *a, const uint8_t *b, unsigned bits);

/** Private, loopback, link-local, CGNAT, metadata, multicast, or an IPv6 form that embeds one. */
bool match_is_private(uint8_t family, const uint8_t *addr);

/** Canonical text of an address of family 4 or 6; "" for another family. */
void match_addr_text(char out[MATCH_ADDR_TEXT], uint8_t family, const uint8_t *addr);

#endif
