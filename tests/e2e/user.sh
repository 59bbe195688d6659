#!/bin/sh
# The same as an ordinary user: started by root, the other scripts run again as nobody.
set -u
if [ "$(id -u)" != 0 ]; then
	echo 'ok 1 - started by an ordinary user: every script runs as one already'
	echo '1..1'
	exit 0
fi
here=$(cd "$(dirname "$0")" && pwd)
failed=0 n=0
for s in status confine io terminal programs network badinput approve audit nested why held mount trash redirect workspaces outside undo; do
	n=$((n + 1))
	out=$(E2E_USER=nobody timeout -k 5 280 "$here/$s.sh" 2>&1)
	if [ $? = 0 ]; then echo "ok $n - $s as nobody"; else
		failed=$((failed + 1))
		echo "not ok $n - $s as nobody"
		printf '%s\n' "$out" | grep -A 12 '^not ok\|^Bail' | head -n 80 | sed 's/^/# /'
	fi
done
n=$((n + 1))
out=$(E2E_USER=nobody KILL_LOOPS=${KILL_LOOPS_USER:-6} timeout -k 5 280 "$here/kill.sh" 2>&1)
if [ $? = 0 ]; then echo "ok $n - kill as nobody"; else
	failed=$((failed + 1))
	echo "not ok $n - kill as nobody"
	printf '%s\n' "$out" | grep -A 12 '^not ok\|^Bail' | head -n 40 | sed 's/^/# /'
fi
echo "1..$n"
[ $failed = 0 ]
