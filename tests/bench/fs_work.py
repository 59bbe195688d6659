#!/usr/bin/env python3
"""Work on files, timed from within: fs_work.py MAKE|RUN FILES NAME...

MAKE lays the material out in the current directory; RUN prints "NAME seconds" for each name. FILES is
the size of the repository. Run natively and in a mount, the difference is the mount's.
"""
import mmap
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time

GIT = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.test", "-c", "gc.auto=0",
       "-c", "core.fsmonitor=false", "-c", "init.defaultBranch=main"]
MIB = 1 << 20
SIZE = 64 * MIB
LOOPS = 5000


def run(*command, **how):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, **how)


def lay_out(files):
    rng = random.Random(1)
    os.makedirs("repo")
    words = [f"word{n}" for n in range(500)]
    for number in range(files):
        where = f"repo/d{number // 1000}/s{number // 100 % 10}"
        if number % 100 == 0:
            os.makedirs(where, exist_ok=True)
        with open(f"{where}/f{number}.c", "w", encoding="ascii") as f:
            f.write(" ".join(rng.choices(words, k=rng.randrange(20, 400))) + "\n")
    run(*GIT, "init", cwd="repo")
    run(*GIT, "add", ".", cwd="repo")
    run(*GIT, "commit", "-m", "all", cwd="repo")
    run("tar", "cf", "tree.tar", "--exclude=.git", *[f"repo/d{n}" for n in range(min(5, files // 1000))])
    os.makedirs("c")
    for number in range(50):
        with open(f"c/u{number}.c", "w", encoding="ascii") as f:
            f.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n")
            for k in range(60):
                f.write(f"int f{number}_{k}(int x) {{ int s = 0; for (int i = 0; i < x; i++) "
                        f"s += printf(\"%d\", i * {k}); return s; }}\n")
    with open("c/Makefile", "w", encoding="ascii") as f:
        f.write("O = $(patsubst %.c,%.o,$(wildcard *.c))\nall: $(O)\n%.o: %.c\n\tgcc -O1 -c -o $@ $<\n")
    packages(120)


def packages(count):
    """A lockfile whose packages are tarballs beside it, and the tarballs."""
    import base64
    import hashlib
    import io
    import json
    import tarfile
    os.makedirs("js/t")
    lock = {"name": "bench", "version": "1.0.0", "lockfileVersion": 3, "requires": True,
            "packages": {"": {"name": "bench", "version": "1.0.0", "dependencies": {}}}}
    for number in range(count):
        name, path = f"p{number}", f"js/t/p{number}.tgz"
        with tarfile.open(path, "w:gz", compresslevel=1) as tar:
            members = {"package.json": json.dumps({"name": name, "version": "1.0.0"})}
            members.update({f"lib/m{k}.js": f"exports.x{k} = {k};\n" * 20 for k in range(25)})
            for member, text in members.items():
                info = tarfile.TarInfo(f"package/{member}")
                info.size, info.mtime, info.mode = len(text), 1, 0o644
                tar.addfile(info, io.BytesIO(text.encode()))
        with open(path, "rb") as f:
            digest = base64.b64encode(hashlib.sha512(f.read()).digest()).decode()
        lock["packages"][""]["dependencies"][name] = f"file:t/{name}.tgz"
        lock["packages"][f"node_modules/{name}"] = {
            "version": "1.0.0", "resolved": f"file:t/{name}.tgz", "integrity": f"sha512-{digest}"}
    with open("js/package-lock.json", "w", encoding="ascii") as f:
        json.dump(lock, f)
    with open("js/package.json", "w", encoding="ascii") as f:
        json.dump({"name": "bench", "version": "1.0.0",
                   "dependencies": lock["packages"][""]["dependencies"]}, f)


# Each of these prepares, yields, is timed until it yields again, and cleans up.

def seqwrite():
    data = bytes(MIB)
    yield
    with open("data", "wb", buffering=0) as f:
        for _ in range(SIZE // MIB):
            f.write(data)
    yield
    os.unlink("data")


def with_data():
    if not os.path.exists("data"):
        with open("data", "wb") as f:
            f.write(os.urandom(SIZE))


def seqread():
    with_data()
    yield
    with open("data", "rb", buffering=0) as f:
        while f.read(MIB):
            pass
    yield
    os.unlink("data")


def mapped():
    with_data()
    rng = random.Random(2)
    places = [rng.randrange(SIZE) for _ in range(200000)]
    yield
    with open("data", "rb") as f, mmap.mmap(f.fileno(), SIZE, prot=mmap.PROT_READ) as m:
        for place in places:
            m[place]
    yield
    os.unlink("data")


def open_close():
    with open("one", "wb") as f:
        f.write(b"x" * 1000)
    time.sleep(0.05)
    os.close(os.open("one", os.O_RDONLY))
    yield LOOPS
    for _ in range(LOOPS):
        os.close(os.open("one", os.O_RDONLY))
    yield
    os.unlink("one")


def create_unlink():
    yield LOOPS
    for _ in range(LOOPS):
        os.close(os.open("new", os.O_WRONLY | os.O_CREAT))
        os.unlink("new")
    yield


def command(*words, warm=True, cwd="repo", clean=None):
    def work():
        if warm:
            run(*words, cwd=cwd)
        yield
        run(*words, cwd=cwd)
        yield
        if clean:
            shutil.rmtree(clean)
    return work


def remove():
    os.makedirs("out", exist_ok=True)
    run("tar", "xf", "tree.tar", "-C", "out")
    yield
    run("rm", "-r", "out")
    yield


def unpack():
    os.makedirs("out", exist_ok=True)
    yield
    run("tar", "xf", "tree.tar", "-C", "out")
    yield
    shutil.rmtree("out")


def clone():
    yield
    run(*GIT, "clone", "--no-hardlinks", "repo", "cloned")
    yield
    shutil.rmtree("cloned")


def make():
    run("make", "-C", "c", "u0.o")
    run("sh", "-c", "rm -f c/*.o")
    yield
    run("make", "-C", "c", "-j2")
    yield
    run("sh", "-c", "rm -f c/*.o")


def npm():
    env = dict(os.environ, npm_config_cache=os.path.abspath("cache"), npm_config_update_notifier="false")
    yield
    run("npm", "ci", "--offline", "--no-audit", "--no-fund", cwd="js", env=env)
    yield
    shutil.rmtree("js/node_modules")
    shutil.rmtree("cache", ignore_errors=True)


def sqlite(mode, rows):
    def work():
        db = sqlite3.connect("db", isolation_level=None)
        db.execute(f"pragma journal_mode={mode}")
        db.execute("pragma synchronous=normal")
        db.execute("create table t (a integer primary key, b text)")
        yield
        for number in range(rows):
            db.execute("begin")
            db.execute("insert into t (b) values (?)", (f"row {number}" * 10,))
            db.execute("commit")
        yield
        db.close()
        for name in ("db", "db-wal", "db-shm", "db-journal"):
            if os.path.exists(name):
                os.unlink(name)
    return work


WORK = {
    "seqwrite": seqwrite, "seqread": seqread, "mmap": mapped,
    "open_close": open_close, "create_unlink": create_unlink,
    "git_status": command(*GIT, "status"), "find": command("find", ".", "-type", "f"),
    "grep": command("sh", "-c", "grep -r nothing-has-this . || true"),
    "tar_x": unpack, "rm_r": remove, "git_clone": clone, "make": make, "npm_ci": npm,
    "sqlite_wal": sqlite("wal", 1000), "sqlite_rollback": sqlite("delete", 300),
}


def main():
    what, files, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    if what == "make":
        lay_out(files)
        return
    for name in names or WORK:
        if name == "npm_ci" and not shutil.which("npm"):
            continue
        steps = WORK[name]()
        count = next(steps) or 1
        start = time.perf_counter()
        next(steps)
        print(name, (time.perf_counter() - start) / count, flush=True)
        for _ in steps:
            pass


if __name__ == "__main__":
    main()
