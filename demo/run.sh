#!/bin/sh
# A development job under `agentsh wrap --isolate --pack code-edit`, and what an agent must not do.
# usage: run.sh [--agentsh PROGRAM] [--keep] [--full]
#
# Servers (nginx with git, a DNS), workspace, home and audit log are in one temporary directory,
# which --keep leaves there; --full shows all of the timeline. The exit status is 0 when every
# allowed thing worked, every forbidden one was refused, and the log verifies.
set -u
umask 022
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH LC_ALL=C.UTF-8

demo=$(cd "$(dirname "$0")" && pwd)
agentsh=
keep=
full=
while [ $# -gt 0 ]; do
	case $1 in
	--agentsh) agentsh=${2:?--agentsh needs a program} && shift ;;
	--keep) keep=1 ;;
	--full) full=1 ;;
	*) sed -n 's/^# \(usage:\)/\1/p' "$0" >&2 && exit 2 ;;
	esac
	shift
done
if [ -z "$agentsh" ]; then
	agentsh=$demo/../build/agentsh/agentsh
	[ -x "$agentsh" ] || agentsh=$(command -v agentsh) || agentsh=
fi

die() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

title() {
	printf '\n== %s\n' "$*"
}

[ -x "$agentsh" ] || die "no agentsh program: run ./bootstrap build, or say --agentsh PROGRAM"
for program in nginx fcgiwrap dnsmasq git openssl curl make cc setsid; do
	command -v $program >/dev/null || die "$program is missing: ./bootstrap demo installs it"
done

case ${TMPDIR:-/tmp} in
*[!A-Za-z0-9/._+-]*) TMPDIR=/tmp ;; # nginx.conf and a sed script name it
esac
tmp=$(mktemp -d "${TMPDIR:-/tmp}/agentsh-demo.XXXXXX") || exit 1
tmp=$(cd "$tmp" && pwd -P)
port=
dns_port=
. "$demo/servers.sh"

