# SPDX-License-Identifier: ISC
"""Configurations in the family's language (tests/family), and what a server that has one is asked.

Beside NN-name.conf stands NN-name.asks, a question and its answer in each line:

    client=192.0.2.7 from=you@example.net to=anna@example.org : local
    listener=2 tls to=x@elsewhere.example : 550 5.7.1

The answer is the action that takes the last recipient, or the first refusal.  client=local is a
program of this host; any other client is one that a balancer speaks for, by the PROXY protocol.
After " ! " stands what OpenSMTPD 6.8 says where it differs, and why.
"""
import glob
import os
import re
import shutil
import socket
import ssl
import struct
from typing import NamedTuple

import sasl
from talk import Client, status_of

PLACE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "family")
NAMES = sorted(os.path.basename(f).removesuffix(".conf") for f in glob.glob(os.path.join(PLACE, "*.conf")))
PASSWORD = "secret"
MAIL = "/etc/mail/"         # where the configurations say that the other files are
BALANCER = "127.0.0.2"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

# The names that the DNS has for clients; for all other addresses it has none.
CLIENTS = {"192.0.2.7": "mail.example.net.", "192.0.2.8": "out.relays.example.", "192.0.2.9": "other.example.net.",
           "192.0.2.66": "host66.dsl.example.net.", "192.0.2.67": "a-dyn-67.example.net."}
SOA = "$TTL 60\n@ SOA ns.test. admin.test. 1 3600 600 86400 60\n@ NS ns.test.\n"
ZONES = {"in-addr.arpa.": SOA + "".join(f"{'.'.join(reversed(a.split('.')))} PTR {name}\n" for a, name in CLIENTS.items()),
         "ip6.arpa.": SOA}
ZONES.update((zone, SOA + "".join(f"{name} A {a}\n" for a, name in CLIENTS.items() if name.endswith("." + zone)))
             for zone in ("example.net.", "relays.example."))


class Question(NamedTuple):
    to: str                             # several by commas
    answer: str
    real: str = ""                      # where it is another for OpenSMTPD
    client: str = "198.51.100.9"
    sender: str = "you@example.net"
    helo: str = "client.test"
    login: str = ""
    listener: int = 1
    size: int = 0                       # what MAIL announces
    tls: bool = False

    @property
    def secured(self):
        return self.tls or bool(self.login)

    @property
    def local(self):
        return self.client == "local"


def questions(name):
    with open(os.path.join(PLACE, name + ".asks"), encoding="utf-8") as f:
        lines = [line.strip() for line in f if line.strip() and not line.startswith("#")]
    return [question(line) for line in lines]


def question(line):
    given, answer = line.split(" : ", 1)
    answer, _, other = answer.partition(" ! ")
    words = dict(word.split("=", 1) if "=" in word else (word, True) for word in given.split())
    if "from" in words:
        words["sender"] = words.pop("from")
    for number in ("listener", "size"):
        words[number] = int(words.get(number, Question._field_defaults[number]))
    return Question(answer=answer, real=other.split(":")[0], **words)


def text_of(name, where):
    """The configuration, its other files being there."""
    with open(os.path.join(PLACE, name + ".conf"), encoding="utf-8") as f:
        return f.read().replace(MAIL, where + "/")


def lay_out(where, certificate):
    """Those files."""
    where = str(where)
    for path in glob.glob(os.path.join(PLACE, "mail", "*")):
        with open(path, encoding="utf-8") as f, open(os.path.join(where, os.path.basename(path)), "w", encoding="utf-8") as to:
            to.write(f.read().replace(MAIL, where + "/"))
    for path, kind, mode in ((certificate.crt, "crt", 0o644), (certificate.key, "key", 0o600)):
        shutil.copy(path, os.path.join(where, f"mx.test.{kind}"))
        os.chmod(os.path.join(where, f"mx.test.{kind}"), mode)


LISTEN = re.compile(r"^listen on \S+( port \S+)?.*$", re.M)


def listeners(text):
    """Whether each has TLS from the first octet."""
    return [" smtps" in line.group() for line in LISTEN.finditer(text)]


def behind_balancer(text, ports, option=f"proxy {BALANCER}"):
    """The configuration with listeners on these ports, for a balancer as well."""
    ports = iter(ports)

    def change(line):
        rest = re.sub(r" port \S+", "", line.group()[len("listen on "):])
        host, _, options = rest.partition(" ")
        return f"listen on {host} port {next(ports)} {option} {options}"
    return LISTEN.sub(change, text)


# -- asking ----------------------------------------------------------------------------------

def proxy_header(q):
    client = "127.0.0.1" if q.local else q.client
    six = ":" in client
    body = b"".join(socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, a)
                    for a in (client, "2001:db8::1" if six else "198.51.100.1")) + struct.pack(">HH", 56324, 25)
    return SIGNATURE + (b"\x21\x21" if six else b"\x21\x11") + struct.pack(">H", len(body)) + body


class Refused(Exception):
    """The first answer that was not wanted; its text is both codes, .reply all of it."""

    def __init__(self, reply):
        code, status = status_of(reply)
        super().__init__(f"{code} {status}")
        self.reply = reply


class Asker(Client):
    """One connection with one question."""

    def __init__(self, q, port, smtps, always=False):
        """always: the port takes no client without a PROXY header."""
        super().__init__(port, greeted=False, source="127.0.0.1" if q.local else BALANCER)
        self.q = q
        if always or not q.local:
            self.send(proxy_header(q))
        if smtps:
            self.secure()
        self.must(self.reply())
        self.say_hello()
        if q.secured and not smtps:
            self.must(self.cmd("STARTTLS"))
            self.secure()
            self.say_hello()
        if q.login:
            code, status = sasl.auth(self, "PLAIN", *sasl.plain(q.login, PASSWORD))
            self.must((code, status))

    @staticmethod
    def must(reply):
        if reply[0] >= 400:
            raise Refused(reply)
        return reply

    def secure(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock, server_hostname="mx.test")

    def say_hello(self):
        self.must(self.cmd(f"EHLO {self.q.helo}"))

    def ask(self):
        """Up to the last recipient; what was said to that."""
        size = f" SIZE={self.q.size}" if self.q.size else ""
        self.must(self.cmd(f"MAIL FROM:<{self.q.sender}>{size}"))
        for rcpt in self.q.to.split(","):
            reply = self.must(self.cmd(f"RCPT TO:<{rcpt}>"))
        return reply

    def finish(self):
        """The message; what was said when it was taken."""
        self.must(self.cmd("DATA"))
        self.send("Subject: x\r\n\r\nx\r\n")
        reply = self.cmd(".")
        self.must(reply)
        return reply[1]


def ask(q, port, smtps, action_of, **more):
    """The answer of a server; action_of() finds out which action the message has that came last."""
    try:
        with Asker(q, port, smtps, **more) as c:
            c.ask()
            return action_of(c.finish())
    except Refused as e:
        return str(e)


def reply_of(q, port, smtps):
    """The reply to the last recipient, or the first refusal: code and text."""
    try:
        with Asker(q, port, smtps) as c:
            return c.ask()
    except Refused as e:
        return e.reply
