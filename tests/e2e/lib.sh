# lib.sh - sourced by the end-to-end tests: a workspace, a state directory, and the command
#
#   wrap [-o OPTION]... COMMAND...   run under agentsh wrap --isolate in the workspace
#   ctl ARG...                       another agentsh command on the same state directory
#   same NAME SCRIPT                 sh -c SCRIPT outside and inside: output and status are equal
#   fresh                            the workspace as it was at the start
#   no_leftover NAME                 no process and no mount of ours is left
# Variables: W (workspace), T (everything, removed at the end), LIMIT (seconds for one command),
# PACK (options that choose the policy).
# Environment: AGENTSH is the program. Started by root with E2E_USER=nobody, commands run as nobody.
# shellcheck shell=sh disable=SC2034
if [ -z "${E2E_SESSION:-}" ] && command -v setsid >/dev/null; then
	E2E_SESSION=1 exec setsid -w "$0" "$@"
fi
unset E2E_SESSION
e2e_src=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$e2e_src/../lib/tap.sh"
umask 022
e2e_build=${AGENTSH_TEST_BUILD:-$(pwd)}
AGENTSH=${AGENTSH:-$e2e_build/agentsh/agentsh}
case $AGENTSH in /*) ;; *) AGENTSH=$(pwd)/$AGENTSH ;; esac
[ -x "$AGENTSH" ] || { echo "Bail out! no $AGENTSH: set AGENTSH"; exit 99; }
PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
LC_ALL=C.UTF-8
export PATH LC_ALL
python=/usr/bin/python3
T=$tap_tmp
W=$T/work
LIMIT=${E2E_LIMIT:-60}
PACK='--pack code-edit'
chmod 755 "$T"
mkdir "$W" "$T/home" "$T/state"
chmod 700 "$T/state"

AS=
if [ "${E2E_USER:-}" = nobody ] && [ "$(id -u)" = 0 ]; then
	AS='setpriv --reuid=65534 --regid=65534 --clear-groups --'
fi
# shellcheck disable=SC2086 # words
as() { $AS "$@"; }

own() { # give files to the identity under test
	[ -z "$AS" ] || chown -R 65534:65534 "$@"
}
own "$T"

# the build tree may be closed to nobody (a checkout in /root): then a copy is used
if ! as test -x "$AGENTSH"; then
	mkdir "$T/tree"
	(cd "$e2e_build" && cp -r --parents agentsh/agentsh */agentsh-* "$T/tree/")
	mkdir -p "$T/tree/policies" && cp "$e2e_src"/../../policies/*.yaml "$T/tree/policies/"
	chmod -R a+rX "$T/tree"
	AGENTSH=$T/tree/agentsh/agentsh
fi

e2e_env() { # the environment that both sides of a comparison start from
	as env -i PATH="$PATH" HOME="$T/home" TERM=dumb LANG=C.UTF-8 USER=tester SHELL=/bin/sh \
		GIT_AUTHOR_NAME=T GIT_AUTHOR_EMAIL=t@example.org GIT_COMMITTER_NAME=T \
		GIT_COMMITTER_EMAIL=t@example.org \
		AGENTSH_STATE_DIR="$T/state" AGENTSH_CONFIG_DIR="$T/config" \
		${AGENTSH_POLICY_DIR:+AGENTSH_POLICY_DIR="$AGENTSH_POLICY_DIR"} \
		${ASAN_OPTIONS:+ASAN_OPTIONS="$ASAN_OPTIONS"} "$@"
}

wrap() {
	e2e_options=
	while [ "${1:-}" = -o ]; do
		e2e_options="$e2e_options $2"
		shift 2
	done
	# shellcheck disable=SC2086 # options are words
	(cd "$W" && e2e_env timeout -k 5 "$LIMIT" "$AGENTSH" wrap --isolate --quiet $PACK $e2e_options -- "$@")
}

ctl() { (cd "$T" && e2e_env timeout -k 5 "$LIMIT" "$AGENTSH" "$@"); }

fresh() {
	rm -rf "$W"
	mkdir "$W"
	[ ! -d "$T/template" ] || cp -a "$T/template/." "$W/"
	own "$W"
}

same() {
	# the pack lets no dates through: they are set where the script runs
	set -- "$1" "export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
$2"
	fresh
	(cd "$W" && e2e_env timeout -k 5 "$LIMIT" sh -c "$2") >"$T/out1" 2>"$T/err1" </dev/null
	e2e_st1=$?
	fresh
	wrap sh -c "$2" >"$T/out2" 2>"$T/err2" </dev/null
	e2e_st2=$?
	if [ $e2e_st1 = $e2e_st2 ] && cmp -s "$T/out1" "$T/out2"; then ok "$1"; else
		nok "$1" "status outside $e2e_st1, inside $e2e_st2
$(diff -u "$T/out1" "$T/out2" | head -20)
stderr inside: $(tail -n 8 "$T/err2")
stderr outside: $(tail -n 3 "$T/err1")"
	fi
}

# wait until a command succeeds, at most about 10 s
until_true() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40; do
		"$@" && return 0
		sleep 0.25
	done
	return 1
}

# Processes of agentsh that work for this test, without the audit writer (it stays for a while, for
# the next session). Root recognises them by the environment; what an ordinary user cannot read,
# because it is not dumpable, by the session, which is this script's own.
e2e_processes() {
	for e2e_f in $(grep -lsaF "AGENTSH_STATE_DIR=$T/state" /proc/[0-9]*/environ); do
		e2e_comm=$(tr '\0' ' ' 2>/dev/null <"${e2e_f%environ}cmdline")
		case $e2e_comm in *agentsh-auditd* | '') ;; *) echo "${e2e_f%/environ} $e2e_comm" ;; esac
	done
	ps -s $$ -o pid=,args= | grep -E '[a]gentsh(-(fs|net|exec)gate| )' | grep -v -e '\.sh' -e auditd
}

no_leftover() {
	e2e_left=$(e2e_processes)
	[ -z "$e2e_left" ] || { sleep 1; e2e_left=$(e2e_processes); }
	e2e_mounts=$(grep -F "$T" /proc/self/mounts)
	if [ -z "$e2e_left$e2e_mounts" ]; then ok "$1"; else nok "$1" "$e2e_left
$e2e_mounts"; fi
}

# start something that ends with the test
background() { "$@" >"$T/background" 2>&1 & }

e2e_cleanup() {
	# this script is the leader of a session of its own
	for e2e_p in $(ps -s $$ -o pid=); do
		[ "$e2e_p" = $$ ] || kill "$e2e_p" 2>/dev/null
	done
	# the audit writer of this state directory is idle now and would wait for the next session
	for e2e_f in $(grep -lsaF "AGENTSH_STATE_DIR=$T/state" /proc/[0-9]*/environ); do
		e2e_f=${e2e_f#/proc/}
		kill -9 "${e2e_f%/environ}" 2>/dev/null
	done
	[ -z "${KEEP:-}" ] || { tap_tmp=/nonexistent; echo "# kept: $T"; }
}
tap_cleanup=e2e_cleanup
