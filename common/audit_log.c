/*
 * Theory: a record gets its number, MAC and leaf when it enters the batch; the batch is written
 * with one pwrite and synced once. A checkpoint is the last frame of a batch, so signing costs no
 * further sync. The MAC key is stepped at the first record of a batch: who takes over the machine
 * finds only the key of the batch that is not committed yet.
 */
#include "common/audit_log_i.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/audit_sys.h"

bool audit_log_has_room(const struct audit_log *l)
{
	return l->batch_len < AUDIT_BATCH_MAX;
}

static int final(struct audit_log *l, int code)
{
	l->failed = code;
	return code;
}

static int step_key(struct audit_log *l, struct audit_frame *f)
{
	if (l->stepped)
		return 0;
	if (audit_key_step(l->keys->mac) < 0 || sha256_key(l->mac, l->keys->mac, AUDIT_KEY_LEN) < 0)
		return final(l, -EIO);
	l->step++;
	l->stepped = true;
	f->flags |= AUDIT_FLAG_STEP;
	return 0;
}

/* Number, MAC, checksum, leaf. Errors past the chain's check leave half a record: they are final. */
static int add(struct audit_log *l, struct audit_frame *f)
{
	uint8_t *raw = l->batch + l->batch_len;
	struct sha256_piece v[3] = {{l->t, SHA256_LEN}};
	uint8_t leaf[SHA256_LEN];

	if (l->failed)
		return l->failed;
	f->len = (uint32_t)(AUDIT_FRAME_MIN + f->payload_len);
	if (f->payload_len > AUDIT_PAYLOAD_MAX || f->len > AUDIT_BATCH_BUF - l->batch_len)
		return -EMSGSIZE;
	f->seq = l->chain->tree.size;
	f->flags = 0;
	if (audit_chain_take(l->chain, f) != AUDIT_FAULT_NONE)
		return -EINVAL;
	if (step_key(l, f) < 0)
		return -EIO;
	audit_frame_put(raw, f);
	audit_frame_mac_pieces(v + 1, raw, f->len);
	if (sha256_mac(l->mac, l->t, v, 3) < 0)
		return final(l, -EIO);
	audit_frame_finish(raw, f->len, l->t);
	if (merkle_leaf(l->hash, leaf, raw, f->len) < 0 ||
	    merkle_add(l->hash, &l->chain->tree, leaf) < 0)
		return final(l, -EIO);
	l->batch_len += f->len;
	return 0;
}

int audit_log_event(struct audit_log *l, const struct audit_frame *f)
{
	struct audit_frame copy = *f;

	copy.type = AUDIT_TYPE_EVENT;
	return add(l, &copy);
}

int audit_log_ctl(struct audit_log *l, enum audit_type type, const struct cbor_out *payload)
{
	struct audit_frame f = {.type = (uint16_t)type,
				.wall_ns = audit_sys_now(CLOCK_REALTIME),
				.mono_ns = audit_sys_now(CLOCK_MONOTONIC),
				.pseq = l->chain->ctl_pseq + 1,
				.payload = payload->p,
				.payload_len = payload->len};

	return payload->full ? -EMSGSIZE : add(l, &f);
}

int audit_log_up(struct audit_log *l, enum audit_gate gate, const char *session, pid_t pid,
		 uid_t uid)
{
	uint16_t id = audit_chain_free_id(l->chain);
	uint8_t buf[256];
	struct cbor_out o;
	int r;

	if (!id)
		return -EUSERS;
	cbor_begin(&o, buf, sizeof(buf));
	cbor_head(&o, CBOR_MAP, 5);
	cbor_text(&o, "id");
	cbor_u64(&o, id);
	cbor_text(&o, "pid");
	cbor_u64(&o, (uint64_t)pid);
	cbor_text(&o, "uid");
	cbor_u64(&o, uid);
	cbor_text(&o, "gate");
	cbor_u64(&o, gate);
	cbor_text(&o, "session");
	cbor_text(&o, session);
	r = audit_log_ctl(l, AUDIT_TYPE_UP, &o);
	return r < 0 ? r : id;
}

int audit_log_down(struct audit_log *l, uint16_t id, const char *reason)
{
	struct audit_live *live = audit_chain_find(l->chain, id);
	uint8_t buf[128];
	struct cbor_out o;

	if (!live)
		return -ENOENT;
	cbor_begin(&o, buf, sizeof(buf));
	cbor_head(&o, CBOR_MAP, 3);
	cbor_text(&o, "id");
	cbor_u64(&o, id);
	cbor_text(&o, "last");
	cbor_u64(&o, live->pseq);
	cbor_text(&o, "reason");
	cbor_text(&o, reason);
	return audit_log_ctl(l, AUDIT_TYPE_DOWN, &o);
}

int audit_log_disk(struct audit_log *l, const char *op)
{
	uint8_t buf[64];
	struct cbor_out o;

	cbor_begin(&o, buf, sizeof(buf));
	cbor_head(&o, CBOR_MAP, 1);
	cbor_text(&o, "op");
	cbor_text(&o, op);
	return audit_log_ctl(l, AUDIT_TYPE_DISK, &o);
}

