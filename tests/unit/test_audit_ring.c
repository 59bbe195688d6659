/*
 * Rings and the writer process: real processes, killed, stopped and lied to.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "common/audit_i.h"
#include "common/audit_reader.h"
#include "common/auto.h"
#include "common/ipc.h"
#include "tests/unit/audit_fixture.h"

#ifdef AGENTSH_SANITIZED
#define MANY 4000
#else
#define MANY 20000
#endif

struct place {
	char dir[FIXTURE_PATH], log[FIXTURE_PATH + 16], run[FIXTURE_PATH + 16], auditd[512];
};

static void place_make(struct place *p)
{
	const char *build = getenv("AGENTSH_TEST_BUILD");

	fixture_dir(p->dir);
	snprintf(p->log, sizeof(p->log), "%s/audit", p->dir);
	snprintf(p->run, sizeof(p->run), "%s/run", p->dir);
	snprintf(p->auditd, sizeof(p->auditd), "%s/common/agentsh-auditd", build ? build : ".");
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The writer lets go of the log some time after the last session. */
static void wait_for_end(const struct place *p)
{
	const uint64_t start = now_ms();
	struct audit_report rep;

	do {
		usleep(2000);
		fixture_verify(p->log, &rep);
	} while (rep.live && now_ms() - start < 5000);
	CU_ASSERT_FALSE(rep.live);
}

static void place_remove(struct place *p)
{
	wait_for_end(p);
	fixture_remove(p->log);
	fixture_remove(p->run);
	fixture_remove(p->dir);
}

static struct audit_session *session(const struct place *p, const char *name)
{
	struct audit_session *s = NULL;
	struct err e = ERR_INIT;

