# SPDX-License-Identifier: ISC
"""The way to other servers: MX, addresses of both families, aliases; and whom the DNS is asked of, in networks with a port 53."""
import collections
import contextlib
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import nameserver  # noqa: E402
import zones  # noqa: E402
from fetched import Unavailable  # noqa: E402
from ipc import BUILD, DEADLINE  # noqa: E402
from network import Network  # noqa: E402
from routes import CONF, Host, Router  # noqa: E402

HEAD = "$TTL 60\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\n"
ZONE = HEAD + """
ns A 127.0.0.1
two MX 10 both
two MX 20 v4
two MX 30 v6
both A 192.0.2.1
both A 192.0.2.2
both AAAA 2001:db8::1
both AAAA 2001:db8::2
both AAAA 2001:db8::3
v4 A 192.0.2.4
v6 AAAA 2001:db8::6
equal MX 10 e1
equal MX 10 e2
equal MX 10 e3
equal MX 10 e4
equal MX 5 first
first A 192.0.2.10
e1 A 192.0.2.11
e2 A 192.0.2.12
e3 A 192.0.2.13
e4 A 192.0.2.14
chain CNAME chain2
chain2 CNAME chain3
chain3 MX 10 v4
alias-mx MX 10 alias
alias CNAME v4
me-alias MX 5 v4
me-alias MX 10 my-alias
me-alias MX 20 first
only-me-alias MX 10 my-alias
my-alias CNAME mx.test.
dangling-alias MX 10 nowhere
nowhere CNAME nothing-there
odd MX 10 o\\032d
odd MX 20 v4
odd-alias MX 10 leads
leads CNAME o\\010dd
o\\010dd A 192.0.2.30
only-odd MX 10 o\\032d
elsewhere NS ns.elsewhere
ns.elsewhere A 127.0.0.1
"""
TEST = HEAD + "ns A 127.0.0.1\nmx A 192.0.2.99\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    yield from nameserver.serve(tmp_path_factory.mktemp("nsd"), {"example": ZONE, "test": TEST})


@contextlib.contextmanager
def asking(port, conf=""):
    it = Router(f"resolver forward 127.0.0.1@{port}\n{conf}", port)
    yield it
    it.stop()


@pytest.fixture(scope="module")
def router(port):
    with asking(port) as it:
        yield it


def addresses(answer):
    return [h.address for h in answer.hosts]


V4, V6 = ["192.0.2.1", "192.0.2.2"], ["2001:db8::1", "2001:db8::2", "2001:db8::3"]


@pytest.mark.parametrize("setting, both, rest", [
    ("", V6 + V4, ["192.0.2.4", "2001:db8::6"]),
    ("mta address-family prefer-ipv6\n", V6 + V4, ["192.0.2.4", "2001:db8::6"]),
    ("mta address-family prefer-ipv4\n", V4 + V6, ["192.0.2.4", "2001:db8::6"]),
    ("mta address-family ipv4\n", V4, ["192.0.2.4"]),
    ("mta address-family ipv6\n", V6, ["2001:db8::6"]),
])
def test_address_family(port, setting, both, rest):
    """The MX comes first, then the family; addresses of one family in any order."""
    with asking(port, setting) as it:
        got = addresses(it.route("two.example"))
        half = len(V4) if both[0] in V4 else len(V6)
        assert sorted(got[:half]) == both[:half] and sorted(got[half:len(both)]) == sorted(both[half:])
        assert got[len(both):] == rest


def test_any_address_family_in_turn(port):
    with asking(port, "mta address-family any\n") as it:
        first = collections.Counter()
        for _ in range(64):
            got = addresses(it.route("both.example", mx=False))
            kinds = [":" in a for a in got]
            assert kinds in ([True, False, True, False, True], [False, True, False, True, True])
            first[kinds[0]] += 1
        assert min(first[True], first[False]) > 8


@pytest.mark.parametrize("name, mx, family, status", [
    ("v6.example", True, "ipv4", "5.4.4"),
    ("v4.example", False, "ipv6", "4.4.4"),
    ("[192.0.2.1]", True, "ipv6", "5.4.4"),
    ("[IPv6:2001:db8::1]", True, "ipv4", "5.4.4"),
])
def test_no_address_of_the_family(port, name, mx, family, status):
    with asking(port, f"mta address-family {family}\n") as it:
        got = it.route(name, mx)
        assert (got.hosts, got.status) == ([], status)
        assert got.text.endswith("address (IPv%s)" % family[-1])


