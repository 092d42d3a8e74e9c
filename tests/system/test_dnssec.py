# SPDX-License-Identifier: ISC
"""DNSSEC and DANE as delivery is told of them: secure, insecure and bogus are three things (RFC 4035 4.3, RFC 7672 2).

The zones are signed by the test and served by a real nsd.
"""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import nameserver  # noqa: E402
import zones  # noqa: E402
from routes import CONF, Host, Record, Router  # noqa: E402

HEAD = "$TTL 60\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
DATA = bytes(range(32))
HASH = DATA.hex()
LONG = bytes(range(250)) * 4    # as long as a certificate

PARENT = HEAD + f"""
dane MX 10 mx.dane
dane MX 20 plain
mx.dane A 192.0.2.1
mx.dane AAAA 2001:db8::1
_25._tcp.mx.dane TLSA 3 1 1 {HASH}
_25._tcp.mx.dane TLSA 2 0 1 {HASH}
_465._tcp.mx.dane TLSA 3 1 2 {HASH}{HASH}
plain A 192.0.2.2
whole MX 10 mx.whole
mx.whole A 192.0.2.3
_25._tcp.mx.whole TLSA 3 0 0 {LONG.hex()}
nomx A 192.0.2.4
_25._tcp.nomx TLSA 3 1 1 {HASH}
aliased MX 10 there
there CNAME target
target A 192.0.2.5
_25._tcp.target TLSA 3 1 1 {HASH}
_25._tcp.there TLSA 3 1 1 {HASH[::-1]}
own MX 10 here
here CNAME plain
_25._tcp.here TLSA 3 1 1 {HASH}
away MX 10 leaves
leaves CNAME host.insecure
_25._tcp.leaves TLSA 3 1 1 {HASH}
away2 MX 10 leaves2
leaves2 CNAME host.insecure
forged-mx MX 10 plain
forged-host MX 10 mx.forged
mx.forged A 192.0.2.6
half-host MX 10 mx.half
mx.half A 192.0.2.7
mx.half AAAA 2001:db8::7
forged-tlsa MX 10 mx.ft
forged-tlsa MX 20 plain
mx.ft A 192.0.2.8
_25._tcp.mx.ft TLSA 3 1 1 {HASH}
only-forged MX 10 mx.ft
silent-tlsa MX 10 mx.st
mx.st A 192.0.2.9
_tcp.mx.st NS ns.nowhere
unsigned-tlsa MX 10 mx.ut
mx.ut A 192.0.2.10
_tcp.mx.ut NS ns
insecure NS ns.insecure
ns.insecure A 127.0.0.1
expired NS ns.expired
ns.expired A 127.0.0.1
stranger NS ns.stranger
ns.stranger A 127.0.0.1
stripped NS ns.stripped
ns.stripped A 127.0.0.1
null MX 0 .
"""
SPOILED = ["forged-mx MX", "mx.forged A", "mx.half AAAA", "_25._tcp.mx.ft TLSA", "forged-gone NSEC"]
PARENT += "forged-gone TXT x\n"

CHILD = HEAD + f"""
@ MX 10 host
host A 192.0.2.20
_25._tcp.host TLSA 3 1 1 {HASH}
to-secure MX 10 mx.dane.signed.example.
"""

PLAIN = [Host("plain.signed.example", "192.0.2.2", 20, True)]


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """The port of the name server, and the trust anchor of signed.example."""
    parent, expired, stranger, stripped = (
        zones.Key(f"{n}signed.example") for n in ("", "expired.", "stranger.", "stripped."))
    text = PARENT + "".join(f"{k.ds}\n" for k in (expired, zones.Key("stranger.signed.example"), stripped))
    with nameserver.serving(tmp_path_factory.mktemp("nsd"), {
            "signed.example": zones.sign(parent, text, SPOILED),
            "insecure.signed.example": CHILD,
            "expired.signed.example": zones.sign(expired, CHILD, days=-1),
            "stranger.signed.example": zones.sign(stranger, CHILD),
            "stripped.signed.example": CHILD,
            "_tcp.mx.st.signed.example": None,
            "_tcp.mx.ut.signed.example": f"{HEAD}_25 TLSA 3 1 1 {HASH}\n",
    }) as port:
        yield port, parent.ds


@pytest.fixture(scope="module")
def router(signed):
    port, anchor = signed
    it = Router(f'resolver forward 127.0.0.1@{port}\ntrust anchor "{anchor}"\n', port)
    yield it
    it.stop()


def record(host, base=None, data=DATA, kind=(3, 1, 1)):
    return Record(f"{host}.signed.example", f"{base or host}.signed.example", *kind, data)


def test_secure_with_records(router):
    got = router.route("dane.signed.example")
    assert got.outcome == "OK"
    assert got.hosts == [Host("mx.dane.signed.example", "2001:db8::1", 10, True),
                         Host("mx.dane.signed.example", "192.0.2.1", 10, True)] + PLAIN
    assert sorted(got.tlsa) == [record("mx.dane", kind=(2, 0, 1)), record("mx.dane")]


