/*
 * audit_fixture.h - a log directory to play with, filled through the writer's own code
 */
#ifndef TESTS_AUDIT_FIXTURE_H
#define TESTS_AUDIT_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/audit_i.h"
#include "common/audit_log.h"
#include "common/audit_verify.h"

#define FIXTURE_PATH 128

static inline void fixture_dir(char out[FIXTURE_PATH])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(out, FIXTURE_PATH, "%.80s/agentsh-audit.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(out))
		abort();
}

static inline void fixture_remove(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *ent;

	while (d && (ent = readdir(d)))
		if (ent->d_name[0] != '.')
			unlinkat(dirfd(d), ent->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

/* One event of producer id; n is its number. */
static inline int fixture_event(struct audit_log *l, uint16_t id, uint64_t n)
{
	char path[64];
	snprintf(path, sizeof(path), "/workspace/src/file-%llu.c", (unsigned long long)n);
	const struct audit_field fields[] = {AUDIT_F_STR("path", path), AUDIT_F_U64("bytes", n)};
	const struct audit_event ev = {.op = "open",
				       .decision = n % 7 ? "allow" : "deny",
				       .verdict = n % 7 ? VERDICT_ALLOW : VERDICT_DENY,
				       .rule = "workspace",
				       .pid = 42,
				       .comm = "cc1",
				       .fields = fields,
				       .n_fields = 2};
	static uint8_t payload[AUDIT_PAYLOAD_MAX];
	struct audit_frame f = {.producer = id, .pseq = n, .wall_ns = 1700000000000000000u + n,
				.mono_ns = n, .payload = payload};
	int len = audit_event_encode(payload, &ev);

	if (len < 0)
		return len;
	f.payload_len = (size_t)len;
	return audit_log_event(l, &f);
}

struct fixture_conf {
	const char *dir;
	const struct audit_disk *disk;
	uint64_t segment_bytes;
	unsigned records; /* of one session */
	unsigned batch;	  /* records a commit */
	bool hour;	  /* new keys in the middle */
};

/* A session from start to end. @return 0 or the first error */
static inline int fixture_session(const struct fixture_conf *c, const char *name)
{
	const struct audit_log_conf conf = {
		.dir = c->dir, .disk = c->disk, .segment_bytes = c->segment_bytes};
	struct audit_log *l = NULL;
	int r = audit_log_open(&l, &conf, NULL), id;

	if (r < 0)
		return r;
	id = audit_log_up(l, AUDIT_FS, name, 100, 1000);
	r = id < 0 ? id : 0;
	for (unsigned n = 1; n <= c->records && r == 0; n++) {
		r = fixture_event(l, (uint16_t)id, n);
		if (r == 0 && n % c->batch == 0)
			r = audit_log_commit(l);
		if (r == 0 && n % c->batch == 0)
			r = audit_log_rotate(l);
		if (r == 0 && n % (3 * c->batch) == 0)
			r = audit_log_checkpoint(l);
		if (r == 0 && c->hour && n == c->records / 2)
			r = audit_log_next_epoch(l);
	}
	if (r == 0)
		r = audit_log_down(l, (uint16_t)id, "closed");
	if (r < 0) {
		audit_log_free(l);
		return r;
	}
	return audit_log_close(l);
}

static inline enum audit_verdict fixture_verify(const char *dir, struct audit_report *rep)
{
	const struct audit_verify_conf conf = {.dir = dir};
	struct audit_report own;
	struct err e = ERR_INIT;
	enum audit_verdict v = audit_verify(rep ? rep : &own, &conf, &e);

	audit_report_free(rep ? rep : &own);
	return v;
}

#endif
