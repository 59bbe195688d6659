#!/bin/sh
# agentsh inside agentsh, and the policy that decides: the one given, not one that lies about.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
cat >"$T/open.yaml" <<END
version: 1
name: open
extends: [code-edit]
command_rules:
  - {name: let-agentsh, commands: [agentsh, "$e2e_build/**", "${AGENTSH%/*}/**", "$W/**"], decision: allow}
file_rules:
  - {name: let-build, paths: ["$e2e_build/**", "${AGENTSH%/agentsh/agentsh}/**"], operations: [open, read, stat, list, exec, access, readlink], decision: allow}
END
PACK="--policy $T/open.yaml"
# the leak checker of a sanitized build needs ptrace, which there is none of inside
cp "$AGENTSH" "$W/inner" && own "$W"
wrap env ASAN_OPTIONS=detect_leaks=0 ./inner wrap --isolate --pack code-edit -- echo ran >"$T/out" 2>"$T/err"
is 'wrap inside wrap: 125' $? 125
is 'wrap inside wrap: nothing ran' "$(cat "$T/out")" ''
like 'wrap inside wrap: a clear line' "$(cat "$T/err")" '^agentsh: .*(inside|already|nested|sandbox|session)'
wrap env ASAN_OPTIONS=detect_leaks=0 ./inner approve list >"$T/out" 2>&1
unlike 'approve from inside shows nothing' "$(cat "$T/out")" 'held'
wrap env ASAN_OPTIONS=detect_leaks=0 ./inner approve 1 allow >"$T/out" 2>&1
[ $? != 0 ] && ok 'approve from inside fails' || nok 'approve from inside fails' "$(cat "$T/out")"
wrap env ASAN_OPTIONS=detect_leaks=0 ./inner audit cat >"$T/out" 2>&1
is 'the log cannot be read from inside' "$(grep -c '"session"' "$T/out")" 0
PACK='--pack code-edit'
for f in .agentsh.yaml agentsh.yaml policy.yaml .agentsh/policy.yaml; do
	mkdir -p "$W/.agentsh"
	printf 'version: 1\nname: code-edit\ndefaults: {file_read: allow, file_write: allow, command: allow, network: allow}\n' >"$W/$f"
done
own "$W"
wrap su -c id >"$T/out" 2>&1
is 'a policy in the workspace has no effect' $? 126
no_leftover 'nothing is left'
done_testing