	if (audit_session_open(&s, p->log, p->run, p->auditd, name, &e) < 0)
		fprintf(stderr, "open: %s\n", e.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

static struct audit_producer *producer(struct audit_session *s, enum audit_gate gate)
{
	struct audit_producer *p = NULL;
	struct err e = ERR_INIT;
	int ring, wake;

	CU_ASSERT_EQUAL_FATAL(audit_session_producer(s, gate, &ring, &wake, &e), 0);
	CU_ASSERT_EQUAL_FATAL(audit_producer_open(&p, ring, wake, &e), 0);
	return p;
}

static pid_t writer_pid(struct audit_session *s)
{
	struct ipc_peer peer = {0};

	CU_ASSERT_EQUAL_FATAL(ipc_peer(audit_session_fd(s), &peer), 0);
	return peer.pid;
}

static int append(struct audit_producer *p, uint64_t n, enum audit_durability d)
{
	const struct audit_field f[] = {AUDIT_F_U64("bytes", n), AUDIT_F_STR("path", "/w/some/file")};
	const struct audit_event ev = {.op = "write", .decision = "allow", .verdict = VERDICT_ALLOW,
				       .rule = "r", .pid = 1, .comm = "t", .fields = f,
				       .n_fields = 2, .durability = d};

	return audit_append(p, &ev);
}

/* ---- two producers at once ---- */

struct counts {
	uint64_t next_seq, gap, events;
	uint64_t last[AUDIT_GATES]; /* value of "bytes" */
	unsigned lost, down, disorder;
	char sessions[256];
};

static int count(void *arg, const struct audit_record *r)
{
	struct counts *c = arg;
	uint64_t n;
	char reason[32];

	c->gap += r->seq != c->next_seq;
	c->next_seq = r->seq + 1;
	if (r->type == AUDIT_TYPE_DOWN) {
		cbor_find_text(r->payload, r->payload_len, "reason", reason, sizeof(reason));
		c->down++;
		c->lost += strcmp(reason, "lost") == 0 || strcmp(reason, "writer died") == 0 ||
			   strcmp(reason, "session lost") == 0 || strcmp(reason, "malformed record") == 0;
	}
	if (r->type != AUDIT_TYPE_EVENT)
		return 0;
	c->events++;
	if (cbor_find_u64(r->payload, r->payload_len, "bytes", &n) == 0) {
		c->disorder += n != c->last[r->gate] + 1;
		c->last[r->gate] = n;
	}
	if (!strstr(c->sessions, r->session))
		strncat(c->sessions, r->session, 64);
	return 0;
}

static struct counts read_all(const struct place *p)
{
	struct counts c = {0};
	struct err e = ERR_INIT;
	int r = audit_reader_each(p->log, count, &c, &e);

	if (r < 0)
		fprintf(stderr, "%s\n", e.text);
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(c.gap, 0);
	return c;
}

static void *flood(void *arg)
{
	long bad = 0;

	for (uint64_t n = 1; n <= MANY; n++)
		bad += append(arg, n, n % 5000 ? AUDIT_RING : AUDIT_COMMIT) != 0;
	return (void *)bad;
}

static void test_two_producers(void)
{
	struct audit_producer *prod[2];
	struct audit_session *s;
	struct place p;
	pthread_t t[2];
	struct counts c;
	uint64_t start;

	place_make(&p);
	s = session(&p, "flood");
	prod[0] = producer(s, AUDIT_FS);
	prod[1] = producer(s, AUDIT_NET);
	start = now_ms();
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, flood, prod[i]);
	for (int i = 0; i < 2; i++) {
		void *bad;

		pthread_join(t[i], &bad);
		CU_ASSERT_PTR_NULL(bad);
		audit_producer_close(prod[i]);
	}
	CU_ASSERT_EQUAL(audit_session_end(s, NULL), 0);
	printf("%d records in %llu ms ", 2 * MANY, (unsigned long long)(now_ms() - start));
	audit_session_free(s);
	wait_for_end(&p);
	CU_ASSERT_EQUAL(fixture_verify(p.log, NULL), AUDIT_INTACT);
	c = read_all(&p);
	CU_ASSERT_EQUAL(c.events, 2 * MANY);
	CU_ASSERT_EQUAL(c.disorder, 0);
	CU_ASSERT_EQUAL(c.last[AUDIT_FS], MANY);
	CU_ASSERT_EQUAL(c.last[AUDIT_NET], MANY);
	CU_ASSERT_EQUAL(c.lost, 0);
	place_remove(&p);
}

/* One handle, many threads: numbering stays dense. */
static void *share(void *arg)
{
	long bad = 0;

	for (int n = 0; n < 500; n++)
		bad += append(arg, 1, n % 100 ? AUDIT_RING : AUDIT_COMMIT) != 0;
	return (void *)bad;
}

static void test_shared_handle(void)
{
	struct audit_producer *prod;
	struct audit_session *s;
	struct place p;
	pthread_t t[6];

	place_make(&p);
	s = session(&p, "threads");
	prod = producer(s, AUDIT_FS);
	for (int i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, share, prod);
	for (int i = 0; i < 6; i++) {
		void *bad;

		pthread_join(t[i], &bad);
		CU_ASSERT_PTR_NULL(bad);
	}
	audit_producer_close(prod);
	CU_ASSERT_EQUAL(audit_session_end(s, NULL), 0);
	audit_session_free(s);
	wait_for_end(&p);
	CU_ASSERT_EQUAL(fixture_verify(p.log, NULL), AUDIT_INTACT);
	CU_ASSERT_EQUAL(read_all(&p).events, 3000);
	place_remove(&p);
}

/* ---- sessions ---- */

static void test_sessions_share_the_writer(void)
{
	struct audit_session *a, *b;
	struct audit_producer *pa, *pb;
	struct place p;
	struct counts c;

	place_make(&p);
	a = session(&p, "first");
	b = session(&p, "second");
	CU_ASSERT_EQUAL(writer_pid(a), writer_pid(b));
	pa = producer(a, AUDIT_FS);
	pb = producer(b, AUDIT_FS);
	CU_ASSERT_EQUAL(append(pa, 1, AUDIT_RING), 0);
	audit_producer_close(pa);
	CU_ASSERT_EQUAL(audit_session_end(a, NULL), 0);
	audit_session_free(a);
	CU_ASSERT_EQUAL(append(pb, 2, AUDIT_COMMIT), 0);
	audit_producer_close(pb);
	CU_ASSERT_EQUAL(audit_session_end(b, NULL), 0);
	audit_session_free(b);
	wait_for_end(&p);
	CU_ASSERT_EQUAL(fixture_verify(p.log, NULL), AUDIT_INTACT);
	c = read_all(&p);
	CU_ASSERT_STRING_EQUAL(c.sessions, "firstsecond");
	place_remove(&p);
}

/* Each opens while the writer of the one before may be ending. */
static void test_quick_sessions(void)
{
	struct place p;

	place_make(&p);
	for (int i = 0; i < 40; i++) {
		struct audit_session *s = session(&p, "quick");
		struct audit_producer *prod = producer(s, AUDIT_CTL);

		CU_ASSERT_EQUAL(append(prod, 1, AUDIT_RING), 0);
		audit_producer_close(prod);
		CU_ASSERT_EQUAL(audit_session_end(s, NULL), 0);
		audit_session_free(s);
	}
	wait_for_end(&p);
	CU_ASSERT_EQUAL(fixture_verify(p.log, NULL), AUDIT_INTACT);
	CU_ASSERT_EQUAL(read_all(&p).events, 40);
	place_remove(&p);
}

/* Many open the first log of all at the same time. */
static void test_race_to_start(void)
{
	struct place p;
	pid_t pid[6];

	place_make(&p);
	for (int i = 0; i < 6; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			struct audit_session *s = NULL;
			char name[16];

			snprintf(name, sizeof(name), "s%d", i);
			if (audit_session_open(&s, p.log, p.run, p.auditd, name, NULL) < 0)
				_exit(1);
			_exit(audit_session_end(s, NULL) == 0 ? 0 : 1);
		}
	}
	for (int i = 0; i < 6; i++) {
		int status;

		waitpid(pid[i], &status, 0);
		CU_ASSERT_EQUAL(status, 0);
	}
	wait_for_end(&p);
	CU_ASSERT_EQUAL(fixture_verify(p.log, NULL), AUDIT_INTACT);
	place_remove(&p);
}

