/* DNS queries: any bytes; the answer to what was understood is understood by our own rules. */
#include <assert.h>
#include <string.h>

#include "netgate/net_dns_wire.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_answer a = {.has_addr = true, .addr = {.family = 4}, .ttl_s = 30};
	uint8_t out[DNS_ANSWER_MAX];
	struct policy_addr addr;
	struct dns_query q;
	int r = net_dns_wire_parse(&q, data, size);
	char type[16];
	size_t n;

	if (r < 0)
		return 0;
	a.rcode = (enum dns_rcode)r;
	n = net_dns_wire_answer(out, &q, &a);
	assert(n >= 12 && n <= sizeof(out));
	assert(out[0] == data[0] && out[1] == data[1] && (out[2] & 0x80) && (out[3] & 15) == r);
	if (q.has_name) {
		char again[NET_NAME_SIZE];

		assert(net_name_normalise(again, q.name, strlen(q.name)));
		assert(strcmp(again, q.name) == 0);
		net_dns_wire_reverse(&addr, q.name);
		a = (struct dns_answer){.ptr = q.name};
		assert(net_dns_wire_answer(out, &q, &a) <= sizeof(out));
	}
	net_dns_wire_type(type, q.type);
	return 0;
}
