#include <string.h>

#include "common/match.h"
#include "common/policy_i.h"
#include "common/str.h"

/* Checks of what several keys of one map say together, and of names and messages. */

static const char *text_of(const struct policy_node *map, const char *key)
{
	const struct policy_node *n = policy_get(map, key);

	return n && n->kind == NODE_SCALAR ? n->text : "";
}

/* ---- names, templates, signals ---- */

void policy_check_policy_name(struct policy_loader *l, const struct policy_doc *doc,
			      struct policy_node *node)
{
	size_t len = strlen(node->text);

	if (!len || len > 64 ||
	    strspn(node->text, "abcdefghijklmnopqrstuvwxyz0123456789._-") != len)
		policy_error(l, doc, node,
			     "bad name \"%.80s\"; use 1 to 64 of a-z 0-9 . _ -", node->text);
}

static bool template_name_known(const char *name, size_t len)
{
	static const char *const names[] = {
		"Path", "Command", "Args", "Domain", "IP", "Port", "Method", "URL", "Operation",
		"Rule", "Session", "RemoteAddr", "RemotePort",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return true;
	return false;
}

void policy_check_template(struct policy_loader *l, const struct policy_doc *doc,
			   struct policy_node *node)
{
	const char *p = node->text;

	while ((p = strstr(p, "{{"))) {
		const char *end = strstr(p, "}}"), *name;
		size_t len;

		if (!end) {
			policy_error(l, doc, node, "a {{ in the message is not closed by }}");
			return;
		}
		name = p + 2 + strspn(p + 2, " ");
		for (len = (size_t)(end - name); len && name[len - 1] == ' ';)
			len--;
		if (!len || name[0] != '.' || !template_name_known(name + 1, len - 1))
			policy_error(l, doc, node,
				     "{{%.*s}} in the message is not known; use {{.Path}} "
				     "{{.Command}} {{.Args}} {{.Domain}} {{.IP}} {{.Port}} "
				     "{{.Method}} {{.URL}} {{.Operation}} {{.Rule}} {{.Session}}",
				     (int)(len > 40 ? 40 : len), name);
		p = end + 2;
	}
}

void policy_check_signal(struct policy_loader *l, const struct policy_doc *doc,
			 struct policy_node *node)
{
	if (!policy_parse_signals(node->text))
		policy_error(l, doc, node,
			     "\"%.40s\" is not a signal; write SIGTERM, 15, or @fatal @job @reload "
			     "@ignore @all",
			     node->text);
}

void policy_check_target(struct policy_loader *l, const struct policy_doc *doc,
			 struct policy_node *node)
{
	int target = policy_parse_signal_target(text_of(node, "type"));
	int64_t min = 0, max = 0;

	if (target == SIGNAL_PROCESS && !policy_get(node, "pattern"))
		policy_error(l, doc, node, "a target of type process needs \"pattern\"");
	if (target != SIGNAL_PID_RANGE)
		return;
	if (!policy_get(node, "min") || !policy_get(node, "max"))
		policy_error(l, doc, node, "a target of type pid_range needs \"min\" and \"max\"");
	else if (policy_parse_int(&min, policy_get(node, "min")) &&
		 policy_parse_int(&max, policy_get(node, "max")) && min > max)
		policy_error(l, doc, node, "the pid range is backwards; min must not exceed max");
}

void policy_check_env_name(struct policy_loader *l, const struct policy_doc *doc,
			   struct policy_node *node)
{
	const char *s = node->text;
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

	if (!*s || s[n] || (*s >= '0' && *s <= '9'))
		policy_error(l, doc, node,
			     "\"%.60s\" is not the name of an environment variable", s);
}

void policy_check_env_glob(struct policy_loader *l, const struct policy_doc *doc,
			   struct policy_node *node)
{
	if (strpbrk(node->text, "= "))
		policy_error(l, doc, node,
			     "\"%.60s\" is not the name of an environment variable; write names "
			     "or globs, values belong into env_inject",
			     node->text);
	else
		policy_check_name_glob(l, doc, node);
}

void policy_check_env_inject(struct policy_loader *l, const struct policy_doc *doc,
			     struct policy_node *node)
{
	for (size_t i = 0; i < node->n; i++)
		policy_check_env_name(l, doc, node->keys[i]);
}

void policy_check_secret_ref(struct policy_loader *l, const struct policy_doc *doc,
			     struct policy_node *node)
{
	static const char *const schemes[] = {"env://",   "file://",   "keyring://",
					      "vault://", "cmd://",    "aws-sm://",
					      "gcp-sm://", "azure-kv://", "op://"};

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (str_has_prefix(node->text, schemes[i]) && node->text[strlen(schemes[i])])
			return;
	policy_error(l, doc, node,
		     "\"%.40s\" is not a reference to a secret; write env://NAME, file://PATH, "
		     "keyring://, vault:// or cmd://",
		     node->text);
}

/* ---- rules ---- */

static bool decides(const struct policy_node *rule, const char *verdict)
{
	return strcmp(text_of(rule, "decision"), verdict) == 0;
}

static void check_redirect(struct policy_loader *l, const struct policy_doc *doc,
			   struct policy_node *rule)
{
	const struct policy_node *to = policy_get(rule, "redirect_to");

	if (decides(rule, "redirect") && !to)
		policy_error(l, doc, rule, "decision \"redirect\" needs \"redirect_to\"");
	else if (!decides(rule, "redirect") && to)
		policy_warn(l, doc, to, "\"redirect_to\" has no effect: the decision is \"%.20s\"",
			    text_of(rule, "decision"));
}

static void count_rule(struct policy_loader *l, const struct policy_doc *doc,
		       struct policy_node *rule)
{
	if (l->n_rules++ == POLICY_RULES_MAX)
		policy_error(l, doc, rule, "more than 10000 rules; use globs or fewer rules");
}

void policy_check_file_rule(struct policy_loader *l, const struct policy_doc *doc,
			    struct policy_node *rule)
{
	const struct policy_node *ops = policy_get(rule, "operations");
	uint32_t mask = ops && ops->n ? 0 : FILE_ALL_OPS;

	count_rule(l, doc, rule);
	check_redirect(l, doc, rule);
	for (size_t i = 0; ops && i < ops->n; i++)
		mask |= policy_parse_file_op(ops->items[i]->text);
	if (decides(rule, "soft_delete") &&
	    !(mask & (1u << FILE_DELETE | 1u << FILE_RMDIR | 1u << FILE_RENAME)))
		policy_error(l, doc, rule,
			     "decision \"soft_delete\" needs delete, rmdir or rename among the "
			     "operations");
}

void policy_check_command_rule(struct policy_loader *l, const struct policy_doc *doc,
			       struct policy_node *rule)
{
	count_rule(l, doc, rule);
	check_redirect(l, doc, rule);
}

void policy_check_network_rule(struct policy_loader *l, const struct policy_doc *doc,
			       struct policy_node *rule)
{
	count_rule(l, doc, rule);
	check_redirect(l, doc, rule);
	if (policy_get(rule, "domains") && policy_get(rule, "destinations"))
		policy_error(l, doc, rule,
			     "\"destinations\" is another name of \"domains\"; keep one of them");
}

void policy_check_signal_rule(struct policy_loader *l, const struct policy_doc *doc,
			      struct policy_node *rule)
{
	count_rule(l, doc, rule);
	check_redirect(l, doc, rule);
}

void policy_check_connect_redirect(struct policy_loader *l, const struct policy_doc *doc,
				   struct policy_node *rule)
{
	const struct policy_node *tls = policy_get(rule, "tls");

	if (!policy_get(rule, "redirect_to") == !policy_get(rule, "redirect_to_unix"))
		policy_error(l, doc, rule,
			     "give exactly one of \"redirect_to\" and \"redirect_to_unix\"");
	if (strcmp(text_of(tls, "mode"), "rewrite_sni") == 0 && !policy_get(tls, "sni"))
		policy_error(l, doc, tls, "tls mode \"rewrite_sni\" needs \"sni\"");
}

void policy_check_service(struct policy_loader *l, const struct policy_doc *doc,
			  struct policy_node *service)
{
	if (policy_get(service, "inject") && !policy_get(service, "secret"))
		policy_error(l, doc, service, "\"inject\" needs \"secret\": there is nothing to "
					      "inject");
}

void policy_check_services(struct policy_loader *l, const struct policy_doc *doc,
			   struct policy_node *node)
{
	policy_error(l, doc, node,
		     "\"services\" is now part of http_services; move secret, inject and "
		     "scrub_response into its entries");
}

void policy_check_mcp_rules(struct policy_loader *l, const struct policy_doc *doc,
			    struct policy_node *rules)
{
	if (strcmp(text_of(rules, "tool_policy"), "allowlist") == 0 &&
	    !policy_get(rules, "allowed_tools"))
		policy_warn(l, doc, rules,
			    "tool_policy is \"allowlist\" without \"allowed_tools\": no tool can "
			    "be called");
}
