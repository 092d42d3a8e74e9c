# SPDX-License-Identifier: ISC
"""The vault's exchanges at their edges: who gives up, dies, comes too late or is too many; the test is all its peers.

Hashers and the parent answer when the test wants them to, and not before.
"""
import base64
import os
import time

import pytest

import memory
from ipc import OUTCOMES, Closed
from sasl import Scram, crypted, plain, scram_keys
from vaulted import DEADLINE, Vault

SECRET = "-".join("canary%d" % n for n in range(1000003, 1000023))
CONF = """
table users {{ "demo" = "{hash}", "both" = "{hash} {keys}" }}
table rows sqlite:/nowhere
auth free-failures {free}
listen on 127.0.0.1 port 1 insecure-auth auth <users>
listen on 127.0.0.1 port 2 insecure-auth auth <rows>
listen on 127.0.0.1 port 3 insecure-auth auth
"""


def conf(free=1000000, **values):
    values.setdefault("hash", crypted("secret"))
    values.setdefault("keys", scram_keys("secret"))
    return CONF.format(free=free, **values)


@pytest.fixture
def start():
    vaults = []

    def make(text=None, **kwargs):
        vaults.append(Vault(text or conf(), **kwargs))
        return vaults[-1]
    yield make
    for v in vaults:
        assert v.stop() == 0


@pytest.fixture
def v(start):
    """.hasher: the only one, played by the test."""
    vault = start(hashers=0)
    vault.hasher = vault.vault.link("HASHER")
    vault.settle()
    return vault


def said(login, password):
    return plain(login, password)[0].encode()


def asked(link, kind, timeout=DEADLINE):
    """The next question of a hasher's; those after SCRAM keys are answered by the way."""
    while True:
        m = link.receive(timeout)
        if m.type == "find" and m.scram:
            link.send("found", req=m.req, outcome=OUTCOMES.index("GONE"))
            continue
        assert m.type == kind, m
        return m


def verdict(link, m, outcome):
    link.send("hash_verdict", req=m.req, outcome=OUTCOMES.index(outcome))


def is_idle(v):
    v.settle()
    try:
        m = v.hasher.receive(0)
    except TimeoutError:
        return True
    return m.type == "find" and m.scram


def test_a_hasher_is_busy_until_it_has_answered(v):
    """Who gives up does not free it for the next one, whose answer is its own."""
    first, second = v.begin("PLAIN", said("demo", "wrong")), v.begin("PLAIN", said("demo", "secret"))
    m = asked(v.hasher, "hash")
    assert m.password == b"wrong"
    v.session.send("auth_cancel", req=first)
    assert is_idle(v)
    verdict(v.hasher, m, "OK")              # nobody wants to know
    m = asked(v.hasher, "hash")
    assert m.password == b"secret"
    verdict(v.hasher, m, "FAIL")
    assert v.hear(second) == ("REFUSED", "")


def test_a_session_that_dies(v):
    """Nothing of what its clients wanted is done any more."""
    for _ in range(5):
        v.begin("PLAIN", said("demo", "dead"))
    m = asked(v.hasher, "hash")
    v.session.close()
    v.session = v.vault.link("SESSION", 1)
    v.settle()
    v.settle()      # a turn of its loop later the vault has seen that the other is gone
    req = v.begin("PLAIN", said("demo", "secret"))
    verdict(v.hasher, m, "OK")
    m = asked(v.hasher, "hash")
    assert m.password == b"secret"
    verdict(v.hasher, m, "OK")
    assert v.hear(req) == ("OK", "demo")


def test_no_hasher_at_all(v):
    req = v.begin("PLAIN", said("demo", "secret"))
    asked(v.hasher, "hash")
    v.hasher.close()
    assert v.hear(req) == ("TROUBLE", "")
    req = v.begin("PLAIN", said("demo", "secret"))
    v.settle()
    v.hasher = v.vault.link("HASHER")
    verdict(v.hasher, asked(v.hasher, "hash"), "OK")
    assert v.hear(req) == ("OK", "demo")


def test_a_login_is_judged_when_its_turn_comes(start):
    """Guesses that all came before the first was counted are stopped all the same."""
    v = start(conf(free=2), hashers=0)
    v.hasher = v.vault.link("HASHER")
    reqs = [v.begin("PLAIN", said("demo", "wrong")) for _ in range(8)]
    heard = []
    for req in reqs:
        if len(heard) < 3:
            verdict(v.hasher, asked(v.hasher, "hash"), "FAIL")
        heard.append(v.hear(req)[0])
    assert heard == ["REFUSED"] * 3 + ["BLOCKED"] * 5
    assert is_idle(v)


