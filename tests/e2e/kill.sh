#!/bin/sh
# kill -9 of each process of agentsh at random moments: no agent process survives, nothing hangs,
# the log is intact or names its torn tail. $KILL_LOOPS times (20).
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
loops=${KILL_LOOPS:-20}

# the processes of one session, by name: what is below the supervisor, and the audit writer
cat >"$T/killer.py" <<'END'
"""killer.py AGENTSH STATE MARK DELAY TARGET: one session, one kill; prints what came of it."""
import os, random, signal, subprocess, sys, time
agentsh, state, mark, delay, target = sys.argv[1:6]
marker = "7%s.5" % mark
work = "while :; do echo x >>log; cat log >/dev/null; mkdir -p d; rmdir d; /bin/true; done & sleep %s & wait" % marker


def processes():
    out = []
    for d in os.listdir("/proc"):
        if d.isdigit():
            try:
                stat = open("/proc/%s/stat" % d).read()
                cmd = open("/proc/%s/cmdline" % d, "rb").read().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            f = stat[stat.rindex(")") + 2:].split()
            out.append((int(d), int(f[1]), stat[stat.index("(") + 1:stat.rindex(")")], cmd, f[0]))
    return out


def below(pid, all_):
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        for q in all_:
            if q[1] == p:
                found.append(q)
                todo.append(q[0])
    return found


p = subprocess.Popen([agentsh, "wrap", "--isolate", "--quiet", "--pack", "code-edit", "--", "sh", "-c", work],
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
time.sleep(float(delay))
all_ = processes()
family = below(p.pid, all_)
pick = None
if target == "supervisor":
    pick = (p.pid, 0, "agentsh", "")
elif target == "auditd":
    for q in all_:
        try:
            if q[2].startswith("agentsh-auditd") and ("STATE_DIR=" + state).encode() in open("/proc/%d/environ" % q[0], "rb").read():
                pick = q
        except OSError:  # not readable for an ordinary user: its argument says whose it is
            if q[2].startswith("agentsh-auditd") and state in q[3]:
                pick = q
else:
    named = [q for q in family if target in q[3] or target in q[2]]
    if target == "init":
        # the sandbox's first process: a child of the supervisor that has children and is no gate
        named = [q for q in family if q[1] == p.pid and "gate" not in q[3] and "auditd" not in q[3]]
    pick = random.choice(named) if named else None
killed = "nobody"
start = time.time()
if pick:
    try:
        os.kill(pick[0], signal.SIGKILL)
        killed = target
    except OSError as e:
        killed = "nobody (%s)" % e
try:
    _, err = p.communicate(timeout=4 if pick else 0.1)
    status = p.returncode
except subprocess.TimeoutExpired:
    status = "hung"
    # what was killed may have been a helper of the start that was done anyway, or a writer that
    # nobody had asked yet: then the session is whole, and ends when it is told to
    family = below(p.pid, processes())
    whole = sum(q[2] in ("fsgate", "netgate", "execgate") and q[4] != "Z" for q in family) == 3
    if killed.startswith("nobody") or (target in ("init", "auditd") and whole and any(marker in q[3] for q in family)):
        p.terminate()
        try:
            p.communicate(timeout=5)
            status = "went-on"
        except subprocess.TimeoutExpired:
            pass
took = time.time() - start
if status == "hung":
    p.kill()
    p.wait()
deadline = time.time() + 1
while time.time() < deadline:
    left = [q for q in processes() if marker in q[3] and q[4] != "Z"]
    if not left:
        break
    time.sleep(0.05)
print("%s status=%s took=%.3f left=%d" % (killed, status, took, len(left)))
END
own "$T"
n=0 hung=0 left=0 none=0 bad=0
: >"$T/results"
while [ $n -lt "$loops" ]; do
	n=$((n + 1))
	case $((n % 6)) in
	0) target=supervisor ;; 1) target=fsgate ;; 2) target=netgate ;; 3) target=execgate ;; 4) target=init ;; 5) target=auditd ;;
	esac
	# the first moments of a session are the interesting ones: half of the kills fall into them
	delay=$($python -c 'import random; print("%.3f" % (random.uniform(0, 0.06) if random.random() < 0.5 else random.uniform(0.06, 0.6)))')
	fresh
	r=$(cd "$W" && e2e_env timeout -k 5 40 $python "$T/killer.py" "$AGENTSH" "$T/state" "$$$n" "$delay" $target 2>&1 | tail -n 1)
	echo "$target $delay $r" >>"$T/results"
	case $r in *status=hung*) hung=$((hung + 1)) ;; esac
	case $r in *left=0) ;; *) left=$((left + 1)) ;; esac
	case $r in nobody* | *went-on*) none=$((none + 1)) ;; esac
	if [ $((n % 5)) = 0 ] || [ $n = "$loops" ]; then
		ctl audit verify >"$T/verify" 2>&1
		st=$?
		case $st in 0 | 2) ;; *) bad=$((bad + 1)); echo "verify: $st $(head -n 3 "$T/verify")" >>"$T/results" ;; esac
	fi
