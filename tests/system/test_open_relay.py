# SPDX-License-Identifier: ISC
"""Never an open relay: what strangers try, from a network that is not ours, and that nothing of it gets through.

Each trick is a row: what is said, and the answer.  `us` is example.org on mx.test
(192.0.2.1), `them` is far.example, of which the server knows only that a smarthost
takes mail for it from local clients.  Rows called nmap-N are the 16 pairs of Nmap's
script smtp-open-relay.
"""
import os
import re
import socket
from typing import NamedTuple

import pytest

from fetched import or_skip
from network import Network
from peer import Keep, Peer
from postern import PATIENCE, Raw, Server, wait_for

pytestmark = pytest.mark.root

CONF = """
hostname "mx.test"
queue directory "{dir}/spool"
control socket "{dir}/smtpd.sock"
table users {{ "demo@example.org" = "vmail", "postmaster@example.org" = "vmail", "postmaster@mx.test" = "vmail" }}
table owners {{ "vmail" = "{vmail}:{vmail}:{dir}/mail" }}
listen on 192.0.2.1 port 0
listen on 127.0.0.1 port 0
action "in" maildir "{dir}/mail/%{{dest.domain}}/%{{dest.user}}" virtual <users> userbase <owners>
action "out" relay host "smtp://192.0.2.254:{sink}"
match from any for domain "example.org" action "in"
match from any for rcpt-to "postmaster@mx.test" action "in"
match from local for any action "out"
"""

RELAY = r"550 5\.7\.1 "         # not ours, and you are not one of us
UNKNOWN = r"550 5\.1\.1 "       # ours, and nobody's: the whole local part was taken literally
SYNTAX = r"501 5\."
OURS = r"250 2\.1\.5 "          # a mailbox here, and that is where it goes
STRANGER = "x@stranger.example"
AT_US = "<a@[192.0.2.1]>"


class Trick(NamedTuple):
    name: str
    rcpt: str
    answer: str
    sender: str = f"<{STRANGER}>"
    hello: str = "EHLO stranger.example"
    before: tuple = ()              # lines after that, each of which is refused


