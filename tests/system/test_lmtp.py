# SPDX-License-Identifier: ISC
"""LMTP (RFC 2033), over TCP and over a Unix socket: LHLO alone, and an answer for each recipient."""
import os
import re
import stat as modes

import pytest

from postern import ROOT, Server, wait_for
from talk import Client, data, envelope, offered, status_of

CONF = """
filter "tired" phase data match mail-from {{ "tired@example.net" }} reject "450 4.3.2 Later"
filter "late" phase commit match mail-from {{ "late@example.net" }} reject "550 5.7.1 Not this one"
filter "both" chain {{ "tired", "late" }}
listen on 127.0.0.1 port 0 lmtp filter "both"
listen on "{dir}/lmtp.sock" lmtp
smtp max-message-size 64K
smtp error-delay 0
"""


@pytest.fixture(scope="module")
def lmtp():
    """ports[1] is LMTP's."""
    s = Server(extra=CONF).start()
    yield s
    s.cleanup()


@pytest.fixture(params=["tcp", "unix"])
def client(lmtp, request):
    with Client(lmtp.ports[1] if request.param == "tcp" else lmtp.path("lmtp.sock")) as c:
        yield c


def two(c, sender="you@example.net"):
    """Three recipients, of which one is refused."""
    c.say("LHLO client.test", f"MAIL FROM:<{sender}>", "RCPT TO:<demo@example.org>")
    assert c.status("RCPT TO:<nobody@example.org>") == (550, "5.1.1")
    c.say("RCPT TO:<other@example.org>")
    return c


def answers(c, n):
    """n answers and nothing more."""
    got = [status_of(c.reply()) for _ in range(n)]
    assert c.cmd("NOOP")[0] == 250
    return got


def test_the_greeting(lmtp):
    with Client(lmtp.ports[1], greeted=False) as c:
        assert re.fullmatch(r"mx\.test LMTP .*", c.reply()[1])


