# SPDX-License-Identifier: ISC
"""Clients that were greeted, and what they find out of a server's answers."""
import itertools
import json
import socket

from postern import PATIENCE, Raw, wait_for


class Client(Raw):
    """Raw, to a port or to the path of a Unix socket; source: the address it comes from."""

    def __init__(self, where, timeout=PATIENCE, source="127.0.0.1", greeted=True):
        if isinstance(where, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(where)
        else:
            self.sock = socket.create_connection(("127.0.0.1", where), timeout, (source, 0))
        self.buffer = b""
        if greeted:
            assert (answer := self.reply())[0] == 220, answer

    def say(self, *commands):
        """One after the other, each of which must be taken; the last one's text."""
        for command in commands:
            code, text = self.cmd(command)
            assert code in (250, 354), (command, code, text)
        return text

    def status(self, command):
        """The code and the enhanced code: (550, "5.1.1")."""
        return status_of(self.cmd(command))

    def refused(self):
        """Both codes of the next answer, which must be the last."""
        last = status_of(self.reply())
        assert self.is_closed()
        return last

    def is_closed(self):
        try:
            return self.line() == ""
        except (EOFError, ConnectionResetError):
            return True

    def codes(self):
        """Of all replies until the server closes."""
        out = []
        try:
            while True:
                out.append(self.reply()[0])
        except (EOFError, ConnectionResetError):
            return out

    def bdat(self, octets, last=False):
        octets = octets if isinstance(octets, bytes) else octets.encode()
        self.send(b"BDAT %d%s\r\n" % (len(octets), b" LAST" if last else b"") + octets)

    def chunk(self, octets, last=False):
        """Both codes of the answer to a chunk."""
        self.bdat(octets, last)
        return status_of(self.reply())

    def xclient(self, words):
        """Greeted anew as somebody else."""
        code, text = self.cmd(f"XCLIENT {words}")
        assert code == 220, (code, text)
        return self


def status_of(reply):
    code, text = reply
    return code, text.split(" ", 1)[0]


def hello(server, where=None, verb="EHLO", **more):
    """A client that has said hello."""
    c = Client(server.port if where is None else where, **more)
    c.say(f"{verb} client.test")
    return c


def offers(text):
    """What an answer to EHLO offers: {keyword: its parameters}."""
    return dict((line + " ").split(" ", 1) for line in text.split("\n")[1:])


def offered(client, verb="EHLO"):
    return {word: value.strip() for word, value in offers(client.say(f"{verb} client.test")).items()}


def envelope(client, mail="", rcpt="", to="demo@example.org"):
    """MAIL and RCPT with these parameters."""
    client.say(f"MAIL FROM:<you@example.net>{' ' if mail else ''}{mail}",
               f"RCPT TO:<{to}>{' ' if rcpt else ''}{rcpt}")
    return client


def data(client, text):
    """The answer to a body by DATA; text as it is, dots not stuffed."""
    client.say("DATA")
    client.send(text)
    return client.cmd(".")


TOKEN = itertools.count()


def mailed(server, client, text="Subject: hello\r\n\r\nhello\r\n", how=data, user="demo", domain="example.org"):
    """What is delivered of this text, for an envelope that was given already; found by a number at its end."""
    token = f"token {next(TOKEN)}.\r\n"
    answer = how(client, text + token)
    assert answer[0] == 250, answer
    mark = token.replace("\r\n", "\n").encode()
    return wait_for(lambda: next((m for m in server.maildir(user, domain) if m.endswith(mark)), None), "delivery")[:-len(mark)]


def received(server, client, verb="EHLO"):
    """The header of a message by this client, unfolded."""
    client.say(f"{verb} client.test")
    mail = mailed(server, envelope(client)).decode()
    return " ".join(mail[mail.index("Received:"):mail.index("\n\n")].split())


def rows(server, *words):
    """The lines of `smtpctl ... --json`."""
    return [json.loads(line) for line in server.ctl(*words, "--json").stdout.splitlines()]


def stat(server, name):
    for row in rows(server, "show", "stats"):
        if row["name"] == name:
            return row["value"]
    raise KeyError(name)


def wait_stat(server, name, value):
    wait_for(lambda: stat(server, name) == value, f"{name} = {value}")


def clients(server):
    """What `smtpctl show clients` knows: {client: row}."""
    return {row["client"]: row for row in rows(server, "show", "clients") if "client" in row}
