# SPDX-License-Identifier: ISC
"""OAuth tokens judged by a program of one's own: postern-auth-helper(7), its example included."""
import base64
import concurrent.futures
import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time

import pytest

from postern import ROOT, TOP, wait_for
from sasl import BLOCKED, OK, REFUSED, auth, crypted, oauthbearer, plain, table, xoauth2
from talk import hello, offered

DEMO, OTHER = "demo@example.org", "other@example.org"
CONF = table("own", {"own@example.org": crypted("own")}) + """
auth failure-delay 0s
auth max-failures 100
auth free-failures 1000000
smtp error-delay 0s
smtp max-sessions-per-client 1000
table tokens helper:{dir}/helper
listen on 127.0.0.1 port 0 auth <own> tokens <tokens> insecure-auth
"""


class Helper:
    """Answers each question with what answer(token, login) says: octets, or None to hang up; once: one a connection."""

    def __init__(self, path, answer, once=False):
        self.path, self.answer, self.once = path, answer, once
        self.questions, self.connections, self.under_way, self.most = [], 0, 0, 0
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o600 if ROOT else 0o666)
        self.listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock, sock.makefile("rb") as lines, contextlib.suppress(ConnectionError):
            for line in lines:
                m = re.fullmatch(rb"TOKEN ([A-Za-z0-9+/]+={0,2}) ([!-~]+)\n", line)
                token, login = base64.b64decode(m[1], validate=True).decode(), m[2].decode()
                with self.lock:
                    self.questions.append((token, login))
                    self.under_way += 1
                    self.most = max(self.most, self.under_way)
                answer = self.answer(token, login)
                with self.lock:
                    self.under_way -= 1
                if answer is None:
                    return
                sock.sendall(answer)
                if self.once:
                    return

    def close(self):
        # shutdown() wakes the thread that accepts.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)


@pytest.fixture
def s(make_server):
    return make_server(extra=CONF)


@pytest.fixture
def helper(s):
    helpers = []

    def make(answer, **more):
        helpers.append(Helper(s.path("helper"), answer, **more))
        return helpers[-1]
    yield make
    for h in helpers:
        h.ended.set()
        if os.path.exists(h.path):
            h.close()


def log_in(s, token, login=DEMO, mechanism="OAUTHBEARER"):
    steps = oauthbearer(login, token) if mechanism == "OAUTHBEARER" else xoauth2(login, token)
    with hello(s, s.ports[1]) as c:
        return auth(c, mechanism, *steps)


def test_tokens(s, helper):
    h = helper(lambda token, login: b"OK demo@example.org\n" if token == "good" else b"NO\n")
    with hello(s, s.ports[1]) as c:
        assert offered(c)["AUTH"].split() == ["PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"]
    for mechanism in ("OAUTHBEARER", "XOAUTH2"):
        assert log_in(s, "good", mechanism=mechanism) == OK
        assert log_in(s, "bad", mechanism=mechanism) == REFUSED
        # The helper says whose it is, and that is not who the client says it is.
        assert log_in(s, "good", OTHER, mechanism=mechanism) == REFUSED
    with hello(s, s.ports[1]) as c:
        assert auth(c, "OAUTHBEARER", *oauthbearer("", "good", authzid="")) == OK
    # What can't be a login is nobody's.
    assert log_in(s, "good", "two words") == REFUSED
    assert h.questions == [("good", DEMO), ("bad", DEMO), ("good", OTHER)] * 2 + [("good", "-")] * 2
    assert h.connections == 1
    assert not any("good" in line for line in s.log)


def test_longest_token(s, helper):
    h = helper(lambda token, login: b"OK demo@example.org\n")
    token = "t" * 8000
    assert log_in(s, token) == OK
    assert h.questions == [(token, DEMO)]


def test_later(s, helper):
    helper(lambda token, login: b"LATER\n")
    assert log_in(s, "good") == BLOCKED
    assert log_in(s, "good") == BLOCKED


def test_four_at_a_time(s, helper):
    gate = threading.Event()
    h = helper(lambda token, login: gate.wait(30) and f"OK {token}@example.org\n".encode())
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(log_in, s, f"u{n}", f"u{n}@example.org") for n in range(12)]
        wait_for(lambda: h.under_way == 4, "four questions")
        gate.set()
        assert [a.result(30) for a in answers] == [OK] * 12
    assert h.most == 4 and h.connections == 4


