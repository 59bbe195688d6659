/*
 * What somebody with a hand on the files can do, and what verify says. The log has several
 * segments, sessions, epochs (by start and by the hour), a crash with torn bytes, and a clean end.
 */
#include "tests/unit/unit.h"

#include "common/audit_segment.h"
#include "common/auto.h"
#include "common/cbor.h"
#include "tests/unit/audit_fixture.h"

#ifdef AGENTSH_SANITIZED
#define MUTATIONS 400
#else
#define MUTATIONS 3000
#endif

struct file {
	char name[96];
	uint8_t *data;
	size_t len;
};

struct log {
	char dir[FIXTURE_PATH];
	struct file files[64];
	size_t n;
};

static int no_sync(int fd)
{
	(void)fd;
	return 0;
}

static void write_file(const char *dir, const char *name, const void *p, size_t len)
{
	char path[FIXTURE_PATH + 100];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f || fwrite(p, 1, len, f) != len || fclose(f) != 0)
		abort();
}

static void load(struct log *log)
{
	DIR *d = opendir(log->dir);
	struct dirent *ent;

	log->n = 0;
	while ((ent = readdir(d))) {
		struct file *f = &log->files[log->n];
		char path[FIXTURE_PATH + 300];
		struct stat st;
		FILE *in;

		if (ent->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", log->dir, ent->d_name);
		snprintf(f->name, sizeof(f->name), "%.90s", ent->d_name);
		in = fopen(path, "r");
		if (!in || fstat(fileno(in), &st) < 0 || log->n++ == 64)
			abort();
		f->len = (size_t)st.st_size;
		f->data = malloc(f->len + 1);
		if (fread(f->data, 1, f->len, in) != f->len)
			abort();
		fclose(in);
	}
	closedir(d);
}

static void unload(struct log *log)
{
	for (size_t i = 0; i < log->n; i++)
		free(log->files[i].data);
	log->n = 0;
}

static void restore(const struct log *log, const struct file *f)
{
	write_file(log->dir, f->name, f->data, f->len);
}

static struct file *find(struct log *log, const char *suffix, unsigned nth)
{
	struct file *best = NULL;

	/* in the order of names: readdir has none */
	for (unsigned k = 0; k <= nth; k++) {
		struct file *next = NULL;

		for (size_t i = 0; i < log->n; i++) {
			struct file *f = &log->files[i];
			size_t a = strlen(f->name), b = strlen(suffix);

			if (a < b || strcmp(f->name + a - b, suffix) != 0)
				continue;
			if ((!best || strcmp(f->name, best->name) > 0) &&
			    (!next || strcmp(f->name, next->name) < 0))
				next = f;
		}
		best = next;
		if (!best)
			return NULL;
	}
	return best;
}

/* A writer that dies with half a record written. */
static void tear(const char *dir)
{
	struct audit_disk disk = audit_disk_posix;
	const struct audit_log_conf conf = {.dir = dir, .disk = &disk};
	struct audit_segment_list list;
	struct audit_log *l = NULL;
	char path[FIXTURE_PATH + 100];
	struct stat st;
	int fd, id;

	disk.sync = no_sync;
	if (audit_log_open(&l, &conf, NULL) < 0)
		abort();
	id = audit_log_up(l, AUDIT_EXEC, "torn", 5, 0);
	for (uint64_t n = 1; n <= 5; n++)
		fixture_event(l, (uint16_t)id, n);
	audit_log_commit(l);
	if (audit_segment_list(&list, audit_log_dir(l)) < 0)
		abort();
	snprintf(path, sizeof(path), "%s/%s", dir, list.v[list.n - 1].name);
	audit_segment_list_free(&list);
	audit_log_free(l);
	/* cut into the last record */
	fd = open(path, O_RDWR);
	struct audit_segment seg;
	struct audit_frame f;
	size_t pos, last = 0;
	int dfd = open(dir, O_RDONLY | O_DIRECTORY);

	if (fd < 0 || dfd < 0 || fstat(fd, &st) < 0 ||
	    audit_segment_read(&seg, dfd, strrchr(path, '/') + 1, 0) < 0 ||
	    audit_segment_parse(&seg) < 0)
		abort();
	for (pos = seg.start; audit_segment_frame(&seg, pos, &f) == 1; pos += f.len)
		last = pos;
	if (ftruncate(fd, (off_t)last + 40) < 0)
		abort();
	audit_segment_free(&seg);
	close(fd);
	close(dfd);
}

static void build(struct log *log)
{
	struct audit_disk disk = audit_disk_posix;
	struct fixture_conf c = {.disk = &disk, .segment_bytes = 9000, .records = 60, .batch = 6,
				 .hour = true};

	disk.sync = no_sync;
	fixture_dir(log->dir);
	c.dir = log->dir;
	CU_ASSERT_EQUAL_FATAL(fixture_session(&c, "one"), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_session(&c, "two"), 0);
	tear(log->dir);
	CU_ASSERT_EQUAL(fixture_verify(log->dir, NULL), AUDIT_INCOMPLETE);
	CU_ASSERT_EQUAL_FATAL(fixture_session(&c, "three"), 0);
	CU_ASSERT_EQUAL(fixture_verify(log->dir, NULL), AUDIT_INTACT);
	load(log);
	CU_ASSERT_FATAL(find(log, ".aseg", 2) != NULL);
	CU_ASSERT_FATAL(find(log, ".torn", 0) != NULL);
}

static void tear_down(struct log *log)
{
	unload(log);
	fixture_remove(log->dir);
}

/* ---- random single changes ---- */

static size_t pick(size_t n)
{
	return n ? (size_t)((uint64_t)rand() * (uint64_t)n / ((uint64_t)RAND_MAX + 1)) : 0;
}

/* @return bytes of the changed copy */
static size_t mutate(uint8_t *out, const struct file *f, int how)
{
	size_t at = pick(f->len), n = 1 + pick(300), len = f->len;

	memcpy(out, f->data, len);
	if (n > len - at)
		n = len - at;
	switch (how) {
	case 0: /* one bit */
		out[at] ^= (uint8_t)(1u << pick(8));
		break;
	case 1: /* one byte */
		out[at] = (uint8_t)pick(256);
		break;
	case 2: /* cut out */
		memmove(out + at, out + at + n, len - at - n);
		len -= n;
		break;
	case 3: /* put in */
		memmove(out + at + n, out + at, len - at);
		for (size_t i = 0; i < n; i++)
			out[at + i] = (uint8_t)pick(256);
		len += n;
		break;
	case 4: /* cut off */
		len = at;
		break;
	case 5: /* zeros, or garbage, at the end */
		memset(out + len, pick(2) ? 0 : 0x5a, n);
		len += n;
		break;
	case 6: /* copy a range over another */
		memmove(out + at, out + pick(f->len - n + 1), n);
		break;
	case 7: /* zeros within */
		memset(out + at, 0, n);
		break;
	}
	return len;
}

static void test_random(void)
{
	struct log log;
	unsigned said[5] = {0};

	build(&log);
	srand(11);
	for (int i = 0; i < MUTATIONS; i++) {
		const struct file *f = &log.files[pick(log.n)];
		uint8_t *copy = malloc(f->len + 400);
		int how = i % 8;
		size_t len = mutate(copy, f, how);
		enum audit_verdict v;

		if (len == f->len && memcmp(copy, f->data, len) == 0) {
			free(copy);
			continue;
		}
		write_file(log.dir, f->name, copy, len);
		v = fixture_verify(log.dir, NULL);
		said[v]++;
		if (v == AUDIT_INTACT)
			fprintf(stderr, "unseen: change %d of %s\n", how, f->name);
		CU_ASSERT_NOT_EQUAL(v, AUDIT_INTACT);
		restore(&log, f);
		free(copy);
	}
	printf("%u tampered, %u incomplete, %u unreadable, %u no trust ", said[1], said[2], said[3],
	       said[4]);
	CU_ASSERT_EQUAL(fixture_verify(log.dir, NULL), AUDIT_INTACT);
	tear_down(&log);
}

static void test_missing_files(void)
{
	struct log log;

	build(&log);
	for (size_t i = 0; i < log.n; i++) {
		char path[FIXTURE_PATH + 100];

		snprintf(path, sizeof(path), "%s/%s", log.dir, log.files[i].name);
		unlink(path);
		CU_ASSERT_NOT_EQUAL(fixture_verify(log.dir, NULL), AUDIT_INTACT);
		restore(&log, &log.files[i]);
	}
	for (size_t i = 0; i < log.n; i++)
		for (size_t k = 0; k < log.n; k++) {
			const struct file *from = &log.files[i], *to = &log.files[k];

			if (i == k)
				continue;
			write_file(log.dir, to->name, from->data, from->len);
			CU_ASSERT_NOT_EQUAL(fixture_verify(log.dir, NULL), AUDIT_INTACT);
			restore(&log, to);
		}
	tear_down(&log);
}

/* ---- a person who knows the format, but has no key ---- */

struct frames {
	size_t at[512];
	struct audit_frame f[512];
	size_t n;
	struct audit_segment seg;
};

static void split(struct frames *fs, const struct log *log, const char *name)
{
	int dir = open(log->dir, O_RDONLY | O_DIRECTORY);
	size_t pos;

	fs->n = 0;
	if (audit_segment_read(&fs->seg, dir, name, 0) < 0 || audit_segment_parse(&fs->seg) < 0)
		abort();
	close(dir);
	for (pos = fs->seg.start; fs->n < 512; pos += fs->f[fs->n - 1].len) {
		fs->at[fs->n] = pos;
		if (audit_segment_frame(&fs->seg, pos, &fs->f[fs->n]) != 1)
			break;
		fs->n++;
	}
	fs->at[fs->n] = pos;
}

static enum audit_verdict verify_as(const struct log *log, const char *name, const uint8_t *p,
				    size_t len, struct audit_report *rep)
{
	write_file(log->dir, name, p, len);
	return fixture_verify(log->dir, rep);
}

/* An event (not a checkpoint, not of the writer itself) from k on. */
static size_t event(const struct frames *fs, size_t k)
{
	while (k < fs->n && fs->f[k].type != AUDIT_TYPE_EVENT)
		k++;
	return k;
}

/* Change a field of a record and make its checksum right again. */
static void test_forged_fields(void)
{
	static const struct {
		const char *what;
		size_t at; /* in the frame; beyond the head: in the payload */
		enum audit_fault want;
	} cases[] = {
		{"seq", 8, AUDIT_FAULT_SEQUENCE},    {"wall clock", 16, AUDIT_FAULT_CHECKPOINT},
		{"mono clock", 24, AUDIT_FAULT_CHECKPOINT}, {"producer", 32, AUDIT_FAULT_PRODUCER},
		{"flags", 36, AUDIT_FAULT_CHECKPOINT},	    {"pseq", 40, AUDIT_FAULT_PRODUCER},
		{"payload", 90, AUDIT_FAULT_CHECKPOINT},
	};
	struct log log;
	struct frames fs;
	struct file *f;

	build(&log);
	f = find(&log, ".aseg", 1);
	split(&fs, &log, f->name);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree uint8_t *copy = malloc(f->len);
		size_t k = event(&fs, 3);
		uint8_t *raw = copy + fs.at[k];
		struct audit_report rep;

		memcpy(copy, f->data, f->len);
		raw[cases[i].at] ^= 1;
		audit_frame_finish(raw, fs.f[k].len, raw + fs.f[k].len - AUDIT_FRAME_TAG);
		CU_ASSERT_EQUAL(verify_as(&log, f->name, copy, f->len, &rep), AUDIT_TAMPERED);
		if (rep.fault != cases[i].want)
			fprintf(stderr, "%s: %s\n", cases[i].what, rep.fault_text);
		CU_ASSERT_EQUAL(rep.fault, cases[i].want);
	}
	restore(&log, f);
	/* the tag: a hash of the record covers it, too */
	{
		autofree uint8_t *copy = malloc(f->len);
		size_t k = event(&fs, 3);
		uint8_t *raw = copy + fs.at[k], tag[AUDIT_FRAME_TAG] = {0};

		memcpy(copy, f->data, f->len);
		audit_frame_finish(raw, fs.f[k].len, tag);
		CU_ASSERT_EQUAL(verify_as(&log, f->name, copy, f->len, NULL), AUDIT_TAMPERED);
	}
	audit_segment_free(&fs.seg);
	tear_down(&log);
}