/* ---- space ---- */

int audit_log_no_space(int code)
{
	return code == -ENOSPC || code == -EDQUOT ? -ENOSPC : code;
}

static int grow(struct audit_log *l)
{
	int r = audit_log_no_space(l->disk->grow(l->fd, (off_t)l->alloc, AUDIT_SPACE_STEP));

	if (r == 0)
		l->alloc += AUDIT_SPACE_STEP;
	else if (r != -ENOSPC)
		l->failed = r;
	return r;
}

int audit_log_ensure_space(struct audit_log *l)
{
	if (l->failed)
		return l->failed;
	return audit_log_space(l) < AUDIT_SPACE_LOW ? grow(l) : 0;
}

uint64_t audit_log_space(const struct audit_log *l)
{
	uint64_t used = l->off + l->batch_len;

	return l->alloc > used ? l->alloc - used : 0;
}

/* ---- commit ---- */

int audit_log_commit(struct audit_log *l)
{
	int r;

	if (l->failed)
		return l->failed;
	if (l->batch_len == 0)
		return 0;
	while (l->off + l->batch_len > l->alloc) {
		r = grow(l);
		if (r < 0)
			return r;
	}
	r = audit_log_no_space(audit_disk_write(l->disk, l->fd, l->batch, l->batch_len, (off_t)l->off));
	if (r == -ENOSPC)
		return r; /* reserved space cannot run out, but some file systems only promise it */
	if (r == 0)
		r = l->disk->sync(l->fd);
	if (r < 0)
		return final(l, r);
	l->off += l->batch_len;
	l->batch_len = 0;
	l->stepped = false;
	return 0;
}

static int note_frame(struct audit_log *l, const char *text, size_t len)
{
	struct audit_note *n = l->note;
	uint8_t *raw = l->batch + l->batch_len, digest[SHA256_LEN];
	struct audit_frame f = {.seq = n->tree.size,
				.wall_ns = n->wall_ns,
				.mono_ns = n->mono_ns,
				.type = AUDIT_TYPE_CHECKPOINT,
				.flags = n->seal ? AUDIT_FLAG_SEAL : 0u,
				.pseq = n->number,
				.payload = (const uint8_t *)text,
				.payload_len = len};
	struct sha256_piece v[2];

	f.len = (uint32_t)(AUDIT_FRAME_MIN + len);
	if (f.len > AUDIT_BATCH_BUF - l->batch_len)
		return -EMSGSIZE;
	audit_frame_put(raw, &f);
	audit_frame_mac_pieces(v, raw, f.len);
	if (sha256_hash(l->hash, digest, v, 2) < 0)
		return -EIO;
	audit_frame_finish(raw, f.len, digest);
	if (sha256_hash(l->hash, digest, &(struct sha256_piece){text, len}, 1) < 0 ||
	    audit_chain_take_note(l->chain, n, &f, digest) != AUDIT_FAULT_NONE)
		return -EIO;
	l->batch_len += f.len;
	return 0;
}

int audit_log_sign(struct audit_log *l, bool seal)
{
	autofree char *text = malloc(AUDIT_PAYLOAD_MAX);
	struct audit_note *n = l->note;
	int len, r;

	if (l->failed)
		return l->failed;
	if (!text)
		return -ENOMEM;
	audit_chain_note(l->chain, n);
	if (merkle_root(l->hash, n->root, &n->tree) < 0)
		return final(l, -EIO);
	memcpy(n->chain, l->t, SHA256_LEN);
	n->step = l->step;
	n->wall_ns = audit_sys_now(CLOCK_REALTIME);
	n->mono_ns = audit_sys_now(CLOCK_MONOTONIC);
	n->segment = l->first;
	n->offset = l->off + l->batch_len;
	n->seal = seal;
	len = audit_note_format(text, AUDIT_PAYLOAD_MAX, n, l->keys->seed);
	r = len < 0 ? len : note_frame(l, text, (size_t)len);
	if (r < 0)
		return final(l, r);
	r = audit_log_commit(l);
	/* a copy, not synced and not needed: an older head is as true, just less recent */
	if (r == 0)
		(void)audit_disk_replace(l->disk, l->dir, "head", text, (size_t)len, 0);
	if (r == 0 && seal)
		r = audit_log_segment_begin(l, text, (size_t)len);
	return r;
}

int audit_log_checkpoint(struct audit_log *l)
{
	return audit_log_sign(l, false);
}

int audit_log_rotate(struct audit_log *l)
{
	int r;

	if (l->failed || l->off < l->segment_bytes)
		return l->failed;
	/* the next file and its space first: once sealed, this one takes nothing more */
	r = audit_log_segment_create(l, l->chain->tree.size);
	if (r < 0)
		return r == -ENOSPC ? 0 : final(l, r);
	r = audit_log_sign(l, true);
	return r < 0 ? final(l, r) : 0;
}

/* ---- epochs ---- */

