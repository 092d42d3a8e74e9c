# SPDX-License-Identifier: ISC
"""SRS: the sender of what is forwarded is an address of ours, and a report to that reaches the sender."""
import os
import re
import signal
import smtplib
import socket

import homes
import memory
import pytest
from peer import Keep, Peer
from postern import wait_for

NAMES = ("ann", "bob")

MORE = """
srs key "a secret of the test"
table aliases {{ "away" = "ann@elsewhere.test", "list" = "ann@elsewhere.test, bob" }}
table users {{ "info@v.test" = "ann@elsewhere.test" }}
action "home" maildir userbase <people> alias <aliases>
action "virtual" maildir userbase <people> virtual <users>
action "out" relay host "smtp://127.0.0.1:{port}" srs
match from any for domain "mx.test" action "home"
match from any for domain "v.test" action "virtual"
match from local for any action "out"
"""


@pytest.fixture
def peer():
    p = Peer(Keep(), enable_SMTPUTF8=True)
    yield p
    p.stop()


def make(make_server, peer, more=MORE):
    return homes.make(make_server, NAMES, more.replace("{port}", str(peer.port)))


@pytest.fixture
def server(make_server, peer):
    return make(make_server, peer)


def received(peer, n=1):
    return wait_for(lambda: len(peer.handler.mail) >= n and peer.handler.mail, f"{n} messages at the peer")[n - 1]


def rewritten(server, peer, sender, to="away@mx.test"):
    n = len(peer.handler.mail)
    server.send(to=to, sender=sender)
    return received(peer, n + 1).mail_from


def rcpt(server, to):
    """What a client that does not come from here is told; it is local all the same, and no relay for it."""
    with server.smtp() as s:
        s.ehlo()
        assert s.docmd("MAIL FROM:<>")[0] == 250
        return s.docmd(f"RCPT TO:<{to}>")


def test_there_and_back(server, peer):
    sender = rewritten(server, peer, "You@Example.net")
    assert re.fullmatch(r"SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=example\.net=You@mx\.test", sender)
    server.wait_log(r"event=sender-rewritten .*from=You@example.net to=\"?SRS0=")
    for to in (sender, sender.lower(), sender.replace("SRS0=", "SRS0+")):
        n = len(peer.handler.mail)
        server.send(to=to, sender="", body="Subject: it bounced\r\n\r\nx\r\n")
        back = received(peer, n + 1)
        assert back.mail_from == "<>"
        assert back.rcpt_tos[0].lower() == "you@example.net"
    assert back.rcpt_tos == ["You@example.net"]


@pytest.mark.parametrize("local", ["/G=You/@", "|you@", '"a, bob"@', '"bob"@', "#you@", '"/you, |x"@'])
def test_back_to_an_odd_address(server, peer, local):
    """What would be a file, a command or a list in an alias is a name like others here."""
    sender = rewritten(server, peer, local + "example.net")
    server.send(to=sender, sender="", body="Subject: it bounced\r\n\r\nx\r\n")
    assert received(peer, 2).rcpt_tos == [local.replace('"bob"', "bob") + "example.net"]


FAR = """
table aliases {{ "ann" = "bob, |/bin/false" }}
action "far" maildir userbase <people> alias <aliases>
action "back" relay host "smtp://127.0.0.1:{near}"
match from any for domain "elsewhere.test" action "far"
match from local for domain "mx.test" action "back"
"""


def test_report_of_another_server(make_server, peer):
    """It goes to where SPF said the mail was from, here, and from here to the sender."""
    far = homes.make(make_server, NAMES, "", start=False)
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    near = make(make_server, peer, """match from local for domain "elsewhere.test" action "far"
        action "far" relay host "smtp://127.0.0.1:%d" srs""" % port + MORE)
    far.write_conf(homes.conf(NAMES, FAR.replace("{near}", str(near.port))).replace("port 0", f"port {port}"))
    far.start()
    near.send(to="away@mx.test", sender="you@example.net")
    homes.wait_counts(far, bob=1)
    assert homes.mail(far, "bob")[0].startswith(b"Return-Path: <SRS0=")
    back = received(peer)
    assert back.mail_from == "<>" and back.rcpt_tos == ["you@example.net"]
    assert b"commands are not allowed here" in back.content
    homes.drained(near)
    homes.drained(far)
    assert len(peer.handler.mail) == 1


