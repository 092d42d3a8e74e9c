# SPDX-License-Identifier: ISC
"""Each extension of SMTP: where it is offered and where not, what is accepted and refused, what is kept of it in the spool."""
import re
import sqlite3
import time

import pytest

from postern import Server
from talk import Client, data, envelope, hello, mailed, offered, rows, status_of

CONF = """
smtp max-message-size 64K
smtp max-recipients 3
smtp max-future-release 7d
smtp error-delay 0
smtp max-errors 1000
listen on 127.0.0.1 port 0 no-dsn
listen on 127.0.0.1 port 0 submission
listen on 127.0.0.1 port 0 submission xclient {{ 127.0.0.1 }}
listen on 127.0.0.1 port 0 xclient {{ 127.0.0.1 }}
"""
PLAIN, NO_DSN, SUBMISSION, SUBMIT_LOGIN, LOGIN = range(5)
MAIL = "MAIL FROM:<you@example.net>"


@pytest.fixture(scope="module")
def s():
    server = Server(extra=CONF).start()
    yield server
    server.cleanup()


def submitter(server, port=SUBMIT_LOGIN):
    c = Client(server.ports[port]).xclient("LOGIN=alice")
    c.say("EHLO client.test")
    return c


def spooled(make_server, port, mail="", rcpt="", login=False):
    """The rows of a message and of its recipient, as the spool kept them."""
    s = make_server(extra=CONF)
    s.ctl("pause", "delivery")
    with submitter(s, port) if login else hello(s, s.ports[port]) as c:
        envelope(c, mail, rcpt)
        assert data(c, "Subject: kept\r\n\r\n")[0] == 250
    assert s.stop() == 0
    with sqlite3.connect(s.path("spool", "spool.db")) as db:
        db.row_factory = sqlite3.Row
        (message,), (recipient,) = db.execute("SELECT * FROM message"), db.execute("SELECT * FROM recipient")
        return dict(message), dict(recipient)


# -- what is offered -----------------------------------------------------------------

ALWAYS = {"PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME", "SMTPUTF8", "LIMITS"}
SUBMITTERS = {"MT-PRIORITY", "FUTURERELEASE", "DELIVERBY"}
OFFERS = {PLAIN: ALWAYS | {"DSN"}, NO_DSN: ALWAYS, SUBMISSION: ALWAYS | {"DSN"} | SUBMITTERS,
          SUBMIT_LOGIN: ALWAYS | {"DSN", "XCLIENT"} | SUBMITTERS, LOGIN: ALWAYS | {"DSN", "XCLIENT"}}


@pytest.mark.parametrize("port", OFFERS)
def test_what_is_offered(s, port):
    with Client(s.ports[port]) as c:
        words = offered(c)
        assert set(words) == OFFERS[port]
        assert words["SIZE"] == "65536" and words["LIMITS"] == "RCPTMAX=3"
        assert c.say("EHLO client.test").split("\n")[0] == "mx.test"


def test_who_logged_in_is_a_submitter_anywhere(s):
    with submitter(s, LOGIN) as c:
        assert SUBMITTERS <= set(offered(c))


def test_helo_is_offered_nothing_and_gets_nothing(s):
    with Client(s.port) as c:
        assert c.say("HELO client.test") == "mx.test"
        for params in ("SIZE=10", "BODY=8BITMIME", "SMTPUTF8", "RET=FULL", "ENVID=x"):
            assert c.status(f"{MAIL} {params}") == (555, "5.5.4"), params
        c.say(MAIL)
        for params in ("NOTIFY=NEVER", "ORCPT=rfc822;a@b.test"):
            assert c.status(f"RCPT TO:<demo@example.org> {params}") == (555, "5.5.4"), params


@pytest.mark.parametrize("params", ["WHAT", "WHAT=ever", "REQUIRETLS", "AUTH=<>", "MT-PRIORITY=1", "HOLDFOR=1", "BY=10;R",
                                    "BODY=8BITMIME WHAT"])
