# SPDX-License-Identifier: ISC
"""Who talks before it is asked, guesses our answers, or is no client of mail, is sent away; who errs too often, too."""
import time

import pytest

from postern import Server
from session import Session
from talk import Client, envelope, hello, stat, status_of

EVIL = "MAIL FROM:<evil@example.net>\r\nRCPT TO:<demo@example.org>\r\n"
XCLIENT = "listen on 127.0.0.1 port 0 xclient {{ 127.0.0.1 }}\n"


@pytest.fixture(scope="module")
def early():
    """ports[1] takes XCLIENT; who is not local waits for the greeting."""
    s = Server(extra=XCLIENT + "smtp greet-delay 1s\nsmtp error-delay 0\n").start()
    yield s
    s.cleanup()


@pytest.fixture
def session():
    v = Session()
    yield v
    v.close()


# -- before the greeting -----------------------------------------------------------

@pytest.mark.parametrize("octets", ["EHLO client.test\r\n", "QUIT\r\n", "\r\n", "x", "\0" * 5000],
                         ids=["ehlo", "quit", "line", "octet", "many"])
def test_octets_before_the_greeting(session, octets):
    """They came while lookup was asked: nobody waited for a greeting."""
    client, asked = session.connect()
    client.send(octets)
    session.settle()
    session.admit(asked.req)
    assert status_of(client.reply()) == (554, "5.5.0")
    with pytest.raises((EOFError, ConnectionResetError)):
        client.line()


def test_a_patient_client_is_greeted(session):
    client, asked = session.connect()
    session.admit(asked.req)
    assert client.reply()[0] == 220


def stranger(server, verb="XCLIENT ADDR=192.0.2.1"):
    """A client that is not local, which is greeted after a while."""
    c = Client(server.ports[1])
    c.send(verb + "\r\n")
    return c


def test_a_local_client_does_not_wait(early):
    before = time.monotonic()
    with Client(early.port) as c:
        assert c.cmd("NOOP")[0] == 250
    assert time.monotonic() - before < 1


def test_who_waits_for_the_delay_is_greeted(early):
    before = time.monotonic()
    with stranger(early) as c:
        assert c.reply()[0] == 220
        assert time.monotonic() - before > 0.95   # a timer counts from the start of its turn of the loop
        c.say("EHLO stranger.test")


def test_who_talks_within_the_delay_is_not(early):
    told = stat(early, "session.did-not-wait")
    with stranger(early) as c:
        c.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            c.line()            # it is read, so that we are within the delay
        c.sock.settimeout(30)
        c.send("EHLO stranger.test\r\n")
        assert status_of(c.reply()) == (554, "5.5.0")
        assert c.is_closed()
    assert stat(early, "session.did-not-wait") > told


# -- past a point where one has to listen (RFC 2920 3.1) ----------------------------

POINTS = {
    "EHLO a.test": [],
    "HELO a.test": [],
    "EHLO b.test": ["EHLO a.test"],
    "DATA": ["EHLO a.test", "MAIL FROM:<a@example.net>", "RCPT TO:<demo@example.org>"],
    "DATA ": ["EHLO a.test"],           # out of order, too
    "STARTTLS": ["EHLO a.test"],
    "AUTH LOGIN": ["EHLO a.test"],
    "XCLIENT ADDR=192.0.2.1": ["EHLO a.test"],
    "LHLO a.test": ["EHLO a.test"],
}


@pytest.mark.parametrize("behind", [EVIL, "\r\n", ".", "QUIT\r\n"], ids=["commands", "line", "octet", "quit"])
@pytest.mark.parametrize("command", POINTS)
def test_octets_behind_the_line(early, command, behind):
    with Client(early.ports[1]) as c:
        for before in POINTS[command]:
            c.say(before)
        c.send(f"{command}\r\n{behind}")
        assert status_of(c.reply()) == (503, "5.5.0")
        assert c.codes() == []
    assert stat(early, "queue.messages") == 0


def test_a_body_behind_data_is_no_message(early):
    with hello(early) as c:
        c.send(EVIL + "DATA\r\nSubject: smuggled\r\n\r\n.\r\n")
        assert [c.reply()[0] for _ in range(2)] == [250, 250]
        assert status_of(c.reply()) == (503, "5.5.0")
        assert c.codes() == []
    assert early.maildir() == []


def test_data_may_end_a_group(early):
    with hello(early) as c:
        c.send(EVIL + "DATA\r\n")
        assert [c.reply()[0] for _ in range(3)] == [250, 250, 354]


@pytest.mark.parametrize("group", [
    "NOOP\r\nNOOP\r\n", "RSET\r\nMAIL FROM:<a@example.net>\r\n", EVIL, "FROB\r\nQUIT\r\n", "\r\n\r\n"])
