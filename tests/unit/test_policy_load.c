#include <sys/stat.h>
#include <time.h>

#include "tests/unit/policy_fixture.h"
#include "tests/unit/unit.h"

/* ---- policies that are wrong, and what is said about each ---- */

struct bad {
	const char *text;
	const char *line; /* the beginning of the first diagnostic */
};

static const struct bad documents[] = {
	{"", "1:1: the file is empty; "},
	{"# only a comment\n", "1:1: the file is empty; "},
	{"---\n", "1:1: the file is empty; "},
	{"- a\n", "1:1: a policy is a map of keys"},
	{"just text", "1:1: a policy is a map of keys"},
	{"version: 1\nname: x\n---\nversion: 1\n", "3:1: a second document starts here"},
	{"version: 1\n name: x\n", "2:6: this is not YAML: mapping values are not allowed"},
	{"version: [1\n", "2:1: this is not YAML: "},
	{"version: 1\nname: \"x\n", "3:1: this is not YAML: "},
	{"version: 1\n\tname: x\n", "2:1: this is not YAML: "},
	{"version: 1\nname: x\x01\n", "2:8: this is not YAML: control characters"},
	{HEAD "name: u\n", "3:1: key \"name\" is here twice (first on line 2)"},
	{HEAD "file_rules: *x\n", "3:13: this alias has no anchor before it"},
	{HEAD "metadata: &x [*x]\n", "3:15: this alias has no anchor before it"},
	{HEAD "description: !!binary aGk=\n", "3:14: YAML tags are not used"},
	{HEAD "description: \"a\\0b\"\n", "3:14: this text contains a NUL"},
	{HEAD "? [a]\n: b\n", "3:3: a key must be plain text"},
	{HEAD "~: b\n", "3:1: a key must be plain text"},
};

static const struct bad keys[] = {
	{"name: x\n", "1:1: a policy has no \"version\""},
	{"version: 1\n", "1:1: a policy has no \"name\""},
	{"version: 2\nname: x\n", "1:10: 2 is out of range; use 1 to 1"},
	{"version: one\nname: x\n", "1:10: \"one\" is not a whole number"},
	{"version: \"1\"\nname: x\n", "1:10: \"1\" is not a whole number"},
	{"version: 1\nname: Ours!\n", "2:7: bad name \"Ours!\""},
	{HEAD "file_rule: []\n", "3:1: unknown key \"file_rule\" in a policy; did you mean \"file_rules\"?"},
	{HEAD "comand_rules: []\n", "3:1: unknown key \"comand_rules\" in a policy; did you mean \"command_rules\"?"},
	{HEAD "zzz: []\n", "3:1: unknown key \"zzz\" in a policy; "},
	{HEAD "services: {}\n", "3:11: \"services\" is now part of http_services"},
	{HEAD "file_rules: {}\n", "3:13: expected a list, found a map"},
	{HEAD "file_rules: yes\n", "3:13: expected a list, found a single value"},
	{HEAD "file_rules: [a]\n", "3:14: expected a map of keys, found a single value"},
	{HEAD "file_rules: [~]\n", "3:14: an entry of the list is empty"},
	{HEAD "defaults: []\n", "3:11: expected a map of keys, found a list"},
	{HEAD "description: [a]\n", "3:14: expected a single value, found a list"},
	{HEAD "defaults: {file_reed: deny}\n", "3:12: unknown key \"file_reed\" in defaults; did you mean \"file_read\"?"},
	{HEAD "defaults: {file_read: hide}\n", "3:23: decision \"hide\" cannot be used in defaults"},
	{HEAD "audit: {log_denied: maybe}\n", "3:21: \"maybe\" is not true or false"},
	{HEAD "audit: {durability: {exec: fast}}\n", "3:28: durability \"fast\" is not known"},
	{HEAD "env_inject: {1A: x}\n", "3:14: \"1A\" is not the name of an environment variable"},
	{HEAD "env_policy: {allow: ['A=b']}\n", "3:22: \"A=b\" is not the name"},
	{HEAD "resource_limits: {command_timeout: 5 minutes}\n", "3:36: \"5 minutes\" is not a duration"},
	{HEAD "resource_limits: {command_timeout: -5m}\n", "3:36: \"-5m\" is not a duration"},
	{HEAD "resource_limits: {command_timeout: 1000d}\n", "3:36: \"1000d\" is not a duration"},
	{HEAD "resource_limits: {max_memory_mb: -1}\n", "3:34: -1 is out of range"},
	{HEAD "resource_limits: {max_memory_mb: 1.5}\n", "3:34: \"1.5\" is not a whole number"},
	{HEAD "trash: {ttl: 7 days}\n", "3:14: \"7 days\" is not a duration"},
	{HEAD "trash: {max_mb: -1}\n", "3:17: -1 is out of range; use 0 to 1000000000"},
	{HEAD "trash: {max_count: many}\n", "3:20: \"many\" is not a whole number"},
	{HEAD "trash: {quota: 1}\n", "3:9: unknown key \"quota\" in trash"},
	{HEAD "trash: 7d\n", "3:8: expected a map of keys, found a single value"},
	{HEAD "publish: [{port: 70000}]\n", "3:18: 70000 is out of range; use 1 to 65535"},
	{HEAD "dlp: {mode: shout}\n", "3:13: mode \"shout\" is not known"},
	{HEAD "dlp: {custom_patterns: [{name: a, regex: '('}]}\n", "3:42: bad regular expression \"(\""},
	{HEAD "mcp_rules: {tool_policy: allowlisst}\n", "3:26: policy \"allowlisst\" is not known; did you mean \"allowlist\"?"},
	{HEAD "extends: base\n", "3:10: expected a list, found a single value"},
	{HEAD "extends: [nosuch]\n", "3:11: there is no pack \"nosuch\" in /nonexistent"},
	{HEAD "extends: [./nosuch.yaml]\n", "1:1: cannot read the policy: No such file"},
};

