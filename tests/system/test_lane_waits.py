# SPDX-License-Identifier: ISC
"""Who waits for whom on the way out: connections that are held up, limits, and a configuration that changes meanwhile."""
import contextlib
import signal
import socket
import threading
import time

import pytest

from postern import PATIENCE, Server, wait_for


class Gate:
    """A plain SMTP server whose greeting waits until .open() is called; .mail has the texts that it took."""

    def __init__(self, host="127.0.0.1", is_open=False, answers=()):
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        self.answers = dict(answers)
        self.gate = threading.Event()
        self.mail, self.heard, self.connections = [], [], 0
        if is_open:
            self.gate.set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with contextlib.suppress(OSError), sock, sock.makefile("rb") as file:
            self.gate.wait(4 * PATIENCE)
            sock.sendall(b"220 gate.test\r\n")
            while line := file.readline():
                self.heard.append(line)
                self.answer(sock, file, line.split()[0].upper())

    def answer(self, sock, file, verb):
        if verb == b"DATA":
            sock.sendall(b"354 go\r\n")
            text = b""
            while not text.endswith(b"\r\n.\r\n"):
                text += file.readline()
            self.mail.append(text)
        answer = self.answers.get(verb, b"250 ok")
        if isinstance(answer, float):       # seconds before it is given
            time.sleep(answer)
            answer = b"250 ok"
        sock.sendall(answer + b"\r\n")

    def open(self):
        self.gate.set()

    def stop(self):
        self.gate.set()
        self.listener.close()


@pytest.fixture
def gate():
    gates = []

    def make(**options):
        gates.append(Gate(**options))
        return gates[-1]
    yield make
    for g in gates:
        g.stop()


def test_a_message_has_an_end(make_server, gate):
    """Who takes his time with each recipient, and never too much with any, does not have the message for ever."""
    host = gate(is_open=True, answers={b"RCPT": 0.2})
    server = make_server(start=False)
    server.write_conf(Server.CONF + """mta timeout 1s
        action "out" relay host "smtp://127.0.0.1:{port}"
        match from any for any action "out"
        """, port=host.port)
    server.start()
    with server.smtp() as s:
        s.sendmail("me@example.net", [f"you{n}@far.example" for n in range(100)], "Subject: x\r\n\r\nx\r\n")
    line = server.wait_log(r"event=deferred .*to=you0@far\.example")
    assert "status=4.4.2" in line and "took too long" in line
    assert 20 < len(host.heard) < 90        # of 102 commands: an hour's worth of them, five minutes being a second


@pytest.mark.parametrize("scheme, option", (("smtp", "tls no-verify"), ("smtp+tls", "")))
def test_a_stricter_configuration_comes_meanwhile(make_server, gate, scheme, option):
    """Mail that set out when TLS was no must does not go in plain once it is one, on no connection."""
    conf = Server.CONF + 'action "out" relay host "%u://127.0.0.1:{port}" %s\nmatch from any for any action "out"\n'
    host = gate()
    server = make_server(start=False)
    server.write_conf(conf.replace("%u", "smtp").replace("%s", ""), port=host.port)
    server.start()
    server.send(to="you@far.example")
    wait_for(lambda: host.connections, "a connection")
    server.write_conf(conf.replace("%u", scheme).replace("%s", option), port=host.port)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log(r"delivery\[\d+\]: event=reloaded")
    host.open()
    server.wait_log(r"event=deferred .*to=you@far\.example .*status=4\.7\.4")
    assert not host.mail and not [line for line in host.heard if line.startswith(b"MAIL")]


def test_limits_of_some_keep_no_place_from_others(make_server, gate):
    """Destinations that all wait for one slow host leave connections to who could use them."""
    slow, quick = gate(), gate(host="127.0.0.2", is_open=True)
    rows = [(f"slow{i}", f"smtp://127.0.0.1:{slow.port}") for i in range(12)] + [
        ("quick", f"smtp://127.0.0.2:{quick.port}")]
    server = make_server(Server.CONF + """
mta max-connections 10
mta max-connections-per-destination 100
mta limit max-conn-per-host 1
""" + "".join(f'action "{name}" relay host "{url}"\nmatch from any for domain "{name}.example" action "{name}"\n'
              for name, url in rows))
    for name, _ in rows[:-1]:
        server.send(to=f"you@{name}.example")
    wait_for(lambda: slow.connections, "a connection")
    server.send(to="you@quick.example")
    wait_for(lambda: quick.mail, "a message to who is quick")
    assert slow.connections == 1
