# SPDX-License-Identifier: ISC
"""Submission servers shaped like those of the large providers: what they offer, and in which words they refuse.

Each ends its connections' lives in threads of its own; .mail has every envelope that was taken.  Passwords are of
.passwords, tokens are judged by .who, which oauth_server.py's OAuthServer has.
"""
import base64
import hashlib
import hmac
import json
import os
import socket
import ssl
import threading
from typing import NamedTuple

import tls
from postern import PATIENCE

tls.CERTIFICATES.setdefault("submission", tls.Row(names="DNS:smtp.test, IP:127.0.0.1"))
USER, PASSWORD = "ann@example.org", "app password: ünd more"
ITERATIONS = 4096


class Mail(NamedTuple):
    """One message, and how it came."""
    login: str
    mechanism: str
    sender: str
    rcpts: list
    body: bytes
    parameters: str     # of MAIL


class Shape(NamedTuple):
    """What makes a provider."""
    name: str
    mechanisms: tuple
    extensions: tuple
    wanted: str                 # what MAIL without AUTH hears
    refused: str                # what a wrong password or token hears
    trouble: str = "454 4.7.0 Cannot authenticate due to temporary system problem."
    hello: str = "smtp.test ESMTP ready"
    strict_sender: bool = False     # MAIL FROM has to be the login


GMAIL = Shape(
    "gmail", ("LOGIN", "PLAIN", "XOAUTH2", "PLAIN-CLIENTTOKEN", "OAUTHBEARER"),
    ("SIZE 35882577", "8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING", "CHUNKING", "SMTPUTF8"),
    "530-5.7.0 Authentication Required. For more information, go to\r\n"
    "530 5.7.0  https://support.google.com/mail/?p=WantAuthError - gsmtp",
    "535-5.7.8 Username and Password not accepted. For more information, go to\r\n"
    "535 5.7.8  https://support.google.com/mail/?p=BadCredentials - gsmtp",
    "421 4.7.0 Temporary System Problem.  Try again later (WS). - gsmtp",
    "smtp.gmail.test ESMTP - gsmtp")
