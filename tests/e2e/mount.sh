#!/bin/sh
# agentsh mount and umount: a governed directory without a sandbox, and what happens when it dies.
set -u
# a mount namespace of our own: one that is made meanwhile, by another test, would keep our mounts alive
if [ "$(id -u)" = 0 ] && [ -z "${MOUNT_NS:-}" ] && unshare -m true 2>/dev/null; then
	MOUNT_NS=1 exec unshare -m -- "$0" "$@"
fi
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$T/p.yaml" <<'EOF'
version: 1
name: mounted
file_rules:
  - {name: hidden, paths: ["${WORKSPACE}/secret*"], operations: ["*"], decision: hide}
  - {name: fixed, paths: ["/workspace/fixed/**"], operations: [write, create, delete, rename], decision: deny}
  - {name: held, paths: ["${WORKSPACE}/held"], operations: [open, read], decision: approve, timeout: 20s}
  - {name: all, paths: ["${WORKSPACE}", "${WORKSPACE}/**"], operations: ["*"], decision: allow}
EOF
M=$T/mnt
unmount_all() {
	for m in "$M" "$W" "$T/with space ä" "$T/second"; do
		as fusermount3 -uz -- "$m" 2>/dev/null || umount -l "$m" 2>/dev/null
	done
	e2e_cleanup
}
tap_cleanup=unmount_all
start_over() { # a source, an empty mount point
	fresh
	rm -rf "$M"
	mkdir "$M" "$W/fixed"
	echo hello >"$W/file" && echo key >"$W/secret" && echo rule >"$W/fixed/f" && echo held >"$W/held"
	own "$W" "$M" "$T"
}
mnt() { ctl mount --policy "$T/p.yaml" "$@"; }
mounted() { grep -qF " $1 " /proc/self/mounts; }
state_of() { ctl session list --json | tr -d '\n ' | grep -o "{\"name\":\"$1\"[^}]*}" | grep -o "\"$2\":\"*[a-z0-9]*" | sed 's/.*[:"]//'; }
supervisor_of() { state_of "$1" supervisor; }
gate_of() { ps --ppid "$(supervisor_of "$1")" -o pid=,comm= | awk '$2 ~ /fsgate/ { print $1 }'; }
ended() { [ "$(state_of "$1" state)" = ended ]; }
# shellcheck disable=SC2086 # words
use() { # something has a file open there
	$AS sh -c 'exec sleep 30 <"$0"' "$M/file" &
	holder=$!
	until_true sh -c "readlink /proc/$holder/fd/0 | grep -q 'mnt/file'"
}
in_mount() { as sh -c "cd '$M' && $1" 2>&1; }

# ---- what a mount does ----
start_over
mnt --name one "$W" "$M" >"$T/out" 2>&1
is 'mount: status 0' "$?$(cat "$T/out")" 0
mounted "$M" && ok 'mounted when it returns' || nok 'mounted when it returns'
like 'its source names the session' "$(cat /proc/self/mounts)" "^agentsh/one $M fuse.agentsh "
is 'allow' "$(in_mount 'cat file && echo more >>file && cat file')" 'hello
hello
more'
is 'what is written is in the source' "$(tail -n 1 "$W/file")" more
like 'deny' "$(in_mount 'echo x >fixed/f; cat fixed/f')" 'ermission denied
rule'
like 'hide' "$(in_mount 'cat secret; ls')" 'No such file' && unlike 'hide: not listed' "$(in_mount ls)" secret
is 'running' "$(state_of one state)" running
like 'session show tells where' "$(ctl session show one)" "mount *$M"
is 'files belong to who made them' "$(in_mount 'touch mine && stat -c %u mine')" "$(as id -u)"
ctl umount "$M" >"$T/out" 2>&1
is 'umount: status 0' "$?$(cat "$T/out")" 0
mounted "$M" && nok 'gone after umount' || ok 'gone after umount'
is 'its session has ended when umount returns' "$(state_of one state) $(state_of one status)" 'ended 0'
log=$(ctl audit cat --json --session one)
like 'recorded: start' "$log" '"op": *"session_start".*"mode": *"mount"'
like 'recorded: deny with its rule' "$log" "\"decision\": *\"deny\".*\"rule\": *\"fixed\""
like 'recorded: end' "$log" '"op": *"session_end".*"reason": *"unmounted"'
ctl audit verify >"$T/out" 2>&1
is 'verify' $? 0
like 'agentsh diff tells what was changed' "$(ctl diff one --stat)" 'M file'
ctl undo one >"$T/out" 2>&1
is 'agentsh undo takes it back' "$?$(cat "$W/file")$(ls "$W/mine" 2>/dev/null)" 0hello

