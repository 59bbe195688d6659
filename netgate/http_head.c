#include "netgate/http_head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

struct text {
	const char *p;
	size_t len;
};

static bool is_token(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != '\0' && c < 0x7f && strchr("!#$%&'*+-.^_`|~", c));
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool text_is(struct text t, const char *word)
{
	size_t n = strlen(word);

	if (t.len != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(t.p[i]) != word[i])
			return false;
	return true;
}

static struct text trim(struct text t)
{
	while (t.len && (t.p[0] == ' ' || t.p[0] == '\t')) {
		t.p++;
		t.len--;
	}
	while (t.len && (t.p[t.len - 1] == ' ' || t.p[t.len - 1] == '\t'))
		t.len--;
	return t;
}

static int bad(struct http_head *h, const char *reason)
{
	h->reason = reason;
	return -EBADMSG;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---- recognition ---- */

static bool has_http_word(const uint8_t *line, size_t len)
{
	for (size_t i = 0; i + 5 <= len; i++) {
		struct text t = {(const char *)line + i, 5};

		if (text_is(t, "http/"))
			return true;
	}
	return false;
}

int http_head_looks_like(const uint8_t *buf, size_t len)
{
	size_t start = 0, i;

	while (start < len && (buf[start] == '\r' || buf[start] == '\n'))
		start++;
	for (i = start; i < len && is_token(buf[i]); i++)
		;
	if (i - start > 31)
		return 0;
	if (i == len)
		return -1;
	if (i == start || (buf[i] != ' ' && buf[i] != '\t'))
		return 0;
	while (i < len && buf[i] != '\n')
		i++;
	if (has_http_word(buf + start, i - start))
		return 1;
	return i < len || len >= HTTP_HEAD_MAX ? 0 : -1;
}

/* ---- host and target ---- */

static int parse_port(struct http_head *h, struct text t)
{
	uint32_t port = 0;

	if (t.len == 0)
		return 0;
	if (t.len > 5)
		return bad(h, "the port in Host is not a number");
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return bad(h, "the port in Host is not a number");
		port = port * 10 + (uint32_t)(t.p[i] - '0');
	}
	if (port == 0 || port > 65535)
		return bad(h, "the port in Host is out of range");
	h->port = (uint16_t)port;
	return 0;
}

/* uri-host [ ":" port ]; an IPv6 literal in brackets is stored without them. */
static int parse_authority(struct http_head *h, struct text t)
{
	const char *end;
	struct text host = t, port = {"", 0};

	if (t.len && t.p[0] == '[') {
		end = memchr(t.p, ']', t.len);
		if (!end)
			return bad(h, "Host has an unclosed bracket");
		host = (struct text){t.p + 1, (size_t)(end - t.p) - 1};
		end++;
		if (end < t.p + t.len && *end != ':')
			return bad(h, "Host has text after the bracket");
	} else {
		end = memchr(t.p, ':', t.len);
		if (!end)
			end = t.p + t.len;
		host.len = (size_t)(end - t.p);
	}
	if (end < t.p + t.len)
		port = (struct text){end + 1, (size_t)(t.p + t.len - end) - 1};
	if (host.len == 0 || host.len >= sizeof(h->host))
		return bad(h, "Host is empty or too long");
	for (size_t i = 0; i < host.len; i++)
		if (host.p[i] <= ' ' || host.p[i] >= 0x7f || strchr("/\\@,?#\"<>", host.p[i]))
			return bad(h, "Host has a character that no host name has");
	memcpy(h->host, host.p, host.len);
	h->host[host.len] = '\0';
	h->has_host = true;
	return parse_port(h, port);
}

/* Drop the last segment of an absolute path under construction. */
static size_t pop_segment(const char *path, size_t n)
{
	while (n > 0 && path[--n] != '/')
		;
	return n;
}

static size_t end_segment(char *path, size_t n, size_t seg)
{
	size_t len = n - seg;

	if (len == 1 && path[seg] == '.')
		return seg;
	if (len == 2 && path[seg] == '.' && path[seg + 1] == '.')
		return seg > 1 ? pop_segment(path, seg - 1) + 1 : seg;
	return n;
}

/* One byte of a path after percent-decoding; -1: refused. Advances *i. */
static int path_byte(struct text t, size_t *i)
{
	int c = (unsigned char)t.p[*i];

	if (c == '%') {
		int hi = *i + 2 < t.len ? hex(t.p[*i + 1]) : -1;
		int lo = *i + 2 < t.len ? hex(t.p[*i + 2]) : -1;

		if (hi < 0 || lo < 0)
			return -1;
		*i += 2;
		c = hi << 4 | lo;
		if (c == '/' || c == '\\' || c < ' ' || c == 0x7f)
			return -1;
	} else if (c == '\\' || c == '#' || c >= 0x7f) {
		return -1;
	}
	return c;
}