TRICKS = (
    Trick("plain", "<u@far.example>", RELAY),
    Trick("null-sender", "<u@far.example>", RELAY, "<>"),
    Trick("sender-is-ours", "<u@far.example>", RELAY, "<demo@example.org>"),
    Trick("sender-is-postmaster", "<u@far.example>", RELAY, "<postmaster@example.org>"),
    Trick("sender-at-host-name", "<u@far.example>", RELAY, "<root@mx.test>"),
    Trick("sender-at-localhost", "<u@far.example>", RELAY, "<root@localhost>"),
    Trick("sender-at-loopback", "<u@far.example>", RELAY, "<root@[127.0.0.1]>"),
    Trick("sender-at-loopback6", "<u@far.example>", RELAY, "<root@[IPv6:::1]>"),
    Trick("sender-at-our-address", "<u@far.example>", RELAY, "<root@[192.0.2.1]>"),
    Trick("sender-is-recipient", "<u@far.example>", RELAY, "<u@far.example>"),
    Trick("hello-is-ours", "<u@far.example>", RELAY, hello="EHLO mx.test"),
    Trick("hello-is-our-domain", "<u@far.example>", RELAY, hello="EHLO example.org"),
    Trick("hello-is-localhost", "<u@far.example>", RELAY, "<root@localhost>", "EHLO localhost"),
    Trick("hello-is-loopback", "<u@far.example>", RELAY, hello="EHLO [127.0.0.1]"),
    Trick("old-hello-is-ours", "<u@far.example>", RELAY, "<root@mx.test>", "HELO mx.test"),
    Trick("says-it-logged-in", "<u@far.example>", RELAY + "|555 5", f"<{STRANGER}> AUTH=demo@example.org"),
    Trick("says-it-is-another", "<u@far.example>", RELAY,
          before=("XCLIENT NAME=localhost ADDR=127.0.0.1", "XCLIENT LOGIN=demo@example.org")),
    Trick("says-it-is-a-proxy", "<u@far.example>", RELAY, before=("PROXY TCP4 127.0.0.1 127.0.0.1 4444 25",)),
    Trick("percent", "<u%far.example@example.org>", UNKNOWN),
    Trick("percent-at-host-name", "<u%far.example@mx.test>", RELAY),
    Trick("percent-at-our-address", "<u%far.example@[192.0.2.1]>", RELAY),
    Trick("percent-at-loopback", "<u%far.example@[127.0.0.1]>", RELAY),
    Trick("percent-at-loopback6", "<u%far.example@[IPv6:::1]>", RELAY),
    Trick("percent-at-localhost", "<u%far.example@localhost>", RELAY),
    Trick("percent-alone", "<u%far.example>", SYNTAX),
    Trick("percent-twice", "<u%far.example%mx.test@example.org>", UNKNOWN),
    Trick("percent-encoded-at", "<u%40far.example@example.org>", UNKNOWN),
    Trick("percent-quoted", "<\"u%far.example\"@example.org>", UNKNOWN),
    Trick("bang", "<far.example!u@example.org>", UNKNOWN),
    Trick("bang-at-host-name", "<far.example!u@mx.test>", RELAY),
    Trick("bang-alone", "<far.example!u>", SYNTAX),
    Trick("bang-path", "<example.org!far.example!u@example.org>", UNKNOWN),
    Trick("bang-to-them", "<example.org!u@far.example>", RELAY),
    Trick("bang-and-percent", "<far.example!u%example.org@far.example>", RELAY),
    Trick("quoted-at", "<\"u@far.example\"@example.org>", UNKNOWN),
    Trick("quoted-at-alone", "<\"u@far.example\">", SYNTAX),
    Trick("quoted-pair-at", "<\"u\\@far.example\"@example.org>", UNKNOWN),
    Trick("quoted-pair-bare", "<u\\@far.example@example.org>", SYNTAX),
    Trick("quoted-ours-at-them", "<\"demo@example.org\"@far.example>", RELAY),
    Trick("quoted-bracket", "<\"u@far.example>\"@example.org>", UNKNOWN),
    Trick("quoted-command", "<\"demo> <u@far.example\"@example.org>", UNKNOWN),
    Trick("quoted-user", "<\"demo\"@example.org>", OURS),
    Trick("quoted-pair-user", "<\"de\\mo\"@example.org>", OURS),
    Trick("two-ats", "<u@far.example@example.org>", SYNTAX),
    Trick("two-ats-ours-first", "<demo@example.org@far.example>", SYNTAX),
    Trick("two-ats-host-name", "<u@far.example@mx.test>", SYNTAX),
    Trick("route-to-them", "<@example.org:u@far.example>", RELAY),
    Trick("route-of-two", "<@example.org,@mx.test:u@far.example>", RELAY),
    Trick("route-by-address", "<@[192.0.2.1]:u@far.example>", SYNTAX),  # RFC 5321 4.1.2: a hop is a domain
    Trick("route-by-them-to-us", "<@far.example:demo@example.org>", OURS),
    Trick("route-and-percent", "<@example.org:u%far.example@example.org>", UNKNOWN),
    Trick("route-without-colon", "<@example.org,u@far.example>", SYNTAX),
    Trick("route-without-mailbox", "<@example.org:>", SYNTAX),
    Trick("route-in-route", "<@example.org:@mx.test:u@far.example>", SYNTAX),
    Trick("literal-of-ours", "<demo@[192.0.2.1]>", RELAY),
    Trick("literal-of-loopback", "<demo@[127.0.0.1]>", RELAY),
    Trick("literal-of-them", "<u@[192.0.2.254]>", RELAY),
    Trick("literal-of-them6", "<u@[IPv6:2001:db8::254]>", RELAY),
    Trick("literal-mapped", "<u@[IPv6:::ffff:192.0.2.254]>", RELAY),
    Trick("literal-decimal", "<u@[3221226238]>", SYNTAX),
    Trick("address-without-brackets", "<u@192.0.2.254>", RELAY),
    Trick("dot-at-end", "<u@far.example.>", SYNTAX),
    Trick("dot-at-end-of-ours", "<demo@example.org.>", SYNTAX),
    Trick("dot-before-ours", "<u@.example.org>", SYNTAX),
    Trick("domain-of-dots", "<u@far.example..example.org>", SYNTAX),
    Trick("below-ours", "<u@far.example.example.org>", RELAY),
    Trick("ours-below-them", "<u@example.org.far.example>", RELAY),
    Trick("ends-like-ours", "<u@notexample.org>", RELAY),
    Trick("underscore", "<u@far_example.example.org>", r"5\d\d 5\."),
    Trick("upper-case", "<U@FAR.EXAMPLE>", RELAY),
    Trick("upper-case-ours", "<DEMO@EXAMPLE.ORG>", OURS),
    Trick("tag", "<demo+u=far.example@example.org>", OURS),
    Trick("tag-quoted-at", "<\"demo+u@far.example\"@example.org>", OURS),
    Trick("tag-unknown", "<u+demo@example.org>", UNKNOWN),
    Trick("look-alike", "<u@ex\u0430mple.org>", r"5\d\d 5\."),          # Cyrillic
    Trick("look-alike-wide", "<u@\uff45xample.org>", r"5\d\d 5\."),     # full-width
    Trick("look-alike-dot", "<u@far.example\u3002example.org>", r"5\d\d 5\."),
    Trick("look-alike-at", "<u\uff20far.example@example.org>", r"5\d\d 5\."),
    Trick("look-alike-declared", "<u@ex\u0430mple.org>", r"5\d\d 5\.", f"<{STRANGER}> SMTPUTF8"),
    Trick("look-alike-wide-declared", "<u@\uff45xample.org>", r"5\d\d 5\.", f"<{STRANGER}> SMTPUTF8"),
    Trick("look-alike-dot-declared", "<u@far.example\u3002example.org>", r"5\d\d 5\.", f"<{STRANGER}> SMTPUTF8"),
    Trick("look-alike-at-declared", "<u\uff20far.example@example.org>", r"5\d\d 5\.", f"<{STRANGER}> SMTPUTF8"),
    Trick("look-alike-punycode", "<u@xn--exmple-4nf.org>", RELAY),
    Trick("soft-hyphen", "<u@exam\u00adple.org>", r"5\d\d 5\."),
    Trick("not-utf8", "<u@far.example\udcff@example.org>", r"5\d\d 5\."),
    Trick("space-before", " <u@far.example>", RELAY + "|" + SYNTAX),
    Trick("tab-within", "<u@far.example\t@example.org>", SYNTAX),
    Trick("space-within", "<u@far.example @example.org>", SYNTAX),
    Trick("space-of-two", "<demo@example.org> <u@far.example>", r"5\d\d 5\."),
    Trick("comma-of-two", "<demo@example.org,u@far.example>", SYNTAX),
    Trick("brackets-of-two", "<demo@example.org><u@far.example>", SYNTAX),
    Trick("brackets-nested", "<<u@far.example>@example.org>", SYNTAX),
    Trick("brackets-none", "u@far.example", SYNTAX),
    Trick("comment", "<u@far.example(@example.org)>", SYNTAX),
    Trick("comment-before", "<u(@example.org)@far.example>", SYNTAX),
    Trick("encoded-word", "<=?us-ascii?q?u=40far.example?=@example.org>", UNKNOWN),
    Trick("colon-list", "<demo:u@far.example;@example.org>", SYNTAX),
    Trick("pipe", "<|u@far.example@example.org>", SYNTAX),
    Trick("x400", "</G=u/ADMD=far.example/@example.org>", UNKNOWN),
    Trick("equals", "<u=far.example@example.org>", UNKNOWN),
    Trick("srs", "<SRS0=x=y=far.example=u@example.org>", UNKNOWN),
    Trick("prvs", "<prvs=0123=u/far.example@example.org>", UNKNOWN),
    Trick("postmaster-alone", "<postmaster>", OURS),
    Trick("postmaster-at-them", "<postmaster@far.example>", RELAY),
    Trick("user-alone", "<u>", SYNTAX),
    Trick("nobody", "<>", SYNTAX),
    Trick("nobody-at-them", "<@far.example>", SYNTAX),
    Trick("long-local-part", f"<{'u' * 65}%far.example@example.org>", SYNTAX),
    Trick("long-domain", f"<u@{'far.' * 64}example>", SYNTAX),
    Trick("long-label", f"<u@{'f' * 64}.example.org>", SYNTAX),
    Trick("parameter", "<demo@example.org> TO=<u@far.example>", r"555 5\.5\.4 "),
    # RFC 3461 4.2: what it once was is only a remark.
    Trick("original-recipient", "<demo@example.org> ORCPT=rfc822;u@far.example", OURS + "|555 5"),
    Trick("nmap-1", "<u@far.example>", RELAY, "<>"),
    Trick("nmap-2", "<u@far.example>", RELAY, "<a@far.example>"),
    Trick("nmap-3", "<u@far.example>", RELAY, "<a@mx.test>"),
    Trick("nmap-4", "<u@far.example>", RELAY, AT_US),
    Trick("nmap-5", "<u%far.example@[192.0.2.1]>", RELAY, AT_US),
    Trick("nmap-6", "<u%far.example@mx.test>", RELAY, AT_US),
    Trick("nmap-7", "<\"u@far.example\">", SYNTAX, AT_US),
    Trick("nmap-8", "<\"u%far.example\">", SYNTAX, AT_US),
    Trick("nmap-9", "<u@far.example@[192.0.2.1]>", SYNTAX, AT_US),
    Trick("nmap-10", "<\"u@far.example\"@[192.0.2.1]>", RELAY, AT_US),
    Trick("nmap-11", "<u@far.example@mx.test>", SYNTAX, AT_US),
    Trick("nmap-12", "<@[192.0.2.1]:u@far.example>", SYNTAX, AT_US),
    Trick("nmap-13", "<@mx.test:u@far.example>", RELAY, AT_US),
    Trick("nmap-14", "<far.example!u>", SYNTAX, AT_US),
    Trick("nmap-15", "<far.example!u@[192.0.2.1]>", RELAY, AT_US),
    Trick("nmap-16", "<far.example!u@mx.test>", RELAY, AT_US),
)


