# SPDX-License-Identifier: ISC
"""What the DNS said is remembered for as long as it said, no longer, and in bounded memory; equal questions are asked once.

Counted before a real nsd.
"""
import contextlib
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import nameserver  # noqa: E402
from ipc import DEADLINE  # noqa: E402
from routes import Router  # noqa: E402

A, MX = 1, 15
HEAD = "$TTL 600\n@ SOA ns admin 1 3600 600 86400 {negative}\n@ NS ns\nns A 127.0.0.1\n"
LONG = HEAD.format(negative=600) + """
host A 192.0.2.1
domain MX 10 host
zero 0 A 192.0.2.2
short 3 A 192.0.2.3
*.wild A 192.0.2.4
"""
SHORT = HEAD.format(negative=3) + "nothing TXT x\n"


@pytest.fixture(scope="module")
def nsd(tmp_path_factory):
    yield from nameserver.serve(tmp_path_factory.mktemp("nsd"), {"long.example": LONG, "short.example": SHORT})


def resident(pid):
    """Octets of memory in use."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS:"))


@contextlib.contextmanager
def counted(port):
    counter = nameserver.Counter(port)
    router = Router(f"resolver forward 127.0.0.1@{counter.port}\nmta address-family ipv4\n", counter.port)
    yield router, counter
    router.stop()
    counter.close()


@pytest.fixture(scope="module")
def asked(nsd):
    with counted(nsd) as both:
        yield both


def test_answers_are_remembered(asked):
    router, counter = asked
    for _ in range(20):
        assert router.route("domain.long.example").outcome == "OK"
    assert (counter.count("domain.long.example"), counter.count("host.long.example")) == (1, 1)


def test_no_answer_is_remembered_that_must_not_be(asked):
    router, counter = asked
    for _ in range(5):
        assert router.route("zero.long.example", mx=False).outcome == "OK"
    assert counter.count("zero.long.example", A) == 5


PASSING = {
    "short.long.example": "",           # an address that holds for three seconds
    "absent.short.example": "4.4.4",    # no such name: for as long as the SOA says (RFC 2308 5)
    "nothing.short.example": "4.4.4",   # no such record: the same
}


def test_forgotten_when_its_time_is_over(asked):
    """Three seconds, counted in whole ones: not asked again before, asked again after."""
    router, counter = asked
    started, askings, again = time.monotonic(), 0, {}
    while len(again) < len(PASSING):
        for name, status in PASSING.items():
            assert router.route(name, mx=False).status == status
            if counter.count(name, A) == 2:
                again.setdefault(name, time.monotonic() - started)
        askings += 1
        assert time.monotonic() - started < DEADLINE
        time.sleep(0.02)
    assert all(2 <= t < 6 for t in again.values()), again
    assert askings > 20


def test_absence_is_remembered(asked):
    router, counter = asked
    for _ in range(20):
        assert router.route("absent.long.example").status == "5.1.2"
    assert counter.count("absent.long.example") == 1


def test_equal_questions_are_asked_once(asked):
    """A hundred at once, while the answer is held back; libunbound may repeat itself when it takes too long."""
    router, counter = asked
    counter.hold = True
    reqs = {router.delivery.ask("route", name="same.wild.long.example", mx=False) for _ in range(100)}
    end = time.monotonic() + DEADLINE
    while router.stats()["dns.waiting"] < 100:
        assert time.monotonic() < end
    counter.release()
    while reqs:
        m = router.delivery.receive()
        if m.type == "route_end":
            assert m.outcome == "OK"
            reqs.remove(m.req)
    assert 1 <= counter.count("same.wild.long.example", A) < 5


def test_trouble_is_not_remembered_for_long(tmp_path):
    """A server that fails is asked again within seconds."""
    failing = [True]

    def answer(question):
        if failing[0]:
            return nameserver.dns_reply(question, [], rcode=2)
        return nameserver.dns_reply(question, [(A, b"\xc0\0\2\5")])

    evil = nameserver.EvilServer(answer)
    router = Router(f"resolver forward 127.0.0.1@{evil.port}\nmta address-family ipv4\n", evil.port)
    assert router.route("a.example", mx=False).status == "4.4.3"
    failing[0] = False
    end = time.monotonic() + DEADLINE
    while router.route("a.example", mx=False).outcome != "OK":
        assert time.monotonic() < end
        time.sleep(0.02)
    router.stop()


def test_a_hundred_thousand_names(nsd):
    """The caches fill up and are not exceeded: the second half of the names adds next to nothing."""
    router = Router(f"resolver forward 127.0.0.1@{nsd}\nmta address-family ipv4\n", nsd)

    def ask(numbers):
        waiting = 0
        for n in numbers:
            router.delivery.send("route", req=n + 1, name=f"{'x' * 40}{n}.wild.long.example", mx=False)
            waiting += 1
            while waiting == 100 or (waiting > 0 and n == numbers[-1]):
                waiting -= router.delivery.receive().type == "route_end"

    ask(range(50000))
    half = resident(router.process.child.pid)
    ask(range(50000, 100000))
    assert resident(router.process.child.pid) - half < 2 << 20
    assert half < 64 << 20
    router.stop()
