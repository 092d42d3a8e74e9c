# SPDX-License-Identifier: ISC
"""AUTH as a client says it: messages of every mechanism, an own SCRAM, and what a table stores for a password."""
import base64
import crypt
import hashlib
import hmac
import os
import re
import ssl

from talk import status_of

OK, REFUSED, MALFORMED = (235, "2.7.0"), (535, "5.7.8"), (501, "5.5.2")
BLOCKED, UNKNOWN, NEEDS_TLS, NOT_NOW = (454, "4.7.0"), (504, "5.5.4"), (538, "5.7.11"), (503, "5.5.1")
DROPPED = (421, "4.7.0")
TROUBLE = BLOCKED         # a back end is down; too much is under way


def b64(octets):
    return base64.b64encode(octets if isinstance(octets, bytes) else octets.encode()).decode()


def auth(client, mechanism, *steps, initial=True):
    """
    One exchange; both codes of its end.  A step is what is said, or a function of what the server said
    that gives it; the first goes along with the command, unless the server is to ask for it.
    """
    steps = list(steps)

    def say(challenge):
        step = steps.pop(0)
        step = step(challenge) if callable(step) else step
        return b64(step)
    line = f"AUTH {mechanism}"
    if initial:
        line += " " + (say(b"") or "=")
    reply = client.cmd(line)
    while reply[0] == 334:
        assert steps, ("the server wants more", reply)
        reply = client.cmd(say(base64.b64decode(reply[1], validate=True)))
    return status_of(reply)


# -- mechanisms: lists of steps --------------------------------------------------

def plain(login, password, authzid=""):
    return [f"{authzid}\0{login}\0{password}"]


def login_steps(login, password):
    return [login, password]


def oauthbearer(login, token, authzid=None):
    """RFC 7628 3.1; the last step is the answer to a refusal."""
    name = f"a={login}" if authzid is None else authzid
    return [f"n,{name},\1host=mx.test\1port=587\1auth=Bearer {token}\1\1", "\1"]


def xoauth2(login, token):
    return [f"user={login}\1auth=Bearer {token}\1\1", ""]


class Scram:
    """RFC 5802 with SHA-256 (RFC 7677), the client's side; its steps are a list like those of the others."""

    def __init__(self, login, password, flag="n", binding=b"", authzid="", **odd):
        self.login, self.password = login, password.encode()
        self.gs2 = f"{flag},{'a=' + authzid if authzid else ''},"
        self.binding = binding if flag.startswith("p=") else b""
        self.odd = odd              # nonce, proof, bound, final, extension: what a liar says instead
        self.nonce = odd.get("nonce", b64(os.urandom(18)))
        self.server_knew = None     # whether the server proved that it knows the password's keys

    @property
    def steps(self):
        return [self.first, self.final, self.check]

    def first(self, _challenge=b""):
        name = self.login.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"{self.odd.get('extension', '')}n={name},r={self.nonce}"
        return self.gs2 + self.bare

    def final(self, challenge):
        self.challenge = challenge.decode()
        nonce, salt, count = re.fullmatch(r"r=([!-+\--~]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]*)",
                                          self.challenge).groups()
        assert nonce.startswith(self.nonce) and len(nonce) > len(self.nonce)
        self.salt, self.iterations = base64.b64decode(salt, validate=True), int(count)
        salted = hashlib.pbkdf2_hmac("sha256", self.password, self.salt, self.iterations)
        bound = self.odd.get("bound", b64(self.gs2.encode() + self.binding))
        without_proof = f"c={bound},r={self.odd.get('final_nonce', nonce)}"
        said = f"{self.bare},{self.challenge},{without_proof}".encode()
        key = mac(salted, b"Client Key")
        proof = bytes(a ^ b for a, b in zip(key, mac(hashlib.sha256(key).digest(), said)))
        self.signature = mac(mac(salted, b"Server Key"), said)
        return self.odd.get("final", f"{without_proof},p={self.odd.get('proof', b64(proof))}")

    def check(self, challenge):
        self.server_knew = challenge.decode() == f"v={b64(self.signature)}"
        return ""


def mac(key, octets):
    return hmac.new(key, octets, hashlib.sha256).digest()


def end_point(sock, digest="sha256"):
    """The binding tls-server-end-point (RFC 5929 4.1) of a connection; digest: that of the certificate's signature."""
    return hashlib.new(digest, sock.getpeercert(binary_form=True)).digest()


def scram_plus(client, login, password, digest="sha256", **odd):
    assert isinstance(client.sock, ssl.SSLSocket)
    return Scram(login, password, "p=tls-server-end-point", end_point(client.sock, digest), **odd)


# -- what a table stores -----------------------------------------------------------

SETTINGS = {"yescrypt": "$y$j75$", "slow": "$y$jAT$", "bcrypt": "$2b$05$", "bcrypt9": "$2b$08$",
            "sha512": "$6$rounds=1000$", "sha256": "$5$rounds=1000$", "md5": "$1$", "des": ""}


def crypted(password, kind="yescrypt"):
    """A crypt(3) hash, as cheap as its kind can be; "slow" and "bcrypt9" take some hundredths of a second."""
    letters = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    # The last of bcrypt's 22 letters holds two bits.
    salt = "".join(letters[n % 64] for n in os.urandom(21)) + "u" if kind.startswith("bcrypt") else \
        "".join(letters[n % 64] for n in os.urandom({"des": 2, "md5": 8}.get(kind, 16)))
    value = crypt.crypt(password, SETTINGS[kind] + salt)
    assert value and len(value) > 10, kind
    return value


def scram_keys(password, iterations=4096, salt=None):
    """SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>"""
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(mac(salted, b"Client Key")).digest()
    return f"SCRAM-SHA-256${iterations}:{b64(salt)}${b64(stored)}:{b64(mac(salted, b'Server Key'))}"


def token_key(token):
    """The key of a token's row in a table."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def table(name, rows):
    """The statement of a table, for Server's configuration."""
    return f"table {name} {{{{ " + ", ".join(f'"{key}" = "{value}"' for key, value in rows.items()) + " }}\n"
