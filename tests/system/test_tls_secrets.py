# SPDX-License-Identifier: ISC
"""Where secrets are not: the memory of every process but the vault, the log, and what smtpctl tells.

Each search is proved on a process that holds what is looked for.
"""
import os
import subprocess

import pytest

import memory
from postern import wait_for
from sasl import OK, REFUSED, Scram, auth, b64, crypted, login_steps, plain, scram_keys, table
from tls import V12, V13, TlsServer, certificate, only, starttls

pytestmark = pytest.mark.root
PKIS = ("ecdsa", "rsa", "p384")
CONF = """
smtp error-delay 0s
auth failure-delay 0s
auth max-failures 100
auth free-failures 1000000
listen on 127.0.0.1 port 0 tls pki ecdsa auth-optional <logins>
listen on 127.0.0.1 port 0 smtps pki rsa auth-optional <logins>
listen on 127.0.0.1 port 0 smtps pki p384 auth-optional <logins>
"""
STARTTLS, RSA, P384 = 1, 2, 3
# Not in this file as one piece, and not in what is compiled of it.
CANARY, WRONG = ("-".join(("canary", word, "of", "Postern")) for word in ("right", "wrong"))


@pytest.fixture
def server():
    s = TlsServer(table("logins",
                        {"demo@example.org": crypted(CANARY), "scram@example.org": scram_keys(CANARY)}) + CONF, PKIS)
    s.start()
    yield s
    s.cleanup()


def processes(server):
    return {"parent": server.process.pid, **server.pids()}


def handshakes(server):
    for version in (V12, V13):
        for port in (RSA, P384):
            server.secure(port, ctx=only(version)).close()
        starttls(server, STARTTLS, ctx=only(version)).close()


def where(server, needles):
    """{process: what is in it} of those in which something is."""
    return {name: seen for name, pid in processes(server).items() if (seen := memory.found(pid, needles))}


# -- keys -------------------------------------------------------------------------------

def keys():
    return {f"{name}:{what}": octets for name in PKIS for what, octets in memory.of_key(certificate(name)).items()}


def of(name, seen):
    return any(s.startswith(f"{name}:") for s in seen)


def test_the_search_finds_keys():
    """In a server of another kind, which has them as they all do."""
    for name in PKIS:
        c = certificate(name)
        with subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", c.crt, "-key", c.key],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            while not other.stdout.readline().startswith(b"ACCEPT"):
                pass
            assert of(name, memory.found(other.pid, keys()))
            other.kill()


def test_keys_are_in_the_vault_alone(server):
    """Nobody else has one octet string of a private key in any form, not even the parent, who reads the files."""
    handshakes(server)
    for _ in range(2):
        seen = where(server, keys())
        assert set(seen) == {"vault/0"}, {k: v for k, v in seen.items() if k != "vault/0"}
        assert all(of(name, seen["vault/0"]) for name in PKIS)
        server.reload()
        handshakes(server)
    server.ctl("show", "certificates")
    assert set(where(server, keys())) == {"vault/0"}


def test_the_vault_keeps_no_text_of_a_key(server):
    """A file is wiped as soon as the key is made of it."""
    handshakes(server)
    assert not [s for s in where(server, keys())["vault/0"] if "-text" in s]


def test_a_key_that_was_replaced_is_gone_from_the_others(server):
    server.install("next", pki="ecdsa")
    server.reload()
    handshakes(server)
    needles = {f"next:{what}": octets for what, octets in memory.of_key(certificate("next")).items()}
    assert set(where(server, {**keys(), **needles})) == {"vault/0"}


# -- passwords ------------------------------------------------------------------------------

def passwords():
    return {f"{word}:{what}": octets for word in (CANARY, WRONG) for what, octets in memory.of_password(word).items()}


def test_the_search_finds_passwords(server):
    """In one that is known to have them, and in a session while a line of AUTH is not at its end."""
    assert memory.found_where_all_are(passwords()) == set(passwords())
    with starttls(server, STARTTLS) as c:
        c.send("AUTH PLAIN " + b64(f"\0demo@example.org\0{CANARY}"))
        wait_for(lambda: where(server, passwords()), "the line to arrive")
        assert {name.split("/")[0] for name in where(server, passwords())} == {"session"}
        c.send("\r\n")
        assert c.reply()[0] == 235
        assert where(server, passwords()) == {}


