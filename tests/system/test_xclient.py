# SPDX-License-Identifier: ISC
"""XCLIENT: listed hosts say whom they speak for; what follows is as if that client had come itself."""
import pytest

from postern import Server
from talk import Client, data, hello, offered, received, status_of

CONF = """
listen on 127.0.0.1 port 0 xclient {{ 127.0.0.1 }}
listen on 127.0.0.1 port 0 xclient {{ 192.0.2.0/24 }}
action "out" relay host "smtp://127.0.0.1:2"
match from local for any action "out"
match from any auth for any action "out"
smtp error-delay 0
"""
PLAIN, LISTED, UNLISTED = range(3)


@pytest.fixture(scope="module")
def s():
    server = Server(extra=CONF).start()
    yield server
    server.cleanup()


def listed(s):
    return Client(s.ports[LISTED])


def test_it_is_offered_to_those_who_may(s):
    with listed(s) as c:
        assert set(offered(c)["XCLIENT"].split()) == {"NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN"}
    for port in (PLAIN, UNLISTED):
        with Client(s.ports[port]) as c:
            assert "XCLIENT" not in offered(c)
            assert c.status("XCLIENT ADDR=192.0.2.1") == (550, "5.7.0")
            assert c.cmd("RCPT TO:<x@elsewhere.example>")[0] == 503


ADDRESSES = {"192.0.2.1": "[192.0.2.1]", "IPV6:2001:db8::1": "[IPv6:2001:db8::1]",
             "ipv6:2001:DB8::1": "[IPv6:2001:db8::1]", "[UNAVAILABLE]": "[127.0.0.1]"}


@pytest.mark.parametrize("said, seen", ADDRESSES.items(), ids=ADDRESSES)
def test_the_address(s, said, seen):
    with listed(s).xclient(f"ADDR={said}") as c:
        assert f"from client.test (unknown {seen}) by" in received(s, c)


def test_the_name(s):
    with listed(s).xclient("NAME=mail.example.net ADDR=192.0.2.1") as c:
        assert "from client.test (mail.example.net [192.0.2.1]) by" in received(s, c)


def test_the_name_goes_with_the_address(s):
    """Of another client nothing is known but what is said of it."""
    with listed(s).xclient("NAME=mail.example.net ADDR=192.0.2.1") as c:
        c.xclient("ADDR=192.0.2.2")
        assert "mail.example.net" not in received(s, c)


@pytest.mark.parametrize("word", ["[UNAVAILABLE]", "[TEMPUNAVAIL]", "[unavailable]"])
def test_a_name_that_is_not_known(s, word):
    with listed(s).xclient(f"NAME={word} ADDR=192.0.2.1") as c:
        assert "(unknown [192.0.2.1])" in received(s, c)


def test_the_login(s):
    with listed(s) as c:
        c.xclient("LOGIN=alice ADDR=192.0.2.1")
        assert " with ESMTPA id " in received(s, c)
        c.say("MAIL FROM:<you@example.net> AUTH=<>", "RCPT TO:<stranger@elsewhere.example>", "RSET")
        c.xclient("LOGIN=[UNAVAILABLE]")
        assert " with ESMTP id " in received(s, c)


def test_a_session_begins_anew(s):
    with listed(s) as c:
        c.say("EHLO client.test")
        code, text = c.cmd("XCLIENT ADDR=192.0.2.1")
        assert code == 220 and text.startswith("mx.test ESMTP")
        assert c.cmd("MAIL FROM:<you@example.net>")[0] == 503
        c.send("RSET\r\nRSET\r\n")          # no EHLO, no pipelining
        assert c.reply()[0] == 503


def test_again_and_again(s):
    with listed(s) as c:
        for n in range(1, 50):
            c.xclient(f"ADDR=192.0.2.{n}")
        assert "(unknown [192.0.2.49])" in received(s, c)


def test_helo_is_said_again(s):
    with listed(s).xclient("ADDR=192.0.2.1 HELO=original.test PROTO=ESMTP") as c:
        assert c.cmd("MAIL FROM:<you@example.net>")[0] == 503
        assert "(unknown [192.0.2.1])" in received(s, c)


@pytest.mark.parametrize("said", ["ADDR=192.0.2.1", "ADDR=IPV6:2001:db8::1", "ADDR=192.0.2.1 NAME=localhost",
                                  "ADDR=192.0.2.1 HELO=localhost"])
def test_who_is_named_is_not_local(s, said):
    with listed(s).xclient(said) as c:
        c.say("EHLO client.test", "MAIL FROM:<you@example.net>")
        assert c.status("RCPT TO:<stranger@elsewhere.example>") == (550, "5.7.1")
        c.say("RSET")
        c.xclient("ADDR=127.0.0.1")         # and nobody becomes local again
        c.say("EHLO client.test", "MAIL FROM:<you@example.net>")
        assert c.status("RCPT TO:<stranger@elsewhere.example>") == (550, "5.7.1")


def test_a_local_client_stays_one(s):
    with listed(s).xclient("NAME=localhost") as c:
        c.say("EHLO client.test", "MAIL FROM:<you@example.net>", "RCPT TO:<stranger@elsewhere.example>")


@pytest.mark.parametrize("said", [
    "", "ADDR", "ADDR=", "ADDR=1.2.3", "ADDR=300.1.1.1", "ADDR=2001:db8::1", "ADDR=IPV6:192.0.2.1", "ADDR=[192.0.2.1]",
    "PORT=65536", "PORT=-1", "PORT=x", "NAME=a..b", "NAME=a+20b", "NAME=a+0Ab", "NAME=-a", "NAME=" + "a" * 300,
    "HELO=a+0D+0Ab", "HELO=a+00", "PROTO=HTTP", "LOGIN=", "LOGIN=a+0Ab", "LOGIN=a+20b", "WHAT=ever",
    "ADDR=192.0.2.1 ADDR=192.0.2.2", "ADDR=192.0.2.1 WHAT=ever", "NAME=a+2", "NAME=a+zz"])
def test_bad_attributes_change_nothing(s, said):
    with listed(s) as c:
        c.say("EHLO client.test")
        assert c.status(f"XCLIENT {said}") == (501, "5.5.4")
        assert "(unknown [127.0.0.1])" in received(s, c)


def test_not_within_a_transaction(s):
    with hello(s, s.ports[LISTED]) as c:
        c.say("MAIL FROM:<you@example.net>")
        assert c.status("XCLIENT ADDR=192.0.2.1") == (503, "5.5.1")
        c.say("RCPT TO:<demo@example.org>")
        assert c.status("XCLIENT ADDR=192.0.2.1") == (503, "5.5.1")
        assert data(c, "Subject: x\r\n\r\n")[0] == 250


def test_who_comes_by_another_does_not_get_the_right(s):
    """The right is the connection's: the next XCLIENT of the same host is taken, whomever it speaks for."""
    with listed(s).xclient("ADDR=198.51.100.1") as c:
        assert "XCLIENT" in offered(c)
    with Client(s.ports[UNLISTED]) as c:
        assert status_of(c.cmd("XCLIENT ADDR=192.0.2.1")) == (550, "5.7.0")
