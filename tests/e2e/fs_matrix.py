"""Every operation under every verdict, on a mount of fsgate: what the caller gets, what became of the
backing tree, and what the record says.

  fs_matrix.py policy            the policy, YAML: one rule for each (verdict, operation)
  fs_matrix.py layout BACKING    one directory VERDICT/OPERATION for each, with the same things in it
  fs_matrix.py run BACKING ALLOWED   in the workspace; ALLOWED: whether approvals are given
  fs_matrix.py records ALLOWED       agentsh audit cat --json on standard input

Prints TAP lines without a plan; status 1 when any was wrong.
"""
import ctypes
import errno
import fcntl
import json
import mmap
import os
import shutil
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE = 1, 2
failed = 0


def report(fine, what, why=""):
    global failed
    failed += not fine
    print(("" if fine else "not ") + "ok - " + what)
    if not fine and why:
        print("# " + str(why))


def rename(a, b, flags=0):
    if libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), flags) != 0:
        raise OSError(ctypes.get_errno(), "rename")


def with_open(path, flags, fn=lambda fd: None):
    fd = os.open(path, flags, 0o644)
    try:
        return fn(fd)
    finally:
        os.close(fd)


def text(path):
    with open(path) as f:
        return f.read()


def execute(d):
    r = subprocess.run([d + "/x"], check=False)
    if r.returncode:
        raise OSError(errno.EIO, "exit status")


# name: (operation of the rule, what the rule is about, the call, was it done as seen in the backing?)
OPS = {
    "read": ("read", "f", lambda d: with_open(d + "/f", os.O_RDONLY, lambda fd: os.read(fd, 9)), None),
    "write": ("write", "f", lambda d: with_open(d + "/f", os.O_WRONLY, lambda fd: os.write(fd, b"X")),
              lambda b: text(b + "/f") == "Xontent"),
    "truncate": ("write", "f", lambda d: os.truncate(d + "/f", 3), lambda b: text(b + "/f") == "con"),
    "o_trunc": ("write", "f", lambda d: with_open(d + "/f", os.O_WRONLY | os.O_TRUNC),
                lambda b: text(b + "/f") == ""),
    "create": ("create", "new", lambda d: with_open(d + "/new", os.O_WRONLY | os.O_CREAT | os.O_EXCL),
               lambda b: os.path.exists(b + "/new")),
    "mkdir": ("mkdir", "new", lambda d: os.mkdir(d + "/new"), lambda b: os.path.isdir(b + "/new")),
    "delete": ("delete", "f", lambda d: os.unlink(d + "/f"), lambda b: not os.path.exists(b + "/f")),
    "rmdir": ("rmdir", "d", lambda d: os.rmdir(d + "/d"), lambda b: not os.path.exists(b + "/d")),
    "rename": ("rename", "*", lambda d: rename(d + "/f", d + "/new"),
               lambda b: os.path.exists(b + "/new") and not os.path.exists(b + "/f")),
    "rename_to": ("rename", "new", lambda d: rename(d + "/f", d + "/new"),
                  lambda b: os.path.exists(b + "/new") and not os.path.exists(b + "/f")),
    "replace": ("delete", "t", lambda d: rename(d + "/f", d + "/t"), lambda b: text(b + "/t") == "content"),
    "noreplace": ("rename", "*", lambda d: rename(d + "/f", d + "/new", NOREPLACE),
                  lambda b: os.path.exists(b + "/new") and not os.path.exists(b + "/f")),
    "exchange": ("rename", "*", lambda d: rename(d + "/f", d + "/t", EXCHANGE),
                 lambda b: text(b + "/t") == "content" and text(b + "/f") == "target"),
    "ancestor": ("rename", "d/e", lambda d: rename(d + "/d", d + "/new"), lambda b: os.path.exists(b + "/new/e")),
    "link": ("link", "*", lambda d: os.link(d + "/f", d + "/new"), lambda b: os.path.exists(b + "/new")),
    "link_to": ("link", "new", lambda d: os.link(d + "/f", d + "/new"), lambda b: os.path.exists(b + "/new")),
    "symlink": ("symlink", "new", lambda d: os.symlink("f", d + "/new"), lambda b: os.path.islink(b + "/new")),
    "readlink": ("readlink", "l", lambda d: os.readlink(d + "/l"), None),
    "chmod": ("chmod", "f", lambda d: os.chmod(d + "/f", 0o600), lambda b: os.stat(b + "/f").st_mode & 0o777 == 0o600),
    "chown": ("chown", "f", lambda d: os.chown(d + "/f", -1, os.getgid()), None),
    "utime": ("utime", "f", lambda d: os.utime(d + "/f", (5, 5)), lambda b: os.stat(b + "/f").st_mtime == 5),
    "xattr": ("xattr", "f", lambda d: os.setxattr(d + "/f", "user.a", b"1"), lambda b: os.listxattr(b + "/f") != []),
    "mknod": ("mknod", "new", lambda d: os.mkfifo(d + "/new"), lambda b: os.path.exists(b + "/new")),
    "stat": ("stat", "f", lambda d: os.lstat(d + "/f"), None),
    "list": ("list", "d", lambda d: os.listdir(d + "/d"), None),
    "lock": ("lock", "f", lambda d: with_open(d + "/f", os.O_RDWR, lambda fd: fcntl.flock(fd, fcntl.LOCK_EX)), None),
    "posix_lock": ("lock", "f", lambda d: with_open(d + "/f", os.O_RDWR, lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX)),
                   None),
    "exec": ("exec", "x", execute, None),
}
VERDICTS = ("allow", "deny", "approve", "audit", "hide", "soft_delete", "redirect")
LOOKING = ("readlink", "stat", "list", "lock", "posix_lock")  # recorded only when a rule says so
READING = LOOKING + ("read", "exec")
MAKING = ("create", "mkdir", "symlink", "mknod", "rename_to", "link_to", "replace")
GOING = ("delete", "rmdir", "replace")
SECOND = ("rename_to", "replace", "ancestor", "link_to")
MOVING = ("rename", "rename_to", "noreplace", "exchange", "ancestor")
E = errno


