#!/bin/bash
# Host and agent on one git repository: commits, checkouts, stashes, gc from both sides at once.
#
# For GIT_SECONDS (10) two workers commit to branches of their own in two work trees of a repository,
# one through the mount and one on the host, and both run gc and repack; besides, one pair works in
# the very same work tree (index.lock decides who goes first). The same natively with two host
# processes is the control. Afterwards: git fsck is clean, every commit that was reported made is there
# with its content, and no lock or temporary file is left. Complaints of git are printed: what one side
# has cached for the moment may make a command fail, as long as nothing is lost by it.
set -u
src=${srcdir:-.}
src=$(cd "$src" && pwd)
# shellcheck source=tests/lib/tap.sh disable=SC2154
. "$src/tests/lib/tap.sh"
build=${AGENTSH_TEST_BUILD:-$PWD}
export AGENTSH_TEST_BUILD="$build"
seconds=${GIT_SECONDS:-8}
export GIT_AUTHOR_NAME=T GIT_AUTHOR_EMAIL=t@example.org GIT_COMMITTER_NAME=T GIT_COMMITTER_EMAIL=t@example.org
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null HOME=$tap_tmp

if [ ! -w /dev/fuse ]; then
	skip git_both 'no /dev/fuse'
	done_testing
fi
chmod 755 "$tap_tmp"
cat >"$tap_tmp/policy.yaml" <<'END'
version: 1
name: everything
file_rules:
  - {name: all, paths: ["${WORKSPACE}", "${WORKSPACE}/**"], operations: ["*"], decision: allow}
END

# Both as scripts of their own: they run in the mount and outside.
# worker REPO NAME SECONDS LOG: commits on branch NAME of the work tree REPO/NAME
cat >"$tap_tmp/worker" <<'END'
#!/bin/bash
cd "$1/$2" || exit 1
end=$((SECONDS + $3)) n=0
while ((SECONDS < end)); do
	n=$((n + 1))
	f=f$((n % 7))
	echo "$2 $n" >$f && echo "$2 $n" >>all
	if git add -A 2>>"$4.err" && out=$(git commit -m "$2 $n" 2>>"$4.err"); then
		sha=${out%%]*} # [branch sha] subject
		sha=${sha##* }
		echo "$sha $n" >>"$4"
	else
		echo "commit $n failed" >>"$4.err"
	fi
	case $((n % 12)) in
	3) git checkout -q --detach HEAD~1 && until git checkout -q "$2"; do ((SECONDS > end + 30)) && break; done ;;
	5) echo dirty >>all && git stash -q && git stash drop -q ;;
	7) git gc -q --auto ;;
	9) git repack -q -d ;;
	11) git gc -q ;;
	esac 2>>"$4.err"
done
END
# sharer TREE NAME SECONDS LOG: commits its own file in a work tree that somebody else uses too
cat >"$tap_tmp/sharer" <<'END'
#!/bin/bash
cd "$1" || exit 1
end=$((SECONDS + $3)) n=0 made=0
while ((SECONDS < end)); do
	n=$((n + 1))
	echo "$2 $n" >"own-$2"
	if git add "own-$2" 2>>"$4.err" && git commit -qm "$2 $n" -- "own-$2" 2>>"$4.err"; then
		made=$((made + 1))
		echo "$2 $n" >>"$4"
	fi
	git status --short >/dev/null 2>>"$4.err"
done
END
chmod 755 "$tap_tmp/worker" "$tap_tmp/sharer"

lay_out() { # DIR
	mkdir -p "$1" && git init -q -b main "$1/main" && cd "$1/main" || exit 99
	for i in 0 1 2 3 4 5 6; do echo start >f$i; done
	git add -A && git commit -qm start && git worktree add -q ../one -b one && git worktree add -q ../two -b two
	cp -r . ../shared
	rm -rf ../shared/.git && git init -q -b main ../shared && cd ../shared && git add -A && git commit -qm start
	# as on the mount: the place of the repository is what both sides call it
	cd "$src" || exit 99
	sed -i "s,$1/,../,; s,gitdir: \.\./main,gitdir: ../main," "$1/one/.git" "$1/two/.git"
	for t in one two; do echo "../../../../$t/.git" >"$1/main/.git/worktrees/$t/gitdir"; done
}

