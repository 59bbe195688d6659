#include "agentsh/policy_request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/path.h"
#include "common/str.h"

static int find_word(const char *const *words, size_t n, const char *word)
{
	for (size_t i = 0; word && i < n; i++)
		if (strcmp(words[i], word) == 0)
			return (int)i;
	return -1;
}

/* ---- files and sockets ---- */

static int make_file(struct policy_spec *s, const struct policy_words *w, const char *workspace,
		     struct err *e)
{
	const char *op = w->op ? w->op : "read";
	int r = path_join(s->text[0], sizeof(s->text[0]), workspace, w->file);

	if (r < 0)
		return err_set(e, -r, "path %s", w->file);
	s->r.kind = POLICY_FILE;
	s->r.file.path = s->text[0];
	for (unsigned i = 0; i < FILE_OPS; i++) {
		s->r.file.op = (enum file_op)i;
		if (strcmp(file_op_name(s->r.file.op), op) == 0)
			return 0;
	}
	return err_say(e, EINVAL, "\"%s\" is not a file operation: open, read, write, create, ...",
		       op);
}

static int make_unix(struct policy_spec *s, const struct policy_words *w, const char *workspace,
		     struct err *e)
{
	static const char *const ops[UNIX_OPS] = {"connect", "bind", "listen", "sendto"};
	int op = find_word(ops, UNIX_OPS, w->op ? w->op : "connect"), r = 0;

	if (op < 0)
		return err_say(e, EINVAL, "\"%s\" is none of connect, bind, listen, sendto", w->op);
	if (w->unix_path[0] != '@')
		r = path_join(s->text[0], sizeof(s->text[0]), workspace, w->unix_path);
	if (r < 0)
		return err_set(e, -r, "path %s", w->unix_path);
	s->r.kind = POLICY_UNIX;
	s->r.unix_socket.path = w->unix_path[0] == '@' ? w->unix_path : s->text[0];
	s->r.unix_socket.op = (enum unix_op)op;
	return 0;
}

/* ---- commands ---- */

static bool search_path(char *out, const char *name)
{
	static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					   "/usr/bin",	      "/sbin",		"/bin"};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(out, PATH_MAX, "%s/%s", dirs[i], name);
		if (access(out, X_OK) == 0)
			return true;
	}
	return false;
}

/* Could the sandbox put a program there? What the file rules say is what the mount will do. */
static bool is_constant(const struct policy *p, const char *path)
{
	static const enum file_op ops[] = {FILE_WRITE, FILE_CREATE, FILE_RENAME, FILE_LINK,
					   FILE_SYMLINK};
	struct decision d;

	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		const struct policy_request r = {.kind = POLICY_FILE, .file = {path, ops[i]}};

		policy_decide(&d, p, &r);
		if (d.verdict != VERDICT_DENY)
			return false;
	}
	return true;
}

static int make_exec(struct policy_spec *s, const struct policy *p, const struct policy_words *w,
		     const char *workspace, bool look, struct err *e)
{
	char *invoked = s->text[0], *exe = s->text[1];
	autofree char *real = NULL;
	uint64_t depth = 0;
	int r = 0;

	if (w->n_args >= POLICY_ARGS_MAX)
		return err_say(e, EINVAL, "more than %d arguments", POLICY_ARGS_MAX - 1);
	if (w->depth && str_to_u64(&depth, w->depth, 0, 1000) < 0)
		return err_say(e, EINVAL, "depth \"%s\" is not a number", w->depth);
	if (strchr(w->exec, '/'))
		r = path_join(invoked, PATH_MAX, workspace, w->exec);
	else if (!look || !search_path(invoked, w->exec))
		snprintf(invoked, PATH_MAX, "/usr/bin/%s", w->exec);
	if (r < 0)
		return err_set(e, -r, "command %s", w->exec);
	if (look)
		real = realpath(invoked, NULL);
	r = path_normalize(exe, PATH_MAX, w->exe ? w->exe : real ? real : invoked);
	if (r < 0)
		return err_set(e, -r, "program of %s", w->exec);
	s->argv[0] = w->exec;
	for (size_t i = 0; i < w->n_args; i++)
		s->argv[i + 1] = w->args[i];
	s->r.kind = POLICY_COMMAND;
	s->r.command.invoked = invoked;
	s->r.command.exe = exe;
	s->r.command.argv = s->argv;
	s->r.command.argc = w->n_args + 1;
	s->r.command.depth = (unsigned)depth;
	s->r.command.trusted_dir = is_constant(p, exe);
	s->r.command.trusted_invoked = is_constant(p, invoked);
	return 0;
}

