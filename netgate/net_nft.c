/*
 * Theory: a rule is a list of expressions over registers. `rule_*` helpers append one match or
 * action each; tables below say what the rules are. Everything goes in one netlink batch, which
 * the kernel commits as a whole.
 */
#include "netgate/net_nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netfilter_ipv4.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "common/auto.h"

#define TABLE "agentsh"
#define NAT_CHAIN "redirect"
#define FILTER_CHAIN "fence"
#define BUFFER_SIZE 65536u
#define LOG_PER_SECOND 20
#define LOG_BURST 40
#define LOG_SNAPLEN 128

AUTO_DEFINE(struct mnl_socket *, mnl_socket_close)
AUTO_DEFINE(struct nftnl_table *, nftnl_table_free)
AUTO_DEFINE(struct nftnl_chain *, nftnl_chain_free)
AUTO_DEFINE(struct nftnl_rule *, nftnl_rule_free)

struct batch {
	struct mnl_nlmsg_batch *b;
	uint32_t seq;
	unsigned n_acks;
	bool failed; /* out of memory */
};

/* ---- expressions ---- */

static struct nftnl_expr *add_expr(struct batch *b, struct nftnl_rule *r, const char *name)
{
	struct nftnl_expr *x = r ? nftnl_expr_alloc(name) : NULL;

	if (!x) {
		b->failed = true;
		return NULL;
	}
	nftnl_rule_add_expr(r, x);
	return x;
}

static void rule_cmp(struct batch *b, struct nftnl_rule *r, uint32_t op, const void *data,
		     uint32_t len)
{
	struct nftnl_expr *x = add_expr(b, r, "cmp");

	if (!x)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(x, NFTNL_EXPR_CMP_DATA, data, len);
}

static void rule_meta(struct batch *b, struct nftnl_rule *r, uint32_t key, uint8_t value)
{
	struct nftnl_expr *x = add_expr(b, r, "meta");

	if (!x)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(x, NFTNL_EXPR_META_DREG, NFT_REG_1);
	rule_cmp(b, r, NFT_CMP_EQ, &value, sizeof(value));
}

static void rule_payload(struct batch *b, struct nftnl_rule *r, uint32_t base, uint32_t offset,
			 uint32_t len)
{
	struct nftnl_expr *x = add_expr(b, r, "payload");

	if (!x)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
}

/* reg1 & mask, and the result must (op) be value */
static void rule_masked(struct batch *b, struct nftnl_rule *r, uint32_t op, const void *mask,
			const void *value, uint32_t len)
{
	static const uint8_t zero[16];
	struct nftnl_expr *x = add_expr(b, r, "bitwise");

	if (!x)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_LEN, len);
	nftnl_expr_set(x, NFTNL_EXPR_BITWISE_MASK, mask, len);
	nftnl_expr_set(x, NFTNL_EXPR_BITWISE_XOR, zero, len);
	rule_cmp(b, r, op, value, len);
}

/* Destination within addr/bits; matches packets of that family only. */
static void rule_dst(struct batch *b, struct nftnl_rule *r, const struct policy_addr *a,
		     unsigned bits)
{
	uint32_t len = a->family == 4 ? 4 : 16;
	uint8_t mask[16] = {0};

	rule_meta(b, r, NFT_META_NFPROTO, a->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
	rule_payload(b, r, NFT_PAYLOAD_NETWORK_HEADER, a->family == 4 ? 16 : 24, len);
	if (bits == len * 8) {
		rule_cmp(b, r, NFT_CMP_EQ, a->bytes, len);
		return;
	}
	for (unsigned i = 0; i < bits; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	rule_masked(b, r, NFT_CMP_EQ, mask, a->bytes, len);
}

static void rule_verdict(struct batch *b, struct nftnl_rule *r, uint32_t verdict)
{
	struct nftnl_expr *x = add_expr(b, r, "immediate");

	if (!x)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_VERDICT, verdict);
}

static void rule_load(struct batch *b, struct nftnl_rule *r, uint32_t reg, const void *data,
		      uint32_t len)
{
	struct nftnl_expr *x = add_expr(b, r, "immediate");

	if (!x)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, reg);
	nftnl_expr_set(x, NFTNL_EXPR_IMM_DATA, data, len);
}

static void rule_dnat(struct batch *b, struct nftnl_rule *r, const struct policy_addr *to,
		      uint16_t port)
{
	uint16_t be = htons(port);
	struct nftnl_expr *x;

	rule_load(b, r, NFT_REG_1, to->bytes, to->family == 4 ? 4 : 16);
	rule_load(b, r, NFT_REG_2, &be, sizeof(be));
	x = add_expr(b, r, "nat");
	if (!x)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_FAMILY,
			   to->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_REG_PROTO_MIN, NFT_REG_2);
}

/* ---- messages ---- */

static struct nlmsghdr *begin(struct batch *b, uint16_t type, uint16_t flags)
{
	b->n_acks++;
	return nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(b->b), type, NFPROTO_INET,
				     flags | NLM_F_ACK | NLM_F_CREATE, b->seq++);
}

