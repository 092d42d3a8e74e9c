# SPDX-License-Identifier: ISC
"""Name servers that lie or say nothing: their octets reach no header, no log and no wire; their silence stops nobody else."""
import os
import re
import time

import pytest

from evil import Evil, Names, assert_well, hard_server, labels
from postern import Server, wait_for

PTR, A, MX, CNAME, TXT = 12, 1, 15, 5, 16
RDNS = 'filter "named" phase mail-from match rdns {{ "nothing.example" }} reject "550 5.7.1 not you"\n' + \
    Server.CONF.replace("port 0", 'port 0 xclient {{ 127.0.0.1 }} filter "named"') + """
listen on 127.0.0.1 port 0
action "out" relay
match from local for any action "out"
trust anchor "{dir}/anchor"
resolver forward 127.0.0.1@{port}
queue retry-min 1h
"""
NAMED, PLAIN = 0, 1

EVIL = [(b"a\r\nRCPT TO:<x@y>",), (b"a\nX-Evil: yes",), (b"a\r",), (b"a\0b", b"example"), (b"a b", b"example"),
        (b"<x>", b"example"), (b"\xff\xfe", b"example"),
        (b"a.b", b"example"), (b"a\\", b"example"), (b"-a", b"example"), (b"a)", b"example"), (b"[192.0.2.1]",),
        (b"192.0.2.1",), (b"1", b"2", b"3", b"4"),
        (b"\x1b[2J", b"example"), (b"%s%n", b"example"), (b"$(id)", b"example"), (), (b"localhost",)]
HOSTS = [(b"client", b"example"), (b"x" * 63,) * 3 + (b"y" * 50,)]   # to compare: these are names
EVIL += HOSTS


@pytest.fixture(scope="module")
def resolving(tmp_path_factory):
    """A server and the name server that it asks, whose .answer each test sets."""
    names = Names(lambda name, kind: None)
    s = hard_server(RDNS.replace("{port}", str(names.port)), start=False)
    with open(s.path("anchor"), "w", encoding="ascii"):
        pass    # nobody signs these names
    os.chmod(s.path("anchor"), 0o644)
    s.start()
    yield s, names
    s.kill()    # an orderly end would wait for what nobody answers
    s.cleanup()
    names.close()


@pytest.fixture
def with_names(resolving):
    server, names = resolving

    def make(answer):
        names.answer, names.questions = answer, []
        return server, names
    yield make
    assert_well(server)


def as_client(server, address):
    """One who comes from that address, before EHLO."""
    c = Evil(server, NAMED)
    c.to("EHLO balancer.example")
    assert c.cmd(f"XCLIENT ADDR={address}")[0] == 220
    return c


def clean_log(server):
    assert not [line for line in server.log if re.search(r"[^ -~\t]|X-Evil", line)]
    assert not [line for line in server.log if "RCPT TO" in line and "\\r\\n" not in line]


@pytest.mark.parametrize("name", EVIL, ids=lambda n: repr(b".".join(n))[2:20])
def test_59_name_of_a_client(with_names, name):
    """A PTR answer of any octets, with an address that leads back: what is no host name is no name, in no header and no log."""
    address = f"100.64.2.{EVIL.index(name)}"
    server, names = with_names(lambda asked,
                               kind: [(PTR, labels(*name))] if kind == PTR else [(A,
                                                                                  bytes(map(int, address.split("."))))])
    with as_client(server, address) as c:
        code, text = c.cmd("EHLO evil.example")
        assert code == 250 and text.splitlines()[0] == "mx.test"
        c.to("MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>", "DATA")
        assert c.say(b"Subject: x\r\n\r\nx\r\n.\r\n") == "250 2.0.0"
    assert any(kind == PTR for _, kind in names.questions)
    wait_for(lambda: [m for m in server.maildir() if f"[{address}]".encode() in m], "the message")
    mail = [m for m in server.maildir() if f"[{address}]".encode() in m][0]
    head = mail.split(b"Subject:")[0]
    known = b".".join(name) if name in HOSTS else b"unknown"
    assert b"(%s [%s])" % (known, address.encode()) in head.replace(b"\n\t", b" ") and head.count(b"\n") <= 8
    clean_log(server)


