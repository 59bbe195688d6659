#!/usr/bin/env python3
"""netgate alone, against real servers and clients.

Servers run on the host's loopback; clients run inside the rig's sandbox, behind netgate. Each case
is a function named test_*; results are TAP lines. As root and as an ordinary user alike.
"""

import contextlib
import hashlib
import json
import os
import resource
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.environ.get("AGENTSH_TEST_BUILD", os.getcwd())
RIG = BUILD + "/tests/netgate/rig"
NETGATE = BUILD + "/netgate/agentsh-netgate"
AUDITD = BUILD + "/common/agentsh-auditd"
BIG = bytes(range(256)) * 4096 * 128
LOCAL = 'cidrs: ["127.0.0.0/8", "::1/128"]'


# ---- the audit log, read without the product's own reader ----

def cbor(data, at):
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if low >= 24 and major != 7:
        n = 1 << (low - 24)
        value = int.from_bytes(data[at:at + n], "big")
        at += n
    else:
        value = low
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major in (2, 3):
        raw = data[at:at + value]
        return (raw.decode("utf-8", "replace") if major == 3 else raw), at + value
    if major == 4:
        out = []
        for _ in range(value):
            item, at = cbor(data, at)
            out.append(item)
        return out, at
    if major == 5:
        out = {}
        for _ in range(value):
            key, at = cbor(data, at)
            out[key], at = cbor(data, at)
        return out, at
    return low == 21, at


def events(state):
    out = []
    for name in sorted(os.listdir(state + "/audit")):
        if not name.endswith(".aseg"):
            continue
        with open(state + "/audit/" + name, "rb") as f:
            data = f.read()
        at = struct.unpack_from("<I", data, 12)[0]
        while at + 48 <= len(data):
            size, = struct.unpack_from("<I", data, at)
            if size < 64:
                break
            if struct.unpack_from("<H", data, at + 34)[0] == 1:
                out.append(cbor(data, at + 48)[0])
            at += size
    return out


# ---- servers ----

class Dns:
    """Answers A and AAAA from a table; counts what it is asked."""

    def __init__(self, names):
        self.names, self.asked = names, []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                msg, peer = self.sock.recvfrom(4096)
            except OSError:
                return
            at, labels = 12, []
            while msg[at]:
                labels.append(msg[at + 1:at + 1 + msg[at]].decode().lower())
                at += 1 + msg[at]
            qtype, = struct.unpack_from("!H", msg, at + 1)
            name = ".".join(labels)
            self.asked.append(name)
            known = self.names.get(name)
            family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(qtype)
            addrs = []
            for text in known or ():
                if family == (socket.AF_INET6 if ":" in text else socket.AF_INET):
                    addrs.append(socket.inet_pton(family, text))
            out = msg[:2] + struct.pack("!HHHHH", 0x8180 | (3 if known is None else 0), 1,
                                        len(addrs), 0, 0) + msg[12:at + 5]
            for a in addrs:
                out += struct.pack("!HHHIH", 0xc00c, qtype, 1, 60, len(a)) + a
            self.sock.sendto(out, peer)


class Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, fn, host="127.0.0.1", port=0):
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.fn, self.seen, self.lock = fn, [], threading.Lock()
        super().__init__((host, port), None)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client_address):
        try:
            self.fn(self, request)
        except OSError:
            pass

    def handle_error(self, request, client_address):
        pass

    def note(self, what):
        with self.lock:
            self.seen.append(what)


def recv_until(sock, end, data=b""):
    while end not in data:
        more = sock.recv(65536)
        if not more:
            break
        data += more
    return data


def http(server, sock):
    """HTTP/1.1 with keep-alive: answers with the request line, Host, and size of the body."""
    data = b""
    while True:
        data = recv_until(sock, b"\r\n\r\n", data)
        if b"\r\n\r\n" not in data:
            return
        head, data = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin1").split("\r\n")
        fields = {k.lower(): v.strip() for k, v in (x.split(":", 1) for x in lines[1:])}
        size = 0
        if fields.get("transfer-encoding") == "chunked":
            while True:
                data = recv_until(sock, b"\r\n", data)
                n, data = data.split(b"\r\n", 1)
                n = int(n, 16)
                while len(data) < n + 2:
                    data += sock.recv(65536)
                data = data[n + 2:]
                size += n
                if n == 0:
                    break
        else:
            want = int(fields.get("content-length", 0))
            if fields.get("expect") == "100-continue":
                sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while len(data) < want:
                data += sock.recv(65536)
            data, size = data[want:], want
        server.note(lines[0] + " " + fields.get("host", ""))
        if fields.get("upgrade") == "websocket":
            sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         b"Connection: Upgrade\r\n\r\n")
            while True:
                more = sock.recv(65536)
                if not more:
                    return
                sock.sendall(more.upper())
        path = lines[0].split(" ")[1]
        if path.startswith("/big"):
            body = BIG
        else:
            body = ("%s|%s|%d" % (lines[0], fields.get("host", ""), size)).encode()
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) +
                     (b"" if lines[0].startswith("HEAD") else body))


