#include "common/audit_frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "common/crc32c.h"

uint32_t audit_get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

uint64_t audit_get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

void audit_put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

void audit_put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

void audit_frame_put(uint8_t *out, const struct audit_frame *f)
{
	audit_put32(out, (uint32_t)(AUDIT_FRAME_MIN + f->payload_len));
	audit_put32(out + 4, 0);
	audit_put64(out + 8, f->seq);
	audit_put64(out + 16, f->wall_ns);
	audit_put64(out + 24, f->mono_ns);
	audit_put32(out + 32, (uint32_t)f->producer | (uint32_t)f->type << 16);
	audit_put32(out + 36, f->flags);
	audit_put64(out + 40, f->pseq);
	if (f->payload_len)
		memcpy(out + AUDIT_FRAME_HEAD, f->payload, f->payload_len);
}

void audit_frame_mac_pieces(struct sha256_piece v[2], const uint8_t *raw, uint32_t len)
{
	v[0] = (struct sha256_piece){raw, 4};
	v[1] = (struct sha256_piece){raw + 8, len - 8 - AUDIT_FRAME_TAG};
}

static uint32_t checksum(const uint8_t *raw, uint32_t len)
{
	return crc32c(crc32c(0, raw, 4), raw + 8, len - 8);
}

void audit_frame_finish(uint8_t *raw, uint32_t len, const uint8_t tag[AUDIT_FRAME_TAG])
{
	memcpy(raw + len - AUDIT_FRAME_TAG, tag, AUDIT_FRAME_TAG);
	audit_put32(raw + 4, checksum(raw, len));
}

int audit_frame_parse(struct audit_frame *f, const uint8_t *p, size_t left)
{
	uint32_t len;

	if (left < 4)
		return -EMSGSIZE;
	len = audit_get32(p);
	if (len == 0)
		return -ENODATA;
	if (len < AUDIT_FRAME_MIN || len > AUDIT_FRAME_MAX)
		return -EBADMSG;
	if (len > left)
		return -EMSGSIZE;
	if (audit_get32(p + 4) != checksum(p, len))
		return -EBADMSG;
	f->len = len;
	f->seq = audit_get64(p + 8);
	f->wall_ns = audit_get64(p + 16);
	f->mono_ns = audit_get64(p + 24);
	f->producer = (uint16_t)audit_get32(p + 32);
	f->type = (uint16_t)(audit_get32(p + 32) >> 16);
	f->flags = audit_get32(p + 36);
	f->pseq = audit_get64(p + 40);
	f->payload = p + AUDIT_FRAME_HEAD;
	f->payload_len = len - AUDIT_FRAME_MIN;
	f->raw = p;
	return 0;
}
