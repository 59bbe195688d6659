#include "netgate/net_link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <unistd.h>

#include "common/auto.h"
#include "netgate/net_name.h"

#define LO_INDEX 1 /* the kernel gives every network namespace its lo first */

AUTO_DEFINE(struct nl_sock *, nl_socket_free)
AUTO_DEFINE(struct nl_addr *, nl_addr_put)
AUTO_DEFINE(struct rtnl_link *, rtnl_link_put)
AUTO_DEFINE(struct rtnl_addr *, rtnl_addr_put)
AUTO_DEFINE(struct rtnl_route *, rtnl_route_put)

/* libnl has its own error numbers; these are the ones that tell something here */
static int to_errno(int nl)
{
	static const struct {
		int nl, code;
	} map[] = {{NLE_EXIST, EEXIST}, {NLE_PERM, EPERM},	 {NLE_NOMEM, ENOMEM},
		   {NLE_NOACCESS, EACCES}, {NLE_OPNOTSUPP, EOPNOTSUPP}, {NLE_AF_NOSUPPORT, EAFNOSUPPORT},
		   {NLE_NODEV, ENODEV}, {NLE_INVAL, EINVAL}};

	if (nl < 0)
		nl = -nl;
	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (map[i].nl == nl)
			return map[i].code;
	return EIO;
}

static int set_up(struct nl_sock *sk, struct err *e)
{
	AUTO(rtnl_link_put) struct rtnl_link *lo = rtnl_link_alloc();
	AUTO(rtnl_link_put) struct rtnl_link *change = rtnl_link_alloc();
	int r;

	if (!lo || !change)
		return err_set(e, ENOMEM, "bring lo up");
	rtnl_link_set_ifindex(lo, LO_INDEX);
	rtnl_link_set_flags(change, IFF_UP);
	r = rtnl_link_change(sk, lo, change, 0);
	return r < 0 ? err_set(e, to_errno(r), "bring lo up") : 0;
}

static struct nl_addr *to_nl(const struct policy_addr *a)
{
	return a->family == 4 ? nl_addr_build(AF_INET, a->bytes, 4)
			      : nl_addr_build(AF_INET6, a->bytes, 16);
}

static int add_addr(struct nl_sock *sk, const struct policy_addr *a)
{
	AUTO(rtnl_addr_put) struct rtnl_addr *addr = rtnl_addr_alloc();
	AUTO(nl_addr_put) struct nl_addr *local = to_nl(a);
	int r;

	if (!addr || !local)
		return -ENOMEM;
	rtnl_addr_set_ifindex(addr, LO_INDEX);
	r = rtnl_addr_set_local(addr, local);
	if (r == 0 && a->family == 6)
		rtnl_addr_set_flags(addr, IFA_F_NODAD);
	if (r == 0)
		r = rtnl_addr_add(sk, addr, NLM_F_REPLACE);
	return r < 0 ? -to_errno(r) : 0;
}

static int add_default_route(struct nl_sock *sk, const struct policy_addr *src)
{
	struct policy_addr zero = {.family = src->family};
	AUTO(rtnl_route_put) struct rtnl_route *route = rtnl_route_alloc();
	AUTO(nl_addr_put) struct nl_addr *from = to_nl(src);
	AUTO(nl_addr_put) struct nl_addr *any = to_nl(&zero);
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	int r;

	if (!route || !from || !any || !hop) {
		if (hop)
			rtnl_route_nh_free(hop);
		return -ENOMEM;
	}
	nl_addr_set_prefixlen(any, 0);
	rtnl_route_nh_set_ifindex(hop, LO_INDEX);
	rtnl_route_add_nexthop(route, hop); /* takes hop over */
	rtnl_route_set_family(route, src->family == 4 ? AF_INET : AF_INET6);
	rtnl_route_set_scope(route, src->family == 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
	rtnl_route_set_dst(route, any);
	r = rtnl_route_set_pref_src(route, from);
	if (r == 0)
		r = rtnl_route_add(sk, route, NLM_F_REPLACE);
	return r < 0 ? -to_errno(r) : 0;
}

/* A host may switch IPv6 off for new namespaces; in this one it is ours to switch on. */
static void enable_ipv6(void)
{
	autoclose int fd = open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "0", 1) < 0)
		return; /* then adding the address fails, which is handled */
}

int net_link_setup(bool *has6, const struct net_conf *c, struct err *e)
{
	AUTO(nl_socket_free) struct nl_sock *sk = nl_socket_alloc();
	int r;

	*has6 = false;
	if (!sk)
		return err_set(e, ENOMEM, "rtnetlink");
	r = nl_connect(sk, NETLINK_ROUTE);
	if (r < 0)
		return err_set(e, to_errno(r), "rtnetlink");
	r = set_up(sk, e);
	if (r < 0)
		return r;
	r = add_addr(sk, &c->own4);
	if (r < 0)
		return err_set(e, -r, "give lo its IPv4 address");
	r = add_default_route(sk, &c->own4);
	if (r < 0)
		return err_set(e, -r, "IPv4 default route over lo");
	r = add_addr(sk, &c->own6);
	if (r < 0) {
		enable_ipv6();
		r = add_addr(sk, &c->own6);
	}
	if (r == 0) {
		r = add_default_route(sk, &c->own6);
		if (r < 0)
			return err_set(e, -r, "IPv6 default route over lo");
		*has6 = true;
	}
	return 0;
}
