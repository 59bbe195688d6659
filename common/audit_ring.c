/*
 * Theory: one ring is written by one process. Its threads take turns (a mutex) to encode a record
 * at head and publish it with a release store; the writer consumes with an acquire load. tail
 * advances only when the records are on disk, so free space is space that may be lost.
 *
 * The writer sleeps after it has set "wake" and looked at head once more; a producer publishes
 * head and then looks at "wake". Both have a full fence between, so one of them sees the other.
 *
 * The writer's death shows as a hang-up of the wake socket: looked at every LIVENESS_NS. So is the
 * wall clock; between two looks it is taken to run as the monotonic one does.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/audit_i.h"
#include "common/audit_sys.h"
#include "common/auto.h"

#define FULL_WAIT_NS 250000000ull
#define COMMIT_WAIT_NS 5000000000ull
#define LIVENESS_NS 10000000ull
#define SLICE_NS 20000000ull

struct audit_producer {
	struct audit_ring *ring;
	int wake_fd;
	pthread_mutex_t lock;
	uint64_t head;	    /* the true one; the ring's copy is for the writer */
	uint64_t pseq;	    /* of the last record */
	uint64_t alive_ns;  /* when the writer was last seen alive */
	uint64_t wall_ns;   /* the wall clock, less the monotonic clock, at that time */
	bool dead;	    /* or ended */
};

static const char *const gate_names[AUDIT_GATES] = {
	[AUDIT_CTL] = "ctl", [AUDIT_FS] = "fs", [AUDIT_NET] = "net", [AUDIT_EXEC] = "exec"};

const char *audit_gate_name(enum audit_gate gate)
{
	return (unsigned)gate < AUDIT_GATES ? gate_names[gate] : "?";
}

int audit_ring_map(struct audit_ring **out, int fd)
{
	const size_t whole = AUDIT_RING_HEAD + 2 * (size_t)AUDIT_RING_DATA;
	const int need = F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat st;
	uint8_t *base;

	/* without the seals the other side could shrink the file under us: SIGBUS */
	if ((fcntl(fd, F_GET_SEALS) & need) != need || fstat(fd, &st) < 0 ||
	    st.st_size != AUDIT_RING_HEAD + AUDIT_RING_DATA)
		return -EINVAL;
	base = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	if (mmap(base, AUDIT_RING_HEAD + AUDIT_RING_DATA, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
	    mmap(base + AUDIT_RING_HEAD + AUDIT_RING_DATA, AUDIT_RING_DATA, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, AUDIT_RING_HEAD) == MAP_FAILED) {
		int code = errno;

		munmap(base, whole);
		return -code;
	}
	*out = (struct audit_ring *)base;
	return 0;
}

void audit_ring_unmap(struct audit_ring *r)
{
	if (r)
		munmap(r, AUDIT_RING_HEAD + 2 * (size_t)AUDIT_RING_DATA);
}

/* Held for some hundred instructions: who waits for it does better not to sleep at once. */
static void init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

int audit_producer_open(struct audit_producer **out, int ring_fd, int wake_fd, struct err *e)
{
	struct audit_producer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, ENOMEM, "audit ring");
	r = audit_ring_map(&p->ring, ring_fd);
	if (r == 0 && (p->ring->magic != AUDIT_RING_MAGIC ||
		       p->ring->data_size != AUDIT_RING_DATA || p->ring->head != 0))
		r = -EINVAL;
	if (r < 0) {
		audit_ring_unmap(p->ring);
		free(p);
		return err_set(e, -r, "audit ring");
	}
	init_lock(&p->lock);
	p->wake_fd = wake_fd;
	close(ring_fd);
	*out = p;
	return 0;
}

void audit_producer_end(struct audit_producer *p)
{
	pthread_mutex_lock(&p->lock);
	p->dead = true;
	atomic_store(&p->ring->closed, 1);
	pthread_mutex_unlock(&p->lock);
}

