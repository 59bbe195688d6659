/* The log: any bytes as a segment file, as one record's payload, and as a checkpoint. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/audit_note.h"
#include "common/audit_segment.h"
#include "common/cbor.h"
#include "tests/fuzz/fuzz.h"

static void payload(const uint8_t *p, size_t len)
{
	struct cbor_in in = {p, len};
	struct cbor_item item;

	while (in.left > 0 && cbor_next(&in, &item) == 0)
		assert(in.left < len);
	in = (struct cbor_in){p, len};
	while (in.left > 0) {
		size_t before = in.left;

		if (cbor_skip(&in) < 0)
			break;
		assert(in.left < before);
	}
	if (cbor_check_map(p, len) < 0)
		return;
	/* what is well-formed is one item, all of it */
	in = (struct cbor_in){p, len};
	assert(cbor_skip(&in) == 0 && in.left == 0);
}

static void frames(const struct audit_segment *s)
{
	struct audit_frame f;
	size_t pos = s->start;

	while (pos < s->len && audit_segment_frame(s, pos, &f) == 1) {
		assert(f.len >= AUDIT_FRAME_MIN && f.len <= s->len - pos);
		assert(f.payload >= s->data && f.payload + f.payload_len <= s->data + s->len);
		payload(f.payload, f.payload_len);
		pos += f.len;
	}
	if (pos < s->len)
		audit_segment_resumes(s, pos, s->first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct audit_note note;
	struct audit_segment s = {.data = malloc(size + 1), .len = size};
	uint8_t sig[AUDIT_SIG_LEN];
	size_t signed_len;

	if (!s.data)
		return 0;
	if (size > 0)
		memcpy(s.data, data, size);
	if (audit_segment_parse(&s) == 0) {
		assert(s.start <= s.len && s.note_len <= s.len);
		frames(&s);
	}
	/* the checksum of a frame is hard to guess: its content is looked at by itself as well */
	payload(data, size);
	if (size > 0 && audit_note_parse(&note, (const char *)data, size, &signed_len, sig) == 0)
		assert(signed_len <= size);
	audit_segment_free(&s);
	return 0;
}
