#include <stdio.h>
#include <string.h>

#include "common/match.h"
#include "common/policy_i.h"
#include "common/str.h"

/* What the agent chose is shown escaped and cut: a message is read by people and by models. */
#define SHOWN_MAX 256

struct expansion {
	struct str *out;
	const struct decision *d;
	const struct policy_request *r;
	const char *session;
};

static void put_untrusted(struct str *s, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	str_add_escaped(s, text ? text : "", len > SHOWN_MAX ? SHOWN_MAX : len);
	if (len > SHOWN_MAX)
		str_add(s, "...");
}

static void put_path(struct expansion *x)
{
	const struct policy_request *r = x->r;

	if (r->kind == POLICY_FILE)
		put_untrusted(x->out, r->file.path);
	else if (r->kind == POLICY_COMMAND)
		put_untrusted(x->out, r->command.exe);
	else if (r->kind == POLICY_UNIX)
		put_untrusted(x->out, r->unix_socket.path);
	else if (r->kind == POLICY_NETWORK)
		put_untrusted(x->out, r->network.url_path);
}

static void put_command(struct expansion *x)
{
	const char *invoked = x->r->kind == POLICY_COMMAND ? x->r->command.invoked : NULL;
	const char *slash = invoked ? strrchr(invoked, '/') : NULL;

	put_untrusted(x->out, slash ? slash + 1 : invoked);
}

static void put_args(struct expansion *x)
{
	const struct policy_request *r = x->r;
	size_t left = SHOWN_MAX;

	for (size_t i = 1; r->kind == POLICY_COMMAND && i < r->command.argc; i++) {
		size_t len = strlen(r->command.argv[i]);

		if (len >= left) {
			str_add(x->out, i > 1 ? " ..." : "...");
			return;
		}
		if (i > 1)
			str_add(x->out, " ");
		str_add_escaped(x->out, r->command.argv[i], len);
		left -= len + 1;
	}
}

static void put_address(struct expansion *x)
{
	char text[MATCH_ADDR_TEXT] = "";

	if (x->r->kind == POLICY_NETWORK)
		match_addr_text(text, x->r->network.addr.family, x->r->network.addr.bytes);
	str_add(x->out, text);
}

static void put_domain(struct expansion *x)
{
	if (x->r->kind == POLICY_NETWORK && x->r->network.host)
		put_untrusted(x->out, x->r->network.host);
	else
		put_address(x);
}

static void put_port(struct expansion *x)
{
	if (x->r->kind == POLICY_NETWORK && x->r->network.port)
		str_addf(x->out, "%u", x->r->network.port);
}

static void put_method(struct expansion *x)
{
	if (x->r->kind == POLICY_NETWORK)
		put_untrusted(x->out, x->r->network.method);
}

static void put_url(struct expansion *x)
{
	put_domain(x);
	if (x->r->kind == POLICY_NETWORK)
		put_untrusted(x->out, x->r->network.url_path);
}

static void put_operation(struct expansion *x)
{
	static const char *const unix_ops[UNIX_OPS] = {"connect", "bind", "listen", "sendto"};
	const struct policy_request *r = x->r;

	if (r->kind == POLICY_FILE)
		str_add(x->out, file_op_name(r->file.op));
	else if (r->kind == POLICY_UNIX && (unsigned)r->unix_socket.op < UNIX_OPS)
		str_add(x->out, unix_ops[r->unix_socket.op]);
	else if (r->kind == POLICY_COMMAND)
		str_add(x->out, "exec");
	else if (r->kind == POLICY_NETWORK)
		str_add(x->out, "connect");
	else if (r->kind == POLICY_SIGNAL)
		str_addf(x->out, "signal %d", r->signal.signo);
}

static void put_rule(struct expansion *x)
{
	str_add(x->out, x->d->rule);
}

static void put_session(struct expansion *x)
{
	put_untrusted(x->out, x->session);
}

static const struct {
	const char *name;
	void (*put)(struct expansion *x);
} names[] = {
	{".Path", put_path},	   {".Command", put_command}, {".Args", put_args},
	{".Domain", put_domain},   {".IP", put_address},      {".Port", put_port},
	{".Method", put_method},   {".URL", put_url},	      {".Operation", put_operation},
	{".Rule", put_rule},	   {".Session", put_session}, {".RemoteAddr", put_domain},
	{".RemotePort", put_port},
};

static void put_name(struct expansion *x, const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0)
			names[i].put(x);
}

void policy_message(char *buf, size_t size, const struct decision *d,
		    const struct policy_request *r, const char *session)
{
	const char *p = d->message;
	struct expansion x;
	struct str out;

	str_init(&out, buf, size);
	x = (struct expansion){&out, d, r, session};
	while (*p) {
		const char *open = strstr(p, "{{"), *close = open ? strstr(open, "}}") : NULL;
		size_t len;

		if (!close) {
			str_add(&out, p);
			break;
		}
		str_add_mem(&out, p, (size_t)(open - p));
		open += 2 + strspn(open + 2, " ");
		for (len = (size_t)(close - open); len && open[len - 1] == ' ';)
			len--;
		put_name(&x, open, len);
		p = close + 2;
	}
}
