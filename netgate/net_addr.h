/*
 * net_addr.h - socket addresses to and from the policy's form
 */
#ifndef NETGATE_NET_ADDR_H
#define NETGATE_NET_ADDR_H

#include <stdint.h>
#include <sys/socket.h>

#include "common/policy.h"

/** @return length of the address written */
socklen_t net_addr_to_sockaddr(struct sockaddr_storage *out, const struct policy_addr *a,
			       uint16_t port);

/** A v4-mapped IPv6 address becomes family 4; an unknown family becomes 0. */
void net_addr_from_sockaddr(struct policy_addr *out, uint16_t *port,
			    const struct sockaddr_storage *ss);

/** Where the peer of an accepted, redirected connection wanted to go. @return 0 or -errno */
int net_addr_original(struct policy_addr *out, uint16_t *port, int fd);

#endif
