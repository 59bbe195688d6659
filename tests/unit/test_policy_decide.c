#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#include "tests/unit/policy_fixture.h"
#include "tests/unit/unit.h"

/* ---- asking ---- */

static struct decision ask(const struct policy *p, const struct policy_request *r)
{
	struct decision d;

	policy_decide(&d, p, r);
	return d;
}

static enum verdict file(const struct policy *p, const char *path, enum file_op op)
{
	const struct policy_request r = {.kind = POLICY_FILE, .file = {path, op}};

	return ask(p, &r).verdict;
}

struct program {
	const char *invoked, *exe, *applet, *alias, *args;
	bool trusted, trusted_invoked;
	unsigned depth;
};

static struct decision command(const struct policy *p, const struct program *x)
{
	const char *argv[2] = {x->invoked, x->args};
	struct policy_request r = {.kind = POLICY_COMMAND};

	r.command.invoked = x->invoked;
	r.command.exe = x->exe ? x->exe : x->invoked;
	r.command.applet = x->applet;
	r.command.aliases = &x->alias;
	r.command.n_aliases = x->alias ? 1 : 0;
	r.command.argv = argv;
	r.command.argc = x->args ? 2 : 1;
	r.command.depth = x->depth;
	r.command.trusted_dir = x->trusted;
	r.command.trusted_invoked = x->trusted_invoked;
	return ask(p, &r);
}

static struct decision net(const struct policy *p, const char *host, const char *addr, uint16_t port)
{
	struct policy_request r = {.kind = POLICY_NETWORK, .network = {.host = host, .port = port}};
	unsigned b[4];

	if (addr && sscanf(addr, "%u.%u.%u.%u", &b[0], &b[1], &b[2], &b[3]) == 4) {
		r.network.addr.family = 4;
		for (int i = 0; i < 4; i++)
			r.network.addr.bytes[i] = (uint8_t)b[i];
	}
	return ask(p, &r);
}

static enum verdict env(const struct policy *p, const char *name)
{
	const struct policy_request r = {.kind = POLICY_ENV, .env = {.name = name}};

	return ask(p, &r).verdict;
}

#define IS(expr, v) CU_ASSERT_EQUAL((expr), VERDICT_##v)

/* ---- files ---- */

static void files(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"file_rules:\n"
		"- {name: key, paths: ['${WORKSPACE}/**/.env'], decision: deny}\n"
		"- {name: trash, paths: [/ws/old/**], operations: [delete, write], decision: soft_delete}\n"
		"- {name: w, paths: [/workspace, '/workspace/**'], operations: [read, write, create], decision: allow}\n"
		"- {name: home, paths: ['~/x'], operations: ['*'], decision: approve, timeout: 90s}\n"
		"- {name: dir, paths: [/d/], decision: hide}\n"
		"- {name: any, paths: ['**/*.log'], operations: [delete], decision: allow}\n");
	struct decision d;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	IS(file(p, "/ws/a", FILE_WRITE), ALLOW);
	IS(file(p, "/ws", FILE_READ), ALLOW);
	IS(file(p, "/ws2", FILE_WRITE), DENY);
	IS(file(p, "/ws/.env", FILE_READ), DENY);
	IS(file(p, "/ws/a/b/.env", FILE_STAT), DENY);
	IS(file(p, "/ws/a.env", FILE_READ), ALLOW);
	IS(file(p, "/ws/a", FILE_RENAME), DENY);
	IS(file(p, "/ws/old/a", FILE_DELETE), SOFT_DELETE);
	IS(file(p, "/ws/old/a", FILE_WRITE), ALLOW);
	IS(file(p, "/home/u/x", FILE_READ), APPROVE);
	IS(file(p, "/d", FILE_READ), HIDE);
	IS(file(p, "/d/e/f", FILE_STAT), HIDE);
	IS(file(p, "/z/a.log", FILE_DELETE), ALLOW);
	/* what goes along with an operation */
	IS(file(p, "/ws/a", FILE_OPEN), ALLOW);
	IS(file(p, "/ws/a", FILE_EXEC), ALLOW);
	IS(file(p, "/ws/a", FILE_UTIME), ALLOW);
	IS(file(p, "/ws/a", FILE_CHMOD), DENY);
	/* defaults */
	IS(file(p, "/etc/passwd", FILE_READ), ALLOW);
	IS(file(p, "/etc/passwd", FILE_WRITE), DENY);
	d = ask(p, &(struct policy_request){.kind = POLICY_FILE, .file = {"/home/u/x", FILE_READ}});
	CU_ASSERT_EQUAL(d.timeout_ms, 90000);
	CU_ASSERT_STRING_EQUAL(d.rule, "home");
	CU_ASSERT_EQUAL(d.rule_index, 3);
	d = ask(p, &(struct policy_request){.kind = POLICY_FILE, .file = {"/q", FILE_WRITE}});
	CU_ASSERT_EQUAL(d.reason, REASON_DEFAULT);
	CU_ASSERT_EQUAL(d.rule_index, UINT32_MAX);
	CU_ASSERT_STRING_EQUAL(d.rule, "default");
	CU_ASSERT_EQUAL(d.timeout_ms, 300000);
}

