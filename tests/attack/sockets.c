/*
 * sockets.c - sockets that do not go through the network gate, and addresses written oddly
 *
 * Expected: families other than IP, Unix and route netlink cannot be made; datagrams do not leave;
 * no service of the host answers, whatever way its address is written. The host's service says
 * WORLD-ANSWER to whoever reaches it, and keeps a list, which the runner reads afterwards.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/limits.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define ANSWER "WORLD-ANSWER"

/* ---- families ---- */

static enum outcome no_socket(int family, int type, int protocol)
{
	return attack_must_fail("socket", socket(family, type, protocol));
}

static enum outcome packet(void)
{
	if (socket(AF_PACKET, SOCK_DGRAM, htons(3)) >= 0)
		return attack_escaped("SOCK_DGRAM");
	return no_socket(AF_PACKET, SOCK_RAW, htons(3));
}

static enum outcome raw(void)
{
	if (socket(AF_INET, SOCK_RAW, IPPROTO_TCP) >= 0 || socket(AF_INET, SOCK_RAW, IPPROTO_RAW) >= 0 ||
	    socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6) >= 0)
		return attack_escaped("raw socket");
	return no_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static enum outcome vsock(void)
{
	return no_socket(AF_VSOCK, SOCK_STREAM, 0);
}

static enum outcome crypto(void)
{
	return no_socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static enum outcome odd_families(void)
{
	static const int families[] = {AF_BLUETOOTH, AF_CAN, AF_KEY, AF_TIPC, AF_RDS, AF_KCM, AF_XDP,
				       AF_SMC, AF_QIPCRTR, AF_NFC, AF_IEEE802154, AF_RXRPC, AF_PPPOX,
				       AF_LLC, AF_APPLETALK, AF_X25, AF_AX25, AF_IPX, AF_PHONET, AF_CAIF};
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET};

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		for (size_t k = 0; k < 4; k++)
			if (socket(families[i], types[k] | SOCK_CLOEXEC, families[i] == AF_KEY ? 2 : 0) >= 0)
				return attack_escaped("family %d", families[i]);
	return attack_blocked("%zu families", sizeof(families) / sizeof(families[0]));
}

static enum outcome odd_netlink(void)
{
	static const int protocols[] = {NETLINK_AUDIT, NETLINK_KOBJECT_UEVENT, NETLINK_CONNECTOR,
					NETLINK_XFRM, NETLINK_NETFILTER, NETLINK_GENERIC,
					NETLINK_CRYPTO, NETLINK_SELINUX, NETLINK_ISCSI, NETLINK_RDMA};

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (socket(AF_NETLINK, SOCK_RAW, protocols[i]) >= 0)
			return attack_escaped("netlink protocol %d", protocols[i]);
	return attack_blocked("%zu protocols", sizeof(protocols) / sizeof(protocols[0]));
}

static enum outcome odd_transports(void)
{
	if (socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP) >= 0)
		return attack_escaped("SCTP");
	if (socket(AF_INET, SOCK_DCCP, IPPROTO_DCCP) >= 0)
		return attack_escaped("DCCP");
	if (socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE) >= 0)
		return attack_escaped("UDP-Lite");
	return attack_must_fail("socket", -1);
}

/* change addresses and routes of the namespace: what "ip addr add" does */
static enum outcome change_routes(void)
{
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg a;
		struct rtattr r;
		struct in_addr in;
	} m = {.h = {.nlmsg_len = sizeof(m), .nlmsg_type = RTM_NEWADDR,
		     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, .nlmsg_seq = 1},
	       .a = {.ifa_family = AF_INET, .ifa_prefixlen = 8, .ifa_index = 1},
	       .r = {.rta_len = 8, .rta_type = IFA_LOCAL},
	       .in = {htonl(0x0a0b0c0d)}};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char more[512];
	} answer;
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (s < 0)
		return attack_blocked("socket: %s", strerrorname_np(errno));
	if (send(s, &m, sizeof(m), 0) < 0)
		return attack_blocked("send: %s", strerrorname_np(errno));
	if (recv(s, &answer, sizeof(answer), 0) < 0 || answer.h.nlmsg_type != NLMSG_ERROR)
		return attack_broken("no answer");
	return answer.e.error ? attack_blocked("%s", strerrorname_np(-answer.e.error)) :
				attack_escaped("added an address");
}

