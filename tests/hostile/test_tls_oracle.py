# SPDX-License-Identifier: ISC
"""A session in wrong hands that wants things signed: the vault signs texts of TLS handshakes and nothing else.

Whatever it is asked, it tells nobody a secret, and is there for honest sessions after it.
"""
import base64
import functools
import hashlib
import os
import socket
import struct

import pytest

from evil import HARD
from ipc import Closed, Link, encode
from tls import certificate, openssl
from victim import Victim

OK, FAIL = "OK", "FAIL"
CERT, KEY, OCSP = range(3)                      # enum ipc_data
ECDSA, PKCS1, PSS = range(3)                    # enum ipc_scheme
SHA256, SHA384, SHA512 = range(3)               # enum ipc_digest
PKIS = ("ecdsa", "rsa", "p384")
CONF = """
hostname "mx.test"
{pkis}
listen on 127.0.0.1 port 25 tls pki ecdsa pki rsa pki p384
"""


@functools.lru_cache(maxsize=None)
def key_id(name):
    """What a session calls a key: the pki's name, and which of the keys it ever had (lib/key/key_id.h)."""
    public = openssl("x509", "-in", certificate(name).crt, "-noout", "-pubkey").split(b"\n")[1:-2]
    return f"{name}#{hashlib.sha256(base64.b64decode(b''.join(public))).hexdigest()[:16]}"


class Vault(Victim):
    """.signs: the channel for signatures of a session process."""

    def __init__(self):
        super().__init__("vault", HARD)
        self.link("SESSION").close()
        self.signs = self.sign_link(0)

    def configure(self, conf, files=(), generation=1):
        del conf
        for name in PKIS:
            c = certificate(name)
            for kind, path in ((CERT, c.crt), (KEY, c.key)):
                with open(path, "rb") as f:
                    self.parent.send("file_data", kind=kind, name=name, last=True, data=f.read())
            self.parent.send("file_data", kind=OCSP, name=name, last=True, data=b"")
        pkis = "\n".join(f'pki {n} cert "/{n}.crt"\npki {n} key "/{n}.key"' for n in PKIS)
        super().configure(CONF.format(pkis=pkis), files, generation)

    def sign_link(self, instance):
        mine, its = socket.socketpair()
        self.parent.send("sign_link", fd=its.fileno(), instance=instance)
        its.close()
        return Link(mine)

    def sign(self, text, key="ecdsa", scheme=ECDSA, digest=SHA256, link=None):
        """The answer: outcome and signature; key: a pki's name, or what is said in its place."""
        link = link or self.signs
        req = link.ask("sign", key=key_id(key) if key in PKIS else key, scheme=scheme, digest=digest, text=text)
        m = link.receive()
        assert (m.type, m.req) == ("signature", req), m
        return m.outcome, m.data


@pytest.fixture
def vault():
    v = Vault()
    yield v
    v.close()


RANDOMS = os.urandom(64)
TLS13 = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + os.urandom(32)
TLS12 = RANDOMS + b"\x03\0\x1d\x20" + os.urandom(32)


def verifies(text, signature, tmp_path, name="ecdsa", *options):
    public, signed, octets = (str(tmp_path / n) for n in ("public", "signature", "text"))
    openssl("x509", "-in", certificate(name).crt, "-noout", "-pubkey", "-out", public)
    for path, what in ((signed, signature), (octets, text)):
        with open(path, "wb") as f:
            f.write(what)
    return b"Verified OK" in openssl("dgst", "-sha256", *options, "-verify", public, "-signature", signed, octets)


# -- signatures ----------------------------------------------------------------------------

def test_what_is_signed(vault, tmp_path):
    outcome, signature = vault.sign(TLS13)
    assert outcome == OK and verifies(TLS13, signature, tmp_path)
    for text in (TLS12, RANDOMS + b"\x03\0\x17\x41\x04" + os.urandom(64)):
        outcome, signature = vault.sign(text)
        assert outcome == OK and verifies(text, signature, tmp_path)
        outcome, signature = vault.sign(text, "rsa", PKCS1)
        assert outcome == OK and verifies(text, signature, tmp_path, "rsa")
    assert vault.sign(TLS13[:-32] + os.urandom(48), "p384", ECDSA, SHA384)[0] == OK
    assert vault.sign(TLS13, "rsa", PSS)[0] == OK


