/* Policy text: any bytes are refused with a position, or give a policy that can be asked. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/policy.h"
#include "tests/fuzz/fuzz.h"

static void count_errors(void *arg, bool is_error, const char *file, unsigned line, unsigned column,
			 const char *text)
{
	unsigned *n = arg;

	assert(file && line && column && *text && !strpbrk(text, "\n\r\x1b"));
	*n += is_error;
}

static void ask(const struct policy *p)
{
	const char *argv[] = {"git", "push", "--force"};
	struct policy_request r[] = {
		{.kind = POLICY_FILE, .file = {"/ws/src/.git/hooks/x", FILE_WRITE}},
		{.kind = POLICY_NETWORK, .network = {.host = "a.example", .addr = {4, {10, 0, 0, 1}}, .port = 443}},
		{.kind = POLICY_UNIX, .unix_socket = {"/tmp/s", UNIX_BIND}},
		{.kind = POLICY_SIGNAL, .signal = {.signo = 15, .relations = 1u << SIGNAL_SESSION}},
		{.kind = POLICY_ENV, .env = {.name = "AWS_TOKEN"}},
		{.kind = POLICY_COMMAND},
	};
	struct decision d;
	char message[200];

	r[5].command.invoked = r[5].command.exe = "/usr/bin/git";
	r[5].command.argv = argv;
	r[5].command.argc = 3;
	for (size_t i = 0; i < sizeof(r) / sizeof(r[0]); i++) {
		policy_decide(&d, p, &r[i]);
		assert(d.verdict < VERDICT_COUNT && d.rule && d.timeout_ms);
		policy_message(message, sizeof(message), &d, &r[i], "s");
	}
	policy_subtree(p, "/usr");
	policy_may_read_below(p, "/home");
	policy_name_verdict(&d, p, "a.example");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct policy_vars vars = {.workspace = "/ws", .home = "/home/u", .tmpdir = "/tmp"};
	int fd = memfd_create("policy", MFD_CLOEXEC);
	char path[40];
	unsigned errors = 0;
	struct policy_load_args args = {.file = path, .pack_dir = "/nonexistent", .vars = &vars,
					.diag = count_errors, .diag_arg = &errors};
	struct policy *p = NULL, *mapped = NULL;
	struct err e = ERR_INIT;
	int r;

	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = policy_load(&p, &args, &e);
	assert((r == 0) == (p != NULL) && (r == 0 || (errors && e.text[0])));
	if (p) {
		assert(policy_map(&mapped, policy_image_fd(p), &e) == 0);
		ask(mapped);
	}
	policy_free(mapped);
	policy_free(p);
	close(fd);
	return 0;
}
