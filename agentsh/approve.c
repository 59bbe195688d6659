/*
 * agentsh approve: the person's side of broker.h, over every live session of this user
 */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agentsh/broker.h"
#include "agentsh/cmd.h"
#include "agentsh/session.h"
#include "common/auto.h"
#include "common/dirs.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/str.h"

static const char usage_text[] =
	"usage: agentsh approve [list] [--json]\n"
	"       agentsh approve ID allow|deny [--once|--session|--pattern GLOB] [--reason TEXT]\n\n"
	"Requests that wait for a person, in all of your sessions. --session also allows the same\n"
	"request for the rest of its session, --pattern every request of that rule whose subject\n"
	"matches GLOB. Without an answer a request is denied when its time is up.\n";

struct walk {
	const struct dirs *dirs;
	struct ipc_msg *m;
	json_t *json; /* array, with --json */
	unsigned n_items, n_sessions;
	uint32_t id, allow, scope;
	const char *pattern, *reason;
	bool found;
};

/* One question, one answer; a supervisor that hangs is given two seconds. */
static int ask_session(struct walk *w, const char *session)
{
	char path[PATH_MAX];
	autoclose int sock = -1;
	struct pollfd pf;
	int r;

	if (session_socket(path, sizeof(path), w->dirs, session) < 0)
		return -ENAMETOOLONG;
	sock = ipc_connect(path);
	if (sock < 0)
		return sock;
	r = ipc_send(sock, w->m);
	pf = (struct pollfd){.fd = sock, .events = POLLIN};
	if (r < 0)
		return r;
	if (poll(&pf, 1, 2000) <= 0)
		return -ETIMEDOUT;
	r = ipc_recv(sock, w->m);
	return r == 1 ? 0 : r == 0 ? -EPIPE : r;
}

struct item {
	uint32_t id, waited_ms, left_ms;
	const char *gate, *op, *subject, *rule, *message, *comm;
	uint64_t pid;
};

static void get_item(struct ipc_msg *m, struct item *it)
{
	it->id = ipc_get_u32(m);
	it->gate = ipc_get_str(m);
	it->op = ipc_get_str(m);
	it->subject = ipc_get_str(m);
	it->rule = ipc_get_str(m);
	it->message = ipc_get_str(m);
	it->comm = ipc_get_str(m);
	it->pid = ipc_get_u64(m);
	it->waited_ms = ipc_get_u32(m);
	it->left_ms = ipc_get_u32(m);
}

static void print_item(const struct item *it, const char *session)
{
	char comm[64], message[1024];
	struct str s;

	str_init(&s, comm, sizeof(comm));
	str_add_escaped(&s, it->comm, strlen(it->comm));
	str_init(&s, message, sizeof(message));
	str_add_escaped(&s, it->message, strlen(it->message));
	printf("%u  %s %s\n", it->id, it->op, it->subject);
	printf("        session %s, %s, asked by %s (pid %llu), rule %s\n", session, it->gate, comm,
	       (unsigned long long)it->pid, it->rule);
	if (*message)
		printf("        %s\n", message);
	printf("        waiting %u s, denied in %u s; agentsh approve %u allow|deny\n",
	       it->waited_ms / 1000, it->left_ms / 1000, it->id);
}

static void add_item(json_t *array, const struct item *it, const char *session)
{
	json_array_append_new(
		array, json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "id",
				 (json_int_t)it->id, "session", session, "gate", it->gate, "op",
				 it->op, "subject", it->subject, "rule", it->rule, "message",
				 it->message, "comm", it->comm, "pid", (json_int_t)it->pid,
				 "waited_ms", (json_int_t)it->waited_ms, "left_ms",
				 (json_int_t)it->left_ms));
}

static void list_one(void *arg, const char *session)
{
	struct walk *w = arg;
	uint32_t n;

	ipc_begin(w->m, BROKER_LIST, 0);
	if (ask_session(w, session) < 0 || w->m->type != BROKER_ITEMS)
		return;
	w->n_sessions++;
	n = ipc_get_u32(w->m);
	for (uint32_t i = 0; i < n; i++) {
		struct item it;

		get_item(w->m, &it);
		if (w->m->bad)
			break;
		w->n_items++;
		if (w->json)
			add_item(w->json, &it, session);
		else
			print_item(&it, session);
	}
	ipc_drop(w->m);
}