CLIENT = TLS13.replace(b"server", b"client")
REFUSED = {
    "nothing": b"", "octet": b"x", "hash": os.urandom(32), "hash-48": os.urandom(48), "text": b"I owe you 100 euros\n",
    "spaces": b" " * 64,
    "a-client-s": CLIENT, "tls-1.4": TLS13.replace(b"1.3", b"1.4"), "63-spaces": TLS13[1:], "65-spaces": b" " + TLS13,
    "no-nul": TLS13.replace(b"y\0", b"y"), "31-octets": TLS13[:-1], "33-octets": TLS13 + b"x",
    "64-octets": TLS13 + b"x" * 32, "tabs": TLS13.replace(b" " * 64, b"\t" * 64),
    "certificate-request": b"0\x82" + os.urandom(200), "dkim": b"from:<a@b>\r\nsubject:x\r\ndkim-signature:v=1",
    "ssh": b"\0\0\0\7ssh-rsa" + os.urandom(100),
    "params-no-key": RANDOMS + b"\x03\0\x1d\0", "params-short": TLS12[:-1], "params-long": TLS12 + b"x",
    "params-explicit": RANDOMS + b"\x01" + TLS12[65:],
    "params-unknown-curve": RANDOMS + b"\x03\0\x01\x20" + bytes(32),
    "params-wrong-size": RANDOMS + b"\x03\0\x17\x20" + bytes(32),
    "params-twice": TLS12 + TLS12[64:], "dh-params": RANDOMS + struct.pack(">H", 256) + os.urandom(256),
    "randoms": RANDOMS, "params-alone": TLS12[64:],
    "zeros": bytes(1024), "full": b"\xff" * 1024,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_signed(vault, name):
    """Whatever it is, with every key, scheme and digest: FAIL and no octet, and the next that is right is signed."""
    for key in PKIS:
        for scheme in (ECDSA, PKCS1, PSS):
            for digest in (SHA256, SHA384, SHA512):
                assert vault.sign(REFUSED[name], key, scheme, digest) == (FAIL, b""), (key, scheme, digest)
    assert vault.sign(TLS13)[0] == OK


def test_no_octet_of_the_template_is_free(vault):
    for n in range(64 + 34):
        text = bytearray(TLS13)
        text[n] ^= 1
        assert vault.sign(bytes(text)) == (FAIL, b""), n
    assert vault.sign(TLS13)[0] == OK


@pytest.mark.parametrize("key, scheme, digest", [
    ("ecdsa", PKCS1, SHA256), ("ecdsa", PSS, SHA256), ("rsa", ECDSA, SHA256), ("rsa", PKCS1, SHA256),
    ("ecdsa", ECDSA, SHA384),
    ("ecdsa", ECDSA, SHA512), ("p384", ECDSA, SHA256), ("p384", ECDSA, SHA512)])
def test_schemes_that_tls_1_3_does_not_have(vault, key, scheme, digest):
    for size in (32, 48):
        assert vault.sign(TLS13[:-32] + os.urandom(size), key, scheme, digest) == (FAIL, b"")


@pytest.mark.parametrize("key", ["", "nobody", "ecdsa ", "ECDSA", "ecdsa#", "ecdsa#0000000000000000",
                                 "ecdsa#" + "f" * 16, "#", "rsa#ecdsa", "../ecdsa", "x" * 60])
def test_keys_that_are_not_there(vault, key):
    assert vault.sign(TLS13, key) == (FAIL, b"")
    assert vault.sign(TLS13)[0] == OK


def test_nothing_but_questions_on_the_channel_for_signatures(vault):
    """And a session that asks for signatures on its other link, or logins on this one, loses it."""
    link = vault.sign_link(1)
    assert vault.sign(TLS13, link=link)[0] == OK
    link.send("auth_begin", req=1, client="192.0.2.1", mechanism="PLAIN", passwords="logins")
    assert vault.is_cut_off(link)
    assert vault.sign(TLS13)[0] == OK
    other = vault.link("SESSION", 2)
    other.send("sign", req=1, key="ecdsa", text=TLS13)
    answered = []
    try:
        while True:
            answered.append(other.receive(1))
    except (Closed, TimeoutError):
        pass
    assert not [m for m in answered if m.type == "signature" and m.outcome == OK]
    assert vault.sign(TLS13)[0] == OK


def test_a_flood_of_questions(vault):
    """Some thousands whose answers nobody reads: bounded, and the others are served meanwhile."""
    flood = vault.sign_link(1)
    flood.sock.setblocking(False)
    frame = encode("sign", req=7, key=key_id("rsa"), scheme=PKCS1, digest=SHA512, text=TLS12)
    before = vault.memory_mib()
    sent = 0
    while sent < 5000:
        try:
            sent += flood.sock.send(frame) > 0
        except (BlockingIOError, ConnectionError):
            break
    assert vault.sign(TLS13)[0] == OK
    assert vault.memory_mib() < before + 64
    flood.close()
    assert vault.sign(TLS13)[0] == OK