def echo_all(server, sock):
    """Reads to the end of the stream, then answers with all of it: half-close both ways."""
    data = b""
    while True:
        more = sock.recv(65536)
        if not more:
            break
        data += more
    server.note(len(data))
    sock.sendall(data)


def echo(server, sock):
    while True:
        data = sock.recv(65536)
        if not data:
            return
        server.note(data)
        sock.sendall(data)


def banner(server, sock):
    sock.sendall(b"220 ready\r\n")
    echo(server, sock)


class World:
    """All servers, started once."""

    def __init__(self, tmp):
        self.http = Tcp(http)
        self.http6 = Tcp(http, "::1", self.http.port)
        self.echo_all, self.echo, self.banner = Tcp(echo_all), Tcp(echo), Tcp(banner)
        self.silent = socket.socket()
        self.silent.bind(("127.0.0.1", 0))
        cert = tmp + "/cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=tls.test", "-keyout", cert + ".key", "-out", cert,
                        "-addext", "subjectAltName=DNS:tls.test,DNS:other.test"],
                       check=True, capture_output=True)
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(cert, cert + ".key")
        ctx.set_alpn_protocols(["http/1.1"])

        def https(server, sock):
            with ctx.wrap_socket(sock, server_side=True) as s:
                http(server, s)

        self.https = Tcp(https)
        self.cert = cert
        local = ["127.0.0.1"]
        self.dns = Dns({
            "ok.test": local, "tls.test": local, "other.test": local, "both.test": ["::1"] + local,
            "v6.test": ["::1"], "fallback.test": ["127.0.0.77", "127.0.0.1"], "held.test": local,
            "private.test": ["10.1.2.3"], "mapped.test": ["::ffff:10.1.2.3"],
            "nat64.test": ["64:ff9b::a01:203"], "empty.test": [], "moved.test": local,
            "inspect.test": local, "methods.test": local, "x.wild.test": local,
            "a.b.wild.test": local, "lit.test": ["127.0.0.1"], "rebind.test": ["169.254.169.254"],
            "literal.test": ["192.0.2.7"],
        })

    def policy(self):
        return """
version: 1
name: netgate-tests
network_rules:
  - {name: no-secret, domains: [both.test], ports: [%(echo)d], decision: deny,
     message: "not {{.Domain}} port {{.Port}}"}
  - {name: held, domains: [held.test], %(local)s, decision: approve, timeout: 1s}
  - {name: moved, domains: [moved.test], %(local)s, decision: redirect, redirect_to: "127.0.0.1:%(http)d"}
  - {name: inspected, domains: [inspect.test], %(local)s, decision: allow, tls: inspect}
  - {name: no-delete, domains: [methods.test], %(local)s, methods: [DELETE], decision: deny}
  - {name: no-admin, domains: [methods.test], %(local)s, paths: ["/admin/**"], decision: deny}
  - name: tests
    domains: [ok.test, tls.test, other.test, both.test, v6.test, fallback.test, empty.test,
              methods.test, lit.test, gone.test, "*.wild.test"]
    %(local)s
    decision: allow
  - {name: unnamed-private, domains: [private.test, mapped.test, nat64.test, rebind.test],
     decision: allow}
  - {name: everything-else, domains: ["*"], decision: deny, message: "{{.Domain}} is not allowed"}
""" % {"local": LOCAL, "echo": self.echo.port, "http": self.http.port}


class Result:
    def __init__(self, proc, state):
        self.status, self.out, self.err = proc.returncode, proc.stdout, proc.stderr
        self.events = events(state)

    def find(self, **want):
        return [e for e in self.events if all(e.get(k) == v for k, v in want.items())]


WORLD = None
TMP = None


def run(command, answer=None, timeout=60, files=None):
    """Run a command (list, or Python source) inside the sandbox; files: limit of descriptors."""
    state = tempfile.mkdtemp(dir=TMP)
    with open(state + "/policy.yaml", "w", encoding="utf-8") as f:
        f.write(WORLD.policy())
    if isinstance(command, str):
        command = [sys.executable, "-c", PRELUDE % vars_of_world() + command]
    argv = [RIG, "-d", "127.0.0.1:%d" % WORLD.dns.port]
    if answer:
        argv += ["-a", answer]
    argv += [NETGATE, AUDITD, state + "/policy.yaml", state] + command
    proc = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False,
                          errors="replace", preexec_fn=lambda: files and resource.setrlimit(
                              resource.RLIMIT_NOFILE, (files, files)))
    return Result(proc, state)


