#!/usr/bin/env python3
"""What agentsh costs: each measure with it and without it, in turn; medians and ratios.

usage: bench.py --build DIR [--json] [--quick] [--only NAME]...

Runs as root or as an ordinary user, on loopback and in a temporary directory; about two minutes.
A ratio above 1 means slower with agentsh. A measure whose tool is missing is skipped with the reason.
"""
import argparse
import contextlib
import json
import os
import pathlib
import platform
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
NAME = "bench.example.test"


class Skip(Exception):
    """A measure that this host cannot take; the text says why."""


class Failed(Exception):
    """A command of a measure failed; the text is its output."""


def run(command, cwd=None, env=None, limit=120):
    """The command's standard output; Failed when it does not exit with 0 within limit seconds."""
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, timeout=limit,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        text = (done.stderr.strip() or done.stdout.strip())[-600:]
        raise Failed(f"{' '.join(map(str, command))}: status {done.returncode}: {text}")
    return done.stdout


def values(output):
    """The "name number" lines that the loop programs print, as a dictionary."""
    pairs = (line.split() for line in output.splitlines())
    return {pair[0]: float(pair[1]) for pair in pairs if len(pair) == 2}


def alternate(rounds, **sides):
    """Call each side in turn, rounds times; a dictionary of lists, a first call of each unused."""
    for take in sides.values():
        take()
    results = {name: [] for name in sides}
    for _ in range(rounds):
        for name, take in sides.items():
            results[name].append(take())
    return results


def seconds_of(command, **how):
    def take():
        start = time.perf_counter()
        run(command, **how)
        return time.perf_counter() - start
    return take


