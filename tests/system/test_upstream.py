# SPDX-License-Identifier: ISC
"""Other servers hand their mail to ours: what they took arrives, and they use what we offer."""
import os
import re
import shutil
import tempfile

import pytest

import fetched
import mta
from kinds import KINDS, RECEIVED, SENDER, check_arrival
from tap import Tap

pytestmark = pytest.mark.root
OFFERED = {"PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME", "SMTPUTF8", "DSN", "LIMITS"}


class Upstream:
    """A server whose only next hop is ours, and what the two say to each other."""

    def __init__(self, kind, server):
        self.server = server
        self.folder = tempfile.mkdtemp(prefix="postern-mta-")
        os.chmod(self.folder, 0o755)  # their accounts must get in
        self.tap = Tap(server.port)
        self.mta = fetched.or_skip(kind, self.folder, self.tap.port)

    def close(self):
        self.mta.stop()
        self.tap.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def pass_on(self, name, to, message, mail="BODY=8BITMIME", rcpt=""):
        """Gives it a message to pass on to us; the dialog in which it did so."""
        self.mta.take(f"MAIL FROM:<{SENDER}> {mail}", [f"RCPT TO:<{t}> {rcpt}" for t in to], message)
        return self.tap.dialog_about(f"Message-ID: <{name}@".encode())


@pytest.fixture(scope="module", params=(mta.Postfix, mta.Exim), ids=lambda p: p.__name__)
def upstream(request, shared_server):
    u = Upstream(request.param, shared_server)
    yield u
    u.close()


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_took_arrives(upstream, kind):
    name, wanted = f"{type(upstream.mta).__name__}-{kind}", KINDS[kind]
    dialog = upstream.pass_on(name, wanted.to, wanted.raw(name))
    (message,) = dialog.messages()
    for address in wanted.to:
        check_arrival(upstream.server, address, message, dialog, len(wanted.to) == 1)
    # Below our trace there is its own, and below that what it was given.
    own = re.match(RECEIVED, message.replace(b"\r\n", b"\n"))
    assert re.search(rb"by (postfix|exim)\.test ", own[0])
    assert message.replace(b"\r\n", b"\n")[own.end():] == wanted.raw(name).replace(b"\r\n", b"\n")


def test_it_uses_what_is_offered(upstream):
    name = f"{type(upstream.mta).__name__}-extensions"
    dialog = upstream.pass_on(name, ["demo@example.org"], KINDS["utf8"].raw(name),
                              mail="BODY=8BITMIME RET=HDRS ENVID=QQ+2B314",
                              rcpt="NOTIFY=FAILURE,DELAY ORCPT=rfc822;Demo+2Bx@example.com")
    offered, words = dialog.offered(), {}
    assert OFFERED <= offered
    for verb in ("MAIL", "RCPT"):
        (line,) = dialog.command(verb)
        words[verb] = line.split()[2:]
    assert dialog.pipelined()
    assert any(w.startswith("SIZE=") for w in words["MAIL"])
    # RFC 6152: Postfix says what it was told, Exim sends eight bits without a word unless told to.
    assert "BODY=8BITMIME" in words["MAIL"] or isinstance(upstream.mta, mta.Exim)
    for verb, word in (("MAIL", "RET=HDRS"), ("MAIL", "ENVID=QQ+2B314"), ("RCPT", "NOTIFY=FAILURE,DELAY"),
                       ("RCPT", "ORCPT=rfc822;Demo+2Bx@example.com")):
        assert (word in words[verb]) == ("DSN" in offered)
    # Postfix takes chunks and never sends them.
    chunked = "CHUNKING" in offered and isinstance(upstream.mta, mta.Exim)
    assert bool(dialog.command("BDAT")) == chunked and bool(dialog.command("DATA")) != chunked
