# SPDX-License-Identifier: ISC
"""What outlives one connection: tickets, certificates that are replaced, OCSP responses; and no renegotiation."""
import os
import re
import signal
import ssl

import pytest

from evil import server_process
from postern import wait_for
from talk import envelope
from tls import V12, V13, TlsClient, TlsServer, certificate, context, only, s_client, starttls

CONF = """
smtp processes 3
smtp max-sessions-per-client 1000
listen on 127.0.0.1 port 0 smtps pki ecdsa
listen on 127.0.0.1 port 0 tls pki ecdsa
"""
SMTPS, STARTTLS = 1, 2
VERSIONS = pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])


@pytest.fixture
def server():
    s = TlsServer(CONF).start()
    yield s
    s.cleanup()


def ticket(server, ctx, port=SMTPS):
    """A session that may be taken up again.  With TLS 1.3 the ticket comes behind the handshake."""
    with server.secure(port, ctx=ctx) as c:
        assert not c.sock.session_reused
        assert c.sock.session.has_ticket
        return c.sock.session


def resumes(server, ctx, session, port=SMTPS):
    """Whether it was taken up again, and by which process."""
    with server.secure(port, ctx=ctx, session=session) as c:
        c.say("MAIL FROM:<you@example.net>")
        return c.sock.session_reused, server_process(server, c)[0]


@VERSIONS
def test_a_ticket_is_good_at_every_process(server, version):
    ctx = only(version)
    session = ticket(server, ctx)
    seen = set()

    def everywhere():
        reused, process = resumes(server, ctx, session)
        assert reused, process
        seen.add(process)
        return len(seen) == 3
    wait_for(everywhere, "a connection at each process")


@VERSIONS
def test_a_ticket_is_good_after_a_reload(server, version):
    ctx = only(version)
    session = ticket(server, ctx)
    server.reload()
    for _ in range(6):
        assert resumes(server, ctx, session)[0]


@VERSIONS
def test_a_ticket_is_good_when_its_process_is_gone(server, version):
    ctx = only(version)
    session = ticket(server, ctx)
    for name, pid in server.pids().items():
        if name.startswith("session/"):
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda old=pid: old not in server.pids().values() and server._all_entered(), "another process")
    wait_for(lambda: resumes(server, ctx, session)[0], "a process that has the keys")


def test_a_ticket_is_bound_to_its_listener_s_policy(server):
    """What was begun by STARTTLS may go on at the other port only as what that port asks for: here, the same."""
    ctx = context()
    session = ticket(server, ctx, SMTPS)
    c = TlsClient(server.ports[STARTTLS], ctx=ctx, session=session, implicit=False)
    with c:
        c.say("EHLO client.test")
        c.starttls().say("EHLO client.test")
        envelope(c)


def test_no_client_comes_in_by_a_ticket_without_its_certificate():
    """A session of a port that asks nobody is not one of a port where a certificate is a must."""
    s = TlsServer('ca clients cert "{dir}/ca.crt"\n' + CONF.replace("3", "1") +
                  "listen on 127.0.0.1 port 0 smtps verify pki ecdsa ca clients\n")
    try:
        s.copy(certificate("client").authority, "ca.crt")
        s.start()
        for version in (V12, V13):
            ctx = only(version)
            session = ticket(s, ctx)
            with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
                s.secure(3, ctx=ctx, session=session)
            # With the certificate it is let in, and its own session brings it in again.
            mine = only(version, mine="client")
            with s.secure(3, ctx=mine) as c:
                session = c.sock.session
            for _ in range(2):
                with s.secure(3, ctx=mine, session=session) as c:
                    envelope(c)
    finally:
        s.cleanup()


@VERSIONS
def test_a_ticket_is_good_for_as_long_as_its_authority(version):
    """Who may no longer come in with a certificate does not come in with a ticket that was given for it."""
    s = TlsServer('ca clients cert "{dir}/ca.crt"\n' + CONF +
                  "listen on 127.0.0.1 port 0 smtps verify pki ecdsa ca clients\n")
    try:
        s.copy(certificate("client").authority, "ca.crt")
        s.start()
        mine, other = only(version, mine="client"), only(version, mine="client-stranger")
        sessions = []
        for _ in range(3):
            with s.secure(3, ctx=mine) as c:
                sessions.append(c.sock.session)
        s.copy(certificate("client-stranger").authority, "ca.crt")
        s.reload()
        for session in [None, *sessions]:
            with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
                s.secure(3, ctx=mine, session=session)
        with s.secure(3, ctx=other) as c:
            envelope(c)
    finally:
        s.cleanup()


@VERSIONS
def test_a_resumption_after_another(server, version):
    """Each connection goes on where the one before ended; with TLS 1.3 by a ticket of its own (RFC 8446 C.4)."""
    ctx = only(version)
    session = ticket(server, ctx)
    for n in range(6):
        with server.secure(SMTPS, ctx=ctx, session=session) as c:
            assert c.sock.session_reused, n
            c.say("NOOP")
            session = c.sock.session


@VERSIONS
def test_no_tickets(version):
    s = TlsServer(CONF + "smtp ticket-lifetime 0\n")
    try:
        s.start()
        ctx = only(version)
        with s.secure(SMTPS, ctx=ctx) as c:
            session = c.sock.session
        if session:
            assert not any(resumes(s, ctx, session)[0] for _ in range(4))
    finally:
        s.cleanup()


