#!/bin/sh
# The host and the sandbox change one tree: neither sees anything stale, whatever is cached.
#   WATCH_SECONDS=600 tests/e2e/coherence.sh    random changes and git for so long
# shellcheck disable=SC2154
set -u
src=${srcdir:-.}
src=$(cd "$src" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$src/tests/lib/tap.sh"
build=${AGENTSH_TEST_BUILD:-$PWD}
export AGENTSH_TEST_BUILD="$build"
long=${WATCH_SECONDS:-0}

both_sides() { # NAME WHAT OPTIONS...
	b_name=$1
	b_what=$2
	b_dir=$tap_tmp/$(echo "$1-$2" | tr ' ' '-')
	shift 2
	mkdir -p "$b_dir/back" "$b_dir/ws" "$b_dir/state"
	timeout $((180 + 2 * long)) "$build/tests/e2e/fs_mount" "$@" --policy "$src/tests/e2e/coherence.yaml" \
		--state "$b_dir/state" --map "$b_dir/ws=$b_dir/back" -- \
		/usr/bin/python3 "$src/tests/e2e/coherence.py" "$b_dir/back" "$b_dir/ws" "$b_what" \
		>"$tap_tmp/out" 2>&1
	b_status=$?
	if [ $b_status = 0 ] && grep -q '^ok' "$tap_tmp/out" && ! grep -q '^not ok' "$tap_tmp/out"; then
		ok "$b_name: $b_what, $(grep -c '^ok' "$tap_tmp/out") checks"
	else
		nok "$b_name: $b_what" "status $b_status
$(grep -v '^ok' "$tap_tmp/out" | head -40)"
	fi
}

# As fsgate.sh: a user with a /dev/fuse of its own, source and build at names that a user can reach.
as_user() {
	mkdir -p "$tap_tmp/user.d" "$tap_tmp/dev" "$tap_tmp/src.d" "$tap_tmp/build.d"
	chmod 755 "$tap_tmp" && chown 65534:65534 "$tap_tmp/user.d"
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount -t tmpfs -o mode=755 none "$0/dev" && mknod -m 666 "$0/dev/fuse" c 10 229 &&
		mount --bind "$0/dev/fuse" /dev/fuse &&
		mount --bind "$1" "$0/src.d" && mount --bind "$2" "$0/build.d" && cd "$0/user.d" &&
		exec setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/tmp TMPDIR="$0/user.d" \
			srcdir="$0/src.d" AGENTSH_TEST_BUILD="$0/build.d" sh "$0/src.d/tests/e2e/coherence.sh"' \
		"$tap_tmp" "$src" "$build" >"$tap_tmp/user.out" 2>&1
	grep '^#' "$tap_tmp/user.out"
	grep '^\(not \)\?ok' "$tap_tmp/user.out" >"$tap_tmp/lines"
	[ -s "$tap_tmp/lines" ] || nok "as a user" "$(cat "$tap_tmp/user.out")"
	while read -r u_line; do
		case $u_line in
		ok*) ok "${u_line#*- }" ;;
		*) nok "${u_line#*- }" ;;
		esac
	done <"$tap_tmp/lines"
}

if [ ! -w /dev/fuse ]; then
	skip coherence 'no /dev/fuse'
	done_testing
fi
me=root
mode=
if [ "$(id -u)" != 0 ]; then
	me=user
	mode=--user
fi
# shellcheck disable=SC2086 # one option or none
{
	both_sides $me changes $mode
	both_sides $me stress $mode
	both_sides $me git $mode
}
AGENTSH_FS_WATCH=inotify
export AGENTSH_FS_WATCH
# shellcheck disable=SC2086
both_sides "$me, with inotify" changes $mode
unset AGENTSH_FS_WATCH
[ $me = user ] || ! command -v setpriv >/dev/null || as_user
done_testing
