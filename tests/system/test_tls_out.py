# SPDX-License-Identifier: ISC
"""TLS towards other servers: what an action demands is what it gets, and nothing is said in plain where it may not be.

Each row is an action of its own with a server of its own.  All mail is handed in at once; each test looks at one row.
"""
import re
import subprocess
from typing import NamedTuple

import nameserver
import pytest
import tls
import zones
from postern import PATIENCE, Server, wait_for
from tls_mx import Mx

CERTIFICATES = {
    "good": tls.Row(names="DNS:smart.hub.example, IP:127.0.0.1"),
    "rsa": tls.Row("rsa", names="DNS:smart.hub.example"),
    "other": tls.Row(names="DNS:other.test"),
    "expired": tls.Row(names="DNS:smart.hub.example", start="20200101000000Z", end="20210101000000Z"),
    "stranger": tls.Row(names="DNS:smart.hub.example", ca="strangers"),
    "weak": tls.Row("rsa1024", names="DNS:smart.hub.example"),
}


class Certificates:
    def __init__(self):
        self.made = {n: tls.Certificate(f"out-{n}", row) for n, row in CERTIFICATES.items()}

    def spki(self, name):
        pem = tls.openssl("x509", "-in", self.made[name].crt, "-noout", "-pubkey")
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, capture_output=True,
                             check=True).stdout
        return "SPKI:" + tls.hashlib.sha256(der).hexdigest()

    def words(self):
        """What may stand for them in a row's options."""
        found = {f"{kind}_{n}": value for n, c in self.made.items()
                 for kind, value in (("sha256", c.fingerprint), ("spki", self.spki(n)))}
        return dict(found, nobody="SHA256:" + 64 * "0")


class Row(NamedTuple):
    url: str                # without its port
    options: str
    certificate: str
    level: str              # how the message came there; "": it was put off
    status: str = "2.0.0"
    why: str = ""           # in the log
    mx: dict = {}


NONE = {"starttls": False}
BROKEN = {"broken": True}
REFUSED = {"refuses": True}
INJECTED = {"injected": b"250-smart.hub.example\r\n250 8BITMIME\r\n"}
LOW = {"low": True}
FIRST = {"implicit": True}

