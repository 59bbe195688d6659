#!/bin/sh
# control.sh - what an agent can learn of agentsh and change about it, from inside
#
# Expected: its directories, sockets and log are not there; its commands do not work from here; the
# environment holds no secret; what is planted in the workspace has no effect on the policy. Lines of
# results are those of attack.h; some cases only plant something that the runner looks for afterwards.
set -u
# the leak checker of a sanitized build needs ptrace, which there is none of here
export ASAN_OPTIONS=detect_leaks=0
conf() { sed -n "s/^$1=//p" outside.conf | head -n 1; }
blocked() { printf 'BLOCKED\t%s\t%s\t%s\n' "$name" "$expect" "$1"; }
escaped() { printf 'ESCAPED\t%s\t%s\t%s\n' "$name" "$expect" "$1"; }
begin() { name=$1 expect=$2; }
state=$(conf state)

begin environment-secrets 'none'
token=$(conf token)
case $(env) in
*"$token"*) escaped 'the environment holds the token' ;;
*) blocked "$(env | wc -l) variables, none with the token" ;;
esac

begin environment-agentsh 'no way to the control plane'
if env | grep -iE '^AGENTSH_.*(DIR|SOCK|KEY|SERVER|RUN)='; then escaped 'a variable names it'; else blocked 'no variable names it'; fi

begin state-directory 'not there'
found=
for d in "$state" "$state/audit" "$state/run" /var/lib/agentsh /run/agentsh /etc/agentsh; do
	[ ! -e "$d" ] || found="$found $d"
done
if [ -n "$found" ]; then escaped "there:$found"; else blocked 'no directory of it'; fi

begin state-created 'not the real one'
# a directory of that name that the agent makes is its own, in its private /tmp
mkdir -p "$state/run" "$state/audit" 2>/dev/null && echo x >"$state/audit/forged" 2>/dev/null
blocked 'the runner looks at the log'

begin state-written 'refused'
{ echo x >>"$(dirname "$state")/planted-by-agent"; } 2>/dev/null
blocked 'the runner looks for the file'

begin approve-from-inside 'refused'
out=$(AGENTSH_STATE_DIR=$state timeout 10 bin/agentsh approve list 2>&1)
st=$?
if [ $st = 0 ] && [ -n "$out" ] && ! echo "$out" | grep -qiE 'no |nothing|0 '; then escaped "list: $out"; else
	if AGENTSH_STATE_DIR=$state timeout 10 bin/agentsh approve 1 allow >/dev/null 2>&1; then escaped 'approve 1 allow: status 0'; else blocked "list: status $st"; fi
fi

begin audit-from-inside 'refused'
if AGENTSH_STATE_DIR=$state timeout 10 bin/agentsh audit cat 2>/dev/null | grep -q .; then escaped 'the log can be read'; else
	blocked 'no record is shown'
fi

begin session-from-inside 'nothing'
if AGENTSH_STATE_DIR=$state timeout 10 bin/agentsh session list --json 2>/dev/null | grep -q '"session"'; then escaped 'sessions are listed'; else
	blocked 'no session is shown'
fi

begin wrap-inside-wrap 'status 125 and a clear line'
out=$(timeout 20 bin/agentsh wrap --isolate --pack code-edit -- true 2>&1 </dev/null)
st=$?
case $st:$out in
125:agentsh:*) blocked "$(echo "$out" | head -n 1)" ;;
126:* | 127:*) blocked "does not start here: $(echo "$out" | head -n 1)" ;;
*) printf 'BROKEN\t%s\t%s\tstatus %s: %s\n' "$name" "$expect" "$st" "$(echo "$out" | head -n 1)" ;;
esac

begin wrap-without-isolate-inside 'not looser'
out=$(timeout 20 bin/agentsh wrap --pack code-edit -- cat priv/secret.txt 2>&1 </dev/null)
if echo "$out" | grep -qF "$(conf secret)"; then escaped 'read the secret'; else blocked "$(echo "$out" | head -n 1)"; fi

begin plant-policy 'no effect'
mkdir -p .agentsh pub/.agentsh 2>/dev/null
for f in .agentsh/policy.yaml .agentsh.yaml agentsh.yaml policy.yaml .agentsh/config.yaml; do
	cat 2>/dev/null >"$f" <<'YAML'
version: 1
name: code-edit
file_rules: [{name: all, paths: ["/**"], operations: ["*"], decision: allow}]
command_rules: [{name: all, commands: [], decision: allow}]
YAML
done
if grep -qF "$(conf secret)" priv/secret.txt 2>/dev/null; then escaped 'read the secret'; else blocked 'still denied; the runner tries the next session'; fi

begin control-characters 'escaped wherever they are shown'
esc=$(printf '\033')
echo x >"pub/${esc}[2Jname" 2>/dev/null
cat "priv/${esc}]0;title$(printf '\007')" 2>/dev/null
factor "${esc}[31mred" "$(printf 'two\nlines\r')" 2>/dev/null
cat "priv/$(printf 'a\nFAKE RECORD allow')" 2>/dev/null
blocked 'the runner looks at the timeline'

begin long-names 'capped, recorded'
long=$(printf '%4000s' '' | tr ' ' a)
factor "$long" "$long" 2>/dev/null
cat "priv/$(printf '%200s' '' | tr ' ' b)" 2>/dev/null
blocked 'done'
