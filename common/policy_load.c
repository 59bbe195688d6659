#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/path.h"
#include "common/policy_i.h"
#include "common/str.h"

/*
 * A loader collects documents (the policy, then what it extends, depth first), what is wrong with
 * them, and the compiled regular expressions. It reports everything it finds and builds an image
 * only when nothing was an error.
 */

void policy_diag_at(struct policy_loader *l, const struct policy_doc *doc, unsigned line,
		    unsigned column, bool is_error, const char *fmt, ...)
{
	struct policy_diag *d;
	char text[700], safe[1400];
	struct str s;
	va_list ap;

	l->n_errors += is_error;
	if (l->n_diags == POLICY_DIAGS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* the text quotes the file: nothing of it may act on a terminal; a backslash is harmless */
	str_init(&s, safe, sizeof(safe));
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, "\\");

		str_add_escaped(&s, p, n);
		if (p[n])
			str_add_mem(&s, &p[n++], 1);
		p += n;
	}
	d = &l->diags[l->n_diags++];
	d->doc = doc;
	d->line = line;
	d->column = column;
	d->is_error = is_error;
	d->text = arena_dup(&l->arena, safe, s.len);
	l->no_memory |= !d->text;
}

static int compare_diags(const void *a, const void *b)
{
	const struct policy_diag *x = a, *y = b;

	if (x->doc->index != y->doc->index)
		return x->doc->index < y->doc->index ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->column < y->column ? -1 : x->column > y->column;
}

static void report(struct policy_loader *l, struct err *e)
{
	const struct policy_load_args *args = l->args;
	const struct policy_diag *first = NULL;

	qsort(l->diags, l->n_diags, sizeof(l->diags[0]), compare_diags);
	for (unsigned i = 0; i < l->n_diags; i++) {
		const struct policy_diag *d = &l->diags[i];

		if (d->is_error && !first)
			first = d;
		if (args->diag && d->text)
			args->diag(args->diag_arg, d->is_error, d->doc->file, d->line, d->column,
				   d->text);
	}
	if (first && first->text)
		err_say(e, EINVAL, "%s:%u:%u: %s", first->doc->file, first->line, first->column,
			first->text);
}

/* ---- documents and extends ---- */

static struct policy_doc *doc_new(struct policy_loader *l, const char *file)
{
	struct policy_doc *doc = arena_alloc(&l->arena, sizeof(*doc));
	const char *slash = strrchr(file, '/');

	autofree char *real = realpath(file, NULL);

	if (doc) {
		doc->index = l->n_docs;
		doc->file = arena_dup(&l->arena, file, strlen(file));
		doc->real = arena_printf(&l->arena, "%s", real ? real : file);
		doc->dir = slash ? arena_dup(&l->arena, file, (size_t)(slash - file) + 1) : "";
	}
	if (!doc || !doc->file || !doc->real || !doc->dir) {
		l->no_memory = true;
		return NULL;
	}
	l->docs[l->n_docs++] = doc;
	return doc;
}

static void list_packs(struct str *s, const char *dir)
{
	DIR *d = dir ? opendir(dir) : NULL;
	const struct dirent *de;

	while (d && (de = readdir(d))) {
		size_t len = strlen(de->d_name);

		if (len > 5 && strcmp(de->d_name + len - 5, ".yaml") == 0 &&
		    !strstr(de->d_name, ".cases."))
			str_addf(s, "%s%.*s", s->len ? ", " : "", (int)len - 5, de->d_name);
	}
	if (d)
		closedir(d);
}

static bool is_pack_name(const char *name)
{
	size_t len = strlen(name);

	return len && !strchr(name, '/') &&
	       !(len > 5 && strcmp(name + len - 5, ".yaml") == 0) &&
	       !(len > 4 && strcmp(name + len - 4, ".yml") == 0);
}

/* File of a pack or fragment, in the arena; NULL when reported. */
static const char *resolve(struct policy_loader *l, const struct policy_doc *from,
			   const struct policy_node *node, const char *name)
{
	const char *path;
	struct str known;
	char buf[300];

	if (!is_pack_name(name))
		return arena_printf(&l->arena, "%s%s", name[0] == '/' ? "" : from->dir, name);
	path = arena_printf(&l->arena, "%s/%s.yaml", l->args->pack_dir ? l->args->pack_dir : ".",
			    name);
	if (!path || access(path, F_OK) == 0)
		return path;
	str_init(&known, buf, sizeof(buf));
	list_packs(&known, l->args->pack_dir);
	policy_error(l, from, node,
		     "there is no pack \"%.60s\" in %s (there are: %s); a file is named by its "
		     "path, as ./NAME.yaml",
		     name, l->args->pack_dir ? l->args->pack_dir : ".", buf);
	return NULL;
}

struct chain {
	const struct chain *up;
	const struct policy_doc *doc;
};

