# SPDX-License-Identifier: ISC
"""smtpd-vault and its hashers alone, with the test as their parent and as a session process."""

import select
import socket
import time

import table
from ipc import ADDRESS_SPACE, DEADLINE, OUTCOMES, ROLE, Process

RESULTS = ("OK", "REFUSED", "MALFORMED", "BLOCKED", "TROUBLE", "UNKNOWN")
DATA = {name: number for number, name in enumerate(("CERT", "KEY", "OCSP", "CA", "TABLE"))}
CHUNK = 32768


class Member(Process):
    """A process with the rights of its row in smtpd/roles.c."""

    def __init__(self, program, role, conf, data=()):
        self.data = data
        self.shadow = {}
        row = table.role_row(role)
        memory = row["address_space"] if ADDRESS_SPACE else 0
        super().__init__(program, role, row["rights"], conf,
                         limits=(row["descriptors"], memory, 0, 0))

    def configure(self, conf, files=(), generation=1):
        for kind, name, text in self.data:
            pieces = [text[i:i + CHUNK] for i in range(0, len(text), CHUNK)] or [b""]
            for i, piece in enumerate(pieces):
                self.parent.send("file_data", kind=DATA[kind], name=name,
                                 last=i == len(pieces) - 1, data=piece)
        super().configure(conf, files, generation)

    def serve_once(self, timeout=0):
        m = super().serve_once(timeout)
        if m.type == "shadow":
            outcome, stored = self.shadow.get(m.name, ("GONE", ""))
            if outcome is not None:
                self.parent.send("shadow_answer", req=m.req, outcome=OUTCOMES.index(outcome),
                                 stored=stored)
        return m


class Vault:
    def __init__(self, conf, data=(), hashers=1):
        self.vault = Member("smtpd-vault", "VAULT", conf, data)
        self.hashers = []
        for _ in range(hashers):
            self.add_hasher()
        self.session = self.vault.link("SESSION")
        self.states = {}
        self.tickets = []
        self.last = 0

    def add_hasher(self):
        hasher = Member("smtpd-hasher", "HASHER", "")
        one, other = socket.socketpair()
        self.vault.parent.send("link", fd=one.fileno(), role=ROLE["HASHER"],
                               instance=len(self.hashers))
        hasher.parent.send("link", fd=other.fileno(), role=ROLE["VAULT"], instance=0)
        one.close()
        other.close()
        self.hashers.append(hasher)
        return hasher

    def stop(self):
        status = self.vault.stop()
        for hasher in self.hashers:
            hasher.stop()
        return status

    # -- one session process --

    def next(self, timeout=DEADLINE):
        """The next message to the session that belongs to an AUTH."""
        end = time.monotonic() + timeout
        while True:
            while self.session.holds_frame() or select.select([self.session.sock], [], [], 0)[0]:
                m = self.session.receive(0)
                if m.type == "table_state":
                    self.states[m.table] = m.scram
                elif m.type == "ticket_key":
                    self.tickets.append((m.revision, m.key))
                else:
                    return m
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            socks = [self.session.sock, self.vault.parent.sock]
            ready = select.select(socks, [], [], left)[0]
            if self.vault.parent.sock in ready:
                self.vault.serve_once(0)

    def settle(self):
        """Until all that was sent to the session so far has arrived."""
        req = self.begin("NONE")
        m = self.next()
        assert (m.req, m.type) == (req, "auth_verdict")

    def begin(self, mechanism, initial=None, client="192.0.2.1", **listener):
        self.last += 1
        listener.setdefault("passwords", "users")
        self.session.send("auth_begin", req=self.last, client=client, mechanism=mechanism,
                          with_initial=initial is not None, initial=initial or b"", **listener)
        return self.last

    def respond(self, req, data):
        self.session.send("auth_response", req=req, data=data)

    def hear(self, req):
        """The challenge, or the verdict as (result, login)."""
        m = self.next()
        assert m.req == req, m
        if m.type == "auth_challenge":
            return m.data
        assert m.type == "auth_verdict", m
        return RESULTS[m.result], m.login

    def auth(self, mechanism, *messages, **listener):
        """A whole exchange: the first message comes with AUTH; what was heard to each."""
        req = self.begin(mechanism, messages[0], **listener)
        heard = [self.hear(req)]
        for message in messages[1:]:
            self.respond(req, message)
            heard.append(self.hear(req))
        return heard

    def plain(self, login, password, **listener):
        return self.auth("PLAIN", b"\0%s\0%s" % (login.encode(), password.encode()), **listener)[0]
