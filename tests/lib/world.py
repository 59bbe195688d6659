#!/usr/bin/python3
"""The world outside a sandbox, for tests: servers that answer and write down who came.

usage: world.py DIR [WORKSPACE]

Writes DIR/world.conf (key=value: the ports), then serves until stdin closes or a signal comes.
DIR/world.log gets one JSON object a line: {"what": server, "raw": what was received}.

  open   HTTP on 127.0.0.1 and ::1       tls   the same over TLS (DIR/cert.pem, DIR/key.pem)
  closed TCP on every address            udp   datagrams on every address
  dns    UDP and TCP on every address: allowed.test, denied.test, rebind.test, *.wild.test
         are 127.0.0.1 and ::1, anything else does not exist
  unix   a path outside (DIR/outside/host.sock), one in the workspace, an abstract one
Each of them says WORLD-ANSWER to whoever reaches it.
"""
import json
import os
import signal
import socket
import ssl
import struct
import sys
import threading

ANSWER = b"WORLD-ANSWER"
NAMES = ("allowed.test", "denied.test", "rebind.test")
top = os.path.abspath(sys.argv[1])
workspace = sys.argv[2] if len(sys.argv) > 2 else None
log_lock = threading.Lock()
log_file = open(os.path.join(top, "world.log"), "a", encoding="utf-8")


def log(what, raw, **more):
    text = raw.decode("latin-1") if isinstance(raw, bytes) else raw
    with log_lock:
        log_file.write(json.dumps(dict(more, what=what, raw=text)) + "\n")
        log_file.flush()


def listening(family, address, port=0, kind=socket.SOCK_STREAM):
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if family == socket.AF_UNIX:
        s.bind(address)
    else:
        s.bind((address, port))
    if kind == socket.SOCK_STREAM:
        s.listen(128)
    return s


def http(conn, what, **more):
    """Answer each request head; bodies are not looked at, only their length is skipped."""
    conn.settimeout(10)
    buf = b""
    try:
        while True:
            while b"\r\n\r\n" not in buf and b"\n\n" not in buf:
                got = conn.recv(65536)
                if not got:
                    if buf:
                        log(what, buf, **more)
                    return
                buf += got
            log(what, buf, **more)
            head, _, buf = buf.partition(b"\r\n\r\n" if b"\r\n\r\n" in buf else b"\n\n")
            first = head.split(b"\r\n")[0].split(b" ")
            size = 0
            for line in head.split(b"\r\n")[1:]:
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            while len(buf) < size:
                buf += conn.recv(65536)
            body, buf = buf[:size], buf[size:]
            text = ANSWER + b" " + (first[1] if len(first) > 1 else b"") + b"\n"
            if len(first) > 1 and first[1].startswith(b"/bytes/"):
                text = b"x" * int(first[1][7:])
            if first[0] == b"POST":
                text = body
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
            if b"HTTP/1.0" in head or b"connection: close" in head.lower():
                return
    except (OSError, ValueError):
        if buf:
            log(what, buf, **more)
    finally:
        conn.close()


def serve(sock, fn):
    def loop():
        while True:
            try:
                conn, _ = sock.accept()
            except OSError:
                return
            threading.Thread(target=fn, args=(conn,), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()


def plain(conn):
    http(conn, "open")


def closed(conn):
    log("closed", b"", peer="connected")
    http(conn, "closed")


def tls_with(context):
    def fn(conn):
        seen = []
        conn.settimeout(10)
        context.sni_callback = lambda s, name, c: seen.append(name)
        try:
            wrapped = context.wrap_socket(conn, server_side=True)
        except (OSError, ssl.SSLError) as e:
            log("tls", str(e), sni=seen[0] if seen else None)
            conn.close()
            return
        log("tls", b"", sni=seen[0] if seen else None)
        http(wrapped, "tls", sni=seen[0] if seen else None)
    return fn


def question(data):
    """Name and type of the first question; the bytes of the question section."""
    pos, labels = 12, []
    while data[pos]:
        labels.append(data[pos + 1:pos + 1 + data[pos]].decode("latin-1"))
        pos += 1 + data[pos]
    kind, = struct.unpack(">H", data[pos + 1:pos + 3])
    return ".".join(labels).lower(), kind, data[12:pos + 5]


def dns_answer(data):
    name, kind, section = question(data)
    log("dns", name, kind=kind)
    known = name in NAMES or name.endswith(".wild.test")
    body = b""
    if known and kind == 1:
        body = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 30, 4) + bytes([127, 0, 0, 1])
    if known and kind == 28 and not name.startswith("v4"):
        body = b"\xc0\x0c" + struct.pack(">HHIH", 28, 1, 30, 16) + bytes(15) + b"\x01"
    flags = 0x8180 if known else 0x8183
    return data[:2] + struct.pack(">HHHHH", flags, 1, 1 if body else 0, 0, 0) + section + body


