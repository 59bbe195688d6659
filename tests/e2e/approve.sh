#!/bin/sh
# Held requests: listed and answered from another terminal; time-outs deny; the rest goes on.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$T/ask.yaml" <<'END'
version: 1
name: ask
extends: [code-edit]
file_rules:
  - {name: ask-file, paths: ["${WORKSPACE}/held/**"], operations: [open, read, write, create], decision: approve, timeout: 20s, message: "may {{.Path}} be used?"}
  - {name: ask-short, paths: ["${WORKSPACE}/short/**"], operations: [open, read, write, create], decision: approve, timeout: 1s}
command_rules:
  - {name: ask-command, commands: [factor], decision: approve, timeout: 20s, message: "may {{.Command}} run?"}
network_rules:
  - {name: ask-net, cidrs: ["127.9.9.0/24", "192.0.2.0/24"], decision: approve, timeout: 20s}
END
PACK="--policy $T/ask.yaml"
mkdir -p "$W/held" "$W/short" && echo content >"$W/held/f" && echo content >"$W/short/f" && echo free >"$W/free" && own "$W"

ids() { ctl approve list --json 2>/dev/null | grep -o '"id": *[0-9]*' | grep -o '[0-9]*'; }
wait_for() { until_true sh -c "[ \$(cd $T; env -i HOME=$T/home AGENTSH_STATE_DIR=$T/state PATH=$PATH $AGENTSH approve list --json 2>/dev/null | grep -c '\"id\"') -ge ${1:-1} ]"; }
in_background() { # what the session prints goes to $T/bg
	wrap "$@" >"$T/bg" 2>"$T/bg.err" </dev/null &
	bg=$!
}
answer() { # allow|deny [OPTION...]: the one that is held
	a_id=$(ids | head -n 1)
	ctl approve "${a_id:-none}" "$@" >"$T/answer" 2>&1
}

is 'nothing is held: status 0 and an empty list' "$(ctl approve list --json | tr -d ' \n')$?" '[]0'

# ---- a file ----
in_background sh -c 'cat held/f; echo status $?'
wait_for || nok 'a held open is listed' "$(ctl approve list 2>&1)"
list=$(ctl approve list 2>&1)
like 'the list says what is asked' "$list" 'held/f'
like 'the list says the rule' "$list$(ctl approve list --json)" 'ask-file'
is 'nothing happened before the answer' "$(cat "$T/bg")" ''
answer allow
is 'approve allow: status 0' $? 0
wait $bg
is 'allowed: the operation goes on' "$(cat "$T/bg")" 'content
status 0'
in_background sh -c 'cat held/f; echo status $?'
wait_for
answer deny --reason 'not today'
wait $bg
is 'denied: the operation fails' "$(cat "$T/bg")" 'status 1'
like 'denied: EACCES' "$(cat "$T/bg.err")" 'Permission denied'

# ---- a command ----
in_background sh -c 'factor 6; echo status $?'
wait_for
like 'a command: argv is shown' "$(ctl approve list 2>&1)" 'factor 6'
answer allow
wait $bg
is 'a command: allowed' "$(cat "$T/bg")" '6: 2 3
status 0'
in_background sh -c 'factor 6; echo status $?'
wait_for
start=$(date +%s)
answer deny
wait $bg
is 'a command: denied' "$(cat "$T/bg")" 'status 126'
[ $(($(date +%s) - start)) -le 5 ] && ok 'a command: not asked for again under its next name in PATH' ||
	nok 'a command: not asked for again under its next name in PATH'
is 'a command: one line about it' "$(grep -c '^agentsh: denied' "$T/bg.err")" 1

# ---- what is asked cannot dress up as something else ----
in_background sh -c 'factor "$(printf "6\033[2K\rls\n")" "$(printf "%3000s" x)"; echo status $?'
wait_for
for o in '' --json; do
	# shellcheck disable=SC2086 # an option or none
	is "no control characters in the list $o" "$(ctl approve list $o | grep -cP '[\x00-\x08\x0b-\x1f\x7f]')" 0
done
[ "$(ctl approve list | wc -c)" -le 4000 ] && ok 'the list is capped' || nok 'the list is capped' "$(ctl approve list | wc -c) bytes"
answer deny
wait $bg

