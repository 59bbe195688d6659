#!/bin/sh
# Exit statuses: the command's own, 128+N, 124, 125, 126, 127; and what is printed beside.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

for n in 0 1 2 42 124 125 126 127 255; do
	wrap sh -c "exit $n" >/dev/null 2>&1
	is "status $n" $? $n
done
for s in HUP:1 INT:2 QUIT:3 KILL:9 USR1:10 SEGV:11 PIPE:13 TERM:15; do
	wrap sh -c "kill -${s%:*} \$\$" >/dev/null 2>&1
	is "signal ${s%:*}" $? $((128 + ${s#*:}))
done

wrap no-such-command-here >"$T/out" 2>"$T/err"
is 'not found: 127' $? 127
like 'not found: one line' "$(cat "$T/err")" '^agentsh: .*no-such-command-here'
is 'not found: nothing on stdout' "$(cat "$T/out")" ''
wrap /etc/passwd >"$T/out" 2>"$T/err"
is 'not executable: 126' $? 126
wrap "$W" >"$T/out" 2>"$T/err"
is 'a directory: 126' $? 126
wrap su -c id >"$T/out" 2>"$T/err"
is 'denied command: 126' $? 126
like 'denied command: says which rule' "$(cat "$T/err")" '^agentsh: denied: .*su -c id \(rule [a-z-]+\)'
wrap sh -c 'su -c id' >"$T/out" 2>"$T/err"
is 'denied below a shell: 126 of the shell' $? 126
like 'denied below a shell: the message reaches stderr' "$(cat "$T/err")" '^agentsh: denied: .*su -c id'
printf '#!/no/such/interpreter\n' >"$W/script" && chmod 755 "$W/script" && own "$W"
wrap ./script >/dev/null 2>&1
is 'script without interpreter: 127' $? 127

printf 'version: 1\nname: short\nextends: [code-edit]\nresource_limits: {command_timeout: 1s}\n' >"$T/short.yaml"
PACK="--policy $T/short.yaml"
start=$(date +%s)
wrap sleep 30 >"$T/out" 2>"$T/err"
is 'command_timeout: 124' $? 124
[ $(($(date +%s) - start)) -le 10 ] && ok 'command_timeout: in time' || nok 'command_timeout: in time'
like 'command_timeout: says so' "$(cat "$T/err")" '^agentsh: .*(time|limit)'
PACK='--pack code-edit'

ctl wrap --isolate --pack code-edit >"$T/out" 2>"$T/err"
is 'no command: 125' $? 125
ctl wrap --no-such-option -- true >"$T/out" 2>"$T/err"
is 'unknown option: 125' $? 125
like 'unknown option: names it' "$(cat "$T/err")" '^agentsh: .*no-such-option'
ctl no-such-subcommand >"$T/out" 2>"$T/err"
is 'unknown subcommand: 2' $? 2
for c in '' wrap audit approve policy detect session trash; do
	# shellcheck disable=SC2086
	ctl $c --help >"$T/out" 2>&1
	is "agentsh $c --help: 0" $? 0
	like "agentsh $c --help: usage" "$(cat "$T/out")" '^usage:'
done

(cd "$W" && e2e_env timeout 60 "$AGENTSH" wrap --isolate --pack code-edit -- true) >"$T/out" 2>"$T/err"
like 'closing line on stderr' "$(cat "$T/err")" '^agentsh: session .* allowed, .* denied'
is 'nothing on stdout' "$(cat "$T/out")" ''
wrap true >"$T/out" 2>&1
is '--quiet: nothing at all' "$(cat "$T/out")" ''
no_leftover 'nothing is left'
done_testing
