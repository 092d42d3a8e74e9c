# SPDX-License-Identifier: ISC
"""Logins that a real Dovecot knows: its auth service is asked for passwords and tokens."""
import concurrent.futures
import contextlib
import os
import re
import signal
import subprocess
import time

import pytest

from dovecot import Dovecot
from fetched import or_skip
from postern import wait_for
from sasl import BLOCKED, OK, REFUSED, UNKNOWN, auth, crypted, login_steps, oauthbearer, plain, table, xoauth2
from talk import hello, offered

DEMO, OTHER, PASSWORD = "demo@example.org", "other@example.org", "correct =horse, battery\\"
CONF = table("own", {"own@example.org": crypted(PASSWORD)}) + """
auth failure-delay 0s
auth max-failures 100
auth free-failures 1000000
smtp error-delay 0s
smtp max-sessions-per-client 1000
table imap dovecot:{dir}/dovecot
listen on 127.0.0.1 port 0 auth <imap> tokens <imap> insecure-auth
listen on 127.0.0.1 port 0 auth <own> insecure-auth
"""


@pytest.fixture
def dovecot():
    d = or_skip(Dovecot)
    d.users({DEMO: PASSWORD, OTHER: "other", "barred@example.org": (PASSWORD, "nologin"),
             "aside@example.org": (PASSWORD, "proxy host=192.0.2.1"), "renamed": (PASSWORD, f"user={DEMO}")})
    or_skip(d.start)
    yield d
    d.cleanup()


@pytest.fixture
def s(make_server, dovecot):
    server = make_server(extra=CONF, start=False)
    os.symlink(dovecot.socket, server.path("dovecot"))
    return server.start()


def log_in(s, login=DEMO, password=PASSWORD, mechanism="PLAIN", port=1):
    steps = {"PLAIN": plain, "LOGIN": login_steps, "OAUTHBEARER": oauthbearer, "XOAUTH2": xoauth2}[mechanism]
    with hello(s, s.ports[port]) as c:
        return auth(c, mechanism, *steps(login, password))


def test_passwords(s, dovecot):
    with hello(s, s.ports[1]) as c:
        assert offered(c)["AUTH"].split() == ["PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"]
    for mechanism in ("PLAIN", "LOGIN"):
        assert log_in(s, mechanism=mechanism) == OK
        assert log_in(s, password="wrong", mechanism=mechanism) == REFUSED
        assert log_in(s, "nobody@example.org", mechanism=mechanism) == REFUSED
    # What Dovecot says OK to, but does not let in, or would have another server ask.
    assert log_in(s, "barred@example.org") == REFUSED
    assert log_in(s, "aside@example.org") == REFUSED
    # It knows who asked, and that there is one connection to it.
    assert f"passwd-file({DEMO},127.0.0.1): Password mismatch" in dovecot.log()
    assert not any(PASSWORD in line or "wrong" in line for line in s.log)


def test_the_login_is_as_dovecot_says(s):
    assert log_in(s, "renamed") == OK
    s.wait_log(f"event=auth-ok .*login={DEMO}")


def test_changes_count(s, dovecot):
    assert log_in(s) == OK
    dovecot.users({DEMO: "another"})
    # Dovecot looks at its file once a second.
    wait_for(lambda: log_in(s, password="another") == OK, "Dovecot's look")
    assert log_in(s) == REFUSED


def test_tokens(s, dovecot):
    good = dovecot.token(DEMO)
    for mechanism in ("OAUTHBEARER", "XOAUTH2"):
        assert log_in(s, DEMO, good, mechanism) == OK
        assert log_in(s, OTHER, good, mechanism) == REFUSED
        assert log_in(s, DEMO, dovecot.token(DEMO, key=b"x" * 32), mechanism) == REFUSED
        assert log_in(s, DEMO, dovecot.token(DEMO, lifetime=-5), mechanism) == REFUSED
        assert log_in(s, DEMO, "x" * 4000, mechanism) == REFUSED
    assert log_in(s) == OK
    assert not any(good in line for line in s.log)


def test_many_at_once(s):
    """All over one connection, each with its own answer."""
    def one(n):
        return log_in(s, *[(DEMO, PASSWORD), (OTHER, "other"), (DEMO, "other"), ("nobody", "x")][n % 4])
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(80)))
    assert answers == [OK, OK, REFUSED, REFUSED] * 20


def auth_process(dovecot):
    """Dovecot's process that we speak to."""
    out = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(dovecot.process.pid)], capture_output=True, text=True,
                         check=True).stdout
    return next(int(line.split()[0]) for line in out.splitlines() if line.split()[1] == "dovecot/auth")


def test_restarted(s, dovecot):
    assert log_in(s) == OK
    pid = auth_process(dovecot)
    dovecot.stop()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)    # it may stay as long as we do
    # The first to be refused may have met a connection that was just closed.
    gone = re.compile("event=table-trouble table=imap why=.*(Connection refused|No such file)")
    wait_for(lambda: log_in(s) == BLOCKED and any(map(gone.search, s.log)), "Dovecot's end")
    assert log_in(s, "own@example.org", port=2) == OK
    dovecot.start()
    wait_for(lambda: log_in(s) == OK, "Dovecot again")
    assert log_in(s, password="wrong") == REFUSED


def test_reloaded(s, dovecot):
    """Dovecot's old processes go, and end our connection to them, with no word about it in our log."""
    assert log_in(s) == OK
    dovecot.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "SIGHUP received" in dovecot.log(), "Dovecot's reload")
    assert log_in(s) == OK
    assert not any("table-trouble" in line for line in s.log)


def test_hung(s, dovecot):
    """It is waited for, for ten seconds; meanwhile others log in elsewhere; then it is well again."""
    assert log_in(s) == OK
    pid = auth_process(dovecot)
    os.kill(pid, signal.SIGSTOP)
    try:
        with hello(s, s.ports[1]) as c:
            began = time.monotonic()
            c.send("AUTH PLAIN AGRlbW9AZXhhbXBsZS5vcmcAeA==\r\n")
            assert log_in(s, "own@example.org", port=2) == OK
            assert c.reply()[0] == 454
            assert time.monotonic() - began >= 9
        s.wait_log("event=table-trouble table=imap why=.*in time")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: log_in(s) == OK, "Dovecot again")


def test_a_mechanism_that_it_does_not_offer(make_server):
    """Asked for it, Dovecot would hang up on everybody: it is not asked."""
    d = or_skip(Dovecot, "plain oauthbearer")
    try:
        d.users({DEMO: PASSWORD})
        or_skip(d.start)
        s = make_server(extra=CONF, start=False)
        os.symlink(d.socket, s.path("dovecot"))
        s.start()
        assert log_in(s, DEMO, d.token(DEMO), "XOAUTH2") in (BLOCKED, UNKNOWN)
        s.wait_log("event=table-trouble table=imap why=.*does not offer XOAUTH2")
        assert log_in(s, DEMO, d.token(DEMO), "XOAUTH2") in (BLOCKED, UNKNOWN)
        assert log_in(s, DEMO, d.token(DEMO), "OAUTHBEARER") == OK
        assert log_in(s) == OK
        assert "BUG" not in d.log()
    finally:
        d.cleanup()
