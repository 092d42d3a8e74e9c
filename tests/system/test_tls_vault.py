# SPDX-License-Identifier: ISC
"""Sessions without a vault: it is killed, or stands still, in the middle of handshakes and logins.

Nothing of that ends a session process; what needs a secret fails and says so, and all else goes on.
"""
import contextlib
import os
import signal
import ssl
import threading
import time

import pytest

from disk import state_of
from postern import PATIENCE, wait_for
from sasl import BLOCKED, OK, REFUSED, Scram, auth, crypted, plain, scram_keys, table
from talk import envelope, hello
from tls import TlsClient, TlsServer, starttls

CONF = table("logins", {"demo@example.org": crypted("demo", "slow"), "scram@example.org": scram_keys("demo")}) + """
smtp processes 2
smtp error-delay 0s
auth failure-delay 0s
auth max-failures 100
auth free-failures 1000000
smtp max-sessions-per-client 1000
listen on 127.0.0.1 port 0 tls pki ecdsa auth-optional <logins>
listen on 127.0.0.1 port 0 smtps pki ecdsa auth-optional <logins>
"""
PLAIN, STARTTLS, SMTPS = range(3)
BROKEN = (ssl.SSLError, EOFError, ConnectionError, TimeoutError)


@pytest.fixture
def server():
    s = TlsServer(CONF).start()
    yield s
    for pid in s.pids().values():       # one that a test stopped can't end
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGCONT)
    s.cleanup()


def vault(server):
    return server.pids()["vault/0"]


def sessions(server):
    return {name: pid for name, pid in server.pids().items() if name.startswith("session/")}


@contextlib.contextmanager
def standing_still(pid):
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state_of(pid) == "T", "stopped")
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def works(server):
    """TLS and a login, as if nothing had been."""
    def all_of_it():
        try:
            with server.secure(SMTPS) as c:
                return auth(c, "PLAIN", *plain("demo@example.org", "demo")) == OK
        except BROKEN:
            return False
    wait_for(all_of_it, "TLS and a login again")


