/*
 * agentsh diff SESSION: what a session changed, as it shows now
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agentsh/cmd.h"
#include "agentsh/undo_cmd.h"
#include "common/log.h"
#include "common/str.h"

#define TEXT_MAX (16u << 20) /* larger files are only named */

static const char help[] =
	"usage: agentsh diff [OPTION...] SESSION [PATH...]\n\n"
	"What a session changed, as a patch. SESSION may be \"last\"; PATH: only what is there or below.\n\n"
	"  --name-status  one line a change: A added, D deleted, M modified, R renamed, m mode or owner\n"
	"  --stat         lines added and removed for each file\n"
	"  --json         an array of changes\n"
	"  --to SEQ       since this record of the audit log (agentsh audit cat --session SESSION)\n\n"
	"Exit status: 0 nothing changed, 1 something did, 2 usage, 3 it cannot be read.\n";

enum form { FORM_PATCH, FORM_LIST, FORM_STAT, FORM_JSON };

struct side {
	char *text;
	size_t len;
	bool missing, large;
	mode_t mode; /* 0: there is none */
};

/* ---- both sides ---- */

static void read_fd(struct side *s, int fd)
{
	struct stat st;
	size_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0) {
		s->missing = fd != -ENOENT;
		return;
	}
	if (S_ISREG(st.st_mode) && st.st_size > TEXT_MAX) {
		s->large = true;
	} else if (S_ISREG(st.st_mode)) {
		s->text = malloc((size_t)st.st_size + 1);
		while (s->text && n < (size_t)st.st_size) {
			ssize_t r = read(fd, s->text + n, (size_t)st.st_size - n);

			if (r <= 0)
				break;
			n += (size_t)r;
		}
		s->len = n;
	}
	close(fd);
}

static void set_target(struct side *s, int dir, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir, name, target, sizeof(target));

	if (n >= 0)
		s->text = strndup(target, (size_t)n);
	s->len = s->text ? strlen(s->text) : 0;
}

static void read_then(struct side *s, struct undo_model *m, const struct undo_change *c)
{
	const struct undo_inode *i = c->then < UNDO_UNKNOWN ? &m->inodes[c->then] : NULL;
	struct undo_place p;
	struct stat st;

	memset(s, 0, sizeof(*s));
	if (!i)
		return;
	if (i->has_attr) {
		s->mode = (mode_t)i->attr.mode;
	} else {
		autoclose int fd = undo_open(m, c->then, O_PATH);

		s->mode = fd >= 0 && fstat(fd, &st) == 0 ? st.st_mode : i->type;
	}
	if (S_ISREG(s->mode)) {
		read_fd(s, undo_open_then(m, c->then));
	} else if (S_ISLNK(s->mode) && undo_find(m, c->then, &p)) {
		set_target(s, p.fd, p.path);
	} else if (S_ISLNK(s->mode) && i->keep_inode.type) {
		char name[24];

		snprintf(name, sizeof(name), "%llu", (unsigned long long)i->keep_inode.object);
		set_target(s, m->objects_fd, name);
	} else if (S_ISLNK(s->mode) && i->keep_copy.type) {
		s->text = strndup(i->keep_copy.name.p, i->keep_copy.name.len);
		s->len = s->text ? strlen(s->text) : 0;
	}
}

static void read_now(struct side *s, struct undo_model *m, const struct undo_change *c)
{
	autoclose int dir = -1;
	struct stat st;

	memset(s, 0, sizeof(*s));
	if (c->now < UNDO_UNKNOWN) {
		dir = undo_open(m, c->now, O_PATH);
		if (dir < 0 || fstat(dir, &st) < 0)
			return;
	} else if (c->now == UNDO_UNKNOWN && c->slot != UNDO_NONE) {
		st = m->slots[c->slot].st;
	} else {
		return;
	}
	s->mode = st.st_mode;
	if (S_ISREG(st.st_mode))
		read_fd(s, undo_open_now(m, c));
	else if (S_ISLNK(st.st_mode) && c->now < UNDO_UNKNOWN)
		set_target(s, dir, "");
}

