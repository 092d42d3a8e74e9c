# SPDX-License-Identifier: ISC
"""DANE for SMTP (RFC 7672) from end to end: a signed zone, a real Postfix as every MX, and what it got.

Each row is a domain of its own.  All mail is handed in at once; each test looks at one domain's.
"""
import hashlib
import os
import re
import subprocess
from typing import NamedTuple

import nameserver
import pytest
import tls
import zones
from fetched import or_skip
from network import Network
from postern import PATIENCE, Server, wait_for
from postfix_mx import PostfixMx, Service

CERTIFICATES = {
    "good": tls.Row(names="DNS:good.far.example, DNS:mx.ta.far.example"),
    "rsa": tls.Row("rsa", names="DNS:good.far.example"),
    "other": tls.Row(names="DNS:elsewhere.example"),
    "domain": tls.Row(names="DNS:ta-domain.far.example"),
    "target": tls.Row(names="DNS:target.far.example"),
    "expired": tls.Row(names="DNS:mx.ta-expired.far.example", start="20200101000000Z", end="20210101000000Z"),
    "expired-other": tls.Row(names="DNS:elsewhere.example", start="20200101000000Z", end="20210101000000Z"),
}
ADDRESS = {"good": 2, "rsa": 3, "other": 4, "domain": 5, "target": 6, "expired": 7, "expired-other": 8,
           "plain": 9, "chain": 10, "chain-domain": 11, "chain-target": 12, "chain-expired": 13}


def spki(certificate):
    """The public key in DER."""
    pem = tls.openssl("x509", "-in", certificate.crt, "-noout", "-pubkey")
    return subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, capture_output=True,
                          check=True).stdout


class Site:
    """What is at which address, and the TLSA records that fit."""

    def __init__(self):
        self.certificates = {n: tls.Certificate(f"dane-{n}", row) for n, row in CERTIFICATES.items()}
        authority = self.certificates["good"].authority
        self.authority = tls.openssl("x509", "-in", authority, "-outform", "DER")

    def services(self):
        found = {}
        for name, last in ADDRESS.items():
            certificate = self.certificates.get(name.removeprefix("chain-") if name != "chain" else "good")
            found[f"127.0.0.{last}"] = Service(certificate, chain=name.startswith("chain"))
        return found

    def tlsa(self, text):
        """ "3 1 1 good" as a record; "-" for data of which the last bit is wrong; "ca" is the authority."""
        usage, selector, matching, name = text.split()
        if name.rstrip("-") == "ca":
            der = self.authority
            assert selector == "0"
        else:
            c = self.certificates[name.rstrip("-")]
            der = c.der if selector == "0" else spki(c)
        data = {"0": bytes, "1": lambda d: hashlib.sha256(d).digest()}.get(matching, lambda d: hashlib.sha512(d).digest())(der)
        if name.endswith("-"):
            data = data[:-1] + bytes([data[-1] ^ 1])
        return f"TLSA {usage} {selector} {matching} {data.hex()}"


class Case(NamedTuple):
    at: str                 # whose address the one MX of the domain has
    tlsa: tuple             # its records
    tls: str = ""           # how the message came there; "": it was put off
    status: str = "2.0.0"
    why: str = ""           # in our log
    policy: str = "dane"


CASES = {
    # the certificate, its key; SHA-256, SHA-512, whole
    "ee-key": Case("good", ("3 1 1 good",), "dane"),
    "ee-key-512": Case("good", ("3 1 2 good",), "dane"),
    "ee-key-whole": Case("good", ("3 1 0 good",), "dane"),
    "ee-certificate": Case("good", ("3 0 1 good",), "dane"),
    "ee-certificate-whole": Case("good", ("3 0 0 good",), "dane"),
    "ee-rsa": Case("rsa", ("3 1 1 rsa",), "dane"),
    # 3.1.1: with usage 3 neither the name nor the time matters
    "ee-other-name": Case("other", ("3 1 1 other",), "dane"),
    "ee-expired": Case("expired-other", ("3 1 1 expired-other",), "dane"),
    # stale: an old key's record, and both records in a change of keys
    "stale": Case("good", ("3 1 1 good-",), "", "4.7.5", "no TLSA record or fingerprint matches"),
    "stale-other": Case("good", ("3 0 0 other",), "", "4.7.5", "no TLSA record or fingerprint matches"),
    "rolling": Case("good", ("3 1 1 other", "3 1 1 good"), "dane"),
    # authorities, sent with the certificate or not; 3.1.2, 3.2.2
    "ta": Case("chain", ("2 0 1 ca",), "dane"),
    "ta-whole": Case("domain", ("2 0 0 ca",), "", "4.7.5", "is for ta-domain.far.example"),
    "ta-other-name": Case("chain", ("2 0 1 ca",), "", "4.7.5", "the certificate is for good.far.example"),
    "ta-alias": Case("chain-target", ("2 0 1 ca",), "dane"),
    "ta-domain": Case("chain-domain", ("2 0 1 ca",), "dane"),
    "ta-not-sent": Case("domain", ("2 0 1 ca",), "", "4.7.5", "no TLSA record or fingerprint matches"),
    "ta-expired": Case("chain-expired", ("2 0 1 ca",), "", "4.7.5", "certificate has expired"),
    "ta-stale": Case("chain", ("2 0 1 ca-",), "", "4.7.5", "no TLSA record or fingerprint matches"),
    # 3.1.3: usages 0 and 1 and what else is unusable; 2.2: TLS is a must then, with anybody
    "unusable": Case("other", ("1 1 1 other-", "0 0 1 ca"), "encrypted", policy="encrypt"),
    "unusable-kind": Case("expired", ("3 1 7 good",), "encrypted", policy="encrypt"),
    "unusable-plain": Case("plain", ("1 1 1 good",), "", "4.7.4", "not offered", policy="encrypt"),
    "beside-unusable": Case("good", ("1 1 1 good", "3 1 1 good-"), "", "4.7.5", "no TLSA record"),
    # no TLS where there are records
    "stripped": Case("plain", ("3 1 1 good",), "", "4.7.4", "not offered"),
    # nothing of DANE
    "none": Case("other", (), "encrypted", policy="opportunistic"),
    "none-plain": Case("plain", (), "plain", policy="opportunistic"),
}

