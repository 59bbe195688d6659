#include <string.h>

#include "common/policy_i.h"

/*
 * The format, as tables: docs/POLICY.md in the order of its sections. To add a key, add a line
 * here, and in policy_compile.c what it means to the image.
 */

#define ALLOW	    (1u << VERDICT_ALLOW)
#define DENY	    (1u << VERDICT_DENY)
#define APPROVE	    (1u << VERDICT_APPROVE)
#define AUDIT	    (1u << VERDICT_AUDIT)
#define REDIRECT    (1u << VERDICT_REDIRECT)
#define SOFT_DELETE (1u << VERDICT_SOFT_DELETE)
#define HIDE	    (1u << VERDICT_HIDE)
#define ABSORB	    (1u << VERDICT_ABSORB)

#define COUNT_MAX 1000000000000000ll

/* ---- scalars ---- */

#define STRING(id, fn) static const struct value_schema id = {VALUE_STRING, .check = (fn)}
#define LIST_OF(id, of) static const struct value_schema id = {VALUE_LIST, .item = &(of)}
#define WORDS(id, label, ...)                                                                      \
	static const char *const id##_words[] = {__VA_ARGS__, NULL};                               \
	static const struct value_schema id = {VALUE_WORD, .words = id##_words, .what = (label)}
#define VERDICTS(id, mask, label)                                                                  \
	static const struct value_schema id = {VALUE_VERDICT, .verdicts = (mask), .what = (label)}
#define MAP(id, label, fn, ...)                                                                    \
	static const struct key_schema id##_keys[] = {__VA_ARGS__, {NULL, NULL, 0}};               \
	static const struct value_schema id = {VALUE_MAP, .keys = id##_keys, .check = (fn),        \
					       .what = (label)}
#define TABLE_OF(id, of, fn)                                                                       \
	static const struct value_schema id = {VALUE_TABLE, .item = &(of), .check = (fn)}
#define KEY(name, value)      {name, &(value), 0}
#define REQUIRED(name, value) {name, &(value), KEY_REQUIRED | KEY_NONEMPTY}
#define NONEMPTY(name, value) {name, &(value), KEY_NONEMPTY}
#define FOREIGN(name)	      {name, &any, KEY_FOREIGN}

static const struct value_schema any = {.type = VALUE_ANY};
static const struct value_schema boolean = {.type = VALUE_BOOL};
static const struct value_schema count = {VALUE_INT, .min = 0, .max = COUNT_MAX};
static const struct value_schema version = {VALUE_INT, .min = 1, .max = 1};
static const struct value_schema priority = {VALUE_INT, .min = -COUNT_MAX, .max = COUNT_MAX};
static const struct value_schema services = {VALUE_ANY, .check = policy_check_services};
static const struct value_schema context = {VALUE_ANY, .check = policy_check_context};

STRING(string, NULL);
STRING(expanded, policy_check_expand);
STRING(pack_name, policy_check_policy_name);
STRING(message, policy_check_template);
STRING(duration, policy_check_duration);
STRING(path_glob, policy_check_glob);
STRING(file_path, policy_check_file_path);
STRING(socket_glob, policy_check_socket);
STRING(command, policy_check_command);
STRING(args_regex, policy_check_args_regex);
STRING(regex, policy_check_regex);
STRING(domain, policy_check_domain);
STRING(cidr, policy_check_cidr);
STRING(port, policy_check_port);
STRING(ip, policy_check_ip);
STRING(endpoint, policy_check_endpoint);
STRING(url, policy_check_url);
STRING(url_path, policy_check_url_path);
STRING(method, policy_check_method);
STRING(name_glob, policy_check_name_glob);
STRING(env_name, policy_check_env_name);
STRING(env_glob, policy_check_env_glob);
STRING(signal_word, policy_check_signal);
STRING(secret_ref, policy_check_secret_ref);

LIST_OF(strings, string);
LIST_OF(expanded_list, expanded);
LIST_OF(path_globs, path_glob);
LIST_OF(socket_globs, socket_glob);
LIST_OF(command_list, command);
LIST_OF(args_regexes, args_regex);
LIST_OF(domains, domain);
LIST_OF(cidrs, cidr);
LIST_OF(ports, port);
LIST_OF(url_paths, url_path);
LIST_OF(methods, method);
LIST_OF(name_globs, name_glob);
LIST_OF(env_globs, env_glob);
LIST_OF(signal_words, signal_word);

TABLE_OF(environment, expanded, policy_check_env_inject);

WORDS(unix_op, "operation", "connect", "bind", "listen", "sendto", "*");
WORDS(log_level, "log", "none", "summary", "full");
WORDS(protocol, "protocol", "tcp", "udp", "any");
WORDS(tls_mode, "tls", "inspect", "passthrough");
WORDS(visibility, "visibility", "silent", "audit_only", "warn");
WORDS(on_failure, "on_failure", "fail_closed", "fail_open", "retry_original");
WORDS(durability_word, "durability", "default", "ring", "commit");
WORDS(allow_or_deny, "default", "allow", "deny");
WORDS(signal_target_type, "target type", "self", "children", "descendants", "siblings", "session",
      "parent", "external", "system", "user", "process", "pid_range");
WORDS(file_op, "operation", "open", "read", "write", "create", "mkdir", "delete", "rmdir", "rename",
      "link", "symlink", "readlink", "chmod", "chown", "utime", "xattr", "mknod", "stat", "list",
      "access", "lock", "exec", "*");
LIST_OF(file_ops, file_op);
LIST_OF(unix_ops, unix_op);

/* ---- rules ---- */

VERDICTS(file_verdict, ALLOW | DENY | APPROVE | AUDIT | REDIRECT | SOFT_DELETE | HIDE,
	 "file_rules");
VERDICTS(command_verdict, ALLOW | DENY | APPROVE | AUDIT | REDIRECT, "command_rules");
VERDICTS(network_verdict, ALLOW | DENY | APPROVE | AUDIT | REDIRECT, "network_rules");
VERDICTS(unix_verdict, ALLOW | DENY | APPROVE | AUDIT, "unix_socket_rules");
VERDICTS(signal_verdict, ALLOW | DENY | APPROVE | AUDIT | REDIRECT | ABSORB, "signal_rules");
VERDICTS(http_verdict, ALLOW | DENY | APPROVE | AUDIT, "http_services");
VERDICTS(plain_verdict, ALLOW | DENY | APPROVE | AUDIT, "defaults");

MAP(file_rule, "a file rule", policy_check_file_rule,
    KEY("name", string), KEY("description", string), REQUIRED("paths", path_globs),
    KEY("operations", file_ops), REQUIRED("decision", file_verdict), KEY("message", message),
    KEY("timeout", duration), KEY("redirect_to", file_path), KEY("preserve_tree", boolean),
    KEY("log", log_level));
LIST_OF(file_rules, file_rule);

MAP(command_redirect, "redirect_to", NULL,
    REQUIRED("command", expanded), KEY("args", expanded_list), KEY("args_append", expanded_list),
    KEY("environment", environment));
MAP(command_rule, "a command rule", policy_check_command_rule,
    KEY("name", string), KEY("description", string), KEY("commands", command_list),
    KEY("args_patterns", args_regexes), REQUIRED("decision", command_verdict),
    KEY("message", message), KEY("timeout", duration), KEY("context", context),
    KEY("redirect_to", command_redirect), KEY("env_allow", env_globs),
    KEY("env_deny", env_globs), KEY("env_max_bytes", count), KEY("env_max_keys", count),
    KEY("env_block_iteration", boolean));
LIST_OF(command_rules, command_rule);

MAP(network_rule, "a network rule", policy_check_network_rule,
    KEY("name", string), KEY("description", string), NONEMPTY("domains", domains),
    NONEMPTY("destinations", domains), NONEMPTY("cidrs", cidrs), NONEMPTY("ports", ports),
    KEY("protocol", protocol), REQUIRED("decision", network_verdict), KEY("message", message),
    KEY("timeout", duration), KEY("redirect_to", endpoint), KEY("tls", tls_mode),
    NONEMPTY("methods", methods), NONEMPTY("paths", url_paths));
LIST_OF(network_rules, network_rule);

MAP(unix_rule, "a unix socket rule", NULL,
    KEY("name", string), KEY("description", string), REQUIRED("paths", socket_globs),
    KEY("operations", unix_ops), REQUIRED("decision", unix_verdict), KEY("message", message),
    KEY("timeout", duration));
LIST_OF(unix_rules, unix_rule);

MAP(signal_target, "a signal target", policy_check_target,
    REQUIRED("type", signal_target_type), KEY("pattern", name_glob), KEY("min", count),
    KEY("max", count));
MAP(signal_rule, "a signal rule", policy_check_signal_rule,
    KEY("name", string), KEY("description", string), REQUIRED("signals", signal_words),
    REQUIRED("target", signal_target), REQUIRED("decision", signal_verdict),
    KEY("redirect_to", signal_word), KEY("fallback", plain_verdict), KEY("message", message),
    KEY("timeout", duration));
LIST_OF(signal_rules, signal_rule);

/* ---- HTTP services and redirects ---- */

MAP(http_rule, "an HTTP rule", NULL,
    KEY("name", string), KEY("methods", methods), REQUIRED("paths", url_paths),
    REQUIRED("decision", http_verdict), KEY("message", message), KEY("timeout", duration));
LIST_OF(http_rules, http_rule);
MAP(http_secret, "secret", NULL, REQUIRED("ref", secret_ref), KEY("format", string));
MAP(http_header, "header", NULL, REQUIRED("name", string), REQUIRED("template", string));
MAP(http_inject, "inject", NULL, REQUIRED("header", http_header));
MAP(http_service, "an HTTP service", policy_check_service,
    REQUIRED("name", string), REQUIRED("upstream", url), KEY("expose_as", env_name),
    KEY("aliases", domains), KEY("allow_direct", boolean), KEY("default", allow_or_deny),
    KEY("rules", http_rules), KEY("secret", http_secret), KEY("inject", http_inject),
    KEY("scrub_response", boolean));
LIST_OF(http_services, http_service);

MAP(dns_redirect, "a DNS redirect", NULL,
    REQUIRED("name", string), REQUIRED("match", regex), REQUIRED("resolve_to", ip),
    KEY("visibility", visibility), KEY("on_failure", on_failure));
LIST_OF(dns_redirects, dns_redirect);

WORDS(redirect_tls_mode, "tls mode", "passthrough", "rewrite_sni");
MAP(redirect_tls, "tls", NULL, KEY("mode", redirect_tls_mode), KEY("sni", domain));
MAP(connect_redirect, "a connect redirect", policy_check_connect_redirect,
    REQUIRED("name", string), REQUIRED("match", regex), KEY("redirect_to", endpoint),
    KEY("redirect_to_unix", file_path), KEY("tls", redirect_tls), KEY("visibility", visibility),
    KEY("message", message), KEY("on_failure", on_failure));
LIST_OF(connect_redirects, connect_redirect);

/* ---- limits, environment, audit ---- */

MAP(resource_limits, "resource_limits", NULL,
    KEY("max_memory_mb", count), KEY("memory_swap_max_mb", count), KEY("cpu_quota_percent", count),
    KEY("disk_read_bps_max", count), KEY("disk_write_bps_max", count),
    KEY("net_bandwidth_mbps", count), KEY("pids_max", count), KEY("command_timeout", duration),
    KEY("session_timeout", duration), KEY("idle_timeout", duration));

MAP(env_policy, "env_policy", NULL,
    KEY("allow", env_globs), KEY("deny", env_globs), KEY("max_bytes", count),
    KEY("max_keys", count), KEY("block_iteration", boolean));

MAP(durability, "durability", NULL,
    KEY("file_read", durability_word), KEY("file_write", durability_word),
    KEY("exec", durability_word), KEY("net", durability_word), KEY("deny", durability_word));
MAP(audit, "audit", NULL,
    KEY("log_allowed", boolean), KEY("log_denied", boolean), KEY("log_approved", boolean),
    KEY("log_outside_reads", boolean),
    KEY("include_stdout", boolean), KEY("include_stderr", boolean),
    KEY("include_file_content", boolean), KEY("retention_days", count),
    KEY("durability", durability));

static const struct value_schema megabytes = {VALUE_INT, .min = 0, .max = 1000000000};
static const struct value_schema few = {VALUE_INT, .min = 0, .max = 1000000000};
MAP(trash, "trash", NULL,
    KEY("ttl", duration), KEY("max_mb", megabytes), KEY("max_count", few));
MAP(undo, "undo", NULL,
    KEY("enabled", boolean), KEY("required", boolean), KEY("max_mb", count),
    KEY("max_file_mb", count), KEY("exclude", path_globs), KEY("retention", duration));

MAP(defaults, "defaults", NULL,
    KEY("file_read", plain_verdict), KEY("file_write", plain_verdict),
    KEY("command", plain_verdict), KEY("network", plain_verdict),
    KEY("unix_socket", plain_verdict), KEY("signal", plain_verdict));

/* ---- data loss, MCP, packages ---- */

WORDS(dlp_mode, "mode", "off", "disabled", "detect", "redact", "block");
MAP(dlp_patterns, "dlp patterns", NULL,
    KEY("email", boolean), KEY("phone", boolean), KEY("credit_card", boolean),
    KEY("credit_cards", boolean), KEY("ssn", boolean), KEY("api_key", boolean),
    KEY("api_keys", boolean), KEY("private_key", boolean), KEY("private_keys", boolean),
    KEY("jwt", boolean), KEY("iban", boolean), KEY("ip_address", boolean));
MAP(dlp_pattern, "a custom pattern", NULL,
    REQUIRED("name", string), REQUIRED("regex", regex), KEY("display", string));
LIST_OF(dlp_custom, dlp_pattern);
MAP(dlp, "dlp", NULL,
    KEY("mode", dlp_mode), KEY("patterns", dlp_patterns), KEY("custom_patterns", dlp_custom));

WORDS(list_mode, "policy", "allowlist", "denylist", "none");
WORDS(pin_change, "on_change", "alert", "block", "approve", "allow");
MAP(mcp_tool, "an MCP tool", NULL,
    REQUIRED("server", name_glob), REQUIRED("tool", name_glob), KEY("content_hash", string));
LIST_OF(mcp_tools, mcp_tool);
MAP(mcp_server, "an MCP server", NULL, REQUIRED("id", name_glob));
LIST_OF(mcp_servers, mcp_server);
MAP(mcp_pinning, "version_pinning", NULL,
    KEY("enabled", boolean), KEY("on_change", pin_change), KEY("auto_trust_first", boolean));
MAP(mcp_rules, "mcp_rules", policy_check_mcp_rules,
    KEY("enforce_policy", boolean), KEY("tool_policy", list_mode),
    KEY("allowed_tools", mcp_tools), KEY("denied_tools", mcp_tools),
    KEY("server_policy", list_mode), KEY("allowed_servers", mcp_servers),
    KEY("denied_servers", mcp_servers), KEY("version_pinning", mcp_pinning),
    KEY("cross_server", any));

WORDS(package_action, "action", "allow", "warn", "approve", "block");
MAP(license_match, "license_spdx", NULL, KEY("allow", strings), KEY("deny", strings));
MAP(package_match, "match", NULL,
    KEY("packages", strings), KEY("name_patterns", name_globs), KEY("finding_type", string),
    KEY("severity", string), KEY("reasons", strings), KEY("license_spdx", license_match),
    KEY("ecosystem", string), KEY("options", any));
MAP(package_rule, "a package rule", NULL,
    REQUIRED("match", package_match), REQUIRED("action", package_action), KEY("reason", string));
LIST_OF(package_rules, package_rule);

/* ---- processes ---- */

MAP(platform_match, "a process match", NULL,
    KEY("comm", name_globs), KEY("exe_path", strings), KEY("cmdline", strings),
    KEY("bundle_id", strings), KEY("exe_name", strings));
MAP(process_identity, "a process identity", NULL,
    KEY("description", string), KEY("linux", platform_match), FOREIGN("darwin"),
    FOREIGN("windows"), KEY("all_platforms", platform_match), KEY("comm", name_globs),
    KEY("exe_path", strings), KEY("cmdline", strings));
TABLE_OF(process_identities, process_identity, NULL);

static const struct value_schema chain_condition;
LIST_OF(chain_conditions, chain_condition);
MAP(consecutive, "a consecutive match", NULL,
    REQUIRED("value", string), KEY("count_ge", count), KEY("count_le", count));
static const struct key_schema chain_condition_keys[] = {
	KEY("via_index", count), KEY("via_index_value", string), KEY("via_contains", strings),
	KEY("via_not_contains", strings), KEY("via_matches", strings),
	KEY("class_contains", strings), KEY("class_not_contains", strings),
	KEY("consecutive_class", consecutive), KEY("consecutive_comm", consecutive),
	KEY("depth_eq", count), KEY("depth_gt", count), KEY("depth_lt", count),
	KEY("depth_ge", count), KEY("depth_le", count), KEY("is_tainted", boolean),
	KEY("is_agent", boolean), KEY("env_contains", strings), KEY("args_contain", strings),
	KEY("comm_matches", strings), KEY("path_matches", strings), KEY("source_name", strings),
	KEY("source_context", strings), KEY("or", chain_conditions), KEY("and", chain_conditions),
	KEY("not", chain_condition), {NULL, NULL, 0}};
static const struct value_schema chain_condition = {VALUE_MAP, .keys = chain_condition_keys,
						    .what = "a chain condition"};
WORDS(chain_action, "action", "allow_normal_policy", "apply_context_policy", "deny", "approve",
      "mark_as_agent", "allow");
MAP(chain_rule, "a chain rule", NULL,
    KEY("name", string), KEY("description", string), KEY("priority", priority),
    KEY("condition", chain_condition), REQUIRED("action", chain_action), KEY("message", message),
    KEY("continue", boolean));
LIST_OF(chain_rules, chain_rule);
MAP(command_override, "a command override", NULL,
    KEY("args_allow", strings), KEY("args_deny", strings), KEY("default", plain_verdict));
TABLE_OF(command_overrides, command_override, NULL);
MAP(race_policy, "race_policy", NULL,
    KEY("on_missing_parent", plain_verdict), KEY("on_pid_mismatch", plain_verdict),
    KEY("on_validation_error", plain_verdict), KEY("log_race_conditions", boolean));
MAP(process_context, "a process context", NULL,
    KEY("description", string), REQUIRED("identities", strings), KEY("chain_rules", chain_rules),
    KEY("command_rules", command_rules), KEY("file_rules", file_rules),
    KEY("network_rules", network_rules), KEY("unix_socket_rules", unix_rules),
    KEY("env_policy", env_policy), KEY("allowed_commands", command_list),
    KEY("denied_commands", command_list), KEY("require_approval", command_list),
    KEY("command_overrides", command_overrides), KEY("default_decision", plain_verdict),
    KEY("race_policy", race_policy), KEY("max_depth", count), KEY("stop_at", strings),
    KEY("pass_through", strings));
TABLE_OF(process_contexts, process_context, NULL);

MAP(transparent_commands, "transparent_commands", NULL,
    KEY("add", name_globs), KEY("remove", name_globs));

static const struct value_schema port_number = {VALUE_INT, .min = 1, .max = 65535};
MAP(published, "a published port", NULL,
    REQUIRED("port", port_number), KEY("host_port", port_number), KEY("bind", ip));
LIST_OF(publish, published);

MAP(rule_metadata, "metadata", NULL,
    REQUIRED("rule_name", string), REQUIRED("source", string), KEY("db_service", string),
    KEY("bypass_mode", string), KEY("destination", string));
LIST_OF(metadata, rule_metadata);

static const struct key_schema root_keys[] = {
	{"version", &version, KEY_REQUIRED},
	{"name", &pack_name, KEY_REQUIRED},
	KEY("description", string),
	KEY("extends", strings),
	KEY("defaults", defaults),
	KEY("file_rules", file_rules),
	KEY("command_rules", command_rules),
	KEY("network_rules", network_rules),
	KEY("http_services", http_services),
	KEY("dns_redirects", dns_redirects),
	KEY("connect_redirects", connect_redirects),
	KEY("unix_socket_rules", unix_rules),
	KEY("signal_rules", signal_rules),
	KEY("resource_limits", resource_limits),
	KEY("env_policy", env_policy),
	KEY("env_inject", environment),
	KEY("audit", audit),
	KEY("trash", trash),
	KEY("undo", undo),
	KEY("dlp", dlp),
	KEY("mcp_rules", mcp_rules),
	KEY("process_identities", process_identities),
	KEY("process_contexts", process_contexts),
	KEY("package_rules", package_rules),
	KEY("transparent_commands", transparent_commands),
	KEY("publish", publish),
	KEY("metadata", metadata),
	KEY("providers", any),
	KEY("db_services", any),
	KEY("database_rules", any),
	KEY("database_connection_rules", any),
	KEY("policies", any),
	KEY("services", services),
	FOREIGN("registry_rules"),
	{NULL, NULL, 0}};
const struct value_schema policy_schema_root = {VALUE_MAP, .keys = root_keys,
						.what = "a policy"};

static void warn_twice(struct policy_loader *l, const struct policy_doc *doc,
		       const struct policy_node *rules)
{
	for (size_t i = 1; rules && rules->kind == NODE_LIST && i < rules->n && i < 2000; i++) {
		const struct policy_node *name = policy_get(rules->items[i], "name");

		for (size_t j = 0; name && name->kind == NODE_SCALAR && j < i; j++) {
			const struct policy_node *other = policy_get(rules->items[j], "name");

			if (!other || other->kind != NODE_SCALAR ||
			    strcmp(name->text, other->text) != 0)
				continue;
			policy_warn(l, doc, name,
				    "two rules are named \"%.60s\" (the first on line %u); records "
				    "cannot tell them apart",
				    name->text, other->line);
			break;
		}
	}
}

void policy_schema_check(struct policy_loader *l, const struct policy_doc *doc)
{
	static const char *const sections[] = {"file_rules", "command_rules", "network_rules",
					       "unix_socket_rules", "signal_rules"};

	policy_walk(l, doc, doc->root, &policy_schema_root);
	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		warn_twice(l, doc, policy_get(doc->root, sections[i]));
}