static void malformed(void)
{
	static const char *const paths[] = {"", "a", "/a/", "//a", "/a//b", "/a/./b", "/..", "/a/..",
					    "/a/.", NULL};
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"defaults: {file_read: allow, command: allow, network: allow, unix_socket: allow}\n"
		"file_rules:\n- {paths: ['**'], decision: allow}\n");
	struct policy_request r = {.kind = POLICY_FILE, .file = {"/", FILE_READ}};

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	IS(ask(p, &r).verdict, ALLOW);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		r.file.path = paths[i];
		IS(ask(p, &r).verdict, DENY);
		CU_ASSERT_EQUAL(ask(p, &r).reason, REASON_MALFORMED);
	}
	r.file.path = "/...";
	IS(ask(p, &r).verdict, ALLOW);
	r.file.op = FILE_OPS;
	IS(ask(p, &r).verdict, DENY);
	r = (struct policy_request){.kind = POLICY_KINDS};
	IS(ask(p, &r).verdict, DENY);
	IS(net(p, "a b", NULL, 443).verdict, DENY);
	IS(net(p, "Upper.example", NULL, 443).verdict, DENY);
	IS(net(p, "trailing.", NULL, 443).verdict, DENY);
	IS(net(p, NULL, NULL, 443).verdict, DENY);
	IS(net(p, "fine.example", NULL, 443).verdict, ALLOW);
	IS(env(p, ""), DENY);
	IS(env(p, "A=B"), DENY);
}

/* ---- commands ---- */

static void commands(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"command_rules:\n"
		"- {name: no-curl, commands: [curl, 'wget*'], decision: deny}\n"
		"- {name: push, commands: [git], args_patterns: ['^push\\b.*(--force|-f)'], decision: deny}\n"
		"- {name: nested, commands: [make], context: [nested], decision: deny}\n"
		"- {name: deep, commands: [cc], context: {depth: [2, 3]}, decision: deny}\n"
		"- {name: tools, commands: [git, make, cc, sh, ls, 'python3*'], decision: allow}\n"
		"- {name: abs, commands: [/opt/x, '/ws/bin/*'], decision: allow}\n"
		"- {name: box, commands: [telnet], decision: deny}\n"
		"- {name: busybox, commands: [/bin/busybox], decision: allow}\n");