def test_address_family_by_reload(port):
    with asking(port, "mta address-family ipv4\n") as it:
        assert sorted(addresses(it.route("both.example"))) == V4
        it.configure(f"resolver forward 127.0.0.1@{port}\nmta address-family ipv6\n")
        assert sorted(addresses(it.route("both.example"))) == V6


def test_equals_in_any_order(router):
    """Each of four equals comes at each of the four places about as often: 400 askings, 100 expected."""
    places = [collections.Counter() for _ in range(5)]
    for _ in range(400):
        for place, host in enumerate(router.route("equal.example").hosts):
            places[place][host.host] += 1
    assert places[0] == {"first.example": 400}
    for counter in places[1:]:
        assert len(counter) == 4 and all(50 < n < 150 for n in counter.values()), places


def test_domain_that_is_an_alias(router):
    assert router.route("chain.example").hosts == [Host("v4.example", "192.0.2.4", 10, False)]


def test_mx_that_is_an_alias(router):
    """RFC 2181 10.3 forbids it; the mail goes there, and the log says so."""
    assert router.route("alias-mx.example").hosts == [Host("alias.example", "192.0.2.4", 10, False)]
    router.process.wait_log("event=mx-is-alias domain=alias-mx.example host=alias.example canonical=v4.example")


def test_mx_that_is_this_host_by_another_name(port):
    with asking(port) as it:
        got = it.route("only-me-alias.example")
        assert (got.hosts, got.outcome, got.status) == ([], "FAIL", "5.4.6")
        assert addresses(it.route("me-alias.example")) == ["192.0.2.4"]


OWN = HEAD + """
ns A 127.0.0.1
other A 10.99.7.2
own A 10.99.7.1
own6 AAAA 2001:db8:7::1
mapped AAAA ::ffff:10.99.7.1
loop A 127.0.0.1
nil A 0.0.0.0
nil AAAA ::
d-own MX 10 own
d-own6 MX 10 own6
d-loop MX 10 loop
d-nil MX 10 nil
d-mapped MX 10 mapped
d-other MX 10 other
equal MX 10 own
equal MX 10 other
backup MX 5 other
backup MX 10 own
backup MX 20 ns
"""
LOOP, NOWHERE = ("5.4.6", []), ("5.4.4", [])
THERE = ("", ["10.99.7.2"])
IS_SELF = [     # listener, domain, what comes of it
    ("10.99.7.1", "d-own", LOOP), ("10.99.7.1", "equal", LOOP), ("10.99.7.1", "backup", THERE),
    ("10.99.7.1", "own", LOOP), ("10.99.7.1", "d-other", THERE), ("10.99.7.1", "d-loop", ("", ["127.0.0.1"])),
    ("0.0.0.0", "d-own", LOOP), ("0.0.0.0", "d-loop", LOOP), ("0.0.0.0", "d-other", THERE), ("0.0.0.0", "equal", LOOP),
    ("0.0.0.0", "d-own6", ("", ["2001:db8:7::1"])), ("::", "d-own6", LOOP), ("2001:db8:7::1", "d-own6", LOOP),
    ("lo", "d-own", LOOP), ("lo", "d-other", THERE),
    ("localhost", "d-own", ("", ["10.99.7.1"])), ("localhost", "d-loop", LOOP),
    ("10.99.7.1 port 587", "d-own", ("", ["10.99.7.1"])),
    ("127.0.0.1", "d-nil", NOWHERE), ("10.99.7.1", "d-mapped", NOWHERE),
]


@pytest.fixture(scope="module")
def at_home(tmp_path_factory):
    """A network where this host has two addresses, and a name server."""
    try:
        network = Network()
    except Unavailable as e:
        pytest.skip(str(e))
    network.ip("address add 10.99.7.1/32 dev lo", "address add 2001:db8:7::1/128 dev lo nodad")
    with contextlib.ExitStack() as stack:
        stack.callback(network.close)
        with network.inside():
            stack.enter_context(nameserver.serving(tmp_path_factory.mktemp("nsd"), {"example": OWN}, 53))
        yield network


@pytest.mark.root
@pytest.mark.parametrize("listener, domain, want", IS_SELF, ids=lambda v: v if isinstance(v, str) else "")
def test_mx_that_is_this_host_by_address(at_home, listener, domain, want):
    """Mail would come back to the listener: refused, with all hosts that are no better (RFC 5321 5.1)."""
    with within(at_home, f"listen elsewhere on {listener}\nresolver forward 127.0.0.1\n") as it:
        for _ in range(4 if domain == "equal" else 1):
            got = it.route(f"{domain}.example")
            assert (got.status, addresses(got)) == want


@pytest.mark.root
def test_own_address_where_the_kernel_takes_any(at_home):
    """Who has told it so for the sake of a moving address still has mail for others."""
    with at_home.inside():
        for kind in ("ipv4/ip", "ipv6/ip"):
            with open(f"/proc/sys/net/{kind}_nonlocal_bind", "w", encoding="ascii") as f:
                f.write("1")
    with within(at_home, "listen elsewhere on 0.0.0.0\nresolver forward 127.0.0.1\n") as it:
        assert addresses(it.route("d-other.example")) == ["10.99.7.2"]
        assert it.route("d-loop.example").status == "5.4.6"


def test_referral_is_no_answer(router):
    """Who forwards to a server that is no resolver, and is told whom to ask, has not been told that there is nothing."""
    got = router.route("x.elsewhere.example")
    assert (got.outcome, got.status) == ("RETRY", "4.4.3")
    assert router.route("elsewhere.example", mx=False).outcome == "RETRY"


def test_alias_to_nothing(router):
    assert router.route("dangling-alias.example").status == "5.4.4"


def test_names_that_no_host_has(router):
    """As an MX they are passed over, behind an alias only the address counts."""
    assert addresses(router.route("odd.example")) == ["192.0.2.4"]
    assert addresses(router.route("odd-alias.example")) == ["192.0.2.30"]
    assert router.route("only-odd.example").status == "5.4.4"


# -- a small Internet --

ROOT, TLD, LEAF = "10.99.0.53", "10.99.0.54", "10.99.0.55"
# Where libunbound looks for the root unless it is told otherwise.
INTERNET = """198.41.0.4 199.9.14.201 192.33.4.12 199.7.91.13 192.203.230.10 192.5.5.241 192.112.36.4
    198.97.190.53 192.36.148.17 192.58.128.30 193.0.14.129 199.7.83.42 202.12.27.33""".split()


@pytest.fixture(scope="module")
def internet(tmp_path_factory):
    """A network from which the root, example and leaf.example are to be found, and the root's DS record."""
    root, tld, leaf = zones.Key("."), zones.Key("example"), zones.Key("leaf.example")
    texts = {
        ".": (ROOT, root, f"""$TTL 60
. SOA a.root. admin.root. 1 3600 600 86400 60
. NS a.root.
a.root. A {ROOT}
example. NS ns.example.
ns.example. A {TLD}
{tld.ds}
"""),
        "example": (TLD, tld, f"""{HEAD}
ns A {TLD}
leaf NS ns.leaf
ns.leaf A {LEAF}
{leaf.ds}
unsigned NS ns.unsigned
ns.unsigned A {LEAF}
"""),
        "leaf.example": (LEAF, leaf, f"""{HEAD}
ns A {LEAF}
@ MX 10 mx
mx A 192.0.2.1
_25._tcp.mx TLSA 3 1 1 {"ab" * 32}
forged MX 10 mx
"""),
    }
    try:
        near, far = Network(), Network()
    except Unavailable as e:
        pytest.skip(str(e))
    with contextlib.ExitStack() as stack:
        stack.callback(near.close)
        stack.callback(far.close)
        near.join(far, ["10.99.0.1/24"], [f"{a}/24" for a in (ROOT, TLD, LEAF)])
        far.ip(*(f"address add {a}/32 dev lo" for a in INTERNET))
        with far.inside():
            for name, (address, key, text) in texts.items():
                served = {name: zones.sign(key, text, ["forged.leaf.example. MX"] if key is leaf else [])}
                if key is leaf:
                    served["unsigned.example"] = f"{HEAD}ns A {LEAF}\n@ MX 10 mx\nmx A 192.0.2.2\n"
                stack.enter_context(nameserver.serving(
                    tmp_path_factory.mktemp("nsd"), served, 53, [address] + (INTERNET if key is root else [])))
        yield near, root.ds


@contextlib.contextmanager
def within(network, conf, files=()):
    with network.inside():
        it = Router(conf, files=files)
    yield it
    it.stop()


def finds_its_way(router):
    got = router.route("leaf.example")
    assert got.hosts == [Host("mx.leaf.example", "192.0.2.1", 10, True)] and len(got.tlsa) == 1
    assert router.route("unsigned.example").hosts == [Host("mx.unsigned.example", "192.0.2.2", 10, False)]
    assert router.route("absent.example").status == "5.1.2"
    assert router.route("forged.leaf.example").status == "4.7.5"


@pytest.mark.root
def test_from_the_root_down(internet):
    network, anchor = internet
    with within(network, f'resolver forward none\nresolver root {ROOT}\ntrust anchor "{anchor}"\n') as it:
        finds_its_way(it)


