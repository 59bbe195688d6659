/*
 * net_flow_i.h - a connection, shared by the files that move it along
 *
 * net_flow.c           accept, deadlines, the end
 * net_flow_classify.c  what does the client speak (peeking only)
 * net_flow_decide.c    names against policy, resolve, approve, record
 * net_flow_dial.c      the host's side: connect to one of the permitted addresses
 * net_flow_relay.c     bytes both ways, with back-pressure
 * net_flow_http.c      plain HTTP inside the relay: every request is judged before it passes
 * net_flow_refuse.c    telling the client no in its own language
 */
#ifndef NETGATE_NET_FLOW_I_H
#define NETGATE_NET_FLOW_I_H

#include <stdbool.h>
#include <stdint.h>

#include "netgate/http_body.h"
#include "netgate/http_head.h"
#include "netgate/net.h"
#include "netgate/net_flow.h"
#include "netgate/net_judge.h"
#include "netgate/net_name.h"
#include "netgate/net_record.h"
#include "netgate/net_wait.h"

#define FLOW_PEEK_MAX 16384u
#define FLOW_SCRATCH 65536u
#define FLOW_ATTEMPTS_MAX 8u

enum flow_state {
	FLOW_CLASSIFY, /**< the client's first bytes are awaited or looked at */
	FLOW_RESOLVE,  /**< the name is being looked up */
	FLOW_HOLD,     /**< a person is being asked */
	FLOW_DIAL,     /**< connecting, on the host's side */
	FLOW_RELAY,
	FLOW_REFUSED,  /**< the answer was sent; what the client still sends is thrown away */
	FLOW_GONE,     /**< freed at the end of this batch of events */
};

enum flow_kind { FLOW_UNKNOWN, FLOW_RAW, FLOW_TLS, FLOW_HTTP };

/** How bytes from the client may pass to the server. */
enum flow_gate {
	FLOW_GATE_LATE,	 /**< nothing was seen yet: the first bytes are classified when they come */
	FLOW_GATE_SNIFF, /**< so far too short to be HTTP: they pass, until the first line is known */
	FLOW_GATE_HTTP,	 /**< request by request */
	FLOW_GATE_AWAIT, /**< closed until the answer to an Upgrade is known */
	FLOW_GATE_OPEN,
};

/** One direction. Bytes wait in buf, or in the pipe, never in both. */
struct flow_half {
	uint8_t *buf;	 /**< heap, made on demand */
	size_t start, len; /**< what is in buf */
	size_t pass;	 /**< bytes of buf that may be written (equal to len unless HTTP) */
	int pipe[2];	 /**< -1: copying */
	size_t piped;
	uint64_t total;
	bool eof;	 /**< the reader's side said so */
	bool shut;	 /**< and it was passed on */
	bool no_pipe;	 /**< pipes cannot be had: keep copying */
};

struct flow_dial;
struct flow_hold;

struct net_flow {
	struct net_flow *next, *prev;
	struct net_flows *flows;
	struct net *net; /**< borrowed */
	enum flow_state state;
	struct loop_io client, server;
	int client_fd, server_fd; /**< owned; -1 */
	struct net_wait wait;
	uint64_t since_ms;

	/* facts */
	uint64_t id;
	struct net_owner owner;
	struct policy_addr dst; /**< what the agent dialled */
	uint16_t port;
	const char *name; /**< of a synthetic dst; borrowed from the pool; NULL: dst is a literal */
	enum flow_kind kind;
	size_t peeked; /**< bytes seen by the last look */
	bool has_ech;
	bool said_wrong;	  /**< SNI or Host is not a host name, or Host not this server */
	char said[NET_NAME_SIZE]; /**< the name in SNI or Host, normalised; "": none */
	char sni[NET_NAME_SIZE];
	char alpn[128];
	char method[32];
	char path[256]; /**< canonical, without query; cut */
	struct policy_addr addr; /**< dialled, or about to be */

