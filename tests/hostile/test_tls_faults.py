# SPDX-License-Identifier: ISC
"""A client that breaks TLS in every way: its own connection ends, in time, and nothing else is any the worse for it."""
import contextlib
import random
import re
import socket
import ssl
import threading
import time

import pytest

from evil import HARD, PATIENT, assert_well, cpu_s, peak_mib, settle
from postern import PATIENCE, wait_for
from talk import Client, envelope, hello, stat
from tls import V12, V13, Hello, TlsClient, TlsServer, Wire, certificate, context, only, record, records, s_client_dialog

CONF = PATIENT + """
ca clients cert "{dir}/ca.crt"
listen on 127.0.0.1 port 0 smtps pki ecdsa pki other pki wild
listen on 127.0.0.1 port 0 tls pki ecdsa
listen on 127.0.0.1 port 0 smtps pki ecdsa ca clients
"""
PLAIN, SMTPS, STARTTLS, ASKS = range(4)


@pytest.fixture(scope="module")
def module_server():
    s = TlsServer(CONF, ("ecdsa", "other", "wild"), build=HARD)
    s.copy(certificate("client").authority, "ca.crt")
    s.start()
    yield s
    s.cleanup()


@pytest.fixture
def server(module_server):
    """Two clients are there all the while, one in the middle of its message."""
    with module_server.secure(SMTPS) as writing, hello(module_server) as idle:
        envelope(writing).say("DATA")
        writing.send("Subject: meanwhile\r\n\r\n")
        yield module_server
        idle.say("NOOP")
        writing.send("written\r\n")
        assert writing.cmd(".")[0] == 250
    assert_well(module_server)


def connected(server, port=SMTPS):
    """A connection on which TLS is to begin."""
    c = Client(server.ports[port], greeted=False)
    c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if port == STARTTLS:
        assert c.reply()[0] == 220
        c.say("EHLO client.test")
        assert c.cmd("STARTTLS")[0] == 220
    return c


def pour(c, octets, end=True):
    """Says that, and that it was all; whatever the server said until it closed, b"" where it broke off."""
    heard = []

    def listen():
        with contextlib.suppress(OSError):
            while more := c.sock.recv(65536):
                heard.append(more)
    ear = threading.Thread(target=listen)
    ear.start()
    with contextlib.suppress(ConnectionError):
        c.sock.sendall(octets)
    if end:
        with contextlib.suppress(OSError):
            c.sock.shutdown(socket.SHUT_WR)
    ear.join(2 * PATIENCE)
    assert not ear.is_alive(), "the server did not close"
    c.close()
    return b"".join(heard)


def is_no_answer(heard):
    """Alerts and the server's first messages, but never a reply of SMTP."""
    return not re.search(rb"(?m)^[2345]\d\d[ -]", heard)


