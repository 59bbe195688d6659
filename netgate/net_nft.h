/*
 * net_nft.h - the fence: one nft table in the sandbox's network namespace
 *
 * nat output:    loopback and own addresses stay; port 53 goes to the stub resolver, every other
 *                TCP connection to the listener, both on the own address of its family
 * filter output: policy drop; established, loopback and own addresses pass; the rest is logged
 *                (NFLOG, rate-limited) and rejected, so that a sender learns it at once
 * Source:        libnftnl, nft(8)
 */
#ifndef NETGATE_NET_NFT_H
#define NETGATE_NET_NFT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "netgate/net_conf.h"

struct net_nft_args {
	const struct net_conf *conf;
	uint16_t port4, port6; /**< of the listeners; port6 is 0 without IPv6: all of it is refused */
	uint16_t log_group;
};

/** Load the table, all or nothing. @return 0, or -errno with e set */
int net_nft_load(const struct net_nft_args *a, struct err *e);

/**
 * Open the receiving end of an NFLOG group.
 *
 * @return a non-blocking NETLINK_NETFILTER socket, the caller's, or -errno with e set
 */
int net_nft_open_log(uint16_t group, struct err *e);

#endif