/* Reading along shows no damage, either. */
static void read_some(const struct place *p)
{
	struct counts c = {0};
	struct err e = ERR_INIT;

	CU_ASSERT_EQUAL(audit_reader_each(p->log, count, &c, &e), 0);
	if (e.code)
		fprintf(stderr, "%s\n", e.text);
	CU_ASSERT_EQUAL(c.gap, 0);
}

/* While sessions come and go, verify never sees a fault that is not there. */
static void test_verify_meanwhile(void)
{
	unsigned said[5] = {0};
	int status, begun[2];
	struct place p;
	pid_t pid;
	char c;

	place_make(&p);
	CU_ASSERT_EQUAL_FATAL(pipe(begun), 0);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 25; i++) {
			struct audit_session *s = session(&p, "busy");
			struct audit_producer *prod = producer(s, AUDIT_FS);

			if (i == 0 && write(begun[1], "", 1) != 1)
				_exit(1);
			for (uint64_t n = 1; n < 300; n++)
				append(prod, n, n % 100 ? AUDIT_RING : AUDIT_COMMIT);
			audit_producer_close(prod);
			if (audit_session_end(s, NULL) < 0)
				_exit(1);
			audit_session_free(s);
		}
		_exit(0);
	}
	close(begun[1]);
	CU_ASSERT_EQUAL(read(begun[0], &c, 1), 1);
	close(begun[0]);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct audit_report rep;
		enum audit_verdict v = fixture_verify(p.log, &rep);

		said[v]++;
		read_some(&p);
		if (v == AUDIT_TAMPERED)
			fprintf(stderr, "%s, record %llu, %s at %llu, live %d\n", rep.fault_text,
				(unsigned long long)rep.fault_seq, rep.fault_file,
				(unsigned long long)rep.fault_offset, rep.live);
	}
	CU_ASSERT_EQUAL(status, 0);
	printf("%u intact, %u incomplete ", said[AUDIT_INTACT], said[AUDIT_INCOMPLETE]);
	CU_ASSERT_EQUAL(said[AUDIT_TAMPERED] + said[AUDIT_UNREADABLE] + said[AUDIT_NO_TRUST], 0);
	wait_for_end(&p);
	CU_ASSERT_EQUAL(fixture_verify(p.log, NULL), AUDIT_INTACT);
	place_remove(&p);
}

static void test_names(void)
{
	static const char *const bad[] = {"", "a/b", "a b", "\n", "x;y",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct audit_session *s = NULL;
	struct err e = ERR_INIT;
	struct place p;

	place_make(&p);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CU_ASSERT_EQUAL(audit_session_open(&s, p.log, p.run, p.auditd, bad[i], &e), -EINVAL);
	CU_ASSERT(audit_session_open(&s, p.log, p.run, "/nonexistent/auditd", "x", &e) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "/nonexistent/auditd"));
	CU_ASSERT(audit_session_open(&s, "/proc/audit", p.run, p.auditd, "x", &e) < 0);
	fixture_remove(p.log);
	fixture_remove(p.run);
	fixture_remove(p.dir);
}

/* ---- death ---- */

/* A process that appends until it is killed or refused; exits 0 when refused. */
static pid_t appender(struct audit_producer *prod, enum audit_durability d)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (uint64_t n = 1;; n++) {
			if (append(prod, n, d) < 0)
				_exit(0);
			usleep(n % 64 ? 0 : 1000);
		}
	}
	return pid;
}

