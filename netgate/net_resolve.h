/*
 * net_resolve.h - names to addresses, from the host's point of view, through c-ares on the loop
 *
 * Upstream: the servers given, else those of the host's resolv.conf; the host's /etc/hosts first.
 * Cache:    answers for their TTL clamped to 5..300 s, absence for 5 s, failure not at all.
 */
#ifndef NETGATE_NET_RESOLVE_H
#define NETGATE_NET_RESOLVE_H

#include <stdint.h>

#include "common/auto.h"
#include "common/err.h"
#include "common/loop.h"
#include "common/policy.h"

#define NET_ADDRS_MAX 16u

struct net_addrs {
	unsigned n;
	struct policy_addr v[NET_ADDRS_MAX]; /**< in the order of the answer, families interleaved */
};

enum net_resolve_status {
	NET_RESOLVED,	   /**< at least one address */
	NET_NO_ADDRESS,	   /**< the name exists without addresses */
	NET_NO_NAME,	   /**< NXDOMAIN */
	NET_RESOLVE_FAILED, /**< no answer, or a bad one */
};

struct net_resolver;
struct net_resolve;

/** @param addrs  borrowed during the call; n is 0 unless NET_RESOLVED */
typedef void net_resolve_fn(struct net_resolve *q, enum net_resolve_status status,
			    const struct net_addrs *addrs);

/** A question, embedded in its owner; zeroed is "nothing asked". */
struct net_resolve {
	net_resolve_fn *fn;
	struct net_resolve *next;
	struct net_lookup *lookup;
};

/** @param servers  "ADDR:PORT,..."; "" for the host's */
int net_resolver_new(struct net_resolver **out, struct loop *l, const char *servers, struct err *e);
void net_resolver_free(struct net_resolver *r);
AUTO_DEFINE(struct net_resolver *, net_resolver_free)

/**
 * Ask. fn is called exactly once, possibly before this returns, unless net_resolve_cancel() came
 * first. Equal questions under way are merged.
 */
void net_resolve(struct net_resolver *r, struct net_resolve *q, const char *name,
		 net_resolve_fn *fn);
void net_resolve_cancel(struct net_resolve *q);

#endif