ROWS = {
    # TLS if it can be had, with whoever is there; who that was is told all the same
    "may-good": Row("smtp://smart.hub.example", "", "good", "verified"),
    "may-address": Row("smtp://127.0.0.1", "", "good", "verified"),
    "may-other": Row("smtp://smart.hub.example", "", "other", "encrypted", why="the certificate is for other.test, not smart.hub.example"),
    "may-expired": Row("smtp://smart.hub.example", "", "expired", "encrypted", why="certificate has expired"),
    "may-stranger": Row("smtp://smart.hub.example", "", "stranger", "encrypted", why="by an authority that is not known"),
    "may-weak": Row("smtp://smart.hub.example", "", "weak", "encrypted", why="too weak"),
    "may-none": Row("smtp://smart.hub.example", "", "good", "plain", why="it is not offered", mx=NONE),
    "may-broken": Row("smtp://smart.hub.example", "", "good", "plain", why="the handshake failed", mx=BROKEN),
    "may-old": Row("smtp://smart.hub.example", "", "good", "plain", why="the handshake failed", mx=LOW),
    "may-refused": Row("smtp://smart.hub.example", "", "good", "plain", mx=REFUSED),
    "may-injected": Row("smtp://smart.hub.example", "", "good", "", "4.7.0", "slipped in", INJECTED),
    # demanded, with whoever is there
    "must-good": Row("smtp+tls://smart.hub.example", "", "good", "verified"),
    "must-other": Row("smtp+tls://smart.hub.example", "", "other", "encrypted"),
    "must-none": Row("smtp+tls://smart.hub.example", "", "good", "", "4.7.4", "not offered", NONE),
    "must-broken": Row("smtp+tls://smart.hub.example", "", "good", "", "4.7.5", "TLS failed", BROKEN),
    "must-old": Row("smtp+tls://smart.hub.example", "", "good", "", "4.7.5", "TLS failed", LOW),
    "must-refused": Row("smtp+tls://smart.hub.example", "", "good", "", "4.7", "", REFUSED),
    "must-injected": Row("smtp+tls://smart.hub.example", "", "good", "", "4.7.0", "slipped in", INJECTED),
    "no-verify-other": Row("smtp://smart.hub.example", "tls no-verify", "other", "encrypted"),
    "no-verify-none": Row("smtp://smart.hub.example", "tls no-verify", "other", "", "4.7.4", "not offered", NONE),
    "no-verify-broken": Row("smtp://smart.hub.example", "tls no-verify", "good", "", "4.7.5", "TLS failed", BROKEN),
    "first-other": Row("smtps://smart.hub.example", "", "other", "encrypted", mx=FIRST),
    # demanded, with the one who was meant
    "tls-good": Row("smtp://smart.hub.example", "tls", "good", "verified"),
    "tls-rsa": Row("smtp://smart.hub.example", "tls", "rsa", "verified"),
    "tls-address": Row("smtp://127.0.0.1", "tls", "good", "verified"),
    "tls-other": Row("smtp://smart.hub.example", "tls", "other", "", "4.7.5", "the certificate is for other.test"),
    "tls-not-address": Row("smtp://127.0.0.1", "tls", "other", "", "4.7.5", "not 127.0.0.1"),
    "tls-expired": Row("smtp://smart.hub.example", "tls", "expired", "", "4.7.5", "has expired"),
    "tls-stranger": Row("smtp://smart.hub.example", "tls", "stranger", "", "4.7.5", "by an authority that is not known"),
    "tls-weak": Row("smtp://smart.hub.example", "tls", "weak", "", "4.7.5", "TLS failed"),
    "tls-none": Row("smtp://smart.hub.example", "tls", "good", "", "4.7.4", "not offered", NONE),
    "tls-broken": Row("smtp://smart.hub.example", "tls", "good", "", "4.7.5", "TLS failed", BROKEN),
    "tls-first": Row("smtps://smart.hub.example", "tls", "good", "verified", mx=FIRST),
    "tls-first-other": Row("smtps://smart.hub.example", "tls", "other", "", "4.7.5", "the certificate is for other.test", FIRST),
    # authorities of the action's own, and no others
    "ca-theirs": Row("smtp://smart.hub.example", "tls ca theirs", "stranger", "verified"),
    "ca-not-ours": Row("smtp://smart.hub.example", "tls ca theirs", "good", "", "4.7.5", "by an authority that is not known"),
    # fingerprints: nothing else counts
    "pin": Row("smtp://smart.hub.example", 'fingerprint "{sha256_expired}"', "expired", "verified"),
    "pin-key": Row("smtp://smart.hub.example", 'fingerprint "{spki_other}"', "other", "verified"),
    "pin-one-of": Row("smtp://smart.hub.example", 'fingerprint "{nobody},{spki_rsa},{sha256_good}"', "good", "verified"),
    "pin-address": Row("smtp://127.0.0.1", 'fingerprint "{sha256_stranger}"', "stranger", "verified"),
    "pin-wrong": Row("smtp://smart.hub.example", 'fingerprint "{nobody}"', "good", "", "4.7.5", "no TLSA record or fingerprint"),
    "pin-wrong-tls": Row("smtp://smart.hub.example", 'tls fingerprint "{spki_other}"', "good", "", "4.7.5", "fingerprint"),
    "pin-none": Row("smtp://smart.hub.example", 'fingerprint "{sha256_good}"', "good", "", "4.7.4", "not offered", NONE),
    "pin-broken": Row("smtp://smart.hub.example", 'fingerprint "{sha256_good}"', "good", "", "4.7.5", "TLS failed", BROKEN),
    "pin-first": Row("smtps://smart.hub.example", 'fingerprint "{sha256_stranger}"', "stranger", "verified", mx=FIRST),
    # not wanted
    "never": Row("smtp+notls://smart.hub.example", "", "good", "plain", why="it is not asked for"),
}