#define RUN(path, ...) command(p, &(struct program){.invoked = (path), ##__VA_ARGS__})

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	IS(RUN("/usr/bin/git", .trusted = true).verdict, ALLOW);
	IS(RUN("/usr/bin/git", .trusted = true, .args = "push --force").verdict, DENY);
	IS(RUN("/usr/bin/git", .trusted = true, .args = "push x\n--force").verdict, DENY);
	IS(RUN("/usr/bin/git", .trusted = true, .args = "status").verdict, ALLOW);
	/* a copy of that name is not that program */
	IS(RUN("/ws/git").verdict, DENY);
	CU_ASSERT_EQUAL(RUN("/ws/git").reason, REASON_UNTRUSTED_DIR);
	/* a link of that name to another trusted program neither */
	IS(RUN("/ws/git", .exe = "/usr/bin/perl", .trusted = true).verdict, DENY);
	IS(RUN("/bin/sh", .exe = "/usr/bin/dash", .trusted = true, .trusted_invoked = true).verdict, ALLOW);
	IS(RUN("/usr/bin/python3", .exe = "/usr/bin/python3.11", .trusted = true).verdict, ALLOW);
	/* but a denied one is denied by any name */
	IS(RUN("/ws/x", .exe = "/usr/bin/curl", .trusted = true).verdict, DENY);
	CU_ASSERT_STRING_EQUAL(RUN("/ws/x", .exe = "/usr/bin/curl").rule, "no-curl");
	CU_ASSERT_STRING_EQUAL(RUN("/ws/curl", .exe = "/usr/bin/ls").rule, "no-curl");
	CU_ASSERT_STRING_EQUAL(RUN("/ws/ls", .alias = "/usr/bin/curl").rule, "no-curl");
	CU_ASSERT_STRING_EQUAL(RUN("/ws/wget2").rule, "no-curl");
	CU_ASSERT_STRING_EQUAL(RUN("/bin/busybox", .applet = "telnet").rule, "box");
	CU_ASSERT_STRING_EQUAL(RUN("/bin/busybox", .applet = "wget").rule, "no-curl");
	IS(RUN("/bin/busybox", .applet = "cat").verdict, ALLOW);
	IS(RUN("/bin/busybox", .applet = "ls", .trusted = true).verdict, ALLOW);
	/* depth */
	IS(RUN("/usr/bin/make", .trusted = true).verdict, ALLOW);
	IS(RUN("/usr/bin/make", .trusted = true, .depth = 1).verdict, DENY);
	IS(RUN("/usr/bin/cc", .trusted = true, .depth = 1).verdict, ALLOW);
	IS(RUN("/usr/bin/cc", .trusted = true, .depth = 3).verdict, DENY);
	IS(RUN("/usr/bin/cc", .trusted = true, .depth = 4).verdict, ALLOW);
	/* paths */
	IS(RUN("/opt/x").verdict, ALLOW);
	IS(RUN("/ws/bin/t").verdict, ALLOW);
	IS(RUN("/ws/bin/t/u").verdict, DENY);
	IS(RUN("/usr/bin/unknown", .trusted = true).verdict, DENY);
}

static void regex_limits(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"command_rules:\n"
		"- {name: evil, commands: [], args_patterns: ['(a+)+$'], decision: allow}\n");
	char args[64];
	struct decision d;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	memset(args, 'a', sizeof(args));
	args[sizeof(args) - 2] = 'b';
	args[sizeof(args) - 1] = '\0';
	d = RUN("/bin/x", .args = args);
	IS(d.verdict, DENY);
	CU_ASSERT_EQUAL(d.reason, REASON_REGEX_LIMIT);
	CU_ASSERT_STRING_EQUAL(d.rule, "evil");
	IS(RUN("/bin/x", .args = "aa").verdict, ALLOW);
}

static void redirects(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"command_rules:\n"
		"- name: echo\n"
		"  commands: [rm]\n"
		"  decision: redirect\n"
		"  redirect_to: {command: /bin/echo, args: [no, 'in ${WORKSPACE}'], args_append: [x],\n"
		"    environment: {A: b}}\n"
		"  env_allow: [PATH]\n");
	struct decision d;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	d = RUN("/bin/rm");
	IS(d.verdict, REDIRECT);
	CU_ASSERT_STRING_EQUAL(d.redirect_to, "/bin/echo");
	CU_ASSERT_EQUAL(policy_command_list_len(p, d.rule_index, COMMAND_ARGS), 2);
	CU_ASSERT_STRING_EQUAL(policy_command_list_get(p, 0, COMMAND_ARGS, 1), "in /ws");
	CU_ASSERT_STRING_EQUAL(policy_command_list_get(p, 0, COMMAND_ARGS_APPEND, 0), "x");
	CU_ASSERT_STRING_EQUAL(policy_command_list_get(p, 0, COMMAND_ENVIRONMENT, 1), "b");
	CU_ASSERT_STRING_EQUAL(policy_command_list_get(p, 0, COMMAND_ENV_ALLOW, 0), "PATH");
	CU_ASSERT_PTR_NULL(policy_command_list_get(p, 0, COMMAND_ENV_ALLOW, 1));
	CU_ASSERT_EQUAL(policy_command_list_len(p, UINT32_MAX, COMMAND_ARGS), 0);
}

