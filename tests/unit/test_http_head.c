#include "netgate/http_head.h"

#include <errno.h>
#include <string.h>

#include "netgate/http_body.h"
#include "tests/unit/unit.h"

#define L(text) "GET / HTTP/1.1\r\nHost: a\r\n" text "\r\n"

static int parse(struct http_head *h, const char *text)
{
	return http_head_parse(h, (const uint8_t *)text, strlen(text));
}

static void good(void)
{
	static const struct {
		const char *text, *method, *host, *path;
		uint16_t port;
		enum http_body body;
		uint64_t length;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET", "a.example", "/", 0, 0, 0},
		{"GET /x?y=/../z HTTP/1.1\r\nhost:  a.example:8080 \r\n\r\n", "GET", "a.example",
		 "/x", 8080, 0, 0},
		{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n", "POST", "a", "/a", 0,
		 HTTP_BODY_LENGTH, 12},
		{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", "POST", "a",
		 "/a", 0, HTTP_BODY_CHUNKED, 0},
		{"GET http://a.example:81/p HTTP/1.1\r\nHost: A.example:81\r\n\r\n", "GET",
		 "A.example", "/p", 81, 0, 0},
		{"GET http://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET", "a.example",
		 "/", 0, 0, 0},
		{"GET / HTTP/1.0\r\n\r\n", "GET", "", "/", 0, 0, 0},
		{"GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "GET", "2001:db8::1", "/", 80,
		 0, 0},
		{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "a", "*", 0, 0, 0},
		{"M-SEARCH /a HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH", "a", "/a", 0, 0, 0},
		{"GET /a/./b//c/../d%2e HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "a", "/a/b/d.", 0, 0, 0},
		{"GET /../../etc HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "a", "/etc", 0, 0, 0},
		{"GET /a/%2e%2e/b%20c HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "a", "/b c", 0, 0, 0},
		{"GET /a/.. HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "a", "/", 0, 0, 0},
		{"GET /%C3%A9 HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "a", "/\xc3\xa9", 0, 0, 0},
	};
	struct http_head h;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *t = cases[i].text;

		for (size_t n = 0; n < strlen(t); n++)
			CU_ASSERT_EQUAL(http_head_parse(&h, (const uint8_t *)t, n), HTTP_HEAD_MORE);
		CU_ASSERT_EQUAL(parse(&h, t), HTTP_HEAD_DONE);
		CU_ASSERT_EQUAL(h.head_len, strlen(t));
		CU_ASSERT_STRING_EQUAL(h.method, cases[i].method);
		CU_ASSERT_STRING_EQUAL(h.host, cases[i].host);
		CU_ASSERT_STRING_EQUAL(h.path, cases[i].path);
		CU_ASSERT_EQUAL(h.port, cases[i].port);
		CU_ASSERT_EQUAL(h.body, cases[i].body);
		CU_ASSERT_EQUAL(h.length, cases[i].length);
	}
}

static void hostile(void)
{
	static const char *const cases[] = {
		"GET / HTTP/1.1\nHost: a\n\n",
		"GET / HTTP/1.1\r\nHost: a\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
		"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\r\n\r\n",
		"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
		"GET / http/1.1\r\nHost: a\r\n\r\n",
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a:0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
		"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\n",
		L("Content-Length: 1\r\nContent-Length: 1\r\n"),
		L("Content-Length: 1\r\nContent-Length: 2\r\n"),
		L("Content-Length: 1, 1\r\n"),
		L("Content-Length: +1\r\n"),
		L("Content-Length: 0x1\r\n"),
		L("Content-Length: \r\n"),
		L("Content-Length: 99999999999999999999\r\n"),
		L("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
		L("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"),
		L("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
		L("Transfer-Encoding: gzip, chunked\r\n"),
		L("Transfer-Encoding: identity\r\n"),
		L("Transfer-Encoding: xchunked\r\n"),
		L("Transfer-Encoding : chunked\r\n"),
		L("X: a\r\n b\r\n"),
		L("X: a\r\n\tb\r\n"),
		L(": a\r\n"),
		L("X\r\n"),
		L("X Y: a\r\n"),
		L("X: a\x01\r\n"),
		L("X: a\x7f\r\n"),
		"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a%5cb HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
		L("Upgrade: websocket\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"),
	};
	struct http_head h;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r = parse(&h, cases[i]);

		CU_ASSERT_EQUAL(r, -EBADMSG);
		CU_ASSERT_PTR_NOT_NULL(h.reason);
		if (r != -EBADMSG)
			printf("accepted: %s\n", cases[i]);
	}
	CU_ASSERT_EQUAL(http_head_parse(&h, (const uint8_t *)"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
					29),
			-EBADMSG);
}

static void too_long(void)
{
	static char text[HTTP_HEAD_MAX + 100];
	struct http_head h;

	memset(text, 'a', sizeof(text));
	memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
	CU_ASSERT_EQUAL(http_head_parse(&h, (const uint8_t *)text, HTTP_HEAD_MAX - 1), HTTP_HEAD_MORE);
	CU_ASSERT_EQUAL(http_head_parse(&h, (const uint8_t *)text, sizeof(text)), -EMSGSIZE);
}

static void upgrade(void)
{
	struct http_head h;

	CU_ASSERT_EQUAL(parse(&h, L("Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n")),
			HTTP_HEAD_DONE);
	CU_ASSERT_TRUE(h.upgrade);
	CU_ASSERT_STRING_EQUAL(h.upgrade_to, "websocket");
	CU_ASSERT_EQUAL(parse(&h, L("Upgrade: h2c\r\n")), HTTP_HEAD_DONE);
	CU_ASSERT_FALSE(h.upgrade);
}

static void recognition(void)
{
	static const struct {
		const char *text;
		int result;
	} cases[] = {
		{"", -1},
		{"G", -1},
		{"GET", -1},
		{"GET /", -1},
		{"GET / HTTP/1.1", 1},
		{"FOO / HTTP/1.1\r\n", 1},
		{"get\t/ http/1.1\n", 1},
		{"\r\n\r\nGET / HTTP/1.1", 1},
		{"PRI * HTTP/2.0\r\n", 1},
		{"SSH-2.0-OpenSSH_9", -1},
		{"SSH-2.0-OpenSSH_9.2\r\n", 0},
		{"EHLO example.com\r\n", 0},
		{"PING\r\n", 0},
		{"*1\r\n", 0},
		{"\x80\x01", 0},
		{"{\"a\":1}", 0},
		{"abcdefghijklmnopqrstuvwxyzabcdefghijkl", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_EQUAL(http_head_looks_like((const uint8_t *)cases[i].text,
						     strlen(cases[i].text)),
				cases[i].result);
}

static void status(void)
{
	static const char text[] = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\nrest";
	unsigned code = 0;
	size_t len = 0;

	for (size_t n = 0; n < sizeof(text) - 5; n++)
		CU_ASSERT_EQUAL(http_head_status(&code, &len, (const uint8_t *)text, n),
				HTTP_HEAD_MORE);
	CU_ASSERT_EQUAL(http_head_status(&code, &len, (const uint8_t *)text, sizeof(text) - 1),
			HTTP_HEAD_DONE);
	CU_ASSERT_EQUAL(code, 101);
	CU_ASSERT_EQUAL(len, sizeof(text) - 5);
	CU_ASSERT_EQUAL(http_head_status(&code, &len, (const uint8_t *)"SSH-2.0-x\r\n\r\n", 13),
			-EBADMSG);
	CU_ASSERT_EQUAL(http_head_status(&code, &len, (const uint8_t *)"HTTP/1.1 1x1 \r\n\r\n", 17),
			-EBADMSG);
}

static void bodies(void)
{
	static const struct {
		const char *text;
		int64_t ends; /* -1: malformed; -2: goes on */
	} cases[] = {
		{"0\r\n\r\n", 5},
		{"3\r\nabc\r\n0\r\n\r\nGET", 13},
		{"A\r\n0123456789\r\n0\r\nX: y\r\n\r\n", 26},
		{"3\r\nabc", -2},
		{"3;ext=1\r\nabc\r\n0\r\n\r\n", -1},
		{"3 \r\nabc\r\n0\r\n\r\n", -1},
		{"3\nabc\r\n0\r\n\r\n", -1},
		{"3\r\nabcd\r\n", -1},
		{"0x3\r\n", -1},
		{"-1\r\n", -1},
		{"\r\n", -1},
		{"1000000000000000\r\n", -1},
		{"0\r\n folded\r\n\r\n", -1},
		{"0\r\nX: y\n\r\n", -1},
		{"0\r\n\n", -1},
	};
	struct http_head h = {.body = HTTP_BODY_CHUNKED};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t *t = (const uint8_t *)cases[i].text;
		size_t len = strlen(cases[i].text);
		struct http_body_state whole, step;
		int64_t n, sum = 0, one = 0;

		http_body_begin(&whole, &h);
		n = http_body_walk(&whole, t, len);
		if (n >= 0 && !http_body_is_done(&whole))
			n = -2;
		CU_ASSERT_EQUAL(n < -2 ? -1 : n, cases[i].ends);
		http_body_begin(&step, &h);
		for (size_t k = 0; k < len && one >= 0 && !http_body_is_done(&step); k++) {
			one = http_body_walk(&step, t + k, 1);
			sum += one;
		}
		if (cases[i].ends >= 0)
			CU_ASSERT_EQUAL(sum, cases[i].ends);
		CU_ASSERT_EQUAL(one < 0, cases[i].ends == -1);
	}
	h = (struct http_head){.body = HTTP_BODY_LENGTH, .length = 5};
	struct http_body_state b;

	http_body_begin(&b, &h);
	CU_ASSERT_EQUAL(http_body_walk(&b, (const uint8_t *)"abc", 3), 3);
	CU_ASSERT_FALSE(http_body_is_done(&b));
	CU_ASSERT_EQUAL(http_body_walk(&b, (const uint8_t *)"abcd", 4), 2);
	CU_ASSERT_TRUE(http_body_is_done(&b));
}

static const struct unit_case cases[] = {
	{"good heads, every prefix", good},
	{"hostile heads", hostile},
	{"too long", too_long},
	{"upgrade", upgrade},
	{"recognition", recognition},
	{"status of a response", status},
	{"bodies", bodies},
};
UNIT_MAIN("http_head", cases)
