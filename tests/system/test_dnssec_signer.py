# SPDX-License-Identifier: ISC
"""DNSSEC by another's hand: zones that Knot DNS signs, with NSEC, NSEC3 and NSEC3 opt-out; wildcards; aliases across the border.

With opt-out there is no proof that a name between two others is not there (RFC 5155 6): what hangs on such a proof
is insecure, neither secure nor bogus.
"""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import nameserver  # noqa: E402
from routes import Host, Router  # noqa: E402

HEAD = "$TTL 60\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
DATA = bytes(range(32))
TLSA = f"TLSA 3 1 1 {DATA.hex()}"

ZONE = HEAD + f"""
@ MX 10 mx
mx A 192.0.2.1
_25._tcp.mx {TLSA}
bare MX 10 none
none A 192.0.2.2
*.wild MX 10 mx
star MX 10 any
any A 192.0.2.3
*._tcp.any {TLSA}
shared MX 10 points
points A 192.0.2.4
_25._tcp.points CNAME keys
keys {TLSA}
leaked MX 10 leaky
leaky A 192.0.2.5
_25._tcp.leaky CNAME keys.plain.example.
away CNAME there.plain.example.
null MX 0 .
"""
PLAIN = HEAD + f"""
keys {TLSA}
there MX 10 host
host A 192.0.2.9
into MX 10 inward
inward CNAME mx.nsec.example.
_25._tcp.inward {TLSA}
whole CNAME nsec.example.
"""
POLICIES = {"nsec": ["nsec3: off"], "nsec3": ["nsec3: on", "nsec3-iterations: 0"],
            "optout": ["nsec3: on", "nsec3-iterations: 0", "nsec3-opt-out: on"]}
DENIES = {"nsec": True, "nsec3": True, "optout": False}


@pytest.fixture(scope="module")
def router(tmp_path_factory):
    where = tmp_path_factory.mktemp("dns")
    anchors = where / "anchors"
    with nameserver.serving(where / "nsd", {"plain.example": PLAIN}) as plain, \
            nameserver.signing(where / "knot", {f"{n}.example": (p, ZONE) for n, p in POLICIES.items()}) as (port, ds):
        # One server for all: what is not Knot's is asked of nsd.
        with nameserver.split(port, "plain.example", plain) as both:
            anchors.write_text("\n".join(ds) + "\n")
            it = Router(f"resolver forward 127.0.0.1@{both}\nmta address-family ipv4\n", both, [(2, "anchor", anchors)])
            it.process.wait_log("event=resolver .*dnssec=yes")
            yield it
            it.stop()


@pytest.fixture(params=POLICIES)
def zone(request):
    return request.param


def hosts(answer):
    return [(h.host.split(".")[0], h.address, h.secure) for h in answer.hosts]


def test_secure(router, zone):
    got = router.route(f"{zone}.example")
    assert got.hosts == [Host(f"mx.{zone}.example", "192.0.2.1", 10, True)]
    assert [(t.base, t.data) for t in got.tlsa] == [(f"_25._tcp.mx.{zone}.example"[9:], DATA)]


def test_no_records(router, zone):
    """Whether it is proved or not that there are none: the mail goes, without DANE."""
    got = router.route(f"bare.{zone}.example")
    assert (got.outcome, hosts(got), got.tlsa) == ("OK", [("none", "192.0.2.2", True)], [])


def test_wildcard_mx(router, zone):
    """That the name itself is not there has to be proved, too."""
    got = router.route(f"some.where.wild.{zone}.example")
    assert hosts(got) == [("mx", "192.0.2.1", DENIES[zone])]
    assert len(got.tlsa) == 1   # the host's own, which hang on nothing (RFC 7672 2.2.1)


def test_wildcard_records(router, zone):
    got = router.route(f"star.{zone}.example")
    assert hosts(got) == [("any", "192.0.2.3", True)]
    assert [t.data for t in got.tlsa] == ([DATA] if DENIES[zone] else [])


def test_records_behind_an_alias(router, zone):
    assert [t.data for t in router.route(f"shared.{zone}.example").tlsa] == [DATA]


def test_records_behind_an_alias_to_an_insecure_zone(router, zone):
    """Anybody could have put them there."""
    got = router.route(f"leaked.{zone}.example")
    assert hosts(got) == [("leaky", "192.0.2.5", True)] and got.tlsa == []


def test_secure_domain_that_is_an_alias_of_an_insecure_one(router, zone):
    got = router.route(f"away.{zone}.example")
    assert hosts(got) == [("host", "192.0.2.9", False)] and got.tlsa == []


def test_insecure_domain_that_is_an_alias_of_a_secure_one(router):
    got = router.route("whole.plain.example")
    assert hosts(got) == [("mx", "192.0.2.1", False)] and len(got.tlsa) == 1


def test_insecure_alias_of_a_secure_host(router):
    """The alias is not to be believed, nor what stands beside it (RFC 7672 2.2.2)."""
    got = router.route("into.plain.example")
    assert hosts(got) == [("inward", "192.0.2.1", False)] and got.tlsa == []


def test_denials(router, zone):
    assert router.route(f"absent.{zone}.example").status == "5.1.2"
    assert router.route(f"null.{zone}.example").status == "5.1.10"