def dns_udp(sock):
    def loop():
        while True:
            data, peer = sock.recvfrom(4096)
            try:
                sock.sendto(dns_answer(data), peer)
            except (IndexError, struct.error, OSError):
                log("dns", data, bad=True)
    threading.Thread(target=loop, daemon=True).start()


def dns_tcp(conn):
    try:
        conn.settimeout(10)
        while True:
            head = conn.recv(2)
            if len(head) < 2:
                return
            answer = dns_answer(conn.recv(struct.unpack(">H", head)[0]))
            conn.sendall(struct.pack(">H", len(answer)) + answer)
    except (OSError, IndexError, struct.error):
        pass
    finally:
        conn.close()


def udp(sock):
    def loop():
        while True:
            data, peer = sock.recvfrom(4096)
            log("udp", data)
            sock.sendto(ANSWER, peer)
    threading.Thread(target=loop, daemon=True).start()


def host_ip():
    """An address of the host that is not on its loopback, where it has one."""
    for far in ("203.0.113.9", "192.0.2.9", "10.255.255.254"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.connect((far, 9))  # sends nothing: only asks which address would be used
            if not s.getsockname()[0].startswith("127."):
                return s.getsockname()[0]
        except OSError:
            pass
        finally:
            s.close()
    return "127.0.0.1"


def pair(address4, address6, kind=socket.SOCK_STREAM):
    """Two sockets on the same port, the IPv6 one only where the host has IPv6."""
    for _ in range(20):
        four = listening(socket.AF_INET, address4, kind=kind)
        port = four.getsockname()[1]
        try:
            return port, [four, listening(socket.AF_INET6, address6, port, kind)]
        except OSError:
            if not os.path.exists("/proc/net/if_inet6"):
                return port, [four]
            four.close()
    raise SystemExit("world.py: no port")


def main():
    conf = {"host_ip": host_ip()}
    conf["open_port"], socks = pair("127.0.0.1", "::1")
    for s in socks:
        serve(s, plain)
    conf["closed_port"], socks = pair("0.0.0.0", "::")
    for s in socks:
        serve(s, closed)
    if os.path.exists(os.path.join(top, "cert.pem")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(top, "cert.pem"), os.path.join(top, "key.pem"))
        conf["tls_port"], socks = pair("127.0.0.1", "::1")
        for s in socks:
            serve(s, tls_with(context))
    conf["dns_port"], socks = pair("0.0.0.0", "::", socket.SOCK_DGRAM)
    for s in socks:
        dns_udp(s)
    try:
        serve(listening(socket.AF_INET, "0.0.0.0", conf["dns_port"]), dns_tcp)
    except OSError:
        pass
    conf["udp_port"], socks = pair("0.0.0.0", "::", socket.SOCK_DGRAM)
    for s in socks:
        udp(s)
    conf["abstract_socket"] = "agentsh-test-%d" % os.getpid()
    conf["outside_socket"] = os.path.join(top, "outside", "host.sock")
    serve(listening(socket.AF_UNIX, "\0" + conf["abstract_socket"]), closed)
    os.makedirs(os.path.join(top, "outside"), exist_ok=True)
    serve(listening(socket.AF_UNIX, conf["outside_socket"]), closed)
    if workspace:
        serve(listening(socket.AF_UNIX, os.path.join(workspace, "host.sock")), closed)
    with open(os.path.join(top, "world.conf.new"), "w", encoding="utf-8") as f:
        f.writelines("%s=%s\n" % item for item in conf.items())
    os.rename(os.path.join(top, "world.conf.new"), os.path.join(top, "world.conf"))
    signal.signal(signal.SIGTERM, lambda *a: os._exit(0))
    signal.pause()


main()
