#include "common/file_copy.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536

/* @return bytes copied, 0 at the end of from, or -errno */
static ssize_t copy_by_hand(int to, int from, off_t at, off_t end)
{
	char buf[CHUNK];
	size_t want = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
	ssize_t n = pread(from, buf, want, at);

	if (n > 0)
		n = pwrite(to, buf, (size_t)n, at);
	return n < 0 ? -errno : n;
}

static int copy_range(int to, int from, off_t at, off_t end)
{
	while (at < end) {
		off_t in = at, out = at;
		ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(end - at), 0);

		if (n <= 0) /* another file system, or one that cannot: the plain way says why */
			n = copy_by_hand(to, from, at, end);
		if (n < 0)
			return (int)n;
		if (n == 0) /* it became shorter while we looked */
			return 0;
		at += n;
	}
	return 0;
}

int file_share(int to, int from)
{
	return ioctl(to, FICLONE, from) < 0 ? -errno : 0;
}

static int copy_data(int to, int from, off_t size)
{
	off_t at = 0;
	int r = 0;

	while (r == 0 && at < size) {
		off_t data = lseek(from, at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0) /* no holes known here */
			data = at;
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0 || hole > size)
			hole = size;
		r = copy_range(to, from, data, hole);
		at = hole;
	}
	if (r == 0 && ftruncate(to, size) < 0)
		r = -errno;
	return r;
}

int file_copy(int to, int from, off_t size)
{
	struct stat st;

	if (file_share(to, from) == 0)
		return 0;
	if (size != FILE_COPY_ALL)
		return copy_data(to, from, size);
	return fstat(from, &st) < 0 ? -errno : copy_data(to, from, st.st_size);
}