# Domains with several hosts, or where DNS itself says something.
MORE = """
mixed MX 10 mx.stale
mixed MX 20 mx.ee-key
weaker MX 10 mx.stale
weaker MX 20 mx.none-plain
bogus MX 10 mx.bogus
mx.bogus A 127.0.0.2
_25._tcp.mx.bogus {good}
bogus-then MX 10 mx.bogus
bogus-then MX 20 mx.none
aliased MX 10 alias
alias CNAME mx.aliased
mx.aliased A 127.0.0.2
_25._tcp.mx.aliased {good}
unsigned NS ns.unsigned
ns.unsigned A 127.0.0.1
"""
# An MX that nothing proves leads to a host whose records are good for nothing: 2.2.1.
UNSIGNED = """$TTL 60
@ SOA ns admin 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
@ MX 10 mx.stale.far.example.
"""
OTHERS = ("mixed", "weaker", "bogus", "bogus-then", "aliased", "unsigned")

class Smart(NamedTuple):
    """A server that the configuration names: an action's options, and what comes of it."""
    url: str
    options: str
    tls: str
    policy: str
    why: str = ""


SMART = {
    "smart-good": Smart("smtp://mx.ee-key.far.example", "", "dane", "dane"),
    "smart-alias": Smart("smtp://alias.far.example", "", "dane", "dane"),
    "smart-stale": Smart("smtp://mx.stale.far.example", "", "", "dane", "no TLSA record or fingerprint matches"),
    # it is neither lowered by an action, nor raised by an authority's word
    "smart-no-verify": Smart("smtp://mx.stale.far.example", "tls no-verify", "", "dane", "no TLSA record or fingerprint"),
    "smart-tls": Smart("smtp://mx.ee-expired.far.example", "tls", "dane", "dane"),
    # but who names the certificate himself needs nobody else's word
    "smart-pinned": Smart("smtp://mx.stale.far.example", 'fingerprint "{good}"', "verified", "pinned"),
    "smart-pinned-wrong": Smart("smtp://mx.ee-key.far.example", 'fingerprint "{other}"', "", "pinned", "fingerprint"),
    "smart-never": Smart("smtp+notls://mx.ee-key.far.example", "", "plain", "never"),
}

HEAD = "$TTL 60\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"

CONF = Server.CONF + """
{smart}
action "out" relay
match from local for any action "out"
resolver forward 127.0.0.1
trust anchor "{anchor}"
queue retry-min 1h
"""


def zone(site):
    text = HEAD
    for name, case in CASES.items():
        host = f"mx.{name}"
        if name == "ta-alias":          # the base is what the alias leads to
            text += f"{host} CNAME target\n"
            host = "target"
        text += f"{name} MX 10 mx.{name}\n{host} A 127.0.0.{ADDRESS[case.at]}\n"
        text += "".join(f"_25._tcp.{host} {site.tlsa(t)}\n" for t in case.tlsa)
    return text + MORE.format(good=site.tlsa("3 1 1 good"))


def smart_actions(site):
    pins = {name: c.fingerprint for name, c in site.certificates.items()}
    return "".join(f'action "{name}" relay host "{s.url}" {s.options.format(**pins)}\n'
                   f'match from local for domain "{name}.far.example" action "{name}"\n' for name, s in SMART.items())


