# SPDX-License-Identifier: ISC
"""A mail server that means harm to who sends to it.

It is polite but for what its plan says: a plan is taken by each connection, the
first by the first; with none left it is polite.  What it heard stays, and which
messages it said yes to in full.
"""
import contextlib
import re
import socket
import ssl
import struct
import threading

from postern import PATIENCE

POLITE = {"BANNER": b"220 evil.test ESMTP\r\n", "EHLO": b"250-evil.test\r\n250-PIPELINING\r\n250 SIZE 100000000\r\n",
          "HELO": b"250 evil.test\r\n", "MAIL": b"250 2.1.0 ok\r\n", "RCPT": b"250 2.1.5 ok\r\n",
          "DATA": b"354 go\r\n", "DOT": b"250 2.6.0 kept\r\n", "RSET": b"250 2.0.0 ok\r\n",
          "BDAT": b"250 2.0.0 more\r\n", "QUIT": b"221 2.0.0 bye\r\n", "STARTTLS": b"220 2.0.0 go\r\n"}
STEPS = ("BANNER", "EHLO", "MAIL", "RCPT", "DATA", "DOT")


class Plan:
    """What goes wrong on one connection.

    answers: other replies, by step.  cut: (step, octets), so much of that reply and then
    the end, or a reset.  flood: (step, octets), which are said over and over until nobody listens.
    deaf: a step after which nothing is read any more.  offers: more words of EHLO's reply,
    hidden: those of before TLS.  part: so many octets of the handshake, and then the end; bent: one of
    them that is another than it should be.
    """

    def __init__(self, answers=(), cut=None, reset=False, flood=None, deaf=None, tls=None, before_tls=b"",
                 offers=(), hidden=(), part=None, bent=None, only_once=False):
        self.answers, self.cut, self.reset, self.flood = dict(answers), cut, reset, flood
        self.deaf, self.tls, self.before_tls = deaf, tls, before_tls
        self.offers, self.hidden, self.only_once = offers, hidden, only_once
        self.part, self.bent = part, bent


class Over(Exception):
    """The connection has had its part."""