/* ---- datagrams ---- */

static enum outcome datagram(const char *host, const char *port, bool expect_answer)
{
	struct addrinfo hint = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *ai;
	struct pollfd p = {.events = POLLIN};
	char buf[256] = "";
	ssize_t n;

	if (getaddrinfo(host, port, &hint, &ai) != 0)
		return attack_broken("%s is no address", host);
	p.fd = socket(ai->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (p.fd < 0)
		return attack_blocked("socket: %s", strerrorname_np(errno));
	n = sendto(p.fd, "datagram", 8, 0, ai->ai_addr, ai->ai_addrlen);
	if (n < 0)
		return attack_blocked("sendto: %s", strerrorname_np(errno));
	if (poll(&p, 1, 1000) > 0)
		n = recv(p.fd, buf, sizeof(buf) - 1, 0);
	if (strstr(buf, ANSWER))
		return attack_escaped("the host answered");
	if (!expect_answer)
		return attack_escaped("sendto accepted the datagram");
	return attack_blocked("no answer");
}

static enum outcome udp_host(void)
{
	return datagram(attack_conf("host_ip"), attack_conf("udp_port"), true);
}

static enum outcome udp_loopback(void)
{
	return datagram("127.0.0.1", attack_conf("udp_port"), true);
}

static enum outcome udp_quic(void)
{
	return datagram("1.1.1.1", "443", false);
}

static enum outcome udp_quic6(void)
{
	return datagram("2606:4700:4700::1111", "443", false);
}

static enum outcome udp_metadata(void)
{
	return datagram("169.254.169.254", "80", false);
}

static enum outcome multicast(void)
{
	return datagram("224.0.0.251", "5353", false);
}

static enum outcome ping(void)
{
	struct icmphdr h = {.type = ICMP_ECHO, .un.echo = {.id = 1, .sequence = 1}};
	struct sockaddr_in a = {.sin_family = AF_INET};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
	struct pollfd p = {.fd = s, .events = POLLIN};

	if (s < 0)
		return attack_blocked("socket: %s", strerrorname_np(errno));
	inet_pton(AF_INET, attack_conf("host_ip"), &a.sin_addr);
	if (sendto(s, &h, sizeof(h), 0, (struct sockaddr *)&a, sizeof(a)) < 0)
		return attack_blocked("sendto: %s", strerrorname_np(errno));
	return poll(&p, 1, 1000) > 0 ? attack_escaped("echo came back") : attack_blocked("no echo");
}

/* ---- streams to addresses ---- */

static enum outcome talk(int fd, const struct sockaddr *a, socklen_t len, const char *what)
{
	struct timeval limit = {3, 0};
	char buf[512], line[256];
	size_t got = 0;
	ssize_t n;

