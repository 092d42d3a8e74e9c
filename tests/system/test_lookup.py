# SPDX-License-Identifier: ISC
"""smtpd-lookup alone: the test is its parent, its session, queue and delivery.

DNS answers come from a real nsd on loopback, and, where an answer has to be
one that no honest server gives, from a few lines of Python.
"""

import os
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import nameserver  # noqa: E402
from ipc import ADDRESS_SPACE, DEADLINE, Closed, Process, encode  # noqa: E402
from nameserver import BAD_LABELS, EvilServer, dns_reply, dns_type, label  # noqa: E402

RIGHTS = 0x0001 | 0x0008 | 0x0100 | 0x0800  # base, dns, read-fd, read-db: smtpd/roles.c
TABLE, ANCHOR, RESOLV = 0, 2, 3  # enum ipc_file

CONF = """
hostname "mx.example.org"
table aliases { "root" = "alice", "list" = "alice, bob@remote.example, root", "self" = "self, alice", \
    "a" = "b", "b" = "a", "pipe" = "|/bin/sh", "mixed" = "/etc/passwd, alice", \
    "include" = ":include:/etc/passwd", "denied" = "x@refused.example" }
table users file:%(users)s
action "local" maildir alias <aliases>
action "virtual" maildir "mail/%%{dest.domain}/%%{dest.user}" virtual <users> user vmail
action "host" relay host "smtp://127.0.0.1:2525"
action "mx" relay
match from any for local action "local"
match from any for domain "users.example" action "virtual"
match from any for domain "refused.example" reject
match from any for domain { "*.wild.example", "host.example" } action "host"
match auth from any for domain "secret.example" action "mx"
match from src { 192.0.2.0/24, "2001:db8::/32" } for any action "mx"
match for any action "mx"
resolver forward 127.0.0.1@%(port)d
"""

USERS = """# virtual users
demo@users.example: demo
info@users.example	demo@users.example,
	bob@remote.example
@users.example.net: demo
"""

ZONE = """$ORIGIN example.
$TTL 60
@ SOA ns.example. admin.example. 1 3600 600 86400 60
@ NS ns.example.
ns A 127.0.0.1
order MX 20 mx2
order MX 10 mx1
order MX 10 mx1b
mx1 A 192.0.2.1
mx1 AAAA 2001:db8::1
mx1b A 192.0.2.11
mx2 A 192.0.2.2
plain A 192.0.2.3
alias CNAME order
null MX 0 .
nothing TXT "no address here"
loop MX 10 mx.example.org.
loop MX 20 mx1
backup MX 5 mx1
backup MX 10 mx.example.org.
backup MX 20 mx2
dangling MX 10 gone
half MX 10 gone
half MX 20 mx2
many MX 10 many-host
"""


@pytest.fixture(scope="module")
def nsd(tmp_path_factory):
    """The port of a name server with ZONE."""
    # 120 addresses for one host, too many for UDP; 40 hosts for one name
    many = "".join("many-host A 198.51.100.%d\n" % n for n in range(1, 121))
    many += "".join("crowd MX %d c%d\nc%d A 203.0.113.%d\n" % (n, n, n, n) for n in range(1, 41))
    yield from nameserver.serve(tmp_path_factory.mktemp("nsd"), {"example": ZONE + many})


class Lookup:
    """smtpd-lookup with its three askers."""

    def __init__(self, tmp_path, port, conf=CONF, extra=()):
        users = tmp_path / "users"
        if not users.exists():
            users.write_text(USERS)
        self.users = (TABLE, "users", users)
        self.text = (conf % {"users": users, "port": port}).encode()
        self.process = Process(
            "smtpd-lookup", "LOOKUP", RIGHTS, self.text, [self.users, *extra], [53, port],
            limits=(4096, ADDRESS_SPACE, 0, 0),
        )
        self.process.accounts = {"alice": "OK", "vmail": "OK", "self": "OK", "slow": None}
        self.session = self.process.link("SESSION")
        self.queue = self.process.link("QUEUE")
        self.delivery = self.process.link("DELIVERY")

    def check(self, rcpt, **more):
        values = {"client": "198.51.100.9", "sender": "a@b.example", "helo": "c.example", **more}
        m = self.process.ask(self.session, "rcpt_check", "rcpt_verdict", rcpt=rcpt, **values)[-1]
        return m.code, m.status, m.action

    def expand(self, address, action):
        got = self.process.ask(self.queue, "expand", "expand_end", address=address, action=action)
        items = {(m.address, m.action, m.user, m.dest) for m in got[:-1]}
        assert len(items) == len(got) - 1, "a result came twice: %s" % got
        return items, got[-1]

    def route(self, name, mx=True):
        got = self.process.ask(self.delivery, "route", "route_end", name=name, mx=mx)
        return [(m.host, m.address, m.preference) for m in got[:-1]], got[-1]