void audit_producer_close(struct audit_producer *p)
{
	if (!p)
		return;
	audit_producer_end(p);
	audit_ring_unmap(p->ring);
	close(p->wake_fd);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static bool writer_alive(struct audit_producer *p, uint64_t now)
{
	struct pollfd pfd = {.fd = p->wake_fd};

	if (now - p->alive_ns < LIVENESS_NS)
		return true;
	if (poll(&pfd, 1, 0) < 0 || (pfd.revents & (POLLHUP | POLLERR | POLLNVAL)))
		return false;
	p->alive_ns = now;
	p->wall_ns = audit_sys_now(CLOCK_REALTIME) - audit_sys_now(CLOCK_MONOTONIC);
	return true;
}

/*
 * A wake socket that is full holds a wake-up that was not read yet: that will do. MSG_NOSIGNAL:
 * a dead writer is an error, not a SIGPIPE.
 */
static void wake_writer(struct audit_producer *p, bool urgent)
{
	uint32_t wake;

	atomic_thread_fence(memory_order_seq_cst);
	wake = atomic_load_explicit(&p->ring->wake, memory_order_relaxed);
	if (wake != AUDIT_WAKE_ANY && !(wake == AUDIT_WAKE_URGENT && urgent))
		return;
	if (atomic_exchange(&p->ring->wake, AUDIT_WAKE_NONE) != AUDIT_WAKE_NONE)
		send(p->wake_fd, urgent ? "u" : "w", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int state_error(const struct audit_ring *ring)
{
	return atomic_load_explicit(&ring->state, memory_order_acquire) == AUDIT_RING_OPEN ? 0 : -EIO;
}

/* Called with the lock; gives it up while waiting. */
static int await_room(struct audit_producer *p)
{
	uint64_t start = 0;

	for (;;) {
		uint32_t seen = atomic_load(&p->ring->progress);
		uint64_t used = p->head - atomic_load_explicit(&p->ring->tail, memory_order_acquire);
		uint64_t now;

		if (used <= AUDIT_RING_DATA - AUDIT_SLOT_MAX)
			return 0;
		if (used > AUDIT_RING_DATA)
			return -EIO;
		now = audit_sys_now(CLOCK_MONOTONIC);
		start = start ? start : now;
		if (now - start >= FULL_WAIT_NS)
			return -EAGAIN;
		if (state_error(p->ring) < 0 || !writer_alive(p, now))
			return -EIO;
		atomic_fetch_add(&p->ring->waiters, 1);
		wake_writer(p, true);
		pthread_mutex_unlock(&p->lock);
		audit_sys_wait(&p->ring->progress, seen, SLICE_NS);
		pthread_mutex_lock(&p->lock);
		atomic_fetch_sub(&p->ring->waiters, 1);
	}
}

/* Only readers elsewhere and one writer, under the lock: no locked instruction is needed. */
static void count(struct audit_ring *ring, const char *decision)
{
	enum verdict done;
	uint64_t n;

	if (verdict_parse(&done, decision) < 0)
		return;
	n = atomic_load_explicit(&ring->counts[done], memory_order_relaxed);
	atomic_store_explicit(&ring->counts[done], n + 1, memory_order_relaxed);
}

/* The writer's processor had the next lines last: ask for them before they are needed. */
static void prefetch_slot(struct audit_producer *p)
{
	const uint8_t *next = audit_ring_at(p->ring, p->head);

	for (unsigned i = 0; i < 4; i++)
		__builtin_prefetch(next + i * 64, 1);
}

/* Encode at head and publish. @return 1 when the ring is filling up, 0, or -errno */
static int publish(struct audit_producer *p, const struct audit_event *ev)
{
	struct audit_slot *slot = (struct audit_slot *)audit_ring_at(p->ring, p->head);
	uint64_t mono = audit_sys_now(CLOCK_MONOTONIC);
	int len;

	if (p->dead || state_error(p->ring) < 0)
		return -EIO;
	if (!writer_alive(p, mono)) {
		p->dead = true;
		return -EIO;
	}
	len = audit_event_encode(slot + 1, ev);
	if (len < 0)
		return len;
	slot->payload = (uint32_t)len;
	slot->size = (uint32_t)((sizeof(*slot) + (unsigned)len + 7) & ~7ul);
	slot->pseq = ++p->pseq;
	slot->wall_ns = p->wall_ns + mono;
	slot->mono_ns = mono;
	p->head += slot->size;
	atomic_store_explicit(&p->ring->head, p->head, memory_order_release);
	count(p->ring, ev->decision);
	prefetch_slot(p);
	return p->head - atomic_load_explicit(&p->ring->tail, memory_order_relaxed) >
	       AUDIT_RING_DATA / 4;
}

static int await_commit(struct audit_producer *p, uint64_t pseq)
{
	const uint64_t start = audit_sys_now(CLOCK_MONOTONIC);
	int r = 0;

	while (r == 0) {
		uint32_t seen = atomic_load(&p->ring->progress);
		struct pollfd pfd = {.fd = p->wake_fd};

		if (atomic_load_explicit(&p->ring->committed, memory_order_acquire) >= pseq)
			break;
		if (state_error(p->ring) < 0 || audit_sys_now(CLOCK_MONOTONIC) - start > COMMIT_WAIT_NS ||
		    poll(&pfd, 1, 0) < 0 || (pfd.revents & (POLLHUP | POLLERR)))
			r = -EIO;
		else
			audit_sys_wait(&p->ring->progress, seen, SLICE_NS);
	}
	return r;
}

void audit_ring_counts(int ring_fd, uint64_t counts[VERDICT_COUNT])
{
	struct audit_ring *ring;

	if (ring_fd < 0 || audit_ring_map(&ring, ring_fd) < 0)
		return;
	for (unsigned i = 0; i < VERDICT_COUNT; i++)
		counts[i] += atomic_load_explicit(&ring->counts[i], memory_order_relaxed);
	audit_ring_unmap(ring);
}

int audit_append_start(struct audit_ticket *t, struct audit_producer *p,
		       const struct audit_event *ev)
{
	int r;

	t->commit = ev->durability == AUDIT_COMMIT;
	pthread_mutex_lock(&p->lock);
	if (t->commit)
		atomic_fetch_add(&p->ring->waiters, 1);
	r = await_room(p);
	if (r == 0)
		r = publish(p, ev);
	t->pseq = p->pseq;
	pthread_mutex_unlock(&p->lock);
	if (r >= 0) {
		wake_writer(p, t->commit || r == 1);
		return 0;
	}
	if (t->commit)
		atomic_fetch_sub(&p->ring->waiters, 1);
	return r;
}

int audit_append_finish(struct audit_producer *p, const struct audit_ticket *t)
{
	int r;

	if (!t->commit)
		return 0;
	r = await_commit(p, t->pseq);
	atomic_fetch_sub(&p->ring->waiters, 1);
	return r;
}

int audit_append(struct audit_producer *p, const struct audit_event *ev)
{
	struct audit_ticket t;
	int r = audit_append_start(&t, p, ev);

	return r < 0 ? r : audit_append_finish(p, &t);
}