FIRST = Hello().octets()
PSK = Hello.sized(Hello.sized(b"x" * 300, 2) + bytes(4), 2) + Hello.sized(b"\x20" + b"y" * 32, 2)
NOTHING = {
    "type-0": record(b"\0" * 50, kind=0), "type-255": record(b"\0" * 50, kind=255),
    "heartbeat": record(b"\1\x40\0", kind=24),
    "version-0": record(Hello().message(), version=0), "version-5": record(Hello().message(), version=0x0500),
    "sslv3": record(Hello().message(), version=0x0300), "data-first": record(b"EHLO client.test\r\n", kind=0x17),
    "alert-first": record(b"\2\x28", kind=0x15), "ccs-first": record(b"\1", kind=0x14),
    "sslv2": bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0") + b"\xff" * 16,
    "record-over-its-size": record(b"\1" * 20000), "record-of-65535": record(b"\1" * 65535),
    "hello-of-nothing": record(b"\1\0\0\0"), "hello-of-a-word": record(b"\1\0\0\2\3\3"),
    "server-hello": record(b"\2" + Hello().message()[1:]), "finished-first": record(b"\x14\0\0\x0c" + b"\0" * 12),
    "hello-request": record(b"\0\0\0\0"), "key-update-first": record(b"\x18\0\0\1\0"),
    "message-of-16-megabytes": records(b"\1\xff\xff\xff" + b"\0" * (1 << 20)),
    "zero-length-records": record(b"") * 20000, "zero-length-data": record(b"", kind=0x17) * 20000,
    "zero-length-alerts": record(b"", kind=0x15) * 20000, "warnings": record(b"\1\x5a", kind=0x15) * 20000,
    "ccs-flood": record(b"\1", kind=0x14) * 20000,
    "hello-and-ccs-flood": FIRST + record(b"\1", kind=0x14, version=0x0303) * 20000,
    "hello-and-zero-length": FIRST + record(b"") * 20000,
    "hello-and-warnings": FIRST + record(b"\1\x5a", kind=0x15) * 20000,
    "hello-and-data": FIRST + record(b"EHLO client.test\r\n", kind=0x17, version=0x0303),
    "hello-twice": FIRST * 2, "hello-a-thousand-times": FIRST * 1000,
    "hello-and-smtp": FIRST + b"EHLO client.test\r\nQUIT\r\n" * 100,
    "hello-and-noise": FIRST + random.Random(1).randbytes(100_000), "noise": random.Random(2).randbytes(100_000),
    "no-ciphers": Hello().change(ciphers=b"").octets(),
    "odd-ciphers": Hello().change(ciphers=b"\x13\x01\x13").octets(),
    "all-ciphers": Hello().change(ciphers=b"".join(n.to_bytes(2, "big") for n in range(32000))).octets(),
    "long-session": Hello().change(session=b"s" * 255).octets(),
    "no-compression": Hello().change(compression=b"").octets(),
    "every-extension": Hello().change(extensions=[(n, b"") for n in range(16000)]).octets(),
    "same-extension": Hello().change(extensions=Hello().extensions * 2).octets(),
    "large-extension": Hello().set(0xfafa, b"\0" * 60000).octets(), "padding": Hello().set(21, b"\0" * 60000).octets(),
    "no-extensions": Hello().change(extensions=[]).octets(),
    "key-share-of-nothing": Hello().set(51, b"\0\0").octets(),
    "key-share-wrong": Hello().set(51, b"\0\x06\0\x1d\0\2xx").octets(),
    "key-share-zero": Hello().set(51, Hello.sized(b"\0\x1d" + Hello.sized(bytes(32), 2), 2)).octets(),
    "groups-of-nothing": Hello().set(10, b"\0\0").octets(), "groups-unknown": Hello().set(10, b"\0\2\xfa\xfa").octets(),
    "signatures-unknown": Hello().set(13, b"\0\2\xfa\xfa").octets(),
    "versions-unknown": Hello().set(43, b"\2\xfa\xfa").octets(),
    "ticket-of-noise": Hello(ctx=only(V12)).set(35, random.Random(3).randbytes(2000)).octets(),
    "psk-of-noise": Hello().change(extensions=Hello().extensions + [(41, PSK)]).octets(),
    "early-data": Hello().set(42, b"").octets() + record(b"EHLO client.test\r\n", kind=0x17, version=0x0303),
}


@pytest.mark.parametrize("port", [SMTPS, STARTTLS], ids=["smtps", "starttls"])
def test_what_is_no_handshake(server, port):
    """Floods, noise and messages out of place: each ends its connection without an answer of SMTP."""
    for name, octets in NOTHING.items():
        heard = pour(connected(server, port), octets)
        assert is_no_answer(heard), (name, heard[:200])


def test_a_hello_in_many_records(server):
    """One octet a record is legal (RFC 8446 5.1), as is one octet a segment."""
    for size in (1, 2, 7):
        heard = pour(connected(server), Hello().octets(size))
        assert heard[:1] in (b"\x16", b"\x15", b"")
    c = connected(server)
    wire = Wire(c.sock)
    for n in wire.hello():
        c.sock.sendall(bytes([n]))
    c.sock = wire.handshake()
    assert c.reply()[0] == 220
    c.close()


def test_half_a_hello(server):
    """Broken off behind every octet."""
    for n in range(0, len(FIRST), 3):
        pour(connected(server), FIRST[:n])
    for n in range(0, len(FIRST), 40):
        pour(connected(server, STARTTLS), FIRST[:n])


