# SPDX-License-Identifier: ISC
"""Who is silent, trickles, dawdles or does not read is not waited for (RFC 5321 4.5.3.2); who only takes its time is."""
import concurrent.futures
import itertools
import socket
import threading
import time

import pytest

from postern import Server
from session import Session
from talk import Client, data, envelope, hello, status_of, wait_stat
from victim import CONF

EHLO, MAIL, RCPT = "EHLO client.test", "MAIL FROM:<you@example.net>", "RCPT TO:<demo@example.org>"
TIMEOUT = 1                 # seconds, of the server
LATE = 15                   # so long at most until it is noticed, on a busy machine


@pytest.fixture(scope="module")
def s():
    server = Server(extra=f"smtp timeout {TIMEOUT}s\nsmtp error-delay 0\n"
                          "listen on 127.0.0.1 port 0 lmtp\nlisten on 127.0.0.1 port 0 proxy-v2\n").start()
    yield server
    server.cleanup()


def again_and_again(octets, pause):
    """The same every so many seconds, for ever."""
    return itertools.cycle([octets, pause])


# name: port, what leads there, then octets to send and seconds to wait between them
SILENT = {
    "new": (0, [], []),
    "idle": (0, [EHLO], []),
    "mail": (0, [EHLO, MAIL], []),
    "all-refused": (0, [EHLO, MAIL, "RCPT TO:<nobody@example.org>"], []),
    "rcpt": (0, [EHLO, MAIL, RCPT], []),
    "data": (0, [EHLO, MAIL, RCPT, "DATA"], []),
    "data-within": (0, [EHLO, MAIL, RCPT, "DATA"], [b"Subject: x\r\n\r\nhalf a li"]),
    "data-at-the-dot": (0, [EHLO, MAIL, RCPT, "DATA"], [b"Subject: x\r\n\r\n."]),
    "chunk": (0, [EHLO, MAIL, RCPT], [b"BDAT 100\r\nhalf a chunk"]),
    "between-chunks": (0, [EHLO, MAIL, RCPT, "BDAT 2\r\n"], []),
    "refused-chunk": (0, [EHLO], [b"BDAT 100\r\nhalf a chunk"]),
    "refused-body": (0, [EHLO, MAIL, RCPT, "DATA"], [b"bare\n"]),
    "lmtp": (1, ["LHLO client.test", MAIL, RCPT], []),
    "command": (0, [EHLO], [b"NOO"]),
    "command-at-the-lf": (0, [EHLO], [b"NOOP\r"]),
    "too-long-a-command": (0, [EHLO], [b"NOOP " + b"x" * 1900]),
}
SLOW = {
    "trickling-command": (0, [EHLO], again_and_again(b"N", 0.3)),
    "trickling-before-hello": (0, [], again_and_again(b"E", 0.3)),
    "trickling-in-a-transaction": (0, [EHLO, MAIL, RCPT], again_and_again(b"D", 0.3)),
    "slow-data": (0, [EHLO, MAIL, RCPT, "DATA"], again_and_again(b"x\r\n", 0.3)),
    "slow-chunk": (0, [EHLO, MAIL, RCPT], itertools.chain([b"BDAT 100000\r\n"], again_and_again(b"x", 0.3))),
    "slow-refused-chunk": (0, [EHLO], itertools.chain([b"BDAT 100000\r\n"], again_and_again(b"x", 0.3))),
    "slow-refused-body": (0, [EHLO, MAIL, RCPT, "DATA"], itertools.chain([b"bare\n"], again_and_again(b"x", 0.3))),
}


def end_of(server, port, before, acts):
    """What such a client is told in the end, and after how long."""
    with Client(server.ports[port]) as c:
        for command in before:
            c.send(command + "\r\n")
            c.reply()
        start = time.monotonic()
        try:
            for act in acts:
                if isinstance(act, bytes):
                    c.send(act)
                else:
                    c.sock.settimeout(act)
                    try:
                        last = status_of(c.reply())
                        return last, time.monotonic() - start, c.is_closed()
                    except TimeoutError:
                        pass
                if time.monotonic() - start > LATE:
                    return None, LATE, False
        except OSError:
            pass
        c.sock.settimeout(LATE)
        last = status_of(c.reply())
        return last, time.monotonic() - start, c.is_closed()


