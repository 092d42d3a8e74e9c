# SPDX-License-Identifier: ISC
"""Clients that abuse AUTH: crowds that begin and never end, leave at any moment, say too much; the honest get in."""
import base64
import contextlib
import random
import threading

import pytest

from evil import HARD, PATIENT, assert_well, peak_mib, settle
from postern import PATIENCE, wait_for
from sasl import OK, Scram, auth, b64, crypted, plain, scram_keys, table
from talk import stat, status_of
from tls import TlsServer, context

DEMO = "demo@example.org"
CONF = PATIENT.replace("max-sessions-per-client 1000", "max-sessions-per-client 3000") + \
    table("logins", {DEMO: crypted("demo"), "slow@example.org": crypted("demo", "slow"),
                     "scram@example.org": scram_keys("demo")}) + """
auth failure-delay 0s
auth max-failures 100
auth free-failures 1000000
auth processes 1
listen on 127.0.0.1 port 0 smtps pki ecdsa auth <logins>
"""
SMTPS = 1


@pytest.fixture(scope="module")
def module_server():
    s = TlsServer(CONF, build=HARD).start()
    yield s
    s.cleanup()


@pytest.fixture
def server(module_server):
    yield module_server
    settle(module_server)
    assert_well(module_server)


def gets_in(server, source="127.0.0.2"):
    with server.secure(SMTPS, source=source) as c:
        return auth(c, "PLAIN", *plain(DEMO, "demo"))


def test_a_crowd_that_was_asked_and_says_nothing(server):
    """Exchanges that were begun cost the others nothing."""
    ctx, crowd = context(), []
    with contextlib.ExitStack() as stack:
        for n in range(400):
            c = stack.enter_context(server.secure(SMTPS, ctx=ctx))
            if n % 2:
                assert c.cmd("AUTH LOGIN")[0] == 334
            else:
                assert c.cmd(f"AUTH SCRAM-SHA-256 {b64(Scram('scram@example.org', 'demo').first())}")[0] == 334
            crowd.append(c)
        assert gets_in(server) == OK
        assert peak_mib(server, "vault") < 512
        for c in crowd[:50]:        # they can still give up
            assert c.status("*")[0] == 501


def test_who_leaves_while_it_is_checked(server):
    """In every moment of it; the hasher's work is not waited for, nor given to another."""
    ctx, chance = context(), random.Random(5)
    for n in range(200):
        c = server.secure(SMTPS, ctx=ctx)
        c.send(f"AUTH PLAIN {b64(plain('slow@example.org', 'wrong')[0])}\r\n")
        if n % 3 == 0:
            c.send("QUIT\r\n" if n % 2 else "RSET\r\n")
        if chance.random() < 0.2:
            with contextlib.suppress(OSError, EOFError):
                c.reply()
        c.close()
    wait_for(lambda: gets_in(server) == OK, "a login of somebody else")


def test_more_than_may_wait(server):
    """Of one address no more wait than there is room for; the rest hears 454 at once, and all hear something."""
    ctx, answers, lock = context(), [], threading.Lock()
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(server.secure(SMTPS, ctx=ctx)) for _ in range(60)]
        for c in crowd:
            c.send(f"AUTH PLAIN {b64(plain('slow@example.org', 'wrong')[0])}\r\n")

        def listen(c):
            answer = status_of(c.reply())
            with lock:
                answers.append(answer)
        ears = [threading.Thread(target=listen, args=(c,)) for c in crowd]
        for e in ears:
            e.start()
        assert gets_in(server) == OK
        for e in ears:
            e.join(2 * PATIENCE)
    assert len(answers) == 60 and set(answers) == {(535, "5.7.8"), (454, "4.7.0")}, answers


@pytest.mark.parametrize("size", [1000, 1023, 1024, 1025, 5000, 9000])
def test_passwords_of_every_size(server, size):
    with server.secure(SMTPS) as c:
        for n in (size - 1, size, size + 1):
            for login in (DEMO, "scram@example.org", "nobody@example.org"):
                assert auth(c, "PLAIN", *plain(login, "x" * n))[0] in (535, 501)
                assert auth(c, "LOGIN", login, "x" * n)[0] in (535, 501)
        assert auth(c, "PLAIN", *plain(DEMO, "demo")) == OK


def test_what_comes_with_the_last_line(server):
    """Commands in the same record as a good password are commands of one who did not wait, whoever it is."""
    with server.secure(SMTPS) as c:
        c.send(f"AUTH PLAIN {b64(plain(DEMO, 'demo')[0])}\r\nMAIL FROM:<{DEMO}>\r\nQUIT\r\n")
        assert c.codes() in ([503], [235, 503], [554])


def test_lines_without_end(server):
    """A line of 8 MiB, in the command and in the answer: read to its end in little room, or cut off."""
    before = peak_mib(server, "session")
    for first in (b"AUTH PLAIN ", b"AUTH PLAIN\r\n"):
        with server.secure(SMTPS) as c:
            if first.endswith(b"\n"):
                c.send(first)
                assert c.reply()[0] == 334
            else:
                c.send(first)
            with contextlib.suppress(OSError):
                for _ in range(128):
                    c.send(b"A" * 65536)
                c.send(b"\r\nNOOP\r\nQUIT\r\n")
            with contextlib.suppress(OSError):
                assert c.codes() in ([500, 503], [500, 250, 221], [500, 421], [500]), first
    assert peak_mib(server, "session") < before + 64


def test_exchanges_are_each_client_s_own(server):
    """Two at once in one process, each with its own nonce and login: neither can end the other's."""
    ctx = context()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.secure(SMTPS, ctx=ctx)) for _ in range(20)]
        exchanges = [Scram("scram@example.org", "demo" if n % 2 else "wrong") for n in range(20)]
        firsts = [c.cmd(f"AUTH SCRAM-SHA-256 {b64(x.first())}") for c, x in zip(clients, exchanges)]
        finals = []
        for (code, text), x in zip(firsts, exchanges):
            assert code == 334
            finals.append(x.final(base64.b64decode(text)))
        for n in (0, 2, 4):     # one that says what its neighbour would be let in with
            assert clients[n].status(b64(finals[n + 1]))[0] in (535, 501)
        for n in range(7, 20):
            code, text = clients[n].cmd(b64(finals[n]))
            if n % 2:
                assert code == 334
                exchanges[n].check(base64.b64decode(text))
                assert exchanges[n].server_knew and status_of(clients[n].cmd("")) == OK
            else:
                assert status_of((code, text)) == (535, "5.7.8")


def test_counters_come_to_rest(server):
    """Nothing of all that is under way still."""
    settle(server)
    assert stat(server, "session.open") == 0
    assert gets_in(server) == OK
