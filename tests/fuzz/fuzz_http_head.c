/* Request heads, bodies and response heads: any bytes, whole and in pieces. */
#include <assert.h>
#include <string.h>

#include "netgate/http_body.h"
#include "netgate/http_head.h"
#include "tests/fuzz/fuzz.h"

static void body(const struct http_head *h, const uint8_t *data, size_t size)
{
	struct http_body_state whole, step;
	int64_t n, sum = 0, one = 0;

	http_body_begin(&whole, h);
	n = http_body_walk(&whole, data, size);
	assert(n <= (int64_t)size);
	http_body_begin(&step, h);
	for (size_t i = 0; i < size && one >= 0 && !http_body_is_done(&step); i++) {
		one = http_body_walk(&step, data + i, 1);
		sum += one;
	}
	assert((n < 0) == (one < 0));
	if (n >= 0)
		assert(sum == n && http_body_is_done(&whole) == http_body_is_done(&step));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head h, chunked = {.body = HTTP_BODY_CHUNKED}, part;
	unsigned status;
	size_t head_len;
	int r = http_head_parse(&h, data, size);

	http_head_looks_like(data, size);
	http_head_status(&status, &head_len, data, size);
	body(&chunked, data, size);
	if (r != HTTP_HEAD_DONE) {
		assert(r == HTTP_HEAD_MORE || h.reason);
		return 0;
	}
	assert(h.head_len <= size && strlen(h.method) && (h.path[0] == '/' || h.path[0] == '*'));
	assert(!strstr(h.path, "/../") && !strstr(h.path, "//"));
	/* a strict head is always recognised as HTTP, or it could pass unseen */
	assert(http_head_looks_like(data, size) == 1);
	assert(http_head_parse(&part, data, h.head_len) == HTTP_HEAD_DONE);
	for (size_t n = 0; n < h.head_len && size < 600; n++)
		assert(http_head_parse(&part, data, n) == HTTP_HEAD_MORE);
	body(&h, data + h.head_len, size - h.head_len);
	return 0;
}