	/* decision */
	const char *host; /**< the name that was judged: f->name or f->claimed; NULL: the literal */
	char claimed[NET_NAME_SIZE]; /**< the name that proved to own the literal dst */
	struct policy_addr judged;
	struct net_ruling ruling;
	struct net_approval approval;
	bool approved;
	uint32_t approved_rule; /**< index */
	struct net_resolve ask;
	struct net_addrs addrs; /**< permitted, in order of trial */
	uint16_t dial_port;
	char dial_name[NET_NAME_SIZE]; /**< redirected to this name; "" otherwise */
	struct flow_dial *dial;	    /**< owned while dialling */
	struct flow_hold *hold;	    /**< the broker's answer will come through this */
	bool recorded;		    /**< a connect record says allow: a close record must follow */

	/* relay */
	enum flow_gate gate;
	struct flow_half out, in; /**< out: to the server; in: to the client */
	struct http_body_state body;
	struct http_head *head; /**< of the request being judged; heap */
	uint32_t n_requests;
	uint8_t *sniffed; /**< heap: the first line so far, for FLOW_GATE_SNIFF */
	size_t sniffed_len;
	bool answered; /**< bytes came back since the last request was passed on */
	int error;     /**< errno for the close record */
};

struct flow_listener {
	struct loop_io io;
	struct net_flows *flows;
};

struct net_flows {
	struct net *net;
	struct net_flow *head;
	unsigned n, max;
	unsigned n_pipes, max_pipes;
	uint64_t last_id;
	struct flow_listener listeners[2];
	bool paused;
	struct net_wait_queue silence, slow, dialling, idle, linger, retry;
	struct net_wait retry_wait;
	uint8_t scratch[FLOW_SCRATCH];
};

/* net_flow.c */
void net_flow_close(struct net_flow *f, int error);
/** Abort: the client sees a reset. */
void net_flow_reset(struct net_flow *f, int error);
/** Watch the client or server socket for these events; 0: not at all. */
int net_flow_watch(struct net_flow *f, struct loop_io *io, int fd, uint32_t events);
void net_flow_facts(struct net_facts *out, const struct net_flow *f);

/* net_flow_classify.c */
/** @param ended  the client will send no more */
void net_flow_on_first_bytes(struct net_flow *f, bool ended);
void net_flow_on_silence(struct net_flow *f);
void net_flow_on_slow(struct net_flow *f);

/* net_flow_decide.c */
void net_flow_decide(struct net_flow *f);
/**
 * Judge what the client says (SNI; Host, method, path) on a connection that is already permitted.
 *
 * @return true when it may pass; otherwise f->ruling says why not
 */
bool net_flow_recheck(struct net_flow *f);
/** Only what the client says (a name in SNI or Host, a request) could make this permitted. */
bool net_flow_needs_bytes(const struct net_flow *f);
/** The flow ends: an answer that is still awaited finds nobody. */
void net_flow_decide_forget(struct net_flow *f);

/* net_flow_dial.c */
void net_flow_dial(struct net_flow *f);
void net_flow_dial_cancel(struct net_flow *f);
void net_flow_dial_step(struct net_wait *w);

/* net_flow_relay.c */
void net_flow_relay(struct net_flow *f);
enum { FLOW_OUT = 1, FLOW_IN = 2 };
/** Move what can be moved. @param ways  FLOW_OUT, FLOW_IN, or both */
void net_flow_relay_pump(struct net_flow *f, unsigned ways);
void net_flow_relay_release(struct net_flow *f);

/* net_flow_http.c */
/** Take the request head at the front of the stream into f->head and the facts. */
int net_flow_http_head(struct net_flow *f, const uint8_t *buf, size_t len);
/** Find how much of f->out.buf may pass now. @return 0, or -errno: refused, f->ruling says why */
int net_flow_http_advance(struct net_flow *f);
/** Look at the answer to an Upgrade. @return bytes to pass; 0: more are needed; or -errno */
int64_t net_flow_http_answer(struct net_flow *f, const uint8_t *buf, size_t len);

/* net_flow_refuse.c */
/** Record the denial in f->ruling, then tell the client. */
void net_flow_refuse(struct net_flow *f);
/** The server cannot be reached: tell the client as the protocol permits. */
void net_flow_unreachable(struct net_flow *f, int error);

#endif
