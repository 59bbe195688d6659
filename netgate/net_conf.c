#include "netgate/net_conf.h"

#include <errno.h>
#include <string.h>

#include "common/str.h"
#include "netgate/net_name.h"

static int read_addr(struct policy_addr *out, const struct gate *g, const char *key,
		     const char *fallback, struct err *e)
{
	const char *text = gate_conf(g, key);
	uint8_t family = strchr(fallback, ':') ? 6 : 4;

	if (!text || !*text)
		text = fallback;
	if (!net_name_to_addr(out, text, strlen(text)) || out->family != family)
		return err_say(e, EINVAL, "%s is not an IPv%u address: %s", key, family, text);
	return 0;
}

/* "ADDR", "ADDR:PORT" or "[ADDR6]:PORT", as c-ares reads them */
static bool is_server(const char *text)
{
	struct policy_addr a;
	const char *host = text, *end = strrchr(text, ':');
	uint64_t port;

	if (net_name_to_addr(&a, text, strlen(text)))
		return true;
	if (!end || str_to_u64(&port, end + 1, 1, 65535) < 0)
		return false;
	if (*host == '[') {
		if (end[-1] != ']')
			return false;
		host++;
		end--;
	}
	return net_name_to_addr(&a, host, (size_t)(end - host));
}

int net_conf_read(struct net_conf *c, const struct gate *g, struct err *e)
{
	const char *server;
	struct str dns;
	int r;

	memset(c, 0, sizeof(*c));
	r = read_addr(&c->own4, g, "resolver4", "10.200.0.1", e);
	if (r == 0)
		r = read_addr(&c->own6, g, "resolver6", "fd00:ffff::1", e);
	if (r < 0)
		return r;
	str_init(&dns, c->dns, sizeof(c->dns));
	for (unsigned i = 0; (server = gate_conf_nth(g, "dns", i)); i++) {
		if (!is_server(server))
			return err_say(e, EINVAL, "dns.%u is not ADDRESS:PORT: %s", i, server);
		str_addf(&dns, "%s%s", i ? "," : "", server);
	}
	if (dns.cut)
		return err_say(e, EINVAL, "too many DNS servers");
	return 0;
}
