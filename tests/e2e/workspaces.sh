#!/bin/sh
# Workspaces of every kind: other file systems, git worktrees and submodules, mount points inside, odd
# names and places. In each a real job runs: git, make, a compiler's worth of small files.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

is_root() { [ -z "$AS" ] && [ "$(id -u)" = 0 ]; }
unmount_all() {
	awk '{ print $2 }' /proc/self/mounts | grep -F "$T/" | sort -r | while read -r m; do
		umount -l "$(printf '%b' "$m")" 2>/dev/null
	done
	[ -z "${elsewhere:-}" ] || rm -rf "$elsewhere"
	e2e_cleanup
}
# shellcheck disable=SC2034 # tap.sh calls it
tap_cleanup=unmount_all

# inside DIR [OPTION...] -- COMMAND...: what it prints, its errors after that
inside() {
	i_dir=$1
	shift
	i_options=
	while [ "$1" != -- ]; do i_options="$i_options $1" && shift; done
	shift
	# shellcheck disable=SC2086 # options are words
	e2e_env sh -c 'cd "$0" && exec "$@"' "$i_dir" timeout -k 5 "$LIMIT" "$AGENTSH" wrap --isolate --quiet \
		$PACK $i_options -- "$@" 2>&1
}
cat >"$T/job.sh" <<'EOF'
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
export GIT_AUTHOR_NAME=T GIT_AUTHOR_EMAIL=t@example.org GIT_COMMITTER_NAME=T GIT_COMMITTER_EMAIL=t@example.org
set -e
mkdir job && cd job
git init -q -b main .
printf 'N = a b c\nall: $(patsubst %%,out/%%,$(N))\nout/%%: src/%%\n\tmkdir -p out; sort $< >$@\n' >Makefile
mkdir src && for i in a b c; do printf '3\n1\n2\n%s\n' $i >src/$i; done
echo out >.gitignore
make -s && cat out/*
git add -A && git commit -q -m one
git mv src/a src/z && ln src/z hard && ln -s z src/soft && chmod 755 src/b
git add -A && git commit -q -m two && git status --short
git clone -q . ../copy && rm -rf ../copy && git gc -q && git fsck --no-progress && git log --oneline
mv src moved && cp -a moved again && rm -rf moved out && ls -R again
dd if=/dev/zero of=big bs=64k count=16 2>/dev/null && truncate -s 100 big && wc -c <big
EOF
mkdir "$T/native" && own "$T/native"
native=$(cd "$T/native" && e2e_env sh "$T/job.sh" 2>&1)
like 'the job runs natively' "$native" '^100$'
job() { # NAME DIR
	own "$2"
	cp "$T/job.sh" "$2/.job.sh" && own "$2"
	out=$(inside "$2" -- sh .job.sh)
	is "$1: git and make as outside" "$out" "$native"
	[ -e "$2/job/.git/HEAD" ] && ok "$1: it is on the host" || nok "$1: it is on the host" "$(ls -la "$2")"
}

# ---- places ----
job 'below /tmp' "$W"
mkdir "$T/with space, ä and 'quote'"
job 'a name with spaces, quotes and UTF-8' "$T/with space, ä and 'quote'"
mkdir "$T/[x]*{a,b}?"
job 'a name that is a pattern' "$T/[x]*{a,b}?"
mkdir "$T/home/project"
job 'in the home directory' "$T/home/project"
rm -rf "$T/home/project"
job 'the home directory itself' "$T/home"
out=$(inside / -- true)
like 'the root is refused, with the reason' "$?$out" '^125agentsh: .*whole system.*--workspace'
if is_root; then
	elsewhere=$(mktemp -d /var/lib/agentsh-test.XXXXXX)
	chmod 755 "$elsewhere"
	job 'neither below /tmp nor in a home' "$elsewhere"
fi

# ---- git worktrees and submodules ----
new_repo() { # DIR
	as git init -q -b main "$1"
	as sh -c "cd '$1' && echo one >f && git add f && git commit -q -m one"
}
as() { e2e_as "$@"; }
e2e_as() { # git needs a name and a place for its settings
	# shellcheck disable=SC2086 # words
	$AS env HOME="$T/home" GIT_AUTHOR_NAME=T GIT_AUTHOR_EMAIL=t@example.org GIT_COMMITTER_NAME=T \
		GIT_COMMITTER_EMAIL=t@example.org GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=protocol.file.allow \
		GIT_CONFIG_VALUE_0=always "$@"
}
mkdir "$T/git" && own "$T/git"
new_repo "$T/git/main"
as git -C "$T/git/main" worktree add -q "$T/git/tree" -b topic
commit='git config user.name T; git config user.email t@example.org; echo two >>f && git add f && git commit -q -m two && git log --format=%s && git status --short && git fsck --no-progress'
out=$(inside "$T/git/tree" -- sh -c "$commit")
is 'a worktree: commit and fsck' "$out" 'two
one'
is 'a worktree: the main repository has it' "$(as git -C "$T/git/main" log --format=%s topic)" 'two
one'
out=$(inside "$T/git/tree" -- sh -c "cd '$T/git/main' && ls -a && echo x >.git/hooks/post-commit; echo x >.git/commondir; echo x >f; echo end")
like 'a worktree: nothing but the repository is seen' "$out" '^\.git$'
unlike 'a worktree: no files of the main tree' "$out" '^f$'
is 'a worktree: hooks and commondir are protected' "$(printf '%s\n' "$out" | grep -c -i 'permission denied')" 2
[ ! -e "$T/git/main/.git/hooks/post-commit" ] && [ ! -e "$T/git/main/.git/commondir" ] && [ "$(cat "$T/git/main/f")" = one ] &&
	ok 'a worktree: nothing happened' || nok 'a worktree: nothing happened' "$(ls "$T/git/main/.git" "$T/git/main/.git/hooks")"
like 'a worktree: what is written to config is in the log' "$(ctl audit cat --json --session last 2>&1; inside "$T/git/tree" -- git config --local a.b c; ctl audit cat --json --session last)" \
	'"verdict": *"audit".*"rule": *"git-config"'
new_repo "$T/git/lib"
new_repo "$T/git/super"
as git -C "$T/git/super" submodule --quiet add "$T/git/lib" lib
as git -C "$T/git/super" commit -q -m 'with lib'
out=$(inside "$T/git/super/lib" -- sh -c "$commit")
is 'a submodule: commit and fsck' "$out" 'two
one'
out=$(inside "$T/git/super/lib" -- sh -c "echo x >../.git/modules/lib/hooks/post-commit; ls -a ..; ls -a ../.git")
like 'a submodule: hooks are protected' "$out" 'ermission denied'
unlike 'a submodule: nothing else of the repository above' "$out" '^(HEAD|f|config)$'
out=$(inside "$T/git/super" -- sh -c 'cd lib && git log --format=%s && cd .. && git status --short')
is 'its superproject as workspace' "$out" 'two
one
 M lib'
# a .git file that lies: a foreign repository, a forged worktree of it, and forged submodules
new_repo "$T/git/victim"
as git -C "$T/git/victim" worktree add -q "$T/git/other" -b other
lie() { # NAME: what .git says was set up in $T/git/liar
	own "$T/git/liar"
	out=$(inside "$T/git/liar" -- sh -c "ls $T/git/victim $T/git/victim/.git; echo x >$T/git/victim/.git/x; echo end")
	like "a lying .git: $1: says why" "$out" 'git will not work here: .*/liar/.git names a repository, but '
	unlike "a lying .git: $1: opens nothing" "$out$(ls "$T/git/victim/.git/x" 2>/dev/null)" '^HEAD$|/x$'
	rm -rf "$T/git/liar"
	mkdir "$T/git/liar"
}
mkdir "$T/git/liar"
echo "gitdir: $T/git/victim/.git" >"$T/git/liar/.git" && lie 'a repository'
echo "gitdir: $T/git/victim/.git/worktrees/other" >"$T/git/liar/.git" && lie 'a worktree of another directory'
mkdir "$T/git/liar/fake" && echo "$T/git/victim/.git" >"$T/git/liar/fake/commondir" && echo "$T/git/liar/.git" >"$T/git/liar/fake/gitdir" &&
	echo 'gitdir: fake' >"$T/git/liar/.git" && lie 'a forged worktree'
mkdir -p "$T/git/liar/modules/x" && cp -r "$T/git/lib/.git/." "$T/git/liar/modules/x" && ln -s "$T/git/victim/.git/objects" "$T/git/liar/modules/x/o" &&
	printf '[core]\nworktree = %s\n' "$T/git/victim" >>"$T/git/liar/modules/x/config" && echo 'gitdir: modules/x' >"$T/git/liar/.git" && lie 'a submodule of elsewhere'
echo 'gitdir: /nowhere' >"$T/git/liar/.git" && lie 'nothing'

# ---- what a workspace may be on ----
mkdir "$T/ro" && echo text >"$T/ro/file" && own "$T/ro"
if is_root; then mount --bind "$T/ro" "$T/ro" && mount -o remount,bind,ro "$T/ro"; else as chmod 555 "$T/ro"; fi
out=$(inside "$T/ro" -- sh -c 'cat file; echo x >new; echo x >>file; echo $?')
like 'read-only: reading works' "$out" '^text'
if is_root; then
	is 'read-only: writing is EROFS' "$(printf '%s\n' "$out" | grep -c 'ead-only file system')" 2
else
	like 'read-only: creating is refused as natively' "$out" 'new: Permission denied'
fi
mkdir "$T/below" "$T/fuse" && own "$T/below" "$T/fuse"
if as bindfs --no-allow-other "$T/below" "$T/fuse" 2>"$T/out"; then
	cp "$T/job.sh" "$T/below/" && own "$T/below"
	# it cannot be watched for the host's changes, which fsgate says once
	out=$(inside "$T/fuse" -- sh job.sh | grep -v '^agentsh-fsgate: warning: .*watched')
	is 'on another FUSE file system (bindfs)' "$out" "$native"
	as fusermount3 -uz "$T/fuse"
else
	nok 'bindfs' "$(cat "$T/out")"
fi
if is_root; then
	on() { # NAME OPTIONS... : mount arguments
		o_name=$1
		shift
		mkdir "$T/fs-$o_name"
		if mount "$@" "$T/fs-$o_name" 2>"$T/out"; then job "on $o_name" "$T/fs-$o_name"; else nok "mount $o_name" "$(cat "$T/out")"; fi
		umount "$T/fs-$o_name" 2>/dev/null || umount -l "$T/fs-$o_name"
	}
	on tmpfs -t tmpfs -o size=64m none
	mkdir "$T/lower" "$T/upper" "$T/work.d" "$T/layers" && echo low >"$T/lower/low"
	mount -t tmpfs -o size=64m none "$T/layers" && mkdir "$T/layers/upper" "$T/layers/work"
	on overlay -t overlay -o "lowerdir=$T/lower,upperdir=$T/layers/upper,workdir=$T/layers/work" none
	truncate -s 320m "$T/xfs.img" "$T/btrfs.img"
	truncate -s 64m "$T/ext4.img"
	mkfs.ext4 -q "$T/ext4.img" && on ext4 -o loop "$T/ext4.img"
	mkfs.xfs -q "$T/xfs.img" && on xfs -o loop "$T/xfs.img"
	mkfs.btrfs -q >"$T/out" 2>&1 "$T/btrfs.img" && on btrfs -o loop "$T/btrfs.img"
	# mount points inside: they are seen, and are file systems of their own
	fresh
	mkdir "$W/bound" "$W/tmp" "$T/source" && echo bound >"$T/source/f" && echo under >"$W/tmp/under"
	mount --bind "$T/source" "$W/bound" && mount -t tmpfs -o size=32m none "$W/tmp" && echo upper >"$W/tmp/upper"
	job 'with mount points inside' "$W"
	out=$(inside "$W" -- sh -c 'cat bound/f tmp/upper; ls tmp; echo new >bound/new; mv job/Makefile tmp/ && ls tmp; rmdir bound; ln bound/f hard; stat -c %i bound/f job >/dev/null && echo end')
	like 'mount points inside: seen' "$out" '^bound
upper
upper
Makefile
upper' || :
	like 'mount points inside: rmdir is EBUSY' "$out" 'bound.*busy'
	like 'mount points inside: no links across' "$out" 'ross-device'
	is 'mount points inside: written through' "$(cat "$T/source/new" "$W/tmp/upper")" 'new
