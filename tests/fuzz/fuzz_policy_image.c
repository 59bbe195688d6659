/*
 * Images of policies: the input is a list of changes to a good image (offset high, offset low,
 * byte). Such an image is refused, or can be asked safely.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/policy.h"
#include "tests/fuzz/fuzz.h"

static const char text[] =
	"version: 1\nname: t\ndescription: d\n"
	"file_rules:\n- {name: r, paths: ['/a/{b,c}/**/*.x', '**/k', '/l/**'], decision: deny, message: '{{.Path}}'}\n"
	"command_rules:\n- {commands: [g*, /x/*], args_patterns: ['push.*f', b], decision: redirect,\n"
	"   redirect_to: {command: e, args: [a], environment: {A: b}}}\n"
	"network_rules:\n- {domains: ['*.x'], cidrs: [10.0.0.0/8], ports: [1, 2-3], methods: [GET], decision: allow}\n"
	"unix_socket_rules:\n- {paths: ['@a', /b], decision: allow}\n"
	"signal_rules:\n- {signals: [9], target: {type: process, pattern: x}, decision: deny}\n"
	"env_policy: {allow: [A], deny: [B*]}\nenv_inject: {C: d}\n";

static size_t good_image(char *out, size_t size)
{
	int fd = memfd_create("policy", MFD_CLOEXEC);
	char path[40];
	struct policy_load_args args = {.file = path};
	struct policy *p = NULL;
	ssize_t n;

	assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert(policy_load(&p, &args, NULL) == 0);
	n = pread(policy_image_fd(p), out, size, 0);
	assert(n > 0 && (size_t)n < size);
	policy_free(p);
	close(fd);
	return (size_t)n;
}

static void see(void *arg, const char *a, const char *b)
{
	*(size_t *)arg += strlen(a) + strlen(b);
}

static void see_command(void *arg, const char *command, enum verdict v)
{
	*(size_t *)arg += strlen(command) + v;
}

static void see_prefix(void *arg, const char *prefix, bool is_literal, enum verdict v)
{
	*(size_t *)arg += strlen(prefix) + is_literal + v;
}

static void ask(const struct policy *p)
{
	const char *argv[] = {"git", "push", "-f"};
	struct policy_request r[] = {
		{.kind = POLICY_FILE, .file = {"/a/b/c/d.x", FILE_WRITE}},
		{.kind = POLICY_NETWORK, .network = {.host = "a.x", .addr = {4, {10, 0, 0, 1}}, .port = 2, .method = "GET"}},
		{.kind = POLICY_UNIX, .unix_socket = {"/b", UNIX_BIND}},
		{.kind = POLICY_SIGNAL, .signal = {.signo = 9, .relations = 1u, .comm = "x"}},
		{.kind = POLICY_ENV, .env = {.name = "BX"}},
		{.kind = POLICY_COMMAND},
	};
	struct decision d;
	char message[200];
	size_t sum = 0;

	r[5].command.invoked = r[5].command.exe = "/x/git";
	r[5].command.argv = argv;
	r[5].command.argc = 3;
	for (size_t i = 0; i < sizeof(r) / sizeof(r[0]); i++) {
		policy_decide(&d, p, &r[i]);
		policy_message(message, sizeof(message), &d, &r[i], "s");
		sum += strlen(d.rule) + strlen(d.redirect_to);
		for (int list = 0; list <= COMMAND_ENV_DENY; list++) {
			const char *item = policy_command_list_get(p, 0, (enum policy_command_list)list, 0);

			sum += item ? strlen(item) : 0;
		}
	}
	sum += strlen(policy_name(p)) + strlen(policy_description(p));
	policy_each_env_inject(p, see, &sum);
	policy_each_section(p, see, &sum);
	policy_each_command(p, see_command, &sum);
	policy_each_granted_prefix(p, see_prefix, &sum);
	policy_subtree(p, "/a");
	policy_name_verdict(&d, p, "a.x");
	assert(sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char good[65536];
	static size_t len;
	char image[65536];
	struct policy *p = NULL;
	int fd;

	if (!len)
		len = good_image(good, sizeof(good));
	memcpy(image, good, len);
	for (size_t i = 0; i + 2 < size; i += 3)
		image[(data[i] << 8 | data[i + 1]) % len] = (char)data[i + 2];
	fd = memfd_create("image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert(fd >= 0 && write(fd, image, len) == (ssize_t)len);
	assert(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
	if (policy_map(&p, fd, NULL) == 0)
		ask(p);
	policy_free(p);
	close(fd);
	return 0;
}
