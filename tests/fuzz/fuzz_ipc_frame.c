/* IPC: any bytes as one packet; what is taken out of a message lies inside it. */
#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ipc.h"
#include "tests/fuzz/fuzz.h"

static void read_body(struct ipc_msg *m)
{
	/* as gate.c reads it: pairs of strings; and by the numbers that the type says */
	while (!m->bad && m->pos < m->len) {
		const char *key, *value;
		const void *p;
		size_t len;

		key = ipc_get_str(m);
		value = ipc_get_str(m);
		assert(strlen(key) + strlen(value) <= IPC_BODY_MAX);
		p = ipc_get_mem(m, &len);
		assert(m->bad || len == 0 ||
		       ((const uint8_t *)p >= m->body && (const uint8_t *)p + len <= m->body + m->len));
		ipc_get_u32(m);
		ipc_get_u64(m);
	}
	assert(m->pos <= m->len);
	ipc_end(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ipc_msg m;
	int s[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s) < 0)
		return 0;
	if (send(s[0], data, size, MSG_DONTWAIT) == (ssize_t)size && ipc_recv(s[1], &m) == 1) {
		assert(m.len <= IPC_BODY_MAX && m.n_fds == 0);
		read_body(&m);
	}
	ipc_drop(&m);
	close(s[0]);
	close(s[1]);
	return 0;
}
