/*
 * Theory: each direction moves bytes until one side is not ready, and the epoll masks ask for just
 * what the other is waiting for: that is all the back-pressure there is. A direction copies through
 * the shared scratch buffer and keeps only what did not fit; after 1 MiB it gets a pipe and
 * splices, if nobody needs to look at its bytes. An end of stream is passed on when all before it
 * was.
 */
#include "netgate/net_flow_i.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define ROUNDS 8 /* of up to 64 KiB a direction before other connections get their turn */
#define SPLICE_AFTER (1u << 20)
#define PIPE_SIZE (512 << 10)
#define PIPE_WORTH_IT (64 << 10)
#define SPLICE_MAX (1u << 20)

enum moved { MOVED_SOME, MOVED_BLOCKED, MOVED_REFUSED };

static bool is_out(const struct net_flow *f, const struct flow_half *h)
{
	return h == &f->out;
}

static bool may_look_away(const struct net_flow *f, const struct flow_half *h)
{
	return f->gate == FLOW_GATE_OPEN || (!is_out(f, h) && f->gate != FLOW_GATE_AWAIT);
}

static void drop_pipe(struct net_flow *f, struct flow_half *h)
{
	if (h->pipe[0] < 0)
		return;
	close(h->pipe[0]);
	close(h->pipe[1]);
	h->pipe[0] = h->pipe[1] = -1;
	f->flows->n_pipes--;
}

void net_flow_relay_release(struct net_flow *f)
{
	struct flow_half *halves[2] = {&f->out, &f->in};

	for (unsigned i = 0; i < 2; i++) {
		struct flow_half *h = halves[i];

		free(h->buf);
		h->buf = NULL;
		drop_pipe(f, h);
	}
}

