#include "common/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <pcre2.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* About 10 ms of matching: no honest pattern and command line come near. */
#define MATCH_LIMIT 1000000u
#define DEPTH_LIMIT 20000u
#define HEAP_LIMIT  (8u * 1024) /* KiB */

#define PLACES 4

struct regex {
	pcre2_code *code;
};

/* What one running search needs. The subject's pages are touched only as far as they are used. */
struct place {
	atomic_flag busy;
	pcre2_match_data *data;
	char *subject;
};

struct regex_scratch {
	pcre2_match_context *limits;
	struct place places[PLACES];
};

int regex_new(struct regex **out, const char *pattern, struct err *e)
{
	AUTO(regex_free) struct regex *re = calloc(1, sizeof(*re));
	PCRE2_SIZE offset;
	int code;

	if (!re)
		return err_set(e, ENOMEM, "regular expression");
	re->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
				 PCRE2_MATCH_INVALID_UTF | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY |
					 PCRE2_NEVER_BACKSLASH_C,
				 &code, &offset, NULL);
	if (!re->code) {
		PCRE2_UCHAR text[160] = "";

		pcre2_get_error_message(code, text, sizeof(text));
		return err_say(e, EINVAL, "%s (at offset %zu)", (const char *)text, offset);
	}
	*out = steal_ptr(&re);
	return 0;
}

void regex_free(struct regex *re)
{
	if (!re)
		return;
	pcre2_code_free(re->code);
	free(re);
}

int regex_scratch_new(struct regex_scratch **out)
{
	AUTO(regex_scratch_free) struct regex_scratch *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->limits = pcre2_match_context_create(NULL);
	if (!s->limits)
		return -ENOMEM;
	pcre2_set_match_limit(s->limits, MATCH_LIMIT);
	pcre2_set_depth_limit(s->limits, DEPTH_LIMIT);
	pcre2_set_heap_limit(s->limits, HEAP_LIMIT);
	for (unsigned i = 0; i < PLACES; i++) {
		struct place *p = &s->places[i];

		atomic_flag_clear(&p->busy);
		p->data = pcre2_match_data_create(1, NULL);
		p->subject = malloc(REGEX_SUBJECT_MAX);
		if (!p->data || !p->subject)
			return -ENOMEM;
	}
	*out = steal_ptr(&s);
	return 0;
}

void regex_scratch_free(struct regex_scratch *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < PLACES; i++) {
		pcre2_match_data_free(s->places[i].data);
		free(s->places[i].subject);
	}
	pcre2_match_context_free(s->limits);
	free(s);
}

static struct place *place_take(struct regex_scratch *s)
{
	for (;;) {
		for (unsigned i = 0; i < PLACES; i++)
			if (!atomic_flag_test_and_set_explicit(&s->places[i].busy,
							       memory_order_acquire))
				return &s->places[i];
		sched_yield(); /* a search is short: its limits see to that */
	}
}

/* @return length, or -1 when the words do not fit */
static ssize_t join_words(char *out, const char *const *words, size_t n_words)
{
	size_t len = 0;

	for (size_t i = 0; i < n_words; i++) {
		size_t n = strlen(words[i]);

		if (n + 1 > REGEX_SUBJECT_MAX - len)
			return -1;
		if (i)
			out[len++] = ' ';
		memcpy(out + len, words[i], n);
		len += n;
	}
	return (ssize_t)len;
}

static int search(const struct regex *re, const struct place *p, size_t len,
		  pcre2_match_context *limits)
{
	int r = pcre2_match(re->code, (PCRE2_SPTR)p->subject, len, 0, 0, p->data, limits);

	if (r >= 0)
		return 1;
	if (r == PCRE2_ERROR_NOMATCH)
		return 0;
	if (r == PCRE2_ERROR_MATCHLIMIT || r == PCRE2_ERROR_DEPTHLIMIT ||
	    r == PCRE2_ERROR_HEAPLIMIT)
		return -E2BIG;
	return -EIO;
}

int regex_search_words(size_t *which, struct regex *const *patterns, size_t n,
		       struct regex_scratch *scratch, const char *const *words, size_t n_words)
{
	struct place *p = place_take(scratch);
	ssize_t len = join_words(p->subject, words, n_words);
	int r = len < 0 ? -E2BIG : 0;

	*which = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		*which = i;
		r = search(patterns[i], p, (size_t)len, scratch->limits);
	}
	atomic_flag_clear_explicit(&p->busy, memory_order_release);
	return r;
}