both() { # NAME FIRST_DIR SECOND_DIR LOGS [MOUNT...]: one pair through MOUNT, one here
	b_logs=$4 first=$2 second=$3
	shift 4
	mkdir -p "$b_logs"
	"$tap_tmp/worker" "$second" two "$seconds" "$b_logs/two" &
	"$tap_tmp/sharer" "$second/shared" host "$seconds" "$b_logs/host" &
	# shellcheck disable=SC2016
	"$@" bash -c '"$0/worker" "$1" one "$2" "$3/one" & "$0/sharer" "$1/shared" agent "$2" "$3/agent"; wait' \
		"$tap_tmp" "$first" "$seconds" "$b_logs"
	b_status=$?
	wait
}

unexpected() { # LOGS: complaints that are not about a lock that somebody else holds
	cat "$1"/*.err 2>/dev/null | grep -v -e 'index.lock' -e 'Another git process' -e 'remove the file manually' \
		-e 'Please make sure all processes' -e 'may have crashed' -e 'an editor opened' -e 'are terminated then' \
		-e '^$' -e 'cannot lock ref' -e 'unable to write new.index' -e 'HEAD.lock' -e 'gc is already running' \
		-e 'commit [0-9]* failed' -e 'unable to create.*lock' -e 'File exists' | sort | uniq -c | sort -rn | head -20
}

judge() { # NAME DIR LOGS
	is "$1: the run ended well" "$b_status" 0
	for r in main shared; do
		j_out=$(git -C "$2/$r" fsck --full --strict 2>&1 | grep -v -e '^dangling' -e '^notice')
		is "$1: fsck of $r" "$j_out" ''
	done
	for b in one two; do
		j_have=$(git -C "$2/main" rev-list "$b")
		j_lost=$(while read -r sha _; do grep -q "^$sha" <<<"$j_have" || echo "$sha"; done <"$3/$b" | wc -l)
		is "$1: $(wc -l <"$3/$b") commits on $b, lost" "$j_lost" 0
		j_last=$(tail -n 1 "$3/$b" | awk '{print $2}')
		is "$1: content of $b" "$(git -C "$2/main" show "$b:f$((j_last % 7))")" "$b $j_last"
	done
	j_log=$(git -C "$2/shared" log --format=%s)
	for b in host agent; do
		j_lost=$(grep -vxF -f <(printf '%s\n' "$j_log") "$3/$b" | wc -l)
		is "$1: $(wc -l <"$3/$b") commits of $b in one work tree, lost" "$j_lost" 0
	done
	is "$1: locks and temporary files left" "$(find "$2" -name '*.lock' -o -name 'tmp_*' -o -name '.tmp-*' | head -5)" ''
	unexpected "$3" | sed "s/^/# $1: /"
}

lay_out "$tap_tmp/native"
both native "$tap_tmp/native" "$tap_tmp/native" "$tap_tmp/native.logs"
judge 'native, two processes' "$tap_tmp/native" "$tap_tmp/native.logs"

run() { # NAME MOUNT_OPTION
	r_dir=$tap_tmp/$2
	mkdir -p "$r_dir/ws" "$r_dir/state"
	lay_out "$r_dir/back"
	both "$1" "$r_dir/ws" "$r_dir/back" "$r_dir/logs" timeout $((seconds * 2 + 120)) "$build/tests/e2e/fs_mount" "$2" \
		--policy "$tap_tmp/policy.yaml" --state "$r_dir/state" --map "$r_dir/ws=$r_dir/back" --
	judge "$1" "$r_dir/back" "$r_dir/logs"
}
if [ "$(id -u)" = 0 ]; then
	run 'host and agent, root' --initial
else
	run 'host and agent, a user' --user
fi
done_testing
