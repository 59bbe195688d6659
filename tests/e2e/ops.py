"""The less usual file operations, each as one line of what it gave: equal in and out of a session."""
import ctypes, errno, fcntl, mmap, os, stat, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
here = os.open(".", os.O_RDONLY)
AT_FDCWD = -100


def say(name, fn):
    try:
        r = fn()
    except OSError as e:
        r = errno.errorcode[e.errno]
    print(name, r, flush=True)


def call(fn, *args):
    if fn(*args) < 0:
        raise OSError(ctypes.get_errno(), "")
    return 0


def put(name, data=b"0123456789abcdef"):
    with open(name, "wb") as f:
        f.write(data)


# ---- O_TMPFILE ----
def tmpfile():
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o640)
    os.write(fd, b"hello")
    a = os.fstat(fd).st_nlink, oct(os.fstat(fd).st_mode), os.pread(fd, 9, 0), "named" in os.listdir(".")
    os.link(f"/proc/self/fd/{fd}", "named", src_dir_fd=here, follow_symlinks=True)
    os.write(fd, b" more")
    b = open("named").read(), os.stat("named").st_nlink, os.fstat(fd).st_nlink
    os.link(f"/proc/self/fd/{fd}", "again", src_dir_fd=here, follow_symlinks=True)
    m = mmap.mmap(fd, 5)
    m[0:5] = b"HELLO"
    m.flush()
    os.ftruncate(fd, 7)
    os.close(fd)
    return a, b, open("again").read(), os.stat("named").st_nlink


def tmpfile_excl():
    fd = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_EXCL, 0o600)
    os.link(f"/proc/self/fd/{fd}", "never", src_dir_fd=here, follow_symlinks=True)


def tmpfile_exists():
    fd = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o600)
    os.link(f"/proc/self/fd/{fd}", "named", src_dir_fd=here, follow_symlinks=True)


say("tmpfile", tmpfile)
say("tmpfile, O_EXCL", tmpfile_excl)
say("tmpfile, to a name that exists", tmpfile_exists)
say("tmpfile, read-only", lambda: os.open(".", os.O_TMPFILE | os.O_RDONLY))

# ---- fallocate, holes ----
put("f", b"x" * 65536)
f = os.open("f", os.O_RDWR)


def blocks():
    os.fsync(f)
    return os.fstat(f).st_size, os.fstat(f).st_blocks


def fallocate(mode, off, n):
    call(libc.fallocate, f, mode, ctypes.c_long(off), ctypes.c_long(n))
    return blocks(), os.pread(f, 4, off), os.lseek(f, 0, os.SEEK_HOLE)


say("fallocate", lambda: fallocate(0, 65536, 4096)[0][0])
say("fallocate KEEP_SIZE", lambda: fallocate(1, 131072, 4096)[0][0])
say("fallocate PUNCH_HOLE", lambda: fallocate(3, 8192, 8192))
say("seek data, hole", lambda: (os.lseek(f, 8192, os.SEEK_DATA), os.lseek(f, 0, os.SEEK_HOLE)))
say("seek data at the end", lambda: os.lseek(f, 1 << 30, os.SEEK_DATA))
say("fallocate ZERO_RANGE", lambda: fallocate(16, 20480, 4096)[1])
say("fallocate, nonsense", lambda: fallocate(0, -1, 5))
say("truncate up and down", lambda: (os.truncate("f", 1 << 40), os.stat("f").st_size, os.ftruncate(f, 5), os.fstat(f).st_size)[1::2])
say("a sparse file", lambda: (os.pwrite(f, b"end", 1 << 32), os.fstat(f).st_size, os.fstat(f).st_blocks < 100)[1:])
os.close(f)

# ---- copies ----
put("src", b"y" * 100000)
s, d = os.open("src", os.O_RDONLY), os.open("dst", os.O_RDWR | os.O_CREAT, 0o644)
say("copy_file_range", lambda: (os.copy_file_range(s, d, 100000, 0, 10), os.pread(d, 3, 9)))
say("copy_file_range, the same file", lambda: os.copy_file_range(d, d, 100, 0, 200000) and os.fstat(d).st_size)
say("sendfile", lambda: os.sendfile(d, s, 0, 5))
os.close(s), os.close(d)

# ---- rename ----
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4


