# SPDX-License-Identifier: ISC
"""`filter`: each phase, each condition, each decision, through the whole server."""
import re
import socket
import struct
import threading

import pytest

from postern import Server
from talk import Client, data, envelope, hello, mailed, received, status_of

LISTEN = 'listen on 127.0.0.1 port 0 filter "f" xclient {{ 127.0.0.1 }}\nsmtp error-delay 0\n'


@pytest.fixture(scope="module")
def ask():
    """A server with this filter; ports[1] has it.  One for each text."""
    servers = {}

    def make(text, more=""):
        if text + more not in servers:
            servers[text + more] = Server(extra=text + "\n" + LISTEN + more).start()
        return servers[text + more]
    yield make
    for s in servers.values():
        s.cleanup()


def open_(server):
    return Client(server.ports[1])


def ehlo(server):
    return hello(server, server.ports[1])


# -- phases -------------------------------------------------------------------------

def test_connect(ask):
    s = ask('filter "f" phase connect match src {{ 192.0.2.0/24 }} reject "550 5.7.1 Not from there"')
    with open_(s) as c:
        assert c.cmd("XCLIENT ADDR=192.0.2.1") == (550, "5.7.1 Not from there")
        assert c.is_closed()            # there is no session that could go on
    with open_(s).xclient("ADDR=198.51.100.1") as c:
        c.say("EHLO client.test")
    with Client(s.port) as c:           # the other port has no filter
        c.say("EHLO client.test")


def test_connect_refuses_the_peer_itself(ask):
    s = ask('filter "f" phase connect match src {{ 127.0.0.2 }} disconnect "421 4.7.0 Come another time"')
    with Client(s.ports[1], source="127.0.0.2", greeted=False) as c:
        assert c.reply() == (421, "4.7.0 Come another time")
        assert c.is_closed()
    with open_(s) as c:
        c.say("NOOP")


@pytest.mark.parametrize("phase, verb, other", [("helo", "HELO", "EHLO"), ("ehlo", "EHLO", "HELO")])
def test_hello(ask, phase, verb, other):
    """It is as if it had not been said; another name is welcome."""
    s = ask(f'filter "f" phase {phase} match helo {{{{ "bad.test", "*.bad.test" }}}} reject "550 5.7.1 Not your name"')
    with open_(s) as c:
        assert c.cmd(f"{verb} a.bad.test") == (550, "5.7.1 Not your name")
        assert c.status("MAIL FROM:<you@example.net>") == (503, "5.5.1")
        c.say(f"{verb} good.test", "MAIL FROM:<you@example.net>")
        assert c.cmd(f"{verb} BAD.test")[0] == 550
        assert c.status("RCPT TO:<demo@example.org>") == (503, "5.5.1")
        c.say(f"{other} bad.test", "MAIL FROM:<you@example.net>")


def test_mail_from(ask):
    s = ask('filter "f" phase mail-from match mail-from {{ "@bad.test", "x@example.net", "<>" }} reject "550 No"')
    with ehlo(s) as c:
        assert c.cmd("MAIL FROM:<a@bad.test>") == (550, "5.7.1 No")
        assert c.status("RCPT TO:<demo@example.org>") == (503, "5.5.1")
        assert c.cmd("MAIL FROM:<x@example.net>")[0] == 550
        mailed(s, envelope(c))


def test_rcpt_to(ask):
    s = ask('filter "f" phase rcpt-to match rcpt-to {{ "other@example.org" }} reject "450 4.2.0 Full"')
    with ehlo(s) as c:
        c.say("MAIL FROM:<you@example.net>")
        assert c.cmd("RCPT TO:<other@example.org>") == (450, "4.2.0 Full")
        assert c.cmd("DATA")[0] == 554
        c.say("RCPT TO:<demo@example.org>")
        assert c.cmd("RCPT TO:<OTHER@Example.ORG>")[0] == 450
        assert data(c, "Subject: x\r\n\r\n")[0] == 250


