#include "common/audit_segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/auto.h"
#include "common/crc32c.h"
#include "common/str.h"

static const uint8_t magic[8] = {'A', 'S', 'E', 'G', '1', '\r', '\n', 0x1a};
#define FORMAT_VERSION 1u
#define AGAIN_TRIES 5
#define AGAIN_US 2000u

void audit_segment_name(char out[AUDIT_SEGMENT_NAME], const uint8_t log_id[AUDIT_ID_LEN],
			uint64_t first)
{
	snprintf(out, AUDIT_SEGMENT_NAME, "%02x%02x%02x%02x-%020llu.aseg", log_id[0], log_id[1],
		 log_id[2], log_id[3], (unsigned long long)first);
}

void audit_segment_torn(char out[AUDIT_TORN_NAME], const uint8_t log_id[AUDIT_ID_LEN],
			uint64_t first, uint64_t offset)
{
	char name[AUDIT_SEGMENT_NAME];

	audit_segment_name(name, log_id, first);
	snprintf(out, AUDIT_TORN_NAME, "%s.%llu.torn", name, (unsigned long long)offset);
}

static bool parse_name(struct audit_segment_ref *ref, const char *name)
{
	char digits[21];
	uint8_t id[4];

	if (strlen(name) != 34 || name[8] != '-' || strcmp(name + 29, ".aseg") != 0 ||
	    audit_unhex(id, 4, name) < 0)
		return false;
	memcpy(digits, name + 9, 20);
	digits[20] = '\0';
	memcpy(ref->name, name, 35);
	return str_to_u64(&ref->first, digits, 0, UINT64_MAX) == 0;
}

static int by_first(const void *pa, const void *pb)
{
	const struct audit_segment_ref *a = pa, *b = pb;

	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return strcmp(a->name, b->name);
}

static void dir_close(DIR *d)
{
	if (d)
		closedir(d);
}
AUTO_DEFINE(DIR *, dir_close)

int audit_segment_list(struct audit_segment_list *out, int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(dir_close) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct audit_segment_list l = {0};
	size_t cap = 0;
	struct dirent *ent;

	if (!d)
		return -errno;
	while ((ent = readdir(d))) {
		struct audit_segment_ref ref, *more;

		if (!parse_name(&ref, ent->d_name))
			continue;
		if (l.n == cap) {
			cap = cap ? cap * 2 : 16;
			more = realloc(l.v, cap * sizeof(*more));
			if (!more) {
				free(l.v);
				return -ENOMEM;
			}
			l.v = more;
		}
		l.v[l.n++] = ref;
	}
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_first);
	*out = l;
	return 0;
}

void audit_segment_list_free(struct audit_segment_list *l)
{
	free(l->v);
	l->v = NULL;
	l->n = 0;
}

#define HEAD_ROOM (AUDIT_SEGMENT_HEAD + AUDIT_PAYLOAD_MAX)

/* @return bytes read: fewer than asked at the end of the file; or -errno */
static ssize_t read_at(int fd, uint8_t *p, size_t len, size_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, p + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break; /* cut by the writer meanwhile: only unused space ends that way */
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int audit_segment_read(struct audit_segment *s, int dir, const char *name, uint64_t from)
{
	autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	autofree uint8_t *data = NULL;
	struct stat st;
	size_t len, at = 0;
	ssize_t n;

	memset(s, 0, sizeof(*s));
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > AUDIT_SEGMENT_LIMIT)
		return -EFBIG;
	len = (size_t)st.st_size;
	data = malloc(len + 1);
	if (!data)
		return -ENOMEM;
	if (from > len)
		from = from == AUDIT_SEGMENT_HEADER_ONLY ? len : 0;
	if (from > HEAD_ROOM) {
		n = read_at(fd, data, HEAD_ROOM, 0);
		if (n < 0)
			return (int)n;
		at = (size_t)from;
	}
	n = read_at(fd, data + at, len - at, at);
	if (n < 0)
		return (int)n;
	s->data = steal_ptr(&data);
	s->len = at + (size_t)n;
	return 0;
}

void audit_segment_free(struct audit_segment *s)
{
	free(s->data);
	memset(s, 0, sizeof(*s));
}

