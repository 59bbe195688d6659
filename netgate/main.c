#include <errno.h>

#include "common/log.h"
#include "common/priv.h"
#include "netgate/net_dns.h"
#include "netgate/net_fence.h"
#include "netgate/net_flow.h"

struct all {
	struct gate gate;
	struct net net;
	struct net_fence fence;
	struct net_dns *dns;
	struct net_flows *flows;
};

/* Everything from the supervisor's word to the last privilege. */
static int set_up(struct all *a, struct err *e)
{
	autoclose int pidfd = -1;
	int r;

	r = net_conf_read(&a->net.conf, &a->gate, e);
	if (r == 0 && gate_ready(&a->gate, NULL, 0) < 0)
		r = err_say(e, EPIPE, "the supervisor is gone");
	if (r == 0)
		r = gate_wait_setup(&a->gate, &pidfd, 1, e);
	if (r < 0)
		return r;
	r = net_setup(&a->net.socks, pidfd, &a->net.conf, e);
	if (r < 0)
		return err_wrap(e, "network of the sandbox");
	net_owner_init(&a->net.owners, a->net.socks.fd[NET_DIAG], pidfd);
	return priv_drop(0, e);
}

static int serve(struct all *a, struct err *e)
{
	int r;

	r = net_pool_new(&a->net.pool, NET_POOL_MAX);
	if (r < 0)
		return err_set(e, -r, "names");
	r = net_resolver_new(&a->net.resolver, a->net.loop, a->net.conf.dns, e);
	if (r == 0)
		r = net_dns_new(&a->dns, &a->net, e);
	if (r == 0)
		r = net_flows_new(&a->flows, &a->net, e);
	if (r < 0)
		return r;
	r = net_fence_watch(&a->fence, &a->net);
	if (r == 0)
		r = gate_watch(&a->gate, a->net.loop);
	if (r == 0)
		r = gate_live(&a->gate, NULL, 0);
	return r < 0 ? err_set(e, -r, "serve") : 0;
}

/* Connections first: closing them records, and may still call the others. */
static void tear_down(struct all *a)
{
	net_flows_free(a->flows);
	net_dns_free(a->dns);
	net_resolver_free(a->net.resolver);
	net_pool_free(a->net.pool);
	net_setup_close(&a->net.socks);
}

static int run(struct all *a, struct loop *loop, struct err *e)
{
	int r;

	a->net.gate = &a->gate;
	a->net.loop = loop;
	r = set_up(a, e);
	if (r == 0)
		r = serve(a, e);
	if (r < 0)
		gate_failed(&a->gate, e);
	else
		r = loop_run(loop);
	tear_down(a);
	return r;
}

int main(void)
{
	autofree struct all *a = calloc(1, sizeof(*a));
	struct loop *loop = NULL;
	struct err e = ERR_INIT;
	int r;

	log_init_env("agentsh-netgate");
	if (!a || loop_new(&loop) < 0) {
		log_err("out of memory or descriptors");
		return 1;
	}
	for (unsigned i = 0; i < NET_SOCKS; i++)
		a->net.socks.fd[i] = -1;
	r = gate_open(&a->gate, "netgate", AUDIT_NET, &e);
	if (r == 0)
		r = run(a, loop, &e);
	gate_close(&a->gate);
	loop_free(loop);
	return r == 0 ? 0 : 1;
}