@pytest.mark.parametrize("phase", ["data", "commit"])
def test_data_and_commit(ask, phase):
    s = ask(f'filter "f" phase {phase} match mail-from {{{{ "x@example.net" }}}} reject "550 5.7.1 Not that"')

    def from_x(c):
        c.say("MAIL FROM:<x@example.net>", "RCPT TO:<demo@example.org>")
        return c
    with ehlo(s) as c:
        if phase == "data":
            assert from_x(c).cmd("DATA") == (550, "5.7.1 Not that")
        else:
            assert data(from_x(c), "Subject: x\r\n\r\n") == (550, "5.7.1 Not that")
        assert c.status("DATA") == (503, "5.5.1")       # the transaction is over
        # a chunk is read to its end, and nothing of it is a command
        assert from_x(c).chunk(b"RSET\r\n" * 9, last=True) == (550, "5.7.1")
        c.say("NOOP")
        from_x(c)
        first = c.chunk(b"Subject: x\r\n\r\n")
        assert first == ((550, "5.7.1") if phase == "data" else (250, "2.0.0"))
        assert c.chunk(b"RSET\r\n" * 9, last=True) == ((503, "5.5.1") if phase == "data" else (550, "5.7.1"))
        assert c.chunk(b"", last=True) == (503, "5.5.1")
        mailed(s, envelope(c))
    assert len(s.maildir()) == 1


# -- decisions -----------------------------------------------------------------------

@pytest.mark.parametrize("phase, condition, before, last", [
    ("ehlo", 'helo {{ "bad.test" }}', [], "EHLO bad.test"),
    ("helo", 'helo {{ "bad.test" }}', [], "HELO bad.test"),
    ("mail-from", 'mail-from {{ "x@example.net" }}', ["EHLO a.test"], "MAIL FROM:<x@example.net>"),
    ("rcpt-to", 'rcpt-to {{ "demo@example.org" }}', ["EHLO a.test", "MAIL FROM:<>"], "RCPT TO:<demo@example.org>"),
    ("data", 'helo {{ "a.test" }}', ["EHLO a.test", "MAIL FROM:<>", "RCPT TO:<demo@example.org>"], "DATA"),
    ("data", 'helo {{ "a.test" }}', ["EHLO a.test", "MAIL FROM:<>", "RCPT TO:<demo@example.org>"], "BDAT 3 LAST\r\nabc"),
    ("commit", 'helo {{ "a.test" }}', ["EHLO a.test", "MAIL FROM:<>", "RCPT TO:<demo@example.org>", "DATA"], "x\r\n."),
])
def test_disconnect(ask, phase, condition, before, last):
    s = ask(f'filter "f" phase {phase} match {condition} disconnect "550 5.7.1 Goodbye"')
    with open_(s) as c:
        for command in before:
            c.say(command)
        c.send(last + ("" if last.endswith("abc") else "\r\n"))
        assert c.reply() == (550, "5.7.1 Goodbye")
        assert c.is_closed()
    assert s.maildir() == []


def test_rewrite(ask):
    s = ask("""
filter "h" phase ehlo match helo {{ "a.test" }} rewrite "b.test"
filter "m" phase mail-from match mail-from {{ "old@example.net" }} rewrite "new@example.net"
filter "r" phase rcpt-to match rcpt-to {{ "gone@example.org" }} rewrite "demo@example.org"
filter "f" chain {{ "h", "m", "r" }}
""")
    with open_(s) as c:
        c.say("EHLO a.test", "MAIL FROM:<old@example.net>", "RCPT TO:<gone@example.org>")
        mail = mailed(s, c).decode()
    assert mail.startswith("Return-Path: <new@example.net>\nDelivered-To: demo@example.org\nReceived: from b.test (")


def test_rewritten_recipients_are_judged_as_others(ask):
    """What a filter writes is no way around the rules."""
    s = ask('filter "f" phase rcpt-to match rcpt-to {{ "demo@example.org" }} rewrite "nobody@elsewhere.example"')
    with open_(s).xclient("ADDR=192.0.2.1") as c:
        c.say("EHLO a.test", "MAIL FROM:<you@example.net>")
        assert c.cmd("RCPT TO:<demo@example.org>")[0] == 550


@pytest.mark.parametrize("phase, condition", [
    ("connect", "src {{ 192.0.2.0/24 }}"), ("ehlo", 'helo {{ "client.test" }}'), ("mail-from", "src {{ 192.0.2.0/24 }}"),
    ("rcpt-to", 'rcpt-to {{ "demo@example.org" }}'), ("data", 'helo {{ "client.test" }}'), ("commit", "!auth")])
def test_junk(ask, phase, condition):
    s = ask(f'filter "f" phase {phase} match {condition} junk')
    with open_(s).xclient("ADDR=192.0.2.1") as c:
        head = received(s, c)
        assert "X-Spam: yes" in head, head
    if phase not in ("ehlo", "commit"):
        with Client(s.port) as c:
            assert "X-Spam" not in received(s, c)


def test_junk_is_of_the_message_or_of_the_client(ask):
    s = ask('filter "f" phase mail-from match mail-from {{ "x@example.net" }} junk')
    with ehlo(s) as c:
        c.say("MAIL FROM:<x@example.net>", "RCPT TO:<demo@example.org>")
        assert b"X-Spam: yes\n" in mailed(s, c)
        assert b"X-Spam" not in mailed(s, envelope(c))