/* ---- forms ---- */

static void print_modes(const struct side *a, const struct side *b)
{
	if (!a->mode)
		printf("new file mode %06o\n", b->mode);
	else if (!b->mode)
		printf("deleted file mode %06o\n", a->mode);
	else if (a->mode != b->mode)
		printf("old mode %06o\nnew mode %06o\n", a->mode, b->mode);
}

static void print_body(const struct side *a, const struct side *b, const char *from, const char *to)
{
	struct undo_text_diff d;
	bool same = a->len == b->len && (!a->len || (a->text && b->text &&
						     memcmp(a->text, b->text, a->len) == 0));

	if (a->missing || b->missing) {
		printf("Content of a/%s cannot be shown: it was not kept\n", from);
		return;
	}
	if (same && !a->large && !b->large)
		return;
	if (a->large || b->large ||
	    undo_diff_text(&d, NULL, a->text, a->len, b->text, b->len) < 0 || d.binary) {
		printf("Binary files %s%s and %s%s differ\n", a->mode ? "a/" : "", a->mode ? from : "/dev/null",
		       b->mode ? "b/" : "", b->mode ? to : "/dev/null");
		return;
	}
	printf("--- %s%s\n+++ %s%s\n", a->mode ? "a/" : "", a->mode ? from : "/dev/null",
	       b->mode ? "b/" : "", b->mode ? to : "/dev/null");
	undo_diff_text(&d, stdout, a->text, a->len, b->text, b->len);
}

static void print_patch(struct undo_model *m, const struct undo_opts *o, const struct undo_change *c)
{
	char from[PATH_MAX * 4], to[PATH_MAX * 4];
	struct side a, b;

	read_then(&a, m, c);
	read_now(&b, m, c);
	if (c->kind != UNDO_MODE && c->kind != UNDO_RENAMED && S_ISDIR(a.mode | b.mode))
		return; /* as git: a directory shows by what is in it */
	undo_show(o, c->path, from, sizeof(from));
	undo_show(o, c->to ? c->to : c->path, to, sizeof(to));
	printf("diff --git a/%s b/%s\n", from, to);
	print_modes(&a, &b);
	if (c->kind == UNDO_RENAMED)
		printf("rename from %s\nrename to %s\n", from, to);
	print_body(&a, &b, from, to);
	free(a.text);
	free(b.text);
}

static void print_stat(struct undo_model *m, const struct undo_opts *o, const struct undo_change *c,
		       unsigned total[2])
{
	char from[PATH_MAX * 4], to[PATH_MAX * 4];
	struct undo_text_diff d = {0, 0, false};
	struct side a, b;

	read_then(&a, m, c);
	read_now(&b, m, c);
	if (!a.large && !b.large)
		undo_diff_text(&d, NULL, a.text, a.len, b.text, b.len);
	undo_show(o, c->path, from, sizeof(from));
	printf(" %c %s%s%s", undo_letter(c), from, c->to ? " => " : "",
	       c->to ? undo_show(o, c->to, to, sizeof(to)) : "");
	if (a.missing)
		puts(" | not kept");
	else if (d.binary || a.large || b.large)
		printf(" | Bin %zu -> %zu bytes\n", a.len, b.len);
	else
		printf(" | +%u -%u\n", d.added, d.removed);
	total[0] += d.added;
	total[1] += d.removed;
	free(a.text);
	free(b.text);
}

static void print_line(const struct undo_opts *o, const struct undo_change *c)
{
	char buf[PATH_MAX * 4];

	printf("%c\t%s", undo_letter(c), undo_show(o, c->path, buf, sizeof(buf)));
	if (c->to)
		printf("\t%s", undo_show(o, c->to, buf, sizeof(buf)));
	putchar('\n');
}

