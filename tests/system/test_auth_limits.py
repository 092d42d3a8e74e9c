# SPDX-License-Identifier: ISC
"""What guessing costs: delays, the end of a connection, blocks by address and login; and what it may not cost others."""
import contextlib
import json
import statistics
import threading
import time

import pytest

from postern import PATIENCE, wait_for
from sasl import BLOCKED, DROPPED, OK, REFUSED, Scram, auth, crypted, login_steps, plain, scram_keys, table
from talk import wait_stat
from tls import TlsServer

LISTEN = """
listen on 127.0.0.1 port 0 smtps pki ecdsa auth <logins>
smtp error-delay 0s
smtp max-sessions-per-client 1000
"""
SMTPS = 1
ROWS = {"demo@example.org": crypted("right"), "other@example.org": crypted("right") + " " + scram_keys("right")}


@pytest.fixture
def make():
    servers = []

    def start(extra, rows=None):
        servers.append(TlsServer(table("logins", rows or ROWS) + LISTEN + extra).start())
        return servers[-1]
    yield start
    for s in servers:
        s.cleanup()


def guess(server, password="wrong", login="demo@example.org", source="127.0.0.1"):
    """How one PLAIN on a connection of its own ends."""
    with server.secure(SMTPS, source=source) as c:
        return auth(c, "PLAIN", *plain(login, password))


# -- one connection ---------------------------------------------------------------------

def test_each_refusal_takes_its_time_and_the_third_is_the_last(make):
    server = make("auth failure-delay 1s\n")
    with server.secure(SMTPS) as c:
        for answer in (REFUSED, REFUSED, DROPPED):
            began = time.monotonic()
            assert auth(c, "PLAIN", *plain("demo@example.org", "wrong")) == answer
            assert 0.9 < time.monotonic() - began < 10
        assert c.is_closed()
    with server.secure(SMTPS) as c:     # whatever is good costs nothing
        began = time.monotonic()
        assert auth(c, "PLAIN", *plain("demo@example.org", "right")) == OK
        assert time.monotonic() - began < 0.9


def test_the_delay_is_five_seconds_if_nothing_is_said(make):
    server = make("")
    with server.secure(SMTPS) as c:
        began = time.monotonic()
        assert auth(c, "PLAIN", *plain("demo@example.org", "wrong")) == REFUSED
        assert 4.9 < time.monotonic() - began < 20


def test_failures_of_every_mechanism_count(make):
    server = make("auth failure-delay 0s\n")
    with server.secure(SMTPS) as c:
        assert auth(c, "PLAIN", *plain("nobody@example.org", "wrong")) == REFUSED
        assert auth(c, "LOGIN", *login_steps("demo@example.org", "wrong")) == REFUSED
        assert auth(c, "SCRAM-SHA-256", *Scram("other@example.org", "wrong").steps) == DROPPED
        assert c.is_closed()


def test_what_fails_by_itself_is_no_guess(make):
    """Exchanges that were given up, or were no messages at all, don't end the connection as guesses do."""
    server = make("auth failure-delay 0s\nauth free-failures 1\n")
    with server.secure(SMTPS) as c:
        for _ in range(5):
            assert c.cmd("AUTH LOGIN")[0] == 334
            assert c.status("*")[0] == 501
        assert auth(c, "PLAIN", *plain("demo@example.org", "right")) == OK


def test_a_client_that_leaves_is_not_waited_for(make):
    """Nobody keeps the delay's place for one who is gone."""
    server = make("auth failure-delay 60s\n")
    for _ in range(3):
        with server.secure(SMTPS) as c:
            c.send("AUTH PLAIN AGEAYg==\r\n")
    wait_stat(server, "session.open", 0)


# -- addresses and logins ---------------------------------------------------------------------

def logins(server):
    rows = [json.loads(line) for line in server.ctl("show", "logins", "--json").stdout.splitlines()]
    return {row["name"]: row for row in rows}


def test_an_address_is_blocked(make):
    """After the free ones each failure blocks; meanwhile not even the right password is looked at."""
    server = make("auth failure-delay 0s\nauth free-failures 3\n")
    for n in range(4):
        assert guess(server, login=f"nobody{n}@example.org") == REFUSED
    assert guess(server) == BLOCKED
    assert guess(server, "right") == BLOCKED
    assert guess(server, "right", source="127.0.0.2") == OK     # elsewhere nothing is known of it
    assert "127.0.0.1" in logins(server)
    server.ctl("clear", "logins", "127.0.0.1")
    assert guess(server, "right") == OK
    assert "127.0.0.1" not in logins(server)


def test_a_login_is_blocked_where_it_is_not_known(make):
    """Guessing one login from everywhere; its owner, who came from this address before, is let in all the while."""
    server = make("auth failure-delay 0s\nauth free-failures 4\n")
    assert guess(server, "right", source="127.0.0.9") == OK
    for n in range(5):
        assert guess(server, source=f"127.0.1.{n + 1}") == REFUSED
    assert guess(server, "right", source="127.0.2.1") == BLOCKED
    assert guess(server, "right", source="127.0.0.9") == OK
    assert guess(server, "right", "other@example.org", source="127.0.2.1") == OK
    server.ctl("clear", "logins", "demo@example.org")
    assert guess(server, "right", source="127.0.2.2") == OK


