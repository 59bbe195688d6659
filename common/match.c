#include "common/match.h"

#include <errno.h>
#include <string.h>

/*
 * Theory. A brace-free pattern is a sequence of tokens. glob_walk() is the usual greedy matcher
 * with two places to go back to: the latest `*` and the latest `**`. Going back only to the latest
 * of each is enough, because whatever lies between two `**` is best matched as early as possible.
 * Its worst case is cubic, so it has a step budget; past that, glob_states() keeps the set of
 * all token positions that the text so far can have reached, which is exact and O(n * m).
 * match_below() asks the same state set what can still follow.
 */

enum token_kind {
	TOKEN_END,
	TOKEN_CHAR,
	TOKEN_ANY,   /* ? */
	TOKEN_CLASS, /* [..] */
	TOKEN_STAR,  /* * */
	TOKEN_DEEP,  /* ** */
	TOKEN_DIRS,  /* a component ** with its slash: any number of whole components */
	TOKEN_LOOP,  /* state set only: inside the components of a TOKEN_DIRS */
};

struct token {
	enum token_kind kind;
	unsigned char c;
	const char *text; /* of a class: after the '[' */
	size_t len;	  /* bytes of pattern */
};

struct syntax {
	char separator; /* what `*` and `?` do not match */
	bool fold;	/* ASCII letters of the pattern match in lower case */
};

static const struct syntax path_syntax = {'/', false};
static const struct syntax host_syntax = {'.', true};

static unsigned char fold_byte(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : c;
}

/* Bytes of a class from its '[' to its ']', 0 when it is not closed. */
static size_t class_len(const char *p)
{
	size_t i = 1;

	if (p[i] == '!' || p[i] == '^')
		i++;
	if (p[i] == ']')
		i++;
	for (; p[i]; i++) {
		if (p[i] == '\\' && p[i + 1])
			i++;
		else if (p[i] == ']')
			return i + 1;
	}
	return 0;
}

/* Next member character of a class, unescaped; p moves past it. */
static unsigned char class_char(const char **p)
{
	if (**p == '\\' && (*p)[1])
		(*p)++;
	return (unsigned char)*(*p)++;
}

static bool class_has(const char *p, const char *end, unsigned char c)
{
	bool negated = *p == '!' || *p == '^', found = false;

	if (negated)
		p++;
	while (p < end) {
		unsigned char low = class_char(&p), high = low;

		if (p + 1 < end && *p == '-') {
			p++;
			high = class_char(&p);
		}
		found |= c >= low && c <= high;
	}
	return found != negated;
}

/* at_start: the pattern is at the beginning of a component */
static struct token token_next(const char *p, bool at_start)
{
	struct token t = {TOKEN_CHAR, (unsigned char)*p, p, 1};

	switch (*p) {
	case '\0':
		return (struct token){TOKEN_END, 0, p, 0};
	case '?':
		t.kind = TOKEN_ANY;
		break;
	case '[':
		t.len = class_len(p);
		t.kind = t.len ? TOKEN_CLASS : TOKEN_CHAR;
		t.text = p + 1;
		t.len = t.len ? t.len : 1;
		break;
	case '\\':
		if (p[1]) {
			t.c = (unsigned char)p[1];
			t.len = 2;
		}
		break;
	case '*':
		while (p[t.len] == '*')
			t.len++;
		t.kind = t.len > 1 ? TOKEN_DEEP : TOKEN_STAR;
		if (t.kind == TOKEN_DEEP && at_start && p[t.len] == '/') {
			t.kind = TOKEN_DIRS;
			t.len++;
		}
		break;
	default:
		break;
	}
	return t;
}

static bool token_takes(const struct token *t, const struct syntax *s, unsigned char c)
{
	switch (t->kind) {
	case TOKEN_CHAR:
		return c == (s->fold ? fold_byte(t->c) : t->c);
	case TOKEN_ANY:
	case TOKEN_STAR:
		return c != (unsigned char)s->separator;
	case TOKEN_CLASS:
		return c != (unsigned char)s->separator &&
		       class_has(t->text, t->text + t->len - 2, c);
	case TOKEN_DEEP:
	case TOKEN_LOOP:
		return true;
	case TOKEN_END:
	case TOKEN_DIRS:
		return false;
	}
	return false;
}

/* ---- state sets ---- */

#define STATES_MAX (MATCH_PATTERN_MAX + 2)