/* Delete, double or swap each record of a segment in turn. */
static void test_moved_records(void)
{
	struct log log;
	struct frames fs;
	struct file *f;

	build(&log);
	f = find(&log, ".aseg", 1);
	split(&fs, &log, f->name);
	for (size_t k = 0; k < fs.n; k++) {
		autofree uint8_t *copy = malloc(2 * f->len);
		const size_t at = fs.at[k], n = fs.f[k].len;

		memcpy(copy, f->data, at);
		memcpy(copy + at, f->data + at + n, f->len - at - n);
		CU_ASSERT_EQUAL(verify_as(&log, f->name, copy, f->len - n, NULL), AUDIT_TAMPERED);
		memcpy(copy, f->data, at + n);
		memcpy(copy + at + n, f->data + at, f->len - at);
		CU_ASSERT_EQUAL(verify_as(&log, f->name, copy, f->len + n, NULL), AUDIT_TAMPERED);
		if (k + 1 == fs.n)
			continue;
		memcpy(copy, f->data, f->len);
		memcpy(copy + at, f->data + at + n, fs.f[k + 1].len);
		memcpy(copy + at + fs.f[k + 1].len, f->data + at, n);
		CU_ASSERT_EQUAL(verify_as(&log, f->name, copy, f->len, NULL), AUDIT_TAMPERED);
	}
	audit_segment_free(&fs.seg);
	tear_down(&log);
}

