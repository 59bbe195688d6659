#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/str.h"
#include "common/trash.h"

#define XATTRS_MAX (256u << 10)

static bool is_copied(const char *name)
{
	return str_has_prefix(name, "user.") || str_has_prefix(name, "system.posix_acl_");
}

/* @return the names, NUL after NUL, the caller's; NULL with *len 0: none; *len < 0: -errno */
static char *names_of(const char *path, ssize_t *len)
{
	ssize_t n = listxattr(path, NULL, 0);
	char *names;

	*len = 0;
	if (n < 0 && errno != ENOTSUP)
		*len = -errno;
	if (n <= 0)
		return NULL;
	names = malloc((size_t)n);
	*len = names ? listxattr(path, names, (size_t)n) : -ENOMEM;
	if (names && *len < 0)
		*len = -errno;
	return names;
}

static int add_xattr(FILE *out, const char *path, const char *name)
{
	autofree unsigned char *value = malloc(65536);
	ssize_t n;

	if (!value)
		return -ENOMEM;
	n = getxattr(path, name, value, 65536);
	if (n < 0)
		return errno == ENODATA ? 0 : -errno;
	if (strpbrk(name, " \n"))
		return -EINVAL;
	fprintf(out, "xattr %s ", name);
	for (ssize_t i = 0; i < n; i++)
		fprintf(out, "%02x", value[i]);
	fputc('\n', out);
	return ftell(out) > (long)XATTRS_MAX ? -E2BIG : 0;
}

int trash_xattrs_get(char **out, const char *path)
{
	ssize_t len;
	autofree char *names = names_of(path, &len);
	char *text = NULL;
	size_t size = 0;
	FILE *f;
	int r = 0;

	*out = NULL;
	if (len <= 0)
		return (int)len;
	f = open_memstream(&text, &size);
	if (!f)
		return -ENOMEM;
	for (const char *p = names; r == 0 && p < names + len; p += strlen(p) + 1)
		if (is_copied(p))
			r = add_xattr(f, path, p);
	if (fclose(f) != 0)
		r = -ENOMEM;
	if (r < 0 || !size) {
		free(text);
		return r;
	}
	*out = text;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int set_one(const char *path, char *line)
{
	char *name = line + strlen("xattr "), *hex = strchr(name, ' ');
	size_t n;

	if (!str_has_prefix(line, "xattr ") || !hex)
		return -EINVAL;
	*hex++ = '\0';
	if (!is_copied(name)) /* whoever wrote that: nothing else was ever kept */
		return -EINVAL;
	n = strlen(hex) / 2;
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		hex[i] = (char)(high << 4 | low); /* never past what is still to be read */
	}
	return setxattr(path, name, hex, n, 0) < 0 ? -errno : 0;
}

int trash_xattrs_set(const char *path, const char *lines)
{
	autofree char *copy = lines ? strdup(lines) : NULL;
	int r = 0;

	if (!copy)
		return lines ? -ENOMEM : 0;
	for (char *line = copy, *end; r == 0 && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		r = set_one(path, line);
	}
	return r;
}

int trash_copy_attr(int from, int to, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	autofree char *lines = NULL;
	char a[40], b[40];
	int r;

	snprintf(a, sizeof(a), "/proc/self/fd/%d", from);
	snprintf(b, sizeof(b), "/proc/self/fd/%d", to);
	r = trash_xattrs_get(&lines, a);
	if (r == 0)
		r = trash_xattrs_set(b, lines);
	if (r == -ENOTSUP) /* the store has no such attributes: the content is worth more */
		r = 0;
	if (r < 0)
		return r;
	/* the owner may be somebody that we may not give files to: the item says who it was */
	if (fchown(to, st->st_uid, st->st_gid) < 0 && errno != EPERM)
		return -errno;
	if (fchmod(to, st->st_mode & 07777) < 0 || futimens(to, times) < 0)
		return -errno;
	return 0;
}