# ---- others go on while one waits ----
in_background sh -c 'cat held/f >held-out & i=0; while [ $i -lt 50 ]; do cat free >>free-out; /bin/true; i=$((i+1)); done; echo others done; wait; cat held-out'
wait_for
until_true grep -q 'others done' "$T/bg"
is 'others go on while one waits' "$(cat "$T/bg")" 'others done'
answer allow
wait $bg
is 'then the one goes on' "$(tail -n 1 "$T/bg")" content

# ---- several at once, answered in another order ----
in_background sh -c 'for i in 1 2 3; do (cat held/f >o$i 2>/dev/null; echo $i $? >>order) & done; wait; cat o1 o2 o3 | wc -l'
wait_for 3
is 'three are listed' "$(ids | wc -l | tr -d ' ')" 3
for id in $(ids | sort -rn); do ctl approve "$id" allow >/dev/null 2>&1; done
wait $bg
is 'all three went on' "$(cat "$T/bg" | tr -d ' ')" 3

# ---- nobody answers ----
start=$(date +%s)
out=$(wrap sh -c 'cat short/f; echo status $?' 2>&1)
like 'time-out denies' "$out" '^status 1$'
[ $(($(date +%s) - start)) -le 5 ] && ok 'time-out: after the rule says' || nok 'time-out: after the rule says'
start=$(date +%s)
out=$(wrap -o '--approver none' sh -c 'cat held/f; echo status $?' 2>&1)
like '--approver none denies' "$out" '^status 1$'
[ $(($(date +%s) - start)) -le 5 ] && ok '--approver none: at once' || nok '--approver none: at once'

# ---- the end of the session ends what it holds ----
in_background sh -c 'cat held/f & sleep 0.5; exit 4'
wait $bg
is 'a session may end while a request is held' $? 4
is 'and it is not listed any more' "$(ids)" ''
in_background cat held/f
wait_for
# shellcheck disable=SC2046 # one process
kill -TERM $(ps -s $$ -o pid=,comm= | awk '$2 == "agentsh" { print $1; exit }')
wait $bg
is 'not listed after a signal either' "$(ids)" ''

# ---- wrong answers ----
ctl approve 99999 allow >"$T/out" 2>&1
is 'an unknown id: 1' $? 1
like 'an unknown id: says so' "$(cat "$T/out")" '^agentsh: .*99999'
ctl approve 1 perhaps >"$T/out" 2>&1
is 'an unknown answer: 2' $? 2
ctl approve banana allow >"$T/out" 2>&1
is 'not an id: 2' $? 2
in_background cat held/f
wait_for
id=$(ids | head -n 1)
ctl approve "$id" allow >/dev/null 2>&1
ctl approve "$id" allow >/dev/null 2>&1
is 'an id is good once' $? 1
wait $bg

# ---- the approver at the terminal ----
cat >"$T/person.py" <<'END'
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
seen, answered, end = b"", False, time.time() + 25
while time.time() < end:
    if select.select([fd], [], [], 0.1)[0]:
        try:
            seen += os.read(fd, 4096)
        except OSError:
            break
    if b"held/f" in seen and not answered:
        time.sleep(0.3)
        os.write(fd, sys.argv[1].encode() + b"\n")
        answered = True
print(seen.decode(errors="replace").replace("\r", ""))
END
for a in y n; do
	out=$(cd "$W" && e2e_env timeout -k 5 40 $python "$T/person.py" $a "$AGENTSH" wrap --isolate --quiet --policy "$T/ask.yaml" --approver tty -- sh -c 'cat held/f; echo status $?')
	if [ $a = y ]; then like '--approver tty: yes' "$out" '^content' && like '--approver tty: yes, status' "$out" 'status 0'; else
		like '--approver tty: no' "$out" 'status 1'
	fi
done

ctl audit cat --json >"$T/log" 2>&1
like 'recorded: approver and wait' "$(cat "$T/log")" '"waited_ms"'
like 'recorded: the verdict was approve' "$(cat "$T/log")" '"verdict": ?"approve"'
like 'recorded: what was done' "$(cat "$T/log")" '"decision": ?"deny".*"verdict": ?"approve"'
ctl audit verify >"$T/out" 2>&1
is 'verify' $? 0
no_leftover 'nothing is left'
done_testing