/* Cut the end off at every record, and make everything beside it fit as well as can be. */
static void test_cut_tail(void)
{
	struct log log;
	struct frames fs;
	struct file *f, *head;
	unsigned last = 0;

	build(&log);
	while (find(&log, ".aseg", last + 1))
		last++;
	f = find(&log, ".aseg", last);
	head = find(&log, "head", 0);
	split(&fs, &log, f->name);
	for (size_t k = 0; k + 1 < fs.n; k++) {
		enum audit_verdict v;

		/* the head file still knows */
		v = verify_as(&log, f->name, f->data, fs.at[k + 1], NULL);
		CU_ASSERT_EQUAL(v, AUDIT_TAMPERED);
		if (fs.f[k].type != AUDIT_TYPE_CHECKPOINT)
			continue;
		/* an older head: the key state, or an open producer, knows still */
		write_file(log.dir, head->name, fs.f[k].payload, fs.f[k].payload_len);
		CU_ASSERT_NOT_EQUAL(fixture_verify(log.dir, NULL), AUDIT_INTACT);
		restore(&log, head);
	}
	audit_segment_free(&fs.seg);
	tear_down(&log);
}

static void test_segments(void)
{
	struct log log;
	char path[FIXTURE_PATH + 100], other[FIXTURE_PATH + 100];
	struct file *f;

	build(&log);
	/* the first, a middle one: missing */
	for (unsigned i = 0; i < 3; i++) {
		f = find(&log, ".aseg", i);
		snprintf(path, sizeof(path), "%s/%s", log.dir, f->name);
		unlink(path);
		CU_ASSERT_EQUAL(fixture_verify(log.dir, NULL), AUDIT_TAMPERED);
		restore(&log, f);
	}
	/* renamed, doubled */
	f = find(&log, ".aseg", 1);
	snprintf(path, sizeof(path), "%s/%s", log.dir, f->name);
	snprintf(other, sizeof(other), "%s/%.9s%020d.aseg", log.dir, f->name, 77777);
	CU_ASSERT_EQUAL(rename(path, other), 0);
	CU_ASSERT_EQUAL(fixture_verify(log.dir, NULL), AUDIT_TAMPERED);
	restore(&log, f);
	CU_ASSERT_EQUAL(fixture_verify(log.dir, NULL), AUDIT_TAMPERED);
	unlink(other);
	CU_ASSERT_EQUAL(fixture_verify(log.dir, NULL), AUDIT_INTACT);
	tear_down(&log);
}

