# SPDX-License-Identifier: ISC
"""Mail that was handed in with SMTPUTF8 (RFC 6531), to servers that know it and to those that don't."""
import pytest

from next_hop import NextHop
from postern import Server, wait_for

CONF = Server.CONF + """
action "out" relay host "smtp://127.0.0.1:{port}"
match from local for any action "out"
"""


@pytest.fixture
def make_relay(make_server):
    def make(port):
        s = make_server(start=False)
        s.write_conf(CONF, port=port)
        return s.start()
    return make


def send(server, *to, header="Subject: x", sender="me@example.net"):
    with server.raw() as c:
        c.reply()
        c.cmd("EHLO client.test")
        assert c.cmd(f"MAIL FROM:<{sender}> SMTPUTF8")[0] == 250
        for one in to:
            assert c.cmd(f"RCPT TO:<{one}>")[0] == 250
        c.cmd("DATA")
        assert c.cmd(f"{header}\r\n\r\nx\r\n.")[0] == 250


def test_what_does_not_need_it_goes_anywhere(make_relay):
    """A domain has A-labels; the rest is ASCII."""
    with NextHop() as hop:
        server = make_relay(hop.port)
        send(server, "you@bücher.example", sender="me@straße.example")
        mail = wait_for(lambda: hop.mail, "the message")[0]
        assert mail["to"] == ["<you@xn--bcher-kva.example>"]
        assert mail["from"].startswith("<me@xn--strae-oqa.example>") and "SMTPUTF8" not in mail["from"]


@pytest.mark.parametrize("to, header", [
    ("jürgen@far.example", "Subject: x"),        # no A-labels for a local part
    ("you@bücher.example", "Subject: größe"),    # the header needs it
])
def test_what_needs_it_goes_where_it_is_known(make_relay, to, header):
    with NextHop() as plain:
        server = make_relay(plain.port)
        send(server, to, header=header)
        assert "status=5.6.7" in server.wait_log("event=failed")
        assert not [m for m in plain.mail if not m["from"].startswith("<>")]  # the report goes out
        server.stop()
    with NextHop(extensions=("8BITMIME", "SMTPUTF8")) as hop:
        server = make_relay(hop.port)
        send(server, to, header=header)
        mail = wait_for(lambda: hop.mail, "the message")[0]
        assert " SMTPUTF8" in mail["from"]


@pytest.mark.parametrize("keywords", [("8BITMIME",), ("8BITMIME", "SMTPUTF8")], ids=["plain", "utf8"])
def test_who_needs_it_is_no_harm_to_the_others(make_relay, keywords):
    with NextHop(extensions=keywords) as hop:
        server = make_relay(hop.port)
        send(server, "you@bücher.example", "jürgen@bücher.example", "them@far.example")
        mail = wait_for(lambda: hop.mail, "the message")[0]
        knows = "SMTPUTF8" in keywords
        named = ["<jürgen@bücher.example>".encode().decode("latin-1")] if knows else []
        assert (" SMTPUTF8" in mail["from"]) == knows
        assert mail["to"] == ["<you@xn--bcher-kva.example>", *named, "<them@far.example>"]
        if not knows:
            assert "status=5.6.7" in server.wait_log("event=failed")