def test_what_is_not_offered_is_not_taken(s, params):
    with hello(s) as c:
        assert c.status(f"{MAIL} {params}") == (555, "5.5.4")
        assert c.cmd("RCPT TO:<demo@example.org>")[0] == 503


@pytest.mark.parametrize("params", ["SIZE=1 SIZE=1", "SIZE", "SIZE=", "SIZE=-1", "SIZE=x", "BODY", "BODY=9BIT", "SMTPUTF8=yes",
                                    "RET=ALL", "RET", "ENVID=", "ENVID=a+0Ab", "ENVID=a=b", "ENVID=" + "x" * 101])
def test_bad_values_of_mail(s, params):
    with hello(s) as c:
        assert c.status(f"{MAIL} {params}") == (501, "5.5.4")


@pytest.mark.parametrize("params, code", [
    ("NOTIFY=", 501), ("NOTIFY=SOON", 501), ("NOTIFY=NEVER,DELAY", 501), ("NOTIFY=SUCCESS,", 501), ("ORCPT=a@b.test", 501),
    ("ORCPT=rfc822;", 501), ("ORCPT=rfc822;a+0D+0A@b.test", 501), ("NOTIFY=NEVER NOTIFY=NEVER", 501), ("SIZE=1", 555)])
def test_bad_values_of_rcpt(s, params, code):
    with hello(s) as c:
        c.say(MAIL)
        assert c.cmd(f"RCPT TO:<demo@example.org> {params}")[0] == code
        assert c.cmd("DATA")[0] in (503, 554)


# -- SIZE (RFC 1870) -------------------------------------------------------------------

def test_a_size_that_is_declared(s):
    with hello(s) as c:
        c.say(f"{MAIL} SIZE=65536", "RSET", f"{MAIL} SIZE=0", "RSET")
        for size in (65537, 10**9, 2**63, 10**19):
            assert c.status(f"{MAIL} SIZE={size}") == (552, "5.3.4")


@pytest.mark.parametrize("declared", ["", "SIZE=100"])
def test_a_size_that_is_real(s, declared):
    line = "x" * 62 + "\r\n"
    with hello(s) as c:
        mailed(s, envelope(c, declared), "Subject: fits\r\n\r\n" + line * 1000)
        assert status_of(data(envelope(c, declared), line * 1025)) == (552, "5.3.4")
        assert c.cmd("NOOP")[0] == 250


# -- 8BITMIME (RFC 6152) and SMTPUTF8 (RFC 6531) ---------------------------------------

@pytest.mark.parametrize("params", ["", "BODY=7BIT", "BODY=8BITMIME", "body=8bitmime"])
def test_eight_bits_arrive(s, params):
    with hello(s) as c:
        assert mailed(s, envelope(c, params), "Subject: 8\r\n\r\ncaf\u00e9\r\n").endswith("caf\u00e9\n".encode())


def test_addresses_in_utf8(s):
    with hello(s) as c:
        assert c.status("MAIL FROM:<j\u00f6rg@example.net>") == (553, "5.6.7")
        assert c.status("MAIL FROM:<x@b\u00fccher.test>") == (553, "5.6.7")
        c.say(MAIL)
        assert c.status("RCPT TO:<d\u00e9mo@example.org>") == (553, "5.6.7")
        c.say("RSET", "MAIL FROM:<j\u00f6rg@b\u00fccher.test> SMTPUTF8")
        assert c.status("RCPT TO:<nobod\u00ff@example.org>") == (550, "5.1.1")
        c.say("RCPT TO:<demo@example.org>")
        mail = mailed(s, c, "Subject: \u00e9t\u00e9\r\n\r\nhello\r\n").decode()
    assert mail.startswith("Return-Path: <j\u00f6rg@b\u00fccher.test>\n") and "Subject: \u00e9t\u00e9\n" in mail
    assert " with UTF8SMTP id " in " ".join(mail.split())


