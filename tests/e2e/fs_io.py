#!/usr/bin/env python3
"""Data in a governed mount, however it is passed on: usage: fs_io.py BACKING, in the mount.

Prints "ok" and "not ok" lines. BACKING is the host's view of the same directory. Each check stands
for a way in which cached and passed-on data could come apart.
"""
import ctypes
import fcntl
import mmap
import os
import struct
import subprocess
import sys

BACK = sys.argv[1]
PAGE = mmap.PAGESIZE
BIG = 300000
LIBC = ctypes.CDLL(None, use_errno=True)
failed = False


def check(what, good, detail=""):
    global failed
    failed = failed or not good
    print(("ok - " if good else "not ok - ") + what + (f": {detail}" if not good else ""), flush=True)


def host(name):
    return os.path.join(BACK, name)


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


def get(path):
    with open(path, "rb") as f:
        return f.read()


def fresh(name, data=b""):
    """A new file of the host's."""
    put(host(name), data)
    return name


def both_ways():
    put("d1", b"from inside")
    check("the host reads what was written", get(host("d1")) == b"from inside")
    fd = os.open("d1", os.O_RDWR)
    with open(host("d1"), "r+b") as f:
        f.write(b"FROM")
        f.flush()
        check("an open file shows what the host writes", os.pread(fd, 4, 0) == b"FROM")
    os.pwrite(fd, b"more", 20)
    check("the size is known after a write", os.fstat(fd).st_size == 24 and
          os.stat("d1").st_size == 24 and os.stat(host("d1")).st_size == 24)
    os.close(fd)
    fresh("d2", b"x" * BIG)
    fd = os.open("d2", os.O_RDONLY)
    check("a large file", os.pread(fd, 10, BIG - 10) == b"x" * 10 and os.fstat(fd).st_size == BIG)
    with open(host("d2"), "r+b") as f:
        f.write(b"y")
        f.flush()
        check("a large file that the host changes", os.pread(fd, 1, 0) == b"y")
    os.close(fd)


def mappings():
    fresh("m1", b"a" * 2 * PAGE)
    fd, other = os.open("m1", os.O_RDWR), os.open(host("m1"), os.O_RDWR)
    with mmap.mmap(fd, 2 * PAGE) as m, mmap.mmap(other, 2 * PAGE) as h:
        m[0:5] = b"shared"[:5]
        m.flush()
        check("a shared mapping reaches the host", os.pread(other, 5, 0) == b"share")
        os.pwrite(fd, b"W", PAGE)
        check("a write shows in the mapping", m[PAGE:PAGE + 1] == b"W" and h[PAGE:PAGE + 1] == b"W")
    os.close(fd)
    os.close(other)
    check("and in the file", get("m1")[:5] == b"share" and get("m1")[PAGE:PAGE + 1] == b"W")
    fd = os.open("m1", os.O_RDONLY)
    with mmap.mmap(fd, PAGE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as m:
        m[0:1] = b"P"
        check("a private mapping is private", get("m1")[:1] == b"s" and m[0:1] == b"P")
    os.close(fd)


def flags():
    fresh("f1", b"12345")
    a, b = (os.open("f1", os.O_WRONLY | os.O_APPEND) for _ in range(2))
    for fd in (a, b, a):
        os.write(fd, b"+")
    with open(host("f1"), "ab") as f:
        f.write(b"h")
    os.write(b, b"-")
    check("O_APPEND", get("f1") == b"12345+++h-", get("f1"))
    os.ftruncate(a, 3)
    os.write(b, b"!")
    check("ftruncate and O_APPEND", get("f1") == b"123!" and os.stat("f1").st_size == 4)
    os.close(a)
    os.close(b)
    os.truncate("f1", 2)
    check("truncate", get("f1") == b"12" == get(host("f1")))
    os.close(os.open("f1", os.O_WRONLY | os.O_TRUNC))
    check("O_TRUNC", os.stat("f1").st_size == 0 and get("f1") == b"")
    try:
        os.close(os.open(fresh("f2"), os.O_RDWR))
        os.close(os.open(host("f2"), os.O_RDWR | os.O_DIRECT))
    except OSError:
        return # not on this file system
    fd = os.open("f2", os.O_RDWR | os.O_DIRECT)
    with mmap.mmap(-1, PAGE) as m:
        m[:] = b"D" * PAGE
        os.pwritev(fd, [m], 0)
        check("O_DIRECT: write", get(host("f2")) == b"D" * PAGE)
        with open(host("f2"), "r+b") as f:
            f.write(b"e" * PAGE)
        os.preadv(fd, [m], 0)
        check("O_DIRECT: read", m[:] == b"e" * PAGE)
    os.close(fd)


def ranges():
    fresh("r1", b"z" * BIG)
    fd = os.open("r1", os.O_RDWR)
    punch = LIBC.fallocate(fd, 3, ctypes.c_long(PAGE * 4), ctypes.c_long(PAGE * 8)) == 0
    os.posix_fallocate(fd, BIG, PAGE)
    check("fallocate makes room", os.fstat(fd).st_size == BIG + PAGE)
    if punch:
        check("a hole", os.pread(fd, 2, PAGE * 5) == b"\0\0")
        check("SEEK_HOLE", os.lseek(fd, 0, os.SEEK_HOLE) == PAGE * 4 and
              os.lseek(fd, PAGE * 4, os.SEEK_DATA) == PAGE * 12)
    out = os.open("r2", os.O_RDWR | os.O_CREAT)
    check("copy_file_range", os.copy_file_range(fd, out, PAGE, 0, 0) == PAGE and
          get("r2") == b"z" * PAGE == get(host("r2")))
    os.lseek(out, 0, os.SEEK_SET)
    os.lseek(fd, 0, os.SEEK_SET)
    check("sendfile", os.sendfile(out, fd, 0, PAGE * 2) == PAGE * 2 and len(get("r2")) == PAGE * 2)
    os.fsync(out)
    os.fdatasync(out)
    os.close(out)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    other = os.open(host("r1"), os.O_RDWR)
    try:
        fcntl.fcntl(other, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)) # F_OFD_SETLK
        check("the host sees a lock", False)
    except OSError:
        check("the host sees a lock", True)
    os.close(other)
    os.unlink("r1")
    os.pwrite(fd, b"gone", 0)
    check("a file without a name", os.pread(fd, 4, 0) == b"gone" and os.fstat(fd).st_nlink == 0)
    os.close(fd)


