# SPDX-License-Identifier: ISC
"""TLS as a client meets it: how it begins and ends, what is offered and refused, and which certificate is shown."""
import email
import re
import socket
import ssl
import time

import pytest

from postern import PATIENCE, wait_for
from talk import Client, data, envelope, hello, mailed, offered, received, status_of
from tls import V12, V13, TlsClient, TlsServer, Wire, certificate, context, only, s_client, starttls, wired

CONF = """
table near {{ "127.0.0.0/8" }}
ca clients cert "{dir}/ca.crt"
listen on 127.0.0.1 port 0 tls pki ecdsa
listen on 127.0.0.1 port 0 smtps pki ecdsa
listen on 127.0.0.1 port 0 tls-require pki ecdsa
listen on 127.0.0.1 port 0 smtps pki ecdsa pki other pki wild
listen on 127.0.0.1 port 0 tls pki rsa pki other pki wild
listen on 127.0.0.1 port 0 smtps pki ecdsa ca clients
listen on 127.0.0.1 port 0 smtps verify pki ecdsa ca clients
listen on 127.0.0.1 port 0 tls-require verify pki ecdsa ca clients
listen on 127.0.0.1 port 0 smtps pki ecdsa proxy <near>
listen on 127.0.0.1 port 0 tls pki ecdsa proxy-v2
listen on 127.0.0.1 port 0 smtps pki p521
smtp error-delay 0s
smtp max-sessions-per-client 1000
"""
PLAIN, STARTTLS, SMTPS, REQUIRE, NAMES, NAMES_RSA, ASKS, WANTS, WANTS_STARTTLS, PROXY, PROXY_V2, P521 = range(12)
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 465\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 198, 51, 100, 1, 1, 2, 3, 4])
PKIS = ("ecdsa", "rsa", "other", "wild", "p521")


def make(extra="", pkis=PKIS, **more):
    server = TlsServer(extra, pkis, **more)
    server.copy(certificate("client").authority, "ca.crt")
    return server.start()


@pytest.fixture(scope="module")
def s():
    server = make(CONF)
    yield server
    server.cleanup()


@pytest.fixture
def other():
    """A server with statements of the test's own."""
    servers = []

    def start(extra, pkis=("ecdsa",)):
        servers.append(make(extra, pkis))
        return servers[0]
    yield start
    for server in servers:
        server.cleanup()


def reach(s, port, **more):
    """A client that said EHLO over TLS by whichever way the port has."""
    if port in (SMTPS, NAMES, ASKS, WANTS, P521):
        return s.secure(port, **more)
    return starttls(s, port, **more)


# -- how it begins ------------------------------------------------------------------

@pytest.mark.parametrize("port", [STARTTLS, SMTPS, REQUIRE, NAMES_RSA, P521])
@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_mail_over_tls(s, port, version):
    """It is delivered, and its Received says by which protocol (RFC 3848) and how it was protected."""
    with reach(s, port, ctx=only(version)) as c:
        cipher, name, _ = c.sock.cipher()
        line = received(s, c)
        assert " with ESMTPS " in line and name.replace(".", "") in line.replace(".", "") and cipher in line, line
        assert c.cmd("QUIT")[0] == 221
        assert c.ends_well()


def test_received_without_tls(s):
    with hello(s) as c:
        line = received(s, c)
        assert " with ESMTP " in line and "TLS" not in line


def test_the_message_stays_whole(s):
    body = "".join(f"{n:07d} {'x' * 70}\r\n" for n in range(30000))
    with reach(s, STARTTLS) as c:
        mail = email.message_from_bytes(mailed(s, envelope(c), "Subject: large\r\n\r\n" + body))
        assert mail.get_payload() == body.replace("\r\n", "\n")


def test_chunks_over_tls(s):
    with reach(s, SMTPS) as c:
        def chunks(client, text):
            for at in range(0, len(text), 5):
                assert client.chunk(text[at:at + 5], at + 5 >= len(text))[0] == 250
            return (250, "")
        assert mailed(s, envelope(c), how=chunks).endswith(b"\nhello\n")


def test_a_pipelined_group_in_one_record(s):
    with reach(s, SMTPS) as c:
        c.send("MAIL FROM:<you@example.net>\r\nRCPT TO:<demo@example.org>\r\nDATA\r\n")
        assert [c.reply()[0] for _ in range(3)] == [250, 250, 354]
        c.send("Subject: x\r\n\r\nx\r\n.\r\nNOOP\r\nQUIT\r\n")
        assert c.codes() == [250, 250, 221]


def test_octet_by_octet(s):
    with reach(s, SMTPS) as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for letter in "NOOP\r\nNOOP\r\n":
            c.send(letter)
        assert [c.reply()[0] for _ in range(2)] == [250, 250]


