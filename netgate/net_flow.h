/*
 * net_flow.h - the connections of the sandbox: accepted, understood, judged, dialled, relayed
 *
 * Shape: net_flows_new() listens; every accepted connection is a struct net_flow until it closes.
 * docs/NETGATE.md tells the states.
 */
#ifndef NETGATE_NET_FLOW_H
#define NETGATE_NET_FLOW_H

#include "common/auto.h"
#include "common/err.h"
#include "netgate/net.h"

struct net_flows;

/** Accept on the TCP listeners of n->socks from now on. */
int net_flows_new(struct net_flows **out, struct net *n, struct err *e);

/** Close every connection, with its record. */
void net_flows_free(struct net_flows *f);
AUTO_DEFINE(struct net_flows *, net_flows_free)

#endif
