/*
 * net_name.h - the one grammar of host names: what DNS, SNI, Host and the dial all agree on
 *
 * Pure:    no I/O, no allocation, no clock
 * Source:  RFC 1123 2.1, RFC 952, plus "_" as in service names; RFC 3696 2 (no all-numeric TLD);
 *          internationalised names arrive as A-labels (RFC 5890)
 */
#ifndef NETGATE_NET_NAME_H
#define NETGATE_NET_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/policy.h"

#define NET_NAME_SIZE 256 /**< bytes for any name with its NUL */

/**
 * Normalise a host name: lower case, one trailing dot dropped.
 *
 * Text that some resolver would read as an address ("127.1", "0x7f.1") is not a name.
 *
 * @param out  NET_NAME_SIZE bytes; written on success only
 * @return true when text is a well-formed name
 */
bool net_name_normalise(char *out, const char *text, size_t len);

/** Parse "1.2.3.4" or "2001:db8::1" (no brackets, no zone), strictly. */
bool net_name_to_addr(struct policy_addr *out, const char *text, size_t len);

/** True for localhost and everything below it (RFC 6761 6.3). */
bool net_name_is_localhost(const char *name);

#define NET_ADDR_TEXT 48

/** Text of an address; "" for family 0. @param out  NET_ADDR_TEXT bytes */
void net_name_of_addr(char *out, const struct policy_addr *a);

bool net_name_same_addr(const struct policy_addr *a, const struct policy_addr *b);

#endif