def test_bypass(ask):
    """Who passed by is asked no more; the first in the chain that says something final has the word."""
    s = ask("""
filter "good" phase connect match src {{ 192.0.2.0/24 }} bypass
filter "bad" phase mail-from match mail-from {{ "x@example.net" }} reject "550 No"
filter "f" chain {{ "good", "bad" }}
""")
    with ehlo(s) as c:
        assert c.cmd("MAIL FROM:<x@example.net>")[0] == 550
    with open_(s).xclient("ADDR=192.0.2.1") as c:
        c.say("EHLO client.test", "MAIL FROM:<x@example.net>")


def test_bypass_of_a_message_ends_with_it(ask):
    s = ask("""
filter "good" phase mail-from match mail-from {{ "friend@example.net" }} bypass
filter "bad" phase rcpt-to match rcpt-to {{ "other@example.org" }} reject "550 No"
filter "f" chain {{ "good", "bad" }}
""")
    with ehlo(s) as c:
        c.say("MAIL FROM:<friend@example.net>", "RCPT TO:<other@example.org>", "RSET", "MAIL FROM:<you@example.net>")
        assert c.cmd("RCPT TO:<other@example.org>")[0] == 550


def test_the_order_of_a_chain(ask):
    s = ask("""
filter "junk" phase mail-from match helo {{ "client.test" }} junk
filter "one" phase mail-from match mail-from {{ "x@example.net" }} reject "550 5.7.1 One"
filter "two" phase mail-from match mail-from {{ "x@example.net", "y@example.net" }} reject "550 5.7.1 Two"
filter "f" chain {{ "junk", "one", "two" }}
""")
    with ehlo(s) as c:
        assert c.cmd("MAIL FROM:<x@example.net>") == (550, "5.7.1 One")
        assert c.cmd("MAIL FROM:<y@example.net>") == (550, "5.7.1 Two")
        assert b"X-Spam: yes\n" in mailed(s, envelope(c))


def test_an_unnamed_chain(make_server):
    s = make_server(extra="""
filter "one" phase ehlo match helo {{ "a.test" }} reject "550 5.7.1 One"
filter "two" phase mail-from match mail-from {{ "x@example.net" }} reject "550 5.7.1 Two"
listen on 127.0.0.1 port 0 filter {{ "one", "two" }}
""")
    with Client(s.ports[1]) as c:
        assert c.cmd("EHLO a.test") == (550, "5.7.1 One")
        c.say("EHLO b.test")
        assert c.cmd("MAIL FROM:<x@example.net>") == (550, "5.7.1 Two")


# -- conditions -----------------------------------------------------------------------

@pytest.mark.parametrize("condition, sender, refused", [
    ('mail-from {{ "x@example.net" }}', "x@example.net", True),
    ('mail-from {{ "x@example.net" }}', "X@EXAMPLE.NET", True),
    ('mail-from {{ "x@example.net" }}', "y@example.net", False),
    ('!mail-from {{ "x@example.net" }}', "y@example.net", True),
    ('!mail-from {{ "x@example.net" }}', "x@example.net", False),
    ('mail-from regex {{ "^spam[0-9]+@" }}', "spam42@example.net", True),
    ('mail-from regex {{ "^spam[0-9]+@" }}', "nospam42@example.net", False),
    ('!mail-from regex {{ "@example[.]net$" }}', "you@example.org", True),
    ('mail-from {{ "x@example.net" }} src {{ 192.0.2.0/24 }}', "x@example.net", False),
    ('mail-from {{ "x@example.net" }} !src {{ 192.0.2.0/24 }}', "x@example.net", True),
    ('mail-from {{ "x@example.net" }} helo {{ "client.test" }} !auth', "x@example.net", True),
    ('mail-from {{ "x@example.net" }} helo regex {{ "^client[.]" }} auth', "x@example.net", False),
    ('src regex {{ "^127[.]" }}', "x@example.net", True),
    ("src {{ 127.0.0.0/8 }}", "x@example.net", True),
    ('src {{ "::1" }}', "x@example.net", False),
    ("auth", "x@example.net", False),
    ("!auth", "x@example.net", True),
])
def test_conditions(ask, condition, sender, refused):
    s = ask(f'filter "f" phase mail-from match {condition} reject "550 No"')
    with ehlo(s) as c:
        assert c.cmd(f"MAIL FROM:<{sender}>")[0] == (550 if refused else 250)