#define FILE_RULE(x)	HEAD "file_rules:\n- {" x ", decision: deny}\n"
#define COMMAND_RULE(x) HEAD "command_rules:\n- {" x ", decision: deny}\n"
#define NET_RULE(x)	HEAD "network_rules:\n- {" x ", decision: deny}\n"

static const struct bad rules[] = {
	{HEAD "file_rules:\n- {paths: [/a]}\n", "4:3: a file rule has no \"decision\""},
	{HEAD "file_rules:\n- {decision: deny}\n", "4:3: a file rule has no \"paths\""},
	{FILE_RULE("paths: []"), "4:11: \"paths\" is an empty list"},
	{FILE_RULE("path: [/a]"), "4:3: a file rule has no \"paths\""},
	{FILE_RULE("paths: /a"), "4:11: expected a list, found a single value"},
	{FILE_RULE("paths: [a/b]"), "4:12: path \"a/b\" is relative"},
	{FILE_RULE("paths: ['*.c']"), "4:12: path \"*.c\" is relative"},
	{FILE_RULE("paths: [./a]"), "4:12: path \"./a\" is relative"},
	{FILE_RULE("paths: [/a/../b]"), "4:12: path \"/a/../b\" has a \".\" or \"..\" component"},
	{FILE_RULE("paths: ['/a/[b']"), "4:12: bad pattern \"/a/[b\": a [ is not closed"},
	{FILE_RULE("paths: ['/a/{b']"), "4:12: bad pattern \"/a/{b\": a { is not closed"},
	{FILE_RULE("paths: ['/a\\']"), "4:12: bad pattern \"/a\\\": the pattern ends with a lone"},
	{FILE_RULE("paths: ['/[z-a]']"), "4:12: bad pattern \"/[z-a]\": a range in [] is backwards"},
	{FILE_RULE("paths: ['${GIT_ROOT}/x']"), "4:12: variable GIT_ROOT is not defined here"},
	{FILE_RULE("paths: ['${NOPE}/x']"), "4:12: variable NOPE is not defined here"},
	{FILE_RULE("paths: ['${WORKSPACE/x']"), "4:12: \"${WORKSPACE/x\" is not a variable"},
	{FILE_RULE("paths: ['${NOPE:-/x']"), "4:12: \"${NOPE:-/x\" is not closed"},
	{FILE_RULE("paths: ['${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-x}}}}}}}}}']"),
	 "4:12: variables nest deeper than 8 levels"},
	{FILE_RULE("paths: [/a], operations: [wite]"), "4:30: operation \"wite\" is not known; did you mean \"write\"?"},
	{FILE_RULE("paths: [/a], timeout: 5"), "4:26: \"5\" is not a duration"},
	{FILE_RULE("paths: [/a], log: some"), "4:22: log \"some\" is not known"},
	{FILE_RULE("paths: [/a], message: '{{.Nope}}'"), "4:26: {{.Nope}} in the message is not known"},
	{FILE_RULE("paths: [/a], message: '{{.Path'"), "4:26: a {{ in the message is not closed"},
	{HEAD "file_rules:\n- {paths: [/a], decision: absorb}\n", "4:27: decision \"absorb\" cannot be used in file_rules"},
	{HEAD "file_rules:\n- {paths: [/a], decision: alow}\n", "4:27: decision \"alow\" is not known; did you mean \"allow\"?"},
	{HEAD "file_rules:\n- {paths: [/a], decision: redirect}\n", "4:3: decision \"redirect\" needs \"redirect_to\""},
	{HEAD "file_rules:\n- {paths: [/a], decision: redirect, redirect_to: x}\n", "4:50: \"x\" is not an absolute path"},
	{HEAD "file_rules:\n- {paths: [/a], operations: [read], decision: soft_delete}\n",
	 "4:3: decision \"soft_delete\" needs delete"},
	{COMMAND_RULE("commands: [./x]"), "4:15: command \"./x\" is neither a name nor"},
	{COMMAND_RULE("commands: [a/b]"), "4:15: path \"a/b\" is relative"},
	{COMMAND_RULE("commands: ['']"), "4:15: bad pattern \"\": it is empty"},
	{COMMAND_RULE("commands: [a], args_patterns: ['(']"), "4:35: bad regular expression \"(\": "},
	{COMMAND_RULE("commands: [a], args_patterns: ['*x']"), "4:35: bad regular expression \"*x\": "},
	{COMMAND_RULE("commands: [a], context: [sideways]"), "4:28: bad context"},
	{COMMAND_RULE("commands: [a], context: {depth: [3, 1]}"), "4:28: bad context"},
	{HEAD "command_rules:\n- {commands: [a], decision: soft_delete}\n",
	 "4:29: decision \"soft_delete\" cannot be used in command_rules"},
	{HEAD "command_rules:\n- {commands: [a], decision: redirect, redirect_to: {args: [b]}}\n",
	 "4:52: redirect_to has no \"command\""},
	{NET_RULE("domains: ['http://x']"), "4:14: bad host \"http://x\": a host is written without a scheme"},
	{NET_RULE("domains: ['x:80']"), "4:14: bad host \"x:80\": a host is written without a port"},
	{NET_RULE("domains: [x/y]"), "4:14: bad host \"x/y\": a host is written without a path"},
	{NET_RULE("domains: ['a..b']"), "4:14: bad host \"a..b\": a host has an empty label"},
	{NET_RULE("domains: []"), "4:13: \"domains\" is an empty list"},
	{NET_RULE("domains: [a], destinations: [b]"), "4:3: \"destinations\" is another name"},
	{NET_RULE("cidrs: [10.0.0.0/33]"), "4:12: \"10.0.0.0/33\" is not an address range"},
	{NET_RULE("cidrs: [example.com]"), "4:12: \"example.com\" is not an address range"},
	{NET_RULE("cidrs: ['fd00::/129']"), "4:12: \"fd00::/129\" is not an address range"},
	{NET_RULE("ports: ['0-5']"), "4:12: \"0-5\" is not a port"},
	{NET_RULE("ports: [65536]"), "4:12: \"65536\" is not a port"},
	{NET_RULE("ports: [90-80]"), "4:12: \"90-80\" is not a port"},
	{NET_RULE("ports: [https]"), "4:12: \"https\" is not a port"},
	{NET_RULE("protocol: sctp"), "4:14: protocol \"sctp\" is not known"},
	{NET_RULE("methods: ['G T']"), "4:14: \"G T\" is not an HTTP method"},
	{NET_RULE("paths: [x]"), "4:12: bad URL path \"x\""},
	{HEAD "unix_socket_rules:\n- {paths: [a], decision: deny}\n", "4:12: path \"a\" is relative"},
	{HEAD "unix_socket_rules:\n- {paths: [/a], operations: [dial], decision: deny}\n",
	 "4:30: operation \"dial\" is not known"},
	{HEAD "signal_rules:\n- {signals: [SIGFOO], target: {type: self}, decision: deny}\n",
	 "4:14: \"SIGFOO\" is not a signal"},
	{HEAD "signal_rules:\n- {signals: [0], target: {type: self}, decision: deny}\n", "4:14: \"0\" is not a signal"},
	{HEAD "signal_rules:\n- {signals: [1], target: {type: frends}, decision: deny}\n",
	 "4:33: target type \"frends\" is not known"},
	{HEAD "signal_rules:\n- {signals: [1], target: {type: process}, decision: deny}\n",
	 "4:26: a target of type process needs \"pattern\""},
	{HEAD "signal_rules:\n- {signals: [1], target: {type: pid_range, min: 5, max: 1}, decision: deny}\n",
	 "4:26: the pid range is backwards"},
	{HEAD "http_services:\n- {name: a, upstream: ftp://x}\n", "4:23: \"ftp://x\" is not a URL"},
	{HEAD "http_services:\n- {name: a, upstream: 'https://u:p@x'}\n", "4:23: a URL here carries no user name"},
	{HEAD "http_services:\n- {name: a, upstream: 'https://x', secret: {ref: plain}}\n",
	 "4:50: \"plain\" is not a reference to a secret"},
	{HEAD "dns_redirects:\n- {name: a, match: '[', resolve_to: 1.2.3.4}\n", "4:20: bad regular expression"},
	{HEAD "dns_redirects:\n- {name: a, match: x, resolve_to: y}\n", "4:35: \"y\" is not an IP address"},
	{HEAD "connect_redirects:\n- {name: a, match: x}\n", "4:3: give exactly one of \"redirect_to\""},
	{HEAD "connect_redirects:\n- {name: a, match: x, redirect_to: 'y:z'}\n", "4:36: \"y:z\" is not HOST"},
	{HEAD "package_rules:\n- {match: {}, action: eat}\n", "4:23: action \"eat\" is not known"},
	{HEAD "process_contexts:\n  a: {identities: [x], file_rules: [{paths: [b], decision: deny}]}\n",
	 "4:46: path \"b\" is relative"},
};

