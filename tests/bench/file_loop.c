/* file_loop DIR N: open+read+close of one file, create+unlink of others; nanoseconds for one */
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "tests/bench/clock.h"

static int put(const char *path, const char *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return -1;
	if (write(fd, data, len) != (ssize_t)len) {
		close(fd);
		return -1;
	}
	return close(fd);
}

static int get(const char *path)
{
	char buf[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (read(fd, buf, sizeof(buf)) <= 0) {
		close(fd);
		return -1;
	}
	return close(fd);
}

int main(int argc, char **argv)
{
	char path[PATH_MAX], data[1024];
	uint64_t start;
	unsigned n;

	if (argc != 3) {
		fprintf(stderr, "usage: file_loop DIR N\n");
		return 2;
	}
	n = clock_count(argv[2]);
	memset(data, 'x', sizeof(data));
	snprintf(path, sizeof(path), "%s/read-me", argv[1]);
	if (put(path, data, sizeof(data)) < 0 || get(path) < 0)
		return clock_fail(path);
	start = clock_ns();
	for (unsigned i = 0; i < n; i++)
		if (get(path) < 0)
			return clock_fail(path);
	clock_report("open_read_close", start, n);
	snprintf(path, sizeof(path), "%s/fleeting", argv[1]);
	start = clock_ns();
	for (unsigned i = 0; i < n; i++)
		if (put(path, data, 16) < 0 || unlink(path) < 0)
			return clock_fail(path);
	clock_report("create_unlink", start, n);
	return 0;
}
