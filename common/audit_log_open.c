/*
 * Theory: three files beside the segments. "state" (secret: R of the next epoch), "root.pub" (the
 * first epoch's public key) and "head" (the newest checkpoint, from which reading can start).
 *
 * Creation: root.pub, state for epoch 0, segment, first record, state for epoch 1. Whatever of
 * it a crash leaves is completed by the next start, which finds a state of epoch 0.
 *
 * Start: read from the head (or the segment's header, when there is no good head) to the end of
 * the last segment; a torn tail is set aside; new epoch. The log is refused when it is shorter
 * than head or state say, or when records follow a damaged one: that was not a crash.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/audit_log_i.h"

#define REMEDY "move the directory away to begin a new log, and keep it for examination"

/* ---- segments ---- */

int audit_log_segment_create(struct audit_log *l, uint64_t first)
{
	char name[AUDIT_SEGMENT_NAME];
	int fd, r;

	audit_segment_name(name, l->chain->log_id, first);
	fd = l->disk->create(l->dir, name);
	if (fd < 0)
		return audit_log_no_space(fd);
	r = audit_log_no_space(l->disk->grow(fd, 0, AUDIT_SPACE_STEP));
	if (r < 0) {
		close(fd);
		l->disk->remove(l->dir, name);
		return r;
	}
	l->next_fd = fd;
	l->next_first = first;
	return 0;
}

int audit_log_segment_begin(struct audit_log *l, const char *note, size_t note_len)
{
	autofree uint8_t *head = malloc(AUDIT_SEGMENT_HEAD + note_len);
	size_t len;
	int r;

	if (!head)
		return -ENOMEM;
	len = audit_segment_header(head, l->chain->log_id, l->next_first, note, note_len);
	/* the old one first: from here on nothing would ever take its unused space away */
	r = l->fd >= 0 ? l->disk->truncate(l->fd, (off_t)l->off) : 0;
	if (r == 0)
		r = audit_disk_write(l->disk, l->next_fd, head, len, 0);
	if (r == 0)
		r = l->disk->sync(l->next_fd);
	if (r == 0)
		r = l->disk->sync(l->dir);
	if (r < 0)
		return r;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = steal_fd(&l->next_fd);
	l->first = l->next_first;
	l->off = len;
	l->alloc = AUDIT_SPACE_STEP;
	return 0;
}

/* ---- small files ---- */

static int read_small(int dir, const char *name, char *buf, size_t size)
{
	autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? -EFBIG : (int)n;
}

static int write_root(struct audit_log *l, const struct audit_state *s, const char *escrow)
{
	AUTO(audit_keys_free) struct audit_keys *k = audit_keys_new();
	char text[AUDIT_PUB_TEXT], hex[2 * AUDIT_KEY_LEN + 2];
	uint8_t pub[AUDIT_KEY_LEN];
	int len, r;

	if (!k)
		return -ENOMEM;
	if (audit_key_epoch(k, s->secret, s->log_id, 0) < 0 || audit_key_public(pub, k->seed) < 0)
		return -EIO;
	len = audit_pub_format(text, s->log_id, pub);
	r = len < 0 ? len : audit_disk_replace(l->disk, l->dir, "root.pub", text, (size_t)len, 1);
	if (r == 0 && escrow) {
		audit_hex(hex, s->secret, AUDIT_KEY_LEN);
		hex[2 * AUDIT_KEY_LEN] = '\n';
		r = audit_disk_replace(l->disk, AT_FDCWD, escrow, hex, sizeof(hex) - 1, 1);
		explicit_bzero(hex, sizeof(hex));
	}
	return r;
}

/* A new log: identity, root secret, and the two files that tell of them. */
static int invent(struct audit_log *l, struct audit_state *s, const char *escrow, struct err *e)
{
	char text[AUDIT_STATE_TEXT];
	int len, r;

	memset(s, 0, sizeof(*s));
	if (RAND_bytes(s->log_id, AUDIT_ID_LEN) != 1 ||
	    RAND_priv_bytes(s->secret, AUDIT_KEY_LEN) != 1)
		return err_say(e, EIO, "no random numbers for the audit keys");
	r = write_root(l, s, escrow);
	len = r < 0 ? r : audit_state_format(text, s);
	r = len < 0 ? len : audit_disk_replace(l->disk, l->dir, "state", text, (size_t)len, 1);
	explicit_bzero(text, sizeof(text));
	return r < 0 ? err_set(e, -r, "create the audit log") : 0;
}

