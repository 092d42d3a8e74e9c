# SPDX-License-Identifier: ISC
"""Mail for other hosts: through a smarthost, and to the MX that DNS names, on real ports."""
import ctypes
import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import nameserver
import pytest
import zones
from peer import Keep, Peer
from postern import PATIENCE, Server, wait_for

SMARTHOST = Server.CONF + """
action "out" relay host "smtp://127.0.0.1:{port}"
match from local for any action "out"
queue retry-min 1h
"""
BODY = "Subject: x\r\n\r\n.dot\r\n..two\r\n \r\nend\r\n"


class Script(Keep):
    """Answers RCPT and the message as its lists say, the last entry for good."""

    def __init__(self, rcpt=("250 OK",), data=("250 2.0.0 kept",)):
        super().__init__()
        self.rcpt, self.data, self.tls = list(rcpt), list(data), []

    @staticmethod
    def next(answers):
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        answer = self.next(self.rcpt)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server, session, envelope):
        answer = self.next(self.data)
        if answer.startswith("2"):
            self.mail.append(envelope)
            self.tls.append(session.ssl is not None)
        return answer


@pytest.fixture
def make_peer():
    peers = []

    def make(handler, **options):
        peers.append(Peer(handler, **options))
        return peers[-1]
    yield make
    for p in peers:
        p.stop()


@pytest.fixture
def make_relay(make_server):
    def make(port, conf=SMARTHOST):
        s = make_server(start=False)
        s.write_conf(conf, port=port)
        return s.start()
    return make


def send(server, to="you@far.example", body=BODY, options=()):
    with server.smtp() as s:
        return s.sendmail("me@example.net", to, body, mail_options=options)


def queue_is_empty(server):
    return "empty" in server.ctl("show", "queue").stdout


def unused_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_later_then_now(make_relay, make_peer):
    peer = make_peer(Script(rcpt=["451 4.7.1 greylisted", "250 OK"]))
    server = make_relay(peer.port)
    send(server)
    line = server.wait_log(r"event=deferred .*to=you@far\.example")
    assert "status=4.7.1" in line and "greylisted" in line and "relay=127.0.0.1[127.0.0.1]" in line
    server.ctl("schedule", "all")
    wait_for(lambda: peer.handler.mail, "the message")
    assert peer.handler.mail[0].content.endswith(BODY.encode())
    wait_for(lambda: queue_is_empty(server), "an empty queue")


def test_host_that_is_down_comes_back(make_relay, make_peer):
    port = unused_port()
    server = make_relay(port)
    send(server)
    assert "status=4.4.1" in server.wait_log("event=deferred")
    peer = make_peer(Script(), port=port)
    server.ctl("schedule", "all")
    wait_for(lambda: peer.handler.mail, "the message")


def test_verdict_is_of_the_message_not_of_rcpt(make_relay, make_peer):
    peer = make_peer(Script(data=["452 4.3.1 full"]))
    server = make_relay(peer.port)
    send(server, to=["a@far.example", "b@far.example"])
    for who in ("a", "b"):
        assert "status=4.3.1" in server.wait_log(rf"event=deferred .*to={who}@far\.example")
    peer.handler.data = ["250 2.0.0 kept"]
    server.ctl("schedule", "all")
    wait_for(lambda: sorted(r for e in peer.handler.mail for r in e.rcpt_tos)
             == ["a@far.example", "b@far.example"], "both recipients")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    where = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=peer.test", "-keyout", where / "key", "-out", where / "cert"],
                   check=True, capture_output=True, stdin=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(where / "cert", where / "key")
    return context


def test_tls_when_it_is_offered(make_relay, make_peer, certificate):
    """Nobody vouches for the certificate: encrypting to somebody unknown beats not encrypting."""
    peer = make_peer(Script(), tls_context=certificate)
    server = make_relay(peer.port)
    body = "Subject: x\r\n\r\n" + "0123456789\r\n" * 200000
    send(server, body=body)
    wait_for(lambda: peer.handler.mail, "the message")
    assert peer.handler.tls == [True]
    assert peer.handler.mail[0].content.endswith(body.encode())


