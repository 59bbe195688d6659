#!/bin/sh
# audit.log_outside_reads: what is read in trees that are plain binds, by fanotify or, for who cannot
# have that, because such trees are governed then.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

printf 'version: 1\nname: outside\nextends: [code-edit]\naudit: {log_outside_reads: true}\n' >"$T/outside.yaml"
script='cat /usr/lib/os-release /usr/lib/os-release >/dev/null; head -c 1 /usr/bin/env >/dev/null; '$python' -c "for i in range(300): open(\"/usr/lib/os-release\").close()"; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40; do /bin/true; done'
records() { ctl audit cat --json --session "$1"; }

wrap -o '--name plain' sh -c "$script"
like 'without the key: /usr is a plain bind' "$(wrap -o --print-plan true)" '^read-only +/usr '
unlike 'without the key: nothing of it is recorded' "$(records plain)" '"op":"(read|open)".*"path":"/usr/lib/os-release"'
PACK="--policy $T/outside.yaml"
start=$(date +%s)
wrap -o '--name logged' sh -c "$script"
is 'with the key: the job runs' $? 0
log=$(records logged)
if [ "$(as id -u)" = 0 ]; then
	like '/usr stays a plain bind' "$(wrap -o --print-plan true)" '^read-only +/usr '
	like 'a file that was read' "$log" '"op":"read".*"path":"/usr/lib/os-release".*"count":[12]'
	like 'a program that was run' "$log" '"op":"run".*"path":"/usr/bin/(cat|env|head)"'
	like 'a program that was read' "$log" '"op":"read".*"path":"/usr/bin/env"'
	total=$(printf '%s\n' "$log" | grep '"path":"/usr/lib/os-release"' | grep -o '"count":[0-9]*' | cut -d: -f2 | awk '{ n += $1 } END { print n }')
	# equal events that wait in the kernel's queue become one
	[ "$total" -ge 3 ] && [ "$total" -le 302 ] && ok 'opens are counted' || nok 'opens are counted' "$total"
	few=$(printf '%s\n' "$log" | grep -c '"path":"/usr/lib/os-release"')
	[ "$few" -le $((8 + 2 * ($(date +%s) - start))) ] && ok 'one record for a process and file in a second' || nok 'one record for a process and file in a second' "$few"
	like 'the loader is left out after a while' "$log" '"note":"a file of the loader.*"path":"/usr/lib/.*libc'
	unlike 'our own looks are not recorded' "$log" '"op":"(read|run)".*"comm":"(execgate|agentsh|agentsh-execgate)"'
	unlike 'nothing was lost' "$log" '"op":"gap"'
	# what is on a mount of its own below a bind
	mkdir "$T/sub" && echo deep >"$T/sub/file" && chmod 755 "$T/sub"
	if mount --bind "$T/sub" /usr/local/src 2>/dev/null; then
		wrap -o '--name below' cat /usr/local/src/file >"$T/out"
		umount /usr/local/src
		is 'a mount below a bind is seen' "$(cat "$T/out")" deep
		like 'a mount below a bind is watched' "$(records below)" '"op":"read".*"path":"/usr/local/src/file"'
	else
		nok 'mount over /usr/local/src'
	fi
else
	like '/usr is governed, and why' "$(wrap -o --print-plan true)" '^governed +/usr .*to be recorded'
	like 'a file that was read' "$log" '"op":"open".*"decision":"allow".*"path":"/usr/lib/os-release"'
	like 'a program that was read' "$log" '"op":"open".*"path":"/usr/bin/env"'
fi
ctl audit verify >"$T/out" 2>&1
is 'verify' $? 0
no_leftover 'nothing is left'
done_testing
