/*
 * races.c - change what a name means between the check and the use
 *
 * Expected: not one try in thousands reads the secret. A thread exchanges what a path leads to, as
 * fast as it can, while the main thread opens that path.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/attack/attack.h"

/* ---- races ---- */

struct flip {
	const char *name;
	const char *a, *b;
	volatile bool stop;
	volatile unsigned flips;
};

static void *flip_link(void *arg)
{
	struct flip *f = arg;
	char tmp[PATH_MAX];

	snprintf(tmp, sizeof(tmp), "%s.tmp", f->name);
	while (!f->stop) {
		unlink(tmp);
		(void)!symlink(f->a, tmp);
		rename(tmp, f->name);
		(void)!symlink(f->b, tmp);
		rename(tmp, f->name);
		f->flips++;
	}
	return NULL;
}

static void *flip_directories(void *arg)
{
	struct flip *f = arg;

	while (!f->stop)
		if (renameat2(AT_FDCWD, f->a, AT_FDCWD, f->b, RENAME_EXCHANGE) == 0)
			f->flips++;
	return NULL;
}

static enum outcome race(struct flip *f, void *(*flipper)(void *), const char *path)
{
	unsigned tries = attack_tries(20000), opened = 0, i = 0;
	time_t end = time(NULL) + 60;
	pthread_t t;
	enum outcome o = BLOCKED;

	if (pthread_create(&t, NULL, flipper, f) != 0)
		return attack_broken("no thread");
	/* a name that is opened from the cache is opened many times between two changes of it */
	for (; (i < tries || f->flips < tries / 2) && o == BLOCKED && time(NULL) < end; i++) {
		char buf[256];
		ssize_t n = attack_slurp(path, buf, sizeof(buf));

		opened += n > 0;
		if (n > 0 && strstr(buf, attack_conf("secret")))
			o = ESCAPED;
	}
	f->stop = true;
	pthread_join(t, NULL);
	if (o == ESCAPED)
		return attack_escaped("won the race");
	if (opened == 0)
		return attack_broken("not one try opened anything");
	return attack_blocked("%u tries, %u changes, %u opened the harmless one", i, f->flips, opened);
}

static enum outcome race_component(void)
{
	struct flip f = {.name = "pub/cur", .a = "open", .b = "../priv"};

	mkdir("pub/open", 0755);
	attack_spill("pub/open/secret.txt", "harmless\n");
	return race(&f, flip_link, "pub/cur/secret.txt");
}

static enum outcome race_leaf(void)
{
	struct flip f = {.name = "pub/leaf", .a = "open.txt", .b = "../priv/secret.txt"};

	return race(&f, flip_link, "pub/leaf");
}

static enum outcome race_outside(void)
{
	char dir[PATH_MAX];
	struct flip f = {.name = "pub/home", .a = "open", .b = dir};

	snprintf(dir, sizeof(dir), "%s", attack_conf("outside_file"));
	*strrchr(dir, '/') = '\0';
	mkdir("pub/open", 0755);
	attack_spill("pub/open/secret", "harmless\n");
	return race(&f, flip_link, "pub/home/secret");
}

static enum outcome race_directories(void)
{
	struct flip f = {.a = "pub/d1", .b = "pub/d2"};

	mkdir("pub/d1", 0755);
	mkdir("pub/d2", 0755);
	mkdir("pub/d1/x", 0755);
	attack_spill("pub/d1/x/secret.txt", "harmless\n");
	unlink("pub/d2/x");
	if (symlink("../../priv", "pub/d2/x") < 0)
		return attack_blocked("symlink: %s", strerrorname_np(errno));
	return race(&f, flip_directories, "pub/d1/x/secret.txt");
}

static const struct attack cases[] = {
	RACE("race-path-component", race_component),
	RACE("race-symlink-leaf", race_leaf),
	RACE("race-link-outside", race_outside),
	RACE("race-directory-exchange", race_directories),
};

ATTACK_MAIN(cases)
