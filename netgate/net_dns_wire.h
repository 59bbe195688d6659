/*
 * net_dns_wire.h - DNS messages as the sandbox's stub server needs them: one question in, one answer out
 *
 * Pure:    no I/O, no allocation, no logging, no clock
 * Source:  RFC 1035 4 (messages), RFC 6891 (EDNS), RFC 9619 (one question), RFC 2308 (NODATA)
 */
#ifndef NETGATE_NET_DNS_WIRE_H
#define NETGATE_NET_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netgate/net_name.h"

#define DNS_MESSAGE_MAX 4096u /**< a longer query is not read */
#define DNS_ANSWER_MAX 1024u  /**< every answer fits */

enum dns_type {
	DNS_A = 1,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_OPT = 41,
	DNS_IXFR = 251,
	DNS_AXFR = 252,
	DNS_MAILB = 253,
	DNS_MAILA = 254,
	DNS_ANY = 255,
};

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
};

struct dns_query {
	uint16_t id;
	bool rd;	       /**< recursion desired, echoed */
	bool edns;	       /**< the query carried OPT: so does the answer */
	uint16_t type;
	size_t question_len;   /**< bytes of `question`; 0: none could be read */
	uint8_t question[260]; /**< as sent, so that the letter case comes back */
	bool has_name;	       /**< name is a host name, or a PTR name */
	char name[NET_NAME_SIZE];
};

/**
 * Parse a query.
 *
 * @param q  always written; enough of it for dns_wire_answer() unless -EBADMSG
 * @return an enum dns_rcode: DNS_NOERROR to go on, or the error to answer with;
 *         -EBADMSG when no answer must be sent (too short, or itself a response)
 */
int net_dns_wire_parse(struct dns_query *q, const uint8_t *msg, size_t len);

/** The address in a reverse name ("1.0.18.198.in-addr.arpa"). */
bool net_dns_wire_reverse(struct policy_addr *out, const char *name);

struct dns_answer {
	enum dns_rcode rcode;
	bool has_addr;	       /**< one A or AAAA record with addr */
	struct policy_addr addr;
	const char *ptr;       /**< one PTR record with this name, or NULL; borrowed */
	uint32_t ttl_s;
};

/** Write an answer. @param out  DNS_ANSWER_MAX bytes @return bytes written */
size_t net_dns_wire_answer(uint8_t *out, const struct dns_query *q, const struct dns_answer *a);

/** "A", "AAAA", ...; "TYPE123" otherwise. @param buf  16 bytes */
const char *net_dns_wire_type(char *buf, uint16_t type);

#endif
