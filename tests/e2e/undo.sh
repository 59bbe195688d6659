#!/bin/sh
# agentsh diff and agentsh undo: whatever a session did, the tree is as it was before, or as it was at
# a record; and nothing that somebody else did since is lost.
# shellcheck disable=SC2010,SC2012,SC2016,SC2154,SC2166,SC2181
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
do=$e2e_src/undo_do.py
cp "$do" "$T/do.py"
chmod 755 "$T/do.py"

check() { # NAME TEST...
	check_name=$1
	shift
	if "$@"; then ok "$check_name"; else nok "$check_name" "$* fails; undo said:
$(head -8 "$T/undo.out")"; fi
}
: >"$T/undo.out"

snap() { as $python "$T/do.py" snap "$W" >"$T/$1"; }

equal() { # NAME A B
	if cmp -s "$T/$2" "$T/$3"; then ok "$1"; else nok "$1" "$(diff "$T/$2" "$T/$3" | head -12)
$(head -8 "$T/undo.out")"; fi
}

undo() { # in the workspace, as a person would
	(cd "$W" && e2e_env timeout -k 5 "$LIMIT" "$AGENTSH" undo "$@" >"$T/undo.out" 2>&1)
}

# a tree with all that undo knows
mkdir -p "$T/template/dir/sub" "$T/template/empty" "$T/template/big"
(
	cd "$T/template" || exit 99
	echo one >file
	printf 'a\nb\nc\nd\ne\nf\ng\nh\n' >text
	echo two >dir/sub/f
	echo swap1 >dir/s1
	echo swap2 >s2
	echo linked >dir/hard
	ln dir/hard hard2
	ln -s file link
	ln -s ../nowhere dir/dangling
	mkfifo fifo
	printf '#!/bin/sh\n' >script
	chmod 755 script
	chmod 750 dir/sub
	$python -c "
import os
os.setxattr('file', 'user.note', b'kept')
f = open('sparse', 'wb'); f.seek(3 << 20); f.write(b'end')
open('big/blob', 'wb').write(os.urandom(300000))"
	git init -q repo && cd repo && git config user.name t && git config user.email t@example.org
	for i in 1 2 3; do echo $i >"f$i" && git add . && git commit -qm "c$i"; done
	touch -d '2020-01-02 03:04:05.678' ../file ../dir/sub/f ../dir ../link
)

