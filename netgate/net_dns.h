/*
 * net_dns.h - the sandbox's DNS server: policy first, synthetic addresses, nothing leaks upstream
 *
 * A denied name is REFUSED without asking anybody. An allowed one gets its addresses of net_pool.h;
 * whether it exists is looked up only when a rule names it exactly, so that a wildcard rule is no
 * tunnel. Everything but A, AAAA and PTR has no data (which keeps ECH keys and HTTP/3 hints away).
 * Source: RFC 1035, RFC 7766 (TCP), RFC 8482 (ANY), RFC 6761 (localhost)
 */
#ifndef NETGATE_NET_DNS_H
#define NETGATE_NET_DNS_H

#include "common/auto.h"
#include "common/err.h"
#include "netgate/net.h"

struct net_dns;

/** Serve on the DNS sockets of n->socks from now on. */
int net_dns_new(struct net_dns **out, struct net *n, struct err *e);
void net_dns_free(struct net_dns *d);
AUTO_DEFINE(struct net_dns *, net_dns_free)

#endif
