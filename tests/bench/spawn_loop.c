/* spawn_loop N [PROGRAM]: start a program N times, one after the other; nanoseconds for one */
#include <spawn.h>
#include <sys/wait.h>

#include "tests/bench/clock.h"

extern char **environ;

static int spawn_one(char *program)
{
	char *argv[] = {program, NULL};
	int status;
	pid_t pid;

	errno = posix_spawn(&pid, program, NULL, NULL, argv, environ);
	if (errno)
		return -1;
	if (waitpid(pid, &status, 0) < 0)
		return -1;
	return status == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
	char *program = argc > 2 ? argv[2] : (char[]){"/bin/true"};
	unsigned n = argc > 1 ? clock_count(argv[1]) : 100;
	uint64_t start;

	if (spawn_one(program) < 0)
		return clock_fail(program);
	start = clock_ns();
	for (unsigned i = 0; i < n; i++)
		if (spawn_one(program) < 0)
			return clock_fail(program);
	clock_report("spawn", start, n);
	return 0;
}