@pytest.fixture
def lookup(tmp_path, nsd):
    it = Lookup(tmp_path, nsd)
    yield it
    assert it.process.stop() == 0


@pytest.mark.parametrize(
    "rcpt, more, want",
    [
        ("alice@mx.example.org", {}, (250, "2.1.5", "local")),
        ("Alice+tag@MX.Example.ORG", {}, (250, "2.1.5", "local")),
        ("alice@localhost", {}, (250, "2.1.5", "local")),
        ("alice@[127.0.0.1]", {}, (250, "2.1.5", "local")),
        ("root@mx.example.org", {}, (250, "2.1.5", "local")),
        ("nobody@mx.example.org", {}, (550, "5.1.1", "")),
        ('"../alice"@mx.example.org', {}, (550, "5.1.1", "")),
        ('"alice;id"@mx.example.org', {}, (550, "5.1.1", "")),
        ("demo@users.example", {}, (250, "2.1.5", "virtual")),
        ("demo+x@users.example", {}, (250, "2.1.5", "virtual")),
        ("alice@users.example", {}, (550, "5.1.1", "")),
        ("x@refused.example", {"local": 1}, (550, "5.7.1", "")),
        ("x@a.wild.example", {}, (250, "2.1.5", "host")),
        ("x@wild.example", {}, (550, "5.7.1", "")),
        ("x@secret.example", {}, (550, "5.7.1", "")),
        ("x@secret.example", {"auth": "alice"}, (250, "2.1.5", "mx")),
        ("x@other.example", {}, (550, "5.7.1", "")),
        ("x@other.example", {"local": 1}, (250, "2.1.5", "mx")),
        ("x@other.example", {"client": "192.0.2.200"}, (250, "2.1.5", "mx")),
        ("x@other.example", {"client": "2001:db8:1::2"}, (250, "2.1.5", "mx")),
        ("x@other.example", {"client": "unix"}, (250, "2.1.5", "mx")),
        ("postmaster", {}, (250, "2.1.5", "local")),
        ("x@y@z", {}, (553, "5.1.3", "")),
        ("", {}, (553, "5.1.3", "")),
        ("alice@localhost", {"sender": "no address"}, (553, "5.1.7", "")),
        ("alice@localhost", {"sender": ""}, (250, "2.1.5", "local")),
    ],
)
def test_rcpt(lookup, rcpt, more, want):
    assert lookup.check(rcpt, **more) == want


def test_accounts_are_asked_for_once_and_flooding_is_harmless(lookup):
    for _ in range(20):
        assert lookup.check("alice@localhost")[0] == 250
    assert lookup.process.asked == ["alice"]
    for n in range(9000):  # more than are remembered
        lookup.session.send("rcpt_check", req=n + 100, sender="a@b.example", rcpt="u%d@localhost" % n)
        if n % 100 == 99:
            while len(lookup.process.asked) < n + 2:
                lookup.process.serve_once(DEADLINE)
            for _ in range(100):
                assert lookup.session.receive().code == 550
    assert lookup.check("alice@localhost")[0] == 250


def test_parent_in_trouble_defers(lookup):
    lookup.process.accounts["alice"] = "RETRY"
    assert lookup.check("alice@localhost")[:2] == (451, "4.4.3")
    lookup.process.accounts["alice"] = "OK"
    assert lookup.check("alice@localhost")[0] == 250, "trouble was remembered"