static int load_state(struct audit_log *l, struct audit_state *s, size_t n_segments,
		      const char *escrow, struct err *e)
{
	char text[AUDIT_STATE_TEXT];
	int n = read_small(l->dir, "state", text, sizeof(text)), r;

	if (n == -ENOENT && n_segments > 0)
		return err_say(e, EUCLEAN, "audit log: its key state is missing, so it cannot be "
					   "continued: " REMEDY);
	if (n == -ENOENT)
		return invent(l, s, escrow, e);
	if (n < 0)
		return err_set(e, -n, "read the audit key state");
	r = audit_state_parse(s, text, (size_t)n);
	explicit_bzero(text, sizeof(text));
	if (r < 0)
		return err_say(e, EUCLEAN, "audit log: its key state is damaged: " REMEDY);
	if (s->epoch > 0 && n_segments == 0)
		return err_say(e, EUCLEAN, "audit log: its records are gone: " REMEDY);
	return 0;
}

/* ---- recovery ---- */

struct recovery {
	struct audit_segment seg;
	size_t pos;	/* end of what is good */
	bool sealed;
	char *seal;	/* owned: note text of the seal */
	size_t seal_len;
	char *head;	/* owned: the newest checkpoint; head_len 0: none that is good */
	size_t head_len;
	uint64_t torn;
};

static void recovery_free(struct recovery *rc)
{
	audit_segment_free(&rc->seg);
	free(rc->seal);
	free(rc->head);
}

static int note_hash(struct audit_log *l, uint8_t out[SHA256_LEN], const char *text, size_t len)
{
	return sha256_hash(l->hash, out, &(struct sha256_piece){text, len}, 1);
}

static int resume_at(struct audit_log *l, const struct audit_note *n, const char *text, size_t len)
{
	uint8_t hash[SHA256_LEN];

	if (note_hash(l, hash, text, len) < 0)
		return -EIO;
	audit_chain_resume(l->chain, n, hash);
	return 0;
}

/* The newest checkpoint into l->note and rc->head, when it is good. */
static void load_head(struct audit_log *l, const struct audit_state *s, struct recovery *rc)
{
	int len;

	rc->head = malloc(AUDIT_PAYLOAD_MAX);
	len = rc->head ? read_small(l->dir, "head", rc->head, AUDIT_PAYLOAD_MAX) : -ENOMEM;
	if (len < 0 || audit_note_open(l->note, rc->head, (size_t)len, s->pub) < 0 ||
	    memcmp(l->note->log_id, s->log_id, AUDIT_ID_LEN) != 0)
		return;
	rc->head_len = (size_t)len;
}

/*
 * Go on from the head, when it lies in the last segment.
 * @return 1 resumed; 0 there is none that helps; -EUCLEAN the log is shorter than it
 */
static int resume_head(struct audit_log *l, struct recovery *rc, struct err *e)
{
	const struct audit_note *n = l->note;
	const char *text = rc->head;
	const size_t len = rc->head_len;
	struct audit_frame f;

	if (!len || n->segment < rc->seg.first)
		return 0;
	if (n->segment > rc->seg.first || n->offset >= rc->seg.len ||
	    audit_segment_frame(&rc->seg, (size_t)n->offset, &f) != 1 ||
	    f.payload_len != len || memcmp(f.payload, text, len) != 0)
		return err_say(e, EUCLEAN,
			       "audit log: it was cut or changed: the checkpoint of %llu records is "
			       "not in it: " REMEDY,
			       (unsigned long long)n->tree.size);
	if (n->seal) {
		rc->sealed = true;
		rc->seal = malloc(len);
		if (!rc->seal)
			return err_set(e, ENOMEM, "audit log");
		memcpy(rc->seal, text, len);
		rc->seal_len = len;
	}
	rc->pos = (size_t)n->offset + f.len;
	return resume_at(l, n, text, len) < 0 ? -EIO : 1;
}

