# SPDX-License-Identifier: ISC
"""Servers that take connections and never say a word: others' mail, and mail for users here, flows."""
import contextlib
import socket
import threading
import time

import pytest

from next_hop import NextHop
from postern import Server, wait_for

CONF = Server.CONF + """
table servers file:{servers}
action "out" relay domain <servers>
match from local for any action "out"
"""
BODY = "Subject: x\r\n\r\nx\r\n"


class Pit:
    """.held: the connections that wait for a greeting."""

    def __init__(self):
        self.listener = socket.create_server(("", 0), backlog=1000)
        self.port, self.held = self.listener.getsockname()[1], []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                self.held.append(self.listener.accept()[0])

    def close(self):
        self.listener.close()
        for s in self.held:
            s.close()


@pytest.fixture
def pit():
    p = Pit()
    yield p
    p.close()


def send(server, addresses):
    with server.smtp() as s:
        for a in addresses:
            s.sendmail("me@example.net", a, BODY)


@pytest.fixture
def make_relay(make_server, pit):
    """make(hop, domains): good.example goes to hop, and each of d0.example, d1.example... into a pit of its own."""
    def make(hop, domains):
        server = make_server(start=False)
        with open(server.path("servers"), "w", encoding="ascii") as f:
            f.write(f"good.example smtp://127.0.0.1:{hop.port}\n")
            for d in range(domains):
                f.write(f"d{d}.example smtp://[127.1.{d >> 8}.{d & 255}]:{pit.port}\n")
        server.write_conf(CONF, servers=server.path("servers"))
        return server.start()
    return make


def fill(server, domains, each):
    names = [f"d{d}.example" for d in range(domains)]
    send(server, [[f"u{n}@{d}" for d in names[at:at + 100]] for n in range(each) for at in range(0, domains, 100)])


def test_a_hundred_hold_up_nobody(make_relay, pit):
    with NextHop() as hop:
        server = make_relay(hop, 100)
        fill(server, 100, 50)
        wait_for(lambda: len(pit.held) == 100, "a connection to each")
        start = time.monotonic()
        send(server, [[f"g{n}@good.example"] for n in range(10)] + [["demo@example.org"]] * 10)
        wait_for(lambda: len(hop.mail) == 10 and len(server.maildir()) == 10, "the mail of all others")
        assert time.monotonic() - start < 10
        assert len(pit.held) == 100


def test_mail_for_users_waits_for_no_number_of_them(make_relay, pit):
    """They have all connections, and all recipients that other servers may have in jobs."""
    with NextHop() as hop:
        server = make_relay(hop, 1500)
        fill(server, 1500, 4)
        wait_for(lambda: len(pit.held) == 500, "all connections")
        server.wait_log(r"event=accepted .*to=u3@d1400\.")
        send(server, [["demo@example.org"]] * 10)
        server.wait_mail(10)