static void try_pipe(struct net_flow *f, struct flow_half *h)
{
	struct net_flows *fs = f->flows;

	if (h->pipe[0] >= 0 || h->no_pipe || h->total < SPLICE_AFTER || h->len || !may_look_away(f, h))
		return;
	h->no_pipe = true; /* until it is there and worth it */
	if (fs->n_pipes >= fs->max_pipes)
		return;
	if (pipe2(h->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		h->pipe[0] = h->pipe[1] = -1;
		return;
	}
	fs->n_pipes++;
	/* over the user's pipe quota (pipe(7)) pipes come smaller: too small ones are no gain */
	fcntl(h->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
	if (fcntl(h->pipe[1], F_GETPIPE_SZ) < PIPE_WORTH_IT)
		drop_pipe(f, h);
	else
		h->no_pipe = false;
}

/* ---- one direction ---- */

static enum moved splice_some(struct flow_half *h, int from, int to)
{
	ssize_t n;

	if (!h->piped && !h->eof) {
		n = splice(from, NULL, h->pipe[1], NULL, SPLICE_MAX, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n < 0)
			return errno == EAGAIN ? MOVED_BLOCKED : MOVED_REFUSED;
		h->eof = n == 0;
		h->piped += (size_t)n;
	}
	while (h->piped) {
		n = splice(h->pipe[0], NULL, to, NULL, h->piped, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n < 0)
			return errno == EAGAIN ? MOVED_BLOCKED : MOVED_REFUSED;
		h->piped -= (size_t)n;
		h->total += (uint64_t)n;
	}
	return MOVED_SOME;
}

/* Write what may pass of the kept bytes. */
static enum moved flush(struct flow_half *h, int to)
{
	while (h->pass) {
		ssize_t n = send(to, h->buf + h->start, h->pass, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN ? MOVED_BLOCKED : MOVED_REFUSED;
		h->start += (size_t)n;
		h->pass -= (size_t)n;
		h->len -= (size_t)n;
		h->total += (uint64_t)n;
	}
	if (!h->len && h->buf) { /* an idle connection keeps no buffer */
		free(h->buf);
		h->buf = NULL;
		h->start = 0;
	}
	return MOVED_SOME;
}

static bool keep(struct flow_half *h, const uint8_t *p, size_t len)
{
	if (!h->buf)
		h->buf = malloc(FLOW_SCRATCH);
	if (!h->buf)
		return false;
	if (h->start) {
		memmove(h->buf, h->buf + h->start, h->len);
		h->start = 0;
	}
	if (len > FLOW_SCRATCH - h->len)
		return false;
	memcpy(h->buf + h->len, p, len);
	h->len += len;
	return true;
}

/* Bytes whose passing nobody has to consider: send, keep the rest. */
static enum moved pass_on(struct flow_half *h, int to, const uint8_t *p, size_t len)
{
	ssize_t n = send(to, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN)
		return MOVED_REFUSED;
	if (n < 0)
		n = 0;
	h->total += (uint64_t)n;
	if ((size_t)n == len)
		return MOVED_SOME;
	if (!keep(h, p + n, len - (size_t)n))
		return MOVED_REFUSED;
	h->pass = h->len;
	return MOVED_BLOCKED;
}

/* The first line of a stream that began too short to be known: HTTP in pieces is not let through. */
static enum moved sniff(struct net_flow *f, const uint8_t *p, size_t len)
{
	size_t n = len < FLOW_PEEK_MAX - f->sniffed_len ? len : FLOW_PEEK_MAX - f->sniffed_len;
	int http;

	if (!f->sniffed)
		f->sniffed = malloc(FLOW_PEEK_MAX);
	if (!f->sniffed)
		return MOVED_REFUSED;
	memcpy(f->sniffed + f->sniffed_len, p, n);
	f->sniffed_len += n;
	http = http_head_looks_like(f->sniffed, f->sniffed_len);
	if (http > 0) {
		net_judge_deny(&f->ruling, "http_in_pieces",
			       "an HTTP request line that arrived too slowly to be judged");
		return MOVED_REFUSED;
	}
	if (http == 0) {
		f->gate = FLOW_GATE_OPEN;
		free(f->sniffed);
		f->sniffed = NULL;
	}
	return MOVED_SOME;
}

static enum moved take_http(struct net_flow *f, const uint8_t *p, size_t len)
{
	if (!keep(&f->out, p, len) || net_flow_http_advance(f) < 0)
		return MOVED_REFUSED;
	return flush(&f->out, f->server_fd);
}

/* The server's answer to an Upgrade: heads pass one by one until the status that settles it. */
static enum moved take_answer(struct net_flow *f, const uint8_t *p, size_t len)
{
	struct flow_half *h = &f->in;

	if (!keep(h, p, len))
		return MOVED_REFUSED;
	while (f->gate == FLOW_GATE_AWAIT && h->pass < h->len) {
		int64_t n = net_flow_http_answer(f, h->buf + h->start + h->pass, h->len - h->pass);

		if (n < 0)
			return MOVED_REFUSED;
		if (n == 0)
			break;
		h->pass += (size_t)n;
	}
	if (f->gate != FLOW_GATE_AWAIT)
		h->pass = h->len;
	/* what the client sent behind its request waited for this */
	if (f->gate == FLOW_GATE_OPEN)
		f->out.pass = f->out.len;
	else if (net_flow_http_advance(f) < 0)
		return MOVED_REFUSED;
	return flush(h, f->client_fd);
}

static enum moved take(struct net_flow *f, struct flow_half *h, int to, const uint8_t *p, size_t len)
{
	if (is_out(f, h)) {
		if (f->gate == FLOW_GATE_HTTP)
			return take_http(f, p, len);
		if (f->gate == FLOW_GATE_SNIFF && sniff(f, p, len) == MOVED_REFUSED)
			return MOVED_REFUSED;
	} else {
		f->answered = true;
		if (f->gate == FLOW_GATE_AWAIT)
			return take_answer(f, p, len);
	}
	return pass_on(h, to, p, len);
}

/* Is this direction open for more of its reader's bytes? */
static bool wants_more(const struct net_flow *f, const struct flow_half *h)
{
	if (h->eof || h->pass || h->piped)
		return false;
	if (is_out(f, h) && (f->gate == FLOW_GATE_LATE || f->gate == FLOW_GATE_AWAIT))
		return false;
	return h->len < FLOW_PEEK_MAX;
}

static enum moved copy_some(struct net_flow *f, struct flow_half *h, int from, int to)
{
	uint8_t *p = f->flows->scratch;
	size_t size = h->len ? FLOW_PEEK_MAX : FLOW_SCRATCH;
	enum moved m;
	ssize_t n;

	if (!wants_more(f, h))
		return MOVED_BLOCKED;
	n = recv(from, p, size, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? MOVED_BLOCKED : MOVED_REFUSED;
	if (n == 0) {
		h->eof = true;
		return MOVED_SOME;
	}
	m = take(f, h, to, p, (size_t)n);
	/* that was all there is: epoll tells of more for less than a failing read costs */
	return m == MOVED_SOME && (size_t)n < size ? MOVED_BLOCKED : m;
}

/*
 * The stream has ended and everything before that was passed on. Looked at after every step, also
 * the last one of a turn: nothing that epoll could tell would bring us back for it.
 */
static void pass_end(struct flow_half *h, int to)
{
	if (!h->eof || h->piped || h->pass || h->shut)
		return;
	shutdown(to, SHUT_WR);
	h->shut = true;
}

static enum moved move(struct net_flow *f, struct flow_half *h, int from, int to)
{
	enum moved m = MOVED_SOME;

	for (unsigned i = 0; i < ROUNDS && m == MOVED_SOME && !h->shut; i++) {
		m = flush(h, to);
		if (m != MOVED_SOME)
			return m;
		try_pipe(f, h);
		if (h->pipe[0] < 0) {
			m = copy_some(f, h, from, to);
		} else {
			m = splice_some(h, from, to);
			f->answered |= !is_out(f, h);
		}
		if (m != MOVED_REFUSED)
			pass_end(h, to);
	}
	return m;
}

/* ---- both ---- */

static uint32_t mask(const struct net_flow *f, const struct flow_half *reads,
		     const struct flow_half *writes)
{
	uint32_t events = 0;

	if (wants_more(f, reads))
		events |= EPOLLIN;
	if (is_out(f, reads) && f->gate == FLOW_GATE_LATE)
		events |= EPOLLIN | EPOLLRDHUP;
	if (writes->pass || writes->piped)
		events |= EPOLLOUT;
	return events;
}

static void refused(struct net_flow *f)
{
	int error = errno;

	if (f->ruling.d.verdict == VERDICT_DENY)
		net_flow_refuse(f);
	else
		net_flow_reset(f, error ? error : ECONNRESET);
}

void net_flow_relay_pump(struct net_flow *f, unsigned ways)
{
	enum flow_gate before;

	do {
		before = f->gate;
		errno = 0;
		if (((ways & FLOW_OUT) &&
		     move(f, &f->out, f->client_fd, f->server_fd) == MOVED_REFUSED) ||
		    ((ways & FLOW_IN) &&
		     move(f, &f->in, f->server_fd, f->client_fd) == MOVED_REFUSED)) {
			refused(f);
			return;
		}
		ways = FLOW_OUT | FLOW_IN;
	} while (f->gate != before); /* an Upgrade was settled: what waited behind it may go on */
	if (f->out.shut && f->in.shut) {
		net_flow_close(f, 0);
		return;
	}
	if (f->wait.queue != &f->flows->slow && f->wait.queue != &f->flows->silence)
		net_wait_set(&f->wait, &f->flows->idle);
	if (net_flow_watch(f, &f->client, f->client_fd, mask(f, &f->out, &f->in)) < 0 ||
	    net_flow_watch(f, &f->server, f->server_fd, mask(f, &f->in, &f->out)) < 0)
		net_flow_reset(f, ENOMEM);
}

void net_flow_relay(struct net_flow *f)
{
	f->state = FLOW_RELAY;
	net_wait_set(&f->wait, &f->flows->idle);
	net_flow_relay_pump(f, FLOW_OUT | FLOW_IN);
}
