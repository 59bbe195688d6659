#include "execgate/exec_serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/str.h"
#include "execgate/exec_judge.h"
#include "execgate/exec_record.h"
#include "common/redact.h"
#include "execgate/exec_verify.h"

#define MESSAGE_MAX 512
#define SUBJECT_MAX 2048

struct job {
	struct exec_serve *s;
	struct exec_call call;
	struct exec_target target;
	struct exec_judgement judged;
	struct exec_record record;
	struct audit_ticket ticket;
	bool has_ticket; /* to be finished */
	const char **argv; /* owned: without secrets */
	char message[MESSAGE_MAX];
	char approver[64];
	bool told; /* the caller's stderr has had the line about this */
};

static void job_free(struct job *j)
{
	if (!j)
		return;
	exec_target_deinit(&j->target);
	exec_call_deinit(&j->call);
	free(j->argv);
	free(j);
}
AUTO_DEFINE(struct job *, job_free)

static void answer_error(struct job *j, int err)
{
	exec_verify_refuse(j->s->listener, j->call.id, err);
}

/* Record a denial, tell the caller's stderr, answer. */
static void deny(struct job *j)
{
	char line[EXEC_NOTICE_MAX];
	int r;

	j->record.message = j->message;
	r = exec_record_denied(j->s->gate, &j->record);
	if (r < 0)
		log_err("a denied exec could not be recorded: %s", strerror(-r));
	if (j->argv && !j->told) {
		exec_notice_format(line, sizeof(line), j->argv, j->call.argc,
				   j->record.judged ? j->judged.decision.rule : "", j->message);
		exec_notice_send(j->s->notices, j->call.tgid, j->call.start_ticks, line);
	}
	answer_error(j, EACCES);
}

static void deny_because(struct job *j, const char *why)
{
	snprintf(j->message, sizeof(j->message), "%s", why);
	deny(j);
}

static void mismatch(struct job *j, const struct exec_actual *actual)
{
	int r;

	snprintf(j->message, sizeof(j->message),
		 "the %s changed between judgement and exec; killed", actual->what);
	j->record.message = j->message;
	r = exec_record_mismatch(j->s->gate, &j->record, actual);
	if (r < 0)
		log_err("a killed exec could not be recorded: %s", strerror(-r));
}

static bool finish_record(struct job *j)
{
	int r = exec_record_finish(j->s->gate, &j->ticket);

	j->has_ticket = false;
	if (r < 0)
		log_err("an exec could not be recorded, so it is killed: %s", strerror(-r));
	return r == 0;
}

/* The new program is in place and stopped: what its own children need must be known by now. */
static bool before_it_runs(void *arg)
{
	struct job *j = arg;

	exec_depth_set(j->s->depth, j->call.tgid, j->call.start_ticks, j->record.depth);
	return finish_record(j);
}

/* Record, let it go, and see that it is what was judged and that the record is safe. */
static void allow(struct job *j)
{
	struct exec_actual actual = {NULL, ""};
	int r;

	j->record.message = j->message;
	r = exec_record_allowed(&j->ticket, j->s->gate, &j->record);
	if (r < 0) {
		log_err("an exec could not be recorded, so it is denied: %s", strerror(-r));
		answer_error(j, EACCES);
		return;
	}
	j->has_ticket = true;
	r = exec_verify_run(&actual, j->s->listener, &j->call, &j->target, before_it_runs, j);
	if (j->has_ticket)
		finish_record(j); /* it failed or changed: nothing waits for the record */
	if (r == EXEC_MISMATCH)
		mismatch(j, &actual);
	else if (r < 0)
		deny_because(j, r == -EPERM ? "the program start cannot be watched: it is traced"
					    : "the program start cannot be watched");
}

/* ---- approval ---- */

static void allow_later(void *arg)
{
	AUTO(job_free) struct job *j = arg;

	allow(j);
}

#define ARG_SHOWN 400 /* bytes of one argument: a long one must not push the others out of sight */

/* As a shell would take it: "a b" is one argument, and so is an empty one. */
static void put_arg(struct str *s, const char *arg)
{
	bool quote = !*arg || strpbrk(arg, " \t\n'\"") != NULL;
	size_t len = strlen(arg);

	str_add(s, quote ? " '" : " ");
	for (size_t i = 0; i < len && i < ARG_SHOWN; i++) {
		if (arg[i] == '\'')
			str_add(s, "'\"'\"'");
		else
			str_add_mem(s, arg + i, 1);
	}
	str_add(s, quote ? "'" : "");
	if (len > ARG_SHOWN)
		str_addf(s, "...(%zu bytes)", len);
}

/* What a person is shown: what is approved is the file, not the name that the caller gave it. */
static void put_subject(char *buf, size_t size, const struct job *j)
{
	struct str s;

	str_init(&s, buf, size);
	str_add(&s, j->target.part[0].file.path);
	for (size_t i = 1; i < j->call.argc; i++)
		put_arg(&s, j->argv[i]);
}

