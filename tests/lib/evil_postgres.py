# SPDX-License-Identifier: ISC
"""A PostgreSQL server that a test writes: it speaks the protocol as far as libpq needs it, and says what it likes."""
import base64
import contextlib
import itertools
import socket
import struct
import threading


def message(kind, body=b""):
    return kind + struct.pack(">I", len(body) + 4) + body


def row(value):
    return message(b"D", struct.pack(">HI", 1, len(value)) + value)


AUTHENTICATED = message(b"R", struct.pack(">I", 0))
IDLE = message(b"Z", b"I")
READY = AUTHENTICATED + IDLE
DESCRIPTION = message(b"T", struct.pack(">H", 1) + b"target\0" + struct.pack(">IHIHIH", 0, 0, 25, 0xffff, 0, 0))
COMPLETE = message(b"C", b"SELECT 1\0")


def error(text):
    return message(b"E", b"SERROR\0VERROR\0CXX000\0M" + text + b"\0\0")


def parameter_of(bind):
    """The first value of a Bind message, None where it has none."""
    at = bind.index(b"\0", bind.index(b"\0") + 1) + 1
    at += 2 + 2 * struct.unpack_from(">H", bind, at)[0]
    if struct.unpack_from(">H", bind, at)[0] == 0:
        return None
    length, = struct.unpack_from(">I", bind, at + 2)
    return bind[at + 6:at + 6 + length].decode()


class Peer:
    """A client: what it says, message by message."""

    def __init__(self, sock):
        self.sock = sock

    def take(self, n):
        have = b""
        while len(have) < n:
            piece = self.sock.recv(n - len(have))
            if not piece:
                raise OSError("gone")
            have += piece
        return have

    def hello(self):
        return self.take(struct.unpack(">I", self.take(4))[0] - 4)

    def message(self):
        kind = self.take(1)
        return kind, self.take(struct.unpack(">I", self.take(4))[0] - 4)

    def say(self, octets):
        self.sock.sendall(octets)


class EvilPostgres:
    """values(key): the rows of an answer; greet(peer): instead of letting everybody in; aside(): said before each
    answer, unasked."""

    def __init__(self, values=lambda key: [], greet=lambda peer: peer.say(READY), aside=lambda: b""):
        self.values, self.greet, self.aside = values, greet, aside
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def close(self):
        self.socket.close()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with sock, contextlib.suppress(OSError):
            peer = Peer(sock)
            peer.hello()
            self.greet(peer)
            while True:
                self.answer(peer, *self.question(peer))

    @staticmethod
    def question(peer):
        """Up to its sync; what there is to say besides rows, and the key."""
        said, key = b"", None
        while True:
            kind, body = peer.message()
            if kind == b"S":
                return said, key
            if kind == b"B":
                key = parameter_of(body)
            said += {b"P": message(b"1"), b"B": message(b"2"), b"D": DESCRIPTION}.get(kind, b"")

    def answer(self, peer, said, key):
        rows = [] if key is None else self.values(key)
        peer.say(said + self.aside() + b"".join(row(value.encode()) for value in rows) + COMPLETE + IDLE)

    def conf(self, more="", **queries):
        queries = queries or {"virtual": "SELECT target FROM users WHERE address = $1"}
        lines = [f"conninfo hostaddr=127.0.0.1 port={self.port} user=x sslmode=disable {more}"]
        return "\n".join(lines + [f"query_{service} {query}" for service, query in queries.items()]) + "\n"


# -- ways to greet -------------------------------------------------------------------

def scram(iterations):
    """As far as the number that the client has to reckon with."""
    def greet(peer):
        peer.say(message(b"R", struct.pack(">I", 10) + b"SCRAM-SHA-256\0\0"))
        nonce = peer.message()[1].split(b"r=")[1]
        salt = base64.b64encode(b"salt" * 4)
        peer.say(message(b"R", struct.pack(">I", 11) + b"r=" + nonce + b"xyz,s=" + salt + b",i=%d" % iterations))
        peer.message()
    return greet


def repeats_the_password(peer):
    """It asks for it in the clear, and cries it out."""
    peer.say(message(b"R", struct.pack(">I", 3)))
    _, password = peer.message()
    peer.say(error(b"no entry for " + password.rstrip(b"\0") + b" here"))


def without_end(what):
    """Lets everybody in, and then says the same again and again; what(n) is the n-th of it."""
    def greet(peer):
        peer.say(READY)
        for n in itertools.count():
            peer.say(b"".join(what(200 * n + i) for i in range(200)))
    return greet


def notification(n):
    return message(b"A", struct.pack(">I", 1) + b"channel%d\0" % n + b"x" * 4000 + b"\0")


def setting(n):
    return message(b"S", b"setting%d\0" % n + b"x" * 4000 + b"\0")


def notice(_):
    return message(b"N", b"SNOTICE\0M" + b"x" * 4000 + b"\0\0")
