#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/policy_i.h"
#include "common/str.h"

/* Texts of single values. Each parser accepts exactly what the checks let through. */

bool policy_parse_bool(bool *out, const struct policy_node *node)
{
	static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "on", "On"};
	static const char *const no[] = {"false", "False", "FALSE", "no", "No", "off", "Off"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (!node->plain)
			return false;
		*out = strcmp(node->text, yes[i]) == 0;
		if (*out || strcmp(node->text, no[i]) == 0)
			return true;
	}
	return false;
}

bool policy_parse_int(int64_t *out, const struct policy_node *node)
{
	bool negative = node->text[0] == '-';
	uint64_t v;

	if (!node->plain || str_to_u64(&v, node->text + negative, 0, INT64_MAX) < 0)
		return false;
	*out = negative ? -(int64_t)v : (int64_t)v;
	return true;
}

bool policy_parse_duration(uint64_t *out_ms, const char *text)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"d", 86400000}};
	const uint64_t longest = 366ull * 86400000;
	uint64_t total = 0;

	*out_ms = 0;
	if (strcmp(text, "0") == 0)
		return true;
	if (!*text)
		return false;
	while (*text) {
		size_t digits = strspn(text, "0123456789"), i;
		char number[12] = "";
		uint64_t v;

		if (digits == 0 || digits >= sizeof(number))
			return false;
		memcpy(number, text, digits);
		text += digits;
		for (i = 0; i < ARRAY_LEN(units); i++)
			if (str_has_prefix(text, units[i].name))
				break;
		if (i == ARRAY_LEN(units) || str_to_u64(&v, number, 0, longest) < 0)
			return false;
		text += strlen(units[i].name);
		total += v * units[i].ms;
		if (v > longest / units[i].ms || total > longest)
			return false;
	}
	*out_ms = total;
	return true;
}

bool policy_parse_ports(uint16_t *low, uint16_t *high, const char *text)
{
	const char *dash = strchr(text, '-');
	char first[8] = "";
	uint64_t a, b;

	if (strcmp(text, "0") == 0) { /* any port, as in the public format */
		*low = 0;
		*high = 65535;
		return true;
	}
	if (dash && (size_t)(dash - text) >= sizeof(first))
		return false;
	memcpy(first, text, dash ? (size_t)(dash - text) : strnlen(text, sizeof(first) - 1));
	if (!dash && strlen(text) >= sizeof(first))
		return false;
	if (str_to_u64(&a, first, 1, 65535) < 0 ||
	    str_to_u64(&b, dash ? dash + 1 : text, 1, 65535) < 0 || a > b)
		return false;
	*low = (uint16_t)a;
	*high = (uint16_t)b;
	return true;
}

bool policy_parse_addr(struct policy_addr *addr, const char *text)
{
	memset(addr, 0, sizeof(*addr));
	if (inet_pton(AF_INET, text, addr->bytes) == 1)
		addr->family = 4;
	else if (inet_pton(AF_INET6, text, addr->bytes) == 1)
		addr->family = 6;
	return addr->family != 0;
}

bool policy_parse_cidr(struct policy_addr *addr, unsigned *bits, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char host[INET6_ADDRSTRLEN];
	uint64_t v, most;

	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (!policy_parse_addr(addr, host))
		return false;
	most = addr->family == 4 ? 32 : 128;
	v = most;
	if (slash && str_to_u64(&v, slash + 1, 0, most) < 0)
		return false;
	*bits = (unsigned)v;
	return true;
}

#define BIT(signo) (1ull << ((signo)-1))

static const struct {
	const char *name;
	uint64_t mask;
} signals[] = {
	{"@all", ~0ull},
	{"@fatal", BIT(SIGKILL) | BIT(SIGTERM) | BIT(SIGQUIT) | BIT(SIGABRT)},
	{"@job", BIT(SIGSTOP) | BIT(SIGCONT) | BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU)},
	{"@reload", BIT(SIGHUP) | BIT(SIGUSR1) | BIT(SIGUSR2)},
	{"@ignore", BIT(SIGCHLD) | BIT(SIGURG) | BIT(SIGWINCH)},
	{"SIGHUP", BIT(SIGHUP)},
	{"SIGINT", BIT(SIGINT)},
	{"SIGQUIT", BIT(SIGQUIT)},
	{"SIGILL", BIT(SIGILL)},
	{"SIGTRAP", BIT(SIGTRAP)},
	{"SIGABRT", BIT(SIGABRT)},
	{"SIGIOT", BIT(SIGIOT)},
	{"SIGBUS", BIT(SIGBUS)},
	{"SIGFPE", BIT(SIGFPE)},
	{"SIGKILL", BIT(SIGKILL)},
	{"SIGUSR1", BIT(SIGUSR1)},
	{"SIGSEGV", BIT(SIGSEGV)},
	{"SIGUSR2", BIT(SIGUSR2)},
	{"SIGPIPE", BIT(SIGPIPE)},
	{"SIGALRM", BIT(SIGALRM)},
	{"SIGTERM", BIT(SIGTERM)},
	{"SIGSTKFLT", BIT(SIGSTKFLT)},
	{"SIGCHLD", BIT(SIGCHLD)},
	{"SIGCONT", BIT(SIGCONT)},
	{"SIGSTOP", BIT(SIGSTOP)},
	{"SIGTSTP", BIT(SIGTSTP)},
	{"SIGTTIN", BIT(SIGTTIN)},
	{"SIGTTOU", BIT(SIGTTOU)},
	{"SIGURG", BIT(SIGURG)},
	{"SIGXCPU", BIT(SIGXCPU)},
	{"SIGXFSZ", BIT(SIGXFSZ)},
	{"SIGVTALRM", BIT(SIGVTALRM)},
	{"SIGPROF", BIT(SIGPROF)},
	{"SIGWINCH", BIT(SIGWINCH)},
	{"SIGIO", BIT(SIGIO)},
	{"SIGPOLL", BIT(SIGPOLL)},
	{"SIGPWR", BIT(SIGPWR)},
	{"SIGSYS", BIT(SIGSYS)},
};

