#!/bin/sh
# Every call on every kind of object says the same natively and on the mount (fs_posix.c), as root and
# as a user.
# shellcheck disable=SC2154
set -u
src=${srcdir:-.}
src=$(cd "$src" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$src/tests/lib/tap.sh"
build=${AGENTSH_TEST_BUILD:-$PWD}
export AGENTSH_TEST_BUILD="$build"

if [ ! -w /dev/fuse ]; then
	skip fs_posix 'no /dev/fuse'
	done_testing
fi
chmod 755 "$tap_tmp"
cat >"$tap_tmp/policy.yaml" <<'END'
version: 1
name: everything
file_rules:
  - {name: all, paths: ["${WORKSPACE}", "${WORKSPACE}/**"], operations: ["*"], decision: allow}
END

as_nobody() { # COMMAND...: with the build at a name that a user reaches, and a /dev/fuse
	mkdir -p "$tap_tmp/dev" "$tap_tmp/build.d"
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount -t tmpfs -o mode=755 none "$0/dev" && mknod -m 666 "$0/dev/fuse" c 10 229 &&
		mount --bind "$0/dev/fuse" /dev/fuse && mount --bind "$1" "$0/build.d" && shift &&
		exec setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/tmp \
			AGENTSH_TEST_BUILD="$0/build.d" "$@"' "$tap_tmp" "$build" "$@"
}

compare() { # NAME RUNNER BUILD MOUNT_OPTION
	c_dir=$tap_tmp/$4
	mkdir -p "$c_dir/back" "$c_dir/ws" "$c_dir/state" "$c_dir/native"
	[ "$2" = as_nobody ] && chown -R 65534:65534 "$c_dir"
	$2 timeout 200 "$3/tests/torture/fs_posix" "$c_dir/native" >"$c_dir/native.out" 2>&1
	$2 timeout 200 "$3/tests/e2e/fs_mount" "$4" --policy "$tap_tmp/policy.yaml" --state "$c_dir/state" \
		--map "$c_dir/ws=$c_dir/back" -- "$3/tests/torture/fs_posix" "$c_dir/ws" >"$c_dir/mount.out" 2>"$c_dir/mount.err"
	c_n=$(grep -c ': ' "$c_dir/native.out")
	if [ "$c_n" -gt 1300 ] && cmp -s "$c_dir/native.out" "$c_dir/mount.out"; then ok "$1: $c_n answers are equal"
	else nok "$1: $c_n native answers" "$(diff "$c_dir/native.out" "$c_dir/mount.out"; tail -3 "$c_dir/mount.err")"; fi
}

if [ "$(id -u)" != 0 ]; then
	compare 'a user' env "$build" --user
	done_testing
fi
compare 'root' env "$build" --initial
compare 'a user' as_nobody "$tap_tmp/build.d" --user
done_testing