# ---- how it ends ----
start_over
mnt --name two "$W" "$M"
if [ "$(as id -u)" = 0 ]; then umount "$M"; else as fusermount3 -u "$M"; fi
is 'plain umount' $? 0
until_true ended two
is 'plain umount ends the session' "$(state_of two status)" 0
mnt --name three "$W" "$M"
use
ctl umount "$M" >"$T/out" 2>&1
is 'umount of one in use: 1' $? 1
like 'umount of one in use: says so' "$(cat "$T/out")" 'busy.*--lazy'
ctl umount --lazy "$M" >"$T/out" 2>&1
is 'umount --lazy' "$?$(cat "$T/out")" 0
is 'lazily unmounted, and in use' "$(state_of three state)" running
kill $holder
wait $holder 2>/dev/null
until_true ended three && ok 'it ends with its last user' || nok 'it ends with its last user'
# shellcheck disable=SC2086
(cd "$T" && e2e_env timeout -k 5 -s TERM 1 "$AGENTSH" mount --foreground --policy "$T/p.yaml" --name four "$W" "$M") >"$T/out" 2>&1
is 'foreground: SIGTERM from timeout' $? 124
like 'foreground: the closing line' "$(cat "$T/out")" 'agentsh: session four: '
mounted "$M" && nok 'SIGTERM unmounts' || ok 'SIGTERM unmounts'
is 'SIGTERM: ended in order' "$(state_of four state) $(state_of four status)" 'ended 0'
for signal in INT TERM; do
	mnt --name "by-$signal" "$W" "$M"
	use
	kill -s $signal "$(supervisor_of "by-$signal")"
	until_true ended "by-$signal" && ok "SIG$signal ends one that is in use" || nok "SIG$signal ends one that is in use"
	mounted "$M" && nok "SIG$signal: unmounted" || ok "SIG$signal: unmounted"
	kill $holder
	wait $holder 2>/dev/null
done

# ---- options ----
start_over
if [ "$(id -u)" = 0 ]; then
	mnt --name copied "$W" "$M"
	unshare -m sleep 30 &
	copy=$!
	until_true sh -c "grep -qF agentsh/copied /proc/$copy/mountinfo && [ \"\$(readlink /proc/$copy/ns/mnt)\" != \"\$(readlink /proc/self/ns/mnt)\" ]"
	ctl umount "$M" >"$T/out" 2>&1
	is 'umount ends one that another mount namespace has a copy of' "$?$(cat "$T/out") $(state_of copied state)" '0 ended'
	kill $copy
	wait $copy 2>/dev/null
fi
mnt --read-only --name ro "$W" "$M"
like '--read-only' "$(in_mount 'cat file; echo x >>file; echo status $?')" 'hello
.*ead-only file system'
ctl umount "$M"
mnt --name over "$W" "$W" 2>"$T/out"
is 'over the source itself' "$?$(cat "$T/out")" 0
like 'over the source itself: governed' "$(as sh -c "cat '$W/file'; cat '$W/secret'" 2>&1)" 'hello
.*No such file'
ctl umount "$W"
is 'the source is as it was' "$(cat "$W/secret")" key
mkdir "$T/with space ä" && own "$T/with space ä"
mnt --name space "$W" "$T/with space ä" && is 'a place with a space and UTF-8' "$(as cat "$T/with space ä/file")" hello
ctl umount "$T/with space ä" || nok 'umount of a place with a space'
mnt --name ask "$W" "$M"
as cat "$M/held" >"$T/held" 2>&1 &
reader=$!
id_of() { ctl approve list --json | grep -o '"id": *[0-9]*' | grep -o '[0-9]*$'; }
held() { [ -n "$(id_of)" ]; }
until_true held
ctl approve "$(id_of)" allow >/dev/null
wait $reader
is 'a held open is answered by agentsh approve' "$(cat "$T/held")" held
mkdir "$T/second" && own "$T/second"
mnt --name other "$W" "$T/second"
is 'two at once' "$(as cat "$T/second/file")$(in_mount 'cat file')" 'hellohello'
ctl umount "$T/second"

