#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agentsh/cmd.h"
#include "agentsh/detect.h"
#include "agentsh/mount_stale.h"
#include "agentsh/plan_print.h"
#include "agentsh/session_plan.h"
#include "agentsh/session_policy.h"
#include "agentsh/supervisor.h"
#include "agentsh/undo_store.h"
#include "agentsh/wrap_mount.h"
#include "common/auto.h"
#include "common/log.h"
#include "common/str.h"

static const char usage_text[] =
	"usage: agentsh wrap [OPTION...] -- COMMAND [ARG...]\n\n"
	"Run COMMAND in a sandbox where every file operation, connection and program start is\n"
	"decided by a policy and recorded.\n\n"
	"  --isolate          demand the whole sandbox; what the host lacks is an error\n"
	"  --pack NAME        a policy pack (agentsh policy list); default: code-edit\n"
	"  --policy FILE      your own policy; with --pack its rules come before the pack's\n"
	"  --workspace DIR    what the agent works on; default: the current directory\n"
	"  --mount-at PATH    where the sandbox sees the workspace; default: at its own path\n"
	"  --mount DIR[:AT][:ro]  one more directory, governed; AT: where the sandbox sees it; ro: it\n"
	"                     cannot be changed (repeat for more)\n"
	"  --print-plan[=json]  only tell what the sandbox would see, how, and why\n"
	"  --name NAME        name of the session; default: made up\n"
	"  --env NAME=VALUE   set a variable for the command (repeat for more)\n"
	"  --dns ADDR:PORT    resolver that agentsh asks; default: the host's (repeat for more)\n"
	"  --approver WHO     who answers held requests: cli (default: agentsh approve, any\n"
	"                     terminal), tty (ask on this terminal as well), none (deny)\n"
	"  --quiet            no closing line\n"
	"  --help             this text\n\n"
	"Exit status: the command's own; 128+N when signal N ended it; 124 time limit; 125 agentsh\n"
	"could not set up or lost a gate; 126 the command was denied; 127 not found.\n";

#define LIST_MAX 64u

struct options {
	bool isolate, quiet, print_plan, as_json;
	const char *pack, *policy, *workspace, *mount_at, *name;
	char *env[LIST_MAX + 1];
	size_t n_env;
	const char *dns[LIST_MAX + 1];
	size_t n_dns;
	const char *mounts[LIST_MAX];
	size_t n_mounts;
	enum approver_kind approver;
	char **argv;
};

enum option_id {
	OPT_ISOLATE = 256,
	OPT_PACK,
	OPT_POLICY,
	OPT_WORKSPACE,
	OPT_MOUNT_AT,
	OPT_MOUNT,
	OPT_PRINT_PLAN,
	OPT_NAME,
	OPT_ENV,
	OPT_DNS,
	OPT_APPROVER,
	OPT_QUIET,
	OPT_HELP,
	OPT_PUBLISH,
	OPT_REPORT,
};

static const struct option long_options[] = {
	{"isolate", no_argument, NULL, OPT_ISOLATE},
	{"pack", required_argument, NULL, OPT_PACK},
	{"policy", required_argument, NULL, OPT_POLICY},
	{"workspace", required_argument, NULL, OPT_WORKSPACE},
	{"mount-at", required_argument, NULL, OPT_MOUNT_AT},
	{"mount", required_argument, NULL, OPT_MOUNT},
	{"print-plan", optional_argument, NULL, OPT_PRINT_PLAN},
	{"name", required_argument, NULL, OPT_NAME},
	{"env", required_argument, NULL, OPT_ENV},
	{"dns", required_argument, NULL, OPT_DNS},
	{"approver", required_argument, NULL, OPT_APPROVER},
	{"quiet", no_argument, NULL, OPT_QUIET},
	{"help", no_argument, NULL, OPT_HELP},
	{"publish", required_argument, NULL, OPT_PUBLISH},
	{"report", required_argument, NULL, OPT_REPORT},
	{NULL, 0, NULL, 0},
};