static struct nftnl_rule *new_rule(struct batch *b, const char *chain)
{
	struct nftnl_rule *r = nftnl_rule_alloc();

	if (!r) {
		b->failed = true;
		return NULL;
	}
	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, TABLE);
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, chain);
	nftnl_rule_set_u32(r, NFTNL_RULE_FAMILY, NFPROTO_INET);
	return r;
}

static void put_rule(struct batch *b, const struct nftnl_rule *r)
{
	if (b->failed)
		return;
	nftnl_rule_nlmsg_build_payload(begin(b, NFT_MSG_NEWRULE, NLM_F_APPEND), (void *)(uintptr_t)r);
	if (!mnl_nlmsg_batch_next(b->b))
		b->failed = true; /* the buffer is full: cannot happen with this few rules */
}

static void put_table(struct batch *b)
{
	AUTO(nftnl_table_free) struct nftnl_table *t = nftnl_table_alloc();

	if (!t) {
		b->failed = true;
		return;
	}
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, TABLE);
	nftnl_table_set_u32(t, NFTNL_TABLE_FAMILY, NFPROTO_INET);
	nftnl_table_nlmsg_build_payload(begin(b, NFT_MSG_NEWTABLE, NLM_F_EXCL), t);
	mnl_nlmsg_batch_next(b->b);
}

static void put_chain(struct batch *b, const char *name, const char *type, int32_t prio,
		      uint32_t policy)
{
	AUTO(nftnl_chain_free) struct nftnl_chain *c = nftnl_chain_alloc();

	if (!c) {
		b->failed = true;
		return;
	}
	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, TABLE);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, name);
	nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, type);
	nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, NF_INET_LOCAL_OUT);
	nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, prio);
	nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, policy);
	nftnl_chain_nlmsg_build_payload(begin(b, NFT_MSG_NEWCHAIN, 0), c);
	mnl_nlmsg_batch_next(b->b);
}

/* ---- the rules ---- */

/* What is the namespace's own: loopback and the own addresses. */
static void put_own(struct batch *b, const struct net_nft_args *a, const char *chain,
		    uint32_t verdict)
{
	const struct {
		struct policy_addr addr;
		unsigned bits;
	} own[] = {
		{{4, {127}}, 8},
		{a->conf->own4, 32},
		{{6, {[15] = 1}}, 128},
		{a->conf->own6, 128},
	};

	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		AUTO(nftnl_rule_free) struct nftnl_rule *r = new_rule(b, chain);

		rule_dst(b, r, &own[i].addr, own[i].bits);
		rule_verdict(b, r, verdict);
		put_rule(b, r);
	}
}

static void put_redirect(struct batch *b, const struct policy_addr *to, uint8_t l4proto,
			 uint16_t dport, uint16_t to_port)
{
	AUTO(nftnl_rule_free) struct nftnl_rule *r = new_rule(b, NAT_CHAIN);
	uint16_t be = htons(dport);

	rule_meta(b, r, NFT_META_NFPROTO, to->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
	rule_meta(b, r, NFT_META_L4PROTO, l4proto);
	if (dport) {
		rule_payload(b, r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
		rule_cmp(b, r, NFT_CMP_EQ, &be, sizeof(be));
	}
	rule_dnat(b, r, to, to_port);
	put_rule(b, r);
}

static void put_redirects(struct batch *b, const struct policy_addr *to, uint16_t port)
{
	put_redirect(b, to, IPPROTO_UDP, 53, 53);
	put_redirect(b, to, IPPROTO_TCP, 53, 53);
	put_redirect(b, to, IPPROTO_TCP, 0, port);
}

static void put_established(struct batch *b)
{
	AUTO(nftnl_rule_free) struct nftnl_rule *r = new_rule(b, FILTER_CHAIN);
	uint32_t mask = NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED);
	uint32_t zero = 0;
	struct nftnl_expr *x = add_expr(b, r, "ct");

	if (!x)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_CT_KEY, NFT_CT_STATE);
	nftnl_expr_set_u32(x, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	rule_masked(b, r, NFT_CMP_NEQ, &mask, &zero, sizeof(mask));
	rule_verdict(b, r, NF_ACCEPT);
	put_rule(b, r);
}

static void put_log(struct batch *b, uint16_t group)
{
	AUTO(nftnl_rule_free) struct nftnl_rule *r = new_rule(b, FILTER_CHAIN);
	struct nftnl_expr *limit = add_expr(b, r, "limit");
	struct nftnl_expr *log = add_expr(b, r, "log");

	if (!limit || !log)
		return;
	nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, LOG_PER_SECOND);
	nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, 1);
	nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, LOG_BURST);
	nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_expr_set_u16(log, NFTNL_EXPR_LOG_GROUP, group);
	nftnl_expr_set_u32(log, NFTNL_EXPR_LOG_SNAPLEN, LOG_SNAPLEN);
	nftnl_expr_set_u16(log, NFTNL_EXPR_LOG_QTHRESHOLD, 1);
	put_rule(b, r);
}

