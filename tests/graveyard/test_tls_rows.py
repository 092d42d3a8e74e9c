# SPDX-License-Identifier: ISC
"""TLS: what was said before it and after it, names and chains in it, and that it is negotiated once."""
import contextlib
import re
import socket
import ssl
import struct

import pytest

from evil import HARD, PATIENT, Evil, assert_well, settle, stat
from postern import wait_for
from talk import Client, envelope, hello
from tls import V12, V13, Hello, TlsServer, Wire, certificate, context, only, record, s_client, s_client_dialog, starttls

CONF = PATIENT + """
ca clients cert "{dir}/ca.crt"
listen on 127.0.0.1 port 0 smtps pki ecdsa pki other
listen on 127.0.0.1 port 0 tls pki ecdsa
listen on 127.0.0.1 port 0 smtps pki ecdsa ca clients
"""
PLAIN, SMTPS, STARTTLS, ASKS = range(4)


@pytest.fixture(scope="module")
def module_secure():
    s = TlsServer(CONF, ("ecdsa", "other"), build=HARD)
    s.copy(certificate("client").authority, "ca.crt")
    s.start()
    yield s
    s.cleanup()


@pytest.fixture
def secure(module_secure):
    """The module's server with TLS, of the sanitizer build."""
    yield module_secure
    assert_well(module_secure)


# -- 42: the end of TLS in the middle of a body ------------------------------------------

TEXT = b"Subject: dead letter\r\n\r\nx\r\n"
BODIES = {"data": (b"DATA\r\n", TEXT + b".\r\n"), "bdat": (b"", b"BDAT %d LAST\r\n" % len(TEXT) + TEXT)}


def reset(wire):
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


# What comes behind the last octet that TLS gave: each gets the wire, and the octets of the body that are missing.
ENDINGS = {
    "close_notify": lambda w, rest: w.sock.sendall(w.goodbye()),
    "close_notify-octet": lambda w, rest: w.sock.sendall(w.goodbye() + b"x"),
    "close_notify-plain": lambda w, rest: w.sock.sendall(w.goodbye() + rest + b"MAIL FROM:<a@b.example>\r\n"),
    "close_notify-sealed": lambda w, rest: w.sock.sendall(sealed_behind(w, rest)),
    "plain-octet": lambda w, rest: (w.sock.sendall(b"x"), w.shutdown(socket.SHUT_WR)),
    "plain": lambda w, rest: w.sock.sendall(rest + b"MAIL FROM:<a@b.example>\r\n"),
    "plain-record": lambda w, rest: w.sock.sendall(record(rest, kind=0x17, version=0x0303)),
    "fin": lambda w, rest: w.shutdown(socket.SHUT_WR),
    "reset": lambda w, rest: reset(w),
}


def sealed_behind(wire, rest):
    """The rest as TLS would say it, but after the close_notify."""
    octets = wire.sealed(rest)
    return wire.goodbye() + octets


def gone(wire):
    """What the server said inside TLS until it closed."""
    said = b""
    with contextlib.suppress(ssl.SSLError, EOFError, ConnectionError):
        while more := wire.recv(4096):
            said += more
    with contextlib.suppress(ConnectionError):
        while wire.sock.recv(4096):
            pass
    wire.close()
    return said


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("ending", ENDINGS)
def test_42_tls_ends_at_each_octet_of_a_body(secure, body, ending):
    """When TLS ends the connection does: no octet behind it is read, nothing half is stored, and the others go on."""
    opening, octets = BODIES[body]
    contexts = only(V12), only(V13)
    with secure.secure(SMTPS) as other:
        envelope(other).say("DATA")
        for n in range(len(octets)):
            c = Client(secure.ports[SMTPS], greeted=False)
            c.sock = wire = Wire(c.sock, ctx=contexts[n % 2]).handshake()
            assert c.reply()[0] == 220
            envelope(said_hello(c), to="other@example.org")
            if opening:
                c.send(opening)
                assert c.reply()[0] == 354
            if n:
                wire.sendall(octets[:n])
            ENDINGS[ending](wire, octets[n:])
            if ending != "reset":
                assert b"250" not in gone(wire), n
        other.send(TEXT)
        assert other.cmd(".")[0] == 250
    settle(secure)
    wait_for(lambda: stat(secure, "queue.messages") == 0, "an empty queue")
    assert secure.maildir("other") == []


def said_hello(c):
    c.say("EHLO client.test")
    return c


def test_42_whole_bodies_are_taken(secure):
    """The same octets, and TLS at their end: what the test above would see if anything of it got through."""
    for body, (opening, octets) in BODIES.items():
        with secure.secure(SMTPS) as c:
            envelope(c)
            if opening:
                c.say("DATA")
            c.send(octets)
            assert c.reply()[0] == 250, body


# -- 17, 55: what is said before TLS ------------------------------------------------------------

