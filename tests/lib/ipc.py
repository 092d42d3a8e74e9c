# SPDX-License-Identifier: ISC
"""A process of the server alone, with the test as its parent and its peers.

The message table is read from lib/ipc/messages.h, so that there is nothing
to keep in step with it.
"""

import array
import os
import re
import select
import socket
import struct
import subprocess
import time
from pathlib import Path

import postern

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(postern.BUILD)
# Sanitizers reserve more address space than any limit would leave them.
ADDRESS_SPACE = 0 if "asan" in BUILD.name else 1 << 30
DEADLINE = 30  # seconds any event may take; none should need one

SCALARS = {"U8": "<B", "BOOL": "<?", "U16": "<H", "U32": "<I", "U64": "<Q", "I64": "<q"}
HEADER = struct.Struct("<IHBBI")


def _read_table():
    text = (TOP / "lib/ipc/messages.h").read_text().replace("\\\n", " ")
    roles = re.findall(r'\bX\((\w+), "\w+", "[\w-]+"\)', text)
    order = re.search(r"#define MESSAGES\(M, F, R\)(.*)", text).group(1)
    rows = []
    for group in re.findall(r"MESSAGES_(\w+)\(M, F, R\)", order):
        body = re.search(r"#define MESSAGES_%s\(M, F, R\)(.*)" % group, text).group(1)
        for name, fd, rest in re.findall(
            r'\bM\(\s*(\w+), (FD|NOFD),\s*"(?:[^"\\]|\\.)*",(.*?)(?=\bM\(|$)', body
        ):
            rows.append((name, fd == "FD", re.findall(r"\bF\((\w+), (\w+),", rest)))
    return roles, rows


ROLES, MESSAGES = _read_table()
ROLE = {name: number for number, name in enumerate(ROLES)}
NUMBER = {name: number for number, (name, _, _) in enumerate(MESSAGES)}
OUTCOMES = ("OK", "RETRY", "FAIL", "FULL", "GONE", "DENIED")


def encode(name, /, req=0, **values):
    """A frame; fields that are not given are zero or empty."""
    number = NUMBER[name]
    _, wants_fd, fields = MESSAGES[number]
    unknown = set(values) - {field for _, field in fields}
    assert not unknown, "%s has no field %s" % (name, unknown)
    body = b""
    for kind, field in fields:
        value = values.get(field)
        if kind in SCALARS:
            body += struct.pack(SCALARS[kind], value or 0)
            continue
        value = value.encode() if isinstance(value, str) else value or b""
        if kind == "STR":
            body += struct.pack("<H", len(value)) + value + b"\0"
        else:
            body += struct.pack("<I", len(value)) + value
    return HEADER.pack(HEADER.size + len(body), number, wants_fd, 0, req) + body


class Message:
    """A decoded frame: its fields are attributes, strings are str."""

    def __init__(self, frame):
        _, number, _, _, self.req = HEADER.unpack_from(frame)
        self.type, _, fields = MESSAGES[number]
        at = HEADER.size
        for kind, field in fields:
            if kind in SCALARS:
                (value,) = struct.unpack_from(SCALARS[kind], frame, at)
                at += struct.calcsize(SCALARS[kind])
            else:
                head = struct.Struct("<H" if kind == "STR" else "<I")
                (length,) = head.unpack_from(frame, at)
                value = frame[at + head.size : at + head.size + length]
                at += head.size + length
                if kind == "STR":
                    value = value.decode("utf-8", "surrogateescape")
                    at += 1
            setattr(self, field, value)
        if hasattr(self, "outcome"):
            self.outcome = OUTCOMES[self.outcome]

    def __repr__(self):
        return "Message(%r)" % self.__dict__


class Closed(Exception):
    """The process closed its end."""