def test_no_tls_by_the_url(make_relay, make_peer, certificate):
    peer = make_peer(Script(), tls_context=certificate)
    server = make_relay(peer.port, SMARTHOST.replace("smtp://", "smtp+notls://"))
    send(server)
    wait_for(lambda: peer.handler.mail, "the message")
    assert peer.handler.tls == [False]


def test_tls_that_breaks_is_done_without(make_relay, make_peer):
    broken = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # no certificate: every handshake fails
    peer = make_peer(Script(), tls_context=broken)
    server = make_relay(peer.port)
    send(server)
    wait_for(lambda: peer.handler.mail, "the message")
    assert peer.handler.tls == [False]


def test_8bit_is_not_sent_to_who_does_not_take_it(make_relay):
    with Lines([("EHLO", "250 plain")]) as peer:
        server = make_relay(peer.port)
        send(server, options=["BODY=8BITMIME"])
        assert "status=5.6.3" in server.wait_log("event=failed")


class Lines:
    """A server of few words: (command, reply) in turn, "250 ok" to all else; None: silence."""

    def __init__(self, rules, greeting="220 peer.test\r\n"):
        self.rules, self.greeting = dict(rules), greeting
        self.seen, self.data = [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        sock.sendall(self.greeting.encode())
        with sock, sock.makefile("rb") as f:
            for line in f:
                word = line.split()[0].decode().upper() if line.split() else ""
                self.seen.append(word)
                if word == "DATA" and "DATA" not in self.rules:
                    sock.sendall(b"354 go\r\n")
                    text = b"".join(iter(f.readline, b".\r\n"))
                    self.data.append(text)
                    word = "."
                reply = self.rules.get(word, "250 ok")
                if reply is not None:
                    sock.sendall(reply.encode() + b"\r\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def test_lost_delivery_process_delivers_again(make_relay):
    """Killed between the final dot and its reply: nobody knows, so the message goes out again."""
    with Lines([(".", None)]) as peer:
        server = make_relay(peer.port)
        send(server)
        wait_for(lambda: peer.data, "the message")
        del peer.rules["."]
        os.kill(server.pids()["delivery/0"], signal.SIGKILL)
        wait_for(lambda: len(peer.data) == 2, "the message again")
        assert peer.data[0] == peer.data[1]
        wait_for(lambda: queue_is_empty(server), "an empty queue")


@pytest.mark.parametrize("rules, greeting, status", [
    ({}, "554 no mail here\r\n", "5.0.0"),
    ({}, "421 4.3.2 busy\r\n", "4.3.2"),
    ({}, "SSH-2.0-OpenSSH\r\n", "4.5.0"),
    ({}, "220 " + "x" * 5000 + "\r\n", "4.5.0"),
    ({}, "220-hi\r\n" * 200 + "220 hi\r\n", "4.5.0"),
    ({}, "220 hi\r\n250 ok\r\n", "4.5.0"),
    ({"EHLO": "250-a\r\n251 b"}, "220 hi\r\n", "4.5.0"),
    ({"EHLO": "250-a\r\n250 STARTTLS", "STARTTLS": "220 go\r\n250 fake"}, "220 hi\r\n", "4.7.0"),
    ({"MAIL": "250 ok\r\n250 ok"}, "220 hi\r\n", "4.5.0"),
    ({"RCPT": "550 5.1.1 no\x00such\x1b[31muser\xff"}, "220 hi\r\n", "5.1.1"),
    ({"DATA": "250 done"}, "220 hi\r\n", "4.5.0"),
    ({".": "354 more"}, "220 hi\r\n", "4.5.0"),
])
def test_hostile_server(make_relay, rules, greeting, status):
    """Whatever it says, there is one verdict, no message is lost, and nothing of it is printed raw."""
    with Lines(rules, greeting) as peer:
        server = make_relay(peer.port)
        delivery = server.pids()["delivery/0"]
        send(server)
        line = server.wait_log(r"event=(deferred|failed) .*to=you@far\.example")
        assert f"status={status}" in line
        assert all(" " <= c <= "~" for c in line)
        assert server.pids()["delivery/0"] == delivery


# -- the real thing: an MX, port 53 and port 25, in a namespace of this test's own --

FAR = """$TTL 60
@ SOA ns admin 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
@ MX 10 dead
@ MX 20 mx
dead A 127.0.0.9
mx A 127.0.0.2
null MX 0 .
bare A 127.0.0.2
loop MX 10 mx.test.
home MX 10 here
home MX 10 mx
here A 127.0.0.3
nil MX 10 zero
zero A 0.0.0.0
odd MX 10 a\\032b
forged MX 10 mx
slow NS ns.slow
ns.slow A 127.0.0.8
"""
TEST = """$TTL 60
@ SOA ns admin 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
mx A 127.0.0.1
"""

BY_MX = Server.CONF + """
listen on 127.0.0.3 port 25
action "out" relay
match from local for any action "out"
resolver forward 127.0.0.1
trust anchor "{anchor}"
queue retry-min 1h
"""


CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def own_network():
    """This thread, and what it starts, is in an empty network for the test."""
    with open("/proc/thread-self/ns/net", "rb") as before:
        if libc.unshare(CLONE_NEWNET) == -1:
            pytest.skip(f"no network namespace can be made: {os.strerror(ctypes.get_errno())}")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            assert libc.setns(before.fileno(), CLONE_NEWNET) == 0


@pytest.mark.root
def test_by_mx(own_network, tmp_path, make_server, make_peer):
    key = zones.Key("far.example")
    far = zones.sign(key, FAR, ["forged.far.example. MX"])
    with nameserver.serving(tmp_path, {"far.example": far, "test": TEST, "slow.far.example": None}, 53):
        peer = make_peer(Script(), host="127.0.0.2", port=25)
        server = make_server(start=False)
        server.write_conf(BY_MX, anchor=key.ds)
        server.start()
        # The best host refuses connections, the next one takes it.
        send(server)
        line = server.wait_log(r"event=delivered .*to=you@far\.example")
        assert "relay=mx.far.example[127.0.0.2]" in line
        assert peer.handler.mail[0].content.endswith(BODY.encode())
        # No MX: the name's own address (RFC 5321 5.1).
        send(server, to="you@bare.far.example")
        assert "relay=bare.far.example[127.0.0.2]" in \
            server.wait_log(r"event=delivered .*to=you@bare\.far\.example")
        # A null MX (RFC 7505), no such name, ourselves by name and by address, no address at all: never.
        # Forged, and no answer: later, and not a word to that host.
        for name, event, status in (
                ("null.far.example", "failed", "5.1.10"), ("gone.far.example", "failed", "5.1.2"),
                ("loop.far.example", "failed", "5.4.6"), ("home.far.example", "failed", "5.4.6"),
                ("nil.far.example", "failed", "5.4.4"), ("odd.far.example", "failed", "5.4.4"),
                ("forged.far.example", "deferred", "4.7.5"), ("x.slow.far.example", "deferred", "4.4.3")):
            send(server, to=f"you@{name}")
            line = server.wait_log(rf"event={event} .*to=you@{re.escape(name)}")
            assert f"status={status}" in line, line
        assert len(peer.handler.mail) == 2
        # `smtpctl explain` says the same of them.
        for name, said in (("home.far.example", r"here\.far\.example.*this host itself"),
                           ("forged.far.example", "DNSSEC: the answer is bogus"),
                           ("far.example", "DNSSEC vouches for it")):
            assert re.search(said, server.ctl("explain", f"you@{name}", check=False).stdout)
