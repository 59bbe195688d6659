/*
 * net_setup.h - make the sandbox's network: loopback, routes, nft rules, and the sockets in it
 *
 * A forked child joins the sandbox's user and network namespaces, does all of it in process (no
 * nft, no ip), hands the sockets back and exits. Sockets stay in the namespace they were made in:
 * what netgate accepts on them lives with the agent, what it dials lives with the host.
 * Source: setns(2), user_namespaces(7), network_namespaces(7)
 */
#ifndef NETGATE_NET_SETUP_H
#define NETGATE_NET_SETUP_H

#include <stdint.h>

#include "common/err.h"
#include "netgate/net_conf.h"

/** Descriptors made in the sandbox; order is that of the message that carries them. */
enum net_sock {
	NET_TCP4,      /**< listener for every redirected connection */
	NET_DNS_UDP4,
	NET_DNS_TCP4,
	NET_NFLOG,     /**< netlink: packets that the fence refused */
	NET_DIAG,      /**< netlink: sock_diag(7), whose socket is it */
	NET_TCP6,      /**< -1 from here on: the sandbox has no IPv6 */
	NET_DNS_UDP6,
	NET_DNS_TCP6,
	NET_SOCKS,
};

#define NET_NFLOG_GROUP 77

struct net_socks {
	int fd[NET_SOCKS]; /**< owned */
	uint16_t port4, port6; /**< of the TCP listeners */
};

/**
 * Set the namespace up.
 *
 * @param pidfd  of the sandbox's pid 1; borrowed
 * @param out    written on success only
 * @return 0, or -errno with e naming the step that failed
 */
int net_setup(struct net_socks *out, int pidfd, const struct net_conf *c, struct err *e);

void net_setup_close(struct net_socks *s);

#endif
