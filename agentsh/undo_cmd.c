/*
 * agentsh undo SESSION: put back what a session changed
 */
#include "agentsh/undo_cmd.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "agentsh/cmd.h"
#include "common/audit.h"
#include "common/log.h"
#include "common/str.h"

static const char help[] =
	"usage: agentsh undo [OPTION...] SESSION [PATH...]\n\n"
	"Put back what a session changed: content, mode, owner, times, attributes, links, directories;\n"
	"what it added is removed. SESSION may be \"last\"; PATH: only what is there or below.\n\n"
	"  --to SEQ     only what came after this record (agentsh audit cat --session SESSION)\n"
	"  --dry-run    say what would be done\n"
	"  --force      also where somebody else made changes since, which are lost; and while the\n"
	"               session is running\n"
	"  --quiet      only problems\n\n"
	"Exit status: 0 all of it, 1 some was left as it is (it says what), 2 usage, 3 it cannot be read.\n";

struct undo_cmd {
	struct undo_opts o;
	bool dry, quiet;
};

static const char *const done_words[] = {
	[UNDO_ADDED] = "removed", [UNDO_DELETED] = "restored", [UNDO_MODIFIED] = "restored",
	[UNDO_RENAMED] = "moved back", [UNDO_MODE] = "attributes restored",
};

static void say_changes(const struct undo_cmd *u, const struct undo_changes *all)
{
	char a[PATH_MAX * 4], b[PATH_MAX * 4];

	for (size_t i = 0; i < all->n; i++) {
		const struct undo_change *c = &all->v[i];

		if (c->conflict) {
			printf("conflict   %s: %s\n", undo_show(&u->o, c->path, a, sizeof(a)),
			       c->why ? c->why : "changed since");
			continue;
		}
		if (u->quiet)
			continue;
		printf("%s%s  %s", u->dry ? "would be " : "", done_words[c->kind],
		       undo_show(&u->o, c->to ? c->to : c->path, a, sizeof(a)));
		if (c->to)
			printf(" to %s", undo_show(&u->o, c->path, b, sizeof(b)));
		putchar('\n');
	}
}

static void on_problem(void *arg, const char *path, const char *what)
{
	const struct undo_cmd *u = arg;
	char buf[PATH_MAX * 4];

	printf("problem    %s: %s\n", undo_show(&u->o, path, buf, sizeof(buf)), what);
}

/* ---- the record of it ---- */

static int open_log(struct audit_session **s, struct audit_producer **p, const struct dirs *dirs,
		    const char *session, struct err *e)
{
	autoclose int ring = -1, wake = -1;
	char program[PATH_MAX], name[SESSION_NAME_MAX + 1];
	int r = dirs_program(program, sizeof(program), "agentsh-auditd", e);

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(session, "~"), session);
	if (r == 0)
		r = audit_session_open(s, dirs->audit, dirs->runtime, program, name, e);
	if (r == 0)
		r = audit_session_producer(*s, AUDIT_CTL, &ring, &wake, e);
	if (r == 0)
		r = audit_producer_open(p, ring, wake, e);
	if (r < 0)
		return r;
	steal_fd(&ring);
	steal_fd(&wake);
	return 0;
}

static int record(struct audit_producer *p, const char *op, const struct undo_cmd *u, uint64_t changes,
		  uint64_t conflicts)
{
	struct audit_field f[8];
	struct audit_event ev = {
		.op = op,
		.decision = "",
		.rule = "",
		.message = "",
		.pid = getpid(),
		.comm = "agentsh",
		.fields = f,
		.durability = AUDIT_COMMIT,
	};

	f[ev.n_fields++] = AUDIT_F_STR("store", u->o.session);
	if (u->o.has_to)
		f[ev.n_fields++] = AUDIT_F_U64("to_seq", u->o.to);
	if (u->o.n_paths)
		f[ev.n_fields++] =
			AUDIT_F_STRV("paths", (const char *const *)u->o.paths, u->o.n_paths);
	f[ev.n_fields++] = AUDIT_F_U64("changes", changes);
	f[ev.n_fields++] = AUDIT_F_U64("conflicts", conflicts);
	if (u->o.force)
		f[ev.n_fields++] = AUDIT_F_STR("forced", "yes");
	return audit_append(p, &ev);
}

