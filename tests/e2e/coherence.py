"""One tree, seen from the host (BACK) and through the mount (WS): every change shows on the other side.

    coherence.py BACK WS changes    each kind of change, by the host, after the mount has cached the old
    coherence.py BACK WS stress     random changes on both sides, then a comparison of everything
    coherence.py BACK WS git        both sides commit to one repository
$WATCH_SECONDS: how long stress and git go on (default: a fixed number of steps). $SEED: of stress.
Caches last an hour, so what is not told is not seen; a change may take PATIENCE seconds to show.
Prints TAP lines without a plan.
"""
import mmap
import os
import random
import stat
import subprocess
import sys
import threading
import time

BACK, WS, WHAT = sys.argv[1], sys.argv[2], sys.argv[3]
SECONDS = float(os.environ.get("WATCH_SECONDS", "0"))
PATIENCE = 10.0
failed = False


def say(ok, name, text=""):
    global failed
    failed = failed or not ok
    lines = [] if ok else text.split("\n")
    print(("" if ok else "not ") + "ok - " + name + "".join("\n#   " + line for line in lines if line), flush=True)


# ---- what a view looks like ----


def read(path):
    with open(path, "rb") as f:
        return f.read()


def attributes(path):
    st = os.lstat(path)
    size = 0 if os.path.isdir(path) and not os.path.islink(path) else st.st_size
    links = 0 if os.path.isdir(path) and not os.path.islink(path) else st.st_nlink
    return (oct(st.st_mode), st.st_uid, st.st_gid, links, size, st.st_mtime_ns, st.st_ino)


def view(top, contents=True):
    """Everything below top: {path: (attributes, content)}; errors are part of it.

    Without contents nothing is opened but directories: opening a file would correct what is stale.
    """
    out = {}
    todo = [""]
    while todo:
        at = todo.pop()
        full = top + "/" + at if at else top
        try:
            names = sorted(os.listdir(full))
            out[at + "/"] = names
        except OSError as e:
            out[at + "/"] = e.errno
            continue
        for name in names:
            path = at + "/" + name if at else name
            full = top + "/" + path
            try:
                out[path] = attributes(full)
                if os.path.islink(full):
                    out[path] += (os.readlink(full),)
                elif os.path.isdir(full):
                    todo.append(path)
                elif os.path.isfile(full) and contents:
                    out[path] += (read(full),)
            except OSError as e:
                out[path] = e.errno
    return out


def difference(a, b):
    lines = []
    for path in sorted(set(a) | set(b)):
        if a.get(path) != b.get(path):
            lines.append("%s: host %.200r, inside %.200r" % (path, a.get(path), b.get(path)))
    return "\n".join(lines[:10])


def look(top, names):
    """Each name for itself: a listing would correct what is stale."""
    out = {}
    for name in names:
        try:
            out[name] = attributes(top + "/" + name)
        except OSError as e:
            out[name] = e.errno
    return out


def agree(sub="", names=()):
    """Wait until both sides are equal; the difference, or ""."""
    end = time.monotonic() + PATIENCE
    while True:
        text = difference(look(BACK + sub, names), look(WS + sub, names))
        if not text:
            text = difference(view(BACK + sub, False), view(WS + sub, False))
        if not text:
            return difference(view(BACK + sub), view(WS + sub))
        if time.monotonic() > end:
            return text
        time.sleep(0.02)


# ---- one change after the other ----


def put(path, text, mode="w"):
    with open(path, mode) as f:
        f.write(text)


def lay_out(top):
    os.mkdir(top)
    os.mkdir(top + "/dir")
    os.mkdir(top + "/dir/deep")
    os.mkdir(top + "/empty")
    put(top + "/file", "one\n")
    put(top + "/big", "x" * 300000)
    put(top + "/dir/file", "two\n")
    put(top + "/dir/deep/file", "three\n")
    os.symlink("file", top + "/link")


