#include "common/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static struct ipc_msg out, in;

static void close_pair(int *pair)
{
	close(pair[0]);
	close(pair[1]);
}

static void round_trip(void)
{
	int pair[2], fd;
	size_t len;

	CU_ASSERT_EQUAL_FATAL(ipc_pair(pair), 0);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ipc_begin(&out, 7, 42);
	ipc_put_u32(&out, 1);
	ipc_put_u64(&out, UINT64_MAX);
	ipc_put_str(&out, "name");
	ipc_put_mem(&out, "\0\1\2", 3);
	ipc_put_fd(&out, fd);
	CU_ASSERT_EQUAL(ipc_send(pair[0], &out), 0);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &in), 1);
	CU_ASSERT_EQUAL(in.type, 7);
	CU_ASSERT_EQUAL(in.id, 42);
	CU_ASSERT_EQUAL(ipc_get_u32(&in), 1);
	CU_ASSERT_EQUAL(ipc_get_u64(&in), UINT64_MAX);
	CU_ASSERT_STRING_EQUAL(ipc_get_str(&in), "name");
	CU_ASSERT_EQUAL(memcmp(ipc_get_mem(&in, &len), "\0\1\2", 3), 0);
	CU_ASSERT_EQUAL(len, 3);
	CU_ASSERT_TRUE(ipc_end(&in));
	CU_ASSERT_EQUAL(in.n_fds, 1);
	ipc_drop(&in);
	close(fd);
	close_pair(pair);
}

static void bad_reads(void)
{
	int pair[2];
	size_t len;

	CU_ASSERT_EQUAL_FATAL(ipc_pair(pair), 0);
	ipc_begin(&out, 1, 0);
	ipc_put_u32(&out, 1000); /* read as a string: longer than what follows */
	CU_ASSERT_EQUAL(ipc_send(pair[0], &out), 0);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &in), 1);
	CU_ASSERT_STRING_EQUAL(ipc_get_str(&in), "");
	CU_ASSERT_FALSE(ipc_end(&in));
	/* a string with a NUL inside is no string */
	ipc_begin(&out, 1, 0);
	ipc_put_mem(&out, "a\0b", 4);
	CU_ASSERT_EQUAL(ipc_send(pair[0], &out), 0);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &in), 1);
	CU_ASSERT_STRING_EQUAL(ipc_get_str(&in), "");
	CU_ASSERT_TRUE(in.bad);
	/* leftovers are noticed */
	ipc_begin(&out, 1, 0);
	ipc_put_u32(&out, 1);
	ipc_put_u32(&out, 2);
	CU_ASSERT_EQUAL(ipc_send(pair[0], &out), 0);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &in), 1);
	ipc_get_u32(&in);
	CU_ASSERT_FALSE(ipc_end(&in));
	ipc_get_mem(&in, &len);
	CU_ASSERT_EQUAL(len, 0);
	close_pair(pair);
}

static void malformed(void)
{
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(ipc_pair(pair), 0);
	CU_ASSERT_EQUAL(send(pair[0], "short", 5, 0), 5);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &in), -EBADMSG);
	/* header says more than there is */
	CU_ASSERT_EQUAL(send(pair[0], "\1\0\7\0\377\0\0\0\0\0\0\0", 12, 0), 12);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &in), -EBADMSG);
	close(pair[0]);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &in), 0);
	close(pair[1]);
}

static void too_much(void)
{
	static char big[IPC_BODY_MAX];
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(ipc_pair(pair), 0);
	ipc_begin(&out, 1, 0);
	ipc_put_mem(&out, big, sizeof(big));
	CU_ASSERT_TRUE(out.bad);
	CU_ASSERT_EQUAL(ipc_send(pair[0], &out), -EMSGSIZE);
	ipc_begin(&out, 1, 0);
	ipc_put_mem(&out, big, sizeof(big) - 4);
	CU_ASSERT_EQUAL(ipc_send(pair[0], &out), 0);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &in), 1);
	CU_ASSERT_EQUAL(in.len, sizeof(big));
	close_pair(pair);
}

static void listening(void)
{
	char dir[] = "/tmp/agentsh-unit-XXXXXX", path[256];
	struct err e = ERR_INIT;
	struct ipc_peer peer;
	int server, client, accepted;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	/* longer than sun_path */
	snprintf(path, sizeof(path), "%s/%0100d.sock", dir, 0);
	CU_ASSERT_TRUE(ipc_connect(path) < 0);
	snprintf(path, sizeof(path), "%s/s.sock", dir);
	server = ipc_listen(path, &e);
	CU_ASSERT_TRUE_FATAL(server >= 0);
	client = ipc_connect(path);
	CU_ASSERT_TRUE(client >= 0);
	accepted = accept(server, NULL, NULL);
	CU_ASSERT_EQUAL(ipc_peer(accepted, &peer), 0);
	CU_ASSERT_EQUAL(peer.uid, geteuid());
	CU_ASSERT_EQUAL(peer.pid, getpid());
	close(accepted);
	close(client);
	close(server);
	unlink(path);
	rmdir(dir);
}

static const struct unit_case cases[] = {
	{"round trip", round_trip}, {"bad reads", bad_reads}, {"malformed frames", malformed},
	{"too much", too_much},	    {"listening", listening},
};

UNIT_MAIN("ipc", cases)