static void refuse(const struct bad *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct fixture_diags d;
		struct err e = ERR_INIT;
		struct policy *p = fixture_load_mem(rows[i].text, strlen(rows[i].text),
						    &fixture_vars, &d, &e);
		bool said = d.n && strncmp(d.lines[0], rows[i].line, strlen(rows[i].line)) == 0;

		if (p || !said)
			printf("\n%s-- should say: %s\n-- says: %s\n", rows[i].text, rows[i].line,
			       d.n ? d.lines[0] : "(nothing)");
		CU_ASSERT_PTR_NULL(p);
		CU_ASSERT_TRUE(said);
		CU_ASSERT_EQUAL(e.code, EINVAL);
		policy_free(p);
	}
}

static void bad_documents(void)
{
	refuse(documents, ARRAY_LEN(documents));
}

static void bad_keys(void)
{
	refuse(keys, ARRAY_LEN(keys));
}

static void bad_rules(void)
{
	refuse(rules, ARRAY_LEN(rules));
}

/* ---- texts that are no texts, or too much of one ---- */

static void refuse_mem(const char *text, size_t len, const char *line)
{
	struct fixture_diags d;
	struct err e = ERR_INIT;
	struct policy *p = fixture_load_mem(text, len, &fixture_vars, &d, &e);
	bool said = d.n && strncmp(d.lines[0], line, strlen(line)) == 0;

	if (!said)
		printf("\n-- should say: %s\n-- says: %s\n", line, d.n ? d.lines[0] : "(nothing)");
	CU_ASSERT_PTR_NULL(p);
	CU_ASSERT_TRUE(said);
	policy_free(p);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void binary(void)
{
	char noise[5000];

	refuse_mem("version: 1\nname: \0x\n", 20, "2:7: there is a NUL byte here");
	refuse_mem("version: 1\nname: \xff\xfe\n", 20, "2:7: this is not UTF-8");
	refuse_mem("\xff\xfev\0e\0r\0", 8, "1:4: there is a NUL byte");
	refuse_mem("version: 1\nname: a\xc3", 19, "2:8: this is not UTF-8");
	srand(3);
	for (unsigned i = 0; i < 300; i++) {
		struct err e = ERR_INIT;
		size_t len = (size_t)rand() % sizeof(noise);

		for (size_t k = 0; k < len; k++)
			noise[k] = (char)(rand() % (i % 2 ? 256 : 128));
		CU_ASSERT_PTR_NULL(fixture_load_mem(noise, len, &fixture_vars, NULL, &e));
		CU_ASSERT_TRUE(e.text[0] != '\0');
	}
}

static char *repeat(const char *head, const char *part, size_t n, const char *tail)
{
	size_t len = strlen(part);
	char *out = malloc(strlen(head) + n * len + strlen(tail) + 1), *p = out;

	p = stpcpy(p, head);
	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, part);
	strcpy(p, tail);
	return out;
}