/* The path that is judged: decoded once, "//" folded, dot segments resolved (RFC 3986 5.2.4). */
static int canonical_path(struct http_head *h, struct text t)
{
	const char *query = memchr(t.p, '?', t.len);
	size_t n = 1, seg = 1;

	if (query)
		t.len = (size_t)(query - t.p);
	if (t.len >= sizeof(h->path) - 1)
		return bad(h, "the path is too long");
	h->path[0] = '/';
	for (size_t i = 1; i < t.len; i++) {
		bool slash = t.p[i] == '/';
		int c = path_byte(t, &i);

		if (c < 0)
			return bad(h, "the path can be read in two ways");
		if (!slash) {
			h->path[n++] = (char)c;
			continue;
		}
		n = end_segment(h->path, n, seg);
		if (n == 0 || h->path[n - 1] != '/')
			h->path[n++] = '/';
		seg = n;
	}
	n = end_segment(h->path, n, seg);
	h->path[n] = '\0';
	return 0;
}

static int parse_target(struct http_head *h, struct text t)
{
	struct text auth;
	const char *slash;

	for (size_t i = 0; i < t.len; i++)
		if (t.p[i] <= ' ' || t.p[i] >= 0x7f || t.p[i] == '#')
			return bad(h, "the request target has a control character, fragment or raw UTF-8");
	if (t.len && t.p[0] == '/')
		return canonical_path(h, t);
	if (t.len == 1 && t.p[0] == '*' && strcmp(h->method, "OPTIONS") == 0) {
		memcpy(h->path, "*", 2);
		return 0;
	}
	if (strcmp(h->method, "CONNECT") == 0)
		return bad(h, "CONNECT is not for a server that is reached directly");
	if (t.len < 8 || !text_is((struct text){t.p, 7}, "http://"))
		return bad(h, "the request target is neither a path nor an http URL");
	auth = (struct text){t.p + 7, t.len - 7};
	slash = memchr(auth.p, '/', auth.len);
	if (memchr(auth.p, '?', slash ? (size_t)(slash - auth.p) : auth.len))
		return bad(h, "the request target has a query but no path");
	if (slash) {
		struct text path = {slash, (size_t)(auth.p + auth.len - slash)};
		int r = canonical_path(h, path);

		if (r < 0)
			return r;
		auth.len = (size_t)(slash - auth.p);
	} else {
		memcpy(h->path, "/", 2);
	}
	return parse_authority(h, auth);
}

static int parse_request_line(struct http_head *h, struct text line)
{
	const char *sp = memchr(line.p, ' ', line.len);
	size_t n = sp ? (size_t)(sp - line.p) : 0;
	struct text rest;

	if (n == 0 || n >= sizeof(h->method))
		return bad(h, "the request line has no method");
	for (size_t i = 0; i < n; i++)
		if (!is_token((uint8_t)line.p[i]))
			return bad(h, "the method is not a token");
	memcpy(h->method, line.p, n);
	h->method[n] = '\0';
	rest = (struct text){sp + 1, line.len - n - 1};
	if (strcmp(h->method, "PRI") == 0)
		return bad(h, "HTTP/2 without TLS is not passed on");
	if (rest.len < 10 || memcmp(rest.p + rest.len - 9, " HTTP/1.", 8) != 0)
		return bad(h, "the request line does not end in HTTP/1.0 or HTTP/1.1");
	if (rest.p[rest.len - 1] != '0' && rest.p[rest.len - 1] != '1')
		return bad(h, "the request line does not end in HTTP/1.0 or HTTP/1.1");
	h->minor = (uint8_t)(rest.p[rest.len - 1] - '0');
	return parse_target(h, (struct text){rest.p, rest.len - 9});
}

/* ---- fields ---- */

struct seen {
	bool host, length, coding, upgrade, connection_upgrade;
};

static int field_host(struct http_head *h, struct seen *s, struct text v)
{
	struct http_head host = {0};
	bool absolute = h->has_host;

	if (s->host)
		return bad(h, "Host is given twice");
	s->host = true;
	if (parse_authority(&host, v) < 0)
		return bad(h, host.reason);
	if (absolute &&
			 (strcasecmp(h->host, host.host) != 0 || h->port != host.port))
		return bad(h, "Host and the request target differ");
	memcpy(h->host, host.host, sizeof(h->host));
	h->port = host.port;
	h->has_host = true;
	return 0;
}

static int field_length(struct http_head *h, struct seen *s, struct text v)
{
	uint64_t n = 0;

	if (s->length)
		return bad(h, "Content-Length is given twice");
	s->length = true;
	if (v.len == 0 || v.len > 18)
		return bad(h, "Content-Length is not a number");
	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return bad(h, "Content-Length is not a number");
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	h->length = n;
	h->body = n ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
	return 0;
}

static int field_coding(struct http_head *h, struct seen *s, struct text v)
{
	if (s->coding)
		return bad(h, "Transfer-Encoding is given twice");
	s->coding = true;
	if (!text_is(v, "chunked"))
		return bad(h, "Transfer-Encoding is something else than chunked");
	return 0;
}

static int field_upgrade(struct http_head *h, struct seen *s, struct text v)
{
	if (s->upgrade)
		return bad(h, "Upgrade is given twice");
	s->upgrade = true;
	if (v.len == 0 || v.len >= sizeof(h->upgrade_to))
		return bad(h, "Upgrade is empty or too long");
	for (size_t i = 0; i < v.len; i++)
		h->upgrade_to[i] = lower(v.p[i]);
	h->upgrade_to[v.len] = '\0';
	return 0;
}