CONF = Server.CONF + """
resolver forward 127.0.0.1@{dns}
trust anchor "{anchor}"
trust ca "{dir}/ca.crt"
ca theirs cert "{dir}/theirs.crt"
queue retry-min 1h
mta limit session-keepalive 0
"""
ZONE = "$TTL 60\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\nsmart A 127.0.0.1\n"


class World:
    def __init__(self, server, mxs):
        self.server, self.mxs = server, mxs

    def line(self, name):
        return self.server.wait_log(rf"event=(delivered|deferred|failed) .*to=you@{name}\.example ")

    def attempts(self, name):
        return [x for x in self.server.log if "event=tls-out" in x and f"action={name} " in x]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    certificates, server = Certificates(), Server()
    mxs = {n: Mx(certificates.made[r.certificate], **r.mx) for n, r in ROWS.items()}
    text, words = CONF, certificates.words()
    for name, row in ROWS.items():
        options = row.options.format(**words)
        text += f'action "{name}" relay host "{row.url}:{mxs[name].port}" {options}\n'
        text += f'match from local for domain "{name}.example" action "{name}"\n'
    try:
        with nameserver.serving(tmp_path_factory.mktemp("nsd"), {"hub.example": ZONE}) as port:
            server.write_conf(text, dns=port, anchor=zones.Key("elsewhere.example").ds)
            for name, file in (("good", "ca.crt"), ("stranger", "theirs.crt")):
                with open(certificates.made[name].authority, "rb") as f, open(server.path(file), "wb") as out:
                    out.write(f.read())
            server.start()
            for name in ROWS:
                with server.smtp() as s:
                    s.sendmail("me@example.net", f"you@{name}.example", f"Subject: {name}\r\n\r\nsecret\r\n")
            yield World(server, mxs)
    finally:
        server.cleanup()
        for mx in mxs.values():
            mx.close()


@pytest.mark.parametrize("name", ROWS)
def test_demanded(world, name):
    row, mx, line = ROWS[name], world.mxs[name], world.line(name)
    assert f"status={row.status}" in line, line
    said = line + "\n".join(world.attempts(name))
    assert row.why in said, said
    if row.level:
        assert "event=delivered" in line
        wait_for(lambda: mx.mail, "the message", PATIENCE)
        assert [secure for secure, _ in mx.mail] == [row.level != "plain"]
        last = world.attempts(name)[-1]
        assert f"level={row.level}" in last and "verdict=accepted" in last
        assert (f'tls="{row.level} TLSv1' in line) == (row.level != "plain")
    else:
        assert "event=deferred" in line and not mx.mail
        assert any("verdict=failed" in x and "level=plain" in x for x in world.attempts(name)), world.attempts(name)
        assert b"MAIL" not in {word for _, word in mx.heard}, "what was put off was not begun"


def test_in_plain_as_little_as_there_must_be(world):
    """Where TLS is a must, all that is said without it is EHLO and STARTTLS."""
    for name, row in ROWS.items():
        world.line(name)
        if row.level != "plain" and not name.startswith("may-"):
            plain = {word for secure, word in world.mxs[name].heard if not secure}
            assert plain <= {b"EHLO", b"STARTTLS", b"QUIT"}, (name, plain)


def test_name_that_is_indicated(world):
    """The host of the URL; an address is none (RFC 6066 3)."""
    for name in ("tls-good", "pin", "may-other"):
        world.line(name)
        assert set(world.mxs[name].names) == {"smart.hub.example"}
    for name in ("tls-address", "pin-address"):
        world.line(name)
        assert set(world.mxs[name].names) == {None}


def test_words_of_each_attempt(world):
    world.line("tls-good")
    line = world.attempts("tls-good")[0]
    for word in ("policy=verify", "for=tls", "level=verified", "protocol=TLSv1.3", "cipher=TLS_AES_",
                 "verdict=accepted", "host=smart.hub.example[127.0.0.1]"):
        assert word in line, line
    world.line("may-broken")
    first, second = world.attempts("may-broken")
    assert "verdict=failed" in first and "policy=opportunistic" in first and re.search('why="TLS failed: ', first)
    assert "verdict=accepted" in second and "level=plain" in second
