#!/bin/sh
# A held operation and its caller: signals that the caller handles do not end the wait; a caller that is
# killed, or told to stop, takes its question with it.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$T/ask.yaml" <<'END'
version: 1
name: ask
extends: [code-edit]
file_rules:
  - {name: ask-file, paths: ["${WORKSPACE}/held/**"], operations: [open, read, write, create], decision: approve, timeout: 60s}
command_rules:
  - {name: ask-command, commands: [factor], decision: approve, timeout: 60s}
END
PACK="--policy $T/ask.yaml"
mkdir -p "$W/held" && echo content >"$W/held/f" && own "$W"

listed() { ctl approve list --json 2>/dev/null; }
field() { listed | grep -o "\"$1\": *[0-9]*" | grep -o '[0-9]*$' | head -n 1; }
n_listed() { [ "$(listed | grep -c '"id"')" = "$1" ]; }
in_background() {
	wrap "$@" >"$T/bg" 2>"$T/bg.err" </dev/null &
	bg=$!
}
inside() { # python source on stdin, runs in the session
	cat >"$W/run.py" && own "$W/run.py" && in_background $python run.py
}

# ---- handled and ignored signals ----
inside <<'END'
import signal, os
got = []
signal.signal(signal.SIGALRM, lambda *_: got.append(1))
signal.signal(signal.SIGUSR1, lambda *_: got.append(2))
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
if os.fork() == 0: os._exit(0)      # SIGCHLD, not handled
fd = os.open("held/f", os.O_RDONLY)
signal.setitimer(signal.ITIMER_REAL, 0)
print(os.read(fd, 100), 1 in got, 2 in got)
END
until_true n_listed 1
kill -USR1 "$(field pid)"
sleep 0.5
n_listed 1 && ok 'handled signals: still held' || nok 'handled signals: still held' "$(listed) $(cat "$T/bg" "$T/bg.err")"
ctl approve "$(field id)" allow >/dev/null
wait $bg
is 'handled signals: allowed, the handlers have run' "$(cat "$T/bg")" "b'content\\n' True True"

# ---- killed, after a signal that it handled ----
inside <<'END'
import signal, os
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGUSR1, lambda *_: None)
    os.open("held/f", os.O_RDONLY)
    os._exit(1)
print(os.waitpid(pid, 0)[1], flush=True)
os.read(os.open("held/f", os.O_RDONLY), 1)
print("second")
END
until_true n_listed 1
first=$(field id)
kill -USR1 "$(field pid)"
sleep 0.3
kill -KILL "$(field pid)"
until_true grep -q 9 "$T/bg"
is 'killed: the caller is gone though nobody answered' "$(cat "$T/bg")" 9
until_true n_listed 1
[ "$(field id)" != "$first" ] && ok 'killed: its question is gone, the next one is there' || nok 'killed: its question is gone' "$(listed)"
ctl approve "$first" allow >/dev/null 2>&1
is 'killed: its question cannot be answered' $? 1
ctl approve "$(field id)" allow >/dev/null
wait $bg
is 'the session went on' "$(tail -n 1 "$T/bg")" second

# ---- one thread waits, the process is killed by another ----
inside <<'END'
import os, threading, time
pid = os.fork()
if pid == 0:
    threading.Thread(target=lambda: os.open("held/f", os.O_RDONLY)).start()
    while not os.path.exists("go"): time.sleep(0.05)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
until_true n_listed 1
: >"$W/go"
wait $bg
is 'exit_group while a thread waits' "$(cat "$T/bg")" 7
is 'its question is gone, too' "$(listed | tr -d ' \n')" '[]'
rm "$W/go"

# ---- told to stop ----
inside <<'END'
import signal, os
class Stop(Exception): pass
def stop(*_): raise Stop
signal.signal(signal.SIGINT, stop)
try: os.open("held/f", os.O_RDONLY)
except Stop: print("stopped", flush=True)
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.open("held/f", os.O_RDONLY)
    print("allowed", flush=True)
    os._exit(0)
os.waitpid(pid, 0)
END
until_true n_listed 1
kill -INT "$(field pid)"
until_true grep -q stopped "$T/bg"
is 'SIGINT with a handler: EINTR' "$(cat "$T/bg")" stopped
until_true n_listed 1
kill -TERM "$(field pid)"
sleep 0.3
ctl approve "$(field id)" allow >/dev/null
wait $bg
is 'an ignored SIGTERM does not end the wait' "$(tail -n 1 "$T/bg")" allowed

# ---- a program start ----
in_background sh -c 'factor 6; echo "status $?"; cat held/f'
until_true n_listed 1
kill -KILL "$(field pid)"
until_true grep -q status "$T/bg"
is 'a killed exec: the shell goes on' "$(cat "$T/bg")" 'status 137'
until_true n_listed 1
like 'a killed exec: not listed any more' "$(listed)" 'held/f'
ctl approve "$(field id)" deny >/dev/null
wait $bg

ctl audit cat --json >"$T/log" 2>/dev/null
is 'each question that was taken back is recorded' "$(grep '"op": *"approval"' "$T/log" | grep -c 'caller gone')" 4
no_leftover 'nothing is left'
done_testing