/* ---- network ---- */

static void network(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"network_rules:\n"
		"- {name: bad, domains: ['*.evil.example'], decision: deny}\n"
		"- {name: web, domains: [good.example, '*.good.example'], ports: [443, '8000-8010'], decision: allow}\n"
		"- {name: db, domains: [db.example], cidrs: [10.1.0.0/16], ports: [5432], decision: allow}\n"
		"- {name: net, cidrs: [192.168.7.0/24], decision: audit}\n"
		"- {name: literal, domains: [9.9.9.9], decision: allow}\n"
		"- {name: host, destinations: [Alias.Example.], decision: allow}\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	IS(net(p, "good.example", "1.2.3.4", 443).verdict, ALLOW);
	IS(net(p, "good.example", NULL, 443).verdict, ALLOW);
	IS(net(p, "a.b.good.example", "1.2.3.4", 8005).verdict, ALLOW);
	IS(net(p, "good.example", "1.2.3.4", 8011).verdict, DENY);
	IS(net(p, "x.evil.example", "1.2.3.4", 443).verdict, DENY);
	IS(net(p, "alias.example", "1.2.3.4", 1).verdict, ALLOW);
	/* rebinding */
	IS(net(p, "good.example", "127.0.0.1", 443).verdict, DENY);
	CU_ASSERT_EQUAL(net(p, "good.example", "10.1.2.3", 443).reason, REASON_PRIVATE_ADDRESS);
	CU_ASSERT_STRING_EQUAL(net(p, "good.example", "10.1.2.3", 443).rule, "web");
	IS(net(p, "db.example", "10.1.2.3", 5432).verdict, ALLOW);
	IS(net(p, "db.example", "10.2.2.3", 5432).verdict, DENY);
	IS(net(p, "db.example", NULL, 5432).verdict, DENY);
	/* addresses */
	IS(net(p, NULL, "192.168.7.9", 80).verdict, AUDIT);
	IS(net(p, NULL, "192.168.8.9", 80).verdict, DENY);
	IS(net(p, NULL, "9.9.9.9", 53).verdict, ALLOW);
	IS(net(p, NULL, "9.9.9.8", 53).verdict, DENY);
	CU_ASSERT_EQUAL(net(p, NULL, "9.9.9.8", 53).reason, REASON_DEFAULT);
}

static void international(void)
{
	static const char *const wire[] = {"xn--bcher-kva.example", "xn--mnchen-3ya.example", "xn--e1afmkfd.xn--p1ai",
					   "a.xn--wgv71a119e.jp", "xn--fa-hia.de"};
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"network_rules:\n"
		"- {domains: [b\xc3\xbc" "cher.example, 'M\xc3\x9cNCHEN.Example.', \xd0\x9f\xd1\x80\xd0\xb8\xd0\xbc\xd0\xb5\xd1\x80.\xd1\x80\xd1\x84,\n"
		"   '*.\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.jp', fa\xc3\x9f.de], decision: allow}\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	for (size_t i = 0; i < ARRAY_LEN(wire); i++)
		IS(net(p, wire[i], NULL, 443).verdict, ALLOW);
	IS(net(p, "bcher.example", NULL, 443).verdict, DENY);
}

