# SPDX-License-Identifier: ISC
"""The PROXY protocol: listed balancers say whom they speak for, nobody else does."""
import socket
import struct

import pytest

from postern import Server
from talk import Client, received, status_of, wait_stat

CONF = """
table near {{ "127.0.0.0/8" }}
table far {{ "192.0.2.0/24" }}
listen on 127.0.0.1 port 0 proxy <near>
listen on 127.0.0.1 port 0 proxy <far>
listen on 127.0.0.1 port 0 proxy-v2
listen on 127.0.0.1 port 0 tag "relayed" proxy <near>
action "out" relay host "smtp://127.0.0.1:2"
match from local for any action "out"
"""
PLAIN, LISTED, UNLISTED, V2, TAGGED = range(5)
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n"


def v2(family=0x11, source="192.0.2.7", command=0x21, extra=b""):
    if family == 0x11:
        body = socket.inet_aton(source) + socket.inet_aton("198.51.100.1") + struct.pack(">HH", 56324, 25)
    elif family == 0x21:
        body = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "::2") + struct.pack(">HH", 1, 25)
    else:
        body = b""
    body += extra
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(body)) + body


@pytest.fixture(scope="module")
def s():
    server = Server(extra=CONF).start()
    yield server
    server.cleanup()


def connected(s, port):
    return Client(s.ports[port], greeted=False)


HEADERS = {
    "v1": (V1, "[192.0.2.7]"),
    "v1-tcp6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 25\r\n", "[IPv6:2001:db8::7]"),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", "[127.0.0.1]"),
    "v1-unknown-long": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "[127.0.0.1]"),
    "v2": (v2(), "[192.0.2.7]"),
    "v2-tcp6": (v2(0x21, "2001:db8::7"), "[IPv6:2001:db8::7]"),
    "v2-tlv": (v2(extra=b"\x04\x00\x10" + b"x" * 16), "[192.0.2.7]"),
    "v2-local": (v2(0x00, command=0x20), "[127.0.0.1]"),
    "v2-local-with-more": (v2(0x00, command=0x20, extra=b"y" * 40), "[127.0.0.1]"),
    "v2-mapped": (v2(0x21, "::ffff:192.0.2.7"), "[192.0.2.7]"),
}


@pytest.mark.parametrize("octets, address", HEADERS.values(), ids=HEADERS)
def test_a_listed_balancer(s, octets, address):
    with connected(s, LISTED) as c:
        c.send(octets)
        assert c.reply()[0] == 220
        assert f"(unknown {address})" in received(s, c)


@pytest.mark.parametrize("octets", [h for h, _ in HEADERS.values()], ids=HEADERS)
def test_a_port_where_version_2_is_a_must(s, octets):
    with connected(s, V2) as c:
        c.send(octets)
        if octets.startswith(b"PROXY"):
            assert status_of(c.reply()) == (421, "4.7.0")
            assert c.is_closed()
        else:
            assert c.reply()[0] == 220


def test_octet_by_octet(s):
    for octets in (V1, v2()):
        with connected(s, LISTED) as c:
            c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for n in octets:
                c.send(bytes([n]))
            assert c.reply()[0] == 220


BAD = {
    "none": b"EHLO client.test\r\n",
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "octets": bytes(range(1, 200)),
    "lower": V1.lower(),
    "family": b"PROXY UDP4 192.0.2.7 198.51.100.1 56324 25\r\n",
    "address": b"PROXY TCP4 192.0.2.777 198.51.100.1 56324 25\r\n",
    "mixed": b"PROXY TCP4 2001:db8::7 198.51.100.1 56324 25\r\n",
    "port": b"PROXY TCP4 192.0.2.7 198.51.100.1 99999 25\r\n",
    "short": b"PROXY TCP4 192.0.2.7\r\n",
    "long": b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
    "bare-lf": V1.replace(b"\r\n", b"\n") + b"x" * 107,
    "v2-version": SIGNATURE + b"\x31\x11\0\x0c" + b"\0" * 12,
    "v2-command": SIGNATURE + b"\x22\x11\0\x0c" + b"\0" * 12,
    "v2-too-short": SIGNATURE + b"\x21\x11\0\x04" + b"\0" * 4,
    "v2-tcp6-too-short": SIGNATURE + b"\x21\x21\0\x0c" + b"\0" * 12,
    "v2-too-long": SIGNATURE + b"\x21\x11\xff\xff" + b"\0" * 65535,
}


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD)
@pytest.mark.parametrize("port", [LISTED, V2], ids=["listed", "v2"])
def test_a_bad_header(s, port, octets):
    with connected(s, port) as c:
        c.send(octets)
        try:
            assert status_of(c.reply()) == (421, "4.7.0")
            assert c.codes() == []
        except ConnectionResetError:
            assert len(octets) > 4096   # the farewell is lost with what was never read


def test_who_is_not_listed_is_a_plain_client(s):
    with connected(s, UNLISTED) as c:
        assert c.reply()[0] == 220
        assert c.cmd(V1.decode().strip())[0] == 500
        assert "(unknown [127.0.0.1])" in received(s, c)


def test_without_the_option_there_is_no_header(s):
    with connected(s, PLAIN) as c:
        assert c.reply()[0] == 220
        assert c.cmd(V1.decode().strip())[0] == 500


@pytest.mark.parametrize("octets", [V1, v2()], ids=["v1", "v2"])
def test_one_header_and_no_more(s, octets):
    with connected(s, LISTED) as c:
        c.send(octets)
        assert c.reply()[0] == 220
        c.send(b"\r\n" if octets.startswith(SIGNATURE) else b"")
        assert c.cmd(V1.decode().strip())[0] in (500, 503)


def test_who_talks_behind_the_header_did_not_wait(s):
    with connected(s, LISTED) as c:
        c.send(V1 + b"EHLO client.test\r\n")
        assert status_of(c.reply()) == (554, "5.5.0")
        assert c.is_closed()


@pytest.mark.parametrize("octets, code", [
    (V1, 550), (v2(), 550), (b"PROXY UNKNOWN\r\n", 550), (v2(0x00, command=0x20), 550),
    (b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", 250)])
def test_who_is_named_is_not_local(s, octets, code):
    """What a local client may do a balancer may not have done for others, nor for whom it does not name."""
    with connected(s, LISTED) as c:
        c.send(octets)
        assert c.reply()[0] == 220
        c.say("EHLO client.test", "MAIL FROM:<you@example.net>")
        assert c.cmd("RCPT TO:<stranger@elsewhere.example>")[0] == code


@pytest.mark.parametrize("octets", [V1, v2()], ids=["v1", "v2"])
def test_a_header_that_breaks_off(s, octets):
    for n in range(0, len(octets), 3):
        with connected(s, LISTED) as c:
            c.send(octets[:n])
            c.sock.shutdown(socket.SHUT_WR)
            assert c.codes() in ([], [421])
    wait_stat(s, "session.open", 0)
    with Client(s.port) as c:
        assert c.cmd("NOOP")[0] == 250