@pytest.fixture(scope="module")
def ends(s):
    """All of them at once, and beside them one who behaves: how long it waited at most."""
    stop, waits = threading.Event(), []

    def behave():
        while not stop.wait(0.1):
            start = time.monotonic()
            with hello(s) as c:
                assert data(envelope(c), "Subject: x\r\n\r\n")[0] == 250
            waits.append(time.monotonic() - start)
    with concurrent.futures.ThreadPoolExecutor(len(SILENT) + len(SLOW) + 1) as pool:
        other = pool.submit(behave)
        under_way = {name: pool.submit(end_of, s, *case) for name, case in (SILENT | SLOW).items()}
        found = {name: future.result() for name, future in under_way.items()}
        stop.set()
        other.result()
    found[None] = max(waits)
    return found


@pytest.mark.parametrize("name", [*SILENT, *SLOW])
def test_nobody_is_waited_for(ends, name):
    answer, after, closed = ends[name]
    assert answer == (421, "4.4.2") and closed
    assert 0.9 * TIMEOUT <= after < LATE


def test_nobody_else_is_kept_waiting(ends):
    assert ends[None] < 5


def test_a_balancer_that_says_nothing(s):
    """Not greeted yet: it has ten seconds, or its time-out."""
    with Client(s.ports[2], greeted=False) as c:
        assert c.refused()[0] == 421


def test_who_does_not_read(s):
    """A window of zero: nothing can be said any more, and nothing is kept, by the kernel neither."""
    c = Client(s.port)
    c.say(EHLO)
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    c.sock.settimeout(LATE)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        for _ in range(20000):
            c.send(b"HELP\r\n" * 1000)
    c.close()
    wait_stat(s, "session.open", 0)


# -- and who is ------------------------------------------------------------------------

def test_a_client_that_takes_its_time(s):
    with hello(s) as c:
        for _ in range(4):
            time.sleep(0.4 * TIMEOUT)
            c.say("NOOP")


def test_a_body_that_takes_its_time(s):
    with envelope(hello(s)) as c:
        c.say("DATA")
        for _ in range(10):
            c.send(b"x" * 98 + b"\r\n")
            time.sleep(0.2 * TIMEOUT)
        assert c.cmd(".")[0] == 250


def test_chunks_that_take_their_time(s):
    """What goes on between two chunks is no part of their pace."""
    with envelope(hello(s)) as c:
        for _ in range(4):
            assert c.chunk(b"x") == (250, "2.0.0")
            time.sleep(0.4 * TIMEOUT)
            c.say("NOOP")
        assert c.chunk(b"\r\n", last=True) == (250, "2.0.0")


@pytest.mark.parametrize("wanted", [True, False], ids=["wanted", "refused"])
def test_a_command_has_its_own_time_after_a_chunk(s, wanted):
    with hello(s) as c:
        if wanted:
            envelope(c)
        c.send(b"BDAT 1000\r\n")
        for _ in range(10):
            c.send(b"x" * 98 + b"\r\n")
            time.sleep(0.2 * TIMEOUT)
        assert c.reply()[0] == (250 if wanted else 503)
        c.send(b"NO")
        time.sleep(0.3 * TIMEOUT)
        c.send(b"OP\r\n")
        assert c.reply()[0] == 250


@pytest.fixture
def session():
    v = Session(CONF + f"smtp timeout {TIMEOUT}s\n")
    yield v
    v.close()


def test_who_is_kept_waiting_by_lookup(session):
    """While we are the ones who are awaited, the client's silence is no fault; its own time begins with the answer."""
    c, asked = session.connect()
    time.sleep(1.5 * TIMEOUT)
    session.admit(asked.req)
    assert c.reply()[0] == 220
    for command in (EHLO, MAIL):
        assert c.cmd(command)[0] == 250
    c.send("RCPT TO:<b@example.org>\r\n")
    time.sleep(1.5 * TIMEOUT)
    session.rcpt_verdict()
    assert c.reply()[0] == 250
    c.send("NO")
    time.sleep(0.3 * TIMEOUT)
    c.send("OP\r\n")
    assert c.reply()[0] == 250


def test_who_is_kept_waiting_by_the_queue(session):
    c, req = session.to_commit()
    time.sleep(1.5 * TIMEOUT)
    session.queue.send("mail_done", req=req, outcome=0, id=77)
    assert c.reply()[0] == 250
    assert c.cmd("NOOP")[0] == 250