INJECTIONS = [b"NOOP\r\n", b"RSET\r\n", b"EHLO evil.example\r\n", b"MAIL FROM:<a@b.example>\r\n",
              b"AUTH PLAIN AGEAYg==\r\n", b"QUIT\r\n",
              b"STARTTLS\r\n", b"\r\n", b"\n", b"\0", b"N", b"XCLIENT ADDR=192.0.2.1\r\n", b"BDAT 100000\r\n",
              b"x" * 5000 + b"\r\n",
              b"MAIL FROM:<a@b.example>\r\nRCPT TO:<other@example.org>\r\nDATA\r\n", b"NOOP\r\n" * 1000]


@pytest.mark.parametrize("octets", INJECTIONS, ids=lambda o: repr(o[:20])[2:-1])
def test_17_55_commands_before_the_handshake(secure, octets):
    """What was pipelined behind STARTTLS in the clear is never carried out inside: the connection ends at once."""
    for behind in (octets, octets + Hello().octets()):
        with Evil(secure, STARTTLS) as c:
            c.to("EHLO evil.example")
            c.send(b"STARTTLS\r\n" + behind)
            assert c.rest() in ([], ["220 2.0.0"], ["503 5.5.0"])
    with Evil(secure, STARTTLS) as c:       # a line with both ends of it before the answer
        c.to("EHLO evil.example")
        c.send(b"STARTTLS\r\n" + octets)
        wire = Wire(c.sock)
        with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
            wire.handshake()


@pytest.mark.parametrize("octets", INJECTIONS[:9], ids=lambda o: repr(o[:20])[2:-1])
def test_17_55_commands_between_the_answer_and_the_handshake(secure, octets):
    """Too late to be buffered with the command: they are no TLS, and the connection ends."""
    with Evil(secure, STARTTLS) as c:
        c.to("EHLO evil.example")
        assert c.say("STARTTLS") == "220 2.0.0"
        c.send(octets + Hello().octets())
        c.sock.shutdown(socket.SHUT_WR)
        heard = b""
        with contextlib.suppress(ConnectionError):
            while more := c.sock.recv(4096):
                heard += more
        assert not re.search(rb"(?m)^[2345]\d\d[ -]", heard), heard


def test_55_what_was_said_before_is_not_known_inside(secure):
    """Names, senders, recipients, tries to log in: all of it is forgotten (RFC 3207 4.2)."""
    with hello(secure, secure.ports[STARTTLS]) as c:
        c.say("MAIL FROM:<a@b.example>", "RCPT TO:<demo@example.org>", "RSET")
        assert c.cmd("STARTTLS")[0] == 220
        c.sock = context().wrap_socket(c.sock, server_hostname="mx.test")
        for command in ("MAIL FROM:<a@b.example>", "RCPT TO:<demo@example.org>", "DATA", "AUTH PLAIN AGEAYg=="):
            assert c.status(command)[0] == 503, command


def test_55_starttls_where_it_makes_no_sense(secure):
    """Inside TLS, inside a transaction, between chunks, with an argument: never a second 220."""
    with starttls(secure, STARTTLS) as c:
        for stage in ((), ("MAIL FROM:<a@b.example>",), ("RCPT TO:<demo@example.org>",)):
            if stage:
                c.say(*stage)
            assert c.status("STARTTLS") == (503, "5.5.1")
        assert c.chunk("Subject: x\r\n\r\n")[0] == 250
        assert c.status("STARTTLS") == (503, "5.5.1")
        assert c.chunk("STARTTLS\r\n", last=True)[0] == 250
    with hello(secure, secure.ports[STARTTLS]) as c:
        envelope(c)
        assert c.chunk("Subject: x\r\n\r\n")[0] == 250
        assert c.status("STARTTLS") == (503, "5.5.1")
        c.say("RSET")
        assert c.status("STARTTLS x") == (501, "5.5.4")
        assert c.cmd("STARTTLS")[0] == 220


def test_55_the_answer_in_the_clear_is_all_that_is_in_the_clear(secure):
    """No octet of a later answer comes before the handshake, whatever the client does."""
    with Evil(secure, STARTTLS) as c:
        c.to("EHLO evil.example")
        c.send("STARTTLS\r\n")
        assert c.line().startswith("220 ")
        c.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            c.sock.recv(1)
        c.sock.settimeout(30)
        wire = Wire(c.sock).handshake()
        wire.sendall(b"NOOP\r\n")
        assert re.match(rb"250 ", wire.recv(100))


# -- 22: renegotiation ----------------------------------------------------------------------------

def test_22_renegotiation(secure):
    """A client that asks for it in the middle of a session is refused; nobody's octets are spliced before another's."""
    said = s_client_dialog(secure.ports[SMTPS], ["-tls1_2"], [
        (b"", b"\n220 "), (b"EHLO client.test\r\n", b"250 "), (b"R\n", b"RENEGOTIATING"), (b"NOOP\r\n", b"\n250 ")])
    assert "RENEGOTIATING" in said and "Secure Renegotiation IS supported" in said, said
    behind = said.split("RENEGOTIATING", 1)[1]
    assert re.search(r"(?i)no renegotiation|error|alert", behind) and "250 " not in behind, behind


# -- 31: names that a client sends ------------------------------------------------------------------

@pytest.mark.parametrize("name", [b"\\", b"mx.test\\", b"\\" * 255, b"a\\\0", b"\\n\\r\\x00", b"mx.test\\\\",
                                  b"${run{id}}\\"], ids=repr)