/* The rule's message speaks of asking; whoever waited wants to know how that ended. */
static void not_approved(struct job *j)
{
	const char *how = strcmp(j->approver, "timeout") == 0 ? "nobody answered in time"
			  : strcmp(j->approver, "none") == 0  ? "nobody can be asked"
							      : "a person refused it";
	char rest[MESSAGE_MAX], subject[SUBJECT_MAX];
	struct str s;

	put_subject(subject, sizeof(subject), j);
	exec_notice_refused(j->s->notices, j->call.tgid, j->call.start_ticks, subject);
	memcpy(rest, j->message, sizeof(rest));
	str_init(&s, j->message, sizeof(j->message));
	str_addf(&s, "%s%s%s", how, rest[0] ? ": " : "", rest);
	deny(j);
}

/*
 * In the loop's thread. What follows an approval waits for the exec, so it gets a thread of its
 * own: people answer rarely enough.
 */
static void on_answer(void *arg, bool allowed, const char *approver, uint64_t waited_ms,
		      uint32_t approval_id)
{
	AUTO(job_free) struct job *j = arg;

	snprintf(j->approver, sizeof(j->approver), "%s", approver);
	j->record.approver = j->approver;
	j->record.approval_id = approval_id;
	j->record.waited_ms = waited_ms;
	if (!exec_verify_is_waiting(j->s->listener, j->call.id)) {
		deny_because(j, "the program gave up waiting for an approval");
		return;
	}
	if (!allowed) {
		not_approved(j);
		return;
	}
	if (exec_threads_start(j->s->threads, allow_later, j) < 0)
		deny_because(j, "no thread for an approved program");
	else
		j = NULL; /* the thread's now */
}

static void hold(struct job **jp)
{
	struct job *j = *jp;
	char subject[SUBJECT_MAX];
	struct gate_ask ask = {
		.op = "exec",
		.subject = subject,
		.rule = j->judged.decision.rule,
		.message = j->message,
		.pid = j->call.tgid,
		.comm = j->call.comm,
		.timeout_ms = j->judged.decision.timeout_ms,
	};
	int r;

	put_subject(subject, sizeof(subject), j);
	if (exec_notice_was_refused(j->s->notices, j->call.tgid, j->call.start_ticks, subject)) {
		j->told = true;
		deny_because(j, "refused a moment ago under another name");
		return;
	}
	*jp = NULL; /* on_answer may run before gate_ask() returns */
	r = gate_ask(j->s->gate, &ask, on_answer, j);
	if (r < 0) {
		*jp = j;
		deny_because(j, "nobody can be asked for an approval");
	}
}

/* ---- the start ---- */

static void decide(struct job **jp)
{
	struct job *j = *jp;
	const struct decision *d = &j->judged.decision;

	exec_judge(&j->judged, j->s->gate->policy, &j->target, j->record.depth);
	j->record.judged = &j->judged;
	policy_message(j->message, sizeof(j->message), d, &j->judged.request,
		       j->s->gate->session);
	switch (d->verdict) {
	case VERDICT_ALLOW:
	case VERDICT_AUDIT:
		allow(j);
		return;
	case VERDICT_APPROVE:
		hold(jp);
		return;
	case VERDICT_REDIRECT:
		if (!j->message[0])
			snprintf(j->message, sizeof(j->message),
				 "the rule redirects this command, which this gate does not do");
		deny(j);
		return;
	case VERDICT_DENY:
	case VERDICT_SOFT_DELETE:
	case VERDICT_HIDE:
	case VERDICT_ABSORB:
		deny(j);
		return;
	}
	deny(j);
}

static void unreadable(struct job *j, int r)
{
	if (r == -ESRCH)
		answer_error(j, ESRCH);
	else if (r == -EFAULT || r == -ENAMETOOLONG || r == -ENOMEM)
		answer_error(j, -r); /* as the kernel would */
	else if (r == -E2BIG)
		deny_because(j, "the arguments are too long to judge");
	else
		deny_because(j, "the arguments cannot be read");
}

void exec_serve(struct exec_serve *s, const struct seccomp_notif *n)
{
	AUTO(job_free) struct job *j = calloc(1, sizeof(*j));
	int r;

	if (!j) {
		exec_verify_refuse(s->listener, n->id, ENOMEM);
		return;
	}
	j->s = s;
	r = exec_call_read(&j->call, n);
	j->record.call = &j->call;
	/* the pid in the notification was the caller's for as long as the id is valid */
	if (!exec_verify_is_waiting(s->listener, n->id))
		return;
	if (r < 0) {
		unreadable(j, r);
		return;
	}
	j->argv = redact_argv(j->call.argv, j->call.argc);
	if (!j->argv) {
		answer_error(j, ENOMEM);
		return;
	}
	j->record.argv = j->argv;
	j->record.depth = exec_depth_of(s->depth, j->call.tgid, j->call.ppid, j->call.start_ticks);
	r = exec_target_open(&j->target, &s->world, &j->call);
	j->record.target = &j->target;
	if (r == 0)
		decide(&j);
	else if (j->target.refused)
		deny_because(j, j->target.refused);
	else
		answer_error(j, -r);
}