static uint32_t header_sum(const uint8_t *p, size_t len)
{
	return crc32c(crc32c(0, p, 44), p + AUDIT_SEGMENT_HEAD, len - AUDIT_SEGMENT_HEAD);
}

int audit_segment_parse(struct audit_segment *s)
{
	const uint8_t *p = s->data;
	uint32_t len, note;

	if (s->len < AUDIT_SEGMENT_HEAD || memcmp(p, magic, sizeof(magic)) != 0 ||
	    audit_get32(p + 8) != FORMAT_VERSION)
		return -EBADMSG;
	len = audit_get32(p + 12);
	note = audit_get32(p + 40);
	if (len > s->len || len < AUDIT_SEGMENT_HEAD || note != len - AUDIT_SEGMENT_HEAD ||
	    audit_get32(p + 44) != header_sum(p, len))
		return -EBADMSG;
	memcpy(s->log_id, p + 16, AUDIT_ID_LEN);
	s->first = audit_get64(p + 32);
	s->note = (const char *)p + AUDIT_SEGMENT_HEAD;
	s->note_len = note;
	s->start = len;
	return 0;
}

size_t audit_segment_header(uint8_t *out, const uint8_t log_id[AUDIT_ID_LEN], uint64_t first,
			    const char *note, size_t note_len)
{
	size_t len = AUDIT_SEGMENT_HEAD + note_len;

	memcpy(out, magic, sizeof(magic));
	audit_put32(out + 8, FORMAT_VERSION);
	audit_put32(out + 12, (uint32_t)len);
	memcpy(out + 16, log_id, AUDIT_ID_LEN);
	audit_put64(out + 32, first);
	audit_put32(out + 40, (uint32_t)note_len);
	if (note_len)
		memcpy(out + AUDIT_SEGMENT_HEAD, note, note_len);
	audit_put32(out + 44, header_sum(out, len));
	return len;
}

static bool all_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

int audit_segment_frame(const struct audit_segment *s, size_t pos, struct audit_frame *f)
{
	if (audit_frame_parse(f, s->data + pos, s->len - pos) == 0)
		return 1;
	return all_zero(s->data + pos, s->len - pos) ? 0 : -EBADMSG;
}

int audit_segment_again(struct audit_segment *s, int dir, const char *name, size_t pos,
			struct audit_frame *f)
{
	int r = -EBADMSG;

	for (int i = 0; i < AGAIN_TRIES && r == -EBADMSG; i++) {
		struct audit_segment fresh;

		usleep(AGAIN_US);
		r = audit_segment_read(&fresh, dir, name, 0);
		if (r < 0)
			return r;
		if (audit_segment_parse(&fresh) < 0 || fresh.len < pos) {
			audit_segment_free(&fresh);
			return -EBADMSG;
		}
		audit_segment_free(s);
		*s = fresh;
		r = audit_segment_frame(s, pos, f);
	}
	return r;
}

bool audit_segment_resumes(const struct audit_segment *s, size_t pos, uint64_t seq)
{
	struct audit_frame f;

	/* look at the cheap fields first: the checksum is for the few that could be frames */
	for (size_t at = pos + 1; at + AUDIT_FRAME_MIN <= s->len; at++) {
		const uint8_t *p = s->data + at;
		uint64_t got = audit_get64(p + 8);

		if (got < seq || got - seq > AUDIT_SEGMENT_LIMIT / AUDIT_FRAME_MIN)
			continue;
		if (audit_frame_parse(&f, p, s->len - at) == 0)
			return true;
	}
	return false;
}

bool audit_segment_list_trim(struct audit_segment_list *l, int dir)
{
	const struct audit_segment_ref *last = l->n ? &l->v[l->n - 1] : NULL;
	struct audit_segment seg;
	bool unfinished;

	if (!last || audit_segment_read(&seg, dir, last->name, AUDIT_SEGMENT_HEADER_ONLY) < 0)
		return false;
	unfinished = audit_segment_parse(&seg) < 0;
	audit_segment_free(&seg);
	if (!unfinished || audit_segment_read(&seg, dir, last->name, 0) < 0)
		return false;
	unfinished = !audit_segment_resumes(&seg, 0, last->first);
	audit_segment_free(&seg);
	l->n -= unfinished;
	return unfinished;
}