class Sink(Keep):
    """The smarthost."""
    greeted = 0

    async def handle_EHLO(self, _server, session, _envelope, hostname, responses):
        self.greeted += 1
        session.host_name = hostname
        return responses


class World:
    """The server in one network, the strangers and the smarthost in another, a cable between."""

    def __init__(self):
        self.near, self.far = Network(), Network()
        # Each stranger has an address of its own: none is shut out for what another did.
        self.near.join(self.far, ["192.0.2.1/24"], [f"192.0.2.{n}/24" for n in range(2, 255)])
        self.strangers = iter(range(2, 254))
        with self.far.inside():
            self.sink = Peer(Sink(), host="192.0.2.254")
        self.server = Server()
        self.server.write_conf(CONF, sink=self.sink.port)
        with self.near.inside():
            self.server.start()

    def close(self):
        self.server.cleanup()
        self.sink.stop()
        self.near.close()
        self.far.close()

    def stranger(self):
        source = (f"192.0.2.{next(self.strangers)}", 0)
        with self.far.inside():
            return Client(socket.create_connection(("192.0.2.1", self.server.ports[0]), PATIENCE, source))

    def local(self):
        with self.near.inside():
            return Client(socket.create_connection(("127.0.0.1", self.server.ports[1]), PATIENCE))

    def settle(self):
        """Waits until nothing is owed to anybody any more."""
        wait_for(lambda: "empty" in self.server.ctl("show", "queue").stdout, "an empty queue")

    def mailboxes(self, subject):
        """The folders that a message with that subject lies in, of all there are."""
        top, found = self.server.path("mail"), []
        for folder, _, files in os.walk(top):
            for name in files:
                with open(os.path.join(folder, name), "rb") as f:
                    if f"Subject: {subject}\n".encode() in f.read():
                        found.append(os.path.relpath(folder, top))
        return found


