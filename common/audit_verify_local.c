/*
 * Theory: the files beside the segments (root.pub, head, state, torn bytes) belong to the log as
 * long as it lies where it was written. They are read before the segments, so that a live log can
 * only be ahead of them. With --pub or --key the directory is taken for a copy: then only the
 * segments count, and what was given.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/audit_verify_i.h"

static bool is_copy(const struct audit_verify *v)
{
	return v->conf->pub || v->conf->key;
}

/* A whole small file on the heap, NUL-terminated. @return bytes or -errno */
static ssize_t slurp(char **out, int dir, const char *name, size_t max)
{
	autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	autofree char *buf = NULL;
	struct stat st;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size > max)
		return -EFBIG;
	buf = malloc((size_t)st.st_size + 1);
	if (!buf)
		return -ENOMEM;
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, buf + len, (size_t)st.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	*out = steal_ptr(&buf);
	return (ssize_t)len;
}

static enum audit_verdict no_trust(struct audit_verify *v, int code, const char *what,
				   const char *name)
{
	if (code)
		err_set(v->e, code, "%s %s", what, name);
	else
		err_say(v->e, EKEYREJECTED, "%s %s is not well formed", what, name);
	return AUDIT_NO_TRUST;
}

/* ---- keys ---- */

static enum audit_verdict load_pub(struct audit_verify *v)
{
	const char *name = v->conf->pub ? v->conf->pub : "root.pub";
	autofree char *text = NULL;
	ssize_t n;

	if (v->conf->key && !v->conf->pub)
		return AUDIT_INTACT; /* the secret gives it */
	n = slurp(&text, v->conf->pub ? AT_FDCWD : v->dir, name, AUDIT_PUB_TEXT);
	if (n < 0)
		return no_trust(v, (int)-n, "root public key", name);
	if (audit_pub_parse(v->root_id, v->root_pub, text, (size_t)n) < 0)
		return no_trust(v, 0, "root public key", name);
	v->root_id_known = true;
	return AUDIT_INTACT;
}

static enum audit_verdict derive_root(struct audit_verify *v)
{
	AUTO(audit_keys_free) struct audit_keys *k = audit_keys_new();
	uint8_t pub[AUDIT_KEY_LEN];

	if (!k || audit_key_epoch(k, v->keys->next, v->root_id, 0) < 0 ||
	    audit_key_public(pub, k->seed) < 0)
		return no_trust(v, ENOMEM, "root secret", v->conf->key);
	if (v->conf->pub && memcmp(pub, v->root_pub, AUDIT_KEY_LEN) != 0) {
		err_say(v->e, EKEYREJECTED, "root secret %s and root public key %s do not belong together",
			v->conf->key, v->conf->pub);
		return AUDIT_NO_TRUST;
	}
	memcpy(v->root_pub, pub, AUDIT_KEY_LEN);
	return AUDIT_INTACT;
}

/* The log's name, which goes into every key, from the first segment that can be read. */
static void find_id(struct audit_verify *v)
{
	struct audit_segment_list list = {0};
	struct audit_segment seg = {0};

	if (v->root_id_known || audit_segment_list(&list, v->dir) < 0)
		return;
	if (list.n && audit_segment_read(&seg, v->dir, list.v[0].name, 0) == 0 &&
	    audit_segment_parse(&seg) == 0) {
		memcpy(v->root_id, seg.log_id, AUDIT_ID_LEN);
		v->root_id_known = true;
	}
	audit_segment_free(&seg);
	audit_segment_list_free(&list);
}

static enum audit_verdict load_key(struct audit_verify *v)
{
	autofree char *text = NULL;
	ssize_t n;
	int r;