def in_place(d):
    with open(d + "/file", "r+") as f:
        f.write("ONE")


def same_size_and_time(d):
    """As rsync --times does: nothing of the attributes but the inode change time differs."""
    st = os.stat(d + "/file")
    put(d + "/file", "eno\n")
    os.utime(d + "/file", ns=(st.st_atime_ns, st.st_mtime_ns))


def mapped(d):
    with open(d + "/big", "r+b") as f:
        with mmap.mmap(f.fileno(), 0) as m:
            m[100000:100003] = b"yyy"


def rename_over(d):
    put(d + "/file.new", "replaced\n")
    os.rename(d + "/file.new", d + "/file")


def replace_link(d):
    os.symlink("dir/file", d + "/link.new")
    os.rename(d + "/link.new", d + "/link")


def replace_dir(d):
    os.rename(d + "/dir", d + "/old")
    os.mkdir(d + "/dir")
    put(d + "/dir/file", "another\n")


def swap_dirs(d):
    os.rename(d + "/dir", d + "/t")
    os.rename(d + "/empty", d + "/dir")
    os.rename(d + "/t", d + "/empty")


def file_for_dir(d):
    os.rmdir(d + "/empty")
    put(d + "/empty", "a file now\n")


def populate(d):
    os.makedirs(d + "/missing/a/b")
    put(d + "/missing/a/b/file", "new\n")


def remove_tree(d):
    os.unlink(d + "/dir/deep/file")
    os.rmdir(d + "/dir/deep")
    os.unlink(d + "/dir/file")
    os.rmdir(d + "/dir")


def again(d):
    os.unlink(d + "/file")
    put(d + "/file", "again\n")


def link_and_write(d):
    os.link(d + "/file", d + "/dir/name2")
    put(d + "/dir/name2", "by the other name\n", "a")


def unlink_link(d):
    os.link(d + "/file", d + "/name2")
    os.unlink(d + "/file")


CHANGES = [
    ("written in place", in_place),
    ("same size, old time", same_size_and_time),
    ("appended", lambda d: put(d + "/file", "more\n", "a")),
    ("truncated", lambda d: os.truncate(d + "/big", 100)),
    ("made longer", lambda d: os.truncate(d + "/big", 400000)),
    ("written through a mapping", mapped),
    ("renamed over", rename_over),
    ("deleted", lambda d: os.unlink(d + "/file")),
    ("deleted and made again", again),
    ("created where nothing was", lambda d: put(d + "/missing", "here\n")),
    ("mode", lambda d: os.chmod(d + "/file", 0o600)),
    ("mode of a directory", lambda d: os.chmod(d + "/dir", 0o700)),
    ("times", lambda d: os.utime(d + "/file", (1, 2))),
    ("times of a directory", lambda d: os.utime(d + "/dir", (1, 2))),
    ("symbolic link changed", replace_link),
    ("symbolic link for a file", lambda d: (os.unlink(d + "/file"), os.symlink("big", d + "/file"))),
    ("directory made and filled", populate),
    ("directory renamed", lambda d: os.rename(d + "/dir", d + "/dir2")),
    ("directory moved into another", lambda d: os.rename(d + "/dir", d + "/empty/dir")),
    ("directory replaced", replace_dir),
    ("directories swapped", swap_dirs),
    ("file where a directory was", file_for_dir),
    ("tree removed", remove_tree),
    ("file moved into a directory", lambda d: os.rename(d + "/file", d + "/empty/file")),
    ("hard link, written by its other name", link_and_write),
    ("hard link, first name removed", unlink_link),
    ("deep file written", lambda d: put(d + "/dir/deep/file", "deeper\n")),
    ("new file deep down", lambda d: put(d + "/dir/deep/new", "n\n")),
]


MISSING = ["missing", "missing/a", "dir2", "old", "name2", "dir/name2", "empty/dir", "empty/file", "t", "elsewhere"]