/* ---- trust ---- */

static enum audit_verdict verify_with(const struct audit_verify_conf *conf, struct audit_report *rep)
{
	struct audit_report own;
	struct err e = ERR_INIT;
	enum audit_verdict v = audit_verify(rep ? rep : &own, conf, &e);

	audit_report_free(rep ? rep : &own);
	return v;
}

static void test_keys(void)
{
	struct audit_disk disk = audit_disk_posix;
	struct fixture_conf c = {.disk = &disk, .segment_bytes = 9000, .records = 60, .batch = 6,
				 .hour = true};
	char dir[FIXTURE_PATH], escrow[FIXTURE_PATH + 16], pub[FIXTURE_PATH + 16];
	struct audit_verify_conf conf = {0};
	struct audit_report rep;
	struct audit_log *l = NULL;
	struct log other;

	disk.sync = no_sync;
	fixture_dir(dir);
	c.dir = dir;
	snprintf(escrow, sizeof(escrow), "%s.root", dir);
	snprintf(pub, sizeof(pub), "%s/root.pub", dir);
	const struct audit_log_conf lc = {.dir = dir, .disk = &disk, .escrow = escrow};

	CU_ASSERT_EQUAL_FATAL(audit_log_open(&l, &lc, NULL), 0);
	CU_ASSERT_EQUAL(audit_log_close(l), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_session(&c, "one"), 0);
	tear(dir);
	CU_ASSERT_EQUAL_FATAL(fixture_session(&c, "two"), 0);
	conf = (struct audit_verify_conf){.dir = dir, .key = escrow};
	CU_ASSERT_EQUAL(verify_with(&conf, &rep), AUDIT_INTACT);
	CU_ASSERT(rep.macs);
	CU_ASSERT_EQUAL(rep.crashes, 1);
	conf = (struct audit_verify_conf){.dir = dir, .key = escrow, .pub = pub};
	CU_ASSERT_EQUAL(verify_with(&conf, NULL), AUDIT_INTACT);
	conf = (struct audit_verify_conf){.dir = dir, .pub = pub, .quick = true};
	CU_ASSERT_EQUAL(verify_with(&conf, NULL), AUDIT_INTACT);
	conf = (struct audit_verify_conf){.dir = dir, .pub = pub, .strict = true};
	CU_ASSERT_EQUAL(verify_with(&conf, NULL), AUDIT_INCOMPLETE);
	/* keys of another log */
	build(&other);
	snprintf(pub, sizeof(pub), "%s/root.pub", other.dir);
	conf = (struct audit_verify_conf){.dir = dir, .pub = pub};
	CU_ASSERT(verify_with(&conf, NULL) == AUDIT_TAMPERED || verify_with(&conf, NULL) == AUDIT_NO_TRUST);
	conf = (struct audit_verify_conf){.dir = other.dir, .key = escrow};
	CU_ASSERT_EQUAL(verify_with(&conf, NULL), AUDIT_NO_TRUST);
	conf = (struct audit_verify_conf){.dir = dir, .pub = "/nonexistent"};
	CU_ASSERT_EQUAL(verify_with(&conf, NULL), AUDIT_NO_TRUST);
	tear_down(&other);
	unlink(escrow);
	fixture_remove(dir);
}

