# SPDX-License-Identifier: ISC
"""LMTP towards others (RFC 2033): stores on this host by socket and by port, and relays; a reply a recipient."""
import os

import pytest

from next_hop import NextHop
from postern import Server, wait_for

BODY = "Subject: x\r\n\r\nx\r\n"
STORE = Server.CONF.replace("""action "demo" maildir "{dir}/mail/%{{dest.domain}}/%{{dest.user}}" """,
                            """action "demo" lmtp "{target}" {option} """)
RELAY = Server.CONF + """
action "out" relay host "lmtp://127.0.0.1:{port}"
match from local for any action "out"
queue retry-min 1h
"""


@pytest.fixture
def make_store(make_server):
    def make(target, option=""):
        s = make_server(start=False)
        s.write_conf(STORE, target=target, option=option)
        return s.start()
    return make


def store_socket(server_dir):
    return os.path.join(server_dir, "lmtp.sock")


def test_store_by_socket(make_server):
    s = make_server(start=False)
    s.write_conf(STORE, target=store_socket(s.dir), option="")
    with NextHop(path=store_socket(s.dir), lmtp=True) as hop:
        s.start()
        s.send()
        mail = wait_for(lambda: hop.mail, "the message")
        assert mail[0]["to"] == ["<vmail>"] and mail[0]["text"].endswith(b"\r\nhello\r\n")
        assert hop.visits[0].lines[0] == "LHLO mx.test"


def test_store_that_is_not_there_yet(make_server):
    s = make_server(start=False)
    s.write_conf(STORE + "queue retry-min 1s\n", target=store_socket(s.dir), option="")
    s.start()
    s.send()
    line = s.wait_log("event=deferred")
    assert "status=4.3.0" in line and "lmtp.sock" in line
    with NextHop(path=store_socket(s.dir), lmtp=True) as hop:
        wait_for(lambda: hop.mail, "the message")


def test_store_by_port_with_the_address(make_store):
    with NextHop(lmtp=True) as hop:
        server = make_store(f"127.0.0.1:{hop.port}", "rcpt-to")
        server.send()
        mail = wait_for(lambda: hop.mail, "the message")
        assert mail[0]["to"] == ["<demo@example.org>"]


def test_each_recipient_has_its_own_verdict(make_server):
    def reply(_visit, verb, line):
        return "550 5.2.2 full" if verb == "." and "b@" in line else \
            "450 4.2.0 later" if verb == "." and "c@" in line else ""
    with NextHop(lmtp=True, reply_to=reply) as hop:
        server = make_server(start=False)
        server.write_conf(RELAY, port=hop.port)
        server.start()
        with server.smtp() as s:
            s.sendmail("me@example.net", [f"{c}@far.example" for c in "abc"], BODY)
        server.wait_log(r"event=delivered .*to=a@far\.example")
        assert "status=5.2.2" in server.wait_log(r"event=failed .*to=b@far\.example")
        assert "status=4.2.0" in server.wait_log(r"event=deferred .*to=c@far\.example")


@pytest.mark.parametrize("way,action", [('host "lmtp://127.0.0.1:{port}"', "delivered"),
                                        ('domain {{ "*" = "lmtp://127.0.0.1:{port}" }}', "relayed")])
def test_success_is_reported_by_us(make_server, way, action):
    """RFC 3461 5.2, RFC 2033: a store sends no reports, whatever it offers and wherever its URL stands."""
    with NextHop(lmtp=True, extensions=("DSN",)) as hop:
        server = make_server(start=False)
        server.write_conf(RELAY.replace('host "lmtp://127.0.0.1:{port}"', way), port=hop.port)
        server.start()
        with server.smtp() as s:
            s.sendmail("demo@example.org", ["you@far.example"], BODY, rcpt_options=["NOTIFY=SUCCESS"])
        report = server.wait_mail()[0].decode()
        assert f"Action: {action}\r\n" in report.replace("\r\n", "\n").replace("\n", "\r\n")