def test_unknown_logins_are_counted_like_known_ones(make):
    """Else a block would tell which logins there are."""
    server = make("auth failure-delay 0s\nauth free-failures 2\n")
    for login in ("nobody@example.org", "other@example.org"):
        for n in range(3):
            assert guess(server, login=login, source=f"127.0.3.{n + 1}") == REFUSED
        assert guess(server, login=login, source="127.0.4.1") == BLOCKED
        server.ctl("clear", "logins")


def test_a_success_clears_the_address(make):
    """Once in a while: who has an account can't pay with it for guesses at those of others."""
    server = make("auth failure-delay 0s\nauth free-failures 3\n")
    for _ in range(2):
        for n in range(3):
            assert guess(server, login=f"nobody{n}@example.org") == REFUSED
        assert guess(server, "right") == OK
    assert guess(server, login="nobody3@example.org") == REFUSED
    assert guess(server, "right") == BLOCKED


def test_a_block_ends(make):
    server = make("auth failure-delay 0s\nauth free-failures 1\nauth max-block 1s\n")
    for n in range(2):
        assert guess(server, login=f"nobody{n}@example.org") == REFUSED
    assert guess(server, "right") == BLOCKED
    wait_for(lambda: guess(server, "right") == OK, "the end of the block")


def test_a_block_grows(make):
    server = make("auth failure-delay 0s\nauth free-failures 1\nauth max-block 1h\n")
    for n in range(2):
        guess(server, login=f"nobody{n}@example.org")
    first = logins(server)["127.0.0.1"]
    wait_for(lambda: guess(server, login="nobody9@example.org") == REFUSED, "the end of the first")
    second = logins(server)["127.0.0.1"]
    assert second["failures"] == first["failures"] + 1

    def length(row):
        return row["until"] - row["last"]
    assert length(second) > 1.5 * length(first)


def test_blocks_outlive_a_reload(make):
    server = make("auth failure-delay 0s\nauth free-failures 2\n")
    for n in range(3):
        guess(server, login=f"nobody{n}@example.org")
    assert guess(server, "right") == BLOCKED
    server.reload()
    assert guess(server, "right") == BLOCKED


# -- what others notice ------------------------------------------------------------------------------

FREE = "auth failure-delay 0s\nauth max-failures 100\nauth free-failures 1000000\nsmtp max-errors 1000\n"


@pytest.mark.parametrize("kind", ["yescrypt", "bcrypt"])
def test_unknown_logins_take_as_long(make, kind):
    """By the clock nobody learns which logins there are: medians of some, taken in turn, are alike."""
    slow = {"yescrypt": "slow", "bcrypt": "bcrypt9"}[kind]
    rows = {f"{n}@example.org": crypted("right", slow) for n in ("known", "more", "most")}
    server = make(FREE, {**rows, "locked@example.org": "!" + rows["known@example.org"], "empty@example.org": ""})
    times = {login: [] for login in ("known", "nobody", "locked", "empty")}
    with contextlib.ExitStack() as stack:
        c = stack.enter_context(server.secure(SMTPS))
        for n in range(24):
            if n == 12:
                c = stack.enter_context(server.secure(SMTPS))
            for login, taken in times.items():
                began = time.perf_counter()
                assert auth(c, "PLAIN", *plain(f"{login}@example.org", "wrong")) == REFUSED
                taken.append(time.perf_counter() - began)
    middle = {login: statistics.median(taken) for login, taken in times.items()}
    assert middle["known"] > 0.01, middle       # there is something to be told apart
    for login, taken in middle.items():
        assert abs(taken - middle["known"]) < 0.35 * middle["known"], middle


class Storm:
    """Many connections of one address that guess and guess."""

    def __init__(self, server, n, source="127.0.0.1"):
        self.server, self.source, self.over = server, source, threading.Event()
        self.ends = {}
        self.threads = [threading.Thread(target=self.guess, daemon=True) for _ in range(n)]

    def guess(self):
        while not self.over.is_set():
            try:
                with self.server.secure(SMTPS, source=self.source) as c:
                    while not self.over.is_set():
                        end = auth(c, "PLAIN", *plain("demo@example.org", "wrong"))
                        self.ends[end] = self.ends.get(end, 0) + 1
            except (OSError, EOFError, AssertionError):
                time.sleep(0.05)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join(PATIENCE)


def test_a_storm_of_guesses_starves_nobody(make):
    """200 at once from one address, against hashes that are dear: a good client of another comes in within seconds."""
    server = make(FREE + "auth processes 1\n", {"demo@example.org": crypted("right", "slow")})
    with Storm(server, 200) as storm:
        wait_for(lambda: sum(storm.ends.values()) > 300, "the storm", 2 * PATIENCE)
        waits = []
        for _ in range(5):
            with server.secure(SMTPS, source="127.0.0.2") as c:
                began = time.monotonic()
                assert auth(c, "PLAIN", *plain("demo@example.org", "right")) == OK
                waits.append(time.monotonic() - began)
    assert REFUSED in storm.ends and (454, "4.7.0") in storm.ends, storm.ends
    assert statistics.median(waits) < 3 and max(waits) < 10, waits
    # Those who had to wait too long were told so, and all is as it was.
    assert guess(server, "right", source="127.0.0.3") == OK