struct states {
	struct token tokens[STATES_MAX]; /* the last is TOKEN_END */
	size_t n;			 /* tokens, with the end */
	bool on[STATES_MAX];
};

/* Follow the transitions that consume nothing; they all lead forward. */
static void states_close(struct states *s)
{
	for (size_t i = 0; i + 1 < s->n; i++) {
		if (!s->on[i])
			continue;
		if (s->tokens[i].kind == TOKEN_STAR || s->tokens[i].kind == TOKEN_DEEP)
			s->on[i + 1] = true;
		if (s->tokens[i].kind == TOKEN_DIRS)
			s->on[i + 1] = s->on[i + 2] = true;
	}
}

static bool states_init(struct states *s, const char *pattern)
{
	bool at_start = true;

	s->n = 0;
	for (const char *p = pattern;;) {
		struct token t = token_next(p, at_start);

		if (s->n + 2 >= STATES_MAX)
			return false;
		s->tokens[s->n++] = t;
		if (t.kind == TOKEN_END)
			break;
		if (t.kind == TOKEN_DIRS)
			s->tokens[s->n++] = (struct token){TOKEN_LOOP, 0, p, 0};
		at_start = t.kind == TOKEN_DIRS || (t.kind == TOKEN_CHAR && t.c == '/');
		p += t.len;
	}
	memset(s->on, 0, s->n * sizeof(s->on[0]));
	s->on[0] = true;
	states_close(s);
	return true;
}

static void states_feed(struct states *s, const struct syntax *syntax, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		/* downwards, so that a state set in this step is not stepped again */
		for (size_t i = s->n; i-- > 0;) {
			enum token_kind kind = s->tokens[i].kind;
			bool taken = s->on[i] && token_takes(&s->tokens[i], syntax, c);
			bool stays =
				kind == TOKEN_STAR || kind == TOKEN_DEEP || kind == TOKEN_LOOP;

			s->on[i] = taken && stays;
			if (taken && (!stays || (kind == TOKEN_LOOP && c == '/')))
				s->on[i + 1] = true;
		}
		states_close(s);
	}
}

static bool glob_states(const char *pattern, const char *text, const struct syntax *syntax)
{
	struct states s;

	if (!states_init(&s, pattern))
		return false;
	states_feed(&s, syntax, text);
	return s.on[s.n - 1];
}

enum match_reach match_below(const char *pattern, const char *prefix)
{
	enum match_reach reach = MATCH_NEVER;
	struct states s;

	if (!states_init(&s, pattern))
		return MATCH_SOME;
	states_feed(&s, &path_syntax, prefix);
	for (size_t i = 0; i + 1 < s.n; i++) {
		if (!s.on[i])
			continue;
		reach = MATCH_SOME;
		if (s.tokens[i].kind == TOKEN_DEEP && i + 2 == s.n)
			return MATCH_EVERY;
		/* whole components, then any last one: at a component boundary that is all */
		if (s.tokens[i].kind == TOKEN_LOOP && i + 3 == s.n &&
		    s.tokens[i + 1].kind == TOKEN_STAR)
			return MATCH_EVERY;
	}
	return reach;
}

/* ---- the greedy walk ---- */

enum { WALK_NO, WALK_YES, WALK_BUDGET };

struct walk {
	const struct syntax *syntax;
	const char *p, *t;
	const char *star_p, *star_t; /* after the latest `*`, and where it began to match */
	const char *deep_p, *deep_t; /* the same for `**` */
	bool deep_is_dirs;	     /* goes on at component boundaries only */
	char deep_first;	     /* which such a component must begin with, or 0 */
	bool at_start;
};

/* Let the latest wildcard take more of the text. */
static bool walk_back(struct walk *w)
{
	if (w->star_p && *w->star_t && *w->star_t != w->syntax->separator) {
		w->t = ++w->star_t;
		w->p = w->star_p;
		w->at_start = false;
		return true;
	}
	w->star_p = NULL;
	if (!w->deep_p || !*w->deep_t)
		return false;
	if (w->deep_is_dirs) {
		do {
			const char *slash = strchr(w->deep_t, '/');

			if (!slash)
				return false;
			w->deep_t = slash + 1;
		} while (w->deep_first && *w->deep_t != w->deep_first);
	} else {
		w->deep_t++;
	}
	w->t = w->deep_t;
	w->p = w->deep_p;
	w->at_start = w->deep_is_dirs;
	return true;
}

static bool is_special(char c)
{
	return c == '*' || c == '?' || c == '[' || c == '\\' || c == '\0';
}

