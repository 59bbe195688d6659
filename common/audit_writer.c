/*
 * Theory: a ring's memory is shared with a process that may be hostile. So the consumer keeps its
 * own tail, never follows a length it has not bounded, and copies a record out before it looks at
 * it. A producer that breaks the rules loses its ring, and the log says so.
 *
 * Space in the ring is given back only after the sync: what is not durable is not forgotten.
 *
 * Disk full: the log keeps a reserve ahead of itself. When that cannot be renewed, rings are told
 * to refuse; what they hold already still fits the reserve.
 */
#include "common/audit_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "common/audit_i.h"
#include "common/audit_sys.h"
#include "common/auto.h"

#define SIGN_RECORDS 10000u /* under load, a checkpoint after as many */
#define SPACE_FLOOR (512u << 10) /* of the reserve: kept for closing records and checkpoints */

struct audit_consumer {
	struct audit_consumer *next;
	struct audit_ring *ring;
	uint16_t id;
	uint64_t tail;	    /* read so far */
	uint64_t head;	    /* as of this drain */
	uint64_t pseq;	    /* of the last record read */
	bool faulty;
};

struct audit_writer {
	struct audit_log *log;
	struct audit_consumer *list;
	bool full;
	uint8_t scratch[AUDIT_SLOT_MAX];
};

int audit_writer_new(struct audit_writer **out, struct audit_log *log)
{
	struct audit_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->log = log;
	*out = w;
	return 0;
}

static void consumer_free(struct audit_consumer *c)
{
	if (!c)
		return;
	audit_ring_unmap(c->ring);
	free(c);
}
AUTO_DEFINE(struct audit_consumer *, consumer_free)

void audit_writer_free(struct audit_writer *w)
{
	struct audit_consumer *next;

	if (!w)
		return;
	for (struct audit_consumer *c = w->list; c; c = next) {
		next = c->next;
		consumer_free(c);
	}
	free(w);
}

