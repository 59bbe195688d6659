#!/bin/bash
# pjdfstest (https://github.com/pjd/pjdfstest) on the mount and natively: what differs
#
#   PJDFSTEST_DIR=/path/to/built/pjdfstest [MODE=initial|sandbox] tests/torture/pjdfstest.sh [TEST...]
#
# As root, from the build directory; TEST as chmod/00.t, default all (about four minutes). initial:
# the mount in the initial user namespace; sandbox: in a user namespace as of a session, with that
# namespace's capabilities. The native run is the control: it has no CAP_MKNOD, since the mount makes
# no device nodes, and both leave device nodes out of "for all types of file". A difference is a fault
# unless it is one of expected():
#   - set-user-ID and set-group-ID bits on files are refused (EPERM)
#   - a path is at most 4,095 bytes from the root of the sandbox, not from the current directory
# shellcheck disable=SC2154
set -u
: "${PJDFSTEST_DIR:?name a built pjdfstest}"
src=${srcdir:-$(dirname "$0")/../..}
# shellcheck source=tests/lib/tap.sh
. "$src/tests/lib/tap.sh"
build=${AGENTSH_TEST_BUILD:-$PWD}
export AGENTSH_TEST_BUILD="$build"
mode=${MODE:-initial}
tests=${*:-$(cd "$PJDFSTEST_DIR/tests" && find . -name '*.t' | sed 's,^\./,,' | sort)}

expected() { # FILE: what may differ there
	case $1 in
	*/02.t | */03.t) echo 'path length' ;;
	chmod/00.t | chmod/07.t | chmod/11.t | chmod/12.t | chown/00.t) echo 'set-id bits' ;;
	*) return 1 ;;
	esac
}

# one line a check: FILE NUMBER ok|not
# shellcheck disable=SC2016
runner='cd "$0" && for t in '"$(echo $tests)"'; do timeout 120 sh "$1/tests/$t" 2>/dev/null |
	sed -nE "s,^(ok|not) ?(ok)? ([0-9]+).*,$t \3 \1,p"; done'

cat >"$tap_tmp/policy.yaml" <<'END'
version: 1
name: everything
file_rules:
  - {name: all, paths: ["${WORKSPACE}", "${WORKSPACE}/**"], operations: ["*"], decision: allow}
END
chmod 755 "$tap_tmp"
cp -r "$PJDFSTEST_DIR" "$tap_tmp/pjd"
grep -rl 'block char' "$tap_tmp/pjd/tests" | xargs sed -i 's/ block char//'
# what it asks of a file system, it asks of the one below
echo "fs=$(df -PT "$tap_tmp" | tail -1 | awk '{print toupper($2)}')" >>"$tap_tmp/pjd/tests/conf"
mkdir "$tap_tmp/native" "$tap_tmp/back" "$tap_tmp/ws" "$tap_tmp/state"
case $mode in
initial) options=--initial control='setpriv --bounding-set -mknod' ;;
*) options=--caps control='unshare --user --map-users=0,0,65536 --map-groups=0,0,65536' ;;
esac
$control sh -c "$runner" "$tap_tmp/native" "$tap_tmp/pjd" >"$tap_tmp/native.log" &
"$build/tests/e2e/fs_mount" $options --policy "$tap_tmp/policy.yaml" --state "$tap_tmp/state" \
	--map "$tap_tmp/ws=$tap_tmp/back" -- sh -c "$runner" "$tap_tmp/ws" "$tap_tmp/pjd" >"$tap_tmp/mount.log"
wait
[ -z "${KEEP_LOG:-}" ] || cp "$tap_tmp/native.log" "$tap_tmp/mount.log" "$KEEP_LOG"
echo "# native: $(grep -c ' ok$' "$tap_tmp/native.log") ok, $(grep -c ' not$' "$tap_tmp/native.log") not; mount:" \
	"$(grep -c ' ok$' "$tap_tmp/mount.log") ok, $(grep -c ' not$' "$tap_tmp/mount.log") not"
for t in $tests; do
	grep "^$t " "$tap_tmp/native.log" >"$tap_tmp/n"
	grep "^$t " "$tap_tmp/mount.log" >"$tap_tmp/m"
	if cmp -s "$tap_tmp/n" "$tap_tmp/m"; then ok "$t"
	elif why=$(expected "$t"); then
		ok "$t: differs in $(diff "$tap_tmp/n" "$tap_tmp/m" | grep -c '^>') checks, expected ($why)"
	else nok "$t" "$(diff "$tap_tmp/n" "$tap_tmp/m")"; fi
done
done_testing
