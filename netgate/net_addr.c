#include "netgate/net_addr.h"

#include <netinet/in.h> /* before the kernel's headers, which then leave these types alone */

#include <errno.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <string.h>

socklen_t net_addr_to_sockaddr(struct sockaddr_storage *out, const struct policy_addr *a,
			       uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memset(out, 0, sizeof(*out));
	if (a->family == 4) {
		memcpy(&sin.sin_addr, a->bytes, 4);
		memcpy(out, &sin, sizeof(sin));
		return sizeof(sin);
	}
	memcpy(&sin6.sin6_addr, a->bytes, 16);
	memcpy(out, &sin6, sizeof(sin6));
	return sizeof(sin6);
}

void net_addr_from_sockaddr(struct policy_addr *out, uint16_t *port,
			    const struct sockaddr_storage *ss)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;

	memset(out, 0, sizeof(*out));
	*port = 0;
	if (ss->ss_family == AF_INET) {
		memcpy(&sin, ss, sizeof(sin));
		out->family = 4;
		memcpy(out->bytes, &sin.sin_addr, 4);
		*port = ntohs(sin.sin_port);
	} else if (ss->ss_family == AF_INET6) {
		memcpy(&sin6, ss, sizeof(sin6));
		*port = ntohs(sin6.sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&sin6.sin6_addr)) {
			out->family = 4;
			memcpy(out->bytes, sin6.sin6_addr.s6_addr + 12, 4);
			return;
		}
		out->family = 6;
		memcpy(out->bytes, &sin6.sin6_addr, 16);
	}
}

int net_addr_original(struct policy_addr *out, uint16_t *port, int fd)
{
	struct sockaddr_storage local, ss;
	socklen_t len = sizeof(local), ss_len = sizeof(ss);
	int r;

	if (getsockname(fd, (struct sockaddr *)&local, &len) < 0)
		return -errno;
	if (local.ss_family == AF_INET)
		r = getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, &ss, &ss_len);
	else
		r = getsockopt(fd, SOL_IPV6, IP6T_SO_ORIGINAL_DST, &ss, &ss_len);
	if (r < 0)
		return -errno;
	net_addr_from_sockaddr(out, port, &ss);
	return out->family ? 0 : -EAFNOSUPPORT;
}
