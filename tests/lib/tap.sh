# tap.sh - sourced by the shell tests: results as TAP lines, and an exit status
#
#   ok NAME            nok NAME [WHY]          skip NAME WHY
#   is NAME GOT WANT   strings equal
#   like NAME TEXT PATTERN    a grep -E pattern is somewhere in TEXT
#   unlike NAME TEXT PATTERN
#   try NAME COMMAND...       COMMAND succeeds (its output is shown when it does not)
#   done_testing       prints the plan; exit 1 when anything was not ok
#
# A failure prints what was got, each line with "# " in front. tap_tmp is a fresh directory that
# is removed at exit (name a clean-up function of your own in tap_cleanup).
# shellcheck shell=sh
tap_n=0
tap_failed=0
tap_cleanup=:
tap_tmp=$(mktemp -d "${TMPDIR:-/tmp}/agentsh-test.XXXXXX") || exit 99
tap_end() {
	tap_status=$?
	trap '' INT TERM HUP
	$tap_cleanup
	chmod -R u+rwX "$tap_tmp" 2>/dev/null
	rm -rf "$tap_tmp"
	exit $tap_status
}
trap tap_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

ok() {
	tap_n=$((tap_n + 1))
	printf 'ok %d - %s\n' "$tap_n" "$1"
}
nok() {
	tap_n=$((tap_n + 1))
	tap_failed=$((tap_failed + 1))
	printf 'not ok %d - %s\n' "$tap_n" "$1"
	[ $# -lt 2 ] || printf '%s\n' "$2" | head -c 4000 | head -n 40 | sed 's/^/# /'
}
skip() {
	tap_n=$((tap_n + 1))
	printf 'ok %d - %s # SKIP %s\n' "$tap_n" "$1" "$2"
}
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else nok "$1" "got:  $2
want: $3"; fi
}
like() {
	if printf '%s\n' "$2" | grep -qE -e "$3"; then ok "$1"; else nok "$1" "no match for: $3
in: $2"; fi
}
unlike() {
	if printf '%s\n' "$2" | grep -qE -e "$3"; then nok "$1" "matched: $3
in: $2"; else ok "$1"; fi
}
try() {
	tap_name=$1
	shift
	if tap_out=$("$@" 2>&1); then ok "$tap_name"; else nok "$tap_name" "status $?: $*
$tap_out"; fi
}
done_testing() {
	printf '1..%d\n' "$tap_n"
	[ "$tap_failed" = 0 ] || printf '# %d of %d failed\n' "$tap_failed" "$tap_n"
	[ "$tap_failed" = 0 ] && [ "$tap_n" -gt 0 ]
	exit $?
}