static int set_approver(struct options *o, const char *who, struct err *e)
{
	static const char *const names[] = {
		[APPROVER_CLI] = "cli", [APPROVER_TTY] = "tty", [APPROVER_NONE] = "none"};

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(who, names[i]) == 0) {
			o->approver = (enum approver_kind)i;
			return 0;
		}
	}
	return err_say(e, EINVAL, "--approver %s: this version knows cli, tty and none", who);
}

static int append(const char **list, size_t *n, const char *what, const char *value, struct err *e)
{
	if (*n == LIST_MAX)
		return err_say(e, E2BIG, "%s: at most %u times", what, LIST_MAX);
	list[(*n)++] = value;
	return 0;
}

static int take_option(struct options *o, int id, char *value, struct err *e)
{
	switch (id) {
	case OPT_ISOLATE:
		o->isolate = true;
		return 0;
	case OPT_QUIET:
		o->quiet = true;
		return 0;
	case OPT_PACK:
		o->pack = value;
		return 0;
	case OPT_POLICY:
		o->policy = value;
		return 0;
	case OPT_WORKSPACE:
		o->workspace = value;
		return 0;
	case OPT_MOUNT_AT:
		o->mount_at = value;
		return 0;
	case OPT_MOUNT:
		return append(o->mounts, &o->n_mounts, "--mount", value, e);
	case OPT_PRINT_PLAN:
		o->print_plan = true;
		o->as_json = value != NULL;
		if (value && strcmp(value, "json") != 0)
			return err_say(e, EINVAL, "--print-plan=%s: it knows json", value);
		return 0;
	case OPT_NAME:
		o->name = value;
		return 0;
	case OPT_ENV:
		return append((const char **)o->env, &o->n_env, "--env", value, e);
	case OPT_DNS:
		return append(o->dns, &o->n_dns, "--dns", value, e);
	case OPT_APPROVER:
		return set_approver(o, value, e);
	case OPT_PUBLISH:
		return err_say(e, ENOSYS,
			       "--publish: this version cannot publish ports of the sandbox");
	case OPT_REPORT:
		return err_say(e, ENOSYS,
			       "--report: this version writes no reports; see agentsh audit cat");
	default:
		return err_say(e, EINVAL, "bad option; \"agentsh wrap --help\" lists them");
	}
}

/* @return 0, 1 when help was asked for, or -errno */
static int parse(struct options *o, int argc, char **argv, struct err *e)
{
	int id;

	opterr = 0;
	optind = 1;
	while ((id = getopt_long(argc, argv, "+h", long_options, NULL)) != -1) {
		int r;

		if (id == OPT_HELP || id == 'h')
			return 1;
		if (id == '?')
			return err_say(e, EINVAL,
				       "%s: unknown option, or one without its value; \"agentsh "
				       "wrap --help\" lists them",
				       argv[optind - 1]);
		r = take_option(o, id, optarg, e);
		if (r < 0)
			return r;
	}
	o->argv = argv + optind;
	if (!o->argv[0] && !o->print_plan)
		return err_say(e, EINVAL, "no command given: agentsh wrap [OPTION...] -- COMMAND");
	return 0;
}

static int nested(struct err *e)
{
	return err_say(e, EPERM,
		       "already inside a sandbox of agentsh: a second one cannot be nested in it; "
		       "run the command directly, it is governed already");
}

/* Where the agent can read what was refused; fsgate decides by the same look (fs_virtual.h). */
static int tell_denials(struct env *env, const struct vars *vars)
{
	char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/.agentsh", vars->workspace);
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/.agentsh/denials", vars->seen_as);
	return env_set(env, "AGENTSH_DENIALS", path);
}

/* Everything of one run. */
struct job {
	struct dirs dirs;
	struct session session;
	struct vars vars;
	struct policy *policy;
	struct env *env;
	struct plan_mount mounts[LIST_MAX];
	struct wrap_mount places[LIST_MAX];
	bool undo;
};

