# SPDX-License-Identifier: ISC
"""Name servers on loopback: a real nsd, and one of a few lines that says what no honest one does."""

import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from ipc import DEADLINE

NSD_CONF = """server:
	ip-address: 127.0.0.1@{port}
	username: ""
	chroot: ""
	zonesdir: "{where}"
	database: ""
	zonelistfile: "{where}/zones"
	xfrdfile: "{where}/xfrd"
	xfrdir: "{where}"
	pidfile: "{where}/pid"
	server-count: 1
remote-control:
	control-enable: no
"""


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        return udp.getsockname()[1]


def query(port, name):
    """Whether a server answers there."""
    question = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.2)
        udp.connect(("127.0.0.1", port))
        try:
            udp.send(struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0) + question + b"\0\6\0\1")
            return len(udp.recv(512)) > 12
        except OSError:
            return False


def start(where, zones, port):
    """An nsd that answers; None when somebody else has got the port meanwhile, over UDP or TCP."""
    conf = NSD_CONF.format(port=port, where=where)
    for name, text in zones.items():
        (where / name).write_text(text)
        conf += f'zone:\n\tname: "{name}"\n\tzonefile: "{name}"\n'
    (where / "nsd.conf").write_text(conf)
    log = where / "log"
    with open(log, "wb") as said:
        child = subprocess.Popen(["nsd", "-d", "-c", str(where / "nsd.conf")], stderr=said)
    end = time.monotonic() + DEADLINE
    while not query(port, next(iter(zones))):
        if child.poll() is not None:
            assert "in use" in log.read_text(), log.read_text()
            return None
        assert time.monotonic() < end, log.read_text()
    return child


def serve(where, zones):
    """For a fixture to yield from: the port of an nsd with zones, texts by their names."""
    if shutil.which("nsd") is None:
        pytest.skip("nsd is not installed")
    child = None
    while child is None:
        port = free_port()
        child = start(where, zones, port)
    yield port
    child.terminate()
    child.wait()


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


def label(text):
    return bytes([len(text)]) + text


# What no label of a host's name may be.
BAD_LABELS = [b"a\r\nRCPT TO:<x@y>", b"a\0b", b"a b", b"<x>", b"\xff\xfe", b"a.b", b"a\\", b"-a"]
