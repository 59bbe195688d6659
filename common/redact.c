/*
 * Theory: one pass over each argument. At each position three questions: does a known token format
 * start here; does a name that speaks of secrets end here with '=' or ':'; is this the authority of
 * a URL? The value that follows is replaced up to the next blank, quote or separator. Replacing too
 * much is harmless, the decision was taken on the real arguments.
 */
#include "common/redact.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/auto.h"

static const char *const secret_words[] = {
	"password", "passwd", "passphrase", "secret",	   "token",	 "apikey",	"api-key",
	"api_key",  "auth",   "access-key", "access_key", "private-key", "private_key",
	"credential",
	"bearer",   "cookie", "session-key", "signature",
};

struct format {
	const char *prefix;
	size_t min; /* characters after the prefix that make it a token */
};

static const struct format formats[] = {
	{"ghp_", 16},  {"gho_", 16},  {"ghu_", 16},  {"ghs_", 16},    {"ghr_", 16},
	{"github_pat_", 16}, {"glpat-", 12}, {"xoxb-", 8},  {"xoxp-", 8},  {"xoxa-", 8},
	{"xapp-", 8},  {"AKIA", 16},  {"ASIA", 16},  {"AIza", 24},    {"ya29.", 16},
	{"sk-", 16},   {"sk_live_", 12}, {"rk_live_", 12}, {"npm_", 24}, {"pypi-", 24},
	{"hf_", 20},   {"dop_v1_", 20}, {"SG.", 24},  {"eyJ", 24},
};

static const char mask[] = "***";

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static bool is_token(char c)
{
	return is_word(c) || c == '.' || c == '/' || c == '+' || c == '=';
}

static bool is_value_end(char c)
{
	return c == '\0' || isspace((unsigned char)c) || strchr("\"'`&;|<>(),", c);
}

/* Does a name of len characters speak of a secret? "author" and "authority" do not. */
static bool is_secret_name(const char *name, size_t len)
{
	for (size_t w = 0; w < ARRAY_LEN(secret_words); w++) {
		size_t n = strlen(secret_words[w]);

		for (size_t i = 0; i + n <= len; i++)
			if (strncasecmp(name + i, secret_words[w], n) == 0 &&
			    !(strcmp(secret_words[w], "auth") == 0 && i + n < len &&
			      tolower((unsigned char)name[i + n]) == 'o' &&
			      strncasecmp(name + i, "authorization", 13) != 0))
				return true;
	}
	return (len >= 4 && strncasecmp(name + len - 4, "_key", 4) == 0) ||
	       (len >= 4 && strncasecmp(name + len - 4, "-key", 4) == 0);
}

struct out {
	char *p; /* never runs over: a mask is added once for each value, see room() */
};

static void put(struct out *o, const char *text, size_t n)
{
	memcpy(o->p, text, n);
	o->p += n;
}

/* Length of a known token at s, 0 when none starts there. */
static size_t token_at(const char *s)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		size_t n = strlen(formats[i].prefix), end;

		if (strncmp(s, formats[i].prefix, n) != 0)
			continue;
		for (end = n; is_token(s[end]); end++)
			;
		if (end - n >= formats[i].min)
			return end;
	}
	return 0;
}

/* "://user:password@": length of the password, which starts at *from. */
static size_t url_password(const char *s, size_t *from)
{
	size_t end, colon;

	if (strncmp(s, "://", 3) != 0)
		return 0;
	end = 3 + strcspn(s + 3, "/@ \t\n\"'");
	if (s[end] != '@')
		return 0;
	colon = 3 + strcspn(s + 3, ":@");
	/* without a colon it is a user name, or a token in its place: hide it as well */
	*from = s[colon] == ':' ? colon + 1 : 3;
	return end - *from;
}

/* The value after "name=" or "name:": skips blanks and an authentication scheme. */
static size_t value_skip(const char *s)
{
	static const char *const schemes[] = {"Bearer ", "Basic ", "Token ", "Digest "};
	size_t n = strspn(s, " \t\"'");

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (strncasecmp(s + n, schemes[i], strlen(schemes[i])) == 0)
			return n + strlen(schemes[i]);
	return n;
}

static size_t value_len(const char *s)
{
	size_t n = 0;

	while (!is_value_end(s[n]))
		n++;
	return n;
}

static void redact_one(struct out *o, const char *s)
{
	const char *name = s; /* the word that ends here, or before a quote: {"token": "x"} */
	size_t len = 0;
	bool quoted = false;

	if (strstr(s, "-----BEGIN") && strstr(s, "PRIVATE KEY")) {
		put(o, mask, sizeof(mask));
		return;
	}
	while (*s) {
		size_t skip = 1, hide = 0, from;

		if (len == 0 && (hide = token_at(s)) > 0) {
			skip = 0;
		} else if ((hide = url_password(s, &from)) > 0) {
			skip = from;
		} else if ((*s == '=' || *s == ':') && is_secret_name(name, len)) {
			skip = 1 + value_skip(s + 1);
			hide = value_len(s + skip);
		}
		if (is_word(*s)) {
			name = len == 0 || quoted ? s : name;
			len = name == s ? 1 : len + 1;
			quoted = false;
		} else {
			quoted = *s == '"' || *s == '\'';
			len = quoted ? len : 0;
		}
		put(o, s, skip);
		s += skip;
		if (hide > 0) {
			put(o, mask, sizeof(mask) - 1);
			s += hide;
			len = 0;
			quoted = false;
		}
	}
	put(o, "", 1);
}

/* "--password" alone: the next argument is the secret. So is -u of curl, with its colon. */
static bool hides_next(const char *arg, const char *next)
{
	size_t n = strlen(arg);

	if (strcmp(arg, "-u") == 0 || strcmp(arg, "--user") == 0)
		return next && strchr(next, ':');
	return n > 3 && arg[0] == '-' && arg[1] == '-' && !strpbrk(arg, "=: ") &&
	       is_secret_name(arg, n);
}

/* Worst case: every character is a value of its own that becomes a mask. */
static size_t room(const char *s)
{
	return strlen(s) * sizeof(mask) + sizeof(mask);
}

const char **redact_argv(const char *const *argv, size_t n)
{
	size_t size = (n + 1) * sizeof(char *);
	const char **out;
	struct out o;
	bool hide = false;

	for (size_t i = 0; i < n; i++)
		size += room(argv[i]);
	out = malloc(size);
	if (!out)
		return NULL;
	o.p = (char *)(out + n + 1);
	for (size_t i = 0; i < n; i++) {
		out[i] = o.p;
		if (hide)
			put(&o, mask, sizeof(mask));
		else
			redact_one(&o, argv[i]);
		hide = !hide && hides_next(argv[i], argv[i + 1 < n ? i + 1 : i]);
	}
	out[n] = NULL;
	return out;
}
