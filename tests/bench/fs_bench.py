#!/usr/bin/env python3
"""What a governed workspace costs: real work on files, natively and inside, in turn; ratios of time.

usage: fs_bench.py --build DIR [--json] [--quick] [--only NAME]... [--dir DIR] [--loopback PROGRAM]

Run as root it measures passthrough, as an ordinary user the copying server. Beside it, where they can
be had: bindfs, and libfuse's example loopback (PROGRAM: the path of a built passthrough_hp). One call
of fs_work.py for each side and round; a ratio above 1 means slower than natively.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

from bench import Failed, host, run
from fs_work import WORK as KNOWN

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
WORK = HERE / "fs_work.py"
# what the project wants to keep (ratio to native); the seconds of open_close are absolute
TARGETS = {"seqwrite": 1.03, "seqread": 1.03, "mmap": 1.03, "git_status": 1.15, "find": 1.3, "grep": 2.2,
           "tar_x": 6, "rm_r": 3, "git_clone": 1.5, "make": 1.03, "npm_ci": 1.4, "sqlite_wal": 1.05,
           "sqlite_rollback": 1.05}


class Sides:
    """The directories that are worked in, each with the same material, and how to work there."""

    def __init__(self, args, tmp, stack):
        self.files = 4000 if args.quick else 20000
        self.takes = {}
        self.tmp = pathlib.Path(tmp)
        model = self.tmp / "model"
        model.mkdir()
        run([PYTHON, str(WORK), "make", str(self.files)], cwd=model, limit=300)
        self.add("native", model, self.plain)
        self.agentsh = pathlib.Path(args.build).resolve() / "agentsh/agentsh"
        home = self.tmp / "home"
        home.mkdir()
        self.env = dict(os.environ, HOME=str(home), AGENTSH_STATE_DIR=str(self.tmp / "state"),
                        AGENTSH_CONFIG_DIR=str(self.tmp / "config"))
        self.add("agentsh", model, self.wrapped)
        if shutil.which("bindfs"):
            self.mounted("bindfs", model, ["bindfs", "-o", "multithreaded"], stack)
        if args.loopback:
            self.mounted("loopback", model, [args.loopback], stack)

    def copy(self, name, model):
        where = self.tmp / name
        shutil.copytree(model, where, symlinks=True)
        shutil.copy(WORK, where / WORK.name)
        return where

    def add(self, name, model, how):
        where = self.copy(name, model)
        self.takes[name] = lambda names: how(where, names)

    def command(self, names):
        return [PYTHON, WORK.name, "run", str(self.files), *names]

    def plain(self, where, names):
        return run(self.command(names), cwd=where, limit=600)

    def wrapped(self, where, names):
        return run([str(self.agentsh), "wrap", "--isolate", "--policy", str(HERE / "fs_policy.yaml"),
                    "--workspace", str(where), "--quiet", "--", *self.command(names)],
                   cwd=where, env=self.env, limit=600)

    def mounted(self, name, model, program, stack):
        source = self.copy(f"{name}-source", model)
        target = self.tmp / name
        target.mkdir()
        try:
            subprocess.Popen([*program, str(source), str(target)], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
            run(["sh", "-c", f"for i in $(seq 50); do mountpoint -q {target} && exit 0; sleep 0.1; done; exit 1"])
        except (Failed, OSError):
            print(f"# no {name} here", file=sys.stderr)
            return
        stack.callback(subprocess.run, ["fusermount3", "-u", str(target)], check=False)
        self.takes[name] = lambda names: self.plain(target, names)


def measure(sides, rounds, only):
    """Seconds, by work and side."""
    found = {}
    for number in range(rounds):
        for side, take in sides.takes.items():
            print(f"# round {number + 1} of {rounds}: {side}", file=sys.stderr, flush=True)
            for line in take(only).splitlines():
                name, seconds = line.split()
                found.setdefault(name, {}).setdefault(side, []).append(float(seconds))
    return found


def summary(found):
    rows = []
    for name, runs in found.items():
        medians = {side: statistics.median(values) for side, values in runs.items()}
        row = {"name": name, "native": medians["native"], "runs": runs,
               "ratio": {side: value / medians["native"] for side, value in medians.items()
                         if side != "native"}}
        if name in TARGETS:
            row["target"] = TARGETS[name]
        rows.append(row)
    return rows


def show(rows, sides):
    others = [side for side in sides.takes if side != "native"]
    print(f"{'':<16} {'native':>12} " + " ".join(f"{side:>10}" for side in others) + f" {'target':>8}")
    for row in rows:
        unit = (1e6, "us") if row["native"] < 1e-3 else (1e3, "ms")
        print(f"{row['name']:<16} {row['native'] * unit[0]:>9.1f} {unit[1]} "
              + " ".join(f"{row['ratio'].get(side, 0):>10.2f}" for side in others)
              + f" {row.get('target', ''):>8}")


def main():
    parser = argparse.ArgumentParser(description="measure what a governed workspace costs")
    parser.add_argument("--build", required=True, help="build directory")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, fewer files")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="one of: seqwrite seqread mmap open_close create_unlink git_status find "
                        "grep tar_x rm_r git_clone make npm_ci sqlite_wal sqlite_rollback; may be repeated")
    parser.add_argument("--dir", help="work below this directory (default: TMPDIR)")
    parser.add_argument("--loopback", help="a built passthrough_hp of libfuse, to compare with")
    args = parser.parse_args()
    only = [name for name in args.only if name in KNOWN]
    if args.only and not only: # names of bench.py
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)) # so that the peers are unmounted
    with tempfile.TemporaryDirectory(prefix="agentsh-bench.", dir=args.dir) as tmp, \
            contextlib.ExitStack() as stack:
        sides = Sides(args, tmp, stack)
        rows = summary(measure(sides, 3 if args.quick else 5, only))
        if args.json:
            json.dump({"host": host(), "files": sides.files, "measures": rows}, sys.stdout, indent=1)
            print()
        else:
            show(rows, sides)
    return 0


if __name__ == "__main__":
    sys.exit(main())