static int list(struct walk *w, bool as_json)
{
	if (as_json)
		w->json = json_array();
	session_each_live(w->dirs, list_one, w);
	if (w->json) {
		json_dumpf(w->json, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(w->json);
	} else if (!w->n_items) {
		puts("nothing waits for an answer");
	}
	return EXIT_DONE;
}

static void answer_one(void *arg, const char *session)
{
	struct walk *w = arg;
	struct passwd *pw = getpwuid(getuid());
	const char *tty = ttyname(STDIN_FILENO);
	char who[128];

	if (w->found)
		return;
	snprintf(who, sizeof(who), "%s@%s", pw ? pw->pw_name : "?", tty ? tty : "no terminal");
	ipc_begin(w->m, BROKER_ANSWER, 0);
	ipc_put_u32(w->m, w->id);
	ipc_put_u32(w->m, w->allow);
	ipc_put_u32(w->m, w->scope);
	ipc_put_str(w->m, w->pattern);
	ipc_put_str(w->m, who);
	ipc_put_str(w->m, w->reason);
	if (ask_session(w, session) == 0 && w->m->type == BROKER_RESULT)
		w->found = ipc_get_u32(w->m) == 1;
}

static int answer(struct walk *w)
{
	session_each_live(w->dirs, answer_one, w);
	if (!w->found) {
		log_err("no request %u waits in any session of yours: answered, timed out, or "
			"mistyped (see agentsh approve list)",
			w->id);
		return EXIT_NO;
	}
	printf("%u: %s\n", w->id, w->allow ? "allowed" : "denied");
	return EXIT_DONE;
}

static int bad_usage(const char *what)
{
	log_err("%s; \"agentsh approve --help\" tells more", what);
	return EXIT_USAGE;
}

static int parse_answer(struct walk *w, int argc, char **argv)
{
	uint64_t id;

	if (str_to_u64(&id, argv[1], 1, UINT32_MAX) < 0)
		return bad_usage("the request is named by its number");
	w->id = (uint32_t)id;
	if (argc < 3 || (strcmp(argv[2], "allow") != 0 && strcmp(argv[2], "deny") != 0))
		return bad_usage("say allow or deny");
	w->allow = strcmp(argv[2], "allow") == 0;
	for (int i = 3; i < argc; i++) {
		bool has_value = i + 1 < argc;

		if (strcmp(argv[i], "--once") == 0) {
			w->scope = SCOPE_ONCE;
		} else if (strcmp(argv[i], "--session") == 0) {
			w->scope = SCOPE_SESSION;
		} else if (strcmp(argv[i], "--pattern") == 0 && has_value) {
			w->scope = SCOPE_PATTERN;
			w->pattern = argv[++i];
		} else if (strcmp(argv[i], "--reason") == 0 && has_value) {
			w->reason = argv[++i];
		} else {
			return bad_usage("unknown option, or one without its value");
		}
	}
	return -1;
}

int cmd_approve(int argc, char **argv)
{
	autofree struct ipc_msg *m = malloc(sizeof(*m));
	struct err e = ERR_INIT;
	struct dirs dirs;
	struct walk w = {.dirs = &dirs, .m = m, .pattern = "", .reason = ""};
	bool as_json = argc > 1 && strcmp(argv[argc - 1], "--json") == 0;
	int r;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage_text, stdout);
		return EXIT_DONE;
	}
	if (!m || dirs_init(&dirs, &e) < 0) {
		log_err("%s", m ? e.text : "out of memory");
		return EXIT_IO;
	}
	if (argc - as_json == 1 || (argc - as_json == 2 && strcmp(argv[1], "list") == 0))
		return list(&w, as_json);
	if (strcmp(argv[1], "list") == 0)
		return bad_usage("list takes only --json");
	r = parse_answer(&w, argc, argv);
	return r >= 0 ? r : answer(&w);
}
