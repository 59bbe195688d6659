#include <string.h>

#include "common/policy_i.h"
#include "common/str.h"

/* ${NAME} and ${NAME:-fallback}; a fallback may contain variables. */

#define EXPANSION_MAX 4096
#define NESTING_MAX   8

static const struct {
	const char *name;
	size_t offset;
} variables[] = {
	{"WORKSPACE", offsetof(struct policy_vars, workspace)},
	{"PROJECT_ROOT", offsetof(struct policy_vars, project_root)},
	{"GIT_ROOT", offsetof(struct policy_vars, git_root)},
	{"GIT_COMMON_DIR", offsetof(struct policy_vars, git_common_dir)},
	{"HOME", offsetof(struct policy_vars, home)},
	{"TMPDIR", offsetof(struct policy_vars, tmpdir)},
	{"USER", offsetof(struct policy_vars, user)},
	{"SESSION", offsetof(struct policy_vars, session)},
};

/* Variables of policies for Windows: a path that needs one cannot exist here. */
static const char *const foreign[] = {"USERPROFILE", "APPDATA",	    "LOCALAPPDATA",
				      "TEMP",	     "TMP",	    "PROGRAMDATA",
				      "PROGRAMFILES", "SYSTEMROOT", "WINDIR"};

struct expander {
	struct policy_loader *l;
	const struct policy_doc *doc;
	const struct policy_node *node;
	enum policy_quote quote;
	struct str out;
	enum policy_expansion result;
};

/* before, the name (cut), after */
static void complain(struct expander *x, const char *before, const char *name, size_t len,
		     const char *after)
{
	if (x->result == EXPAND_OK)
		policy_error(x->l, x->doc, x->node, "%s%.*s%s", before,
			     (int)(len > 60 ? 60 : len), name, after);
	x->result = EXPAND_BAD;
}

static void put_value(struct expander *x, const char *value)
{
	const char *special = "";

	if (x->quote == QUOTE_GLOB)
		special = "*?[{}\\";
	else if (x->quote == QUOTE_REGEX)
		special = "\\^$.|?*+()[]{}";
	for (; *value; value++) {
		if (strchr(special, *value))
			str_add_mem(&x->out, "\\", 1);
		str_add_mem(&x->out, value, 1);
	}
}

/* @return the value, or NULL when undefined; *known: the name is one of ours */
static const char *value_of(const struct expander *x, const char *name, size_t len)
{
	const struct policy_vars *vars = x->l->args->vars;

	for (size_t i = 0; vars && i < ARRAY_LEN(variables); i++) {
		const char *value;

		if (strlen(variables[i].name) != len || memcmp(variables[i].name, name, len) != 0)
			continue;
		memcpy(&value, (const char *)vars + variables[i].offset, sizeof(value));
		return value && *value ? value : NULL;
	}
	return NULL;
}

static bool is_foreign(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
		if (strlen(foreign[i]) == len && memcmp(foreign[i], name, len) == 0)
			return true;
	return false;
}

static const char *expand_text(struct expander *x, const char *p, bool inside, bool emit,
			       unsigned depth);

/* p is after "${"; @return after the '}' */
static const char *expand_variable(struct expander *x, const char *p, bool emit, unsigned depth)
{
	size_t len = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
	const char *name = p, *value = value_of(x, name, len);
	bool has_fallback = strncmp(p + len, ":-", 2) == 0;

	if (len == 0 || (!has_fallback && p[len] != '}')) {
		complain(x, "\"${", name, strlen(name),
			 "\" is not a variable; write ${NAME} or ${NAME:-fallback}");
		return p + strlen(p);
	}
	p += len;
	if (has_fallback) {
		p = expand_text(x, p + 2, true, emit && !value, depth + 1);
		if (*p != '}') {
			complain(x, "\"${", name, strlen(name), "\" is not closed by }");
			return p;
		}
	} else if (!value && emit && is_foreign(name, len)) {
		if (x->result == EXPAND_OK)
			x->result = EXPAND_FOREIGN;
	} else if (!value && emit) {
		complain(x, "variable ", name, len,
			 " is not defined here; use ${NAME:-fallback}, or one of WORKSPACE "
			 "PROJECT_ROOT GIT_ROOT HOME TMPDIR USER SESSION");
	}
	if (value && emit)
		put_value(x, value);
	return p + 1;
}

/* @return the end of the text, or inside a variable its '}' */
static const char *expand_text(struct expander *x, const char *p, bool inside, bool emit,
			       unsigned depth)
{
	if (depth > NESTING_MAX) {
		complain(x, "variables nest deeper than 8 levels", "", 0, "");
		return p + strlen(p);
	}
	while (*p && !(inside && *p == '}')) {
		if (p[0] == '$' && p[1] == '{') {
			p = expand_variable(x, p + 2, emit, depth);
			continue;
		}
		if (emit)
			str_add_mem(&x->out, p, 1);
		p++;
	}
	return p;
}

enum policy_expansion policy_vars_expand(struct policy_loader *l, const struct policy_doc *doc,
					 struct policy_node *node, enum policy_quote quote)
{
	struct expander x = {l, doc, node, quote, {0}, EXPAND_OK};
	char buf[EXPANSION_MAX + 1];

	if (!strstr(node->text, "${"))
		return EXPAND_OK;
	str_init(&x.out, buf, sizeof(buf));
	expand_text(&x, node->text, false, true, 0);
	if (x.out.cut)
		complain(&x, "with its variables this is longer than 4096 bytes", "", 0, "");
	if (x.result == EXPAND_OK) {
		node->text = arena_dup(&l->arena, buf, x.out.len);
		l->no_memory |= !node->text;
	}
	return l->no_memory ? EXPAND_BAD : x.result;
}
