#!/bin/sh
# fsgate on its own: every operation and verdict through a real mount, as root and as a user.
# shellcheck disable=SC2154
set -u
src=${srcdir:-.}
src=$(cd "$src" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$src/tests/lib/tap.sh"
build=${AGENTSH_TEST_BUILD:-$PWD}
export AGENTSH_TEST_BUILD="$build"
me=$build/tests/e2e

lay_out() { # DIR
	mkdir -p "$1/back/dir/sub" "$1/ws" "$1/state" "$1/outside" && cd "$1/back" || exit 99
	echo content >file
	echo sub >dir/sub/f
	ln -s file link
	ln -s nowhere dangling
	cp /bin/true true
	printf '#!/bin/sh\nexit 0\n' >script
	chmod 755 true script
	mkdir no many hide ask soft redirected withsecret traps kept harmless emptydir
	for n in read write create delete rename link chmod chown utime xattr stat lock; do
		echo "$n" >"no/$n"
	done
	cp /bin/true no/exec
	ln -s ../file no/readlink
	mkdir no/rmdir no/list
	echo r >r1
	echo s >withsecret/secret
	echo t >traps/pre-commit
	echo k >kept/file
	echo h >harmless/h
	echo x >hide/x
	echo a >ask/file
	echo s >soft/x
	echo w >watched
	echo q >quiet
	mkdir -p zone/a/b
	echo x >zone/x
	echo x >zone/a/b/file
	echo x >zone/a/b/other
	i=0
	while [ $i -lt 3000 ]; do
		: >"many/a-file-with-a-name-of-some-length-$i"
		i=$((i + 1))
	done
	echo outside >"$1/outside/shared"
	ln "$1/outside/shared" shared
	echo p >pair1
	ln pair1 dir/pair2
	cd "$src" || exit 99
}

mount_run() { # DIR APPROVE OPTIONS... -- COMMAND...
	mr_dir=$1
	mr_approve=$2
	shift 2
	timeout 120 "$me/fs_mount" --policy "${fs_policy:-$src/tests/e2e/fsgate.yaml}" --state "$mr_dir/state" \
		--approve "$mr_approve" --map "$mr_dir/ws=$mr_dir/back" "$@"
}

table() { # NAME APPROVE OPTIONS...
	t_name=$1
	t_approve=$2
	shift 2
	t_dir=$tap_tmp/$t_name
	lay_out "$t_dir"
	out=$(mount_run "$t_dir" "$t_approve" "$@" -- sh -c 'cd "$1/ws" && exec "$2" "$1/back" "$3"' sh \
		"$t_dir" "$me/fs_try" "$t_approve" 2>&1)
	st=$?
	bad=$(printf '%s\n' "$out" | grep -A1 '^not ok')
	if [ "$st" = 0 ] && [ -z "$bad" ]; then
		ok "$t_name: all of $(printf '%s\n' "$out" | grep -c '^ok') operations"
	else
		nok "$t_name: status $st" "${bad:-$out}"
	fi
}

data() { # NAME OPTIONS...: reads, writes and mappings, from both sides
	d_name=$1
	d_dir=$tap_tmp/$d_name
	shift
	mkdir -p "$d_dir/back" "$d_dir/ws" "$d_dir/state"
	# shellcheck disable=SC2016
	out=$(mount_run "$d_dir" none "$@" -- sh -c 'cd "$1/ws" && exec python3 "$2" "$1/back"' sh \
		"$d_dir" "$src/tests/e2e/fs_io.py" 2>&1)
	st=$?
	bad=$(printf '%s\n' "$out" | grep -A1 '^not ok')
	case $st$bad$out in
	0ok*done) ok "$d_name: all of $(printf '%s\n' "$out" | grep -c '^ok') checks of data" ;;
	*) nok "$d_name: status $st" "${bad:-$out}" ;;
	esac
}

records() { # NAME
	AGENTSH_STATE_DIR=$tap_tmp/$1/state "$build/agentsh/agentsh" audit "$2" ${3:+"$3"} 2>&1
}

part() { # NAME STATUS OUTPUT: TAP lines as one
	bad=$(printf '%s\n' "$3" | grep -A1 '^not ok')
	if [ "$2" = 0 ] && [ -z "$bad" ]; then
		ok "$1: all $(printf '%s\n' "$3" | grep -c '^ok')"
	else
		nok "$1: status $2" "${bad:-$3}"
	fi
}

matrix() { # NAME APPROVE OPTIONS...: every operation under every verdict
	m_name=$1
	m_approve=$2
	shift 2
	m_dir=$tap_tmp/$m_name
	m_py=$src/tests/e2e/fs_matrix.py
	mkdir -p "$m_dir/back" "$m_dir/ws" "$m_dir/state"
	python3 "$m_py" policy >"$m_dir/policy.yaml"
	python3 "$m_py" layout "$m_dir/back"
	# shellcheck disable=SC2016
	out=$(fs_policy=$m_dir/policy.yaml mount_run "$m_dir" "$m_approve" "$@" -- sh -c \
		'cd "$1/ws" && exec python3 "$2" run "$1/back" "$3"' sh "$m_dir" "$m_py" "$m_approve" 2>&1)
	part "$m_name: operations and verdicts" $? "$out"
	records "$m_name" cat --json >"$m_dir/log"
	out=$(python3 "$m_py" records "$m_approve" <"$m_dir/log" 2>&1)
	part "$m_name: records" $? "$out"
}