static void add_text(json_t *o, const char *key, const char *text)
{
	json_t *s = json_string(text);
	char buf[PATH_MAX * 4];
	struct str e;

	if (!s) { /* not UTF-8 */
		str_init(&e, buf, sizeof(buf));
		str_add_escaped(&e, text, strlen(text));
		s = json_string(buf);
	}
	json_object_set_new(o, key, s);
}

static void print_json(const struct undo_changes *all)
{
	static const char *const kinds[] = {
		[UNDO_ADDED] = "added",	    [UNDO_DELETED] = "deleted", [UNDO_MODIFIED] = "modified",
		[UNDO_RENAMED] = "renamed", [UNDO_MODE] = "attributes",
	};
	json_t *list = json_array();

	for (size_t i = 0; i < all->n; i++) {
		const struct undo_change *c = &all->v[i];
		json_t *o = json_object();

		json_object_set_new(o, "change", json_string(kinds[c->kind]));
		add_text(o, "path", c->path);
		if (c->to)
			add_text(o, "to", c->to);
		if (c->kind == UNDO_RENAMED)
			json_object_set_new(o, "modified", json_boolean(c->content));
		json_object_set_new(o, "conflict", json_boolean(c->conflict));
		if (c->why)
			json_object_set_new(o, "why", json_string(c->why));
		json_array_append_new(list, o);
	}
	json_dumpf(list, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(list);
}

static void print_all(struct undo_model *m, const struct undo_opts *o,
		      const struct undo_changes *all, enum form form)
{
	unsigned total[2] = {0, 0};

	if (form == FORM_JSON)
		print_json(all);
	for (size_t i = 0; i < all->n; i++) {
		if (form == FORM_LIST)
			print_line(o, &all->v[i]);
		else if (form == FORM_STAT)
			print_stat(m, o, &all->v[i], total);
		else if (form == FORM_PATCH)
			print_patch(m, o, &all->v[i]);
	}
	if (form == FORM_STAT)
		printf(" %zu changes, %u lines added, %u removed\n", all->n, total[0], total[1]);
	if (m->gap)
		log_warn("the journal has a gap: some changes may be missing here");
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].why && form != FORM_JSON) {
			char buf[PATH_MAX * 4];

			log_warn("%s: %s", undo_show(o, all->v[i].path, buf, sizeof(buf)),
				 all->v[i].why);
		}
}

static int run(const char *session, char *const *paths, struct undo_opts *o, enum form form)
{
	AUTO(undo_free) struct undo_model *m = NULL;
	struct undo_changes all = {NULL, 0};
	struct err e = ERR_INIT;
	struct dirs dirs;
	int status = EXIT_DONE, r = dirs_init(&dirs, &e);

	if (r == 0)
		r = undo_opts_init(o, &dirs, session, paths, &e);
	if (r == 0)
		r = undo_opts_load(&m, &all, o, &dirs, &e);
	if (r < 0) {
		log_err("%s", e.text);
		status = r == -EINVAL ? EXIT_USAGE : EXIT_IO;
	} else {
		print_all(m, o, &all, form);
		status = all.n ? EXIT_NO : EXIT_DONE;
	}
	undo_changes_free(&all);
	undo_opts_free(o);
	return status;
}

int cmd_diff(int argc, char **argv)
{
	static const struct option options[] = {
		{"name-status", no_argument, NULL, 'n'}, {"stat", no_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},	 {"to", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},	 {NULL, 0, NULL, 0},
	};
	enum form form = FORM_PATCH;
	struct undo_opts o = {0};
	int id;

	while ((id = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (id == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		if (id == '?' || (id == 't' && str_to_u64(&o.to, optarg, 0, UINT64_MAX) < 0)) {
			fputs(help, stderr);
			return EXIT_USAGE;
		}
		o.has_to |= id == 't';
		form = id == 'n' ? FORM_LIST : id == 's' ? FORM_STAT : id == 'j' ? FORM_JSON : form;
	}
	if (optind == argc) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	return run(argv[optind], argv + optind + 1, &o, form);
}