	if (fd < 0)
		return attack_blocked("socket: %s", strerrorname_np(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, a, len) < 0) {
		n = errno;
		close(fd);
		return attack_blocked("connect: %s", strerrorname_np((int)n));
	}
	snprintf(line, sizeof(line), "GET /leak/%s HTTP/1.0\r\nHost: denied.test\r\n\r\n", what);
	(void)!send(fd, line, strlen(line), MSG_NOSIGNAL);
	while (got < sizeof(buf) - 1 && (n = recv(fd, buf + got, sizeof(buf) - 1 - got, 0)) > 0)
		got += (size_t)n;
	buf[got] = '\0';
	close(fd);
	return strstr(buf, ANSWER) ? attack_escaped("the host answered at %s", what) :
				     attack_blocked("%zu bytes, none of the host", got);
}

static enum outcome stream(const char *host, long port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	/* the classic parser: decimal, octal and hexadecimal forms too */
	if (!inet_aton(host, &a.sin_addr))
		return attack_broken("%s is no address", host);
	return talk(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&a, sizeof(a), host);
}

static enum outcome stream6(const char *host, long port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

	if (inet_pton(AF_INET6, host, &a.sin6_addr) != 1)
		return attack_broken("%s is no address", host);
	if (strncmp(host, "fe80", 4) == 0)
		a.sin6_scope_id = 1;
	return talk(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&a, sizeof(a), host);
}

static enum outcome each_stream(const char *const *hosts, size_t n, long port)
{
	for (size_t i = 0; i < n; i++) {
		enum outcome o = strchr(hosts[i], ':') ? stream6(hosts[i], port) : stream(hosts[i], port);

		if (o != BLOCKED)
			return o;
	}
	return attack_blocked("%zu addresses", n);
}

static enum outcome host_address(void)
{
	return stream(attack_conf("host_ip"), attack_conf_number("closed_port"));
}

static enum outcome loopback(void)
{
	static const char *const hosts[] = {"127.0.0.1", "127.0.0.2", "0.0.0.0", "2130706433",
					    "0177.0.0.1", "0x7f.1", "127.1"};

	return each_stream(hosts, sizeof(hosts) / sizeof(hosts[0]), attack_conf_number("closed_port"));
}

static enum outcome loopback6(void)
{
	static const char *const hosts[] = {"::1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0",
					    "64:ff9b::7f00:1", "::127.0.0.1", "2002:7f00:1::", "fe80::1"};

	return each_stream(hosts, sizeof(hosts) / sizeof(hosts[0]), attack_conf_number("closed_port"));
}

static enum outcome mapped(void)
{
	char host[64];

	snprintf(host, sizeof(host), "::ffff:%s", attack_conf("host_ip"));
	return stream6(host, attack_conf_number("closed_port"));
}

static enum outcome metadata(void)
{
	static const char *const hosts[] = {"169.254.169.254", "2852039166", "0xa9fea9fe",
					    "::ffff:169.254.169.254", "fd00:ec2::254"};

	return each_stream(hosts, sizeof(hosts) / sizeof(hosts[0]), 80);
}

static enum outcome fast_open(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)attack_conf_number("closed_port"))};
	static const char line[] = "GET /leak/fastopen HTTP/1.0\r\n\r\n";
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {3, 0};
	char buf[256] = "";

	inet_pton(AF_INET, attack_conf("host_ip"), &a.sin_addr);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (sendto(s, line, sizeof(line) - 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&a, sizeof(a)) < 0)
		return attack_blocked("sendto: %s", strerrorname_np(errno));
	(void)!recv(s, buf, sizeof(buf) - 1, 0);
	return strstr(buf, ANSWER) ? attack_escaped("the host answered") : attack_blocked("no answer");
}

/* netgate's own listeners, through itself: a loop, or a way to the host's loopback */
static enum outcome own_gate(void)
{
	static const char *const hosts[] = {"10.200.0.1", "127.0.0.1"};
	unsigned reached = 0;

	for (size_t i = 0; i < 2; i++)
		for (long port = 1; port < 65536; port += port < 1100 ? 1 : 37) {
			struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
			int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
			enum outcome o = BLOCKED;

			inet_pton(AF_INET, hosts[i], &a.sin_addr);
			if (connect(s, (struct sockaddr *)&a, sizeof(a)) == 0 || errno == EINPROGRESS) {
				struct pollfd p = {.fd = s, .events = POLLOUT};

				if (poll(&p, 1, 20) > 0 && !(p.revents & (POLLERR | POLLHUP))) {
					reached++;
					o = reached < 4 ? stream(hosts[i], port) : BLOCKED;
				}
			}
			close(s);
			if (o == ESCAPED)
				return o;
		}
	return attack_blocked("%u ports accept, none leads out", reached);
}

/* ---- Unix sockets ---- */