def test_as_many_as_may_be(v):
    """A session process has its share; beyond that who is silent for longest makes room, and the others have theirs."""
    reqs = [v.begin("PLAIN") for _ in range(2048)]
    assert all(v.hear(req) == b"" for req in reqs)
    one_more = v.begin("PLAIN")
    assert v.hear(reqs[0]) == ("TROUBLE", "")
    assert v.hear(one_more) == b""
    full, v.session = v.session, v.vault.link("SESSION", 1)
    assert v.hear(v.begin("PLAIN")) == b""
    full.send("auth_cancel", req=reqs[1])
    v.session = full
    assert v.hear(v.begin("PLAIN")) == b""


@pytest.mark.parametrize("login,answer,stored", [("demo", "OK", "hash"), ("demo", "OK", "!locked"), ("demo", "OK", ""),
                                                 ("nobody", "GONE", ""), ("x" * 65, None, "")])
def test_an_account_of_the_system(v, login, answer, stored):
    """Whatever there is of it, one password is hashed."""
    good = crypted("secret", "sha512")
    v.vault.shadow["usual"] = ("OK", good)
    v.vault.shadow[login] = (answer, good if stored == "hash" else stored)
    for name in ("usual", login):
        req = v.begin("PLAIN", said(name, "secret"), system=True, passwords="")
        while not v.hasher.holds_frame():
            v.settle()
            try:
                m = asked(v.hasher, "hash", 0.05)
                break
            except TimeoutError:
                pass
        assert m.password == b"secret" and m.stored.startswith("$6$rounds=1000$")
        assert (m.stored == good) == (name == "usual" or stored == "hash")
        verdict(v.hasher, m, "OK")          # a hasher that says yes to everything
        assert v.hear(req) == (("OK", name) if m.stored == good else ("REFUSED", ""))


def test_a_parent_that_says_nothing(v):
    v.vault.shadow["demo"] = (None, "")
    req = v.begin("PLAIN", said("demo", "secret"), system=True, passwords="")
    assert v.hear(req) == ("TROUBLE", "")   # after ten seconds
    assert is_idle(v)


def test_a_database(v):
    """Is asked by the hasher that will compare, in lower case; the login of who is not there is like the others."""
    good = crypted("secret", "bcrypt")
    stored = []
    for login, outcome, value in (("Demo@Example.org", "OK", good), ("nobody", "GONE", ""), ("odd", "OK", "secret")):
        req = v.begin("PLAIN", said(login, "secret"), passwords="rows")
        m = asked(v.hasher, "find")
        assert (m.table, m.key) == ("rows", login.lower())
        v.hasher.send("found", req=m.req, outcome=OUTCOMES.index(outcome), value=value)
        m = asked(v.hasher, "hash")
        stored.append(m.stored)
        verdict(v.hasher, m, "OK")
        assert v.hear(req) == (("OK", "demo@example.org") if value == good else ("REFUSED", ""))
    assert stored[0] == good and stored[1] == stored[2] != good and stored[1][:7] == good[:7]
    req = v.begin("PLAIN", said("demo", "secret"), passwords="rows")
    m = asked(v.hasher, "find")
    v.hasher.send("found", req=m.req, outcome=OUTCOMES.index("RETRY"))
    assert v.hear(req) == ("TROUBLE", "")
    assert is_idle(v)


def test_a_database_with_scram_keys(v):
    """Sessions hear of it when the hasher found some; before, SCRAM is not known there."""
    assert v.states == {"users": True, "rows": False}
    assert v.hear(v.begin("SCRAM-SHA-256", b"n,,n=demo,r=x", passwords="rows")) == ("UNKNOWN", "")
    m = v.hasher.receive()
    assert (m.type, m.scram, m.table) == ("find", True, "rows")
    v.hasher.send("found", req=m.req, outcome=0)
    while not v.states["rows"]:
        v.settle()
    s = Scram("demo", "secret")
    req = v.begin("SCRAM-SHA-256", s.first().encode(), passwords="rows")
    m = v.hasher.receive()
    assert (m.type, m.scram, m.key) == ("find", False, "demo")
    v.hasher.send("found", req=m.req, outcome=0, value=scram_keys("secret"))
    v.respond(req, s.final(v.hear(req)).encode())
    s.check(v.hear(req))
    assert s.server_knew
    v.respond(req, b"")
    assert v.hear(req) == ("OK", "demo")