def test_one_wrong_bit(server):
    """Anywhere in the first message, and the handshake fails, or it does not matter."""
    whole = Hello().octets()
    chance = random.Random(4)
    for n in range(0, len(whole), 2):
        broken = bytearray(whole)
        broken[n] ^= 1 << chance.randrange(8)
        assert is_no_answer(pour(connected(server), bytes(broken)))


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_one_wrong_bit_in_the_client_s_last_words(server, version):
    """What ends the handshake (key exchange, Finished) is wrong in one bit: nobody is greeted."""
    length = None
    for n in range(0, 1000, 5):
        if length is not None and n >= length:
            break
        c = connected(server)
        wire = Wire(c.sock, ctx=only(version))
        c.sock.sendall(wire.hello())
        octets = b""
        while not octets:
            wire.into.write(c.sock.recv(65536))
            octets = wire.hello()
        length = len(octets)
        broken = bytearray(octets)
        broken[n] ^= 0x20
        with contextlib.suppress(ConnectionError):
            c.sock.sendall(bytes(broken))
            c.sock.shutdown(socket.SHUT_WR)
        rest = b""
        with contextlib.suppress(ConnectionError):
            while more := c.sock.recv(65536):
                rest += more
        with contextlib.suppress(ssl.SSLError):
            wire.into.write(rest)
            assert b"220" not in wire.tls.read(4096), (version, n)
        c.close()
    assert length and length > 30


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_records_that_are_not_the_client_s(server, version):
    """Inside of TLS: changed, twice, out of order, left out, in the clear. Nothing of it is a command."""
    def after(change):
        with connected(server) as c:
            c.sock = wire = Wire(c.sock, ctx=only(version)).handshake()
            assert c.reply()[0] == 220
            c.say("EHLO client.test")
            one, two = wire.sealed(b"MAIL FROM:<a@b.example>\r\n"), wire.sealed(b"RSET\r\n")
            with contextlib.suppress(OSError):
                wire.sock.sendall(change(one, two))
                wire.sock.shutdown(socket.SHUT_WR)
            heard = b""
            with contextlib.suppress(ssl.SSLError, EOFError, ConnectionError):
                while more := wire.recv(4096):
                    heard += more
            return re.findall(rb"(?m)^(\d\d\d) ", heard)
    assert after(lambda a, b: a + b) == [b"250", b"250"]
    assert after(lambda a, b: a + a) == [b"250"]
    assert after(lambda a, b: b + a) == []
    assert after(lambda a, b: b) == []
    assert after(lambda a, b: a + b"RSET\r\n") == [b"250"]
    assert after(lambda a, b: a + record(b"RSET\r\n", kind=0x17, version=0x0303)) == [b"250"]
    assert after(lambda a, b: a + record(b"\1\0", kind=0x15, version=0x0303)) in ([b"250"],)
    assert after(lambda a, b: a + record(b"", kind=0x17, version=0x0303) * 1000) == [b"250"]
    assert after(lambda a, b: a + record(b"\1", kind=0x14, version=0x0303)) == [b"250"]
    assert after(lambda a, b: a + FIRST) == [b"250"]
    assert after(lambda a, b: a[:-1] + bytes([a[-1] ^ 1]) + b) == []
    for n in range(0, 30, 3):
        assert after(lambda a, b, cut=n: a[:cut]) == []


def test_key_updates_without_end(server):
    """RFC 8446 4.6.3: taken, some hundreds of them, and what is said between them is heard."""
    turns = [(b"", b"\n220 "), (b"EHLO client.test\r\n", b"250 ")]
    turns += [(b"K\n" if n % 2 else b"k\n", b"KEYUPDATE") for n in range(100)]
    turns += [(b"NOOP\r\n", b"250 2.0.0"), (b"k\n", b"KEYUPDATE"), (b"NOOP\r\n", b"250 2.0.0")] * 20
    said = s_client_dialog(server.ports[SMTPS], ["-tls1_3"], turns)
    assert said.count("KEYUPDATE") == 120 and said.count("250 2.0.0") == 40, said[-500:]


# -- names -----------------------------------------------------------------------------

NAMES = [b"", b"\0", b"mx.test\0", b"mx\0.test", b"mx.test\0.evil.example", b"\\", b"mx.test\\", b"a\\0", b"x" * 254,
         b"x" * 255,
         b"x" * 256, b"x" * 1000, b"x" * 30000, b"." * 255, b".mx.test", b"mx.test.", b"*", b"*.test", b"127.0.0.1",
         b"::1",
         b"\xff" * 50, bytes(range(256)), b"%s%n%x", b"\r\n220 evil", b"\nevent=started evil=\"", b"'\"`$(id)",
         b"${run{id}}",
         "m\u00fc.test".encode(), b"xn--", b"a.wild.test" * 20, b"../../../etc/passwd", b"\x1b[2J", b"mx.test mx.test"]


