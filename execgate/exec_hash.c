/*
 * Theory: a direct-mapped table; a collision replaces. The kernel stamps ctime with the time of the
 * last tick (10 ms at most), so two changes within one tick look alike: such a young file is hashed
 * each time, as git does for its index.
 */
#include "execgate/exec_hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define SLOTS 1024u
#define CHUNK (256u << 10)
#define FRESH_NS 50000000ll

struct slot {
	bool used;
	struct stat st;
	uint8_t digest[EXEC_SHA256];
};

struct exec_hash {
	pthread_mutex_t lock;
	struct slot slots[SLOTS];
};

struct exec_hash *exec_hash_new(void)
{
	struct exec_hash *h = calloc(1, sizeof(*h));

	if (h)
		pthread_mutex_init(&h->lock, NULL);
	return h;
}

void exec_hash_free(struct exec_hash *h)
{
	if (h)
		pthread_mutex_destroy(&h->lock);
	free(h);
}

bool exec_hash_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool exec_hash_is_fresh(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	/* a ctime in the future (the clock was set back) is never settled */
	return (now.tv_sec - st->st_ctim.tv_sec) * 1000000000ll + now.tv_nsec -
		       st->st_ctim.tv_nsec <
	       FRESH_NS;
}

static struct slot *slot_of(struct exec_hash *h, const struct stat *st)
{
	uint64_t x = (uint64_t)st->st_ino * 0x9e3779b97f4a7c15ull + (uint64_t)st->st_dev;

	return &h->slots[(x ^ x >> 32) % SLOTS];
}

int exec_hash_read(uint8_t out[EXEC_SHA256], int fd, off_t size)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	autofree uint8_t *buf = malloc(CHUNK);
	off_t at = 0;
	int r = ctx && buf && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;

	while (r == 0 && at < size) {
		ssize_t n = pread(fd, buf, CHUNK, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			r = n < 0 ? -errno : -ESTALE;
		else if (EVP_DigestUpdate(ctx, buf, (size_t)n) != 1)
			r = -EIO;
		else
			at += n;
	}
	if (r == 0 && at != size)
		r = -ESTALE;
	if (r == 0 && EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		r = -EIO;
	EVP_MD_CTX_free(ctx);
	return r;
}

int exec_hash_get(uint8_t out[EXEC_SHA256], struct exec_hash *h, int fd, const struct stat *st)
{
	struct slot *s = slot_of(h, st);
	struct stat after;
	bool hit, fresh;
	int r;

	if (st->st_size > EXEC_HASH_MAX)
		return -EFBIG;
	pthread_mutex_lock(&h->lock);
	hit = s->used && exec_hash_same(&s->st, st);
	if (hit)
		memcpy(out, s->digest, EXEC_SHA256);
	pthread_mutex_unlock(&h->lock);
	if (hit)
		return 0;
	fresh = exec_hash_is_fresh(st);
	r = exec_hash_read(out, fd, st->st_size);
	if (r < 0)
		return r;
	if (fstat(fd, &after) < 0 || !exec_hash_same(st, &after))
		return -ESTALE;
	if (fresh)
		return 0;
	pthread_mutex_lock(&h->lock);
	s->used = true;
	s->st = *st;
	memcpy(s->digest, out, EXEC_SHA256);
	pthread_mutex_unlock(&h->lock);
	return 0;
}