/* Everything that can be refused before a process is started. */
static int prepare(struct job *j, struct options *o, struct err *e)
{
	int r;

	if (getenv("AGENTSH_IN_SESSION") && detect_inside())
		return nested(e);
	r = dirs_init(&j->dirs, e);
	if (r == 0)
		r = vars_init(&j->vars, o->workspace, o->mount_at, "", e);
	if (r == 0)
		r = wrap_mounts(j->mounts, j->places, o->mounts, o->n_mounts, e);
	if (r == 0)
		mount_stale_clean(&j->dirs);
	if (r == 0)
		r = session_create(&j->session, &j->dirs, o->name, e);
	j->vars.policy.session = j->session.name;
	if (r == 0)
		r = session_policy(&j->policy, o->policy, o->pack, &j->dirs, &j->vars, e);
	if (r == 0 && !o->print_plan)
		r = undo_store_make(&j->undo, &j->dirs, j->session.name, j->policy, e);
	if (r == 0)
		r = env_build(&j->env, j->policy, environ, o->env, o->n_env, e);
	if (r == 0 && (env_set(j->env, "AGENTSH_IN_SESSION", "1") < 0 ||
		       env_set(j->env, "AGENTSH_SESSION", j->session.name) < 0 ||
		       tell_denials(j->env, &j->vars) < 0))
		r = err_set(e, ENOMEM, "environment");
	return r;
}

/* What --print-plan asks for. */
static int print_plan(const struct job *j, const struct options *o, struct err *e)
{
	const struct session_plan_args args = {
		.dirs = &j->dirs,
		.vars = &j->vars,
		.policy = j->policy,
		.session = &j->session,
		.mounts = j->mounts,
		.n_mounts = o->n_mounts,
	};
	AUTO(plan_free) struct plan *plan = NULL;
	int r = session_plan(&plan, &args, e);

	if (r == 0)
		plan_print(plan, o->as_json);
	return r;
}

static int supervise(struct job *j, const struct options *o, struct err *e)
{
	char digest[65] = "";
	struct session_facts facts = {
		.command = o->argv,
		.mode = "isolate",
		.workspace = j->vars.workspace,
		.policy = policy_name(j->policy),
		.policy_digest = digest,
		.started = time(NULL),
		.supervisor = getpid(),
	};
	int r;

	session_policy_digest(digest, j->policy);
	r = session_write(&j->session, &facts, e);
	if (r < 0)
		return r;
	if (!o->isolate && !o->quiet)
		log_warn("mode isolate: namespaces, governed files, network and programs "
			 "(--isolate demands it)");
	facts.status = supervisor_run(&(struct supervisor_args){
		.dirs = &j->dirs,
		.vars = &j->vars,
		.policy = j->policy,
		.session = &j->session,
		.env = j->env,
		.argv = o->argv,
		.mounts = j->mounts,
		.n_mounts = o->n_mounts,
		.dns = o->n_dns ? o->dns : NULL,
		.approver = o->approver,
		.quiet = o->quiet,
		.undo = j->undo,
	});
	facts.ended = time(NULL);
	if (session_write(&j->session, &facts, e) < 0)
		log_err("%s", e->text);
	return facts.status;
}

static int run(struct options *o, struct err *e)
{
	struct job *j = calloc(1, sizeof(*j));
	autofree struct job *owner = j;
	int r;

	if (!j)
		return err_set(e, ENOMEM, "wrap");
	j->session.lock = -1;
	r = prepare(j, o, e);
	if (r == 0)
		r = o->print_plan ? print_plan(j, o, e) : supervise(j, o, e);
	session_end(&j->session);
	env_free(j->env);
	policy_free(j->policy);
	return r;
}

int cmd_wrap(int argc, char **argv)
{
	struct options o = {0};
	struct err e = ERR_INIT;
	int r = parse(&o, argc, argv, &e);

	if (r == 1) {
		fputs(usage_text, stdout);
		return EXIT_DONE;
	}
	if (r == 0)
		r = run(&o, &e);
	if (r < 0) {
		log_err("%s", e.text);
		return EXIT_SETUP;
	}
	return r;
}
