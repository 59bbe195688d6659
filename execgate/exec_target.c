#include "execgate/exec_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/path.h"
#include "common/str.h"
#include "execgate/exec_loader.h"

#ifndef AT_EXECVE_CHECK
#define AT_EXECVE_CHECK 0x10000
#endif

static int refuse(struct exec_target *t, const char *why)
{
	t->refused = why;
	return -EACCES;
}

static int no_name(struct exec_target *t)
{
	return refuse(t, "the program has no name in the sandbox (memfd, deleted, from outside)");
}

/* ---- one file ---- */

static int read_head(struct exec_part *p)
{
	uint8_t head[EXEC_HEAD];
	ssize_t n = pread(p->fd, head, sizeof(head), 0);

	if (n < 0)
		return -errno;
	return exec_image_parse(&p->image, head, (size_t)n);
}

/* Reading depends on our rights, not on the caller's; what we cannot read, nobody judges. */
static int open_for_reading(struct exec_part *p)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->file.fd);
	p->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return p->fd < 0 ? -errno : 0;
}

static int digest_part(struct exec_part *p, const struct exec_world *w)
{
	int r = -ESTALE;

	/* a file being written right now: take a few looks, then give up */
	for (unsigned i = 0; i < 3 && r == -ESTALE; i++) {
		if (fstat(p->fd, &p->file.st) < 0)
			return -errno;
		p->is_fresh = exec_hash_is_fresh(&p->file.st);
		r = exec_hash_get(p->digest, w->hash, p->fd, &p->file.st);
	}
	return r;
}

/*
 * An ELF of the sandbox's own making may name any program as its loader: it then answers to that
 * program's names as well. The system's loader itself is what every program names, and runs this
 * one; rules about starting programs through it are not about that.
 */
static int add_loader_names(struct exec_target *t, struct exec_part *p, const struct exec_world *w,
			    const struct exec_base *base)
{
	struct exec_base plain = {.tid = base->tid, .dirfd = AT_FDCWD, .cwd = base->cwd};
	struct exec_names names = {0};
	struct exec_part loader = {.fd = -1};
	char path[PATH_MAX + 1] = "";
	ssize_t n;
	int r;

	if (p->image.kind != EXEC_ELF || p->image.interp_len == 0 || p->file.trusted)
		return 0;
	n = pread(p->fd, path, (size_t)p->image.interp_len, (off_t)p->image.interp_off);
	if (n != (ssize_t)p->image.interp_len || path[n - 1] != '\0')
		return -ENOEXEC;
	r = exec_resolve(&loader.file, w->root, &plain, path);
	if (r == 0)
		r = open_for_reading(&loader);
	if (r == 0)
		r = digest_part(&loader, w);
	if (r == 0)
		r = exec_alias_find(&names, w->alias, &loader.file.st, loader.digest);
	for (size_t i = 0; i < names.n && r == 0 && !names.is_loader; i++) {
		if (p->names.n == EXEC_ALIASES_MAX)
			r = -E2BIG;
		else
			p->names.name[p->names.n++] = names.name[i];
	}
	exec_file_deinit(&loader.file);
	if (loader.fd >= 0)
		close(loader.fd);
	return r == -EXDEV ? no_name(t) : r;
}

static int open_part(struct exec_target *t, struct exec_part *p, const struct exec_world *w,
		     const struct exec_base *base, const char *path)
{
	int r = exec_resolve(&p->file, w->root, base, path);

	if (r < 0)
		return r == -EXDEV ? no_name(t) : r;
	r = open_for_reading(p);
	if (r < 0)
		return refuse(t, "the program cannot be read, so it cannot be judged");
	r = read_head(p);
	if (r < 0)
		return r;
	r = digest_part(p, w);
	if (r == -EFBIG)
		return refuse(t, "the program is too large to be judged");
	if (r < 0)
		return refuse(t, "the program changes while it is being judged");
	r = exec_alias_find(&p->names, w->alias, &p->file.st, p->digest);
	if (r == 0)
		r = add_loader_names(t, p, w, base);
	return r == -E2BIG ? refuse(t, "the program has too many names") : r;
}

/* ---- argument vectors ---- */

static int set_argv(struct exec_part *p, const char *const *argv, size_t argc,
		    const char *const *front, size_t n_front)
{
	p->argv = calloc(n_front + argc + 1, sizeof(*p->argv));
	if (!p->argv)
		return -ENOMEM;
	for (size_t i = 0; i < n_front; i++)
		p->argv[i] = front[i];
	if (argc)
		memcpy(p->argv + n_front, argv, argc * sizeof(*argv));
	p->argc = n_front + argc;
	return 0;
}

/* busybox and its kin: the applet is argv[0], or argv[1] when called by their own name. */
static void find_applet(struct exec_part *p)
{
	static const char *const own[] = {"busybox", "toybox", "coreutils", "sbase-box"};
	static const char option[] = "--coreutils-prog=";
	const char *name = path_base(p->argv[0]);
	bool is_multi = p->names.is_multicall, is_own = false;

	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		is_own = is_own || str_has_prefix(name, own[i]);
		is_multi = is_multi || str_has_prefix(path_base(p->file.path), own[i]);
	}
	if (!is_multi)
		return;
	is_own = is_own || strcmp(name, path_base(p->file.path)) == 0;
	if (p->argc > 1 && str_has_prefix(p->argv[1], option))
		p->applet = path_base(p->argv[1] + sizeof(option) - 1);
	else if (is_own)
		p->applet = p->argc > 1 ? path_base(p->argv[1]) : NULL;
	else
		p->applet = name[0] == '-' ? name + 1 : name;
}

