#include "netgate/net_setup.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/ipc.h"
#include "netgate/net_addr.h"
#include "netgate/net_link.h"
#include "netgate/net_nft.h"

#define BACKLOG 1024
#define QUERIES_SIZE (1 << 20) /* bytes of queries that may wait; the host's limit may be lower */
#define PATIENCE_MS 10000

enum { SETUP_DONE = 1, SETUP_FAILED };

/* ---- in the child, inside the sandbox's namespaces ---- */

static int open_socket(const struct policy_addr *a, int type, uint16_t port, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len = net_addr_to_sockaddr(&ss, a, port);
	autoclose int fd = socket(ss.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, size = QUERIES_SIZE;

	if (fd < 0)
		return err_set(e, errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (a->family == 6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0)
		return err_set(e, errno, "bind port %u on lo", port);
	if (type == SOCK_STREAM && listen(fd, BACKLOG) < 0)
		return err_set(e, errno, "listen on lo");
	return steal_fd(&fd);
}

static int open_port(uint16_t *port, int fd, struct err *e)
{
	struct sockaddr_storage ss;
	struct policy_addr a;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return err_set(e, errno, "listener's port");
	net_addr_from_sockaddr(&a, port, &ss);
	return 0;
}

/* Three sockets of one family: tcp, dns_udp and dns_tcp are indexes into s->fd. */
static int open_family(struct net_socks *s, const struct policy_addr *a, const int index[3],
		       struct err *e)
{
	static const struct {
		int type;
		uint16_t port;
	} what[3] = {{SOCK_STREAM, 0}, {SOCK_DGRAM, 53}, {SOCK_STREAM, 53}};

	for (unsigned i = 0; i < 3; i++) {
		int fd = open_socket(a, what[i].type, what[i].port, e);

		if (fd < 0)
			return fd;
		s->fd[index[i]] = fd;
	}
	return open_port(a->family == 4 ? &s->port4 : &s->port6, s->fd[index[0]], e);
}

static int build(struct net_socks *s, const struct net_conf *c, struct err *e)
{
	static const int index4[3] = {NET_TCP4, NET_DNS_UDP4, NET_DNS_TCP4};
	static const int index6[3] = {NET_TCP6, NET_DNS_UDP6, NET_DNS_TCP6};
	struct net_nft_args nft = {.conf = c, .log_group = NET_NFLOG_GROUP};
	bool has6;
	int r;

	r = net_link_setup(&has6, c, e);
	if (r == 0)
		r = open_family(s, &c->own4, index4, e);
	if (r == 0 && has6)
		r = open_family(s, &c->own6, index6, e);
	if (r < 0)
		return r;
	nft.port4 = s->port4;
	nft.port6 = has6 ? s->port6 : 0;
	r = net_nft_load(&nft, e);
	if (r < 0)
		return r;
	r = net_nft_open_log(NET_NFLOG_GROUP, e);
	if (r < 0)
		return r;
	s->fd[NET_NFLOG] = r;
	r = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (r < 0)
		return err_set(e, errno, "sock_diag socket");
	s->fd[NET_DIAG] = r;
	return 0;
}

static int join(int pidfd, struct err *e)
{
	/* the order is the kernel's: the user namespace first, whose capabilities then count */
	if (setns(pidfd, CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return err_set(e, errno, "join the sandbox's user and network namespaces");
	return 0;
}

static _Noreturn void child(int sock, int pidfd, const struct net_conf *c)
{
	struct net_socks s;
	struct err e = ERR_INIT;
	struct ipc_msg *m = malloc(sizeof(*m));
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	memset(&s, 0, sizeof(s));
	memset(s.fd, -1, sizeof(s.fd));
	if (!m)
		_exit(1);
	r = join(pidfd, &e);
	if (r == 0)
		r = build(&s, c, &e);
	ipc_begin(m, r == 0 ? SETUP_DONE : SETUP_FAILED, 0);
	ipc_put_u32(m, r == 0 ? s.port4 : (uint32_t)-r);
	ipc_put_u32(m, s.port6);
	ipc_put_str(m, e.text);
	for (unsigned i = 0; r == 0 && i < NET_SOCKS && s.fd[i] >= 0; i++)
		ipc_put_fd(m, s.fd[i]);
	_exit(ipc_send(sock, m) == 0 ? 0 : 1);
}

/* ---- in netgate ---- */

static int take(struct net_socks *out, struct ipc_msg *m, struct err *e)
{
	uint32_t first = ipc_get_u32(m), second = ipc_get_u32(m);
	const char *text = ipc_get_str(m);

	if (!ipc_end(m))
		return err_say(e, EBADMSG, "network set-up sent something else");
	if (m->type == SETUP_FAILED)
		return err_say(e, first ? (int)first : EIO, "%s", text);
	if (m->n_fds != NET_SOCKS && m->n_fds != NET_TCP6)
		return err_say(e, EBADMSG, "network set-up sent %u sockets", m->n_fds);
	out->port4 = (uint16_t)first;
	out->port6 = (uint16_t)second;
	for (unsigned i = 0; i < NET_SOCKS; i++)
		out->fd[i] = ipc_take_fd(m, i);
	return 0;
}

static int receive(struct net_socks *out, int sock, struct err *e)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	struct pollfd p = {.fd = sock, .events = POLLIN};
	int r;

	if (!m)
		return err_set(e, ENOMEM, "message");
	r = poll(&p, 1, PATIENCE_MS);
	if (r == 0)
		return err_say(e, ETIMEDOUT, "network set-up takes longer than %d s", PATIENCE_MS / 1000);
	r = r < 0 ? -errno : ipc_recv(sock, m);
	if (r < 0)
		return err_set(e, -r, "network set-up");
	if (r == 0)
		return err_say(e, EPIPE, "network set-up died");
	r = take(out, m, e);
	ipc_drop(m);
	return r;
}

int net_setup(struct net_socks *out, int pidfd, const struct net_conf *c, struct err *e)
{
	autoclose int mine = -1;
	int pair[2], r;
	pid_t pid;

	r = ipc_pair(pair);
	if (r < 0)
		return err_set(e, -r, "socket pair");
	mine = pair[0];
	pid = fork();
	if (pid < 0) {
		r = err_set(e, errno, "fork");
		close(pair[1]);
		return r;
	}
	if (pid == 0) {
		close(mine);
		child(pair[1], pidfd, c);
	}
	close(pair[1]);
	r = receive(out, mine, e);
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

void net_setup_close(struct net_socks *s)
{
	for (unsigned i = 0; i < NET_SOCKS; i++)
		if (s->fd[i] >= 0)
			close(s->fd[i]);
}