def test_session_that_goes_while_its_question_waits(lookup):
    lookup.session.ask("rcpt_check", sender="a@b.example", rcpt="slow@localhost")
    while "slow" not in lookup.process.asked:
        lookup.process.serve_once(DEADLINE)
    lookup.session.close()
    lookup.session = lookup.process.link("SESSION")
    assert lookup.check("alice@localhost")[0] == 250


def test_expand(lookup):
    items, end = lookup.expand("list@mx.example.org", "local")
    assert end.outcome == "OK"
    assert items == {
        ("list@mx.example.org", "local", "alice", "local:alice"),
        ("bob@remote.example", "mx", "", "remote.example"),
    }
    items, end = lookup.expand("info@users.example", "virtual")
    assert end.outcome == "OK"
    assert items == {
        ("demo@users.example", "virtual", "vmail", "local:vmail"),
        ("bob@remote.example", "mx", "", "remote.example"),
    }
    items, end = lookup.expand("x@host.example", "host")
    assert items == {("x@host.example", "host", "", "smtp://127.0.0.1:2525")}
    items, end = lookup.expand("self@localhost", "local")
    assert {m[2] for m in items} == {"self", "alice"}
    items, end = lookup.expand("mixed@localhost", "local")
    # What can't be delivered to is told, so that the sender hears of it.
    assert {m[2]: m[3].split()[0] for m in items} == {"alice": "local:alice", "": "fail:5.2.4"}
    lookup.process.wait_log("event=expand-problem.*/etc/passwd")


@pytest.mark.parametrize(
    "address, action, outcome, status",
    [
        ("a@localhost", "local", "FAIL", "5.2.4"),
        ("pipe@localhost", "local", "FAIL", "5.2.4"),
        ("include@localhost", "local", "RETRY", "4.2.4"),
        ("denied@localhost", "local", "FAIL", "5.7.1"),
        ("x@users.example", "virtual", "FAIL", "5.1.1"),
        ("alice@localhost", "no-such-action", "RETRY", "4.3.0"),
        ("not an address", "local", "FAIL", "5.1.3"),
    ],
)
def test_expand_to_nothing(lookup, address, action, outcome, status):
    items, end = lookup.expand(address, action)
    assert not items
    assert (end.outcome, end.status) == (outcome, status)
    assert end.text


def test_table_file_missing_then_loaded_then_reloaded(tmp_path, nsd):
    it = Lookup(tmp_path, nsd, CONF.replace("<users>", "<late>").replace("table users", "table late"))
    assert it.check("demo@users.example")[:2] == (451, "4.4.3")
    assert it.expand("demo@users.example", "virtual")[1].outcome == "RETRY"
    it.process.configure(it.text, [(TABLE, "late", it.users[2])])
    it.process.wait_log("event=reloaded")
    assert it.check("demo@users.example")[0] == 250
    it.users[2].write_text("new@users.example demo\nbroken\0line x\n")
    it.process.configure(it.text, [(TABLE, "late", it.users[2])], generation=3)
    it.process.wait_log("event=table-line-skipped table=late line=2")
    assert it.check("demo@users.example")[0] == 550
    assert it.check("new@users.example")[0] == 250
    # A file that can't be used leaves what there was.
    os.truncate(it.users[2], 65 << 20)
    it.process.configure(it.text, [(TABLE, "late", it.users[2])], generation=4)
    it.process.wait_log("event=file-not-loaded name=late")
    assert it.check("new@users.example")[0] == 250
    assert it.process.stop() == 0


# -- the way to other servers --

MX1 = [("mx1.example", "2001:db8::1", 10), ("mx1.example", "192.0.2.1", 10)]
MX1B = [("mx1b.example", "192.0.2.11", 10)]
MX2 = [("mx2.example", "192.0.2.2", 20)]


@pytest.mark.parametrize("name", ["order.example", "alias.example"])
def test_mx_in_order(lookup, name):
    hosts, end = lookup.route(name)
    assert end.outcome == "OK"
    assert hosts in (MX1 + MX1B + MX2, MX1B + MX1 + MX2)


def test_mx_equals_take_turns(lookup):
    first = {lookup.route("order.example")[0][0][0] for _ in range(64)}
    assert first == {"mx1.example", "mx1b.example"}