def test_41_every_octet_in_a_label(with_names):
    """Each octet in each place of a PTR's name, and pointers that go in circles: no process dies, nothing raw is logged."""
    def answer(asked, kind):
        octet = int(re.match(rb"\x01?.(\d+)", asked).group(1)) if re.match(rb".\d+", asked) else 0
        if kind != PTR:
            return []
        return [(PTR, labels(bytes([octet]) * 3, b"x" + bytes([octet]), b"example")), (PTR, b"\xc0\x0c"),
                (PTR, b"\x03abc\xc0" + bytes([octet])),
                (PTR, bytes([octet]) * 5), (PTR, b"\xff" + bytes(octet))]
    server, names = with_names(answer)
    for octet in range(1, 256):
        with as_client(server, f"100.64.3.{octet}") as c:
            c.to("EHLO evil.example")
            assert c.say("MAIL FROM:<you@example.net>") in ("250 2.1.0", "451 4.4.3")
    assert len({n for n, k in names.questions if k == PTR}) >= 255
    clean_log(server)


@pytest.mark.parametrize("name", EVIL[:12], ids=lambda n: repr(b".".join(n))[2:20])
def test_59_name_of_a_next_hop(with_names, name):
    """The same as an MX or behind a CNAME: never spoken to, named in no log as it came."""
    server, _ = with_names(lambda asked, kind: [(MX, b"\0\1" + labels(*name)), (MX, b"\0\2\xc0\x0c")] if kind == MX else
                           [(CNAME, labels(*name))] if kind == A else [(TXT, b"\x05a\r\n\0b")])
    with Evil(server, PLAIN) as c:
        to = f"victim@n{EVIL.index(name)}.hop.example"
        c.envelope(to).to("DATA")
        assert c.say(b"Subject: x\r\n\r\nx\r\n.\r\n") == "250 2.0.0"
    server.wait_log(r"event=(deferred|failed) .*to=" + to)
    clean_log(server)


def test_63_silent_name_server(with_names):
    """Clients whose names are never answered wait; those of another port, and mail for here, do not."""
    server, names = with_names(lambda asked, kind: None)
    waiting = []
    for n in range(60):
        c = Evil(server, NAMED)
        c.to("EHLO balancer.example")
        c.send(f"XCLIENT ADDR=100.64.4.{n}\r\n")
        waiting.append(c)
    for n in range(60):     # mail that has nowhere to go yet
        with Evil(server, PLAIN) as c:
            c.envelope(f"you@n{n}.far.example").to("DATA")
            assert c.say(b"Subject: x\r\n\r\nx\r\n.\r\n") == "250 2.0.0"
    wait_for(lambda: len({n for n, _ in names.questions}) >= 60, "the questions")
    started = time.monotonic()
    for n in range(20):
        with Evil(server, PLAIN) as c:
            c.envelope("demo@example.org").to("DATA")
            assert c.say(b"Subject: while\r\n\r\nx\r\n.\r\n") == "250 2.0.0"
    wait_for(lambda: sum(b"Subject: while" in m for m in server.maildir()) == 20, "the messages")
    assert time.monotonic() - started < 10
    for c in waiting:
        c.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            c.sock.recv(1)
        c.close()


def test_63_answers_without_end(with_names):
    """A name with thousands of names, each with addresses that lead back to none: a few are tried, then the client is unknown."""
    server, names = with_names(lambda asked,
                               kind: [(PTR, labels(b"h%d" % n, b"example")) for n in range(100)] if kind == PTR else
                               [(A, bytes((192, 0, 2, n))) for n in range(200)])
    with as_client(server, "100.64.5.7") as c:
        c.to("EHLO evil.example", "MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>")
    assert 0 < sum(name[1:2] == b"h" and name.endswith(b"\x07example\0") for name, _ in names.questions) < 100