def test_auth(ask):
    s = ask('filter "f" phase mail-from match auth {{ "alice" }} reject "550 No"')
    for login, code in (("alice", 550), ("bob", 250)):
        with open_(s).xclient(f"LOGIN={login}") as c:
            c.say("EHLO client.test")
            assert c.cmd("MAIL FROM:<you@example.net>")[0] == code


# -- what the DNS calls the client --------------------------------------------------------

class Dns(threading.Thread):
    """A few names: 1 is confirmed, 2 has a name of another address, 3 none, 4 no answer that helps."""

    ZONE = {b"\x011\x012\x010\x03192\x07in-addr\x04arpa\0": b"\x04mail\x04good\x07example\0",
            b"\x012\x012\x010\x03192\x07in-addr\x04arpa\0": b"\x04fake\x04good\x07example\0",
            b"\x04mail\x04good\x07example\0": bytes([192, 0, 2, 1]), b"\x04fake\x04good\x07example\0": bytes([192, 0, 2, 99])}
    TROUBLE = b"\x014\x012\x010\x03192\x07in-addr\x04arpa\0"

    def __init__(self):
        super().__init__(daemon=True)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.port = self.udp.getsockname()[1]
        self.start()

    def run(self):
        while True:
            query, peer = self.udp.recvfrom(4096)
            end = query.index(b"\0", 12) + 1
            name, kind = query[12:end].lower(), struct.unpack_from(">H", query, end)[0]
            found = self.ZONE.get(name) if kind == (1 if name.endswith(b"\x04good\x07example\0") else 12) else None
            rcode = 2 if name == self.TROUBLE else 0 if name in self.ZONE else 3
            answer = query[:2] + struct.pack(">HHHHH", 0x8580 | rcode, 1, int(found is not None), 0, 0) + query[12:end + 4]
            if found is not None:
                answer += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(found)) + found
            self.udp.sendto(answer, peer)


@pytest.fixture(scope="module")
def resolver(tmp_path_factory):
    """Nothing of it is signed: without trust anchors that is no fault."""
    anchor = tmp_path_factory.mktemp("dns") / "anchor"
    anchor.write_text("; none\n")
    return f'resolver forward 127.0.0.1@{Dns().port}\ntrust anchor "{anchor}"\n'


@pytest.mark.parametrize("condition, codes", [
    ("fcrdns", (550, 250, 250, 451)),
    ("!fcrdns", (250, 550, 550, 451)),
    ("rdns", (550, 550, 250, 451)),
    ("!rdns", (250, 250, 550, 451)),
    ('rdns {{ "mail.good.example" }}', (550, 250, 250, 451)),
    ('rdns {{ "*.good.example" }}', (550, 550, 250, 451)),
    ('!rdns regex {{ "^mail" }}', (250, 550, 550, 451)),
])
def test_the_name_of_a_client(ask, resolver, condition, codes):
    s = ask(f'filter "f" phase mail-from match {condition} reject "550 No"', resolver)
    for n, code in enumerate(codes, 1):
        with open_(s).xclient(f"ADDR=192.0.2.{n}") as c:
            c.say("EHLO client.test")
            assert c.cmd("MAIL FROM:<you@example.net>")[0] == code, n


def test_the_name_at_the_door(ask, resolver):
    s = ask('filter "f" phase connect match !fcrdns disconnect "550 5.7.25 Your name is not yours"', resolver)
    for n, answer in ((1, (220, "mx.test")), (2, (550, "5.7.25")), (3, (550, "5.7.25")), (4, (421, "4.4.3"))):
        with open_(s) as c:
            assert status_of(c.cmd(f"XCLIENT ADDR=192.0.2.{n}")) == answer, n


def test_only_a_confirmed_name_is_written(ask, resolver):
    s = ask('filter "f" phase connect match rdns {{ "nobody.test" }} reject "550 No"', resolver)
    for n, name in ((1, "mail.good.example"), (2, "unknown"), (3, "unknown")):
        with open_(s).xclient(f"ADDR=192.0.2.{n}") as c:
            assert f"({name} [192.0.2.{n}])" in received(s, c)


# -- trouble ----------------------------------------------------------------------------

def test_each_decision_is_logged(ask):
    s = ask('filter "f" phase mail-from match mail-from {{ "log@example.net" }} reject "550 No"')
    with ehlo(s) as c:
        assert c.cmd("MAIL FROM:<log@example.net>")[0] == 550
    line = s.wait_log("event=filtered")
    assert re.search(r"filter=f phase=mail-from decision=reject client=127\.0\.0\.1", line), line
