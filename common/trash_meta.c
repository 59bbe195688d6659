#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/str.h"
#include "common/trash.h"

#define HEAD "agentsh-trash 1\n"
#define META_MAX (1u << 20)

static const char *const why_names[] = {"delete", "replace", "rename", "truncate"};

const char *trash_why_name(enum trash_why why)
{
	return (unsigned)why < ARRAY_LEN(why_names) ? why_names[why] : "?";
}

void trash_meta_free(struct trash_meta *m)
{
	free(m->xattrs);
	m->xattrs = NULL;
}

/* ---- tokens ---- */

void trash_token(char out[TRASH_TOKEN_LEN + 1])
{
	uint64_t r = 0;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r)) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		r = (uint64_t)t.tv_sec * 1000000007u + (uint64_t)t.tv_nsec;
	}
	snprintf(out, TRASH_TOKEN_LEN + 1, "%012llx",
		 (unsigned long long)(r & 0xFFFFFFFFFFFFull));
}

bool trash_is_token(const char *text)
{
	return strlen(text) == TRASH_TOKEN_LEN &&
	       strspn(text, "0123456789abcdef") == TRASH_TOKEN_LEN;
}

/* ---- writing ---- */

static void add_text(struct str *s, const char *key, const char *value)
{
	if (!value[0])
		return;
	str_addf(s, "%s ", key);
	str_add_escaped(s, value, strlen(value));
	str_add(s, "\n");
}

static void add_time(struct str *s, const char *key, const struct timespec *t)
{
	str_addf(s, "%s %lld.%09ld\n", key, (long long)t->tv_sec, t->tv_nsec);
}

char *trash_meta_format(const struct trash_meta *m, size_t *len)
{
	size_t size = 1024 + 4 * (strlen(m->path) + strlen(m->root) + strlen(m->rel) +
				  strlen(m->target) + strlen(m->rule) + strlen(m->session)) +
		      (m->xattrs ? strlen(m->xattrs) : 0);
	char *buf = malloc(size);
	struct str s;

	if (!buf)
		return NULL;
	str_init(&s, buf, size);
	str_add(&s, HEAD);
	add_text(&s, "token", m->token);
	add_text(&s, "session", m->session);
	add_text(&s, "path", m->path);
	add_text(&s, "root", m->root);
	add_text(&s, "rel", m->rel);
	add_text(&s, "target", m->target);
	add_text(&s, "rule", m->rule);
	add_text(&s, "comm", m->comm);
	add_text(&s, "sha256", m->sha256);
	str_addf(&s, "pid %lld\nwhy %s\nmode %o\nuid %u\ngid %u\nsize %lld\nexpires %lld\n",
		 (long long)m->pid, trash_why_name(m->why), (unsigned)m->mode, (unsigned)m->uid,
		 (unsigned)m->gid, (long long)m->size, (long long)m->expires);
	add_time(&s, "atime", &m->atime);
	add_time(&s, "mtime", &m->mtime);
	add_time(&s, "deleted", &m->deleted);
	if (m->xattrs)
		str_add(&s, m->xattrs);
	str_add(&s, "end\n");
	*len = s.len;
	return buf;
}

/* ---- reading ---- */

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* What str_add_escaped() made, back to bytes. */
static bool unescape(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++) {
		if (*text == '\\') {
			int high = text[1] == 'x' ? hex_digit(text[2]) : -1;
			int low = high >= 0 ? hex_digit(text[3]) : -1;

			if (low < 0 || (high == 0 && low == 0))
				return false;
			out[n++] = (char)(high << 4 | low);
			text += 3;
			continue;
		}
		out[n++] = *text;
	}
	out[n] = '\0';
	return *text == '\0';
}

static bool get_number(long long *out, const char *text, int base)
{
	char *end;

	errno = 0;
	*out = strtoll(text, &end, base);
	return errno == 0 && end != text && *end == '\0';
}

