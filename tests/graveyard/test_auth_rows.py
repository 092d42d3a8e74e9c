# SPDX-License-Identifier: ISC
"""AUTH: exchanges in every order, base64 of every length, mechanisms nobody has, and what stands in names."""
import base64
import contextlib
import random
import re

import pytest

from evil import HARD, PATIENT, assert_well
from sasl import (MALFORMED, OK, REFUSED, UNKNOWN, Scram, auth, b64, crypted, oauthbearer, plain, scram_keys, table,
                  token_key, xoauth2)
from tls import TlsServer, certificate, context, starttls

DEMO = "demo@example.org"
CONF = PATIENT + table("logins", {DEMO: crypted("demo") + " " + scram_keys("demo")}) + \
    table("tokens", {token_key("token"): DEMO}) + """
auth failure-delay 0s
auth max-failures 100
auth free-failures 1000000
ca clients cert "{dir}/ca.crt"
listen on 127.0.0.1 port 0 tls pki ecdsa auth-optional <logins> tokens <tokens> ca clients
"""
TLS = 1


@pytest.fixture(scope="module")
def module_server():
    s = TlsServer(CONF, build=HARD)
    s.copy(certificate("client").authority, "ca.crt")
    s.start()
    yield s
    s.cleanup()


@pytest.fixture
def server(module_server):
    """Of the sanitizer build."""
    yield module_server
    assert_well(module_server)


# -- 18: an exchange that is begun again -------------------------------------------------

MECHANISMS = ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL", "OAUTHBEARER", "XOAUTH2", "NTLM", ""]


class Player:
    """Says whatever comes to its mind, and keeps account of what may be answered to it."""

    def __init__(self, server, seed):
        self.server, self.chance = server, random.Random(seed)
        self.client, self.asked, self.said = None, False, 0

    def fresh(self):
        if self.client:
            self.client.close()
        mine = "client" if self.chance.random() < 0.2 else None
        self.client, self.asked = starttls(self.server, TLS, ctx=CONTEXTS[mine]), False

    def message(self):
        scram = Scram(DEMO, "demo")
        octets = self.chance.choice([
            b"", b"\0", b"\0" + DEMO.encode() + b"\0wrong", b"\0nobody\0x", DEMO.encode(), b"wrong",
            scram.first().encode(),
            b"c=biws,r=x,p=" + base64.b64encode(bytes(32)), oauthbearer(DEMO, "wrong")[0].encode(), b"\1",
            xoauth2(DEMO, "wrong")[0].encode(), self.chance.randbytes(self.chance.choice([1, 2, 3, 100, 3000]))])
        return b64(octets)

    def act(self):
        """One line and its answer, which must be one of those that fit."""
        chance = self.chance.random()
        if self.asked:
            if chance < 0.15:
                line = "*"
            elif chance < 0.25:
                line = self.chance.choice(["AUTH PLAIN", "!", "=", "QUIT", "A", "RSET"])
            else:
                line = self.message()
            fits = {235, 334, 454, 501, 504, 535}
        else:
            if chance < 0.75:
                line = f"AUTH {self.chance.choice(MECHANISMS)}".rstrip()
                line += self.chance.choice(["", "", f" {self.message() or '='}", " =", " !"])
            else:
                line = self.chance.choice(["RSET", "NOOP", "EHLO client.test", "MAIL FROM:<demo@example.org>",
                                           "STARTTLS", "*", "="])
            fits = {235, 250, 334, 454, 500, 501, 503, 504, 530, 535, 550}
        code, text = self.client.cmd(line)
        assert code in fits, (line, code, text)
        self.asked, self.said = code == 334, self.said + 1

    def play(self, lines):
        while self.said < lines:
            self.fresh()
            for _ in range(self.chance.randrange(5, 120)):
                self.act()
            if self.chance.random() < 0.3:      # and who leaves in the middle
                self.client.send(self.chance.choice(["AUTH PLAIN\r\n", f"AUTH PLAIN {self.message()}\r\n", "AUTH LO",
                                                     "*"]))
        self.client.close()


CONTEXTS = {}


@pytest.mark.parametrize("seed", range(4))
def test_18_orders_of_auth(server, seed):
    """Begun, given up, begun again by another, answered by rubbish, left: 10,000 lines in orders of chance."""
    CONTEXTS.update({None: context(), "client": context(mine="client")})
    Player(server, seed).play(2500)
    with starttls(server, TLS) as c:
        assert auth(c, "PLAIN", *plain(DEMO, "demo")) == OK


