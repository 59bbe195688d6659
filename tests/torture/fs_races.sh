#!/bin/sh
# Names that change while they are used (fs_races.c): nothing denied is read or changed, as root and
# as a user. Long: FS_RACES_TRIES=100000. Every case escapes when the policy allows everything.
# shellcheck disable=SC2154
set -u
src=${srcdir:-.}
src=$(cd "$src" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$src/tests/lib/tap.sh"
build=${AGENTSH_TEST_BUILD:-$PWD}
export AGENTSH_TEST_BUILD="$build"
tries=${FS_RACES_TRIES:-400}
limit=$((300 + tries / 20))
all='component leaf exchange ancestor denied-name host hard-link hard-link-leaf move-out proc-fd proc-cwd
	change tmpfile'

if [ ! -w /dev/fuse ]; then
	skip fs_races 'no /dev/fuse'
	done_testing
fi
chmod 755 "$tap_tmp"
cat >"$tap_tmp/open.yaml" <<'END'
version: 1
name: everything
file_rules:
  - {name: all, paths: ["${WORKSPACE}", "${WORKSPACE}/**"], operations: ["*"], decision: allow}
END
cat >"$tap_tmp/closed.yaml" <<'END'
version: 1
name: races
file_rules:
  - {name: priv-names, paths: ["${WORKSPACE}/priv/moving"], operations: [create, rename, delete], decision: allow}
  - {name: priv, paths: ["${WORKSPACE}/priv", "${WORKSPACE}/priv/**"], operations: [open, read, write, create, delete, rename, link], decision: deny}
  - {name: prot-read, paths: ["${WORKSPACE}/prot", "${WORKSPACE}/prot/**"], operations: [open, read, stat, list], decision: allow}
  - {name: prot, paths: ["${WORKSPACE}/prot", "${WORKSPACE}/prot/**"], operations: ["*"], decision: deny}
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

lay_out() { # DIR
	rm -rf "$1"
	mkdir -p "$1/ws" "$1/state" "$1/back/pub" "$1/back/priv" "$1/back/prot"
	echo SECRET >"$1/back/priv/secret"
	echo KEEP >"$1/back/prot/keep"
	chmod 644 "$1/back/prot/keep"
	[ "$2" = as_nobody ] && chown -R 65534:65534 "$1"
	return 0
}

races() { # RUNNER BUILD MOUNT_OPTION POLICY TRIES CASES...
	r_as=$1 r_build=$2 r_mount=$3 r_policy=$4
	shift 4
	lay_out "$tap_tmp/d" "$r_as"
	# shellcheck disable=SC2016
	out=$($r_as timeout $limit "$r_build/tests/e2e/fs_mount" "$r_mount" --policy "$tap_tmp/$r_policy.yaml" \
		--state "$tap_tmp/d/state" --map "$tap_tmp/d/ws=$tap_tmp/d/back" -- \
		sh -c 'cd "$0/ws" && exec "$@"' "$tap_tmp/d" "$r_build/tests/torture/fs_races" "$1" "$tap_tmp/d/back" \
		$2 2>&1)
}

held() { # WHO RUNNER BUILD MOUNT_OPTION
	races "$2" "$3" "$4" closed "$tries" ''
	for c in $all; do
		like "$1: $(printf '%s\n' "$out" | grep " $c: " || echo "$c")" "$out" "^ok $c: "
	done
	is "$1: the secret is where it was" "$(cat "$tap_tmp/d/back/priv/secret")" SECRET
}

control() { # WHO RUNNER BUILD MOUNT_OPTION: each case can see an escape
	for c in $all; do
		races "$2" "$3" "$4" open 4000 "$c"
		like "$1, all allowed: $c escapes" "$out" "^ESCAPED $c: "
	done
}

if [ "$(id -u)" != 0 ]; then
	held 'a user' env "$build" --user
	done_testing
fi
control root env "$build" --initial
held root env "$build" --initial
held 'root in a user namespace' env "$build" --caps
held 'a user' as_nobody "$tap_tmp/build.d" --user
done_testing
