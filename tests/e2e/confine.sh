#!/bin/sh
# The running file server has given up what it does not need: every thread of it, as the kernel says.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

wrap sh -c 'for i in 1 2 3 4 5 6 7 8; do (cat x$i 2>/dev/null; echo $i >f$i; rm f$i) & done; wait
	echo up >up; while [ ! -e go ]; do sleep 0.1; done; echo went on' >"$T/bg" 2>&1 </dev/null &
bg=$!
until_true test -s "$W/up"
supervisors=$(ps -s $$ -o pid=,args= | awk '/[a]gentsh\/agentsh wrap/ { print $1 }' | tr '\n' ' ')
gate=$(ps -e -o pid=,ppid=,comm= | awk -v of=" $supervisors" '$3 == "fsgate" && index(of, " " $2 " ") { print $1; exit }')
status() { sed -n "s/^$1:[[:space:]]*//p" /proc/"$gate"/task/*/status | sort -u; }
[ -n "$gate" ] && ok 'the gate is found' || nok 'the gate is found' "$supervisors"
is 'no_new_privs' "$(status NoNewPrivs)" 1
is 'a seccomp filter' "$(status Seccomp)" 2
is 'no inheritable or ambient capability' "$(status CapInh) $(status CapAmb)" '0000000000000000 0000000000000000'
if [ "$(id -u)" = 0 ] && [ -z "$AS" ]; then
	# CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER SETGID SETUID, and SYS_ADMIN for passthrough alone
	may=$((0xcf | 1 << 21))
else
	may=0
fi
for set in CapEff CapPrm; do
	over=
	for c in $(status $set); do [ $((0x$c & ~may)) = 0 ] || over="$over $c"; done
	is "$set: no more than serving takes" "$over" ''
done
is 'not traceable, no core' "$(awk '/core file/ { print $5 $6 }' /proc/"$gate"/limits)" 00
: >"$W/go"
wait $bg
is 'and it serves' "$(cat "$T/bg")" 'went on'
no_leftover 'nothing is left'
done_testing
