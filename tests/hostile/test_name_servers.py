# SPDX-License-Identifier: ISC
"""Name servers that lie, loop, flood, dawdle or set traps: no answer of theirs does harm, and nobody else waits for them."""
import os
import socket
import struct
import time

import dns.rdata
import dns.rdatatype
import pytest

import zones
from evil import Evil, assert_well, hard_server
from hostile_dns import Hostile, Trap
from postern import wait_for
from routes import Router

A, CNAME, PTR, MX, TLSA = 1, 5, 12, 15, 52
GOOD, BAD = b"\xc0\0\2\1", b"\xc0\0\2\x42"
PATIENCE = 60


def wire(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"


FIRST_ASKED = {}


# -- what each answers; the first label of the name says which --


def good(q):
    yield q.reply([(A, GOOD)] if q.kind == A else [(MX, b"\0\1" + wire("good.example"))] if q.kind == MX else [])


def truncated(q):
    yield from good(q) if q.tcp else [q.reply(truncated=True)]


def truncated_only(q):
    if not q.tcp:
        yield q.reply(truncated=True)
    else:
        raise OSError("no connection for you")


def oversized(q):
    """As many addresses as a message can hold."""
    yield q.reply([(A, struct.pack(">I", 0xc0000200 + n)) for n in range(4000)]) if q.tcp else q.reply(truncated=True)


def too_many_hosts(q):
    if q.kind != MX:
        yield from good(q)
    else:
        yield q.reply([(MX, struct.pack(">H", n) + wire(f"good{n}.example")) for n in range(1500)]) if q.tcp else q.reply(
            truncated=True)


def wide(q):
    """A datagram far larger than was asked for."""
    yield q.reply([(A, struct.pack(">I", 0xc0000200 + n)) for n in range(3000)])


def loop(q):
    other = "loop1.evil.example" if q.name.startswith("loop.") else "loop.evil.example"
    yield q.reply([(CNAME, wire(other))])


def itself(q):
    yield q.reply([(CNAME, b"\xc0\x0c")])


def endless(q):
    """A chain of aliases that has no end, one with each answer."""
    n = int(q.name.split(".")[0][7:] or 0)
    yield q.reply([(CNAME, wire(f"endless{n + 1}.evil.example"))])


def chain(q):
    """Hundreds of aliases in one answer."""
    names = [q.name] + [f"c{n}.evil.example" for n in range(500)]
    rows = [(wire(a), CNAME, wire(b)) for a, b in zip(names, names[1:])] + [(wire(names[-1]), A, GOOD)]
    yield q.reply(rows) if q.tcp else q.reply(truncated=True)


def wrong_id(q):
    for n in range(50):
        yield q.reply([(A, BAD)], ident=struct.pack(">H", n))
    yield from good(q)


def wrong_name(q):
    yield q.reply([(wire("bank.example"), A, BAD)], name=wire("bank.example"))
    yield from good(q)


def wrong_port(q):
    """Somebody else answers, who guesses the number and the port that asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        for _ in range(50):
            other.sendto(q.reply([(A, BAD)]), q.peer)
    yield from good(q)


def poison(q):
    """More than was asked for."""
    yield q.reply([(A, GOOD), (wire("bank.example"), A, BAD)], section=[(wire("bank.example"), A, BAD)])


def slow(q):
    """As a resolver that has to ask around first: when it knows, it knows for all who asked meanwhile."""
    time.sleep(max(0, FIRST_ASKED.setdefault((q.name, q.kind), time.monotonic()) + 1.5 - time.monotonic()))
    yield from good(q)


def drip(q):
    if not q.tcp:
        yield q.reply(truncated=True)
        return
    for message in good(q):
        for octet in struct.pack(">H", len(message)) + message:
            time.sleep(0.01)
            yield bytearray([octet])


def garbage(q):
    yield q.data[:2] + b"\x85\x80" + b"\xff" * 200
    yield q.data[:2] + os.urandom(300)
    yield q.data[:12]
    yield b""


def refusing(q):
    yield q.reply(rcode=5)


def failing(q):
    yield q.reply(rcode=2)


def puzzled(q):
    yield q.reply(rcode=1)


def silent(q):
    return iter(())


def hanging(q):
    """Takes the connection, and says nothing."""
    if not q.tcp:
        yield q.reply(truncated=True)
    else:
        time.sleep(PATIENCE)


FOUND, TEMPORARY = ("OK", ""), ("RETRY", "4.4.3")
OUTCOMES = {truncated: FOUND, oversized: FOUND, wrong_id: FOUND, wrong_name: TEMPORARY, wrong_port: FOUND, poison: FOUND,
            slow: FOUND, drip: FOUND, truncated_only: TEMPORARY, loop: TEMPORARY, itself: TEMPORARY, endless: TEMPORARY,
            chain: FOUND, garbage: TEMPORARY, refusing: TEMPORARY, failing: TEMPORARY, puzzled: TEMPORARY,
            too_many_hosts: FOUND, wide: None}
BEHAVIOURS = {b.__name__.replace("_", "-"): b for b in [*OUTCOMES, good, silent, hanging]}


def behaviour(q):
    return BEHAVIOURS.get(q.name.split(".")[0].rstrip("0123456789"), good)(q)


@pytest.fixture(scope="module")
def evil():
    server = Hostile(behaviour)
    yield server
    server.close()


@pytest.fixture(scope="module")
def router(evil):
    it = Router(f"resolver forward 127.0.0.1@{evil.port}\nmta address-family ipv4\n", evil.port)
    yield it
    it.stop()


@pytest.mark.parametrize("lie", OUTCOMES, ids=lambda b: b.__name__)
def test_answer(router, evil, lie):
    """Either the true address or a temporary failure, and the process lives on."""
    name = lie.__name__.replace("_", "-")
    got = router.route(f"{name}.evil.example", mx=lie is too_many_hosts)
    assert evil.asked(f"{name}.evil.example")
    if OUTCOMES[lie] is not None:
        assert (got.outcome, got.status) == OUTCOMES[lie]
    assert len(got.hosts) <= 16
    if lie not in (oversized, wide):
        assert all(h.address == "192.0.2.1" for h in got.hosts)
    assert router.route("good.evil.example", mx=False).outcome == "OK"


def test_nobody_is_poisoned(router):
    assert router.route("poison.evil.example", mx=False).outcome == "OK"
    assert [h.address for h in router.route("bank.example", mx=False).hosts] == ["192.0.2.1"]


# -- traps for those who validate --


@pytest.fixture(scope="module")
def key():
    return zones.Key("trap.example")


def cpu_s(pid):
    """Seconds of processor time that it has used."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


def longest_stall(router, names):
    """
    Asks for all the names, and another question again and again meanwhile: the most work, in seconds,
    that was done while that waited; and the outcomes.
    """
    pid = router.process.child.pid
    reqs = {router.delivery.ask("route", name=n, mx=False) for n in names}
    outcomes, longest = set(), 0
    while reqs:
        before, mine = cpu_s(pid), router.delivery.ask("route", name="localhost", mx=False)
        while (m := router.delivery.receive(PATIENCE)).req != mine or m.type != "route_end":
            if m.type == "route_end":
                reqs.remove(m.req)
                outcomes.add((m.outcome, m.status))
        longest = max(longest, cpu_s(pid) - before)
    return longest, outcomes


@pytest.mark.parametrize("name", ["n{}.trap.example", "absent{}." + "x." * 50 + "trap.example"], ids=["keys", "hashes"])
def test_trap(key, name):
    """Forty questions whose answers cost thousands of signatures or hashes each to believe: given up early, in small steps."""
    trap = Trap(key)
    server = Hostile(trap.answer)
    router = Router(f'resolver forward 127.0.0.1@{server.port}\nmta address-family ipv4\ntrust anchor "{key.ds}"\n',
                    server.port)
    assert router.route("first.trap.example", mx=False).outcome == "RETRY"  # the keys are known from here on
    longest, outcomes = longest_stall(router, [name.format(n) for n in range(40)])
    assert outcomes <= {("RETRY", "4.7.5"), ("RETRY", "4.4.3"), ("RETRY", "4.4.4")}
    print(f"longest stall: {longest * 1000:.0f} ms")
    assert longest < 0.2
    router.stop()
    server.close()


def test_records_that_make_no_sense(key):
    """TLSA records of too few octets, rightly signed: there is TLS, but nothing to compare with (RFC 7672 2.2)."""
    trap = Trap(key)

    def answer(q):
        name = dns.name.from_text(q.name)
        if q.kind == dns.rdatatype.DNSKEY:
            yield q.reply(trap.signed(trap.origin, key.dnskey))
        elif q.kind == A:
            yield q.reply(trap.signed(name, dns.rdata.from_text("IN", "A", "192.0.2.1")))
        elif q.kind == TLSA:
            yield q.reply(trap.signed(name, dns.rdata.GenericRdata(dns.rdataclass.IN, TLSA, b"\3\1")))

    server = Hostile(answer)
    router = Router(f'resolver forward 127.0.0.1@{server.port}\nmta address-family ipv4\ntrust anchor "{key.ds}"\n',
                    server.port)
    got = router.route("host.trap.example", mx=False)
    assert [h.address for h in got.hosts] == ["192.0.2.1"]
    assert [(t.usage, t.data) for t in got.tlsa] == [(255, b"")]
    router.stop()
    server.close()


# -- the whole server meanwhile --

CONF = """
listen on 127.0.0.1 port 0
action "out" relay
match from local for any action "out"
resolver forward 127.0.0.1@{port}
mta address-family ipv4
trust anchor "{ds}"
queue retry-min 1h
"""


@pytest.fixture(scope="module")
def trapped(key):
    trap = Trap(key)
    server = Hostile(lambda q: trap.answer(q) if q.name.endswith("trap.example") else behaviour(q))
    yield server
    server.close()


@pytest.fixture(scope="module")
def mail(trapped, key):
    s = hard_server(start=False)
    s.write_conf(s.CONF + CONF.replace("{port}", str(trapped.port)).replace("{ds}", key.ds))
    s.start()
    yield s
    assert_well(s)
    s.kill()    # an orderly end would wait for what nobody answers
    s.cleanup()


def deliver(server, rcpt):
    with Evil(server) as c:
        c.envelope(rcpt).to("DATA")
        assert c.say(b"Subject: x\r\n\r\nx\r\n.\r\n") == "250 2.0.0"


@pytest.mark.parametrize("attack", ["silent{}.evil.example", "hanging{}.evil.example", "slow{}.evil.example",
                                    "loop{}.evil.example", "endless{}.evil.example", "oversized{}.evil.example",
                                    "chain{}.evil.example", "n{}.trap.example"])
def test_mail_goes_on(mail, trapped, attack):
    """Thirty messages wait for names under attack; others are taken and delivered meanwhile."""
    for n in range(30):
        deliver(mail, "you@" + attack.format(n + 1000))
    suffix = attack.split("}")[1]
    wait_for(lambda: trapped.asked(suffix) >= 20, "the questions")
    before, took = len(mail.maildir()), []
    for _ in range(20):
        started = time.monotonic()
        deliver(mail, "demo@example.org")
        took.append(time.monotonic() - started)
    print(f"{attack}: median {sorted(took)[10] * 1000:.0f} ms, worst {max(took) * 1000:.0f} ms")
    assert max(took) < 3 and sorted(took)[10] < 1
    wait_for(lambda: len(mail.maildir()) >= before + 20, "the messages")


# -- silence, and its end --


def test_silent_names_stand_in_nobodys_way():
    """Nine hundred questions wait for those who say nothing; the others are asked and answered at once."""
    server = Hostile(behaviour)
    router = Router(f"resolver forward 127.0.0.1@{server.port}\nmta address-family ipv4\n", server.port)
    for n in range(900):
        router.delivery.ask("route", name=f"silent{n}.evil.example", mx=False)
    wait_for(lambda: server.asked("evil.example") >= 800, "the questions")
    took = []
    for n in range(10):
        started, mine = time.monotonic(), router.delivery.ask("route", name=f"good{n}.example", mx=False)
        while (m := router.delivery.receive(PATIENCE)).req != mine or m.type != "route_end":
            pass
        assert m.outcome == "OK"
        took.append(time.monotonic() - started)
    print(f"median {sorted(took)[5] * 1000:.0f} ms")
    assert sorted(took)[5] < 0.3
    router.stop()
    server.close()


def test_back_after_a_long_silence():
    """A forwarder that said nothing for two minutes is asked again at once, not in a quarter of an hour."""
    quiet = [False]
    server = Hostile(lambda q: () if quiet[0] else good(q))
    router = Router(f"resolver forward 127.0.0.1@{server.port}\nmta address-family ipv4\n", server.port)

    def outcome(name):
        mine = router.delivery.ask("route", name=name, mx=False)
        while (m := router.delivery.receive(2 * PATIENCE)).req != mine or m.type != "route_end":
            pass
        return m.outcome

    assert outcome("first.example") == "OK"
    quiet[0], started, n = True, time.monotonic(), 0
    while time.monotonic() - started < 110:
        assert outcome(f"n{n}.example") == "RETRY"
        n += 1
        time.sleep(0.001)   # those that fail at once; the patience of the others is libunbound's
    quiet[0], started = False, time.monotonic()
    while outcome(f"n{n}.example") != "OK":
        n += 1
        assert time.monotonic() - started < 35
        time.sleep(0.1)
    router.stop()
    server.close()