@VERSIONS
def test_keys_change(version):
    """A ticket is good for as long as the file says, and no longer, and new ones are given all the while."""
    s = TlsServer(CONF + "smtp ticket-lifetime 1s\n")
    try:
        s.start()
        ctx = only(version)
        session = ticket(s, ctx)
        wait_for(lambda: not resumes(s, ctx, session)[0], "the ticket's end")
        wait_for(lambda: resumes(s, ctx, ticket(s, ctx))[0], "another ticket")
    finally:
        s.cleanup()


def test_the_vault_comes_back_with_other_keys(server):
    ctx = only(V13)
    session = ticket(server, ctx)
    pid = server.pids()["vault/0"]
    os.kill(pid, signal.SIGKILL)
    server.restarted("vault/0", pid)

    def works():
        try:
            with server.secure(SMTPS, ctx=ctx, session=session) as c:
                return c.sock.session and True
        except (OSError, EOFError):
            return False
    wait_for(works, "TLS with the new vault")
    for process in range(6):
        fresh = ticket(server, ctx)
        assert resumes(server, ctx, fresh)[0], process


# -- certificates ------------------------------------------------------------------------

def shown(server, port=SMTPS):
    with server.secure(port) as c:
        return c.sock.getpeercert(binary_form=True)


def test_a_certificate_is_replaced(server):
    """Who is there stays; who comes is shown the new one, by every process."""
    with server.secure(SMTPS) as old, starttls(server, STARTTLS) as older:
        server.install("next", pki="ecdsa")
        server.reload()
        for _ in range(9):
            assert shown(server) == certificate("next").der
        for c in (old, older):
            envelope(c).say("DATA")
            c.send("Subject: old\r\n\r\nold\r\n")
            assert c.cmd(".")[0] == 250
            assert c.cmd("QUIT")[0] == 221 and c.ends_well()
    server.wait_mail(2)


def test_another_kind_of_key_in_its_place(server):
    for name in ("rsa", "p384", "ecdsa"):
        server.install(name, pki="ecdsa")
        server.reload()
        for _ in range(4):
            assert shown(server) == certificate(name).der


def test_a_handshake_that_goes_on_across_a_reload(server):
    with TlsClient(server.ports[STARTTLS], implicit=False) as c:
        c.say("EHLO client.test")
        assert c.cmd("STARTTLS")[0] == 220
        server.install("next", pki="ecdsa")
        server.reload()
        c.secure().say("EHLO client.test")
        assert c.sock.getpeercert(binary_form=True) in (certificate("next").der, certificate("ecdsa").der)
        envelope(c)


@pytest.mark.parametrize("name", ["mismatch", "garbage", "missing", "ed25519"])
def test_a_certificate_that_is_no_good(server, name):
    """A reload that finds it is refused, or does without it; the old one is shown meanwhile, and nobody is cut off."""
    with server.secure(SMTPS) as old:
        if name == "mismatch":
            server.copy(certificate("next").crt, "ecdsa.crt")
        elif name == "garbage":
            server.put("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ecdsa.crt")
        elif name == "missing":
            os.unlink(server.path("ecdsa.key"))
        else:
            server.install(name, pki="ecdsa")
        before, pids = len(server.log), server.pids()
        server.process.send_signal(signal.SIGHUP)
        server.wait_log(server.RELOADED, after=before)
        old.say("NOOP")
        assert shown(server) == certificate("ecdsa").der
        assert server.pids() == pids
    # And a good one is taken after it.
    server.install("next", pki="ecdsa")
    server.reload()
    assert shown(server) == certificate("next").der


# -- OCSP -------------------------------------------------------------------------------------

def stapled(server, *options):
    said, status = s_client(server.ports[SMTPS], "-status", *options)
    assert status == 0, said
    return "OCSP Response Status: successful" in said and "Cert Status: good" in said


def test_an_ocsp_response_goes_along():
    s = TlsServer(CONF + 'pki ecdsa ocsp "{dir}/ecdsa.ocsp"\n')
    try:
        s.copy(certificate("ecdsa").ocsp(), "ecdsa.ocsp")
        s.start()
        for version in ("-tls1_2", "-tls1_3"):
            assert stapled(s, version)
        assert "OCSP" not in re.sub("OCSP response: no response sent", "", s_client(s.ports[SMTPS])[0])
        # Another one comes with a reload; one that is gone does no harm.
        s.install("next", pki="ecdsa")
        s.copy(certificate("next").ocsp(), "ecdsa.ocsp")
        s.reload()
        assert stapled(s) and shown(s) == certificate("next").der
    finally:
        s.cleanup()


def test_an_ocsp_response_that_is_taken_out():
    """It is not given to anybody after the reload."""
    with_it = 'pki ecdsa ocsp "{dir}/ecdsa.ocsp"\n'
    s = TlsServer(CONF + with_it)
    try:
        s.copy(certificate("ecdsa").ocsp(), "ecdsa.ocsp")
        s.start()
        assert stapled(s)
        s.write_conf(s.CONF + s.statements(["ecdsa"]) + CONF)
        s.reload()
        assert not any(stapled(s) for _ in range(4))
    finally:
        s.cleanup()


def test_without_a_file_nothing_is_stapled(server):
    assert not stapled(server)