static void test_producer_killed(void)
{
	struct audit_session *s;
	struct audit_report rep;
	struct place p;
	struct counts c;
	int ring, wake, status;
	pid_t pid;

	place_make(&p);
	s = session(&p, "killed");
	CU_ASSERT_EQUAL_FATAL(audit_session_producer(s, AUDIT_EXEC, &ring, &wake, NULL), 0);
	pid = fork();
	if (pid == 0) {
		struct audit_producer *prod;
		uint64_t n = 0;

		if (audit_producer_open(&prod, ring, wake, NULL) < 0)
			_exit(1);
		while (append(prod, ++n, AUDIT_COMMIT) == 0)
			;
		_exit(2);
	}
	close(ring);
	close(wake);
	usleep(100000);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	CU_ASSERT(WIFSIGNALED(status));
	audit_session_free(s); /* no good-bye, either */
	wait_for_end(&p);
	CU_ASSERT_EQUAL(fixture_verify(p.log, &rep), AUDIT_INTACT);
	CU_ASSERT(rep.n_notices > 0);
	c = read_all(&p);
	CU_ASSERT(c.events > 0);
	CU_ASSERT_EQUAL(c.disorder, 0);
	CU_ASSERT_EQUAL(c.lost, 1);
	place_remove(&p);
}

static void test_writer_killed(void)
{
	struct place p;

	place_make(&p);
	srand(3);
	for (int i = 0; i < 12; i++) {
		struct audit_session *s = session(&p, "again");
		struct audit_producer *a = producer(s, AUDIT_FS), *b = producer(s, AUDIT_EXEC);
		pid_t pa = appender(a, AUDIT_RING), pb = appender(b, AUDIT_COMMIT);
		enum audit_verdict v;
		uint64_t start;
		int status;
		char byte;

		usleep((useconds_t)(rand() % 30000));
		kill(writer_pid(s), SIGKILL);
		start = now_ms();
		/* both are refused soon, and the supervisor sees the hang-up */
		waitpid(pa, &status, 0);
		CU_ASSERT_EQUAL(status, 0);
		waitpid(pb, &status, 0);
		CU_ASSERT_EQUAL(status, 0);
		CU_ASSERT(now_ms() - start < 1000);
		CU_ASSERT_EQUAL(recv(audit_session_fd(s), &byte, 1, MSG_DONTWAIT), 0);
		CU_ASSERT_EQUAL(append(a, 1, AUDIT_RING), -EIO);
		v = fixture_verify(p.log, NULL);
		CU_ASSERT(v == AUDIT_INCOMPLETE || v == AUDIT_INTACT);
		CU_ASSERT(audit_session_end(s, NULL) < 0);
		audit_producer_close(a);
		audit_producer_close(b);
		audit_session_free(s);
	}
	struct audit_session *s = session(&p, "calm");
	CU_ASSERT_EQUAL(audit_session_end(s, NULL), 0);
	audit_session_free(s);
	wait_for_end(&p);
	CU_ASSERT_EQUAL(fixture_verify(p.log, NULL), AUDIT_INTACT);
	place_remove(&p);
}

static void test_writer_stopped(void)
{
	struct audit_producer *prod;
	struct audit_session *s;
	struct place p;
	uint64_t n = 0, start;
	pid_t pid;
	int r;

	place_make(&p);
	s = session(&p, "stopped");
	prod = producer(s, AUDIT_FS);
	CU_ASSERT_EQUAL(append(prod, ++n, AUDIT_COMMIT), 0);
	pid = writer_pid(s);
	kill(pid, SIGSTOP);
	while (n < 200000 && (r = append(prod, n + 1, AUDIT_RING)) == 0)
		n++;
	CU_ASSERT_EQUAL(r, -EAGAIN);
	start = now_ms();
	CU_ASSERT_EQUAL(append(prod, n + 1, AUDIT_RING), -EAGAIN);
	CU_ASSERT(now_ms() - start >= 240 && now_ms() - start < 20000);
	kill(pid, SIGCONT);
	/* a slow writer may need longer than one wait to empty a ring */
	for (int tries = 0; tries < 40 && (r = append(prod, n + 1, AUDIT_COMMIT)) == -EAGAIN; tries++)
		;
	CU_ASSERT_EQUAL(r, 0);
	n++;
	audit_producer_close(prod);
	CU_ASSERT_EQUAL(audit_session_end(s, NULL), 0);
	audit_session_free(s);
	wait_for_end(&p);
	CU_ASSERT_EQUAL(fixture_verify(p.log, NULL), AUDIT_INTACT);
	CU_ASSERT_EQUAL(read_all(&p).events, n);
	place_remove(&p);
}

/* ---- lies ---- */

