# SPDX-License-Identifier: ISC
"""~/.forward: read as the account, followed, refused or waited for, and forgotten when it changes."""
import os

import homes
import pytest
from peer import Keep, Peer
from postern import wait_for

NAMES = ("ann", "bob", "eve")

MORE = """
table aliases {{ "both" = "ann, bob" }}
action "home" maildir userbase <people> alias <aliases>
action "forward" forward-only userbase <people>
action "out" relay host "smtp://127.0.0.1:{port}"
match from any for domain "mx.test" action "home"
match from any for domain "fwd.test" action "forward"
match from local for any action "out"
"""


@pytest.fixture
def peer():
    p = Peer(Keep())
    yield p
    p.stop()


@pytest.fixture
def server(make_server, peer):
    return homes.make(make_server, NAMES, MORE.replace("{port}", str(peer.port)))


def received(peer, n):
    return wait_for(lambda: len(peer.handler.mail) >= n and peer.handler.mail, f"{n} messages at the peer")


@pytest.mark.parametrize("text, wanted", [
    ("bob\n", {"bob": 1}),
    ("bob", {"bob": 1}),
    ("# to bob, and here\r\n\\ann, bob\r\n", {"ann": 1, "bob": 1}),
    ("ann\nbob\neve\n", {"ann": 1, "bob": 1, "eve": 1}),
    ("ann@mx.test, \"bob@mx.test\"", {"ann": 1, "bob": 1}),
    ("", {"ann": 1}),
    ("\n# nobody\n", {"ann": 1}),
    ("both\n", {"ann": 1, "bob": 1}),      # names go through the aliases
])
def test_followed(server, text, wanted):
    homes.forward(server, "ann", text)
    server.send(to="ann+tag@mx.test")
    homes.wait_counts(server, **wanted)
    homes.drained(server)
    homes.wait_counts(server, **wanted)


def test_to_another_host(server, peer):
    homes.forward(server, "ann", "ann@elsewhere.test\n")
    server.send(to="ann@mx.test", sender="you@example.net")
    (envelope,) = received(peer, 1)
    assert envelope.rcpt_tos == ["ann@elsewhere.test"] and envelope.mail_from == "you@example.net"
    assert homes.mail(server, "ann") == []


def test_changed_and_removed(server):
    """The next message goes by what the file says then."""
    homes.forward(server, "ann", "bob\n")
    server.send(to="ann@mx.test")
    homes.wait_counts(server, ann=0, bob=1)
    homes.forward(server, "ann", "eve\n")
    server.send(to="ann@mx.test")
    homes.wait_counts(server, ann=0, bob=1, eve=1)
    os.unlink(server.path("ann", ".forward"))
    server.send(to="ann@mx.test")
    homes.wait_counts(server, ann=1, bob=1, eve=1)


def test_loops_end_in_a_mailbox(server):
    homes.forward(server, "ann", "bob")
    homes.forward(server, "bob", "eve")
    homes.forward(server, "eve", "ann")
    server.send(to="bob@mx.test")
    homes.wait_counts(server, ann=0, bob=1, eve=0)


@pytest.mark.parametrize("text, why", [
    ("\"|exec /usr/bin/vacation ann\"\n", "commands are not allowed here"),
    ("/var/mail/ann\n", "files are not allowed here"),
    (":include:/etc/passwd\n", "lists are not allowed here"),
])
def test_not_allowed(server, text, why):
    """The sender hears of it."""
    homes.forward(server, "ann", text)
    server.send(to="ann@mx.test", sender="bob@mx.test")
    homes.wait_counts(server, ann=0, bob=1)
    assert why in homes.mail(server, "bob")[0].decode()


def test_one_member_waits_alone(server):
    """Whose file isn't safe gets his mail when it is; the others of a list get theirs now."""
    homes.forward(server, "ann", "eve\n")
    os.chmod(server.path("ann", ".forward"), 0o666)
    server.send(to="both@mx.test")
    homes.wait_counts(server, ann=0, bob=1, eve=0)
    server.wait_log(r"event=forward-not-read account=ann why=.*others can write to .forward")
    server.wait_log(r"event=deferred .*to=ann@mx.test .*status=4\.2\.4 .*others can write to .forward")
    os.chmod(server.path("ann", ".forward"), 0o600)
    homes.wait_counts(server, ann=0, bob=1, eve=1)


def test_forward_only(server, peer):
    """Who has a file exists."""
    homes.forward(server, "ann", "ann@elsewhere.test\n")
    with server.smtp() as s:
        s.ehlo()
        assert s.docmd("MAIL FROM:<you@example.net>")[0] == 250
        code, text = s.docmd("RCPT TO:<bob@fwd.test>")
        assert code == 550 and text.startswith(b"5.1.1")
        assert s.docmd("RCPT TO:<ann@fwd.test>")[0] == 250
        assert s.data("Subject: x\r\n\r\nx\r\n")[0] == 250
    (envelope,) = received(peer, 1)
    assert envelope.rcpt_tos == ["ann@elsewhere.test"]


def test_switched_off(make_server, peer):
    server = homes.make(make_server, NAMES, "smtp forward-files no\n" + MORE.replace("{port}", str(peer.port)))
    homes.forward(server, "ann", "bob\n")
    server.send(to="ann@mx.test")
    homes.wait_counts(server, ann=1, bob=0)


def test_nul_octet(server):
    """It is no text: what stands before the octet is not followed either."""
    homes.forward(server, "ann", "bob\n\0eve\n")
    server.send(to="ann@mx.test")
    server.wait_log(r"event=forward-not-read account=ann why=.*NUL octet")
    server.wait_log(r"event=deferred .*to=ann@mx.test .*status=4\.2\.4 .*NUL octet")
    homes.forward(server, "ann", "bob\n")
    homes.wait_counts(server, ann=0, bob=1)


def test_too_large(server):
    homes.forward(server, "ann", "bob\n" + "# " + "x" * (64 << 10))
    server.send(to="ann@mx.test")
    server.wait_log(r"event=deferred .*to=ann@mx.test .*status=4\.2\.4 .*too large")
    homes.forward(server, "ann", "bob\n")
    homes.wait_counts(server, ann=0, bob=1)