@pytest.mark.parametrize(
    "name, mx, hosts, outcome, status",
    [
        ("plain.example", True, [("plain.example", "192.0.2.3", 0)], "OK", ""),
        ("mx1.example", False, [(h, a, 0) for h, a, _ in MX1], "OK", ""),
        ("null.example", True, [], "FAIL", "5.1.10"),
        ("absent.example", True, [], "FAIL", "5.1.2"),
        ("nothing.example", True, [], "FAIL", "5.4.4"),
        ("dangling.example", True, [], "FAIL", "5.4.4"),
        ("half.example", True, MX2, "OK", ""),
        ("loop.example", True, [], "FAIL", "5.4.6"),
        ("backup.example", True, [(h, a, 5) for h, a, _ in MX1], "OK", ""),
        ("absent.example", False, [], "RETRY", "4.4.4"),
        ("refused.test-of-nobody", True, [], "RETRY", "4.4.3"),
        ("localhost", True, [("localhost", "::1", 0), ("localhost", "127.0.0.1", 0)], "OK", ""),
        ("[192.0.2.77]", True, [("[192.0.2.77]", "192.0.2.77", 0)], "OK", ""),
        ("[IPv6:2001:db8::7]", True, [("[IPv6:2001:db8::7]", "2001:db8::7", 0)], "OK", ""),
        ("192.0.2.7", False, [("192.0.2.7", "192.0.2.7", 0)], "OK", ""),
        ("a..example", True, [], "FAIL", "5.1.2"),
        ("a b.example", True, [], "FAIL", "5.1.2"),
        ("", True, [], "FAIL", "5.1.2"),
        ("x." * 124 + "examples", True, [], "FAIL", "5.1.2"),
    ],
)
def test_route(lookup, name, mx, hosts, outcome, status):
    got, end = lookup.route(name, mx)
    assert got == hosts
    assert (end.outcome, end.status) == (outcome, status)
    assert bool(end.text) == (outcome != "OK")


def test_route_is_bounded(lookup):
    assert len(lookup.route("many.example")[0]) == 8
    hosts, _ = lookup.route("crowd.example")
    assert [p for _, _, p in hosts] == list(range(1, 17))


def test_forged_without_signature(tmp_path, nsd):
    """With trust anchors, answers that the signed root does not vouch for are not used."""
    anchor = Path("/usr/share/dns/root.key")
    if not anchor.exists():
        pytest.skip("no trust anchors at %s" % anchor)
    it = Lookup(tmp_path, nsd, extra=[(ANCHOR, "anchor", anchor)])
    hosts, end = it.route("plain.example")
    assert not hosts
    assert (end.outcome, end.status) == ("RETRY", "4.7.5")
    assert it.process.stop() == 0


def test_servers_of_resolv_conf(tmp_path, nsd):
    """Those are asked on port 53, where nobody is: what counts is that they are taken."""
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("# comment\nsearch example\nnameserver 127.0.0.54\nnameserver not-an-address\n")
    conf = CONF.replace("resolver forward 127.0.0.1@%(port)d", "")
    it = Lookup(tmp_path, nsd, conf, [(RESOLV, "resolv.conf", resolv)])
    assert it.route("localhost")[1].outcome == "OK"
    # A reload may change them, inside the sandbox.
    it.process.configure(it.text + b"resolver forward 127.0.0.1@%d\n" % nsd, [it.users])
    it.process.wait_log("event=resolver-renewed")
    assert it.route("plain.example")[1].outcome == "OK"
    assert it.process.stop() == 0


# -- a server that lies --


@pytest.mark.parametrize("bad", BAD_LABELS, ids=[b.hex() for b in BAD_LABELS])
def test_names_that_no_host_has(tmp_path, bad):
    def answer(question):
        if dns_type(question) != 15:
            return dns_reply(question, [(1, b"\xc0\0\2\5")] if dns_type(question) == 1 else [])
        good = label(b"good") + label(b"example") + b"\0"
        return dns_reply(
            question, [(15, b"\0\5" + label(bad) + label(b"example") + b"\0"), (15, b"\0\12" + good)]
        )

    it = Lookup(tmp_path, EvilServer(answer).port)
    hosts, end = it.route("victim.example")
    assert end.outcome == "OK"
    assert hosts == [("good.example", "192.0.2.5", 10)]
    assert it.process.stop() == 0


