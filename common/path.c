#include "common/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int path_normalize(char *out, size_t size, const char *path)
{
	size_t n = 0;

	if (path[0] != '/' || size < 2)
		return -EINVAL;
	while (*path) {
		size_t len;

		while (*path == '/')
			path++;
		len = strcspn(path, "/");
		if (len == 0)
			break;
		if (len == 1 && path[0] == '.') {
			path += len;
			continue;
		}
		if (len == 2 && path[0] == '.' && path[1] == '.') {
			while (n > 0 && out[--n] != '/')
				;
			path += len;
			continue;
		}
		if (n + 1 + len + 1 > size)
			return -ENAMETOOLONG;
		out[n++] = '/';
		memcpy(out + n, path, len);
		n += len;
		path += len;
	}
	if (n == 0)
		out[n++] = '/';
	out[n] = '\0';
	return 0;
}

int path_join(char *out, size_t size, const char *dir, const char *name)
{
	char joined[8192];
	int n;

	if (name[0] == '/')
		return path_normalize(out, size, name);
	n = snprintf(joined, sizeof(joined), "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(joined))
		return -ENAMETOOLONG;
	return path_normalize(out, size, joined);
}

bool path_is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (n == 1 && dir[0] == '/')
		return path[0] == '/';
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
