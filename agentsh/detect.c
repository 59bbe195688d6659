#include "agentsh/detect.h"

#include <errno.h>
#include <jansson.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agentsh/cgroup.h"
#include "agentsh/cmd.h"
#include "common/auto.h"
#include "common/log.h"

static void probe_cgroup(struct detect_result *out)
{
	struct err e = ERR_INIT;
	AUTO(cgroup_remove) struct cgroup *c = NULL;
	struct policy_limits none = {0};
	char name[64];

	snprintf(name, sizeof(name), "detect-%d", (int)getpid());
	out->works = cgroup_create(&c, name, &none, &e) == 0 && c;
	snprintf(out->detail, sizeof(out->detail), "%.150s",
		 out->works ? "" : e.text[0] ? e.text : "no cgroup v2 that we may write to");
}

static void probe_landlock(struct detect_result *out)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	out->works = abi > 0;
	if (abi > 0)
		snprintf(out->detail, sizeof(out->detail), "ABI %ld", abi);
	else
		snprintf(out->detail, sizeof(out->detail), "%s", strerror(errno));
}

static void probe_ipv6(struct detect_result *out)
{
	out->works = access("/proc/net/if_inet6", R_OK) == 0;
	snprintf(out->detail, sizeof(out->detail), "%s", out->works ? "" : "IPv6 is off");
}

static const struct detect_probe probes[] = {
	{"user namespace", "everything", true, detect_user_namespace,
	 "sysctl -w user.max_user_namespaces=10000; on Ubuntu also "
	 "kernel.apparmor_restrict_unprivileged_userns=0; in a container: allow nesting"},
	{"mount, pid, net, ipc, uts, cgroup namespaces", "the sandbox", true, detect_namespaces,
	 "the same as for user namespaces; /proc/sys/user/max_*_namespaces must not be 0"},
	{"FUSE", "governed files (fsgate)", true, detect_fuse,
	 "modprobe fuse; chmod 0666 /dev/fuse (what the fuse3 package's udev rule does)"},
	{"FUSE passthrough", "files at the speed of the disk", false, detect_passthrough,
	 "Linux 6.9 or later with CONFIG_FUSE_PASSTHROUGH, and root; without it fsgate copies"},
	{"nftables", "governed network (netgate)", true, detect_nftables,
	 "modprobe nf_tables; the kernel needs NF_TABLES, NFT_NAT and NFT_REDIR"},
	{"seccomp user notification", "governed programs (execgate)", true, detect_seccomp,
	 "Linux 5.0 or later with CONFIG_SECCOMP_FILTER; no other listener in force"},
	{"cgroup v2", "resource limits", false, probe_cgroup,
	 "run as root, or in a delegated systemd scope: systemd-run --user --scope -p Delegate=yes"},
	{"IPv6", "governed IPv6", false, probe_ipv6, "without it the sandbox has IPv4 only"},
	{"Landlock", "confines fsgate itself to the governed trees", false, probe_landlock, ""},
};

const struct detect_probe *detect_probes(size_t *n)
{
	*n = ARRAY_LEN(probes);
	return probes;
}

bool detect_inside(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	autofclose FILE *owner = f;
	char line[256];
	int nnp = 0, seccomp = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "NoNewPrivs:", 11) == 0)
			nnp = atoi(line + 11);
		else if (strncmp(line, "Seccomp:", 8) == 0)
			seccomp = atoi(line + 8);
	}
	return nnp == 1 && seccomp == 2;
}

static void print_row(const struct detect_probe *p, const struct detect_result *r)
{
	printf("%-8s %s%s%s%s\n", r->works ? "yes" : p->required ? "MISSING" : "no", p->name,
	       r->detail[0] ? " (" : "", r->detail, r->detail[0] ? ")" : "");
	if (!r->works && p->remedy[0])
		printf("         for %s; to get it: %s\n", p->needed_for, p->remedy);
}

static int run(bool as_json)
{
	json_t *rows = as_json ? json_array() : NULL;
	bool isolate = true;

	for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
		struct detect_result r = {0};

		probes[i].fn(&r);
		isolate = isolate && (r.works || !probes[i].required);
		if (rows)
			json_array_append_new(
				rows, json_pack("{s:s, s:b, s:b, s:s, s:s, s:s}", "mechanism",
						probes[i].name, "works", r.works, "required",
						probes[i].required, "detail", r.detail,
						"needed_for", probes[i].needed_for, "remedy",
						r.works ? "" : probes[i].remedy));
		else
			print_row(&probes[i], &r);
	}
	if (rows) {
		json_t *o = json_pack("{s:s, s:o}", "mode", isolate ? "isolate" : "none",
				      "mechanisms", rows);

		json_dumpf(o, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(o);
	} else {
		printf("mode     %s\n", isolate ? "isolate: agentsh wrap --isolate works here"
						: "none: agentsh wrap refuses to run here");
	}
	return isolate ? EXIT_DONE : EXIT_NO;
}

int cmd_detect(int argc, char **argv)
{
	bool as_json = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			as_json = true;
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			puts("usage: agentsh detect [--json]\n\n"
			     "Try each mechanism for real and tell what is enforced here. Exit status\n"
			     "0: wrap --isolate works; 1: something that it needs is missing.");
			return EXIT_DONE;
		} else {
			log_err("%s: unknown option; \"agentsh detect --help\" lists them", argv[i]);
			return EXIT_USAGE;
		}
	}
	return run(as_json);
}