def test_scram_is_the_same_for_nobody(v):
    """A login without keys, in whatever case, has the salt that it always had, as long as the others'."""
    salts = {}
    for name in ("both", "demo", "nobody", "NoBody", "nobody", "other"):
        s = Scram(name, "secret")
        req = v.begin("SCRAM-SHA-256", s.first().encode())
        v.respond(req, s.final(v.hear(req)).encode())
        assert s.iterations == 4096 and len(s.salt) == 16
        salts.setdefault(name, s.salt)
        assert salts[name] == s.salt
        heard = v.hear(req)
        assert heard == ("REFUSED", "") if name != "both" else s.check(heard) == "" and s.server_knew
    assert salts["nobody"] == salts["NoBody"]
    assert len(set(salts.values())) == 4


def test_a_reload_under_way(v):
    """What was begun with the old tables ends by them or in trouble, never with a login that is gone."""
    s = Scram("both", "secret")
    scram = v.begin("SCRAM-SHA-256", s.first().encode())
    final = s.final(v.hear(scram)).encode()
    waits = [v.begin("PLAIN", said(name, "secret")) for name in ("demo", "both")]
    m = asked(v.hasher, "hash")
    good = crypted("other")
    v.vault.configure('table users { "demo" = "%s" }\nlisten on 127.0.0.1 port 1 insecure-auth auth <users>\n' % good)
    while v.states.get("users"):
        v.settle()
    v.respond(scram, final)
    s.check(v.hear(scram))
    assert s.server_knew
    verdict(v.hasher, m, "OK")
    assert v.hear(waits[0]) == ("OK", "demo")
    m = asked(v.hasher, "hash")
    assert m.stored != good
    verdict(v.hasher, m, "OK")
    assert v.hear(waits[1]) == ("REFUSED", "")
    assert v.hear(v.begin("PLAIN", said("x", "y"), passwords="rows")) == ("TROUBLE", "")
    req = v.begin("PLAIN", said("demo", "other"))
    assert asked(v.hasher, "hash").stored == good
    v.session.send("auth_cancel", req=req)


def test_who_talks_out_of_turn_is_cut_off(v):
    req = v.begin("PLAIN", said("demo", "secret"))
    asked(v.hasher, "hash")
    v.respond(req, b"more")
    with pytest.raises(Closed):
        v.hear(req)
    v.vault.wait_log("event=peer-cut-off peer=session")
    v.session = v.vault.link("SESSION", 1)
    v.settle()


def test_ticket_keys(start):
    """Each process has the same two; new ones come in time, and keep their order."""
    v = start(conf() + "smtp ticket-lifetime 4s\n", hashers=0)
    v.settle()
    end = time.monotonic() + DEADLINE
    while len(v.tickets) < 3:
        assert time.monotonic() < end
        v.settle()
        time.sleep(0.1)                     # how often is looked, not for how long
    revisions = [revision for revision, _ in v.tickets]
    assert revisions == sorted(set(revisions)) and len({key for _, key in v.tickets}) == len(revisions)
    assert all(len(key) == 48 for _, key in v.tickets)
    before = v.tickets
    v.session, v.tickets = v.vault.link("SESSION", 1), []
    v.settle()
    assert len(v.tickets) == 2 and v.tickets[0] in before


def holders(v, needles):
    return {name for name, pid in (("vault", v.vault.child.pid), ("hasher", v.hashers[0].child.pid))
            if memory.found(pid, needles)}


@pytest.mark.root
def test_a_password_is_gone_afterwards(start):
    """The vault has it while it waits for a hasher; then nobody has."""
    # Its end: what is freed loses its first octets to the allocator.
    needles = {"itself": SECRET[-40:].encode(), "base64": base64.b64encode(SECRET.encode())[-44:-4]}
    v = start(conf(hash=crypted(SECRET)))
    os.kill(v.hashers[0].child.pid, 19)
    try:
        req = v.begin("PLAIN", said("demo", SECRET))
        other = v.begin("LOGIN", b"demo")
        assert v.hear(other) == b"Password:"
        v.respond(other, (SECRET + "!").encode())
        v.settle()
        assert holders(v, needles) == {"vault"}
    finally:
        os.kill(v.hashers[0].child.pid, 18)
    assert v.hear(req) == ("OK", "demo")
    assert v.hear(other) == ("REFUSED", "")
    s = Scram("both", SECRET)
    req = v.begin("SCRAM-SHA-256", s.first().encode())
    v.hear(req)
    v.settle()
    assert holders(v, needles) == set()