EXCHANGES = {
    "plain": lambda c, p: auth(c, "PLAIN", *plain("demo@example.org", p)),
    "plain-asked": lambda c, p: auth(c, "PLAIN", *plain("demo@example.org", p), initial=False),
    "plain-scram-keys": lambda c, p: auth(c, "PLAIN", *plain("scram@example.org", p)),
    "login": lambda c, p: auth(c, "LOGIN", *login_steps("demo@example.org", p)),
    "login-scram-keys": lambda c, p: auth(c, "LOGIN", *login_steps("scram@example.org", p), initial=False),
    "scram": lambda c, p: auth(c, "SCRAM-SHA-256", *Scram("scram@example.org", p).steps),
}


@pytest.mark.parametrize("how", EXCHANGES)
def test_no_password_is_left_behind(server, how):
    """After the answer no process has it, the client's session being open or not; no line of the log ever had."""
    with starttls(server, STARTTLS) as c, server.secure(RSA) as other:
        assert EXCHANGES[how](c, WRONG) == REFUSED
        assert EXCHANGES[how](other, WRONG) == REFUSED
        assert where(server, passwords()) == {}
        assert EXCHANGES[how](c, CANARY) == OK
        assert where(server, passwords()) == {}
        c.say("MAIL FROM:<demo@example.org>" if "scram" not in how else "MAIL FROM:<scram@example.org>")
    assert where(server, passwords()) == {}
    nothing_said(server)


def nothing_said(server):
    said = ["\n".join(server.log)]
    for words in (("show", "stats"), ("show", "logins"), ("show", "clients"), ("show", "certificates")):
        said.append(server.ctl(*words).stdout)
        said.append(server.ctl(*words, "--json").stdout)
    octets = "\n".join(said).encode()
    assert b"event=auth-" in octets and b"example.org" in octets        # what may be said is said
    assert not [name for name, needle in passwords().items() if needle in octets]


def test_no_password_is_left_behind_by_what_went_wrong(server):
    """Exchanges that were refused, given up, or broken off; lines that were no message, or no command at all."""
    message = b64(f"\0demo@example.org\0{WRONG}")
    with starttls(server, STARTTLS) as c:
        for line in (f"AUTH PLAIN {message}!", f"AUTH PLAIN {b64(WRONG)}", f"AUTH NTLM {message}",
                     f"AUTH PLAIN  {message}",
                     f"AUTH {message}", f"AUTHPLAIN {message}", f"PLAIN {message}", f"AUTH PLAIN {message}{message}",
                     f"AUTH PLAIN {'A' * 12000}{message}"):
            assert c.status(line)[0] in (500, 501, 504, 535), line
        for lines in ((message + "!",), ("A" * 13000 + message,)):
            assert c.cmd("AUTH PLAIN")[0] == 334
            assert c.status(*lines)[0] in (500, 501)
        assert c.cmd("AUTH LOGIN")[0] == 334
        assert c.cmd(b64(WRONG))[0] == 334          # a password in the place of a name
        assert c.status("*")[0] == 501
        assert where(server, passwords()) == {}
    with starttls(server, STARTTLS) as c:
        c.send(f"AUTH PLAIN {message}")
    with starttls(server, STARTTLS) as c:
        c.send(f"AUTH PLAIN {message}\r\n")
    wait_for(lambda: where(server, passwords()) == {}, "nothing of it")
    nothing_said(server)


def test_a_dump_of_memory_is_not_to_be_had(server):
    """No process of it can be looked into by another of its account, and none leaves a core behind."""
    for name, pid in server.pids().items():
        with open(f"/proc/{pid}/limits", encoding="ascii") as f:
            row = next(line for line in f if line.startswith("Max core file size"))
        assert row.split()[4] == "0", (name, row)
    owner = os.stat(f"/proc/{server.pids()['vault/0']}/mem").st_uid
    assert owner == 0, owner     # of a process that is not dumpable
