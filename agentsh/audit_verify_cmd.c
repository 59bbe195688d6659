/*
 * agentsh audit verify: what the verifier found, for people and as JSON
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agentsh/audit_i.h"
#include "agentsh/cmd.h"
#include "common/audit_verify.h"
#include "common/auto.h"
#include "common/dirs.h"
#include "common/str.h"

static const char help[] =
	"usage: agentsh audit verify [OPTION...]\n"
	"Check that the audit log is what was written: nothing changed, removed or added.\n"
	"\n"
	"  --dir DIR      log directory (default: of this user)\n"
	"  --pub FILE     root public key, kept elsewhere; DIR may then be a copy of the segments\n"
	"  --key FILE     root secret in hex: checks each record's authentication code, too\n"
	"  --anchor FILE  checkpoints kept elsewhere; the log must contain them\n"
	"  --strict       crashes, lost producers and a full disk count as incomplete\n"
	"  --quick        signatures and order only\n"
	"  --json         the result as one JSON object\n"
	"\n"
	"Exit status: 0 complete, 1 tampered with, 2 intact but incomplete (its end is torn,\n"
	"unsigned or unclosed), 3 not readable, or wrong usage, 4 key missing or of another log.\n";

enum option_id { OPT_DIR = 1, OPT_PUB, OPT_KEY, OPT_ANCHOR, OPT_STRICT, OPT_QUICK, OPT_JSON, OPT_HELP };

static const struct option options[] = {
	{"dir", required_argument, NULL, OPT_DIR},
	{"pub", required_argument, NULL, OPT_PUB},
	{"key", required_argument, NULL, OPT_KEY},
	{"anchor", required_argument, NULL, OPT_ANCHOR},
	{"strict", no_argument, NULL, OPT_STRICT},
	{"quick", no_argument, NULL, OPT_QUICK},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static const char *const words[] = {
	[AUDIT_INTACT] = "intact",
	[AUDIT_TAMPERED] = "TAMPERED",
	[AUDIT_INCOMPLETE] = "intact, but incomplete",
	[AUDIT_UNREADABLE] = "not readable",
	[AUDIT_NO_TRUST] = "no trust",
};

static const char *const json_words[] = {
	[AUDIT_INTACT] = "intact",	   [AUDIT_TAMPERED] = "tampered",
	[AUDIT_INCOMPLETE] = "incomplete", [AUDIT_UNREADABLE] = "unreadable",
	[AUDIT_NO_TRUST] = "no-trust",
};

typedef unsigned long long ull;

static void format_time(char out[40], uint64_t ns)
{
	time_t t = (time_t)(ns / 1000000000u);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void print_fault(const struct audit_report *rep)
{
	printf("  fault        %s: %s\n", audit_fault_name(rep->fault), rep->fault_text);
	printf("  where        record %llu, %s", (ull)rep->fault_seq, rep->fault_file);
	if (rep->fault_offset)
		printf(" at byte %llu", (ull)rep->fault_offset);
	printf("\n");
}

static void print_sessions(const struct audit_report *rep)
{
	const size_t shown = 10, from = rep->n_sessions > shown ? rep->n_sessions - shown : 0;

	printf("  sessions     %zu\n", rep->n_sessions);
	if (from)
		printf("               ... %zu older\n", from);
	for (size_t i = from; i < rep->n_sessions; i++) {
		printf("               %s: %llu records", rep->sessions[i].name,
		       (ull)rep->sessions[i].records);
		if (rep->sessions[i].lost)
			printf(", %u producers lost", rep->sessions[i].lost);
		printf("\n");
	}
}

static void print_people(const struct audit_report *rep, const char *dir)
{
	char from[40], to[40];
	const size_t kept = ARRAY_LEN(rep->notices);

	printf("%s: %s\n", dir, words[rep->verdict]);
	if (rep->fault != AUDIT_FAULT_NONE)
		print_fault(rep);
	format_time(from, rep->first_ns);
	format_time(to, rep->last_ns);
	if (rep->records)
		printf("  records      0 to %llu, %s to %s\n", (ull)rep->records - 1, from, to);
	printf("  signed       %llu of %llu records, %llu checkpoints\n", (ull)rep->signed_records,
	       (ull)rep->records, (ull)rep->checkpoints);
	if (rep->anchored)
		printf("  anchored     %llu records\n", (ull)rep->anchored);
	printf("  keys         %llu epochs; the writer was started %llu times, %llu times after a crash\n",
	       (ull)rep->epochs, (ull)rep->starts, (ull)rep->crashes);
	printf("  checked      %s\n", rep->macs ? "signatures, hashes, and authentication codes"
						: "signatures and hashes");
	if (rep->live)
		printf("  live         a writer is at work; checked is what was there at the start\n");
	print_sessions(rep);
	for (size_t i = 0; i < rep->n_notices && i < kept; i++)
		printf("  %s   %s\n", rep->notices[i].incomplete ? "incomplete" : "notice    ",
		       rep->notices[i].text);
	if (rep->n_notices > kept)
		printf("  notice       ... %zu more\n", rep->n_notices - kept);
}

static void json_text(const char *key, const char *value)
{
	char buf[2048];
	struct str s;

	str_init(&s, buf, sizeof(buf));
	str_add_json(&s, value, strlen(value));
	printf("\"%s\":\"%s\"", key, buf);
}

static void json_hex(const char *key, const uint8_t *p, size_t n)
{
	char hex[2 * SHA256_LEN + 1];

	audit_hex(hex, p, n);
	printf("\"%s\":\"%s\"", key, hex);
}

static void print_json(const struct audit_report *rep, const struct err *e)
{
	printf("{");
	json_text("result", json_words[rep->verdict]);
	printf(",\"status\":%d,", rep->verdict);
	if (rep->verdict == AUDIT_UNREADABLE || rep->verdict == AUDIT_NO_TRUST) {
		json_text("error", e->text);
		printf("}\n");
		return;
	}
	json_hex("log_id", rep->log_id, AUDIT_ID_LEN);
	printf(",\"records\":%llu,\"signed\":%llu,\"anchored\":%llu,\"checkpoints\":%llu,"
	       "\"segments\":%llu,\"epochs\":%llu,\"starts\":%llu,\"crashes\":%llu,\"live\":%s,"
	       "\"macs\":%s,",
	       (ull)rep->records, (ull)rep->signed_records, (ull)rep->anchored, (ull)rep->checkpoints,
	       (ull)rep->segments, (ull)rep->epochs, (ull)rep->starts, (ull)rep->crashes,
	       rep->live ? "true" : "false", rep->macs ? "true" : "false");
	json_hex("root", rep->root, SHA256_LEN);
	if (rep->fault != AUDIT_FAULT_NONE) {
		printf(",\"fault\":{");
		json_text("class", audit_fault_name(rep->fault));
		printf(",\"seq\":%llu,\"offset\":%llu,", (ull)rep->fault_seq, (ull)rep->fault_offset);
		json_text("file", rep->fault_file);
		printf(",");
		json_text("text", rep->fault_text);
		printf("}");
	}
	printf(",\"sessions\":[");
	for (size_t i = 0; i < rep->n_sessions; i++) {
		printf("%s{", i ? "," : "");
		json_text("name", rep->sessions[i].name);
		printf(",\"records\":%llu,\"lost\":%u}", (ull)rep->sessions[i].records,
		       rep->sessions[i].lost);
	}
	printf("],\"notices\":[");
	for (size_t i = 0; i < rep->n_notices && i < ARRAY_LEN(rep->notices); i++) {
		printf("%s{\"incomplete\":%s,", i ? "," : "",
		       rep->notices[i].incomplete ? "true" : "false");
		json_text("text", rep->notices[i].text);
		printf("}");
	}
	printf("]}\n");
}

/* @return -1 to go on, else the exit status */
static int parse(struct audit_verify_conf *c, bool *json, int argc, char **argv)
{
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case OPT_DIR:
			c->dir = optarg;
			break;
		case OPT_PUB:
			c->pub = optarg;
			break;
		case OPT_KEY:
			c->key = optarg;
			break;
		case OPT_ANCHOR:
			c->anchor = optarg;
			break;
		case OPT_STRICT:
			c->strict = true;
			break;
		case OPT_QUICK:
			c->quick = true;
			break;
		case OPT_JSON:
			*json = true;
			break;
		case OPT_HELP:
			fputs(help, stdout);
			return EXIT_DONE;
		default:
			audit_cmd_usage("audit verify");
			return AUDIT_UNREADABLE;
		}
	}
	if (optind == argc)
		return -1;
	audit_cmd_usage("audit verify");
	return AUDIT_UNREADABLE;
}

int audit_cmd_verify(int argc, char **argv)
{
	struct audit_verify_conf c = {0};
	struct audit_report rep;
	struct err e = ERR_INIT;
	struct dirs d;
	bool json = false;
	int r = parse(&c, &json, argc, argv);

	if (r >= 0)
		return r;
	if (!c.dir && dirs_init(&d, &e) < 0) {
		fprintf(stderr, "agentsh: %s\n", e.text);
		return AUDIT_UNREADABLE;
	}
	if (!c.dir)
		c.dir = d.audit;
	audit_verify(&rep, &c, &e);
	if (json)
		print_json(&rep, &e);
	else if (rep.verdict == AUDIT_UNREADABLE || rep.verdict == AUDIT_NO_TRUST)
		fprintf(stderr, "agentsh: %s\n", e.text);
	else
		print_people(&rep, c.dir);
	r = (int)rep.verdict;
	audit_report_free(&rep);
	return fflush(stdout) == 0 ? r : AUDIT_UNREADABLE;
}