	if (!v->conf->key)
		return AUDIT_INTACT;
	n = slurp(&text, AT_FDCWD, v->conf->key, 256);
	if (n < 0)
		return no_trust(v, (int)-n, "root secret", v->conf->key);
	v->keys = audit_keys_new();
	if (!v->keys)
		return no_trust(v, ENOMEM, "root secret", v->conf->key);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	r = n == 2 * AUDIT_KEY_LEN ? audit_unhex(v->keys->next, AUDIT_KEY_LEN, text) : -EINVAL;
	explicit_bzero(text, (size_t)n);
	if (r < 0)
		return no_trust(v, 0, "root secret", v->conf->key);
	find_id(v);
	v->rep->macs = true;
	return derive_root(v);
}

/* ---- checkpoints from outside ---- */

static int add_outside(struct audit_verify *v, const char *what, const char *text, size_t len)
{
	struct audit_outside *more, *o;
	uint8_t sig[AUDIT_SIG_LEN];
	size_t signed_len;

	if (v->n_outside == AUDIT_ANCHORS_MAX ||
	    audit_note_parse(v->note, text, len, &signed_len, sig) < 0)
		return -EBADMSG;
	more = realloc(v->outside, (v->n_outside + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	v->outside = more;
	o = &more[v->n_outside];
	*o = (struct audit_outside){.what = what,
				    .text = malloc(len),
				    .len = len,
				    .number = v->note->number,
				    .size = v->note->tree.size};
	if (!o->text)
		return -ENOMEM;
	memcpy(o->text, text, len);
	v->n_outside++;
	return 0;
}

/* Any number of checkpoints, one after the other; blank lines between are fine. */
static enum audit_verdict load_anchor(struct audit_verify *v)
{
	static const char origin[] = "agentsh-audit/";
	autofree char *text = NULL;
	const char *p, *end;
	ssize_t n;

	if (!v->conf->anchor)
		return AUDIT_INTACT;
	n = slurp(&text, AT_FDCWD, v->conf->anchor, 1u << 26);
	if (n < 0) {
		err_set(v->e, (int)-n, "anchor %s", v->conf->anchor);
		return AUDIT_UNREADABLE;
	}
	p = text + strspn(text, "\n");
	while (*p) {
		/* the next note begins where a line begins with the origin */
		for (end = p + 1; *end && (end[-1] != '\n' || strncmp(end, origin, sizeof(origin) - 1));)
			end++;
		size_t len = (size_t)(end - p);

		while (len > 1 && p[len - 1] == '\n' && p[len - 2] == '\n')
			len--;
		if (add_outside(v, "anchor", p, len) < 0) {
			err_say(v->e, EINVAL, "anchor %s: not a checkpoint, or changed", v->conf->anchor);
			return AUDIT_UNREADABLE;
		}
		p = end;
	}
	if (!v->n_outside) {
		err_say(v->e, EINVAL, "anchor %s is empty", v->conf->anchor);
		return AUDIT_UNREADABLE;
	}
	return AUDIT_INTACT;
}

static void load_head(struct audit_verify *v)
{
	autofree char *text = NULL;
	ssize_t n = slurp(&text, v->dir, "head", AUDIT_PAYLOAD_MAX);

	if (n >= 0 && add_outside(v, "head file", text, (size_t)n) == 0)
		return;
	if (n == -ENOENT)
		audit_verify_notice(v, true, "there is no head file (the newest checkpoint)");
	else
		audit_verify_notice(v, true, "the head file (the newest checkpoint) is damaged");
}

static void load_state(struct audit_verify *v)
{
	autofree char *text = NULL;
	ssize_t n = slurp(&text, v->dir, "state", AUDIT_STATE_TEXT);

	if (n == -ENOENT) {
		snprintf(v->file, sizeof(v->file), "state");
		audit_verify_fault(v, AUDIT_FAULT_STATE,
				   "the key state file is missing: the log cannot be continued");
		return;
	}
	if (n < 0 || audit_state_parse(&v->state, text, (size_t)n) < 0) {
		snprintf(v->file, sizeof(v->file), "state");
		audit_verify_fault(v, AUDIT_FAULT_STATE, "the key state file is damaged");
	} else {
		v->has_state = true;
	}
	if (n > 0)
		explicit_bzero(text, (size_t)n);
}

static bool is_empty(struct audit_verify *v)
{
	struct audit_segment_list list = {0};
	struct stat st;
	bool empty = audit_segment_list(&list, v->dir) == 0 && list.n == 0 &&
		     fstatat(v->dir, "state", &st, 0) < 0;

	audit_segment_list_free(&list);
	return empty;
}

enum audit_verdict audit_verify_load(struct audit_verify *v)
{
	enum audit_verdict r;

	if (is_empty(v)) {
		err_say(v->e, ENOENT, "there is no audit log in %s", v->conf->dir);
		return AUDIT_UNREADABLE;
	}
	if (!is_copy(v)) {
		load_head(v);
		load_state(v);
	}
	r = load_pub(v);
	if (r == AUDIT_INTACT)
		r = load_key(v);
	if (r == AUDIT_INTACT)
		r = load_anchor(v);
	return r;
}

/* ---- after the segments ---- */

static void check_state(struct audit_verify *v)
{
	const struct audit_chain *c = v->chain;
	const struct audit_state *s = &v->state;
	uint8_t commit[SHA256_LEN];

	snprintf(v->file, sizeof(v->file), "state");
	v->offset = 0;
	if (memcmp(s->log_id, v->root_id, AUDIT_ID_LEN) != 0)
		audit_verify_fault(v, AUDIT_FAULT_STATE, "the key state is of another log");
	else if (s->min_size > c->tree.size)
		audit_verify_fault(v, AUDIT_FAULT_STATE,
				   "records are missing: the key state knows of %llu",
				   (unsigned long long)s->min_size);
	else if (s->epoch == (c->begun ? c->epoch : 0))
		audit_verify_notice(v, true, "the writer died while it started");
	else if (s->epoch != c->epoch + 1)
		audit_verify_fault(v, AUDIT_FAULT_STATE,
				   "the log ends in epoch %llu, but its key state is of epoch %llu",
				   (unsigned long long)c->epoch, (unsigned long long)s->epoch);
	else if (audit_key_commit(commit, s->secret) < 0 ||
		 memcmp(commit, v->commit, SHA256_LEN) != 0 ||
		 memcmp(s->pub, v->pub, AUDIT_KEY_LEN) != 0)
		audit_verify_fault(v, AUDIT_FAULT_STATE, "the key state was exchanged");
}

void audit_verify_local(struct audit_verify *v)
{
	if (is_copy(v))
		return;
	for (size_t i = 0; i < v->n_outside && !v->rep->live; i++)
		if (strcmp(v->outside[i].what, "head file") == 0 &&
		    v->outside[i].number != v->chain->note_number)
			audit_verify_notice(v, true, "the head file is older than the last checkpoint");
	/* a live writer may have moved on since the state was read */
	if (v->has_state && !v->rep->live)
		check_state(v);
}

void audit_verify_torn(struct audit_verify *v, uint64_t len, const uint8_t hash[SHA256_LEN])
{
	autofree char *bytes = NULL;
	char name[AUDIT_TORN_NAME];
	uint8_t got[SHA256_LEN];
	ssize_t n;

	if (is_copy(v))
		return;
	audit_segment_torn(name, v->root_id, v->segment, v->offset);
	n = slurp(&bytes, v->dir, name, AUDIT_SEGMENT_LIMIT);
	if (n == -ENOENT) {
		audit_verify_notice(v, true, "the torn bytes that were set aside (%s) are missing", name);
		return;
	}
	if (n < 0 || (uint64_t)n != len ||
	    sha256_hash(v->hash, got, &(struct sha256_piece){bytes, (size_t)n}, 1) < 0 ||
	    memcmp(got, hash, SHA256_LEN) != 0)
		audit_verify_fault(v, AUDIT_FAULT_STATE, "the torn bytes that were set aside (%s) were changed",
				   name);
}