class Visit:
    """One connection: .lines as they were heard, .secure those of them under TLS, .why it ended."""

    def __init__(self, mx, sock, plan):
        self.mx, self.sock, self.plan = mx, sock, plan
        self.lines, self.secure, self.buffer = [], [], b""
        self.tls, self.spoilt = False, False
        self.sent = 0       # octets of a flood that were taken

    # -- talking --
    def say(self, step, octets):
        cut = self.plan.cut
        if cut and cut[0] == step:
            self.sock.sendall(octets[:cut[1]])
            if self.plan.reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise Over(step)
        if self.plan.flood and self.plan.flood[0] == step:
            while True:     # ends by an error of the socket
                self.sock.sendall(self.plan.flood[1])
                self.sent += len(self.plan.flood[1])
        self.sock.sendall(octets)
        if self.plan.deaf == step:
            self.mx.release.wait(PATIENCE)
            raise Over(step)

    def answer(self, step):
        octets = self.plan.answers.get(step, POLITE.get(step, b"500 5.5.1 what\r\n"))
        if step == "EHLO" and "EHLO" not in self.plan.answers:
            words = self.plan.offers if self.tls or not self.plan.tls else (*self.plan.hidden, "STARTTLS")
            octets = b"".join(b"250-%s\r\n" % w.encode() for w in ("evil.test", "PIPELINING", *words)) + b"250 HELP\r\n"
        return octets

    # -- listening --
    def more(self):
        octets = self.sock.recv(1 << 16)
        if not octets:
            raise Over("closed")
        self.buffer += octets

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        self.lines.append(line)
        if self.tls:
            self.secure.append(line)
        return line

    def body(self):
        text = b"\r\n" + self.buffer
        while b"\r\n.\r\n" not in text:
            octets = self.sock.recv(1 << 16)
            if not octets:
                raise Over("closed in the text")
            text += octets
        text, self.buffer = text.split(b"\r\n.\r\n", 1)
        self.mx.wire.append(text[2:] + b"\r\n")
        return text[2:] + b"\r\n"

    # -- the conversation --
    def starttls(self):
        self.sock.sendall(self.answer("STARTTLS") + self.plan.before_tls)
        if not self.answer("STARTTLS").startswith(b"220"):
            return
        if self.plan.part is not None or self.plan.bent is not None:
            self.broken_handshake()
        self.sock = self.plan.tls.wrap_socket(self.sock, server_side=True)
        self.tls, self.buffer = True, b""

    def broken_handshake(self):
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls, said = self.plan.tls.wrap_bio(into, out, server_side=True), b""
        whole = False
        while not whole:
            try:
                tls.do_handshake()
                whole = True
            except ssl.SSLWantReadError:
                pass
            part = out.read()
            at, said = len(said), said + part
            if self.plan.bent is not None and at <= self.plan.bent < len(said):
                part = bytearray(part)
                part[self.plan.bent - at] ^= 0x20
            self.sock.sendall(part if self.plan.part is None else part[:max(0, self.plan.part - at)])
            if self.plan.part is not None and len(said) >= self.plan.part:
                raise Over("in the handshake")
            octets = self.sock.recv(1 << 16)
            if not octets:
                raise Over("closed in the handshake")
            into.write(octets)
        raise Over("the handshake was whole")

    def message(self, rcpts):
        self.say("DATA", self.answer("DATA"))
        if not self.answer("DATA").startswith(b"354"):
            return
        self.end(rcpts, self.body())

    def chunk(self, line, rcpts, text):
        """The text so far, or None behind the last."""
        octets = int(line.split()[1])
        while len(self.buffer) < octets:
            self.more()
        text, self.buffer = text + self.buffer[:octets], self.buffer[octets:]
        if line.upper().endswith(b" LAST"):
            self.mx.wire.append(text)
            self.end(rcpts, text)
            return None
        self.spoilt = self.spoilt or not self.answer("BDAT").startswith(b"2")
        self.say("BDAT", self.answer("BDAT"))
        return text

    def end(self, rcpts, text):
        answer = b"503 5.5.1 a chunk was refused\r\n" if self.spoilt else self.answer("DOT")
        self.spoilt = False
        kept = answer.startswith(b"250 ") and not (self.plan.cut and self.plan.cut[0] == "DOT")
        (self.mx.kept if kept else self.mx.seen).extend((r, text) for r in rcpts)
        self.say("DOT", answer)

    def serve(self):
        rcpts, chunks = [], b""
        self.say("BANNER", self.answer("BANNER"))
        while True:
            line = self.line()
            verb = line.split(b" ")[0].split(b":")[0].decode("latin-1").upper()
            if verb == "STARTTLS" and self.plan.tls:
                self.starttls()
            elif verb in ("DATA", "BDAT"):
                chunks = self.chunk(line, rcpts, chunks) if verb == "BDAT" else self.message(rcpts)
                if chunks is None:
                    rcpts, chunks = [], b""
                    if self.plan.only_once:
                        raise Over("once")
            else:
                answer = self.answer(verb)
                if verb == "RCPT" and answer.startswith(b"250"):
                    rcpts.append(re.search(rb"<(.*)>", line).group(1).decode())
                if verb in ("MAIL", "RSET"):
                    rcpts = []
                self.say(verb, answer)
                if verb == "QUIT":
                    raise Over("quit")


class EvilMX:
    def __init__(self, *plans):
        self.plans, self.visits, self.problems = list(plans), [], []
        self.kept, self.seen, self.wire = [], [], []    # (recipient, text): with a whole yes, and without
        self.release = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                sock.settimeout(PATIENCE)
                visit = Visit(self, sock, self.plans.pop(0) if self.plans else Plan(only_once=True))
                self.visits.append(visit)
                threading.Thread(target=self._serve, args=(visit,), daemon=True).start()

    def _serve(self, visit):
        try:
            visit.serve()
        except (Over, OSError, ssl.SSLError) as e:
            visit.why = e
        except Exception as e:      # a defect of the test: its thread must not hide it
            self.problems.append(e)
            raise
        finally:
            visit.sock.close()

    def heard(self):
        """All lines of all connections."""
        return [line for v in self.visits for line in v.lines]

    def close(self):
        self.release.set()
        self.listener.close()
        assert not self.problems, self.problems