int audit_log_save_state(struct audit_log *l)
{
	struct audit_state s = {.epoch = l->chain->epoch + 1, .min_size = l->chain->tree.size};
	char text[AUDIT_STATE_TEXT];
	int len, r;

	memcpy(s.log_id, l->chain->log_id, AUDIT_ID_LEN);
	memcpy(s.secret, l->keys->next, AUDIT_KEY_LEN);
	memcpy(s.pub, l->pub, AUDIT_KEY_LEN);
	len = audit_state_format(text, &s);
	r = len < 0 ? len : audit_disk_replace(l->disk, l->dir, "state", text, (size_t)len, 1);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(&s, sizeof(s));
	return r;
}

/* The public key of the epoch after this one, and this epoch's word for it. */
static int certify(struct audit_log *l, uint64_t epoch, uint8_t next_pub[AUDIT_KEY_LEN],
		   uint8_t sig[AUDIT_SIG_LEN])
{
	AUTO(audit_keys_free) struct audit_keys *after = audit_keys_new();
	uint8_t cert[AUDIT_CERT_LEN];

	if (!after)
		return -ENOMEM;
	if (audit_key_epoch(after, l->keys->next, l->chain->log_id, epoch + 1) < 0 ||
	    audit_key_public(next_pub, after->seed) < 0)
		return -EIO;
	audit_key_cert(cert, l->chain->log_id, epoch + 1, next_pub);
	return audit_key_sign(sig, l->keys->seed, cert, sizeof(cert));
}

static int epoch_record(struct audit_log *l, uint64_t epoch, const char *reason)
{
	uint8_t buf[512], next[AUDIT_KEY_LEN], sig[AUDIT_SIG_LEN], commit[SHA256_LEN];
	struct cbor_out o;

	if (audit_key_public(l->pub, l->keys->seed) < 0 || certify(l, epoch, next, sig) < 0 ||
	    audit_key_commit(commit, l->keys->next) < 0)
		return -EIO;
	cbor_begin(&o, buf, sizeof(buf));
	cbor_head(&o, CBOR_MAP, 10);
	cbor_text(&o, "log");
	cbor_bytes(&o, l->chain->log_id, AUDIT_ID_LEN);
	cbor_text(&o, "pub");
	cbor_bytes(&o, l->pub, sizeof(l->pub));
	cbor_text(&o, "cert");
	cbor_bytes(&o, sig, sizeof(sig));
	cbor_text(&o, "next");
	cbor_bytes(&o, next, sizeof(next));
	cbor_text(&o, "torn");
	cbor_u64(&o, l->torn);
	cbor_text(&o, "epoch");
	cbor_u64(&o, epoch);
	cbor_text(&o, "commit");
	cbor_bytes(&o, commit, sizeof(commit));
	cbor_text(&o, "reason");
	cbor_text(&o, reason);
	cbor_text(&o, "version");
	cbor_u64(&o, 1);
	cbor_text(&o, "torn_sha256");
	cbor_bytes(&o, l->torn_hash, SHA256_LEN);
	l->torn = 0;
	memset(l->torn_hash, 0, SHA256_LEN);
	return audit_log_ctl(l, AUDIT_TYPE_EPOCH, &o);
}

int audit_log_epoch(struct audit_log *l, uint64_t epoch, const char *reason)
{
	int r = audit_key_epoch(l->keys, l->keys->next, l->chain->log_id, epoch);

	if (r == 0)
		r = sha256_key(l->mac, l->keys->mac, AUDIT_KEY_LEN);
	if (r == 0)
		r = audit_chain_start(l->hash, l->t, l->chain);
	if (r < 0)
		return final(l, r);
	l->step = 0;
	l->stepped = true;
	r = epoch_record(l, epoch, reason);
	if (r < 0)
		return final(l, r);
	/*
	 * The record first, then the state: a crash between the two repeats the epoch, which the
	 * chain allows; the other order would leave a hole in the epochs.
	 */
	while (l->chain->n_live > 0 && r == 0 && strcmp(reason, "hour") != 0)
		r = audit_log_down(l, l->chain->live[l->chain->n_live - 1].id, "writer died");
	if (r == 0)
		r = audit_log_commit(l);
	if (r == 0)
		r = audit_log_save_state(l);
	return r;
}

int audit_log_next_epoch(struct audit_log *l)
{
	int r = audit_log_checkpoint(l);

	return r < 0 ? r : audit_log_epoch(l, l->chain->epoch + 1, "hour");
}

/* ---- end ---- */

int audit_log_close(struct audit_log *l)
{
	int r = l->failed;

	if (r == 0 && (l->batch_len || l->chain->note_size < l->chain->tree.size))
		r = audit_log_checkpoint(l);
	if (r == 0)
		r = l->disk->truncate(l->fd, (off_t)l->off);
	audit_log_free(l);
	return r;
}

uint64_t audit_log_size(const struct audit_log *l)
{
	return l->chain->tree.size;
}

uint64_t audit_log_signed(const struct audit_log *l)
{
	return l->chain->note_size;
}

struct audit_chain *audit_log_chain(struct audit_log *l)
{
	return l->chain;
}

int audit_log_dir(const struct audit_log *l)
{
	return l->dir;
}