def warm(d):
    """Have everything cached inside, missing names, too; and be sure that it is. @return the names"""
    names = []
    for _ in range(3):
        names = [name for name in view(d) if not name.endswith("/")] + MISSING
        look(d, names)
        time.sleep(0.03)
    return names


def changes():
    for n, (name, change) in enumerate(CHANGES):
        for author, side in ((BACK, "host"), (WS, "inside")):
            d = "/c%d-%s" % (n, side)
            lay_out(BACK + d)
            names = warm(WS + d)
            change(author + d)
            text = agree(d, names)
            say(not text, "%s, by the %s" % (name, side) if side == "host" else "%s, inside" % name, text)
    open_files()
    standing_inside()


def open_files():
    """A file that is open inside while the host changes it."""
    d = "/open"
    lay_out(BACK + d)
    warm(WS + d)
    with open(WS + d + "/file", "rb") as f, open(WS + d + "/dir/file", "rb") as g:
        f.read(), os.fstat(f.fileno()), g.read(), os.fstat(g.fileno())
        put(BACK + d + "/file", "longer than it was\n")
        os.unlink(BACK + d + "/dir/file")
        say(wait(lambda: os.fstat(f.fileno()).st_size == 19), "an open file's size")
        f.seek(0)
        say(f.read() == b"longer than it was\n", "an open file's content")
        say(wait(lambda: os.fstat(g.fileno()).st_nlink == 0), "an open file that the host deleted has no name")
        g.seek(0)
        say(g.read() == b"two\n", "and keeps its content")