@pytest.mark.parametrize("octets", [b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_addresses_that_are_no_utf8(s, octets):
    with hello(s) as c:
        c.send(b"MAIL FROM:<a" + octets + b"@example.net> SMTPUTF8\r\n")
        assert c.reply()[0] in (501, 553)


# -- DSN (RFC 3461) ----------------------------------------------------------------------

def test_dsn_is_kept(make_server):
    message, recipient = spooled(make_server, PLAIN, "RET=HDRS ENVID=QQ+2B314159",
                                 "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@example.com")
    assert (message["ret"], message["envid"]) == ("HDRS", "QQ+314159")
    assert (recipient["notify"], recipient["orcpt"]) == (2 | 8, "rfc822;Bob+x@example.com")


@pytest.mark.parametrize("notify, bits", [("NEVER", 1), ("success", 2), ("FAILURE", 4), ("SUCCESS,FAILURE,DELAY", 14)])
def test_notify_is_kept(make_server, notify, bits):
    assert spooled(make_server, PLAIN, rcpt=f"NOTIFY={notify}")[1]["notify"] == bits


def test_nothing_asked_nothing_kept(make_server):
    message, recipient = spooled(make_server, PLAIN)
    assert (message["ret"], message["envid"], recipient["orcpt"], recipient["notify"]) == ("", "", "", 0)
    assert (message["priority"], message["release"], message["by_mode"], message["flags"]) == (0, 0, 0, 0)


def test_a_port_without_dsn(s):
    with hello(s, s.ports[NO_DSN]) as c:
        for params in ("RET=FULL", "ENVID=x"):
            assert c.status(f"{MAIL} {params}") == (555, "5.5.4")
        c.say(MAIL)
        for params in ("NOTIFY=NEVER", "ORCPT=rfc822;a@b.test"):
            assert c.status(f"RCPT TO:<demo@example.org> {params}") == (555, "5.5.4")
        c.say("RSET")
        assert data(envelope(c), "Subject: x\r\n\r\n")[0] == 250


# -- LIMITS (RFC 9422) -------------------------------------------------------------------

def test_as_many_recipients_as_are_offered(s):
    with hello(s) as c:
        c.say(MAIL, *["RCPT TO:<demo@example.org>"] * 3)
        assert c.status("RCPT TO:<demo@example.org>") == (452, "4.5.3")
        assert data(c, "Subject: three\r\n\r\n")[0] == 250
        assert data(envelope(c), "Subject: one\r\n\r\n")[0] == 250


def test_as_many_messages_as_are_offered(make_server):
    s = make_server(extra="smtp limit max-mails 2\nsmtp limit max-rcpt 5\n")
    with Client(s.port) as c:
        assert offered(c)["LIMITS"].split() == ["RCPTMAX=5", "MAILMAX=2"]
        for _ in range(2):
            assert data(envelope(c), "Subject: one\r\n\r\n")[0] == 250
        assert c.status(MAIL) == (452, "4.5.3")
        assert c.cmd("QUIT")[0] == 221
    with hello(s) as c:
        c.say(MAIL)


# -- what submitters may ask for (RFC 6710, 4865, 2852) -------------------------------------

ASKED = ["MT-PRIORITY=1", "HOLDFOR=10", "HOLDUNTIL=2030-01-01T00:00:00Z", "BY=100;R"]


@pytest.mark.parametrize("params", ASKED)
def test_it_takes_a_login(s, params):
    with hello(s, s.ports[SUBMISSION]) as c:
        assert c.status(f"{MAIL} {params}") == (530, "5.7.0")
        c.say(MAIL)
    with submitter(s, LOGIN) as c:
        assert c.cmd(f"{MAIL} {params}")[0] == (501 if "2030" in params else 250)


@pytest.mark.parametrize("value", range(-9, 10))
def test_priorities(s, value):
    with submitter(s) as c:
        c.say(f"{MAIL} MT-PRIORITY={value}")


@pytest.mark.parametrize("value", ["10", "-10", "+1", "-0", "", "x", "1.0"])
def test_bad_priorities(s, value):
    with submitter(s) as c:
        assert c.status(f"{MAIL} MT-PRIORITY={value}") == (501, "5.5.4")


def test_a_priority_is_kept(make_server):
    assert spooled(make_server, SUBMIT_LOGIN, "MT-PRIORITY=-4", login=True)[0]["priority"] == -4


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_how_long_a_release_may_wait_is_offered(s):
    with Client(s.ports[SUBMISSION]) as c:
        seconds, date = offered(c)["FUTURERELEASE"].split()
    assert seconds == "604800"
    assert abs(time.mktime(time.strptime(date, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time() - 604800) < 60


def test_a_release_beyond_what_is_offered(s):
    with submitter(s) as c:
        c.say(f"{MAIL} HOLDFOR=604800", "RSET", f"{MAIL} HOLDUNTIL={utc(time.time() + 600000)}", "RSET")
        for params in ("HOLDFOR=604801", "HOLDFOR=999999999", f"HOLDUNTIL={utc(time.time() + 605000)}"):
            assert c.status(f"{MAIL} {params}") == (501, "5.5.4"), params


@pytest.mark.parametrize("params", ["HOLDFOR=0", "HOLDFOR=-1", "HOLDFOR=", "HOLDFOR=1000000000", "HOLDFOR=1 HOLDFOR=1",
                                    "HOLDUNTIL=tomorrow", "HOLDUNTIL=2030-13-01T00:00:00Z", "HOLDUNTIL=2030-01-01",
                                    "HOLDFOR=1 HOLDUNTIL=2026-12-01T00:00:00Z"])
def test_bad_releases(s, params):
    with submitter(s) as c:
        assert c.status(f"{MAIL} {params}") == (501, "5.5.4")


@pytest.mark.parametrize("param", ["HOLDFOR=3600", "HOLDUNTIL="])
def test_a_release_waits_in_the_queue(make_server, param):
    s, now = make_server(extra=CONF), time.time()
    with submitter(s) as c:
        envelope(c, param if param[-1] != "=" else param + utc(now + 3600))
        assert data(c, "Subject: later\r\n\r\n")[0] == 250
    (message,) = rows(s, "show", "queue")
    assert abs(message["recipients"][0]["due"] - now - 3600) < 60
    with submitter(s) as c:
        mailed(s, envelope(c))          # what came after it is delivered before it
    assert len(s.maildir()) == 1


def test_a_release_comes(s):
    with submitter(s) as c:
        before = time.time()
        mailed(s, envelope(c, "HOLDFOR=3"))
        assert time.time() - before >= 2    # its clock counts seconds


def test_deliver_by(s):
    with submitter(s) as c:
        for value in ("1;R", "999999999;N", "-10;N", "0;N", "+5;RT", "5;nt"):
            c.say(f"{MAIL} BY={value}", "RSET")
        for value in ("0;R", "-1;R", "5", "5;X", ";R", "x;R", "1000000000;N", "5;R;T", ""):
            assert c.status(f"{MAIL} BY={value}") == (501, "5.5.4"), value


def test_deliver_by_is_kept(make_server):
    now = time.time()
    message, _ = spooled(make_server, SUBMIT_LOGIN, "BY=3600;NT", login=True)
    assert message["by_mode"] == 2 and message["by_trace"] == 1
    assert abs(message["by_time"] - now - 3600) < 60


def test_a_login_is_kept(make_server):
    """IPC_FLAG_AUTHENTICATED and IPC_FLAG_SMTPUTF8."""
    assert spooled(make_server, LOGIN, "SMTPUTF8 AUTH=<>", login=True)[0]["flags"] & 0x14 == 0x14


def test_every_parameter_at_once(make_server):
    message, recipient = spooled(make_server, SUBMIT_LOGIN, "SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=all AUTH=<> "
                                 "MT-PRIORITY=3 HOLDFOR=60 BY=3600;R", "NOTIFY=DELAY ORCPT=utf-8;x@example.org", login=True)
    assert message["flags"] & 0x16 == 0x16 and message["priority"] == 3 and message["by_mode"] == 1
    assert message["release"] > time.time() and recipient["due"] >= message["release"]
    assert re.fullmatch("utf-8;x@example.org", recipient["orcpt"])
