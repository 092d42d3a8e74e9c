# SPDX-License-Identifier: ISC
"""A real Postfix as the MX of many domains: in plain and with TLS of every kind, greylisting, a tarpit; each octet arrives."""
import os
import re
import socketserver
import threading

import nameserver
import pytest
import tls
import zones
from fetched import or_skip
from network import Network
from postern import PATIENCE, Server, wait_for
from postfix_mx import PostfixMx, Service

pytestmark = pytest.mark.root

TARPIT_S = 2
ROWS = ("plain", "good", "other", "expired", "self", "grey", "tarpit", "small", "strict")
CERTIFICATES = {
    "good": tls.Row(names="DNS:mx.good.far.example"),
    "other": tls.Row(names="DNS:elsewhere.example"),
    "expired": tls.Row(names="DNS:mx.expired.far.example", start="20200101000000Z", end="20210101000000Z"),
    "self": tls.Row(names="DNS:mx.self.far.example", ca="strangers"),
}
CONF = Server.CONF + """
action "out" relay
match from local for any action "out"
resolver forward 127.0.0.1
trust anchor "{anchor}"
trust ca "{dir}/ca.crt"
queue retry-min 1h
"""
ZONE = "$TTL 60\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n" + "".join(
    f"{name} MX 10 mx.{name}\nmx.{name} A 127.0.0.{i + 2}\n" for i, name in enumerate(ROWS))


class Greylist(socketserver.ThreadingTCPServer):
    """A policy server for Postfix: who comes for the first time is to come again."""
    allow_reuse_address = daemon_threads = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            asked = {}
            for line in self.rfile:
                name, _, value = line.decode().strip().partition("=")
                asked[name] = value
                if name:
                    continue
                who = asked["sender"], asked["recipient"]
                known = who in self.server.known
                self.server.known.add(who)
                answer = "DUNNO" if known else "DEFER_IF_PERMIT Greylisted, try again in 2 minutes"
                self.wfile.write(f"action={answer}\n\n".encode())
                asked = {}

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.known = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()


def services(grey):
    made = {n: tls.Certificate(f"mx-{n}", row) for n, row in CERTIFICATES.items()}
    found = {f"127.0.0.{i + 2}": Service(made.get(name)) for i, name in enumerate(ROWS)}
    at = dict(zip(ROWS, found.values()))
    at["grey"].settings = {"smtpd_recipient_restrictions":
                           f"check_policy_service inet:127.0.0.1:{grey.server_address[1]}, permit"}
    at["tarpit"].settings = {"smtpd_helo_restrictions": f"sleep {TARPIT_S}, permit", "smtpd_delay_reject": "no",
                             "smtpd_sender_restrictions": f"sleep {TARPIT_S}, permit"}
    at["small"].settings = {"message_size_limit": "20000"}
    at["strict"].settings = {"smtpd_discard_ehlo_keywords": "pipelining, chunking, 8bitmime, smtputf8, dsn, size",
                             "strict_rfc821_envelopes": "yes"}
    return found, made["good"].authority


class World:
    def __init__(self, server, postfix):
        self.server, self.postfix = server, postfix

    def send(self, name, body="Subject: x\r\n\r\nx\r\n", who="you", options=()):
        before = len(self.server.log)
        with self.server.smtp() as s:
            s.sendmail("me@example.net", f"{who}@{name}.far.example", body, mail_options=options)
        return before

    def line(self, name, who="you", after=0):
        return self.server.wait_log(
            rf"event=(delivered|deferred|failed) .*to={who}@{re.escape(name)}\.far\.example ", after=after)

    def outcome(self, name, **more):
        who = more.get("who", "you")
        return self.line(name, who, self.send(name, **more))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    server, key = Server(), zones.Key("elsewhere.example")
    network = or_skip(Network)
    os.mkdir(server.path("postfix"))
    with network.inside():
        grey = Greylist()
        rows, authority = services(grey)
    postfix = or_skip(PostfixMx, server.path("postfix"), rows)
    with network.inside():
        or_skip(postfix.start)
        server.write_conf(CONF, anchor=key.ds)
        with open(authority, "rb") as f, open(server.path("ca.crt"), "wb") as out:
            out.write(f.read())
        try:
            with nameserver.serving(tmp_path_factory.mktemp("nsd"), {"far.example": ZONE}, 53):
                server.start()
                yield World(server, postfix)
        finally:
            server.cleanup()
            postfix.stop()
            grey.shutdown()
    network.close()


@pytest.mark.parametrize("name, level, why", [
    ("plain", "plain", "it is not offered"), ("good", "verified", ""),
    ("other", "encrypted", "the certificate is for elsewhere.example, not mx.other.far.example"),
    ("expired", "encrypted", "certificate has expired"), ("self", "encrypted", "by an authority that is not known")])
