#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agentsh/cmd.h"
#include "agentsh/mount_cmd_i.h"
#include "agentsh/mount_stale.h"
#include "agentsh/mount_table.h"
#include "agentsh/session_policy.h"
#include "agentsh/undo_store.h"
#include "common/auto.h"
#include "common/log.h"
#include "common/path.h"

static const char usage_text[] =
	"usage: agentsh mount [OPTION...] SOURCE MOUNTPOINT\n\n"
	"Show the directory SOURCE at MOUNTPOINT, every file operation there decided by a policy and\n"
	"recorded. It governs one directory, not processes: whoever can reach SOURCE itself is not\n"
	"held. MOUNTPOINT may be SOURCE. The policy's workspace is MOUNTPOINT.\n\n"
	"  --pack NAME      a policy pack (agentsh policy list); default: code-edit\n"
	"  --policy FILE    your own policy; with --pack its rules come before the pack's\n"
	"  --read-only      nothing can be changed, whatever the policy says\n"
	"  --name NAME      name of the session; default: made up\n"
	"  --approver WHO   who answers held requests: cli (default: agentsh approve), none (deny)\n"
	"  --foreground     stay, log to standard error; default: go to the background when the\n"
	"                   mount is ready, log to STATE/sessions/NAME.log\n"
	"  --quiet          no closing line\n"
	"  --help           this text\n\n"
	"It ends, in order, by agentsh umount, umount(8), fusermount3 -u, SIGTERM or SIGINT.\n"
	"Exit status: 0 mounted (with --foreground: it ended in order), 2 usage or bad input, 3 it\n"
	"could not be mounted, or was lost.\n";

struct options {
	const char *pack, *policy, *name, *source, *at;
	bool read_only, foreground, quiet;
	enum approver_kind approver;
};