static uint64_t count_conflicts(const struct undo_changes *all)
{
	uint64_t n = 0;

	for (size_t i = 0; i < all->n; i++)
		n += all->v[i].conflict;
	return n;
}

/* ---- doing it ---- */

static int act(struct undo_cmd *u, struct undo_model *m, const struct undo_changes *all,
	       const struct dirs *dirs, struct err *e)
{
	struct undo_work w = {.m = m, .force = u->o.force, .problem = on_problem, .arg = u};
	uint64_t conflicts = count_conflicts(all);
	AUTO(audit_session_free) struct audit_session *s = NULL;
	AUTO(audit_producer_close) struct audit_producer *p = NULL;
	int r = open_log(&s, &p, dirs, u->o.session, e);

	if (r == 0 && (r = record(p, "undo", u, all->n, conflicts)) < 0)
		err_set(e, -r, "audit record of the undo");
	if (r == 0)
		r = undo_run(&w, e);
	if (r < 0)
		return r;
	say_changes(u, all);
	record(p, "undo_end", u, all->n - conflicts, conflicts + w.n_problems);
	audit_producer_close(steal_ptr(&p));
	audit_session_end(s, e);
	return conflicts || w.n_problems ? EXIT_NO : EXIT_DONE;
}

/* One undo of a store at a time. */
static int lock_store(const struct undo_model *m, struct err *e)
{
	char path[PATH_MAX + 8];
	int fd;

	snprintf(path, sizeof(path), "%s/undone", m->store);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(e, errno, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return err_say(e, EBUSY, "another undo of this session is at work");
	}
	return fd;
}

static int compare_and_act(struct undo_cmd *u, const struct dirs *dirs, struct err *e)
{
	AUTO(undo_free) struct undo_model *m = NULL;
	struct undo_changes all = {NULL, 0};
	autoclose int lock = -1;
	int r;

	r = undo_opts_load(&m, &all, &u->o, dirs, e);
	if (r == 0 && !u->dry)
		r = lock = lock_store(m, e);
	if (r >= 0 && u->dry) {
		say_changes(u, &all);
		r = count_conflicts(&all) ? EXIT_NO : EXIT_DONE;
	} else if (r >= 0) {
		r = act(u, m, &all, dirs, e);
	}
	if (r >= 0 && m->gap)
		log_warn("the journal has a gap: some changes may not have been seen");
	undo_changes_free(&all);
	return r;
}

static int run(struct undo_cmd *u, const char *session, char *const *paths)
{
	struct err e = ERR_INIT;
	struct dirs dirs;
	int r = dirs_init(&dirs, &e);

	if (r == 0)
		r = undo_opts_init(&u->o, &dirs, session, paths, &e);
	if (r == 0 && !u->o.force && !u->dry && session_is_live(&dirs, u->o.session)) {
		log_err("session %s is running: end it first, or use --force", u->o.session);
		undo_opts_free(&u->o);
		return EXIT_NO;
	}
	if (r == 0)
		r = compare_and_act(u, &dirs, &e);
	undo_opts_free(&u->o);
	if (r >= 0)
		return r;
	log_err("%s", e.text);
	return r == -EINVAL ? EXIT_USAGE : r == -ENOENT ? EXIT_NO : EXIT_IO;
}

int cmd_undo(int argc, char **argv)
{
	static const struct option options[] = {
		{"to", required_argument, NULL, 't'}, {"dry-run", no_argument, NULL, 'd'},
		{"force", no_argument, NULL, 'f'},    {"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},     {NULL, 0, NULL, 0},
	};
	struct undo_cmd u = {0};
	int id;

	while ((id = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (id == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		if (id == '?' || (id == 't' && str_to_u64(&u.o.to, optarg, 0, UINT64_MAX) < 0)) {
			fputs(help, stderr);
			return EXIT_USAGE;
		}
		u.o.has_to |= id == 't';
		u.dry |= id == 'd';
		u.o.force |= id == 'f';
		u.quiet |= id == 'q';
	}
	if (optind == argc) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	return run(&u, argv[optind], argv + optind + 1);
}
