/*
 * net_link.h - lo up, its extra addresses, and default routes that lead nowhere but to lo
 *
 * Works on the network namespace of the caller. Source: rtnetlink(7), libnl-route.
 */
#ifndef NETGATE_NET_LINK_H
#define NETGATE_NET_LINK_H

#include <stdbool.h>

#include "common/err.h"
#include "netgate/net_conf.h"

/**
 * @param has6  written: false when the kernel has no IPv6 here (the fence then drops it all)
 * @return 0, or -errno with e naming the step
 */
int net_link_setup(bool *has6, const struct net_conf *c, struct err *e);

#endif
