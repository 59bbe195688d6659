#!/bin/bash
# A full disk says so to the program and spoils nothing; a gate that is killed in the middle of writes
# leaves what was synced whole, ends the session with 125, and an audit chain that is not tampered with.
# Long: KILL_LOOPS=100.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh disable=SC2154
. "$here/../e2e/lib.sh"
loops=${KILL_LOOPS:-3}

# ---- full ----
# what is written until there is no more room, and what is left of it afterwards
cat >"$T/fill.py" <<'END'
import errno, os, sys, time
def why(f):
    try:
        f()
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]
def fill(name):
    n = 0
    fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        while n < 1 << 28:
            n += os.write(fd, b"x" * 65536)
    except OSError as e:
        print("write", errno.errorcode[e.errno])
    print("fallocate", why(lambda: os.posix_fallocate(fd, 0, 1 << 28)))
    print("fsync", why(lambda: os.fsync(fd)))
    os.close(fd)
    size = os.stat(name).st_size
    print("data", open(name, "rb").read() == b"x" * size, size >= n)
open("before", "w").write("before" * 1000)
fill("big")
print("mkdirs", why(lambda: [os.mkdir("d%d" % i) for i in range(100000)]))
os.unlink("big")
# the mount lets go of a removed file when the kernel tells it to, a moment later
def after():
    with open("after", "wb", buffering=0) as f:
        if f.write(b"after" * 1000) != 5000:
            raise OSError(errno.ENOSPC, "short")
for i in range(500):
    if why(after) == "ok":
        break
    time.sleep(0.01)
print("kept", open("before").read() == "before" * 1000, open("after").read() == "after" * 1000)
END
full() { # NAME MOUNT_COMMAND...: natively and inside the same is said
	f_name=$1
	shift
	if ! "$@" "$W"; then
		skip "$f_name" "cannot be mounted here: $*"
		return
	fi
	own "$W"
	(cd "$W" && e2e_env timeout 100 $python "$T/fill.py") >"$T/out1" 2>&1
	find "$W" -mindepth 1 -not -name lost+found -delete
	wrap $python - <"$T/fill.py" >"$T/out2" 2>&1
	if cmp -s "$T/out1" "$T/out2" && grep -q ENOSPC "$T/out2"; then ok "$f_name"; else
		nok "$f_name" "$(diff "$T/out1" "$T/out2"; cat "$T/out2")"
	fi
	umount "$W" || umount -l "$W"
}
ext4() { truncate -s 16M "$T/disk" && mkfs.ext4 -q -F -m 0 "$T/disk" && mount -o loop "$T/disk" "$1"; }
if [ "$(id -u)" = 0 ]; then
	full 'a full tmpfs' mount -t tmpfs -o size=8m,nr_inodes=200,mode=755 none
	full 'a full ext4' ext4
else
	skip 'a full disk' 'needs root to mount one'
fi

# ---- killed ----
# a line on stdout for each file that is synced, so what it names must be there
cat >"$T/write.py" <<'END'
import os, sys
big = open("big", "wb", buffering=0)
for i in range(1000000):
    name = "f%d" % (i % 50)
    data = (b"%d " % i) * 2000
    fd = os.open(name + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(fd, data)
    os.fsync(fd)
    os.close(fd)
    os.rename(name + ".new", name)
    os.write(1, b"%d\n" % i)
    big.write(b"z" * 100000)
END
gate_pid() { # the gate of the session that belongs to this test
	for g in $(pgrep -f agentsh-fsgate); do
		up=$(ps -o ppid= -p "$g" | tr -d ' ')
		grep -qsaF "AGENTSH_STATE_DIR=$T/state" "/proc/$up/environ" && echo "$g"
	done
}
some_lines() { [ "$(wc -l <"$T/done")" -gt 5 ]; }
check_files() { # every acknowledged file has its content, or that of a later round
	$python - "$T/done" "$W" <<'END'
import os, sys
last = {}
for line in open(sys.argv[1]):
    last[int(line) % 50] = int(line)
for k, i in last.items():
    words = open(os.path.join(sys.argv[2], "f%d" % k), "rb").read().split()
    assert len(words) == 2000 and len(set(words)) == 1 and int(words[0]) in (i, i + 50), (k, i, words[:2])
print(len(last) > 0)
END
}
for n in $(seq "$loops"); do
	fresh
	: >"$T/done"
	wrap $python - <"$T/write.py" >"$T/done" 2>"$T/err" &
	job=$!
	until_true some_lines
	g=$(gate_pid)
	is "killed $n: one gate is found" "$(printf '%s\n' "$g" | grep -c .)" 1
	kill -9 "$g" 2>/dev/null || kill $job
	wait $job
	is "killed $n: status" $? 125
	is "killed $n: what was synced is whole" "$(check_files 2>&1)" True
done
unlike 'the chain after that' "$(ctl audit verify 2>&1)" 'tampered'
like 'the chain after that is read' "$(ctl audit verify 2>&1)" 'intact|incomplete|cut|end'
no_leftover 'nothing is left'
done_testing