def test_lhlo_and_nothing_else(client):
    assert client.status("HELO client.test") == (500, "5.5.1")
    assert client.status("EHLO client.test") == (500, "5.5.1")
    assert client.status("MAIL FROM:<you@example.net>") == (503, "5.5.1")
    words = offered(client, "LHLO")
    # RFC 2033 5: these three must be offered.
    assert {"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "CHUNKING", "SIZE"} <= set(words)


def test_lhlo_is_not_for_smtp(lmtp):
    with Client(lmtp.port) as c:
        assert c.status("LHLO client.test") == (500, "5.5.1")


def test_an_answer_for_each_recipient_by_data(lmtp, client):
    before = len(lmtp.maildir())
    two(client).say("DATA")
    client.send("Subject: l\r\n\r\ntwo of us\r\n.\r\n")
    assert answers(client, 2) == [(250, "2.0.0")] * 2
    for user in ("demo", "other"):
        mail = lmtp.wait_mail(before + 1, user=user)[-1].decode()
        assert mail.endswith("Subject: l\n\ntwo of us\n")
        assert re.search(r"^Received: .*with LMTP id", mail, re.S | re.M)


def test_an_answer_for_each_recipient_by_chunks(client):
    """RFC 2033 4.3: only the last chunk is answered for each."""
    two(client)
    assert client.chunk(b"Subject: l\r\n\r\n") == (250, "2.0.0")
    client.bdat(b"x\r\n", last=True)
    assert answers(client, 2) == [(250, "2.0.0")] * 2


def test_one_recipient_one_answer(client):
    client.say("LHLO client.test")
    envelope(client)
    assert data(client, "Subject: l\r\n\r\n")[0] == 250
    assert client.cmd("NOOP")[0] == 250


def test_no_recipient_no_body(client):
    """RFC 2033 4.2: 503, and no 354, when every RCPT failed."""
    client.say("LHLO client.test", "MAIL FROM:<you@example.net>")
    assert client.cmd("RCPT TO:<nobody@example.org>")[0] == 550
    assert client.cmd("DATA")[0] in (503, 554)
    assert client.cmd("NOOP")[0] == 250


@pytest.mark.parametrize("chunks", [False, True], ids=["data", "bdat"])
@pytest.mark.parametrize("text, code", [
    (b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 1000, (552, "5.3.4")),
    (b"Subject: bare\r\n\r\na\nb\r\n", None),
    (b"Received: x\r\n" * 101 + b"\r\n", (554, "5.4.6")),
], ids=["big", "bare-lf", "loop"])
def test_a_refused_body_is_refused_for_each(client, text, code, chunks):
    two(client)
    if chunks:
        client.bdat(text, last=True)
    else:
        client.say("DATA")
        client.send(text + b".\r\n")
    assert answers(client, 2) == [code or ((550, "5.6.0") if chunks else (550, "5.5.2"))] * 2


def test_a_refused_chunk_that_is_not_the_last_has_one_answer(client):
    two(client)
    client.bdat(b"Subject: x\r\n\r\na\nb\r\n")
    assert answers(client, 1) == [(550, "5.6.0")]


def test_the_filters_refuse_for_each(lmtp):
    """Those of the end of the body; those before it refuse DATA itself, which has one answer."""
    with Client(lmtp.ports[1]) as c:
        two(c, "late@example.net").say("DATA")
        c.send("Subject: l\r\n\r\n.\r\n")
        assert answers(c, 2) == [(550, "5.7.1")] * 2
        two(c, "late@example.net")
        c.bdat(b"Subject: l\r\n\r\n", last=True)
        assert answers(c, 2) == [(550, "5.7.1")] * 2
        two(c, "tired@example.net")
        assert c.status("DATA") == (450, "4.3.2")
        assert answers(c, 0) == []


@pytest.mark.parametrize("octets", [b"", b"Subject: l\r\n\r\n"], ids=["empty", "some"])
def test_a_last_chunk_that_the_filters_refuse(lmtp, octets):
    """It is the last chunk: whatever refuses it, each recipient has an answer (RFC 2033 4.3)."""
    with Client(lmtp.ports[1]) as c:
        two(c, "tired@example.net")
        c.bdat(octets, last=True)
        assert answers(c, 2) == [(450, "4.3.2")] * 2


def test_many_recipients_many_answers(make_server):
    s = make_server(extra="""
listen on 127.0.0.1 port 0 lmtp
table many {{ "@many.test" = "vmail" }}
action "many" maildir "{dir}/mail/%{{dest.user}}" virtual <many> userbase <owners>
match from any for domain "many.test" action "many"
""")
    with Client(s.ports[1]) as c:
        c.say("LHLO client.test", "MAIL FROM:<you@example.net>")
        c.send("".join(f"RCPT TO:<u{n}@many.test>\r\n" for n in range(1000)) + "DATA\r\n")
        assert [c.reply()[0] for _ in range(1001)] == [250] * 1000 + [354]
        s.ctl("pause", "delivery")
        c.send("Subject: l\r\n\r\n.\r\n")
        assert answers(c, 1000) == [(250, "2.0.0")] * 1000


def test_a_queue_that_is_away_is_away_for_each(make_server):
    s = make_server(extra="listen on 127.0.0.1 port 0 lmtp\n")
    with Client(s.ports[1]) as c:
        two(c).say("DATA")
        c.send("Subject: l\r\n")
        os.kill(s.pids()["queue/0"], 9)
        c.send("\r\n.\r\n")
        got = answers(c, 2)
        assert got[0] == got[1] and got[0][0] == 451


# -- the socket -------------------------------------------------------------------

def test_the_socket_is_its_owners(lmtp):
    st = os.stat(lmtp.path("lmtp.sock"))
    assert modes.S_ISSOCK(st.st_mode) and st.st_mode & 0o777 == 0o600
    assert st.st_uid == (0 if ROOT else os.getuid())


def test_who_comes_by_the_socket_has_no_address(lmtp):
    with Client(lmtp.path("lmtp.sock")) as c:
        c.say("LHLO client.test")
        envelope(c)
        assert data(c, "Subject: by socket\r\n\r\n")[0] == 250
    mail = wait_for(lambda: [m for m in lmtp.maildir() if b"by socket" in m], "the mail")[0].decode()
    received = re.sub(r"\s+", " ", mail[mail.index("Received:"):])
    assert re.match(r"Received: from client\.test by mx\.test with LMTP id [0-9a-f]{10} for", received), received


def test_the_socket_goes_with_the_server(make_server):
    s = make_server(extra='listen on "{dir}/gone.sock" lmtp\n')
    assert os.path.exists(s.path("gone.sock"))
    s.stop()
    assert not os.path.exists(s.path("gone.sock"))