def test_records_of_the_port_asked_for(router):
    assert router.route("mx.dane.signed.example", mx=False, port=465).tlsa == [
        record("mx.dane", data=DATA * 2, kind=(3, 1, 2))]
    assert router.route("mx.dane.signed.example", mx=False, port=587).tlsa == []


def test_nothing_is_said_of_dane_unless_asked(router):
    got = router.route("dane.signed.example", tlsa=False)
    assert len(got.hosts) == 3 and not got.tlsa


def test_a_whole_certificate(router):
    assert router.route("whole.signed.example").tlsa == [record("mx.whole", data=LONG, kind=(3, 0, 0))]


def test_without_mx(router):
    got = router.route("nomx.signed.example")
    assert got.hosts == [Host("nomx.signed.example", "192.0.2.4", 0, True)]
    assert got.tlsa == [record("nomx")]


@pytest.mark.parametrize("domain, host, base, address", [
    ("aliased", "there", "target", "192.0.2.5"),    # what the alias leads to comes first
    ("own", "here", "here", "192.0.2.2"),           # nothing there: its own name
    ("away", "leaves", "leaves", "192.0.2.20"),     # the alias is secure, its target is not
])
def test_behind_an_alias(router, domain, host, base, address):
    got = router.route(f"{domain}.signed.example")
    assert got.hosts == [Host(f"{host}.signed.example", address, 10, True)]
    assert got.tlsa == [record(host, base)]
    router.process.wait_log(rf"event=mx-is-alias domain={domain}.signed.example host={host}.signed.example")


def test_secure_alias_to_an_insecure_host_without_records(router):
    got = router.route("away2.signed.example")
    assert [h.address for h in got.hosts] == ["192.0.2.20"] and not got.tlsa


def test_insecure(router):
    """Below an unsigned delegation: mail goes there, DANE has no say."""
    got = router.route("insecure.signed.example")
    assert got.hosts == [Host("host.insecure.signed.example", "192.0.2.20", 10, False)] and not got.tlsa


def test_insecure_records_of_a_secure_host(router):
    """Anybody could have put them there."""
    got = router.route("unsigned-tlsa.signed.example")
    assert got.hosts == [Host("mx.ut.signed.example", "192.0.2.10", 10, True)] and not got.tlsa


def test_insecure_mx_to_a_secure_host(router):
    got = router.route("to-secure.insecure.signed.example")
    assert {(h.host, h.secure) for h in got.hosts} == {("mx.dane.signed.example", False)}
    assert len(got.tlsa) == 2


def test_outside_of_any_anchor(router):
    """No anchor, no judgement; this nsd has no such zone."""
    assert router.route("elsewhere.nowhere").status == "4.4.3"


@pytest.mark.parametrize("domain", ["forged-mx", "forged-host", "only-forged", "expired", "stranger", "stripped"])
def test_bogus_defers(router, domain):
    got = router.route(f"{domain}.signed.example")
    assert (got.hosts, got.tlsa, got.outcome, got.status) == ([], [], "RETRY", "4.7.5")
    assert "DNSSEC" in got.text
    # The same without DANE, but for the records that are its own.
    if domain != "only-forged":
        assert router.route(f"{domain}.signed.example", tlsa=False).status == "4.7.5"


def test_bogus_is_counted_and_logged(router):
    before = router.stats()
    assert router.route("forged-mx.signed.example").outcome == "RETRY"
    after = router.stats()
    assert after["dns.bogus"] == before["dns.bogus"] + 1 and after["dns.trouble"] == before["dns.trouble"]
    router.process.wait_log(r"event=dns-bogus why=.*forged-mx.signed.example")


def test_bogus_denial_is_no_denial(router):
    """No MX, and no proof of it: an attacker may have taken the records away."""
    got = router.route("forged-gone.signed.example")
    assert (got.hosts, got.outcome, got.status) == ([], "RETRY", "4.7.5")


def test_secure_denial(router):
    assert router.route("absent.signed.example")[2:4] == ("FAIL", "5.1.2")
    assert router.route("null.signed.example")[2:4] == ("FAIL", "5.1.10")


def test_forged_records_leave_the_host_out(router):
    """The next one takes the mail; without DANE the first one would."""
    got = router.route("forged-tlsa.signed.example")
    assert (got.outcome, got.hosts, got.tlsa) == ("OK", PLAIN, [])
    router.process.wait_log(r'event=mx-passed-over domain=forged-tlsa.\S+ host=mx.ft.signed.example why="DNSSEC: bogus"')
    assert len(router.route("forged-tlsa.signed.example", tlsa=False).hosts) == 2


def test_records_that_cannot_be_had_leave_the_host_out(router):
    got = router.route("silent-tlsa.signed.example")
    assert (got.hosts, got.tlsa, got.outcome, got.status) == ([], [], "RETRY", "4.4.3")
    assert len(router.route("silent-tlsa.signed.example", tlsa=False).hosts) == 1


def test_one_forged_family_leaves_the_other(router):
    got = router.route("half-host.signed.example")
    assert [h.address for h in got.hosts] == ["192.0.2.7"]


# -- trust anchors --


def test_anchor_file(signed, tmp_path):
    """The same in a file, among comments; then none: everything is insecure."""
    port, anchor = signed
    path = tmp_path / "anchor"
    path.write_text(f"; a comment\n\n{anchor} ; the zone's key\n")
    conf = f"resolver forward 127.0.0.1@{port}\n"
    it = Router(conf, port, [(2, "anchor", path)])
    assert it.route("forged-mx.signed.example").status == "4.7.5"
    assert it.route("dane.signed.example").hosts[0].secure
    path.write_text("")
    it.process.configure((CONF + conf).encode(), [(2, "anchor", path)])
    it.process.wait_log("event=resolver-renewed")
    got = it.route("forged-mx.signed.example")
    assert got.outcome == "OK" and not got.hosts[0].secure
    it.stop()


def test_an_anchor_in_the_configuration_takes_the_place_of_the_file(signed, tmp_path):
    port, anchor = signed
    path = tmp_path / "anchor"
    path.write_text(f"{zones.Key('signed.example').ds}\n")
    it = Router(f'resolver forward 127.0.0.1@{port}\ntrust anchor "{anchor}"\n', port, [(2, "anchor", path)])
    assert it.route("dane.signed.example").hosts[0].secure
    it.stop()


def test_a_wrong_anchor_vouches_for_nothing(signed):
    port, _ = signed
    it = Router(f'resolver forward 127.0.0.1@{port}\ntrust anchor "{zones.Key("signed.example").ds}"\n', port)
    assert it.route("dane.signed.example").status == "4.7.5"
    it.stop()


def test_an_anchor_with_tabs(signed):
    """As zone files are often written: a record all the same."""
    port, anchor = signed
    tabs = anchor.replace(" ", "\t")
    it = Router(f'resolver forward 127.0.0.1@{port}\ntrust anchor "{tabs}"\n', port)
    it.process.wait_log(r"event=resolver asks=127.0.0.1@\d+ servers=1 dnssec=yes")
    assert it.route("dane.signed.example").hosts[0].secure
    assert it.route("forged-mx.signed.example").status == "4.7.5"
    it.stop()


def test_no_anchor_is_said_aloud(signed, tmp_path):
    """Neither an empty file nor one with keys that nobody can verify turns DNSSEC off without a word."""
    port, anchor = signed
    path = tmp_path / "anchor"
    path.write_text("; nothing\n\n")
    conf = f"resolver forward 127.0.0.1@{port}\n"
    it = Router(conf, port, [(2, "anchor", path)])
    it.process.wait_log('event=resolver .* dnssec="no: there is no trust anchor"')
    words = anchor.split()
    words[3] = "253"    # an algorithm that nobody knows
    path.write_text(" ".join(words) + "\n")
    it.process.configure((CONF + conf).encode(), [(2, "anchor", path)])
    it.process.wait_log('event=libunbound text="warning: .*signed.example.*no supported algorithms')
    it.stop()


def test_an_anchor_that_is_none(signed, tmp_path):
    """At a reload the resolver there is goes on, validating."""
    port, anchor = signed
    path = tmp_path / "anchor"
    path.write_text(f"{anchor}\n")
    conf = f"resolver forward 127.0.0.1@{port}\n"
    it = Router(conf, port, [(2, "anchor", path)])
    path.write_text("this is no record\n")
    it.process.configure((CONF + conf).encode(), [(2, "anchor", path)])
    it.process.wait_log("event=resolver-not-renewed")
    assert it.route("dane.signed.example").hosts[0].secure
    assert it.route("forged-mx.signed.example").status == "4.7.5"
    it.stop()


def test_an_anchor_that_is_still_to_come(signed, tmp_path):
    """A reload names a file instead of the record; until it is there, what was believed before is: never nothing."""
    port, anchor = signed
    path = tmp_path / "anchor"
    path.write_text(f"{anchor}\n")
    conf = f"resolver forward 127.0.0.1@{port}\n"
    it = Router(f'{conf}trust anchor "{anchor}"\n', port)
    assert it.route("forged-mx.signed.example").status == "4.7.5"
    it.configure(conf)      # the file can't be read
    assert it.route("forged-mx.signed.example").status == "4.7.5"
    assert it.route("dane.signed.example").hosts[0].secure
    it.process.configure((CONF + conf).encode(), [(2, "anchor", path)], generation=3)
    it.process.wait_log("event=resolver-renewed")
    assert it.route("forged-mx.signed.example").status == "4.7.5"
    assert sum("event=resolver-renewed" in line for line in it.process.log) == 1
    it.stop()