@pytest.mark.root
def test_from_the_root_of_the_internet(internet):
    """Nothing says where it is: the addresses that everybody knows."""
    network, anchor = internet
    network.ip(f"route add default via {ROOT}")
    try:
        with within(network, f'resolver forward none\ntrust anchor "{anchor}"\n') as it:
            finds_its_way(it)
    finally:
        network.ip("route del default")


@pytest.mark.root
def test_no_resolver_in_resolv_conf(internet, tmp_path):
    """Then the root is asked as well."""
    network, anchor = internet
    path = tmp_path / "resolv.conf"
    path.write_text("search example\n")
    with within(network, f'resolver root {ROOT}\ntrust anchor "{anchor}"\n', [(3, "resolv.conf", path)]) as it:
        finds_its_way(it)


@pytest.mark.root
def test_resolver_of_resolv_conf(internet, tmp_path):
    """It is asked on port 53; "resolver forward" has precedence, and "none" too."""
    network, anchor = internet
    path = tmp_path / "resolv.conf"
    path.write_text(f"nameserver {LEAF}\n")
    files = [(3, "resolv.conf", path)]
    with within(network, "", files) as it:
        # This "resolver" knows its own zones alone.
        assert it.route("leaf.example").outcome == "OK"
        assert it.route("example").outcome == "RETRY"
    path.write_text("nameserver 10.99.0.77\n")
    with within(network, f"resolver forward {LEAF}\n", files) as it:
        assert it.route("leaf.example").outcome == "OK"
    with within(network, f'resolver forward none\nresolver root {ROOT}\ntrust anchor "{anchor}"\n', files) as it:
        finds_its_way(it)


# -- a resolver that is replaced --


class Silent:
    """Takes questions on loopback, and says nothing."""

    def __init__(self):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.udp.settimeout(DEADLINE)
        self.port = self.udp.getsockname()[1]


def test_questions_outlive_their_resolver(port):
    """They wait for one that says nothing; a reload names another: asked again there, and answered."""
    silent = Silent()
    it = Router(f"resolver forward 127.0.0.1@{silent.port}\n", port)
    reqs = {it.delivery.ask("route", name="two.example", mx=True) for _ in range(50)}
    silent.udp.recv(512)
    it.configure(f"resolver forward 127.0.0.1@{port}\n")
    it.process.wait_log("event=resolver-renewed")
    while reqs:
        m = it.delivery.receive()
        if m.type == "route_end":
            assert m.outcome == "OK"
            reqs.remove(m.req)
    it.stop()
    silent.udp.close()


def test_resolvers_come_and_go(port):
    """A hundred reloads, each while questions wait: none is lost, nothing is left behind."""
    silent = Silent()
    it = Router(f"resolver forward 127.0.0.1@{silent.port}\n", port)

    def pages():
        with open(f"/proc/{it.process.child.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1])

    for n in range(100):
        before = pages() if n == 20 else 0 if n < 20 else before
        reqs = {it.delivery.ask("route", name=f"n{n}-{k}.example", mx=True) for k in range(20)}
        at = (port, silent.port)[n % 2]
        it.process.configure((CONF + f"resolver forward 127.0.0.1@{at}\n").encode(), generation=n + 2)
        while at == port and reqs:
            m = it.delivery.receive()
            if m.type == "route_end":
                assert m.status == "5.1.2"
                reqs.discard(m.req)
    assert pages() - before < 1024 or "asan" in BUILD.name    # it keeps what is freed for a while
    it.process.wait_log("event=reloaded generation=101")
    assert sum("event=resolver-renewed" in line for line in it.process.log) >= 40
    it.stop()
    silent.udp.close()


def test_who_asks_and_goes(tmp_path):
    """Askers that leave at once, again and again: what is under way for them has a bound, and so has memory."""
    silent = Silent()
    it = Router(f"resolver forward 127.0.0.1@{silent.port}\nmta address-family ipv4\n", silent.port)
    asked = 0
    for _ in range(8):
        for n in range(1000):
            it.delivery.ask("route", name=f"{'x' * 40}{asked + n}.example", mx=False)
        asked += 1000
        while it.stats()["dns.asked"] < min(asked, 1536):
            pass
        it.delivery.close()
        it.delivery = it.process.link("DELIVERY")
    stats = it.stats()
    assert (stats["dns.asked"], stats["dns.waiting"], stats["routes.waiting"]) == (1536, 1536, 0)
    assert it.route("another.example", mx=False).status == "4.4.3"
    assert it.route("localhost").outcome == "OK"
    it.stop()
    silent.udp.close()