class Link:
    """One end of a channel."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.last_req = 0

    def send(self, name, /, fd=None, **values):
        self.send_raw(encode(name, **values), [] if fd is None else [fd])

    def send_raw(self, frame, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            sent = self.sock.sendmsg([frame], ancillary)
            if sent < len(frame):
                self.sock.sendall(frame[sent:])
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def ask(self, name, /, **values):
        """Sends a question and returns its id."""
        self.last_req += 1
        self.send(name, req=self.last_req, **values)
        return self.last_req

    def holds_frame(self):
        """Whether a whole frame is here already: select() on the socket knows nothing of it."""
        return len(self.buffer) >= HEADER.size and len(self.buffer) >= HEADER.unpack_from(self.buffer)[0]

    def receive(self, timeout=DEADLINE):
        while True:
            if self.holds_frame():
                length = HEADER.unpack_from(self.buffer)[0]
                frame, self.buffer = self.buffer[:length], self.buffer[length:]
                return Message(frame)
            if not select.select([self.sock], [], [], timeout)[0]:
                raise TimeoutError("no message within %s s" % timeout)
            try:
                data, fds, _, _ = socket.recv_fds(self.sock, 65536, 16)
            except ConnectionResetError:
                raise Closed from None
            for fd in fds:
                self.take_fd(fd)
            if not data:
                raise Closed
            self.buffer += data

    def take_fd(self, fd):
        """A descriptor that came along."""
        os.close(fd)

    def answer_to(self, req, *names):
        """All messages up to the first one of names, of which each must echo req."""
        got = []
        while not got or got[-1].type not in names:
            got.append(self.receive())
            assert got[-1].req == req, got[-1]
        return got

    def close(self):
        self.sock.close()


class Process:
    """A program of the server, entered into its role without root's powers."""

    def __init__(self, program, role, rights, conf, files=(), ports=(), limits=(1024, 0, 0, 0),
                 wrap=()):
        mine, its = socket.socketpair()
        self.role = role
        self.parent = Link(mine)
        self.log = []
        self.accounts = {}
        self.asked = []
        command = [*wrap, str(BUILD / "bin" / program)]

        def pass_parent():
            os.dup2(its.fileno(), 3)
            os.set_inheritable(3, True)

        self.child = subprocess.Popen(
            command, pass_fds=[3], preexec_fn=pass_parent, close_fds=True,
            stdin=subprocess.DEVNULL,
        )
        its.close()
        self.parent.send(
            "enter", role=ROLE[role], rights=rights, descriptors=limits[0],
            address_space=limits[1], file_bytes=limits[2], processes=limits[3],
            connect_ports=struct.pack("<%dH" % len(ports), *ports), verbose=True,
        )
        self.configure(conf, files, generation=1)
        self.parent.send("lock")
        self.entered = self.until("entered")

    def configure(self, conf, files=(), generation=2):
        self.parent.send("conf_text", text=conf)
        self.parent.send("conf_end", generation=generation)
        for kind, name, path in files:
            with open(path, "rb") as file:
                self.parent.send("file", fd=file.fileno(), kind=kind, name=name)

    def link(self, role, instance=0):
        mine, its = socket.socketpair()
        self.parent.send("link", fd=its.fileno(), role=ROLE[role], instance=instance)
        its.close()
        return Link(mine)

    def serve_once(self, timeout=0):
        """Handles one message to the parent: logs it, answers about an account, which forwards nothing."""
        m = self.parent.receive(timeout)
        if m.type == "log":
            self.log.append(m.line)
        elif m.type == "user":
            self.asked.append(m.name)
            outcome = self.accounts.get(m.name, "GONE")
            if outcome is not None:
                self.parent.send("user_answer", req=m.req, outcome=OUTCOMES.index(outcome))
        elif m.type == "forward_get":
            self.parent.send("forward_none", req=m.req, outcome=OUTCOMES.index("GONE"), text="")
        return m

    def until(self, name):
        while True:
            m = self.serve_once(DEADLINE)
            if m.type == name:
                return m

    def wait_log(self, pattern):
        """The first line, past or to come, in which pattern is found."""
        end = time.monotonic() + DEADLINE
        while True:
            for line in self.log:
                if re.search(pattern, line):
                    return line
            assert time.monotonic() < end, "no log line with %r in %s" % (pattern, self.log)
            try:
                self.serve_once(1)
            except TimeoutError:
                pass

    def ask(self, link, name, /, *ends, **values):
        """Asks over link, being the parent meanwhile; all the messages of the answer."""
        req = link.ask(name, **values)
        got = []
        end = time.monotonic() + DEADLINE
        while not got or got[-1].type not in ends:
            assert time.monotonic() < end, "no answer to %s: %s" % (name, got)
            try:
                got.append(link.receive(0))
                assert got[-1].req == req, got[-1]
                continue
            except TimeoutError:
                pass
            try:
                self.serve_once(0)
            except TimeoutError:
                select.select([link.sock, self.parent.sock], [], [], 1)
        return got

    def is_alive(self):
        return self.child.poll() is None

    def stop(self):
        """Closes the parent's end, which ends the process; its exit status."""
        self.parent.close()
        try:
            return self.child.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise
