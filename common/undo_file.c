/* Extended attributes of files, as both sides of the journal need them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/undo.h"

struct proc_path {
	char text[40];
};

static const char *proc_path(struct proc_path *p, int fd)
{
	snprintf(p->text, sizeof(p->text), "/proc/self/fd/%d", fd);
	return p->text;
}

int undo_xattrs_get(char *buf, size_t size, int fd)
{
	struct proc_path p = {""};
	autofree char *names = malloc(65536);
	ssize_t n = names ? listxattr(proc_path(&p, fd), names, 65536) : -1;
	size_t len = 0;

	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (char *name = names; name < names + n; name += strlen(name) + 1) {
		size_t name_len = strlen(name) + 1;
		uint32_t value_len;
		ssize_t r;

		if (len + name_len + 4 > size)
			return -E2BIG;
		r = getxattr(p.text, name, buf + len + name_len + 4, size - len - name_len - 4);
		if (r < 0 && errno == ERANGE)
			return -E2BIG;
		if (r < 0) /* gone meanwhile, or not for us */
			continue;
		value_len = (uint32_t)r;
		memcpy(buf + len, name, name_len);
		memcpy(buf + len + name_len, &value_len, 4);
		len += name_len + 4 + value_len;
	}
	return (int)len;
}

/* @return false at the end, or when the text is damaged */
static bool next_xattr(struct undo_text *t, const char **name, const char **value, uint32_t *len)
{
	const char *end = t->len ? memchr(t->p, 0, t->len) : NULL;
	size_t used;

	if (!end || (size_t)(t->p + t->len - end) < 5)
		return false;
	*name = t->p;
	memcpy(len, end + 1, 4);
	*value = end + 5;
	used = (size_t)(*value - t->p);
	if (*len > t->len - used)
		return false;
	t->p += used + *len;
	t->len -= (uint32_t)(used + *len);
	return true;
}

static bool has_xattr(struct undo_text t, const char *wanted)
{
	const char *name, *value;
	uint32_t len;

	while (next_xattr(&t, &name, &value, &len))
		if (strcmp(name, wanted) == 0)
			return true;
	return false;
}

int undo_xattrs_set(int fd, struct undo_text xattrs)
{
	struct proc_path p = {""};
	autofree char *names = malloc(65536), *now = malloc(65536);
	ssize_t n = names ? listxattr(proc_path(&p, fd), names, 65536) : -1;
	struct undo_text t = xattrs;
	const char *name, *value;
	uint32_t len;
	int r = 0;

	if (!now)
		return -ENOMEM;
	for (char *s = names; n > 0 && s < names + n; s += strlen(s) + 1)
		if (!has_xattr(xattrs, s) && removexattr(p.text, s) < 0 && r == 0)
			r = -errno;
	while (next_xattr(&t, &name, &value, &len)) {
		if (getxattr(p.text, name, now, 65536) == (ssize_t)len &&
		    memcmp(now, value, len) == 0)
			continue;
		if (setxattr(p.text, name, value, len, 0) < 0 && r == 0)
			r = -errno;
	}
	return r;
}

bool undo_xattrs_same(int fd, struct undo_text xattrs)
{
	autofree char *now = malloc(UNDO_XATTRS_MAX), *value_now = malloc(UNDO_XATTRS_MAX);
	int n = now ? undo_xattrs_get(now, UNDO_XATTRS_MAX, fd) : -1;
	const char *name, *value;
	struct proc_path p = {""};
	uint32_t len;

	if (!value_now || n != (int)xattrs.len)
		return false;
	proc_path(&p, fd);
	while (next_xattr(&xattrs, &name, &value, &len))
		if (getxattr(p.text, name, value_now, UNDO_XATTRS_MAX) != (ssize_t)len ||
		    memcmp(value_now, value, len) != 0)
			return false;
	return true;
}
