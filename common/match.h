/*
 * match.h - path globs, host patterns and address prefixes
 *
 * Pure:    no I/O, no allocation, no clock
 * Source:  docs/POLICY.md, "Matching"
 * Cost:    globs are linear in practice, with a bound on backtracking; a pattern over its bound
 *          does not match (the loader refuses patterns that could exceed it)
 */
#ifndef COMMON_MATCH_H
#define COMMON_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** `*` within a component, `**` across, `?`, `[a-z]`, `[!a]`, `{a,b}`, `\` escapes; byte exact. */
bool match_path(const char *pattern, const char *path);

/** Is the pattern well formed? @return NULL, or what is wrong with it (a literal) */
const char *match_path_check(const char *pattern);

/** Bytes of pattern before its first special character. */
size_t match_literal_prefix(const char *pattern);

/** Host pattern against a lower-case name: `*`, leading `*.` or `**.`, `?`, `{a,b}`. */
bool match_host(const char *pattern, const char *host);
const char *match_host_check(const char *pattern);

/** A name glob ("git", "python3*") against a bare name. */
bool match_name(const char *pattern, const char *name);

/** First bits of a equal those of b. */
bool match_prefix(const uint8_t *a, const uint8_t *b, unsigned bits);

/** Private, loopback, link-local, CGNAT, metadata, multicast, or an IPv6 form that embeds one. */
bool match_is_private(uint8_t family, const uint8_t *addr);

#endif
