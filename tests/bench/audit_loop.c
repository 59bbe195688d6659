/*
 * audit_loop AUDITD DIR N: nanoseconds for a record of an allowed file read, as a gate sees it, in
 * a new log in DIR. publish: the call alone, the best of bursts that the ring holds with ease;
 * append: N of them as fast as the writer takes them; commit: those that wait for the disk.
 */
#include <stdlib.h>

#include "common/audit.h"
#include "common/str.h"
#include "tests/bench/clock.h"

static int append(struct audit_producer *p, unsigned i, enum audit_durability durability)
{
	const struct audit_field fields[] = {
		AUDIT_F_STR("path", "/workspace/src/module/some_source_file.c"),
		AUDIT_F_STR("flags", "O_RDONLY|O_CLOEXEC"),
		AUDIT_F_U64("bytes", i),
	};
	const struct audit_event ev = {
		.op = "read",
		.decision = "allow",
		.verdict = VERDICT_ALLOW,
		.rule = "workspace-read",
		.message = "",
		.pid = 4711,
		.comm = "audit_loop",
		.fields = fields,
		.n_fields = sizeof(fields) / sizeof(fields[0]),
		.durability = durability,
	};
	int r;

	/* a full ring is back-pressure: the gate would deny, the measurement waits */
	do
		r = audit_append(p, &ev);
	while (r == -EAGAIN);
	return r;
}

#define BURST 1000u

/* Between bursts the writer empties the ring, so that the producer is all that is measured. */
static int publish(struct audit_producer *p, unsigned bursts)
{
	uint64_t best = UINT64_MAX;
	int r;

	for (unsigned b = 0; b < bursts; b++) {
		uint64_t start = clock_ns(), took;

		for (unsigned i = 0; i < BURST; i++)
			if ((r = append(p, i, AUDIT_RING)) < 0)
				return r;
		took = clock_ns() - start;
		best = took < best ? took : best;
		if ((r = append(p, b, AUDIT_COMMIT)) < 0)
			return r;
	}
	printf("publish %.1f\n", (double)best / BURST);
	return 0;
}

static int run(struct audit_session *s, unsigned n, struct err *e)
{
	AUTO(audit_producer_close) struct audit_producer *p = NULL;
	unsigned commits = n / 1000 + 10;
	int ring, wake, r;
	uint64_t start;

	r = audit_session_producer(s, AUDIT_FS, &ring, &wake, e);
	if (r < 0)
		return r;
	r = audit_producer_open(&p, ring, wake, e);
	if (r < 0)
		return r;
	if ((r = publish(p, n / 5000 + 10)) < 0)
		return err_set(e, -r, "append");
	start = clock_ns();
	for (unsigned i = 0; i < n; i++)
		if ((r = append(p, i, AUDIT_RING)) < 0)
			return err_set(e, -r, "append");
	/* the commit waits for all that is before it: what is counted is on disk */
	if ((r = append(p, n, AUDIT_COMMIT)) < 0)
		return err_set(e, -r, "append");
	clock_report("append", start, n);
	start = clock_ns();
	for (unsigned i = 0; i < commits; i++)
		if ((r = append(p, i, AUDIT_COMMIT)) < 0)
			return err_set(e, -r, "append");
	clock_report("commit", start, commits);
	return 0;
}

int main(int argc, char **argv)
{
	AUTO(audit_session_free) struct audit_session *s = NULL;
	char log[4096], sock[4096];
	struct err e = ERR_INIT;

	if (argc != 4) {
		fprintf(stderr, "usage: audit_loop AUDITD DIR N\n");
		return 2;
	}
	snprintf(log, sizeof(log), "%s/audit", argv[2]);
	snprintf(sock, sizeof(sock), "%s/run", argv[2]);
	if (audit_session_open(&s, log, sock, argv[1], "bench", &e) < 0 ||
	    run(s, clock_count(argv[3]), &e) < 0 || audit_session_end(s, &e) < 0) {
		fprintf(stderr, "audit_loop: %s\n", e.text);
		return 1;
	}
	return 0;
}