static int resume_header(struct audit_log *l, const struct audit_state *s, struct recovery *rc,
			 struct err *e)
{
	uint8_t sig[AUDIT_SIG_LEN];
	size_t signed_len;

	rc->pos = rc->seg.start;
	memset(l->chain, 0, sizeof(*l->chain));
	memcpy(l->chain->log_id, s->log_id, AUDIT_ID_LEN);
	l->chain->next_id = 1;
	if (rc->seg.first == 0 && rc->seg.note_len == 0)
		return 0;
	if (audit_note_parse(l->note, rc->seg.note, rc->seg.note_len, &signed_len, sig) < 0 ||
	    memcmp(l->note->log_id, s->log_id, AUDIT_ID_LEN) != 0 ||
	    l->note->tree.size != rc->seg.first)
		return err_say(e, EUCLEAN, "audit log: the last segment's header is damaged: " REMEDY);
	return resume_at(l, l->note, rc->seg.note, rc->seg.note_len);
}

static int take_note(struct audit_log *l, struct recovery *rc, const struct audit_frame *f)
{
	uint8_t hash[SHA256_LEN], sig[AUDIT_SIG_LEN];
	size_t signed_len;

	if (audit_note_parse(l->note, (const char *)f->payload, f->payload_len, &signed_len, sig) < 0 ||
	    note_hash(l, hash, (const char *)f->payload, f->payload_len) < 0 ||
	    audit_chain_take_note(l->chain, l->note, f, hash) != AUDIT_FAULT_NONE)
		return -EUCLEAN;
	if (l->note->seal) {
		rc->sealed = true;
		rc->seal = malloc(f->payload_len);
		if (!rc->seal)
			return -ENOMEM;
		memcpy(rc->seal, f->payload, f->payload_len);
		rc->seal_len = f->payload_len;
	}
	return 0;
}

static int take_record(struct audit_log *l, const struct audit_frame *f)
{
	uint8_t leaf[SHA256_LEN];

	if (audit_chain_take(l->chain, f) != AUDIT_FAULT_NONE)
		return -EUCLEAN;
	if (merkle_leaf(l->hash, leaf, f->raw, f->len) < 0 ||
	    merkle_add(l->hash, &l->chain->tree, leaf) < 0)
		return -EIO;
	return 0;
}

/* Read on from rc->pos to the end of what is good. */
static int walk(struct audit_log *l, struct recovery *rc, struct err *e)
{
	struct audit_frame f;
	int more;

	while (!rc->sealed && (more = audit_segment_frame(&rc->seg, rc->pos, &f)) == 1) {
		int r = f.type == AUDIT_TYPE_CHECKPOINT ? take_note(l, rc, &f) : take_record(l, &f);

		if (r == -EUCLEAN)
			return err_say(e, EUCLEAN,
				       "audit log: record %llu does not follow from the one before: "
				       REMEDY, (unsigned long long)l->chain->tree.size);
		if (r < 0)
			return err_set(e, -r, "read the audit log");
		rc->pos += f.len;
	}
	if (!rc->sealed && more < 0) {
		if (audit_segment_resumes(&rc->seg, rc->pos, l->chain->tree.size))
			return err_say(e, EUCLEAN, "audit log: record %llu is damaged: " REMEDY,
				       (unsigned long long)l->chain->tree.size);
		rc->torn = rc->seg.len - rc->pos;
		while (rc->torn > 0 && rc->seg.data[rc->pos + rc->torn - 1] == 0)
			rc->torn--;
	}
	return 0;
}

/*
 * Keep the torn bytes in a file, take them out of the segment, and remember their hash for the
 * epoch record, which will stand where they were.
 */
