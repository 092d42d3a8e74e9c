# SPDX-License-Identifier: ISC
"""Clients that mean harm, a sink that hears everything, and the health of the server after them."""
import collections
import contextlib
import json
import os
import re
import select
import socket
import struct
import threading

import postern
from postern import PATIENCE, Raw, Server, wait_for

# What comes from outside is met by the build that looks hardest, where there is one.
ASAN = os.path.join(postern.TOP, "build-asan")
HARD = postern.reachable(ASAN) if os.path.isdir(ASAN) else postern.BUILD

# Nobody is slowed or cut off for mistakes: a test makes thousands of them.
PATIENT = "smtp error-delay 0s\nsmtp max-errors 1000\nsmtp max-sessions-per-client 1000\n"
UNWELL = re.compile(r"event=process-ended .*(signal=|exit=[1-9])|event=(killed|peer-cut-off|restarting) "
                    r"|Sanitizer|runtime error")


class Evil(Raw):
    """A client on a port of the server, greeted."""

    def __init__(self, server, port=0, greeted=True):
        super().__init__(("127.0.0.1", server.ports[port]))
        self.lines = collections.deque()    # heard whole, not yet asked for
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if greeted:
            assert self.reply()[0] == 220

    def line(self):
        while not self.lines:
            *whole, self.buffer = self.buffer.split(b"\n")
            self.lines.extend(whole)
            if not whole:
                more = self.sock.recv(1 << 16)
                if not more:
                    raise EOFError(self.buffer)
                self.buffer += more
        return (self.lines.popleft() + b"\n").decode("latin-1")

    def say(self, line):
        """A command, or octets with their own end; "550 5.5.2", or "250" where there is no such code."""
        self.send(line if isinstance(line, bytes) else line + "\r\n")
        return self.heard()

    def heard(self):
        """Code and enhanced code of the next reply."""
        code, text = self.reply()
        status = re.match(r"[245]\.\d{1,3}\.\d{1,3}(?= )", text)
        return f"{code} {status.group()}" if status else str(code)

    def to(self, *commands):
        """Commands that must all be accepted."""
        for c in commands:
            code, text = self.cmd(c)
            assert 200 <= code < 400, (c, code, text)
        return self

    def envelope(self, *rcpts, sender="you@example.net", hello="EHLO evil.example", params=""):
        rcpts = rcpts or ("demo@example.org",)
        return self.to(hello, f"MAIL FROM:<{sender}>{params}", *(f"RCPT TO:<{r}>" for r in rcpts))

    def rest(self):
        """Code and enhanced code of every reply until the server closes."""
        out = []
        with contextlib.suppress(EOFError, ConnectionResetError):
            while True:
                out.append(self.heard())
        return out

    def pour(self, data):
        """Sends what the server takes, reading its replies all the while: the replies' octets."""
        heard, at, view = b"", 0, memoryview(data)
        self.sock.setblocking(False)
        while at < len(data):
            readable, writable, _ = select.select([self.sock], [self.sock], [], PATIENCE)
            assert readable or writable, f"stuck after {at} octets"
            try:
                if readable:
                    more = self.sock.recv(1 << 16)
                    if not more:
                        break
                    heard += more
                if writable:
                    at += self.sock.send(view[at:at + (1 << 16)])
            except (ConnectionResetError, BrokenPipeError):
                break
            except BlockingIOError:
                pass
        self.sock.settimeout(PATIENCE)
        self.buffer += heard
        return at

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def stat(server, name):
    for line in server.ctl("show", "stats", "--json").stdout.splitlines():
        row = json.loads(line)
        if row["name"] == name:
            return row["value"]
    raise KeyError(name)


def drain(server):
    """Waits until nothing is owed to anybody."""
    wait_for(lambda: stat(server, "queue.messages") == 0, "an empty queue")


def settle(server):
    """Waits until every session is over."""
    wait_for(lambda: stat(server, "session.open") == 0, "the sessions' end")


