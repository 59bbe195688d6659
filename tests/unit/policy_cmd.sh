#!/bin/sh
# agentsh policy: the packs do what their tables say, and each subcommand answers with the status
# and the words that its manual promises.
set -u
# shellcheck source=tests/lib/tap.sh
# shellcheck disable=SC2154
src=${srcdir:-.}
src=$(cd "$src" && pwd)
. "$src/tests/lib/tap.sh"
A=${AGENTSH:-agentsh}
AGENTSH_POLICY_DIR=$src/policies export AGENTSH_POLICY_DIR
AGENTSH_STATE_DIR=$tap_tmp/state export AGENTSH_STATE_DIR
HOME=/home/dev export HOME
cd "$tap_tmp" || exit 99

status() { # NAME WANT COMMAND...
	what=$1 want=$2
	shift 2
	out=$("$@" 2>&1)
	got=$?
	if [ "$got" = "$want" ]; then ok "$what"; else nok "$what" "status $got, not $want: $out"; fi
}

for pack in "$src"/policies/*.yaml; do
	case $pack in *.cases.yaml) continue ;; esac
	name=$(basename "$pack" .yaml)
	status "$name has no errors" 0 "$A" policy check "$name"
	like "$name has no warnings" "$out" '^ok: '
	status "$name does what its table says" 0 "$A" policy test "$name"
	cases=$(printf '%s\n' "$out" | sed -n 's/^\([0-9]*\) passed, 0 failed$/\1/p')
	if [ "${cases:-0}" -ge 60 ]; then ok "$name has a table of at least 60"; else
		nok "$name has a table of at least 60" "$out"
	fi
done

printf 'version: 1\nname: mine\nextends: [code-edit]\nfile_rules:\n- {name: first, paths: ["${WORKSPACE}/db/**"], operations: [write], decision: deny, message: "no {{.Path}}"}\n' >mine.yaml
status "check of a file" 0 "$A" policy check mine.yaml
like "says its name" "$out" '^ok: mine, [0-9]+ rules$'
printf 'version: 1\nname: bad\nfile_rule: []\nnetwork_rules:\n- {ports: [http]}\n' >bad.yaml
status "check of a bad file" 2 "$A" policy check bad.yaml
like "places the unknown key" "$out" '^bad.yaml:3:1: unknown key "file_rule".*did you mean "file_rules"'
like "places the bad port" "$out" '^bad.yaml:5:12: "http" is not a port'
like "names what is missing" "$out" '^bad.yaml:5:3: .*has no "decision"'
status "check --json of a bad file" 2 "$A" policy check --json bad.yaml
printf '%s\n' "$out" >out.json
if command -v python3 >/dev/null; then
	try "is JSON" python3 -c 'import json; d = json.load(open("out.json")); assert not d["ok"] and len(d["diagnostics"]) == 3'
else
	skip "is JSON" "python3 is missing"
fi
status "check of a pack that is not there" 2 "$A" policy check no-such-pack
like "lists the packs" "$out" 'there are: .*code-edit'
status "check of a directory" 2 "$A" policy check "$tap_tmp"
status "check of nothing" 2 "$A" policy check

status "explain an allowed write" 0 "$A" policy explain mine.yaml --file src/a.c --op write
like "names the rule" "$out" '^allow: rule workspace '
like "says why an earlier one did not match" "$out" ' first +no path of it matches'
status "explain a denied write" 1 "$A" policy explain mine.yaml --file db/x --op write
like "shows the message" "$out" "^message: no $tap_tmp/db/x"
status "explain a command" 1 "$A" policy explain mine.yaml --exec git push --force origin main
like "takes options of the command as its own" "$out" '^deny: rule git-force-push'
status "explain a command that is held" 0 "$A" policy explain mine.yaml --exec git push
like "says how long" "$out" 'waits for a person at most 300 s'
status "explain a connection" 1 "$A" policy explain mine.yaml --net pypi.org:443 --addr 10.0.0.1
like "knows private addresses" "$out" 'the address is private'
status "explain --json" 0 "$A" policy explain --json mine.yaml --net pypi.org:443
like "has the verdict" "$out" '"verdict": "allow"'
like "has the trace" "$out" '"trace": \['
status "explain a variable" 1 "$A" policy explain mine.yaml --env AWS_SECRET_ACCESS_KEY
status "explain a socket" 1 "$A" policy explain mine.yaml --unix /var/run/docker.sock --op connect
status "explain a signal" 1 "$A" policy explain mine.yaml --signal SIGKILL --target external
status "explain a bad operation" 2 "$A" policy explain mine.yaml --file x --op wriet
status "explain of nothing" 2 "$A" policy explain mine.yaml
status "explain of a bad policy" 2 "$A" policy explain bad.yaml --file x

printf 'workspace: /w\ncases:\n- {file: a, op: write, expect: allow}\n- {file: db/x, op: write, expect: allow}\n' >mine.cases.yaml
status "test finds what differs" 1 "$A" policy test mine.yaml
like "places it" "$out" '^mine.cases.yaml:4: file db/x write: expected allow, got deny \(rule first\)'
like "counts" "$out" '^1 passed, 1 failed'
status "test --json" 1 "$A" policy test --json mine.yaml mine.cases.yaml
like "has the counts" "$out" '"failed": 1'
status "test without a table" 2 "$A" policy test bad.yaml
printf 'cases:\n- {file: a}\n' >broken.yaml
status "test with a broken table" 2 "$A" policy test mine.yaml broken.yaml

status "list" 0 "$A" policy list
like "has the packs" "$out" '^code-edit +Edit'
unlike "has no tables" "$out" cases
status "list --json" 0 "$A" policy list --json
status "show" 0 "$A" policy show mine.yaml
printf '%s\n' "$out" >shown.yaml
like "has its own rule first" "$(sed -n '/^file_rules/,/name:/p' shown.yaml)" 'name: "first"'
status "what is shown is a policy" 0 "$A" policy check shown.yaml
printf 'workspace: %s\ncases:\n- {file: db/x, op: write, expect: deny, rule: first}\n- {exec: [git, push, -f], expect: deny}\n- {net: "pypi.org:443", expect: allow}\n' "$tap_tmp" >shown.cases.yaml
status "and decides the same" 0 "$A" policy test shown.yaml
status "show --json" 0 "$A" policy show --json mine.yaml

status "help" 0 "$A" policy --help
status "help of a subcommand" 0 "$A" policy explain --help
status "unknown subcommand" 2 "$A" policy frobnicate
status "unknown option" 2 "$A" policy check --frobnicate x
done_testing