static void names(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"network_rules:\n"
		"- {name: part, domains: ['*.a.example'], ports: [25], decision: deny}\n"
		"- {name: all, domains: [b.a.example], decision: deny}\n"
		"- {name: wild, domains: ['*.a.example'], ports: [443], decision: allow}\n"
		"- {name: exact, domains: [c.example], decision: approve}\n");
	struct decision d;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	IS(policy_name_verdict(&d, p, "x.a.example"), ALLOW);
	CU_ASSERT_STRING_EQUAL(d.rule, "wild");
	IS(policy_name_verdict(&d, p, "b.a.example"), DENY);
	CU_ASSERT_STRING_EQUAL(d.rule, "all");
	IS(policy_name_verdict(&d, p, "c.example"), APPROVE);
	IS(policy_name_verdict(&d, p, "d.example"), DENY);
	CU_ASSERT_STRING_EQUAL(d.rule, "default");
	IS(policy_name_verdict(&d, p, "bad name"), DENY);
	CU_ASSERT_TRUE(policy_name_is_exact(p, "c.example"));
	CU_ASSERT_FALSE(policy_name_is_exact(p, "x.a.example"));
	CU_ASSERT_FALSE(policy_name_is_exact(p, "b.a.example"));
}

/* ---- the rest ---- */

static void sockets_and_signals(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"unix_socket_rules:\n"
		"- {name: u, paths: [/tmp/**, '@ok*'], operations: [connect], decision: allow}\n"
		"signal_rules:\n"
		"- {name: soft, signals: [SIGKILL], target: {type: children}, decision: redirect, redirect_to: SIGTERM}\n"
		"- {name: job, signals: ['@job', 15], target: {type: process, pattern: 'ng*'}, decision: deny}\n"
		"- {name: pids, signals: [HUP], target: {type: pid_range, min: 10, max: 20}, decision: absorb}\n");
	struct policy_request r = {.kind = POLICY_UNIX, .unix_socket = {"/tmp/a", UNIX_CONNECT}};

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	IS(ask(p, &r).verdict, ALLOW);
	r.unix_socket.op = UNIX_BIND;
	IS(ask(p, &r).verdict, DENY);
	r.unix_socket.op = UNIX_CONNECT;
	r.unix_socket.path = "@ok1";
	IS(ask(p, &r).verdict, ALLOW);
	r.unix_socket.path = "@no";
	IS(ask(p, &r).verdict, DENY);
	r = (struct policy_request){.kind = POLICY_SIGNAL};
	r.signal.signo = 9;
	r.signal.relations = 1u << SIGNAL_CHILDREN | 1u << SIGNAL_SESSION;
	IS(ask(p, &r).verdict, REDIRECT);
	CU_ASSERT_STRING_EQUAL(ask(p, &r).redirect_to, "SIGTERM");
	r.signal.relations = 1u << SIGNAL_SESSION;
	IS(ask(p, &r).verdict, ALLOW);
	r.signal.relations = 1u << SIGNAL_EXTERNAL;
	IS(ask(p, &r).verdict, DENY);
	r.signal.relations = 1u << SIGNAL_SELF;
	r.signal.signo = 15;
	r.signal.comm = "nginx";
	IS(ask(p, &r).verdict, DENY);
	r.signal.comm = "vim";
	IS(ask(p, &r).verdict, ALLOW);
	r.signal.signo = 1;
	r.signal.pid = 15;
	IS(ask(p, &r).verdict, ABSORB);
	r.signal.pid = 21;
	IS(ask(p, &r).verdict, ALLOW);
	r.signal.signo = 65;
	IS(ask(p, &r).verdict, DENY);
}

static void environment(void)
{
	AUTO(policy_free) struct policy *usual = fixture_load(HEAD);
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"env_policy: {allow: [A*, GITHUB_TOKEN, 'AWS_*'], deny: [AB]}\n");
	const char *rule_allow[] = {"ONLY"};
	struct policy_request r = {.kind = POLICY_ENV, .env = {"ONLY", rule_allow, 1}};

	CU_ASSERT_PTR_NOT_NULL_FATAL(usual);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	IS(env(usual, "PATH"), ALLOW);
	IS(env(usual, "LC_ALL"), ALLOW);
	IS(env(usual, "FOO"), DENY);
	IS(env(usual, "MY_TOKEN"), DENY);
	IS(env(usual, "LD_PRELOAD"), DENY);
	IS(env(p, "AA"), ALLOW);
	IS(env(p, "AB"), DENY);
	IS(env(p, "PATH"), DENY);
	IS(env(p, "GITHUB_TOKEN"), ALLOW);
	IS(env(p, "AWS_SECRET_ACCESS_KEY"), DENY);
	IS(ask(p, &r).verdict, ALLOW);
	r.env.name = "AA";
	IS(ask(p, &r).verdict, DENY);
}

