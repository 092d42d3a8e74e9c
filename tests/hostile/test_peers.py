# SPDX-License-Identifier: ISC
"""A peer process in wrong hands, for every program and every peer it has.

Whatever breaks the protocol costs the peer its link, and nobody else
anything; what keeps to the protocol but makes no sense is survived.
"""
import os
import random
import re

import pytest

import postern
import table
from ipc import MESSAGES, Closed
from victim import Victim

ASAN = os.path.join(postern.TOP, "build-asan")
ROLES = ("session", "queue", "lookup", "delivery", "control", "agent", "vault", "hasher", "table", "fetch")
PAIRS = [(role, peer) for role in ROLES for peer in table.peers(role)]
BUILDS = [pytest.param(b, id=os.path.basename(b)) for b in
          {os.path.basename(b): b for b in [postern.BUILD] + [postern.reachable(b) for b in [ASAN] if os.path.isdir(b)]}.values()]
SENSELESS = 2000  # frames for each pair


def pair_id(value):
    return value if isinstance(value, str) else None


@pytest.fixture
def victim():
    """Makes processes; each must be well until its end."""
    made = []

    def make(role, build=postern.BUILD):
        made.append(Victim(role, build))
        return made[-1]
    yield make
    for v in made:
        v.close()


def serves(v):
    """It does its work for an honest peer."""
    if v.name == "agent":
        return
    if v.name in ("control", "hasher", "table", "fetch"):
        v.configure("hostname \"mx.test\"\n")
        v.wait_log(r"event=reloaded")
        return
    link = v.fresh_link("control")
    assert v.ask(link, "stats", "stats_end")[-1].type == "stats_end"
    link.close()


def send(v, link, octets, fds):
    with open("/dev/null", "rb") as null:
        try:
            link.send_raw(octets, [null.fileno()] * fds)
        except Closed:
            return
    v.pump()


def test_the_table_is_the_one_that_is_compiled():
    rows = table.messages()
    for i, (name, fd, fields) in enumerate(MESSAGES):
        assert rows[i]["name"] == name and rows[i]["fd"] == fd
        assert [(k, f) for k, f, _ in rows[i]["fields"]] == fields


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("role,peer", PAIRS, ids=pair_id)
def test_broken_frames(victim, role, peer, build):
    """Each on a link of its own: the link ends, with a reason in the log, and no descriptor stays behind."""
    v = victim(role, build)
    serves(v)
    before = v.descriptors()
    for what, octets, fds, ends in table.broken_frames(peer, role):
        if v.name == "agent":           # it has one peer in its life
            v = victim(role, build)
        said = len(v.log)
        link = v.fresh_link(peer)
        send(v, link, octets, fds)
        if ends:
            link.close()
            continue
        assert v.is_cut_off(link), what
        link.close()
        v.wait_log_after(said, r"event=peer-cut-off peer=%s " % peer)
        assert v.fault() == "", what
    if v.name != "agent":
        serves(v)
        postern.wait_for(lambda: v.descriptors() <= before, "descriptors are given back")


@pytest.mark.parametrize("build", BUILDS[-1:])
@pytest.mark.parametrize("role,peer", [p for p in PAIRS if p[0] != "agent"], ids=pair_id)
def test_valid_frames_without_sense(victim, role, peer, build):
    """Thousands of allowed messages at random: forged ids, answers nobody asked for, replays."""
    dice = random.Random(f"{role} {peer}")
    v = victim(role, build)
    names = [n for n in table.allowed(peer, role) if not table.messages()[table.number(n)]["fd"]]
    others = [v.fresh_link(p) for p in table.peers(role) if p != peer]
    link, cut = v.fresh_link(peer), 0
    for _ in range(SENSELESS):
        octets = table.frame(dice.choice(names), high=dice.random() < 0.5,
                             req=dice.choice((0, 1, 2, 3, 2**32 - 1, dice.getrandbits(32))))
        try:
            link.send_raw(octets)
        except Closed:
            link.close()
            link, cut = v.fresh_link(peer), cut + 1
        for k in [link, *others]:
            drain(k)
        v.pump()
    link.close()
    serves(v)
    assert v.fault() == ""


def drain(link):
    try:
        while True:
            link.receive(0)
    except (TimeoutError, Closed):
        pass


@pytest.mark.parametrize("role,peer", [p for p in PAIRS if p[0] not in ("agent", "session")], ids=pair_id)
def test_who_never_reads_costs_little(victim, role, peer):
    """Questions without end whose answers nobody takes: cut off, or simply ignored, in bounded memory."""
    v = victim(role)
    serves(v)
    before = v.memory_mib()
    names = [n for n in table.allowed(peer, role) if not table.messages()[table.number(n)]["fd"]]
    for name in names:
        link = v.fresh_link(peer)
        burst = b"".join(table.frame(name, req=n) for n in range(1, 200))
        link.sock.setblocking(False)
        for _ in range(500):
            try:
                link.sock.send(burst)
            except BlockingIOError:
                v.pump()
            except (BrokenPipeError, ConnectionResetError):
                break
        assert v.memory_mib() - before < 200, name
        link.close()
    serves(v)


def test_the_page_is_what_the_table_says():
    """man/postern-messages.7 is printed, not written; `make man` of a changed table would differ."""
    with open(f"{table.TOP}/man/postern-messages.7", encoding="utf-8") as f:
        page = f.read()
    assert re.sub(r"\.Dd .*", "", page) == re.sub(r"\.Dd .*", "", table.generator("-DNDEBUG"))