def test_18_an_exchange_after_each_end_of_another(server):
    """What one leaves behind is not there for the next, whichever they are."""
    with starttls(server, TLS) as c:
        for first in ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2"):
            for second in ("PLAIN", "LOGIN", "SCRAM-SHA-256", "OAUTHBEARER"):
                assert c.cmd(f"AUTH {first}")[0] == 334
                assert c.status("*")[0] == 501
                assert c.cmd(f"AUTH {second}")[0] == 334
                assert c.status("!")[0] == 501
        assert auth(c, "SCRAM-SHA-256", *Scram(DEMO, "wrong").steps) == REFUSED
        assert c.cmd(f"AUTH LOGIN {b64(DEMO)}")[0] == 334
        assert c.status("*")[0] == 501
        assert auth(c, "SCRAM-SHA-256", *Scram(DEMO, "demo").steps) == OK


# -- 28: base64 -----------------------------------------------------------------------------

def test_28_base64_of_every_length(server):
    """Each length to 4,096 letters: taken apart or refused, and never read past its end."""
    chance = random.Random(28)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    with contextlib.ExitStack() as stack:
        c = stack.enter_context(starttls(server, TLS))
        for n in range(1, 4097, 3):
            if n % 300 == 1:
                c = stack.enter_context(starttls(server, TLS))
            for length in (n, n + 1, n + 2):
                text = "".join(chance.choices(letters, k=length))
                if chance.random() < 0.3:
                    text = text[:-1] + "="
                answer = c.status(f"AUTH PLAIN {text}")
                assert answer in (MALFORMED, REFUSED) if length % 4 == 0 else answer[0] == 501, (length, answer)


# -- 36: mechanisms and headers that nobody asked for --------------------------------------------

def test_36_there_is_no_other_mechanism(server):
    """NTLM and its like are not here, and EXTERNAL is for who showed a certificate: 504, whatever comes with it."""
    with starttls(server, TLS) as c:
        for name in ("NTLM", "GSSAPI", "GSS-SPNEGO", "MSN", "CRAM-MD5", "DIGEST-MD5", "ANONYMOUS", "OTP", "SKEY",
                     "KERBEROS_V4",
                     "EXTERNAL", "SECURID", "SRP", "SCRAM-SHA-1", "SCRAM-SHA-512", "PASSDSS-3DES-1", "SAML20",
                     "OPENID20"):
            for text in ("", " =", " TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAFASgKAAAADw==", " " + "A" * 4000):
                assert c.status(f"AUTH {name}{text}") == UNKNOWN
    with starttls(server, TLS, ctx=context(mine="client")) as c:
        for name in (DEMO + "\0", "x" * 9000, "\xff", "nobody@example.org"):
            assert auth(c, "EXTERNAL", name) in (REFUSED, MALFORMED)
        assert auth(c, "EXTERNAL", "") == OK


# -- 58: what stands in names ------------------------------------------------------------------------

META = ["*", "*)(uid=*))(|(uid=*", "demo*", "demo@example.org)(&", "' OR '1'='1", "'; DROP TABLE logins; --",
        "demo@example.org'--", "\\", "\\2a",
        "demo@example.org\\", "%", "_", "%s%s%n", "${demo}", "$(id)", "`id`", "|id", "../demo@example.org",
        "/etc/passwd", "-demo", "demo@example.org#",
        "demo@example.org\t", "demo@example.org\n", "a\nb",
        "demo@example.org\tOK", "\u202edemo",
        "d\u0435mo@example.org", "cert:SHA256:" + "0" * 64, "sha256:" + "0" * 64]


@pytest.mark.parametrize("name", META, ids=lambda n: ascii(n)[1:25])
def test_58_what_means_something_to_a_table(server, name):
    """A login is a key of the table, whatever its case, and nothing else to anybody; only the real one gets in."""
    before = len(server.log)
    with starttls(server, TLS) as c:
        for password in ("demo", "*", name):
            assert auth(c, "PLAIN", *plain(name, password)) in (REFUSED, MALFORMED)
            assert auth(c, "LOGIN", name, password) in (REFUSED, MALFORMED)
        assert auth(c, "SCRAM-SHA-256", *Scram(name, "demo").steps) in (REFUSED, MALFORMED)
        for mechanism, steps in (("OAUTHBEARER", oauthbearer), ("XOAUTH2", xoauth2)):
            assert auth(c, mechanism, *steps(name, "token")) in (REFUSED, MALFORMED)
            assert auth(c, mechanism, *steps(DEMO, name)) in (REFUSED, MALFORMED)
        assert auth(c, "PLAIN", *plain(DEMO, "demo")) == OK
        c.say(f"MAIL FROM:<{DEMO}>")
    for line in server.log[before:]:
        assert re.fullmatch(r"[\x20-\x7e]*", line), line


def test_58_hashes_are_compared_whole(server):
    """No prefix of a password, and nothing behind it, is as good."""
    with starttls(server, TLS) as c:
        for password in ("", "d", "dem", "demo\0", "demo\0x", "demo ", " demo", "demodemo", "x" * 2000):
            assert auth(c, "PLAIN", *plain(DEMO, password)) in (REFUSED, MALFORMED), password