static int set_aside(struct audit_log *l, const struct recovery *rc)
{
	const struct sha256_piece torn = {rc->seg.data + rc->pos, (size_t)rc->torn};
	char name[AUDIT_TORN_NAME];
	int r;

	if (!rc->torn)
		return 0;
	l->torn = rc->torn;
	r = sha256_hash(l->hash, l->torn_hash, &torn, 1);
	audit_segment_torn(name, l->chain->log_id, rc->seg.first, rc->pos);
	if (r == 0)
		r = audit_disk_replace(l->disk, l->dir, name, torn.p, torn.len, 1);
	return r < 0 ? r : l->disk->truncate(l->fd, (off_t)rc->pos);
}

static int check_against_state(const struct audit_log *l, const struct audit_state *s,
			       struct err *e)
{
	const struct audit_chain *c = l->chain;

	if (c->tree.size < s->min_size)
		return err_say(e, EUCLEAN,
			       "audit log: it was cut: %llu records are left of at least %llu: " REMEDY,
			       (unsigned long long)c->tree.size, (unsigned long long)s->min_size);
	if (s->epoch > 0 && (!c->begun || (c->epoch != s->epoch && c->epoch + 1 != s->epoch)))
		return err_say(e, EUCLEAN,
			       "audit log: it ends in epoch %llu, but the key state is of epoch %llu: "
			       REMEDY,
			       (unsigned long long)c->epoch, (unsigned long long)s->epoch);
	return 0;
}

static int begin_segment(struct audit_log *l, const struct recovery *rc, struct err *e)
{
	int r = audit_log_segment_create(l, l->chain->tree.size);

	if (r == 0)
		r = audit_log_segment_begin(l, rc ? rc->seal : NULL, rc ? rc->seal_len : 0);
	if (r == -ENOSPC)
		return err_say(e, ENOSPC, "disk full: no space for the audit log");
	return r < 0 ? err_set(e, -r, "create an audit segment") : 0;
}

