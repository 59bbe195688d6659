#!/bin/sh
# The demo as a test: as whoever runs the tests; root runs it as nobody as well, from an
# installed tree, because an ordinary user need not be able to reach the build directory.
set -u
PATH=$PATH:/usr/sbin:/sbin
export PATH
build=$(pwd)
demo=$(cd "${srcdir:?make check sets it}/demo" && pwd) || exit 99

for program in nginx fcgiwrap dnsmasq git openssl curl; do
	command -v $program >/dev/null || { echo "skipped: no $program"; exit 77; }
done

status=0
echo "# as $(id -un)"
timeout -k 10 400 sh "$demo/run.sh" --agentsh "$build/agentsh/agentsh" || status=1
[ "$(id -u)" = 0 ] || exit $status

as_nobody() {
	setpriv --reuid nobody --regid nogroup --clear-groups "$@"
}

user_part() {
	if ! as_nobody unshare --user true 2>/dev/null; then
		echo "not run as nobody: no user namespaces for ordinary users here"
		return 0
	fi
	if ! as_nobody sh -c 'true <>/dev/fuse' 2>/dev/null; then
		echo "not run as nobody: /dev/fuse is not for ordinary users (./bootstrap check opens it)"
		return 0
	fi
	chmod 755 "$tmp"
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$build" install prefix="$tmp/tree" \
		>"$tmp/install.log" 2>&1 || { cat "$tmp/install.log"; return 1; }
	cp -R "$demo" "$tmp/demo"
	mkdir "$tmp/work"
	chown nobody:nogroup "$tmp/work"
	echo "# as nobody, from an installed tree"
	TMPDIR=$tmp/work as_nobody timeout -k 10 400 sh "$tmp/demo/run.sh" \
		--agentsh "$tmp/tree/bin/agentsh"
}

tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP
user_part || status=1
exit $status