static void messages(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"file_rules:\n- {name: r, paths: ['**'], decision: deny, message: '{{.Operation}} {{ .Path }} by {{.Rule}} in {{.Session}}'}\n"
		"network_rules:\n- {name: n, decision: deny, message: '{{.Domain}}|{{.IP}}|{{.Port}}'}\n");
	struct policy_request r = {.kind = POLICY_FILE, .file = {"/a\x1b[31m\n", FILE_WRITE}};
	struct decision d;
	char buf[256], lengthy[2000];

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	d = ask(p, &r);
	policy_message(buf, sizeof(buf), &d, &r, "s");
	CU_ASSERT_STRING_EQUAL(buf, "write /a\\x1b[31m\\x0a by r in s");
	memset(lengthy, 'x', sizeof(lengthy));
	lengthy[0] = '/';
	lengthy[sizeof(lengthy) - 1] = '\0';
	r.file.path = lengthy;
	policy_message(buf, sizeof(buf), &d, &r, "s");
	CU_ASSERT_TRUE(strlen(buf) < sizeof(buf));
	r = (struct policy_request){.kind = POLICY_NETWORK,
				    .network = {.addr = {4, {1, 2, 3, 4}}, .port = 80}};
	d = ask(p, &r);
	policy_message(buf, sizeof(buf), &d, &r, "s");
	CU_ASSERT_STRING_EQUAL(buf, "1.2.3.4|1.2.3.4|80");
}

/* ---- the image ---- */

static void image(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"description: d\nfile_rules:\n- {name: r, paths: [/a/**], decision: deny}\n"
		"command_rules:\n- {commands: [x], args_patterns: [y], decision: allow}\n"
		"env_inject: {A: '${WORKSPACE}/b'}\n"
		"resource_limits: {max_memory_mb: 2, command_timeout: 1h30m}\n"
		"audit: {log_allowed: false, log_outside_reads: true, durability: {exec: commit}}\n"
		"dlp: {mode: redact}\ntrash: {ttl: 2h, max_mb: 3}\n");
	AUTO(policy_free) struct policy *m = NULL;
	struct policy_limits limits;
	struct policy_audit audit;
	struct policy_trash trash;
	struct err e = ERR_INIT;
	char byte = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(policy_map(&m, policy_image_fd(p), &e), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_STRING_EQUAL(policy_name(m), "t");
	CU_ASSERT_STRING_EQUAL(policy_description(m), "d");
	CU_ASSERT_EQUAL(memcmp(policy_digest(p), policy_digest(m), 32), 0);
	IS(file(m, "/a/b", FILE_READ), DENY);
	policy_get_limits(&limits, m);
	CU_ASSERT_EQUAL(limits.memory_max_bytes, 2 << 20);
	CU_ASSERT_EQUAL(limits.command_timeout_ms, 5400000);
	policy_get_audit(&audit, m);
	CU_ASSERT_FALSE(audit.log_allowed);
	CU_ASSERT_TRUE(audit.log_outside_reads);
	policy_get_trash(&trash, m);
	CU_ASSERT_EQUAL(trash.ttl_ms, 7200000);
	CU_ASSERT_EQUAL(trash.max_bytes, 3 << 20);
	CU_ASSERT_EQUAL(trash.max_count, 0);
	CU_ASSERT_TRUE(audit.log_denied);
	CU_ASSERT_EQUAL(audit.exec, DURABLE_COMMIT);
	CU_ASSERT_STRING_EQUAL(policy_section(m, "dlp"), "{\"mode\":\"redact\"}");
	CU_ASSERT_STRING_EQUAL(policy_section(m, "env_inject"), "{\"A\":\"/ws/b\"}");
	CU_ASSERT_PTR_NULL(policy_section(m, "mcp_rules"));
	/* nobody can change it any more */
	CU_ASSERT_TRUE(pwrite(policy_image_fd(p), &byte, 1, 0) < 0);
	CU_ASSERT_TRUE(ftruncate(policy_image_fd(p), 1) < 0);
}