/* Open the last segment for writing where recovery ended. */
static int go_on(struct audit_log *l, const struct recovery *rc, const char *name, struct err *e)
{
	struct stat st;
	int r;

	l->fd = openat(l->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (l->fd < 0 || fstat(l->fd, &st) < 0)
		return err_set(e, errno, "open %s", name);
	l->first = rc->seg.first;
	l->off = rc->pos;
	if (rc->sealed)
		return begin_segment(l, rc, e);
	r = set_aside(l, rc);
	/* unused space of the last writer is taken over only when it is all there and zero */
	l->alloc = rc->torn || (uint64_t)st.st_size < rc->pos ? rc->pos : (uint64_t)st.st_size;
	if (r == 0)
		r = audit_log_ensure_space(l);
	if (r == -ENOSPC && audit_log_space(l) < AUDIT_FRAME_MAX)
		return err_say(e, ENOSPC, "disk full: no space for the audit log");
	return r < 0 && r != -ENOSPC ? err_set(e, -r, "audit segment %s", name) : 0;
}

static int recover(struct audit_log *l, const struct audit_state *s,
		   const struct audit_segment_list *list, struct err *e)
{
	__attribute__((cleanup(recovery_free))) struct recovery rc = {0};
	const struct audit_segment_ref *last = &list->v[list->n - 1];
	uint64_t from = 0;
	int r;

	load_head(l, s, &rc);
	if (rc.head_len && l->note->segment == last->first)
		from = l->note->offset;
	r = audit_segment_read(&rc.seg, l->dir, last->name, from);
	if (r < 0)
		return err_set(e, -r, "read %s", last->name);
	if (audit_segment_parse(&rc.seg) < 0 || rc.seg.first != last->first ||
	    memcmp(rc.seg.log_id, s->log_id, AUDIT_ID_LEN) != 0)
		return err_say(e, EUCLEAN, "audit log: %s has a damaged or foreign header: " REMEDY,
			       last->name);
	r = resume_head(l, &rc, e);
	if (r == 0)
		r = resume_header(l, s, &rc, e);
	if (r >= 0)
		r = walk(l, &rc, e);
	if (r >= 0)
		r = check_against_state(l, s, e);
	return r < 0 ? r : go_on(l, &rc, last->name, e);
}

/* True while nothing of the first epoch is in the log: creation did not get that far. */
static bool unborn(struct audit_log *l, const struct audit_segment_list *list)
{
	struct audit_segment seg;
	struct audit_frame f;
	bool yes;

	if (list->n == 0)
		return true;
	if (list->n > 1 || audit_segment_read(&seg, l->dir, list->v[0].name, 0) < 0)
		return false;
	yes = audit_segment_parse(&seg) < 0 || audit_segment_frame(&seg, seg.start, &f) != 1;
	audit_segment_free(&seg);
	return yes;
}

static int open_chain(struct audit_log *l, const char *escrow, struct err *e)
{
	struct audit_segment_list list = {0};
	struct audit_state s;
	const char *reason = "init";
	bool trimmed;
	int r = audit_segment_list(&list, l->dir);

	if (r < 0)
		return err_set(e, -r, "list the audit directory");
	/* a crash while a file was made: what it was to follow is still the last one */
	trimmed = audit_segment_list_trim(&list, l->dir);
	r = load_state(l, &s, list.n, escrow, e);
	if (r == 0 && trimmed)
		r = l->disk->remove(l->dir, list.v[list.n].name);
	if (r == 0 && s.epoch == 0 && unborn(l, &list)) {
		memcpy(l->chain->log_id, s.log_id, AUDIT_ID_LEN);
		l->chain->next_id = 1;
		r = begin_segment(l, NULL, e);
	} else if (r == 0) {
		r = recover(l, &s, &list, e);
		reason = l->torn || l->chain->n_live || l->chain->note_size != l->chain->tree.size
				 ? "crash"
				 : "start";
	}
	audit_segment_list_free(&list);
	if (r == 0) {
		memcpy(l->keys->next, s.secret, AUDIT_KEY_LEN);
		r = audit_log_epoch(l, s.epoch, reason);
		if (r < 0)
			err_set(e, -r, "write the audit log");
	}
	explicit_bzero(&s, sizeof(s));
	return r;
}

static int open_dir(struct audit_log *l, const char *dir, struct err *e)
{
	l->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->dir < 0)
		return err_set(e, errno, "open %s", dir);
	if (faccessat(l->dir, ".", W_OK, AT_EACCESS) < 0)
		return err_set(e, errno, "log directory %s is not writable", dir);
	/* the lock is on the directory itself: it ends with the process, and there is no file to lose */
	if (flock(l->dir, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? err_say(e, EBUSY, "another writer has the audit log %s", dir)
			       : err_set(e, errno, "lock %s", dir);
	return 0;
}

int audit_log_open(struct audit_log **out, const struct audit_log_conf *conf, struct err *e)
{
	AUTO(audit_log_free) struct audit_log *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_set(e, ENOMEM, "audit log");
	l->dir = l->fd = l->next_fd = -1;
	l->disk = conf->disk ? conf->disk : &audit_disk_posix;
	l->segment_bytes = conf->segment_bytes ? conf->segment_bytes : AUDIT_SEGMENT_BYTES;
	l->keys = audit_keys_new();
	l->chain = calloc(1, sizeof(*l->chain));
	l->note = calloc(1, sizeof(*l->note));
	l->batch = malloc(AUDIT_BATCH_BUF);
	if (!l->keys || !l->chain || !l->note || !l->batch || sha256_new(&l->hash) < 0 ||
	    sha256_new(&l->mac) < 0)
		return err_set(e, ENOMEM, "audit log");
	r = open_dir(l, conf->dir, e);
	if (r == 0)
		r = open_chain(l, conf->escrow, e);
	if (r == 0)
		*out = steal_ptr(&l);
	return r;
}

void audit_log_free(struct audit_log *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	if (l->next_fd >= 0)
		close(l->next_fd);
	if (l->dir >= 0)
		close(l->dir);
	sha256_free(l->hash);
	sha256_free(l->mac);
	audit_keys_free(l->keys);
	free(l->chain);
	free(l->note);
	free(l->batch);
	free(l);
}
