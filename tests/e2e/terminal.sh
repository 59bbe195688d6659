#!/bin/sh
# Under a terminal: window size, job control, Ctrl-C, Ctrl-Z, tmux.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
for p in script tmux; do command -v $p >/dev/null || nok "$p is installed" "install $p"; done

# run a shell line with a terminal of its own, agentsh in it as the only program
on_tty() { # COMMAND, as sh -c text; $wrapped stands before it
	e2e_env timeout -k 5 "$LIMIT" script -qec "$1" /dev/null </dev/null | tr -d '\r'
}
wrapped="cd $W && $AGENTSH wrap --isolate --quiet --pack code-edit --"

is 'isatty' "$(on_tty "$wrapped sh -c 'test -t 0 && test -t 1 && test -t 2 && echo tty'")" tty
is 'window size' "$(on_tty "stty rows 33 cols 111; $wrapped stty size")" '33 111'
is 'status through script' "$(on_tty "$wrapped sh -c 'exit 9'; echo \$?")" 9
is '/dev/tty works' "$(on_tty "$wrapped sh -c 'echo to-tty >/dev/tty'")" to-tty
is 'job control in bash' "$(on_tty "$wrapped bash -ic 'sleep 100 & jobs -p >/dev/null; kill %1; wait %1; echo status \$?' 2>&1" | grep status)" 'status 143'
is 'fg of a stopped job' "$(on_tty "$wrapped bash -ic 'sh -c \"kill -STOP \\\$\\\$; echo resumed\"; fg >/dev/null; echo done' 2>&1" | grep -xE 'resumed|done' | tr '\n' ' ')" 'resumed done '

cat >"$T/drive.py" <<'END'
"""drive.py ROUTINE COMMAND...: a person at a terminal. Prints what matters, once."""
import fcntl, os, pty, re, select, signal, struct, sys, termios, time
routine, argv = sys.argv[1], sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(argv[0], argv)
seen = b""


def expect(pattern, seconds=20):
    global seen
    end = time.time() + seconds
    while not re.search(pattern, seen):
        if time.time() > end:
            print("no", pattern, "in", seen[-300:])
            os.kill(pid, signal.SIGKILL)
            sys.exit(1)
        if select.select([fd], [], [], 0.1)[0]:
            try:
                seen += os.read(fd, 65536)
            except OSError:
                break
    m = re.search(pattern, seen)
    seen = seen[m.end():] if m else b""


def send(text):
    os.write(fd, text)


if routine == "ctrl-c":
    expect(rb"ready")
    send(b"\x03")
    expect(rb"interrupted")
elif routine == "winch":
    expect(rb"ready")
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 122, 0, 0))
    expect(rb"size 44 122")
elif routine == "ctrl-z":
    # the shell outside stops agentsh's job and starts it again
    expect(rb"\$ ")
    send(b"exec 2>&1; " + os.environ["WRAPPED"].encode() + b" sh -c 'echo in''side; read x; echo got=$x'\n")
    expect(rb"inside")
    send(b"\x1a")
    expect(rb"Stopped")
    send(b"echo out''side\n")
    expect(rb"outside")
    send(b"fg\n")
    time.sleep(0.5)
    send(b"word\n")
    expect(rb"got=word")
    send(b"exit\n")
elif routine == "ctrl-c-status":
    expect(rb"\$ ")
    send(os.environ["WRAPPED"].encode() + b" sleep 50; echo sta''tus $?\n")
    time.sleep(1.5)
    send(b"\x03")
    expect(rb"status 130")
    send(b"stty -a | grep -o ' icanon'; exit\n")
    expect(rb" icanon")
print("fine")
os.kill(pid, signal.SIGKILL)
END
chmod 644 "$T/drive.py"
drive() { # NAME ROUTINE COMMAND...
	drive_name=$1
	shift
	is "$drive_name" "$(WRAPPED="$wrapped" e2e_env WRAPPED="$wrapped" PS1='$ ' timeout -k 5 60 $python "$T/drive.py" "$@" 2>&1)" fine
}
drive 'Ctrl-C reaches the command' ctrl-c sh -c "$wrapped sh -c 'trap \"echo interrupted; exit 3\" INT; echo ready; while :; do sleep 0.1; done'"
drive 'a new window size reaches the command' winch sh -c "$wrapped bash -c 'trap \"echo size \\\$(stty size)\" WINCH; echo ready; while :; do sleep 0.1; done'"
drive 'Ctrl-Z and fg from the shell outside' ctrl-z bash --norc -i
drive 'Ctrl-C: status 130, the terminal is sane' ctrl-c-status bash --norc -i

# tmux inside: a server, its socket, a pane with a shell
wrap sh -c 'TERM=screen tmux -S ./sock -f /dev/null new-session -d -x 80 -y 24 "echo in-the-pane; sleep 20" \; set -g remain-on-exit on &&
	for i in 1 2 3 4 5 6 7 8 9 10; do tmux -S ./sock capture-pane -p | grep in-the-pane && break; sleep 0.2; done; tmux -S ./sock kill-server' >"$T/out" 2>"$T/err"
is 'tmux inside' "$(cat "$T/out")$(head -n 3 "$T/err")" in-the-pane
no_leftover 'nothing is left'
done_testing
