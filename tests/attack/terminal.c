/*
 * terminal.c - put words into the terminal of the person who started the session
 *
 * Expected: no character can be pushed into the terminal's input (TIOCSTI, TIOCLINUX), no other
 * terminal of the host can be opened. Runs with a terminal as descriptor 0; the runner looks whether
 * the shell outside got a command.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "tests/attack/attack.h"

static enum outcome push_into(int fd)
{
	char line[512];

	if (!isatty(fd))
		return attack_broken("descriptor %d is no terminal", fd);
	snprintf(line, sizeof(line), "touch %s\n", attack_conf("pushed_file"));
	for (const char *p = line; *p; p++)
		if (ioctl(fd, TIOCSTI, p) < 0)
			return attack_blocked("TIOCSTI: %s", strerrorname_np(errno));
	return attack_escaped("pushed a command");
}

static enum outcome push_characters(void)
{
	return push_into(0);
}

static enum outcome push_controlling(void)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

	return fd < 0 ? attack_blocked("/dev/tty: %s", strerrorname_np(errno)) : push_into(fd);
}

/* request numbers are 32 bits to the kernel, whatever the upper half of the register holds */
static enum outcome push_high_bits(void)
{
	if (!isatty(0))
		return attack_broken("descriptor 0 is no terminal");
	return attack_must_fail("TIOCSTI | 1 << 32", ioctl(0, (unsigned long)TIOCSTI | 1ul << 32, "\n"));
}

static enum outcome paste(void)
{
	char sub = 3; /* TIOCL_PASTESEL */

	return attack_must_fail("TIOCLINUX", ioctl(0, TIOCLINUX, &sub));
}

static enum outcome console(void)
{
	struct stat st, own;
	int fd;

	if (ioctl(0, TIOCCONS) == 0)
		return attack_escaped("TIOCCONS");
	fd = open("/dev/console", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0 && fstat(fd, &st) == 0 && fstat(0, &own) == 0 && st.st_rdev == own.st_rdev)
		return attack_blocked("/dev/console is the session's own terminal");
	return attack_must_fail("open /dev/console", fd);
}

static enum outcome other_terminals(void)
{
	char path[300];
	struct dirent *e;
	DIR *d = opendir("/dev/pts");
	unsigned n = 0;

	if (!d)
		return attack_blocked("no /dev/pts");
	while ((e = readdir(d))) {
		int fd;

		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		n++;
		snprintf(path, sizeof(path), "/dev/pts/%s", e->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
		if (fd >= 0) {
			closedir(d);
			return attack_escaped("opened %s", path);
		}
	}
	closedir(d);
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "/dev/tty%d", i);
		if (open(path, O_RDWR | O_CLOEXEC | O_NOCTTY) >= 0)
			return attack_escaped("opened %s", path);
	}
	return attack_blocked("%u terminals, none opens", n);
}

static const struct attack cases[] = {
	CASE("tiocsti", "refused", push_characters),
	CASE("tiocsti-dev-tty", "refused", push_controlling),
	CASE("tiocsti-high-bits", "refused", push_high_bits),
	CASE("tioclinux", "refused", paste),
	CASE("console", "refused", console),
	CASE("other-terminals", "none", other_terminals),
};

ATTACK_MAIN(cases)