def standing_inside():
    d = "/cwd"
    lay_out(BACK + d)
    names = warm(WS + d)
    p = subprocess.Popen(["sh", "-c", "read x; cat file; read x; cat deep/new"], cwd=WS + d + "/dir",
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    os.rename(BACK + d + "/dir", BACK + d + "/elsewhere")
    text = agree(d, names)
    say(not text, "moved while someone stands in it", text)
    p.stdin.write(b"\n")
    p.stdin.flush()
    put(BACK + d + "/elsewhere/deep/new", "late\n")
    agree(d)
    out = p.communicate(b"\n", timeout=20)[0]
    say(out == b"two\nlate\n", "who stands in a moved directory goes on", repr(out))
    os.mkdir(BACK + d + "/gone")
    fd = os.open(WS + d + "/gone", os.O_RDONLY | os.O_DIRECTORY)
    os.fstat(fd), os.rmdir(BACK + d + "/gone")
    text = agree(d, names + ["gone"])
    say(not text, "removed while someone has it open", text)
    try:
        say(stat.S_ISDIR(os.fstat(fd).st_mode), "an open directory that the host removed is one")
    except OSError as e:
        say(False, "an open directory that the host removed is one", e)
    os.close(fd)


def wait(what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.01)
    return False


# ---- both at once ----

NAMES = ["a", "b", "c", "d", "e"]


def random_path(r, top, depth=3):
    return "/".join([top] + [r.choice(NAMES) for _ in range(r.randint(1, depth))])


def step(r, top):
    """One random operation; what does not fit (missing, a directory, ...) is no error."""
    p, q = random_path(r, top), random_path(r, top)
    what = r.randrange(16)
    try:
        if what < 3:
            put(p, "%d\n" % r.randrange(1000) * r.randint(1, 2000))
        elif what == 3:
            put(p, "more\n", "a")
        elif what == 4:
            os.mkdir(p)
        elif what == 5:
            os.rename(p, q)
        elif what == 6:
            os.unlink(p)
        elif what == 7:
            os.rmdir(p)
        elif what == 8:
            os.chmod(p, r.choice([0o755, 0o700, 0o744]))
        elif what == 9:
            os.utime(p, (r.randrange(10**9), r.randrange(10**9)))
        elif what == 10:
            os.symlink(r.choice(NAMES), p)
        elif what == 11:
            os.link(p, q)
        elif what == 12:
            os.truncate(p, r.randrange(5000))
        elif what == 13:
            os.listdir(p)
        else:
            os.lstat(p)
            read(p)
    except (OSError, UnicodeError):
        pass


def run_steps(top, seed, steps, until):
    r = random.Random(seed)
    n = 0
    while time.monotonic() < until if SECONDS else n < steps:
        step(r, top)
        n += 1


def stress():
    seed = int(os.environ.get("SEED", "0")) or random.randrange(10**6)
    os.mkdir(BACK + "/stress")
    rounds = 0
    end = time.monotonic() + SECONDS
    while rounds < 6 if not SECONDS else time.monotonic() < end:
        until = time.monotonic() + 10
        both = [threading.Thread(target=run_steps, args=(side + "/stress", seed + rounds * 10 + k, 1500, until))
                for k, side in enumerate((BACK, BACK, WS, WS))]
        for t in both:
            t.start()
        for t in both:
            t.join()
        text = agree("/stress")
        if text or rounds == 5 or SECONDS:
            say(not text, "random changes on both sides, round %d (SEED=%d)" % (rounds, seed), text)
        if text:
            return
        rounds += 1


# ---- git ----


def git(top, *args):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
           "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    for who in ("AUTHOR", "COMMITTER"):
        env["GIT_%s_NAME" % who] = "T"
        env["GIT_%s_EMAIL" % who] = "t@example.org"
    p = subprocess.run(["git", "-C", top] + list(args), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=120)
    return p.returncode, p.stdout.decode(errors="replace")


# What git says natively, too, when another git is at work in the same repository. The last one: commit reads the
# index before it locks it, and so may undo what the other has just added.
BUSY = ("index.lock", "cannot lock ref", "unable to lock", "HEAD.lock", "nothing to commit", "nothing added to commit",
        "did not match any file")


def commit_one(top, name):
    for _ in range(200):
        for args in (("add", name), ("commit", "-q", "-m", name, "--", name)):
            code, out = git(top + "/repo", *args)
            if code != 0:
                break
        if code == 0 or not any(text in out for text in BUSY):
            break
        time.sleep(random.random() * 0.05)
    return "" if code == 0 else "%s %s: %s" % (name, args, out.strip())


def commit_all(top, who, count, until, made, errors):
    n = 0
    while time.monotonic() < until if SECONDS else n < count:
        n += 1
        name = "%s-%d" % (who, n)
        put("%s/repo/%s" % (top, name), name + "\n")
        text = commit_one(top, name)
        if text:
            errors.append(text)
            return
        made.append(name)


def git_both():
    made, errors = [], []
    os.mkdir(BACK + "/repo")
    git(BACK + "/repo", "init", "-q", "-b", "main")
    put(BACK + "/repo/first", "first\n")
    git(BACK + "/repo", "add", "first")
    git(BACK + "/repo", "commit", "-q", "-m", "first")
    until = time.monotonic() + SECONDS
    both = [threading.Thread(target=commit_all, args=(top, who, 15, until, made, errors))
            for top, who in ((BACK, "host"), (WS, "inside"))]
    for t in both:
        t.start()
    for t in both:
        t.join()
    say(not errors, "git commits on both sides", "\n".join(errors))
    git(BACK + "/repo", "reset", "-q")
    for top, side in ((BACK, "outside"), (WS, "inside")):
        code, out = git(top + "/repo", "fsck", "--strict", "--no-dangling")
        say(code == 0, "git fsck %s" % side, out)
        code, out = git(top + "/repo", "log", "--format=%s")
        lost = sorted(set(made) - set(out.split()))
        say(code == 0 and not lost, "no commit of %d is lost, %s" % (len(made), side), " ".join(lost))
        code, out = git(top + "/repo", "status", "--porcelain")
        say(code == 0 and not out, "git status is clean, %s" % side, out)
    say(not agree("/repo"), "both sides see the same repository")


{"changes": changes, "stress": stress, "git": git_both}[WHAT]()
sys.exit(failed)
