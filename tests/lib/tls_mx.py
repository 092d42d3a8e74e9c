# SPDX-License-Identifier: ISC
"""A server for outgoing mail that has TLS of every kind, and notes what it is told under it and without."""
import socket
import ssl
import threading
import warnings


class Mx:
    """
    .heard and .mail are pairs, the first of each whether it came under TLS; .names are those that clients indicated.

    injected comes in one piece with the answer to STARTTLS; broken: it is no TLS that follows; refuses: nor that it
    is welcome; low: nothing newer than TLS 1.1; keywords: what it announces under TLS, each "250-WORD" and CRLF.
    """

    def __init__(self, certificate, host="127.0.0.1", port=0, starttls=True, implicit=False, injected=b"", broken=False,
                 refuses=False, low=False, keywords=b""):
        self.starttls, self.implicit, self.injected = starttls, implicit, injected
        self.broken, self.refuses, self.keywords = broken, refuses, keywords
        self.heard, self.lines, self.mail, self.names = [], [], [], []
        self.context = self.create_context(certificate, low)
        self.listener = socket.create_server((host, port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def create_context(self, certificate, low):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(certificate.crt, certificate.key)
        context.sni_callback = lambda _sock, name, _context: self.names.append(name)
        if low:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        return context

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            if self.implicit:
                sock = self.context.wrap_socket(sock, server_side=True)
            sock.sendall(b"220 peer.test\r\n")
            self.talk(sock)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            sock.close()

    @staticmethod
    def line(sock):
        """One line, and not an octet more: TLS may begin behind it."""
        line = b""
        while not line.endswith(b"\r\n"):
            octet = sock.recv(1)
            if not octet:
                raise EOFError
            line += octet
        return line

    def talk(self, sock):
        while True:
            line = self.line(sock)
            secure = isinstance(sock, ssl.SSLSocket)
            word = line.split()[0].upper()
            self.heard.append((secure, word))
            self.lines.append(line)
            if word == b"STARTTLS":
                sock = self.secure(sock)
            elif word == b"EHLO":
                offer = self.starttls and not secure
                sock.sendall(b"250-peer.test\r\n" + offer * b"250-STARTTLS\r\n" + secure * self.keywords + b"250 8BITMIME\r\n")
            elif word == b"DATA":
                sock.sendall(b"354 go\r\n")
                text = b"".join(iter(lambda: self.line(sock), b".\r\n"))
                self.mail.append((secure, text))
                sock.sendall(b"250 2.0.0 kept\r\n")
            else:
                sock.sendall(b"250 ok\r\n")

    def secure(self, sock):
        if self.refuses:
            sock.sendall(b"454 4.7.0 not now\r\n")
            return sock
        sock.sendall(b"220 go\r\n" + self.injected)
        if self.broken:
            sock.recv(1)        # what comes before the client's first octet is something else: slipped in
            sock.sendall(b"that was a lie\r\n")
            raise EOFError
        return self.context.wrap_socket(sock, server_side=True)

    def close(self):
        self.listener.close()