done
is "$loops kills: none hangs" "$hung$([ $hung = 0 ] || grep hung "$T/results")" 0
is "$loops kills: no agent process survives for 1 s" "$left$([ $left = 0 ] || grep -v left=0 "$T/results")" 0
is "$loops kills: verify never says tampered" "$bad$([ $bad = 0 ] || grep verify "$T/results")" 0
[ "$none" -lt $((loops / 2 + 1)) ] && ok "$((loops - none)) of $loops found somebody to kill" || nok 'kills found somebody' "$(cat "$T/results")"
fresh
is 'a session after all that' "$(wrap echo fine 2>&1)" fine
ctl audit verify >"$T/out" 2>&1
st=$?
case $st in 0 | 2) ok "verify at the end: $st" ;; *) nok 'verify at the end' "$st $(cat "$T/out")" ;; esac
no_leftover 'nothing is left mounted or running'

# ---- a dead gate ends the session at once ----
for g in fsgate netgate execgate auditd; do
	best=99999 statuses=
	for _ in 1 2 3; do
		fresh
		r=$(cd "$W" && e2e_env timeout -k 5 40 $python "$T/killer.py" "$AGENTSH" "$T/state" "$$9" 0.6 $g 2>&1 | tail -n 1)
		ms=$(echo "$r" | sed -n 's/.*took=\([0-9]*\)\.\([0-9]*\).*/\1\2/p' | sed 's/^0*//')
		[ -n "$ms" ] && [ "$ms" -lt $best ] && best=$ms
		statuses="$statuses $(echo "$r" | grep -o 'status=[a-z0-9-]*')"
	done
	is "$g killed: status 125" "$statuses" ' status=125 status=125 status=125'
	# on an idle machine it is some 10 ms; this bound only tells a hang from a loaded machine
	[ "$best" -le 2000 ] && ok "$g killed: over in $best ms" || nok "$g killed: over within 2 s" "$best ms; $r"
done

# ---- a gate that dies while the agent ends: the supervisor hears of the agent first ----
cat >"$T/ender.py" <<'END'
"""ender.py AGENTSH GATE: prints wrap's status when GATE died just after the agent had ended with 7."""
import os, signal, subprocess, sys, time
agentsh, gate = sys.argv[1:3]
p = subprocess.Popen([agentsh, "wrap", "--isolate", "--quiet", "--pack", "code-edit", "--", "sh", "-c",
                      "echo ready; read x; exit 7"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
p.stdout.readline()


def children(of):
    for d in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = open("/proc/%s/stat" % d).read()
        except OSError:
            continue
        if int(stat[stat.rindex(")") + 2:].split()[1]) == of:
            yield int(d), stat[stat.index("(") + 1:stat.rindex(")")]


by_name = {name: pid for pid, name in children(p.pid)}
init = [pid for pid, name in children(p.pid) if name == "agentsh-init"][0]
agent = [pid for pid, _ in children(init)][0]
os.kill(p.pid, signal.SIGSTOP)
p.stdin.close()
end = time.monotonic() + 20
while os.path.exists("/proc/%d" % agent) and time.monotonic() < end:
    time.sleep(0.01)
os.kill(by_name[gate], signal.SIGKILL)
time.sleep(0.05)
os.kill(p.pid, signal.SIGCONT)
print("status", p.wait())
END
own "$T"
for g in fsgate netgate execgate; do
	fresh
	is "$g dies while the agent ends" "$(cd "$W" && e2e_env timeout -k 5 40 $python "$T/ender.py" "$AGENTSH" "$g" 2>"$T/err" | tail -n 1)" 'status 125'
done
done_testing
