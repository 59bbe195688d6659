/*
 * clock.h - what the benchmark programs share: a clock, and a number from the command line
 */
#ifndef TESTS_BENCH_CLOCK_H
#define TESTS_BENCH_CLOCK_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/** A count from 1 to 100 million; anything else ends the program with status 2. */
static inline unsigned clock_count(const char *text)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || end == text || n < 1 || n > 100000000) {
		fprintf(stderr, "bad count: %s\n", text);
		exit(2);
	}
	return (unsigned)n;
}

/** "name value": nanoseconds for one of n */
static inline void clock_report(const char *name, uint64_t since, unsigned n)
{
	printf("%s %.1f\n", name, (double)(clock_ns() - since) / n);
}

static inline int clock_fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

#endif
