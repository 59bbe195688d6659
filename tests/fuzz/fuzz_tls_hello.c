/* ClientHello: any bytes, and every prefix must agree with the whole. */
#include <assert.h>
#include <string.h>

#include "netgate/net_name.h"
#include "netgate/tls_hello.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_hello whole, part;
	int r = tls_hello_parse(&whole, data, size);
	char name[NET_NAME_SIZE];

	tls_hello_looks_like(data, size);
	assert(strlen(whole.sni) < sizeof(whole.sni) && strlen(whole.alpn) < sizeof(whole.alpn));
	if (r == TLS_HELLO_DONE && whole.has_sni)
		net_name_normalise(name, whole.sni, strlen(whole.sni));
	if (size > 600)
		return 0;
	/* what was decided from less is never taken back */
	for (size_t n = 0; n < size; n++) {
		int p = tls_hello_parse(&part, data, n);

		assert(p == TLS_HELLO_MORE || p == r);
		if (p == TLS_HELLO_DONE)
			assert(strcmp(part.sni, whole.sni) == 0);
	}
	return 0;
}