class Dns(threading.Thread):
    """Answers every A question with 127.0.0.1, every other question with no data."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]

    def run(self):
        while True:
            try:
                query, peer = self.sock.recvfrom(1500)
                self.sock.sendto(self.answer(query), peer)
            except (OSError, ValueError, struct.error, IndexError):
                if self.sock.fileno() < 0:
                    return

    @staticmethod
    def answer(query):
        end = query.index(b"\0", 12) + 5
        is_a = struct.unpack(">H", query[end - 4:end - 2])[0] == 1
        head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(is_a), 0, 0)
        record = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + bytes([127, 0, 0, 1])
        return head + query[12:end] + (record if is_a else b"")


class Bench:
    def __init__(self, build, tmp, quick):
        self.build, self.tmp = pathlib.Path(build), pathlib.Path(tmp)
        self.rounds = 3 if quick else 7
        self.agentsh = self.build / "agentsh/agentsh"
        self.loops = self.build / "tests/bench"
        self.workspace = self.tmp / "workspace"
        self.workspace.mkdir()
        for name in ("spawn_loop", "file_loop", "net_loop"):
            shutil.copy(self.loops / name, self.workspace / name)
        self.dns = Dns()
        self.dns.start()
        home = self.tmp / "home"
        home.mkdir()
        self.env = dict(os.environ, HOME=str(home), AGENTSH_STATE_DIR=str(self.tmp / "state"),
                        AGENTSH_CONFIG_DIR=str(self.tmp / "config"))

    def wrap(self, *command):
        return [str(self.agentsh), "wrap", "--isolate", "--policy", str(HERE / "policy.yaml"),
                "--workspace", str(self.workspace), "--dns", self.dns.address, "--quiet", "--",
                *map(str, command)]

    def inside(self, *command):
        """A take() that runs a loop program in a sandbox of its own; what it printed."""
        return lambda: values(run(self.wrap(*command), cwd=self.workspace, env=self.env))

    # Each measure yields (name, unit, what the other side is, its runs, our runs).

    def startup(self):
        """A sandbox with all three gates live, around a program that does nothing."""
        if not shutil.which("bwrap"):
            raise Skip("bwrap is not installed (Debian: bubblewrap)")
        bwrap = ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/",
                 "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "true"]
        got = alternate(self.rounds * 3, other=seconds_of(bwrap),
                        ours=seconds_of(self.wrap("true"), cwd=self.workspace, env=self.env))
        yield ("startup", "ms", "bwrap --unshare-all",
               [s * 1e3 for s in got["other"]], [s * 1e3 for s in got["ours"]])

    def spawn(self):
        """Start /bin/true and wait for it."""
        program = self.workspace / "spawn_loop"
        got = alternate(self.rounds, ours=self.inside(program, 300),
                        other=lambda: values(run([str(program), "300"])))
        yield ("spawn", "us", "outside", [v["spawn"] / 1e3 for v in got["other"]],
               [v["spawn"] / 1e3 for v in got["ours"]])

    def files(self):
        """Small files in the workspace: read one; make and remove one."""
        program, count = self.workspace / "file_loop", 2000
        native = self.tmp / "native"
        native.mkdir()
        sides = {"native": lambda: values(run([str(program), str(native), str(count)])),
                 "ours": self.inside(program, self.workspace, count)}
        with contextlib.ExitStack() as stack:
            bound = self.bindfs(stack)
            if bound:
                sides["bindfs"] = lambda: values(run([str(program), bound, str(count)]))
            got = alternate(self.rounds, **sides)
        for name in ("open_read_close", "create_unlink"):
            for other in sides.keys() - {"ours"}:
                yield (name, "us", other, [v[name] / 1e3 for v in got[other]],
                       [v[name] / 1e3 for v in got["ours"]])

    def bindfs(self, stack):
        """Mount bindfs until stack closes; its directory, or None where it cannot be."""
        source, target = self.tmp / "bindfs-source", self.tmp / "bindfs"
        if not shutil.which("bindfs") or not shutil.which("fusermount3"):
            return None
        source.mkdir()
        target.mkdir()
        try:
            run(["bindfs", str(source), str(target)])
        except Failed:
            return None
        stack.callback(run, ["fusermount3", "-u", str(target)])
        return str(target)

    def net(self):
        """One tunnel at a time: short requests, each on a connection of its own; a long answer."""
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
             "-keyout", str(self.tmp / "key.pem"), "-out", str(self.tmp / "cert.pem")])
        program = self.workspace / "net_loop"
        for mode, keys in (("tcp", []), ("tls", [self.tmp / "cert.pem", self.tmp / "key.pem"])):
            with self.server(keys) as port:
                got = alternate(
                    self.rounds, ours=self.inside(program, mode, NAME, port, 200, 64),
                    other=lambda: values(run([program, mode, "127.0.0.1", port, "200", "64"])))
            yield (f"{mode}_request", "us", "direct", [v["request"] / 1e3 for v in got["other"]],
                   [v["request"] / 1e3 for v in got["ours"]])
            yield (f"{mode}_throughput", "Gbit/s", "direct",
                   [v["gbit_per_s"] for v in got["other"]], [v["gbit_per_s"] for v in got["ours"]])

    @contextlib.contextmanager
    def server(self, keys):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        server = subprocess.Popen([self.loops / "net_loop", "serve", port, *keys])
        try:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", int(port)), 1).close()
                    break
                time.sleep(0.05)
            yield port
        finally:
            server.terminate()
            server.wait()

    def audit(self):
        """What a record costs its gate; records until they are on disk; one that waits for it."""
        auditd = self.build / "common/agentsh-auditd"
        got = []
        for number in range(self.rounds):
            where = self.tmp / f"audit-{number}"
            where.mkdir()
            got.append(values(run([self.loops / "audit_loop", auditd, where, "300000"])))
            shutil.rmtree(where, ignore_errors=True)
        yield ("audit_publish", "ns", None, None, [v["publish"] for v in got])
        yield ("audit_append", "records/s", None, None, [1e9 / v["append"] for v in got])
        yield ("audit_commit", "us", None, None, [v["commit"] / 1e3 for v in got])


def summary(name, unit, what, other, ours):
    """A measure as it is reported: medians, runs, and their ratio (above 1: slower)."""
    entry = {"name": name, "unit": unit,
             "agentsh": {"median": statistics.median(ours), "runs": ours}}
    if other:
        entry["baseline"] = {"what": what, "median": statistics.median(other), "runs": other}
        slower = entry["agentsh"]["median"] / entry["baseline"]["median"]
        entry["ratio"] = 1 / slower if unit.endswith("/s") else slower
    return entry


def show(entry):
    if "skipped" in entry:
        return f"{entry['name']:<18} skipped: {entry['skipped']}"
    if "failed" in entry:
        return f"{entry['name']:<18} FAILED: {entry['failed']}"
    line = f"{entry['name']:<18} {entry['agentsh']['median']:>12.1f} {entry['unit']:<9}"
    if "ratio" in entry:
        base = entry["baseline"]
        line += f" {base['median']:>12.1f} {base['what']:<20} {entry['ratio']:>6.2f}"
    return line


def host():
    return {"kernel": platform.release(), "machine": platform.machine(),
            "cpus": len(os.sched_getaffinity(0)), "uid": os.getuid()}


def measure(bench, only, report):
    """Take every measure of only (all when empty); report() gets each entry. True: none failed."""
    good = True
    for name in ("startup", "spawn", "files", "net", "audit"):
        if only and name not in only: # others are of fs_bench.py
            continue
        try:
            for found in getattr(bench, name)():
                report(summary(*found))
        except Skip as why:
            report({"name": name, "skipped": str(why)})
        except (Failed, OSError, KeyError, subprocess.TimeoutExpired) as why:
            report({"name": name, "failed": str(why)})
            good = False
    return good


def main():
    parser = argparse.ArgumentParser(description="measure what agentsh costs")
    parser.add_argument("--build", required=True, help="build directory")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="startup, spawn, files, net or audit; may be repeated")
    args = parser.parse_args()
    entries = []

    def report(entry):
        entries.append(entry)
        if not args.json:
            print(show(entry), flush=True)

    if not args.json:
        print(f"{'':<18} {'with agentsh':>12} {'':<9} {'without':>12} {'':<20} {'ratio':>6}")
    with tempfile.TemporaryDirectory(prefix="agentsh-bench.") as tmp:
        good = measure(Bench(os.path.abspath(args.build), tmp, args.quick), args.only, report)
    if args.json:
        json.dump({"host": host(), "measures": entries}, sys.stdout, indent=1)
        print()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