OFFICE = Shape(
    "office", ("LOGIN", "XOAUTH2"),
    ("SIZE 157286400", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8"),
    "530 5.7.57 Client not authenticated to send mail. [AM0PR.eurprd.prod.outlook.test]",
    "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. "
    "Contact your administrator. [AM0PR.eurprd.prod.outlook.test]",
    "451 4.7.0 Temporary server error. Please try again later. PRX2",
    "AM0PR.outlook.office365.test Microsoft ESMTP MAIL Service ready", True)
PLAIN = Shape("plain", ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"),
              ("PIPELINING", "SIZE 10240000", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN"),
              "530 5.7.0 Authentication required", "535 5.7.8 Error: authentication failed")


def b64(octets):
    return base64.b64encode(octets).decode()


class Refused(Exception):
    """The exchange failed: what is said to it."""


class Connection:
    """One client: a line in, a reply out."""

    def __init__(self, server, sock):
        self.server, self.shape, self.sock = server, server.shape, sock
        self.file = sock.makefile("rb")
        self.secure, self.login, self.mechanism = False, None, None
        self.reset()

    def reset(self):
        self.sender, self.parameters, self.rcpts, self.body = None, "", [], b""

    def secured(self):
        self.sock = self.server.context.wrap_socket(self.sock, server_side=True)
        self.file = self.sock.makefile("rb")
        self.secure = True

    def say(self, text):
        self.server.said.append(text)
        self.sock.sendall(text.encode() + b"\r\n")

    def line(self):
        octets = self.file.readline(20000)
        if not octets:
            raise EOFError
        assert octets.endswith(b"\r\n"), octets
        octets = octets[:-2]
        assert b"\r" not in octets and b"\n" not in octets, octets
        self.server.heard.append(octets)
        if not self.secure:
            self.server.in_clear.append(octets)
        return octets.decode()

    def serve(self):
        self.say("220 " + self.shape.hello)
        while True:
            line = self.line()
            verb, _, rest = line.partition(" ")
            act = getattr(self, "on_" + verb.lower(), None)
            canned = self.server.next_canned(verb.upper())
            if canned is not None:
                self.say(canned)
                if canned.startswith("421"):
                    return
            elif act is None:
                self.say("502 5.5.2 command not implemented")
            elif act(rest) == "end":
                return

    def on_ehlo(self, name):
        lines = [f"smtp.test at your service, {name}", *self.shape.extensions]
        if not self.secure:
            lines.append("STARTTLS")
        if self.secure or self.server.auth_in_clear:
            lines.append("AUTH " + " ".join(self.server.mechanisms))
        self.reset()
        self.say("\r\n".join(f"250{'-' if i < len(lines) - 1 else ' '}{text}" for i, text in enumerate(lines)))

    def on_starttls(self, _):
        if self.secure:
            self.say("503 5.5.1 TLS is active")
            return
        self.say("220 2.0.0 Ready to start TLS")
        self.secured()
        self.login = None

    def on_noop(self, _):
        self.say("250 2.0.0 OK")

    def on_rset(self, _):
        self.reset()
        self.say("250 2.1.5 Flushed")

    def on_quit(self, _):
        self.say("221 2.0.0 closing connection")
        return "end"

    # -- mail --

    def on_mail(self, rest):
        address, _, self.parameters = rest.partition(":")[2].partition(" ")
        address = address.strip("<>")
        if self.login is None:
            self.say(self.shape.wanted)
        elif self.shape.strict_sender and address and address != self.login:
            self.say("554 5.2.252 SendAsDenied; the login can't send as that address")
        else:
            self.reset()
            self.sender, self.parameters = address, rest.partition(" ")[2]
            self.say("250 2.1.0 OK")

    def on_rcpt(self, rest):
        if self.sender is None:
            self.say("503 5.5.1 MAIL first")
            return
        self.rcpts.append(rest.partition(":")[2].partition(" ")[0].strip("<>"))
        self.say("250 2.1.5 OK")

    def on_data(self, _):
        if not self.rcpts:
            self.say("503 5.5.1 RCPT first")
            return
        self.say("354 Go ahead")
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                raise EOFError
            self.body += line[1:] if line.startswith(b".") else line
        self.keep()

    def on_bdat(self, rest):
        size, _, last = rest.partition(" ")
        octets = self.file.read(int(size))
        if len(octets) < int(size):
            raise EOFError
        if not self.rcpts:
            self.say("503 5.5.1 RCPT first")
            return
        self.body += octets
        if last.upper() == "LAST":
            self.keep()
        else:
            self.say("250 2.0.0 OK")

    def keep(self):
        mail = Mail(self.login, self.mechanism, self.sender, self.rcpts, self.body, self.parameters)
        self.server.mail.append(mail)
        self.reset()
        self.say(f"250 2.0.0 OK {len(self.server.mail)}")

    # -- AUTH --

    def on_auth(self, rest):
        mechanism, _, initial = rest.partition(" ")
        mechanism = mechanism.upper()
        act = getattr(self, "auth_" + mechanism.lower().replace("-", "_"), None)
        if self.login is not None or not (self.secure or self.server.auth_in_clear):
            self.say("503 5.5.1 not now")
            return
        if mechanism not in self.server.mechanisms or act is None:
            self.say("504 5.5.4 Unrecognized Authentication Type")
            return
        self.server.tried.append(mechanism)
        if self.server.trouble > 0:
            self.server.trouble -= 1
            self.say(self.shape.trouble)
            return "end" if self.shape.trouble.startswith("421") else None
        try:
            self.login = act(initial)
            self.mechanism = mechanism
            self.say("235 2.7.0 Accepted")
        except (Refused, ValueError, UnicodeDecodeError, KeyError, IndexError) as e:
            self.say(str(e) if isinstance(e, Refused) and str(e) else self.shape.refused)

    def challenge(self, octets=b""):
        self.say("334 " + b64(octets))
        line = self.line()
        if line == "*":
            raise Refused("501 5.7.0 cancelled")
        return base64.b64decode(line, validate=True)

    def initial(self, text):
        if text == "=":
            return b""
        return base64.b64decode(text, validate=True) if text else self.challenge()

    def check(self, login, password):
        if self.server.passwords.get(login) != password:
            raise Refused
        return login

    def auth_plain(self, initial):
        _, login, password = self.initial(initial).decode().split("\0")
        return self.check(login, password)

    def auth_login(self, initial):
        login = base64.b64decode(initial) if initial else self.challenge(b"Username:")
        return self.check(login.decode(), self.challenge(b"Password:").decode())

    def token(self, login, token, error):
        """Tokens are refused by a challenge, which the client has to answer."""
        owner = self.server.who(token) if self.server.who else None
        if owner is None or owner != login:
            self.challenge(json.dumps(error).encode())
            raise Refused
        return login

    def auth_xoauth2(self, initial):
        fields = self.initial(initial).decode().split("\1")
        if fields[2:] != ["", ""] or not fields[0].startswith("user=") or not fields[1].startswith("auth=Bearer "):
            raise Refused("501 5.5.2 Cannot Decode response")
        return self.token(fields[0][5:], fields[1][12:],
                          {"status": "400", "schemes": "Bearer", "scope": "https://mail.test/"})

    def auth_oauthbearer(self, initial):
        gs2, *fields = self.initial(initial).decode().split("\1")
        if not gs2.startswith("n,a=") or not gs2.endswith(",") or fields[-2:] != ["", ""]:
            raise Refused("501 5.5.2 Cannot Decode response")
        values = dict(f.split("=", 1) for f in fields[:-2])
        login = gs2[4:-1].replace("=2C", ",").replace("=3D", "=")
        return self.token(login, values["auth"].removeprefix("Bearer "), {"status": "invalid_token"})

    def auth_scram_sha_256(self, initial):
        """RFC 5802, RFC 7677."""
        first = self.initial(initial).decode()
        gs2, _, bare = first.partition(",,")
        fields = dict(f.split("=", 1) for f in bare.split(","))
        login = fields["n"].replace("=2C", ",").replace("=3D", "=")
        password, salt = self.server.passwords.get(login), os.urandom(16)
        nonce = fields["r"] + b64(os.urandom(18))
        said = f"r={nonce},s={b64(salt)},i={ITERATIONS}"
        final = self.challenge(said.encode()).decode()
        without, _, proof = final.rpartition(",p=")
        assert without == f"c={b64((gs2 + ',,').encode())},r={nonce}", final
        salted = hashlib.pbkdf2_hmac("sha256", (password or "").encode(), salt, ITERATIONS)
        key = hmac.digest(salted, b"Client Key", "sha256")
        signed = f"{bare},{said},{without}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        mine = bytes(a ^ b for a, b in zip(key, signature))
        if password is None or not hmac.compare_digest(mine, base64.b64decode(proof)):
            raise Refused
        server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        if self.server.forges == "silent":
            return login
        if self.server.forges:
            server = bytes(len(server))
        self.challenge(f"v={b64(server)}".encode())
        return login


class Submission:
    """A server on .port (STARTTLS) and .tls_port (TLS at once)."""

    def __init__(self, shape=PLAIN, certificate="submission", who=None, mechanisms=None):
        self.shape, self.who = shape, who
        self.passwords = {USER: PASSWORD}
        self.mechanisms = mechanisms or shape.mechanisms
        self.auth_in_clear = False
        self.forges = False         # SCRAM's last message is not of who knows the password; "silent": there is none
        self.trouble = 0            # so many AUTHs are answered by it
        self.lock = threading.Lock()
        self.canned = []
        self.mail, self.heard, self.said, self.in_clear, self.tried, self.faults = [], [], [], [], [], []
        self.connections = 0
        c = tls.certificate(certificate)
        self.authority = c.authority
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(c.crt, c.key)
        self.listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.port, self.tls_port = (s.getsockname()[1] for s in self.listeners)
        for listener, at_once in zip(self.listeners, (False, True)):
            threading.Thread(target=self.accept, args=(listener, at_once), daemon=True).start()

    def can(self, verb, *replies):
        """The next commands of that verb are answered so."""
        with self.lock:
            self.canned += [(verb, r) for r in replies]

    def next_canned(self, verb):
        with self.lock:
            for i, (which, reply) in enumerate(self.canned):
                if which == verb:
                    del self.canned[i]
                    return reply
        return None

    def accept(self, listener, at_once):
        while True:
            try:
                sock = listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(sock, at_once), daemon=True).start()

    def serve(self, sock, at_once):
        sock.settimeout(PATIENCE * 4)
        connection = Connection(self, sock)
        try:
            if at_once:
                connection.secured()
            connection.serve()
        except (OSError, EOFError):
            pass
        except Exception as e:      # of the client's making, or of ours: a test looks
            self.faults.append(repr(e))
        finally:
            connection.sock.close()

    def stop(self):
        for s in self.listeners:
            s.close()
        assert not self.faults, self.faults