def test_whatever_there_is(world, name, level, why):
    line = world.outcome(name)
    assert "event=delivered" in line and f"relay=mx.{name}.far.example[" in line
    attempt = world.server.wait_log(rf"event=tls-out .*dest={name}\.far\.example")
    assert f"level={level}" in attempt and why in attempt
    assert (b"using TLSv1.3" in world.postfix.held(f"you@{name}.far.example")[0]) == (level != "plain")


def test_greylisting(world):
    """It says when to come again, and is believed."""
    line = world.outcome("grey")
    assert "event=deferred" in line and "status=4." in line and "Greylisted" in line
    assert not world.postfix.held("you@grey.far.example")
    after = len(world.server.log)
    world.server.ctl("schedule", "all")
    assert "event=delivered" in world.line("grey", after=after)
    assert len(world.postfix.held("you@grey.far.example")) == 1


def test_tarpit_does_not_hold_up_others(world):
    before = world.send("tarpit", who="slow")
    for i in range(3):
        assert "event=delivered" in world.outcome("plain", who=f"quick{i}")
    quick = len(world.server.log)
    assert "event=delivered" in world.line("tarpit", "slow", before)
    slow = next(i for i, x in enumerate(world.server.log) if "to=slow@" in x and "event=delivered" in x)
    assert slow >= quick - 1


def test_what_is_too_big(world):
    """It says so at MAIL already: the message does not travel in vain."""
    line = world.outcome("small", body="Subject: big\r\n\r\n" + "0123456789abcdef\r\n" * 2000)
    assert "event=failed" in line and "status=5.3.4" in line


# All that Postfix would add.
HEAD = "From: me@example.net\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-Id: <1@example.net>\r\n"
BODIES = {
    "dots": "\r\n".join([".", "..", ".x", "x.", "", "."]) + "\r\n",
    "long-lines": "".join("y" * n + "\r\n" for n in (1, 78, 500, 997, 998)),
    "eightbit": "äöü €\r\n" * 300,
    "large": "".join(f"{i:06} the quick brown fox\r\n" for i in range(40000)),
    "no-text": "",
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("host", ["plain", "good", "strict"])
def test_each_octet(world, name, host):
    """With CHUNKING and PIPELINING, in plain and under TLS, and to who has none of it."""
    who, body = f"octets-{name}", BODIES[name]
    eightbit = name == "eightbit"
    text = f"{HEAD}Subject: {name}\r\nX-Last: header\r\n\r\n{body}".encode()
    line = world.outcome(host, body=text, who=who, options=["BODY=8BITMIME"] if eightbit else [])
    if eightbit and host == "strict":
        # It can't take that, and what it can't take is neither sent all the same nor dropped.
        assert "event=failed" in line and "status=5.6.3" in line, line
        return
    assert "event=delivered" in line, line
    got = wait_for(lambda: world.postfix.held(f"{who}@{host}.far.example"), "the message", PATIENCE)
    assert len(got) == 1
    assert got[0].split(b"X-Last: header\n", 1)[1] == b"\n" + body.encode().replace(b"\r\n", b"\n")


def test_utf8_addresses(world):
    """SMTPUTF8 to who has it, and not to who has not."""
    for host, good in (("good", True), ("strict", False)):
        before = len(world.server.log)
        with world.server.smtp() as s:
            s.ehlo()
            for command in ("MAIL FROM:<me@example.net> SMTPUTF8 BODY=8BITMIME", f"RCPT TO:<дима@{host}.far.example>"):
                code, text = s.docmd(command.encode().decode("latin-1")) if command.isascii() else raw(s, command)
                assert code == 250, (command, text)
            assert s.data("Subject: ü\r\n\r\nx\r\n".encode())[0] == 250
        line = world.server.wait_log(rf"event=(delivered|deferred|failed) .*@{host}\.far\.example", after=before)
        assert ("event=delivered" in line) == good, line
        assert good or "status=5.6.7" in line


def raw(s, command):
    """A command in UTF-8, which smtplib alone would refuse."""
    s.send(command.encode() + b"\r\n")
    return s.getreply()


def test_many_to_one_domain(world):
    """One message for forty is one transaction; forty messages are a few connections."""
    with world.server.smtp() as s:
        s.sendmail("me@example.net", [f"many{i}@plain.far.example" for i in range(40)], "Subject: many\r\n\r\nx\r\n")
    for i in range(40):
        assert "event=delivered" in world.line("plain", f"many{i}")
    assert len(world.postfix.held("many7@plain.far.example")) == 1
    assert world.postfix.held("many7@plain.far.example") == world.postfix.held("many39@plain.far.example")