def rename(a, b, flags):
    call(libc.renameat2, AT_FDCWD, a.encode(), AT_FDCWD, b.encode(), flags)
    return [(n, oct(os.lstat(n).st_mode), os.lstat(n).st_rdev) for n in (a, b) if os.path.lexists(n)]


put("a", b"a"), put("b", b"b"), os.mkdir("dir"), put("dir/in")
say("rename NOREPLACE", lambda: rename("a", "b", RENAME_NOREPLACE))
say("rename NOREPLACE, free", lambda: rename("a", "c", RENAME_NOREPLACE))
say("rename EXCHANGE", lambda: (rename("c", "b", RENAME_EXCHANGE), open("c").read(), open("b").read()))
say("rename EXCHANGE, a directory and a file", lambda: (rename("dir", "b", RENAME_EXCHANGE), os.listdir("b")))
say("rename WHITEOUT", lambda: rename("c", "moved", RENAME_WHITEOUT))
say("rename WHITEOUT, over", lambda: (put("w"), rename("w", "moved", RENAME_WHITEOUT)))
say("rename WHITEOUT and EXCHANGE", lambda: rename("w", "moved", 6))
say("rename, unknown flag", lambda: rename("w", "moved", 64))

# ---- nodes ----
say("fifo", lambda: (os.mkfifo("fifo", 0o620), oct(os.stat("fifo").st_mode)))
say("socket", lambda: (os.mknod("sock", stat.S_IFSOCK | 0o600), oct(os.stat("sock").st_mode)))
say("whiteout", lambda: (os.mknod("wh", stat.S_IFCHR | 0o600, 0), os.lstat("wh").st_rdev))
say("mknod, a file", lambda: (os.mknod("reg", 0o640), oct(os.stat("reg").st_mode)))


def fifo():
    r = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
    w = os.open("fifo", os.O_WRONLY)
    os.write(w, b"through")
    return os.read(r, 20)


say("fifo, used", fifo)

# ---- extended attributes ----
put("x")
say("setxattr", lambda: os.setxattr("x", "user.a", b"1"))
say("setxattr CREATE", lambda: os.setxattr("x", "user.a", b"2", os.XATTR_CREATE))
say("setxattr REPLACE", lambda: os.setxattr("x", "user.none", b"2", os.XATTR_REPLACE))
say("setxattr REPLACE", lambda: os.setxattr("x", "user.a", b"3" * 200, os.XATTR_REPLACE))
say("getxattr", lambda: os.getxattr("x", "user.a"))
say("getxattr, missing", lambda: os.getxattr("x", "user.none"))
say("getxattr, short", lambda: call(libc.getxattr, b"x", b"user.a", ctypes.create_string_buffer(4), 4))
say("listxattr", lambda: [n for n in os.listxattr("x") if n.startswith("user.")])
say("removexattr", lambda: (os.removexattr("x", "user.a"), os.listxattr("x"))[0])
say("removexattr, missing", lambda: os.removexattr("x", "user.a"))
say("setxattr, no such class", lambda: os.setxattr("x", "nothing.a", b""))
os.symlink("x", "link")
say("xattr of a link", lambda: os.setxattr("link", "user.a", b"", follow_symlinks=False))

# ---- times ----
OMIT, NOW = (1 << 30) - 2, (1 << 30) - 1


def utimens(name, a, m, flags=0):
    t = struct.pack("qqqq", *a, *m)
    call(libc.utimensat, AT_FDCWD, name.encode(), t, flags)
    s = os.lstat(name)
    return s.st_atime_ns if a[1] < OMIT else "-", s.st_mtime_ns if m[1] < OMIT else "-"


say("utimensat", lambda: utimens("x", (1000, 123456789), (2000, 987654321)))
say("utimensat OMIT", lambda: (utimens("x", (0, OMIT), (3000, 5)), os.stat("x").st_atime_ns))
say("utimensat OMIT both", lambda: (utimens("x", (0, OMIT), (0, OMIT)), os.stat("x").st_mtime_ns))
say("utimensat NOW", lambda: (utimens("x", (0, NOW), (0, OMIT)), os.stat("x").st_atime > 1e9, os.stat("x").st_mtime_ns))
say("utimensat of a link", lambda: (utimens("link", (7, 8), (9, 10), 0x100), os.stat("x").st_mtime_ns))
say("utimensat before 1970", lambda: utimens("x", (-5, 0), (-6, 1)))
say("utimensat, nonsense", lambda: utimens("x", (5, 1 << 31), (0, 0)))
say("futimens", lambda: os.utime(os.open("x", os.O_RDONLY), ns=(11, 12)) or os.stat("x").st_mtime_ns)

