#!/usr/bin/env python3
"""undo_do.py snap DIR | random SEED N CHECKPOINTS OUT

snap prints all that undo has to restore of a tree. random, run in a sandbox's workspace, does N
random changes; at each checkpoint it writes OUT/K (a snapshot) and makes a directory markK, whose record
tells the place in the audit log.
"""
import ctypes
import hashlib
import os
import random
import stat
import sys


def snap(root):
    first, out = {}, []

    def one(p, rel):
        st = os.lstat(p)
        link = ''
        if not stat.S_ISDIR(st.st_mode) and st.st_nlink > 1:
            link = 'links %d, as %s' % (st.st_nlink, first.setdefault(st.st_ino, rel))
        what = ''
        if stat.S_ISREG(st.st_mode):
            with open(p, 'rb') as f:
                what = '%d %s' % (st.st_size, hashlib.sha1(f.read()).hexdigest())
        elif stat.S_ISLNK(st.st_mode):
            what = os.readlink(p)
        xattrs = {}
        for name in sorted(os.listxattr(p, follow_symlinks=False)):
            if not name.startswith(('security.', 'trusted.', 'system.')):
                xattrs[name] = os.getxattr(p, name, follow_symlinks=False)
        out.append('%s %o %d:%d %d %s %s %s' % (rel, st.st_mode, st.st_uid, st.st_gid,
                                                st.st_mtime_ns, what, xattrs or '', link))
        if stat.S_ISDIR(st.st_mode):
            for name in sorted(os.listdir(p)):
                one(p + '/' + name, rel + '/' + name)
    one(root, '.')
    return '\n'.join(out) + '\n'


class Changer:
    def __init__(self, seed, own=''):
        self.r = random.Random(seed)
        self.own = own
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.held = []

    def walk(self):
        files, dirs = [], ['.']
        for d, subs, names in os.walk('.'):
            dirs += [d + '/' + s for s in subs if not os.path.islink(d + '/' + s)]
            files += [d + '/' + n for n in names]
            files += [d + '/' + s for s in subs if os.path.islink(d + '/' + s)]
        return sorted(files), sorted(dirs)

    def new(self):
        return self.r.choice(self.dirs) + '/' + self.r.choice('abcdefghij') + self.own

    def reg(self):
        names = [f for f in self.files if stat.S_ISREG(os.lstat(f).st_mode)]
        return self.r.choice(names) if names else self.new()

    def any(self):
        return self.r.choice(self.files + self.dirs[1:]) if self.files else self.new()

    def data(self):
        return bytes([self.r.randrange(256)]) * self.r.choice((0, 1, 100, 5000, 70000))

    @staticmethod
    def plain(name, flags):  # a fifo must not hold us
        return os.open(name, flags | os.O_NONBLOCK)

    def do_create(self):
        with open(self.new(), 'wb', opener=self.plain) as f:
            f.write(self.data())

    def do_append(self):
        with open(self.reg(), 'ab') as f:
            f.write(self.data())

    def do_inplace(self):
        with open(self.reg(), 'r+b') as f:
            f.seek(self.r.choice((0, 10, 3000)))
            f.write(self.data())

    def do_save(self):  # as editors do
        name = self.reg()
        with open(name + '~', 'wb') as f:
            f.write(self.data())
        os.rename(name + '~', name)

    def do_truncate(self):
        os.truncate(self.reg(), self.r.choice((0, 1, 1000, 9000)))

    def do_sparse(self):
        with open(self.new(), 'wb', opener=self.plain) as f:
            f.seek(1 << 20)
            f.write(b'end')

    def do_rename(self):
        os.rename(self.any(), self.new())

    def do_exchange(self):
        self.libc.renameat2(-100, self.any().encode(), -100, self.any().encode(), 2)

    def do_link(self):
        os.link(self.reg(), self.new())

    def do_symlink(self):
        os.symlink(self.r.choice(('a', '../b', '/etc/passwd', 'nowhere')), self.new())

    def do_fifo(self):
        os.mkfifo(self.new())

    def do_chmod(self):
        name = self.any()
        if not os.path.islink(name):
            os.chmod(name, self.r.choice((0o700, 0o750, 0o755) if os.path.isdir(name)
                                         else (0o600, 0o644, 0o755, 0o666)))

    def do_utime(self):
        os.utime(self.any(), ns=(10 ** 18, 10 ** 18 + self.r.randrange(10 ** 12)),
                 follow_symlinks=False)

    def do_xattr(self):
        name = self.reg()
        if self.r.random() < 0.3:
            os.removexattr(name, 'user.x')
        else:
            os.setxattr(name, 'user.x', self.data()[:100])

    def do_mkdir(self):
        os.mkdir(self.new())

    def do_rmdir(self):
        os.rmdir(self.r.choice(self.dirs))

    def do_unlink(self):
        os.unlink(self.r.choice(self.files) if self.files else 'none')

    def do_rm_tree(self):
        if self.r.random() < 0.25 and len(self.dirs) > 1:
            top = self.r.choice(self.dirs[1:])
            for d, subs, names in os.walk(top, topdown=False):
                for n in names:
                    os.unlink(d + '/' + n)
                for s in subs:
                    (os.unlink if os.path.islink(d + '/' + s) else os.rmdir)(d + '/' + s)
            os.rmdir(top)

    def do_held(self):  # written after its name is gone
        f = open(self.reg(), 'ab')
        os.unlink(f.name)
        f.write(b'late')
        f.flush()
        self.held.append(f)
        if len(self.held) > 3:
            self.held.pop(0).close()

    def run(self, n):
        acts = [getattr(self, k) for k in sorted(dir(self)) if k.startswith('do_')]
        for _ in range(n):
            self.files, self.dirs = self.walk()
            try:
                self.r.choice(acts)()
            except OSError:
                pass


def main():
    if sys.argv[1] == 'snap':
        sys.stdout.write(snap(sys.argv[2]))
        return
    seed, n, checkpoints, out = int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    c = Changer(seed, sys.argv[6] if len(sys.argv) > 6 else '')
    for k in range(checkpoints):
        with open('%s/%d' % (out, k), 'w') as f:
            f.write(snap('.'))
        os.mkdir('mark%d' % k)
        c.run(n // checkpoints)


main()
