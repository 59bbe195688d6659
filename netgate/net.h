/*
 * net.h - what the parts of netgate share: one session, one loop
 */
#ifndef NETGATE_NET_H
#define NETGATE_NET_H

#include "common/gate.h"
#include "common/loop.h"
#include "netgate/net_conf.h"
#include "netgate/net_owner.h"
#include "netgate/net_pool.h"
#include "netgate/net_resolve.h"
#include "netgate/net_setup.h"

struct net {
	struct gate *gate; /**< borrowed */
	struct loop *loop; /**< borrowed */
	struct net_conf conf;
	struct net_socks socks;	       /**< owned */
	struct net_pool *pool;	       /**< owned */
	struct net_resolver *resolver; /**< owned */
	struct net_owner_finder owners;
};

#endif
