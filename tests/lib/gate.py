# SPDX-License-Identifier: ISC
"""A next hop that stops at one step of a delivery until it is told to go on, and counts what it accepted."""
import collections
import contextlib
import re
import socket
import threading

from postern import PATIENCE, wait_for

# In the order in which a delivery comes by them.
STEPS = ("connected", "EHLO", "MAIL", "RCPT", "DATA", "body", "end", "accepted", "QUIT")
REPLIES = {"EHLO": b"250-gate.test\r\n250 8BITMIME", "DATA": b"354 go on", "QUIT": b"221 bye"}


class Gate:
    """hold() shuts it at a step; .reached is set when a delivery is there; go_on() opens it.

    While one is held, all others wait for the greeting.  .copies: {X-Number: times} since hold().
    """

    def __init__(self):
        self.step, self.reached, self.opened = None, threading.Event(), threading.Event()
        self.lock, self.copies, self.open = threading.Lock(), collections.Counter(), set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go_on()
        self.listener.close()

    def hold(self, step):
        """The first to come by from here on, by a connection of its own."""
        assert step in STEPS
        self.hang_up()
        with self.lock:
            self.step = step
            self.reached.clear()
            self.opened.clear()
            self.copies.clear()

    def go_on(self):
        self.opened.set()

    def hang_up(self):
        """Ends what is kept for more mail; returns when the other side has closed, too."""
        with self.lock:
            kept = list(self.open)
        for sock in kept:
            with contextlib.suppress(OSError):      # it is closed already
                sock.shutdown(socket.SHUT_WR)
        wait_for(lambda: not self.open, "the end of every connection")

    def _at(self, step):
        """The first to come by is held, and whoever calls while it is."""
        with self.lock:
            held = step == self.step and not self.reached.is_set()
            if held:
                self.reached.set()
        if held or (step == "connected" and self.reached.is_set()):
            self.opened.wait(PATIENCE)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                with self.lock:
                    self.open.add(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            self._converse(sock)
        finally:
            with self.lock:
                self.open.discard(sock)

    def _converse(self, sock):
        sock.settimeout(PATIENCE)
        # The other side is killed: a lost connection is what we came for.
        with contextlib.suppress(OSError, EOFError), sock, sock.makefile("rb") as lines:
            self._at("connected")
            sock.sendall(b"220 gate.test ESMTP\r\n")
            while line := lines.readline():
                verb = line[:4].decode("latin-1").upper()
                self._at(verb)
                sock.sendall(REPLIES.get(verb, b"250 OK") + b"\r\n")
                if verb == "DATA":
                    self._body(sock, lines)
                if verb == "QUIT":
                    return

    def _body(self, sock, lines):
        text = [lines.readline()]
        self._at("body")
        while text[-1] != b".\r\n":
            text.append(lines.readline())
            if not text[-1]:
                raise EOFError
        self._at("end")
        # From here on it has the message, whatever the other side hears of that (RFC 5321 6.1).
        number = int(re.search(rb"(?m)^X-Number: (\d+)\r$", b"".join(text)).group(1))
        with self.lock:
            self.copies[number] += 1
        sock.sendall(b"250 2.0.0 kept\r\n")
        self._at("accepted")