static void put_reject(struct batch *b)
{
	AUTO(nftnl_rule_free) struct nftnl_rule *r = new_rule(b, FILTER_CHAIN);
	struct nftnl_expr *x = add_expr(b, r, "reject");

	if (!x)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
	nftnl_expr_set_u8(x, NFTNL_EXPR_REJECT_CODE, NFT_REJECT_ICMPX_PORT_UNREACH);
	put_rule(b, r);
}

static void put_all(struct batch *b, const struct net_nft_args *a)
{
	nftnl_batch_begin(mnl_nlmsg_batch_current(b->b), b->seq++);
	mnl_nlmsg_batch_next(b->b);
	put_table(b);
	put_chain(b, NAT_CHAIN, "nat", NF_IP_PRI_NAT_DST, NF_ACCEPT);
	put_chain(b, FILTER_CHAIN, "filter", NF_IP_PRI_FILTER, NF_DROP);
	put_own(b, a, NAT_CHAIN, (uint32_t)NFT_RETURN);
	put_redirects(b, &a->conf->own4, a->port4);
	if (a->port6)
		put_redirects(b, &a->conf->own6, a->port6);
	put_established(b);
	put_own(b, a, FILTER_CHAIN, NF_ACCEPT);
	put_log(b, a->log_group);
	put_reject(b);
	nftnl_batch_end(mnl_nlmsg_batch_current(b->b), b->seq++);
	mnl_nlmsg_batch_next(b->b);
}

/* One acknowledgement a message; the first error is the answer. */
static int read_acks(struct mnl_socket *nl, unsigned n_acks)
{
	char buf[8192];
	int first = 0;

	while (n_acks) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		int len = (int)n;

		if (n < 0)
			return first ? first : -errno;
		for (struct nlmsghdr *h = (void *)buf; mnl_nlmsg_ok(h, len);
		     h = mnl_nlmsg_next(h, &len)) {
			const struct nlmsgerr *err = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			if (err->error && !first)
				first = err->error;
			if (n_acks)
				n_acks--;
			/* a failed batch may end with fewer answers than messages */
			if (first)
				return first;
		}
	}
	return first;
}

int net_nft_load(const struct net_nft_args *a, struct err *e)
{
	AUTO(mnl_socket_close) struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	autofree char *buf = malloc(BUFFER_SIZE + MNL_SOCKET_BUFFER_SIZE);
	struct batch b = {.seq = 1};
	struct timeval patience = {.tv_sec = 5};
	int r;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_set(e, errno, "nftables socket");
	setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	b.b = buf ? mnl_nlmsg_batch_start(buf, BUFFER_SIZE) : NULL;
	if (!b.b)
		return err_set(e, ENOMEM, "nft batch");
	put_all(&b, a);
	r = b.failed ? -ENOMEM : 0;
	if (r == 0 && mnl_socket_sendto(nl, mnl_nlmsg_batch_head(b.b), mnl_nlmsg_batch_size(b.b)) < 0)
		r = -errno;
	mnl_nlmsg_batch_stop(b.b);
	if (r == 0)
		r = read_acks(nl, b.n_acks);
	if (r < 0)
		return err_set(e, -r,
			       "load the nft rules (the kernel needs nf_tables with nat, ct, log, "
			       "limit and reject)");
	return 0;
}

/* ---- the log ---- */

static struct nlmsghdr *log_config(char *buf, uint16_t group)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nf;

	h->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nf = mnl_nlmsg_put_extra_header(h, sizeof(*nf));
	nf->nfgen_family = AF_UNSPEC;
	nf->version = NFNETLINK_V0;
	nf->res_id = htons(group);
	return h;
}

int net_nft_open_log(uint16_t group, struct err *e)
{
	AUTO(mnl_socket_close) struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	struct nfulnl_msg_config_cmd bind_group = {.command = NFULNL_CFG_CMD_BIND};
	struct nfulnl_msg_config_mode mode = {.copy_range = htonl(LOG_SNAPLEN),
					      .copy_mode = NFULNL_COPY_PACKET};
	char buf[256];
	struct nlmsghdr *h;
	int r, fd;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_set(e, errno, "packet log socket");
	h = log_config(buf, group);
	mnl_attr_put(h, NFULA_CFG_CMD, sizeof(bind_group), &bind_group);
	mnl_attr_put(h, NFULA_CFG_MODE, sizeof(mode), &mode);
	/* tell of each packet at once; the rate is limited by the rule */
	mnl_attr_put_u32(h, NFULA_CFG_QTHRESH, htonl(1));
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return err_set(e, errno, "packet log");
	r = read_acks(nl, 1);
	if (r < 0)
		return err_set(e, -r, "packet log (the kernel needs nfnetlink_log)");
	fd = fcntl(mnl_socket_get_fd(nl), F_DUPFD_CLOEXEC, 3);
	if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return err_set(e, errno, "packet log");
	return fd;
}