def test_hangs_up_after_each_answer(s, helper):
    h = helper(lambda token, login: b"OK demo@example.org\n", once=True)
    for _ in range(10):
        assert log_in(s, "good") == OK
    assert h.connections == 10
    assert not any("table-trouble" in line for line in s.log)


@pytest.mark.parametrize("answer", [
    b"OK\n", b"OK \n", b"OK two words\n", b"ok demo@example.org\n", b"\n", b"NO \n",
    b"OK demo@example.org\r\n", b"OK " + b"x" * 513 + b"\n", b"x" * 20000, b"NO\nOK root\n", None,
], ids=lambda a: repr(a)[:24])
def test_liars(s, helper, answer):
    """What is no answer is trouble, not a refusal and no login; and it does not spread."""
    before = s.pids()
    helper(lambda token, login: answer)
    with hello(s, s.ports[1]) as c:
        assert auth(c, "OAUTHBEARER", *oauthbearer(DEMO, "good")) == (REFUSED if answer == b"NO\nOK root\n" else BLOCKED)
        assert auth(c, "PLAIN", *plain("own@example.org", "own")) == OK
    s.wait_log("event=table-trouble table=tokens why=")
    assert s.pids() == before


def test_late_answer_is_not_anothers(s, helper):
    """After ten seconds the client gets its answer; the helper's may come when it likes."""
    h = helper(lambda token, login: h.ended.wait(20) and b"OK demo@example.org\n" if token == "slow"
               else f"OK {token}@example.org\n".encode())
    with hello(s, s.ports[1]) as c:
        began = time.monotonic()
        assert auth(c, "OAUTHBEARER", *oauthbearer(DEMO, "slow")) == BLOCKED
        assert 9 <= time.monotonic() - began < 25
    h.ended.set()
    wait_for(lambda: log_in(s, "other", OTHER) == OK, "the helper again")
    assert log_in(s, "other", DEMO) == REFUSED


def test_nobody_there(s, helper):
    assert log_in(s, "good") == BLOCKED
    s.wait_log("event=table-trouble table=tokens why=.*No such file")
    helper(lambda token, login: b"OK demo@example.org\n")
    wait_for(lambda: log_in(s, "good") == OK, "the helper")


def test_full_queue(s):
    """A helper that accepts nobody costs nobody but its own clients anything."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(s.path("helper"))
        os.chmod(s.path("helper"), 0o666)
        listener.listen(0)
        mine = []
        while True:
            mine.append(socket.socket(socket.AF_UNIX))
            mine[-1].setblocking(False)
            try:
                mine[-1].connect(s.path("helper"))
            except BlockingIOError:
                break
        assert log_in(s, "good") == BLOCKED
        s.wait_log("event=table-trouble table=tokens why=.*does not accept")
        with hello(s, s.ports[1]) as c:
            assert auth(c, "PLAIN", *plain("own@example.org", "own")) == OK
        for sock in mine:
            sock.close()


def test_no_such_socket_after_reload(s, helper):
    """A table that is gone, or is elsewhere now."""
    helper(lambda token, login: b"OK demo@example.org\n")
    assert log_in(s, "good") == OK
    elsewhere = Helper(s.path("elsewhere"), lambda token, login: b"OK other@example.org\n")
    with open(s.conf, encoding="utf-8") as f:
        text = f.read()
    with open(s.conf, "w", encoding="utf-8") as f:
        f.write(text.replace("/helper", "/elsewhere"))
    s.process.send_signal(1)
    wait_for(lambda: log_in(s, "good", OTHER) == OK, "the other helper")
    elsewhere.close()


def test_example_of_the_manual(s):
    with open(os.path.join(TOP, "man/postern-auth-helper.7"), encoding="utf-8") as f:
        program = re.search(r"\n(import base64.*?)\n\.Ed", f.read(), re.S)[1]
    program = program.replace("\\e", "\\").replace("/run/token-helper/socket", s.path("helper"))
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: os.path.exists(s.path("helper")), "its socket")
        if not ROOT:
            os.chmod(s.path("helper"), 0o666)
        wait_for(lambda: log_in(s, "secret") == OK, "the helper")
        assert log_in(s, "another") == REFUSED
        assert log_in(s, "secret", OTHER) == REFUSED
    finally:
        process.terminate()
        process.wait(30)