/* What a hostile producer may write into its ring; each must cost only itself. */
static void lie(struct audit_ring *ring, int how)
{
	struct audit_slot *slot = (struct audit_slot *)audit_ring_at(ring, ring->head);
	uint8_t *payload = (uint8_t *)(slot + 1);

	*slot = (struct audit_slot){.size = 40, .payload = 1, .pseq = 2};
	payload[0] = 0xa0;
	switch (how) {
	case 0:
		slot->size = 7;
		break;
	case 1:
		slot->size = 0xfffffff8;
		break;
	case 2:
		slot->payload = 0x7fffffff;
		break;
	case 3:
		slot->pseq = 9;
		break;
	case 4:
		payload[0] = 0xbf;
		break;
	case 5:
		ring->head += AUDIT_RING_DATA * 3;
		break;
	case 6:
		ring->head += 1;
		break;
	case 7:
		memset(slot, 0xff, 64);
		break;
	}
	ring->tail = 12345; /* what the writer wrote does not bind it */
	ring->committed = UINT64_MAX;
	ring->waiters = 1;
	ring->head += 40;
}

static void test_hostile_producer(void)
{
	struct place p;

	place_make(&p);
	struct audit_session *s = session(&p, "mixed");
	struct audit_producer *good = producer(s, AUDIT_FS);
	for (int how = 0; how < 8; how++) {
		struct audit_producer *evil = NULL;
		struct audit_ring *ring;
		int fd, wake, again;

		CU_ASSERT_EQUAL_FATAL(audit_session_producer(s, AUDIT_NET, &fd, &wake, NULL), 0);
		again = dup(fd);
		CU_ASSERT_EQUAL_FATAL(audit_ring_map(&ring, again), 0);
		close(again);
		CU_ASSERT_EQUAL_FATAL(audit_producer_open(&evil, fd, wake, NULL), 0);
		CU_ASSERT_EQUAL(append(evil, 1, AUDIT_COMMIT), 0);
		lie(ring, how);
		send(wake, "u", 1, MSG_NOSIGNAL);
		CU_ASSERT_EQUAL(append(good, (uint64_t)how + 1, AUDIT_COMMIT), 0);
		for (int i = 0; i < 100 && !ring->state; i++)
			usleep(1000);
		CU_ASSERT_EQUAL(ring->state, AUDIT_RING_SHUT);
		CU_ASSERT_EQUAL(append(evil, 2, AUDIT_RING), -EIO);
		audit_producer_close(evil);
		audit_ring_unmap(ring);
	}
	audit_producer_close(good);
	CU_ASSERT_EQUAL(audit_session_end(s, NULL), 0);
	audit_session_free(s);
	wait_for_end(&p);
	CU_ASSERT_EQUAL(fixture_verify(p.log, NULL), AUDIT_INTACT);
	CU_ASSERT_EQUAL(read_all(&p).events, 16);
	place_remove(&p);
}

static void test_hostile_client(void)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	char sock[FIXTURE_PATH + 64], byte;
	struct place p;
	int fd;

	place_make(&p);
	struct audit_session *s = session(&p, "good");
	snprintf(sock, sizeof(sock), "%s/audit.sock", p.run);
	for (int type = 0; type < 8; type++) {
		fd = ipc_connect(sock);
		CU_ASSERT_FATAL(fd >= 0);
		ipc_begin(m, (uint16_t)(type == 7 ? 60000 : type), 1);
		ipc_put_u32(m, 7);
		CU_ASSERT_EQUAL(ipc_send(fd, m), 0);
		/* hung up on, and nothing else happens */
		CU_ASSERT(recv(fd, &byte, 1, 0) <= 0);
		close(fd);
	}
	fd = ipc_connect(sock);
	CU_ASSERT_EQUAL(send(fd, "x", 1, 0), 1);
	CU_ASSERT(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
	CU_ASSERT_EQUAL(audit_session_end(s, NULL), 0);
	audit_session_free(s);
	place_remove(&p);
}

static const struct unit_case cases[] = {
	{"two producers", test_two_producers},
	{"one handle, many threads", test_shared_handle},
	{"sessions share the writer", test_sessions_share_the_writer},
	{"quick sessions", test_quick_sessions},
	{"race to start", test_race_to_start},
	{"verify meanwhile", test_verify_meanwhile},
	{"names and paths", test_names},
	{"producer killed", test_producer_killed},
	{"writer killed", test_writer_killed},
	{"writer stopped", test_writer_stopped},
	{"hostile producer", test_hostile_producer},
	{"hostile client", test_hostile_client},
};

UNIT_MAIN("audit_ring", cases)