static void excess(void)
{
	static const struct {
		const char *head, *part;
		size_t n;
		const char *tail, *line;
	} rows[] = {
		{HEAD "description: x", "x", 1 << 20, "\n", "1:1: cannot read the policy: is larger than 1 MiB"},
		{HEAD "metadata: ", "[", 1000, "\n", "3:74: nested deeper than 64 levels"},
		{HEAD "metadata: ", "[", 500000, "\n", "3:74: nested deeper than 64 levels"},
		{HEAD "metadata: ", "{a: ", 1000, "\n", "3:260: nested deeper than 64 levels"},
		{HEAD "metadata: [", "a,", 400000, "]\n", "3:"},
		{HEAD "file_rules:\n", "- {paths: [/a], decision: deny}\n", 10001, "", "10004:3: more than 10000 rules"},
		{HEAD "file_rules:\n- {decision: deny, paths: ['/", "{a,b}", 20, "']}\n",
		 "4:28: bad pattern \"/{a,b}"},
		{HEAD "file_rules:\n- {decision: deny, paths: ['/", "a", 3000, "']}\n", "4:28: bad pattern"},
	};
	double start = seconds();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		autofree char *text = repeat(rows[i].head, rows[i].part, rows[i].n, rows[i].tail);

		refuse_mem(text, strlen(text), rows[i].line);
	}
	CU_ASSERT_TRUE(seconds() - start < 10.0);
}