uint64_t policy_parse_signals(const char *text)
{
	uint64_t v;

	if (str_to_u64(&v, text, 1, 64) == 0)
		return BIT(v);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		const char *name = signals[i].name;

		/* the SIG prefix is optional, as in kill(1) */
		if (strcasecmp(name, text) == 0 ||
		    (name[0] == 'S' && strcasecmp(name + 3, text) == 0))
			return signals[i].mask;
	}
	return 0;
}

/*
 * The operations of a rule, with those that go along: who may read a file may open, lock and execute
 * it as far as file rules are concerned, who may stat it may ask access(2), and who may write it may
 * set its times and attributes. A rule before it that names the finer operation decides otherwise.
 */
static const uint32_t file_op_includes[FILE_OPS] = {
	[FILE_READ] = 1u << FILE_OPEN | 1u << FILE_LOCK | 1u << FILE_EXEC,
	[FILE_WRITE] = 1u << FILE_UTIME | 1u << FILE_XATTR,
	[FILE_STAT] = 1u << FILE_ACCESS,
};

uint32_t policy_parse_file_op(const char *text)
{
	if (strcmp(text, "*") == 0)
		return FILE_ALL_OPS;
	for (unsigned i = 0; i < FILE_OPS; i++)
		if (strcmp(file_op_name((enum file_op)i), text) == 0)
			return 1u << i | file_op_includes[i];
	return 0;
}

uint32_t policy_parse_unix_op(const char *text)
{
	static const char *const names[UNIX_OPS] = {"connect", "bind", "listen", "sendto"};

	if (strcmp(text, "*") == 0)
		return (1u << UNIX_OPS) - 1;
	for (unsigned i = 0; i < UNIX_OPS; i++)
		if (strcmp(names[i], text) == 0)
			return 1u << i;
	return 0;
}

int policy_parse_signal_target(const char *text)
{
	static const char *const names[SIGNAL_TARGETS] = {
		"self",	    "children", "descendants", "siblings", "session",	"parent",
		"external", "system",	"user",	       "process",  "pid_range",
	};

	for (int i = 0; i < SIGNAL_TARGETS; i++)
		if (strcmp(names[i], text) == 0)
			return i;
	return -1;
}

static bool context_word(uint32_t *min, uint32_t *max, const struct policy_node *node)
{
	int64_t n;

	if (node->kind != NODE_SCALAR)
		return false;
	if (strcmp(node->text, "direct") == 0) {
		*min = *max = 0;
	} else if (strcmp(node->text, "nested") == 0) {
		*min = 1;
		*max = UINT32_MAX;
	} else if (policy_parse_int(&n, node) && n >= 0 && n < INT32_MAX) {
		*min = *max = (uint32_t)n;
	} else {
		return false;
	}
	return true;
}

static bool context_bound(uint32_t *out, const struct policy_node *node, uint32_t unset)
{
	int64_t n = -1;

	if (node && (node->kind != NODE_SCALAR || !policy_parse_int(&n, node) || n < -1 ||
		     n >= INT32_MAX))
		return false;
	*out = n < 0 ? unset : (uint32_t)n;
	return true;
}

/* [direct, nested]: any of them; [1, 3] in a map's depth: from, to */
static bool context_list(uint32_t *min, uint32_t *max, const struct policy_node *list, bool range)
{
	uint32_t low, high;

	*min = range ? 0 : UINT32_MAX;
	*max = 0;
	if (range)
		return list->n == 2 && context_bound(min, list->items[0], 0) &&
		       context_bound(max, list->items[1], UINT32_MAX) && *min <= *max;
	for (size_t i = 0; i < list->n; i++) {
		if (!context_word(&low, &high, list->items[i]))
			return false;
		*min = low < *min ? low : *min;
		*max = high > *max ? high : *max;
	}
	return list->n > 0;
}

bool policy_parse_context(uint32_t *min, uint32_t *max, const struct policy_node *node)
{
	const struct policy_node *depth = policy_get(node, "depth");

	*min = 0;
	*max = UINT32_MAX;
	if (!node)
		return true;
	if (node->kind == NODE_SCALAR)
		return context_word(min, max, node);
	if (node->kind == NODE_LIST)
		return context_list(min, max, node, false);
	for (size_t i = 0; i < node->n; i++)
		if (strcmp(node->keys[i]->text, "depth") && strcmp(node->keys[i]->text, "min_depth") &&
		    strcmp(node->keys[i]->text, "max_depth"))
			return false;
	if (depth)
		return depth->kind == NODE_LIST ? context_list(min, max, depth, true)
						: context_word(min, max, depth);
	return context_bound(min, policy_get(node, "min_depth"), 0) &&
	       context_bound(max, policy_get(node, "max_depth"), UINT32_MAX) && *min <= *max;
}