def test_killed_again_and_again(server):
    """Handshakes and logins all the while: each works, or fails as it may; no session process dies."""
    before, over, ends = sessions(server), threading.Event(), []

    def client():
        while not over.is_set():
            try:
                with server.secure(SMTPS, timeout=10) as c:
                    ends.append(auth(c, "PLAIN", *plain("demo@example.org", "demo")))
                    c.say("NOOP")
            except BROKEN as e:
                ends.append(type(e))
            except AssertionError as e:
                ends.append(str(e)[:80])
    threads = [threading.Thread(target=client, daemon=True) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(4):
        n = len(ends)
        wait_for(lambda start=n: OK in ends[start:], "a login")
        pid = vault(server)
        os.kill(pid, signal.SIGKILL)
        server.restarted("vault/0", pid)
    over.set()
    for t in threads:
        t.join(PATIENCE)
    assert sessions(server) == before
    assert set(ends) - {OK} <= {BLOCKED, *BROKEN, ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError,
                                BrokenPipeError}, set(ends)
    works(server)


@pytest.mark.parametrize("when", ["challenged", "checking"])
def test_killed_in_the_middle_of_a_login(server, when):
    """454, and the same client can try again when there is a vault again."""
    with server.secure(SMTPS) as c, server.secure(SMTPS) as other:
        pid = vault(server)
        if when == "challenged":
            assert c.cmd("AUTH LOGIN")[0] == 334
            os.kill(pid, signal.SIGKILL)
            server.restarted("vault/0", pid)
            assert c.status("ZGVtb0BleGFtcGxlLm9yZw==") == BLOCKED
        else:
            with standing_still(pid):
                c.send("AUTH PLAIN AGRlbW9AZXhhbXBsZS5vcmcAZGVtbw==\r\n")
                other.say("NOOP")
                os.kill(pid, signal.SIGKILL)
                code, text = c.reply()
                assert (code, text[:5]) == BLOCKED, text
            server.restarted("vault/0", pid)
        wait_for(lambda: auth(c, "PLAIN", *plain("demo@example.org", "demo")) == OK, "a login with the new vault")
        envelope(other)


def test_a_hasher_is_killed(server):
    """The answer is 454, or comes from another; the vault goes on."""
    before = vault(server)
    with server.secure(SMTPS) as c:
        for _ in range(3):
            hashers = {name: pid for name, pid in server.pids().items() if name.startswith("hasher/")}
            assert hashers
            for pid in hashers.values():
                os.kill(pid, signal.SIGSTOP)
            c.send("AUTH PLAIN AGRlbW9AZXhhbXBsZS5vcmcAZGVtbw==\r\n".replace("ZGVtbw==", "d3Jvbmc="))
            for pid in hashers.values():
                os.kill(pid, signal.SIGKILL)
            code, text = c.reply()
            assert (code, text[:5]) in (BLOCKED, REFUSED)
            wait_for(lambda old=hashers: len(now := {p for n, p in server.pids().items() if n.startswith("hasher/")})
                     == len(old) and not now & set(old.values()), "other hashers")
        assert auth(c, "SCRAM-SHA-256", *Scram("scram@example.org", "demo").steps) == OK
    works(server)
    assert vault(server) == before


def test_handshakes_have_a_deadline(server):
    """
    While the vault stands still handshakes fail, within seconds; who has no need of it is served meanwhile, and
    waits no longer than for a signature that does not come.
    """
    old, plain_one = starttls(server, STARTTLS), hello(server)
    before = sessions(server)
    with old, plain_one, standing_still(vault(server)):
        for port in (SMTPS, STARTTLS):
            began = time.monotonic()
            with pytest.raises(BROKEN):
                if port == SMTPS:
                    TlsClient(server.ports[SMTPS], timeout=PATIENCE)
                else:
                    starttls(server, STARTTLS, timeout=PATIENCE)
            assert time.monotonic() - began < 10
        began = time.monotonic()
        for c in (old, plain_one):
            envelope(c).say("RSET")
        envelope(hello(server)).close()
        assert time.monotonic() - began < 15
    assert sessions(server) == before
    works(server)


def test_logins_wait_for_a_vault_that_stands_still(server):
    """And get their answer when it goes on."""
    with server.secure(SMTPS) as c, server.secure(SMTPS) as gone:
        with standing_still(vault(server)):
            c.send("AUTH PLAIN AGRlbW9AZXhhbXBsZS5vcmcAZGVtbw==\r\n")
            gone.send("AUTH PLAIN AGRlbW9AZXhhbXBsZS5vcmcAZGVtbw==\r\n")
            gone.close()
            with hello(server) as other:
                envelope(other)
        assert c.reply()[0] == 235
    works(server)


def test_late_signatures_are_nobody_s(server):
    """A signature that comes after its deadline is not taken for the answer to the next question."""
    with standing_still(vault(server)):
        with pytest.raises(BROKEN):
            TlsClient(server.ports[SMTPS], timeout=PATIENCE)
    right = 0

    def works_again():
        """Ten in a row; for a moment a session process may not ask again, but nothing wrong is ever shown."""
        nonlocal right
        try:
            with server.secure(SMTPS) as c:
                c.say("NOOP")
            right += 1
        except ssl.SSLError as e:
            assert "internal error" in str(e), e
            right = 0
        return right == 10
    wait_for(works_again, "TLS again")


def test_a_session_process_is_killed(server):
    """Its exchanges are forgotten, and the vault serves the others."""
    before = vault(server)
    for _ in range(2):
        with server.secure(SMTPS) as c:
            assert c.cmd("AUTH LOGIN")[0] == 334
            for pid in sessions(server).values():
                os.kill(pid, signal.SIGKILL)
            wait_for(server._all_entered, "other sessions")
            works(server)
    assert vault(server) == before
