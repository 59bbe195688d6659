#!/bin/sh
# The less usual operations: inside as natively; and what the policy makes of those that name a file later.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$T/all.yaml" <<'END'
version: 1
name: all
extends: [code-edit]
file_rules:
  - {name: here, paths: ["${WORKSPACE}/**"], operations: ["*"], decision: allow}
END
PACK="--policy $T/all.yaml"
mkdir "$T/template" && cp "$e2e_src/ops.py" "$T/template/"
flags=
(cd "$T/template" && chattr +d ops.py 2>/dev/null && chattr -d ops.py) && flags=flags
# a user's session shows them to nobody (docs/FSGATE.md)
if [ "$(id -u)" = 0 ] && [ -z "$AS" ]; then
	mkdir "$T/acl" && $python -c 'import os; os.setxattr(b"'"$T"'/acl", b"system.posix_acl_access", bytes.fromhex("02000000" "01000700ffffffff" "04000500ffffffff" "20000500ffffffff"))' 2>/dev/null && flags="$flags acl"
	like 'ACLs are tried as root' "$flags" acl
fi
same 'every operation gives what it gives natively' "$python ops.py $flags"
[ -s "$T/out2" ] && [ "$(wc -l <"$T/out2")" -ge 60 ] && ok 'and there are many' || nok 'and there are many' "$(cat "$T/out2")"

cat >"$T/ops.yaml" <<'END'
version: 1
name: ops
extends: [code-edit]
file_rules:
  - {name: no-temp, paths: ["${WORKSPACE}/shut/**"], operations: [create], decision: deny}
  - {name: no-name, paths: ["${WORKSPACE}/*.no"], operations: [create], decision: deny, message: "not by that name"}
  - {name: no-link, paths: ["${WORKSPACE}/*.nolink"], operations: [link], decision: deny}
  - {name: unread, paths: ["${WORKSPACE}/*.unread"], operations: [read, open], decision: deny}
  - {name: no-node, paths: ["${WORKSPACE}/keep*"], operations: [mknod], decision: deny}
  - {name: no-flags, paths: ["${WORKSPACE}/plain"], operations: [chmod], decision: deny}
END
PACK="--policy $T/ops.yaml"
fresh
mkdir "$W/shut" && echo k >"$W/keep" && echo p >"$W/plain" && own "$W"
cat >"$T/judge.py" <<'END'
import ctypes, errno, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
here = os.open(".", os.O_RDONLY)
def give(name, dir="."):
    try:
        fd = os.open(dir, os.O_TMPFILE | os.O_RDWR, 0o600)
        os.write(fd, b"data")
        os.link(f"/proc/self/fd/{fd}", name, src_dir_fd=here, follow_symlinks=True)
        return open(name).read()
    except OSError as e:
        return errno.errorcode[e.errno]
for n in "yes", "a.no", "a.nolink", "a.unread", "shut/a": print(n, give(n))
print("shut", give("x", "shut"))
r = libc.renameat2(-100, b"keep", -100, b"kept", 4)
print("whiteout", r, errno.errorcode.get(ctypes.get_errno()))
for change in 0x40, 0x10, 0x20:
    try: print("flags", hex(change), fcntl.ioctl(here, 0x40086602, change.to_bytes(4, "little")) and 0)
    except OSError as e: print("flags", hex(change), errno.errorcode[e.errno])
try: fcntl.ioctl(os.open("plain", os.O_RDONLY), 0x40086602, b"\x40\0\0\0")
except OSError as e: print("flags by rule", errno.errorcode[e.errno])
try: os.mknod("dev", 0o020600, os.makedev(1, 3))
except OSError as e: print("device", errno.errorcode[e.errno])
END
cp "$T/judge.py" "$W/" && own "$W"
wrap $python judge.py >"$T/out" 2>&1
is 'the name that a nameless file gets is judged' "$(head -n 6 "$T/out")" 'yes data
a.no EACCES
a.nolink EACCES
a.unread EACCES
shut/a EACCES
shut EACCES'
is 'a whiteout is asked for as a node' "$(grep whiteout "$T/out")" 'whiteout -1 EACCES'
is 'flags that a capability is wanted for' "$(grep -c 'flags 0x[12]0 EPERM' "$T/out")" 2
like 'flags are judged as chmod' "$(cat "$T/out")" 'flags by rule EACCES'
like 'a device' "$(cat "$T/out")" 'device EPERM'
is 'on the disk: what was allowed' "$(cd "$W" && ls -A shut . | tr '\n' ' ')" '.: a.unread judge.py keep ops.py plain shut yes  shut: '
ctl audit cat --json >"$T/log" 2>&1
like 'the link is in the log, with both names' "$(grep '"op": *"link"' "$T/log")" 'a\.no".*#tmpfile"'
no_leftover 'nothing is left'
done_testing
