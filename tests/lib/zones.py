# SPDX-License-Identifier: ISC
"""Zones signed by the test itself (RFC 4034), rightly or wrongly."""
import time

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdatatype
import dns.zone
import pytest

ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")

DAY = 86400
NS, DS, NSEC, SOA = dns.rdatatype.NS, dns.rdatatype.DS, dns.rdatatype.NSEC, dns.rdatatype.SOA
RRSIG, DNSKEY = dns.rdatatype.RRSIG, dns.rdatatype.DNSKEY


class Key:
    """A zone's one key (ECDSA P-256, RFC 6605)."""

    def __init__(self, origin):
        self.origin = dns.name.from_text(origin)
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.dnskey = dns.dnssec.make_dnskey(
            self.private.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)

    @property
    def ds(self):
        """What the parent zone, or a trust anchor, says of it: "ORIGIN DS ..."."""
        data = dns.dnssec.make_ds(self.origin, self.dnskey, "SHA256")
        return f"{self.origin} DS {data.to_text()}"

    def sign(self, name, rdataset, since, until):
        return dns.dnssec.sign((name, rdataset), self.private, self.origin, self.dnskey,
                               inception=since, expiration=until)


def spoiled(signature):
    """A signature that is none."""
    wrong = bytearray(signature.signature)
    wrong[7] ^= 1
    return signature.replace(signature=bytes(wrong))


def add(zone, name, rdata, ttl):
    node = zone.find_node(name, create=True)
    covers = rdata.type_covered if rdata.rdtype == RRSIG else dns.rdatatype.NONE
    node.find_rdataset(rdata.rdclass, rdata.rdtype, covers, create=True).add(rdata, ttl)


def chain(zone, names, cuts, ttl):
    """The NSEC records: what is there, and what is not between."""
    for i, name in enumerate(names):
        types = {r.rdtype for r in zone[name].rdatasets} | {NSEC, RRSIG}
        if name in cuts:
            types &= {NS, DS, NSEC, RRSIG}
        text = f"{names[(i + 1) % len(names)]} " + " ".join(dns.rdatatype.to_text(t) for t in sorted(types))
        add(zone, name, dns.rdata.from_text("IN", "NSEC", text), ttl)


def sign(key, text, spoil=(), days=7):
    """
    The zone of key with every signature that it needs, as text.  spoil: "name TYPE" each of which
    gets a wrong one.  days: how long they hold from now; below zero they have expired.
    """
    origin = key.origin
    zone = dns.zone.from_text(text, origin=origin, relativize=False)
    add(zone, origin, key.dnskey, 3600)
    cuts = {n for n in zone if n != origin and zone.get_rdataset(n, NS)}
    names = sorted(n for n in zone if not any(n != c and n.is_subdomain(c) for c in cuts))
    soa = zone.get_rdataset(origin, SOA)
    chain(zone, names, cuts, min(soa.ttl, soa[0].minimum))
    until = int(time.time()) + days * DAY
    since = min(until, int(time.time())) - 7 * DAY
    wrong = {(dns.name.from_text(n, origin), dns.rdatatype.from_text(t)) for n, t in (s.split() for s in spoil)}
    for name in names:
        for rdataset in list(zone[name].rdatasets):
            if name in cuts and rdataset.rdtype not in (DS, NSEC):
                continue
            signature = key.sign(name, rdataset, since, until)
            if (name, rdataset.rdtype) in wrong:
                signature = spoiled(signature)
                wrong.discard((name, rdataset.rdtype))
            add(zone, name, signature, rdataset.ttl)
    assert not wrong, wrong
    return zone.to_text(relativize=False)
