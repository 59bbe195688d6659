/*
 * net_pool.h - a synthetic address for every name that was answered, for the session's life
 *
 * A connection to one of these addresses names its host exactly. The n-th name gets
 * 198.18.0.0 + n (RFC 2544's range, never routed) and fd00:ffff:1:: + n; none is ever given again.
 */
#ifndef NETGATE_NET_POOL_H
#define NETGATE_NET_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/auto.h"
#include "common/policy.h"

#define NET_POOL_MAX 131070u /**< names: 198.18.0.0/15 without its first and last address */

struct net_pool;

int net_pool_new(struct net_pool **out, uint32_t max_names);
void net_pool_free(struct net_pool *p);
AUTO_DEFINE(struct net_pool *, net_pool_free)

/**
 * The index of a name, given on first use.
 *
 * @param name  normalised
 * @return 1.., or -ENOSPC (table full) or -ENOMEM
 */
int net_pool_get(struct net_pool *p, const char *name);

struct policy_addr net_pool_addr(uint8_t family, uint32_t index);

/** Does the address lie in one of the two ranges, given or not? */
bool net_pool_contains(const struct policy_addr *a);

/** The name an address was given to; NULL when it was not. Borrowed, for the pool's life. */
const char *net_pool_name(const struct net_pool *p, const struct policy_addr *a);

#endif