static int make_ring(struct audit_ring **out)
{
	autoclose int fd = memfd_create("agentsh-audit", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0 || ftruncate(fd, AUDIT_RING_HEAD + AUDIT_RING_DATA) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	r = audit_ring_map(out, fd);
	if (r < 0)
		return r;
	(*out)->magic = AUDIT_RING_MAGIC;
	(*out)->data_size = AUDIT_RING_DATA;
	return steal_fd(&fd);
}

static void tell(struct audit_ring *ring)
{
	atomic_fetch_add(&ring->progress, 1);
	if (atomic_load(&ring->waiters))
		audit_sys_wake(&ring->progress);
}

static void set_state(struct audit_consumer *c, enum audit_ring_state state)
{
	if (atomic_load(&c->ring->state) == state)
		return;
	atomic_store(&c->ring->state, state);
	tell(c->ring);
}

int audit_writer_add(struct audit_writer *w, struct audit_consumer **out, enum audit_gate gate,
		     const char *session, pid_t pid, uid_t uid, int *ring_fd)
{
	AUTO(consumer_free) struct audit_consumer *c = calloc(1, sizeof(*c));
	int fd, id;

	if (!c)
		return -ENOMEM;
	fd = make_ring(&c->ring);
	if (fd < 0)
		return fd;
	id = w->full ? -ENOSPC : audit_log_up(w->log, gate, session, pid, uid);
	if (id < 0) {
		close(fd);
		return id;
	}
	c->id = (uint16_t)id;
	atomic_store(&c->ring->wake, AUDIT_WAKE_ANY);
	c->next = w->list;
	*ring_fd = fd;
	*out = w->list = steal_ptr(&c);
	return 0;
}

void audit_writer_remove(struct audit_writer *w, struct audit_consumer *c, const char *reason)
{
	struct audit_consumer **p = &w->list;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	set_state(c, AUDIT_RING_SHUT);
	/* an error here is final for the log and shows at the next commit */
	if (!c->faulty)
		(void)audit_log_down(w->log, c->id, reason);
	consumer_free(c);
}

bool audit_writer_closed(const struct audit_consumer *c)
{
	return atomic_load(&c->ring->closed) != 0;
}

bool audit_writer_faulty(const struct audit_consumer *c)
{
	return c->faulty;
}

static int fault(struct audit_writer *w, struct audit_consumer *c, const char *what)
{
	c->faulty = true;
	c->head = c->tail;
	set_state(c, AUDIT_RING_SHUT);
	return audit_log_down(w->log, c->id, what);
}

/* Copy one slot out of the ring and check it. @return 0, or -EBADMSG */
static int copy_slot(struct audit_writer *w, const struct audit_consumer *c, struct audit_slot *slot)
{
	const uint64_t left = c->head - c->tail;

	memcpy(slot, audit_ring_at(c->ring, c->tail), sizeof(*slot));
	if (slot->size < sizeof(*slot) || slot->size > AUDIT_SLOT_MAX || slot->size > left ||
	    slot->size % 8 || slot->payload > slot->size - sizeof(*slot) ||
	    slot->pseq != c->pseq + 1)
		return -EBADMSG;
	memcpy(w->scratch, audit_ring_at(c->ring, c->tail) + sizeof(*slot), slot->payload);
	return cbor_check_map(w->scratch, slot->payload);
}

static int take_one(struct audit_writer *w, struct audit_consumer *c)
{
	struct audit_slot slot;
	struct audit_frame f;
	int r;

	if (copy_slot(w, c, &slot) < 0)
		return fault(w, c, "malformed record");
	f = (struct audit_frame){.producer = c->id,
				 .pseq = slot.pseq,
				 .wall_ns = slot.wall_ns,
				 .mono_ns = slot.mono_ns,
				 .payload = w->scratch,
				 .payload_len = slot.payload};
	r = audit_log_event(w->log, &f);
	if (r < 0)
		return r;
	c->pseq = slot.pseq;
	c->tail += slot.size;
	return 0;
}

static int snapshot(struct audit_writer *w)
{
	int r = 0;

	for (struct audit_consumer *c = w->list; c && r == 0; c = c->next) {
		uint64_t head = atomic_load_explicit(&c->ring->head, memory_order_acquire);

		if (c->faulty)
			continue;
		c->head = head;
		if (head - c->tail > AUDIT_RING_DATA || head % 8)
			r = fault(w, c, "impossible ring position");
	}
	return r;
}

/* The ring whose next record is the oldest; the clock is the producer's word, for order only. */
static struct audit_consumer *oldest(struct audit_writer *w)
{
	struct audit_consumer *best = NULL;
	uint64_t best_ns = 0;

	for (struct audit_consumer *c = w->list; c; c = c->next) {
		uint64_t ns;

		if (c->head == c->tail)
			continue;
		memcpy(&ns, audit_ring_at(c->ring, c->tail) + offsetof(struct audit_slot, mono_ns),
		       sizeof(ns));
		if (!best || ns < best_ns) {
			best = c;
			best_ns = ns;
		}
	}
	return best;
}

static void publish(struct audit_writer *w)
{
	for (struct audit_consumer *c = w->list; c; c = c->next) {
		if (c->tail == atomic_load_explicit(&c->ring->tail, memory_order_relaxed))
			continue;
		atomic_store_explicit(&c->ring->committed, c->pseq, memory_order_release);
		atomic_store_explicit(&c->ring->tail, c->tail, memory_order_release);
		tell(c->ring);
	}
}

static int enter_full(struct audit_writer *w)
{
	w->full = true;
	for (struct audit_consumer *c = w->list; c; c = c->next)
		if (!c->faulty)
			set_state(c, AUDIT_RING_FULL);
	return audit_log_disk(w->log, "disk_full");
}

static int leave_full(struct audit_writer *w)
{
	int r = audit_log_disk(w->log, "disk_ok");

	w->full = false;
	for (struct audit_consumer *c = w->list; c; c = c->next)
		if (!c->faulty)
			set_state(c, AUDIT_RING_OPEN);
	return r;
}

static int look_at_space(struct audit_writer *w)
{
	int r = audit_log_ensure_space(w->log);

	if (r == -ENOSPC)
		return w->full ? 0 : enter_full(w);
	if (r == 0 && w->full)
		return leave_full(w);
	return r;
}

static int commit(struct audit_writer *w)
{
	const bool sign = !w->full &&
			  audit_log_size(w->log) - audit_log_signed(w->log) > SIGN_RECORDS;
	int r = sign ? audit_log_checkpoint(w->log) : audit_log_commit(w->log);

	if (r == -ENOSPC && !w->full) {
		/* the file system broke its promise; the batch is kept and tried again */
		w->full = true;
		for (struct audit_consumer *c = w->list; c; c = c->next)
			set_state(c, AUDIT_RING_FULL);
	}
	if (r < 0)
		return r;
	publish(w);
	return audit_log_rotate(w->log);
}

static int drain_once(struct audit_writer *w)
{
	struct audit_consumer *c;
	int n = 0, r;

	r = look_at_space(w);
	if (r == 0)
		r = snapshot(w);
	while (r == 0 && audit_log_has_room(w->log) && audit_log_space(w->log) > SPACE_FLOOR &&
	       (c = oldest(w))) {
		r = take_one(w, c);
		n++;
	}
	if (r == 0)
		r = commit(w);
	return r < 0 ? r : n;
}

int audit_writer_drain(struct audit_writer *w)
{
	int total = 0, n;

	do {
		n = drain_once(w);
		if (n < 0)
			return n;
		total += n;
	} while (n > 0 && audit_writer_pending(w));
	return total;
}

int audit_writer_sign(struct audit_writer *w)
{
	int r = audit_log_checkpoint(w->log);

	if (r == 0)
		publish(w);
	return r;
}

bool audit_writer_pending(const struct audit_writer *w)
{
	for (const struct audit_consumer *c = w->list; c; c = c->next)
		if (!c->faulty && atomic_load(&c->ring->head) != c->tail)
			return true;
	return false;
}

bool audit_writer_urgent(const struct audit_writer *w)
{
	for (const struct audit_consumer *c = w->list; c; c = c->next) {
		uint64_t used = atomic_load(&c->ring->head) - c->tail;

		if (!c->faulty && used && (atomic_load(&c->ring->waiters) || used > AUDIT_RING_DATA / 4))
			return true;
	}
	return false;
}

void audit_writer_set_wake(struct audit_writer *w, uint32_t wake)
{
	for (struct audit_consumer *c = w->list; c; c = c->next)
		atomic_store(&c->ring->wake, wake);
	atomic_thread_fence(memory_order_seq_cst);
}

bool audit_writer_full(const struct audit_writer *w)
{
	return w->full;
}

void audit_writer_shut(struct audit_writer *w)
{
	for (struct audit_consumer *c = w->list; c; c = c->next)
		set_state(c, AUDIT_RING_SHUT);
}
