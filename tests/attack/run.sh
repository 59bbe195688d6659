#!/bin/sh
# run.sh [root|user] - hostile programs inside `agentsh wrap --isolate`, and what became of them
#
# Started by root it runs everything twice, as root and as nobody; by anybody else, once. Prints a
# ledger (case, expected, what happened, ok or NOT OK); the last line is "N passed, N failed".
# Environment: AGENTSH (the program), AGENTSH_TEST_BUILD (where tests/attack/ was built),
# ATTACK_TRIES (tries of each race), ATTACK_ONLY (cases to run, all programs are started),
# ATTACK_KEEP (keep the temporary directory).
set -u
umask 022
src=$(cd "$(dirname "$0")" && pwd)
build=${AGENTSH_TEST_BUILD:-$(pwd)}
AGENTSH=${AGENTSH:-$build/agentsh/agentsh}
PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
export PATH LC_ALL=C.UTF-8
python=/usr/bin/python3
tries=${ATTACK_TRIES:-4000}
passed=0 failed=0

die() { printf 'run.sh: %s\n' "$1" >&2; exit 99; }
[ -x "$AGENTSH" ] || die "no $AGENTSH: set AGENTSH"
[ -x "$build/tests/attack/files" ] || die "$build/tests/attack/files is not built: make check"

verdict() { # CASE EXPECTED HAPPENED 0|1
	if [ "$4" = 0 ]; then
		passed=$((passed + 1)) word=ok
	else
		failed=$((failed + 1)) word='NOT OK'
	fi
	printf '%-5s %-30s %-26s %-7s %s\n' "$who" "$1" "$2" "$word" "$3"
}
check() { # CASE EXPECTED COMMAND...: the command succeeds
	check_name=$1 check_expect=$2
	shift 2
	if check_out=$("$@" 2>&1); then verdict "$check_name" "$check_expect" yes 0; else
		verdict "$check_name" "$check_expect" "$(printf '%s' "no: $check_out" | tr '\n' ' ' | cut -c1-160)" 1
	fi
}
refute() { # CASE EXPECTED COMMAND...: the command fails
	check_name=$1 check_expect=$2
	shift 2
	if check_out=$("$@" 2>&1); then
		verdict "$check_name" "$check_expect" "$(printf '%s' "$check_out" | tr '\n' ' ' | cut -c1-160)" 1
	else verdict "$check_name" "$check_expect" yes 0; fi
}

# ---- the world outside ----

T=''
world='' canary=''
clean_up() {
	[ -z "$world" ] || kill "$world" 2>/dev/null
	[ -z "$canary" ] || kill -9 "$canary" 2>/dev/null
	[ -n "${ATTACK_KEEP:-}" ] || [ -z "$T" ] || rm -rf "$T"
	world='' canary='' T=''
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

as() { # the identity under test
	if [ "$who" = user ] && [ "$(id -u)" = 0 ]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
	else
		"$@"
	fi
}

as_exec() { # the same in place of a background shell, so that $! is the program itself
	if [ "$who" = user ] && [ "$(id -u)" = 0 ]; then
		exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
	fi
	exec "$@"
}

wconf() { sed -n "s/^$1=//p" "$T/world.conf"; }

make_world() {
	T=$(mktemp -d /tmp/agentsh-attack.XXXXXX) || exit 99
	chmod 755 "$T"
	secret=PLANTED-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
	token=TOKEN-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
	mkdir -p "$T/outside" "$T/home/.ssh" "$T/ws/bin" "$T/ws/pub" "$T/ws/priv" "$T/ws/vault" "$T/ws/protected"
	for f in outside/secret home/.ssh/id_rsa ws/priv/secret.txt ws/vault/secret.txt; do echo "$secret" >"$T/$f"; done
	echo "# of the host" >"$T/home/.bashrc"
	echo keep >"$T/ws/protected/keep.txt"
	echo open >"$T/ws/pub/open.txt"
	for p in files system races namespaces syscalls exec execrace signals sockets terminal mark; do
		cp "$build/tests/attack/$p" "$T/ws/bin/$p" || exit 99
	done
	cp "$AGENTSH" "$T/ws/bin/agentsh"
	cp "$src/net.py" "$src/control.sh" "$T/ws/bin/"
	# nobody need not be able to read the source
	cp "$src/../lib/world.py" "$T/world.py"
	cp "$T/ws/bin/mark" "$T/ws/bin/victim"
	# one more byte: the same program, another content
	cp "$T/ws/bin/mark" "$T/ws/bin/hello" && echo >>"$T/ws/bin/hello"
	cp "$T/ws/bin/hello" "$T/ws/bin/setuid-id" && echo >>"$T/ws/bin/setuid-id"
	git -c init.defaultBranch=main init -q "$T/ws" && git -C "$T/ws" -c user.name=t -c user.email=t@t \
		commit -q --allow-empty -m start || exit 99
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/key.pem" \
		-out "$T/cert.pem" -subj /CN=allowed.test -days 2 2>/dev/null || exit 99
	if [ "$who" = user ] && [ "$(id -u)" = 0 ]; then chown -R 65534:65534 "$T"; fi
	chmod 4755 "$T/ws/bin/setuid-id"
	[ "$(id -u)" != 0 ] || { chown 0:0 "$T/ws/bin/setuid-id" && chmod 4755 "$T/ws/bin/setuid-id"; }
	as_exec "$python" "$T/world.py" "$T" "$T/ws" >"$T/world.out" 2>&1 &
	world=$!
	as_exec sleep 1000 &
	canary=$!
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ -f "$T/world.conf" ] && break
		sleep 0.2
	done
	[ -f "$T/world.conf" ] || die "the world did not start: $(cat "$T/world.out")"
	{
		cat "$T/world.conf"
		printf '%s\n' "secret=$secret" "token=$token" "home=$T/home" "outside_file=$T/outside/secret" \
			"denied_program=/usr/bin/factor" "canary_pid=$canary" "supervisor_pid=$$" \
			"daemon_seconds=98765.$$" "pids_max=100" "state=$T/state" "pushed_file=$T/pushed"
	} >"$T/ws/outside.conf"
	echo "$tries" >"$T/ws/tries"
	sed "s/@OPEN_PORT@/$(wconf open_port)/; s/@OPEN_PORT@/$(wconf open_port)/; s/@TLS_PORT@/$(wconf tls_port)/" \
		"$src/policy.yaml.in" >"$T/policy.yaml"
}

