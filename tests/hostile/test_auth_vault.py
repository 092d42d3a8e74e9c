# SPDX-License-Identifier: ISC
"""A session in wrong hands that wants logins: no table but those for logins opens a door, and no noise gets in."""
import random

import pytest

from sasl import b64, crypted, scram_keys
from vaulted import Vault

DEMO = "demo@example.org"
CONF = f"""
hostname "mx.test"
table logins {{ "{DEMO}" = "{crypted("demo")} {scram_keys("demo")}" }}
table users {{ "{DEMO}" = "vmail" }}
table owners {{ "vmail" = "1:1:/nowhere" }}
auth free-failures 1000000
listen on 127.0.0.1 port 2525 insecure-auth auth <logins>
"""
MECHANISMS = ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL", "OAUTHBEARER", "XOAUTH2", "", "x"]


@pytest.fixture
def vault():
    v = Vault(CONF)
    yield v
    assert v.stop() == 0


def test_who_is_right_gets_in(vault):
    assert vault.plain(DEMO, "demo", passwords="logins") == ("OK", DEMO)
    assert vault.plain(DEMO, "vmail", passwords="logins") == ("REFUSED", "")


@pytest.mark.parametrize("listener", [
    {"passwords": "nobody"}, {"passwords": "users"}, {"passwords": "owners"}, {"passwords": "x" * 60},
    {"passwords": ""},
    {"passwords": "", "tokens": "logins"}, {"passwords": "", "tokens": "users"}, {"passwords": "", "system": True},
    {"passwords": "", "binding": "logins"}], ids=str)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"])
def test_tables_that_are_not_for_logins(vault, listener, mechanism):
    """What stands in a table for other things opens no door, whatever table a session names."""
    first = {"PLAIN": f"\0{DEMO}\0vmail", "LOGIN": DEMO, "SCRAM-SHA-256": f"n,,n={DEMO},r=x",
             "OAUTHBEARER": f"n,a={DEMO},\1auth=Bearer vmail\1\1", "XOAUTH2": f"user={DEMO}\1auth=Bearer vmail\1\1"}
    req = vault.begin(mechanism, first[mechanism].encode(), **listener)
    for answer in (b"vmail", b"", b""):
        heard = vault.hear(req)
        if isinstance(heard, tuple):
            break
        vault.respond(req, answer)
    assert heard[0] in ("REFUSED", "MALFORMED", "TROUBLE", "UNKNOWN") and heard[1] == ""
    assert vault.plain(DEMO, "demo", passwords="logins") == ("OK", DEMO)


def test_noise_in_every_field(vault):
    """Exchanges of chance: each ends, none with OK, and nothing of what was said in them is in the log."""
    chance = random.Random(9)
    words = [b"", b"\0", f"\0{DEMO}\0canary".encode(), DEMO.encode(), b"n,,n=demo,r=x", b"\1", chance.randbytes(30),
             chance.randbytes(9000),
             b"\0" * 9000]
    for n in range(400):
        req = vault.begin(chance.choice(MECHANISMS), chance.choice([None, *words]),
                          client=chance.choice(["192.0.2.1", "2001:db8::1", "", "local", "x" * 60]),
                          passwords=chance.choice(["logins", "", "users"]), tokens=chance.choice(["", "logins"]),
                          fingerprint=chance.choice(["", "SHA256:" + "0" * 64, "x"]),
                          identities=chance.choice(["", "a b c", "x" * 1000, "nobody@example.org"]),
                          binding=chance.choice(["", "nobody"]))
        for _ in range(8):
            heard = vault.hear(req)
            if isinstance(heard, tuple):
                break
            vault.respond(req, chance.choice(words))
        assert isinstance(heard, tuple) and heard[0] != "OK", (n, heard)
    said = "\n".join(vault.vault.log)
    for secret in ("canary", b64("canary"), "$y$", "SCRAM-SHA-256$"):
        assert secret not in said
    assert vault.vault.is_alive()