def modes():
    """Files that are open in one way when the other is wanted."""
    fresh("o1", b"small")
    reader = os.open("o1", os.O_RDONLY)
    check("read", os.pread(reader, 9, 0) == b"small")
    writer = os.open("o1", os.O_RDWR)
    os.pwrite(writer, b"SMALL", 0)
    check("a reader sees a later writer's data", os.pread(reader, 9, 0) == b"SMALL" == get(host("o1")))
    with mmap.mmap(writer, 5) as m:
        m[0:1] = b"T"
        check("and its mapping's", os.pread(reader, 9, 0) == b"TMALL")
    os.close(reader)
    os.close(writer)
    check("when both are closed", get("o1") == b"TMALL" == get(host("o1")))
    writer = os.open("o1", os.O_RDWR)
    reader = os.open("o1", os.O_RDONLY)
    os.pwrite(writer, b"t", 0)
    check("a later reader", os.pread(reader, 9, 0) == b"tMALL")
    os.close(writer)
    check("the writer is gone", os.pread(reader, 9, 0) == b"tMALL")
    os.close(reader)
    stale = 0
    for i in range(300):
        text = b"%05d" % i
        fd = os.open("o1", os.O_WRONLY)
        os.write(fd, text)
        os.close(fd)
        stale += get("o1") != text
    check("no old page is read after a write", stale == 0, stale)
    for i in range(100):
        text = b"%05d" % i
        get("o1")
        fd = os.open("o1", os.O_RDWR)
        with mmap.mmap(fd, 5) as m:
            m[:] = text
        os.close(fd)
        stale += get("o1") != text or get(host("o1")) != text
    check("nor after a mapping was written", stale == 0, stale)


HAMMER = """
import os, sys
name, turn = sys.argv[1], int(sys.argv[2])
for i in range(700):
    fd = os.open(name, os.O_RDWR if (i + turn) % 3 else os.O_RDONLY)
    os.pread(fd, 1, 0)
    if (i + turn) % 3:
        os.pwrite(fd, b"x", turn)
    os.close(fd)
"""


def together():
    fresh("t1", b"----")
    jobs = [subprocess.Popen([sys.executable, "-c", HAMMER, "t1", str(n)]) for n in range(4)]
    check("opened both ways by four at once", [j.wait() for j in jobs] == [0] * 4)
    check("all have written", get("t1") == b"xxxx" == get(host("t1")))


def programs():
    with open("/bin/sh", "rb") as f:
        put("sh", f.read())
    os.chmod("sh", 0o755)
    check("a program that was written here runs",
          subprocess.run(["./sh", "-c", "exit 7"], check=False).returncode == 7)
    fd = os.open("sh", os.O_RDONLY)
    check("and can be open meanwhile",
          subprocess.run(["./sh", "-c", "exit 8"], check=False).returncode == 8)
    os.close(fd)


for part in (both_ways, mappings, flags, ranges, modes, together, programs):
    try:
        part()
    except Exception as why: # pylint: disable=broad-except
        check(part.__name__, False, repr(why))
print("done", flush=True)
sys.exit(1 if failed else 0)