# ---- refusals ----
bad() { # NAME PATTERN ARG...
	b_name=$1 b_pattern=$2
	shift 2
	mnt "$@" >"$T/out" 2>&1
	b_status=$?
	like "refused: $b_name" "$b_status $(cat "$T/out")" "^2 agentsh: .*$b_pattern"
}
bad 'mounted already' 'governed already, by session ask' "$W" "$M"
bad 'no source' 'No such file' "$T/none" "$T/second"
bad 'no mount point' 'No such file' "$W" "$T/none"
bad 'inside the source' 'would show itself' "$W" "$W/fixed"
bad 'over agentsh itself' 'AGENTSH_STATE_DIR' "$W" "$T"
bad 'a file as mount point' 'not a directory' "$W" "$W/file"
bad 'the root' 'whole system' / "$T/second"
bad 'an unknown option' '--help' --sideways "$W" "$T/second"
bad 'a name in use' 'is running' --name ask "$W" "$T/second"
ctl mount --policy "$T/none.yaml" "$W" "$T/second" >"$T/out" 2>&1
is 'refused: no such policy' $? 2
ctl umount "$M"
ctl umount "$M" >"$T/out" 2>&1
is 'umount of what is not mounted: 1' $? 1
like 'umount of what is not mounted: says so' "$(cat "$T/out")" 'no mount of agentsh'
ctl umount /proc >"$T/out" 2>&1
is 'umount of a foreign mount: 1' $? 1
if [ -n "$AS" ]; then
	mkdir -m 755 "$T/roots"
	mnt "$W" "$T/roots" >"$T/out" 2>&1
	is 'a place that is not the caller'\''s: 3' $? 3
	like 'a place that is not the caller'\''s: what fusermount3 says' "$(cat "$T/out")" 'fusermount3: .*no write access'
	is 'nothing is left of it' "$(ls "$T/state/mounts")" ''
	mnt --name closed "$W" "$M"
	grep -q '^user_allow_other' /etc/fuse.conf || is 'closed to others without user_allow_other' "$(cat "$M/file" 2>&1 | grep -c 'ermission denied')" 1
	ctl umount "$M"
fi

# ---- deaths ----
start_over
dead() { as stat -f "$M" 2>&1 | grep -q 'not connected'; }
mnt --name shot "$W" "$M"
kill -9 "$(gate_of shot)"
until_true ended shot
is 'fsgate killed: the session ends, status 3' "$(state_of shot status)" 3
dead && ok 'fsgate killed: the mount stays, dead' || nok 'fsgate killed: the mount stays, dead'
like 'fsgate killed: why is in its log' "$(cat "$T/state/sessions/shot.log")" 'fsgate died'
ctl umount "$M" >"$T/out" 2>&1
is 'umount clears a dead mount' "$? $(ls "$T/state/mounts")" '0 '
mounted "$M" && nok 'a dead mount is gone' || ok 'a dead mount is gone'
mnt --name live "$W" "$T/second"
mnt --name orphan "$W" "$M"
kill -9 "$(supervisor_of orphan)"
until_true dead && ok 'supervisor killed: the mount is dead' || nok 'supervisor killed: the mount is dead'
is 'supervisor killed: lost' "$(state_of orphan state)" lost
: >"$T/state/mounts/foreign" && printf /proc >"$T/state/mounts/foreign"
printf '%s' "$T/second" >"$T/state/mounts/thief"
own "$T/state/mounts"
mnt --name next "$W" "$M" >"$T/out" 2>&1
is 'the next start cleans up, and mounts' $? 0
like 'the next start says so' "$(cat "$T/out")" 'orphan.*dead'
is 'the lost session is marked ended' "$(state_of orphan state) $(state_of orphan status)" 'ended 125'
is 'it works again' "$(in_mount 'cat file')" hello
mounted /proc && ok 'a foreign mount is not touched' || nok 'a foreign mount is not touched'
is 'another session'\''s mount is not touched' "$(as cat "$T/second/file")" hello
ctl umount "$T/second"
ctl umount "$M"
mnt --name orphan2 "$W" "$M"
kill -9 "$(supervisor_of orphan2)"
until_true dead
wrap true 2>"$T/out"
mounted "$M" && nok 'wrap cleans up as well' || ok 'wrap cleans up as well'
ctl audit verify >"$T/out" 2>&1
[ $? != 1 ] && ok 'nothing was tampered with' || nok 'nothing was tampered with' "$(cat "$T/out")"
no_leftover 'nothing is left'
done_testing