PRELUDE = """
import socket, ssl, struct, sys, time, threading, errno
HTTP, HTTPS, ECHO, ECHO_ALL, BANNER, SILENT, CERT = %r
def dial(host, port, timeout=10):
    return socket.create_connection((host, port), timeout)
def rest(s):
    out = b""
    try:
        while True:
            d = s.recv(65536)
            if not d: return out
            out += d
    except ConnectionResetError:
        return out + b"<RST>"
def get(s, host, path="/", method="GET", extra="", body=b""):
    s.sendall(("%%s %%s HTTP/1.1\\r\\nHost: %%s\\r\\n%%s\\r\\n" %% (method, path, host, extra)).encode() + body)
def answer(s):
    data = b""
    while b"\\r\\n\\r\\n" not in data:
        d = s.recv(65536)
        if not d: return data.decode("latin1")
        data += d
    head, body = data.split(b"\\r\\n\\r\\n", 1)
    n = [int(l.split(b":")[1]) for l in head.lower().split(b"\\r\\n") if l.startswith(b"content-length:")]
    while n and len(body) < n[0]:
        d = s.recv(65536)
        if not d: break
        body += d
    return (head + b"\\n" + body).decode("latin1")
def tls(host, port, sni, **kw):
    ctx = ssl.create_default_context(cafile=CERT)
    ctx.check_hostname = False
    if not kw.get("verify", True): ctx.verify_mode = ssl.CERT_NONE
    return ctx.wrap_socket(dial(host, port), server_hostname=sni)
"""


def vars_of_world():
    w = WORLD
    return ((w.http.port, w.https.port, w.echo.port, w.echo_all.port, w.banner.port,
             w.silent.getsockname()[1], w.cert),)


class Failed(Exception):
    pass


def check(condition, why):
    if not condition:
        raise Failed(why)


def same(got, want):
    check(got == want, "got %r, want %r" % (got, want))


def good(r):
    same((r.status, r.err), (0, ""))
    return r


# ---- cases ----

def test_http_is_relayed_and_recorded():
    r = good(run("s = dial('ok.test', HTTP); get(s, 'ok.test:%d' % HTTP, '/x?token=secret'); print(answer(s))"))
    check("GET /x?token=secret" in r.out, r.out)
    c = r.find(op="connect")[0]
    same((c["decision"], c["verdict"], c["rule"], c["proto"], c["host"], c["ip"], c["port"],
          c["method"], c["url"]),
         ("allow", "allow", "tests", "http", "ok.test", "127.0.0.1", WORLD.http.port, "GET", "/x"))
    check(c["pid"] > 0 and c["comm"].startswith("python"), "no process: %r" % c)
    check(r.find(op="close")[0]["bytes_in"] > 0, "no close record")
    check("secret" not in json.dumps(r.events), "the query is in the log")


def test_denied_name_is_refused_without_asking_anybody():
    before = len(WORLD.dns.asked)
    r = good(run("try:\n dial('evil.test', 80)\nexcept socket.gaierror: print('refused')"))
    same(r.out, "refused\n")
    same(WORLD.dns.asked[before:], [])
    d = r.find(op="dns", decision="deny")
    same((len(d), d[0]["host"], d[0]["rule"]), (1, "evil.test", "everything-else"))


def test_denied_literal_gets_403_with_reason():
    r = good(run("s = dial('203.0.113.9', 80); get(s, '203.0.113.9'); print(answer(s))"))
    head, body = r.out.split("\n", 1)[0], json.loads(r.out[r.out.index("{"):])
    check("403" in head, r.out)
    same((body["error"], body["rule"], body["session"]), ("denied", "everything-else", "rig"))
    same(r.find(op="connect")[0]["decision"], "deny")


def test_denied_port_of_an_allowed_name():
    r = good(run("s = dial('both.test', ECHO); s.sendall(b'\\x00\\x01'); print(rest(s))"))
    same(r.out, "b'<RST>'\n")
    same(r.find(op="connect")[0]["message"], "not both.test port %d" % WORLD.echo.port)


def test_denied_tls_gets_an_alert():
    r = good(run("""
try: tls('203.0.113.9', 443, 'evil.test')
except ssl.SSLError as e: print('ALERT_ACCESS_DENIED' in str(e) or 'access denied' in str(e))
"""))
    same(r.out, "True\n")
    same(r.find(op="connect")[0]["sni"], "evil.test")