@pytest.mark.parametrize("how", [{}, {"ctx": only(V12)}], ids=["1.3", "1.2"])
def test_names_that_clients_send(server, how):
    """Whatever octets a name has: a certificate is shown or none, and none of them reaches a log line raw."""
    before = len(server.log)
    for name in NAMES:
        for names, kind in (((name,), 0), ((name, name), 0), ((name, b"mx.test"), 0), ((b"mx.test", name), 0),
                            ((name,), 1)):
            heard = pour(connected(server), Hello(**how).names(*names, kind=kind).octets())
            assert heard[:1] in (b"\x16", b"\x15", b""), (name, heard[:20])
    for body in (b"", b"\0", b"\0\0", b"\0\1", b"\xff\xff", b"\0\5\0\0\2", b"\0\3\0\xff\xff", b"\0\4\0\0\1",
                 b"\0" * 1000):
        pour(connected(server), Hello(**how).set(0, body).octets())
    settle_but(server, 2)
    for line in server.log[before:]:
        assert re.fullmatch(r"[\x20-\x7e]*", line), line
        assert not line.startswith("event=started evil"), line


def test_a_name_with_a_backslash_goes_to_its_end(server):
    for name in ("mx.test\\", "\\", "a" * 63 + ".test", "_.-", "mx.test."):
        with server.secure(SMTPS, name=name) as c:
            envelope(c)


def test_other_protocols_by_alpn(server):
    """RFC 7301: a browser that wants HTTP, or nonsense, gets no SMTP out of it that it could mistake for an answer."""
    for body in (b"", b"\0\0", b"\0\1\0", b"\0\2\1", b"\0\3\2h2", b"\xff\xff", b"\0\x09\x08http/1.1",
                 b"\0\xff" + b"\xfe" * 255):
        assert is_no_answer(pour(connected(server), Hello().set(16, body).octets()))


# -- clients' certificates ------------------------------------------------------------------

@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_chains_of_clients(server, version, tmp_path):
    """1 to 200 certificates, some megabytes long: refused or taken, and bounded."""
    own = certificate("client")
    with open(own.crt, encoding="ascii") as f:
        one = f.read()
    with open(own.authority, encoding="ascii") as f:
        signer = f.read()
    for n, filler in ((1, signer), (10, signer), (200, signer), (200, one)):
        path = tmp_path / "chain.pem"
        path.write_text(one + filler * n)
        ctx = only(version)
        ctx.load_cert_chain(str(path), own.key)
        try:
            with server.secure(ASKS, ctx=ctx) as c:
                c.say("NOOP")
        except (ssl.SSLError, EOFError, ConnectionError):
            assert n > 10
    certificates = b"\x0b" + Hello.sized(Hello.sized(b"\0" * (1 << 20), 3), 3)
    pour(connected(server, ASKS), FIRST + records(certificates))


# -- many ----------------------------------------------------------------------------------------

def settle_but(server, n):
    wait_for(lambda: stat(server, "session.open") == n, f"{n} sessions")


def greeting_s(server, port=PLAIN):
    began = time.monotonic()
    if port == PLAIN:
        hello(server).close()
    else:
        server.secure(port).close()
    return time.monotonic() - began


def test_a_thousand_handshakes_that_hang(make_crowd_server):
    """Half of them before the end, half behind it: who comes then is greeted at once, in the clear and over TLS."""
    server = make_crowd_server
    crowd = []
    try:
        ctx = context()
        for n in range(1000):
            if n % 2:
                c = connected(server)
                c.sock.sendall(FIRST[:-(n % 200)] if n % 4 == 1 else FIRST)
            else:
                c = TlsClient(server.ports[SMTPS], ctx=ctx)
            crowd.append(c)
        assert greeting_s(server) < 3 and greeting_s(server, SMTPS) < 5
        assert len(crowd) == 1000 and stat(server, "session.open") >= 1000
        crowd[0].say("EHLO client.test")
        assert peak_mib(server, "session") < 1024
    finally:
        for c in crowd:
            c.close()
    settle(server)
    assert_well(server)


@pytest.fixture
def make_crowd_server():
    conf = CONF.replace("-per-client 1000", "-per-client 3000") + "smtp max-sessions 3000\n"
    s = TlsServer(conf, ("ecdsa", "other", "wild"), build=HARD)
    s.copy(certificate("client").authority, "ca.crt")
    s.start()
    yield s
    s.cleanup()


def test_noise_costs_little(server):
    """A megabyte of records of nothing is no work for a server: about what a message of that size is."""
    before = cpu_s(server)
    for _ in range(5):
        pour(connected(server), record(b"") * 200_000)
    assert cpu_s(server) - before < 5
