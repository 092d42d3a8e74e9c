# SPDX-License-Identifier: ISC
"""Mail that goes out through a SOCKS5 proxy (RFC 1928): to the address that we found, or not at all."""
import contextlib
import socket
import struct
import threading

import pytest

from next_hop import NextHop
from postern import PATIENCE, Server, wait_for

CONF = Server.CONF + """
action "out" relay host "smtp://127.0.0.1:{port}" proxy "socks5://127.0.0.1:{proxy}"
match from local for any action "out"
queue retry-min 1h
"""
REFUSED = 5


class Proxy:
    """.asked: whom it was to connect to, (address, port).  answer: its reply, 0 is yes."""

    def __init__(self, answer=0):
        self.answer, self.asked = answer, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock = self.listener.accept()[0]
                sock.settimeout(PATIENCE)
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with contextlib.suppress(OSError), sock:
            lines = sock.makefile("rb")
            version, methods = lines.read(2)
            assert version == 5 and 0 in lines.read(methods)
            sock.sendall(b"\5\0")
            assert lines.read(4) == b"\5\1\0\1"
            address, (port,) = socket.inet_ntoa(lines.read(4)), struct.unpack("!H", lines.read(2))
            self.asked.append((address, port))
            sock.sendall(bytes([5, self.answer, 0, 1]) + bytes(6))
            if self.answer == 0:
                self.join(lines, sock, socket.create_connection((address, port), PATIENCE))

    @staticmethod
    def pump(read, write):
        with contextlib.suppress(OSError):
            while octets := read(65536):
                write(octets)

    def join(self, lines, sock, far):
        with far:
            threading.Thread(target=self.pump, args=(far.recv, sock.sendall), daemon=True).start()
            self.pump(lines.read1, far.sendall)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


@pytest.fixture
def make_relay(make_server):
    def make(port, proxy):
        s = make_server(start=False)
        s.write_conf(CONF, port=port, proxy=proxy)
        return s.start()
    return make


def test_all_goes_through_it(make_relay):
    with NextHop() as hop, Proxy() as proxy:
        server = make_relay(hop.port, proxy.port)
        server.send(to="you@far.example")
        wait_for(lambda: hop.mail, "the message")
        assert proxy.asked == [("127.0.0.1", hop.port)] and len(hop.visits) == 1


def test_it_says_no(make_relay):
    """Then nothing goes another way."""
    with NextHop() as hop, Proxy(REFUSED) as proxy:
        server = make_relay(hop.port, proxy.port)
        server.send(to="you@far.example")
        line = server.wait_log("event=deferred")
        assert "status=4.4.1" in line and "the proxy does not connect: connection refused" in line
        assert proxy.asked and not hop.visits


def test_it_is_not_there(make_relay):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()[1]
    with NextHop() as hop:
        server = make_relay(hop.port, nobody)
        server.send(to="you@far.example")
        assert "the proxy does not connect: it can't be reached itself" in server.wait_log("event=deferred")
        assert not hop.visits