def test_where_starttls_is_offered(s):
    for port in (STARTTLS, REQUIRE, NAMES_RSA):
        with hello(s, s.ports[port]) as c:
            assert "STARTTLS" in offered(c)
        with reach(s, port) as c:
            assert "STARTTLS" not in offered(c)
    with reach(s, SMTPS) as c:
        assert "STARTTLS" not in offered(c)
    with hello(s) as c:
        assert "STARTTLS" not in offered(c)
        assert c.status("STARTTLS")[0] in (500, 502)


def test_starttls_takes_no_parameter(s):
    with hello(s, s.ports[STARTTLS]) as c:
        assert c.status("STARTTLS now") == (501, "5.5.4")
        assert c.status("NOOP")[0] == 250


def test_starttls_only_once(s):
    with reach(s, STARTTLS) as c:
        assert c.status("STARTTLS") == (503, "5.5.1")
        assert c.status("NOOP")[0] == 250
    with reach(s, SMTPS) as c:
        assert c.status("STARTTLS") == (503, "5.5.1")
        assert c.status("NOOP")[0] == 250


def test_what_was_said_before_is_forgotten(s):
    """RFC 3207 4.2: the client, its transaction included, starts anew."""
    with TlsClient(s.ports[STARTTLS], implicit=False) as c:
        c.say("EHLO client.test")
        assert c.starttls().status("MAIL FROM:<you@example.net>") == (503, "5.5.1")
    with TlsClient(s.ports[STARTTLS], implicit=False) as c:
        c.say("EHLO before.test", "MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>")
        if c.cmd("STARTTLS")[0] == 220:     # it may be refused inside a transaction
            c.secure().say("EHLO after.test")
        else:
            c.say("RSET")
            c.starttls().say("EHLO after.test")
        assert c.status("RCPT TO:<demo@example.org>") == (503, "5.5.1")
        line = received(s, c, verb="EHLO")
        assert "before.test" not in line


def test_requiring_starttls(s):
    with hello(s, s.ports[REQUIRE]) as c:
        assert c.status("MAIL FROM:<you@example.net>") == (530, "5.7.0")
        assert c.status("NOOP")[0] == 250
        assert c.status("RCPT TO:<demo@example.org>")[0] in (503, 530)
        assert c.status("DATA")[0] in (503, 530)
        c.bdat("Subject: x\r\n\r\n", last=True)
        assert status_of(c.reply())[0] in (503, 530)
        assert c.status("QUIT")[0] == 221
    with reach(s, REQUIRE) as c:
        envelope(c)


def test_requiretls(s):
    """RFC 8689 2: offered and taken only under TLS."""
    for port in (STARTTLS, SMTPS):
        with reach(s, port) as c:
            assert offered(c)["REQUIRETLS"] == ""
            c.say("MAIL FROM:<you@example.net> REQUIRETLS", "RSET")
            assert c.status("MAIL FROM:<you@example.net> REQUIRETLS=1") == (501, "5.5.4")
    with hello(s, s.ports[STARTTLS]) as c:
        assert "REQUIRETLS" not in offered(c)
        assert c.status("MAIL FROM:<you@example.net> REQUIRETLS")[0] in (530, 555)


# -- what comes where it should not ------------------------------------------------------

@pytest.mark.parametrize("behind", [b"EHLO client.test\r\n", b"NOOP\r\n", b"\r\n", b"x", b"\x16"], ids=repr)
def test_octets_behind_starttls(s, behind):
    """What came in the clear is never read as if it had come over TLS: the connection ends (CVE-2011-0411)."""
    with hello(s, s.ports[STARTTLS]) as c:
        c.send(b"STARTTLS\r\n" + behind)
        assert c.codes() in ([], [220], [503], [554])
    with hello(s, s.ports[STARTTLS]) as c:
        c.send(b"STARTTLS\r\n" + behind + first_message())
        assert c.codes() in ([], [220], [503], [554])


def first_message():
    """A first message that nothing comes after."""
    return Wire(None).hello()


def test_a_hello_that_did_not_wait_for_220(s):
    """Nobody may speak behind STARTTLS before its answer (RFC 3207 4), not even TLS."""
    with hello(s, s.ports[STARTTLS]) as c:
        c.send(b"STARTTLS\r\n" + first_message())
        assert c.codes() in ([], [220], [503], [554])