/* As load_script(): argv[0] gives way to interpreter, its argument, and the script's name. */
static int interpreter_argv(struct exec_part *p, const struct exec_part *script, const char *name)
{
	const char *front[3];
	size_t n = 0;

	front[n++] = script->image.interp;
	if (script->image.arg[0])
		front[n++] = script->image.arg;
	front[n++] = name;
	return set_argv(p, script->argv + 1, script->argc - 1, front, n);
}

/* ---- the whole ---- */

static void name_script(struct exec_target *t, const struct exec_call *c)
{
	struct str s;

	str_init(&s, t->script_name, sizeof(t->script_name));
	if (c->path[0] == '/' || c->dirfd == AT_FDCWD)
		str_add(&s, c->path);
	else
		str_addf(&s, "/dev/fd/%d%s%s", c->dirfd, c->path[0] ? "/" : "", c->path);
}

static int follow_scripts(struct exec_target *t, const struct exec_world *w,
			  const struct exec_base *base)
{
	const char *name = t->script_name;
	struct exec_base plain = {.tid = base->tid, .dirfd = AT_FDCWD, .cwd = base->cwd};

	while (t->part[t->n_chain - 1].image.kind == EXEC_SCRIPT) {
		struct exec_part *script = &t->part[t->n_chain - 1];
		struct exec_part *p = &t->part[t->n_chain];
		int r;

		if (t->n_chain > EXEC_CHAIN)
			return -ELOOP;
		t->n_parts = ++t->n_chain;
		r = open_part(t, p, w, &plain, script->image.interp);
		if (r == 0)
			r = interpreter_argv(p, script, name);
		if (r < 0)
			return r;
		find_applet(p);
		name = script->image.interp;
	}
	return 0;
}

/* `ld.so PROG`: PROG is judged as if it had been started itself; so on if it is a loader too. */
static int follow_loaders(struct exec_target *t, const struct exec_world *w,
			  const struct exec_base *base)
{
	struct exec_base plain = {.tid = base->tid, .dirfd = AT_FDCWD, .cwd = base->cwd};
	struct exec_part *p = &t->part[t->n_parts - 1];

	while (p->names.is_loader) {
		struct exec_loader_call call;
		const char *path;
		int r = exec_loader_parse(&call, p->argv, p->argc);

		if (r < 0)
			return refuse(t, "the loader's arguments cannot be judged");
		if (call.program == 0)
			return 0; /* --help and the like */
		path = p->argv[call.program];
		if (!strchr(path, '/'))
			return refuse(t, "the loader must be given the path of a program");
		if (t->n_parts == EXEC_PARTS)
			return refuse(t, "too many loaders");
		t->n_parts++;
		r = open_part(t, &p[1], w, &plain, path);
		if (r == 0)
			r = set_argv(&p[1], p->argv + call.program + 1, p->argc - call.program - 1,
				     &call.argv0, 1);
		if (r < 0)
			return r;
		p++;
		find_applet(p);
		/* the loader looks the path up again, later and unwatched */
		if (!exec_resolve_is_steady(w->root, &p->file))
			return refuse(t, "the loader must be given the real path of a program");
	}
	return 0;
}

int exec_target_open(struct exec_target *t, const struct exec_world *w, const struct exec_call *c)
{
	const int known = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_EXECVE_CHECK;
	struct exec_base base = {
		.tid = c->tid,
		.dirfd = c->dirfd,
		.cwd = c->cwd,
		.nofollow = c->flags & AT_SYMLINK_NOFOLLOW,
	};
	int r;

	memset(t, 0, sizeof(*t));
	if (c->flags & ~known)
		return -EINVAL;
	if (!c->path[0] && !(c->flags & AT_EMPTY_PATH))
		return -ENOENT;
	t->part = calloc(EXEC_PARTS, sizeof(*t->part));
	if (!t->part)
		return -ENOMEM;
	for (unsigned i = 0; i < EXEC_PARTS; i++)
		t->part[i].fd = t->part[i].file.fd = -1;
	t->n_chain = t->n_parts = 1;
	name_script(t, c);
	r = open_part(t, &t->part[0], w, &base, c->path);
	if (r == 0)
		r = set_argv(&t->part[0], c->argv, c->argc, NULL, 0);
	if (r < 0)
		return r;
	find_applet(&t->part[0]);
	r = follow_scripts(t, w, &base);
	return r < 0 ? r : follow_loaders(t, w, &base);
}

void exec_target_deinit(struct exec_target *t)
{
	for (unsigned i = 0; t->part && i < t->n_parts; i++) {
		exec_file_deinit(&t->part[i].file);
		if (t->part[i].fd >= 0)
			close(t->part[i].fd);
		free(t->part[i].argv);
	}
	free(t->part);
	t->part = NULL;
}

const struct exec_part *exec_target_image(const struct exec_target *t)
{
	return &t->part[t->n_chain - 1];
}
