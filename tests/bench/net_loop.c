/*
 * net_loop - a server that sends as many bytes as it is asked for, and a client that measures
 *
 *   net_loop serve PORT [CERT KEY]            on 127.0.0.1, until killed; with CERT it speaks TLS
 *   net_loop tcp|tls HOST PORT N MEGABYTES    N short requests on connections of their own, then
 *                                             one long answer
 *
 * A request is the number of bytes wanted as eight bytes, big end first.
 */
#include <endian.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/clock.h"

#define CHUNK 65536u

struct peer {
	int fd;
	SSL *ssl; /**< NULL: plain TCP */
};

static ssize_t peer_read(const struct peer *p, void *buf, size_t len)
{
	return p->ssl ? SSL_read(p->ssl, buf, (int)len) : read(p->fd, buf, len);
}

static ssize_t peer_write(const struct peer *p, const void *buf, size_t len)
{
	return p->ssl ? SSL_write(p->ssl, buf, (int)len) : write(p->fd, buf, len);
}

static void peer_close(struct peer *p)
{
	if (p->ssl)
		SSL_shutdown(p->ssl);
	SSL_free(p->ssl);
	close(p->fd);
}

static int read_all(const struct peer *p, void *buf, size_t len)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = peer_read(p, (char *)buf + have, len - have);

		if (n <= 0)
			return -1;
		have += (size_t)n;
	}
	return 0;
}

static void answer(struct peer *p)
{
	static const char data[CHUNK]; /* zeros */
	uint64_t want;

	while (read_all(p, &want, sizeof(want)) == 0) {
		for (uint64_t left = be64toh(want); left;) {
			ssize_t n = peer_write(p, data, left < CHUNK ? left : CHUNK);

			if (n <= 0)
				return;
			left -= (uint64_t)n;
		}
	}
}

static int listen_on(const char *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons((uint16_t)clock_count(port)),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(fd, 128) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static SSL_CTX *server_context(const char *cert, const char *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx && SSL_CTX_use_certificate_file(ctx, cert, SSL_FILETYPE_PEM) == 1 &&
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1)
		return ctx;
	ERR_print_errors_fp(stderr);
	SSL_CTX_free(ctx);
	return NULL;
}

static void serve_one(int fd, SSL_CTX *ctx)
{
	struct peer p = {.fd = fd};
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (ctx) {
		p.ssl = SSL_new(ctx);
		if (!p.ssl || SSL_set_fd(p.ssl, fd) != 1 || SSL_accept(p.ssl) != 1) {
			SSL_free(p.ssl);
			close(fd);
			return;
		}
	}
	answer(&p);
	peer_close(&p);
}

static int serve(int argc, char **argv)
{
	SSL_CTX *ctx = NULL;
	int listener = listen_on(argv[2]);

	if (listener < 0)
		return clock_fail("listen");
	if (argc == 5) {
		ctx = server_context(argv[3], argv[4]);
		if (!ctx)
			return 1;
	}
	/* one at a time: the client measures one tunnel, not our concurrency */
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			serve_one(fd, ctx);
		else if (errno != EINTR && errno != ECONNABORTED)
			return clock_fail("accept");
	}
}

static int dial(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	int r = getaddrinfo(host, port, &hints, &list), fd = -1, one = 1;

	if (r) {
		fprintf(stderr, "%s: %s\n", host, gai_strerror(r));
		return -1;
	}
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
			perror("connect");
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static int peer_open(struct peer *p, const char *host, const char *port, SSL_CTX *ctx)
{
	p->ssl = NULL;
	p->fd = dial(host, port);
	if (p->fd < 0)
		return -1;
	if (!ctx)
		return 0;
	p->ssl = SSL_new(ctx);
	if (p->ssl && SSL_set_tlsext_host_name(p->ssl, host) == 1 && SSL_set_fd(p->ssl, p->fd) == 1 &&
	    SSL_connect(p->ssl) == 1)
		return 0;
	ERR_print_errors_fp(stderr);
	SSL_free(p->ssl);
	close(p->fd);
	return -1;
}

static int ask(const struct peer *p, uint64_t bytes)
{
	char buf[CHUNK];
	uint64_t want = htobe64(bytes);

	if (peer_write(p, &want, sizeof(want)) != (ssize_t)sizeof(want))
		return -1;
	for (uint64_t have = 0; have < bytes;) {
		ssize_t n = peer_read(p, buf, sizeof(buf));

		if (n <= 0)
			return -1;
		have += (uint64_t)n;
	}
	return 0;
}

static int once(char **argv, SSL_CTX *ctx, uint64_t bytes)
{
	struct peer p;
	int r;

	if (peer_open(&p, argv[2], argv[3], ctx) < 0)
		return -1;
	r = ask(&p, bytes);
	peer_close(&p);
	return r;
}

static int measure(char **argv)
{
	unsigned n = clock_count(argv[4]), megabytes = clock_count(argv[5]);
	/* no verification: what is compared is the way there, which is the same work either way */
	SSL_CTX *ctx = strcmp(argv[1], "tls") == 0 ? SSL_CTX_new(TLS_client_method()) : NULL;
	uint64_t start, bytes = (uint64_t)megabytes << 20;

	if (once(argv, ctx, 64) < 0)
		return clock_fail("first request");
	start = clock_ns();
	for (unsigned i = 0; i < n; i++)
		if (once(argv, ctx, 64) < 0)
			return clock_fail("request");
	clock_report("request", start, n);
	start = clock_ns();
	if (once(argv, ctx, bytes) < 0)
		return clock_fail("long answer");
	printf("gbit_per_s %.3f\n", (double)bytes * 8 / (double)(clock_ns() - start));
	SSL_CTX_free(ctx);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if ((argc == 3 || argc == 5) && strcmp(argv[1], "serve") == 0)
		return serve(argc, argv);
	if (argc == 6 && (strcmp(argv[1], "tcp") == 0 || strcmp(argv[1], "tls") == 0))
		return measure(argv);
	fprintf(stderr, "usage: net_loop serve PORT [CERT KEY]\n"
			"       net_loop tcp|tls HOST PORT N MEGABYTES\n");
	return 2;
}