def test_tls_passes_with_its_name():
    r = good(run("s = tls('tls.test', HTTPS, 'TLS.test'); get(s, 'tls.test'); print(answer(s))"))
    check("200 OK" in r.out, r.out)
    c = r.find(op="connect")[0]
    same((c["proto"], c["sni"], c["host"]), ("tls", "TLS.test", "tls.test"))


def test_sni_of_another_allowed_name_is_refused():
    r = good(run("""
try: tls('tls.test', HTTPS, 'other.test')
except (ssl.SSLError, OSError): print('refused')
"""))
    same(r.out, "refused\n")
    same(r.find(op="connect")[0]["reason"], "tls_name_mismatch")


def test_hello_in_single_bytes():
    r = good(run("""
ctx = ssl.create_default_context(cafile=CERT)
i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
t = ctx.wrap_bio(i, o, server_hostname='tls.test')
s = dial('tls.test', HTTPS); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
try: t.do_handshake()
except ssl.SSLWantReadError: pass
for b in o.read(): s.sendall(bytes([b]))
while True:
    i.write(s.recv(65536))
    try: t.do_handshake(); break
    except ssl.SSLWantReadError: pass
print('up')
"""))
    same(r.out, "up\n")


def test_host_must_be_the_name():
    r = good(run("""
for h in ('other.test', 'ok.test.', 'OK.test', 'ok.test:1', '127.0.0.1', 'ok.test@x', 'other.test:%d' % HTTP):
    s = dial('ok.test', HTTP); get(s, h); print(answer(s).split(' ')[1])
"""))
    same(r.out.split(), ["403", "200", "200", "403", "403", "400", "403"])
    same(len(r.find(reason="host_mismatch")), 4)


def test_second_request_to_another_host():
    before = len(WORLD.http.seen)
    r = good(run("""
s = dial('ok.test', HTTP)
get(s, 'ok.test'); print(answer(s).split(' ')[1])
get(s, 'ok.test', '/2', 'POST', 'Content-Length: 3\\r\\n', b'abc'); print(answer(s).split(' ')[1])
get(s, 'other.test', '/3'); print(answer(s).split(' ')[1], rest(s))
"""))
    same(r.out.split("\n")[:3], ["200", "200", "403 b''"])
    same(WORLD.http.seen[before:], ["GET / HTTP/1.1 ok.test", "POST /2 HTTP/1.1 ok.test"])
    same([e["decision"] for e in r.find(op="request")], ["allow", "deny"])


def test_pipelined_requests():
    r = good(run("""
s = dial('ok.test', HTTP)
one = b'GET /a HTTP/1.1\\r\\nHost: ok.test\\r\\n\\r\\n'
s.sendall(one * 20); s.shutdown(socket.SHUT_WR)
print(rest(s).count(b'200 OK'))
"""))
    same(r.out, "20\n")
    before = len(WORLD.http.seen)
    good(run("""
s = dial('ok.test', HTTP)
s.sendall(b'GET /a HTTP/1.1\\r\\nHost: ok.test\\r\\n\\r\\nGET /b HTTP/1.1\\r\\nHost: other.test\\r\\n\\r\\n')
rest(s)
"""))
    check("GET /b HTTP/1.1 other.test" not in WORLD.http.seen[before:], "the second one passed")


def test_smuggling_is_not_passed_on():
    before = len(WORLD.http.seen)
    r = good(run("""
H = 'POST / HTTP/1.1\\r\\nHost: ok.test\\r\\n'
for extra, body in (
    ('Content-Length: 4\\r\\nTransfer-Encoding: chunked\\r\\n', '0\\r\\n\\r\\n'),
    ('Content-Length: 4\\r\\nContent-Length: 5\\r\\n', 'abcde'),
    ('Transfer-Encoding: xchunked\\r\\n', '0\\r\\n\\r\\n'),
    ('X: a\\r\\n b\\r\\n', ''),
    ('X: a\\n', ''),
    ('Transfer-Encoding : chunked\\r\\n', '0\\r\\n\\r\\n'),
    ('Host: other.test\\r\\n', ''),
    ('Upgrade: h2c\\r\\nConnection: upgrade\\r\\n', ''),
):
    s = dial('ok.test', HTTP); s.sendall((H + extra + '\\r\\n' + body).encode()); print(answer(s).split(' ')[1])
s = dial('ok.test', HTTP); s.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n'); print(answer(s).split(' ')[1])
s = dial('ok.test', HTTP); s.sendall(b'CONNECT other.test:443 HTTP/1.1\\r\\nHost: other.test:443\\r\\n\\r\\n'); print(answer(s).split(' ')[1])
"""))
    same(r.out.split(), ["400"] * 7 + ["403"] + ["400"] * 2)
    same(WORLD.http.seen[before:], [])


