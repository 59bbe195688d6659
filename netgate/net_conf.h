/*
 * net_conf.h - what the supervisor told this gate, checked
 */
#ifndef NETGATE_NET_CONF_H
#define NETGATE_NET_CONF_H

#include "common/gate.h"

struct net_conf {
	struct policy_addr own4; /**< of the sandbox's lo, where DNS and the listener are */
	struct policy_addr own6;
	char dns[512];		 /**< upstream servers, comma-separated; "": the host's resolv.conf */
};

/**
 * Read dns.N, resolver4 and resolver6 (defaults: 10.200.0.1, fd00:ffff::1).
 *
 * @return 0 or -EINVAL with e set
 */
int net_conf_read(struct net_conf *c, const struct gate *g, struct err *e);

#endif
