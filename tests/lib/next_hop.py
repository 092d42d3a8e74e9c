# SPDX-License-Identifier: ISC
"""A next hop for tests of connections: it writes down who came, when and from where, and what each connection
brought."""
import contextlib
import os
import socket
import threading
import time

from postern import PATIENCE


class Visit:
    """One connection."""

    def __init__(self, number, address):
        self.number, self.address, self.began = number, address, time.monotonic()
        self.helo, self.mail, self.lines, self.open = None, [], [], True


class NextHop:
    """.visits in order; .mail of them all; .peak: how many were open at once.

    greeting, reply_to(visit, verb, line): strings without CRLF, or None to close; by default all is accepted."""

    def __init__(self, path=None, host="127.0.0.1", port=0, lmtp=False, extensions=("8BITMIME",), greeting=None,
                 reply_to=None):
        self.lmtp, self.extensions = lmtp, extensions
        self.greeting = greeting or (lambda visit: "220 next.test")
        self.reply_to = reply_to or (lambda visit, verb, line: "")
        self.visits, self.peak, self.lock, self.now = [], 0, threading.Lock(), 0
        if path is None:
            self.listener = socket.create_server((host, port))
            self.port = self.listener.getsockname()[1]
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            os.chmod(path, 0o666)
            self.listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    @property
    def mail(self):
        with self.lock:
            return [m for v in self.visits for m in v.mail]

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, address = self.listener.accept()
                with self.lock:
                    visit = Visit(len(self.visits), address)
                    self.visits.append(visit)
                    self.now += 1
                    self.peak = max(self.peak, self.now)
                threading.Thread(target=self._serve, args=(visit, sock), daemon=True).start()

    def _serve(self, visit, sock):
        sock.settimeout(PATIENCE)
        with contextlib.suppress(OSError), sock, sock.makefile("rb") as lines:
            self._talk(visit, sock, lines)
        with self.lock:
            self.now -= 1
            visit.open = False

    @staticmethod
    def _say(sock, text):
        if text is None:
            raise OSError("closed by the test")
        sock.sendall(text.encode() + b"\r\n")

    def _talk(self, visit, sock, lines):
        self._say(sock, self.greeting(visit))
        envelope = None
        for raw in lines:
            line = raw.decode("latin-1").rstrip("\r\n")
            verb = line.split(" ")[0].upper()
            visit.lines.append(line)
            if verb in ("EHLO", "LHLO", "HELO"):
                visit.helo = line[5:]
            if verb == "MAIL":
                envelope = {"from": line[10:], "to": [], "visit": visit.number}
            reply = self.reply_to(visit, verb, line)
            if reply == "":
                reply = self._default(verb)
            self._say(sock, reply)
            if verb == "RCPT" and reply[0] == "2":
                envelope["to"].append(line[8:])
            if verb == "DATA" and reply[0] == "3":
                self._body(visit, sock, lines, envelope)
            if verb == "QUIT":
                return

    def _default(self, verb):
        if verb in ("EHLO", "LHLO"):
            return "\r\n".join(["250-next.test"] + ["250-" + e for e in self.extensions] + ["250 HELP"])
        return {"DATA": "354 go on", "QUIT": "221 bye"}.get(verb, "250 2.0.0 ok")

    def _body(self, visit, sock, lines, envelope):
        text = b""
        for line in lines:
            if line == b".\r\n":
                break
            text += line
        else:
            raise OSError("cut")
        envelope["text"] = text
        for to in envelope["to"] if self.lmtp else envelope["to"][:1]:
            reply = self.reply_to(visit, ".", to)
            if reply != "" and not self.lmtp:
                self._say(sock, reply)
                return
            self._say(sock, reply or "250 2.0.0 kept")
        with self.lock:
            visit.mail.append(envelope)
