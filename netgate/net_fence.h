/*
 * net_fence.h - tell of the packets that the fence refused (NFLOG)
 */
#ifndef NETGATE_NET_FENCE_H
#define NETGATE_NET_FENCE_H

#include <stddef.h>

#include "netgate/net.h"
#include "netgate/net_record.h"

struct net_fence {
	struct loop_io io;
	struct net *net;
};

/** Read the log socket from now on. @return 0 or -errno */
int net_fence_watch(struct net_fence *f, struct net *n);

/**
 * What an IPv4 or IPv6 packet is.
 *
 * Pure. @param src, src_port  written too; the port is 0 where the protocol has none
 * @return 0, or -EBADMSG when the bytes are not such a packet
 */
int net_fence_parse(struct net_packet *out, struct policy_addr *src, uint16_t *src_port,
		    const uint8_t *buf, size_t len);

#endif
