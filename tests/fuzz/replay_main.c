/*
 * replay - a fuzz target without libFuzzer: run it over files, and over mutations of them
 *
 *   TARGET [-r ROUNDS] [-s SEED] FILE-OR-DIRECTORY...
 *
 * Mutations are deterministic for a seed; an input that crashes is left in ./crash-input.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX 65536u

struct replay {
	unsigned long rounds;
	uint64_t seed;
	unsigned long n;
	int crash; /* where the current input is kept; -1: not kept */
};

static uint64_t next(struct replay *r)
{
	/* xorshift64 */
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 7;
	r->seed ^= r->seed << 17;
	return r->seed;
}

static size_t mutate(struct replay *r, uint8_t *p, size_t len)
{
	static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, '\r', '\n', ' ', ':', '%', '.', '/'};
	unsigned steps = 1 + (unsigned)(next(r) % 4);

	while (steps--) {
		size_t at = len ? next(r) % len : 0;
		size_t n = len > at ? 1 + next(r) % (len - at) : 0;

		switch (next(r) % 6) {
		case 0: /* a bit */
			if (len)
				p[at] ^= (uint8_t)(1u << next(r) % 8);
			break;
		case 1: /* a byte that parsers care about */
			if (len)
				p[at] = odd[next(r) % sizeof(odd)];
			break;
		case 2: /* cut */
			memmove(p + at, p + at + n, len - at - n);
			len -= n;
			break;
		case 3: /* repeat a piece */
			if (len + n <= INPUT_MAX) {
				memmove(p + at + n, p + at, len - at);
				len += n;
			}
			break;
		case 4: /* insert */
			if (len < INPUT_MAX) {
				memmove(p + at + 1, p + at, len - at);
				p[at] = odd[next(r) % sizeof(odd)];
				len++;
			}
			break;
		default: /* cut the end */
			len = at;
		}
	}
	return len;
}

static void run(struct replay *r, const uint8_t *p, size_t len)
{
	/* an exact copy, so that a sanitizer sees the first byte read too far */
	autofree uint8_t *exact = malloc(len ? len : 1);

	if (!exact)
		exit(99);
	memcpy(exact, p, len);
	if (r->crash >= 0 && (ftruncate(r->crash, 0) < 0 || pwrite(r->crash, p, len, 0) < 0))
		exit(99);
	LLVMFuzzerTestOneInput(exact, len);
	r->n++;
}

static int replay_file(struct replay *r, const char *path)
{
	static uint8_t seed[INPUT_MAX], p[INPUT_MAX];
	autofclose FILE *f = fopen(path, "re");
	size_t len = f ? fread(seed, 1, sizeof(seed), f) : 0;

	if (!f) {
		perror(path);
		return 1;
	}
	run(r, seed, len);
	for (unsigned long i = 0; i < r->rounds; i++) {
		memcpy(p, seed, len);
		run(r, p, mutate(r, p, len));
	}
	return 0;
}

static int replay(struct replay *r, const char *path)
{
	struct dirent **ents;
	int n = scandir(path, &ents, NULL, alphasort), status = 0;

	if (n < 0)
		return replay_file(r, path);
	for (int i = 0; i < n; i++) {
		char name[4096];

		snprintf(name, sizeof(name), "%s/%s", path, ents[i]->d_name);
		if (ents[i]->d_name[0] != '.')
			status |= replay_file(r, name);
		free(ents[i]);
	}
	free(ents);
	return status;
}

int main(int argc, char **argv)
{
	struct replay r = {.seed = 88172645463325252u, .crash = -1};
	int c, status = 0;

	while ((c = getopt(argc, argv, "r:s:")) != -1) {
		if (c == 'r')
			r.rounds = strtoul(optarg, NULL, 10);
		else if (c == 's')
			r.seed = strtoul(optarg, NULL, 10) * 2 + 1;
		else
			return 2;
	}
	if (r.rounds)
		r.crash = open("crash-input", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (int i = optind; i < argc; i++)
		status |= replay(&r, argv[i]);
	printf("%lu inputs\n", r.n);
	if (r.crash >= 0)
		unlink("crash-input");
	return status || r.n == 0;
}