/* Ten levels of ten aliases each: ten thousand million values in twelve lines. */
static void bomb(void)
{
	char text[2000] = HEAD "metadata:\n- &a0 [x,x,x,x,x,x,x,x,x,x]\n";
	double start = seconds();

	for (int i = 1; i < 10; i++)
		sprintf(text + strlen(text), "- &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n",
			i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	refuse_mem(text, strlen(text), "9:");
	CU_ASSERT_TRUE(seconds() - start < 2.0);
}

/* ---- files ---- */

static int load_path(const char *path, struct fixture_diags *d, struct err *e)
{
	struct policy_load_args args = {.file = path, .pack_dir = "/nonexistent",
					.vars = &fixture_vars, .diag = fixture_diag, .diag_arg = d};
	struct policy *p = NULL;
	int r;

	memset(d, 0, sizeof(*d));
	memset(e, 0, sizeof(*e));
	r = policy_load(&p, &args, e);
	policy_free(p);
	return r;
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static void odd_files(void)
{
	char dir[] = "/tmp/agentsh-policy-XXXXXX", path[200];
	struct fixture_diags d;
	struct err e;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_EQUAL(load_path("/nonexistent/p.yaml", &d, &e), -ENOENT);
	CU_ASSERT_EQUAL(load_path(dir, &d, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "is a directory"));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL(load_path(path, &d, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "not a regular file"));
	unlink(path);
	CU_ASSERT_EQUAL(load_path("/dev/zero", &d, &e), -EINVAL);
	put(dir, "p.yaml", HEAD);
	snprintf(path, sizeof(path), "%s/p.yaml", dir);
	chmod(path, 0);
	if (geteuid() != 0) {
		CU_ASSERT_EQUAL(load_path(path, &d, &e), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "Permission denied"));
	}
	unlink(path);
	rmdir(dir);
}

static void extends(void)
{
	char dir[] = "/tmp/agentsh-policy-XXXXXX", path[200], name[40];
	struct fixture_diags d;
	struct policy_load_args args = {.file = path, .vars = &fixture_vars};
	AUTO(policy_free) struct policy *p = NULL;
	const struct policy_request r = {.kind = POLICY_FILE, .file = {"/x", FILE_READ}};
	struct decision decision;
	struct err e = ERR_INIT;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	args.pack_dir = dir;
	put(dir, "a.yaml", HEAD "extends: [b, ./c.yaml]\nfile_rules: [{name: a, paths: [/a], decision: deny}]\n");
	put(dir, "b.yaml", HEAD "extends: [c]\nfile_rules: [{name: b, paths: [/x], decision: deny}]\n"
				"description: of b\nenv_inject: {A: b, B: b}\n");
	put(dir, "c.yaml", HEAD "file_rules: [{name: c, paths: [/x], decision: allow}]\n"
				"description: of c\nenv_inject: {A: c, C: c}\n");
	snprintf(path, sizeof(path), "%s/a.yaml", dir);
	CU_ASSERT_EQUAL(policy_load(&p, &args, &e), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	policy_decide(&decision, p, &r);
	CU_ASSERT_STRING_EQUAL(decision.rule, "b");
	CU_ASSERT_EQUAL(policy_count_rules(p, POLICY_FILE), 3);
	CU_ASSERT_STRING_EQUAL(policy_description(p), "of b");
	CU_ASSERT_STRING_EQUAL(policy_section(p, "env_inject"), "{\"A\":\"b\",\"B\":\"b\",\"C\":\"c\"}");

	put(dir, "c.yaml", HEAD "extends:\n- b\n");
	CU_ASSERT_EQUAL(load_path(path, &d, &e), -EINVAL);
	args.diag = fixture_diag;
	args.diag_arg = &d;
	memset(&d, 0, sizeof(d));
	CU_ASSERT_EQUAL(policy_load(&p, &args, &e), -EINVAL);
	CU_ASSERT_STRING_EQUAL(d.lines[0], "4:3: extends goes in a circle: b.yaml -> c.yaml -> "
					   "b.yaml; remove one of them");
	put(dir, "a.yaml", HEAD "extends: [a]\n");
	memset(&d, 0, sizeof(d));
	CU_ASSERT_EQUAL(policy_load(&p, &args, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(d.lines[0], "circle: a.yaml -> a.yaml"));
	put(dir, "a.yaml", HEAD "extends: [nope]\n");
	memset(&d, 0, sizeof(d));
	CU_ASSERT_EQUAL(policy_load(&p, &args, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(d.lines[0], "there is no pack \"nope\""));
	for (int i = 0; i < 20; i++) {
		char text[80];

		snprintf(name, sizeof(name), "d%d.yaml", i);
		snprintf(text, sizeof(text), HEAD "extends: [d%d]\n", i + 1);
		put(dir, name, text);
	}
	put(dir, "d20.yaml", HEAD);
	snprintf(path, sizeof(path), "%s/d0.yaml", dir);
	memset(&d, 0, sizeof(d));
	CU_ASSERT_EQUAL(policy_load(&p, &args, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(d.lines[0], "deeper than 16 levels"));
	for (int i = -3; i <= 20; i++) {
		if (i < 0)
			snprintf(path, sizeof(path), "%s/%c.yaml", dir, 'd' + i);
		else
			snprintf(path, sizeof(path), "%s/d%d.yaml", dir, i);
		unlink(path);
	}
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

/* ---- what is not an error ---- */

static void all_errors(void)
{
	struct fixture_diags d;
	struct err e = ERR_INIT;
	const char *text = "version: 1\nnmae: x\nfile_rules:\n- {paths: [a], decision: no}\n- {}\n";

	CU_ASSERT_PTR_NULL(fixture_load_mem(text, strlen(text), &fixture_vars, &d, &e));
	CU_ASSERT_EQUAL(d.n_errors, 6);
	/* in order of position, and the first of them in e */
	CU_ASSERT_PTR_NOT_NULL(strstr(d.lines[0], "1:1: a policy has no \"name\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(d.lines[1], "2:1: unknown key \"nmae\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, ":1:1: a policy has no \"name\""));
}

static void warnings(void)
{
	static const struct bad rows[] = {
		{HEAD "registry_rules: [{name: x, paths: ['HKLM']}]\n", "3:1: warning: \"registry_rules\" is for another"},
		{HEAD "file_rules:\n- {name: a, paths: [/a], decision: deny}\n- {name: a, paths: [/b], decision: deny}\n",
		 "5:10: warning: two rules are named \"a\""},
		{HEAD "file_rules:\n- {paths: ['${USERPROFILE}/x', /a], decision: deny}\n",
		 "4:12: warning: \"${USERPROFILE}/x\" names a place of another"},
		{HEAD "file_rules:\n- {paths: ['C:\\Windows\\**'], decision: deny}\n", "4:12: warning: \"C:\\Windows\\**\" names"},
		{HEAD "file_rules:\n- {paths: [/a/], decision: deny}\n", "4:12: warning: \"/a/\" ends with a slash"},
		{HEAD "process_identities: {x: {darwin: {comm: [a]}}}\n", "3:26: warning: \"darwin\" is for another"},
		{HEAD "command_rules:\n- {commands: [a], decision: deny, redirect_to: {command: x}}\n",
		 "4:48: warning: \"redirect_to\" has no effect"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture_diags d;
		struct err e = ERR_INIT;
		AUTO(policy_free) struct policy *p = fixture_load_mem(
			rows[i].text, strlen(rows[i].text), &fixture_vars, &d, &e);

		CU_ASSERT_PTR_NOT_NULL(p);
		CU_ASSERT_EQUAL(d.n, 1);
		if (strncmp(d.lines[0], rows[i].line, strlen(rows[i].line)) != 0)
			printf("\n-- should say: %s\n-- says: %s\n", rows[i].line, d.lines[0]);
		CU_ASSERT_EQUAL(strncmp(d.lines[0], rows[i].line, strlen(rows[i].line)), 0);
	}
}

/* A workspace may be called anything. */
static void quoting(void)
{
	struct policy_vars vars = fixture_vars;
	const char *text = HEAD "file_rules:\n- {paths: ['${WORKSPACE}/**'], operations: [write], decision: allow}\n"
				"command_rules:\n- {commands: [x], args_patterns: ['^${WORKSPACE}$'], decision: deny}\n";
	AUTO(policy_free) struct policy *p = NULL;
	struct policy_request r = {.kind = POLICY_FILE, .file = {"/w [a-z]{b,c}*?\\/f", FILE_WRITE}};
	const char *argv[] = {"x", "/w [a-z]{b,c}*?\\"};
	struct decision d;
	struct err e = ERR_INIT;

	vars.workspace = argv[1];
	p = fixture_load_mem(text, strlen(text), &vars, NULL, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	policy_decide(&d, p, &r);
	CU_ASSERT_EQUAL(d.verdict, VERDICT_ALLOW);
	r.file.path = "/w a/f";
	policy_decide(&d, p, &r);
	CU_ASSERT_EQUAL(d.verdict, VERDICT_DENY);
	r = (struct policy_request){.kind = POLICY_COMMAND};
	r.command.invoked = r.command.exe = "/x";
	r.command.argv = argv;
	r.command.argc = 2;
	policy_decide(&d, p, &r);
	CU_ASSERT_EQUAL(d.rule_index, 0);
}

static const char *section(const char *text, const char *name)
{
	static char out[1000];
	AUTO(policy_free) struct policy *p = fixture_load(text);

	snprintf(out, sizeof(out), "%s", p && policy_section(p, name) ? policy_section(p, name) : "-");
	return out;
}

/* What no gate reads yet is kept as it was meant. */
static void sections(void)
{
	CU_ASSERT_STRING_EQUAL(
		section(HEAD "mcp_rules:\n  enforce_policy: yes\n  tool_policy: allowlist\n"
			     "  allowed_tools: [{server: s, tool: \"a\\\"b\"}]\n", "mcp_rules"),
		"{\"enforce_policy\":true,\"tool_policy\":\"allowlist\","
		"\"allowed_tools\":[{\"server\":\"s\",\"tool\":\"a\\\"b\"}]}");
	CU_ASSERT_STRING_EQUAL(section(HEAD "publish: &p [{port: 80}]\nmetadata: []\n", "publish"),
			       "[{\"port\":80}]");
	CU_ASSERT_STRING_EQUAL(
		section(HEAD "command_rules: [{commands: [true, 12], decision: deny}]\n", "command_rules"),
		"[{\"commands\":[\"true\",\"12\"],\"decision\":\"deny\"}]");
	CU_ASSERT_STRING_EQUAL(
		section(HEAD "network_rules: [{domains: &d [A.example], decision: deny}, "
			     "{domains: *d, decision: allow}]\n", "network_rules"),
		"[{\"domains\":[\"a.example\"],\"decision\":\"deny\"},"
		"{\"domains\":[\"a.example\"],\"decision\":\"allow\"}]");
	CU_ASSERT_STRING_EQUAL(section(HEAD "file_rules:\n", "file_rules"), "null");
}

static const struct unit_case cases[] = {
	{"documents that are no policy", bad_documents},
	{"keys and values", bad_keys},
	{"rules", bad_rules},
	{"binary files", binary},
	{"too much of everything", excess},
	{"aliases of aliases", bomb},
	{"files that are no files", odd_files},
	{"extends", extends},
	{"every error is reported", all_errors},
	{"warnings", warnings},
	{"values of variables are text", quoting},
	{"sections are kept", sections},
};

UNIT_MAIN("policy_load", cases)
