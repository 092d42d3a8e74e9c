# SPDX-License-Identifier: ISC
"""An action's LMTP server on a Unix socket: the parent connects, delivery speaks, and neither opens a path of its own."""
import contextlib
import os
import socket
import threading

import pytest

from postern import Server, wait_for

CONF = Server.CONF.replace('match from any', 'table boxes {{ "anna@over.test" = anna, "ben@over.test" = ben }}\n'
                           'action "over" lmtp "{dir}/lmtp.sock" virtual <boxes> userbase <owners2>\n'
                           'table owners2 {{ anna = "{vmail}:{vmail}:{dir}/mail", ben = "{vmail}:{vmail}:{dir}/mail" }}\n'
                           'match from any for domain over.test action "over"\nmatch from any') + \
    "queue retry-min 1s\nqueue retry-max 1s\n"


class Peer:
    """A small LMTP server; .said is what it was told, .mail the messages: (recipients, text)."""

    def __init__(self, path, refuse=()):
        self.path, self.refuse, self.said, self.mail = path, refuse, [], []
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        os.chmod(path, 0o600)
        self.sock.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        f, rcpts = client.makefile("rwb"), []

        def say(text):
            with contextlib.suppress(BrokenPipeError):
                f.write(text.encode() + b"\r\n")
                f.flush()

        say("220 lmtp.test LMTP")
        while line := f.readline():
            line = line.decode().strip()
            self.said.append(line)
            verb = line.split(" ")[0].upper()
            if verb == "LHLO":
                say("250-lmtp.test\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME")
            elif verb == "RCPT":
                rcpts.append(line[line.index("<") + 1:line.index(">")])
                say("250 2.1.5 ok")
            elif verb == "DATA":
                say("354 go on")
                text = b""
                while not text.endswith(b"\r\n.\r\n"):
                    text += f.readline()
                good = [r for r in rcpts if r not in self.refuse]
                self.mail.append((good, text))
                for r in rcpts:
                    say("250 2.0.0 kept" if r in good else "552 5.2.2 full")
                rcpts = []
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 2.0.0 ok")

    def close(self):
        self.sock.close()
        os.unlink(self.path)


@pytest.fixture
def server(make_server):
    return make_server(CONF)


def test_each_recipient_has_its_answer(server):
    peer = Peer(server.path("lmtp.sock"), refuse=("ben",))
    with server.smtp() as s:
        s.sendmail("demo@example.org", ["anna@over.test", "ben@over.test"], "Subject: both\r\n\r\n.hello\r\n")
    report = server.wait_mail()[0]
    assert b"5.2.2" in report and b"ben@over.test" in report and b"Final-Recipient: rfc822; anna" not in report
    assert sorted(r for rcpts, _ in peer.mail for r in rcpts) == ["anna"]
    assert any(b"\r\n..hello\r\n" in text for _, text in peer.mail)
    assert [line for line in peer.said if line.startswith("LHLO ")] and not any("EHLO" in line for line in peer.said)
    peer.close()


def test_mail_waits_for_who_is_not_there(server):
    server.send(to="anna@over.test")
    server.wait_log(r"anna@over\.test.*No such file or directory")
    peer = Peer(server.path("lmtp.sock"))
    wait_for(lambda: peer.mail, "the message")
    assert peer.mail[0][0] == ["anna"]
    peer.close()


@pytest.mark.root
def test_connection_is_the_parents(server):
    """Delivery's account may not even look at the socket."""
    os.mkdir(server.path("closed"), 0o700)
    peer = Peer(server.path("closed", "lmtp.sock"))
    server.write_conf(CONF.replace("{dir}/lmtp.sock", "{dir}/closed/lmtp.sock"))
    server.process.send_signal(1)
    server.wait_log("event=reloaded")
    server.send(to="anna@over.test")
    wait_for(lambda: peer.mail, "the message")
    pid, = [p for n, p in server.pids().items() if n.startswith("delivery/")]
    assert os.stat(f"/proc/{pid}").st_uid != os.stat(server.path("closed")).st_uid
    peer.close()