def applies(verdict, op):
    return verdict != "soft_delete" or op in GOING + MOVING


def wanted(verdict, op, allowed):
    """The errno, and the decision that the record has; None: no record."""
    seen = None if op in LOOKING else "allow"
    if verdict == "allow":
        return 0, seen
    if verdict == "audit":
        return 0, "allow"
    if verdict == "approve":
        return (0, "allow") if allowed else (E.EACCES, "deny")
    if verdict == "deny":
        return E.EACCES, "deny"
    if verdict == "hide":
        return (E.EACCES if op in MAKING else E.ENOENT), "deny"
    if verdict == "soft_delete":
        return 0, "soft_delete" if op in GOING else "allow"
    if op in READING:
        return 0, seen
    if op in ("write", "truncate", "o_trunc", "create"):
        return 0, "redirect"
    if op == "mkdir":
        return E.EACCES, "redirect"
    return (E.EXDEV if op in MOVING + ("replace", "link", "link_to") else E.EACCES), "deny"


def cells():
    return [(v, op) for v in VERDICTS for op in OPS if applies(v, op)]


def policy():
    print("version: 1\nname: matrix\ndefaults: {file_read: deny}\nfile_rules:")
    for v, op in cells():
        to = ', redirect_to: "${TMPDIR}/targets/%s"' % op if v == "redirect" else ""
        print('  - {name: %s-%s, paths: ["${WORKSPACE}/%s/%s/%s"], operations: [%s], decision: %s%s}'
              % (v, op, v, op, OPS[op][1], OPS[op][0], v, to))
    print('  - {name: full, paths: ["${WORKSPACE}/logs/full"], operations: [read, write], decision: allow, log: full}')
    print('  - {name: none, paths: ["${WORKSPACE}/logs/none"], operations: ["*"], decision: allow, log: none}')
    print('  - {name: nodeny, paths: ["${WORKSPACE}/logs/nodeny"], operations: ["*"], decision: deny, log: none}')
    print('  - {name: summary, paths: ["${WORKSPACE}/logs/summary"], operations: ["*"], decision: allow, log: summary}')
    print('  - {name: rest, paths: ["${WORKSPACE}", "${WORKSPACE}/**"], operations: ["*"], decision: allow}')


def layout(backing):
    for v, op in cells():
        d = "%s/%s/%s" % (backing, v, op)
        os.makedirs(d + "/d")
        for name, content in (("f", "content"), ("t", "target")):
            with open(d + "/" + name, "w") as f:
                f.write(content)
        if op == "ancestor":
            open(d + "/d/e", "w").close()
        if op == "exec":
            shutil.copy("/bin/true", d + "/x")
        os.symlink("f", d + "/l")
    os.mkdir(backing + "/logs")
    for name in ("full", "none", "nodeny", "summary"):
        with open(backing + "/logs/" + name, "w") as f:
            f.write("0123456789")


