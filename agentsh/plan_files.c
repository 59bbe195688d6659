/*
 * Files that the sandbox sees instead of the host's: its resolver and its own name. And the private
 * directories of a session that fsgate governs.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentsh/plan_i.h"
#include "common/path.h"
#include "common/str.h"

int plan_private_dir(char *out, size_t size, const struct plan_args *args, const char *path,
		     struct err *e)
{
	char name[NAME_MAX];
	size_t len = strlen(path);

	/* one level: /var/tmp is private-var-tmp */
	if (len >= sizeof(name) - sizeof("private"))
		return err_set(e, ENAMETOOLONG, "private directory for %s", path);
	snprintf(name, sizeof(name), "private%s", path);
	for (char *c = name; *c; c++)
		if (*c == '/')
			*c = '-';
	if (path_join(out, size, args->run_dir, name) < 0)
		return err_set(e, ENAMETOOLONG, "private directory for %s", path);
	if (mkdir(out, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "make %s", out);
	/* the directory of the session around it is closed to others */
	return chmod(out, 01777) < 0 ? err_set(e, errno, "chmod %s", out) : 0;
}

static int write_all(const char *path, const char *text, struct err *e)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	size_t len = strlen(text);

	if (fd < 0)
		return err_set(e, errno, "create %s", path);
	if (write(fd, text, len) != (ssize_t)len)
		return err_set(e, errno, "write %s", path);
	return fchmod(fd, 0644) < 0 ? err_set(e, errno, "chmod %s", path) : 0;
}

static int add_override(struct plan *p, const char *path, const char *host, bool governed,
			struct err *e)
{
	struct plan_override *bigger =
		realloc(p->overrides, (p->n_overrides + 1) * sizeof(*bigger));
	struct plan_override *o;

	if (!bigger)
		return err_set(e, ENOMEM, "plan %s", path);
	p->overrides = bigger;
	o = &bigger[p->n_overrides++];
	o->path = strdup(path);
	o->host = strdup(host);
	o->governed = governed;
	return o->path && o->host ? 0 : err_set(e, ENOMEM, "plan %s", path);
}

/* mkdir -p of what lies between a private directory and a mount point or file in it. */
static int make_below(const char *dir, const char *rest, bool last_too, struct err *e)
{
	char path[PATH_MAX];
	struct str s;

	str_init(&s, path, sizeof(path));
	str_add(&s, dir);
	while (*rest) {
		size_t len = strcspn(rest, "/");

		if (!rest[len] && !last_too)
			return 0;
		str_add(&s, "/");
		str_add_mem(&s, rest, len);
		if (s.cut)
			return err_set(e, ENAMETOOLONG, "%s", path);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_set(e, errno, "make %s", path);
		rest += len + (rest[len] == '/');
	}
	return 0;
}

static const char *below(const char *path, const char *dir)
{
	const char *rest = path + strlen(dir);

	return *rest == '/' ? rest + 1 : rest;
}

bool plan_is_session_tree(const struct plan_args *args, const struct plan_entry *entry)
{
	return entry && entry->kind == PLAN_GOVERNED && path_is_below(entry->host, args->run_dir);
}

/* The real name of a file, or the path itself. Its target may be missing: then as far as it goes. */
static int real_name(char *out, size_t size, const char *path)
{
	char target[PATH_MAX], dir[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	size_t len = (size_t)(path_base(path) - path);

	if (n <= 0)
		return path_normalize(out, size, path);
	target[n] = '\0';
	if (len >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, len);
	dir[len] = '\0';
	return path_join(out, size, dir, target);
}

/* One generated file: where it has to appear depends on what shows its directory. */
static int place_file(struct plan_build *b, const char *path, const char *text, struct err *e)
{
	const struct plan_entry *in = plan_covering(b->plan, path);
	char real[PATH_MAX], host[PATH_MAX];
	int r;

	/* a policy that shows nothing of the directory does not want this file either */
	if (!in)
		return 0;
	if (real_name(real, sizeof(real), path) < 0)
		return err_set(e, ENAMETOOLONG, "%s", path);
	in = plan_covering(b->plan, real);
	if (!in && !plan_is_private(real))
		return 0;
	if (plan_is_session_tree(b->args, in)) {
		r = make_below(in->host, below(real, in->path), false, e);
		if (r == 0 && path_join(host, sizeof(host), in->host, below(real, in->path)) < 0)
			r = err_set(e, ENAMETOOLONG, "%s", real);
		return r < 0 ? r : write_all(host, text, e);
	}
	/* over a bind there must be a file to cover */
	if (in && in->kind == PLAN_BIND && access(real, F_OK) < 0)
		return 0;
	if (path_join(host, sizeof(host), b->args->run_dir, path_base(path)) < 0)
		return err_set(e, ENAMETOOLONG, "%s", path);
	r = write_all(host, text, e);
	return r < 0 ? r : add_override(b->plan, real, host, in && in->kind == PLAN_GOVERNED, e);
}

/* A mount point inside a private governed tree: there is nobody else to make it. */
static int make_mount_points(struct plan_build *b, struct err *e)
{
	for (size_t i = 0; i < b->plan->n_entries; i++) {
		const struct plan_entry *outer = &b->plan->entries[i];

		if (!plan_is_session_tree(b->args, outer))
			continue;
		for (size_t k = 0; k < b->plan->n_entries; k++) {
			const struct plan_entry *inner = &b->plan->entries[k];
			int r;

			if (k == i || !path_is_below(inner->path, outer->path))
				continue;
			r = make_below(outer->host, below(inner->path, outer->path), true, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int plan_files(struct plan_build *b, struct err *e)
{
	const char *name = b->args->hostname ? b->args->hostname : "localhost";
	char text[512];
	int r = 0;

	if (b->args->resolver) {
		snprintf(text, sizeof(text), "nameserver %s\noptions edns0\n", b->args->resolver);
		r = place_file(b, "/etc/resolv.conf", text, e);
	}
	if (r == 0) {
		snprintf(text, sizeof(text),
			 "127.0.0.1\tlocalhost\n127.0.1.1\t%s\n"
			 "::1\tlocalhost ip6-localhost ip6-loopback\n", name);
		r = place_file(b, "/etc/hosts", text, e);
	}
	if (r == 0) {
		snprintf(text, sizeof(text), "%s\n", name);
		r = place_file(b, "/etc/hostname", text, e);
	}
	return r < 0 ? r : make_mount_points(b, e);
}