def test_bad_chunk_ends_the_connection():
    r = good(run("""
s = dial('ok.test', HTTP)
s.sendall(b'POST / HTTP/1.1\\r\\nHost: ok.test\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3;x=1\\r\\nabc\\r\\n0\\r\\n\\r\\n')
print(b'200 OK' in rest(s))
s = dial('ok.test', HTTP)
s.sendall(b'POST / HTTP/1.1\\r\\nHost: ok.test\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nabc\\r\\n0\\r\\n\\r\\n')
print(answer(s).split('|')[-1])
"""))
    same(r.out.split(), ["False", "3"])


def test_http_in_pieces_is_not_taken_for_something_else():
    before = len(WORLD.http.seen)
    r = good(run("""
s = dial('ok.test', HTTP); s.sendall(b'GET'); time.sleep(0.6)
s.sendall(b' / HTTP/1.1\\r\\nHost: other.test\\r\\n\\r\\n'); print(b'200 OK' in rest(s))
s = dial('ok.test', HTTP); time.sleep(0.6); get(s, 'other.test'); print(b'200 OK' in rest(s))
s = dial('ok.test', HTTP); time.sleep(0.6); get(s, 'ok.test'); print('200 OK' in answer(s))
s = dial('tls.test', HTTPS); time.sleep(0.6)
ctx = ssl.create_default_context(cafile=CERT); ctx.check_hostname = False
try: ctx.wrap_socket(s, server_hostname='other.test'); print('passed')
except (ssl.SSLError, OSError): print('refused')
"""))
    same(r.out.split(), ["False", "False", "True", "refused"])
    same(WORLD.http.seen[before:], ["GET / HTTP/1.1 ok.test"])


def test_methods_and_paths():
    r = good(run("""
for m, p in (('GET', '/a'), ('DELETE', '/a'), ('GET', '/admin/x'), ('GET', '/b/../admin/x'),
             ('GET', '/%61dmin/x'), ('GET', '//admin/x'), ('GET', '/a%2f..%2fadmin/x')):
    s = dial('methods.test', HTTP); get(s, 'methods.test', p, m); print(answer(s).split(' ')[1])
try: tls('methods.test', HTTPS, 'methods.test'); print('passed')
except (ssl.SSLError, OSError): print('refused')
try: tls('inspect.test', HTTPS, 'inspect.test'); print('passed')
except (ssl.SSLError, OSError): print('refused')
"""))
    same(r.out.split(), ["200"] + ["403"] * 5 + ["400", "refused", "refused"])
    same(len(r.find(reason="tls_inspection_unavailable")), 2)


def test_websocket():
    r = good(run("""
s = dial('ok.test', HTTP)
get(s, 'ok.test', '/ws', extra='Upgrade: websocket\\r\\nConnection: Upgrade\\r\\n')
d = b''
while b'\\r\\n\\r\\n' not in d: d += s.recv(100)
s.sendall(b'frames'); print(s.recv(100))
"""))
    same(r.out, "b'FRAMES'\n")


def test_upload_and_expect():
    r = good(run("""
s = dial('ok.test', HTTP)
get(s, 'ok.test', '/up', 'PUT', 'Content-Length: 5000000\\r\\n', b'x' * 5000000); print(answer(s).split('|')[-1])
get(s, 'ok.test', '/up', 'PUT', 'Expect: 100-continue\\r\\nContent-Length: 3\\r\\n')
print(s.recv(100)[:12]); s.sendall(b'abc'); print(answer(s).split('|')[-1])
"""))
    same(r.out.split("\n")[:3], ["5000000", "b'HTTP/1.1 100'", "3"])


def test_large_download_is_spliced_unchanged():
    r = good(run("""
import hashlib
s = dial('ok.test', HTTP); get(s, 'ok.test', '/big')
d = b''
while b'\\r\\n\\r\\n' not in d: d += s.recv(65536)
d = d.split(b'\\r\\n\\r\\n', 1)[1]
n, h = len(d), hashlib.md5(d)
while n < %d:
    d = s.recv(1 << 20); h.update(d); n += len(d)
print(n, h.hexdigest())
""" % len(BIG), timeout=120))
    body = BIG
    same(r.out.split(), [str(len(body)), hashlib.md5(body).hexdigest()])


