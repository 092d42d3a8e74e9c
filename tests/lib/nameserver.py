# SPDX-License-Identifier: ISC
"""Name servers: a real nsd, one that counts what it is asked, and one of a few lines that says what no honest one does."""

import contextlib
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from ipc import DEADLINE

NSD_CONF = """server:
{addresses}
	username: ""
	chroot: ""
	zonesdir: "{where}"
	database: ""
	zonelistfile: "{where}/zones"
	xfrdfile: "{where}/xfrd"
	xfrdir: "{where}"
	pidfile: "{where}/pid"
	server-count: 1
	rrl-ratelimit: 0
	rrl-whitelist-ratelimit: 0
remote-control:
	control-enable: no
"""


def free_port(kind=socket.SOCK_DGRAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def query(port, name, address="127.0.0.1"):
    """Whether a server answers there, and has that zone."""
    question = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".") if p) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.2)
        udp.connect((address, port))
        try:
            udp.send(struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0) + question + b"\0\6\0\1")
            return udp.recv(4096)[6:8] == b"\0\1"
        except OSError:
            return False


def start(where, zones, port, addresses):
    """An nsd that answers; None when somebody else has got the port meanwhile, over UDP or TCP."""
    conf = NSD_CONF.format(where=where, addresses="\n".join(f"\tip-address: {a}@{port}" for a in addresses))
    for name, text in zones.items():
        file = name.strip(".") or "root"
        if text is not None:    # else the server fails when it is asked for it
            (where / file).write_text(text)
        conf += f'zone:\n\tname: "{name}"\n\tzonefile: "{file}"\n'
    (where / "nsd.conf").write_text(conf)
    log = where / "log"
    with open(log, "wb") as said:
        child = subprocess.Popen(["nsd", "-d", "-c", str(where / "nsd.conf")], stderr=said)
    end = time.monotonic() + DEADLINE
    while not query(port, next(iter(zones)), addresses[0]):
        if child.poll() is not None:
            assert "in use" in log.read_text(), log.read_text()
            return None
        assert time.monotonic() < end, log.read_text()
    return child


@contextlib.contextmanager
def serving(where, zones, port=None, addresses=("127.0.0.1",)):
    """The port of an nsd with zones, texts by their names; port None: any that is free."""
    if shutil.which("nsd") is None:
        pytest.skip("nsd is not installed")
    where.mkdir(exist_ok=True)
    child = None
    while child is None:
        at = port or free_port()
        child = start(where, zones, at, addresses)
        assert child is not None or port is None, f"port {port} is in use"
    try:
        yield at
    finally:
        child.terminate()
        child.wait()


def serve(where, zones):
    """For a fixture to yield from: the port of an nsd with zones."""
    with serving(where, zones) as port:
        yield port


# -- one that signs its zones itself --

KNOT_CONF = """server:
  rundir: "{where}"
  pidfile: "{where}/knot.pid"
  listen: 127.0.0.1@{port}
log:
  - target: stderr
    any: info
database:
  storage: "{where}/db"
policy:
{policies}
zone:
{zones}
"""


def start_knot(where, zones, port):
    """A knotd that answers; None when somebody else has got the port meanwhile."""
    policies = rows = ""
    for name, (policy, text) in zones.items():
        (where / name).write_text(text)
        policies += f"  - id: {name}\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n"
        policies += "".join(f"    {setting}\n" for setting in policy)
        rows += f'  - domain: {name}\n    file: "{where / name}"\n    zonefile-sync: -1\n    journal-content: none\n'
        rows += f"    dnssec-signing: on\n    dnssec-policy: {name}\n"
    (where / "knot.conf").write_text(KNOT_CONF.format(where=where, port=port, policies=policies, zones=rows))
    (where / "db").mkdir(exist_ok=True)
    log = where / "log"
    with open(log, "wb") as said:
        child = subprocess.Popen(["knotd", "-c", str(where / "knot.conf")], stderr=said, stdout=said)
    end = time.monotonic() + DEADLINE
    while not all(query(port, name) for name in zones):
        if child.poll() is not None:
            assert "in use" in log.read_text(), log.read_text()
            return None
        assert time.monotonic() < end, log.read_text()
    return child