def test_31_a_name_that_ends_in_a_backslash(secure, name):
    """The name of a host in the first message reaches no file and no log but as text that is quoted."""
    before = len(secure.log)
    with Client(secure.ports[SMTPS], greeted=False) as c:
        c.send(Hello().names(name).octets())
        with contextlib.suppress(ConnectionError):
            assert c.sock.recv(1) in (b"\x16", b"\x15", b"")
    if b"\0" not in name and len(name) < 64:
        with secure.secure(SMTPS, name=name.decode()) as c:
            envelope(c, to="other@example.org").say("DATA")
            c.send("Subject: named\r\n\r\n")
            assert c.cmd(".")[0] == 250
        mail = wait_for(lambda: [m for m in secure.maildir("other") if b"named" in m], "delivery")[-1]
        assert name not in mail
    for line in secure.log[before:]:
        assert re.fullmatch(r"[\x20-\x7e]*", line), line
        assert not re.search(r'[^\\](\\\\)*\\"$', line), line


# -- 11: chains -------------------------------------------------------------------------------------

CHAIN_MAX = 1 << 20     # octets of a certificate's file


@pytest.mark.parametrize("n", [0, 1, 20, 200])
def test_11_chains_of_certificates(n):
    """From none to 200 certificates more go out whole in the handshake, and the server is as well after as before."""
    with open(certificate("ecdsa").crt, encoding="ascii") as f:
        own = f.read()
    with open(certificate("other").authority, encoding="ascii") as f:
        more = f.read()
    s = without_clients()
    try:
        s.put(own + more * n, "ecdsa.crt")
        s.start()
        for version in ("-tls1_2", "-tls1_3"):
            said, status = s_client(s.ports[SMTPS], version, "-showcerts")
            # A client need not take that many; s_client takes 100 KiB.
            if n < 200:
                assert status == 0 and said.count("BEGIN CERTIFICATE") == n + 1, said[-500:]
        with s.secure(SMTPS, ctx=patient_context()) as c:
            envelope(c)
        assert_well(s)
    finally:
        s.cleanup()


def without_clients():
    """A server that is not started, and asks nobody for a certificate."""
    conf = CONF.replace(" ca clients\n", "\n").replace('ca clients cert "{dir}/ca.crt"\n', "")
    return TlsServer(conf, ("ecdsa", "other"), build=HARD)


def patient_context():
    """A client that takes what the server shows."""
    return context(verify=False)


def test_11_a_file_that_is_too_long():
    """Of over a mebibyte: told at the start or the check, never half of it in use."""
    s = without_clients()
    try:
        with open(certificate("ecdsa").crt, encoding="ascii") as f:
            own = f.read()
        s.put(own + "# more\n" * (CHAIN_MAX // 7 + 1), "ecdsa.crt")
        with contextlib.suppress(AssertionError):
            s.start()
            with pytest.raises((ssl.SSLError, EOFError, ConnectionError, AssertionError)):
                s.secure(SMTPS)
            with starttls_refused(s) as c:
                c.say("NOOP")
        assert any("ecdsa" in line and re.search("certificate|pki|large|big|long", line) for line in s.log), s.log
    finally:
        s.cleanup()


def starttls_refused(s):
    c = hello(s, s.ports[STARTTLS])
    code, _ = c.cmd("STARTTLS")
    assert code in (454, 502, 220), code
    return c if code != 220 else hello(s)


def test_11_chains_of_clients(secure, tmp_path):
    """A client's chain of any length ends its own handshake at most."""
    own = certificate("client")
    with open(own.crt, encoding="ascii") as f:
        one = f.read()
    with open(own.authority, encoding="ascii") as f:
        signer = f.read()
    for n in (0, 1, 20, 200, 2000):
        path = tmp_path / "chain.pem"
        path.write_text(one + signer * n)
        for version in (V12, V13):
            ctx = only(version)
            ctx.load_cert_chain(str(path), own.key)
            try:
                with secure.secure(ASKS, ctx=ctx) as c:
                    envelope(c)
            except (ssl.SSLError, EOFError, ConnectionError):
                assert n > 20


# -- 64: other protocols -------------------------------------------------------------------------------

@pytest.mark.parametrize("protocols", [["http/1.1"], ["h2", "http/1.1"], ["imap"], ["xmpp-client"], ["x" * 255]],
                         ids=str)
def test_64_a_name_of_another_protocol(secure, protocols):
    """ALPN: nobody is told that this is HTTP; whoever speaks it all the same is sent away at the first line."""
    ctx = context(verify=False)
    ctx.set_alpn_protocols(protocols)
    try:
        c = secure.secure(SMTPS, ctx=ctx)
    except (ssl.SSLError, EOFError, ConnectionError):
        return      # no_application_protocol (RFC 7301 3.2): as good
    with c:
        assert c.sock.selected_alpn_protocol() is None
        c.send("GET / HTTP/1.1\r\nHost: mx.test\r\n\r\nMAIL FROM:<a@b.example>\r\n")
        assert c.codes() == [221]