static const struct option long_options[] = {
	{"pack", required_argument, NULL, 'p'},	    {"policy", required_argument, NULL, 'f'},
	{"read-only", no_argument, NULL, 'r'},	    {"name", required_argument, NULL, 'n'},
	{"approver", required_argument, NULL, 'a'}, {"foreground", no_argument, NULL, 'F'},
	{"quiet", no_argument, NULL, 'q'},	    {"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int take(struct options *o, int id, struct err *e)
{
	switch (id) {
	case 'p':
		o->pack = optarg;
		return 0;
	case 'f':
		o->policy = optarg;
		return 0;
	case 'r':
		o->read_only = true;
		return 0;
	case 'n':
		o->name = optarg;
		return 0;
	case 'F':
		o->foreground = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case 'a':
		o->approver = strcmp(optarg, "none") == 0 ? APPROVER_NONE : APPROVER_CLI;
		if (o->approver == APPROVER_CLI && strcmp(optarg, "cli") != 0)
			return err_say(e, EINVAL, "--approver %s: a mount knows cli and none", optarg);
		return 0;
	default:
		return err_say(e, EINVAL, "unknown option, or one without its value; \"agentsh mount "
					  "--help\" lists them");
	}
}

/* @return 0, 1 when help was asked for, or -errno */
static int parse(struct options *o, int argc, char **argv, struct err *e)
{
	int id;

	opterr = 0;
	optind = 1;
	while ((id = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		int r;

		if (id == 'h')
			return 1;
		r = take(o, id, e);
		if (r < 0)
			return r;
	}
	if (argc - optind != 2)
		return err_say(e, EINVAL, "give a SOURCE and a MOUNTPOINT: agentsh mount SOURCE "
					  "MOUNTPOINT");
	o->source = argv[optind];
	o->at = argv[optind + 1];
	return 0;
}

/* ---- what can be refused before anything is started ---- */

static int check_place(const struct vars *v, const struct dirs *dirs, struct err *e)
{
	const char *const own[] = {dirs->state, dirs->runtime, dirs->config};
	const char *at = v->seen_as;
	struct mount_entry entry;
	struct stat st;

	if (strcmp(at, "/") == 0)
		return err_say(e, EINVAL, "the mount point / would cover the whole system");
	if (stat(at, &st) < 0)
		return err_set(e, errno, "the mount point %s", at);
	if (!S_ISDIR(st.st_mode))
		return err_say(e, ENOTDIR, "the mount point %s is not a directory", at);
	if (mount_table_find(&entry, at) == 0 && mount_table_session(&entry))
		return err_say(e, EBUSY,
			       "%s is governed already, by session %s: agentsh umount it first", at,
			       mount_table_session(&entry));
	if (strcmp(at, v->workspace) != 0 && path_is_below(at, v->workspace))
		return err_say(e, EINVAL,
			       "the mount point %s lies in %s and would show itself: choose a place "
			       "outside, or %s itself", at, v->workspace, v->workspace);
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (path_is_below(own[i], at) || path_is_below(at, own[i]))
			return err_say(e, EINVAL,
				       "the mount point %s and agentsh's own directory %s cannot lie "
				       "in each other: set AGENTSH_STATE_DIR and AGENTSH_CONFIG_DIR "
				       "to another place", at, own[i]);
	return 0;
}

struct job {
	struct options o;
	struct dirs dirs;
	struct vars vars;
	struct session session;
	struct policy *policy;
	char at[PATH_MAX];
	char digest[65];
	bool undo;
	int report; /* pipe to who waits for the mount, or -1 */
};

static int prepare(struct job *j, struct err *e)
{
	int r = dirs_init(&j->dirs, e);

	if (r < 0)
		return r;
	mount_stale_clean(&j->dirs);
	if (!realpath(j->o.at, j->at))
		return err_set(e, errno, "the mount point %s", j->o.at);
	r = vars_init(&j->vars, j->o.source, j->at, "", e);
	if (r == 0)
		r = check_place(&j->vars, &j->dirs, e);
	if (r == 0)
		r = session_create(&j->session, &j->dirs, j->o.name, e);
	j->vars.policy.session = j->session.name;
	if (r == 0)
		r = session_policy(&j->policy, j->o.policy, j->o.pack, &j->dirs, &j->vars, e);
	if (r == 0)
		session_policy_digest(j->digest, j->policy);
	if (r == 0 && !j->o.read_only)
		r = undo_store_make(&j->undo, &j->dirs, j->session.name, j->policy, e);
	return r;
}

/* ---- foreground and background ---- */

/* First byte: exit status; then the error. The one who waits reads to the end. */
static void report(struct job *j, int status, const char *text)
{
	char byte = (char)status;

	if (j->report < 0)
		return;
	if (write(j->report, &byte, 1) < 0 || write(j->report, text, strlen(text)) < 0)
		log_debug("nobody waits for the mount");
	close(steal_fd(&j->report));
}

static void on_ready(void *arg)
{
	struct job *j = arg;

	report(j, EXIT_DONE, "");
	mount_cmd_notify("READY=1");
	log_info("%s is governed at %s", j->vars.workspace, j->vars.seen_as);
}

static int serve(struct job *j)
{
	char program[] = "agentsh", verb[] = "mount";
	char *const command[] = {program, verb, j->vars.workspace, j->vars.seen_as, NULL};
	struct session_facts facts = {
		.workspace = j->vars.workspace,
		.policy = policy_name(j->policy),
		.policy_digest = j->digest,
		.command = command,
		.mode = "mount",
		.mount = j->vars.seen_as,
		.started = time(NULL),
		.supervisor = getpid(),
	};
	const struct mount_job job = {
		.dirs = &j->dirs,
		.vars = &j->vars,
		.policy = j->policy,
		.session = &j->session,
		.read_only = j->o.read_only,
		.undo = j->undo,
		.quiet = j->o.quiet,
		.approver = j->o.approver,
		.ready = on_ready,
		.arg = j,
	};
	struct err e = ERR_INIT;
	const char *why = "";

	facts.status = session_write(&j->session, &facts, &e);
	if (facts.status < 0)
		facts.status = EXIT_IO;
	else
		facts.status = mount_cmd_run(&job, &why, &e);
	facts.ended = time(NULL);
	if (e.code && j->report < 0)
		log_err("%s", e.text);
	report(j, facts.status, e.text);
	mount_cmd_notify("STOPPING=1");
	if (session_write(&j->session, &facts, &e) < 0)
		log_err("%s", e.text);
	session_end(&j->session);
	return facts.status;
}

/* Standard streams of a process that nobody sees. */
static int detach(const struct job *j)
{
	char path[PATH_MAX + 8];
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC), log = -1;

	snprintf(path, sizeof(path), "%.*s.log", (int)strlen(j->session.record) - 5,
		 j->session.record);
	log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0)
		return -errno;
	return chdir("/") < 0 || setsid() < 0 ? -errno : 0;
}

static int wait_for_mount(int fd)
{
	char text[ERR_TEXT_MAX + 1];
	size_t n = 0;
	ssize_t got;

	while (n < sizeof(text) - 1 && ((got = read(fd, text + n, sizeof(text) - 1 - n)) > 0 ||
					(got < 0 && errno == EINTR)))
		n += got > 0 ? (size_t)got : 0;
	text[n] = '\0';
	if (n == 0) {
		log_err("the process that should mount died");
		return EXIT_IO;
	}
	if (n > 1)
		log_err("%s", text + 1);
	return (unsigned char)text[0];
}

static int background(struct job *j)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		log_err("pipe: %s", strerror(errno));
		return EXIT_IO;
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct err e = ERR_INIT;
		int r;

		close(ends[0]);
		j->report = ends[1];
		r = detach(j);
		if (r < 0) {
			err_set(&e, -r, "go to the background");
			report(j, EXIT_IO, e.text);
			_exit(EXIT_IO);
		}
		exit(serve(j));
	}
	close(ends[1]);
	if (pid < 0)
		log_err("fork: %s", strerror(errno));
	/* the lock of the session is the child's from here on */
	return pid < 0 ? EXIT_IO : wait_for_mount(ends[0]);
}

int cmd_mount(int argc, char **argv)
{
	struct job *j = calloc(1, sizeof(*j));
	autofree struct job *owner = j;
	struct err e = ERR_INIT;
	int r;

	if (!j) {
		log_err("out of memory");
		return EXIT_IO;
	}
	j->report = -1;
	j->session.lock = -1;
	r = parse(&j->o, argc, argv, &e);
	if (r == 1) {
		fputs(usage_text, stdout);
		return EXIT_DONE;
	}
	if (r == 0)
		r = prepare(j, &e);
	if (r < 0) {
		log_err("%s", e.text);
		session_end(&j->session);
		return EXIT_USAGE;
	}
	r = j->o.foreground ? serve(j) : background(j);
	policy_free(j->policy);
	return r;
}
