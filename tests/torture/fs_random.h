/* fs_random.h - what the two halves of fs_random share: the driver and the table of operations */
#ifndef TESTS_TORTURE_FS_RANDOM_H
#define TESTS_TORTURE_FS_RANDOM_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 12
#define MAX_SIZE 200000
#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/** One of the two directories, with the descriptors that are open below it. */
struct side {
	const char *name;
	int root; /**< the directory */
	int host; /**< the same directory on the host's side, or -1 */
	int fd[SLOTS];
};

/** What an operation may need; each takes what it wants. */
struct args {
	char p[600], q[600]; /**< relative paths */
	int slot, slot2, base; /**< base: a slot whose directory p and q start from, or -1 */
	off_t off, off2;
	size_t len;
	mode_t mode, mask;
	uint32_t choice, seed;
	bool on_host;
};

/** What both sides must agree in. */
struct result {
	long ret;
	int error;
	uint64_t hash;
};

struct op {
	const char *name;
	unsigned weight;
	void (*run)(struct side *s, const struct args *a, struct result *r);
	/** What is known to differ by design is made equal here (and undone), or NULL. */
	void (*fixup)(const struct args *a, struct result r[2]);
	bool dirs;	/**< rather on directories */
	bool by_path;	/**< uses no slot: the host can do it, too */
	bool no_stamps; /**< time stamps are not compared */
};

extern const struct op ops_table[];
extern struct side sides[2];

/** The directory that a's paths start from. @param act  for the operation itself, not for looking */
int side_base(const struct side *s, const struct args *a, bool act);

uint64_t hash_bytes(uint64_t h, const void *data, size_t n);
uint64_t hash_file(int fd);

#endif