static int glob_walk(const char *pattern, const char *text, const struct syntax *syntax)
{
	struct walk w = {.syntax = syntax, .p = pattern, .t = text, .at_start = true};

	for (unsigned steps = 0; steps < 4096; steps++) {
		struct token t;

		/* most of a pattern is itself */
		while (*w.p == *w.t && !is_special(*w.p)) {
			w.at_start = *w.p++ == '/';
			w.t++;
		}
		t = token_next(w.p, w.at_start);
		if (t.kind == TOKEN_STAR) {
			w.star_p = w.p += t.len;
			w.star_t = w.t;
			w.at_start = false;
		} else if (t.kind == TOKEN_DEEP || t.kind == TOKEN_DIRS) {
			w.deep_p = w.p += t.len;
			w.deep_t = w.t;
			w.deep_is_dirs = w.at_start = t.kind == TOKEN_DIRS;
			w.deep_first = is_special(*w.p) ? '\0' : *w.p;
			w.star_p = NULL;
			if (t.kind == TOKEN_DEEP && !*w.p)
				return WALK_YES;
		} else if (t.kind == TOKEN_END && !*w.t) {
			return WALK_YES;
		} else if (*w.t && token_takes(&t, syntax, (unsigned char)*w.t)) {
			w.at_start = t.kind == TOKEN_CHAR && t.c == '/';
			w.p += t.len;
			w.t++;
		} else if (!walk_back(&w)) {
			return WALK_NO;
		}
	}
	return WALK_BUDGET;
}

static bool glob_match(const char *pattern, const char *text, const struct syntax *syntax)
{
	int answer = glob_walk(pattern, text, syntax);

	return answer == WALK_BUDGET ? glob_states(pattern, text, syntax) : answer == WALK_YES;
}

/* ---- braces ---- */

/* The first brace of a pattern, or NULL; escapes and classes are skipped. */
static const char *brace_find(const char *p)
{
	while (*p && *p != '{') {
		size_t n = *p == '[' ? class_len(p) : 0;

		if (*p == '\\' && p[1])
			n = 2;
		p += n ? n : 1;
	}
	return *p ? p : NULL;
}

/* From inside a brace to the ',' or '}' that ends this alternative, or NULL when unbalanced. */
static const char *brace_end(const char *p)
{
	unsigned depth = 0;

	while (*p) {
		size_t n = *p == '[' ? class_len(p) : 0;

		if (*p == '\\' && p[1])
			n = 2;
		else if (*p == '{')
			depth++;
		else if ((*p == ',' || *p == '}') && depth == 0)
			return p;
		else if (*p == '}')
			depth--;
		p += n ? n : 1;
	}
	return NULL;
}

struct expansion {
	match_expand_fn *fn;
	void *arg;
	unsigned left;	/* alternatives that may still be produced */
	unsigned depth; /* braces that may still be opened */
};

static int expand(struct expansion *x, const char *pattern)
{
	const char *open = brace_find(pattern), *close, *end;
	char buf[MATCH_PATTERN_MAX + 1];
	size_t head, rest;
	int r = 0;

	if (!open) {
		if (!x->left)
			return -E2BIG;
		x->left--;
		return x->fn(x->arg, pattern);
	}
	if (!x->depth)
		return -E2BIG;
	for (close = open + 1; (end = brace_end(close)) && *end == ',';)
		close = end + 1;
	if (!end)
		return -EINVAL;
	close = end + 1;
	head = (size_t)(open - pattern);
	rest = strlen(close);
	x->depth--;
	for (const char *p = open + 1; !r && p < close; p = end + 1) {
		end = brace_end(p);
		if (head + (size_t)(end - p) + rest > MATCH_PATTERN_MAX)
			return -E2BIG;
		memcpy(buf, pattern, head);
		memcpy(buf + head, p, (size_t)(end - p));
		memcpy(buf + head + (end - p), close, rest + 1);
		r = expand(x, buf);
	}
	x->depth++;
	return r;
}

int match_expand(const char *pattern, match_expand_fn *fn, void *arg)
{
	struct expansion x = {fn, arg, MATCH_ALTERNATIVES, 16};

	if (strlen(pattern) > MATCH_PATTERN_MAX)
		return -E2BIG;
	return expand(&x, pattern);
}

struct alternative {
	const char *text;
	bool (*match)(const char *pattern, const char *text);
};