/* An anchor shows what the files themselves cannot: an older copy of everything. */
static void test_anchor(void)
{
	struct log log;
	struct audit_verify_conf conf = {0};
	struct audit_disk disk = audit_disk_posix;
	struct fixture_conf c = {.disk = &disk, .records = 30, .batch = 10};
	char anchor[FIXTURE_PATH + 16];
	struct log later;
	struct file *head;
	struct audit_report rep;

	disk.sync = no_sync;
	build(&log);
	memcpy(later.dir, log.dir, sizeof(later.dir));
	c.dir = log.dir;
	CU_ASSERT_EQUAL_FATAL(fixture_session(&c, "four"), 0);
	load(&later);
	head = find(&later, "head", 0);
	snprintf(anchor, sizeof(anchor), "%s.anchor", log.dir);
	write_file("", anchor, head->data, head->len);
	conf = (struct audit_verify_conf){.dir = log.dir, .anchor = anchor};
	CU_ASSERT_EQUAL(verify_with(&conf, &rep), AUDIT_INTACT);
	CU_ASSERT_EQUAL(rep.anchored, rep.records);
	/* yesterday's copy of log and state: intact by itself, not before the anchor */
	fixture_remove(log.dir);
	mkdir(log.dir, 0700);
	for (size_t i = 0; i < log.n; i++)
		restore(&log, &log.files[i]);
	CU_ASSERT_EQUAL(fixture_verify(log.dir, NULL), AUDIT_INTACT);
	CU_ASSERT_EQUAL(verify_with(&conf, NULL), AUDIT_TAMPERED);
	/* and the log that goes on from there is another one */
	CU_ASSERT_EQUAL_FATAL(fixture_session(&c, "five"), 0);
	CU_ASSERT_EQUAL(verify_with(&conf, NULL), AUDIT_TAMPERED);
	unlink(anchor);
	unload(&later);
	tear_down(&log);
}

