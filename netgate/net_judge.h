/*
 * net_judge.h - ask the policy about a connection, and keep the answer with its reason
 */
#ifndef NETGATE_NET_JUDGE_H
#define NETGATE_NET_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "netgate/net.h"

/** What is asked; strings are borrowed and may be NULL as in struct policy_request. */
struct net_question {
	const char *host;
	struct policy_addr addr;
	uint16_t port;
	enum net_proto proto;
	const char *method;
	const char *path;
};

/** An answer. Zeroed it denies. */
struct net_ruling {
	struct decision d;
	const char *reason;  /**< literal machine code beside the rule ("host_mismatch"), or "" */
	char message[400];   /**< for the agent; "" when allowed */
};

void net_judge(struct net_ruling *out, const struct net *n, const struct net_question *q);

/** May a connection to this name exist at all (the DNS server's question)? */
void net_judge_name(struct net_ruling *out, const struct net *n, const char *host);

/**
 * Turn a ruling into a denial that netgate itself makes; rule stays the policy's.
 *
 * @param reason   literal
 * @param message  for the agent
 */
void net_judge_deny(struct net_ruling *r, const char *reason, const char *message);

/** allow or audit: goes on without anybody being asked. */
bool net_judge_is_allowed(const struct net_ruling *r);

#endif
