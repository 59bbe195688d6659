#!/bin/sh
# Random operations on the mount and natively are equal (fs_random.c), as root and as a user.
# Long: FS_RANDOM_OPS=1000000; other sequences: FS_RANDOM_SEED=N.
# shellcheck disable=SC2154
set -u
src=${srcdir:-.}
src=$(cd "$src" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$src/tests/lib/tap.sh"
build=${AGENTSH_TEST_BUILD:-$PWD}
export AGENTSH_TEST_BUILD="$build"
ops=${FS_RANDOM_OPS:-8000}
seed=${FS_RANDOM_SEED:-1}
limit=$((120 + ops / 500))

if [ ! -w /dev/fuse ]; then
	skip fs_random 'no /dev/fuse'
	done_testing
fi
cat >"$tap_tmp/policy.yaml" <<'END'
version: 1
name: everything
file_rules:
  - {name: all, paths: ["${WORKSPACE}", "${WORKSPACE}/**"], operations: ["*"], decision: allow}
END
chmod 755 "$tap_tmp"

as_nobody() { # COMMAND...: with source and build at names that a user reaches, and a /dev/fuse
	mkdir -p "$tap_tmp/dev" "$tap_tmp/build.d"
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount -t tmpfs -o mode=755 none "$0/dev" && mknod -m 666 "$0/dev/fuse" c 10 229 &&
		mount --bind "$0/dev/fuse" /dev/fuse && mount --bind "$1" "$0/build.d" && shift &&
		exec setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/tmp \
			AGENTSH_TEST_BUILD="$0/build.d" "$@"' "$tap_tmp" "$build" "$@"
}

compare() { # NAME RUNNER BUILD MOUNT_OPTION RANDOM_OPTIONS...
	c_name=$1 c_as=$2 c_build=$3 c_mount=$4
	shift 4
	c_dir=$tap_tmp/$(printf %s "$c_name" | tr ' ' -)
	mkdir -p "$c_dir/back" "$c_dir/ws" "$c_dir/state" "$c_dir/native"
	[ "$c_as" = as_nobody ] && chown -R 65534:65534 "$c_dir"
	if c_out=$($c_as timeout $limit "$c_build/tests/e2e/fs_mount" "$c_mount" --policy "$tap_tmp/policy.yaml" \
		--state "$c_dir/state" --map "$c_dir/ws=$c_dir/back" -- \
		"$c_build/tests/torture/fs_random" "$@" "$c_dir/native" "$c_dir/ws" 2>&1); then
		ok "$c_name: $c_out"
	else
		nok "$c_name" "$(printf '%s\n' "$c_out" | head -6; printf '%s\n' "$c_out" | tail -25)"
	fi
	rm -rf "$c_dir/back" "$c_dir/native"
}

if [ "$(id -u)" != 0 ]; then
	compare 'a user' env "$build" --user --ops "$ops" --seed "$seed"
	done_testing
fi
compare 'root' env "$build" --initial --ops "$ops" --seed "$seed"
compare 'root in a user namespace' env "$build" --caps --ops "$((ops / 2))" --seed "$((seed + 100))"
compare 'four processes' env "$build" --initial --jobs 4 --ops "$((ops / 4))" --seed "$((seed + 200))"
compare 'a user' as_nobody "$tap_tmp/build.d" --user --ops "$ops" --seed "$((seed + 300))"
compare 'a user, four processes' as_nobody "$tap_tmp/build.d" --user --jobs 4 --ops "$((ops / 4))" \
	--seed "$((seed + 400))"
done_testing