def run_cell(backing, v, op, allowed):
    _, _, call, done = OPS[op]
    want = wanted(v, op, allowed)[0]
    d = v + "/" + op
    try:
        call(d)
        got = 0
    except OSError as e:
        got = e.errno
    effect = done(backing + "/" + d) if done else None
    should = want == 0 and not (v == "redirect" and op not in READING)
    report(got == want and (effect is None or effect == should), "%s %s" % (v, op),
           "errno %s, wanted %s; done %s, wanted %s" % (E.errorcode.get(got, got), E.errorcode.get(want, want),
                                                        effect, should))


def run_hidden(backing):
    names = sorted(os.listdir("hide/stat"))
    report("f" not in names and "t" in names, "a hidden name is not listed", names)
    with os.scandir("hide/stat") as it:
        report(sorted(e.name for e in it if e.stat(follow_symlinks=False)) == names, "nor with its attributes")
    report(os.path.exists(backing + "/hide/stat/f"), "it is there all the same")


def run_redirected(backing):
    report(text("redirect/write/f") == "Xontent" and text(backing + "/redirect/write/f") == "content",
           "what was written is read by the same name")
    report(text("redirect/truncate/f") == "con" and text("redirect/o_trunc/f") == "", "and so is what was cut")
    report("new" in os.listdir("redirect/create"), "what was made is listed")


def run_logs():
    def both(fd):
        os.pread(fd, 5, 3)
        os.pwrite(fd, b"abcd", 7)
    for name in ("full", "none", "summary"):
        with_open("logs/" + name, os.O_RDWR, both)
    report(text("logs/full") == "0123456abcd", "log: full changes nothing about the content")
    with open("logs/full", "rb") as f:
        try:
            mmap.mmap(f.fileno(), 4, mmap.MAP_SHARED, mmap.PROT_READ)
            report(False, "a shared mapping would be unseen: refused")
        except OSError as e:
            report(e.errno == E.ENODEV, "a shared mapping would be unseen: refused", e)
        m = mmap.mmap(f.fileno(), 4, mmap.MAP_PRIVATE, mmap.PROT_READ)
        report(m[:4] == b"0123", "a private mapping works")
        m.close()
    try:
        open("logs/nodeny").close()
        report(False, "denied without a record")
    except OSError as e:
        report(e.errno == E.EACCES, "denied without a record", e)


def run(backing, allowed):
    for v, op in cells():
        if allowed or v == "approve":
            run_cell(backing, v, op, allowed)
    if allowed:
        run_hidden(backing)
        run_redirected(backing)
        run_logs()


def record_cells(records, allowed):
    ours = ("fsgate-redirect", "fsgate-keep")
    for v, op in cells():
        # of two answers that allow, the first one's rule is named
        if (not allowed and v != "approve") or (v == "allow" and op in SECOND):
            continue
        rule, part = "%s-%s" % (v, op), "/%s/%s/" % (v, op)
        got = {r["decision"] for r in records
               if r["decision"] and (r["rule"] == rule or (r["rule"] in ours and part in r.get("path", "")))}
        want = wanted(v, op, allowed)[1]
        report(got == ({want} if want else set()), "record of %s %s" % (v, op), "%s, wanted %s" % (got, want))


def record_logs(records):
    def of(name):
        return [r for r in records if r.get("path", "").endswith("/logs/" + name)]
    full = [(r["op"], r["offset"], r["bytes"]) for r in of("full") if "offset" in r]
    report(full[:2] == [("read", 3, 5), ("write", 7, 4)], "log: full has each read and write", full)
    report(any(r["op"] == "read" and r["bytes"] == 11 and r["rule"] == "full" for r in of("full")),
           "with the bytes that were there, and the rule")
    report([r["op"] for r in of("summary")] == ["open", "close"], "log: summary has open and close", of("summary"))
    report(not of("none") and not of("nodeny"), "log: none has nothing", of("none") + of("nodeny"))


def main():
    what, args = sys.argv[1], sys.argv[2:]
    allowed = args[-1:] == ["allow"]
    if what == "policy":
        policy()
    elif what == "layout":
        layout(args[0])
    elif what == "run":
        run(args[0], allowed)
    elif what == "records":
        records = [json.loads(line) for line in sys.stdin]
        record_cells(records, allowed)
        if allowed:
            record_logs(records)
    sys.exit(1 if failed else 0)


main()