@contextlib.contextmanager
def signing(where, zones):
    """The port of a knotd with zones, (lines of its policy, text) by their names, and the DS record of each."""
    if shutil.which("knotd") is None or shutil.which("keymgr") is None:
        pytest.skip("knot is not installed")
    where.mkdir(exist_ok=True)
    child = None
    while child is None:
        at = free_port()
        child = start_knot(where, zones, at)
    try:
        records = []
        for name in zones:
            done = subprocess.run(["keymgr", "-c", str(where / "knot.conf"), name, "ds"],
                                  stdout=subprocess.PIPE, text=True, check=True)
            records += [line for line in done.stdout.splitlines() if line.split()[4] == "2"]
        yield at, records
    finally:
        child.terminate()
        child.wait()


# -- what a server is asked --


class Counter(threading.Thread):
    """Stands before a server on loopback and notes each question; held back while .hold is set."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.behind = ("127.0.0.1", port)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.port = self.udp.getsockname()[1]
        self.questions = []     # (name, type)
        self.hold, self.held = False, []
        self.start()

    def count(self, name, kind=None):
        return sum(n == name and kind in (None, k) for n, k in self.questions)

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.settimeout(DEADLINE)
            out.connect(self.behind)
            while True:
                try:
                    data, peer = self.udp.recvfrom(4096)
                except OSError:
                    return
                self.questions.append((dns_name(data), dns_type(data)))
                out.send(data)
                reply = out.recv(65535)
                self.held.append((reply, peer))
                if not self.hold:
                    self.release()

    def release(self):
        self.hold = False
        while self.held:
            self.udp.sendto(*self.held.pop(0))

    def close(self):
        self.udp.close()


class Split(threading.Thread):
    """Stands before two servers on loopback: what is below a name goes to the second; over UDP, with no limit to an answer."""

    def __init__(self, first, name, second):
        super().__init__(daemon=True)
        self.first, self.name, self.second = first, name, second
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.port = self.udp.getsockname()[1]
        self.start()

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.settimeout(DEADLINE)
            while True:
                try:
                    data, peer = self.udp.recvfrom(4096)
                except OSError:
                    return
                inside = ("." + dns_name(data)).endswith("." + self.name)
                out.sendto(data, ("127.0.0.1", self.second if inside else self.first))
                self.udp.sendto(out.recv(65535), peer)


@contextlib.contextmanager
def split(first, name, second):
    """The port of a Split."""
    both = Split(first, name, second)
    try:
        yield both.port
    finally:
        both.udp.close()


# -- a server that lies --


class EvilServer(threading.Thread):
    """Answers over UDP what answer(question) returns; None: nothing."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.port = self.udp.getsockname()[1]
        self.questions = 0
        self.start()

    def run(self):
        while True:
            try:
                data, peer = self.udp.recvfrom(4096)
                self.questions += 1
                reply = self.answer(data)
                if reply is not None:
                    self.udp.sendto(reply, peer)
            except OSError:
                return


def dns_reply(question, records, rcode=0):
    end = question.index(b"\0", 12) + 5
    head = question[:2] + struct.pack(">HHHHH", 0x8580 | rcode, 1, len(records), 0, 0)
    body = b""
    for rtype, data in records:
        body += b"\xc0\x0c" + struct.pack(">HHIH", rtype, 1, 60, len(data)) + data
    return head + question[12:end] + body


def dns_type(question):
    end = question.index(b"\0", 12) + 1
    return struct.unpack_from(">H", question, end)[0]


def dns_name(question):
    """The name asked about, in lower case; a dot within a label is none between two."""
    at, labels = 12, []
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode("latin-1").lower())
        at += 1 + question[at]
    return ".".join(labels)


def label(text):
    return bytes([len(text)]) + text


# What no label of a host's name may be.
BAD_LABELS = [b"a\r\nRCPT TO:<x@y>", b"a\0b", b"a b", b"<x>", b"\xff\xfe", b"a.b", b"a\\", b"-a"]