upper'
	umount "$W/bound" "$W/tmp"
	# the root of a file system is the workspace
	mkdir "$T/rootfs" && mount -t tmpfs -o size=64m none "$T/rootfs"
	job 'the root of a file system' "$T/rootfs"
fi

# ---- more directories ----
mkdir -p "$T/more/sub" "$T/more2" && echo more >"$T/more/f" && echo key >"$T/more/secret" && echo more2 >"$T/more2/f" && own "$T/more" "$T/more2"
fresh
cat >"$T/more.yaml" <<EOF
version: 1
name: more
extends: [code-edit]
file_rules:
  - {name: more-secret, paths: ["$T/more/secret"], operations: ["*"], decision: hide}
  - {name: more, paths: ["$T/more", "$T/more/**", "/data", "/data/**"], operations: ["*"], decision: allow}
  - {name: odd, paths: ["/tmp/odd"], operations: [write], decision: deny}
EOF
PACK="--policy $T/more.yaml"
out=$(inside "$W" --mount "$T/more" --mount "$T/more2:/data:ro" -- sh -c "cd $T/more && ls && cat f /data/f; echo new >new; echo x >/data/f; cat secret")
like '--mount: governed by its rules' "$out" '^f
sub
more
more2' || :
is '--mount: seen' "$(printf '%s\n' "$out" | head -n 4 | tr '\n' ' ')" 'f sub more more2 '
like '--mount: a rule hides' "$out" 'secret: No such file'
like '--mount ...:ro: cannot be changed' "$out" 'ead-only file system'
is '--mount: written' "$(cat "$T/more/new" "$T/more2/f")" 'new
more2'
like '--mount: in the record of the start' "$(ctl audit cat --json --session last)" '"op": *"session_start".*"mounts": *\["'
refused() { # NAME SPEC PATTERN
	out=$(inside "$W" --mount "$2" -- true)
	like "--mount: refused: $1" "$?$out" "^125agentsh: .*$3"
}
refused 'missing' "$T/none" 'No such file'
refused 'a file' "$T/more/f" 'not a directory'
refused 'the root' / 'whole host'
refused 'a relative place' "$T/more:place" 'DIR:/PLACE'
refused '/proc' /proc "sandbox's own"
refused 'agentsh itself' "$T/state" "agentsh's own directory"
refused 'nothing granted: which rule is missing' /var/spool 'grants nothing there.*paths: \['
refused 'a place that is not there' "$T/more:/usr/not-there" '(does not exist on the host|grants nothing)'
plan=$(inside "$W" --mount "$T/more2:/data:ro" --print-plan -- true)
is '--print-plan: 0' $? 0
like '--print-plan: the workspace' "$plan" "^governed +$W +the workspace"
like '--print-plan: a mount' "$plan" "^governed-ro +/data +--mount; is $T/more2"
like '--print-plan: a bind, and why' "$plan" '^read-only +/usr +.*nothing changed'
like '--print-plan: what is generated' "$plan" '^generated +/etc/hosts'
is '--print-plan=json' "$(inside "$W" --print-plan=json -- true | $python -c 'import json, sys; print({e["kind"] for e in json.load(sys.stdin)} >= {"governed", "read-only", "link"})')" True
# /tmp is governed by this policy, so the session has one on the host: it goes with the session
inside "$W" -- sh -c 'cd /tmp && p=d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d && for i in 1 2 3 4 5 6 7 8; do mkdir -p $p && cd $p; done; mkdir closed && echo x >closed/f && chmod 0 closed; ln -s / root' >"$T/out"
is 'nothing of a private /tmp is left' "$(cat "$T/out"; find "$T/state/run/sessions" -mindepth 1 | head -n 3)" ''

ctl audit verify >"$T/out" 2>&1
[ $? != 1 ] && ok 'verify' || nok 'verify' "$(cat "$T/out")"
no_leftover_process() { [ -z "$(e2e_processes)" ] || { sleep 1; [ -z "$(e2e_processes)" ]; }; }
no_leftover_process && ok 'no process is left' || nok 'no process is left' "$(e2e_processes)"
done_testing