@pytest.mark.parametrize("verb", ["HELO", None])
def test_who_did_not_say_ehlo_may_not_pipeline(early, verb, group):
    with Client(early.port) as c:
        if verb:
            c.say(f"{verb} a.test")
        c.send(group)
        assert status_of(c.reply()) == (503, "5.5.0")
        assert c.codes() == []


def test_who_said_helo_may_speak_line_by_line(early):
    with envelope(hello(early, verb="HELO")) as c:
        c.say("DATA")
        c.send("Subject: helo\r\n\r\n.\r\n")
        assert c.reply()[0] == 250


def test_a_goodbye_may_be_followed_by_anything(early):
    for verb in ("EHLO", "HELO"):
        with hello(early, verb=verb) as c:
            c.send("QUIT\r\n" + EVIL)
            assert c.codes() == [221]


# -- other protocols ----------------------------------------------------------------

HTTP = ["GET / HTTP/1.1", "POST /x HTTP/1.1", "PUT /x HTTP/1.0", "HEAD / HTTP/1.1", "OPTIONS * HTTP/1.1",
        "CONNECT mx.test:25 HTTP/1.1", "DELETE /x HTTP/1.1", "PATCH /x HTTP/1.1", "TRACE / HTTP/1.1",
        "PRI * HTTP/2.0", "get / http/1.1"]


@pytest.mark.parametrize("line", HTTP)
@pytest.mark.parametrize("before", [[], ["EHLO a.test", "MAIL FROM:<a@example.net>"]], ids=["first", "later"])
def test_http(early, line, before):
    with Client(early.port) as c:
        for command in before:
            c.say(command)
        c.send(f"{line}\r\nHost: mx.test\r\nContent-Length: {len(EVIL)}\r\n\r\n{EVIL}")
        assert status_of(c.reply()) == (221, "2.7.0")
        assert c.codes() == []


# -- errors ------------------------------------------------------------------------

ERRORS = ["FROB", "RCPT TO:<a@example.org>", "EXPN x", "MAIL FROM:nobody", "RSET now", "XCLIENT ADDR=192.0.2.1"]


@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("command", ERRORS)
def test_too_many_errors(make_server, early, command, pipelined):
    """Twenty are borne; with the next one it is over."""
    with hello(early) as c:
        if pipelined and not command.startswith("XCLIENT"):
            c.send(f"{command}\r\n" * 30)
            codes = c.codes()
        else:
            codes = []
            while not codes or codes[-1] != 421:
                codes.append(c.cmd(command)[0] if len(codes) <= 20 else c.reply()[0])
        assert len(codes) == 22 and codes[-1] == 421, codes
        assert set(codes[:-1]) <= {500, 501, 502, 503, 550}


def test_refused_recipients_are_errors(early):
    with hello(early) as c:
        c.say("MAIL FROM:<a@example.net>")
        codes = [c.cmd(f"RCPT TO:<nobody{n}@example.org>")[0] for n in range(21)]
        assert codes == [550] * 21
        assert c.refused() == (421, "4.7.0")


def test_what_is_well_said_does_not_count(early):
    with hello(early) as c:
        for _ in range(10):
            assert c.cmd("FROB")[0] == 500
            c.say("NOOP", "RSET")
        c.send("NOOP\r\n" * 100)
        assert [c.reply()[0] for _ in range(100)] == [250] * 100


def test_errors_cost_time(make_server):
    """The first quarter nothing, each further one a delay more; then goodbye."""
    s = make_server(extra="smtp max-errors 4\nsmtp error-delay 1s\n")
    with hello(s) as c, hello(s) as other:
        took = []
        for _ in range(3):
            before = time.monotonic()
            assert c.cmd("FROB")[0] == 500
            took.append(time.monotonic() - before)
        assert took[0] < 0.9 and took[1] >= 0.99 and took[2] >= 1.99, took
        before = time.monotonic()
        assert other.cmd("NOOP")[0] == 250          # nobody else waits
        assert time.monotonic() - before < 0.9


def test_goodbye_comes_without_another_word(make_server):
    s = make_server(extra="smtp max-errors 1\nsmtp error-delay 1s\n")
    with hello(s) as c:
        assert c.cmd("FROB")[0] == 500
        assert c.cmd("FROB")[0] == 500
        assert c.refused() == (421, "4.7.0")


def test_a_delay_holds_up_no_shutdown(make_server):
    """Nothing of theirs is under way: they hear 421 as anybody."""
    s = make_server(extra="smtp max-errors 4\nsmtp error-delay 60s\n")
    with hello(s) as left, hello(s) as stays:
        for c in (left, stays):
            assert c.cmd("FROB")[0] == 500
            c.send("FROB\r\n")
        left.close()
        assert hello(s).cmd("NOOP")[0] == 250
        before = time.monotonic()
        assert s.stop() == 0
        assert time.monotonic() - before < 5
        assert stays.codes()[-1] == 421