finish() {
	servers_stop
	if [ -n "$keep" ]; then
		printf '\nkept: %s\n' "$tmp"
	else
		chmod -R u+rwX "$tmp" # copies of a read-only source tree
		rm -rf "$tmp"
	fi
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Nothing of the caller's own git settings, home or agentsh state takes part.
export HOME="$tmp/home" AGENTSH_STATE_DIR="$tmp/state" AGENTSH_CONFIG_DIR="$tmp/config"
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE XDG_CONFIG_HOME
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
project=$tmp/project
marker="not-a-real-key-$$"

make_home() {
	mkdir -p "$HOME/.ssh" && chmod 700 "$HOME/.ssh"
	printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n' \
		"$marker" >"$HOME/.ssh/id_rsa"
	chmod 600 "$HOME/.ssh/id_rsa"
}

make_repositories() {
	export GIT_AUTHOR_NAME=Demo GIT_AUTHOR_EMAIL=demo@example.test
	export GIT_COMMITTER_NAME=Demo GIT_COMMITTER_EMAIL=demo@example.test
	mkdir -p "$tmp/srv/git"
	make_repository slug "$demo/dependency" && make_repository headline "$demo/project" || return 1
	unset GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
}

# The workspace: a clone of headline, the agent's script, the CA that it shall trust.
make_workspace() {
	git clone --quiet "$tmp/srv/git/headline.git" "$project" &&
	git -C "$project" config user.name "Demo Agent" &&
	git -C "$project" config user.email agent@example.test &&
	git -C "$project" remote set-url origin "https://git.example.test:$port/git/headline.git" &&
	cp "$demo/agent.sh" "$tmp/ca/ca.pem" "$project/" &&
	printf '%s\n' /agent.sh /ca.pem /bin/ >>"$project/.git/info/exclude" || return 1
	sudo=sudo
	if ! command -v sudo >/dev/null; then
		# refused for its name, as the real one would be
		sudo=$project/bin/sudo
		mkdir "$project/bin"
		printf '#!/bin/sh\necho "sudo: running $*"\n' >"$sudo"
		chmod 755 "$sudo"
	fi
}

# Without agentsh each of these works: a refusal below is not just a thing that is not there.
controls() {
	evil=https://evil.example.test:$port/
	[ "$(curl --silent --insecure --data x --resolve "evil.example.test:$port:127.0.0.1" "$evil")" = \
		"thank you" ] && grep -q "$marker" "$HOME/.ssh/id_rsa"
}

# A user's policy for this server: see policy.yaml
wrap() {
	cd "$project" || return 1
	set -- "$agentsh" wrap --isolate --pack code-edit --policy "$demo/policy.yaml" \
		--workspace "$project" --dns "127.0.0.1:$dns_port" --name demo \
		--env "GIT_SSL_CAINFO=$project/ca.pem" --env "DEMO_SUDO=$sudo" --env "EVIL_URL=$evil" \
		--env "GIT_URL=https://git.example.test:$port/git/slug.git" -- sh agent.sh
	printf '$ agentsh'
	for word; do
		[ "$word" = "$agentsh" ] || printf ' %s' "$word"
	done | sed -e "s|$project|PROJECT|g" -e "s|$demo|demo|g"
	echo
	timeout --foreground -k 5 300 "$@" </dev/null
	echo $? >"$tmp/status"
}

passed=0
failed=0

# check TEXT COMMAND...
check() {
	text=$1
	shift
	if "$@" >/dev/null 2>&1; then
		passed=$((passed + 1))
		echo "ok      $text"
	else
		failed=$((failed + 1))
		echo "NOT OK  $text"
	fi
}

agent_said() {
	grep -q -x -e "-> $1" "$tmp/transcript"
}

# recorded STRING...: one event of the log has all of these, and was denied
recorded() {
	lines=$(grep '"decision": *"deny"' "$tmp/events.json") || return 1
	for string; do
		lines=$(printf '%s\n' "$lines" | grep -F -e "$string") || return 1
	done
}

unsaid() {
	! grep -q -F -e "$1" "$tmp/transcript"
}

refs() {
	git -C "$tmp/srv/git/headline.git" for-each-ref
}

check_work() {
	check "agentsh ended with the agent's status" grep -q -x 0 "$tmp/status"
	for step in clone build edit rebuild test commit log; do
		check "allowed: $step" agent_said "$step: done"
	done
	check "the test failed before the fix" agent_said "failing test: seen"
	check "the commit is in the workspace" \
		sh -c "git -C '$project' log --format=%s | grep -q 'Capitalise after a hyphen'"
}

check_refusals() {
	for attempt in delete-protected overwrite-protected read-ssh-key curl-not-allowed raw-ip \
		udp-out sudo write-etc-hosts force-push; do
		check "refused: $attempt" agent_said "$attempt: refused"
	done
	check "nothing that had to be refused worked" unsaid "IT WORKED"
	check "the key stayed secret" unsaid "$marker"
	check "the protected file is as it was" cmp "$demo/project/tests/expected.txt" \
		"$project/tests/expected.txt"
	check "/etc/hosts is as it was" test "$hosts_before" = "$(cksum /etc/hosts 2>&1)"
	check "the server's history is as it was" test "$refs_before" = "$(refs)"
	check "nothing reached the other server" test "$posts_before" = "$(posts)"
}

check_log() {
	check "the agent was told why" grep -q -E "agentsh: denied: (/[^ ]*/)?git push" "$tmp/transcript"
	check "recorded: the protected file" recorded tests/expected.txt keep-expected-results
	check "recorded: the other server" recorded evil.example.test
	check "recorded: the raw address" recorded 203.0.113.7
	check "recorded: sudo" recorded '/sudo"'
	check "recorded: git push --force" recorded git-force-push
	check "the log verifies" test "$verify_status" = 0
}

# All of the log with --full; else without its bulk, which is allowed work on files.
timeline() {
	if [ -n "$full" ]; then
		cat "$tmp/events.txt"
		return
	fi
	bulk='^[^ ]+ +fs +[a-z_]+ +(allow|-) '
	grep -v -E "$bulk" "$tmp/events.txt" | cut -c 1-150
	echo "... and $(grep -c -E "$bulk" "$tmp/events.txt") records of allowed work on files (--full shows them)"
}

posts() {
	grep -c 'POST / ' "$tmp/access.log"
}

title "Servers: a DNS, and nginx with git over HTTPS, on 127.0.0.1 in $tmp"
make_home && make_repositories || die "cannot make the repositories"
servers_start || die "cannot start the servers: $(tail -n 3 "$tmp"/*.out "$tmp/nginx.log" 2>/dev/null)"
make_workspace || die "cannot make the workspace"
cp -a "$project" "$tmp/before" || die "cannot copy the workspace"
controls || die "the servers do not answer as they should"
echo "git.example.test:$port and evil.example.test:$port answer; DNS on port $dns_port"
hosts_before=$(cksum /etc/hosts 2>&1)
refs_before=$(refs)
posts_before=$(posts)

title "The agent at work"
wrap 2>&1 | tee "$tmp/transcript"
if [ "$(cat "$tmp/status")" = 125 ]; then
	title "agentsh detect"
	"$agentsh" detect
	die "the sandbox could not be set up here, see above"
fi

title "What happened: agentsh audit cat"
"$agentsh" audit cat >"$tmp/events.txt"
timeline | sed "s|$project|PROJECT|g"
"$agentsh" audit cat --json >"$tmp/events.json"

title "Is the log whole: agentsh audit verify"
"$agentsh" audit verify
verify_status=$?

title "Was it as it should be"
check_work
check_refusals
check_log

title "What it changed in src: agentsh diff demo PROJECT/src"
"$agentsh" diff demo "$project/src" | sed "s|$project|PROJECT|g"
title "All of it back, the commit too: agentsh undo demo"
# of the lines that say what is done: the first few
"$agentsh" undo demo >"$tmp/undo.txt" 2>&1
undo_status=$?
head -n 5 "$tmp/undo.txt" | sed "s|$project|PROJECT|g"
echo "... $(wc -l <"$tmp/undo.txt") lines"
check "undo put everything back" test "$undo_status" = 0
check "the workspace is as it was, .git included" diff -r --no-dereference "$tmp/before" "$project"
echo
echo "demo: $passed passed, $failed failed"
[ $failed = 0 ]