/* a -> b -> a: the way from the document that is extended again to itself */
static void report_cycle(struct policy_loader *l, const struct chain *chain,
			 const struct policy_node *node, const struct policy_doc *again)
{
	const char *names[POLICY_EXTENDS_MAX + 2];
	unsigned n = 0;
	struct str s;
	char buf[400];

	for (const struct chain *c = chain; c && n <= POLICY_EXTENDS_MAX; c = c->up) {
		names[n++] = c->doc->file;
		if (c->doc == again)
			break;
	}
	str_init(&s, buf, sizeof(buf));
	while (n-- > 0)
		str_addf(&s, "%s -> ", path_base(names[n]));
	policy_error(l, chain->doc, node, "extends goes in a circle: %s%s; remove one of them", buf,
		     path_base(again->file));
}

static void read_document(struct policy_loader *l, const char *file, const struct chain *up,
			  const struct policy_node *from, unsigned depth);

static bool already_read(const struct policy_loader *l, const char *file)
{
	autofree char *real = realpath(file, NULL);

	for (unsigned i = 0; real && i < l->n_docs; i++)
		if (strcmp(l->docs[i]->real, real) == 0)
			return true;
	return false;
}

static void read_extended(struct policy_loader *l, const struct chain *chain,
			  const struct policy_node *node, unsigned depth)
{
	autofree char *real = NULL;
	const char *file;

	if (node->kind != NODE_SCALAR)
		return; /* the schema reports it */
	file = resolve(l, chain->doc, node, node->text);
	if (!file)
		return;
	real = realpath(file, NULL);
	for (const struct chain *c = chain; real && c; c = c->up) {
		if (strcmp(c->doc->real, real) == 0) {
			report_cycle(l, chain, node, c->doc);
			return;
		}
	}
	if (!already_read(l, file))
		read_document(l, file, chain, node, depth + 1);
}

static void read_document(struct policy_loader *l, const char *file, const struct chain *up,
			  const struct policy_node *from, unsigned depth)
{
	const struct policy_node *extends;
	struct policy_doc *doc;

	if (depth > POLICY_EXTENDS_MAX || l->n_docs == POLICY_DOCS_MAX) {
		policy_error(l, up->doc, from,
			     "extends goes deeper than 16 levels or to more than 64 files; join "
			     "some of them");
		return;
	}
	doc = doc_new(l, file);
	if (!doc)
		return;
	doc->root = policy_yaml_read(l, doc, file);
	if (!doc->root)
		return;
	policy_schema_check(l, doc);
	extends = policy_get(doc->root, "extends");
	for (size_t i = 0; extends && extends->kind == NODE_LIST && i < extends->n; i++) {
		struct chain here = {up, doc};

		read_extended(l, &here, extends->items[i], depth);
	}
}

/* ---- the whole ---- */

static void loader_free(struct policy_loader *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < l->n_regexes; i++)
		regex_free(l->regexes[i]);
	arena_deinit(&l->arena);
	free(l);
}
AUTO_DEFINE(struct policy_loader *, loader_free)

/* @return 0 and *out in the arena, or -ENOENT with the packs that there are */
static int pack_file(const char **out, struct policy_loader *l, struct err *e)
{
	const struct policy_load_args *args = l->args;
	const char *dir = args->pack_dir ? args->pack_dir : ".";
	struct str known;
	char buf[300];

	if (!is_pack_name(args->pack))
		return err_say(e, EINVAL, "\"%s\" is not the name of a pack", args->pack);
	*out = arena_printf(&l->arena, "%s/%s.yaml", dir, args->pack);
	if (!*out)
		return err_set(e, ENOMEM, "policy");
	if (access(*out, F_OK) == 0)
		return 0;
	str_init(&known, buf, sizeof(buf));
	list_packs(&known, args->pack_dir);
	return err_say(e, ENOENT, "there is no pack \"%s\" in %s (there are: %s)", args->pack, dir,
		       buf);
}

static int find_files(const char **file, const char **pack, struct policy_loader *l, struct err *e)
{
	const struct policy_load_args *args = l->args;

	if (!args->file && !args->pack)
		return err_say(e, EINVAL, "neither a policy file nor a pack is named");
	if (args->file && access(args->file, F_OK) < 0)
		return err_set(e, errno, "policy %s", args->file);
	*file = args->file;
	return args->pack ? pack_file(pack, l, e) : 0;
}

int policy_load(struct policy **out, const struct policy_load_args *args, struct err *e)
{
	AUTO(loader_free) struct policy_loader *l = calloc(1, sizeof(*l));
	const struct policy_node *root;
	autofree uint8_t *image = NULL;
	const char *file = NULL, *pack = NULL;
	size_t size = 0;
	int r;

	if (!l)
		return err_set(e, ENOMEM, "policy");
	l->args = args;
	r = find_files(&file, &pack, l, e);
	if (r < 0)
		return r;
	if (file)
		read_document(l, file, NULL, NULL, 1);
	else
		file = pack;
	if (pack && !already_read(l, pack))
		read_document(l, pack, NULL, NULL, 1);
	report(l, e);
	if (l->no_memory)
		return err_set(e, ENOMEM, "policy %s", file);
	if (l->n_errors)
		return -EINVAL;
	root = policy_merge(l);
	r = root ? policy_compile(&image, &size, l, root) : -ENOMEM;
	if (r < 0)
		return err_set(e, -r, "policy %s", file);
	return policy_image_new(out, image, size, l, e);
}