def body_of(mail):
    """What the client sent of a delivered message, CRLF again, without what was put before it."""
    return re.sub(rb"\A(?:(?:Return-Path|Delivered-To|Received|X-Spam):[^\n]*\n(?:[ \t][^\n]*\n)*)+", b"",
                  mail).replace(b"\n", b"\r\n")


def hard_server(conf=None, extra="", start=True):
    """A server of the hardest build, with statements of its own."""
    s = Server(conf, extra=PATIENT + extra, build=HARD)
    return s.start() if start else s


def assert_well(server, mail=True):
    """No process died or was told off, no sanitizer had a word to say, and mail is accepted."""
    unwell = [line for line in server.log if UNWELL.search(line)]
    assert not unwell, "\n".join(unwell)
    if mail:
        with Evil(server) as c:
            c.envelope().to("DATA")
            assert c.say(b"Subject: still here\r\n\r\nwell\r\n.\r\n") == "250 2.0.0"


class Sink:
    """A next hop that accepts all and keeps every octet: .lines of commands, .bodies as they were on the wire."""

    def __init__(self, offers=()):
        self.offers, self.lines, self.bodies = offers, [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(PATIENCE)
        with contextlib.suppress(OSError), sock:
            sock.sendall(b"220 sink.test ESMTP\r\n")
            buffer = b""
            while more := sock.recv(1 << 16):
                buffer += more
                while b"\r\n" in buffer:
                    line, buffer = buffer.split(b"\r\n", 1)
                    self.lines.append(line)
                    verb = line[:4].upper()
                    if verb == b"DATA":
                        sock.sendall(b"354 go\r\n")
                        buffer = self._data(sock, buffer)
                    offers = "".join(f"\r\n250-{o}" for o in self.offers).encode() if verb == b"EHLO" else b""
                    sock.sendall(b"250-sink.test" + offers + b"\r\n250 HELP\r\n" if verb == b"EHLO" else b"250 ok\r\n")

    def _data(self, sock, buffer):
        while b"\r\n.\r\n" not in b"\r\n" + buffer:
            more = sock.recv(1 << 16)
            if not more:
                raise OSError("end inside of DATA")
            buffer += more
        body, rest = (b"\r\n" + buffer).split(b"\r\n.\r\n", 1)
        self.bodies.append(body[2:] + b"\r\n")
        return rest

    def close(self):
        self.listener.close()


def server_process(server, client):
    """Which process has the other end of a client's connection."""
    local, remote = client.sock.getsockname()[1], client.sock.getpeername()[1]
    with open("/proc/net/tcp", encoding="ascii") as f:
        for row in f.readlines()[1:]:
            w = row.split()
            if int(w[1].split(":")[1], 16) == remote and int(w[2].split(":")[1], 16) == local:
                inode = f"socket:[{w[9]}]"
    for name, pid in server.pids().items():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{fd}") == inode:
                    return name, pid
    raise AssertionError("nobody has it")


def cpu_s(server):
    """Seconds of processor time that the living processes have used."""
    total = 0
    for pid in [server.process.pid, *server.pids().values()]:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def peak_mib(server, role):
    """The largest that a process of the role ever was."""
    best = 0
    for name, pid in server.pids().items():
        if name.startswith(role + "/"):
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                best = max(best, int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)))
    return best / 1024


class Names(threading.Thread):
    """A name server over UDP that answers what answer(name, type) says: (type, octets) rows, or None for silence."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer, self.questions = answer, []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.port = self.udp.getsockname()[1]
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                question, peer = self.udp.recvfrom(4096)
                end = question.index(b"\0", 12) + 1
                name, kind = question[12:end], struct.unpack_from("!H", question, end)[0]
                self.questions.append((name, kind))
                rows = self.answer(name, kind)
                if rows is None:
                    continue
                body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", t, 1, 60, len(d)) + d for t, d in rows)
                head = question[:2] + struct.pack("!HHHHH", 0x8580, 1, len(rows), 0, 0)
                self.udp.sendto(head + question[12:end + 4] + body, peer)

    def close(self):
        self.udp.close()


def labels(*parts):
    """A name on the wire, of any octets."""
    return b"".join(bytes([len(p)]) + p for p in parts) + b"\0"