class Client(Raw):
    """Says lines, whatever octets they have, and gives back the answers with their codes."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""
        assert self.reply()[0] == 220

    def say(self, line):
        self.send((line + "\r\n").encode("utf-8", "surrogateescape"))
        return "%d %s" % self.reply()

    def transaction(self, sender, rcpt, subject):
        """The answer that decided about the recipient, and whether a message was taken."""
        decided = self.say(f"MAIL FROM:{sender}")
        if decided.startswith("250 "):
            decided = self.say(f"RCPT TO:{rcpt}")
        if not self.say("DATA").startswith("354 "):
            return decided, False
        return decided, self.say(f"Subject: {subject}\r\n\r\nx\r\n.").startswith("250 ")


@pytest.fixture(scope="module")
def world():
    w = or_skip(World)
    yield w
    w.close()


@pytest.mark.parametrize("trick", TRICKS, ids=lambda t: t.name)
def test_trick(world, trick):
    with world.stranger() as c:
        assert c.say(trick.hello).startswith("250 ")
        for line in trick.before:
            assert c.say(line).startswith("5")
        decided, taken = c.transaction(trick.sender, trick.rcpt, trick.name)
    world.settle()
    assert (world.sink.handler.greeted, world.sink.handler.mail) == (0, [])
    assert re.match(trick.answer, decided), decided
    assert taken == decided.startswith("250 ")
    assert len(world.mailboxes(trick.name)) == taken


def test_among_ours(world):
    """A recipient of ours opens no door for the next one, nor a transaction for the next one."""
    with world.stranger() as c:
        c.say("EHLO stranger.example")
        c.say(f"MAIL FROM:<{STRANGER}>")
        assert re.match(OURS, c.say("RCPT TO:<demo@example.org>"))
        assert re.match(RELAY, c.say("RCPT TO:<u@far.example>"))
        assert c.say("DATA").startswith("354 ")
        assert c.say("To: u@far.example\r\nBcc: u@far.example\r\nSubject: among ours\r\n\r\nx\r\n.").startswith("250 ")
        decided, taken = c.transaction("<>", "<u@far.example>", "after ours")
        assert re.match(RELAY, decided) and not taken
    world.settle()
    assert (world.sink.handler.greeted, world.sink.handler.mail) == (0, [])
    assert world.mailboxes("among ours") == ["example.org/demo/new"]


def test_who_is_local_may_relay():
    """The smarthost is there and would have taken it all: only strangers have no way to it."""
    w = or_skip(World)
    try:
        with w.local() as c:
            c.say("EHLO client.test")
            decided, taken = c.transaction(f"<{STRANGER}>", "<u@far.example>", "local")
        assert re.match(OURS, decided) and taken
        w.settle()
        (envelope,) = w.sink.handler.mail
        assert envelope.rcpt_tos == ["u@far.example"] and w.sink.handler.greeted == 1
    finally:
        w.close()
