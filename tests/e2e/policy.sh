#!/bin/sh
# agentsh policy: list, show, check, explain and test; the packs pass their own tables.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

out=$(ctl policy list 2>&1)
is 'policy list: 0' $? 0
for p in base code-edit; do
	like "policy list: $p" "$out" "(^| )$p( |\$)"
	try "policy check $p" ctl policy check $p
	try "policy show $p" ctl policy show $p
	ctl policy test $p >"$T/out" 2>&1
	is "policy test $p" "$? $(grep -v ' 0 failed' "$T/out" | head -n 5)" '0 '
	n=$(grep -oE '[0-9]+ (passed|cases)' "$T/out" | grep -oE '[0-9]+' | head -n 1)
	[ "${n:-0}" -ge 60 ] && ok "policy test $p: at least 60 requests ($n)" || nok "policy test $p: at least 60 requests" "$(tail -n 3 "$T/out")"
done
like 'explain a file' "$(ctl policy explain code-edit --file /etc/shadow --op read 2>&1)" 'deny.*|system-secrets'
ctl policy explain code-edit --file /etc/shadow --op read >/dev/null 2>&1
is 'explain: status 1 for deny' $? 1
ctl policy explain code-edit --file /usr/include/stdio.h --op read >/dev/null 2>&1
is 'explain: status 0 for allow' $? 0
like 'explain a command' "$(ctl policy explain code-edit --exec su -c id 2>&1)" 'privileges'
like 'explain a host' "$(ctl policy explain code-edit --net evil.example:443 2>&1)" 'everything-else'
like 'explain --json' "$(ctl policy explain code-edit --file /etc/shadow --op read --json | $python -c 'import json, sys; print(json.load(sys.stdin))' 2>&1)" "deny"
printf 'version: 1\nname: two-faults\nfile_rules:\n  - {name: a, paths: ["x"], decision: allow}\n  - {name: b, paths: ["/y"], decision: maybe}\n' >"$T/bad.yaml"
ctl policy check "$T/bad.yaml" >"$T/out" 2>&1
is 'check of a bad file: 2' $? 2
is 'check names every fault' "$(grep -cE 'bad.yaml:[45]:' "$T/out")" 2
ctl policy check "$T/none.yaml" >"$T/out" 2>&1
case $? in 2 | 3) ok 'check of a missing file' ;; *) nok 'check of a missing file' "$(cat "$T/out")" ;; esac
ctl policy frobnicate >"$T/out" 2>&1
is 'unknown subcommand: 2' $? 2
out=$(ctl detect 2>&1)
is 'detect: 0' $? 0
like 'detect names the mechanisms' "$out" '[Ff][Uu][Ss][Ee]'
like 'detect --json' "$(ctl detect --json | $python -c 'import json, sys; print(type(json.load(sys.stdin)).__name__)' 2>&1)" 'dict|list'
done_testing