def test_denial_after_a_large_download():
    r = good(run("""
s = dial('ok.test', HTTP); get(s, 'ok.test', '/big')
d = b''
while b'\\r\\n\\r\\n' not in d: d += s.recv(65536)
n = len(d.split(b'\\r\\n\\r\\n', 1)[1])
while n < %d: n += len(s.recv(1 << 20))
get(s, 'other.test'); print(answer(s).split(' ')[1])
""" % len(BIG)))
    same(r.out, "403\n")


def test_half_close():
    r = good(run("""
s = dial('ok.test', ECHO_ALL); s.sendall(b'\\x00' + b'y' * 3000000); s.shutdown(socket.SHUT_WR)
print(len(rest(s)))
s = dial('ok.test', ECHO_ALL); s.sendall(b'hi'); s.shutdown(socket.SHUT_WR); print(rest(s))
s = dial('ok.test', ECHO_ALL); s.shutdown(socket.SHUT_WR); print(rest(s))
# an end of stream that comes with the last step of a turn has no event of its own
for n in [k * 32768 + 1 for k in range(1, 40)]:
    s = dial('ok.test', ECHO_ALL); s.sendall(b'\\x00' + b'z' * (n - 1)); s.shutdown(socket.SHUT_WR)
    got = len(rest(s))
    if got != n: print(n, got)
print('done')
"""))
    same(r.out.split("\n")[:4], ["3000001", "b'hi'", "b''", "done"])


def test_server_speaks_first_and_short_words():
    r = good(run("""
s = dial('ok.test', BANNER); print(s.recv(100)); s.sendall(b'HELO x\\r\\n'); print(s.recv(100))
s = dial('ok.test', ECHO); s.sendall(b'ping'); print(s.recv(100)); s.sendall(b'pong'); print(s.recv(100))
"""))
    same(r.out.split("\n")[:4], ["b'220 ready\\r\\n'", "b'HELO x\\r\\n'", "b'ping'", "b'pong'"])


def test_ipv6():
    r = good(run("""
s = dial('v6.test', HTTP); print(s.family == socket.AF_INET6); get(s, 'v6.test'); print(answer(s).split(' ')[1])
s = socket.socket(socket.AF_INET6); s.connect(('2001:db8::1', 80)); get(s, '[2001:db8::1]'); print(answer(s).split(' ')[1])
s = socket.socket(socket.AF_INET6); s.connect(('::ffff:203.0.113.9', 80)); get(s, '203.0.113.9'); print(answer(s).split(' ')[1])
try:
    s = socket.socket(socket.AF_INET6); s.settimeout(3); s.connect(('fe80::1%lo', 80)); get(s, 'x'); print(answer(s).split(' ')[1])
except OSError as e: print('error')
"""))
    same(r.out.split()[:4], ["True", "200", "403", "403"])
    check(r.out.split()[4] in ("403", "error"), r.out)


def test_private_answers_are_rebinding():
    r = good(run("""
for h in ('private.test', 'mapped.test', 'nat64.test', 'rebind.test'):
    try: s = dial(h, 80); get(s, h); print(answer(s).split(' ')[1])
    except socket.gaierror: print('gai', h)
"""))
    same(r.out.split(), ["403"] * 4)
    same([e["reason"] for e in r.find(op="connect")], ["private_address"] * 4)


def test_dead_address_falls_back():
    r = good(run("s = dial('fallback.test', HTTP); get(s, 'fallback.test'); print(answer(s).split(' ')[1])"))
    same(r.out, "200\n")


def test_nothing_listens():
    r = good(run("""
s = dial('ok.test', SILENT); get(s, 'ok.test'); print(answer(s).split(' ')[1])
s = dial('ok.test', SILENT); s.sendall(b'\\x00'); print(rest(s))
"""))
    same(r.out.split("\n")[:2], ["502", "b'<RST>'"])
    same(r.find(op="close")[0]["errno"], 111)


def test_literal_with_a_name_of_its_own():
    r = good(run("""
s = dial('192.0.2.7', 80); get(s, 'ok.test'); print(answer(s).split(' ')[1])
"""))
    same(r.out, "403\n")
    same(r.find(op="connect")[0]["reason"], "address_not_of_name")


