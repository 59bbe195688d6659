#!/bin/sh
# Pipes, big outputs, environment, working directory, signals: as without agentsh.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

is 'stdin is a pipe' "$(echo hello | wrap cat 2>&1)" hello
is 'stdin is empty' "$(wrap cat </dev/null 2>&1)" ''
is 'stdin is a file' "$(printf 'one\ntwo' >"$T/in" && wrap cat <"$T/in" 2>&1)" 'one
two'
head -c 20000000 /dev/urandom >"$T/big"
is '20 MB through' "$(wrap cat <"$T/big" | md5sum)" "$(md5sum <"$T/big")"
is '20 MB out' "$(wrap head -c 20000000 /dev/zero | wc -c | tr -d ' ')" 20000000
is 'stdout and stderr stay apart' "$(wrap sh -c 'echo out; echo err >&2' 2>/dev/null)" out
is 'reader that goes away' "$(wrap yes | head -n 2)" 'y
y'
same 'closed stdout' 'exec >&-; echo x'
is 'arguments are not touched' "$(wrap printf '%s|' 'a b' '' "*" "\$x" "q'q" 2>&1)" "a b||*|\$x|q'q|"
is 'long argument list' "$(wrap sh -c 'echo $#' x $(seq 1 20000) 2>&1)" 20000
is 'working directory' "$(wrap pwd)" "$W"
mkdir -p "$W/sub/dir" && own "$W"
is 'working directory below the workspace' "$(cd "$W/sub/dir" && e2e_env timeout 60 "$AGENTSH" wrap --isolate --quiet --pack code-edit --workspace "$W" -- pwd)" "$W/sub/dir"
is 'files written inside are there outside' "$(wrap sh -c 'echo content >made; mkdir d; echo x >d/y' && cat "$W/made" "$W/d/y")" 'content
x'
is 'owner of a new file is the caller' "$(stat -c %u "$W/made")" "$(as id -u)"
is 'id inside' "$(wrap id -u)" "$(as id -u)"
for d in 'two words' "$(printf 'two\nlines')" "glob*[x]{y,z}" 'q"uo\te' '-dash' '$HOME' ; do
	mkdir -p "$T/$d" && own "$T/$d"
	is "a workspace called $(printf %s "$d" | tr '\n' '?')" \
		"$(cd "$T/$d" && e2e_env timeout 60 "$AGENTSH" wrap --isolate --quiet --pack code-edit -- sh -c 'echo x >f && rm f && pwd' 2>&1)" "$T/$d"
done
ln -s "$W" "$T/link"
is 'a workspace by a symbolic link' "$(cd "$T" && e2e_env timeout 60 "$AGENTSH" wrap --isolate --quiet --pack code-edit --workspace "$T/link/" -- sh -c 'pwd; echo x >f && rm f' 2>&1)" "$W"
is 'a narrow umask' "$(umask 077 && wrap sh -c 'umask; : >none; stat -c %a none' 2>&1)" '0077
600'
is 'closed descriptors' "$(wrap sh -c 'echo x >ran; exit 5' <&- >&- 2>&-; echo $?; cat "$W/ran")" '5
x'
# shellcheck disable=SC3045 # dash has it
is 'a small limit of descriptors' "$(ulimit -n 40; wrap echo fine 2>&1)" fine
is 'one long argument' "$(wrap sh -c '/bin/echo "$(head -c 120000 /dev/zero | tr "\0" a)" | wc -c' 2>&1)" 120001
is 'stdin cannot be written by another door' "$(echo original >"$T/host" && own "$T/host" && wrap sh -c 'echo changed >/proc/self/fd/0; echo changed >/dev/stdin' <"$T/host" >/dev/null 2>&1; cat "$T/host")" original
is 'umask' "$(umask 027 && wrap sh -c 'umask; : >um; stat -c %a um')" '0027
640'
is '--env' "$(wrap -o --env -o FOO=bar sh -c 'echo $FOO')" bar
is '--mount-at' "$(wrap -o '--mount-at /workspace' sh -c 'pwd; ls -d /workspace')" '/workspace
/workspace'
is 'only descriptors 0 to 2' "$(wrap sh -c 'ls /proc/self/fd' 5</etc/hosts 7</etc/passwd | tr '\n' ' ')" '0 1 2 3 '
is 'nothing runs before its time' "$(wrap sh -c 'echo $PPID')" 1
is 'a background child may finish first' "$(wrap sh -c 'sleep 0.1 & wait; echo waited')" waited

# a signal to agentsh reaches the command, which decides itself
for s in TERM INT HUP USR1 QUIT; do
	cat >"$W/handler" <<-END
		trap 'echo got $s; exit 7' $s
		echo ready
		while :; do sleep 0.1; done
	END
	own "$W"
	rm -f "$T/out"
	# shellcheck disable=SC2086 # words
	(cd "$W" && exec $AS $python -c 'import os, signal, sys
for n in ("INT", "QUIT"):
    signal.signal(getattr(signal, "SIG" + n), signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' "$(command -v env)" -i PATH="$PATH" HOME="$T/home" AGENTSH_STATE_DIR="$T/state" \
		"$AGENTSH" wrap --isolate --quiet --pack code-edit -- sh ./handler) >"$T/out" 2>&1 &
	pid=$!
	if until_true grep -qs ready "$T/out"; then kill -s $s $pid; else kill -9 $pid; fi
	( sleep 20; kill -9 $pid ) 2>/dev/null &
	guard=$!
	wait $pid
	is "SIG$s: status of the handler" $? 7
	kill $guard 2>/dev/null
	like "SIG$s: the handler ran" "$(cat "$T/out")" "got $s"
done
no_leftover 'nothing is left'
done_testing
