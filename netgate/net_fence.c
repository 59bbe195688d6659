#include "netgate/net_fence.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/auto.h"
#include "common/log.h"

#define PER_WAKE 64 /* packets handled before other work gets its turn */

static const char *proto_name(uint8_t proto)
{
	static const struct {
		uint8_t proto;
		char name[10];
	} names[] = {{IPPROTO_UDP, "udp"},	 {IPPROTO_TCP, "tcp"},	 {IPPROTO_ICMP, "icmp"},
		     {IPPROTO_ICMPV6, "icmpv6"}, {IPPROTO_SCTP, "sctp"}, {IPPROTO_DCCP, "dccp"},
		     {IPPROTO_UDPLITE, "udplite"}, {IPPROTO_IGMP, "igmp"}, {IPPROTO_RAW, "raw"}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].proto == proto)
			return names[i].name;
	return "ip";
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_UDP || proto == IPPROTO_TCP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;
}

int net_fence_parse(struct net_packet *out, struct policy_addr *src, uint16_t *src_port,
		    const uint8_t *buf, size_t len)
{
	bool is4 = len >= 20 && buf[0] >> 4 == 4;
	bool is6 = len >= 40 && buf[0] >> 4 == 6;
	size_t header = is4 ? (size_t)(buf[0] & 15) * 4 : 40;
	uint8_t proto;

	memset(out, 0, sizeof(*out));
	memset(src, 0, sizeof(*src));
	*src_port = 0;
	out->uid = UINT32_MAX;
	if (!is4 && !is6)
		return -EBADMSG;
	proto = is4 ? buf[9] : buf[6];
	out->proto = proto_name(proto);
	out->addr.family = src->family = is4 ? 4 : 6;
	memcpy(src->bytes, buf + (is4 ? 12 : 8), is4 ? 4 : 16);
	memcpy(out->addr.bytes, buf + (is4 ? 16 : 24), is4 ? 4 : 16);
	if (has_ports(proto) && header >= 20 && len >= header + 4) {
		*src_port = (uint16_t)(buf[header] << 8 | buf[header + 1]);
		out->port = (uint16_t)(buf[header + 2] << 8 | buf[header + 3]);
	}
	return 0;
}

static void tell(struct net *n, const uint8_t *packet, size_t len, uint32_t uid)
{
	struct net_owner owner = {0};
	struct net_owner_socket s = {.proto = NET_UDP};
	struct net_packet p;

	if (net_fence_parse(&p, &s.local, &s.local_port, packet, len) < 0)
		return;
	p.uid = uid;
	s.remote = p.addr;
	s.remote_port = p.port;
	if (strcmp(p.proto, "udp") == 0)
		net_owner_find(&owner, &n->owners, &s);
	/* the packet is refused already: a record that cannot be written changes nothing */
	if (net_record_packet(n, &p, &owner) < 0)
		log_warn("a refused packet could not be recorded");
}

static int on_message(const struct nlmsghdr *h, void *arg)
{
	const uint8_t *packet = NULL;
	uint32_t uid = UINT32_MAX;
	const struct nlattr *a;
	size_t len = 0;

	if (h->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFULA_PAYLOAD) {
			packet = mnl_attr_get_payload(a);
			len = mnl_attr_get_payload_len(a);
		} else if (mnl_attr_get_type(a) == NFULA_UID &&
			   mnl_attr_get_payload_len(a) == sizeof(uint32_t)) {
			uid = ntohl(mnl_attr_get_u32(a));
		}
	}
	if (packet)
		tell(arg, packet, len, uid);
	return MNL_CB_OK;
}

static void on_log(struct loop_io *io, uint32_t events)
{
	struct net_fence *f = container_of(io, struct net_fence, io);
	char buf[8192];

	(void)events;
	for (unsigned i = 0; i < PER_WAKE; i++) {
		ssize_t len = recv(io->fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (len <= 0)
			return; /* nothing more; ENOBUFS: some were dropped, which the rate limit does too */
		mnl_cb_run(buf, (size_t)len, 0, 0, on_message, f->net);
	}
}

int net_fence_watch(struct net_fence *f, struct net *n)
{
	memset(f, 0, sizeof(*f));
	f->net = n;
	return loop_io_add(n->loop, &f->io, n->socks.fd[NET_NFLOG], EPOLLIN, on_log);
}