def test_no_tls_where_tls_should_begin(s):
    with TlsClient(s.ports[STARTTLS], implicit=False) as c:
        c.say("EHLO client.test")
        assert c.cmd("STARTTLS")[0] == 220
        c.send("MAIL FROM:<you@example.net>\r\nRCPT TO:<demo@example.org>\r\n")
        c.sock.settimeout(30)
        assert not re.search(rb"250|503|354", rest(c))
    with Client(s.ports[SMTPS], greeted=False) as c:
        c.send("EHLO client.test\r\nQUIT\r\n")
        assert b"250" not in rest(c)
    with hello(s) as c:
        assert c.status("NOOP")[0] == 250


def rest(client):
    octets = b""
    try:
        while more := client.sock.recv(4096):
            octets += more
    except ConnectionResetError:
        pass
    return octets


def test_half_a_handshake_ends_in_time(s):
    """Who says nothing, half of it, or an octet now and then, is not waited for without end."""
    began = time.monotonic()
    silent, half, slow = (Client(s.ports[SMTPS], greeted=False, timeout=2 * PATIENCE) for _ in range(3))
    half.send(first_message()[:60])
    after = hello(s, s.ports[STARTTLS], timeout=2 * PATIENCE)
    assert after.cmd("STARTTLS")[0] == 220
    with pytest.raises(ConnectionError):
        for octet in first_message()[:-1]:
            slow.send(bytes([octet]))
            time.sleep(0.2)
    for c in (silent, half, after):
        rest(c)
        c.close()
    assert 5 < time.monotonic() - began < 2 * PATIENCE


def test_a_record_that_comes_drop_by_drop(other):
    """Octets of the wire that never become one of a command are no sign of life: the time-out goes on."""
    server = other("listen on 127.0.0.1 port 0 smtps pki ecdsa\nsmtp timeout 2s\n")
    with wired(server.ports[1]) as c:
        c.say("EHLO client.test")
        drops = c.sock.sealed(b"NOOP " + b"x" * 500)
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            for drop in drops:
                c.sock.sock.sendall(bytes([drop]))
                time.sleep(0.2)
        assert 1 < time.monotonic() - began < PATIENCE


# -- versions, ciphers, curves --------------------------------------------------------------

OLD = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1}


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("port", [STARTTLS, SMTPS])
def test_old_versions_are_refused(s, version, port):
    old = context(OLD[version], OLD[version], ciphers="ALL:@SECLEVEL=0", verify=False)
    with pytest.raises(ssl.SSLError, match="(?i)protocol|alert"):
        reach(s, port, ctx=old)


# What a client offers for TLS 1.2, and whether there is anything in it for us.
WEAK = ["AES128-SHA", "AES256-GCM-SHA384", "kRSA", "DHE-RSA-AES128-SHA", "kDHE", "aNULL", "eNULL", "PSK", "SRP"]


@pytest.mark.parametrize("ciphers", WEAK)
def test_weak_ciphers_are_refused(s, ciphers):
    weak = only(V12, ciphers=f"{ciphers}:@SECLEVEL=0", verify=False)
    for port in (SMTPS, NAMES_RSA):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            reach(s, port, ctx=weak)