def test_dns_server():
    r = good(run("""
def ask(name, qtype, tcp=False, server='10.200.0.1', raw=None):
    q = raw or struct.pack('!HHHHHH', 7, 0x100, 1, 0, 0, 0) + b''.join(bytes([len(l)]) + l.encode() for l in name.split('.')) + b'\\0' + struct.pack('!HH', qtype, 1)
    s = socket.socket(socket.AF_INET6 if ':' in server else socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    s.settimeout(5); s.connect((server, 53))
    s.send((struct.pack('!H', len(q)) if tcp else b'') + q)
    r = s.recv(4096)
    r = r[2:] if tcp else r
    return r[3] & 15, struct.unpack('!H', r[6:8])[0], r
A, PTR, TXT, AAAA, SVCB, HTTPS_, AXFR, ANY = 1, 12, 16, 28, 64, 65, 252, 255
for args in (('ok.test', A), ('OK.test', A), ('ok.test', AAAA), ('v6.test', A), ('v6.test', AAAA), ('empty.test', A), ('gone.test', A),
             ('anything.wild.test', A), ('evil.test', A), ('ok.test', TXT), ('ok.test', SVCB), ('ok.test', HTTPS_), ('ok.test', AXFR), ('ok.test', ANY),
             ('1.0.18.198.in-addr.arpa', PTR), ('9.9.9.9.in-addr.arpa', PTR), ('localhost', A), ('ok.test', A, True), ('ok.test', A, False, '9.9.9.9'),
             ('ok.test', A, True, '9.9.9.9'), ('ok.test', A, False, '2001:db8::53'), ('evil.test', A, True, '2001:db8::53')):
    print(*ask(*args)[:2])
a = ask('ok.test', A)[2][-4:]; print(a == ask('OK.TEST', A)[2][-4:], socket.inet_ntoa(a).startswith('198.18.'))
print(ask('', 0, raw=struct.pack('!HHHHHH', 7, 0x100, 2, 0, 0, 0) + b'\\1a\\0\\0\\1\\0\\1' * 2)[0])
s = socket.create_connection(('10.200.0.1', 53)); s.sendall(b'\\xff\\xff'); print(rest(s))
s = socket.create_connection(('10.200.0.1', 53))
q = struct.pack('!HHHHHH', 7, 0x100, 1, 0, 0, 0) + b'\\2ok\\4test\\0\\0\\1\\0\\1'
s.sendall((struct.pack('!H', len(q)) + q) * 3); d = b''
while len(d) < 3 * (2 + len(q) + 16): d += s.recv(4096)
print('three')
"""))
    want = ["0 1"] * 2 + ["0 0"] * 2 + ["0 1", "0 0", "3 0", "0 1", "5 0"] + ["0 0"] * 3 + ["4 0"] * 2 + [
        "0 1", "3 0", "0 1", "0 1", "0 1", "0 1", "0 1", "5 0", "True True", "1", "b''", "three"]
    same(r.out.split("\n")[:-1], want)
    check("anything.wild.test" not in WORLD.dns.asked, "a wildcard name went upstream")


def test_only_tcp_and_dns_leave():
    r = good(run("""
kept = []
def try_send(s, addr):
    kept.append(s)
    t = time.time()
    try: s.connect(addr); s.send(b'x'); s.settimeout(1); s.recv(10); print('sent')
    except OSError as e: print(time.time() - t < 0.5)
try_send(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), ('203.0.113.9', 443))
try_send(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), ('2001:db8::1', 443))
try_send(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), ('224.0.0.251', 5353))
try_send(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), ('10.200.0.1', 54))
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a.bind(('127.0.0.1', 0)); b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
b.sendto(b'local', a.getsockname()); print(a.recv(10))
l = socket.socket(socket.AF_INET6); l.bind(('::1', 0)); l.listen(); c = socket.create_connection(('::1', l.getsockname()[1])); l.accept()[0].sendall(b'v6'); print(c.recv(10))
time.sleep(1)
"""))
    same(r.out.split("\n")[:6], ["True"] * 4 + ["b'local'", "b'v6'"])
    p = r.find(op="packet", proto="udp", port=443)
    same(sorted(e["ip"] for e in p), ["2001:db8::1", "203.0.113.9"])
    check(all(e["decision"] == "deny" for e in p), "not a denial")
    check(p[0].get("pid", 0) > 0, "no process")


def test_own_listener_is_not_a_way_in():
    r = good(run("""
ports = [int(l.split()[1].split(':')[1], 16) for l in open('/proc/net/tcp').readlines()[1:] if l.split()[3] == '0A']
for p in ports:
    if p == 53: continue
    try: s = dial('10.200.0.1', p); s.sendall(b'\\x00'); print(rest(s))
    except ConnectionResetError: print(b'<RST>')
"""))
    same(r.out, "b'<RST>'\n")
    same(r.find(op="connect")[0]["reason"], "self_dial")


def test_unknown_synthetic_address():
    r = good(run("""
try: s = dial('198.18.77.7', 80); s.sendall(b'x'); print(rest(s))
except ConnectionResetError: print(b'<RST>')
"""))
    same(r.out, "b'<RST>'\n")
    same(r.find(op="connect")[0]["reason"], "unknown_synthetic_address")