# ---- modes and owners ----
say("lchown to itself", lambda: os.lchown("link", os.getuid(), os.getgid()))
say("fchmod", lambda: (os.fchmod(os.open("x", os.O_RDONLY), 0o604), oct(os.stat("x").st_mode))[1])
say("fchmodat2", lambda: libc.syscall(452, AT_FDCWD, b"x", 0o640, 0) or oct(os.stat("x").st_mode))
say("chmod of a link", lambda: call(libc.syscall, 452, AT_FDCWD, b"link", 0o600, 0x100))
say("sticky directory", lambda: (os.chmod("dir" if os.path.isdir("dir") else "b", 0o1777)))

# ---- reading and mapping ----
say("O_DIRECT", lambda: os.readv(os.open("src", os.O_RDONLY | os.O_DIRECT), [mmap.mmap(-1, 4096)]))
say("FIONREAD", lambda: struct.unpack("i", fcntl.ioctl(os.open("src", os.O_RDONLY), 0x541B, b"\0\0\0\0")))
say("TCGETS", lambda: fcntl.ioctl(os.open("src", os.O_RDONLY), 0x5401, b"\0" * 64))
say("an unknown ioctl", lambda: fcntl.ioctl(os.open("src", os.O_RDONLY), 0x5A5A, 0))


def getflags(name):
    return struct.unpack("i", fcntl.ioctl(os.open(name, os.O_RDONLY), 0x80086601, b"\0\0\0\0"))[0] & 0xF8


def setflags(name, change):
    fd = os.open(name, os.O_RDONLY)
    v = struct.unpack("i", fcntl.ioctl(fd, 0x80086601, b"\0\0\0\0"))[0]
    fcntl.ioctl(fd, 0x40086602, struct.pack("i", v ^ change))
    return hex(getflags(name))


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", t, p, i) for t, p, i in entries)


def default_acl():
    none = 0xFFFFFFFF
    a = acl((1, 7, none), (2, 7, 1234), (4, 5, none), (16, 7, none), (32, 0, none))
    os.mkdir("acl")
    os.setxattr("acl", "system.posix_acl_default", a)
    os.umask(0o077)
    put("acl/f"), os.mkdir("acl/d")
    os.umask(0o022)
    return [(oct(os.stat(n).st_mode), os.getxattr(n, "system.posix_acl_access").hex()) for n in ("acl/f", "acl/d")], \
        os.getxattr("acl/d", "system.posix_acl_default") == a


def access_acl():
    none = 0xFFFFFFFF
    os.setxattr("x", "system.posix_acl_access", acl((1, 6, none), (2, 4, 1234), (4, 4, none), (16, 6, none), (32, 0, none)))
    mode = oct(os.stat("x").st_mode)
    os.chmod("x", 0o640)
    after = os.getxattr("x", "system.posix_acl_access").hex()
    os.removexattr("x", "system.posix_acl_access")
    return mode, after, oct(os.stat("x").st_mode)


if "acl" in sys.argv:
    say("default ACL", default_acl)
    say("access ACL", access_acl)
    say("ACL, nonsense", lambda: os.setxattr("x", "system.posix_acl_access", b"zz"))

if "flags" in sys.argv:
    say("FS_IOC_GETFLAGS", lambda: hex(getflags("x")))
    say("FS_IOC_GETFLAGS of a directory", lambda: hex(getflags(".")))
    say("FS_IOC_SETFLAGS, nodump and noatime", lambda: setflags("x", 0xC0))
    say("FS_IOC_SETFLAGS, back", lambda: setflags("x", 0xC0))

# ---- names ----
say("a name of 255 bytes", lambda: (put("n" * 255), os.stat("n" * 255).st_size))
say("a name of 256 bytes", lambda: put("n" * 256))


def deep():
    at = os.open(".", os.O_RDONLY)
    for i in range(60):
        os.mkdir("d" * 60, dir_fd=at)
        at, old = os.open("d" * 60, os.O_RDONLY, dir_fd=at), at
        os.close(old)
    fd = os.open("leaf", os.O_CREAT | os.O_RDWR, 0o644, dir_fd=at)
    os.write(fd, b"deep")
    return os.pread(fd, 9, 0), len(os.listdir(at))


say("a path of 3,600 bytes", deep)
