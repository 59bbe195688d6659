#include <errno.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/undo.h"

struct out {
	uint8_t *p;
	size_t len, size;
};

static void put(struct out *o, const void *src, size_t n)
{
	if (n && o->len <= o->size && n <= o->size - o->len)
		memcpy(o->p + o->len, src, n);
	o->len += n;
}

static void put_u32(struct out *o, uint32_t v)
{
	const uint8_t b[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};

	put(o, b, sizeof(b));
}

static void put_u64(struct out *o, uint64_t v)
{
	put_u32(o, (uint32_t)v);
	put_u32(o, (uint32_t)(v >> 32));
}

static void put_ref(struct out *o, struct undo_ref r)
{
	put_u64(o, r.dev);
	put_u64(o, r.ino);
}

static void put_time(struct out *o, struct undo_time t)
{
	put_u64(o, (uint64_t)t.s);
	put_u32(o, t.ns);
}

static void put_text(struct out *o, struct undo_text t)
{
	put_u32(o, t.len);
	put(o, t.p, t.len);
}

static void put_attr(struct out *o, const struct undo_attr *a)
{
	put_u32(o, a->mode);
	put_u32(o, a->uid);
	put_u32(o, a->gid);
	put_u64(o, a->size);
	put_time(o, a->mtime);
	put_time(o, a->ctime);
}

/* What a frame of each type has, in this order. */
enum part {
	P_REF = 1u << 0,
	P_REF2 = 1u << 1,
	P_DIR = 1u << 2, /* with its mtime */
	P_DIR2 = 1u << 3,
	P_ATTR = 1u << 4,
	P_OBJECT = 1u << 5,
	P_NAME = 1u << 6,
	P_NAME2 = 1u << 7,
	P_XATTRS = 1u << 8,
};

static const unsigned parts[UNDO_TYPES] = {
	[UNDO_ROOT] = P_REF | P_NAME | P_NAME2,
	[UNDO_AT] = P_REF | P_DIR | P_NAME,
	[UNDO_ADD] = P_DIR | P_NAME,
	[UNDO_DONE] = P_REF,
	[UNDO_DEL] = P_REF | P_DIR | P_NAME,
	[UNDO_MOVE] = P_REF | P_REF2 | P_DIR | P_DIR2 | P_NAME | P_NAME2,
	[UNDO_KEEP] = P_REF | P_ATTR | P_OBJECT | P_NAME | P_XATTRS,
	[UNDO_DATA] = P_REF | P_ATTR | P_OBJECT,
	[UNDO_ATTR] = P_REF | P_ATTR | P_XATTRS,
	[UNDO_STAMP] = P_REF | P_ATTR,
	[UNDO_GAP] = P_NAME,
	[UNDO_ALIAS] = P_REF | P_REF2,
};

int undo_encode(void *buf, size_t size, const struct undo_frame *f)
{
	static const uint8_t zeros[8];
	struct out o = {.p = buf, .size = size}, head = {.p = buf, .size = size};
	unsigned has = parts[f->type];

	put_u32(&o, UNDO_MAGIC);
	put_u32(&o, 0);
	put_u32(&o, 0);
	put_u32(&o, (uint32_t)f->type | f->flags << 16);
	put_u64(&o, f->pseq);
	put_u64(&o, f->wall_ns);
	put_u64(&o, f->op);
	if (has & P_REF)
		put_ref(&o, f->ref);
	if (has & P_REF2)
		put_ref(&o, f->ref2);
	if (has & P_DIR) {
		put_ref(&o, f->dir);
		put_time(&o, f->dir_mtime);
	}
	if (has & P_DIR2) {
		put_ref(&o, f->dir2);
		put_time(&o, f->dir2_mtime);
	}
	if (has & P_ATTR)
		put_attr(&o, &f->attr);
	if (has & P_OBJECT)
		put_u64(&o, f->object);
	if (has & P_NAME)
		put_text(&o, f->name);
	if (has & P_NAME2)
		put_text(&o, f->name2);
	if (has & P_XATTRS)
		put_text(&o, f->xattrs);
	put(&o, zeros, -o.len & 7);
	if (o.len > size || o.len > UNDO_FRAME_MAX)
		return -EMSGSIZE;
	put_u32(&head, UNDO_MAGIC);
	put_u32(&head, (uint32_t)o.len);
	put_u32(&head, crc32c(0, (uint8_t *)buf + 12, o.len - 12));
	return (int)o.len;
}