def test_answers_that_are_garbage(tmp_path):
    replies = [
        lambda q: q[:2] + b"\x85\x80" + b"\xff" * 200,
        lambda q: q[:12],
        lambda q: dns_reply(q, [(15, b"\0\1\xc0\x0c")])[:-1],
        lambda q: dns_reply(q, [(15, b"\0\1\xc0\xff")]),
        lambda q: dns_reply(q, [(15, b"")]),
        lambda q: dns_reply(q, [(1, b"1"), (28, b"12345678")]),
        lambda q: dns_reply(q, [], rcode=2),
        lambda q: dns_reply(q, [], rcode=5),
    ]
    turn = iter(range(1 << 30))
    it = Lookup(tmp_path, EvilServer(lambda q: replies[next(turn) % len(replies)](q)).port)
    reqs = {it.delivery.ask("route", name="n%d.example" % n, mx=n % 2) for n in range(40)}
    deadline = time.monotonic() + 90
    while reqs:
        assert time.monotonic() < deadline
        m = it.delivery.receive(90)
        if m.type == "route_end":
            reqs.discard(m.req)
    assert it.process.is_alive()
    assert it.check("alice@localhost")[0] == 250
    assert it.process.stop() == 0


def test_silent_server_stops_nobody(tmp_path):
    evil = EvilServer(lambda q: None)
    it = Lookup(tmp_path, evil.port)
    for n in range(200):
        it.delivery.ask("route", name="n%d.example" % n, mx=1)
    while not evil.questions:
        pass
    before = time.monotonic()
    assert it.check("alice@localhost")[0] == 250
    assert time.monotonic() - before < 5
    # The asker goes, and its questions with it.
    it.delivery.close()
    it.delivery = it.process.link("DELIVERY")
    assert it.route("localhost")[1].outcome == "OK"
    control = it.process.link("CONTROL")
    rows = it.process.ask(control, "stats", "stats_end")[:-1]
    assert {m.name: m.value for m in rows}["routes.waiting"] == 0
    assert it.process.stop() == 0


# -- peers that lie --


@pytest.mark.parametrize("role", ["SESSION", "QUEUE", "DELIVERY", "CONTROL"])
def test_hostile_peer_is_cut_off_alone(lookup, role):
    frames = [
        b"\xff" * 64,
        encode("lock"),
        encode("user_answer", req=1),
        encode("rcpt_check", req=1, rcpt=b"a\0b@c") if role == "SESSION" else encode("list"),
        encode("expand", req=1, address="x" * 513) if role == "QUEUE" else encode("read"),
        encode("route", req=1, name="x" * 300) if role == "DELIVERY" else encode("log", line="x"),
    ]
    for instance, frame in enumerate(frames):
        link = lookup.process.link(role, instance + 1)
        with pytest.raises(Closed):
            link.send_raw(frame)
            link.receive()
    lookup.process.wait_log("event=peer-cut-off")
    assert lookup.check("alice@localhost")[0] == 250


def test_peer_that_does_not_read(lookup):
    """It is cut off when too much waits for it, in the middle of an answer or not."""
    link = lookup.process.link("DELIVERY", 1)
    link.sock.settimeout(DEADLINE)
    frame = encode("route", req=1, name="localhost") * 500
    with pytest.raises((Closed, OSError)):
        while True:
            link.sock.sendall(frame)
    lookup.process.wait_log("event=peer-cut-off peer=delivery")
    assert lookup.check("alice@localhost")[0] == 250


def test_drain_waits_for_those_who_need_answers(lookup):
    lookup.process.parent.send("drain", deadline_ms=60000)
    assert lookup.check("alice@localhost")[0] == 250
    lookup.session.close()
    lookup.queue.close()
    assert lookup.route("localhost")[1].outcome == "OK"
    lookup.delivery.close()
    assert lookup.process.child.wait(DEADLINE) == 0