def test_approval():
    source = "s = dial('held.test', HTTP); get(s, 'held.test'); print(answer(s).split(' ')[1])"
    before = len(WORLD.http.seen)
    for answer, status in (("deny", "403"), (None, "403"), ("allow", "200")):
        r = good(run(source, answer))
        same(r.out.strip(), status)
        c = r.find(op="connect")[0]
        same((c["verdict"], c["decision"]), ("approve", "allow" if status == "200" else "deny"))
        same(c["approver"], "rig" if answer else "timeout")
    same(len(WORLD.http.seen) - before, 1)


def test_redirect():
    r = good(run("s = dial('moved.test', 80); get(s, 'moved.test'); print(answer(s).split(' ')[1])"))
    same(r.out, "200\n")
    c = r.find(op="connect")[0]
    same((c["decision"], c["to"]), ("redirect", "127.0.0.1:%d" % WORLD.http.port))


def test_many_at_once():
    r = good(run("""
ok = 0
def one(i):
    global ok
    try:
        s = dial('ok.test', ECHO, 30); s.sendall(b'\\x00%d' % i)
        if s.recv(100) == b'\\x00%d' % i: ok += 1
        s.close()
    except OSError as e: print(e)
ts = [threading.Thread(target=one, args=(i,)) for i in range(500)]
[t.start() for t in ts]; [t.join() for t in ts]; print(ok)
""", timeout=120))
    same(r.out, "500\n")
    same(len(r.find(op="connect", decision="allow")), 500)
    same(len(r.find(op="close")), 500)


def test_few_descriptors():
    r = good(run("""
ok = 0
dst = socket.getaddrinfo('ok.test', ECHO, 0, socket.SOCK_STREAM)[0][4]
def one():
    global ok
    s = socket.create_connection(dst, 30); s.sendall(b'\\0x'); same = s.recv(9) == b'\\0x'; ok += same
    time.sleep(0.2); s.close()
ts = [threading.Thread(target=one) for i in range(140)]
[t.start() for t in ts]; [t.join() for t in ts]; print(ok)
""", files=200))
    same(r.out, "140\n")


def test_slow_head_is_cut():
    r = good(run("""
t = time.time(); s = dial('ok.test', HTTP); s.sendall(b'GET / HTTP/1.1\\r\\nX: y'); print(answer(s).split(' ')[1], 4 < time.time() - t < 8)
"""))
    same(r.out, "400 True\n")


def need(program):
    if not shutil.which(program):
        raise Skip(program + " is not installed")
    return program


class Skip(Exception):
    pass


def test_curl_keeps_its_connection():
    url = "http://ok.test:%d/" % WORLD.http.port
    r = good(run([need("curl"), "-sS", "-m", "10", "-w", "%{http_code} %{num_connects}\n", "-o",
                  "/dev/null", url, "-o", "/dev/null", url + "2", "-T", WORLD.cert, url + "3"]))
    same(r.out.split("\n")[:2], ["200 1", "200 0"])


def test_curl_https():
    r = good(run([need("curl"), "-sS", "-m", "10", "--cacert", WORLD.cert,
                  "https://tls.test:%d/" % WORLD.https.port]))
    check("GET / HTTP/1.1" in r.out, r.out)


def test_dig():
    r = good(run([need("dig"), "+tries=1", "+time=3", "ok.test", "@1.1.1.1"]))
    check("198.18." in r.out, r.out)
    r = good(run([need("dig"), "+tcp", "+tries=1", "+time=3", "evil.test", "@2001:db8::1"]))
    check("REFUSED" in r.out, r.out)


@contextlib.contextmanager
def scratch():
    path = tempfile.mkdtemp(prefix="agentsh-netgate.")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def main():
    global WORLD, TMP
    only = sys.argv[1:]
    tests = [(n[5:], f) for n, f in list(globals().items())
             if n.startswith("test_") and (not only or any(o in n for o in only))]
    failed = 0
    with scratch() as TMP:
        WORLD = World(TMP)
        probe = run(["true"])
        if probe.status != 0:
            print("1..0 # SKIP the sandbox cannot be made here: " + probe.err.strip())
            return 0 if os.getuid() else 1
        print("1..%d" % len(tests))
        for i, (name, fn) in enumerate(tests, 1):
            start = time.time()
            try:
                fn()
                print("ok %d - %s (%.1f s)" % (i, name, time.time() - start), flush=True)
            except Skip as e:
                print("ok %d - %s # SKIP %s" % (i, name, e), flush=True)
            except (Failed, subprocess.TimeoutExpired, LookupError, ValueError) as e:
                failed += 1
                print("not ok %d - %s" % (i, name))
                print("# " + str(e).replace("\n", "\n# "), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