everything='
set -e
echo more >>file
: >dir/sub/f
sed -i s/c/C/ text
mv dir moved && mkdir dir && echo other >dir/sub
mv moved/hard hard3
rm hard2
chmod 600 script
mv -T big empty/big
'"$python"' -c "
import ctypes, os
ctypes.CDLL(None).renameat2(-100, b\"moved/s1\", -100, b\"s2\", 2)
os.setxattr(\"file\", \"user.note\", b\"lost\")
os.truncate(\"sparse\", 100)
os.utime(\"script\", (1, 1))
f = open(\"empty/big/blob\", \"r+b\"); f.seek(1000); f.write(b\"x\" * 5000)"
ln -sfn elsewhere link
rm fifo && mkdir -p new/a/b/c && echo n >new/a/b/c/n
cd repo && echo 4 >f4 && git add . && git commit -qm c4 && git checkout -qb side HEAD~2
echo s >s && git add . && git commit -qm s && git rebase -q master && git gc -q --prune=now
cd .. && cp -r repo repo2 && rm -rf repo/.git
'

fresh
snap before
wrap -o --name -o all sh -c "$everything" >"$T/out" 2>&1
check "the session works" [ $? = 0 ]
snap after
ctl diff --name-status all >"$T/list" 2>&1
check "diff says with 1 that something changed" [ $? = 1 ]
grep -qx "M	text" "$T/list" && grep -qx "R	big	empty/big" "$T/list" &&
	grep -qx "D	fifo" "$T/list" && grep -qx "A	new/a/b/c/n" "$T/list" &&
	grep -qx "m	script" "$T/list"
check "diff lists what was modified, moved, deleted, added" [ $? = 0 ]
ctl diff all text >"$T/patch" 2>&1
grep -qx -- '-c' "$T/patch" && grep -qx '+C' "$T/patch" && grep -qx 'diff --git a/text b/text' "$T/patch" &&
	grep -qx '@@ -1,6 +1,6 @@' "$T/patch"
check "diff prints a patch" [ $? = 0 ]
mkdir "$T/apply" && cp "$W/text" "$T/apply/" && (cd "$T/apply" && git apply -R "$T/patch") &&
	cmp -s "$T/apply/text" "$T/template/text"
check "the patch can be applied in reverse" [ $? = 0 ]
ctl diff --stat all text | grep -q 'M text | +1 -1'
check "diff --stat counts lines" [ $? = 0 ]
ctl diff --json all | $python -c '
import json, sys
kinds = {c["change"] for c in json.load(sys.stdin)}
sys.exit(kinds != {"added", "deleted", "modified", "renamed", "attributes"})'
check "diff --json is an array of changes" [ $? = 0 ]
undo --dry-run all
check "undo --dry-run would do all of it" [ $? = 0 ]
snap dry
equal "undo --dry-run changes nothing" after dry
undo all
check "undo does all of it" [ $? = 0 ]
snap undone
equal "the tree is as it was before the session" before undone
undo all
check "another undo has nothing to do" [ $? = 0 -a ! -s "$T/undo.out" ]
ctl diff all >"$T/out"
check "nor does diff show anything" [ $? = 0 -a ! -s "$T/out" ]
ctl audit cat --json --session all | grep -q '"op": *"undo"'
check "the undo is in the audit log" [ $? = 0 ]
as git -C "$W/repo" fsck >/dev/null 2>&1
check "the repository is whole" [ $? = 0 ]

# one path of many
fresh
wrap -o --name -o part sh -c 'echo x >>file; mv text dir/text2; echo y >>script; rm -r dir/sub; echo n >new'
undo part dir/sub text
check "undo of some paths" [ $? = 0 ]
check "they are back, with the other end of a move" [ -f "$W/dir/sub/f" -a -f "$W/text" -a ! -e "$W/dir/text2" ]
check "other changes stay" [ -f "$W/new" -a "$(tail -n 1 "$W/script")" = y ]

# what somebody else did since
fresh
wrap -o --name -o conflict sh -c 'echo agent >>file; rm text; echo n >new; mkdir made; echo a >made/a; chmod 700 script'
sleep 0.1
as sh -c "echo host >>'$W/file'; echo mine >'$W/text'; echo mine >>'$W/new'; echo mine >'$W/made/mine'"
undo conflict
check "conflicts: undo exits with 1" [ $? = 1 ]
check "they are named" [ "$(grep -c '^conflict\|^problem' "$T/undo.out")" = 4 ]
check "and nothing of the host's is lost" [ "$(cat "$W/file")" = "one
agent
host" -a "$(cat "$W/text")" = mine -a -f "$W/made/mine" -a "$(wc -l <"$W/new")" = 2 ]
check "the rest is undone" [ ! -e "$W/made/a" -a "$(stat -c %a "$W/script")" = 755 ]
undo --force conflict
check "--force undoes all of it" [ $? = 0 -a "$(cat "$W/file")" = one -a ! -e "$W/new" -a ! -e "$W/made" ]
check "with the file that the host had replaced" cmp -s "$W/text" "$T/template/text"

# links that an agent leaves behind lead nowhere
fresh
as mkdir "$T/victim" && as sh -c "echo precious >'$T/victim/f'"
wrap -o --name -o trap sh -c 'echo x >dir/sub/f; rm -r dir/sub'
as ln -s "$T/victim" "$W/dir/sub"
undo --force trap
check "undo never writes through a link" [ "$(cat "$T/victim/f")" = precious ]
check "and replaces it when forced" [ "$(cat "$W/dir/sub/f")" = two ]

# quota, exclusions
cat >"$T/small.yaml" <<'END'
version: 1
name: small
extends: [code-edit]
undo:
  max_mb: 1
  exclude: ['**/skip/**']
END
sed 's/max_mb: 1/max_mb: 1\n  required: true/' "$T/small.yaml" >"$T/strict.yaml"
sed 's/max_mb: 1/enabled: false/' "$T/small.yaml" >"$T/off.yaml"
chmod 644 "$T"/*.yaml
fresh
as $python -c "
import os
for n in range(3): open('$W/big%d' % n, 'wb').write(os.urandom(600000))
os.mkdir('$W/skip'); open('$W/skip/x', 'w').write('x')"
PACK="--policy $T/small.yaml" wrap -o --name -o full sh -c 'rm big0 big1 big2 skip/x && echo y >>file' 2>"$T/err"
check "a full store stops nobody" [ $? = 0 ]
ctl undo full >"$T/undo.out" 2>&1
check "undo says what it does not have" [ $? = 1 -a "$(grep -c 'max_mb was used up\|excluded by the policy' "$T/undo.out")" = 3 ]
check "and brings back what it has" [ "$(ls "$W" | grep -c '^big[0-9]')" = 1 -a "$(cat "$W/file")" = one ]
fresh
as $python -c "
import os
for n in range(3): open('$W/big%d' % n, 'wb').write(os.urandom(600000))"
PACK="--policy $T/strict.yaml" wrap -o --name -o strict sh -c 'rm big0; rm big1; rm big2; true' 2>"$T/err"
check "required: what cannot be kept cannot be changed" [ "$(ls "$W" | grep -c '^big[0-9]')" = 2 ]
undo strict
check "and all of it can be undone" [ $? = 0 -a "$(ls "$W" | grep -c '^big[0-9]')" = 3 ]
PACK="--policy $T/off.yaml" wrap -o --name -o off sh -c 'echo z >>file'
undo off
check "switched off: there is nothing to undo" [ $? = 1 ]

# kill -9 of fsgate in the middle
fresh
snap before
(
	n=0
	while [ $n -lt 600 ] && ! [ -e "$W/kill.50" ]; do n=$((n + 1)); sleep 0.05; done
	above=$(pgrep -f -- "--name killed$$" | tr '\n' ',')
	kill -9 "$(pgrep -x fsgate -P "${above%,}")"
) &
wrap -o --name -o "killed$$" sh -c 'n=0; while :; do n=$((n+1)); echo $n >kill.$n; mv kill.$n dir/k.$n; echo $n >>text; true >kill.$n; done' 2>/dev/null
check "fsgate was killed" [ $? = 125 ]
wait
undo "killed$$"
check "undo works after that" [ $? = 0 ]
snap undone
equal "the tree is as it was before the killed session" before undone

# random changes, undone step by step
checkpoints() { # NAME: undo to each checkpoint, last one first
	ctl audit cat --json --session "$1" >"$T/log"
	for k in 3 2 1 0; do
		seq=$($python -c "
import json
print(next(r['seq'] for r in map(json.loads, open('$T/log'))
           if r['op'] == 'mkdir' and r['path'].endswith('/mark$k')) - 1)")
		undo --quiet --to "$seq" "$1" || echo "to $k: status $?"
		snap now
		cmp "$T/snaps/$k" "$T/now" || diff "$T/snaps/$k" "$T/now" | head -5
	done
	undo --quiet "$1" || echo "all: status $?"
	snap now
	cmp "$T/before" "$T/now" || diff "$T/before" "$T/now" | head -5
}
random() { # SEED WHERE
	seed=$1
	fresh
	rm -rf "$W/repo" "$T/snaps"
	mkdir "$T/snaps"
	cp "$T/do.py" "$W/do.py"
	own "$W/do.py"
	snap before
	wrap -o --name -o "random$seed" sh -c "mkdir /tmp/o && $python do.py random $seed ${UNDO_OPS:-240} 4 /tmp/o && tar c -C /tmp/o ." >"$T/tar"
	tar x -C "$T/snaps" -f "$T/tar"
	bad=$(checkpoints "random$seed" 2>&1)
	if [ -z "$bad" ]; then ok "random changes, seed $seed$2: right at each of five moments"; else
		nok "random changes, seed $seed$2" "$bad"; fi
}
for n in ${UNDO_SEEDS:-1 2 3}; do
	random "$n" ''
done
# the store is on another file system: everything is copied
other=$(mktemp -d /dev/shm/agentsh-undo.XXXXXX)
if [ -n "$other" ] && [ "$(stat -c %d "$other")" != "$(stat -c %d "$T")" ]; then
	W=$other
	random 4 ', a store elsewhere'
else
	skip 'a store elsewhere' '/dev/shm is no other file system'
fi
[ -z "$other" ] || rm -rf "$other"
no_leftover "nothing is left"
done_testing