static enum outcome unix_connect(const char *name, bool abstract, int type)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len;

	snprintf(a.sun_path + abstract, sizeof(a.sun_path) - 1, "%s", name);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name) + !abstract);
	return talk(socket(AF_UNIX, type | SOCK_CLOEXEC, 0), (struct sockaddr *)&a, len, name);
}

static enum outcome unix_abstract(void)
{
	return unix_connect(attack_conf("abstract_socket"), true, SOCK_STREAM);
}

static enum outcome unix_outside(void)
{
	return unix_connect(attack_conf("outside_socket"), false, SOCK_STREAM);
}

/* a server of the host listens on a name inside the workspace */
static enum outcome unix_workspace(void)
{
	return unix_connect("host.sock", false, SOCK_STREAM);
}

static enum outcome unix_services(void)
{
	static const char *const names[] = {
		"/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock",
		"/run/podman/podman.sock", "/run/dbus/system_bus_socket", "/run/systemd/private",
		"/run/systemd/journal/socket", "/run/systemd/journal/stdout", "/run/systemd/notify",
		"/dev/log", "/tmp/.X11-unix/X0", "/run/user/0/bus", "/run/snapd.socket",
		"/run/udev/control", "/run/libvirt/libvirt-sock", "/run/lxd.socket",
		"/run/nscd/socket", "/run/cups/cups.sock", "/run/fcgiwrap.socket"};
	struct stat st;
	unsigned there = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		there += stat(names[i], &st) == 0;
		snprintf(a.sun_path, sizeof(a.sun_path), "%s", names[i]);
		if (connect(s, (struct sockaddr *)&a, sizeof(a)) == 0)
			return attack_escaped("connected to %s", names[i]);
		close(s);
	}
	return attack_blocked("none connects, %u visible", there);
}

static enum outcome unix_listed(void)
{
	char buf[65536];
	ssize_t n = attack_slurp("/proc/net/unix", buf, sizeof(buf));

	if (n < 0)
		return attack_blocked("/proc/net/unix: %s", strerrorname_np((int)-n));
	if (strstr(buf, attack_conf("outside_socket")) || strstr(buf, attack_conf("abstract_socket")))
		return attack_escaped("the host's sockets are listed");
	return attack_blocked("the host's sockets are not listed");
}

static const struct attack cases[] = {
	CASE("AF_PACKET", "refused", packet),
	CASE("raw-sockets", "refused", raw),
	CASE("AF_VSOCK", "refused", vsock),
	CASE("AF_ALG", "refused", crypto),
	CASE("odd-families", "refused", odd_families),
	CASE("odd-netlink", "refused", odd_netlink),
	CASE("sctp-dccp-udplite", "refused", odd_transports),
	CASE("change-routes", "EPERM", change_routes),
	CASE("udp-to-host", "no answer", udp_host),
	CASE("udp-to-loopback", "no answer", udp_loopback),
	CASE("udp-quic", "error at once", udp_quic),
	CASE("udp-quic-v6", "error at once", udp_quic6),
	CASE("udp-metadata", "error at once", udp_metadata),
	CASE("udp-multicast", "error at once", multicast),
	CASE("icmp-echo", "refused", ping),
	CASE("tcp-host-address", "closed", host_address),
	CASE("tcp-loopback-spellings", "not the host's", loopback),
	CASE("tcp-loopback-v6-spellings", "not the host's", loopback6),
	CASE("tcp-v4-mapped", "closed", mapped),
	CASE("tcp-metadata", "closed", metadata),
	CASE("tcp-fast-open", "closed", fast_open),
	CASE("tcp-own-gate", "leads nowhere", own_gate),
	CASE("unix-abstract", "ECONNREFUSED", unix_abstract),
	CASE("unix-outside", "ENOENT", unix_outside),
	CASE("unix-in-workspace", "refused", unix_workspace),
	CASE("unix-services", "refused", unix_services),
	CASE("unix-listed", "not listed", unix_listed),
};

ATTACK_MAIN(cases)
