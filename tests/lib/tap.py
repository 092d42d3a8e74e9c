# SPDX-License-Identifier: ISC
"""Stands between a client and a server on loopback, passes everything on, and keeps it."""
import re
import socket
import threading

from postern import PATIENCE, wait_for


class Dialog:
    """One connection.  .turns: who spoke ("client" or "server") and the octets, in order, as they came."""

    def __init__(self, client, server):
        self.turns, self.lock, self.pumps = [], threading.Lock(), []
        for who, a, b in (("client", client, server), ("server", server, client)):
            self.pumps.append(threading.Thread(target=self.pump, args=(who, a, b), daemon=True))
            self.pumps[-1].start()

    def pump(self, who, source, sink):
        try:
            while octets := source.recv(65536):
                with self.lock:
                    self.turns.append((who, octets))
                sink.sendall(octets)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def over(self):
        return not any(p.is_alive() for p in self.pumps)

    def said(self, who):
        return b"".join(octets for w, octets in self.turns if w == who)

    def parts(self):
        """("command", line) and ("message", octets) as the client sent them: un-stuffed, or its chunks put together."""
        parts, chunks, rest = [], b"", self.said("client")
        while rest:
            line, _, rest = rest.partition(b"\r\n")
            parts.append(("command", line.decode("latin-1")))
            words = line.upper().split()
            if words[:1] == [b"DATA"]:
                text, _, rest = (b"\r\n" + rest).partition(b"\r\n.\r\n")
                parts.append(("message", re.sub(rb"(?m)^\.", b"", (text + b"\r\n")[2:])))
            elif words[:1] == [b"BDAT"]:
                size = int(words[1])
                chunks, rest = chunks + rest[:size], rest[size:]
                if words[2:] == [b"LAST"]:
                    parts.append(("message", chunks))
                    chunks = b""
        return parts

    def messages(self):
        return [octets for what, octets in self.parts() if what == "message"]

    def command(self, verb):
        """The client's command lines with that verb."""
        return [line for what, line in self.parts() if what == "command" and line.upper().split()[:1] == [verb]]

    def offered(self):
        """The keywords of the server's answer to EHLO, its only one of several lines."""
        (answer,) = re.findall(rb"(?m)^250-.*\n(?:250-.*\n)*250 .*\n", self.said("server"))
        return {line.split()[0].decode() for line in re.findall(rb"(?m)^250[- ](.*)", answer)[1:]}

    def pipelined(self):
        """Whether MAIL and RCPT came without an answer between."""
        return any(who == "client" and b"MAIL FROM:" in octets.upper() and b"RCPT TO:" in octets.upper()
                   for who, octets in self.turns)


class Tap:
    """.port is where clients connect; .dialogs is what they and the server at that other port said."""

    def __init__(self, port):
        self.target, self.dialogs, self.sockets = port, [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target), PATIENCE)
            self.sockets += [client, server]
            self.dialogs.append(Dialog(client, server))

    def dialog(self):
        """The only one, when it is over."""
        wait_for(lambda: self.dialogs and all(d.over() for d in self.dialogs), "the client's end")
        (only,) = self.dialogs
        return only

    def dialog_about(self, octets):
        """The one in which the client said this, when it is over."""
        return wait_for(lambda: next((d for d in self.dialogs if d.over() and octets in d.said("client")), None),
                        f"a dialog about {octets!r}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.listener.close()
        for s in self.sockets:
            s.close()