/* Every damaged image is refused, or can be asked all the same: each byte is changed in turn. */
static void damaged(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"file_rules:\n- {name: r, paths: ['/a/{b,c}/**/*.x'], decision: deny}\n"
		"network_rules:\n- {domains: [x], cidrs: [10.0.0.0/8], ports: [1], decision: allow}\n");
	struct err e = ERR_INIT;
	unsigned refused = 0;
	char bytes[16384];
	ssize_t size;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	size = pread(policy_image_fd(p), bytes, sizeof(bytes), 0);
	CU_ASSERT_FATAL(size > 0 && size < (ssize_t)sizeof(bytes));
	for (ssize_t i = 0; i < size; i++) {
		autoclose int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		AUTO(policy_free) struct policy *m = NULL;

		bytes[i] ^= 0x41;
		CU_ASSERT_EQUAL(write(fd, bytes, (size_t)size), size);
		bytes[i] ^= 0x41;
		if (i == size - 1)
			CU_ASSERT_TRUE(policy_map(&m, fd, &e) < 0); /* not sealed */
		fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
		if (policy_map(&m, fd, &e) < 0) {
			refused++;
			continue;
		}
		file(m, "/a/b/c.x", FILE_READ);
		net(m, "x", "10.0.0.1", 1);
		policy_subtree(m, "/a");
	}
	CU_ASSERT_TRUE(refused > 100);
	CU_ASSERT_TRUE(policy_map(&p, -1, &e) < 0);
}

static void *many(void *arg)
{
	const struct policy *p = arg;

	for (int i = 0; i < 300; i++) {
		CU_ASSERT_EQUAL(RUN("/bin/git", .args = "push --force").verdict, VERDICT_DENY);
		CU_ASSERT_EQUAL(RUN("/bin/git", .args = "pull").verdict, VERDICT_ALLOW);
	}
	return NULL;
}

static void threads(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"command_rules:\n"
		"- {commands: [git], args_patterns: ['push.*--force'], decision: deny}\n"
		"- {commands: [/bin/git], decision: allow}\n");
	pthread_t t[6];

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		CU_ASSERT_EQUAL(pthread_create(&t[i], NULL, many, p), 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
}

static void trace_one(void *arg, uint32_t index, const char *rule, bool matched, const char *why)
{
	char *out = arg;

	sprintf(out + strlen(out), "%u %s %d %s;", index, rule, matched, why);
}

static void explanations(void)
{
	AUTO(policy_free) struct policy *p = fixture_load(HEAD
		"file_rules:\n"
		"- {name: a, paths: [/a], operations: [write], decision: deny}\n"
		"- {name: b, paths: [/b], decision: deny}\n"
		"- {name: c, paths: [/a], decision: allow}\n"
		"- {name: d, paths: [/a], decision: deny}\n");
	struct policy_request r = {.kind = POLICY_FILE, .file = {"/a", FILE_READ}};
	struct decision d;
	char out[400] = "";

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	policy_explain(&d, p, &r, trace_one, out);
	CU_ASSERT_STRING_EQUAL(out, "0 a 0 its operations do not include this one;"
				    "1 b 0 no path of it matches;2 c 1 matches;");
	IS(d.verdict, ALLOW);
}

static const struct unit_case cases[] = {
	{"files", files},
	{"requests that cannot be judged", malformed},
	{"commands", commands},
	{"limits of patterns", regex_limits},
	{"redirects of commands", redirects},
	{"network", network},
	{"names in other scripts", international},
	{"names", names},
	{"sockets and signals", sockets_and_signals},
	{"environment", environment},
	{"messages", messages},
	{"image", image},
	{"damaged images", damaged},
	{"threads", threads},
	{"explanations", explanations},
};

UNIT_MAIN("policy_decide", cases)
