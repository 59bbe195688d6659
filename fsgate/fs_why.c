/*
 * Theory: a ring of the last refusals. An agent that tries the same thing in a loop must not push
 * the others out: a refusal that is among the kept ones already only moves to the end and is
 * counted. The text is made when it is read.
 */
#include "fsgate/fs_why.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/str.h"
#include "fsgate/fs_record.h"

struct denial {
	struct timespec at;
	uint64_t count;
	int error;
	pid_t pid;
	char comm[17];
	char *op, *path, *to, *rule, *message, *advice;
};

struct fs_why {
	pthread_mutex_t lock;
	struct denial kept[FS_WHY_KEPT]; /* oldest first */
	unsigned n;
	struct timespec at;
};

int fs_why_new(struct fs_why **out)
{
	struct fs_why *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	clock_gettime(CLOCK_REALTIME, &w->at);
	*out = w;
	return 0;
}

static void release(struct denial *d)
{
	free(d->op);
	free(d->path);
	free(d->to);
	free(d->rule);
	free(d->message);
	free(d->advice);
}

void fs_why_free(struct fs_why *w)
{
	if (!w)
		return;
	for (unsigned i = 0; i < w->n; i++)
		release(&w->kept[i]);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* ---- keeping ---- */

static char *copy(const char *text)
{
	size_t len = strlen(text);

	if (len <= FS_WHY_TEXT)
		return strdup(text);
	return str_dupf("%.*s...", (int)FS_WHY_TEXT, text);
}

static bool keep(struct denial *k, const struct fs_why_denial *d)
{
	*k = (struct denial){
		.count = 1,
		.error = d->error,
		.pid = d->pid,
		.op = copy(d->op),
		.path = copy(d->path),
		.to = copy(d->to),
		.rule = copy(d->rule),
		.message = copy(d->message),
		.advice = copy(d->advice),
	};
	snprintf(k->comm, sizeof(k->comm), "%s", d->comm);
	if (k->op && k->path && k->to && k->rule && k->message && k->advice)
		return true;
	release(k);
	return false;
}

static bool is_same(const struct denial *a, const struct denial *b)
{
	return a->pid == b->pid && a->error == b->error && strcmp(a->op, b->op) == 0 &&
	       strcmp(a->path, b->path) == 0 && strcmp(a->to, b->to) == 0 &&
	       strcmp(a->rule, b->rule) == 0 && strcmp(a->advice, b->advice) == 0;
}

static void take_out(struct fs_why *w, unsigned i)
{
	release(&w->kept[i]);
	memmove(&w->kept[i], &w->kept[i + 1], (w->n - i - 1) * sizeof(w->kept[0]));
	w->n--;
}

void fs_why_add(struct fs_why *w, const struct fs_why_denial *d)
{
	struct denial k;

	if (!keep(&k, d))
		return;
	clock_gettime(CLOCK_REALTIME, &k.at);
	pthread_mutex_lock(&w->lock);
	for (unsigned i = w->n; i-- > 0;) {
		if (is_same(&w->kept[i], &k)) {
			k.count = w->kept[i].count + 1;
			take_out(w, i);
			break;
		}
	}
	if (w->n == FS_WHY_KEPT)
		take_out(w, 0);
	w->kept[w->n++] = k;
	w->at = k.at;
	pthread_mutex_unlock(&w->lock);
}

/* What to do instead, when the rule itself does not say it. */
static const char *advice_for(const struct fs_call *c, int error)
{
	const struct fs_answer *a = &c->answer;

	if (error == EINTR || strcmp(c->approval.approver, "interrupted") == 0)
		return "a person was being asked when the program was interrupted: try once more";
	if (strcmp(c->approval.approver, "timeout") == 0)
		return "nobody answered in time: ask the person to watch \"agentsh approve\", then "
		       "try once more";
	if (c->approval.approver[0] || a->effect == FS_HOLD)
		return "a person has to allow this and did not: ask what to do instead, do not "
		       "repeat it";
	if (a->missing)
		return "the rule wants something that is not available here: ask the person";
	if (a->d.reason == REASON_DEFAULT)
		return "no rule allows this: use a path that a rule in .agentsh/policy allows, or "
		       "ask the person for a rule";
	if (a->d.message && a->d.message[0])
		return "do as the message says; the same request will be refused again";
	return "this rule always refuses it: take another way, or ask the person; do not repeat it";
}

void fs_why_denied(struct fs_call *c, int error)
{
	const struct fs_who_is *who = fs_call_who(c);
	char message[1024];
	struct fs_why_denial d;

	if (c->answer.effect == FS_HIDE || !c->fs->why)
		return;
	fs_record_message(c, message, sizeof(message));
	d = (struct fs_why_denial){
		.op = c->op,
		.path = c->path,
		.to = c->to,
		.rule = c->answer.d.rule ? c->answer.d.rule : "",
		.message = message,
		.advice = advice_for(c, error),
		.error = error,
		.pid = who->pid,
		.comm = who->comm,
	};
	fs_why_add(c->fs->why, &d);
}

/* ---- telling ---- */

static void put_text(struct str *s, const char *key, const char *text)
{
	str_addf(s, ",\"%s\":\"", key);
	str_add_json(s, text, strlen(text));
	str_add(s, "\"");
}

static void put_denial(struct str *s, const struct denial *d)
{
	const char *error = strerrorname_np(d->error);
	char at[32];
	struct tm tm;

	gmtime_r(&d->at.tv_sec, &tm);
	strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%S", &tm);
	str_addf(s, "{\"time\":\"%s.%03ldZ\"", at, d->at.tv_nsec / 1000000);
	put_text(s, "op", d->op);
	put_text(s, "path", d->path);
	if (d->to[0])
		put_text(s, "to", d->to);
	put_text(s, "error", error ? error : "");
	put_text(s, "rule", d->rule);
	put_text(s, "message", d->message);
	put_text(s, "advice", d->advice);
	str_addf(s, ",\"pid\":%d", (int)d->pid);
	put_text(s, "comm", d->comm);
	str_addf(s, ",\"count\":%llu}\n", (unsigned long long)d->count);
}

/* A JSON string is at most six times its source; keys and numbers besides. */
#define LINE_MAX_BYTES (6 * (3 * (FS_WHY_TEXT + 4) + 512) + 512)

char *fs_why_denials(struct fs_why *w, size_t *len)
{
	char *line = malloc(LINE_MAX_BYTES), *text = NULL;
	FILE *f = line ? open_memstream(&text, len) : NULL;
	struct str s;

	if (!f) {
		free(line);
		return NULL;
	}
	pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < w->n; i++) {
		str_init(&s, line, LINE_MAX_BYTES);
		put_denial(&s, &w->kept[i]);
		fwrite(line, 1, s.len, f);
	}
	pthread_mutex_unlock(&w->lock);
	free(line);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

void fs_why_stat(struct fs_why *w, struct timespec *at, size_t *len)
{
	autofree char *text = fs_why_denials(w, len);

	if (!text)
		*len = 0;
	pthread_mutex_lock(&w->lock);
	*at = w->at;
	pthread_mutex_unlock(&w->lock);
}