/* ---- what the writer does with a log that was tampered with ---- */

static int reopen(const char *dir)
{
	const struct audit_log_conf conf = {.dir = dir};
	struct audit_log *l = NULL;
	int r = audit_log_open(&l, &conf, NULL);

	if (r == 0)
		audit_log_close(l);
	return r;
}

static void test_writer_refuses(void)
{
	struct log log;
	struct file *f, *state, *head;
	char path[FIXTURE_PATH + 100];
	unsigned last = 0;

	build(&log);
	while (find(&log, ".aseg", last + 1))
		last++;
	f = find(&log, ".aseg", last);
	state = find(&log, "state", 0);
	head = find(&log, "head", 0);
	snprintf(path, sizeof(path), "%s/state", log.dir);
	unlink(path);
	CU_ASSERT_EQUAL(reopen(log.dir), -EUCLEAN);
	CU_ASSERT_EQUAL(fixture_verify(log.dir, NULL), AUDIT_TAMPERED);
	restore(&log, state);
	/* cut */
	write_file(log.dir, f->name, f->data, f->len - 3);
	CU_ASSERT_EQUAL(reopen(log.dir), -EUCLEAN);
	restore(&log, f);
	/* changed, and no head that would spare the reading */
	f->data[f->len / 2] ^= 4;
	restore(&log, f);
	snprintf(path, sizeof(path), "%s/head", log.dir);
	unlink(path);
	CU_ASSERT_EQUAL(reopen(log.dir), -EUCLEAN);
	f->data[f->len / 2] ^= 4;
	restore(&log, f);
	restore(&log, head);
	CU_ASSERT_EQUAL(reopen(log.dir), 0);
	CU_ASSERT_EQUAL(fixture_verify(log.dir, NULL), AUDIT_INTACT);
	tear_down(&log);
}

static const struct unit_case cases[] = {
	{"random changes", test_random},
	{"missing and exchanged files", test_missing_files},
	{"forged fields", test_forged_fields},
	{"deleted, doubled, swapped records", test_moved_records},
	{"tail cut off", test_cut_tail},
	{"segments", test_segments},
	{"keys", test_keys},
	{"anchor", test_anchor},
	{"the writer refuses", test_writer_refuses},
};

UNIT_MAIN("audit_tamper", cases)
