#include <string.h>

#include "common/match.h"
#include "common/policy_i.h"
#include "common/str.h"

/* Checks of single values. A path that cannot exist on this system becomes NODE_NULL. */

/* Expand variables. @return true when node has its final text and may be checked further */
static bool expanded(struct policy_loader *l, const struct policy_doc *doc,
		     struct policy_node *node, enum policy_quote quote)
{
	enum policy_expansion r = policy_vars_expand(l, doc, node, quote);

	if (r == EXPAND_FOREIGN)
		policy_error(l, doc, node,
			     "\"%.80s\" has a variable of another operating system; remove it",
			     node->text);
	return r == EXPAND_OK;
}

static bool is_drive_path(const char *s)
{
	return ((*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z')) && s[1] == ':' && s[2] == '\\';
}

/* The same, but a pattern for a place that cannot exist here is left out of its list. */
static bool expanded_or_left_out(struct policy_loader *l, const struct policy_doc *doc,
				 struct policy_node *node)
{
	enum policy_expansion r = policy_vars_expand(l, doc, node, QUOTE_GLOB);

	if (r == EXPAND_FOREIGN || is_drive_path(node->text)) {
		r = EXPAND_FOREIGN;
		policy_warn(l, doc, node,
			    "\"%.80s\" names a place of another operating system; left out",
			    node->text);
		node->kind = NODE_NULL;
	}
	return r == EXPAND_OK;
}

static bool set_text(struct policy_loader *l, struct policy_node *node, const char *text)
{
	l->no_memory |= !text;
	if (text)
		node->text = text;
	return text != NULL;
}

void policy_check_expand(struct policy_loader *l, const struct policy_doc *doc,
			 struct policy_node *node)
{
	expanded(l, doc, node, QUOTE_NONE);
}

void policy_check_duration(struct policy_loader *l, const struct policy_doc *doc,
			   struct policy_node *node)
{
	uint64_t ms;

	if (!policy_parse_duration(&ms, node->text))
		policy_error(l, doc, node,
			     "\"%.60s\" is not a duration; write 30s, 5m, 1h30m or 500ms, at most "
			     "366d",
			     node->text);
}

/* ---- paths ---- */

/*
 * "~/x" is the home's, "/workspace/x" the workspace's, wherever they are. Who has no home directory
 * has nothing in it: such a rule holds for nothing then, and is no error.
 */
static bool path_places(struct policy_loader *l, struct policy_node *node)
{
	const char *s = node->text;

	if (strcmp(s, "~") == 0 || str_has_prefix(s, "~/"))
		return set_text(l, node, arena_printf(&l->arena, "${HOME:-/nonexistent}%s", s + 1));
	if (strcmp(s, "/workspace") == 0 || str_has_prefix(s, "/workspace/"))
		return set_text(l, node,
				arena_printf(&l->arena, "${WORKSPACE:-/workspace}%s", s + 10));
	return true;
}

/* One slash where there were several. A trailing one means the directory and what is below. */
static bool path_slashes(struct policy_loader *l, const struct policy_doc *doc,
			 struct policy_node *node, bool is_glob)
{
	size_t len = strlen(node->text), n = 0;
	char *out = arena_alloc(&l->arena, len + 8);

	if (!set_text(l, node, out ? node->text : NULL))
		return false;
	for (size_t i = 0; i < len; i++)
		if (node->text[i] != '/' || n == 0 || out[n - 1] != '/')
			out[n++] = node->text[i];
	if (n > 1 && out[n - 1] == '/') {
		out[--n] = '\0';
		if (is_glob) {
			policy_warn(l, doc, node,
				    "\"%.80s\" ends with a slash: taken as that directory and "
				    "everything below it",
				    node->text);
			strcpy(out + n, "{,/**}");
		}
	}
	node->text = out;
	return true;
}

static bool has_dot_component(const char *s)
{
	for (; s; s = strchr(s, '/')) {
		s += *s == '/';
		if ((s[0] == '.' && (!s[1] || s[1] == '/')) ||
		    (s[0] == '.' && s[1] == '.' && (!s[2] || s[2] == '/')))
			return true;
	}
	return false;
}

static void check_path_pattern(struct policy_loader *l, const struct policy_doc *doc,
			       struct policy_node *node)
{
	const char *wrong;

	if (!path_places(l, node) || !expanded_or_left_out(l, doc, node) ||
	    !path_slashes(l, doc, node, true))
		return;
	wrong = match_path_check(node->text);
	if (node->text[0] != '/' && !str_has_prefix(node->text, "**"))
		policy_error(l, doc, node,
			     "path \"%.80s\" is relative; begin it with /, ~/, ${WORKSPACE}/ or "
			     "**/",
			     node->text);
	else if (has_dot_component(node->text))
		policy_error(l, doc, node,
			     "path \"%.80s\" has a \".\" or \"..\" component, so it never matches; "
			     "write the real path",
			     node->text);
	else if (wrong)
		policy_error(l, doc, node, "bad pattern \"%.80s\": %s", node->text, wrong);
}

void policy_check_glob(struct policy_loader *l, const struct policy_doc *doc,
		       struct policy_node *node)
{
	check_path_pattern(l, doc, node);
}

void policy_check_socket(struct policy_loader *l, const struct policy_doc *doc,
			 struct policy_node *node)
{
	const char *wrong;

	if (node->text[0] != '@') {
		check_path_pattern(l, doc, node);
		return;
	}
	if (!expanded(l, doc, node, QUOTE_GLOB))
		return;
	wrong = match_path_check(node->text);
	if (wrong)
		policy_error(l, doc, node, "bad pattern \"%.80s\": %s", node->text, wrong);
}

void policy_check_file_path(struct policy_loader *l, const struct policy_doc *doc,
			    struct policy_node *node)
{
	if (!path_places(l, node) || !expanded(l, doc, node, QUOTE_NONE) ||
	    !path_slashes(l, doc, node, false))
		return;
	if (node->text[0] != '/' || has_dot_component(node->text))
		policy_error(l, doc, node,
			     "\"%.80s\" is not an absolute path; begin it with /, ~/ or "
			     "${WORKSPACE}/",
			     node->text);
}

/* ---- commands ---- */

void policy_check_name_glob(struct policy_loader *l, const struct policy_doc *doc,
			    struct policy_node *node)
{
	const char *wrong = match_path_check(node->text);

	if (!node->text[0])
		wrong = "it is empty";
	if (strcmp(node->text, "[") == 0) /* the program test(1), not a class */
		wrong = NULL;
	if (wrong)
		policy_error(l, doc, node, "bad pattern \"%.80s\": %s", node->text, wrong);
}

void policy_check_command(struct policy_loader *l, const struct policy_doc *doc,
			  struct policy_node *node)
{
	if (!strchr(node->text, '/') && !strstr(node->text, "${"))
		policy_check_name_glob(l, doc, node);
	else if (node->text[0] == '.')
		policy_error(l, doc, node,
			     "command \"%.80s\" is neither a name nor an absolute path",
			     node->text);
	else
		check_path_pattern(l, doc, node);
}

static struct regex *compile(struct policy_loader *l, const struct policy_doc *doc,
			     struct policy_node *node)
{
	struct regex *re = NULL;
	struct err e = ERR_INIT;

	if (expanded(l, doc, node, QUOTE_REGEX) && regex_new(&re, node->text, &e) < 0)
		policy_error(l, doc, node, "bad regular expression \"%.80s\": %s", node->text,
			     e.text);
	return re;
}

void policy_check_regex(struct policy_loader *l, const struct policy_doc *doc,
			struct policy_node *node)
{
	regex_free(compile(l, doc, node));
}

void policy_check_args_regex(struct policy_loader *l, const struct policy_doc *doc,
			     struct policy_node *node)
{
	struct regex *re = compile(l, doc, node);

	if (!re)
		return;
	if (l->n_regexes == POLICY_RULES_MAX) {
		policy_error(l, doc, node, "more than 10000 regular expressions; use fewer");
		regex_free(re);
		return;
	}
	l->regex_nodes[l->n_regexes] = node;
	l->regexes[l->n_regexes++] = re;
}

void policy_check_context(struct policy_loader *l, const struct policy_doc *doc,
			  struct policy_node *node)
{
	uint32_t min, max;

	if (!policy_parse_context(&min, &max, node))
		policy_error(l, doc, node,
			     "bad context; write [direct], [nested] or {depth: direct|nested|N|"
			     "[MIN, MAX]}");
}

/* ---- network ---- */

void policy_check_domain(struct policy_loader *l, const struct policy_doc *doc,
			 struct policy_node *node)
{
	struct policy_addr addr;
	const char *wrong;
	char text[MATCH_PATTERN_MAX];

	if (!expanded(l, doc, node, QUOTE_NONE))
		return;
	if (!policy_idna(text, sizeof(text), node->text)) {
		policy_error(l, doc, node,
			     "bad host \"%.80s\": it is too long, or has wildcards in a label with "
			     "letters that are not ASCII",
			     node->text);
		return;
	}
	if (!set_text(l, node, arena_dup(&l->arena, text, strlen(text))))
		return;
	wrong = match_host_check(text);
	if (wrong) {
		policy_error(l, doc, node, "bad host \"%.80s\": %s", text, wrong);
	} else if (policy_parse_addr(&addr, text)) {
		char canonical[MATCH_ADDR_TEXT];

		match_addr_text(canonical, addr.family, addr.bytes);
		set_text(l, node, arena_dup(&l->arena, canonical, strlen(canonical)));
	}
}

void policy_check_cidr(struct policy_loader *l, const struct policy_doc *doc,
		       struct policy_node *node)
{
	struct policy_addr addr;
	unsigned bits;

	if (!policy_parse_cidr(&addr, &bits, node->text))
		policy_error(l, doc, node,
			     "\"%.60s\" is not an address range; write 10.0.0.0/8 or fd00::/8",
			     node->text);
}

void policy_check_port(struct policy_loader *l, const struct policy_doc *doc,
		       struct policy_node *node)
{
	uint16_t low, high;

	if (!policy_parse_ports(&low, &high, node->text))
		policy_error(l, doc, node,
			     "\"%.60s\" is not a port; write 443 or \"8000-8999\" (1 to 65535)",
			     node->text);
}

void policy_check_ip(struct policy_loader *l, const struct policy_doc *doc,
		     struct policy_node *node)
{
	struct policy_addr addr;

	if (!policy_parse_addr(&addr, node->text))
		policy_error(l, doc, node, "\"%.60s\" is not an IP address", node->text);
}

/* HOST, HOST:PORT, [V6]:PORT */
void policy_check_endpoint(struct policy_loader *l, const struct policy_doc *doc,
			   struct policy_node *node)
{
	struct policy_addr addr;
	char host[256] = "";
	const char *port;
	uint16_t low, high;
	size_t len;

	if (!expanded(l, doc, node, QUOTE_NONE))
		return;
	port = strrchr(node->text, ':');
	if (node->text[0] == '[' ? !port || port[-1] != ']' : port != strchr(node->text, ':'))
		port = NULL;
	len = port ? (size_t)(port - node->text) : strlen(node->text);
	if (len < sizeof(host))
		memcpy(host, node->text, len);
	if (host[0] == '[' && len > 2) {
		memmove(host, host + 1, len - 2);
		host[len - 2] = '\0';
	}
	if (!host[0] || strpbrk(host, "*?[]{}/") ||
	    (!policy_parse_addr(&addr, host) && match_host_check(host)) ||
	    (port && (strchr(port, '-') || !policy_parse_ports(&low, &high, port + 1))))
		policy_error(l, doc, node, "\"%.80s\" is not HOST or HOST:PORT", node->text);
}

void policy_check_url(struct policy_loader *l, const struct policy_doc *doc,
		      struct policy_node *node)
{
	const char *rest = strstr(node->text, "://");
	size_t host;

	if (!expanded(l, doc, node, QUOTE_NONE))
		return;
	rest = strstr(node->text, "://");
	host = rest ? strcspn(rest + 3, "/?#") : 0;
	if (!host || (!str_has_prefix(node->text, "https://") &&
		      !str_has_prefix(node->text, "http://")))
		policy_error(l, doc, node, "\"%.80s\" is not a URL; write https://HOST[:PORT][/PATH]",
			     node->text);
	else if (memchr(rest + 3, '@', host))
		policy_error(l, doc, node, "a URL here carries no user name; use secret and inject");
}

void policy_check_url_path(struct policy_loader *l, const struct policy_doc *doc,
			   struct policy_node *node)
{
	const char *wrong = match_path_check(node->text);

	if (node->text[0] != '/' && node->text[0] != '*')
		wrong = "it does not begin with /";
	if (wrong)
		policy_error(l, doc, node, "bad URL path \"%.80s\": %s", node->text, wrong);
}

void policy_check_method(struct policy_loader *l, const struct policy_doc *doc,
			 struct policy_node *node)
{
	static const char *const token = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-";
	size_t len = strlen(node->text);

	if (strcmp(node->text, "*") != 0 && (!len || len > 32 || strspn(node->text, token) != len))
		policy_error(l, doc, node, "\"%.40s\" is not an HTTP method; write GET, POST or *",
			     node->text);
}