/* ---- connections ---- */

static bool parse_addr(struct policy_addr *a, const char *text)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, a->bytes) == 1)
		a->family = 4;
	else if (inet_pton(AF_INET6, text, a->bytes) == 1)
		a->family = 6;
	return a->family != 0;
}

static void lower(char *s)
{
	size_t len = strlen(s);

	if (len > 1 && s[len - 1] == '.')
		s[len - 1] = '\0';
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

static int make_net(struct policy_spec *s, const struct policy_words *w, struct err *e)
{
	static const char *const protos[] = {"tcp", "udp"};
	int proto = find_word(protos, 2, w->proto ? w->proto : "tcp");
	char *host = s->text[0], *colon;
	struct policy_addr literal;
	uint64_t port = 443;

	if (strlen(w->net) >= 300 || proto < 0)
		return err_say(e, EINVAL, "write HOST:PORT, and tcp or udp");
	snprintf(host, PATH_MAX, "%s", w->net);
	colon = strrchr(host, ':');
	if (host[0] == '[' && strchr(host, ']')) {
		colon = strchr(host, ']')[1] == ':' ? strchr(host, ']') + 1 : NULL;
		*strchr(host, ']') = '\0';
		host++;
	} else if (colon && strchr(host, ':') != colon) {
		colon = NULL; /* a bare IPv6 address */
	}
	if (colon && str_to_u64(&port, colon + 1, 1, 65535) < 0)
		return err_say(e, EINVAL, "\"%s\" is not a port", colon + 1);
	if (colon)
		*colon = '\0';
	lower(host);
	s->r.kind = POLICY_NETWORK;
	s->r.network.port = (uint16_t)port;
	s->r.network.proto = (enum net_proto)proto;
	s->r.network.method = w->method;
	s->r.network.url_path = w->path;
	if (parse_addr(&literal, host))
		s->r.network.addr = literal;
	else
		s->r.network.host = host;
	if (w->addr && !parse_addr(&s->r.network.addr, w->addr))
		return err_say(e, EINVAL, "\"%s\" is not an address", w->addr);
	return 0;
}

/* ---- signals ---- */

static int make_signal(struct policy_spec *s, const struct policy_words *w, struct err *e)
{
	static const char *const targets[] = {"self",	 "children", "descendants", "siblings",
					      "session", "parent",   "external",    "system",
					      "user"};
	int target = find_word(targets, ARRAY_LEN(targets), w->target ? w->target : "session");
	const char *name = str_has_prefix(w->signal, "SIG") ? w->signal + 3 : w->signal;
	uint64_t n = 0;

	if (target < 0)
		return err_say(e, EINVAL, "\"%s\" is not a kind of target: self, session, external",
			       w->target);
	if (str_to_u64(&n, name, 1, 64) < 0)
		for (int i = 1; i < 32 && !n; i++)
			if (sigabbrev_np(i) && strcmp(sigabbrev_np(i), name) == 0)
				n = (uint64_t)i;
	if (!n)
		return err_say(e, EINVAL, "\"%s\" is not a signal", w->signal);
	s->r.kind = POLICY_SIGNAL;
	s->r.signal.signo = (int)n;
	s->r.signal.relations = 1u << target;
	return 0;
}

int policy_request_make(struct policy_spec *out, const struct policy *p,
			const struct policy_words *w, const char *workspace, bool look,
			struct err *e)
{
	unsigned n = !!w->file + !!w->exec + !!w->net + !!w->unix_path + !!w->env + !!w->signal;

	memset(out, 0, sizeof(*out));
	if (n != 1)
		return err_say(e, EINVAL,
			       "give exactly one of file, exec, net, unix, env and signal");
	if (w->file)
		return make_file(out, w, workspace, e);
	if (w->exec)
		return make_exec(out, p, w, workspace, look, e);
	if (w->net)
		return make_net(out, w, e);
	if (w->unix_path)
		return make_unix(out, w, workspace, e);
	if (w->signal)
		return make_signal(out, w, e);
	out->r.kind = POLICY_ENV;
	out->r.env.name = w->env;
	return 0;
}
