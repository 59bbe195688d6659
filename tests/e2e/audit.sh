#!/bin/sh
# The log: what happened is in it, once, under the documented keys; verify says 0; sessions listed.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

echo SECRET=1 >"$W/.env" && own "$W"
wrap -o '--name one' sh -c 'echo x >made; mv made moved; rm moved; mkdir d; cat .env; su -c id; ln -s a b; true' >/dev/null 2>&1
wrap -o '--name two' sh -c '/bin/echo "$(printf "a\033[31mb\nc\377")"; echo x >"$(printf "esc\033]0;x\007\n.txt")"' >/dev/null 2>&1
ctl audit cat --json >"$T/all" 2>"$T/err"
is 'audit cat --json: status 0' $? 0
is 'audit cat --json: nothing on stderr' "$(cat "$T/err")" ''
cat >"$T/look.py" <<'END'
import json, re, sys
records = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
def name(b, ok):
    print(("ok" if ok else "nok"), b)
name("there are records", len(records) > 20)
always = {"seq", "time", "session", "gate", "op", "decision", "verdict", "rule", "pid", "comm"}
of = [r for r in records if r.get("gate") in ("fs", "net", "exec")]
decided = [r for r in of if r["decision"]]
name("only ends have no decision", {r["op"] for r in of} - {r["op"] for r in decided} <= {"close", "exit", "release", "end"})
name("every record of a gate has the common keys", all(always <= set(r) for r in of))
name("time is RFC 3339 with nanoseconds in UTC", all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", r["time"]) for r in records))
seqs = [r["seq"] for r in records]
name("seq rises", all(a < b for a, b in zip(seqs, seqs[1:])))
name("decisions are known words", {r["decision"] for r in decided} <= {"allow", "deny", "redirect", "soft_delete", "absorb"})
one = [r for r in of if r["session"] == "one"]
def fs(op, end, decision, **more):
    return [r for r in one if r["gate"] == "fs" and r["op"] == op and str(r.get("path", "")).endswith(end) and r["decision"] == decision]
name("create", len(fs("create", "/made", "allow")) == 1)
name("rename has both names", any(str(r.get("to", "")).endswith("/moved") for r in fs("rename", "/made", "allow")))
name("delete", len(fs("delete", "/moved", "allow")) == 1)
name("mkdir", len(fs("mkdir", "/d", "allow")) == 1)
name("symlink", any(r["op"] == "symlink" and "/b" in str(r) for r in one))
name("a denied read", len([r for r in one if r["decision"] == "deny" and str(r.get("path")).endswith("/.env")]) >= 1)
execs = [r for r in one if r["gate"] == "exec" and r["op"] == "exec"]
name("program starts have exe, argv, cwd, sha256, ppid", all({"exe", "argv", "cwd", "sha256", "ppid"} <= set(r) for r in execs if r["decision"] == "allow") and len(execs) >= 5)
name("the sha256 is the file's", all(re.fullmatch(r"[0-9a-f]{64}", r["sha256"]) for r in execs if r["decision"] == "allow"))
import hashlib
name("the sha256 is right", any(r["sha256"] == hashlib.sha256(open(r["exe"], "rb").read()).hexdigest() for r in execs if r["decision"] == "allow"))
name("a denied program", any(r["decision"] == "deny" and "su" in r["argv"][0] for r in execs))
name("argv is complete", any(r["argv"] == ["mv", "made", "moved"] for r in execs))
name("rules are named", all(r["rule"] for r in decided))
two = [r for r in of if r["session"] == "two"]
name("bytes that are not UTF-8 are base64", any(isinstance(a, dict) and "b64" in a for r in two for a in r.get("argv", [])))
name("control characters come back exactly", any(str(r.get("path", "")).endswith("/esc\x1b]0;x\x07\n.txt") for r in two))
END
$python "$T/look.py" "$T/all" >"$T/looked" 2>&1 || nok 'the records can be read' "$(tail -n 3 "$T/looked")"
while read -r word name; do
	case $word in ok) ok "$name" ;; nok) nok "$name" "$(grep -m 3 '"session": *"one"' "$T/all")" ;; esac
done <"$T/looked"

is 'audit cat --session' "$(ctl audit cat --json --session two | grep -c '"session": *"one"')" 0
ctl audit cat >"$T/human" 2>&1
is 'audit cat: no control bytes for a terminal' "$(grep -cP '[\x00-\x08\x0b-\x1f\x7f]' "$T/human")" 0
like 'audit cat: shows the denied read' "$(cat "$T/human")" 'deny.*/\.env'
ctl audit verify >"$T/out" 2>&1
is 'verify: 0' $? 0
for n in one two; do like "session list: $n" "$(ctl session list 2>&1)" "(^| )$n( |\$)"; done
like 'session list --json' "$(ctl session list --json | $python -c 'import json, sys; print(type(json.load(sys.stdin)).__name__)' 2>&1)" 'list'
like 'session show' "$(ctl session show one 2>&1)" one
ctl session show none-such >"$T/out" 2>&1
is 'session show of none: 1' $? 1
ctl audit cat --session none-such >"$T/out" 2>&1
is 'audit cat of an unknown session: 1' $? 1

# ---- a changed log does not verify ----
find "$T/state" -name '*.aseg' >"$T/segments"
is 'there is a segment' "$(wc -l <"$T/segments" | tr -d ' ')" 1
cp -a "$T/state" "$T/copy"
seg=$(sed "s|$T/state|$T/copy|" "$T/segments")
verify_copy() { e2e_env AGENTSH_STATE_DIR="$T/copy" timeout 60 "$AGENTSH" audit verify >"$T/out" 2>&1; }
e2e_env AGENTSH_STATE_DIR="$T/copy" timeout 60 "$AGENTSH" audit verify >"$T/out" 2>&1
is 'a copy verifies' $? 0
size=$(grep -abo 'moved' "$seg" | head -n 1 | cut -d: -f1)
printf 'M' | dd of="$seg" bs=1 seek="$size" conv=notrunc 2>/dev/null
e2e_env AGENTSH_STATE_DIR="$T/copy" timeout 60 "$AGENTSH" audit verify >"$T/out" 2>&1
is 'one byte changed: 1' $? 1
like 'one byte changed: says where' "$(cat "$T/out")" '(seq|record) *[0-9]+'

# ---- sessions at the same time share one chain ----
for i in 1 2 3 4; do wrap -o "--name par$i" -o "--env AGENT=$i" sh -c 'i=0; while [ $i -lt 40 ]; do echo x >f$AGENT.$i; i=$((i+1)); done' >/dev/null 2>&1 & done
wait
ctl audit verify >"$T/out" 2>&1
is 'four sessions at once: verify' $? 0
for i in 1 2 3 4; do is "four sessions at once: par$i is complete" "$(ctl audit cat --json --session par$i | grep -c '"op": *"create"')" 40; done

# ---- what policy says about the log ----
is 'secrets of the environment are not in it' "$(cd "$W" && e2e_env MY_TOKEN=hunter2hunter2 timeout 60 "$AGENTSH" wrap --isolate --quiet --pack code-edit -- true; ctl audit cat --json | grep -c hunter2hunter2)" 0
no_leftover 'nothing is left'
done_testing