# nobody may not be able to read the build tree (a checkout in /root): then a copy is used
find_program() {
	program=$AGENTSH
	as test -x "$AGENTSH" && as test -r "$build/fsgate/agentsh-fsgate" && return
	mkdir -p "$T/tree" && cp -r --parents "$AGENTSH" "$T/tree/" 2>/dev/null
	(cd "$build" && cp --parents agentsh/agentsh fsgate/agentsh-* netgate/agentsh-* execgate/agentsh-* \
		common/agentsh-* "$T/tree/" 2>/dev/null)
	mkdir -p "$T/tree/policies" && cp "$src"/../../policies/*.yaml "$T/tree/policies/"
	chmod -R a+rX "$T/tree"
	program=$T/tree/agentsh/agentsh
}

# ---- inside ----

wrap() { # SECONDS COMMAND...
	wrap_limit=$1
	shift
	(cd "$T/ws" && as env -i PATH="$PATH" HOME="$T/home" TERM=dumb LANG=C.UTF-8 USER="$who" \
		AGENTSH_STATE_DIR="$T/state" AGENTSH_CONFIG_DIR="$T/config" ${AGENTSH_POLICY_DIR:+AGENTSH_POLICY_DIR="$AGENTSH_POLICY_DIR"} \
		ASAN_OPTIONS="${ASAN_OPTIONS:-}" \
		ATTACK_TOKEN="$token" AWS_SECRET_ACCESS_KEY="$token" GITHUB_TOKEN="$token" DATABASE_URL="x://$token" \
		SSH_AUTH_SOCK="$T/outside/$token" LD_PRELOAD_X="$token" \
		timeout -k 5 "$wrap_limit" "$program" wrap --isolate --quiet --policy "${policy:-$T/policy.yaml}" \
		--workspace "$T/ws" --dns "127.0.0.1:$(wconf dns_port)" -- "$@")
}

# read the results of one program; a program that says nothing, or less than it should, is a failure
ledger() { # PROGRAM < output
	n=0
	while IFS='	' read -r word name expect happened; do
		case $word in
		BLOCKED) n=$((n + 1)) && verdict "$name" "$expect" "$happened" 0 ;;
		ESCAPED | BROKEN) n=$((n + 1)) && verdict "$name" "$expect" "$word: $happened" 1 ;;
		esac
	done
	[ "$n" -gt 0 ] || verdict "$1" 'to be run' "no result: $(tail -n 3 "$T/stderr" | tr '\n' ' ' | cut -c1-200)" 1
}

attack() { # SECONDS PROGRAM [CASE...]
	attack_limit=$1 attack_program=$2
	wrap "$@" </dev/null >"$T/stdout" 2>"$T/stderr"
	attack_status=$?
	ledger "$attack_program" <"$T/stdout"
	case $attack_status in
	124 | 125 | 137) verdict "$attack_program-status" 'an end of its own' "status $attack_status after $attack_limit s: $(tail -n 1 "$T/stderr" | cut -c1-160)" 1 ;;
	esac
}

no_process_of_ours() { # a marker in an argument list
	sleep "${2:-0}"
	! ps -eo args= | grep -F -- "$1" | grep -vF grep
}

signals() {
	attack 60 bin/signals kill-host-process kill-supervisor kill-pid-1 signal-by-F_SETOWN
	attack 30 bin/signals stop-all
	check canary-alive 'alive' kill -0 "$canary"
	check canary-runs 'not stopped' sh -c "! grep -q '^State:.*T' /proc/$canary/status"
	attack 30 bin/signals outlive-session
	check daemon-gone 'nothing left 1 s later' no_process_of_ours "sleep 98765.$$" 1
	wrap 30 bin/signals kill-all </dev/null >/dev/null 2>&1
	check canary-after-kill-all 'alive' kill -0 "$canary"
	check world-after-kill-all 'alive' kill -0 "$world"
}

terminal() {
	printf '#!/bin/sh\ncd %s/ws || exit 1\n%s\nsleep 0.3\n' "$T" \
		"env -i PATH=$PATH HOME=$T/home TERM=dumb AGENTSH_STATE_DIR=$T/state timeout -k 5 --foreground 40 $program wrap --isolate --quiet --policy $T/policy.yaml --workspace $T/ws -- bin/terminal" >"$T/in-terminal"
	chmod 755 "$T/in-terminal"
	# an interactive shell would read what was pushed; here the pushed line waits for this sh
	as script -qec "sh $T/in-terminal; timeout --foreground -k 1 1 sh" "$T/typescript" </dev/null >"$T/stdout" 2>"$T/stderr"
	tr -d '\r' <"$T/stdout" >"$T/stdout2"
	ledger bin/terminal <"$T/stdout2"
	refute pushed-command 'not run' test -e "$T/pushed"
}

network_log() {
	refute world-closed 'nobody came' grep -F '"what": "closed"' "$T/world.log"
	refute world-udp 'nobody came' grep -F '"what": "udp"' "$T/world.log"
	refute world-denied-host 'no byte of such a request' grep -E '"what": "(open|tls)".*denied\.test' "$T/world.log"
	refute world-denied-sni 'no such name' grep -F '"sni": "denied.test"' "$T/world.log"
	refute world-smuggle 'nothing ambiguous passes' \
		grep -E '"what": "open".*(Transfer-Encoding.*Content-Length|Content-Length.*(Transfer-Encoding|Content-Length))' "$T/world.log"
	refute world-dns-tunnel 'no question left' grep -E '"what": "dns".*tunnel' "$T/world.log"
	refute world-dns-wildcard 'no question left' grep -F '4e4f542d534543524554' "$T/world.log"
	refute world-dns-denied 'no question left' grep -E '"what": "dns".*denied' "$T/world.log"
	check world-control 'the allowed request came' grep -E '"what": "open".*GET /fine' "$T/world.log"
}

host_files() {
	check host-bashrc 'unchanged' grep -qx '# of the host' "$T/home/.bashrc"
	check host-secret 'unchanged' grep -qx "$secret" "$T/ws/priv/secret.txt"
	check host-vault 'unchanged' grep -qx "$secret" "$T/ws/vault/secret.txt"
	check host-protected 'unchanged' grep -qx keep "$T/ws/protected/keep.txt"
	refute host-protected-new 'nothing new' sh -c "ls -A '$T/ws/protected' | grep -v '^keep.txt$'"
	refute host-hook 'not written' test -e "$T/ws/.git/hooks/pre-commit"
	refute host-devices 'none' sh -c "find '$T/ws' -type b -o -type c | grep ."
	refute host-setuid 'none new' sh -c "find '$T/ws' -perm /6000 -type f ! -name setuid-id | grep ."
	refute host-planted 'not written' test -e "$T/planted-by-agent"
	refute host-authorized-keys 'not written' test -e "$T/home/.ssh/authorized_keys"
	refute log-forged 'not touched' test -e "$T/state/audit/forged"
}

ctl() { as env -i PATH="$PATH" HOME="$T/home" AGENTSH_STATE_DIR="$T/state" timeout -k 5 60 "$program" "$@"; }

log_checks() {
	ctl audit verify >"$T/verify" 2>&1
	verify_status=$?
	check audit-verify 'status 0' test "$verify_status" = 0
	ctl audit cat >"$T/timeline" 2>"$T/timeline.err"
	ctl audit cat --json >"$T/timeline.json" 2>>"$T/timeline.err"
	check timeline 'has records' test -s "$T/timeline"
	refute timeline-control-bytes 'none' grep -nP '[\x00-\x08\x0b-\x1f\x7f]' "$T/timeline"
	refute timeline-forged-line 'none' grep -n '^FAKE RECORD' "$T/timeline"
	check timeline-json 'every line is an object' "$python" -c 'import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    assert isinstance(json.loads(line), dict), line' "$T/timeline.json"
	refute timeline-secrets 'no environment secret' grep -F "$token" "$T/timeline.json"
	check denials-recorded 'factor is there' grep -qE '"decision": ?"deny".*factor|factor.*"decision": ?"deny"' "$T/timeline.json"
}

# the policy of the next session is not what this agent planted
next_session() {
	policy_saved=${policy:-}
	policy=$T/policy.yaml
	wrap 30 cat priv/secret.txt </dev/null >"$T/stdout" 2>/dev/null
	refute next-session 'still denied' grep -F "$secret" "$T/stdout"
	policy=$policy_saved
}

directory_as_stdin() {
	wrap 30 bin/system stdin-is-a-directory </ >"$T/stdout" 2>"$T/stderr"
	if [ -s "$T/stdout" ]; then ledger stdin-is-a-directory <"$T/stdout"; else
		verdict stdin-is-a-directory 'refused' "the session does not start: $(head -n 1 "$T/stderr" | cut -c1-100)" 0
	fi
}

# A service of the host that listens in a tree of installed software, which is otherwise a plain bind.
# The tree is made in a mount namespace of this script's own.
service_in_opt() {
	[ "$(id -u)" = 0 ] || return 0
	cat >"$T/opt.sh" <<'SH'
mount -t tmpfs opt /opt && mkdir /opt/app && chmod 755 /opt /opt/app || exit 99
"$python" -c 'import os, socket, sys
os.umask(0)
s = socket.socket(socket.AF_UNIX)
s.bind("/opt/app/service")
s.listen()
open(sys.argv[1] + "/opt-listens", "w")
s.accept()
open(sys.argv[1] + "/opt-reached", "w")' "$T" &
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -e "$T/opt-listens" ] || sleep 0.2; done
cd "$T/ws" && $prefix env -i PATH="$PATH" HOME="$T/home" AGENTSH_STATE_DIR="$T/state" \
	${AGENTSH_POLICY_DIR:+AGENTSH_POLICY_DIR="$AGENTSH_POLICY_DIR"} timeout -k 5 30 "$program" \
	wrap --isolate --quiet --policy "$T/policy.yaml" --workspace "$T/ws" -- \
	"$python" -c 'import socket; socket.socket(socket.AF_UNIX).connect("/opt/app/service")'
st=$?
kill $!
exit $st
SH
	prefix=
	[ "$who" = root ] || prefix="setpriv --reuid=65534 --regid=65534 --clear-groups --"
	env T="$T" python="$python" program="$program" prefix="$prefix" unshare -m sh "$T/opt.sh" </dev/null >"$T/stdout" 2>"$T/stderr"
	st=$?
	refute service-in-opt-reached 'nobody came' test -e "$T/opt-reached"
	check service-in-opt 'refused, session ran' sh -c "test $st = 1 && grep -qE 'ConnectionRefused|PermissionError' '$T/stderr'"
}

pids_limit() {
	{ cat "$T/policy.yaml"; printf 'resource_limits: {pids_max: 100}\n'; } >"$T/limits.yaml"
	policy=$T/limits.yaml
	wrap 60 bin/signals fork-limit </dev/null >"$T/stdout" 2>"$T/stderr"
	st=$?
	policy=
	# without a cgroup that can be written the session must not start at all
	if [ $st = 125 ]; then verdict fork-limit 'EAGAIN or refused to start' "$(tail -n 1 "$T/stderr" | cut -c1-140)" 0; else
		ledger fork-limit <"$T/stdout"
	fi
}

nothing_left() {
	refute left-processes 'none' sh -c "ps -eo args= | grep -F '$T/state' | grep -v grep | grep -v auditd"
	refute left-mounts 'none' grep -F "$T" /proc/self/mounts
	check audit-again 'status 0' ctl audit verify
}

everything() {
	who=$1
	make_world
	find_program
	attack 60 bin/files
	attack 60 bin/system
	directory_as_stdin
	service_in_opt
	attack 60 bin/namespaces
	attack 60 bin/syscalls
	attack 90 bin/sockets
	attack 120 "$python" bin/net.py
	attack 90 bin/exec
	attack 200 bin/races
	attack 200 bin/execrace
	attack 60 sh bin/control.sh
	next_session
	terminal
	pids_limit
	signals
	network_log
	host_files
	log_checks
	nothing_left
	clean_up
}

case ${1:-} in
root | user) everything "$1" ;;
*)
	if [ "$(id -u)" = 0 ]; then
		everything root
		everything user
	else
		everything user
	fi
	;;
esac
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
