/*
 * net_record.h - the audit records of netgate (the event view, gate "net")
 *
 * Every function returns 0 or a negative errno; then what was to be recorded must not happen.
 * NET_RECORD_LEFT_OUT says that the policy (audit.log_allowed, audit.log_denied, a rule's log: none)
 * wants no such record.
 */
#ifndef NETGATE_NET_RECORD_H
#define NETGATE_NET_RECORD_H

#include <stdint.h>

#include "netgate/net.h"
#include "netgate/net_judge.h"

#define NET_RECORD_LEFT_OUT 1

/** What is known of a connection; strings are borrowed, "" or NULL when unknown. */
struct net_facts {
	uint64_t flow;	     /**< number of the connection in this session */
	const char *proto;   /**< "tls", "http", "tcp" */
	const char *host;    /**< normalised name; NULL for an IP literal */
	struct policy_addr addr; /**< about to be dialled; else what the agent dialled */
	uint16_t port;
	const char *sni, *alpn;
	const char *claimed; /**< Host of a request to a literal address: a claim, not a fact */
	const char *method, *path; /**< path without its query: secrets live there */
	bool has_ech;
	const char *to; /**< where a redirect leads */
	const struct net_owner *owner;
};

/** How a held request was answered; an empty approver: it was not held. */
struct net_approval {
	uint32_t id; /**< 0: nobody could be asked */
	char approver[64];
	uint64_t waited_ms;
};

/**
 * A decision about a connection or a request on it.
 *
 * @param op        "connect" or "request"
 * @param decision  what is about to be done: "allow", "deny", "redirect"
 * @param approval  NULL when nobody was asked
 */
int net_record_decision(const struct net *n, const char *op, const char *decision,
			const struct net_ruling *r, const struct net_facts *f,
			const struct net_approval *approval);

struct net_totals {
	uint64_t bytes_in;  /**< towards the agent */
	uint64_t bytes_out;
	uint64_t duration_ms;
	int error; /**< errno that ended it; 0: an orderly end */
};

int net_record_close(const struct net *n, const struct net_facts *f, const struct net_totals *t);

/** A name that was asked for. @param repeated  equal refusals since the last record of this kind */
int net_record_dns(const struct net *n, const char *decision, const struct net_ruling *r,
		   const char *name, const char *type, uint64_t repeated,
		   const struct net_owner *owner);

/** A packet that the fence refused. */
struct net_packet {
	const char *proto; /**< "udp", "icmp", ... */
	struct policy_addr addr;
	uint16_t port; /**< 0: the protocol has none */
	uint32_t uid;  /**< UINT32_MAX: unknown */
};

int net_record_packet(const struct net *n, const struct net_packet *p,
		      const struct net_owner *owner);

#endif
