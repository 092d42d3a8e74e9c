# SPDX-License-Identifier: ISC
"""PROXY headers and password mechanisms that nobody asked for: each parser whole, short, wrong, and switched off."""
import contextlib
import re
import socket
import struct

import pytest

from evil import UNWELL, Evil, hard_server
from postern import Server

MARK = b"\r\n\r\n\0\r\nQUIT\n"
CONF = Server.CONF.replace("port 0", "port 0 proxy-v2") + \
    "listen on 127.0.0.1 port 0 proxy {{ 127.0.0.1 }}\nlisten on 127.0.0.1 port 0\n"
V2_ONLY, BOTH, NONE = 0, 1, 2
BAD = "421 4.7.0 That is no PROXY header"


@pytest.fixture(scope="module")
def balanced():
    s = hard_server(CONF)
    yield s
    s.cleanup()


@pytest.fixture
def proxied(balanced):
    yield balanced
    assert not [line for line in balanced.log if UNWELL.search(line)]
    assert greets(balanced, V2_ONLY, v2(b"\xc0\0\2\7" * 2 + b"\0\1\0\x19"))[0].startswith("220 mx.test")


def v2(addresses, command=0x21, family=0x11, length=None):
    return MARK + struct.pack("!BBH", command, family, len(addresses) if length is None else length) + addresses


def greets(server, port, octets, end=True):
    """All lines heard by one who sends these octets and no more."""
    with Evil(server, port, greeted=False) as c:
        with contextlib.suppress(OSError):  # it may close any time
            c.send(octets)
            if end:
                c.sock.shutdown(socket.SHUT_WR)
        lines = []
        try:
            while True:
                lines.append(c.line().rstrip("\r\n"))
        except (EOFError, ConnectionResetError):
            return lines


@pytest.mark.parametrize("port", (V2_ONLY, BOTH))
@pytest.mark.parametrize("family", (0x11, 0x21, 0x31, 0x12, 0x00))
def test_43_short_frame(proxied, port, family):
    """Every declared length, every octet of it missing: no greeting but to a whole header, no octet of anything else."""
    addresses = {0x11: 12, 0x21: 36}.get(family, 0)
    for declared in (0, 1, 4, 8, 11, 12, 13, 16, 35, 36, 37, 216, 4080):
        whole = v2(bytes(range(1, 256)) * 17, family=family, length=declared)[:16 + declared]
        for sent in {1, 11, 12, 13, 15, 16, 17, 20, 27, 28, 16 + declared // 2, 16 + declared - 1}:
            if sent < len(whole):
                assert greets(proxied, port, whole[:sent]) in ([], [BAD]), (declared, sent)
        lines = greets(proxied, port, whole)
        if declared < addresses:
            assert lines == [BAD], declared
        else:
            assert re.fullmatch(r"220 mx\.test ESMTP Postern", lines[0]) and len(lines) == 1, (declared, lines)


@pytest.mark.parametrize("command,family,length", [
    (0x22, 0x11, None), (0x2f, 0x11, None), (0x11, 0x11, None), (0x31, 0x11, None), (0x21, 0x41, None),
    (0x21, 0xf1, None), (0x21, 0x13, None),
    (0x21, 0x1f, None), (0x21, 0x11, 65535), (0x21, 0x11, 4081), (0x20, 0x11, 65535)])
def test_43_wrong_frame(proxied, command, family, length):
    """Other versions, commands, families and lengths over the bound are refused without waiting for more."""
    for port in (V2_ONLY, BOTH):
        assert greets(proxied, port, v2(bytes(12), command, family, length), end=False) == [BAD]


V1 = [b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
      b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n",
      b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 25\r\n", b"PROXY TCP4 192.0.2.256 192.0.2.2 1 25\r\n",
      b"PROXY TCP4 2001:db8::1 2001:db8::2 1 25\r\n",
      b"PROXY TCP6 fe80::1%lo ::1 1 25\r\n", b"PROXY TCP5 192.0.2.1 192.0.2.2 1 25\r\n",
      b"PROXY  TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
      b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\n", b"PROXY TCP4 192.0.2.1\0 192.0.2.2 1 25\r\n",
      b"PROXY " + b"x" * 200 + b"\r\n",
      b"PROXY UNKNOWNX\r\n", b"proxy TCP4 192.0.2.1 192.0.2.2 1 25\r\n", b"PROXY \r\n", b"EHLO a.example\r\n",
      MARK[:-1] + b"X" + bytes(40)]


@pytest.mark.parametrize("header", V1, ids=lambda h: repr(h)[2:40])
def test_36_header_of_a_balancer(proxied, header):
    """Text headers that are not whole, not in form, or too long; version 1 where only version 2 is spoken."""
    for port in (V2_ONLY, BOTH):
        heard = greets(proxied, port, header)
        assert heard in ([BAD], []), heard
    assert greets(proxied, V2_ONLY, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n") == [BAD]


def test_36_header_is_off_by_default(proxied):
    """Where no balancer was named a header is what any other early talk is, and the client stays who it is."""
    for header in (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n", v2(b"\xc0\0\2\7" * 2 + b"\0\1\0\x19")):
        heard = greets(proxied, NONE, header)
        assert not any("192.0.2" in line for line in heard)
        assert heard[0][:3] in ("554", "220")


def test_36_whom_the_balancer_speaks_for(proxied):
    """The address of the header is the one that is logged, never one made of what lay around; nobody becomes local."""
    lines = greets(proxied, V2_ONLY, v2(b"\xc6\x33\x64\x07" * 2 + b"\x30\x39\0\x19") +
                   b"", end=True)
    assert lines[0].startswith("220 ")
    with Evil(proxied, V2_ONLY, greeted=False) as c:
        c.send(v2(b"\xc6\x33\x64\x07" * 2 + b"\x30\x39\0\x19"))
        assert c.reply()[0] == 220
        c.envelope("demo@example.org").to("DATA")
        assert c.say(b"Subject: x\r\n\r\nx\r\n.\r\n") == "250 2.0.0"
    assert b"[198.51.100.7]" in proxied.wait_mail()[0]
    assert "client=198.51.100.7" in proxied.wait_log("event=accepted")


@pytest.mark.parametrize("mechanism",
                         ("NTLM", "NTLM TlRMTVNTUAABAAAA", "EXTERNAL", "EXTERNAL =", "GSSAPI", "DIGEST-MD5",
                          "CRAM-MD5", "SCRAM-SHA-1", "ANONYMOUS", "LOGIN", "PLAIN =", "*"))
def test_36_mechanisms_that_nobody_offered(hard, mechanism):
    """Without TLS there is no AUTH of any kind: not offered, refused before a parser sees it."""
    with Evil(hard) as c:
        code, text = c.cmd("EHLO evil.example")
        assert code == 250 and "AUTH" not in text
        assert c.say(f"AUTH {mechanism}") == "538 5.7.11"
        assert c.say("NOOP") == "250 2.0.0"


def test_28_base64_of_every_length(hard):
    """The initial response is not decoded where AUTH is refused: every length is the same answer."""
    with Evil(hard) as c:
        c.to("EHLO evil.example")
        for n in list(range(0, 260)) + list(range(2020, 2033)):
            assert c.say("AUTH PLAIN " + "A" * n) == "538 5.7.11", n
