# SPDX-License-Identifier: ISC
"""Submission (RFC 6409): what a message lacks is added, what is private is taken out, and nothing of that on other ports."""
import email
import email.utils
import re
import time

import pytest

from postern import Server
from talk import Client, data, envelope, hello, mailed, offered

CONF = """
listen on 127.0.0.1 port 0 submission xclient {{ 127.0.0.1 }}
listen on 127.0.0.1 port 0 submission mask-src hostname "out.test"
listen on 127.0.0.1 port 0 mask-src
smtp error-delay 0
"""
RELAY, SUBMIT, MASKED, MASKED_RELAY = range(4)


@pytest.fixture(scope="module")
def s():
    server = Server(extra=CONF).start()
    yield server
    server.cleanup()


class Mail:
    """As it was delivered: .text, .header (a list of its lines), .fields."""

    def __init__(self, octets):
        self.text = octets.decode("utf-8", "surrogateescape")
        head, _, self.body = self.text.partition("\n\n")
        self.header = head.split("\n")
        self.fields = email.message_from_string(head + "\n\n")

    def all(self, name):
        return self.fields.get_all(name) or []


def sent(server, text, port=SUBMIT, how=data, verb="EHLO"):
    with hello(server, server.ports[port], verb=verb) as c:
        return Mail(mailed(server, envelope(c), text, how))


def by_chunks(c, text, size=3):
    octets = text.encode()
    for i in range(0, len(octets), size):
        last = c.chunk(octets[i:i + size], last=i + size >= len(octets))
    return last


def test_date_and_message_id_are_added(s):
    mail = sent(s, "Subject: bare\r\n\r\nhello\r\n")
    (date,), (ident,) = mail.all("Date"), mail.all("Message-ID")
    assert abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) < 60
    assert re.fullmatch(r"<[A-Za-z0-9.]+@mx\.test>", ident), ident
    assert mail.text.endswith("\nSubject: bare\n\nhello\n")


def test_each_has_an_id_of_its_own(s):
    assert len({sent(s, "Subject: x\r\n\r\n").all("Message-ID")[0] for _ in range(3)}) == 3


def test_those_that_are_there_stay(s):
    text = "date: Mon, 1 Jan 2001 00:00:00 +0000\r\nMESSAGE-ID:\r\n <mine@example.net>\r\nSubject: x\r\n\r\n"
    mail = sent(s, text)
    assert mail.all("Date") == ["Mon, 1 Jan 2001 00:00:00 +0000"] and len(mail.all("Message-ID")) == 1
    assert mail.text.endswith(text.replace("\r\n", "\n"))


def test_what_only_looks_like_a_field_does_not_count(s):
    mail = sent(s, "Subject: x\r\n Date: folded\r\nX-Message-ID: no\r\n\r\nDate: in the body\r\nMessage-ID: <b@ody>\r\n")
    assert len(mail.all("Date")) == 1 and len(mail.all("Message-ID")) == 1
    assert "Date: in the body" in mail.body


@pytest.mark.parametrize("how", [data, by_chunks], ids=["data", "bdat"])
def test_bcc_is_taken_out(s, how):
    mail = sent(s, "To: demo@example.org\r\nBcc: secret@example.net,\r\n\tmore@example.net\r\nbcc:x@example.net\r\n"
                   "BCC : y@example.net\r\nResent-Bcc: z@example.net\r\nX-Bcc: kept\r\nBccx: kept\r\nBcc-y: kept\r\n"
                   "Subject: s\r\n bcc: folded\r\n\r\nBcc: in the body\r\n", how=how)
    assert mail.text.endswith("To: demo@example.org\nX-Bcc: kept\nBccx: kept\nBcc-y: kept\n"
                              "Subject: s\n bcc: folded\n\nBcc: in the body\n")
    assert "secret" not in mail.text and "more@" not in mail.text and "@example.net\nResent" not in mail.text


def test_a_header_that_is_nothing_but_bcc(s):
    mail = sent(s, "Bcc: secret@example.net\r\n\r\nbody\r\n")
    assert "secret" not in mail.text and mail.body == "body\n"


def test_a_header_without_a_body(s):
    mail = sent(s, "Bcc: secret@example.net\r\nSubject: ")
    assert "secret" not in mail.text and mail.body == "" and len(mail.all("Date")) == 1


def test_a_body_without_a_header(s):
    mail = sent(s, "\r\nBcc: in the body\r\n")
    assert mail.body == "Bcc: in the body\n" and len(mail.all("Date")) == 1


def test_a_large_message_is_as_it_was(s):
    body = "".join(f"{n:08d} {'x' * 60}\r\n" for n in range(5000))
    mail = sent(s, "Bcc: secret@example.net\r\nSubject: large\r\n\r\n" + body)
    assert mail.body == body.replace("\r\n", "\n") and "secret" not in mail.text


def test_nothing_of_it_on_a_port_for_relays(s):
    text = "Subject: relayed\r\nBcc: visible@example.net\r\n\r\n"
    mail = sent(s, text, RELAY)
    assert mail.text.endswith(text.replace("\r\n", "\n"))
    assert mail.all("Date") == [] and mail.all("Message-ID") == []


def test_the_client_is_masked(s):
    for port in (MASKED, MASKED_RELAY):
        (received,) = sent(s, "Subject: m\r\n\r\n", port).all("Received")
        assert re.match(r"by (mx|out)\.test with ESMTP id ", received), received
        assert "127.0.0.1" not in received and "client.test" not in received
    assert "client.test (unknown [127.0.0.1])" in " ".join(sent(s, "Subject: m\r\n\r\n").all("Received")[0].split())


def test_each_port_by_its_name(s):
    with Client(s.ports[MASKED], greeted=False) as c:
        assert c.reply()[1].startswith("out.test ESMTP")
        assert c.say("EHLO client.test").split("\n")[0] == "out.test"
    assert sent(s, "Subject: m\r\n\r\n", MASKED).all("Message-ID")[0].endswith("@out.test>")


def test_what_submitters_are_offered(s):
    submitters = {"MT-PRIORITY", "FUTURERELEASE", "DELIVERBY"}
    with Client(s.ports[SUBMIT]) as c:
        assert submitters <= set(offered(c))
    with Client(s.port) as c:
        assert not submitters & set(offered(c))


def test_a_submission_by_helo(s):
    mail = sent(s, "Subject: x\r\nBcc: secret@example.net\r\n\r\n", verb="HELO")
    assert "secret" not in mail.text and " with SMTP id" in " ".join(mail.all("Received")[0].split())