class World:
    """The server, and the Postfix that its mail went to."""

    def __init__(self, server, postfix):
        self.server, self.postfix = server, postfix

    def line(self, name):
        return self.server.wait_log(rf"event=(delivered|deferred|failed) .*to=you@{re.escape(name)}\.far\.example ")

    def attempts(self, name):
        """What the log says of TLS with the hosts of a domain, or of an action."""
        return [x for x in self.server.log
                if "event=tls-out" in x and (f"dest={name}.far.example" in x or f"action={name} " in x)]

    def held(self, name):
        return self.postfix.held(f"you@{name}.far.example")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    site, key, server = Site(), zones.Key("far.example"), Server()
    network = or_skip(Network)
    os.mkdir(server.path("postfix"))
    # Fetched before the network is left where it can be.
    postfix = or_skip(PostfixMx, server.path("postfix"), site.services())
    with network.inside():
        or_skip(postfix.start)
        server.write_conf(CONF, anchor=key.ds, smart=smart_actions(site))
        try:
            signed = zones.sign(key, zone(site), ["_25._tcp.mx.bogus TLSA"])
            with nameserver.serving(tmp_path_factory.mktemp("nsd"),
                                    {"far.example": signed, "unsigned.far.example": UNSIGNED}, 53):
                server.start()
                for name in (*CASES, *OTHERS, *SMART):
                    with server.smtp() as s:
                        s.sendmail("me@example.net", f"you@{name}.far.example", "Subject: x\r\n\r\nx\r\n")
                yield World(server, postfix)
        finally:
            server.cleanup()
            postfix.stop()
    network.close()


pytestmark = pytest.mark.root


@pytest.mark.parametrize("name", CASES)
def test_one_host(world, name):
    case = CASES[name]
    line = world.line(name)
    assert f"status={case.status}" in line, line
    assert ("event=delivered" in line) == (case.tls != "")
    attempt = world.attempts(name)[-1]
    assert f"policy={case.policy}" in attempt
    if case.tls:
        got = wait_for(lambda: world.held(name), "the message at Postfix", PATIENCE)
        assert len(got) == 1
        assert (b"using TLSv1.3" in got[0]) == (case.tls != "plain")
        assert f"level={case.tls}" in attempt and "verdict=accepted" in attempt
        if case.tls != "plain":
            assert f'tls="{case.tls} TLSv1.3 TLS_' in line
    else:
        assert case.why in line and case.why in attempt and "verdict=failed" in attempt, line + attempt
        assert not world.held(name)


@pytest.mark.parametrize("name", SMART)
def test_smarthost(world, name):
    row, line = SMART[name], world.line(name)
    attempt = world.attempts(name)[-1]
    assert ("event=delivered" in line) == (row.tls != "") and row.why in line, line
    assert f"policy={row.policy}" in attempt, attempt
    if row.tls:
        assert f"level={row.tls}" in attempt
    else:
        assert "status=4.7.5" in line and not world.held(name)


def test_the_other_host_is_tried(world):
    """A host whose certificate is wrong is passed over, and the next one has to be right by its own records."""
    line = world.line("mixed")
    assert "event=delivered" in line and "relay=mx.ee-key.far.example[127.0.0.2]" in line and 'tls="dane ' in line
    attempts = world.attempts("mixed")
    assert "host=mx.stale.far.example" in attempts[0] and "verdict=failed" in attempts[0]


def test_the_other_host_has_no_records(world):
    """Each host is judged by itself (RFC 7672 2.2): where the second publishes nothing, that is what the domain has."""
    line = world.line("weaker")
    assert "event=delivered" in line and "relay=mx.none-plain.far.example[127.0.0.9]" in line
    assert "tls=" not in line or 'tls=""' in line or "tls=plain" in line, line


def test_bogus_records(world):
    """What may be forged says nothing, and nothing is said to that host."""
    line = world.line("bogus")
    assert "event=deferred" in line and "status=4.7.5" in line
    assert not world.held("bogus") and not world.attempts("bogus")
    line = world.line("bogus-then")
    assert "event=delivered" in line and "relay=mx.none.far.example[127.0.0.4]" in line


def test_behind_an_alias(world):
    line = world.line("aliased")
    assert "event=delivered" in line and 'tls="dane ' in line


def test_unproven_way(world):
    """The records of a host are no proof that it is the domain's: opportunistic, also where they don't match."""
    line = world.line("unsigned")
    assert "event=delivered" in line and 'tls="encrypted ' in line
    assert "policy=opportunistic" in world.attempts("unsigned")[0]


def test_what_postfix_was_told(world):
    """Nothing of what was put off was ever said to it; it saw no plain text where there was to be none."""
    for name, case in CASES.items():
        world.line(name)
        if not case.tls:
            assert not world.held(name), name