# A user, with a /dev/fuse that users may open, in a mount namespace of its own; source and build
# are seen at other names there, because a checkout in /root is closed to users.
as_user() { # FUSE_MODE
	mkdir -p "$tap_tmp/user.d" "$tap_tmp/dev" "$tap_tmp/src.d" "$tap_tmp/build.d"
	chmod 755 "$tap_tmp" && chown 65534:65534 "$tap_tmp/user.d"
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount -t tmpfs -o mode=755 none "$0/dev" && mknod -m "$1" "$0/dev/fuse" c 10 229 &&
		mount --bind "$0/dev/fuse" /dev/fuse &&
		mount --bind "$2" "$0/src.d" && mount --bind "$3" "$0/build.d" && cd "$0/user.d" &&
		exec setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/tmp TMPDIR="$0/user.d" \
			srcdir="$0/src.d" AGENTSH_TEST_BUILD="$0/build.d" sh "$0/src.d/tests/e2e/fsgate.sh"' \
		"$tap_tmp" "$1" "$src" "$build"
}

nested() { # FUSE_MODE: this script again, as a user; its lines as ours
	nested_out=$(as_user "$1" 2>&1)
	printf '%s\n' "$nested_out" | grep '^#' || :
	printf '%s\n' "$nested_out" | grep '^\(not \)\?ok' >"$tap_tmp/lines"
	[ -s "$tap_tmp/lines" ] || nok "as a user, /dev/fuse $1" "$nested_out"
	while read -r nested_line; do
		nested_what=${nested_line#*- }
		case $nested_line in
		*'# SKIP '*) skip "$nested_what" "as a user" ;;
		ok*) ok "$nested_what" ;;
		*) nok "$nested_what" ;;
		esac
	done <"$tap_tmp/lines"
}

if [ "$(id -u)" != 0 ] && [ ! -w /dev/fuse ]; then
	lay_out "$tap_tmp/none"
	out=$(mount_run "$tap_tmp/none" none --user -- true 2>&1)
	like 'no right to /dev/fuse: one clear error' "$out status $?" \
		'cannot open /dev/fuse: permission denied; run: chmod 666 /dev/fuse.* status 125'
	done_testing
fi
if [ ! -w /dev/fuse ]; then
	skip fsgate 'no /dev/fuse'
	done_testing
fi
if [ "$(id -u)" != 0 ]; then
	table user none --user
	table user-approve allow --user
	matrix user-matrix allow --user
	matrix user-matrix-refused deny --user
	data user-data --user
	log=$(records user-data cat --json)
	unlike 'a user: no passthrough' "$log" '"io":"passthrough"'
	like 'a user: what was written is counted' "$log" '"op":"close".*"bytes":11'
	done_testing
fi
table root none
table root-approve allow
table root-refuse deny
matrix root-matrix allow
matrix root-matrix-refused deny
data root-data
log=$(records root-data cat --json)
if [ "$("$build/agentsh/agentsh" detect 2>/dev/null | grep -c '^yes.*FUSE passthrough')" = 1 ]; then
	like 'passthrough: a new file' "$log" '"op":"create".*"io":"passthrough","path":"[^"]*/d1"'
	like 'passthrough: a large file' "$log" '"io":"passthrough","path":"[^"]*/d2"'
	like 'passthrough: the sizes of a file that was written' "$log" \
		'"op":"close".*/d1","size":11,"size_before":0'
	like 'passthrough: not while the file is open through the cache' "$log" \
		'"comm":"python3","path":"[^"]*/o1","flags":"O_RDWR"'
	like 'passthrough: whoever opens it meanwhile has it, too' "$log" \
		'"io":"passthrough","path":"[^"]*/o1","flags":"O_RDONLY"'
else
	skip passthrough 'not on this kernel'
fi
log=$(records root cat --json)
like 'records: a denied read, its rule and its message' "$log" \
	'"op":"open","decision":"deny","verdict":"deny","rule":"no-read".*"message":"not .*/no/read"'
like 'records: what an audited rule allows' "$log" '"verdict":"audit","rule":"watched"'
like 'records: the name that forbids a move' "$log" '"rule":"secret".*"because":".*/withsecret/secret"'
like 'records: how much was written' "$log" '"op":"close".*"(bytes|size)":9'
like 'records: soft delete' "$log" '"decision":"soft_delete","verdict":"soft_delete".*"token":"[0-9a-f]+"'
like 'records: redirect' "$log" '"decision":"redirect","verdict":"redirect".*"to":"[^"]*/state/elsewhere/x"'
like 'records: a hard link to the outside' "$log" '"decision":"deny".*"rule":"fsgate-hard-link"'
unlike 'records: nothing of a rule that says log: none' "$log" '"rule":"quiet"'
like 'records: an approval' "$(records root-approve cat --json)" \
	'"decision":"allow","verdict":"approve".*"approver":"tester"'
like 'records: nobody answered' "$log" '"decision":"deny","verdict":"approve".*"approver":"timeout"'
like 'records: the killed one' "$log" '"decision":"deny","verdict":"approve".*"approver":"interrupted"'
like 'the chain is intact' "$(records root verify)" ': intact'
unlike 'the ring was given back' "$(records root verify)" 'lost'
if command -v setpriv >/dev/null && command -v unshare >/dev/null; then
	nested 600
	nested 666
fi
done_testing