static int alternative_matches(void *arg, const char *pattern)
{
	const struct alternative *a = arg;

	return a->match(pattern, a->text);
}

/* Any alternative of the braces; a pattern over its limits matches nothing. */
static bool match_any(const char *pattern, const char *text,
		      bool (*match)(const char *, const char *))
{
	struct alternative a = {text, match};

	if (!brace_find(pattern))
		return match(pattern, text);
	return match_expand(pattern, alternative_matches, &a) == 1;
}

/* ---- paths and names ---- */

bool match_path_plain(const char *pattern, const char *path)
{
	return glob_match(pattern, path, &path_syntax);
}

bool match_path(const char *pattern, const char *path)
{
	return match_any(pattern, path, match_path_plain);
}

bool match_name(const char *pattern, const char *name)
{
	return match_any(pattern, name, match_path_plain);
}

size_t match_literal_prefix(const char *pattern)
{
	return strcspn(pattern, "*?[{\\");
}

/* Is a class well formed? p is at its '[', n its length. */
static const char *class_check(const char *p, size_t n)
{
	const char *end = p + n - 1;

	p++;
	if (*p == '!' || *p == '^')
		p++;
	while (p < end) {
		unsigned char low = class_char(&p), high;

		if (p + 1 >= end || *p != '-')
			continue;
		p++;
		high = class_char(&p);
		if (high < low)
			return "a range in [] is backwards";
	}
	return NULL;
}

static int accept_any(void *arg, const char *pattern)
{
	(void)arg;
	(void)pattern;
	return 0;
}

const char *match_path_check(const char *pattern)
{
	unsigned depth = 0;

	if (strlen(pattern) > MATCH_PATTERN_MAX)
		return "the pattern is longer than 1024 bytes";
	for (const char *p = pattern; *p;) {
		size_t n = 1;

		if (*p == '\\') {
			if (!p[1])
				return "the pattern ends with a lone \\";
			n = 2;
		} else if (*p == '[') {
			const char *wrong;

			n = class_len(p);
			if (!n)
				return "a [ is not closed by ]";
			wrong = class_check(p, n);
			if (wrong)
				return wrong;
		} else if (*p == '{') {
			depth++;
		} else if (*p == '}' && depth) {
			depth--;
		}
		p += n;
	}
	if (depth)
		return "a { is not closed by }";
	if (match_expand(pattern, accept_any, NULL))
		return "its {} stand for more than 256 patterns, or there are more than 16";
	return NULL;
}

/* ---- hosts ---- */

static bool host_match_plain(const char *pattern, const char *host)
{
	const char *rest = pattern;

	if (*host == '\0')
		return false;
	if (strcmp(pattern, "*") == 0 || strcmp(pattern, "**") == 0)
		return true;
	if (strncmp(pattern, "**.", 3) == 0)
		rest = pattern + 3;
	else if (strncmp(pattern, "*.", 2) == 0)
		rest = pattern + 2;
	else
		return glob_match(pattern, host, &host_syntax);
	/* one or more labels, then the rest; an empty label is no label */
	for (const char *dot = strchr(host, '.'); dot; dot = strchr(dot + 1, '.'))
		if (dot > host && glob_match(rest, dot + 1, &host_syntax))
			return true;
	return false;
}

bool match_host(const char *pattern, const char *host)
{
	return match_any(pattern, host, host_match_plain);
}

static int host_check_plain(void *arg, const char *pattern)
{
	const char **wrong = arg;
	size_t len = strlen(pattern);
	bool address = strchr(pattern, ':') && strchr(strchr(pattern, ':') + 1, ':');

	if (len == 0)
		*wrong = "a host is empty";
	else if (len > 253)
		*wrong = "a host name has at most 253 characters";
	else if (strstr(pattern, "://"))
		*wrong = "a host is written without a scheme";
	else if (strchr(pattern, '/'))
		*wrong = "a host is written without a path; address ranges belong into cidrs";
	else if (strchr(pattern, ':') && !address)
		*wrong = "a host is written without a port; ports belong into ports";
	else if (pattern[0] == '.' || strstr(pattern, ".."))
		*wrong = "a host has an empty label";
	else if (strspn(pattern, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "-_.*?[]!:") != len)
		*wrong = "a host has a character that no host name can have";
	return *wrong ? 1 : 0;
}

const char *match_host_check(const char *pattern)
{
	const char *wrong = match_path_check(pattern);

	if (!wrong)
		match_expand(pattern, host_check_plain, &wrong);
	return wrong;
}