struct in {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static const uint8_t *take(struct in *i, size_t n)
{
	const uint8_t *p = i->p;

	if (n > i->left) {
		i->bad = true;
		return NULL;
	}
	i->p += n;
	i->left -= n;
	return p;
}

static uint32_t get_u32(struct in *i)
{
	const uint8_t *b = take(i, 4);

	return b ? (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
			   (uint32_t)b[3] << 24
		 : 0;
}

static uint64_t get_u64(struct in *i)
{
	uint64_t low = get_u32(i);

	return low | (uint64_t)get_u32(i) << 32;
}

static struct undo_ref get_ref(struct in *i)
{
	uint64_t dev = get_u64(i);

	return (struct undo_ref){dev, get_u64(i)};
}

static struct undo_time get_time(struct in *i)
{
	int64_t s = (int64_t)get_u64(i);

	return (struct undo_time){s, get_u32(i)};
}

static struct undo_text get_text(struct in *i)
{
	uint32_t len = get_u32(i);
	const uint8_t *p = take(i, len);

	return (struct undo_text){(const char *)p, p ? len : 0};
}

static void get_attr(struct in *i, struct undo_attr *a)
{
	a->mode = get_u32(i);
	a->uid = get_u32(i);
	a->gid = get_u32(i);
	a->size = get_u64(i);
	a->mtime = get_time(i);
	a->ctime = get_time(i);
}

static void get_parts(struct undo_frame *f, struct in *i)
{
	unsigned has = parts[f->type];

	if (has & P_REF)
		f->ref = get_ref(i);
	if (has & P_REF2)
		f->ref2 = get_ref(i);
	if (has & P_DIR) {
		f->dir = get_ref(i);
		f->dir_mtime = get_time(i);
	}
	if (has & P_DIR2) {
		f->dir2 = get_ref(i);
		f->dir2_mtime = get_time(i);
	}
	if (has & P_ATTR)
		get_attr(i, &f->attr);
	if (has & P_OBJECT)
		f->object = get_u64(i);
	if (has & P_NAME)
		f->name = get_text(i);
	if (has & P_NAME2)
		f->name2 = get_text(i);
	if (has & P_XATTRS)
		f->xattrs = get_text(i);
}

/* @return bytes of the frame at p, 0 when there is no good one */
static size_t decode_one(struct undo_frame *f, const uint8_t *p, size_t left)
{
	struct in head = {.p = p, .left = left}, body;
	uint32_t magic = get_u32(&head), len = get_u32(&head), crc = get_u32(&head), kind;

	if (head.bad || magic != UNDO_MAGIC || len < UNDO_HEAD || len > left || len % 8 ||
	    len > UNDO_FRAME_MAX || crc32c(0, p + 12, len - 12) != crc)
		return 0;
	body = (struct in){.p = p + 12, .left = len - 12};
	memset(f, 0, sizeof(*f));
	kind = get_u32(&body);
	f->type = (enum undo_type)(kind & 0xFFFF);
	f->flags = kind >> 16;
	f->pseq = get_u64(&body);
	f->wall_ns = get_u64(&body);
	f->op = get_u64(&body);
	if (f->type < UNDO_ROOT || f->type >= UNDO_TYPES)
		return 0;
	get_parts(f, &body);
	return body.bad ? 0 : len;
}

int undo_decode(struct undo_frame *f, const uint8_t *buf, size_t len, size_t *at, size_t *skipped)
{
	while (*at < len) {
		size_t n = decode_one(f, buf + *at, len - *at);

		if (n) {
			*at += n;
			return 1;
		}
		++*at;
		++*skipped;
	}
	return 0;
}

struct undo_ref undo_ref_of(const struct stat *st)
{
	return (struct undo_ref){st->st_dev, st->st_ino};
}

struct undo_attr undo_attr_of(const struct stat *st)
{
	return (struct undo_attr){
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size = (uint64_t)st->st_size,
		.mtime = {st->st_mtim.tv_sec, (uint32_t)st->st_mtim.tv_nsec},
		.ctime = {st->st_ctim.tv_sec, (uint32_t)st->st_ctim.tv_nsec},
	};
}

struct undo_text undo_text_of(const char *s)
{
	return (struct undo_text){s, (uint32_t)strlen(s)};
}
