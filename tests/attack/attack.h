/*
 * attack.h - a hostile program is a table of cases, each tried in a process of its own
 *
 * A case returns what came of it, as seen from inside:
 *   BLOCKED  the thing did not work: what a sandbox is for
 *   ESCAPED  it worked
 *   BROKEN   the case could not be tried (no compiler for it, no name to try it on): this counts
 *            as a failure, because it proves nothing
 * Results go to stdout, one line a case: "RESULT <tab> case <tab> expected <tab> what happened".
 * What the cases need to know about the world outside (names of planted secrets, ports, pids) is
 * in the file outside.conf of the current directory: key=value lines, and "tries" (a number).
 */
#ifndef TESTS_ATTACK_H
#define TESTS_ATTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum outcome { BLOCKED, ESCAPED, BROKEN };

struct attack {
	const char *name;
	const char *expect; /**< for the ledger: what must happen */
	enum outcome (*fn)(void);
	unsigned seconds; /**< after which the case counts as hung */
};

#define CASE(name, expect, fn)                                                                     \
	{                                                                                          \
		name, expect, fn, 20                                                               \
	}
/** A race: many tries. */
#define RACE(name, fn)                                                                             \
	{                                                                                          \
		name, "never", fn, 150                                                             \
	}

/** Run all cases, or those named on the command line. @return exit status: 0 all blocked */
int attack_run(const struct attack *cases, size_t n, int argc, char **argv);

#define ATTACK_MAIN(cases)                                                                         \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return attack_run(cases, sizeof(cases) / sizeof((cases)[0]), argc, argv);          \
	}

/* The last thing that a case does: say what happened. */
enum outcome attack_blocked(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
enum outcome attack_escaped(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
enum outcome attack_broken(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** A call that must fail: r < 0 is BLOCKED with the name of errno, anything else ESCAPED. */
enum outcome attack_must_fail(const char *call, long r);

/** Value of a key of outside.conf; the case ends as BROKEN when there is none. */
const char *attack_conf(const char *key);
long attack_conf_number(const char *key);

/** Content of a file, at most size - 1 bytes, NUL-terminated. @return bytes or -errno */
ssize_t attack_slurp(const char *path, char *buf, size_t size);
/** Write a whole file. @return 0 or -errno */
int attack_spill(const char *path, const char *text);

/** Does the file at path hold the planted secret? ESCAPED if so, BLOCKED otherwise. */
enum outcome attack_read_secret(const char *path);

/** Run argv, stderr dropped; what it wrote to stdout goes to out. @return wait status or -1 */
int attack_capture(char *out, size_t size, const char *const argv[]);

/** Tries for a race: $ATTACK_TRIES, or the number in the file "tries", or fallback. */
unsigned attack_tries(unsigned fallback);

#endif
