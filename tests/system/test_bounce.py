# SPDX-License-Identifier: ISC
"""What fails for good is reported to its sender by RFC 3464, once, and never in circles."""
import email
import email.policy

import pytest

from peer import Keep, Peer
from postern import Server, wait_for

RELAY = Server.CONF + """
action "out" relay host "smtp://127.0.0.1:{port}"
match from local for any action "out"
"""


class Sink(Keep):
    """A next hop that refuses some recipients and keeps the rest."""

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if address.startswith("long"):
            return "550 5.1.1 " + "x" * 480 + " end"
        if address.startswith("bad"):
            return "550 5.1.1 no \x01such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@pytest.fixture
def sink():
    peer = Peer(Sink())
    peer.handler.port = peer.port
    yield peer.handler
    peer.stop()


@pytest.fixture
def relay(make_server, sink):
    s = make_server(start=False)
    s.write_conf(RELAY, port=sink.port)
    return s.start()


def test_failure_comes_back_as_a_report(relay, sink):
    relay.send(to=["bad@far.example", "good@far.example"], sender="demo@example.org",
               body="From: demo@example.org\r\nSubject: original\r\nX-Mark: here\r\n\r\nsecret body\r\n")
    report = email.message_from_bytes(relay.wait_mail()[0], policy=email.policy.default)
    assert report["Return-Path"] == "<>"
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    human, status, original = report.iter_parts()
    assert "bad@far.example" in human.get_content()
    blocks = status.get_payload()
    assert blocks[0]["Reporting-MTA"] == "dns; mx.test"
    assert blocks[1]["Final-Recipient"] == "rfc822; bad@far.example"
    assert blocks[1]["Action"] == "failed" and blocks[1]["Status"] == "5.1.1"
    assert "550" in blocks[1]["Diagnostic-Code"] and "\x01" not in blocks[1]["Diagnostic-Code"]
    text = original.get_payload() if isinstance(original.get_payload(), str) else original.get_payload()[0].as_string()
    assert "X-Mark: here" in text and "secret body" not in text
    wait_for(lambda: len(sink.mail) == 1, "the good recipient's copy")


def test_success_comes_back_where_it_was_asked_for(relay, sink):
    """RFC 3461 5.2: of a mailbox here, and of a next hop that offers no DSN; not of who did not ask."""
    with relay.smtp() as s:
        s.sendmail("demo@example.org", ["other@example.org", "good@far.example"], "Subject: original\r\n\r\nx\r\n",
                   rcpt_options=["NOTIFY=SUCCESS,FAILURE"])
        s.sendmail("demo@example.org", ["other@example.org", "good@far.example"], "Subject: silent\r\n\r\nx\r\n",
                   rcpt_options=["NOTIFY=FAILURE"])
    wait_for(lambda: len(sink.mail) == 2 and len(relay.maildir("other")) == 2, "all copies")

    def told():
        found = set()
        for raw in relay.maildir():
            report = email.message_from_bytes(raw, policy=email.policy.default)
            assert report["Subject"] == "Your message was delivered"
            _, status, original = report.iter_parts()
            assert "Subject: original" in original.get_payload()
            found |= {(block["Final-Recipient"], block["Action"]) for block in status.get_payload()[1:]}
        return found
    wait_for(lambda: told() == {("rfc822; other@example.org", "delivered"), ("rfc822; good@far.example", "relayed")},
             "the reports")
    wait_for(lambda: not relay.ctl("show", "queue", "--json").stdout, "the queue is empty")
    assert sink.mail[0].rcpt_tos == ["good@far.example"]
    wait_for(lambda: "empty" in relay.ctl("show", "queue").stdout, "an empty queue")


def test_one_report_tells_of_many(relay):
    """Each is named; what their servers said is told whole of the first hundred, then in short."""
    names = [f"long{i}@far.example" for i in range(120)]
    with relay.smtp() as client:
        client.sendmail("demo@example.org", names, "Subject: many\r\n\r\nx\r\n")
    wait_for(lambda: "empty" in relay.ctl("show", "queue").stdout, "an empty queue")
    told, whole = set(), 0
    for text in relay.wait_mail():
        report = email.message_from_bytes(text, policy=email.policy.default)
        for block in list(report.iter_parts())[1].get_payload()[1:]:
            name = block["Final-Recipient"].removeprefix("rfc822; ")
            assert name not in told
            told.add(name)
            whole += block["Diagnostic-Code"].endswith("end")
            assert "550 5.1.1 xxx" in block["Diagnostic-Code"]
    assert told == set(names)
    reports = len(relay.maildir())
    assert (whole == 100 and reports == 1) or reports > 1


def test_no_report_on_a_report(relay):
    relay.send(to=["bad@far.example"], sender="")
    relay.wait_log("event=undeliverable-dropped")
    wait_for(lambda: "empty" in relay.ctl("show", "queue").stdout, "an empty queue")
    assert relay.maildir() == []


def test_relayed_byte_for_byte(relay, sink):
    body = "Subject: x\r\n\r\n.dot\r\n..two\r\nno end\r\n"
    relay.send(to=["good@far.example"], sender="you@example.net", body=body)
    wait_for(lambda: sink.mail, "the relayed message")
    got = sink.mail[0].content
    assert sink.mail[0].mail_from == "you@example.net"
    assert got.startswith(b"Received: from client.test")
    assert got.endswith(body.encode())
