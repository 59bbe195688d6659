/*
 * net_owner.h - which process of the sandbox has a socket
 *
 * sock_diag(7), asked inside the sandbox's network namespace, gives the inode; the sandbox's
 * processes are the tree below its pid 1, and one of their descriptors is that inode. All of it is
 * bounded; an answer that cannot be had is "unknown", never a guess.
 */
#ifndef NETGATE_NET_OWNER_H
#define NETGATE_NET_OWNER_H

#include <stdint.h>
#include <sys/types.h>

#include "common/policy.h"

#define NET_COMM_SIZE 16

struct net_owner {
	int64_t pid; /**< in the initial pid namespace; 0: unknown */
	char comm[NET_COMM_SIZE + 1];
};

struct net_owner_finder {
	int diag;	/**< NETLINK_SOCK_DIAG made in the sandbox; borrowed */
	pid_t init_pid; /**< the sandbox's pid 1; 0: gone */
	struct {
		pid_t pid;
		unsigned fd;
	} recent[8]; /**< where the last sockets were found: looked at first */
	unsigned next_recent;
	uint32_t seq;
};

/** The two ends of a socket as the agent sees them. */
struct net_owner_socket {
	enum net_proto proto;
	struct policy_addr local, remote; /**< remote may be any address for UDP */
	uint16_t local_port, remote_port;
};

/** @param pidfd  of the sandbox's pid 1; borrowed, read once */
void net_owner_init(struct net_owner_finder *f, int diag, int pidfd);

/** @param out  always written */
void net_owner_find(struct net_owner *out, struct net_owner_finder *f,
		    const struct net_owner_socket *s);

#endif
