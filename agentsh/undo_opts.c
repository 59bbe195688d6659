#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agentsh/undo_cmd.h"
#include "common/audit_reader.h"
#include "common/path.h"
#include "common/str.h"

AUTO_DEFINE(json_t *, json_decref)

/* A later session has taken the name: NAME~2 is an earlier one. */
static bool name_ok(const char *name)
{
	char base[SESSION_NAME_MAX + 1];
	const char *tilde = strchr(name, '~');
	size_t n = tilde ? (size_t)(tilde - name) : strlen(name);

	if (n >= sizeof(base) || (tilde && (!tilde[1] || strlen(tilde) > 5 ||
					    strspn(tilde + 1, "0123456789") != strlen(tilde + 1))))
		return false;
	memcpy(base, name, n);
	base[n] = '\0';
	return session_name_ok(base);
}

static void find_workspace(struct undo_opts *o, const struct dirs *dirs)
{
	AUTO(json_decref) json_t *facts = NULL;
	char path[PATH_MAX * 2];
	const char *workspace;

	snprintf(path, sizeof(path), "%s/sessions/%.*s.json", dirs->state,
		 (int)strcspn(o->session, "~"), o->session);
	facts = json_load_file(path, 0, NULL);
	workspace = json_string_value(json_object_get(facts, "workspace"));
	snprintf(o->workspace, sizeof(o->workspace), "%s", workspace ? workspace : "");
}

/* Relative to where we are if that is in the workspace, else to the workspace. */
static char *absolute(const struct undo_opts *o, const char *path)
{
	char cwd[PATH_MAX], out[PATH_MAX];

	if (!getcwd(cwd, sizeof(cwd)) || (o->workspace[0] && !path_is_below(cwd, o->workspace)))
		snprintf(cwd, sizeof(cwd), "%s", o->workspace[0] ? o->workspace : "/");
	return path_join(out, sizeof(out), cwd, path) < 0 ? NULL : strdup(out);
}

int undo_opts_init(struct undo_opts *o, const struct dirs *dirs, const char *session,
		   char *const *paths, struct err *e)
{
	char last[65];
	int r;

	if (strcmp(session, "last") == 0) {
		r = audit_reader_last_session(last, dirs->audit, e);
		if (r < 0 && r != -EBADMSG)
			return r;
		session = last;
	}
	if (!name_ok(session))
		return err_say(e, EINVAL, "%.80s: no such session; \"agentsh session list\" lists them",
			       session);
	snprintf(o->session, sizeof(o->session), "%s", session);
	find_workspace(o, dirs);
	while (paths[o->n_paths])
		o->n_paths++;
	o->paths = calloc(o->n_paths + 1, sizeof(*o->paths));
	for (size_t i = 0; o->paths && i < o->n_paths; i++) {
		o->paths[i] = absolute(o, paths[i]);
		if (!o->paths[i])
			return err_say(e, EINVAL, "%.200s: not a usable path", paths[i]);
	}
	return o->paths ? 0 : err_set(e, ENOMEM, "undo");
}

void undo_opts_free(struct undo_opts *o)
{
	for (size_t i = 0; o->paths && i < o->n_paths; i++)
		free(o->paths[i]);
	free(o->paths);
	o->paths = NULL;
}

/* ---- a record's number in the chain -> fsgate's own number ---- */

struct moment {
	const char *session;
	uint64_t to, from_ns, until_ns;
	uint64_t pseq;
};

static int one_record(void *arg, const struct audit_record *r)
{
	struct moment *w = arg;

	if (r->seq > w->to)
		return 1;
	if (r->gate == AUDIT_FS && r->wall_ns >= w->from_ns && r->wall_ns <= w->until_ns &&
	    strlen(r->session) == strcspn(w->session, "~") &&
	    strncmp(r->session, w->session, strlen(r->session)) == 0)
		w->pseq = r->pseq;
	return 0;
}

static int find_moment(uint64_t *pseq, const struct undo_opts *o, const struct dirs *dirs,
		       struct err *e)
{
	AUTO(undo_free) struct undo_model *m = NULL;
	struct moment w = {.session = o->session, .to = o->to};
	int r = undo_load(&m, dirs, o->session, true, 0, e);

	if (r < 0)
		return r;
	w.from_ns = m->start_ns;
	w.until_ns = m->end_ns;
	r = audit_reader_each(dirs->audit, one_record, &w, e);
	*pseq = w.pseq;
	return r < 0 ? r : 0;
}

int undo_opts_load(struct undo_model **m, struct undo_changes *c, const struct undo_opts *o,
		   const struct dirs *dirs, struct err *e)
{
	uint64_t pseq = 0;
	int r = o->has_to ? find_moment(&pseq, o, dirs, e) : 0;

	if (r == 0)
		r = undo_load(m, dirs, o->session, !o->has_to, pseq, e);
	if (r < 0)
		return r;
	r = undo_list(c, *m, o->paths, o->n_paths, o->force);
	return r < 0 ? err_set(e, -r, "compare") : 0;
}

/* ---- showing ---- */

const char *undo_show(const struct undo_opts *o, const char *path, char *buf, size_t size)
{
	size_t n = strlen(o->workspace);
	struct str s;

	if (n > 1 && strncmp(path, o->workspace, n) == 0 && path[n] == '/')
		path += n + 1;
	str_init(&s, buf, size);
	str_add_escaped(&s, path, strlen(path));
	return buf;
}

char undo_letter(const struct undo_change *c)
{
	switch (c->kind) {
	case UNDO_ADDED:
		return 'A';
	case UNDO_DELETED:
		return 'D';
	case UNDO_MODIFIED:
		return 'M';
	case UNDO_RENAMED:
		return 'R';
	case UNDO_MODE:
		return 'm';
	}
	return '?';
}

static int open_object(struct undo_model *m, uint64_t object)
{
	char name[24];
	int fd;

	if (!object)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	snprintf(name, sizeof(name), "%llu", (unsigned long long)object);
	fd = openat(m->objects_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int undo_open_then(struct undo_model *m, uint32_t inode)
{
	const struct undo_inode *i;
	int fd;

	if (inode >= UNDO_UNKNOWN)
		return -ENOENT;
	i = &m->inodes[inode];
	if (i->type != S_IFREG)
		return -ENOENT;
	if (i->data.type)
		return i->data.flags & UNDO_F_MISSING ? -ENODATA : open_object(m, i->data.object);
	fd = undo_open(m, inode, O_RDONLY);
	if (fd < 0 && i->keep_inode.type)
		fd = open_object(m, i->keep_inode.object);
	if (fd < 0 && i->keep_copy.type && !(i->keep_copy.flags & UNDO_F_MISSING))
		fd = open_object(m, i->keep_copy.object);
	return fd;
}

int undo_open_now(struct undo_model *m, const struct undo_change *c)
{
	autoclose int dir = -1;
	int fd;

	if (c->now < UNDO_UNKNOWN)
		return undo_open(m, c->now, O_RDONLY);
	if (c->now == UNDO_NONE || c->slot == UNDO_NONE)
		return -ENOENT;
	dir = undo_open_dir(m, &m->slots[c->slot]);
	if (dir < 0)
		return dir;
	fd = openat(dir, m->slots[c->slot].name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