def test_by_the_domain_it_came_through(server, peer):
    sender = rewritten(server, peer, "you@example.net", to="info@v.test")
    assert sender.endswith("=example.net=you@v.test")
    assert rcpt(server, sender)[0] == 250


def test_forward_file(server, peer):
    homes.forward(server, "ann", "ann@elsewhere.test\n")
    assert rewritten(server, peer, "you@example.net", to="ann@mx.test").startswith("SRS0=")


def test_second_forwarder(server, peer):
    sender = rewritten(server, peer, "SRS0=XYZ=TT=example.net=you@first.test")
    assert re.fullmatch(r"SRS1=[A-Z2-7]{6}=first\.test==XYZ=TT=example\.net=you@mx\.test", sender)
    server.send(to=sender, sender="")
    assert received(peer, 2).rcpt_tos == ["SRS0=XYZ=TT=example.net=you@first.test"]


@pytest.mark.parametrize("sender", [
    "",                                         # the null sender stays it
    "bob@mx.test",                              # one of ours has nothing to fear
    "a-very-long-local-part-of-a-sender-that-is@a-very-long-name.example.net",
])
def test_what_stays(server, peer, sender):
    assert rewritten(server, peer, sender).strip("<>") == sender


def test_not_forwarded(server, peer):
    """Mail that goes where its sender said is no forwarded mail."""
    server.send(to="ann@elsewhere.test", sender="you@example.net")
    assert received(peer).mail_from == "you@example.net"


def test_local_copy_keeps_its_sender(server, peer):
    assert rewritten(server, peer, "you@example.net", to="list@mx.test").startswith("SRS0=")
    homes.wait_counts(server, bob=1)
    assert homes.mail(server, "bob")[0].startswith(b"Return-Path: <you@example.net>")


def test_action_without_srs(make_server, peer):
    server = make(make_server, peer, MORE.replace(" srs\n", "\n"))
    assert rewritten(server, peer, "you@example.net") == "you@example.net"


def test_forged(server):
    for local in ("SRS0=AAAAAA=AA=example.net=you", "SRS1=AAAAAA=first.test==X=TT=example.net=you", "SRS0=", "SRS0=x"):
        code, text = rcpt(server, f"{local}@mx.test")
        assert code == 550 and text.startswith(b"5.1.1"), local


def test_forged_by_one_digit(server, peer):
    sender = rewritten(server, peer, "you@example.net")
    for at in range(len("SRS0="), sender.index("@")):
        other = "B" if sender[at] != "B" else "C"
        with server.smtp() as s:
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                s.sendmail("you@example.net", sender[:at] + other + sender[at + 1:], "x")


def test_key_is_changed(make_server, peer):
    """What the old key made is good for as long as that is named as the backup."""
    server = make(make_server, peer)
    sender = rewritten(server, peer, "you@example.net")
    text = homes.conf(NAMES, MORE.replace("{port}", str(peer.port)))
    new = text.replace('srs key "a secret of the test"', 'srs key "another"\nsrs key backup "a secret of the test"')
    for conf, code in ((new, 250), (new.replace('srs key backup "a secret of the test"', ""), 550)):
        mark = len(server.log)
        server.write_conf(conf)
        server.process.send_signal(signal.SIGHUP)
        server.wait_log(r"event=reloaded", after=mark)
        # What was found out before the reload is remembered for a while, of other addresses not.
        wait_for(lambda: rcpt(server, sender.replace("SRS0=", "SRS0+" if code == 250 else "SRS0-"))[0] == code,
                 f"{code} for what the old key made")


@pytest.mark.root
def test_key_is_in_the_vault(server, peer):
    """And with the parent, who keeps smtpd.conf for a vault that is started anew; nobody that faces the network."""
    sender = rewritten(server, peer, "you@example.net")
    server.send(to=sender, sender="")
    received(peer, 2)
    needles = {"key": b"a secret of the test"}
    pids = {"parent": server.process.pid, **server.pids()}
    assert [name for name, pid in pids.items() if memory.found(pid, needles)] == ["parent", "vault/0"]


def test_vault_is_away(server, peer):
    """It waits, rather than to be refused by who looks at SPF; and goes out when the vault is back."""
    stopped = server.pids()["vault/0"]
    os.kill(stopped, signal.SIGSTOP)
    try:
        server.send(to="away@mx.test", sender="you@example.net")
        server.wait_log("event=accepted")
        assert peer.handler.mail == []
    finally:
        os.kill(stopped, signal.SIGKILL)
    assert received(peer).mail_from.startswith("SRS0=")