static bool get_time(struct timespec *t, const char *text)
{
	long long sec;
	long nsec;
	char rest;

	if (sscanf(text, "%lld.%9ld%c", &sec, &nsec, &rest) != 2 || nsec < 0)
		return false;
	t->tv_sec = (time_t)sec;
	t->tv_nsec = nsec;
	return true;
}

struct place {
	const char *key;
	char *text;
	size_t size;
};

static int get_text(struct trash_meta *m, const char *key, const char *value)
{
	const struct place places[] = {
		{"token", m->token, sizeof(m->token)},	 {"session", m->session, sizeof(m->session)},
		{"path", m->path, sizeof(m->path)},	 {"root", m->root, sizeof(m->root)},
		{"rel", m->rel, sizeof(m->rel)},	 {"target", m->target, sizeof(m->target)},
		{"rule", m->rule, sizeof(m->rule)},	 {"comm", m->comm, sizeof(m->comm)},
		{"sha256", m->sha256, sizeof(m->sha256)},
	};

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (strcmp(places[i].key, key) == 0)
			return unescape(places[i].text, places[i].size, value) ? 1 : -EINVAL;
	return 0;
}

static bool get_why(struct trash_meta *m, const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(why_names); i++) {
		if (strcmp(why_names[i], value) == 0) {
			m->why = (enum trash_why)i;
			return true;
		}
	}
	return false;
}

static bool get_other(struct trash_meta *m, const char *key, const char *value)
{
	long long n = 0;

	if (strcmp(key, "why") == 0)
		return get_why(m, value);
	if (strcmp(key, "atime") == 0)
		return get_time(&m->atime, value);
	if (strcmp(key, "mtime") == 0)
		return get_time(&m->mtime, value);
	if (strcmp(key, "deleted") == 0)
		return get_time(&m->deleted, value);
	if (!get_number(&n, value, strcmp(key, "mode") == 0 ? 8 : 10))
		return false;
	if (strcmp(key, "mode") == 0)
		m->mode = (mode_t)n;
	else if (strcmp(key, "uid") == 0)
		m->uid = (uid_t)n;
	else if (strcmp(key, "gid") == 0)
		m->gid = (gid_t)n;
	else if (strcmp(key, "size") == 0)
		m->size = (off_t)n;
	else if (strcmp(key, "pid") == 0)
		m->pid = n;
	else if (strcmp(key, "expires") == 0)
		m->expires = (time_t)n;
	else
		return false;
	return true;
}

/* Lines after the head; they are taken apart in place. @return whether "end" was reached */
static bool parse_lines(struct trash_meta *m, char *line, struct str *xattrs)
{
	for (char *end; (end = strchr(line, '\n')); line = end + 1) {
		char *value;
		int r;

		*end = '\0';
		if (strcmp(line, "end") == 0)
			return end[1] == '\0';
		if (str_has_prefix(line, "xattr ")) {
			str_addf(xattrs, "%s\n", line);
			continue;
		}
		value = strchr(line, ' ');
		if (!value)
			return false;
		*value++ = '\0';
		r = get_text(m, line, value);
		if (r < 0 || (r == 0 && !get_other(m, line, value)))
			return false;
	}
	return false;
}

int trash_meta_parse(struct trash_meta *m, const char *text, size_t len)
{
	autofree struct trash_meta *got = calloc(1, sizeof(*got));
	autofree char *copy = NULL, *lines = NULL;
	struct str xattrs;

	if (len > META_MAX || len < strlen(HEAD) || memcmp(text, HEAD, strlen(HEAD)) != 0 ||
	    memchr(text, '\0', len))
		return -EINVAL;
	copy = strndup(text, len);
	lines = malloc(len + 1);
	if (!got || !copy || !lines)
		return -ENOMEM;
	str_init(&xattrs, lines, len + 1);
	if (!parse_lines(got, copy + strlen(HEAD), &xattrs) || !trash_is_token(got->token) ||
	    !got->path[0] || got->root[0] != '/' || !got->rel[0])
		return -EINVAL;
	*m = *got;
	m->xattrs = xattrs.len ? steal_ptr(&lines) : NULL;
	return 0;
}
