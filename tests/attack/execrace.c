/*
 * execrace.c - change what execve was asked for between the judgement and the use
 *
 * Expected: in thousands of tries the denied program (factor, or printf with the word "forbidden")
 * does not run once. A thread, or a process that shares the memory, exchanges the path, an argument
 * or the file while the call is under way.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

/* what both processes of a try see */
struct shared {
	char path[64];
	char arg[64];
	const char *name;   /* that is exchanged in the file system */
	const char *values[2];
	volatile int stop;
};

static struct shared *s;
static void (*flip_fn)(void);

/* the compiler must not see that one store undoes the other; the length varies the timing */
static void pause_a_little(void)
{
	static unsigned n;

	n = n * 1103515245 + 12345;
	for (unsigned i = n >> 20 & 1023; i > 0; i--)
		__asm__ volatile("" ::: "memory");
}

static void flip_path(void)
{
	memcpy(s->path, "/usr/bin/factor", 16);
	pause_a_little();
	memcpy(s->path, "/usr/bin/printf", 16);
	pause_a_little();
}

static void flip_arg(void)
{
	memcpy(s->arg, "forbidden", 10);
	pause_a_little();
	memcpy(s->arg, "harmless!", 10);
	pause_a_little();
}

static void flip_name(void)
{
	char tmp[80];

	snprintf(tmp, sizeof(tmp), "%s.new", s->name);
	for (int i = 0; i < 2; i++) {
		unlink(tmp);
		if (symlink(s->values[i], tmp) == 0)
			rename(tmp, s->name);
	}
}

static void flip_content(void)
{
	renameat2(AT_FDCWD, s->values[0], AT_FDCWD, s->values[1], RENAME_EXCHANGE);
	pause_a_little();
}

static void *flipper(void *arg)
{
	(void)arg;
	while (!s->stop)
		flip_fn();
	return NULL;
}

static int won(const char *out)
{
	return strstr(out, "6: 2 3") || strstr(out, "forbidden");
}

/* vfork, because its child has the parent's memory: the other thread changes it during the call */
static __attribute__((noinline)) pid_t start(const char *const argv[], int to)
{
	pid_t pid = vfork();

	if (pid == 0) {
		dup2(to, 1);
		execv(s->path, (char *const *)(uintptr_t)argv);
		_exit(126);
	}
	return pid;
}

static int try_once(const char *const argv[], unsigned *executed)
{
	char out[256];
	size_t len = 0;
	ssize_t n;
	int p[2], status;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return 0;
	pid = start(argv, p[1]);
	close(p[1]);
	while (len < sizeof(out) - 1 && (n = read(p[0], out + len, sizeof(out) - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(p[0]);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) != 126)
		(*executed)++;
	return won(out);
}

static enum outcome race(void (*fn)(void), const char *const argv[])
{
	unsigned tries = attack_tries(8000) / 4, executed = 0, wins = 0;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int err = dup(2);
	pthread_t t;

	flip_fn = fn;
	dup2(null, 2); /* a line for each denial */
	if (pthread_create(&t, NULL, flipper, NULL) != 0)
		return attack_broken("no thread");
	for (unsigned i = 0; i < tries && !wins; i++)
		wins += (unsigned)try_once(argv, &executed);
	s->stop = 1;
	pthread_join(t, NULL);
	dup2(err, 2);
	if (wins)
		return attack_escaped("the denied one ran");
	if (executed == 0)
		return attack_broken("not one try ran anything");
	return attack_blocked("%u tries, %u ran the harmless one", tries, executed);
}

static void prepare(const char *path, const char *arg)
{
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(s->path, sizeof(s->path), "%s", path);
	snprintf(s->arg, sizeof(s->arg), "%s", arg);
}

static enum outcome race_path(void)
{
	const char *argv[] = {"printf", "6", NULL};

	prepare("/usr/bin/printf", "6");
	return race(flip_path, argv);
}

static enum outcome race_argument(void)
{
	prepare("/usr/bin/printf", "harmless!");
	const char *argv[] = {"printf", s->arg, NULL};

	return race(flip_arg, argv);
}

static enum outcome race_symlink(void)
{
	const char *argv[] = {"printf", "6", NULL};

	prepare("pub/flip", "6");
	s->name = "pub/flip";
	s->values[0] = "/usr/bin/printf";
	s->values[1] = attack_conf("denied_program");
	flip_fn = flip_name;
	flip_fn();
	return race(flip_name, argv);
}

static enum outcome race_directory(void)
{
	const char *argv[] = {"printf", "6", NULL};

	prepare("pub/flipdir/tool", "6");
	mkdir("pub/tools1", 0755);
	mkdir("pub/tools2", 0755);
	(void)!symlink("/usr/bin/printf", "pub/tools1/tool");
	(void)!symlink(attack_conf("denied_program"), "pub/tools2/tool");
	s->name = "pub/flipdir";
	s->values[0] = "tools1";
	s->values[1] = "tools2";
	flip_name();
	return race(flip_name, argv);
}

static int script(const char *path, const char *text)
{
	unlink(path);
	return attack_spill(path, text) < 0 ? -1 : chmod(path, 0755);
}

/* a script whose first line changes from an allowed interpreter to the denied one */
static enum outcome race_script(void)
{
	const char *argv[] = {"script", NULL};

	prepare("pub/script1", "");
	s->values[0] = "pub/script1";
	s->values[1] = "pub/script2";
	if (script(s->values[0], "#!/usr/bin/printf 6\n") < 0 ||
	    script(s->values[1], "#!/usr/bin/factor 6\n") < 0)
		return attack_broken("no script: %m");
	return race(flip_content, argv);
}

static const struct attack cases[] = {
	RACE("race-exec-path", race_path),
	RACE("race-exec-argument", race_argument),
	RACE("race-exec-symlink", race_symlink),
	RACE("race-exec-directory", race_directory),
	RACE("race-exec-script", race_script),
};

ATTACK_MAIN(cases)
