#!/bin/sh
# A file system below the mount that does not answer: who asks it waits, all others go on.
# The one below is a mount of ours that holds some opens for a person.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$T/below.yaml" <<'YAML'
version: 1
name: below
file_rules:
  - {name: held, paths: ["${WORKSPACE}/held*"], operations: [open, read], decision: approve, timeout: 100s}
  - {name: all, paths: ["${WORKSPACE}", "${WORKSPACE}/**"], operations: ["*"], decision: allow}
YAML
cat >"$T/above.yaml" <<'YAML'
version: 1
name: above
file_rules:
  - {name: all, paths: ["${WORKSPACE}", "${WORKSPACE}/**"], operations: ["*"], decision: allow}
YAML
B=$T/below
M=$T/above
unmount_all() {
	for m in "$M" "$B"; do umount -l "$m" 2>/dev/null; done
	e2e_cleanup
}
tap_cleanup=unmount_all
if [ "$(id -u)" != 0 ] || [ ! -w /dev/fuse ]; then
	skip blocked 'needs root and /dev/fuse'
	done_testing
fi
mkdir "$B" "$M"
echo quick >"$W/file"
for n in 1 2 3 4 5; do echo "$n" >"$W/held$n"; done
ctl mount --policy "$T/below.yaml" --name below "$W" "$B" >"$T/out" 2>&1 || nok 'mount' "$(cat "$T/out")"
ctl mount --policy "$T/above.yaml" --name above "$B" "$M" >"$T/out" 2>&1 || nok 'mount' "$(cat "$T/out")"
is 'through both' "$(cat "$M/file")" quick
waiting=
for n in 1 2 3 4 5; do
	cat "$M/held$n" >"$T/got$n" 2>/dev/null &
	waiting="$waiting $!"
done
held() { [ "$(ctl approve list --json 2>/dev/null | grep -o '"id"' | grep -c .)" = 5 ]; }
until_true held && ok 'five wait for the file system below' || nok 'five wait' "$(ctl approve list --json 2>&1)"
try 'others go on' timeout 60 sh -c "cat '$M/file' && echo new >'$M/new' && ls '$M' && mv '$M/new' '$M/newer'"
still=
for p in $waiting; do kill -0 "$p" 2>/dev/null && still="${still}w"; done
is 'while the five wait' "$still" wwwww
for id in $(ctl approve list --json | tr -d '\n ' | grep -o '"id":[0-9]*' | cut -d: -f2); do
	ctl approve "$id" allow >/dev/null 2>&1
done
# shellcheck disable=SC2086 # pids
wait $waiting
is 'and they get their answers' "$(cat "$T"/got*)" '1
2
3
4
5'
is 'unmounted' "$(ctl umount "$M" 2>&1; ctl umount "$B" 2>&1)" ''
done_testing