static int field_connection(struct http_head *h, struct seen *s, struct text v)
{
	(void)h;
	while (v.len) {
		const char *comma = memchr(v.p, ',', v.len);
		size_t n = comma ? (size_t)(comma - v.p) : v.len;

		if (text_is(trim((struct text){v.p, n}), "upgrade"))
			s->connection_upgrade = true;
		v.p += comma ? n + 1 : n;
		v.len -= comma ? n + 1 : n;
	}
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(struct http_head *h, struct seen *s, struct text value);
} fields[] = {
	{"host", field_host},
	{"content-length", field_length},
	{"transfer-encoding", field_coding},
	{"upgrade", field_upgrade},
	{"connection", field_connection},
};

static int parse_field(struct http_head *h, struct seen *s, struct text line)
{
	const char *colon = memchr(line.p, ':', line.len);
	struct text name, value;

	if (line.p[0] == ' ' || line.p[0] == '\t')
		return bad(h, "a header line is folded");
	if (!colon || colon == line.p)
		return bad(h, "a header line has no name");
	name = (struct text){line.p, (size_t)(colon - line.p)};
	for (size_t i = 0; i < name.len; i++)
		if (!is_token((uint8_t)name.p[i]))
			return bad(h, "a header name is not a token");
	value = (struct text){colon + 1, line.len - name.len - 1};
	for (size_t i = 0; i < value.len; i++)
		if (((unsigned char)value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
			return bad(h, "a header value has a control character");
	value = trim(value);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (text_is(name, fields[i].name))
			return fields[i].fn(h, s, value);
	return 0;
}

/* ---- the whole ---- */

/* A line ending in CRLF; @return 1 with the line, 0: not complete, -1: bare LF, CR or NUL inside */
static int next_line(struct text *line, const uint8_t *buf, size_t len, size_t *pos)
{
	for (size_t i = *pos; i < len; i++) {
		if (buf[i] == '\n' || buf[i] == '\0')
			return -1;
		if (buf[i] != '\r')
			continue;
		if (i + 1 == len)
			return 0;
		if (buf[i + 1] != '\n')
			return -1;
		*line = (struct text){(const char *)buf + *pos, i - *pos};
		*pos = i + 2;
		return 1;
	}
	return 0;
}

static int finish(struct http_head *h, const struct seen *s, size_t head_len)
{
	if (s->coding && s->length)
		return bad(h, "Content-Length and Transfer-Encoding together");
	if (s->coding && h->minor == 0)
		return bad(h, "Transfer-Encoding in HTTP/1.0");
	if (!s->host && h->minor == 1)
		return bad(h, "HTTP/1.1 without Host");
	if (s->coding)
		h->body = HTTP_BODY_CHUNKED;
	h->upgrade = s->upgrade && s->connection_upgrade;
	if (h->upgrade && h->minor == 0)
		return bad(h, "Upgrade in HTTP/1.0");
	h->head_len = head_len;
	return HTTP_HEAD_DONE;
}

int http_head_parse(struct http_head *h, const uint8_t *buf, size_t len)
{
	struct seen seen = {0};
	struct text line;
	size_t pos = 0;
	bool first = true;
	int r;

	memset(h, 0, sizeof(*h));
	while ((r = next_line(&line, buf, len > HTTP_HEAD_MAX ? HTTP_HEAD_MAX : len, &pos)) == 1) {
		if (line.len == 0 && !first)
			return finish(h, &seen, pos);
		r = first ? parse_request_line(h, line) : parse_field(h, &seen, line);
		if (r < 0)
			return r;
		first = false;
	}
	if (r < 0)
		return bad(h, "a line does not end in CRLF");
	if (len >= HTTP_HEAD_MAX) {
		h->reason = "the request head is too long";
		return -EMSGSIZE;
	}
	return HTTP_HEAD_MORE;
}

int http_head_status(unsigned *status, size_t *head_len, const uint8_t *buf, size_t len)
{
	const char *p = (const char *)buf;
	size_t pos = 0, lines = 0;
	struct text line;
	int r;

	while ((r = next_line(&line, buf, len > HTTP_HEAD_MAX ? HTTP_HEAD_MAX : len, &pos)) == 1) {
		if (lines++ == 0 && (line.len < 12 || memcmp(p, "HTTP/1.", 7) != 0 || p[8] != ' '))
			return -EBADMSG;
		if (line.len)
			continue;
		*status = 0;
		for (size_t i = 9; i < 12; i++) {
			if (p[i] < '0' || p[i] > '9')
				return -EBADMSG;
			*status = *status * 10 + (unsigned)(p[i] - '0');
		}
		*head_len = pos;
		return HTTP_HEAD_DONE;
	}
	if (r < 0)
		return -EBADMSG;
	return len >= HTTP_HEAD_MAX ? -EMSGSIZE : HTTP_HEAD_MORE;
}