@pytest.mark.parametrize("ciphers", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
                                     "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_good_ciphers_are_taken(s, ciphers):
    with reach(s, SMTPS, ctx=only(V12, ciphers=ciphers)) as c:
        assert c.sock.cipher()[0] == ciphers


def test_settings_of_a_listener_and_of_all(other):
    server = other("""
smtp ciphers "ECDHE-ECDSA-AES256-GCM-SHA384"
smtp protocols "TLSv1.2"
smtp curves "P-384"
listen on 127.0.0.1 port 0 smtps pki ecdsa
listen on 127.0.0.1 port 0 smtps pki ecdsa protocols "TLSv1.3" curves "X25519:P-256"
listen on 127.0.0.1 port 0 smtps pki ecdsa ciphers "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384"
listen on 127.0.0.1 port 0 smtps pki rsa ciphers "ECDHE-RSA-AES256-GCM-SHA384"
""", ("ecdsa", "rsa"))
    all_, new, mixed, rsa = server.ports[1:]

    def spoken(port, **how):
        with TlsClient(port, ctx=context(**how)) as c:
            return c.sock.version(), c.sock.cipher()[0]
    assert spoken(all_) == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert spoken(new)[0] == "TLSv1.3"
    assert spoken(mixed, ciphers="ECDHE-ECDSA-CHACHA20-POLY1305") == ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305")
    for port, how in ((all_, {"low": V13}), (new, {"high": V12}), (mixed, {"low": V13}),
                      (all_, {"ciphers": "ECDHE-ECDSA-CHACHA20-POLY1305"})):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            spoken(port, **how)
    # With TLS 1.2 a client's curves are also those of the certificates that it can take: RSA is none.
    for port, curves in ((rsa, {"P-384": True, "X25519": False, "P-256": False}),
                         (new, {"P-384": False, "X25519": True, "P-256": True})):
        for curve, works in curves.items():
            assert (s_client(port, "-curves", curve)[1] == 0) == works, (curve, works)


# -- certificates ----------------------------------------------------------------------------

@pytest.mark.parametrize("port, name, which", [
    (NAMES, "mx.test", "ecdsa"), (NAMES, "other.test", "other"), (NAMES, "OTHER.test", "other"),
    (NAMES, "a.wild.test", "wild"), (NAMES, "b.wild.test", "wild"), (NAMES, "wild.test", "ecdsa"),
    (NAMES, "a.b.wild.test", "ecdsa"), (NAMES, "unknown.test", "ecdsa"), (NAMES, None, "ecdsa"),
    (NAMES_RSA, "mx.test", "rsa"), (NAMES_RSA, "other.test", "other"), (NAMES_RSA, None, "rsa"),
    (NAMES_RSA, "unknown.test", "rsa"), (P521, "mx.test", "p521")])
@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_the_certificate_for_a_name(s, port, name, which, version):
    with reach(s, port, name=name, ctx=only(version)) as c:
        assert c.sock.getpeercert(binary_form=True) == certificate(which).der


def test_all_of_the_file_where_a_listener_names_none(other):
    server = other("listen on 127.0.0.1 port 0 smtps\n", ("ecdsa", "other"))
    for name, which in (("other.test", "other"), ("mx.test", "ecdsa"), (None, "ecdsa")):
        with TlsClient(server.ports[1], name=name) as c:
            assert c.sock.getpeercert(binary_form=True) == certificate(which).der


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("mine", [None, "client", "client-other"])
def test_client_certificates_that_are_asked_for(s, version, mine):
    for port in (ASKS, WANTS, WANTS_STARTTLS):
        if mine or port == ASKS:
            with reach(s, port, ctx=only(version, mine=mine)) as c:
                envelope(c)
        else:
            with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
                reach(s, port, ctx=only(version))


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("mine", ["client-stranger", "client-expired", "ecdsa"])
def test_client_certificates_that_are_not_good(s, version, mine):
    """Of another authority, expired, or one of a server."""
    for port in (ASKS, WANTS, WANTS_STARTTLS):
        with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
            reach(s, port, ctx=only(version, mine=mine))


def test_nobody_is_asked_for_a_certificate_elsewhere(s):
    said, status = s_client(s.ports[SMTPS])
    assert status == 0 and "No client certificate CA names sent" in said
    said, status = s_client(s.ports[ASKS])
    assert status == 0 and "Tests ca" in said.split("Acceptable client certificate CA names")[-1]


# -- behind a balancer -------------------------------------------------------------------------

@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_a_hello_right_behind_a_proxy_header(s, header):
    with wired(s.ports[PROXY], header) as c:
        line = received(s, c)
        assert "[192.0.2.7]" in line and " with ESMTPS " in line


def test_starttls_behind_a_proxy_header(s):
    with Client(s.ports[PROXY_V2], greeted=False) as c:
        c.send(V2)
        assert c.reply()[0] == 220
        c.say("EHLO client.test")
        assert c.cmd("STARTTLS")[0] == 220
        c.sock = context().wrap_socket(c.sock, server_hostname="mx.test")
        assert "[192.0.2.7]" in received(s, c)


# -- its end --------------------------------------------------------------------------------------

def test_the_end_is_said(s):
    """A close_notify comes before the end of the connection, whoever ends it."""
    with reach(s, SMTPS) as c:
        c.send("QUIT\r\n")
        assert c.reply()[0] == 221 and c.ends_well()
    with reach(s, STARTTLS) as c:
        c.send("GET / HTTP/1.1\r\n")
        assert c.reply()[0] == 221 and c.ends_well()
    with reach(s, SMTPS) as c:
        plain = c.sock.unwrap()     # the server answers it with its own
        assert plain.recv(1) == b""


def test_an_end_that_is_not_said_stores_nothing(s):
    """Octets that TLS did not end are no message, however they look."""
    with reach(s, SMTPS) as c:
        envelope(c, to="other@example.org").say("DATA")
        c.send("Subject: cut\r\n\r\ncut\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        assert c.codes() == []
    wait_for(lambda: s.ctl("show", "queue").stdout.count("other@example.org") == 0, "nothing queued")
    assert s.maildir("other") == []


def test_data_and_its_answer_in_the_last_record(s):
    with reach(s, SMTPS) as c:
        assert data(envelope(c), "Subject: last\r\n\r\nlast\r\n")[0] == 250
